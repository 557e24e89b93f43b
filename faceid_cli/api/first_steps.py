"""First steps without photos of one's own: drawings of a fictional person, and the whole way from there in one go."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.api.base_models import OnNote
from faceid_cli.api.learning import OnStep, enroll
from faceid_cli.api.pictures import OnProgress, generate
from faceid_cli.config import RenderConfig, preset
from faceid_cli.errors import NameTakenError, OutputError, UsageError
from faceid_cli.model_files import BUILTIN
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, Render

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


def draw_samples(folder: Path | str, person: int = 0, count: int = 5) -> list[Path]:
    """Draw picture files of a fictional person of the built-in world; the same person and count, the same pictures.

    Args:
        folder: Made if it does not exist.
        person: Which person, 0 to 499,999; none of them is among those that the built-in model was trained on.
        count: Number of pictures.

    Raises:
        UsageError: No such person, or no pictures.
        OutputError: The folder cannot be written, or holds other files of these names.
    """
    if count < 1:
        raise UsageError(f"count must be 1 or more, not {count}")
    target = Path(folder).expanduser()
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file, not a folder", "give another folder")

    # Drawing brings in packages that only it needs.
    from faceid_cli.builtin.samples import photo_set
    from faceid_cli.identity_file import write_atomically

    try:
        drawings = photo_set(person, count, 0)
    except ValueError as error:
        raise UsageError(f"there is no person {person}", "people are numbered from 0 to 499999") from error
    digits = len(str(count))
    files = []
    for number, drawing in enumerate(drawings, start=1):
        file = target / f"person-{person}-{number:0{digits}}.png"
        content = _png(drawing.image)
        if not file.exists():
            write_atomically(file, content)
        elif file.read_bytes() != content:
            raise OutputError(f"{file} exists already and is another picture", "give another folder")
        files.append(file)
    return files


def demo(
    folder: Path | str = "faceid-demo",
    *,
    person: int = 0,
    steps: int | None = None,
    device: str = "auto",
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
        device: Where to compute.
        on_command: Called with each step as the command that does the same.
        on_step: Called after every training step.
        on_progress: Called with (sampler steps done, steps in all), for each prompt.
        on_note: Called with a line worth telling the user.

    Raises:
        NameTakenError: Somebody of the user's own is called "demo".
        OutputError: The folder cannot be written.
    """
    tell = on_command or (lambda command: None)
    target = Path(folder)
    _check_own_name()
    photos_dir, pictures_dir = target / "photos" / f"person-{person}", target / "pictures"
    tell(_command("samples", str(photos_dir), "--person", str(person)))
    photos = draw_samples(photos_dir, person)
    pictures_dir.mkdir(parents=True, exist_ok=True)

    more = () if steps is None else ("--steps", str(steps))
    words = ("--replace", "--tag", DEMO_TAG, "--model", BUILTIN, *more)
    tell(_command("enroll", DEMO_NAME, str(photos_dir), *words))
    config = preset("sefi", steps=steps, device=device)
    identity = enroll(
        DEMO_NAME,
        [photos_dir],
        config=config,
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
            config=RenderConfig(device=device),
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

    from faceid_cli.rendering.contact_sheet import contact_sheet
    from faceid_cli.rendering.save import plan_output, save_picture

    originals = []
    for file in photos[: len(renders)]:
        with Image.open(file) as image:
            originals.append(image.convert("RGB"))
    images = [*originals, *(made.image for made in renders)]
    captions = [*("learned from" for _ in originals), *(made.request.prompt for made in renders)]
    sheet = contact_sheet(images, captions, columns=len(renders), cell_px=256)
    return save_picture(sheet, plan_output(folder, "contact-sheet", 1))


def _png(image: object) -> bytes:
    import io

    from PIL import Image

    assert isinstance(image, Image.Image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _command(*words: str) -> str:
    return shlex.join(("faceid", *words))
