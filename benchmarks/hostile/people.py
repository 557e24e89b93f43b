"""Files of people that are damaged and read, and the registry that holds them."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
import unicodedata
import zipfile
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.hostile.mutate import NASTY, changed_bytes, changed_json, changed_safetensors, json_text
from benchmarks.hostile.mutate import safetensors_parts as parts_of
from benchmarks.hostile.one_file import Kind, OneFile
from faceid_cli.api.doctor import _registry as registry_findings
from faceid_cli.api.export import export_bundle
from faceid_cli.api.import_ import import_identity, import_people
from faceid_cli.api.list import list_identities
from faceid_cli.api.remove import remove
from faceid_cli.cli.list import list_people
from faceid_cli.cli.models import list_ as list_models
from faceid_cli.cli.output import out
from faceid_cli.cli.show import show as show_person
from faceid_cli.export.bundle import BUNDLE
from faceid_cli.kept import paths
from faceid_cli.kept.archive import write_archive
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.registry.quick import known_names
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

METHOD = {"method": "sefi", "steps": 300, "model_options": {"variant": None, "vae": "v.safetensors", "loras": ["a:1"]}}
_COLUMNS = {
    "identities": (
        "name", "class_word", "base_model", "method", "photo_hashes", "created", "tags", "note", "consent", "id",
    ),
    "runs": ("created", "seconds", "resumed_from", "settings", "losses", "scores"),
    "renders": ("created", "path", "prompt", "seed", "settings"),
    "migrations": ("name",),
}  # fmt: skip


def _said(command: Callable[..., None], *words: object) -> None:
    """Let a command say what it has to, for people and as JSON, and look whether that is only letters."""
    for mode in ("human", "json"):
        out.reset()
        out.mode = mode
        with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as aside:
            command(*words)
        text = said.getvalue() + aside.getvalue()
        if mode == "json":
            json.loads(said.getvalue())
        if any(unicodedata.category(letter) in ("Cc", "Cf") for letter in text.replace("\n", "")):
            raise RuntimeError(f"{command.__name__} let through what steers a terminal: {text!r}")


def identity_bytes(folder: Path) -> bytes:
    """A person as `faceid export` writes them."""
    features = {"text_encoder": np.arange(160, dtype=np.float32).reshape(5, 1, 32)}
    said = IdentityMetadata(
        "alice", "woman", "someone/model", "sd1:0123456789abcdef", METHOD, ("a" * 64,), "a note", {"tags": ["x", "y"]}
    )
    save_identity(folder / "seed.safetensors", features, features, said)
    content = (folder / "seed.safetensors").read_bytes()
    (folder / "seed.safetensors").unlink()
    return content


def _changed_identity(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return changed_safetensors(content, chance)
    header, rest = parts_of(content)
    said = json.loads(header["__metadata__"]["faceid"])
    text = json_text(changed_json(said, chance), chance).decode("utf-8", "replace")
    header["__metadata__"]["faceid"] = text
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + rest


def identity(folder: Path) -> Kind:
    """Identity files, read."""
    content = identity_bytes(folder)
    return OneFile(folder, "x.safetensors", lambda chance: _changed_identity(content, chance), load_identity)


def imported(folder: Path) -> Kind:
    """Identity files, taken in; then all that is kept is listed, shown, checked and removed."""
    content = identity_bytes(folder)

    def take(path: Path) -> None:
        person = import_identity(path, name="bob", replace=True)
        _said(list_people)
        _said(show_person, "bob")
        _said(list_models)
        registry_findings()
        remove(person.name)

    with Registry.open():
        pass
    return OneFile(folder, "x.safetensors", lambda chance: _changed_identity(content, chance), take)


def bundle(folder: Path) -> OneFile:
    """Bundles of people with their history, taken in."""
    with Registry.open() as registry:
        new = NewIdentity("alice", "woman", "builtin", "sd1:0123456789abcdef", METHOD, ("a" * 64,), ("x",), "note")
        registry.add_identity(new, Registries._write, NewRun(METHOD, ((0.5, 0.25),), 1.0))
    content = export_bundle(["alice"], folder / "seed.faceid").path.read_bytes()
    remove("alice")

    def take(path: Path) -> None:
        for person in import_people(path, replace=True):
            _said(show_person, person.name)
            remove(person.name)

    return OneFile(folder, "x.faceid", lambda chance: _changed_bundle(content, chance), take)


def _changed_bundle(content: bytes, chance: random.Random) -> bytes:
    """A damaged bundle; or a sound one, with hashes that fit, of damaged files."""
    if chance.random() < 0.3:
        return changed_bytes(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}
    name = chance.choice(sorted(files))
    if name.endswith(".json"):
        files[name] = json_text(changed_json(json.loads(files[name]), chance), chance)
    else:
        files[name] = changed_bytes(files[name], chance)
    if chance.random() < 0.2:
        files[chance.choice(("../x.safetensors", "/x.png", "people/0001/../x.json", "people/0001/scores.json"))] = b"{}"
    with TemporaryDirectory() as scratch:
        write_archive(Path(scratch) / "x.faceid", files.items(), kind=BUNDLE)
        return (Path(scratch) / "x.faceid").read_bytes()


class Registries:
    """A registry with two people, damaged as a file or row by row, and then everything that reads it.

    Args:
        folder: For what is copied.
        by_row: Put values of another kind into rows, instead of damaging the file.
    """

    def __init__(self, folder: Path, by_row: bool = False) -> None:
        self._by_row = by_row
        with Registry.open() as registry:
            for name in ("alice", "bob"):
                new = NewIdentity(name, "woman", "builtin", "sd1:0123456789abcdef", METHOD, ("a" * 64,), ("x",), "note")
                person = registry.add_identity(new, self._write, NewRun(METHOD, ((0.5, 0.25),), 1.0))
                registry.add_renders([NewRender((person.id,), folder / "a.png", "a cup", 1, {"steps": 3})])
        with closing(sqlite3.connect(paths.registry_file())) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        self._home = shutil.copytree(paths.home(), folder / "good")

    @staticmethod
    def _write(person: Identity) -> None:
        features = {"text_encoder": np.zeros((5, 1, 32), np.float32)}
        save_identity(person.path, features, features, IdentityMetadata("x", "y", "builtin", "z"))

    def make(self, chance: random.Random) -> None:
        shutil.rmtree(paths.home())
        shutil.copytree(self._home, paths.home())
        file = paths.registry_file()
        if not self._by_row:
            file.write_bytes(changed_bytes(file.read_bytes(), chance))
            return
        table = chance.choice(("identities", "identities", *_COLUMNS))
        column, value = chance.choice(_COLUMNS[table]), chance.choice(NASTY)
        if chance.random() < 0.5:
            value = json.dumps(value)
        if not isinstance(value, str | int | float) or (isinstance(value, int) and abs(value) >= 2**63):
            value = chance.randbytes(9)
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
            value = value if chance.random() < 0.2 else value.decode("utf-8", "replace")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))

    def read(self) -> None:
        known_names()
        registry_findings()
        people = list_identities()
        _said(list_people)
        _said(list_models)
        for person in people:
            _said(show_person, person.name)
        if self._by_row and len(people) != 2:
            raise RuntimeError("somebody is hidden")
        for person in people:
            remove(person.name)

    def left(self) -> set[Path]:
        return set()
