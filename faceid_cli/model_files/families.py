"""The supported families of Stable Diffusion, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.errors import UnsupportedModelError

FAMILY_NAMES = {
    "builtin": "built-in drawings",
    "sd1": "Stable Diffusion 1.x",
    "sd2": "Stable Diffusion 2.x",
    "sdxl": "Stable Diffusion XL",
}
SUPPORTED = (
    "supported are Stable Diffusion 1.x, 2.x and XL base models: a folder in diffusers' layout, a hub id, or one "
    ".safetensors or .ckpt file"
)
NOT_SUPPORTED = (
    "SD3, Flux and other transformers have no cross-attention of the kind that the method works on; "
    "refiners, inpainting and editing models are no base models either"
)
_WEIGHTS, _TEXT_WEIGHTS = "diffusion_pytorch_model", "model"

# Name of the weights in each component's folder. The order is that of the fingerprint.
COMPONENTS: dict[str, dict[str, str]] = {
    "sd1": {"unet": _WEIGHTS, "text_encoder": _TEXT_WEIGHTS, "vae": _WEIGHTS},
    "sd2": {"unet": _WEIGHTS, "text_encoder": _TEXT_WEIGHTS, "vae": _WEIGHTS},
    "sdxl": {"unet": _WEIGHTS, "text_encoder": _TEXT_WEIGHTS, "text_encoder_2": _TEXT_WEIGHTS, "vae": _WEIGHTS},
}
TOKENIZERS: dict[str, tuple[str, ...]] = {
    "sd1": ("tokenizer",),
    "sd2": ("tokenizer",),
    "sdxl": ("tokenizer", "tokenizer_2"),
}
# What a UNet is made for that is shown more channels than it returns.
_MADE_FOR = {
    5: "a model that follows depth maps",
    7: "an enlarger",
    8: "a model for editing by instructions (pix2pix)",
    9: "an inpainting model",
}


def check_channels(path: Path, taken: int, given: int) -> None:
    """Check that a UNet draws from noise and text alone.

    Raises:
        UnsupportedModelError: It is shown something else, too; the message says what it is made for.
    """
    if taken == given:
        return
    kind = _MADE_FOR.get(taken, "no model for pictures from text alone") if given == 4 else "another kind of model"
    hint = "use the ordinary model that it was made of"
    if taken == 9:
        hint += "; --init and --mask work with that, too"
    raise UnsupportedModelError(f"{path} is {kind}: its UNet takes {taken} channels and returns {given}", hint)


def canonical_name(component: str, name: str) -> str | None:
    """Return a weight's name as the newest libraries write it, or None for one that holds nothing learned.

    Equal weights get equal names by it, whichever version of the libraries wrote the file.
    """
    if name.endswith("position_ids"):
        return None
    if component.startswith("text_encoder"):
        return name.removeprefix("text_model.")
    if component == "vae" and ".attentions." in name:
        for old, new in (
            (".query.", ".to_q."),
            (".key.", ".to_k."),
            (".value.", ".to_v."),
            (".proj_attn.", ".to_out.0."),
        ):
            name = name.replace(old, new)
    return name
