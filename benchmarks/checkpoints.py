"""Time and memory of the real families at their true sizes, with random weights, beside diffusers' own way.

    python benchmarks/checkpoints.py --family sd1 --device cpu
    python benchmarks/checkpoints.py --family sdxl --device cuda

Each part runs in a process of its own, so that its peak of memory is its own: a training step of faceid, one with
`--low-vram`, a step in the manner of diffusers' textual_inversion.py (the picture through the VAE each step, the whole
embedding table in the optimiser), a picture by faceid, and one by the stock pipeline. Weights are random: time and
memory do not depend on what they are.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

PARTS = ("faceid-train", "faceid-train-low-vram", "stock-train", "faceid-render", "stock-render")
PROMPT = "a photo of person, eiffel tower"
SIZES = {"sd1": 512, "sd2": 768, "sdxl": 1024}


def build(family: str, folder: Path, dtype: torch.dtype) -> None:
    """Write a pipeline of true size and random weights."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
    from diffusers import UNet2DConditionModel as UNet
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=SIZES[family],
        scaling_factor=0.13025 if family == "sdxl" else 0.18215,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction" if family == "sd2" else "epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    unet = UNet(**unet_config(family))
    first = CLIPTextModel(text_config(1024, 23, 16) if family == "sd2" else text_config(768, 12, 12))
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "text_encoder": first, "scheduler": scheduler}
    if family == "sdxl":
        second = CLIPTextModelWithProjection(text_config(1280, 32, 20))
        pipeline = StableDiffusionXLPipeline(
            **parts, text_encoder_2=second, tokenizer=tokenizer(), tokenizer_2=tokenizer(), add_watermarker=False
        )
    else:
        nothing = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipeline = StableDiffusionPipeline(**parts, tokenizer=tokenizer(), **nothing)
    pipeline.save_pretrained(folder)


def unet_config(family: str) -> dict[str, Any]:
    """The UNet of Stable Diffusion 1.5, 2.1 or XL."""
    config: dict[str, Any] = {"sample_size": SIZES[family] // 8, "block_out_channels": (320, 640, 1280, 1280)}
    if family == "sd1":
        return {**config, "cross_attention_dim": 768, "attention_head_dim": 8}
    if family == "sd2":
        heads = [5, 10, 20, 20]
        return {**config, "cross_attention_dim": 1024, "attention_head_dim": heads, "use_linear_projection": True}
    return {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }


def text_config(width: int, layers: int, heads: int) -> Any:
    """A CLIP text encoder."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=77,
        projection_dim=width,
        eos_token_id=49407,
        bos_token_id=49406,
    )


def tokenizer() -> Any:
    """CLIP's tokenizer."""
    from transformers import CLIPTokenizer

    from faceid_cli.model_files.vocabulary import write_vocabulary

    with TemporaryDirectory() as folder:
        write_vocabulary(Path(folder))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def faceid_train(base: Any, steps: int, size: int) -> list[float]:
    """Seconds of each step of an enrolment with the method's own settings, batch 1."""
    from faceid_cli.config import TrainConfig
    from faceid_cli.training import train_identity
    from faceid_cli.types import FaceCrop

    crop = FaceCrop(picture(size), None, "0" * 64, Path("picture.png"))
    ends: list[float] = []
    config = TrainConfig(steps=steps + 1, batch_size=1)
    train_identity(base, [crop], config, on_step=lambda report: ends.append(time.perf_counter()))
    return list(np.diff(ends))


def stock_train(base: Any, steps: int, size: int) -> list[float]:
    """Seconds of each step of textual inversion as diffusers' example does it, batch 1."""
    pipeline, device = base.pipeline, base.device
    tables = []
    for encoder in base.encoders:
        table = encoder.module.get_input_embeddings()
        table.weight.requires_grad_(True)
        tables.append(table.weight)
    optimizer = torch.optim.AdamW(tables, lr=5e-4)
    pixels = torch.from_numpy(np.asarray(picture(size), dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    pixels = pixels.to(device, base.dtype)
    kept = [table.detach().clone() for table in tables]
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        with torch.no_grad():
            latents = pipeline.vae.encode(pixels).latent_dist.sample() * pipeline.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (1,), device=device)
        noisy = pipeline.scheduler.add_noise(latents, noise, timesteps)
        target = (
            noise if base.prediction_type == "epsilon" else pipeline.scheduler.get_velocity(latents, noise, timesteps)
        )
        hidden, added = stock_text(base, size)
        prediction = base.unet(noisy, timesteps, hidden, **added).sample
        torch.nn.functional.mse_loss(prediction.float(), target.float()).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():  # all rows but the placeholder's are put back
            for table, before in zip(tables, kept, strict=True):
                table[:-1] = before[:-1]
        synchronise(device)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def stock_text(base: Any, size: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """The prompt as the UNet wants it, with gradients to the embedding tables."""
    hidden, pooled = [], None
    for encoder in base.encoders:
        ids = encoder.tokenizer(PROMPT, padding="max_length", max_length=encoder.window, return_tensors="pt").input_ids
        if base.family != "sdxl":
            return encoder.module(ids.to(base.device))[0], {}
        output = encoder.module(ids.to(base.device), output_hidden_states=True)
        hidden.append(output.hidden_states[-2])
        pooled = output[0]
    added = {"text_embeds": pooled, "time_ids": base.time_ids(size, size)}
    return torch.cat(hidden, dim=-1), {"added_cond_kwargs": added}


def faceid_render(base: Any, steps: int, size: int) -> list[float]:
    """Seconds of each of two pictures of a person with five stages and separate keys and values."""
    from faceid_cli.config import RenderConfig
    from faceid_cli.rendering.generate import render
    from faceid_cli.tokens import class_embedding
    from faceid_cli.types import IdentityTokens

    sides = []
    for scale in (1.0, 1.1):
        sides.append(
            {each.name: scale * class_embedding(base, "person", each).expand(5, 1, -1).cpu() for each in base.encoders}
        )
    config = RenderConfig(steps=steps, width=size, height=size)
    return timed(base, lambda: render(base, "<al>, eiffel tower", {"al": IdentityTokens(*sides)}, [1], config))


def stock_render(base: Any, steps: int, size: int) -> list[float]:
    """Seconds of each of two pictures by the stock pipeline."""
    call = {"num_inference_steps": steps, "guidance_scale": 5.0, "width": size, "height": size}
    return timed(base, lambda: base.pipeline(PROMPT, **call))


def timed(base: Any, work: Any) -> list[float]:
    """Do the work twice; the first time warms up on a GPU, and counts on a CPU, where it takes long."""
    seconds = []
    for _ in range(2 if base.device.type == "cuda" else 1):
        started = time.perf_counter()
        work()
        synchronise(base.device)
        seconds.append(time.perf_counter() - started)
    return seconds[-1:]


def synchronise(device: torch.device) -> None:
    """Wait until the GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def picture(size: int) -> Image.Image:
    """A picture of noise."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def run_part(part: str, folder: Path, device: str, steps: int) -> dict[str, Any]:
    """Measure one part in this process."""
    from faceid_cli.backbone import load_base_model
    from faceid_cli.config import ModelOptions

    base = load_base_model(str(folder), device, options=ModelOptions(low_vram=part.endswith("low-vram")))
    if base.device.type != "cuda":
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    work = {
        "faceid-train": faceid_train,
        "faceid-train-low-vram": faceid_train,
        "stock-train": stock_train,
        "faceid-render": faceid_render,
        "stock-render": stock_render,
    }[part]
    seconds = work(base, steps, base.size_px)
    if base.device.type == "cuda":
        peak, loaded = torch.cuda.max_memory_allocated(base.device), 0
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"part": part, "seconds": median(seconds), "peak_gb": peak / 1e9, "loaded_gb": loaded / 1e9, "steps": steps}


def main() -> None:
    """Measure all parts, each in its own process, and print one JSON line for each and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=SIZES, default="sd1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=2, help="training steps, and sampler steps of a picture")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="where the model is, or is to be kept")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        print(json.dumps(run_part(arguments.parts[0], arguments.folder, arguments.device, arguments.steps)))
        return
    with TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "model"
        if not (folder / "model_index.json").is_file():
            build(arguments.family, folder, torch.float32 if arguments.device == "cpu" else torch.bfloat16)
        found = {}
        for part in arguments.parts:
            same = ["--device", arguments.device, "--steps", str(arguments.steps), "--folder", str(folder)]
            command = [sys.executable, __file__, "--in-process", "--parts", part, *same]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(json.dumps({"part": part, "error": done.stderr.strip().splitlines()[-1][:300]}), flush=True)
                continue
            found[part] = json.loads(done.stdout.strip().splitlines()[-1])
            print(json.dumps({"family": arguments.family, **found[part]}), flush=True)
    print_ratios(found)


def print_ratios(found: dict[str, dict[str, Any]]) -> None:
    """Compare with diffusers' own way."""
    for ours, theirs in (
        ("faceid-train", "stock-train"),
        ("faceid-train-low-vram", "stock-train"),
        ("faceid-render", "stock-render"),
    ):
        if ours in found and theirs in found:
            time_ratio = found[ours]["seconds"] / found[theirs]["seconds"]
            memory_ratio = found[ours]["peak_gb"] / found[theirs]["peak_gb"]
            print(f"{ours} takes {time_ratio:.2f} of the time and {memory_ratio:.2f} of the memory of {theirs}")


if __name__ == "__main__":
    main()
