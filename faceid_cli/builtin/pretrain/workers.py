"""Several processes that train one model: each learns alone for a while, then all continue from their average.

Exchanging weights once a minute costs next to nothing, and a worker that is slowed down holds nobody up for longer than
one of its steps (local SGD, arXiv 1805.09767). Started by `torchrun --nproc-per-node 2 -m ...`; alone without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

EXCHANGE_SECONDS = 60.0


class Workers:
    """This process among its siblings; on a CPU each has a core of its own.

    Args:
        device: What is trained on.
    """

    def __init__(self, device: str) -> None:
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        self.exchanged = time.time()
        if self.count > 1:
            distributed.init_process_group("gloo")
            if device == "cpu":
                torch.set_num_threads(1)
                if hasattr(os, "sched_setaffinity"):  # not on macOS
                    os.sched_setaffinity(0, {self.rank % (os.cpu_count() or 1)})

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first worker does what is inside before the others do: it may write files that they read."""
        if self.count > 1 and self.rank:
            distributed.barrier()
        yield
        if self.count > 1 and not self.rank:
            distributed.barrier()

    def due(self) -> bool:
        """Whether it is time to exchange."""
        return time.time() - self.exchanged > EXCHANGE_SECONDS

    def exchange(self, tensors: Iterable[Tensor], steps: int) -> int:
        """Replace tensors by their mean over all workers, weighted by the steps each took; returns the sum of steps."""
        total = steps
        if self.count > 1:
            counter = torch.tensor([float(steps)])
            distributed.all_reduce(counter)
            total = int(counter.item())
            for tensor in tensors:
                tensor.mul_(steps / total)
                distributed.all_reduce(tensor)
        self.exchanged = time.time()
        return total

    def agree(self, answer: bool) -> bool:
        """The first worker's answer, for all."""
        if self.count == 1:
            return answer
        flag = torch.tensor([float(answer)])
        distributed.broadcast(flag, 0)
        return bool(flag.item())


def learned_tensors(modules: Iterable[nn.Module], optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Weights and optimiser moments, in one order in every worker."""
    tensors = [parameter.data for module in modules for parameter in module.parameters()]
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            tensors += [state[name] for name in ("exp_avg", "exp_avg_sq") if name in state]
    return tensors
