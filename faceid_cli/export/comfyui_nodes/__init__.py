"""People of faceid in ComfyUI: a prompt that changes with the timestep, and keys and values apart.

This folder stands alone: it needs ComfyUI and the embeddings beside it, and nothing else. "FaceID prompt" encodes a
text in which people are marked as <name>, once for the keys and once for the values of each stage. "FaceID apply" lets
a model use both. Both are needed: without the second, values are the keys.
"""

from __future__ import annotations

import os
import re
from typing import Any

import comfy.conds
import comfy.patcher_extension
import folder_paths

TIMESTEPS = 1000  # of the noise schedule of Stable Diffusion 1.x and XL
_KEY = "faceid_values"
_MARK = re.compile(r"<([A-Za-z0-9_-]{1,64})>")


class FaceIDPrompt:
    """A text with people in it; for the negative prompt, too, so that both are denoised together."""

    CATEGORY = "faceid"
    FUNCTION = "encode"
    RETURN_TYPES = ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """What the node takes."""
        return {"required": {"clip": ("CLIP",), "text": ("STRING", {"multiline": True})}}

    def encode(self, clip: Any, text: str) -> tuple[list[list[Any]]]:
        """Encode the text for each stage; the ranges of stages do not overlap, and leave nothing out."""
        people = {name: _embeddings_of(name) for name in _MARK.findall(text)}
        stages = _stages_of(people)
        entries = []
        for stage in range(stages):
            keys, values = (_encoded(clip, _written(text, people, side, stage)) for side in ("k", "v"))
            for (key, _), (value, options) in zip(keys, values, strict=True):
                told = {**options, "model_conds": {_KEY: comfy.conds.CONDCrossAttn(value)}}
                if stages > 1:
                    told |= {"start_percent": _percent(stage, stages), "end_percent": _percent(stage + 1, stages)}
                entries.append([key, told])
        return (entries,)


class FaceIDApply:
    """Lets a model take the values that "FaceID prompt" gives."""

    CATEGORY = "faceid"
    FUNCTION = "apply"
    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """What the node takes."""
        return {"required": {"model": ("MODEL",)}}

    def apply(self, model: Any) -> tuple[Any]:
        """Return the model with the split; prompts of other nodes are denoised as before."""
        split = model.clone()
        split.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, _KEY, _carry)
        split.set_model_attn2_patch(_take_sides)
        return (split,)


NODE_CLASS_MAPPINGS = {"FaceIDPrompt": FaceIDPrompt, "FaceIDApply": FaceIDApply}
NODE_DISPLAY_NAME_MAPPINGS = {"FaceIDPrompt": "FaceID prompt", "FaceIDApply": "FaceID apply"}


def _percent(stage: int, stages: int) -> float:
    """Where a stage begins. ComfyUI counts timesteps from the last down; edges lie halfway between two of them.

    On a timestep itself two stages would be averaged there.
    """
    if stage in (0, stages):
        return float(stage > 0)
    last = TIMESTEPS - 1
    return (last - ((stages - stage) * TIMESTEPS / stages - 0.5)) / last


def _embeddings_of(name: str) -> dict[str, dict[int, str]]:
    """A person's embeddings by side and stage, as prompts name them."""
    stem = "fid-" + (re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "x")
    found: dict[str, dict[int, str]] = {"k": {}, "v": {}}
    for file in folder_paths.get_filename_list("embeddings"):
        path = os.path.splitext(file)[0]
        if match := re.fullmatch(rf"{re.escape(stem)}-([kv])(\d+)", os.path.basename(path)):
            found[match[1]][int(match[2])] = path
    if not found["k"] or sorted(found["k"]) != list(range(1, len(found["k"]) + 1)):
        raise ValueError(f"<{name}>: there is no {stem}-k1 (and so on) in the folder of embeddings")
    return {"k": found["k"], "v": {**found["k"], **found["v"]}}  # who has no values apart has equal ones


def _stages_of(people: dict[str, dict[str, dict[int, str]]]) -> int:
    counts = {name: len(sides["k"]) for name, sides in people.items() if len(sides["k"]) > 1}
    if len(set(counts.values())) > 1:
        raise ValueError(f"these people have different numbers of stages: {counts}")
    return next(iter(counts.values()), 1)


def _written(text: str, people: dict[str, dict[str, dict[int, str]]], side: str, stage: int) -> str:
    def word(mark: re.Match[str]) -> str:
        found = people[mark[1]][side]
        return f" embedding:{found[min(stage + 1, len(found))]} "

    return " ".join(_MARK.sub(word, text).split())


def _encoded(clip: Any, text: str) -> Any:
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def _carry(
    executor: Any,
    x: Any,
    timesteps: Any = None,
    context: Any = None,
    y: Any = None,
    control: Any = None,
    transformer_options: Any = None,
    **more: Any,
) -> Any:
    """Hand the values from the conditioning on to the attention layers."""
    values, options = more.pop(_KEY, None), transformer_options or {}
    if values is not None:
        options = {**options, _KEY: values.to(context)}
    return executor(x, timesteps, context, y, control, options, **more)


def _take_sides(hidden: Any, keys: Any, values: Any, extra: dict[str, Any]) -> tuple[Any, Any, Any]:
    own = extra.get(_KEY)
    return hidden, keys, values if own is None else own
