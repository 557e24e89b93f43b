"""How pictures are rendered, and the order for some: everything that `generate` and `compose` can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import at_least, check_seed, not_negative, within
from faceid_cli.orders.loading import MODEL, Machine, ModelOptions
from faceid_cli.orders.option import Options, group, option, required

CONTROLS = ("canny", "openpose", "depth", "image")
"""What a control image shows: of "canny" faceid makes the edges itself, the others are given ready-made."""
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
FACES = ("auto", "only", "largest", "left", "right")
"""Words for one of several faces; a number counts them from the left."""
NOT_FOR_SEVERAL = ("names", "prompt", "auto", "into", "face")
"""What is not to be ordered where there are several people, beside what stands for itself."""
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


def _steps(value: int) -> int:
    at_least("steps", 1)(value)
    if value > 1000:
        raise UsageError(f"steps is {value}, but there are only 1000 timesteps", "20 to 50 is usual")
    return value


def _stages(value: tuple[int, ...]) -> tuple[int, ...]:
    if any(stage < 1 for stage in value):
        raise UsageError(f"there is no stage {min(value)}", "count them from 1, the noisiest")
    return tuple(value)


_LIKENESS_HINT = "0 is anybody of the class, 1 the person, 2 the most"
_STRENGTH_HINT = "use a number above 0, up to 1; 0.6 is usual"


@dataclass(frozen=True)
class Sampling(Options):
    """What decides how a picture looks, beside prompt, seed and files: kept in its metadata."""

    steps: int = option(20, "Sampler steps.", "--steps", metavar="N", check=_steps)
    guidance_scale: float = option(
        5.0,
        "How closely to follow the prompt; 1 switches it off.",
        "--guidance-scale",
        metavar="X",
        check=not_negative("guidance scale"),
    )
    likeness: float = option(
        1.0,
        "How much of the person: 0 anybody of the class, 1 all, up to 2.",
        "--likeness",
        metavar="X",
        check=within("likeness is {:g}", 0, 2, _LIKENESS_HINT),
    )
    likeness_keys: float | None = option(
        None,
        "The same for where the person's word looks (keys) alone.",
        "--likeness-k",
        metavar="X",
        check=within("likeness of keys is {:g}", 0, 2, _LIKENESS_HINT),
    )
    likeness_values: float | None = option(
        None,
        "The same for what the person's word puts there (values) alone.",
        "--likeness-v",
        metavar="X",
        check=within("likeness of values is {:g}", 0, 2, _LIKENESS_HINT),
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
    )
    scheduler: str = option(
        "ddim",
        ", ".join(SCHEDULERS) + ".",
        "--scheduler",
        metavar="NAME",
        choices=SCHEDULERS,
        check=_scheduler,
    )
    negative_prompt: str = option("", "What the picture should not show.", "--negative", metavar="TEXT")
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
        is_recorded=False,
    )
    fit_batch: bool = option(False, "Halve the batch until it fits into memory.", is_recorded=False)

    def strength_of(self, masked: bool) -> float:
        """How much of a picture to start from may change; `masked` tells whether a mask holds the rest."""
        return (0.8 if masked else 0.6) if self.strength is None else self.strength

    @property
    def dials(self) -> tuple[float, float, tuple[int, ...]]:
        """Likeness of the keys, likeness of the values, and the stages with the person."""
        keys = self.likeness if self.likeness_keys is None else self.likeness_keys
        values = self.likeness if self.likeness_values is None else self.likeness_values
        return keys, values, self.stages


@dataclass(frozen=True)
class RenderOrder(Options):
    """Pictures as they are asked for.

    Raises:
        UsageError: Options that do not go together.
    """

    groups: ClassVar[Mapping[str, type[Options]]] = {"config": RenderConfig, "options": ModelOptions}

    names: tuple[str, ...] = required("The people, enrolled under these names.")
    prompt: str = required("What the pictures are to show.")
    seed: int | None = option(
        None,
        "Seed of the first picture; random if not given, and shown.",
        "--seed",
        metavar="N",
        check=check_seed,
        is_repeated=False,
    )
    count: int = option(
        1,
        "Number of pictures.",
        "--count",
        "-n",
        metavar="K",
        check=at_least("count", 1),
        is_repeated=False,
    )
    config: RenderConfig = group(RenderConfig)
    auto: bool = option(
        False,
        "Try five levels of likeness on four pictures each, and take the best for PROMPT.",
        "--auto",
        is_repeated=False,
    )
    output: Path | None = option(
        None,
        "A .png file or a folder; nothing is overwritten.",
        "--output",
        "-o",
        metavar="PATH",
        is_repeated=False,
    )
    init: Path | None = option(None, "A picture to start from, instead of noise alone.", "--init", metavar="FILE")
    mask: Path | None = option(
        None, "White where --init may change; the rest stays as it is.", "--mask", metavar="FILE"
    )
    into: Path | None = option(
        None, "A photo to put the person's face into; the rest stays as it is.", "--into", metavar="FILE"
    )
    face: str | int = option(
        "only",
        "Which face of --into: only, largest, left, right, or a number from the left.",
        "--face",
        metavar="WHICH",
        choices=FACES[1:],
        kind=str,
    )
    control: tuple[str, str] | None = option(
        None,
        f"Follow an image with a ControlNet: a folder, a file or a hub id; KIND is {', '.join(CONTROLS)}.",
        "--control",
        metavar="KIND MODEL",
        choices=CONTROLS,
        kind=tuple[str, str] | None,
        is_source=True,
    )
    control_image: Path | None = option(
        None,
        "What to follow; for canny any picture, for the others a ready-made pose, depth map, ...",
        "--control-image",
        metavar="FILE",
    )
    embeddings: tuple[str, ...] = option(
        (),
        "A textual-inversion file; the prompt marks it as <WORD>.",
        "--embedding",
        metavar="FILE[:WORD]",
        is_source=True,
    )
    model: str | None = option(None, MODEL.help, *MODEL.flags, metavar=MODEL.metavar, is_source=True)
    options: ModelOptions | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("init", "mask", "into", "control_image", "output"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(path).expanduser())
        self._check_pictures()
        self._check_control()
        if self.auto and (self.files or self.embeddings):
            raise UsageError("--auto tries pictures from noise alone", "choose --likeness yourself")

    def _check_pictures(self) -> None:
        if self.into is not None and (self.init is not None or self.mask is not None):
            raise UsageError(
                "a face cannot be replaced and a picture started from at once",
                "give either --into FILE, or --init FILE with --mask FILE",
            )
        if self.mask is not None and self.init is None:
            raise UsageError("a mask needs a picture to belong to", "give the picture with --init FILE")
        if self.face != "only" and self.into is None:
            raise UsageError("a face is chosen where one is replaced", "give the photo with --into FILE")

    def _check_control(self) -> None:
        kind, model = self.control or ("", "")
        if kind and kind not in CONTROLS:
            raise UsageError(f"unknown control {kind!r}", f"choose one of: {', '.join(CONTROLS)}")
        if kind and not model:
            raise UsageError("the ControlNet is missing", f"such as: --control {kind} owner/name")
        if kind and self.control_image is None:
            made = "any picture: its edges are found" if kind == "canny" else "ready-made; faceid makes none"
            raise UsageError(f"{kind} needs an image to follow", f"give --control-image FILE ({made})")
        if self.control_image is not None and not kind:
            raise UsageError("a control image needs a ControlNet", "such as: --control canny owner/name")

    @property
    def files(self) -> dict[str, Path]:
        """The pictures that are given, by the option that gives them."""
        named = {"init": self.init, "mask": self.mask, "into": self.into, "control-image": self.control_image}
        return {name: path for name, path in named.items() if path is not None}
