"""What a rendered PNG says about itself: written into its text chunks, and read back. Needs no torch.

Three chunks: `parameters` in the grammar of AUTOMATIC1111's web UI, which most picture browsers show; `faceid`, JSON
with everything needed to render the picture again; and an XMP packet that marks it as made by a trained model (IPTC
DigitalSourceType).
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from faceid_cli.errors import NotAnImageError, PhotoNotFoundError
from faceid_cli.photo_files import opened_picture
from faceid_cli.rendering.infotext import parameters_text, xmp_packet
from faceid_cli.rendering.record import RenderMetadata

CHUNK = "faceid"
FORMAT_VERSION = 1
_XMP_CHUNK = "XML:com.adobe.xmp"


def png_chunks(metadata: RenderMetadata | None) -> PngImagePlugin.PngInfo:
    """The three chunks, for `image.save(path, pnginfo=...)`; of sheets and figures (None) the mark alone."""
    chunks = PngImagePlugin.PngInfo()
    if metadata:
        chunks.add_text("parameters", _encodable(parameters_text(metadata)))
        chunks.add_text(CHUNK, to_json(metadata))
    chunks.add_itxt(_XMP_CHUNK, xmp_packet(metadata))
    return chunks


def png_bytes(image: Image.Image, metadata: RenderMetadata | None) -> bytes:
    """A PNG file with those chunks."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=png_chunks(metadata))
    return buffer.getvalue()


def to_json(metadata: RenderMetadata) -> str:
    """The `faceid` chunk: ASCII JSON with a format version."""
    return json.dumps({"format": FORMAT_VERSION, **asdict(metadata)})


def from_json(text: str) -> RenderMetadata | None:
    """Parse a `faceid` chunk; None where it is not one that this version understands."""
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.get("format") != FORMAT_VERSION:
            return None
        known: dict[str, Any] = {name: value for name, value in values.items() if name in _hints()}
        if not all(_fits(value, _hints()[name]) for name, value in known.items()):
            return None
        known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
        return RenderMetadata(**known)
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None


def read_metadata(path: Path) -> RenderMetadata | None:
    """Read back what `png_chunks` wrote; None for pictures without a readable `faceid` chunk.

    Raises:
        PhotoNotFoundError: No such file.
        NotAnImageError: Not a picture, or a damaged one.
    """
    try:
        with opened_picture(path) as image:
            text = image.info.get(CHUNK)
            if text is None and isinstance(image, PngImagePlugin.PngImageFile):
                text = image.text.get(CHUNK)  # chunks may also follow the pixels; this reads to the end of the file
    except FileNotFoundError as error:
        raise PhotoNotFoundError(f"no such file: {path}", "check the spelling and the current folder") from error
    except UnidentifiedImageError as error:
        raise NotAnImageError(f"{path} is not a picture", "give a picture that faceid wrote") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise NotAnImageError(f"{path} is damaged and cannot be read ({error})", "copy the file again") from error
    return from_json(text) if isinstance(text, str) else None


@cache
def _hints() -> dict[str, Any]:
    known = get_type_hints(RenderMetadata)
    return {field.name: known[field.name] for field in fields(RenderMetadata)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a field's type: the file may come from anyone."""
    inner = get_args(hint)
    if get_origin(hint) is UnionType:
        return any(_fits(value, each) for each in inner)
    if get_origin(hint) is tuple:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint and (hint is not int or value >= 0)


def _encodable(text: str) -> str:
    """Replace what neither Latin-1 nor UTF-8 chunks can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
