"""What is lost when a command is killed, interrupted or out of disk space, at every system call that changes a file.

    python -m benchmarks.reliability                  # all of it, some minutes; Linux with a C compiler
    python -m benchmarks.reliability --every 10       # every tenth point
    python -m benchmarks.reliability --together 60    # and ten processes at once, for a minute

Each change of the registry is run once to count its system calls, and then once for each of them and each fault, in a
copy of a small home. Afterwards the next command runs, and then: whoever was there, or was to be kept, must be there
with every byte; who was removed must have left none; nothing else may lie about.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.faults import are_loaded, home, struck, with_faults
from faceid_cli.api.backup import backup
from faceid_cli.cli.app import entry
from faceid_cli.errors import FaceIDError, NameTakenError, UnknownNameError
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.kept.material import keep_material, material_folder
from faceid_cli.kept.runs import checkpoint_dir
from faceid_cli.model_files import fingerprint_of
from faceid_cli.registry.engine import make_engine
from faceid_cli.registry.migrations import MIGRATIONS, migrate
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import FaceCrop, Identity

FAULTS = {"killed": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "asked to end": signal.SIGTERM, "disk full": -1}
MARK = "Zweig-Emilia"
"""A name that nothing else contains: who is removed may leave it nowhere."""
_TAIL = Path("pictures") / f"{MARK}.png"


@dataclass
class Tally:
    """What came of one change under one fault."""

    change: str
    fault: str
    points: int = 0
    lost: list[str] = field(default_factory=list)
    wrecks: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)


# People


def person(name: str, value: float) -> Callable[[Identity], None]:
    """Writes the embedding, and crops, of somebody who is told from others by one number."""

    def write(kept: Identity) -> None:
        picture = Image.new("RGB", (8, 8), (int(value), 0, 0))
        crop = FaceCrop(image=picture, face=None, photo_path=Path(f"{name}.jpg"), photo_sha256="a" * 64)
        keep_material(kept.id, [crop], [picture.convert("L")], [])
        save_identity(kept.path, *features(value), new_identity(name).metadata())

    return write


def features(value: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Keys and values of an embedding that is all one number."""
    array = {"text_encoder": np.full((2, 1, 8), value, np.float32)}
    return array, array


def new_identity(name: str) -> NewIdentity:
    """Somebody as the registry is to keep them."""
    return NewIdentity(name, "woman", "builtin", "sd1:0123456789abcdef", {"method": "sefi"}, ("a" * 64,))


def value_of(kept: Identity) -> float:
    """The number that somebody's embedding consists of; the file is read and checked whole."""
    return float(load_identity(kept.path).keys["text_encoder"].flat[0])


def people() -> dict[str, float]:
    """Everybody who is enrolled, with their number."""
    with Registry.open(create=False) as registry:
        return {each.name: value_of(each) for each in registry.list()}


def fill_home(folder: Path) -> None:
    """Two people, one of them with all that a person may leave: crops, runs, a checkpoint, pictures, and a backup."""
    fingerprint_of("builtin")  # kept from now on
    with Registry.open() as registry:
        registry.add_identity(new_identity("bob"), person("bob", 7))
        run = NewRun({"note": MARK}, ((0.5, 0.25),) * 30, 3.0)
        one = registry.add_identity(new_identity(MARK), person(MARK, 1), run)
        registry.add_renders([NewRender((one.id,), folder / _TAIL, MARK, 1, {})])
    checkpoint_dir(MARK).mkdir(parents=True)
    (checkpoint_dir(MARK) / "state").write_text(MARK)
    file = paths.registry_file()
    shutil.copy(file, file.with_name(f"{file.name}.m002_consent.20260101T000000000000.bak"))


def fill_with_backup(folder: Path) -> None:
    """The same with a backup of both, after which one was learned anew."""
    fill_home(folder)
    backup(folder / "all.zip")
    with Registry.open() as registry:
        registry.replace_identity(new_identity(MARK), person(MARK, 5))


def fill_old_home(folder: Path) -> None:
    """The registry of the first version, with one person."""
    file = paths.registry_file()
    file.parent.mkdir(parents=True)
    engine = make_engine(file)
    migrate(engine, file, MIGRATIONS[:1])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO identities VALUES ('ad', 'ada', 'woman', 'builtin', 'sd1:0', '{}', '[]', '2026', '[]', '')"
        )
    engine.dispose()
    paths.identities_dir().mkdir()
    save_identity(paths.identities_dir() / "ad.safetensors", *features(3), new_identity("ada").metadata())


# Changes


@dataclass(frozen=True)
class Change:
    """A change of the registry.

    Attributes:
        run: Does it, in the process that the fault strikes; ends by SystemExit, as commands do.
        fill: Makes the home that it works in.
        outcomes: What people may come of it: as before, and as after.
    """

    run: Callable[[Path], None]
    fill: Callable[[Path], None]
    before: dict[str, float]
    after: dict[str, float]


def command(*words: str) -> Callable[[Path], None]:
    """A command line, run in the folder of `try_all`."""

    def run(folder: Path) -> None:
        sys.argv = ["faceid", *words]
        entry()

    return run


def end_of_an_enrolment(folder: Path) -> None:
    """What `faceid enroll --replace` does when the training is over."""
    with Registry.open() as registry:
        run = NewRun({"note": MARK}, ((0.5, 0.25),) * 30, 3.0)
        registry.replace_identity(new_identity(MARK), person(MARK, 2), run, spent=checkpoint_dir(MARK))


_BOTH = {"bob": 7.0, MARK: 1.0}
_FILE = "new.safetensors"
CHANGES = {
    "enroll": Change(end_of_an_enrolment, fill_home, _BOTH, {**_BOTH, MARK: 2.0}),
    "import": Change(command("import", _FILE, "--name", "carol"), fill_home, _BOTH, {**_BOTH, "carol": 2.0}),
    "replace": Change(command("import", _FILE, "--name", MARK, "--replace"), fill_home, _BOTH, {**_BOTH, MARK: 2.0}),
    "rename": Change(command("rename", MARK, "dora"), fill_home, _BOTH, {"bob": 7.0, "dora": 1.0}),
    "remove": Change(command("remove", MARK, "-y"), fill_home, _BOTH, {"bob": 7.0}),
    "restore": Change(command("restore", "all.zip", "--replace"), fill_with_backup, {**_BOTH, MARK: 5.0}, _BOTH),
    "migrate": Change(command("show", "ada"), fill_old_home, {"ada": 3.0}, {"ada": 3.0}),
}


# Faults


def try_all(name: str, every: int) -> list[Tally]:
    """One change under all faults, at each point."""
    change, tallies = CHANGES[name], []
    with tempfile.TemporaryDirectory(prefix="faceid-reliability-") as made:
        template = Path(made)
        os.environ["FACEID_HOME"] = str(template / "home")
        change.fill(template)
        save_identity(template / _FILE, *features(2), new_identity("carol").metadata())
        with home(template) as folder:
            code, said, points = struck(change.run, folder, 0, 0)
            assert code == 0, said
            assert people() == change.after
        for fault, kind in FAULTS.items():
            tally = Tally(name, fault)
            for point in range(1, points + 1, every):
                with home(template) as folder:
                    _try(change, folder, kind, point, tally)
            tallies.append(tally)
    return tallies


def _try(change: Change, folder: Path, kind: int, point: int, tally: Tally) -> None:
    where = f"{tally.change}, {tally.fault}, call {point}"
    code, said, _ = struck(change.run, folder, kind, point)
    tally.points += 1
    if "Traceback" in said or (kind == -1 and code not in (0, 6, 9)):
        tally.tracebacks.append(f"{where}: ended with {code}: {said[-900:]}")
    try:
        found = people()  # the next command
    except FaceIDError as error:
        tally.lost.append(f"{where}: {error.message}")
        return
    allowed = [change.after] if code == 0 else [change.before, change.after]
    if found not in allowed:
        tally.lost.append(f"{where}: ended with {code}, and {found} are there")
    tally.wrecks += [f"{where}: ended with {code}: {wreck}" for wreck in wrecks(found, folder)]


def wrecks(found: dict[str, float], folder: Path) -> list[str]:
    """What lies in the home and belongs to nobody, or holds the name of somebody who is gone."""
    with Registry.open(create=False) as registry:
        ids = {each.id for each in registry.list()}
        problems = registry.problems()
    known = {paths.registry_file(), *(paths.identities_dir() / f"{each}.safetensors" for each in ids)}
    known |= {path for each in ids for path in material_folder(each).glob("*")}
    known |= {path for name in found for path in checkpoint_dir(name).glob("*")}
    known |= {paths.fingerprints_file(), *paths.home().glob("registry.db.*.bak")}
    files = [path for path in paths.home().rglob("*") if path.is_file() and path.stat().st_size]
    strange = [f"{path.relative_to(paths.home())} is left" for path in files if path not in known]
    if not {MARK, "dora", "ada", "ben", "ann", "cid", "dot"} & set(found):
        strange += [f"{path.name} holds the name" for path in files if MARK.encode() in path.read_bytes()]
    return [*strange, *problems]


# Several at once


def try_together(processes: int, seconds: float) -> Tally:
    """Several processes that enroll, rename, replace and remove the same few names, until the time is up."""
    tally = Tally("all at once", f"{processes} processes")
    with tempfile.TemporaryDirectory(prefix="faceid-reliability-") as made:
        folder = Path(made)
        os.environ["FACEID_HOME"] = str(folder / "home")
        fill_home(folder)
        children = []
        for number in range(processes):
            if (child := os.fork()) == 0:
                os._exit(_rush(folder / f"said-{number}", number, time.monotonic() + seconds))
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        for number in range(processes):
            count, *wrong = (folder / f"said-{number}").read_text().splitlines()
            tally.points += int(count)
            tally.tracebacks += wrong
        found = people()
        if found.get("bob") != 7.0:
            tally.lost.append(f"bob, whom nobody touched, is {found.get('bob')}")
        tally.wrecks += wrecks(found, folder)
    return tally


def _rush(said: Path, number: int, until: float) -> int:
    chance, done, wrong = random.Random(number), 0, []
    while time.monotonic() < until:
        name, other = chance.sample(["ann", "ben", "cid", "dot", MARK], 2)
        try:
            with Registry.open() as registry:
                match chance.randrange(4):
                    case 0:
                        registry.add_identity(new_identity(name), person(name, number))
                    case 1:
                        registry.replace_identity(new_identity(name), person(name, number))
                    case 2:
                        registry.rename(name, other)
                    case 3:
                        registry.remove(name)
            done += 1
        except (NameTakenError, UnknownNameError):
            done += 1
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}".replace("\n", " "))
    said.write_text("\n".join([str(done), *wrong]))
    return 0


# The table


def main() -> None:
    """Run what is asked for; write the table, and what went wrong line by line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("changes", nargs="*", choices=[*CHANGES, []], help="some of the changes; all by default")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try each Nth point only")
    parser.add_argument("--together", type=float, default=0, metavar="SECONDS", help="then ten processes at once")
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args()
    if not are_loaded():
        sys.exit(with_faults("benchmarks.reliability", sys.argv[1:]))
    began = time.monotonic()
    tallies = [tally for name in options.changes or CHANGES for tally in try_all(name, options.every)]
    if options.together:
        tallies.append(try_together(10, options.together))
    if options.json:
        print(json.dumps([asdict(tally) for tally in tallies]))
        return
    print("| change | fault | points | lost | wreck left | tracebacks |\n|---|---|---|---|---|---|")
    for each in tallies:
        wrong = (len(each.lost), len(each.wrecks), len(each.tracebacks))
        print(f"| {each.change} | {each.fault} | {each.points} | {' | '.join(map(str, wrong))} |")
    print(f"\n{sum(each.points for each in tallies)} points in {time.monotonic() - began:.0f} s")
    for each in tallies:
        for line in (*each.lost, *each.wrecks, *each.tracebacks):
            print(line)


if __name__ == "__main__":
    main()
