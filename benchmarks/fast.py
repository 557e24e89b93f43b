"""What quicker ways to render cost in identity: on the built-in model, by the judge, beside the usual way.

    python -m benchmarks.fast                                  # three people, six prompts
    python -m benchmarks.fast --people 6 --prompts 14 --ways usual fast
    python -m benchmarks.fast --device cuda --people 3 --prompts 6 --json fast.json

Each way renders the same people, prompts and seeds. ID(P) is the likeness to other drawings of the person where all
that the prompt asks for is there, else 0 (docs/evaluation.md). "change" is from the first way, person by person, with a
95 % interval over people. "rows" counts what the UNet is given, a guided step being two: time goes with it. "stages"
are the steps that fall into each of the five stages.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.intervals import bootstrap_interval
from benchmarks.trial import person_crops, reference_likeness
from faceid_cli.backbone import load_base_model
from faceid_cli.builtin.judge import Judge
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.prompts import PROMPT_SET
from faceid_cli.evaluation.run import evaluate_tokens
from faceid_cli.evaluation.summary import summarise
from faceid_cli.orders import RenderConfig, TrainConfig
from faceid_cli.orders.sampling import BUILTIN_GUIDANCE_SCALE, FAST, USUAL
from faceid_cli.rendering.schedulers import steps_of_stages
from faceid_cli.training.loop import train_identity

PLAIN = USUAL | {"guidance_scale": BUILTIN_GUIDANCE_SCALE}
WAYS: dict[str, dict[str, Any]] = {
    "usual": PLAIN,
    "fast": dict(FAST),
    "dpm++ 12": PLAIN | {"scheduler": "dpm++", "steps": 12},
    "dpm++ 10": PLAIN | {"scheduler": "dpm++", "steps": 10},
    "dpm++ 8": PLAIN | {"scheduler": "dpm++", "steps": 8},
    "dpm++ 12, half guided": {"scheduler": "dpm++", "steps": 12, "guided": 0.5},
    "unipc 12": PLAIN | {"scheduler": "unipc", "steps": 12},
    "unipc 10": PLAIN | {"scheduler": "unipc", "steps": 10},
    "ddim 14": PLAIN | {"steps": 14},
    "ddim 12": PLAIN | {"steps": 12},
    "ddim 10": PLAIN | {"steps": 10},
    "ddim 12, 3/4 guided": PLAIN | {"steps": 12, "guided": 0.75},
    "ddim 20, 3/4 guided": PLAIN | {"guided": 0.75},
}


def rows_of(config: RenderConfig) -> int:
    """How many rows the UNet is given for a picture."""
    steps, _, guidance_scale, guided = config.sampler
    return steps + (ceil(guided * steps) if guidance_scale > 1 else 0)


def measure(
    device: str, first: int, people: int, prompts: int, photos: int, steps: int, only: Sequence[str]
) -> list[dict[str, Any]]:
    """Learn some people, render them in all ways, and score the pictures."""
    base = load_base_model("builtin", device, "float32")
    networks = Judge.load()
    judge = DrawnJudge(networks)
    chosen = [PROMPT_SET[place * len(PROMPT_SET) // prompts] for place in range(prompts)]
    found: dict[str, list[float]] = {name: [] for name in only}
    seconds = dict.fromkeys(only, 0.0)
    for person in range(first, first + people):
        crops = person_crops(networks, person, photos, base.size_px)
        tokens, _ = train_identity(base, crops, TrainConfig(steps=steps))
        likeness = reference_likeness(judge, person)
        for name in only:
            started = time.perf_counter()
            scored = evaluate_tokens(base, judge, tokens, likeness, chosen, RenderConfig(**WAYS[name]))
            seconds[name] += time.perf_counter() - started
            found[name].append(summarise(scored, True).identity_of_prompt or 0.0)
            print(f"person {person}, {name}: ID(P) {found[name][-1]:.3f}", flush=True)
    rows = []
    for name in only:
        config = RenderConfig(**WAYS[name]).suiting(base.is_builtin)
        sampler = config.sampler
        more = [[each - usual] for each, usual in zip(found[name], found[only[0]], strict=True)]
        change = bootstrap_interval(more)
        rows.append(
            {
                "way": name,
                "id_p": sum(found[name]) / people,
                "change": [change.mean, change.low, change.high],
                "seconds": seconds[name] / (people * prompts),
                "rows": rows_of(config),
                "stages": steps_of_stages(base, sampler.scheduler, sampler.steps, sampler.steps, 5),
            }
        )
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--first", type=int, default=40, help="number of the first person")
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--steps", type=int, default=0, help="of learning; 0 for as many as suit")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args(argv)
    rows = measure(
        arguments.device,
        arguments.first,
        arguments.people,
        arguments.prompts,
        arguments.photos,
        arguments.steps,
        arguments.ways,
    )
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps(
                {"device": arguments.device, "people": arguments.people, "prompts": arguments.prompts, "rows": rows},
                indent=1,
            )
            + "\n"
        )
    usual = rows[0]
    print(f"{'way':24} {'ID(P)':>6} {'change':>24} {'rows':>5} {'seconds':>8} {'of usual':>8}  steps of the stages")
    for row in rows:
        change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["change"])
        print(
            f"{row['way']:24} {row['id_p']:6.3f} {change:>24} {row['rows']:5} {row['seconds']:8.2f} "
            f"{row['seconds'] / usual['seconds']:8.2f}  {' '.join(map(str, row['stages']))}",
            flush=True,
        )


if __name__ == "__main__":
    main()
