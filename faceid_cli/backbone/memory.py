"""What is in memory when: parts at work and parts at rest, thrifty training, and one error for too little of it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from faceid_cli.backbone.lean import lean_backward
from faceid_cli.backbone.model import BaseModel
from faceid_cli.errors import OutOfMemoryError

_LARGE_BYTES = 1 << 28  # of a UNet's weights: with less than that, thrift costs more than it saves
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # names of glibc's settings in its malloc.h
_TIGHT, _USUAL = (1 << 20, 1 << 20), (32 << 20, 64 << 20)  # the second: where glibc's own adjustment ends up

_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, or one that it led to, says so; every device words it in its own way."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, MemoryError) or any(words in str(link).lower() for words in _MEMORY_WORDS):
            return True
        link = link.__cause__ or link.__context__
    return False


@contextmanager
def memory_errors(hint: str) -> Iterator[None]:
    """Turn every kind of "out of memory" raised inside, on any device, into `OutOfMemoryError` with this hint."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError("not enough memory", hint) from error
    except (RuntimeError, OSError) as error:  # torch.cuda.OutOfMemoryError is one; the CPU allocator raises plain ones
        if not is_out_of_memory(error):
            raise
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemoryError("not enough memory on the device", hint) from error


@contextmanager
def at_work(base: BaseModel, *parts: str) -> Iterator[None]:
    """Have parts of the base model ("unet", "text", "vae") on its device while the context lasts.

    With little memory, parts rest on the CPU otherwise; without that setting they are on the device all the time.
    """
    moved: list[Any] = []
    try:
        for module in base.parts(*parts) if base.offloads else ():
            if module.device.type != base.device.type:
                moved.append(module)  # first: a part that does not fit is moved half
                module.to(base.device)
        yield
    finally:
        for module in moved:
            module.to("cpu")


@contextmanager
def at_rest(base: BaseModel, *parts: str) -> Iterator[None]:
    """Keep parts of the base model off its device while the context lasts."""
    moved = [module for module in base.parts(*parts) if module.device.type == base.device.type != "cpu"]
    for module in moved:
        module.to("cpu")
    try:
        yield
    finally:
        for module in moved:
            module.to(base.device)


def is_large(base: BaseModel) -> bool:
    """Whether the memory of its passes matters, and not the time to call its operators."""
    return bool(sum(weight.nbytes for weight in base.unet.parameters()) >= _LARGE_BYTES)


@contextmanager
def ready_to_learn(base: BaseModel, thrifty: bool = True) -> Iterator[None]:
    """Have at work what training steps need, and nothing else; large networks keep less for the backward pass.

    The latent pictures are encoded by now, so the autoencoder rests. With little memory whole blocks are computed again
    (gradient checkpointing); otherwise only what costs next to nothing, see `lean_backward`. Gradients stay the same.

    Args:
        base: The base model.
        thrifty: False where there is memory enough to keep everything; that is quicker on a GPU.
    """
    large = is_large(base)
    with ExitStack() as stack:
        stack.enter_context(at_rest(base, "vae"))
        stack.enter_context(at_work(base, "text", "unet"))
        chooses_itself = base.low_vram or base.compiled  # gradient checkpointing, and the compiler
        if large and thrifty and not chooses_itself:
            stack.enter_context(lean_backward(base.unet))
        if large and base.device.type == "cpu":
            stack.enter_context(_tight_heap())
        yield


@contextmanager
def _tight_heap() -> Iterator[None]:
    """Let glibc give the memory of freed tensors back at once, where this is glibc.

    It would keep that of tensors up to 32 MiB, in pieces that the next ones do not fit into: of a training step of
    Stable Diffusion 1.5 a tenth of the memory.
    """
    try:
        libc = ctypes.CDLL(None)
        adjust, give_back = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError, TypeError):
        yield
        return
    give_back(0)  # what earlier work has left, such as encoding the pictures
    for name, value in zip((_MMAP_THRESHOLD, _TRIM_THRESHOLD), _TIGHT, strict=True):
        adjust(name, value)
    try:
        yield
    finally:
        for name, value in zip((_MMAP_THRESHOLD, _TRIM_THRESHOLD), _USUAL, strict=True):
            adjust(name, value)
