"""Which share of the crop should the face take? Likeness and obedience, on people who are used for nothing else.

    python -m benchmarks.face_share run                                   # may be stopped and started again
    python -m benchmarks.face_share run --people 3 --prompts 6 --shares 0.3 0.35 0.45    # a first look
    python -m benchmarks.face_share report

Photos are snapshots from some way off: the face takes about 15 % of the picture's height. Crops are cut from the same
photos with the face at each of the shares, and learned from by the paper's recipe with the same settings and seed; so
only the framing differs. One JSON line for each finished person and share. The default is worth changing if another
share is better and its interval is clear; what holds for drawings need not hold for photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablations import verdict
from benchmarks.baselines import METHODS, Learned, Settings
from benchmarks.baselines.tokens import engine_settings
from benchmarks.ledger import Ledger, of_the_last_run
from benchmarks.measure import add_bench_options, bench_of
from benchmarks.tables import beside_the_centre, table
from faceid_cli.backbone import BaseModel
from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.samples import unseen_person
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.faces.crop import FACE_SHARE, Framing, crop_face
from faceid_cli.types import FaceCrop, Photo

FIRST_PERSON = 3000
"""Results of other benchmarks are about people from 0 on, their settings were chosen on people from 1000 on."""

SHARES = (0.2, 0.3, FACE_SHARE, 0.45, 0.6)
RESULTS = Path(__file__).parent / "results"

_PHOTO_PX = 1024
_FIGURE_SCALE = 0.45


def crops_at(person: int, count: int, share: float, size_px: int) -> list[FaceCrop]:
    """Draw snapshots of a person, and cut crops with the face at a share of their height.

    The same arguments draw the same pictures; other shares frame the same pictures otherwise.
    """
    rng = np.random.default_rng([0xFA, person])
    crops = []
    for number in range(count):
        picture = photo_picture(unseen_person(person), rng)
        figure = replace(picture.figures[0], scale=_FIGURE_SCALE * picture.figures[0].scale)
        drawing = draw(replace(picture, figures=(figure,)), _PHOTO_PX)
        photo = Photo(Path(f"{person}-{number}.png"), drawing.image, f"{person:032d}{number:032d}")
        crops.append(crop_face(photo, drawing.faces[0], size_px, Framing(share)))
    return crops


def learn(base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
    """Learn a person by the method."""
    return METHODS["sefi-paper"].learn(base, crops, settings)


def run(arguments: argparse.Namespace) -> None:
    """Measure all shares on one person after the other."""
    bench, ledger = bench_of(arguments), Ledger(arguments.output / "face_share.jsonl")
    settings = Settings() if arguments.steps is None else Settings(steps=arguments.steps)
    for person in range(FIRST_PERSON, FIRST_PERSON + arguments.people):
        for share in arguments.shares:
            key = {**bench.key(), "share": share, "person": person, "photos": arguments.photos}
            key["engine"] = engine_settings(METHODS["sefi-paper"], settings)
            if ledger.has(key):
                continue
            crops = crops_at(person, arguments.photos, share, bench.base.size_px)
            work = partial(learn, settings=settings)
            ledger.add(key, bench.measure(person, arguments.photos, work, crops=crops))
            scores = ledger.get(key)["scores"]
            print(f"person {person}, share {share:g}: ID(P) {scores['identity_of_prompt']:.3f}", flush=True)
    report(arguments, ledger, bench.key())


def report(arguments: argparse.Namespace, ledger: Ledger | None = None, bench: Mapping[str, Any] | None = None) -> None:
    """A table with a line a share, and which share is best, and whether that is clear."""
    records = of_the_last_run(ledger or Ledger(arguments.output / "face_share.jsonl"), bench)
    records = [record for record in records if record["key"]["photos"] == records[-1]["key"]["photos"]]
    shares = sorted({record["key"]["share"] for record in records})
    rows = {
        f"{share:g}{' (default)' if share == FACE_SHARE else ''}": [
            record for record in records if record["key"]["share"] == share
        ]
        for share in shares
    }
    default = f"{FACE_SHARE:g} (default)"
    parts = ("# The face's share of the crop", table(rows), beside_the_centre(rows, default), verdict(rows, default))
    text = "\n\n".join(part for part in parts if part) + "\n" if rows else "Nothing yet.\n"
    print(f"\n{text}")
    (arguments.output / "face_share.md").write_text(text)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--steps", type=int, help="training steps, for a quick try")
    parser.add_argument("--output", type=Path, default=RESULTS)
    add_bench_options(parser)
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    {"run": run, "report": report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
