"""AUTOMATIC1111's `parameters`, which most programs read: written, and read of whoever wrote them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath

from faceid_cli.rendering.record import RenderMetadata

_PAIR = re.compile(r'\s*(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_HASHES = re.compile(r"(?:^|, )Hashes: (\{[^{}]*\})")
_NEGATIVE = "Negative prompt:"
_FEWEST_PAIRS = 3
"""As many make a line the one of the settings."""
_MAX_TEXT = 200_000

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


def parameters_text(metadata: RenderMetadata) -> str:
    """The `parameters` chunk: prompt, negative prompt, then one line of `Key: value` pairs.

    The prompts are what readers can take apart again; as they were written they stand in faceid's own record.
    """
    lines = [_readable(metadata.prompt)]
    if metadata.negative_prompt.strip():
        lines.append(f"{_NEGATIVE} {_readable(metadata.negative_prompt)}")
    pairs: dict[str, object] = {
        "Steps": metadata.steps,
        "Sampler": _SAMPLER_NAMES.get(metadata.scheduler, metadata.scheduler),
        "CFG scale": f"{metadata.guidance_scale:g}",
        "Seed": metadata.seed,
        "Size": f"{metadata.width}x{metadata.height}",
        "Model hash": metadata.hashes.get("model", ""),
        "Model": PurePath(metadata.base_model).stem if "model" in metadata.hashes else metadata.base_model,
        "VAE hash": metadata.hashes.get("vae", ""),
        "Clip skip": metadata.clip_skip + 1 if metadata.clip_skip else "",
        **_guided(metadata),
        "TI hashes": _listed(
            {
                name.removeprefix("embed:"): digest
                for name, digest in metadata.hashes.items()
                if name.startswith("embed:")
            }
        ),
        "Lora hashes": _listed(metadata.lora_hashes),
        "FaceID": " ".join(metadata.names),
        "FaceID base": metadata.base_fingerprint.replace(":", " "),
        "FaceID likeness": _likeness_text(metadata),
        "FaceID stages": " ".join(map(str, metadata.stages)),
        "Version": f"faceid {metadata.versions['faceid']}" if "faceid" in metadata.versions else "faceid",
    }
    line = ", ".join(f"{key}: {_quoted(str(value))}" for key, value in pairs.items() if str(value))
    # Last and without quotes, as the extension of Civitai writes them and readers look for them.
    lines.append(f"{line}, Hashes: {json.dumps(metadata.hashes)}" if metadata.hashes else line)
    return "\n".join(lines)


@dataclass(frozen=True)
class Parameters:
    """What a program said of a picture in that grammar.

    Attributes:
        prompt: May have several lines.
        negative_prompt: The same.
        settings: The pairs of the last line, as text.
        hashes: What stands there as `Hashes`.
    """

    prompt: str = ""
    negative_prompt: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


def read_parameters(text: str) -> Parameters:
    """Read the `parameters` of any program; never fails, what it cannot understand is the prompt."""
    *lines, last = text[:_MAX_TEXT].strip().split("\n")
    hashes: dict[str, str] = {}
    if found := _HASHES.search(last):
        with suppress(ValueError, RecursionError):
            hashes = {str(key): str(value) for key, value in json.loads(found[1]).items()}
    settings = {key: _unquoted(value) for key, value in _PAIR.findall(_HASHES.sub("", last))}
    if len(settings) < _FEWEST_PAIRS:
        lines, settings, hashes = [*lines, last], {}, {}
    prompt: list[str] = []
    negative: list[str] = []
    part = prompt
    for line in lines:
        if line.strip().startswith(_NEGATIVE):
            part, line = negative, line.strip().removeprefix(_NEGATIVE)
        part.append(line.strip())
    return Parameters("\n".join(prompt).strip(), "\n".join(negative).strip(), settings, hashes)


def _guided(metadata: RenderMetadata) -> dict[str, object]:
    """What was given beside the prompt, and the second pass; the web UI knows one denoising strength for both."""
    pairs: dict[str, object] = {}
    if metadata.init or metadata.hires > 1:
        pairs["Denoising strength"] = f"{metadata.strength if metadata.init else metadata.hires_strength:g}"
    if metadata.hires > 1:
        pairs |= {"Hires upscale": f"{metadata.hires:g}", "Hires upscaler": "Lanczos"}
    if metadata.mask:
        pairs["FaceID mask"] = f"face {metadata.face}" if metadata.face else "given"
    if metadata.control:
        pairs["FaceID control"] = f"{metadata.control} {metadata.control_model} {metadata.control_scale:g}"
    return pairs


def _likeness_text(metadata: RenderMetadata) -> str:
    """Empty where every dial stands at 1; "0.8 keys 1 values" where they differ."""
    keys, values = (
        metadata.likeness if likeness is None else likeness
        for likeness in (metadata.likeness_keys, metadata.likeness_values)
    )
    if keys != values:
        return f"{keys:g} keys {values:g} values"
    return f"{keys:g}" if keys != 1 else ""


def _readable(text: str) -> str:
    """One line, without what readers take for the beginning of the next part."""
    text = re.sub(r"(negative prompt):", r"\1 :", " ".join(text.split()), flags=re.IGNORECASE)
    return re.sub(r"^(Steps):", r"\1 :", text)


def _listed(hashes: dict[str, str]) -> str:
    return ", ".join(f"{name}: {digest}" for name, digest in hashes.items())


def _quoted(value: str) -> str:
    """Quote a value that holds characters which separate pairs."""
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def _unquoted(value: str) -> str:
    if value.startswith('"'):
        with suppress(ValueError, RecursionError):
            return str(json.loads(value))
    return value.strip()
