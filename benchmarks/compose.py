"""Several people in one picture: is each of them there, on their own side, with their own attributes?

    python -m benchmarks.compose learn --people 0-29 --device cuda     # each person once, kept in a folder
    python -m benchmarks.compose run --pairs 0-39 --triples 0-14 --device cuda
    python -m benchmarks.compose time                                  # seconds of a picture, each way, in turns
    python -m benchmarks.compose report                                # the table, and whether the goals are met
    python -m benchmarks.compose figure                                # the same seeds, each way

Every part may be split among processes (`--people 0-9`, `--pairs 10-19`, `--triples 0-4`) and stopped: who is learned
is kept in `--people-folder`, and what is measured is a JSON line in `--ledger`; each process has a file of its own that
begins alike (`compose-2.jsonl`). The people were never seen by the built-in model. The first ten of the forty pairs are
those of the thirty people who are most alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from benchmarks.baselines import METHODS as LEARNERS
from benchmarks.composed_prompts import PROMPTS, Asked
from benchmarks.composed_scores import aligned_face, score_picture
from benchmarks.composed_tables import tables
from benchmarks.ledger import Ledger
from benchmarks.measure import _short_hash, sampler_key
from benchmarks.trial import person_crops, reference_drawings, reference_likeness
from benchmarks.tuned import settings_for
from faceid_cli.attention.regional import Release, regional_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.samples import photo_set
from faceid_cli.contact_sheet import contact_sheet
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.pace import PACES
from faceid_cli.rendering import passes
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.layouts import Cast, even_grid
from faceid_cli.rendering.mixed import MixedPicture, render_mixed
from faceid_cli.rendering.placing import Placing
from faceid_cli.rendering.plan import plan_rendering
from faceid_cli.rendering.scene import read_scene
from faceid_cli.rendering.wording import Wordings
from faceid_cli.tokens import arrays_from_tokens, tokens_from_arrays
from faceid_cli.types import IdentityTokens, Render

RESULTS = Path(__file__).parent / "results"
PEOPLE, PAIRS, ALIKE, TRIPLES, PHOTOS = 30, 40, 10, 15, 4
NAMES = ("ann", "ben", "cleo")


@dataclass(frozen=True)
class Way:
    """One way to put people into a picture.

    Attributes:
        label: In the table.
        learner: How they were learned, one of `benchmarks.baselines.METHODS`.
        has_regions: Whether each has a region and a text of their own.
        is_apart: Whether they do not look at each other.
    """

    label: str
    learner: str
    has_regions: bool
    is_apart: bool = True


WAYS = {
    "regions": Way("faceid compose", "sefi", True),
    "regions-seeing": Way("regions without the mask of self-attention", "sefi", True, is_apart=False),
    "plain": Way("both tokens in one prompt", "sefi", False),
    "regions-textual-inversion": Way("regions, Textual Inversion's tokens", "textual-inversion", True),
    "textual-inversion": Way("Textual Inversion's tokens in one prompt", "textual-inversion", False),
}


class Stage:
    """What pictures are made and scored with.

    Args:
        device: Of the base model.
        folder: Where people are kept once they are learned.
    """

    def __init__(self, device: str, folder: Path) -> None:
        self.base: BaseModel = load_base_model("builtin", device, "float32")
        self.networks = Judge.load()
        self.judge = DrawnJudge(self.networks)
        self.config = RenderConfig().suiting(self.base.is_builtin)
        self._folder = folder
        self._wordings = Wordings(self.base)
        self._likeness: dict[int, Likeness] = {}
        self._photos: dict[int, list[Any]] = {}

    def tokens(self, person: int, learner: str) -> IdentityTokens:
        """A person's tokens: as they were kept, else learned now."""
        settings = settings_for(RESULTS, PHOTOS, learner)
        # Steps that are not said are those of the pace, which may change.
        told = json.dumps([asdict(settings), asdict(PACES["regression"])], sort_keys=True).encode()
        # Only tokens are learned, so a model that was taught something else since has people of its own.
        file = self._folder / f"{person}-{learner}-{self.base.fingerprint[4:12]}-{_short_hash(told)[:8]}.safetensors"
        if not file.exists():
            crops = person_crops(self.networks, person, PHOTOS, self.base.size_px)
            learned = LEARNERS[learner].learn(self.base, crops, settings).tokens
            file.parent.mkdir(parents=True, exist_ok=True)
            metadata = IdentityMetadata(f"p{person}", learned.class_word, "builtin", self.base.fingerprint)
            save_identity(file, *arrays_from_tokens(learned), metadata)
        stored = load_identity(file)
        return tokens_from_arrays(stored.keys, stored.values, stored.metadata.class_word)

    def likeness(self, person: int) -> Likeness:
        """What faces of a person are compared with: drawings that training did not see."""
        if person not in self._likeness:
            self._likeness[person] = reference_likeness(self.judge, person)
        return self._likeness[person]

    def photos(self, person: int) -> list[Any]:
        """The faces that a person is learned from, for a look at whether one of them is copied."""
        if person not in self._photos:
            drawings = photo_set(person, PHOTOS, 0)
            self._photos[person] = [aligned_face(drawing.image, drawing.faces[0]) for drawing in drawings]
        return self._photos[person]

    def render(self, people: Sequence[int], way: Way, prompts: Sequence[Asked], seed: int) -> list[Render]:
        """One picture a prompt, all of them together; prompt k with the seed `seed` + k."""
        names = NAMES[: len(people)]
        tokens = {name: self.tokens(person, way.learner) for name, person in zip(names, people, strict=True)}
        pictures = []
        for place, asked in enumerate(prompts):
            text = asked.text.format(*(f"<{name}>" for name in names))
            cast = None
            if way.has_regions:
                cast = Cast(read_scene(text, {name: each.class_word for name, each in tokens.items()}), "auto", None)
            wording = self._wordings.of(text, tokens, self.config, None, None if cast is None else cast.scene)
            pictures.append(MixedPicture(wording, seed + place, self.config, cast))
        plan, placing = plan_rendering(self.base, self.config), Placing(self.base, self._wordings)
        with seeing_each_other(not way.is_apart):
            found = render_mixed(self.base, pictures, plan, placing=placing)
        return [picture for picture in found if isinstance(picture, Render)]


@contextmanager
def seeing_each_other(wanted: bool) -> Iterator[None]:
    """Let people of a picture look at each other in all steps."""
    if not wanted:
        yield
        return
    free = partial(regional_attention, release=Release(apart=1.01))
    with mock.patch.object(passes, "regional_attention", free):
        yield


@cache
def groups() -> dict[int, tuple[tuple[int, ...], ...]]:
    """The pairs and the triples, always the same. The first pairs are the most alike."""
    judge = Judge.load()
    means = []
    for person in range(PEOPLE):
        faces = [judge.embed(drawing.image, drawing.faces[0]) for drawing in photo_set(person, 2, 1, 256)]
        mean = np.mean(faces, axis=0)
        means.append(mean / np.linalg.norm(mean))
    alike = sorted(combinations(range(PEOPLE), 2), key=lambda pair: -float(means[pair[0]] @ means[pair[1]]))[:ALIKE]
    rng = np.random.default_rng(0xC0)
    rest: list[tuple[int, ...]] = []
    while len(rest) < PAIRS - ALIKE:
        order = rng.permutation(PEOPLE).reshape(-1, 2).tolist()
        rest += [tuple(pair) for pair in order if tuple(sorted(pair)) not in alike]
    triples = [tuple(each) for _ in range(2) for each in rng.permutation(PEOPLE).reshape(-1, 3).tolist()]
    return {2: (*alike, *rest[: PAIRS - ALIKE]), 3: tuple(triples[:TRIPLES])}


def learn(arguments: argparse.Namespace) -> None:
    """Learn people by every method that is asked for."""
    stage = Stage(arguments.device, arguments.people_folder)
    for person in arguments.people:
        for learner in dict.fromkeys(WAYS[way].learner for way in arguments.ways):
            started = time.perf_counter()
            stage.tokens(person, learner)
            print(f"person {person}, {learner}: {time.perf_counter() - started:.0f} s", flush=True)


def run(arguments: argparse.Namespace) -> None:
    """Render and score groups, each way; what is in the ledger is not done again."""
    stage, ledger = Stage(arguments.device, arguments.people_folder), Ledger(arguments.ledger)
    wanted = [(2, number) for number in arguments.pairs] + [(3, number) for number in arguments.triples]
    for size, number in wanted:
        people = groups()[size][number]
        for name in arguments.ways:
            key = {**key_of(stage), "people": list(people), "way": name}
            if ledger.has(key):
                continue
            started = time.perf_counter()
            prompts = PROMPTS[size][: arguments.prompts]
            pictures = stage.render(people, WAYS[name], prompts, 1000 * number)
            seconds = (time.perf_counter() - started) / len(pictures)
            likenesses = {str(person): stage.likeness(person) for person in people}
            photos = {str(person): stage.photos(person) for person in people}
            scores = [
                asdict(score_picture(stage.judge, stage.networks, picture.image, likenesses, asked, photos))
                for picture, asked in zip(pictures, prompts, strict=True)
            ]
            ledger.add(key, {"group": [size, number], "scores": scores, "seconds": seconds})
            right = np.mean([score["is_right"] for score in scores])
            print(f"{size} people, group {number}, {name}: right {right:.2f}", flush=True)
            keep_pictures(arguments.pictures, f"{size}-{number}-{name}", pictures)


def key_of(stage: Stage) -> dict[str, Any]:
    """What results depend on, beside people and way."""
    return {
        "base": stage.base.fingerprint,
        "sampler": sampler_key(stage.config),
        "judge": _short_hash(paths.builtin_judge_file().read_bytes()),
        "prompts": _short_hash(repr(PROMPTS).encode()),
    }


def keep_pictures(folder: Path | None, stem: str, pictures: Sequence[Render]) -> None:
    """Write pictures for the figure, and for those who want to look."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for place, picture in enumerate(pictures):
        picture.image.save(folder / f"{stem}-{place}.png")


def seconds_each_way(arguments: argparse.Namespace) -> None:
    """Seconds of a single picture, each way in turn: one person, both tokens in a prompt, regions given and found."""
    stage = Stage(arguments.device, arguments.people_folder)
    pair, prompt = groups()[2][0], PROMPTS[2][0].text.format("<ann>", "<ben>")
    tokens = {name: stage.tokens(person, "sefi") for name, person in zip(NAMES, pair, strict=False)}
    scene = read_scene(prompt, dict.fromkeys(tokens, "person"))
    turns = {
        "one person": (prompt.replace(" and <ben>", ""), None),
        "both tokens in one prompt": (prompt, None),
        "regions, given": (prompt, Cast(scene, "left-right", even_grid(2))),
        "regions, found": (prompt, Cast(scene, "auto", None)),
    }
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(arguments.turns + 1):
        for name, (text, cast) in turns.items():
            started = time.perf_counter()
            render(stage.base, text, tokens, [number], stage.config, cast=cast)
            if number:  # the first turn warms up
                found[name].append(time.perf_counter() - started)
    first = np.median(found["one person"])
    result = {
        name: [round(float(np.median(each)), 3), round(float(np.median(each) / first), 2)]
        for name, each in found.items()
    }
    (arguments.ledger.parent / "compose_time.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, (seconds, ratio) in result.items():
        print(f"{name}: {seconds:.2f} s, {ratio:.2f} of one person's")


def report(arguments: argparse.Namespace) -> None:
    """The tables, and whether the goals are met."""
    records = [
        record
        for file in sorted(arguments.ledger.parent.glob(f"{arguments.ledger.stem}*.jsonl"))
        for record in Ledger(file)
    ]
    text = tables(records, {name: way.label for name, way in WAYS.items()}, ALIKE)
    print(text)
    (arguments.ledger.parent / "compose.md").write_text(text + "\n")


def figure(arguments: argparse.Namespace) -> None:
    """The same pairs, prompts and seeds, each way: a column a picture, with drawings of the people above."""
    assert arguments.pictures is not None, "give --pictures, where `run` has put them"
    chosen = [(number, place) for number in arguments.pairs for place in arguments.columns]
    rows: list[tuple[Image.Image, str]] = []
    for number, _ in chosen:
        sheet = Image.new("RGB", (256, 256))
        for column, person in enumerate(groups()[2][number]):
            drawing = reference_drawings(person)[0].image.resize((256, 256))
            sheet.paste(drawing.crop((64, 0, 192, 256)), (128 * column, 0))
        rows.append((sheet, "the two people"))
    for name in arguments.ways:
        for number, place in chosen:
            with Image.open(arguments.pictures / f"2-{number}-{name}-{place}.png") as image:
                rows.append((image.convert("RGB"), WAYS[name].label if number == chosen[0][0] else ""))
    sheet = contact_sheet([image for image, _ in rows], [caption for _, caption in rows], columns=len(chosen))
    sheet.save(arguments.ledger.parent / "compose.png")


def numbers(text: str) -> tuple[int, ...]:
    """Read "0-9", "3" or "1,4-6"."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        found += range(int(first), int(last if dash else first) + 1) if part else ()
    return tuple(found)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("learn", "run", "time", "report", "figure"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--people", type=numbers, default=tuple(range(PEOPLE)), help="learn: which of them")
    parser.add_argument("--pairs", type=numbers, default=tuple(range(PAIRS)), help="run, figure: which of them")
    parser.add_argument("--triples", type=numbers, default=tuple(range(TRIPLES)), help="run: which of them")
    parser.add_argument("--prompts", type=int, default=10, help="run: how many of the ten")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS))
    parser.add_argument("--columns", type=numbers, default=(4,), help="figure: which prompts")
    parser.add_argument("--turns", type=int, default=5, help="time: how many")
    parser.add_argument("--threads", type=int, default=1, help="of the processor, in each process")
    parser.add_argument("--people-folder", type=Path, default=RESULTS / "compose_people")
    parser.add_argument("--pictures", type=Path, help="run: where pictures are kept; figure: where they are")
    parser.add_argument("--ledger", type=Path, default=RESULTS / "compose.jsonl", help="report: all that begin so")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    {"learn": learn, "run": run, "time": seconds_each_way, "report": report, "figure": figure}[arguments.what](
        arguments
    )


if __name__ == "__main__":
    main()
