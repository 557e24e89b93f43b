"""Fixtures for every test: an own FACEID_HOME, and a tiny but real Stable Diffusion pipeline."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import pytest

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel

# Whole words of the tiny tokenizer; every other word is spelt letter by letter.
_WORDS = """
a an the of and in on with photo picture portrait face person man woman holding cup mountains beach eiffel tower
basketball old smiling eyes closed beard hair white close up good bright two people at night , .
"""
TINY_WORDS = tuple(_WORDS.split())
TINY_WINDOW = 40


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own registry."""
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "faceid-home"))


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """A shell that starts the tests in the background makes them deaf to Ctrl-C, which some of them press."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny tensors are slower on several threads. Tests that do not need torch do not import it for this."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny Stable Diffusion pipeline: 64 px, 8 latent channels, v-prediction, zero terminal SNR."""
    folder = tmp_path_factory.mktemp("tiny-model")
    build_tiny_model(folder)
    return folder


@pytest.fixture
def tiny_base(tiny_model_dir: Path) -> BaseModel:
    """The tiny pipeline, loaded afresh, so that no test sees what another did to it."""
    from faceid_cli.backbone import load_base_model

    return load_base_model(str(tiny_model_dir), device="cpu", precision="float32")


@pytest.fixture
def tiny_model_builder() -> Callable[..., None]:
    """`build_tiny_model`, for tests that want a pipeline of their own."""
    return build_tiny_model


def build_tiny_model(folder: Path, prediction_type: str = "v_prediction") -> None:
    """Write a tiny pipeline of real classes with seeded random weights."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = tiny_tokenizer(folder.with_name(f"{folder.name}-tokenizer"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=TINY_WINDOW,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                initializer_factor=10.0,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=8,
            out_channels=8,
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=2,
        )
        vae = AutoencoderKL(
            block_out_channels=(4, 4, 8, 8),
            norm_num_groups=2,
            latent_channels=8,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            sample_size=64,
            scaling_factor=0.7,
        )
        with torch.no_grad():
            for name, weight in unet.named_parameters():
                if "attn2.to_" in name:  # as drawn, the text would hardly matter to the picture
                    weight.mul_(4.0)
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        rescale_betas_zero_snr=prediction_type == "v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)


def tiny_tokenizer(folder: Path) -> object:
    """Write a small CLIP vocabulary and return its tokenizer."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    tokens = letters + [f"{letter}</w>" for letter in letters]
    merges: list[str] = []
    for word in TINY_WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:  # merged from the end, so that no word's merges can spoil another's
            merge = f"{parts[-2]} {parts[-1]}"
            parts[-2:] = [parts[-2] + parts[-1]]
            if merge not in merges:
                merges.append(merge)
                tokens.append(parts[-1])
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=TINY_WINDOW)
