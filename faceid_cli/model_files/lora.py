"""LoRA files: what the user calls them, and whether they can fit. No torch."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.errors import ModelNotFoundError, UnsupportedModelError, UsageError
from faceid_cli.model_files.weight_file import open_weight_file

_DOWN = ("lora_down.weight", "lora_A.weight", "lora_A.default.weight", "lora.down.weight")


def parse_lora(text: str) -> tuple[Path, float]:
    """Read "FILE" or "FILE:SCALE" as (file, scale).

    Raises:
        UsageError: A scale that is no number.
    """
    path, colon, scale = text.rpartition(":")
    if not colon or Path(text).expanduser().is_file() or "/" in scale or "\\" in scale:
        return Path(text).expanduser(), 1.0
    try:
        return Path(path).expanduser(), float(scale)
    except ValueError:
        raise UsageError(f"the scale of {text!r} is no number", "write it as FILE:0.8") from None


def check_lora(path: Path, text_width: int | None = None) -> None:
    """Check that a file is a LoRA and, if a width is given, made for a UNet that listens to text of this width.

    Raises:
        ModelNotFoundError, UnsupportedModelError, ModelError: It is not.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"no LoRA at {path}", "check the spelling; FILE or FILE:SCALE")
    if path.suffix.lower() != ".safetensors":
        raise UnsupportedModelError(
            f"{path} is not a .safetensors file; pickles can run code and are never loaded",
            "use the .safetensors file of this LoRA",
        )
    down = lora_layers(path)
    if not down:
        raise UnsupportedModelError(
            f"{path} is not a LoRA that can be read", "give a LoRA in kohya's or diffusers' layout"
        )
    crossed = {shape[1] for name, shape in down.items() if "attn2" in name and ("to_k" in name or "to_v" in name)}
    if text_width is not None and crossed - {text_width}:
        raise UnsupportedModelError(
            f"{path} was made for another family: for text of width {crossed.pop()}, the base model's is {text_width}",
            "use a LoRA of the base model's family",
        )


def lora_layers(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of the narrowing half of each layer's change, by its name in the file."""
    tensors = open_weight_file(path).tensors
    return {name: entry.shape for name, entry in tensors.items() if name.endswith(_DOWN)}
