"""What a rendered picture says about itself: written into its file, and read back. Needs no torch.

Three things: `parameters` in the grammar of AUTOMATIC1111's web UI, which most picture browsers show; a record of
faceid's own, JSON with everything needed to render the picture again; and an XMP packet that marks it as made by a
trained model (IPTC DigitalSourceType). In PNG files the first two are text chunks, in JPEG and WebP files EXIF's
UserComment and MakerNote.
"""

from __future__ import annotations

import io
import json
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from faceid_cli.errors import FaceIDError, NotAnImageError, PhotoError, PhotoNotFoundError, UsageError
from faceid_cli.kept.remote import is_remote, read_remote, shown_path
from faceid_cli.photo_files import MAX_BYTES, opened_picture
from faceid_cli.rendering.infotext import parameters_text
from faceid_cli.rendering.record import RenderMetadata
from faceid_cli.rendering.xmp import xmp_packet

CHUNK = "faceid"
FORMAT_VERSION = 1
EXIF_IFD, USER_COMMENT, MAKER_NOTE = 0x8769, 0x9286, 0x927C
MAKER = b"faceid\0"
"""What our MakerNote begins with."""
XMP_CHUNK = "XML:com.adobe.xmp"
_HOW: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0, "optimize": True},
    "webp": {"format": "WEBP", "quality": 95, "method": 4},
}


def png_chunks(metadata: RenderMetadata | None, is_told: bool = True) -> PngImagePlugin.PngInfo:
    """The three chunks, for `image.save(path, pnginfo=...)`; of sheets and figures (None) the mark alone."""
    chunks = PngImagePlugin.PngInfo()
    if metadata and is_told:
        chunks.add_text("parameters", _encodable(parameters_text(metadata)))
        chunks.add_text(CHUNK, to_json(metadata))
    chunks.add_itxt(XMP_CHUNK, xmp_packet(metadata, is_told))
    return chunks


def png_bytes(image: Image.Image, metadata: RenderMetadata | None) -> bytes:
    """A PNG file with those chunks."""
    return picture_bytes(image, metadata, "png")


def picture_bytes(
    image: Image.Image, metadata: RenderMetadata | None, kind: str = "png", is_told: bool = True
) -> bytes:
    """A picture file that says what it is.

    Args:
        image: The pixels.
        metadata: What is known of the picture; None for sheets and figures.
        kind: "png", "jpeg" or "webp".
        is_told: Whether prompt, people and settings may be in it; without, only the mark of what a model made.

    Raises:
        UsageError: The words do not fit into a file of this kind.
    """
    buffer, how = io.BytesIO(), dict(_HOW[kind])
    if kind == "png":
        how["pnginfo"] = png_chunks(metadata, is_told)
    else:
        how["xmp"] = xmp_packet(metadata, is_told).encode()
        if metadata and is_told:
            how["exif"] = _exif(metadata)
    try:
        image.save(buffer, **how)
    except ValueError as error:
        if "too long" not in str(error) and "too large" not in str(error):
            raise
        raise UsageError(f"prompt and settings are too long for a {kind} file", "give a name in .png") from error
    return buffer.getvalue()


def _exif(metadata: RenderMetadata) -> Image.Exif:
    """The words for web UIs, and those for faceid."""
    exif = Image.Exif()
    # What is put into `get_ifd` of a new one, older versions of Pillow leave out of the file.
    exif[EXIF_IFD] = {
        USER_COMMENT: b"UNICODE\0" + _encodable(parameters_text(metadata)).encode("utf-16-be"),
        MAKER_NOTE: MAKER + to_json(metadata).encode("ascii"),
    }
    return exif


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
    """Read back what `picture_bytes` wrote; None for pictures without a readable record of faceid.

    Raises:
        PhotoNotFoundError: No such file.
        NotAnImageError: Not a picture, or a damaged one.
    """
    with opened_file(path) as image:
        return record_in(image)


@contextmanager
def opened_file(path: Path) -> Iterator[Image.Image]:
    """Open a picture to see what its file says; its pixels need not be read.

    Raises:
        PhotoNotFoundError: No such file.
        PhotoError: Something that cannot be read as a file.
        NotAnImageError: Not a picture, or a damaged one; whatever goes wrong inside becomes this.
    """
    if is_remote(path):
        with _opened_remote(path) as image:
            yield image
        return
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would never end
            raise PhotoError(f"cannot read {path}: not a file", "give a picture file")
        if os.stat(path).st_size > MAX_BYTES:
            raise NotAnImageError(f"{path} has more than {MAX_BYTES // 1_000_000} megabytes", "leave it out")
        with warnings.catch_warnings(action="ignore"), opened_picture(path) as image:
            yield image
    except FaceIDError:
        raise
    except FileNotFoundError as error:
        raise PhotoNotFoundError(f"no such file: {path}", "check the spelling and the current folder") from error
    except UnidentifiedImageError as error:
        raise NotAnImageError(f"{path} is not a picture", "give a picture that faceid wrote") from error
    except Exception as error:  # decoders raise nearly anything on damaged files, and all of it means the same
        raise NotAnImageError(f"{path} is damaged and cannot be read ({error})", "copy the file again") from error


@contextmanager
def _opened_remote(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(read_remote(path))) as image:
            yield image
    except FaceIDError:
        raise
    except Exception as error:  # as in `opened_file`
        raise NotAnImageError(f"{shown_path(path)} cannot be read ({error})", "look whether it is a picture") from error


def record_in(image: Image.Image) -> RenderMetadata | None:
    """The record of faceid in an open picture, or None."""
    text = text_chunk(image, CHUNK)
    if text is None:
        note = exif_value(image, MAKER_NOTE)
        if isinstance(note, bytes) and note.startswith(MAKER):
            text = note.removeprefix(MAKER).decode("ascii", "replace")
    return from_json(text) if text is not None else None


def text_chunk(image: Image.Image, name: str) -> str | None:
    """A text chunk of a PNG file, also of those that follow the pixels; None if there is none."""
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return None
    text = image.info.get(name)
    if text is None:
        text = image.text.get(name)  # this reads to the end of the file
    return text if isinstance(text, str) else None


def exif_value(image: Image.Image, tag: int) -> object:
    """A value of EXIF's own block; None where there is none, or EXIF is damaged."""
    with suppress(Exception):  # as in `opened_file`
        return image.getexif().get_ifd(EXIF_IFD).get(tag)
    return None


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
