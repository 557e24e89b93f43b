"""The supported families of Stable Diffusion, and what is said about the others."""

from __future__ import annotations

FAMILY_NAMES = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x", "sdxl": "Stable Diffusion XL"}
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
