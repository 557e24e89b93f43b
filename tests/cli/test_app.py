"""`main(argv)`: help, exit codes, errors as text, and how quickly it starts."""

import ast
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import faceid_cli
from faceid_cli import errors
from faceid_cli.cli import app as app_module
from faceid_cli.cli.app import main

COMMANDS = (
    *"enroll list show generate compose blend batch serve export import rename tag note remove samples".split(),  # noqa: SIM905
    *("demo", "doctor", "config", "backup", "restore", "info", "replay", "history"),
)
LATER = [(command,) for command in ("models", "photos", "weights", "evaluate", "attention", "report")]
ALL = [*((command,) for command in COMMANDS), *(("config", part) for part in ("get", "set", "unset", "list"))]


def test_version(faceid) -> None:
    assert faceid("--version").out == f"faceid {faceid_cli.__version__}\n"


def test_no_command_shows_the_help(faceid) -> None:
    assert faceid().out == faceid("--help").out
    assert faceid().code == 0


def test_help_names_every_command_and_exit_code(faceid) -> None:
    text = faceid("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in text
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    for code in codes:
        assert f"\n    {code:3}  " in text, f"exit code {code} is not documented"


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_help_shows_two_examples(faceid, command) -> None:
    answer = faceid(*command, "--help")
    assert answer.code == 0
    lines = answer.out.split("Examples:\n")[1].splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"    faceid {command[0]}"), line
    assert max(len(line) for line in answer.out.splitlines()) <= 100


@pytest.mark.parametrize("command", [(), *ALL, *LATER], ids=" ".join)
def test_every_help_fits_into_a_usual_terminal(faceid, monkeypatch, command) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in faceid(*command, "--help").out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", [name for name in ALL if name != ("config",)], ids=" ".join)
def test_every_command_has_json_and_quiet(faceid, command) -> None:
    text = faceid(*command, "--help").out
    assert "--json" in text
    assert "-q, --quiet" in text


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nonsense"], "error: no such command 'nonsense'\n  `faceid --help` shows what is possible\n"),
        (["show"], "error: missing argument 'NAME'\n  `faceid show --help` shows what is possible\n"),
        (["config", "zzz"], "error: no such command 'zzz'\n  `faceid config --help` shows what is possible\n"),
        (
            ["generate", "a", "b", "--count", "0"],
            "error: count must be 1 or more, not 0\n",
        ),
        (
            ["compose", "a", "b"],
            "error: compose needs two or more names and a prompt\n"
            '  such as: faceid compose alice bob "playing chess", or faceid compose alice "<alice> and an old man"\n',
        ),
    ],
)
def test_mistakes_on_the_command_line_are_two_short_lines(faceid, words, error) -> None:
    answer = faceid(*words)
    assert (answer.code, answer.out, answer.err) == (2, "", error)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (errors.NoFaceError("no face in a.png", "use another"), 4, "error: no face in a.png\n  use another\n"),
        (errors.OutOfMemoryError("out of\nmemory"), 10, "error: out of memory\n"),
        (KeyboardInterrupt(), 130, "error: stopped by Ctrl-C\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a/b"),
            9,
            "error: cannot use /a/b: permission denied\n  check the permissions, or give another path\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            9,
            "error: cannot use a file: no space left on device\n  free some disk space and try again\n",
        ),
    ],
)
def test_errors_become_text_and_exit_codes(faceid, monkeypatch, error, code, text) -> None:
    from faceid_cli.api import list as listing

    def fail(tag: str | None = None) -> None:
        raise error

    monkeypatch.setattr(listing, "list_identities", fail)
    answer = faceid("list")
    assert (answer.code, answer.out, answer.err) == (code, "", text)


@pytest.mark.parametrize("bug", [ValueError("a bug"), FileNotFoundError(errno.ENOENT, "a bug")])
def test_a_bug_keeps_its_traceback(faceid, monkeypatch, bug) -> None:
    from faceid_cli.api import list as listing

    def fail(tag: str | None = None) -> None:
        raise bug

    monkeypatch.setattr(listing, "list_identities", fail)
    with pytest.raises(type(bug), match="a bug"):
        faceid("list")


def test_a_bug_keeps_its_traceback_to_the_end_of_the_process() -> None:
    """What the system refuses is an OSError, too, and the console script looks at those once more."""
    bug = "from faceid_cli.api import list\ndef fail(tag=None): raise FileNotFoundError(2, 'a bug')\n"
    code = f"{bug}list.list_identities = fail\nfrom faceid_cli.cli.app import entry\nentry()"
    done = subprocess.run([sys.executable, "-c", code, "list"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("FileNotFoundError: [Errno 2] a bug\n")


@pytest.mark.skipif(os.name != "posix", reason="a folder that a process is in cannot be removed")
def test_a_folder_that_is_gone_is_told(faceid, alice, tmp_path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    answer = faceid("generate", "alice", "cup", "--steps", 1)
    assert (answer.code, answer.err) == (9, "error: the folder that this runs in is gone\n  go to another one\n")


def test_verbose_shows_where_an_error_comes_from(faceid) -> None:
    assert "Traceback" not in faceid("show", "bob").err
    for words in (("show", "bob", "--verbose"), ("--verbose", "show", "bob")):
        assert "Traceback" in faceid(*words).err


def test_modes_do_not_leak_from_one_call_to_the_next(faceid) -> None:
    faceid("list", "--json")
    assert faceid("config", "get", "model").out == "builtin\n"


@pytest.mark.parametrize("words", [["--help"], ["enroll", "--help"], ["list"], ["show", "bob"], ["config", "list"]])
def test_looking_around_does_not_import_torch(words) -> None:
    code = f"""
import sys
from faceid_cli.cli.app import main
main({words!r})
print(sorted({{"torch", "diffusers", "transformers", "facexlib", "numpy.random"}} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    heavy = ast.literal_eval(done.stderr.splitlines()[-1])
    assert set(heavy) <= {"numpy.random"}


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["list", "--tag", "family", "--json"], ["remove", "alice", "-y"]]
)
def test_what_should_be_quick_needs_neither_sqlmodel_nor_pydantic_nor_rich_nor_pillow(alice, words) -> None:
    code = f"""
import sys
from faceid_cli.cli.app import main
main({words!r})
print(sorted({{"sqlmodel", "sqlalchemy", "pydantic", "rich", "PIL", "numpy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_m_and_the_console_script_are_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "faceid_cli", "show", "nobody"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error: no identity is called 'nobody'\n")
    assert app_module.entry.__doc__


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m faceid_cli --help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Usage: faceid")
    assert done.stderr == ""


def test_main_takes_the_process_arguments(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["faceid", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("faceid ")
