"""Compare all methods on one base model, in one run: likeness, obedience, attention, time.

    python -m benchmarks.quality tune --people 4      # find each method's best settings, on people kept for it
    python -m benchmarks.quality run --people 30      # measure all methods with them, on one and on four photos
    python -m benchmarks.quality report               # print the tables, draw the figure, check the goals

`tune` and `run` may be stopped and started again: what is finished is kept, one JSON line each. Settings are changed
one after the other, for each number of photos by itself, and a change stays if it raises the mean ID(P) of the people
from number 1000 on. Where the most steps are best, twice as many are tried.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from benchmarks.baselines import METHODS, Method, Settings
from benchmarks.baselines.tokens import engine_settings
from benchmarks.ledger import Ledger, of_the_best_settings, of_the_last_run
from benchmarks.measure import FIRST_FOR_CHOOSING, Bench, add_bench_options, bench_of
from benchmarks.pace import pace_goal, paces_beside
from benchmarks.processes import add_processes_option
from benchmarks.tables import LEAST_PEOPLE, SCORES, counted, differences, draw_figure, goals, on_the_same_people, table
from benchmarks.tuned import read_settings, settings_for, tuned_settings, write_settings

RESULTS = Path(__file__).parent / "results"


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Settings with some of them changed, those of a method's own among the options."""
    known = {field.name for field in fields(Settings)}
    own = {name: value for name, value in changes.items() if name not in known}
    shared = {name: value for name, value in changes.items() if name in known}
    return replace(settings, **shared, options={**settings.options, **own})


def measure(
    bench: Bench, ledger: Ledger, method_name: str, settings: Settings, person: int, photos: int, grids: Path | None
) -> dict[str, Any]:
    """One person by one method: from the ledger where it is finished, else now."""
    method: Method = METHODS[method_name]
    photos = 0 if method_name == "base" else photos  # it learns from none, so once is enough
    key = {**bench.key(), "method": method_name, "person": person, "photos": photos, "settings": asdict(settings)}
    key["engine"] = engine_settings(method, settings)
    if not ledger.has(key):
        grid = None if grids is None else grids / f"{method_name}-{person}-{photos}.png"
        ledger.add(key, bench.measure(person, photos, partial(method.learn, settings=settings), grid))
        scores = ledger.get(key)["scores"]
        shown = "  ".join(f"{label} {scores[name]:.3f}" for name, label in SCORES if scores[name] is not None)
        print(f"{method_name}, person {person}, {counted(photos)}: {shown}", flush=True)
    return ledger.get(key)


def tune(arguments: argparse.Namespace) -> None:
    """Find each method's settings for each number of photos, on people kept for it, and write them."""
    bench, ledger = bench_of(arguments, arguments.processes), Ledger(arguments.output / "quality_tuning.jsonl")
    writing = Lock()
    people = range(FIRST_FOR_CHOOSING, FIRST_FOR_CHOOSING + arguments.people)

    def find(which: tuple[int, str]) -> None:
        photos, name = which

        def score(settings: Settings) -> float:
            return mean_identity_of_prompt(
                bench.each(lambda person: measure(bench, ledger, name, settings, person, photos, None), people)
            )

        chosen, highest = best_settings(METHODS[name], arguments, score)
        found = asdict(chosen) | {
            "identity_of_prompt": highest,
            "people": [people[0], people[-1]],
            "base": bench.base.fingerprint,
        }
        with writing:
            write_settings(arguments.output, photos, name, found)
        print(f"{name}, {counted(photos)}: {asdict(chosen)} with ID(P) {highest:.3f}", flush=True)

    tuned = [name for name in arguments.methods if METHODS[name].grid]
    with bench:
        bench.each(find, product(arguments.photos, tuned))


def best_settings(
    method: Method, arguments: argparse.Namespace, score: Callable[[Settings], float]
) -> tuple[Settings, float]:
    """A method's best settings, found by one change after the other, and their score."""
    chosen = start(method, arguments)
    highest = score(chosen)
    grid = [
        changes
        for changes in method.grid[: arguments.tries]
        if changes.get("steps", 0) <= (arguments.most_steps or math.inf)
    ]
    for changes in grid:
        tried = start(method, arguments, changed(chosen, changes))
        found = score(tried)
        if found > highest:
            chosen, highest = tried, found
    most = max((changes.get("steps", 0) for changes in grid), default=0)
    # The best may lie beyond what was tried.
    while most and chosen.steps >= most and not (arguments.steps or arguments.most_steps):
        tried = replace(chosen, steps=2 * chosen.steps)
        found = score(tried)
        if found <= highest:
            break
        chosen, highest = tried, found
    return chosen, highest


def start(method: Method, arguments: argparse.Namespace, settings: Settings | None = None) -> Settings:
    """A method's settings, or those of the command line where it forces some."""
    settings = settings or method.defaults
    return replace(settings, steps=arguments.steps) if arguments.steps and settings.steps > 1 else settings


def run(arguments: argparse.Namespace) -> None:
    """Measure all methods on unseen people, with the settings that were found."""
    bench, ledger = bench_of(arguments, arguments.processes), Ledger(arguments.output / "quality.jsonl")
    found = {photos: read_settings(arguments.output, photos) for photos in arguments.photos}
    for photos, name in product(arguments.photos, arguments.methods):
        if METHODS[name].grid and found[photos].get(name, {}).get("base") != bench.base.fingerprint:
            again = f"python -m benchmarks.quality tune --photos {photos} --methods {name}"
            print(f"{name} was not tuned for {counted(photos)} on this base model: {again}")
    grids = arguments.output / "quality_pictures" if arguments.pictures else None
    people = range(arguments.first, arguments.first + arguments.people)

    def done(which: tuple[int, int, str]) -> None:
        person, photos, name = which
        settings = start(METHODS[name], arguments, settings_for(arguments.output, photos, name))
        measure(bench, ledger, name, settings, person, photos, grids if person == arguments.first else None)

    with bench:
        bench.each(done, product(people, arguments.photos, arguments.methods))
    report(arguments, ledger, bench.key())


def report(arguments: argparse.Namespace, ledger: Ledger | None = None, bench: Mapping[str, Any] | None = None) -> None:
    """Tables with intervals over people, the figure, settings, and whether the goals are met."""
    records = shown_records(ledger or Ledger(arguments.output / "quality.jsonl"), bench)
    if not records:
        print("nothing is measured yet: python -m benchmarks.quality run")
        return
    key = records[-1]["key"]
    about = f"Base model {key['base']}, {key['prompts']} prompts a person, {key['sampler'][0]} sampler steps."
    for photos in sorted({record["key"]["photos"] for record in records} - {0}):
        chosen = [record for record in records if record["key"]["photos"] in (photos, 0)]
        by_method: dict[str, list[dict[str, Any]]] = {}
        for name in METHODS:
            of_method = [record for record in chosen if record["key"]["method"] == name]
            if of_method:
                by_method[name] = of_method
        names = {name: METHODS[name].name for name in by_method}
        pace = pace_goal(paces_beside(arguments.output, photos, key))
        same = on_the_same_people(by_method)
        enough = all(len(found) >= LEAST_PEOPLE for found in same.values())
        parts = [
            table({names[name]: found for name, found in (same if enough else by_method).items()}),
            about,
            differences(by_method, names),
            "\n".join(goals({name: by_method.get(name, []) for name in METHODS}, pace)),
            settings_told(by_method, read_settings(arguments.output, photos)),
        ]
        text = "\n\n".join(part for part in parts if part)
        print(f"\n{counted(photos)} each\n{text}")
        (arguments.output / f"quality_{photos}_photos.md").write_text(text + "\n")
        drawn = same if all(same.values()) else by_method
        draw_figure(
            {names[name]: found for name, found in drawn.items()},
            arguments.output / f"quality_{photos}_photos.png",
            f"{counted(photos)} each, {max(len(found) for found in drawn.values())} people",
        )


def shown_records(ledger: Ledger, bench: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """faceid with the settings of the last run, every other method with the best of those it was measured with.

    So a method is not held down by settings that suited the few people who are kept for choosing.
    """
    last = of_the_last_run(ledger, bench)
    best = of_the_best_settings(ledger, mean_identity_of_prompt, bench)
    own = [record for record in last if not METHODS[record["key"]["method"]].grid]
    return [record for record in best if METHODS[record["key"]["method"]].grid] + own


def mean_identity_of_prompt(records: Sequence[Mapping[str, Any]]) -> float:
    """Mean ID(P) of people."""
    return float(np.mean([record["scores"]["identity_of_prompt"] or 0.0 for record in records]))


def settings_told(by_method: Mapping[str, Sequence[Mapping[str, Any]]], found: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a method: what it was measured with, and whether that is what `tune` found, on the same base model."""
    lines = []
    for name, records in by_method.items():
        key, method = records[-1]["key"], METHODS[name]
        if name == "base":
            continue
        settings, tuned = key["settings"], found.get(name, {})
        options = "".join(f", {option} {value}" for option, value in settings["options"].items())
        same = bool(tuned) and json.loads(json.dumps(asdict(tuned_settings(tuned)))) == settings
        where = "on this base model" if tuned.get("base") == key["base"] else "on another base model"
        other = (
            f"tuning found {tuned['steps']} steps, learning rate {tuned['learning_rate']:g}" if tuned else "not tuned"
        )
        how = f"tuned {where}" if same else other
        lines.append(
            f"- {method.name}: {settings['steps']} steps, learning rate {settings['learning_rate']:g}{options}; {how}"
        )
    return "Settings:\n\n" + "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tune", "run", "report"))
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="run: number of the first of them, to run in pieces")
    parser.add_argument("--photos", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--tries", type=int, default=100, help="how many of a method's changes to try")
    parser.add_argument("--most-steps", type=int, help="tune: the longest training to try, for all methods alike")
    parser.add_argument("--steps", type=int, help="training steps of all methods, for a quick try")
    parser.add_argument("--pictures", action="store_true", help="keep a sheet of the first person's pictures")
    parser.add_argument("--output", type=Path, default=RESULTS)
    add_bench_options(parser)
    add_processes_option(parser)
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    {"tune": tune, "run": run, "report": report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
