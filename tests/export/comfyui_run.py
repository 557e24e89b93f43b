"""Run by tests/export/test_comfyui.py in a process of its own: real ComfyUI code beside ours, on a small random model.

    python comfyui_run.py COMFYUI FOLDER EXPORT IDENTITY...

Prints the largest differences between latents as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

COMFYUI, FOLDER, EXPORT, *IDENTITIES = sys.argv[1:]
sys.argv = sys.argv[:1]
sys.path.insert(0, COMFYUI)

import comfy.cli_args

comfy.cli_args.args.cpu = True
comfy.cli_args.args.fp32_unet = comfy.cli_args.args.fp32_text_enc = True

import comfy.sample
import comfy.samplers
import comfy.sd
import folder_paths
import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.tokens import encode_prompt, tokens_from_arrays


def loaded(path: Path, name: str) -> Any:
    """A module from a file: ComfyUI has packages of the same names as ours."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


FAMILIES = loaded(Path(__file__).parents[1] / "backbone" / "conftest.py", "families_of_tests")
STEPS, SEED = 6, 7
PROMPT = "a photo of <alice>, holding a cup"


def small_model() -> BaseModel:
    """Stable Diffusion 1.x as ComfyUI knows it (first width, text width), and no deeper than it must be."""
    torch.manual_seed(3)
    config = {**FAMILIES.text_config(False, 12, 768).to_dict(), "num_attention_heads": 12, "intermediate_size": 3072}
    text = CLIPTextModel(CLIPTextConfig(**config)).eval()
    unet = UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(320, 320),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=768,
        attention_head_dim=8,
    ).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_" in name:  # as drawn, the text would hardly matter
                weight.mul_(4.0)
    scheduler = SimpleNamespace(config=SimpleNamespace(num_train_timesteps=1000))
    parts = SimpleNamespace(
        unet=unet, text_encoder=text, tokenizer=FAMILIES.clip_tokenizer("<|endoftext|>"), scheduler=scheduler, config={}
    )
    return BaseModel("", "sd1", "", parts, torch.device("cpu"), torch.float32)


def checkpoint(base: BaseModel, path: Path) -> Path:
    """The model as one file, under the names of the first implementation."""
    tensors = {one_file_name(name): value for name, value in base.unet.state_dict().items()}
    for name, value in base.text_encoder.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, path)
    return path


def one_file_name(name: str) -> str:
    """Of a UNet of two levels with one layer each: blocks are counted through, with fewer to a level."""
    plain = FAMILIES.first_unet_name(name, 3)
    down = {"input_blocks.1": "input_blocks.1", "input_blocks.3": "input_blocks.2", "input_blocks.4": "input_blocks.3"}
    up = {f"output_blocks.{old}": f"output_blocks.{new}" for old, new in ((0, 0), (1, 1), (3, 2), (4, 3))}
    if name.startswith("up_blocks.0.upsamplers"):
        return name.replace("up_blocks.0.upsamplers.0.conv", "model.diffusion_model.output_blocks.1.2.conv")
    for old, new in {**down, **up}.items():
        if plain.startswith(f"model.diffusion_model.{old}."):
            return plain.replace(f"{old}.", f"{new}.", 1)
    return plain


def theirs(model, positive, negative, guidance: float) -> torch.Tensor:
    noise = comfy.sample.prepare_noise(torch.zeros(1, 4, 8, 8), SEED)
    return comfy.sample.sample(
        model, noise, STEPS, guidance, "euler", "normal", positive, negative, torch.zeros(1, 4, 8, 8), seed=SEED
    )


def ours(base: BaseModel, people, model, guidance: float, prompt: str = PROMPT) -> torch.Tensor:
    """The same sampler, written out, on our own way of encoding and splitting."""
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", STEPS)
    own = np.log(np.array(sampling.sigmas))
    with torch.no_grad():
        encoded = encode_prompt(base, prompt, people)
        negative = encode_prompt(base, "", {}).with_stages(encoded.stages)
        contexts = torch.cat([negative.context(), encoded.context()])
        x = comfy.sample.prepare_noise(torch.zeros(1, 4, 8, 8), SEED) * torch.sqrt(1 + sigmas[0] ** 2)
        with split_attention(base.unet, encoded.stages, encoded.keys.shape[1]):
            for sigma, following in pairwise(sigmas):
                time = int(np.abs(own - np.log(float(sigma))).argmin())  # ComfyUI tells a model whole timesteps
                scaled = torch.cat([x, x]) / torch.sqrt(sigma**2 + 1)
                blank, asked = base.unet(scaled, time, encoder_hidden_states=contexts).sample.chunk(2)
                noise = blank + guidance * (asked - blank)
                x = x + noise * (following - sigma)
    return x / 0.18215


def largest(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


def main() -> None:
    base = small_model()
    file = checkpoint(base, Path(FOLDER) / "small.safetensors")
    embeddings = str(Path(EXPORT) / "models" / "embeddings")
    folder_paths.add_model_folder_path("embeddings", embeddings)
    model, clip, *_ = comfy.sd.load_checkpoint_guess_config(
        str(file), output_vae=False, output_clip=True, embedding_directory=[embeddings]
    )
    nodes = loaded(Path(EXPORT) / "custom_nodes" / "faceid_people" / "__init__.py", "faceid_people")
    people = {}
    for path in IDENTITIES:
        stored = load_identity(Path(path))
        people[stored.metadata.name] = tokens_from_arrays(stored.keys, stored.values)
    prompt = nodes.NODE_CLASS_MAPPINGS["FaceIDPrompt"]()
    (split,) = nodes.NODE_CLASS_MAPPINGS["FaceIDApply"]().apply(model)
    (positive,), (negative,) = prompt.encode(clip, PROMPT), prompt.encode(clip, "")
    plain = clip.encode_from_tokens_scheduled(clip.tokenize("a cup"))
    found = {}
    for guidance in (1.0, 5.0):
        wanted = ours(base, people, model, guidance)
        found[f"guidance {guidance:g}"] = largest(theirs(split, positive, negative, guidance), wanted)
        found[f"spread {guidance:g}"] = float(wanted.std())
    stock = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    found["negative of a stock node"] = largest(theirs(split, positive, stock, 5.0), wanted)
    found["without apply"] = largest(theirs(model, positive, negative, 5.0), wanted)
    found["nobody in the prompt"] = largest(theirs(split, plain, stock, 5.0), theirs(model, plain, stock, 5.0))
    (both,) = prompt.encode(clip, "<alice> and <bob>")
    found["two people"] = largest(
        theirs(split, both, negative, 5.0), ours(base, people, model, 5.0, "<alice> and <bob>")
    )
    import node_helpers

    left = node_helpers.conditioning_set_values(positive, {"area": (8, 4, 0, 0), "strength": 1.0})
    right = node_helpers.conditioning_set_values(
        prompt.encode(clip, "<bob>")[0], {"area": (8, 4, 0, 4), "strength": 1.0}
    )
    regions = theirs(split, left + right, negative, 5.0)
    found["regions are finite"] = bool(torch.isfinite(regions).all())
    found["regions differ from one prompt"] = largest(regions, wanted)
    print(json.dumps(found))


main()
