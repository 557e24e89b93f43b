"""What the commands cost when ten thousand people are enrolled: processor seconds, beside the same with one person.

    python -m benchmarks.many_people                    # ten thousand people, best of three
    python -m benchmarks.many_people --people 500 --rounds 1

The people are made by hand: rows, embeddings of a Stable Diffusion 1.5 (30 KiB each), a run and two pictures each. A
command is a process of its own, imports and all; its children count with it. Both homes are measured in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.commands import run
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import save_identity
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

GOALS = {"list": 0.3, "completion": 0.3, "remove": 0.5, "doctor": 5.0}  # processor seconds with ten thousand people
_FIRST = "person00000"


@dataclass(frozen=True)
class Command:
    """A command line, and what completion's shell function sets besides."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


def command(name: str, turn: int) -> Command:
    """The command of that name; each turn removes somebody else."""
    if name == "completion":
        asked = {"_FACEID_COMPLETE": "complete_bash", "COMP_WORDS": "faceid show person0000", "COMP_CWORD": "2"}
        return Command((), asked)
    words = {"remove": ("remove", f"extra{turn}", "--yes")}.get(name, (name,))
    return Command(words, {})


def processor_seconds(home: Path, asked: Command) -> float:
    """User and system time of the command and its children.

    Raises:
        SystemExit: It failed.
    """
    fine = (0, 1) if asked.words == ("doctor",) else (0,)  # it ends with 1 where a helper network is missing
    words = [sys.executable, "-m", "faceid_cli", *asked.words]
    return run(words, {**asked.environment, "FACEID_HOME": str(home)}, fine=fine).worked


def write_embedding(name: str) -> Callable[[Identity], None]:
    """Writes somebody's embedding: five stages of 768 numbers, keys and values."""
    rng = np.random.default_rng(0)
    arrays = {"text_encoder": rng.standard_normal((5, 1, 768), dtype=np.float32)}
    return lambda kept: save_identity(kept.path, arrays, arrays, new_identity(name).metadata())


def new_identity(name: str) -> NewIdentity:
    """Somebody as `enroll` would keep them."""
    method = {"method": "sefi", "stages": 5, "steps": 300, "seed": 7}
    return NewIdentity(name, "person", "builtin", "sd1:0123456789abcdef", method, ("a" * 64,) * 4)


def fill(home: Path, people: int, extra: int) -> None:
    """Enrol one person, and as many more as copies; and some who will be removed."""
    os.environ["FACEID_HOME"] = str(home)
    with Registry.open() as registry:
        for name in (_FIRST, *(f"extra{number}" for number in range(extra))):
            run = NewRun({"steps": 300}, ((0.5, 0.25),) * 300, 60.0)
            one = registry.add_identity(new_identity(name), write_embedding(name), run)
            pictures = [
                NewRender((one.id,), home / f"{name}-{seed}.png", f"<{name}>, beach", seed, {}) for seed in (1, 2)
            ]
            registry.add_renders(pictures)
    with closing(sqlite3.connect(paths.registry_file())) as connection, connection:
        template = connection.execute("SELECT id FROM identities WHERE name = ?", (_FIRST,)).fetchone()[0]
        file = paths.identities_dir() / f"{template}.safetensors"
        for number in range(1, people):
            _copy(connection, template, f"{number:032x}", f"person{number:05d}")
            shutil.copyfile(file, file.with_name(f"{number:032x}.safetensors"))


def _copy(connection: sqlite3.Connection, template: str, identity_id: str, name: str) -> None:
    """Enrol somebody as a copy of another, with their runs and pictures."""
    _insert(connection, "identities", "id", template, {"id": identity_id, "name": name})
    _insert(connection, "runs", "identity_id", template, {"id": None, "identity_id": identity_id})
    pictures = "SELECT render_id FROM render_people WHERE identity_id = ?"
    for (render,) in connection.execute(pictures, (template,)).fetchall():
        new = _insert(connection, "renders", "id", render, {"id": None})
        connection.execute("INSERT INTO render_people VALUES (?, 0, ?)", (new, identity_id))


def _insert(connection: sqlite3.Connection, table: str, key: str, value: object, changes: dict[str, Any]) -> int | None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join("?" if column in changes else column for column in columns)
    given = [changes[column] for column in columns if column in changes]
    return connection.execute(
        f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE {key} = ?", (*given, value)
    ).lastrowid


def measured(homes: Sequence[Path], names: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """The least processor seconds of each command in each home."""
    best: dict[str, list[float]] = {}
    for name in names:
        turns = [[processor_seconds(home, command(name, turn)) for home in homes] for turn in range(rounds)]
        best[name] = [min(each) for each in zip(*turns, strict=True)]
    return best


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=tuple(GOALS), default=list(GOALS))
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder) / "few", Path(folder) / "many"]
        for home, people in zip(homes, (1, arguments.people), strict=True):
            fill(home, people, arguments.rounds)
        found = measured(homes, arguments.only, arguments.rounds)
    print(f"{'command':12}{'1 person':>12}{f'{arguments.people} people':>16}{'ratio':>8}{'goal':>8}")
    for name, (few, many) in found.items():
        print(f"{name:12}{few:12.2f}{many:16.2f}{many / few:8.2f}{GOALS[name]:8.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"people": arguments.people, "processor_seconds": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
