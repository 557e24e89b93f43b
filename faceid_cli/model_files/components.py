"""What a model folder's own words may ask for: the classes of its parts, and their sizes. Folders come from anyone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelError, UnsupportedModelError

_SCHEDULERS = frozenset({
    "DDIMParallelScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDPMScheduler", "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSDEScheduler", "DPMSolverSinglestepScheduler",
    "EDMDPMSolverMultistepScheduler", "EDMEulerScheduler", "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler", "LCMScheduler", "LMSDiscreteScheduler", "PNDMScheduler", "SASolverScheduler",
    "TCDScheduler", "UniPCMultistepScheduler",
})  # fmt: skip
_TOKENIZERS = frozenset({"CLIPTokenizer", "CLIPTokenizerFast"})
_DIFFUSERS, _TRANSFORMERS = frozenset({"diffusers"}), frozenset({"transformers"})
_SAFETY = frozenset({"stable_diffusion", "diffusers.pipelines.stable_diffusion.safety_checker"})

# Name of a part -> the modules that its class may come from, and the classes.
_KNOWN: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "unet": (_DIFFUSERS, frozenset({"UNet2DConditionModel"})),
    "vae": (_DIFFUSERS, frozenset({"AutoencoderKL"})),
    "scheduler": (_DIFFUSERS, _SCHEDULERS),
    "text_encoder": (_TRANSFORMERS, frozenset({"CLIPTextModel"})),
    "text_encoder_2": (_TRANSFORMERS, frozenset({"CLIPTextModelWithProjection"})),
    "tokenizer": (_TRANSFORMERS, _TOKENIZERS),
    "tokenizer_2": (_TRANSFORMERS, _TOKENIZERS),
    "feature_extractor": (_TRANSFORMERS, frozenset({"CLIPFeatureExtractor", "CLIPImageProcessor"})),
    "image_encoder": (_TRANSFORMERS, frozenset({"CLIPVisionModelWithProjection"})),
    "safety_checker": (_SAFETY, frozenset({"StableDiffusionSafetyChecker"})),
}

_LARGEST = 2**20
_MOST_LAYERS, _MOST_LEVELS = 100, 16
_LAYERS = frozenset({
    "layers_per_block", "num_hidden_layers", "transformer_layers_per_block", "reverse_transformer_layers_per_block",
})  # fmt: skip


def check_components(index: Path, content: Mapping[str, Any]) -> None:
    """Check that model_index.json names no other classes than a Stable Diffusion is made of.

    diffusers imports the module that stands there. Its newer versions ask whether they may; which one is installed, and
    what it takes for a module of its own, should not matter.

    Raises:
        UnsupportedModelError: It does.
    """
    for part, said in content.items():
        if part.startswith("_") or said is None or isinstance(said, bool | int | float | str):
            continue
        if said == [None, None]:
            continue
        modules, classes = _KNOWN.get(part, (frozenset(), frozenset()))
        is_known = isinstance(said, list) and len(said) == 2 and all(isinstance(each, str) for each in said)
        if not is_known or said[0] not in modules or said[1] not in classes:
            raise UnsupportedModelError(
                f"{index} wants {str(said)[:100]} for {part[:100]!r}, which is no part of a Stable Diffusion",
                "nothing of it was loaded; get the model from where it was made",
            )


def check_sizes(path: Path, config: Mapping[str, Any]) -> None:
    """Check that a configuration asks for no sizes that no Stable Diffusion has: they would fill the memory.

    Args:
        path: Where it stands, for the message.
        config: Of a network or a scheduler.

    Raises:
        ModelError: It does.
    """
    for key, value in config.items():
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) > _MOST_LEVELS and any(type(each) is int for each in values):
            raise ModelError(f"{path} is damaged: {key[:100]} has {len(values)} entries", "copy the model again")
        for number in values:
            if isinstance(number, list):
                check_sizes(path, {key: number})
            elif isinstance(number, int) and abs(number) > (_MOST_LAYERS if key in _LAYERS else _LARGEST):
                raise ModelError(f"{path} is damaged: {key[:100]} is {number}", "copy the model again")
