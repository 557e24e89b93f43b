"""Where a component's weights are in a single checkpoint file: names, and how they are stored.

Model sites share files with all parts in one, under the names of the first implementations: blocks are numbered through
(`input_blocks.7.1`), and OpenCLIP's queries, keys and values are one tensor. diffusers' folders name levels and layers.
The structure is read from the names and shapes themselves, so any number of levels and widths will do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

Shapes = Mapping[str, tuple[int, ...]]

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP_1, CLIP_2 = "cond_stage_model.transformer.", "cond_stage_model.model."
CLIP_XL, OPENCLIP_XL = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_HEARD_LAYERS = 23  # of OpenCLIP H's 24; some files leave out the one that Stable Diffusion 2.x does not hear
_MOST_BLOCKS = 1000
_OPENCLIP = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
# Of the first implementation, and of diffusers before and after it renamed them: files have any of the three.
_VAE_ATTENTION = {
    "norm": "group_norm",
    **dict.fromkeys(("q", "query"), "to_q"),
    **dict.fromkeys(("k", "key"), "to_k"),
    **dict.fromkeys(("v", "value"), "to_v"),
    **dict.fromkeys(("proj_out", "proj_attn", "to_out"), "to_out.0"),
}


@dataclass(frozen=True)
class Piece:
    """Where a weight comes from.

    Attributes:
        key: Name in the file.
        third: Which third of its rows; None for all of it.
        transposed: Whether rows and columns are swapped.
        squeezed: Whether it is a 1 x 1 convolution that is meant as a matrix.
    """

    key: str
    third: int | None = None
    transposed: bool = False
    squeezed: bool = False


@dataclass
class UNetPlan:
    """A UNet's structure.

    Attributes:
        pieces: diffusers' name -> where it is.
        depths: Transformer layers of each level, 0 where a level has no attention.
        channels: Of each level.
        layers_per_block: Residual blocks of a level.
    """

    pieces: dict[str, Piece] = field(default_factory=dict)
    depths: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    layers_per_block: int = 0


def unet_plan(shapes: Shapes, prefix: str = UNET) -> UNetPlan:
    """Return the structure of the UNet in a file."""
    plan = UNetPlan()
    blocks = _blocks(shapes, prefix)
    renames = {
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "label_emb.0.0": "add_embedding.linear_1",
        "label_emb.0.2": "add_embedding.linear_2",
        "input_blocks.0.0": "conv_in",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
        "middle_block.0": "mid_block.resnets.0",
        "middle_block.1": "mid_block.attentions.0",
        "middle_block.2": "mid_block.resnets.1",
    }
    level, layer = 0, 0
    for number in range(1, count(blocks, "input_blocks")):
        block = f"input_blocks.{number}"
        if f"{prefix}{block}.0.op.weight" in shapes:
            renames[f"{block}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
            level, layer = level + 1, 0
            continue
        renames |= {f"{block}.0": f"down_blocks.{level}.resnets.{layer}"}
        if layer == 0:
            plan.channels.append(shapes[f"{prefix}{block}.0.out_layers.3.weight"][0])
            plan.depths.append(_depth(blocks, f"{block}.1"))
        if f"{block}.1" in blocks:
            renames[f"{block}.1"] = f"down_blocks.{level}.attentions.{layer}"
        layer += 1
        plan.layers_per_block = max(plan.layers_per_block, layer)
    for number in range(count(blocks, "output_blocks")):
        block, (level, layer) = f"output_blocks.{number}", divmod(number, plan.layers_per_block + 1)
        renames[f"{block}.0"] = f"up_blocks.{level}.resnets.{layer}"
        for part in ("1", "2"):
            if f"{prefix}{block}.{part}.conv.weight" in shapes:
                renames[f"{block}.{part}"] = f"up_blocks.{level}.upsamplers.0"
            elif f"{block}.{part}" in blocks:
                renames[f"{block}.{part}"] = f"up_blocks.{level}.attentions.{layer}"
    for name in _under(shapes, prefix):
        plan.pieces[_unet_name(name, renames)] = Piece(prefix + name)
    return plan


def vae_pieces(shapes: Shapes, prefix: str = VAE) -> dict[str, Piece]:
    """Return diffusers' name -> where it is, of the autoencoder in a file."""
    names = [
        name for name in _under(shapes, prefix) if name.startswith(("encoder.", "decoder.", "quant_", "post_quant_"))
    ]
    levels = count(names, "decoder.up")
    return dict(_vae_piece(name, levels, prefix, shapes) for name in names)


def clip_pieces(shapes: Shapes, prefix: str, drop_last: bool = False) -> dict[str, Piece]:
    """Return transformers' name -> where it is, of a text encoder that stands in a file under transformers' names.

    `drop_last` leaves out the layers that Stable Diffusion 2.x does not hear, see `openclip_pieces`.
    """
    pieces = {}
    for name in _under(shapes, prefix):
        layer = re.match(r"(?:text_model\.)?encoder\.layers\.(\d+)\.", name)
        unheard = drop_last and layer and int(layer[1]) >= _HEARD_LAYERS
        if not name.endswith("position_ids") and not unheard:
            pieces[f"text_model.{name.removeprefix('text_model.')}"] = Piece(prefix + name)
    return pieces


def openclip_pieces(shapes: Shapes, prefix: str, drop_last: bool, with_projection: bool) -> dict[str, Piece]:
    """Return transformers' name -> where it is, of an OpenCLIP text encoder in a file.

    Args:
        shapes: Of all tensors in the file.
        prefix: Of its names.
        drop_last: Leave out layers behind the 23rd: Stable Diffusion 2.x listens to that one, with the final norm.
        with_projection: Take the projection of the pooled text, too.
    """
    names = _under(shapes, prefix)
    layers = count(names, "transformer.resblocks")
    if drop_last:
        layers = min(layers, _HEARD_LAYERS)
    pieces = {
        "text_model.embeddings.position_embedding.weight": Piece(f"{prefix}positional_embedding"),
        "text_model.embeddings.token_embedding.weight": Piece(f"{prefix}token_embedding.weight"),
        "text_model.final_layer_norm.weight": Piece(f"{prefix}ln_final.weight"),
        "text_model.final_layer_norm.bias": Piece(f"{prefix}ln_final.bias"),
    }
    if with_projection:
        # Files that were made from diffusers' folders have it as those do.
        is_plain = f"{prefix}text_projection.weight" in shapes
        name = f"{prefix}text_projection{'.weight' if is_plain else ''}"
        pieces["text_projection.weight"] = Piece(name, transposed=not is_plain)
    for layer in range(layers):
        source, target = f"{prefix}transformer.resblocks.{layer}.", f"text_model.encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            for third, side in enumerate("qkv"):
                pieces[f"{target}self_attn.{side}_proj.{kind}"] = Piece(f"{source}attn.in_proj_{kind}", third=third)
            for old, new in _OPENCLIP.items():
                pieces[f"{target}{new}.{kind}"] = Piece(f"{source}{old}.{kind}")
    return pieces


def _under(shapes: Shapes, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in shapes if name.startswith(prefix)]


def _blocks(shapes: Shapes, prefix: str) -> dict[str, set[str]]:
    """Part of a block such as "input_blocks.4.1" -> names within it."""
    blocks: dict[str, set[str]] = {}
    for name in _under(shapes, prefix):
        found = re.match(r"((?:input|output)_blocks\.\d+\.\d+)\.(.+)", name)
        if found:
            blocks.setdefault(found.group(1), set()).add(found.group(2))
    return blocks


def count(names: Collection[str], start: str) -> int:
    """Return one more than the highest number that follows `start` and a dot in any of the names.

    Raises:
        ValueError: It is one that no network has.
    """
    numbers = [
        int(found.group(1)) for name in names if (found := re.match(rf"{re.escape(start)}\.(\d+)\.", f"{name}."))
    ]
    if max(numbers, default=0) >= _MOST_BLOCKS:
        raise ValueError(f"{start}.{max(numbers)} is a part that no network has")
    return max(numbers, default=-1) + 1


def _depth(blocks: Mapping[str, set[str]], part: str) -> int:
    return count(blocks.get(part, set()), "transformer_blocks")


def _unet_name(name: str, renames: Mapping[str, str]) -> str:
    old = next((start for start in _starts(name) if start in renames), None)
    if old is None:
        return name
    new, rest = renames[old], name[len(old) + 1 :]
    if ".resnets." in new:
        layer, _, kind = rest.rpartition(".")
        rest = f"{RESNET.get(layer, layer)}.{kind}"
    return f"{new}.{rest}"


def _starts(name: str) -> list[str]:
    """The name's beginnings at dots, longest first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _vae_piece(name: str, levels: int, prefix: str, shapes: Shapes) -> tuple[str, Piece]:
    new = re.sub(r"^encoder\.down\.(\d+)\.", r"encoder.down_blocks.\1.", name)
    new = re.sub(r"^decoder\.up\.(\d+)\.", lambda found: f"decoder.up_blocks.{levels - 1 - int(found[1])}.", new)
    new = re.sub(r"_blocks\.(\d+)\.block\.", r"_blocks.\1.resnets.", new)
    new = new.replace(".downsample.conv.", ".downsamplers.0.conv.").replace(".upsample.conv.", ".upsamplers.0.conv.")
    new = new.replace(".mid.block_1.", ".mid_block.resnets.0.").replace(".mid.block_2.", ".mid_block.resnets.1.")
    new = new.replace(".nin_shortcut.", ".conv_shortcut.").replace("coder.norm_out.", "coder.conv_norm_out.")
    attention = re.match(r"(\w+)\.(?:mid\.attn_1|mid_block\.attentions\.0)\.([\w.]+)\.(weight|bias)$", new)
    if not attention:
        return new, Piece(prefix + name)
    side, part, kind = attention.groups()
    squeezed = len(shapes[prefix + name]) > 2
    known = _VAE_ATTENTION.get(part, part)  # an unknown part stays as it is: the network then says that it has none
    return f"{side}.mid_block.attentions.0.{known}.{kind}", Piece(prefix + name, squeezed=squeezed)
