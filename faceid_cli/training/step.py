"""One optimiser step after the other: launched operator by operator, or on a GPU replayed as one captured graph.

A step consists of some thousand small kernels. Launched one by one from Python they take longer than the GPU needs to
run them. So after a few steps the whole of a step, forward, backward and optimiser, is captured in a CUDA graph, which
one call replays. What differs from step to step (draws, learning rate) is copied into the tensors it was captured with.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from faceid_cli.attention import AttentionRecord
from faceid_cli.backbone.memory import is_out_of_memory
from faceid_cli.errors import FaceIDError
from faceid_cli.kept.foreign import reason_of
from faceid_cli.tokens import ENCODER, features_of
from faceid_cli.training.astray import too_large
from faceid_cli.training.checkpoint import RunState
from faceid_cli.training.data import Batch
from faceid_cli.training.engine import Engine, SharedEngine
from faceid_cli.training.run import tokens_of
from faceid_cli.training.schedule import learning_rate_at
from faceid_cli.types import OnNote

_HALF_PRECISION_SCALE = 1024.0  # keeps float16 gradients from vanishing on their way through the UNet
_LAUNCHED = 3  # steps before one is captured: libraries choose their kernels in the first, and memory settles
_WORTH = 10  # capturing takes about as long as a few steps
_PLAIN_OVER_LEAN = 4  # a pass that keeps everything for the backward pass takes up to so many times the memory

Features = dict[str, tuple[Tensor, Tensor]]
"""(P^K, P^V) by text encoder."""


class Stepper:
    """Does the steps of one run, or of several people's runs together.

    Args:
        engines: Compute the losses, one for each person; of several with equal `shared_settings`.
        states: Of their runs; every step changes them.
        on_note: Called with a line worth telling the user: why steps cannot be captured.

    Attributes:
        is_thrifty: Whether passes should keep less for the backward pass than they might; None where that is not
            known yet, as before the first step on a GPU.
        astray: By their place among the states, whose loss is no longer a number, so that their run has not taken the
            step, and who ended with what cannot be used.
    """

    def __init__(self, engines: Sequence[Engine], states: Sequence[RunState], on_note: OnNote | None = None) -> None:
        base, config = engines[0].base, engines[0].config
        on_gpu, has_choice = base.device.type == "cuda", base.device.type == "cuda" and not base.low_vram
        self._engine, self._states, self._on_note = SharedEngine(engines), tuple(states), on_note
        self._configs = [each.config for each in engines]
        left = min(each.config.steps - state.step for each, state in zip(engines, states, strict=True))
        self._may_capture = has_choice and config.capture and left >= _WORTH
        self._launched = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream(base.device) if on_gpu else None
        self.is_thrifty: bool | None = None if has_choice else True
        self.astray: dict[int, FaceIDError] = {}

    @property
    def is_captured(self) -> bool:
        """Whether steps are replayed."""
        return self._graph is not None

    @property
    def engine(self) -> SharedEngine:
        """All people's engines as one."""
        return self._engine

    def step(self, record: AttentionRecord | None) -> None:
        """Do one step of every run, inside `split_attention` of the UNet.

        Too little memory leaves the runs as they were, draws included.

        Args:
            record: Of the UNet's attention; None where no loss looks at it.
        """
        before = [state.draws.state() for state in self._states]
        batch = self._engine.joined(
            [state.draws.draw(config.batch_size) for state, config in zip(self._states, self._configs, strict=True)]
        )
        for state, config in zip(self._states, self._configs, strict=True):
            _set_learning_rate(state.optimizer, learning_rate_at(state.step, config))
        self._is_untouched, problem = True, ""
        try:
            if self._may_capture and self._graph is None and self._launched >= _LAUNCHED:
                self._capture(batch, record)
            totals, *losses = self._replay(batch) if self.is_captured else self._launch(batch, record)
        except (RuntimeError, MemoryError) as error:
            if self._is_untouched:
                for state, drawn in zip(self._states, before, strict=True):
                    state.draws.restore(drawn)
            if record is not None:
                record.clear()
            if not is_out_of_memory(error):
                raise
            problem = f"out of memory: {error}"
        if (
            problem
        ):  # a new error: the first holds on to all that the step had made, and the autoencoder has to come back
            raise torch.OutOfMemoryError(problem)
        for place, (total, *each) in enumerate(zip(totals, *losses, strict=True)):
            self._finish(place, total, (each[0], each[1]))

    def _finish(self, place: int, total: float, losses: tuple[float, float]) -> None:
        """Note what a step has come to for one of the runs."""
        state, config = self._states[place], self._configs[place]
        if not math.isfinite(total):
            self.astray[place] = FaceIDError(
                f"training went astray: the loss of step {state.step + 1} is not a number",
                "use a smaller --learning-rate, or --precision float32",
            )
            return
        state.losses.append(losses)
        if state.step > config.steps - config.average_last:
            _add_to_sums(state, self._features[place] if self.is_captured else _features(state))
        if state.step == config.steps:
            problem = too_large(self._engine.base, tokens_of(state, config))
            if problem is not None:
                self.astray[place] = problem

    def close(self) -> None:
        """Let go of the graph and its memory."""
        if self._graph is not None:
            self._graph.reset()
            self._graph = None

    def _launch(self, batch: Batch, record: AttentionRecord | None) -> list[list[float]]:
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
            resting = sum(weight.nbytes for weight in self._engine.base.pipeline.vae.parameters())  # comes back later
            self.is_thrifty = _PLAIN_OVER_LEAN * needed + resting > _free_bytes(device)
        return found

    def _work(self, batch: Batch, record: AttentionRecord | None) -> Tensor:
        """All of a step that runs on the device; nothing in it may wait for the device.

        Returns:
            (3, R): for each person the total and the two losses.
        """
        engine, states = self._engine, self._states
        losses = engine.losses([state.module for state in states], batch, record)
        totals = losses.total(engine.config)
        scale = _HALF_PRECISION_SCALE if engine.base.dtype == torch.float16 else 1.0
        parameters = [each for state in states for each in state.module.parameters()]
        # A person's loss is of their own rows, so the sum's gradients are each person's own.
        total = totals.sum()
        gradients = torch.autograd.grad(total * scale if scale != 1.0 else total, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient / scale if scale != 1.0 else gradient
        self._is_untouched = False
        for state in states:
            state.optimizer.step()
        if record is not None:
            record.clear()
        return torch.stack([totals, *losses]).detach()

    def _capture(self, batch: Batch, record: AttentionRecord | None) -> None:
        """Capture a step; the runs' states are not changed by it."""
        device, states = self._engine.base.device, self._states
        self._may_capture = False
        graph = torch.cuda.CUDAGraph()
        try:
            self._given = Batch(*(part.to(device) for part in batch))
            for state in states:
                for parameter in state.module.parameters():
                    parameter.grad = None
            with torch.cuda.device(device), torch.cuda.graph(graph, stream=self._stream):
                self._losses = self._work(self._given, record)
                self._features = [
                    _features(state) if config.average_last else {}
                    for state, config in zip(states, self._configs, strict=True)
                ]
        except FaceIDError:
            raise
        except RuntimeError as error:
            self._is_untouched = True
            if self._on_note is not None:
                self._on_note(_reason(error))
            if record is not None:
                record.clear()
            del graph
            gc.collect()
            torch.cuda.empty_cache()
            return
        self._is_untouched = True
        self._graph = graph

    def _replay(self, batch: Batch) -> list[list[float]]:
        assert self._graph is not None
        for given, drawn in zip(self._given, batch, strict=True):
            given.copy_(drawn)
        self._graph.replay()
        return _numbers(self._losses)


def _numbers(tensor: Tensor) -> list[list[float]]:
    """Read numbers from the device, which takes until its work is done."""
    found: list[list[float]] = tensor.tolist()
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
