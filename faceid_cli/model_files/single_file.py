"""Single checkpoint files: tell the family by names and shapes, and write the configurations that they lack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept.foreign import MAX_JSON_BYTES, read_bytes, reading
from faceid_cli.model_files import layout
from faceid_cli.model_files.components import check_sizes
from faceid_cli.model_files.families import NOT_SUPPORTED, SUPPORTED, check_channels
from faceid_cli.model_files.folder import OPENCLIP_WIDTH
from faceid_cli.model_files.layout import Piece, Shapes
from faceid_cli.model_files.weight_file import open_weight_file, read_shapes

_FOREIGN = {
    "model.diffusion_model.joint_blocks.": "Stable Diffusion 3",
    "joint_blocks.": "Stable Diffusion 3",
    "model.diffusion_model.double_blocks.": "Flux",
    "double_blocks.": "Flux",
    "conditioner.embedders.0.model.": "the refiner of Stable Diffusion XL",
}
# What else is shared in such files, and where it belongs. The first that fits counts.
_CONTROL = ("a ControlNet", "give it with --control, beside a --model")
_VAE = ("a VAE", "give it with --vae, beside a --model")
_EMBEDDING = ("a textual-inversion file", "give it with --embedding, beside a --model")
_TEXT = ("a text encoder", "use the full checkpoint, with UNet and VAE")
_PARTS = {
    "model_ema.": ("only the averaged weights (EMA) of a model", "use its full or pruned checkpoint"),
    "control_model.": _CONTROL,
    "controlnet_down_blocks.": _CONTROL,
    "first_stage_model.": _VAE,
    "decoder.up.": _VAE,
    "decoder.up_blocks.": _VAE,
    "decoder.layers.": ("a tiny autoencoder (TAESD)", "it is no base model"),
    "emb_params": _EMBEDDING,
    "clip_g": _EMBEDDING,
    "clip_l": _EMBEDDING,
    "string_to_param": _EMBEDDING,
    "text_encoder.keys": ("a person that faceid exported", "give it to: faceid import FILE"),
    "ip_adapter.": ("an IP-Adapter", "it is no base model"),
    "adapter.body.": ("a T2I-Adapter", "it is no base model"),
    "motion_modules.": ("a motion module (AnimateDiff)", "it is no base model"),
    "text_model.": _TEXT,
    "encoder.layers.": _TEXT,
    "transformer.resblocks.": _TEXT,
    "cond_stage_model.": _TEXT,
    "conditioner.": _TEXT,
}
_ADAPTER = re.compile(
    r"^lora_(unet|te)|[._]lora(_linear_layer)?[._](A|B|up|down)\.|\.lora_(A|B|up|down|mid)\.|\.(hada|lokr|oft)_\w+$"
)
_COPY = "copy or download the file again"
_HEAD_WIDTH, _GROUPS = 64, 32
_PARAMETERIZATION = re.compile(r"""parameterization:\s*["']?(\w+)""")


@dataclass(frozen=True)
class SingleFile:
    """A checkpoint file that has been understood.

    Attributes:
        path: Where the file is.
        family: "sd1", "sd2" or "sdxl".
        pieces: Per component, name of a weight -> where it is in the file. Without "vae" where the file has none.
        configs: Per component the configuration that diffusers or transformers would keep beside it; also "scheduler".
    """

    path: Path
    family: str
    pieces: dict[str, dict[str, Piece]]
    configs: dict[str, dict[str, Any]]


def read_single_file(path: Path) -> SingleFile:
    """Understand a checkpoint file; its weights stay where they are.

    Raises:
        ModelNotFoundError: No such file.
        UnsupportedModelError: Another kind of file or family, or a pickle with more than weights.
        ModelError: Damaged, or parts are missing.
    """
    with reading(path, ModelError, _COPY):
        return _understood(path)


def _understood(path: Path) -> SingleFile:
    shapes, metadata = _contents(path)
    family = family_of_shapes(path, shapes)
    try:
        pieces = _pieces(family, shapes)
        missing = [piece.key for part in pieces.values() for piece in part.values() if piece.key not in shapes]
        if missing:
            raise KeyError(missing[0])
        if "vae" in pieces:
            check_vae(path, shapes, pieces["vae"])
        configs = _configs(path, family, shapes, pieces, metadata)
        for config in configs.values():
            check_sizes(path, config)
    except KeyError as error:
        raise ModelError(f"{path} is incomplete: {error.args[0]} is missing", _COPY) from error
    except (IndexError, ZeroDivisionError, StopIteration) as error:
        raise ModelError(f"{path} is incomplete, or its weights have odd shapes", _COPY) from error
    check_channels(path, configs["unet"]["in_channels"], configs["unet"]["out_channels"])
    return SingleFile(path, family, pieces, configs)


def family_of_shapes(path: Path, shapes: Shapes) -> str:
    """Return "sd1", "sd2" or "sdxl" by the names in a file.

    Raises:
        UnsupportedModelError: None of them; the message says what it is, if that is known.
    """
    if not shapes:
        raise UnsupportedModelError(f"{path} holds no weights", SUPPORTED)
    if "edm_mean" in shapes:
        raise UnsupportedModelError(f"{path} was trained for another kind of noise (EDM)", SUPPORTED)
    if any(name.startswith(layout.UNET + "input_blocks.") for name in shapes):
        for start, family in ((layout.OPENCLIP_XL, "sdxl"), (layout.CLIP_2, "sd2"), (layout.CLIP_1, "sd1")):
            if any(name.startswith(start) for name in shapes):
                if f"{layout.UNET}time_embed.cond_proj.weight" in shapes:
                    raise UnsupportedModelError(
                        f"{path} has guidance built in (LCM)", "use an ordinary model, with an LCM LoRA: --lora FILE"
                    )
                if family != "sdxl" and f"{layout.UNET}label_emb.0.0.weight" in shapes:
                    raise UnsupportedModelError(f"{path} also listens to pictures (unCLIP)", SUPPORTED)
                return "sd2" if family == "sd1" and _is_second(shapes) else family
    for start, other in _FOREIGN.items():
        if any(name.startswith(start) for name in shapes):
            raise UnsupportedModelError(f"{path} is {other}", f"{SUPPORTED}; {NOT_SUPPORTED}")
    if any(_ADAPTER.search(name) for name in shapes):
        raise UnsupportedModelError(f"{path} is a LoRA, not a base model", "give it with --lora, beside a --model")
    text_too = any(name.startswith(("cond_stage_model.", "conditioner.")) for name in shapes)
    for start, (part, hint) in _PARTS.items():
        if part == "a VAE" and text_too:  # both without a UNet
            continue
        if any(name.startswith(start) for name in shapes) and f"{layout.UNET}out.2.weight" not in shapes:
            raise UnsupportedModelError(f"{path} is {part}, not a base model", hint)
    if any(name.startswith((layout.UNET, "input_blocks.", "down_blocks.")) for name in shapes):
        raise UnsupportedModelError(f"{path} holds a UNet without its text encoder", "use the full checkpoint")
    raise UnsupportedModelError(f"{path} is not a Stable Diffusion checkpoint", SUPPORTED)


def _is_second(shapes: Shapes) -> bool:
    """Whether a UNet is that of Stable Diffusion 2.x, by the same two marks as in a folder.

    Its text encoder may stand under the names of Stable Diffusion 1.x: diffusers' script writes it so from folders of
    newer versions of transformers.
    """
    inner = [
        shape for name, shape in shapes.items() if name.startswith(layout.UNET) and name.endswith("proj_in.weight")
    ]
    crossed = [shape for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")]
    return any(len(shape) == 2 for shape in inner) or any(shape[1:] == (OPENCLIP_WIDTH,) for shape in crossed)


def check_vae(path: Path, shapes: Shapes, pieces: Mapping[str, Piece]) -> None:
    """Check that an autoencoder has both halves, and is of the kind that Stable Diffusion works with.

    Args:
        path: Where it is, for the message.
        shapes: Of all tensors in the file.
        pieces: Of the autoencoder, by diffusers' names.

    Raises:
        UnsupportedModelError: It has not, or is not.
    """
    hint = "give an autoencoder for Stable Diffusion: --vae FILE"
    if any(re.match(r"((en|de)coder\.layers\.)?\d+\.(conv\.\d+\.)?weight$", name) for name in shapes):
        raise UnsupportedModelError(f"{path} is a tiny autoencoder (TAESD), which only makes previews", hint)
    if not pieces:
        raise UnsupportedModelError(f"{path} holds no VAE", "give an autoencoder for Stable Diffusion")
    for half, other in (("encoder", "a decoder"), ("decoder", "an encoder")):
        if not any(name.startswith(f"{half}.") for name in pieces):
            raise UnsupportedModelError(f"the VAE in {path} is {other} alone, without its {half}", hint)
    if any("quantize.embedding" in name for name in shapes):
        raise UnsupportedModelError(f"{path} is an autoencoder of another kind (VQ)", hint)


def vae_config(shapes: Shapes, pieces: Mapping[str, Piece], is_xl: bool) -> dict[str, Any]:
    """Return the configuration of an autoencoder with these weights."""
    levels = layout.count(list(pieces), "encoder.down_blocks")
    if not levels:
        raise KeyError("encoder.down_blocks.0")
    channels = [shapes[pieces[f"encoder.down_blocks.{level}.resnets.0.conv1.weight"].key][0] for level in range(levels)]
    return {
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": layout.count(list(pieces), "encoder.down_blocks.0.resnets"),
        "latent_channels": shapes[pieces["decoder.conv_in.weight"].key][1],
        "norm_num_groups": _GROUPS,
        "sample_size": 1024 if is_xl else 512,
        "scaling_factor": 0.13025 if is_xl else 0.18215,
        "force_upcast": is_xl,
    }


def _contents(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    if not path.is_file():
        raise ModelNotFoundError(f"no base model at {path}", "check the spelling")
    if path.suffix.lower() == ".safetensors":
        file = open_weight_file(path)
        return {name: entry.shape for name, entry in file.tensors.items()}, file.metadata
    if path.suffix.lower() == ".ckpt":
        return read_shapes(path), {}
    raise UnsupportedModelError(f"{path} is neither a .safetensors nor a .ckpt file", SUPPORTED)


def _pieces(family: str, shapes: Shapes) -> dict[str, dict[str, Piece]]:
    pieces = {"unet": layout.unet_plan(shapes).pieces}
    if family == "sd1":
        pieces["text_encoder"] = layout.clip_pieces(shapes, layout.CLIP_1)
    elif family == "sd2" and any(name.startswith(layout.CLIP_1) for name in shapes):
        pieces["text_encoder"] = layout.clip_pieces(shapes, layout.CLIP_1, drop_last=True)
    elif family == "sd2":
        pieces["text_encoder"] = layout.openclip_pieces(shapes, layout.CLIP_2, drop_last=True, with_projection=False)
    else:
        pieces["text_encoder"] = layout.clip_pieces(shapes, layout.CLIP_XL)
        pieces["text_encoder_2"] = layout.openclip_pieces(
            shapes, layout.OPENCLIP_XL, drop_last=False, with_projection=True
        )
    vae = layout.vae_pieces(shapes)
    return {**pieces, "vae": vae} if vae else pieces


def _configs(
    path: Path, family: str, shapes: Shapes, pieces: Mapping[str, dict[str, Piece]], metadata: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    prediction = _prediction_type(path, family, shapes, metadata)
    configs = {
        "unet": _unet_config(family, shapes, prediction),
        "scheduler": _scheduler_config(path, prediction, shapes),
    }
    for component, part in pieces.items():
        if component.startswith("text_encoder"):
            configs[component] = _text_config(shapes, part, openclip=component.endswith("_2") or family == "sd2")
    if "vae" in pieces:
        configs["vae"] = vae_config(shapes, pieces["vae"], family == "sdxl")
    return configs


def _unet_config(family: str, shapes: Shapes, prediction: str) -> dict[str, Any]:
    plan = layout.unet_plan(shapes)
    crossed = [depth > 0 for depth in plan.depths]
    context = next(shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight"))
    size = {"sd1": 64, "sd2": 96 if prediction == "v_prediction" else 64, "sdxl": 128}[family]
    config: dict[str, Any] = {
        "sample_size": size,
        "in_channels": shapes[f"{layout.UNET}input_blocks.0.0.weight"][1],
        "out_channels": shapes[f"{layout.UNET}out.2.weight"][0],
        "block_out_channels": plan.channels,
        "layers_per_block": plan.layers_per_block,
        "down_block_types": ["CrossAttnDownBlock2D" if is_crossed else "DownBlock2D" for is_crossed in crossed],
        "up_block_types": ["CrossAttnUpBlock2D" if is_crossed else "UpBlock2D" for is_crossed in reversed(crossed)],
        "cross_attention_dim": context,
        "norm_num_groups": _GROUPS,
        # The first family has eight heads at every level, the others heads of one width.
        "attention_head_dim": 8 if family == "sd1" else [max(each // _HEAD_WIDTH, 1) for each in plan.channels],
        "use_linear_projection": any(
            len(shape) == 2
            for name, shape in shapes.items()
            if name.startswith(layout.UNET) and name.endswith("proj_in.weight")
        ),
    }
    if family == "sdxl":
        added = shapes[f"{layout.UNET}label_emb.0.0.weight"][1]
        pooled = _outputs(shapes, layout.openclip_pieces(shapes, layout.OPENCLIP_XL, False, True))
        config |= {
            "transformer_layers_per_block": [max(depth, 1) for depth in plan.depths],
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (added - pooled) // 6,
            "projection_class_embeddings_input_dim": added,
        }
    return config


def _text_config(shapes: Shapes, pieces: Mapping[str, Piece], openclip: bool) -> dict[str, Any]:
    vocabulary, width = shapes[pieces["text_model.embeddings.token_embedding.weight"].key]
    projection = pieces.get("text_projection.weight")
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shapes[pieces["text_model.encoder.layers.0.mlp.fc1.weight"].key][0],
        "num_hidden_layers": layout.count(list(pieces), "text_model.encoder.layers"),
        "num_attention_heads": max(width // _HEAD_WIDTH, 1),
        "max_position_embeddings": shapes[pieces["text_model.embeddings.position_embedding.weight"].key][0],
        "hidden_act": "gelu" if openclip else "quick_gelu",
        "projection_dim": _outputs(shapes, pieces) if projection else width,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": 0 if openclip else vocabulary - 1,
    }


def _outputs(shapes: Shapes, pieces: Mapping[str, Piece]) -> int:
    """Width of the pooled text."""
    projection = pieces["text_projection.weight"]
    return shapes[projection.key][1 if projection.transposed else 0]


def _scheduler_config(path: Path, prediction: str, shapes: Shapes) -> dict[str, Any]:
    zero_snr = "ztsnr" in shapes
    # Models for few steps begin at the very last timestep; only their names tell.
    from_the_end = zero_snr or any(word in path.stem.lower() for word in ("turbo", "lightning"))
    return {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction,
        "rescale_betas_zero_snr": zero_snr,
        "timestep_spacing": "trailing" if from_the_end else "leading",
        "steps_offset": 1,
        "clip_sample": False,
        "set_alpha_to_one": False,
    }


def _prediction_type(path: Path, family: str, shapes: Shapes, metadata: Mapping[str, str]) -> str:
    """What the denoiser predicts. Weights do not show it, so what the makers left beside them is looked at.

    In order: a marker among the weights, the file's metadata, a `.yaml` of the same name (as other programs want it),
    and the family's habit: Stable Diffusion 2.x predicts velocity unless the file's name has "base", "512" or "turbo".
    """
    if "v_pred" in shapes:
        return "v_prediction"
    stated = metadata.get("modelspec.prediction_type", "").lower()
    if not stated and metadata.get("modelspec.architecture", "").endswith("768-v"):
        stated = "v"
    beside = path.with_suffix(".yaml")
    if not stated and beside.is_file():
        with reading(beside, ModelError, _COPY):
            found = _PARAMETERIZATION.search(read_bytes(beside, MAX_JSON_BYTES).decode("utf-8", "replace"))
        stated = found.group(1).lower() if found else "epsilon"
    if stated:
        return "v_prediction" if stated.startswith("v") else "epsilon"
    is_small = any(word in path.stem.lower() for word in ("base", "512", "turbo"))
    return "v_prediction" if family == "sd2" and not is_small else "epsilon"
