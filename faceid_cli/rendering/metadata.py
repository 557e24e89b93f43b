"""What a rendered PNG says about itself: written into its text chunks, and read back. Needs no torch.

Three chunks: `parameters` in the grammar of AUTOMATIC1111's web UI, which most picture browsers show; `faceid`, JSON
with everything needed to render the picture again; and an XMP packet that marks it as made by a trained model (IPTC
DigitalSourceType).
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from faceid_cli.errors import NotAnImageError, PhotoNotFoundError
from faceid_cli.rendering.infotext import DIGITAL_SOURCE_TYPE, parameters_text, xmp_packet

__all__ = [
    "CHUNK",
    "DIGITAL_SOURCE_TYPE",
    "RenderMetadata",
    "from_json",
    "parameters_text",
    "png_bytes",
    "png_chunks",
    "read_metadata",
    "to_json",
    "xmp_packet",
]

CHUNK = "faceid"
FORMAT_VERSION = 1
_XMP_CHUNK = "XML:com.adobe.xmp"


@dataclass(frozen=True)
class RenderMetadata:
    """Everything needed to render a picture again.

    Attributes:
        prompt: Normalised prompt, people as `<name>`.
        names: The people's names, in the order they were asked for.
        identity_ids: Their registry ids, same order.
        seed: Of the initial noise.
        steps: Sampler steps.
        guidance_scale: Classifier-free guidance scale.
        scheduler: One of config.SCHEDULERS.
        width: Pixels.
        height: Pixels.
        negative_prompt: What the picture should not show.
        base_model: The base model: a hub id, or the name of its file or folder, without where that lies.
        base_fingerprint: Of its weights.
        precision: Of the arithmetic.
        additions: What was put into the base model: LoRA adapters, another VAE.
        clip_skip: How many of the text encoders' last layers were left out.
        init: SHA-256 of the picture it started from; "" for noise alone.
        mask: SHA-256 of the mask, where only a part of that picture could change; else "".
        face: Which face of that picture was replaced, as it was asked for; "" where none was.
        strength: How much of that picture could change.
        control: What the control image showed, one of config.CONTROLS; "" without a ControlNet.
        control_model: The ControlNet: its name and the beginning of its weights' SHA-256.
        control_image: SHA-256 of the control image, as it was given.
        control_scale: How closely it was followed.
        hires: How many times the picture was enlarged for a second pass; 1 for none.
        hires_strength: How much of it could change then.
        files: Names of the files that were given, by option; without their folders.
        embeddings: Files of other words in the prompt, as "WORD FILE", with the beginning of the file's SHA-256.
        likeness: How much of the people was in their tokens: 0 the class word, 1 all that was learned.
        likeness_keys: The same for their key features alone; None for `likeness`.
        likeness_values: The same for their value features alone; None for `likeness`.
        stages: In which timestep stages they were there, counted from 1; all of them if empty.
        chosen: How the likeness was chosen, where faceid chose it; else "".
        versions: Package name -> version, of what changes pixels.
    """

    prompt: str
    names: tuple[str, ...]
    identity_ids: tuple[str, ...]
    seed: int
    steps: int
    guidance_scale: float
    scheduler: str
    width: int
    height: int
    negative_prompt: str = ""
    base_model: str = ""
    base_fingerprint: str = ""
    precision: str = ""
    additions: tuple[str, ...] = ()
    clip_skip: int = 0
    init: str = ""
    mask: str = ""
    face: str = ""
    strength: float = 1.0
    control: str = ""
    control_model: str = ""
    control_image: str = ""
    control_scale: float = 1.0
    hires: float = 1.0
    hires_strength: float = 0.5
    files: dict[str, str] = field(default_factory=dict)
    embeddings: tuple[str, ...] = ()
    likeness: float = 1.0
    likeness_keys: float | None = None
    likeness_values: float | None = None
    stages: tuple[int, ...] = ()
    chosen: str = ""
    versions: dict[str, str] = field(default_factory=dict)


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
        known = {field.name: values[field.name] for field in fields(RenderMetadata) if field.name in values}
        return _checked(known)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def read_metadata(path: Path) -> RenderMetadata | None:
    """Read back what `png_chunks` wrote; None for pictures without a readable `faceid` chunk.

    Raises:
        PhotoNotFoundError: No such file.
        NotAnImageError: Not a picture, or a damaged one.
    """
    try:
        with Image.open(path) as image:
            text = image.info.get(CHUNK)
            if text is None and isinstance(image, PngImagePlugin.PngImageFile):
                text = image.text.get(CHUNK)  # chunks may also follow the pixels; this reads to the end of the file
    except FileNotFoundError as error:
        raise PhotoNotFoundError(f"no such file: {path}", "check the spelling and the current folder") from error
    except UnidentifiedImageError as error:
        raise NotAnImageError(f"{path} is not a picture", "give a picture that faceid wrote") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAnImageError(f"{path} is damaged and cannot be read ({error})", "copy the file again") from error
    return from_json(text) if isinstance(text, str) else None


_TEXTS = (
    "prompt",
    "scheduler",
    "negative_prompt",
    "base_model",
    "base_fingerprint",
    "precision",
    "init",
    "mask",
    "face",
    "control",
    "control_model",
    "control_image",
    "chosen",
)
_COUNTS = ("seed", "steps", "width", "height", "clip_skip")
_NUMBERS = ("guidance_scale", "strength", "likeness", "control_scale", "hires", "hires_strength")
_OPTIONAL_NUMBERS = ("likeness_keys", "likeness_values")
_LISTS = {"names": str, "identity_ids": str, "additions": str, "embeddings": str, "stages": int}
_MAPPINGS = ("files", "versions")


def _checked(values: dict[str, Any]) -> RenderMetadata:
    """Build the metadata from parsed JSON, type by type: the file may come from anyone."""
    for name, value in values.items():
        if not _is_valid(name, value):
            raise TypeError(name)
        if name in _LISTS:
            values[name] = tuple(value)
        elif name in _NUMBERS:
            values[name] = float(value)
        elif name in _MAPPINGS:
            values[name] = {key: str(entry) for key, entry in value.items()}
    return RenderMetadata(**values)


def _is_valid(name: str, value: Any) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _COUNTS:
        return type(value) is int and value >= 0
    if name in _NUMBERS:
        return type(value) in (int, float) and 0 <= value < float("inf")
    if name in _OPTIONAL_NUMBERS:
        return type(value) in (int, float, type(None))
    if name in _LISTS:
        return isinstance(value, list) and all(type(item) is _LISTS[name] for item in value)
    return name in _MAPPINGS and isinstance(value, dict)


def _encodable(text: str) -> str:
    """Replace what neither Latin-1 nor UTF-8 chunks can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
