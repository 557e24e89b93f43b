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
from torch import Tensor

from faceid_cli.builtin.names import roster
from faceid_cli.builtin.people import person_from_seed
from faceid_cli.builtin.pretrain.autoencoder import Crops, as_input, build_autoencoder
from faceid_cli.builtin.pretrain.diffusion import PEOPLE_FILE, Model
from faceid_cli.builtin.pretrain.latents import load_autoencoder
from faceid_cli.builtin.pretrain.networks import build_scheduler
from faceid_cli.builtin.pretrain.pictures import SIZE_PX
from faceid_cli.kept.paths import builtin_model_dir


def package_autoencoder(work: Path, unit_variance: bool) -> Path:
    """Write WORKDIR/vae: the averaged weights of the trained autoencoder.

    Args:
        work: Where it was trained.
        unit_variance: Scale its latents to zero mean and unit variance in every channel, for a first denoiser.
    """
    model = build_autoencoder()
    model.load_state_dict(load_file(work / "autoencoder" / "average.safetensors"))
    model.eval().requires_grad_(False)
    real = as_input(Crops(work, 1).batch(64, SIZE_PX, np.random.default_rng(5)), "cpu")
    if unit_variance:
        _scale_latents(model, real)
    model.save_pretrained(work / "vae")
    with torch.no_grad():
        made = model.decode(model.encode(real[:32]).latent_dist.mode()).sample.clamp(-1, 1)
    error = (made - real[:32]).pow(2).mean(dim=(1, 2, 3))
    print(f"reconstruction {(10 * torch.log10(4 / error)).mean():.2f} dB")
    return work / "vae"


def _scale_latents(model: AutoencoderKL, real: Tensor) -> None:
    """Put the scaling into the 1 x 1 convolutions next to the latents: plain diffusers needs to know nothing of it."""
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


def package_pipeline(autoencoder: AutoencoderKL, output: Path, learned: Path) -> Path:
    """Write a diffusers folder, float16; every name of the roster becomes a token.

    Args:
        autoencoder: Whose latents the denoiser knows.
        output: The folder to write.
        learned: Averaged weights of the denoiser and the encoders.
    """
    model = Model()
    model.load_state_dict(load_file(learned))
    model.eval().requires_grad_(False)
    table = model.text_encoder.get_input_embeddings().weight
    traits = torch.from_numpy(np.stack([person_from_seed(seed).vector() for seed in range(len(roster()))]))
    ids = model.tokenizer.convert_tokens_to_ids([f"{name}</w>" for name in roster()])
    table[ids] = model.people(traits)
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
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
        shutil.copyfile(builtin_model_dir() / "tokenizer" / name, output / "tokenizer" / name)
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
    parser.add_argument("--unit-variance", action="store_true", help="scale the latents, before a denoiser knows them")
    parser.add_argument(
        "--learned", type=Path, help="averaged weights; WORKDIR/diffusion/average.safetensors unless said"
    )
    arguments = parser.parse_args()
    work: Path = arguments.work
    if arguments.what == "autoencoder":
        print(package_autoencoder(work, arguments.unit_variance))
    else:
        learned = arguments.learned or work / "diffusion" / "average.safetensors"
        print(package_pipeline(load_autoencoder(work, "cpu"), arguments.output or work / "pipeline", learned))


if __name__ == "__main__":
    main()
