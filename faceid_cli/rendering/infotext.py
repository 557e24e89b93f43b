"""What other programs read of a picture: AUTOMATIC1111's parameters, and the XMP mark of generated pictures."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from xml.sax.saxutils import quoteattr

from faceid_cli.rendering.record import RenderMetadata

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""Of pictures of which only a part was rendered."""

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
        **_guided(metadata),
        "FaceID": " ".join(metadata.names),
        "FaceID likeness": _likeness_text(metadata),
        "FaceID stages": " ".join(map(str, metadata.stages)),
        "Version": f"faceid {metadata.versions['faceid']}" if "faceid" in metadata.versions else "faceid",
    }
    lines.append(", ".join(f"{key}: {_quoted(str(value))}" for key, value in pairs.items() if str(value)))
    return "\n".join(lines)


def xmp_packet(metadata: RenderMetadata | None) -> str:
    """XMP that declares the picture as made, or made in part, by a trained model, in IPTC's vocabulary.

    None stands for sheets and figures, which show renderings among other things.
    """
    tool = quoteattr(f"faceid {metadata.versions.get('faceid', '') if metadata else ''}".strip())
    source = COMPOSITE_SOURCE_TYPE if metadata is None or metadata.mask else DIGITAL_SOURCE_TYPE
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        f' Iptc4xmpExt:DigitalSourceType="{source}" xmp:CreatorTool={tool}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


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


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(value: str) -> str:
    """Quote a value that holds characters which separate pairs."""
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value
