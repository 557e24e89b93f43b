"""How quickly a person is learned and rendered, beside diffusers' own way and beside what the card could do.

    python -m benchmarks.speed --device cuda --json speed.json     # about two minutes on a large GPU
    python -m benchmarks.speed --parts together --builtin  # people who share a step of the built-in model
    python -m benchmarks.speed --quick                             # a narrow model, to see that all of it works

Stable Diffusion 1.5 at its true size, with random weights that are made on the spot: time and memory do not depend on
them. All ways are measured in one process, by one clock, on the same weights and in turns. The first steps, in which
libraries choose their kernels and graphs are captured, are told apart from the others. The floor is the arithmetic of a
step (matrix products, convolutions and attention, forward and backward) at the pace of one large matrix product.

Every result is written as soon as it is there. A way that fails is recorded with its error, and the others go on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.checkpoint_models import pipeline_of
from benchmarks.checkpoints import PROMPT, machine, picture, stock_steps
from benchmarks.timing import FIRST, Results, Timed, rounded, table, take_turns, wait_for
from benchmarks.trial import person_crops
from faceid_cli.attention import record_attention, split_attention
from faceid_cli.backbone import BaseModel, load_base_model, ready_to_learn
from faceid_cli.backbone.compiling import compile_parts
from faceid_cli.backbone.load import settle
from faceid_cli.builtin.judge import Judge
from faceid_cli.orders import RenderConfig, TrainConfig
from faceid_cli.orders.sampling import USUAL
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.schedulers import scheduler_for
from faceid_cli.tokens import class_embedding
from faceid_cli.training.engine import Engine
from faceid_cli.training.initial import settled
from faceid_cli.training.step import Stepper
from faceid_cli.types import BUILTIN, FaceCrop, IdentityTokens

PARTS = ("training", "together", "rendering")


def base_model(device: torch.device, small: bool, size: int) -> BaseModel:
    """Stable Diffusion 1.5 with random weights, as `load_base_model` leaves one."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            pipeline = pipeline_of("sd1", small)
    finally:
        torch.set_default_dtype(before)
    pipeline.to(device)
    pipeline.unet.register_to_config(sample_size=size // pipeline.vae_scale_factor)
    base = BaseModel("random", "sd1", f"sd1:{'0' * 16}", pipeline, device, dtype)
    settle(base)
    return base


def reached_flops(device: torch.device, small: bool) -> float:
    """Operations a second of a large matrix product, as training multiplies."""
    side = 256 if small else 8192 if device.type == "cuda" else 2048
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(left)
    best = float("inf")
    for _ in range(4):
        wait_for(device)
        started = time.perf_counter()
        for _ in range(10):
            torch.mm(left, right, out=product)
        wait_for(device)
        best = min(best, (time.perf_counter() - started) / 10)
    return 2 * side**3 / best


def step_flops(engine: Engine) -> int:
    """Operations of a training step: of matrix products, convolutions and attention, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    stepper = Stepper([engine], [engine.new_state()])
    counter = FlopCounterMode(display=False)
    with learning(engine, thrifty=False) as record, counter:
        stepper.step(record)
    return int(counter.get_total_flops())


@contextmanager
def learning(engine: Engine, thrifty: bool) -> Iterator[Any]:
    """What holds around the steps of an enrolment."""
    base, config = engine.base, engine.config
    with ExitStack() as stack:
        stack.enter_context(ready_to_learn(base, thrifty))
        stack.enter_context(split_attention(base.unet, config.stages, base.text_window, base.num_train_timesteps))
        yield stack.enter_context(record_attention(base.unet)) if engine.uses_reference else None


def our_steps(name: str, engine: Engine, capture: bool, thrifty: bool, notes: list[str]) -> tuple[Timed, Any]:
    """Steps of an enrolment, and its state."""
    engine.config = replace(engine.config, capture=capture)
    state = engine.new_state()
    stepper = Stepper([engine], [state], notes.append)
    around = partial(learning, engine, thrifty)
    return Timed(name, engine.base.device, around, stepper.step, stepper.close), state


def shared_steps(base: BaseModel, people: int, batch: int, notes: list[str]) -> Timed:
    """Steps of several people's enrolments together, each as `faceid enroll --together` does them."""
    known: dict[tuple[Any, ...], Any] = {}
    engines = []
    for person in range(people):
        if base.source == BUILTIN:  # with a face, or the steps are not those of its users
            crops = person_crops(Judge.load(), person, 1, base.size_px)
        else:
            crops = [FaceCrop(picture(base.size_px), None, f"{person:064}", Path("picture.png"))]
        config = settled(base, crops, TrainConfig(steps=10_000, batch_size=batch, seed=person))
        engines.append(Engine(base, crops, config, known))
    stepper = Stepper(engines, [engine.new_state() for engine in engines], notes.append)
    with learning(engines[0], thrifty=True) as record:
        stepper.step(record)  # shows how much memory there is to spare
    around = partial(learning, engines[0], stepper.is_thrifty is not False)
    name = "1 person" if people == 1 else f"{people} people"
    return Timed(name, base.device, around, stepper.step, stepper.close)


def measure_together(base: BaseModel, counts: Sequence[int], batch: int, rounds: int, results: Results) -> None:
    """A step of one person, and of several who share it, in turns; each in units of one person's."""
    notes: list[str] = []
    rows: dict[str, dict[str, Any]] = {}
    ways = {
        "1 person" if count == 1 else f"{count} people": partial(shared_steps, base, count, batch, notes)
        for count in sorted({1, *counts})
    }
    take_turns(ways, rounds, results, rows, each=2, part="together", batch=batch)
    one = rows.get("1 person", {}).get("median")
    for row in rows.values():
        if one and "median" in row:
            row["to_one"] = row["median"] / one
    results.say(notes=[*results.content.get("notes", []), *notes])


def their_steps(name: str, base: BaseModel, size: int, batch: int, checkpointing: bool) -> Timed:
    """Steps in the manner of diffusers' textual_inversion.py."""
    steps = stock_steps(base, size, batch)

    @contextmanager
    def around() -> Iterator[None]:
        if checkpointing:
            base.unet.enable_gradient_checkpointing()
        try:
            yield
        finally:
            base.unet.disable_gradient_checkpointing()

    return Timed(name, base.device, around, lambda _: next(steps))


def measure_training(base: BaseModel, batch: int, rounds: int, results: Results, reached: float) -> None:
    """All ways to train with one batch size, in turns."""
    size = base.size_px
    notes: list[str] = []
    crops = [FaceCrop(picture(size), None, "0" * 64, Path("picture.png"))]
    engines = [Engine(base, crops, TrainConfig(steps=10_000, batch_size=batch)) for _ in range(4)]
    rows: dict[str, dict[str, Any]] = {}
    states: dict[str, Any] = {}
    floor = None
    with results.guarded(part="training", way="floor", batch=batch):
        flops = step_flops(engines[0])
        floor = flops / reached
        results.row(part="training", way="floor", batch=batch, median=floor, flops=flops)

    def ours(name: str, place: int, capture: bool, thrifty: bool) -> Callable[[], Timed]:
        def make() -> Timed:
            timed, states[name] = our_steps(name, engines[place], capture, thrifty, notes)
            return timed

        return make

    ways: dict[str, Callable[[], Timed]] = {"stock": lambda: their_steps("stock", base, size, batch, False)}
    if base.device.type == "cuda":
        ways["ours, captured"] = ours("ours, captured", 0, True, False)
    ways["ours, launched"] = ours("ours, launched", 1, False, False)
    ways["stock, checkpointing"] = lambda: their_steps("stock, checkpointing", base, size, batch, True)
    if base.device.type == "cuda":
        ways["ours, captured, thrifty"] = ours("ours, captured, thrifty", 2, True, True)
    ways["ours, launched, thrifty"] = ours("ours, launched, thrifty", 3, False, True)
    take_turns(ways, rounds, results, rows, part="training", batch=batch)
    for name, row in rows.items():
        if floor is not None and "median" in row:
            row["of_floor"] = floor / row["median"]
        if name in states:
            row["losses"] = [round(loss, 5) for loss, _ in states[name].losses[:8]]
    results.say(notes=[*results.content.get("notes", []), *notes])


def measure_rendering(base: BaseModel, batch: int, steps: int, rounds: int, results: Results) -> None:
    """Pictures of a person with five stages and separate keys and values, and of the stock pipeline, in turns."""
    keys, values = (
        {each.name: scale * class_embedding(base, "person", each).expand(5, 1, -1).cpu() for each in base.encoders}
        for scale in (1.0, 1.1)
    )
    tokens = {"al": IdentityTokens(keys, values)}
    size = base.size_px
    config = RenderConfig(**USUAL | {"steps": steps}, width=size, height=size, batch_size=batch)
    base.pipeline.scheduler = scheduler_for(base, config.sampler.scheduler, steps)

    def ours(_: Any) -> None:
        render(base, "a photo of <al>, eiffel tower", tokens, range(batch), config)

    def theirs(_: Any) -> None:
        base.pipeline(
            PROMPT,
            num_images_per_prompt=batch,
            num_inference_steps=steps,
            guidance_scale=config.guidance_scale,
            width=size,
            height=size,
        )

    ways = {
        name: partial(Timed, name, base.device, torch.no_grad, work)
        for name, work in (("stock", theirs), ("ours", ours))
    }
    take_turns(ways, rounds, results, {}, first=1, each=1, part="rendering", batch=batch, sampler_steps=steps)


def measure_compiled(base: BaseModel, batch: int, rounds: int, results: Results) -> None:
    """Captured steps with the parts that `--compile` compiles; the base model stays compiled."""
    names: dict[str, Any] = {"part": "training", "way": "ours, compiled, captured", "batch": batch}
    if results.is_late:
        results.row(**names, error="no time was left")
        return
    with results.guarded(**names):
        reason = compile_parts(base.unet, base.pipeline.vae, base.device)
        if reason:
            raise RuntimeError(reason)
        base = replace(base, compiled=True)
        crops = [FaceCrop(picture(base.size_px), None, "0" * 64, Path("picture.png"))]
        notes: list[str] = []
        engine = Engine(base, crops, TrainConfig(steps=10_000, batch_size=batch))
        timed, _ = our_steps(names["way"], engine, True, False, notes)
        timed.turn(FIRST)
        row = results.row(**names, first=rounded(timed.seconds), peak_gb=round(timed.peak_gb, 3))
        timed.turn(4 * rounds)
        steady = timed.seconds[FIRST:]
        row |= {"median": median(steady), "best": min(steady), "steady": rounded(steady), "notes": notes}
        for other in results.content["rows"]:
            if other["part"] == "training" and other["batch"] == batch:
                if other["way"] == "stock" and "median" in other:
                    row["to_stock"] = row["median"] / other["median"]
                if other["way"] == "floor":
                    row["of_floor"] = other["median"] / row["median"]
        results.write()
        timed.close()


def where_time_goes(base: BaseModel, batch: int, results: Results) -> None:
    """Which kernels a launched step spends the GPU's time in, the longest first: (name, calls, milliseconds)."""
    with results.guarded(part="kernels", way="ours, launched", batch=batch):
        crops = [FaceCrop(picture(base.size_px), None, "0" * 64, Path("picture.png"))]
        engine = Engine(base, crops, TrainConfig(steps=10_000, batch_size=batch, capture=False))
        stepper = Stepper([engine], [engine.new_state()])
        activities = [torch.profiler.ProfilerActivity.CUDA]
        with learning(engine, False) as record:
            stepper.step(record)
            with torch.profiler.profile(activities=activities) as profile:
                stepper.step(record)
        kernels: dict[str, list[float]] = {}
        for event in profile.events():
            if str(event.device_type).endswith("CUDA"):
                found = kernels.setdefault(event.name[:120], [0, 0.0])
                found[0] += 1
                found[1] += event.device_time / 1000
        longest = sorted(kernels.items(), key=lambda item: -item[1][1])[:40]
        results.say(
            kernels=[[name, int(calls), round(milliseconds, 3)] for name, (calls, milliseconds) in longest],
            kernels_in_all=[int(sum(calls for calls, _ in kernels.values())), sum(ms for _, ms in kernels.values())],
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure everything that there is time for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 1])
    parser.add_argument("--size", type=int, help="pixels; 512 by default")
    parser.add_argument("--steps", type=int, default=20, help="sampler steps of a picture")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each way after its first")
    parser.add_argument("--seconds", type=float, default=110, help="nothing new is begun after so many")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--quick", action="store_true", help="a narrow model at 64 px")
    parser.add_argument("--together", default="1,2,4,8", metavar="N,...", help="people who share a step")
    parser.add_argument("--builtin", action="store_true", help="the built-in model in place of Stable Diffusion 1.5")
    parser.add_argument("--parts", default=",".join(PARTS), help="which of the measurements")
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled model out")
    arguments = parser.parse_args(argv)
    results = Results(arguments.json, arguments.seconds)
    device = torch.device(arguments.device)
    size = arguments.size or (64 if arguments.quick else 512)
    rounds, steps = (1, 2) if arguments.quick else (arguments.rounds, arguments.steps)
    results.say(machine=machine(arguments.device), size_px=size, is_quick=arguments.quick, is_builtin=arguments.builtin)
    reached = reached_flops(device, arguments.quick)
    results.say(reached_flops=reached)
    base = load_base_model("builtin", device.type) if arguments.builtin else base_model(device, arguments.quick, size)
    results.say(dtype=str(base.dtype).removeprefix("torch."), ready_after=round(results.content["seconds"], 1))
    parts = arguments.parts.split(",")
    for batch in arguments.batch if "training" in parts else ():
        with results.guarded(part="training", way="all", batch=batch):
            measure_training(base, batch, rounds, results, reached)
    if "together" in parts:
        with results.guarded(part="together", way="all", batch=arguments.batch[0]):
            counts = [int(count) for count in arguments.together.split(",")]
            measure_together(base, counts, arguments.batch[0], rounds, results)
    for batch in arguments.batch if "rendering" in parts else ():
        with results.guarded(part="rendering", way="all", batch=batch):
            measure_rendering(base, batch, steps, rounds, results)
    if device.type == "cuda" and "training" in parts:
        where_time_goes(base, arguments.batch[0], results)
    results.write()
    print(f"reached: {reached / 1e12:.1f} TFLOP/s\n{table(results.content['rows'])}", flush=True)
    if device.type == "cuda" and "training" in parts and not arguments.no_compile:
        measure_compiled(base, arguments.batch[0], rounds, results)  # takes longest, so what there is has been printed
        print(table(results.content["rows"][-1:]), flush=True)


if __name__ == "__main__":
    main()
