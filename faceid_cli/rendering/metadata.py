"""What a rendered PNG says about itself: written into its text chunks, and read back. Needs no torch.

Three chunks: `parameters` in the grammar of AUTOMATIC1111's web UI, which most picture browsers show; `faceid`, JSON
with everything needed to render the picture again; and an XMP packet that marks it as made by a trained model (IPTC
DigitalSourceType).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any
from xml.sax.saxutils import quoteattr

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from faceid_cli.errors import NotAnImageError, PhotoNotFoundError

CHUNK = "faceid"
FORMAT_VERSION = 1
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_XMP_CHUNK = "XML:com.adobe.xmp"
_SAMPLER_NAMES = {
    "ddim": "DDIM",
    "euler": "Euler",
    "euler-a": "Euler a",
    "dpm++": "DPM++ 2M",
    "unipc": "UniPC",
    "dpm++-karras": "DPM++ 2M Karras",
    "dpm++-sde": "DPM++ 2M SDE",
    "dpm++-sde-karras": "DPM++ 2M SDE Karras",
    "lcm": "LCM",
}


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
        base_model: The base model's source, as load_base_model takes it.
        base_fingerprint: Of its weights.
        precision: Of the arithmetic.
        additions: What was put into the base model: LoRA adapters, another VAE.
        clip_skip: How many of the text encoders' last layers were left out.
        init: SHA-256 of the picture it started from; "" for noise alone.
        strength: How much of that picture could change.
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
    strength: float = 1.0
    likeness: float = 1.0
    likeness_keys: float | None = None
    likeness_values: float | None = None
    stages: tuple[int, ...] = ()
    chosen: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def png_chunks(metadata: RenderMetadata) -> PngImagePlugin.PngInfo:
    """The three chunks, for `image.save(path, pnginfo=...)`."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", _encodable(parameters_text(metadata)))
    chunks.add_text(CHUNK, to_json(metadata))
    chunks.add_itxt(_XMP_CHUNK, xmp_packet(metadata))
    return chunks


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


def parameters_text(metadata: RenderMetadata) -> str:
    """The `parameters` chunk: prompt, negative prompt, then one line of `Key: value` pairs."""
    lines = [_one_line(metadata.prompt)]
    if metadata.negative_prompt.strip():
        lines.append(f"Negative prompt: {_one_line(metadata.negative_prompt)}")
    pairs: dict[str, object] = {
        "Steps": metadata.steps,
        "Sampler": _SAMPLER_NAMES.get(metadata.scheduler, metadata.scheduler),
        "CFG scale": f"{metadata.guidance_scale:g}",
        "Seed": metadata.seed,
        "Size": f"{metadata.width}x{metadata.height}",
        "Model hash": metadata.base_fingerprint.rpartition(":")[2],
        "Model": PurePath(metadata.base_model).name,
        "Clip skip": metadata.clip_skip + 1 if metadata.clip_skip else "",
        "Denoising strength": f"{metadata.strength:g}" if metadata.init else "",
        "FaceID": " ".join(metadata.names),
        "FaceID likeness": _likeness_text(metadata),
        "FaceID stages": " ".join(map(str, metadata.stages)),
        "Version": f"faceid {metadata.versions['faceid']}" if "faceid" in metadata.versions else "faceid",
    }
    lines.append(", ".join(f"{key}: {_quoted(str(value))}" for key, value in pairs.items() if str(value)))
    return "\n".join(lines)


def xmp_packet(metadata: RenderMetadata) -> str:
    """XMP that declares the picture as made by a trained model, in IPTC's vocabulary."""
    tool = quoteattr(f"faceid {metadata.versions.get('faceid', '')}".strip())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        f' Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPE}" xmp:CreatorTool={tool}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _checked(values: dict[str, Any]) -> RenderMetadata:
    """Build the metadata from parsed JSON, type by type: the file may come from anyone."""
    for name in ("names", "identity_ids", "additions"):
        items = values.get(name, []) if name == "additions" else values[name]
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise TypeError(name)
        values[name] = tuple(items)
    for name in ("seed", "steps", "width", "height"):
        if type(values[name]) is not int or values[name] < 0:
            raise TypeError(name)
    for name in (
        "prompt",
        "scheduler",
        "negative_prompt",
        "base_model",
        "base_fingerprint",
        "precision",
        "init",
        "chosen",
    ):
        if not isinstance(values.get(name, ""), str):
            raise TypeError(name)
    if type(values.get("clip_skip", 0)) is not int or type(values.get("strength", 1.0)) not in (int, float):
        raise TypeError("clip_skip or strength")
    if type(values.get("likeness", 1.0)) not in (int, float):
        raise TypeError("likeness")
    for name in ("likeness_keys", "likeness_values"):
        if type(values.get(name)) not in (int, float, type(None)):
            raise TypeError(name)
    stages = values.get("stages", [])
    if not isinstance(stages, list) or not all(type(stage) is int for stage in stages):
        raise TypeError("stages")
    values["stages"] = tuple(stages)
    guidance_scale = values["guidance_scale"]
    if type(guidance_scale) not in (int, float) or not 0 <= guidance_scale < float("inf"):
        raise TypeError("guidance_scale")
    values["guidance_scale"] = float(guidance_scale)
    versions = values.get("versions", {})
    if not isinstance(versions, dict):
        raise TypeError("versions")
    values["versions"] = {key: str(value) for key, value in versions.items()}
    return RenderMetadata(**values)


def _likeness_text(metadata: RenderMetadata) -> str:
    """Empty where every dial stands at 1; "0.8 keys 1 values" where they differ."""
    keys, values = (
        metadata.likeness if likeness is None else likeness
        for likeness in (metadata.likeness_keys, metadata.likeness_values)
    )
    if keys != values:
        return f"{keys:g} keys {values:g} values"
    return f"{keys:g}" if keys != 1 else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(value: str) -> str:
    """Quote a value that holds characters which separate pairs."""
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def _encodable(text: str) -> str:
    """Replace what neither Latin-1 nor UTF-8 chunks can hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
