"""LoRA files: what the user calls them, what is in them, and whether they can fit. No torch.

Trainers name the same parts differently: kohya's scripts and LyCORIS write `lora_unet_..._to_k.lora_down.weight`,
diffusers `unet....to_k.lora_A.weight`, and before that `unet....to_k_lora.down.weight` or
`....lora_linear_layer.down.weight`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError, UsageError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.weight_file import PICKLES, check_pickled, open_weight_file
from faceid_cli.orders.checks import user_path

# What a tensor is to its layer, by the end of its name.
_PARTS = {
    "down": r"(\.lora_down|\.lora_A)(\.\w+)?\.weight|([._]lora|\.lora_linear_layer)\.down\.weight",
    "up": r"(\.lora_up|\.lora_B)(\.\w+)?\.weight|([._]lora|\.lora_linear_layer)\.up\.weight",
    "up_bias": r"(\.lora_up|\.lora_B)(\.\w+)?\.bias",
    "mid": r"\.lora_mid(\.\w+)?\.weight|\.lora_mid",
    "alpha": r"([._]lora|\.lora_linear_layer)?\.alpha",
    "dora_scale": r"\.dora_scale",
    "magnitude": r"\.lora_magnitude_vector(\.\w+)*",
    **{each: rf"\.{each}" for each in ("diff", "diff_b", "w_norm", "b_norm")},
    **{f"hada_{each}": rf"\.hada_{each}" for each in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{f"lokr_{each}": rf"\.lokr_{each}" for each in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
}
_ENDS = [(kind, re.compile(f"(?:{end})$")) for kind, end in _PARTS.items()]
# Which halves belong together; a layer has one of these lines, whole.
_WHOLE = (
    ("down", "up"),
    ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    ("lokr_w1", "lokr_w2"),
    ("lokr_w1_a", "lokr_w1_b", "lokr_w2"),
    ("lokr_w1", "lokr_w2_a", "lokr_w2_b"),
    ("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"),
    ("diff",),
    ("diff_b",),
    ("w_norm",),
)
# What has parts like a LoRA, and changes weights by another rule.
_OTHER_RULES = {
    r"[._](boft|oft)_\w+(\.\w+)*$": "an OFT or BOFT",
    r"\.(a1|a2|b1|b2|bm1|bm2)\.weight$": "a GLoRA",
    r"\.(on_input|ia3_l)(\.\w+)*$": "an IA3",
    r"\.(vera_lambda_\w+|vera_[AB])(\.\w+)*$": "a VeRA",
    r"\.lora_E(\.\w+)*$": "an AdaLoRA",
    r"\.(set_weight|reshape_weight|scalar|lokr_t1)$": "a LoRA with parts of an unknown kind",
}
_AGAIN = "copy or download it again"
_BUNDLED = re.compile(r"bundle_emb\.(.+?)\.[^.]+(\.\*)?$")


@dataclass(frozen=True)
class LoraContents:
    """What is in a LoRA file.

    Attributes:
        layers: Name of a layer in the file -> what a tensor is to it ("down", "alpha") -> the tensor's name.
        embeddings: Names of the textual inversions beside it.
        others: Names of all other tensors.
        metadata: The file's own words.
    """

    layers: dict[str, dict[str, str]] = field(default_factory=dict)
    embeddings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def parse_lora(text: str) -> tuple[Path, float]:
    """Read "FILE" or "FILE:SCALE" as (file, scale).

    Raises:
        UsageError: A scale that is no number.
    """
    path, colon, scale = text.rpartition(":")
    if not colon or user_path(text).is_file() or "/" in scale or "\\" in scale:
        return user_path(text), 1.0
    try:
        return user_path(path), float(scale)
    except ValueError:
        raise UsageError(f"the scale of {text!r} is no number", "write it as FILE:0.8") from None


def check_lora(path: Path, text_width: int | None = None) -> None:
    """Check that a file is a LoRA and, if a width is given, made for a UNet that listens to text of this width.

    Raises:
        ModelNotFoundError, UnsupportedModelError, ModelError: It is not.
    """
    if path.is_dir():
        raise ModelNotFoundError(f"{path} is a folder, not a LoRA", "give the .safetensors file in it")
    if not path.is_file():
        raise ModelNotFoundError(f"no LoRA at {path}", "check the spelling; FILE or FILE:SCALE")
    if path.suffix.lower() in PICKLES:
        check_pickled(path)  # it may be anything with that ending
    if path.suffix.lower() != ".safetensors":
        raise UnsupportedModelError(
            f"{path} is not a .safetensors file; pickles can run code and are never loaded",
            "use the .safetensors file of this LoRA",
        )
    with reading(path, ModelError, _AGAIN):
        _check_width(path, text_width)


def _check_width(path: Path, text_width: int | None) -> None:
    tensors, layers = open_weight_file(path).tensors, read_lora(path).layers
    crossed = {
        tensors[parts[half]].shape[1]
        for name, parts in layers.items()
        for half in ("down", "hada_w1_b")
        if half in parts and re.search(r"attn2[._](processor\.)?to_[kv]", name) and len(tensors[parts[half]].shape) > 1
    }
    if text_width is not None and crossed - {text_width}:
        raise UnsupportedModelError(
            f"{path} was made for another family: for text of width {max(crossed - {text_width})}, "
            f"the base model's is {text_width}",
            "use a LoRA of the base model's family",
        )


def read_lora(path: Path) -> LoraContents:
    """Sort the tensors of a LoRA file by layers.

    Raises:
        UnsupportedModelError: It is none, or changes weights by another rule.
        ModelError: Damaged, or half of a layer is missing.
    """
    file = open_weight_file(path)
    layers: dict[str, dict[str, str]] = {}
    embeddings: dict[str, None] = {}
    others: list[str] = []
    for name in file.tensors:
        for rule, other in _OTHER_RULES.items():
            if re.search(rule, name):
                raise UnsupportedModelError(f"{path} is {other} ({name})", "give a LoRA, LoCon, LoHa, LoKr or DoRA")
        bundled = _BUNDLED.match(name)
        found = next(((kind, end) for kind, pattern in _ENDS if (end := pattern.search(name))), None)
        if bundled:
            embeddings[bundled.group(1)] = None
        elif found and found[1].start():
            layers.setdefault(name[: found[1].start()], {})[found[0]] = name
        else:
            others.append(name)
    for layer, parts in list(layers.items()):
        if any(all(half in parts for half in whole) for whole in _WHOLE):
            continue
        if set(parts) <= {"alpha"}:
            others += layers.pop(layer).values()
            continue
        raise ModelError(f"{path} is incomplete: of {layer} it holds only {', '.join(sorted(parts))}", _AGAIN)
    if not layers:
        raise UnsupportedModelError(
            f"{path} is not a LoRA that can be read", "give a LoRA in kohya's or diffusers' layout"
        )
    return LoraContents(layers, tuple(embeddings), tuple(sorted(others)), file.metadata)
