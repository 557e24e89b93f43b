"""Rendered pictures on disk: where they go, and writing them whole or not at all.

Plan first (`plan_output`), so that a path that cannot work is an error before the rendering, not after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from faceid_cli.errors import OutputError
from faceid_cli.kept.files import check_writable, output_error, write_atomically, write_new
from faceid_cli.kept.remote import is_remote, write_remote, write_remote_new
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.rendering import SUFFIXES, other_format, suffix_of
from faceid_cli.rendering.encoded import EncodedRender
from faceid_cli.rendering.metadata import picture_bytes
from faceid_cli.rendering.provenance import Provenance, signed_picture
from faceid_cli.rendering.record import RenderMetadata
from faceid_cli.types import Render


@dataclass(frozen=True)
class OutputPlan:
    """Where pictures go.

    Attributes:
        folder: Where the files go; it exists.
        stem: File name without number and suffix.
        numbered: Whether the first picture carries a number too, because there are several.
        suffix: Of the files, one of SUFFIXES.
        is_told: Whether the files may hold prompt, people and settings.
        provenance: Marks and signs rendered pictures; None for neither.
    """

    folder: Path
    stem: str
    numbered: bool
    suffix: str = ".png"
    is_told: bool = True
    provenance: Provenance | None = None

    @property
    def kind(self) -> str:
        """Of the files: "png", "jpeg" or "webp"."""
        return SUFFIXES[self.suffix.lower()]

    def candidates(self) -> Iterator[Path]:
        """File names in the order in which they are tried: stem.png, stem-2.png, ...; stem-1.png first if numbered."""
        if not self.numbered:
            yield self.folder / f"{self.stem}{self.suffix}"
        number = 1 if self.numbered else 2
        while True:
            yield self.folder / f"{self.stem}-{number}{self.suffix}"
            number += 1


def plan_output(
    output: Path | None, default_stem: str, count: int, kind: str = "png", is_told: bool = True
) -> OutputPlan:
    """Check where `count` pictures are to go, before any of them is rendered.

    Args:
        output: A file with an ending of SUFFIXES, or a folder (made if only its last part is missing); None for the
            current folder.
        default_stem: File name without suffix, used in folders.
        count: Number of pictures.
        kind: Of files in folders: "png", "jpeg" or "webp".
        is_told: Whether the files may hold prompt, people and settings.

    Raises:
        UsageError: A file of another format.
        OutputError: A folder that is missing, is a file, or cannot be written.
    """
    output = Path() if output is None else user_path(output)
    with _as_output_error(output):
        return _plan(output, default_stem, count, kind, is_told)


def _plan(output: Path, default_stem: str, count: int, kind: str, is_told: bool) -> OutputPlan:
    check_output_place(output)
    if output.suffix and not output.is_dir():
        return OutputPlan(output.parent, output.stem, count > 1, output.suffix, is_told)
    if not output.is_dir():
        output.mkdir(exist_ok=True)
        check_writable(output)
    return OutputPlan(output, default_stem, count > 1, suffix_of(kind), is_told)


def check_output_place(output: Path) -> None:
    """Check all of it that can be checked without making anything.

    Args:
        output: As of `plan_output`.

    Raises:
        UsageError, OutputError: As of `plan_output`.
    """
    output = user_path(output)
    with _as_output_error(output):  # even asking about a path can fail: too long a name, a folder one may not enter
        is_folder = output.is_dir()
        if not is_folder:
            _check_new(output)
    folder = output if is_folder else output.parent
    with _as_output_error(folder):
        check_writable(folder)


def save_picture(image: Image.Image, plan: OutputPlan, metadata: RenderMetadata | None = None) -> Path:
    """Write one picture under the plan's first free name, whole or not at all; never over an existing file.

    Without metadata it is a sheet or figure, and marked as made in part by a trained model.

    Raises:
        UsageError: As `picture_bytes`.
        OutputError: Permissions, a full disk, a folder that has gone.
    """
    return _write(picture_bytes(image, metadata, plan.kind, plan.is_told), plan)


def save_render(render: Render, plan: OutputPlan, metadata: RenderMetadata) -> Render:
    """Write a render with its metadata and return it with its path; with a watermark if the plan says so.

    Raises:
        FaceIDError: It cannot be signed.
        UsageError, OutputError: As `save_picture`.
    """
    finished, data = _finished(render, plan, metadata, plan.kind)
    return _at(finished, _write(data, plan))


def save_over(render: Render, path: Path, plan: OutputPlan, metadata: RenderMetadata) -> Render:
    """Write a render in the place of whatever has that name, whole or not at all.

    Args:
        render: To be written.
        path: The name; its ending says which kind of file it is.
        plan: What is told in the file, and who signs it.
        metadata: Of the picture.

    Raises:
        FaceIDError, UsageError, OutputError: As `save_render`.
    """
    finished, data = _finished(render, plan, metadata, SUFFIXES.get(path.suffix.lower(), plan.kind))
    if is_remote(path):
        write_remote(path, data)
    else:
        write_atomically(path, data)
    return _at(finished, path)


def _finished(render: Render, plan: OutputPlan, metadata: RenderMetadata, kind: str) -> tuple[Render, bytes]:
    if plan.provenance is not None:
        image, data = signed_picture(plan.provenance, render.image, metadata, kind, plan.is_told)
        return Render(image, render.request, render.settings), data
    if isinstance(render, EncodedRender) and render.kind == kind:  # the worker has written metadata into it
        return render, render.data
    return render, picture_bytes(render.image, metadata, kind, plan.is_told)


def _at(render: Render, path: Path) -> Render:
    return render.at(path) if isinstance(render, EncodedRender) else replace(render, path=path)


def _write(data: bytes, plan: OutputPlan) -> Path:
    if is_remote(plan.folder):
        return write_remote_new(data, plan.candidates())
    with _as_output_error(plan.folder):
        return write_new(data, plan.folder, plan.candidates())


def _check_new(output: Path) -> None:
    """A picture's file, or a folder that is still to be made."""
    if output.suffix and output.suffix.lower() not in SUFFIXES:
        raise other_format(output)
    if not output.suffix and output.exists():
        raise OutputError(f"{output} is a file, not a folder", "give a file name that ends in .png, or another folder")
    parent = output.parent
    if not parent.exists():
        raise OutputError(f"cannot write {output}: there is no folder {parent}", "make the folder first")
    if not parent.is_dir():
        raise OutputError(f"cannot write {output}: {parent} is not a folder", "give another path")


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error
