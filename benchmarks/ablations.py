"""Take the method apart: what lambda, stages, K and V, self-attention, vectors, layers, words and photos each do.

    python -m benchmarks.ablations run --people 10            # everything; may be stopped and started again
    python -m benchmarks.ablations run --only stages "photos: 1" "photos: 4"   # in pieces
    python -m benchmarks.ablations report

People are those kept for choosing (from number 1000 on). The centre of all variants is the paper's recipe (preset
`sefi-paper`); only one thing is changed at a time. One JSON line for each finished person and variant. The group
"options" tries what might be better than the paper: an option that helps here is tried again on people from 0 on before
it becomes a default.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.baselines import METHODS, Learned, Settings
from benchmarks.baselines.loop import fit, tokens_of
from benchmarks.baselines.tokens import engine_settings, train_config
from benchmarks.findings import findings
from benchmarks.ledger import Ledger, key_of, of_the_last_run
from benchmarks.measure import FIRST_FOR_CHOOSING, add_bench_options, bench_of
from benchmarks.parts import OneSide, SelectiveEngine
from benchmarks.processes import add_processes_option
from benchmarks.tables import beside_the_centre, interval_of, more_than, shown, table
from faceid_cli.backbone import BaseModel
from faceid_cli.tokens import ENCODER, class_embedding
from faceid_cli.training import train_identity
from faceid_cli.types import FaceCrop

RESULTS = Path(__file__).parent / "results"
LEAST_PEOPLE = 5
CHANCE = (
    "Every variant differs from the paper's recipe, the centre of its group, in one thing. Intervals are of 95 %: of "
    "twenty variants that change nothing, one seems clear of the centre."
)
CENTRES = {
    "lambda": "0.003",
    "stages": "5",
    "side": "both",
    "self-attention": "with",
    "vectors": "1",
    "layers": "all",
    "words": "all",
    "photos": "4",
    "options": "none",
}
"""Which variant of each group is the paper's recipe; measured once for all groups but the last."""


OPTIONS: dict[str, dict[str, Any] | None] = {
    "none": {},
    "background 0.05": {"background_weight": 0.05},
    "min-SNR": None,
    "noisy timesteps": None,
    "middle timesteps": None,
    "cosine": {"learning_rate_schedule": "cosine", "warm_up": 10},
    "average of 50": {"average_last": 50},
    "norm up to 1": None,
    "norm up to 2": None,
    "direction within 60 degrees": None,
    "penalty 0.01": None,
    "penalty 0.1": None,
    "start by search": None,
    "start by regression": {"initial_token": "regression"},
    "start by regression, a quarter of the steps": {"initial_token": "regression", "share_of_steps": 0.25},
    "among names": {"initial_token": "regression", "token_space": "names"},
    "among names, from the class word": {"token_space": "names"},
    "among names, a quarter of the steps": {
        "initial_token": "regression",
        "token_space": "names",
        "share_of_steps": 0.25,
    },
    "stop by held-out noise": None,
    "stop by renders": None,
}
"""Changes of `TrainConfig` by label, each tried alone; "share_of_steps" is of the steps that all others train.

None stands for settings that measured nothing and were taken out again: their results are still shown.
"""


@dataclass(frozen=True)
class Variant:
    """One change of the method.

    Attributes:
        group: What is taken apart.
        label: This variant of it.
        changes: Of `TrainConfig`; None where its setting is gone, and only what was measured is left.
        side: "both", or which of "keys" and "values" is learned; the other stays the class word's.
        layers: Which cross-attention layers carry the attention loss: "all", "down", "mid", "up", or "1", "2", "3" for
            the largest, the next and the smallest resolution.
        words: "all", or "identity": which words the attention loss asks to stay in place.
        photos: How many.
        jitter: Further crops of each photo.
    """

    group: str
    label: str
    changes: dict[str, Any] | None = field(default_factory=dict)
    side: str = "both"
    layers: str = "all"
    words: str = "all"
    photos: int = 4
    jitter: int = 0

    @property
    def name(self) -> str:
        """In results."""
        return f"{self.group}: {self.label}"


def variants() -> list[Variant]:
    """All of them."""
    weights = (0.0, 0.0003, 0.003, 0.03, 0.3, 3.0)
    found = [Variant("lambda", f"{weight:g}", {"attention_weight": weight}) for weight in weights]
    found += [Variant("stages", str(count), {"stages": count}) for count in (1, 3, 5, 7, 9, 10)]
    found += [Variant("side", side, side=side) for side in ("keys", "values", "both")]
    found.append(Variant("side", "not split", {"split_keys_values": False}))
    found += [Variant("self-attention", word, {"self_attention": word == "with"}) for word in ("with", "without")]
    found += [Variant("vectors", str(count), {"vectors": count}) for count in (1, 2, 3, 4)]
    found += [Variant("layers", word, layers=word) for word in ("all", "down", "mid", "up", "1", "2", "3")]
    found += [Variant("words", word, words=word) for word in ("all", "identity")]
    found += [Variant("photos", str(count), photos=count) for count in range(1, 9)]
    found += [Variant("options", label, changes) for label, changes in OPTIONS.items()]
    found += [Variant("options", "four more crops", jitter=4)]
    found += [Variant("options", "four more crops, mirrored", {"mirror": True}, jitter=4)]
    return found


def measurable() -> list[Variant]:
    """Those whose settings there are."""
    return [variant for variant in variants() if variant.changes is not None]


def learn(base: BaseModel, crops: Sequence[FaceCrop], variant: Variant, settings: Settings) -> Learned:
    """Learn a person by one variant."""
    if variant.group == "options":
        return _learn_as_users_do(base, crops, settings)
    engine = SelectiveEngine(base, crops, train_config(settings, "sefi-paper"), variant.layers, variant.words)
    module: nn.Module = engine.new_state().module
    if variant.side != "both":
        module = OneSide(module, variant.side, class_embedding(base, settings.class_word))
    losses, seconds = fit(engine, module, module.parameters(), with_attention=engine.uses_reference)
    tokens = tokens_of(module)
    sides = 2 if engine.config.split_keys_values and variant.side == "both" else 1
    return Learned(tokens, losses, seconds, sides * tokens.keys[ENCODER].numel())


def _learn_as_users_do(base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
    """By faceid's own training loop, which alone knows all options."""
    config = train_config(settings, "sefi-paper")
    started = time.perf_counter()
    tokens, report = train_identity(base, crops, config)
    losses = tuple(first + config.attention_weight * second for first, second in report.losses)
    return Learned(tokens, losses, time.perf_counter() - started, 2 * tokens.keys[ENCODER].numel())


def run(arguments: argparse.Namespace) -> None:
    """Measure the variants."""
    bench, ledger = bench_of(arguments, arguments.processes), Ledger(arguments.output / "ablations.jsonl")
    only = arguments.only or ()
    wanted = [variant for variant in measurable() if not only or {variant.group, variant.name} & set(only)]
    if arguments.limit:
        wanted = wanted[: arguments.limit]
    people = range(FIRST_FOR_CHOOSING, FIRST_FOR_CHOOSING + arguments.people)

    def done(which: tuple[int, Variant]) -> None:
        person, variant = which
        settings = settings_of_variant(variant, arguments.steps)
        key = {**bench.key(), **key_of_variant(variant, settings), "person": person}
        if ledger.has(key):
            return
        same = twin(key, ledger)
        if same is not None:
            ledger.add(key, {name: value for name, value in same.items() if name != "key"})
            return
        work = partial(learn, variant=variant, settings=settings)
        ledger.add(key, bench.measure(person, variant.photos, work, jitter=variant.jitter))
        scores = ledger.get(key)["scores"]
        print(f"{variant.name}, person {person}: ID(P) {scores['identity_of_prompt']:.3f}", flush=True)

    centres = [variant for variant in wanted if CENTRES[variant.group] == variant.label]
    others = [variant for variant in wanted if variant not in centres]
    with bench:
        for some in (centres[:1], others, centres[1:]):  # in this order, so that twins are found, not measured at once
            bench.each(done, product(people, some))
    report(arguments, ledger, bench.key())


def settings_of_variant(variant: Variant, steps: int | None = None) -> Settings:
    """What a variant trains with, where all others train for `steps`."""
    changes = dict(variant.changes or {})
    share = changes.pop("share_of_steps", 1)
    return Settings(steps=round(share * (steps or Settings.steps)), options=changes)


def key_of_variant(variant: Variant, settings: Settings) -> dict[str, Any]:
    """All that a result depends on beside the bench and the person; only "variant" is its mere name."""
    return {
        "variant": variant.name,
        "photos": variant.photos,
        "jitter": variant.jitter,
        "side": variant.side,
        "layers": variant.layers,
        "words": variant.words,
        "loop": "faceid" if variant.group == "options" else "benchmarks",
        "engine": engine_settings(METHODS["sefi-paper"], settings),
    }


def twin(key: Mapping[str, Any], records: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """A finished record of the same work under another name: the centre is a variant in nearly every group."""

    def work(of: Mapping[str, Any]) -> str:
        return key_of({name: value for name, value in of.items() if name != "variant"})

    return next((record for record in records if work(record["key"]) == work(key)), None)


def report(arguments: argparse.Namespace, ledger: Ledger | None = None, bench: Mapping[str, Any] | None = None) -> None:
    """One table a group, and which variant has the highest ID(P), and whether its interval is clear of the others."""
    records = of_the_last_run(ledger or Ledger(arguments.output / "ablations.jsonl"), bench)
    text = []
    for group in dict.fromkeys(variant.group for variant in variants()):
        rows = {
            variant.label: [record for record in records if record["key"]["variant"] == variant.name]
            for variant in variants()
            if variant.group == group
        }
        rows = {label: found for label, found in rows.items() if found}
        if rows:
            centre = CENTRES[group]
            parts = (f"## {group}", table(rows), beside_the_centre(rows, centre), verdict(rows, centre))
            text.append("\n\n".join(part for part in parts if part) + "\n")
    if records:
        key = records[-1]["key"]
        lengths = sorted({record["key"]["engine"].get("steps", Settings.steps) for record in records})
        steps = " or ".join(map(str, lengths))
        text.insert(0, f"Base model {key['base']}, {key['prompts']} prompts a person, {steps} steps. {CHANCE}\n")
    text.append("## The paper's findings\n\n" + "\n".join(findings(records)) + "\n")
    print("\n".join(text))
    (arguments.output / "ablations.md").write_text("# Ablations\n\n" + "\n".join(text))


def verdict(rows: dict[str, list[dict[str, Any]]], centre: str) -> str:
    """Which variant is best by ID(P), and how much better than the centre, in a sentence."""
    found = {label: interval_of(records, "identity_of_prompt") for label, records in rows.items()}
    known = {label: each for label, each in found.items() if each is not None}
    if not known:
        return "No ID(P) was measured."
    fewest = min(len(records) for records in rows.values())
    if fewest < LEAST_PEOPLE:
        return f"No verdict yet: every variant needs {LEAST_PEOPLE} people, and one has {fewest}."
    if centre not in known:
        return f"No verdict without the centre ({centre})."
    best = max(known, key=lambda label: known[label].mean)
    if best == centre:
        return f"Highest ID(P): {best} ({known[best].mean:.3f}), the centre."
    more = more_than(rows[best], rows[centre], "identity_of_prompt")
    clear = "clear of it" if round(more.low, 3) > 0 else "not clear of it"
    return (
        f"Highest ID(P): {best} ({known[best].mean:.3f}), {shown(more)} more than {centre}, {clear} person by person."
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--people", type=int, default=10)
    known = {name for variant in measurable() for name in (variant.group, variant.name)}
    parser.add_argument("--only", nargs="+", choices=sorted(known), metavar="GROUP", help='"stages", or "stages: 3"')
    parser.add_argument("--limit", type=int, help="only that many variants, for a quick try")
    parser.add_argument("--steps", type=int, help="training steps, for a quick try")
    parser.add_argument("--output", type=Path, default=RESULTS)
    add_bench_options(parser)
    add_processes_option(parser)
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    {"run": run, "report": report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
