"""The order for some pictures: everything that `generate` and `compose` can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import (
    FACES,
    at_least,
    check_least_likeness,
    check_output,
    check_prompt,
    check_seed,
    one_of,
    user_path,
)
from faceid_cli.orders.composing import NO_LAYOUT
from faceid_cli.orders.emphasis import check_weights
from faceid_cli.orders.loading import MODEL, ModelOptions
from faceid_cli.orders.option import Options, group, option, required
from faceid_cli.orders.sampling import RenderConfig

CONTROLS = ("canny", "openpose", "depth", "image")
"""What a control image shows: of "canny" faceid makes the edges itself, the others are given ready-made."""
FORMATS = ("png", "jpeg", "webp")
SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""Endings of picture files, and which kind of file they are; the first of each kind is what faceid writes."""
NOT_FOR_SEVERAL = ("names", "prompt", "auto", "into", "face")
"""What is not to be ordered where there are several people, beside what stands for itself."""

FOR_SEVERAL = ("layout", "region", "repair")
"""What means something only where there are several people."""

NOT_FOR_SCORES = (*FOR_SEVERAL, "hires", "hires_strength", "strength", "control_scale")
"""What means nothing where pictures are measured: each is of one person, from noise alone, and of one size."""


def suffix_of(kind: str) -> str:
    """The ending that files of a kind get."""
    return next(suffix for suffix, each in SUFFIXES.items() if each == kind)


def other_format(output: Path | str) -> UsageError:
    """The error for a file whose ending is none of SUFFIXES."""
    return UsageError(
        f"cannot write {output}: pictures are PNG, JPEG or WebP files",
        "give a name that ends in .png, .jpg or .webp, or a folder",
    )


def _format(value: str) -> str:
    return one_of("format", FORMATS)("jpeg" if value.lower() == "jpg" else value.lower())


@dataclass(frozen=True)
class RenderOrder(Options):
    """Pictures as they are asked for.

    Raises:
        UsageError: Options that do not go together.
    """

    groups: ClassVar[Mapping[str, type[Options]]] = {"config": RenderConfig, "options": ModelOptions}

    names: tuple[str, ...] = required("The people, enrolled under these names.")
    prompt: str = required("What the pictures are to show.", check=check_prompt)
    seed: int | None = option(
        None,
        "Seed of the first picture; random if not given, and shown.",
        "--seed",
        metavar="N",
        check=check_seed,
        is_repeated=False,
    )
    count: int = option(
        1, "Number of pictures.", "--count", "-n", metavar="K", check=at_least("count", 1), is_repeated=False
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
        "A .png, .jpg or .webp file, or a folder; nothing is overwritten.",
        "--output",
        "-o",
        metavar="PATH",
        check=check_output,
        is_repeated=False,
    )
    format: str = option(
        "png",
        "Of pictures in a folder: png, jpeg or webp.",
        "--format",
        metavar="KIND",
        choices=FORMATS,
        check=_format,
        is_repeated=False,
    )
    metadata: bool = option(
        True, "No prompt, people and settings in the file, only the mark of AI.", off="--no-metadata"
    )
    overwrite: bool = option(
        False,
        "Render again what is there already: otherwise the same seed into the same folder is kept.",
        "--overwrite",
        is_repeated=False,
        is_settable=False,
    )
    min_likeness: str | None = option(
        None,
        "Least likeness to the person's photos: similarity as evaluate scores it, such as 0.5, or percent: 70%.",
        "--min-likeness",
        metavar="X",
        kind=str,
        check=check_least_likeness,
        accepts=str | float | None,
        is_repeated=False,
    )
    tries: int = option(
        5,
        "Seeds to try for each picture until --min-likeness is reached; others go into rejected/.",
        "--tries",
        metavar="N",
        check=at_least("tries", 1),
        is_repeated=False,
    )
    init: Path | None = option(
        None, "A picture to start from, instead of noise alone.", "--init", metavar="FILE", is_settable=False
    )
    mask: Path | None = option(
        None, "White where --init may change; the rest stays as it is.", "--mask", metavar="FILE", is_settable=False
    )
    into: Path | None = option(
        None,
        "A photo to put the person's face into; the rest stays as it is.",
        "--into",
        metavar="FILE",
        is_settable=False,
    )
    face: str | int = option(
        "only",
        "Which face of --into: only, largest, left, right, or a number from the left.",
        "--face",
        metavar="WHICH",
        choices=FACES[1:],
        kind=str,
        is_settable=False,
    )
    control: tuple[str, str] | None = option(
        None,
        f"Follow an image with a ControlNet: a folder, a file or a hub id; KIND is {', '.join(CONTROLS)}.",
        "--control",
        metavar="KIND MODEL",
        choices=CONTROLS,
        kind=tuple[str, str] | None,
        is_source=True,
        is_settable=False,
    )
    control_image: Path | None = option(
        None,
        "What to follow; for canny any picture, for the others a ready-made pose, depth map, ...",
        "--control-image",
        metavar="FILE",
        is_settable=False,
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
                object.__setattr__(self, name, user_path(path))
        check_weights(self.prompt)
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
    def has_regions(self) -> bool:
        """Whether each person of the pictures gets a region of their own."""
        layout = self.config.layout
        return bool(self.config.region) or (layout != NO_LAYOUT and (len(self.names) > 1 or layout is not None))

    @property
    def files(self) -> dict[str, Path]:
        """The pictures that are given, by the option that gives them."""
        named = {"init": self.init, "mask": self.mask, "into": self.into, "control-image": self.control_image}
        return {name: path for name, path in named.items() if path is not None}
