"""Shared by the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.orders import TrainConfig
from faceid_cli.types import FaceCrop, IdentityTokens, StepReport


@pytest.fixture
def quick() -> TrainConfig:
    """Settings of a short run with a checkpoint in the middle."""
    return TrainConfig(steps=4, batch_size=2, checkpoint_every=2, seed=3)


@pytest.fixture
def make_crops() -> Callable[..., list[FaceCrop]]:
    """Make crops of coloured blotches."""

    def make(count: int = 2, size_px: int = 64) -> list[FaceCrop]:
        pixels = np.random.default_rng(5).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        return [
            FaceCrop(Image.fromarray(each).resize((size_px, size_px)), None, f"hash {index}", Path(f"{index}.png"))
            for index, each in enumerate(pixels)
        ]

    return make


@pytest.fixture
def identity_bytes() -> Callable[[IdentityTokens, Path], bytes]:
    """Save tokens as an identity file and return its bytes."""
    from faceid_cli.tokens import arrays_from_tokens

    def save(tokens: IdentityTokens, path: Path) -> bytes:
        save_identity(path, *arrays_from_tokens(tokens), IdentityMetadata("alice", "person", "tiny", "sd1:0"))
        return path.read_bytes()

    return save


@pytest.fixture
def stop_after() -> Callable[[int], Callable[[StepReport], None]]:
    """Make a progress callback that presses Ctrl-C after a step."""

    def make(step: int) -> Callable[[StepReport], None]:
        def on_step(report: StepReport) -> None:
            if report.step == step:
                raise KeyboardInterrupt

        return on_step

    return make
