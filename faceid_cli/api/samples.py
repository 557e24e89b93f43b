"""Picture files of a fictional person, for first steps without photos of one's own."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from faceid_cli.errors import OutputError, UsageError
from faceid_cli.kept.files import write_atomically
from faceid_cli.orders.checks import check_output, user_path


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
    target = user_path(check_output(folder))
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file, not a folder", "give another folder")

    # Drawing brings in packages that only it needs.
    from faceid_cli.builtin.samples import photo_set

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


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
