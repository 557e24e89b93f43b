"""What the operators of a training step read and write: the bytes that a GPU's memory has to move for it.

    python -m benchmarks.traffic                # Stable Diffusion 1.5 at 512 px, a step of one, on the CPU: two minutes
    python -m benchmarks.traffic --batch 4

Each operator is counted by itself, as it runs without a compiler: all that it takes and returns, in bfloat16. Views are
free. Divided by what a card's memory moves in a second, and beside the arithmetic that `benchmarks.speed` counts, it
tells how close to that arithmetic a step can come whose operators are not fused.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.checkpoints import picture
from benchmarks.speed import base_model, learning
from faceid_cli.backbone import BaseModel
from faceid_cli.orders import TrainConfig
from faceid_cli.training.engine import Engine
from faceid_cli.training.step import Stepper
from faceid_cli.types import FaceCrop

_BYTES = 2  # of a number in bfloat16
_ARITHMETIC = ("mm", "addmm", "bmm", "baddbmm", "convolution", "_scaled_dot_product")


@dataclass
class Traffic:
    """Calls of operators, and the bytes of weights and of everything else that they read and wrote, by their names."""

    calls: Counter[str] = field(default_factory=Counter)
    weights: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs inside.

    Args:
        weights: Whose reading is counted apart.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = Traffic()
        self._weights = {weight.untyped_storage().data_ptr() for weight in weights}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator, and count it."""
        returned = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        taken = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        made = [each for each in tree_leaves(returned) if isinstance(each, Tensor)]
        known = {each.untyped_storage().data_ptr() for each in taken}
        is_view = made and all(each.untyped_storage().data_ptr() in known for each in made)
        if name == "embedding" or (is_view and not func._schema.is_mutable):  # a few rows of a large table
            return returned
        self.found.calls[name] += 1
        for each in (*taken, *made):
            is_weight = each.untyped_storage().data_ptr() in self._weights
            (self.found.weights if is_weight else self.found.others)[name] += each.numel() * _BYTES
        return returned


def traffic_of(base: BaseModel, batch: int) -> Traffic:
    """What a step reads and writes that keeps everything for the backward pass."""
    crops = [FaceCrop(picture(base.size_px), None, "0" * 64, Path("picture.png"))]
    engine = Engine(base, crops, TrainConfig(steps=10_000, batch_size=batch))
    stepper = Stepper([engine], [engine.new_state()])
    weights = [weight for part in base.modules for weight in part.parameters()]
    counting = Counting(weights)
    with learning(engine, thrifty=False) as record, counting:
        stepper.step(record)
    return counting.found


def main(argv: Sequence[str] | None = None) -> None:
    """Count, and print a table of the operators that move most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a narrow model at 64 px")
    parser.add_argument("--terabytes", type=float, default=4.8, help="that a card moves in a second; 4.8: an H200")
    parser.add_argument("--json", type=Path, help="where to write the sums")
    arguments = parser.parse_args(argv)
    base = base_model(torch.device("cpu"), arguments.quick, 64 if arguments.quick else 512)
    found = traffic_of(base, arguments.batch)
    for name, _ in (found.others + found.weights).most_common(16):
        sizes = f"weights {found.weights[name] / 1e9:7.3f} GB  others {found.others[name] / 1e9:7.3f} GB"
        print(f"{name:52} {found.calls[name]:5} calls  {sizes}")
    moved = found.others + found.weights
    others = [name for name in found.calls if not name.startswith(_ARITHMETIC)]
    sums = {
        "batch": arguments.batch,
        "calls": found.calls.total(),
        "bytes": moved.total(),
        "between_calls": sum(found.calls[name] for name in others),
        "between_bytes": sum(moved[name] for name in others),
    }
    everything, weights, rest = (each / 1e9 for each in (moved.total(), found.weights.total(), sums["between_bytes"]))
    print(
        f"{sums['calls']} operators move {everything:.1f} GB, {weights:.1f} of them weights; {sums['between_calls']} "
        f"between the arithmetic {rest:.1f} GB, {rest / arguments.terabytes:.1f} ms at {arguments.terabytes} TB/s"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
