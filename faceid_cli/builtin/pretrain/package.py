"""Turn checkpoints into the folders that the next step, or diffusers, loads.

python -m faceid_cli.builtin.pretrain.package autoencoder WORKDIR
python -m faceid_cli.builtin.pretrain.package pipeline WORKDIR OUTPUT
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.pretrain.autoencoder import Crops, build_autoencoder
from faceid_cli.builtin.pretrain.diffusion import PEOPLE_FILE, Model
from faceid_cli.builtin.pretrain.networks import build_scheduler


def package_autoencoder(work: Path) -> Path:
    """Write WORKDIR/vae: the trained autoencoder with latents of zero mean and unit variance in every channel.

    The scaling goes into the 1 x 1 convolutions next to the latents, so that plain diffusers needs to know nothing.
    """
    model = build_autoencoder()
    model.load_state_dict(load_file(work / "autoencoder" / "model.safetensors"))
    model.eval().requires_grad_(False)
    real = Crops(work).batch(256, 128, np.random.default_rng(5))
    with torch.no_grad():
        latents = torch.cat([model.encode(part).latent_dist.mode() for part in real.split(32)])
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    channels = len(mean)
    inward, outward = model.quant_conv, model.post_quant_conv
    assert inward is not None
    assert outward is not None
    inward.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    inward.bias[:channels] = (inward.bias[:channels] - mean) / deviation
    inward.bias[channels:] -= 2 * deviation.log()
    outward.bias += outward.weight[:, :, 0, 0] @ mean
    outward.weight *= deviation.view(1, -1, 1, 1)
    model.register_to_config(scaling_factor=1.0)
    model.save_pretrained(work / "vae")
    with torch.no_grad():
        made = model.decode(model.encode(real[:32]).latent_dist.mode()).sample.clamp(-1, 1)
    error = (made - real[:32]).pow(2).mean(dim=(1, 2, 3))
    print(f"reconstruction {(10 * torch.log10(4 / error)).mean():.2f} dB")
    return work / "vae"


def package_pipeline(work: Path, output: Path) -> Path:
    """Write a diffusers folder, float16, from the averaged weights; every name of the roster becomes a token."""
    model = Model(work)
    model.load_state_dict(load_file(work / "diffusion" / "average.safetensors"))
    model.eval().requires_grad_(False)
    table = model.text_encoder.get_input_embeddings().weight
    traits = torch.from_numpy(np.stack([person_from_seed(seed).vector() for seed in range(len(roster()))]))
    ids = model.tokenizer.convert_tokens_to_ids([f"{name}</w>" for name in roster()])
    table[ids] = model.people(traits)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(work / "vae"),
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        unet=model.unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(output)
    for name in ("vocab.json", "merges.txt"):  # older versions of transformers do not read tokenizer.json
        shutil.copyfile(work / "tokenizer" / name, output / "tokenizer" / name)
    config = output / "vae" / "config.json"  # says where it was loaded from: nobody else's business
    config.write_text(
        json.dumps({k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}, indent=2)
    )
    save_file({name: tensor.half() for name, tensor in model.people.state_dict().items()}, output / PEOPLE_FILE)
    return output


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("autoencoder", "pipeline"))
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.what == "autoencoder":
        print(package_autoencoder(arguments.work))
    else:
        print(package_pipeline(arguments.work, arguments.output or arguments.work / "pipeline"))


if __name__ == "__main__":
    main()
