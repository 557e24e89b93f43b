"""The whole way in one go: drawings of a fictional person, learned and rendered into new scenes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.api.enroll import OnStep, enroll
from faceid_cli.api.generate import generate
from faceid_cli.api.samples import draw_samples
from faceid_cli.errors import NameTakenError
from faceid_cli.orders.checks import check_output
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN, Identity, OnNote, OnProgress, Render

DEMO_NAME = "demo"
DEMO_TAG = "faceid-demo"
DEMO_SEED = 7
DEMO_PROMPTS = (
    "holding a basketball, eiffel tower",
    "smiling, mountains",
    "with a beard, beach",
    "eyes closed, forest",
)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    identity: Identity
    photos: list[Path]
    renders: list[Render]
    contact_sheet: Path


def demo(
    folder: Path | str = "faceid-demo",
    *,
    person: int = 0,
    steps: int | None = None,
    device: str | None = None,
    on_command: Callable[[str], None] | None = None,
    on_step: OnStep | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> DemoResult:
    """Draw a fictional person, learn them with the built-in model, and render them into new scenes.

    May be run again: the person called "demo" is replaced, the pictures get the next free names.

    Args:
        folder: Where everything goes.
        person: Which person, from 0.
        steps: Optimiser steps; the default of the preset if None.
        device: Where to compute; as the user's settings say if None.
        on_command: Called with each step as the command that does the same.
        on_step: Called after every training step.
        on_progress: Called with (sampler steps done, steps in all), for each prompt.
        on_note: Called with a line worth telling the user.

    Raises:
        NameTakenError: Somebody of the user's own is called "demo".
        OutputError: The folder cannot be written.
    """
    tell = on_command or (lambda command: None)
    target = check_output(folder)
    _check_own_name()
    photos_dir, pictures_dir = target / "photos" / f"person-{person}", target / "pictures"
    tell(_command("samples", str(photos_dir), "--person", str(person)))
    photos = draw_samples(photos_dir, person)
    pictures_dir.mkdir(parents=True, exist_ok=True)

    more = () if steps is None else ("--steps", str(steps))
    words = ("--replace", "--tag", DEMO_TAG, "--model", BUILTIN, *more)
    tell(_command("enroll", DEMO_NAME, str(photos_dir), *words))
    identity = enroll(
        DEMO_NAME,
        [photos_dir],
        steps=steps,
        device=device,
        model=BUILTIN,
        replace=True,
        tags=(DEMO_TAG,),
        on_step=on_step,
        on_note=on_note,
    )
    renders: list[Render] = []
    for prompt in DEMO_PROMPTS:
        tell(_command("generate", DEMO_NAME, prompt, "--seed", str(DEMO_SEED), "-o", str(pictures_dir)))
        renders += generate(
            DEMO_NAME,
            prompt,
            seed=DEMO_SEED,
            device=device,
            output=pictures_dir,
            on_progress=on_progress,
            on_note=on_note,
        )
    return DemoResult(identity, photos, renders, _contact_sheet(target, photos, renders))


def _check_own_name() -> None:
    with Registry.open(create=False) as registry:
        taken = registry.find(DEMO_NAME)
    if taken and DEMO_TAG not in taken.tags:
        raise NameTakenError(
            f"the demo uses the name {DEMO_NAME}, and somebody of yours has it",
            f"rename them first: faceid rename {DEMO_NAME} NEW",
        )


def _contact_sheet(folder: Path, photos: list[Path], renders: list[Render]) -> Path:
    from PIL import Image

    from faceid_cli.contact_sheet import contact_sheet
    from faceid_cli.rendering.save import plan_output, save_picture

    originals = []
    for file in photos[: len(renders)]:
        with Image.open(file) as image:
            originals.append(image.convert("RGB"))
    images = [*originals, *(made.image for made in renders)]
    captions = [*("learned from" for _ in originals), *(made.request.prompt for made in renders)]
    sheet = contact_sheet(images, captions, columns=len(renders), cell_px=256)
    return save_picture(sheet, plan_output(folder, "contact-sheet", 1))


def _command(*words: str) -> str:
    return shlex.join(("faceid", *words))
