"""What the start of a command does without: files of other model families, and needless garbage collection."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

from faceid_cli.kept.collector import collect_as_usual, collect_rarely

_NOT_NEEDED = (
    "diffusers.models.transformers.transformer_flux",
    "diffusers.models.transformers.transformer_wan",
    "diffusers.models.autoencoders.autoencoder_kl_wan",
    "scipy.stats._stats_py",
    "facexlib",
    "matplotlib",
    "open_clip",
    "dynamicprompts",
    "c2pa",
    "tensorflow",
)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_loading_a_base_model_and_rendering_brings_in_no_other_families(tiny_model_dir) -> None:
    code = f"""
import json, sys
from faceid_cli.backbone import load_base_model
from faceid_cli.rendering.generate import render
base = load_base_model({str(tiny_model_dir)!r}, "cpu")
print(json.dumps([name for name in {_NOT_NEEDED!r} if name in sys.modules]))
from diffusers.models.autoencoders import AutoencoderKL, AutoencoderKLWan
from diffusers.models.transformers import FluxTransformer2DModel
from diffusers import StableDiffusion3Pipeline
import diffusers.models.transformers
import scipy.stats
assert 0.4 < scipy.stats.beta.ppf(0.5, 2, 2) < 0.6
print(json.dumps([AutoencoderKL is type(base.pipeline.vae), hasattr(diffusers.models.transformers, "nobody")]))
"""
    brought, whole = map(json.loads, python(code).splitlines())
    assert brought == []
    assert whole == [True, False], "what is asked of the packages is there all the same"


def test_the_collector_is_as_before_once_the_base_model_is_there() -> None:
    before = gc.get_threshold()
    collect_rarely()
    collect_rarely()
    assert gc.get_threshold()[0] > before[0]
    collect_as_usual()
    assert gc.get_threshold() == before
    collect_as_usual()
    assert gc.get_threshold() == before
    gc.unfreeze()
