"""Enrol people the built-in model never saw, render them, and score likeness and obedience, beside Textual Inversion.

    python -m benchmarks.main_job --processes 2         # 20 people, 10 prompts each; about an hour on two cores
    python -m benchmarks.main_job --people 4 --methods sefi --set steps=200 --first 1000    # try settings elsewhere

All methods share photos, batch size and seed, and are measured in turn in one run, each with the steps of its preset.
People from number 1000 on are for choosing settings; the report is about people 0 to 19.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.intervals import bootstrap_interval
from benchmarks.processes import add_processes_option, processes_of
from benchmarks.trial import Trial, person_crops, reference_likeness, run_trial
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.builtin.judge import Judge
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.scores import identity_of_prompt
from faceid_cli.orders import RenderConfig, TrainConfig, preset

METHODS = ("sefi", "textual-inversion")


def interval(values: list[float]) -> list[float]:
    """Mean, and the ends of its 95 % interval over people."""
    found = bootstrap_interval([[value] for value in values])
    return [round(found.mean, 3), round(found.low, 3), round(found.high, 3)]


def likeness(trial: Trial) -> float:
    """ID as a share of the upper bound."""
    return float(np.mean([score.identity for score in trial.scores])) / trial.upper_bound


def likeness_where_obeyed(trial: Trial) -> float:
    """ID(P) as a share of the upper bound."""
    return identity_of_prompt(trial.scores) / trial.upper_bound


def differences(trials: dict[str, list[Trial]]) -> dict[str, dict[str, list[float]]]:
    """What the first method has more than each other one, person by person: clearer than two intervals side by side."""
    scores = {"ID": likeness, "ID(P)": likeness_where_obeyed}
    first, *others = trials.items()
    return {
        f"{first[0]} over {name}": {
            label: interval([score(ours) - score(theirs) for ours, theirs in zip(first[1], found, strict=True)])
            for label, score in scores.items()
        }
        for name, found in others
    }


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Figures of one method over all people, with 95 % intervals over people."""
    obeyed = [[each for score in trial.scores for each in score.concepts.values()] for trial in trials]
    found = [[score.similarity is not None for score in trial.scores] for trial in trials]
    attention = [[s.attention_share for s in trial.scores if s.attention_share is not None] for trial in trials]
    return {
        "ID, share of the upper bound": interval([likeness(trial) for trial in trials]),
        "concepts obeyed": interval([float(np.mean(each)) for each in obeyed]),
        "ID(P), share of the upper bound": interval([likeness_where_obeyed(trial) for trial in trials]),
        "a face is found": interval([float(np.mean(each)) for each in found]),
        "attention inside the face": interval([float(np.mean(shares)) for shares in attention if shares] or [0.0]),
        "seconds per enrolment": round(float(np.mean([trial.enrol_seconds for trial in trials])), 1),
        "seconds per image": round(float(np.mean([trial.image_seconds for trial in trials])), 2),
    }


def settings(method: str, arguments: argparse.Namespace) -> TrainConfig:
    """The method's preset with the same batch size and seed for all, and what --set changes."""
    shared = {"batch_size": TrainConfig().batch_size, "seed": 0}
    return preset(method, **{**shared, **changes_of(arguments.set)})


def changes_of(items: list[str]) -> dict[str, Any]:
    """Read FIELD=JSON."""
    return {key: json.loads(value) for key, value in (item.split("=", 1) for item in items)}


@cache
def networks(model: str) -> tuple[BaseModel, Judge, DrawnJudge]:
    """Base model and judge, loaded once a process."""
    judge = Judge.load()
    return load_base_model(model), judge, DrawnJudge(judge)


def measured(person: int, configs: dict[str, TrainConfig], arguments: argparse.Namespace) -> dict[str, Trial]:
    """All methods on one person, in turn."""
    base, faces, judge = networks(arguments.model)
    rendering = RenderConfig(**changes_of(arguments.render))
    crops = person_crops(faces, person, arguments.photos, base.size_px)
    likeness_of_person = reference_likeness(judge, person)
    return {
        method: run_trial(base, judge, crops, likeness_of_person, config, rendering)
        for method, config in configs.items()
    }


def all_measured(configs: dict[str, TrainConfig], arguments: argparse.Namespace) -> Iterator[dict[str, Trial]]:
    """All methods on one person after the other, in order, on as many processes as were asked for."""
    people = range(arguments.first, arguments.first + arguments.people)
    if arguments.processes == 1:
        yield from map(measured, people, repeat(configs), repeat(arguments))
        return
    with processes_of(arguments.processes) as processes:
        yield from processes.map(measured, people, repeat(configs), repeat(arguments))


def main() -> None:
    """Run, print the table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first person")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=JSON", help="change training settings")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--render", nargs="*", default=[], metavar="FIELD=JSON", help="change settings of rendering")
    add_processes_option(parser)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    configs = {method: settings(method, arguments) for method in arguments.methods}
    trials: dict[str, list[Trial]] = {method: [] for method in configs}
    for person, done in enumerate(all_measured(configs, arguments), arguments.first):
        for method, trial in done.items():
            trials[method].append(trial)
            print(f"person {person}, {method}: {summary([trial])}", flush=True)
    report = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
        f"{arguments.processes} processes, torch {torch.__version__}",
        "people": arguments.people,
        "photos": arguments.photos,
        "settings": {method: asdict(done[-1].config) for method, done in trials.items()},
        "results": {method: summary(done) for method, done in trials.items()},
        "differences": differences(trials),
    }
    print_table(report["results"])
    for pair, found in report["differences"].items():
        print(f"{pair}, on the same people: {found}")
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """One row a figure, one column a method."""
    print(f"\n{'':34}" + "".join(f"{method:>26}" for method in results))
    for row in next(iter(results.values())):
        cells = []
        for figures in results.values():
            value = figures[row]
            cells.append(f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]" if isinstance(value, list) else f"{value}")
        print(f"{row:34}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
