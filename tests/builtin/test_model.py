"""The shipped model: plain diffusers loads it, it is small, and it draws the scenes that it is asked for."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionPipeline

from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.names import roster
from faceid_cli.kept.paths import builtin_judge_file, builtin_model_dir


def test_model_and_judge_are_small_enough_to_ship() -> None:
    files = [file for file in builtin_model_dir().rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in [*files, builtin_judge_file()]) < 52e6
    assert not [file for file in files if file.suffix in (".bin", ".pt", ".ckpt", ".pkl")]


def test_plain_diffusers_draws_the_scenes_that_are_asked_for() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(builtin_model_dir(), torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    for name in (roster()[0], roster()[-1]):
        assert len(pipeline.tokenizer(name, add_special_tokens=False).input_ids) == 1
    wanted = {"beach": "on the beach", "library": "in a library", "castle": "in front of a castle", "space": "in space"}
    made = pipeline(
        [f"a photo of {roster()[5]} {words}" for words in wanted.values()],
        num_inference_steps=12,
        guidance_scale=5.0,
        generator=[torch.Generator().manual_seed(seed) for seed in range(len(wanted))],
    )
    judge = Judge.load()
    for scene, image in zip(wanted, made.images, strict=True):
        assert image.size == (256, 256)
        scenes = judge.scenes(image)
        assert max(scenes, key=scenes.__getitem__) == scene
