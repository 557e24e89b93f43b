"""The order to learn a person: everything that `enroll` can be asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import FACES, at_least, check_prompt, user_path
from faceid_cli.orders.loading import MODEL, ModelOptions
from faceid_cli.orders.option import Options, group, leaves, option, option_of, required
from faceid_cli.orders.training import TrainConfig
from faceid_cli.types import Box

_PEOPLE_WORDS = (
    "person people human humans man men woman women boy boys girl girls child children kid kids baby toddler "
    "teenager teen adult guy lady gentleman male female mother father mom dad parent sister brother daughter son "
    "grandmother grandfather grandma grandpa wife husband bride groom friend face portrait head character"
)


def is_people_word(class_word: str) -> bool:
    """Whether a class word speaks of people, who have a face: "woman", "old man"; not "cat", "sports car"."""
    return bool(set(_PEOPLE_WORDS.split()) & set(re.findall(r"[a-z]+", class_word.lower())))


def read_box(text: str) -> dict[str, Any]:
    """Read "x,y,width,height" in pixels.

    Raises:
        UsageError: Anything else, or an empty box.
    """
    try:
        x, y, width, height = (float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(
            f"{text!r} is not a box", "write it as x,y,width,height in pixels, such as 40,30,200,200"
        ) from None
    if not (width > 0 and height > 0 and x >= 0 and y >= 0):
        raise UsageError(
            f"the box {text!r} is empty or outside the picture", "x and y from 0, width and height above 0"
        )
    return {"box": Box(x, y, width, height)}


def box_text(box: Box) -> str:
    """A box as `--box` takes it."""
    return ",".join(f"{number:.12g}" for number in (box.x, box.y, box.width, box.height))


def _box_text(group: Any) -> str | None:
    return group.box and box_text(group.box)


_RIVALS = {
    ("detect", "box"): "--no-detect looks for no face, --box says where it is",
    ("detect", "face"): "--no-detect looks for no face, --face chooses one",
    ("detect", "face_share"): "--no-detect takes photos whole, --face-share cuts them around the face",
    ("box", "face"): "--box and --face both say which face is meant",
}
"""Options of which one leaves the other without a meaning, and why."""


def rivals_of(said: Mapping[str, Any]) -> set[str]:
    """Options, by the names of their fields, that mean nothing beside what is said."""
    named = _unusual(said)
    return {other for pair in _RIVALS for one, other in (pair, pair[::-1]) if one in named and other not in named}


def check_rivals(said: Mapping[str, Any]) -> None:
    """Check options that were said in one breath.

    Raises:
        UsageError: One of them leaves another without a meaning.
    """
    named = _unusual(said)
    for pair, why in _RIVALS.items():
        if named.issuperset(pair):
            raise UsageError(why, "give one of them")


def _unusual(said: Mapping[str, Any]) -> set[str]:
    """Which options of _RIVALS are said to be other than usual."""
    usual = {name: default for name, (_, _, default) in leaves(EnrolOrder).items()}
    return {name for pair in _RIVALS for name in pair if said.get(name) not in (None, usual[name])}


def photo_paths(value: Iterable[Path | str] | Path | str) -> tuple[Path, ...]:
    """One path, or several."""
    return tuple(Path(photo) for photo in ([value] if isinstance(value, str | Path) else value))


@dataclass(frozen=True)
class EnrolOrder(Options):
    """A person as they are to be learned.

    Raises:
        UsageError: Options that cannot be.
    """

    groups: ClassVar[Mapping[str, type[Options]]] = {"config": TrainConfig, "options": ModelOptions}

    name: str = required('Letters, digits, "-" and "_", 1 to 64 of them.')
    photos: tuple[Path, ...] = required("Picture files, or folders of them.", check=photo_paths, takes_any_path=True)
    config: TrainConfig = group(TrainConfig)
    fit_batch: bool = option(False, "Halve the batch until a step fits into memory.", is_recorded=False)
    resume: bool = option(
        False,
        "Go on with an interrupted enrolment; begin where none was begun.",
        "--resume",
        is_repeated=False,
        is_recorded=False,
        is_settable=False,
    )
    if_missing: bool = option(
        False,
        "Learn nothing, and be content, where the name is enrolled already.",
        "--if-missing",
        is_repeated=False,
        is_recorded=False,
        is_settable=False,
    )
    replace: bool = option(
        False,
        "Replace the person of that name, once the new one is complete.",
        "--replace",
        is_repeated=False,
        is_recorded=False,
        is_settable=False,
    )
    face: str | int = option(
        "auto",
        "Where photos show several faces: auto (whom most photos show), only, largest, left, right, or a number from "
        "the left.",
        "--face",
        metavar="WHICH",
        choices=FACES,
        kind=str,
        is_recorded=False,
    )
    detect: bool = option(True, "Take the photos whole; look for no face.", off="--no-detect")
    box: Box | None = option(
        None,
        "Where the face is, in pixels of the photo.",
        "--box",
        metavar="X,Y,W,H",
        kind=str,
        read=read_box,
        write=_box_text,
        is_settable=False,
    )
    strict: bool = option(False, "Stop at the first photo that cannot be used, instead of leaving it out.", "--strict")
    face_share: float | None = option(
        None, "Height of the face as a share of the crop, such as 0.35.", "--face-share", metavar="X"
    )
    jitter: int = option(0, "Further crops of each photo, moved and resized a little.", "--jitter", metavar="N")
    hold_out: int = option(
        0,
        "Learn nothing from the last N photos; evaluate with them.",
        "--hold-out",
        metavar="N",
        check=at_least("photos to hold out", 0),
    )
    keep_photos: bool = option(True, "Keep no crops and masks for the report.", off="--no-keep-photos")
    preview_every: int = option(
        0,
        "Render a sample every N steps; 0 for none.",
        "--preview-every",
        metavar="N",
        check=at_least("steps between previews", 0),
    )
    preview: str = option(
        "", "Of the samples; the person alone if not given.", "--preview", metavar="PROMPT", check=check_prompt
    )
    tags: tuple[str, ...] = option((), "May be repeated.", "--tag", metavar="TAG", is_recorded=False)
    note: str = option("", "Kept with the person.", "--note", metavar="TEXT", is_recorded=False)
    consent: str | None = option(
        None,
        "What the person said to it; kept with them. Asked for once.",
        "--consent",
        metavar="TEXT",
        is_recorded=False,
        is_settable=False,
    )
    model: str | None = option(None, MODEL.help, *MODEL.flags, metavar=MODEL.metavar, is_source=True, is_recorded=False)
    options: ModelOptions | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.if_missing and self.replace:
            raise UsageError(
                "--if-missing leaves who is there, --replace replaces them", "give one of them: they exclude each other"
            )

    def request(self) -> dict[str, Any]:
        """What a training run records of the order, as JSON values; the person is "{name}" in it."""
        kept: dict[str, Any] = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if (asked := option_of(field)) is not None and asked.is_recorded and field.name != "name"
        }
        box = self.box
        return kept | {
            "photos": [str(user_path(photo).absolute()) for photo in self.photos],
            "box": None if box is None else [box.x, box.y, box.width, box.height],
            "low_vram": self.options is not None and self.options.low_vram,
            "preview": self.preview.replace(f"<{self.name}>", "{name}") if self.preview_every else "",
        }


def order_from(
    name: str, request: Mapping[str, Any], config: TrainConfig, options: ModelOptions, **more: Any
) -> EnrolOrder:
    """The order for what a training run recorded.

    Args:
        name: Of the person now.
        request: As `EnrolOrder.request` made it; what it does not hold is as usual.
        config: How the person was learned.
        options: How the base model was loaded.
        more: Options that runs do not record.

    Raises:
        UsageError, TypeError, ValueError: A damaged record.
    """
    known = {field.name for field in fields(EnrolOrder)}
    given = {key: value for key, value in request.items() if key in known and value is not None}
    if "box" in given:
        given["box"] = Box(*map(float, given["box"]))
    if given.get("preview") == "a photo of {name}":
        given["preview"] = ""
    given["photos"] = photo_paths(given.get("photos", ()))
    return EnrolOrder(name, config=config, options=options, **{**given, **more})
