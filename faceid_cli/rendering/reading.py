"""Everything that a picture file says of how it was made, whoever wrote it. Needs no torch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from faceid_cli.rendering.infotext import Parameters, read_parameters
from faceid_cli.rendering.metadata import USER_COMMENT, XMP_CHUNK, exif_value, opened_file, record_in, text_chunk
from faceid_cli.rendering.record import RenderMetadata
from faceid_cli.rendering.xmp import read_xmp

_MARK = "trainedalgorithmicmedia"
# Text chunks by which other programs are known, and what they are called.
_OTHERS = {
    "prompt": "ComfyUI",
    "workflow": "ComfyUI",
    "invokeai_metadata": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "Dream": "InvokeAI",
}


@dataclass(frozen=True)
class PictureText:
    """What a picture says of itself.

    Attributes:
        path: The file.
        format: "PNG", "JPEG", "WEBP" or another of Pillow's names.
        width: In pixels.
        height: In pixels.
        record: What faceid wrote; None for pictures of other programs, and where it is gone.
        parameters: What stands there in the web UIs' grammar; None for nothing.
        program: Which program seems to have written it; "" where that cannot be told.
        fields: IPTC's fields of what AI made, and the creator's tool, by name.
    """

    path: Path
    format: str
    width: int
    height: int
    record: RenderMetadata | None = None
    parameters: Parameters | None = None
    program: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def is_marked(self) -> bool:
        """Whether it says that a trained model made it, or a part of it."""
        return says_trained_model(self.fields.get("DigitalSourceType", ""))

    @property
    def is_part(self) -> bool:
        """Whether it says that a trained model made only a part of it."""
        return self.is_marked and "composite" in self.fields["DigitalSourceType"].lower()


def says_trained_model(source_type: str) -> bool:
    """Whether IPTC's word for how a picture came to be says that a trained model made it, or a part of it."""
    return source_type.lower().endswith(_MARK)


def read_picture(path: Path) -> PictureText:
    """Read what a picture file says; what it says may be anything, and never makes this fail.

    Raises:
        PhotoNotFoundError: No such file.
        PhotoError: It is no file, or no picture, or so damaged that it cannot be opened.
    """
    with opened_file(path) as image:
        record, parameters = record_in(image), _parameters(image)
        program = "faceid" if record is not None else _program(image, parameters)
        return PictureText(path, image.format or "", *image.size, record, parameters, program, _fields(image))


def _parameters(image: Image.Image) -> Parameters | None:
    text = text_chunk(image, "parameters")
    if text is None:
        comment = exif_value(image, USER_COMMENT)
        text = _comment(comment) if isinstance(comment, bytes) else None
    return read_parameters(text) if text else None


def _comment(comment: bytes) -> str | None:
    """EXIF's UserComment: eight bytes that name the encoding, then the text; programs differ in the order of bytes."""
    code, text = comment[:8], comment[8:]
    if code == b"UNICODE\0":
        order = "utf-16-le" if text[1::2].count(0) > text[::2].count(0) else "utf-16-be"
        return text.decode(order, "replace")
    return text.decode("utf-8", "replace") if code == b"ASCII\0\0\0" else None


def _program(image: Image.Image, parameters: Parameters | None) -> str:
    if parameters is not None and parameters.settings:
        is_ours = parameters.settings.get("Version", "").startswith("faceid")
        return "faceid" if is_ours else "AUTOMATIC1111's web UI, or one like it"
    return next((program for name, program in _OTHERS.items() if text_chunk(image, name) is not None), "")


def _fields(image: Image.Image) -> dict[str, str]:
    with suppress(Exception):  # what strangers wrote may break any reader, and then says nothing
        text_chunk(image, XMP_CHUNK)  # reads to the end of a PNG file
        packet = image.info.get("xmp") or image.info.get(XMP_CHUNK)
        if isinstance(packet, bytes | str):
            return read_xmp(packet)
    return {}
