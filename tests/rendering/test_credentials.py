"""rendering/credentials.py: reading signed credentials of strangers."""

from __future__ import annotations

import io
import socket

import pytest
from PIL import Image, PngImagePlugin

from faceid_cli.kept.signing import signing_key
from faceid_cli.rendering.credentials import read_credentials, sign
from faceid_cli.rendering.metadata import picture_bytes
from faceid_cli.rendering.xmp import DIGITAL_SOURCE_TYPE

pytest.importorskip("c2pa")


def pixels(data: bytes) -> bytes | None:
    """Of a picture file; None where it is none any more."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB").tobytes()
    except (OSError, SyntaxError, ValueError):
        return None


def test_credentials_elsewhere_are_not_fetched() -> None:
    """A picture may say that its credentials lie on a server; whoever reads it would tell the server so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.c2pa"
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(
            "XML:com.adobe.xmp",
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
            f'dcterms:provenance="{address}"/></rdf:RDF></x:xmpmeta>',
        )
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=chunks)
        found = read_credentials(buffer.getvalue())
        assert (found.state, found.problems) == ("unchecked", ("they lie on a server, which is not asked",))
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_where_a_byte_is_flipped_only_the_same_picture_is_still_valid(kind: str) -> None:
    key = signing_key()
    plain = picture_bytes(Image.effect_noise((32, 32), 50).convert("RGB"), None, kind)
    whole = sign(plain, kind, key, DIGITAL_SOURCE_TYPE, is_watermarked=False)
    assert read_credentials(whole, key).state == "valid"
    for place in range(40, len(whole) - 40, 97):
        broken = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        found = read_credentials(broken, key)
        if found is not None and found.state == "valid":  # the byte was none of the picture's: padding, say
            assert pixels(broken) in (None, pixels(whole))
    cut = read_credentials(whole[: len(whole) // 2], key)
    assert cut is None or cut.state == "invalid"


def test_a_picture_without_any_has_none() -> None:
    assert read_credentials(picture_bytes(Image.new("RGB", (8, 8)), None)) is None
    assert read_credentials(b"c2pa, but no picture") is not None
