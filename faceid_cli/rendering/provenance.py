"""What makes a picture's origin hard to lose: a watermark in its pixels, and a signature over its file.

The order matters: the mark and the words first, the watermark before the pixels are compressed, the signature last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from faceid_cli.kept.settings import read_setting
from faceid_cli.kept.signing import SigningKey, check_installed, signing_key
from faceid_cli.rendering.credentials import sign
from faceid_cli.rendering.metadata import picture_bytes
from faceid_cli.rendering.record import RenderMetadata, digest_of
from faceid_cli.rendering.watermark import MARK, with_watermark
from faceid_cli.rendering.xmp import source_type
from faceid_cli.types import OnNote


@dataclass(frozen=True)
class Provenance:
    """The user's wish to have pictures marked and signed.

    Attributes:
        key: Signs.
        on_note: Told where a picture has no room for a watermark.
    """

    key: SigningKey
    on_note: OnNote | None = None


def wanted_provenance(on_note: OnNote | None = None) -> Provenance | None:
    """What `faceid config set provenance on` asks for; None where it is off.

    Raises:
        UsageError: A package is missing, or the key cannot sign.
        FaceIDError: The same.
    """
    if read_setting("provenance") != "on":
        return None
    check_installed()
    key = signing_key(read_setting("signing-key"))
    # A key that cannot sign is better known before the pictures are rendered than after.
    sign(picture_bytes(Image.new("RGB", (8, 8)), None), "png", key, source_type(None), is_watermarked=False)
    return Provenance(key, on_note)


def signed_picture(
    provenance: Provenance, image: Image.Image, metadata: RenderMetadata, kind: str, is_told: bool
) -> tuple[Image.Image, bytes]:
    """A picture with its watermark, and its signed file; arguments as of `picture_bytes`.

    Raises:
        FaceIDError: It cannot be signed.
        UsageError: As `picture_bytes`.
    """
    # What a mask keeps is promised to stay bit for bit.
    marked, is_watermarked = (image, False) if metadata.mask else with_watermark(image)
    if not is_watermarked and provenance.on_note is not None:
        why = "only a part of the picture may change" if metadata.mask else "the picture is too small or too plain"
        provenance.on_note(f"signed, but without a watermark: {why}")
    metadata = replace(metadata, watermark=MARK if is_watermarked else "", pixels=metadata.pixels or digest_of(image))
    data = picture_bytes(marked, metadata, kind, is_told)
    return marked, sign(data, kind, provenance.key, source_type(metadata), is_watermarked)
