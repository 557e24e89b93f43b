"""Signed content credentials (C2PA) in picture files: written last, and checked. Offline. Needs no torch.

Signed are the whole file's bytes: whoever changes a pixel or a word afterwards breaks the signature.
"""

from __future__ import annotations

import io
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from faceid_cli.errors import FaceIDError
from faceid_cli.kept.signing import INSTALL, SigningKey, is_installed
from faceid_cli.version import __version__

_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_MAX_BYTES = 200_000_000
# Nothing is fetched, neither manifests nor lists of revoked certificates. A thumbnail would be a second picture.
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class Credentials:
    """Content credentials of a file.

    Attributes:
        state: "valid": unchanged since it was signed; "invalid": changed, or damaged; "unchecked": the package that
            checks them is not installed, the file is too large, or they lie elsewhere.
        signer: Whom the certificate names; "" where it cannot be told.
        is_own: Whether it was signed with the key of this machine.
        is_trusted: Whether somebody else vouches for the signer. A key made by its user is never so.
        generator: The program that says it made the picture.
        source_types: IPTC's words for how the picture came to be.
        problems: What is wrong, in the words of the standard.
    """

    state: Literal["valid", "invalid", "unchecked"]
    signer: str = ""
    is_own: bool = False
    is_trusted: bool = False
    generator: str = ""
    source_types: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def sign(data: bytes, kind: str, key: SigningKey, source_type: str, is_watermarked: bool) -> bytes:
    """Return a picture file with signed credentials; nothing may be changed in it afterwards.

    Args:
        data: The file.
        kind: "png", "jpeg" or "webp".
        key: Signs.
        source_type: IPTC's word for how the picture came to be.
        is_watermarked: Whether there is a watermark in its pixels.

    Raises:
        FaceIDError: The key cannot sign this.
    """
    import c2pa

    agent = {"name": "faceid", "version": __version__}
    actions: list[dict[str, Any]] = [
        {"action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent}
    ]
    if is_watermarked:
        actions.append({"action": "c2pa.watermarked.unbound", "softwareAgent": agent})
    manifest = {
        "claim_generator_info": [agent],
        "format": _TYPES[kind],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    signed = io.BytesIO()
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(key.algorithm, key.certificates, key.key, None))
        with c2pa.Builder(manifest, _context()) as builder:
            builder.sign(signer, _TYPES[kind], io.BytesIO(data), signed)
    except c2pa.C2paError as error:
        raise FaceIDError(
            f"the picture cannot be signed: {error}", "give another key, or faceid config set provenance off"
        ) from error
    return signed.getvalue()


def read_credentials(data: bytes, own: SigningKey | None = None) -> Credentials | None:
    """Check a file's content credentials; None where it has none.

    Args:
        data: The file, of any kind.
        own: The key of this machine.
    """
    if b"c2pa" not in data:
        return None
    if not is_installed() or len(data) > _MAX_BYTES:
        why = f"more than {_MAX_BYTES // 1_000_000} megabytes" if is_installed() else f"checking needs {INSTALL}"
        return Credentials("unchecked", problems=(why,))
    import c2pa

    try:
        with c2pa.Reader(None, io.BytesIO(data), context=_context()) as reader:
            return _read(reader, own)
    except c2pa.C2paError as error:
        name = str(error).partition(":")[0].strip()
        if name.startswith("Remote"):
            return Credentials("unchecked", problems=("they lie on a server, which is not asked",))
        return None if name == "ManifestNotFound" else Credentials("invalid", problems=(name or "unreadable",))
    except Exception as error:  # what strangers wrote may break the reader in any way
        return Credentials("invalid", problems=(type(error).__name__,))


def _read(reader: Any, own: SigningKey | None) -> Credentials:
    store = json.loads(reader.json())
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signature = manifest.get("signature_info", {})
    failures = reader.get_validation_results() or {}
    codes = [str(each.get("code")) for each in failures.get("activeManifest", {}).get("failure", ())]
    state = str(reader.get_validation_state() or "")
    kinds, generator = [], ""
    with suppress(AttributeError, TypeError, KeyError, IndexError):
        generator = " ".join(str(manifest["claim_generator_info"][0].get(each, "")) for each in ("name", "version"))
        for assertion in manifest["assertions"]:
            for action in assertion["data"].get("actions", ()):
                kinds += [str(action["digitalSourceType"])] if "digitalSourceType" in action else []
    return Credentials(
        "valid" if state in ("Valid", "Trusted") else "invalid",
        str(signature.get("common_name") or signature.get("issuer") or ""),
        own is not None and str(signature.get("cert_serial_number")) == _serial(own),
        state == "Trusted",
        generator.strip(),
        tuple(kinds),
        tuple(code for code in dict.fromkeys(codes) if code != _UNTRUSTED),
    )


def _serial(key: SigningKey) -> str:
    from cryptography import x509

    return str(x509.load_pem_x509_certificate(key.certificates).serial_number)


@cache
def _context() -> Any:
    import c2pa

    return c2pa.Context.from_dict(_OFFLINE)
