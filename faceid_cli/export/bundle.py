"""Bundles: people with their history in one file, to move them to another machine. A ZIP with a hash of each file.

What is in it has names that this module gives, by the people's numbers; nothing in it can run. A bundle from anywhere
is checked whole, and unpacked into a folder of its own, before anything of it is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from faceid_cli.errors import IdentityFileError, UsageError
from faceid_cli.export.native import native_file
from faceid_cli.export.person import Exported
from faceid_cli.kept.archive import Kind, OnFile, read_archive
from faceid_cli.kept.foreign import read_json, reading
from faceid_cli.kept.identity_file import IdentityFile, load_identity
from faceid_cli.kept.identity_schema import stored_run
from faceid_cli.kept.material import INDEX, SCORES
from faceid_cli.orders import TrainConfig
from faceid_cli.photo_files import opened_picture
from faceid_cli.registry.records import FROM_BUNDLE, NewRun
from faceid_cli.registry.run_record import RunRecord
from faceid_cli.registry.sources import without_folders

SUFFIX = ".faceid"
PARTS = ("crops", "previews", "scores")
"""What a bundle may hold of a person beside tokens, header and history."""
_IDENTITY, _HISTORY = "identity.safetensors", "history.json"
_PATTERNS = {
    "crops": re.compile(rf"(crop|mask)-\d{{3,4}}\.png|photo-\d{{3,4}}\.jpg|{re.escape(INDEX)}"),
    "previews": re.compile(r"preview-\d{1,9}\.png"),
    "scores": re.compile(re.escape(SCORES)),
}
_MATERIAL = "|".join(pattern.pattern for pattern in _PATTERNS.values())
_SETTINGS = {each.name for each in fields(TrainConfig)}
_AGAIN = "export the bundle again"
BUNDLE = Kind(
    "faceid-bundle",
    1,
    re.compile(rf"people/\d{{4}}/({re.escape(_IDENTITY)}|{re.escape(_HISTORY)}|{_MATERIAL})"),
    f"people/0001/{_IDENTITY}",
    IdentityFileError,
    "bundle",
    "nothing has been imported",
    most_bytes=2**31,
    most_files=100_000,
    most_list_bytes=2**25,
)


@dataclass(frozen=True)
class Bundled:
    """A person in a bundle that has been read.

    Attributes:
        stored: Tokens, and what the file says of them.
        run: How they were learned; None where the bundle does not say.
        material: Files of crops, samples and scores, unpacked.
    """

    stored: IdentityFile
    run: NewRun | None
    material: tuple[Path, ...]


def check_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """Return what is to be in a bundle, each once.

    Raises:
        UsageError: There is no such part.
    """
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"there is no part {part!r} of a bundle", f"choose of: {', '.join(PARTS)}")
    return tuple(dict.fromkeys(parts))


def bundle_files(
    number: int, person: Exported, run: NewRun | None, material: Path, parts: Sequence[str]
) -> Iterator[tuple[str, Path | bytes]]:
    """Yield a person's files: names in the bundle, and where they are or what is in them.

    Args:
        number: Of the person, from 1.
        person: Who it is.
        run: How they were learned, if that is known; paths of this machine are left out.
        material: Folder of their crops, samples and scores.
        parts: Which of those are wanted.
    """
    folder = f"people/{number:04d}"
    yield f"{folder}/{_IDENTITY}", native_file(person)
    if run is not None:
        yield f"{folder}/{_HISTORY}", json.dumps(_told(run), sort_keys=True).encode()
    for file in sorted(material.glob("*")):
        if file.is_file() and any(_PATTERNS[part].fullmatch(file.name) for part in parts):
            yield f"{folder}/{file.name}", file


def read_bundle(path: Path, folder: Path, on_file: OnFile | None = None) -> list[Bundled]:
    """Unpack a bundle into an empty folder, and check all that is in it.

    Raises:
        IdentityFileError: No bundle, or a damaged one.
        OutputError: There is no space for it.
        OSError: It cannot be unpacked.
    """
    read_archive(path, folder, on_file, BUNDLE)
    return [_person(path, place) for place in sorted((folder / "people").iterdir())]


def _told(run: NewRun) -> dict[str, Any]:
    _, method = without_folders("", RunRecord.of(run.settings).method)
    return {
        "settings": method,
        "losses": [list(each) for each in run.losses],
        "seconds": run.seconds,
        "resumed_from": run.resumed_from,
        "scores": run.scores,
    }


def _person(path: Path, place: Path) -> Bundled:
    with reading(path, IdentityFileError, _AGAIN):
        stored = load_identity(place / _IDENTITY)
        material = tuple(sorted(file for file in place.iterdir() if file.name not in (_IDENTITY, _HISTORY)))
        for file in material:
            _check(file)
        return Bundled(stored, _run(place / _HISTORY), material)


def _check(file: Path) -> None:
    """Check a file of the material: a picture of its ending's kind, or a table.

    Raises:
        ValueError, OSError: It is none.
    """
    if file.suffix == ".json":
        if not isinstance(read_json(file), dict):
            raise ValueError(f"{file.name} holds no table")
        return
    with opened_picture(file) as image:
        if image.format != {".png": "PNG", ".jpg": "JPEG"}[file.suffix]:
            raise ValueError(f"{file.name} is of another kind")
        image.load()


def _run(file: Path) -> NewRun | None:
    if not file.exists():
        return None
    found = stored_run(read_json(file))
    losses = tuple((float(first), float(second)) for first, second in found.losses)
    # Settings of the training alone: photos, and whatever else is on this machine, are not for a bundle to name.
    settings = {name: value for name, value in found.settings.items() if name in _SETTINGS} | {FROM_BUNDLE: True}
    return NewRun(settings, losses, float(found.seconds), found.resumed_from, dict(found.scores))
