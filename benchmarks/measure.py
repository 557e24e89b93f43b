"""What the benchmarks have in common: learn one person by one method, render the prompts, and score them."""

from __future__ import annotations

import argparse
import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch

from benchmarks.baselines import Learned
from benchmarks.processes import processes_of
from benchmarks.trial import person_crops, reference_likeness
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.samples import photo_set
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.prompts import PROMPT_SET, EvaluationPrompt
from faceid_cli.evaluation.run import evaluate_tokens
from faceid_cli.evaluation.summary import by_group, picture_grid, summarise
from faceid_cli.faces.crop import FACE_SHARE, MOST_FACE_SHARE
from faceid_cli.kept import paths
from faceid_cli.orders import RenderConfig
from faceid_cli.types import FaceCrop

Item = TypeVar("Item")
Result = TypeVar("Result")

FIRST_FOR_CHOOSING = 1000
"""People from this number on are for choosing settings; results are about people below it."""


class Bench:
    """A base model, a judge and the sampler's settings, shared by all runs.

    Args:
        model: Base model: the built-in one, or a training state of it in a folder.
        prompts: How many prompts of the fixed set each person is rendered with. Neighbouring people get different ones,
            spread over the groups, so that few people see the whole set.
        render_steps: Sampler steps; None for as many as suit the base model.
        guidance_scale: Of the sampler; None for what suits the base model.
        processes: How many measure at once (`each`), with a model and a share of the threads each.
    """

    def __init__(
        self, model: str, prompts: int, render_steps: int | None, guidance_scale: float | None, processes: int = 1
    ) -> None:
        self.base: BaseModel = load_base_model(model, "cpu" if not torch.cuda.is_available() else "cuda", "float32")
        self.networks = Judge.load()
        framing = f"{FACE_SHARE} {MOST_FACE_SHARE}".encode()
        self._photo_set = _short_hash(photo_set(0, 1, 0)[0].image.tobytes() + framing)  # as photos are drawn and cut
        self.judge = DrawnJudge(self.networks)
        self.rendering = RenderConfig(steps=render_steps, guidance_scale=guidance_scale).suiting(self.base.is_builtin)
        self._likeness: dict[int, Likeness] = {}
        self._prompts = min(prompts, len(PROMPT_SET))
        self._processes: ProcessPoolExecutor | None = None
        self._at_once = processes
        if processes > 1:
            self._processes = processes_of(processes, _open_there, model, prompts, render_steps, guidance_scale)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        if self._processes is not None:
            self._processes.shutdown(cancel_futures=True)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Do work that calls `measure` for all items, and return the results in their order.

        It is done in threads, as many as there are processes, which wait for those; so it may call `each` itself.
        """
        if self._processes is None:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self._at_once) as threads:
            return list(threads.map(work, items))

    def key(self) -> dict[str, Any]:
        """What results depend on beside method, person and settings."""
        return {
            "base": self.base.fingerprint,
            "prompts": self._prompts,
            "prompt_set": _short_hash(repr(PROMPT_SET).encode()),
            "sampler": sampler_key(self.rendering),
            "judge": _short_hash(paths.builtin_judge_file().read_bytes()),
            "photo_set": self._photo_set,
        }

    def prompts_of(self, person: int) -> list[EvaluationPrompt]:
        """The prompts that a person is rendered with, the same for all methods."""
        first = person % (len(PROMPT_SET) // self._prompts)
        return [PROMPT_SET[first + place * len(PROMPT_SET) // self._prompts] for place in range(self._prompts)]

    def likeness_of(self, person: int) -> Likeness:
        """What pictures of a person are compared with; drawn once for all that is measured on them."""
        if person not in self._likeness:
            self._likeness[person] = reference_likeness(self.judge, person)
        return self._likeness[person]

    def measure(
        self,
        person: int,
        photos: int,
        learn: Callable[[BaseModel, Sequence[FaceCrop]], Learned],
        grid: Path | None = None,
        crops: Sequence[FaceCrop] | None = None,
        jitter: int = 0,
    ) -> dict[str, Any]:
        """Learn an unseen person from some photos, and score a picture a prompt against other drawings of them.

        With `crops`, those are learned from instead of the usual ones; with `jitter`, so many further ones of each.
        """
        if self._processes is not None:
            return self._processes.submit(_measure_there, person, photos, learn, grid, crops, jitter).result()
        if crops is None:
            crops = person_crops(self.networks, person, photos, self.base.size_px, jitter) if photos else ()
        started = time.perf_counter()
        learned = learn(self.base, crops)
        seconds = time.perf_counter() - started  # by one clock for all methods, with all that a user waits for
        likeness = self.likeness_of(person)
        prompts = self.prompts_of(person)
        scored = evaluate_tokens(
            self.base, self.judge, learned.tokens, likeness, prompts, self.rendering, around=learned.around
        )
        if grid is not None:
            grid.parent.mkdir(parents=True, exist_ok=True)
            picture_grid(scored, self.base.size_px).save(grid)
        summary = asdict(summarise(scored, True))
        tenth = max(len(learned.losses) // 10, 1)
        return {
            "scores": summary,
            "groups": {group: asdict(each)["identity_of_prompt"] for group, each in by_group(scored, True).items()},
            "seconds": seconds,
            "parameters": learned.parameters,
            "losses": [_mean(learned.losses[:tenth]), _mean(learned.losses[-tenth:])],
            "machine": f"{platform.machine()}, {_device_told(self.base)}, torch {torch.__version__}",
        }


_there: list[Bench] = []
"""The bench of a process that measures for another one."""


def _open_there(*opening: Any) -> None:
    _there.append(Bench(*opening))


def _measure_there(*arguments: Any) -> dict[str, Any]:
    return _there[0].measure(*arguments)


def _device_told(base: BaseModel) -> str:
    threads = f"{torch.get_num_threads()} threads"
    return f"{torch.cuda.get_device_name(base.device)}, {threads}" if base.device.type == "cuda" else threads


def sampler_key(config: RenderConfig) -> list[Any]:
    """What a result depends on of how pictures are sampled; the share of guided steps where it is not all."""
    steps, scheduler, guidance_scale, guided = config.sampler
    return [steps, guidance_scale, scheduler, *([] if guided == 1 else [guided])]


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def add_bench_options(parser: argparse.ArgumentParser) -> None:
    """Options of `Bench`."""
    parser.add_argument("--model", default="builtin", help="base model")
    parser.add_argument(
        "--prompts", type=int, default=len(PROMPT_SET), help="how many prompts of the fixed set a person gets"
    )
    parser.add_argument("--render-steps", type=int, help="sampler steps")
    parser.add_argument("--guidance-scale", type=float)


def bench_of(arguments: argparse.Namespace, processes: int = 1) -> Bench:
    """A `Bench` from parsed options."""
    return Bench(arguments.model, arguments.prompts, arguments.render_steps, arguments.guidance_scale, processes)
