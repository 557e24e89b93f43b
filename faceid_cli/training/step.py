"""One optimiser step after the other: launched operator by operator, or on a GPU replayed as one captured graph.

A step consists of some thousand small kernels. Launched one by one from Python they take longer than the GPU needs to
run them. So after a few steps the whole of a step, forward, backward and optimiser, is captured in a CUDA graph, which
one call replays. What differs from step to step (draws, learning rate) is copied into the tensors it was captured with.
"""

from __future__ import annotations

import gc
import math

import torch
from torch import Tensor

from faceid_cli.attention import AttentionRecord
from faceid_cli.backbone.memory import is_out_of_memory
from faceid_cli.errors import FaceIDError
from faceid_cli.kept.foreign import reason_of
from faceid_cli.tokens import ENCODER, features_of
from faceid_cli.training.checkpoint import RunState
from faceid_cli.training.data import Batch
from faceid_cli.training.engine import Engine
from faceid_cli.training.schedule import learning_rate_at
from faceid_cli.types import OnNote

_HALF_PRECISION_SCALE = 1024.0  # keeps float16 gradients from vanishing on their way through the UNet
_LAUNCHED = 3  # steps before one is captured: libraries choose their kernels in the first, and memory settles
_WORTH = 10  # capturing takes about as long as a few steps
_PLAIN_OVER_LEAN = 4  # a pass that keeps everything for the backward pass takes up to so many times the memory

Features = dict[str, tuple[Tensor, Tensor]]
"""(P^K, P^V) by text encoder."""


class Stepper:
    """Does a run's steps.

    Args:
        engine: Computes the losses.
        state: Of the run; every step changes it.
        on_note: Called with a line worth telling the user: why steps cannot be captured.

    Attributes:
        is_thrifty: Whether passes should keep less for the backward pass than they might; None where that is not
            known yet, as before the first step on a GPU.
    """

    def __init__(self, engine: Engine, state: RunState, on_note: OnNote | None = None) -> None:
        base, config = engine.base, engine.config
        on_gpu, has_choice = base.device.type == "cuda", base.device.type == "cuda" and not base.low_vram
        self._engine, self._state, self._on_note = engine, state, on_note
        self._may_capture = has_choice and config.capture and config.steps - state.step >= _WORTH
        self._launched = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream(base.device) if on_gpu else None
        self.is_thrifty: bool | None = None if has_choice else True

    @property
    def is_captured(self) -> bool:
        """Whether steps are replayed."""
        return self._graph is not None

    def step(self, record: AttentionRecord | None) -> None:
        """Do one step, inside `split_attention` of the UNet.

        Args:
            record: Of the UNet's attention; None where no loss looks at it.

        Raises:
            FaceIDError: The loss is not a number.
        """
        config, state = self._engine.config, self._state
        batch = state.draws.draw(config.batch_size)
        _set_learning_rate(state.optimizer, learning_rate_at(state.step, config))
        if self._may_capture and self._graph is None and self._launched >= _LAUNCHED:
            self._capture(batch, record)
        total, reconstruction, attention = self._replay(batch) if self.is_captured else self._launch(batch, record)
        if not math.isfinite(total):
            raise FaceIDError(
                f"training went astray: the loss of step {state.step + 1} is not a number",
                "use a smaller --learning-rate, or --precision float32",
            )
        state.losses.append((reconstruction, attention))
        if state.step > config.steps - config.average_last:
            _add_to_sums(state, self._features if self.is_captured else _features(state))

    def close(self) -> None:
        """Let go of the graph and its memory."""
        if self._graph is not None:
            self._graph.reset()
            self._graph = None

    def _launch(self, batch: Batch, record: AttentionRecord | None) -> list[float]:
        self._launched += 1
        if self._stream is None:
            return _numbers(self._work(batch, record))
        device = self._engine.base.device
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):  # where it is captured later: that cannot be done on the main stream
            found = _numbers(self._work(batch, record))
        torch.cuda.current_stream(device).wait_stream(self._stream)
        if self.is_thrifty is None:
            needed = torch.cuda.max_memory_allocated(device) - before
            self.is_thrifty = _PLAIN_OVER_LEAN * needed > _free_bytes(device)
        return found

    def _work(self, batch: Batch, record: AttentionRecord | None) -> Tensor:
        """All of a step that runs on the device; nothing in it may wait for the device. Returns three losses."""
        engine, optimizer = self._engine, self._state.optimizer
        module = self._state.module
        losses = engine.losses(module, batch, record)
        total = losses.total(engine.config)
        scale = _HALF_PRECISION_SCALE if engine.base.dtype == torch.float16 else 1.0
        parameters = list(module.parameters())
        gradients = torch.autograd.grad(total * scale if scale != 1.0 else total, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient / scale if scale != 1.0 else gradient
        optimizer.step()
        if record is not None:
            record.clear()
        return torch.stack([total, *losses]).detach()

    def _capture(self, batch: Batch, record: AttentionRecord | None) -> None:
        """Capture a step; the run's state is not changed by it."""
        device, state = self._engine.base.device, self._state
        self._may_capture = False
        graph = torch.cuda.CUDAGraph()
        try:
            self._given = Batch(*(part.to(device) for part in batch))
            for parameter in state.module.parameters():
                parameter.grad = None
            with torch.cuda.device(device), torch.cuda.graph(graph, stream=self._stream):
                self._losses = self._work(self._given, record)
                self._features = _features(state) if self._engine.config.average_last else {}
        except FaceIDError:
            raise
        except RuntimeError as error:
            if self._on_note is not None:
                self._on_note(_reason(error))
            if record is not None:
                record.clear()
            del graph
            gc.collect()
            torch.cuda.empty_cache()
            return
        self._graph = graph

    def _replay(self, batch: Batch) -> list[float]:
        assert self._graph is not None
        for given, drawn in zip(self._given, batch, strict=True):
            given.copy_(drawn)
        self._graph.replay()
        return _numbers(self._losses)


def _numbers(tensor: Tensor) -> list[float]:
    """Read numbers from the device, which takes until its work is done."""
    found: list[float] = tensor.tolist()
    return found


def _reason(error: RuntimeError) -> str:
    why = "not enough memory" if is_out_of_memory(error) else reason_of(error)
    return f"steps are launched one operator at a time, which is slower: they could not be captured ({why})"


def _set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):  # a graph reads it there
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def _features(state: RunState) -> Features:
    with torch.no_grad():
        return features_of(state.module, ENCODER)


def _add_to_sums(state: RunState, features: Features) -> None:
    for encoder, sides in features.items():
        for side, found in zip(("keys", "values"), sides, strict=True):
            name, current = f"{encoder}.{side}", found.detach().cpu().double()
            state.sums[name] = state.sums[name] + current if name in state.sums else current


def _free_bytes(device: torch.device) -> int:
    """Memory of a GPU that nothing holds, and what this process holds unused."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
