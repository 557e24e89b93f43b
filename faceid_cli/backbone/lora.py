"""Merge LoRA files into a pipeline's weights: LoRA and LoCon, LoHa, LoKr, whole differences, each also as DoRA.

Nothing but the file says what is merged, so that no layer is left out unnoticed: diffusers and peft pass over what they
do not know. Shapes: a weight is (O, I) or, of a convolution, (O, I, H, W); R is a layer's rank.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceid_cli.backbone.memory import is_out_of_memory
from faceid_cli.backbone.single_file import opened
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.lora import read_lora
from faceid_cli.model_files.lora_names import names_of_layer, place_of

_AGAIN = "copy or download it again"
_OTHER = "use a LoRA of the base model's family"
_STATED = "lora_adapter_metadata"  # diffusers keeps there by which scale it was learned


def merge_lora(pipeline: Any, path: Path, scale: float) -> list[str]:
    """Add a LoRA to a pipeline's weights.

    Args:
        pipeline: Changed in place.
        path: A `.safetensors` file.
        scale: How much of the change, 1.0 for all of it. Of a DoRA, so much of the way from the old to the new weight.

    Returns:
        What the user should be told: how many parts were left out.

    Raises:
        UnsupportedModelError: Not made for this base model, or not a LoRA.
        ModelError: Damaged, or half of a layer is missing.
    """
    with reading(path, ModelError, _AGAIN, passes=is_out_of_memory):
        return _merged(pipeline, path, scale)


def _merged(pipeline: Any, path: Path, scale: float) -> list[str]:
    contents = read_lora(path)
    known = {part: _layers(pipeline, part) for part in ("unet", "text_encoder", "text_encoder_2")}
    stated = _stated(contents.metadata)
    used = 0
    with opened(path) as file, torch.no_grad():
        for name, parts in contents.layers.items():
            part, place = place_of(name)
            found = known.get(part, {}).get(place)
            if found is None:
                continue
            layer, module = found
            tensors = {kind: file.get_tensor(key).float() for kind, key in parts.items()}
            _merge(path, name, module, tensors, scale, _stated_scale(stated, part, layer, tensors))
            used += 1
    held = len(contents.layers)
    if not used:
        raise UnsupportedModelError(
            f"the LoRA {path} does not fit the base model: none of its {held} parts does",
            f"{_OTHER}, in kohya's or diffusers' layout",
        )
    notes = []
    if used < held:
        notes.append(f"LoRA {path.name}: {held - used} of its {held} parts do not fit and are left out")
    if contents.embeddings:
        names = ", ".join(contents.embeddings)
        notes.append(
            f"LoRA {path.name}: the embeddings beside it are left out: {names}; "
            "give each as a file of its own with --embedding"
        )
    if contents.others:
        more = ", ..." if len(contents.others) > 3 else ""
        names = ", ".join(contents.others[:3]) + more
        notes.append(f"LoRA {path.name}: {len(contents.others)} tensors are no part of a LoRA and left out: {names}")
    return notes


def _layers(pipeline: Any, part: str) -> dict[str, tuple[str, Any]]:
    """Any name of a layer, with underscores -> (its own name, the module)."""
    network = getattr(pipeline, part, None)
    if network is None:
        return {}
    modules = {name: module for name, module in network.named_modules() if isinstance(_weight(module), Tensor)}
    per_block = network.config.layers_per_block if part == "unet" else 0
    layers = {}
    for name, module in modules.items():
        for each in names_of_layer(name, modules, per_block):
            layers[each] = (name, module)
    return layers


def _weight(module: Any) -> Any:
    return getattr(module, "weight", None)


def _merge(path: Path, name: str, module: Any, tensors: Mapping[str, Tensor], scale: float, stated: float) -> None:
    weight = module.weight.float()
    try:
        # Where sizes alone are worked out, nothing is allocated: small factors can claim a product of any size.
        sketch = _change({kind: _sketch(kind, tensor) for kind, tensor in tensors.items()}, stated)
        if sketch is not None:
            _fitting(path, name, sketch, weight)
        change = _change(tensors, stated)
    except (RuntimeError, IndexError, ZeroDivisionError) as error:
        if is_out_of_memory(error):
            raise
        sizes = ", ".join(f"{kind} {_sizes(tensor) or 'a number'}" for kind, tensor in sorted(tensors.items()))
        raise ModelError(f"{path} is damaged: the parts of {name} do not fit each other: {sizes}", _AGAIN) from error
    if change is not None:
        change = _fitting(path, name, change, weight)
        magnitude = tensors.get("dora_scale", tensors.get("magnitude"))
        if magnitude is not None:
            is_of_outputs = "magnitude" in tensors
            change = _with_magnitude(path, name, weight, change, magnitude, is_of_outputs)
        module.weight.data = (weight + scale * change).to(module.weight.dtype)
    for kind in ("up_bias", "diff_b", "b_norm"):
        if kind in tensors:
            bias = getattr(module, "bias", None)
            if bias is None:
                raise UnsupportedModelError(f"the LoRA {path} does not fit the base model: {name} has no bias", _OTHER)
            added = _fitting(path, name, tensors[kind] * (stated if kind == "up_bias" else 1.0), bias)
            module.bias.data = (bias.float() + scale * added).to(bias.dtype)


def _change(tensors: Mapping[str, Tensor], stated: float) -> Tensor | None:
    """What a layer adds to the weight at scale 1, in any shape of as many numbers."""
    for kind in ("diff", "w_norm"):
        if kind in tensors:
            return tensors[kind]
    if "down" in tensors:
        down, up, rank = tensors["down"].flatten(1), tensors["up"].flatten(1), len(tensors["down"])
        if "mid" in tensors:
            return torch.einsum("or,rs...,si->oi...", up, tensors["mid"], down) * _scale(tensors, rank, stated)
        return up @ down * _scale(tensors, rank, stated)
    if "hada_w1_a" in tensors:
        first, second = (_product(tensors, f"hada_w{side}", f"hada_t{side}") for side in "12")
        return first * second * _scale(tensors, len(tensors["hada_w1_b"]), stated)
    if any(kind.startswith("lokr") for kind in tensors):
        first, second = _product(tensors, "lokr_w1", ""), _product(tensors, "lokr_w2", "lokr_t2")
        first = first.reshape(*first.shape, *(1,) * (second.ndim - first.ndim))
        halves = [len(tensors[kind]) for kind in ("lokr_w1_b", "lokr_w2_b") if kind in tensors]
        # Whole factors have no rank, and are never scaled.
        return torch.kron(first, second) * (_scale(tensors, halves[0], stated) if halves else 1.0)
    return None


def _sketch(kind: str, tensor: Tensor) -> Tensor:
    return tensor if kind == "alpha" else tensor.to("meta")


def _product(tensors: Mapping[str, Tensor], name: str, core: str) -> Tensor:
    """A factor as it is, or as the product of its halves, with a core between them where there is one."""
    if name in tensors:
        return tensors[name]
    left, right = tensors[f"{name}_a"], tensors[f"{name}_b"]
    if core in tensors:
        return torch.einsum("ij...,jr,ip->pr...", tensors[core], right, left)
    return left @ right


def _scale(tensors: Mapping[str, Tensor], rank: int, stated: float) -> float:
    return float(tensors["alpha"].reshape(-1)[0]) / rank if "alpha" in tensors else stated


def _fitting(path: Path, name: str, change: Tensor, weight: Tensor) -> Tensor:
    if change.numel() != weight.numel() or (change.ndim and len(change) != len(weight)):
        raise UnsupportedModelError(
            f"the LoRA {path} does not fit the base model: {name} changes a weight of {_sizes(change)}, "
            f"the model's has {_sizes(weight)}",
            _OTHER,
        )
    return change.reshape(weight.shape)


def _sizes(tensor: Tensor) -> str:
    return " x ".join(str(size) for size in tensor.shape)


def _with_magnitude(
    path: Path, name: str, weight: Tensor, change: Tensor, magnitude: Tensor, is_of_outputs: bool
) -> Tensor:
    """A DoRA's change: the direction is that of the changed weight, and the length of its rows or columns is stored.

    peft keeps a length for each output. LyCORIS keeps one for each input or each output, and the shape tells which:
    (1, I) or (O, 1).
    """
    merged, (outputs, inputs), count = weight + change, weight.shape[:2], magnitude.numel()
    by_output = is_of_outputs or magnitude.ndim == 1 or len(magnitude) == outputs or inputs != count
    if count != (outputs if by_output else inputs) or weight.ndim < 2:
        raise UnsupportedModelError(
            f"the LoRA {path} does not fit the base model: {name} has {count} magnitudes, "
            f"the model's weight is {_sizes(weight)}",
            _OTHER,
        )
    rows = merged if by_output else merged.transpose(0, 1)
    lengths = rows.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    changed = rows * (magnitude.flatten() / lengths).reshape(-1, *(1,) * (rows.ndim - 1))
    return (changed if by_output else changed.transpose(0, 1)) - weight


def _stated(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = json.loads(metadata.get(_STATED, "{}"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _stated_scale(stated: Mapping[str, Any], part: str, layer: str, tensors: Mapping[str, Tensor]) -> float:
    """The scale of a layer that has no alpha of its own: as peft's settings in the file say, else 1."""
    alpha = stated.get(f"{part}.lora_alpha")
    if not isinstance(alpha, int | float) or "down" not in tensors:
        return 1.0
    rank = len(tensors["down"])
    pattern = stated.get(f"{part}.alpha_pattern")
    for key, value in pattern.items() if isinstance(pattern, dict) else ():
        try:
            if re.match(rf"(.*\.)?({key})$", layer) or re.match(rf"(.*\.)?({key})$", f"text_model.{layer}"):
                alpha = value
                break
        except re.error:
            continue
    return float(alpha) / (math.sqrt(rank) if stated.get(f"{part}.use_rslora") else rank)
