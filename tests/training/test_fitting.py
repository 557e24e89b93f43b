"""Batches that fit into memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceid_cli.errors import OutOfMemoryError
from faceid_cli.training.fitting import fitting_batch


@pytest.mark.parametrize(("room", "expected"), [(100, 8), (5, 4), (1, 1)])
def test_the_batch_is_halved_until_a_step_fits(tiny_base, quick, make_crops, room, expected):
    def small_memory(module: object, arguments: tuple[torch.Tensor, ...]) -> None:
        if len(arguments[0]) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    tiny_base.unet.register_forward_pre_hook(small_memory)
    assert fitting_batch(tiny_base, make_crops(), replace(quick, batch_size=8)) == expected


def test_when_nothing_fits_the_error_says_what_else_there_is(tiny_base, quick, make_crops):
    def no_memory(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    tiny_base.unet.register_forward_pre_hook(no_memory)
    with pytest.raises(OutOfMemoryError) as caught:
        fitting_batch(tiny_base, make_crops(), quick)
    assert caught.value.hint == "give --low-vram"
