"""The key that signs pictures: made here, kept here, for its owner alone; or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.kept import paths
from faceid_cli.kept.files import write_atomically
from faceid_cli.orders.checks import user_path

INSTALL = "pip install 'faceid-cli[provenance]'"
_PACKAGES = ("c2pa", "cryptography", "imwatermark")
_YEARS = 20
_DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
# What the standard of content credentials calls them, by the curve of a key.
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class SigningKey:
    """A private key with the certificates that speak for it.

    Attributes:
        algorithm: As content credentials call it, such as "es256".
        certificates: PEM, the signer's own first.
        key: PEM, not encrypted.
    """

    algorithm: str
    certificates: bytes
    key: bytes


def is_installed() -> bool:
    """Whether the packages of the extra `provenance` are there."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def check_installed() -> None:
    """Raise UsageError where a package of the extra is missing."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise UsageError(f"provenance needs a package that is not installed: {', '.join(missing)}", INSTALL)


def signing_key(file: str = "") -> SigningKey:
    """Read the key that signs pictures; the first time it is made.

    Args:
        file: A PEM file of the user's, with a private key and its certificates; "" for the key of this machine.

    Raises:
        UsageError: The file has no such key or no certificates, or they cannot sign pictures.
        OutputError: The key of this machine cannot be kept.
    """
    path = user_path(file) if file else paths.signing_key_file()
    if not file and not path.exists():
        write_atomically(path, _made())  # what lies in the home is its owner's alone from the first byte
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read the key {path}: {error.strerror}", "check the path and its permissions"
        ) from error
    return _read(path, content)


def _read(path: Path, content: bytes) -> SigningKey:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    hint = "give one PEM file with an unencrypted private key (EC or Ed25519) and its certificates, its own first"
    try:
        key = serialization.load_pem_private_key(content, None)
        certificates = x509.load_pem_x509_certificates(content)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is no key that pictures can be signed with", hint) from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = _CURVES.get(key.curve.name, "")
    else:
        algorithm = "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else ""
    if not algorithm or certificates[0].public_key() != key.public_key():
        raise UsageError(f"{path}: the key is of another kind, or its first certificate is another one's", hint)
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
    return SigningKey(algorithm, chain, _pem(key))


def _made() -> bytes:
    """A key with a certificate of an authority whose own key is forgotten at once: nobody can issue another one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("faceid authority of this machine", None, authority, authority, is_authority=True)
    own = _certificate("faceid on this machine", root, authority, key, is_authority=False)
    return b"".join([_pem(key), *(each.public_bytes(serialization.Encoding.PEM) for each in (own, root))])


def _certificate(name: str, issuer: Any, issuer_key: Any, key: Any, is_authority: bool) -> Any:
    """As content credentials want it: version 3, with the uses of the key said."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "faceid, a key made on its user's machine"),
        ]
    )
    uses = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    uses |= {"key_cert_sign": True, "crl_sign": True} if is_authority else {"digital_signature": True}
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), critical=True)
        .add_extension(x509.KeyUsage(**uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        purposes = [ObjectIdentifier(_DOCUMENT_SIGNING), ExtendedKeyUsageOID.EMAIL_PROTECTION]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    kind = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
