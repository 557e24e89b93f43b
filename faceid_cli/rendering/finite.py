"""What is said of pictures and texts whose numbers are not finite: which part it was, and what helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from faceid_cli.backbone import BaseModel
from faceid_cli.backbone.finite import broken_weight, check_finite, is_finite
from faceid_cli.errors import NotFiniteError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.decoding import Lost
from faceid_cli.tokens import EncodedPrompt
from faceid_cli.types import IdentityTokens

_MOST_SEEDS_TOLD = 8
_USUAL_GUIDANCE = 30.0


def check_tokens(people: Mapping[str, IdentityTokens], words: Mapping[str, IdentityTokens]) -> None:
    """Check the vectors of people and of other words.

    Raises:
        NotFiniteError: Says whose are not finite.
    """
    for name, tokens in people.items():
        check_finite(_sides(tokens), f"the identity of {name}", "import or enroll the person again")
    for word, tokens in words.items():
        check_finite(_sides(tokens), f"the embedding <{word}>", "download it again, or leave it out")


def check_text(base: BaseModel, *prompts: EncodedPrompt) -> None:
    """Check prompts that have been encoded.

    Raises:
        NotFiniteError: Says what is to blame.
    """
    parts = [part for prompt in prompts for part in (prompt.keys, prompt.values, prompt.pooled) if part is not None]
    if all(is_finite(part) for part in parts):
        return
    cause, hint = _cause(base, "text", None, None)
    raise NotFiniteError(f"the encoded prompt holds NaN or infinity: {cause}", hint)


def is_hopeless(base: BaseModel, network: Any) -> bool:
    """Whether no seed can help, because weights are to blame."""
    return broken_weight(base, network) is not None


def lost_pictures(
    base: BaseModel, lost: Sequence[tuple[int, Lost]], count: int, config: RenderConfig, network: Any
) -> NotFiniteError:
    """The error for pictures that came to nothing.

    Args:
        base: The base model.
        lost: Seed and what is known of each such picture, at least one.
        count: How many pictures there were to be.
        config: How they were rendered.
        network: The ControlNet that they followed, or None.
    """
    seeds = [str(seed) for seed, _ in lost]
    told = ", ".join(seeds[:_MOST_SEEDS_TOLD]) + (", ..." if len(seeds) > _MOST_SEEDS_TOLD else "")
    which = f"the picture of seed {told}" if count == 1 else f"{len(lost)} of {count} pictures, seed {told}"
    cause, hint = _cause(base, lost[0][1].part, config, network)
    return NotFiniteError(f"{which}: NaN or infinity in the place of pixels; {cause}", hint)


def _cause(base: BaseModel, part: str, config: RenderConfig | None, network: Any) -> tuple[str, str]:
    """What is to blame, and what helps."""
    precision = str(base.dtype).removeprefix("torch.")
    weight = broken_weight(base, network)
    if weight is not None:
        put_in = f", with {' and '.join(base.additions)} put into it" if base.additions else ""
        helps = "copy or download the model again"
        if base.additions:
            helps = f"leave out --lora and --vae, or lower the LoRA's scale; else {helps}"
        if base.dtype == torch.float16:
            helps = f"--precision float32, where it was only too large for float16; else {helps}"
        return f"{weight} is not finite ({base.source}{put_in})", helps
    name = {"unet": "UNet", "vae": "VAE", "text": "text encoder"}[part]
    if config is not None and part == "unet" and config.sampler.guidance_scale > _USUAL_GUIDANCE:
        return f"the guidance scale {config.sampler.guidance_scale:g} is too large", "use --guidance-scale 1 to 15"
    if base.dtype != torch.float32 and part != "vae":
        return f"the {name}'s numbers grow too large for {precision}", "--precision float32, or bfloat16"
    if part == "vae":
        return "the VAE's numbers grow beyond float32", "use another VAE: --vae FILE"
    return f"the {name}'s numbers grow beyond {precision}", "try another --scheduler, or another base model"


def _sides(tokens: IdentityTokens) -> dict[str, torch.Tensor]:
    sides = (("keys", tokens.keys), ("values", tokens.values))
    return {f"{side} of {name}": tensor for side, found in sides for name, tensor in found.items()}
