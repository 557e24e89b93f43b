"""How soon methods get good: ID(P) along the training, and the seconds to each method's own best.

    python -m benchmarks.pace run --people 8 --prompts 14      # may be stopped and started again
    python -m benchmarks.pace report

Methods that learn tokens by faceid's own engine are stopped at equal parts of twice their tuned steps (those of
`benchmarks.quality tune`, else their defaults) and scored there; scoring does not count. People are those of the
results, from number 0 on. One JSON line for each person, method and step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baselines import METHODS, Settings
from benchmarks.baselines.tokens import Preset, engine_settings, train_config
from benchmarks.ledger import SHARED, Ledger, of_the_last_run
from benchmarks.measure import Bench, add_bench_options, bench_of
from benchmarks.tables import counted
from benchmarks.trial import person_crops
from benchmarks.tuned import settings_for
from faceid_cli.evaluation.run import evaluate_tokens
from faceid_cli.evaluation.summary import summarise
from faceid_cli.training import train_identity
from faceid_cli.types import IdentityTokens

RESULTS = Path(__file__).parent / "results"
LEAST_PEOPLE = 5
PACED = tuple(name for name, method in METHODS.items() if isinstance(method, Preset))
CLOSE = 0.98
"""As good as the best: this share of it. Later steps that gain less are not waited for."""


@dataclass(frozen=True)
class Best:
    """A point along a method's training, such as its best.

    Attributes:
        step: After so many steps.
        seconds: Of learning until then, mean over people.
        score: Mean ID(P) there.
        people: How many were measured.
    """

    step: int
    seconds: float
    score: float
    people: int = 1


def settings_of(name: str, folder: Path, photos: int, steps: int | None) -> Settings:
    """Twice the tuned steps of a method, or as many as are asked for."""
    settings = settings_for(folder, photos, name)
    length, options = steps or 2 * settings.steps, dict(settings.options)
    if options.get("average_last") == settings.steps:  # the average over all of them stays one
        options["average_last"] = length
    return replace(settings, steps=length, options=options)


def measure(bench: Bench, ledger: Ledger, name: str, settings: Settings, person: int, photos: int, points: int) -> None:
    """One person by one method, scored at equal parts of its steps; nothing where all of them are in the ledger."""
    method = METHODS[name]
    assert isinstance(method, Preset)
    every = max(settings.steps // points, 1)
    key = {**bench.key(), "method": name, "person": person, "photos": photos, "settings": asdict(settings)}
    key["engine"] = engine_settings(method, settings)
    wanted = list(range(every, settings.steps + 1, every))
    missing = [step for step in wanted if not ledger.has({**key, "step": step})]
    if not missing:
        return
    crops = person_crops(bench.networks, person, photos, bench.base.size_px)
    likeness = bench.likeness_of(person)
    started, scoring = time.perf_counter(), 0.0

    def score(step: int, tokens: IdentityTokens) -> None:
        nonlocal scoring
        paused = time.perf_counter()
        if step in missing:
            prompts = bench.prompts_of(person)
            scored = evaluate_tokens(bench.base, bench.judge, tokens, likeness, prompts, bench.rendering)
            scores = asdict(summarise(scored, True))
            ledger.add({**key, "step": step}, {"scores": scores, "seconds": paused - started - scoring})
            print(f"{name}, person {person}, step {step}: ID(P) {scores['identity_of_prompt']:.3f}", flush=True)
        scoring += time.perf_counter() - paused

    train_identity(bench.base, crops, train_config(settings, method.preset), preview_every=every, on_preview=score)


def best_of(records: Sequence[Mapping[str, Any]]) -> Best | None:
    """The first step whose mean ID(P) over people is as good as the best; None without records."""
    means = curve(records)
    return first_as_good(means, max((each.score for each in means), default=0.0))


def first_as_good(means: Sequence[Best], score: float) -> Best | None:
    """The first step whose mean ID(P) is as good as a score, or None."""
    return next((each for each in means if each.score >= score - (1 - CLOSE) * abs(score)), None)


def curve(records: Sequence[Mapping[str, Any]]) -> list[Best]:
    """The mean over people at each step.

    Only people who were scored at every step count, so that all means are over the same people.
    """
    steps = sorted({record["key"]["step"] for record in records})
    by_person: dict[int, dict[int, Mapping[str, Any]]] = {}
    for record in records:
        by_person.setdefault(record["key"]["person"], {})[record["key"]["step"]] = record
    whole = [found for found in by_person.values() if set(found) == set(steps)]
    if not whole:
        return []
    return [
        Best(
            step,
            float(np.mean([found[step]["seconds"] for found in whole])),
            float(np.mean([found[step]["scores"]["identity_of_prompt"] or 0.0 for found in whole])),
            len(whole),
        )
        for step in steps
    ]


def paces(
    folder: Path, photos: int, bench: Mapping[str, Any] | None = None, ledger: Ledger | None = None
) -> dict[str, Best]:
    """Each measured method's best, for so many photos; with a bench only what was measured with it."""
    return _bests(_by_method(folder, photos, bench, ledger))


def _bests(by_method: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Best]:
    return {name: best for name, records in by_method.items() if (best := best_of(records)) is not None}


def _by_method(
    folder: Path, photos: int, bench: Mapping[str, Any] | None, ledger: Ledger | None
) -> dict[str, list[dict[str, Any]]]:
    comparable = of_the_last_run(ledger or Ledger(folder / "pace.jsonl"), bench)
    records = [record for record in comparable if record["key"]["photos"] == photos]
    return {name: [each for each in records if each["key"]["method"] == name] for name in METHODS}


def paces_beside(folder: Path, photos: int, key: Mapping[str, Any]) -> dict[str, Best]:
    """Each method's best, for results with that key: on the same base model, but maybe with fewer prompts."""
    ledger = Ledger(folder / "pace.jsonl")
    same = [name for name in SHARED if name not in ("prompts", "prompt_set")]
    alike = [record for record in ledger if all(record["key"].get(name) == key.get(name) for name in same)]
    return paces(folder, photos, alike[-1]["key"], ledger) if alike else {}


def pace_goal(found: Mapping[str, Best]) -> str | None:
    """Whether the project's goal of time is met; None where one of the two methods was not measured."""
    if not {"sefi", "textual-inversion"} <= set(found):
        return None
    own, other = found["sefi"], found["textual-inversion"]
    people = min(own.people, other.people)
    if people < LEAST_PEOPLE:
        return f"- undecided: the goal of time needs {LEAST_PEOPLE} people, and {people} had both methods."
    met = "met" if own.seconds <= other.seconds / 5 else "not met"
    return (
        f"- {met}: {own.seconds:.0f} s to the best ID(P) of {own.score:.3f}, Textual Inversion {other.seconds:.0f} s "
        f"to its best of {other.score:.3f}: up to a fifth (measured on {people} people)"
    )


def catching_up(found: Mapping[str, Best], own: Sequence[Mapping[str, Any]]) -> str | None:
    """When this method is as good as Textual Inversion ever is; None where it never is, or one was not measured."""
    other = found.get("textual-inversion")
    point = None if other is None else first_as_good(curve(own), other.score)
    if other is None or point is None:
        return None
    return (
        f"- as good as Textual Inversion at its best ({other.score:.3f}; here {point.score:.3f}) after {point.step} "
        f"steps in {point.seconds:.0f} s, {point.seconds / other.seconds:.2f} of its time"
    )


def report(folder: Path, ledger: Ledger, bench: Mapping[str, Any] | None = None) -> None:
    """A table for each number of photos."""
    for photos in sorted({record["key"]["photos"] for record in of_the_last_run(ledger, bench)}):
        records = _by_method(folder, photos, bench, ledger)
        found = _bests(records)
        lines = ["| method | best ID(P) | after steps | seconds |", "|---|---|---|---|"]
        lines += [
            f"| {METHODS[name].name} | {best.score:.3f} | {best.step} | {best.seconds:.0f} |"
            for name, best in found.items()
        ]
        text = "\n".join([*lines, *filter(None, [pace_goal(found), catching_up(found, records["sefi"])])])
        print(f"\n{counted(photos)} each\n{text}")
        (folder / f"pace_{photos}_photos.md").write_text(text + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--photos", type=int, nargs="+", default=[4])
    parser.add_argument("--methods", nargs="+", choices=PACED, default=["sefi", "textual-inversion"])
    parser.add_argument("--points", type=int, default=8, help="how often to score along the training")
    parser.add_argument("--steps", type=int, help="training steps of all methods, for a quick try")
    parser.add_argument("--output", type=Path, default=RESULTS)
    add_bench_options(parser)
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(arguments.output / "pace.jsonl")
    if arguments.what == "run":
        bench = bench_of(arguments)
        for person in range(arguments.people):
            for photos in arguments.photos:
                for name in arguments.methods:
                    settings = settings_of(name, arguments.output, photos, arguments.steps)
                    measure(bench, ledger, name, settings, person, photos, arguments.points)
        report(arguments.output, ledger, bench.key())
    else:
        report(arguments.output, ledger)


if __name__ == "__main__":
    main()
