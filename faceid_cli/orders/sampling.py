"""How pictures are rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import at_least, not_negative, within
from faceid_cli.orders.composing import (
    GRIDS,
    LAYOUTS,
    LIKENESS_HINT,
    check_layout,
    check_likeness_of,
    check_regions,
    read_likeness,
    written_likeness,
)
from faceid_cli.orders.emphasis import check_negative
from faceid_cli.orders.loading import Machine
from faceid_cli.orders.option import Options, option

SCHEDULERS = (
    "ddim",
    "euler",
    "euler-a",
    "dpm++",
    "dpm++-karras",
    "dpm++-sde",
    "dpm++-sde-karras",
    "unipc",
    "lcm",
)
LARGEST_BATCH = 8
"""What a batch of "auto" begins with."""


def scheduler_name(text: str) -> str:
    """What is called "Euler a", "DPM++ 2M SDE Karras" or "dpmpp_2m" elsewhere, in the words used here."""
    name = "-".join(text.lower().replace("_", " ").split()).replace("dpmpp", "dpm++").replace("dpm++-2m", "dpm++")
    return "euler-a" if name == "euler-ancestral" else name


def read_stages(text: str) -> dict[str, Any]:
    """Read "2-5", "1,3" or both together as stages in order.

    Raises:
        UsageError: Anything else.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 1000):
            raise UsageError(f"{text!r} names no stages", "write them as 2-5 or 1,3; 1 is the noisiest")
        found |= set(range(int(first), int(last) + 1))
    return {"stages": tuple(sorted(found))}


def read_size(text: str) -> dict[str, Any]:
    """Read "WIDTHxHEIGHT" in pixels.

    Raises:
        UsageError: Anything else.
    """
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"{text!r} is not a size", "write it as WIDTHxHEIGHT in pixels, such as 512x768")
    return {"width": int(width), "height": int(height)}


def read_batch(text: str, largest: int | None = LARGEST_BATCH) -> dict[str, Any]:
    """Read a number of pictures or crops, or "auto".

    Args:
        text: The number.
        largest: What "auto" begins with; None to leave that open.

    Raises:
        UsageError: Anything else.
    """
    if text == "auto":
        return {"fit_batch": True} | ({} if largest is None else {"batch_size": largest})
    if not text.isdecimal():
        raise UsageError(f"{text!r} is not a batch size", "use a number, or auto")
    return {"batch_size": int(text)}


def _scheduler(value: str) -> str:
    name = scheduler_name(value)
    if name not in SCHEDULERS:
        raise UsageError(f"unknown scheduler {value!r}", f"choose one of: {', '.join(SCHEDULERS)}")
    return name


def _side(name: str) -> Any:
    def check(value: int) -> int:
        if value < 64 or value % 8:
            raise UsageError(f"{name} is {value} px", "sizes are multiples of 8, from 64 px")
        return value

    return check


def _stages(value: tuple[int, ...]) -> tuple[int, ...]:
    if any(stage < 1 for stage in value):
        raise UsageError(f"there is no stage {min(value)}", "count them from 1, the noisiest")
    return tuple(value)


_STRENGTH_HINT = "use a number above 0, up to 1; 0.6 is usual"


USUAL: dict[str, Any] = {"steps": 20, "scheduler": "ddim", "guidance_scale": 5.0, "guided": 1.0}
"""How pictures are sampled where nothing is said of it."""
BUILTIN_STEPS = 10
"""Of the usual sampler, for the built-in model: twice as many add a hundredth of likeness (`benchmarks/fast.py`)."""
BUILTIN_GUIDANCE_SCALE = 3.5
"""With more of it people are less like themselves, and no more is obeyed (`benchmarks/results/tried.md`)."""
FAST: dict[str, Any] = {"steps": 12, "scheduler": "dpm++", "guided": 0.75}
"""What `--fast` stands for; `benchmarks/fast.py` measures what it costs."""


class Sampler(NamedTuple):
    """How pictures are sampled, nothing left open; the names of the fields are those of the options."""

    steps: int
    scheduler: str
    guidance_scale: float
    guided: float


@dataclass(frozen=True)
class Sampling(Options):
    """What decides how a picture looks, beside prompt, seed and files: kept in its metadata."""

    steps: int | None = option(
        None,
        f"Sampler steps; {USUAL['steps']}, on the built-in model {BUILTIN_STEPS}.",
        "--steps",
        metavar="N",
        check=at_least("steps", 1, "20 to 50 is usual"),
    )
    guidance_scale: float | None = option(
        None,
        f"How closely to follow the prompt; {USUAL['guidance_scale']:g}, on the built-in model "
        f"{BUILTIN_GUIDANCE_SCALE:g}. 1 switches it off.",
        "--guidance-scale",
        metavar="X",
        check=not_negative("guidance scale"),
    )
    guided: float | None = option(
        None,
        "Guide only this share of the steps, from the first on; the others take half of the time.",
        "--guided",
        metavar="X",
        check=within("share of guided steps is {:g}", 0, 1, "use a number above 0, up to 1", above=True),
    )
    likeness: float = option(
        1.0,
        "How much of the person: 0 anybody of the class, 1 all, up to 2; of several people also alice=0.8,bob=1.",
        "--likeness",
        metavar="X",
        kind=str,
        check=within("likeness is {:g}", 0, 2, LIKENESS_HINT),
        read=read_likeness,
        write=written_likeness,
        is_of_text=True,
    )
    likeness_of: tuple[str, ...] = option(
        (),
        "Likeness of single people, as NAME=X; the others have that of all.",
        check=check_likeness_of,
        is_of_text=True,
    )
    likeness_keys: float | None = option(
        None,
        "The same for where the person's word looks (keys) alone.",
        "--likeness-k",
        metavar="X",
        check=within("likeness of keys is {:g}", 0, 2, LIKENESS_HINT),
        is_of_text=True,
    )
    likeness_values: float | None = option(
        None,
        "The same for what the person's word puts there (values) alone.",
        "--likeness-v",
        metavar="X",
        check=within("likeness of values is {:g}", 0, 2, LIKENESS_HINT),
        is_of_text=True,
    )
    stages: tuple[int, ...] = option(
        (),
        "Timestep stages with the person, 1 the noisiest; the class else.",
        "--in-stages",
        metavar="N-M",
        kind=str,
        check=_stages,
        former="--stages",
        read=read_stages,
        write=lambda group: ",".join(map(str, group.stages)) or None,
        is_of_text=True,
    )
    scheduler: str | None = option(
        None,
        f"{', '.join(SCHEDULERS)}; {USUAL['scheduler']} if not said.",
        "--scheduler",
        metavar="NAME",
        choices=SCHEDULERS,
        check=_scheduler,
    )
    eta: float = option(
        0.0,
        "Fresh noise at each step of ddim: 0 none, 1 as much as there can be.",
        "--eta",
        metavar="X",
        check=within("eta is {:g}", 0, 1, "use 0 to 1"),
    )
    negative_prompt: str = option(
        "",
        "What the picture should not show.",
        "--negative",
        metavar="TEXT",
        check=check_negative,
        is_of_text=True,
    )
    width: int | None = option(
        None,
        "In pixels; the base model's own size if not given.",
        "--size",
        metavar="WxH",
        kind=str,
        check=_side("width"),
        read=read_size,
        write=lambda group: f"{group.width}x{group.height}" if group.width and group.height else None,
    )
    height: int | None = option(None, "In pixels, as the width.", check=_side("height"))
    clip_skip: int = option(
        0,
        "Layers of the text encoder to leave out at its end.",
        "--clip-skip",
        metavar="N",
        check=at_least("clip skip", 0),
        is_of_text=True,
    )
    strength: float | None = option(
        None,
        "How much of --init or --into may change, above 0 up to 1; 0.6, with a mask or face 0.8.",
        "--strength",
        metavar="X",
        check=within("strength is {}", 0, 1, _STRENGTH_HINT, above=True),
    )
    control_scale: float = option(
        1.0,
        "How closely to follow --control-image.",
        "--control-scale",
        metavar="X",
        check=within("control scale is {:g}", 0, 2, "use 0 to 2; 1 is usual"),
    )
    hires: float = option(
        1.0,
        "Enlarge the picture so many times, and render it once more.",
        "--hires",
        metavar="X",
        check=within("a picture cannot be enlarged {:g} times", 1, 4, "use 1 to 4; 1.5 is usual"),
    )
    layout: str | None = option(
        None,
        f"Where people are: auto (usual), {', '.join(GRIDS)}, none to leave it to the prompt, or a JSON file.",
        "--layout",
        metavar="NAME",
        choices=LAYOUTS,
        check=check_layout,
        is_of_text=True,
    )
    region: tuple[str, ...] = option(
        (),
        "Where one person is, in shares of the picture: alice=LEFT,TOP,RIGHT,BOTTOM; one for each person.",
        "--region",
        metavar="NAME=BOX",
        check=check_regions,
        is_of_text=True,
        is_settable=False,
    )
    repair: int = option(
        0,
        "Render the face of whoever is not alike again in its place, at most so many times.",
        "--repair",
        metavar="N",
        check=at_least("repair", 0),
    )
    hires_strength: float = option(
        0.5,
        "How much of the enlarged picture may change.",
        "--hires-strength",
        metavar="X",
        check=within("strength of the second pass is {}", 0, 1, _STRENGTH_HINT, above=True),
    )


@dataclass(frozen=True)
class RenderConfig(Machine, Sampling):
    """How pictures are rendered: what decides their looks, and what only decides how soon they are there."""

    batch_size: int = option(
        4,
        "Pictures rendered at once; auto for as many as fit into memory.",
        "--batch",
        metavar="N",
        kind=str,
        check=at_least("batch size", 1),
        read=read_batch,
        is_repeated=False,
    )
    fit_batch: bool = option(False, "Halve the batch until it fits into memory.", is_repeated=False)
    fast: bool = option(
        False,
        f"As --steps {FAST['steps']} --scheduler {FAST['scheduler']} --guided {FAST['guided']}, "
        "each where it is not said.",
        "--fast",
        is_repeated=False,
        is_settable=False,
    )
    """False again in a config that has been made: what it stands for is in the others then."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fast:
            self._hurry()
        if self.eta and self.scheduler not in (None, "ddim"):
            raise UsageError(f"--eta means nothing to the scheduler {self.scheduler}", "leave it out, or use ddim")

    def _hurry(self) -> None:
        for name, value in FAST.items():
            if getattr(self, name) is None and not (name == "scheduler" and self.eta):
                object.__setattr__(self, name, value)
        object.__setattr__(self, "fast", False)

    def suiting(self, is_builtin: bool) -> Self:
        """The same with nothing left open of how it is sampled: as suits the built-in model, or any other.

        The built-in model needs fewer steps of the usual scheduler; of the others it was not measured. It needs less
        guidance, too.
        """
        few = is_builtin and self.scheduler in (None, USUAL["scheduler"])
        suits = USUAL | ({"guidance_scale": BUILTIN_GUIDANCE_SCALE} if is_builtin else {})
        suits |= {"steps": BUILTIN_STEPS} if few else {}
        left = {name: value for name, value in suits.items() if getattr(self, name) is None}
        return replace(self, **left) if left else self

    @property
    def sampler(self) -> Sampler:
        """How it is sampled; of a config that has been through `suiting`."""
        assert self.steps is not None
        assert self.scheduler is not None
        assert self.guidance_scale is not None
        assert self.guided is not None
        return Sampler(self.steps, self.scheduler, self.guidance_scale, self.guided)

    def strength_of(self, masked: bool) -> float:
        """How much of a picture to start from may change; `masked` tells whether a mask holds the rest."""
        return (0.8 if masked else 0.6) if self.strength is None else self.strength

    def with_likeness(self, likeness: float) -> Self:
        """The same with this likeness for keys and values of all people."""
        return replace(self, likeness=likeness, likeness_of=(), likeness_keys=None, likeness_values=None)

    @property
    def dials(self) -> tuple[float, float, tuple[int, ...]]:
        """Likeness of the keys, likeness of the values, and the stages with the person."""
        return self._dials(self.likeness)

    def dials_of(self, name: str) -> tuple[float, float, tuple[int, ...]]:
        """The same for one person, who may have a likeness of their own."""
        own = next((each.rpartition("=")[2] for each in self.likeness_of if each.rpartition("=")[0] == name), None)
        return self._dials(self.likeness if own is None else float(own))

    def _dials(self, likeness: float) -> tuple[float, float, tuple[int, ...]]:
        keys = likeness if self.likeness_keys is None else self.likeness_keys
        values = likeness if self.likeness_values is None else self.likeness_values
        return keys, values, self.stages
