"""Letting faults strike a process at its system calls; see faults.c. Linux with a C compiler."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faceid_cli.errors import FaceIDError


def are_loaded() -> bool:
    """Whether this process has the library of faults."""
    return "faults" in os.environ.get("LD_PRELOAD", "")


def with_faults(module: str, words: list[str]) -> int:
    """Run a module with the library of faults before all others; returns how it ended."""
    with tempfile.TemporaryDirectory(prefix="faceid-reliability-") as folder:
        library = Path(folder) / "faults.so"
        source = Path(__file__).with_name("faults.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        more = {"LD_PRELOAD": str(library), "NO_COLOR": "1"}
        again = [sys.executable, "-m", module, *words]
        return subprocess.run(again, env=os.environ | more, check=False).returncode


@contextmanager
def home(template: Path) -> Iterator[Path]:
    """A copy of a folder that holds a home, which is the user's own meanwhile."""
    with tempfile.TemporaryDirectory(prefix="faceid-reliability-") as name:
        folder = Path(name) / "it"
        shutil.copytree(template, folder)
        os.environ["FACEID_HOME"] = str(folder / "home")
        yield folder


def struck(run: Callable[[Path], None], folder: Path, kind: int, point: int) -> tuple[int, str, int]:
    """Run something in a process of its own and let a fault strike it.

    Args:
        run: Is given the folder, and may end by SystemExit, as commands do.
        folder: Where it runs.
        kind: As in faults.c.
        point: The number of the system call that is struck.

    Returns:
        How the process ended (an exit code, or a signal as a negative number), what it said, and how many points it
        has passed.
    """
    said = folder / "said"
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        os._exit(_in_child(run, folder, said, kind, point, writing))
    os.close(writing)
    with open(reading, "rb") as pipe:
        seen = pipe.read()
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace"), int(seen or 0)


def _in_child(run: Callable[[Path], None], folder: Path, said: Path, kind: int, point: int, pipe: int) -> int:
    shim = ctypes.CDLL(None)
    number = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.chdir(folder)
    atexit._clear()
    code = 0
    try:
        shim.faults_arm(kind, point)
        run(folder)
    except SystemExit as stop:
        code = int(stop.code or 0)
    except FaceIDError as error:
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    os.write(pipe, str(shim.faults_seen()).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
    return code
