"""Faceid among other programs: in loops, pipes and night scripts, as processes of their own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import faceid_cli
from faceid_cli.registry.quick import known_names

_PACKAGE = Path(faceid_cli.__file__).parents[1]

# A command that is stopped while it works: the signal goes to the whole group, as a terminal sends it.
_STOPPED = f"""
import atexit, os, signal, sys
sys.path.insert(0, {str(_PACKAGE)!r})
from faceid_cli.api import list as listing
from faceid_cli.cli.app import entry
def stop(tag=None):
    atexit.register(print, "tidied up")
    {{kill}}
listing.list_identities = stop
sys.argv = ["faceid", "list"]
entry()
"""


@pytest.fixture
def stopped(tmp_path):
    def script(kill: str = "os.killpg(0, signal.SIGINT)") -> str:
        file = tmp_path / "stopped.py"
        file.write_text(_STOPPED.replace("{kill}", kill))
        return str(file)

    return script


def _shell(line: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, **more)


def test_ctrl_c_ends_the_process_by_the_signal_after_everything_is_said_and_tidied_up(stopped) -> None:
    done = subprocess.run(
        [sys.executable, stopped("os.kill(os.getpid(), signal.SIGINT)")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        -signal.SIGINT,
        "tidied up\n",
        "error: stopped by Ctrl-C\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_request_to_end_is_treated_as_ctrl_c_is(stopped, name) -> None:
    script = stopped(f"os.kill(os.getpid(), signal.{name})")

    def heed() -> None:  # where the tests run under nohup, their children would not
        signal.signal(signal.Signals[name], signal.SIG_DFL)

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, preexec_fn=heed)
    assert (done.returncode, done.stdout) == (-signal.Signals[name], "tidied up\n")


def test_ctrl_c_stops_a_loop_of_the_shell(stopped) -> None:
    loop = f"for name in a b c; do echo $name; {sys.executable} {stopped()}; done; echo after"
    done = _shell(loop, start_new_session=True)
    assert done.returncode == -signal.SIGINT
    assert done.stdout.split() == ["a", "tidied", "up"]


def test_a_script_that_outlives_ctrl_c_still_sees_130(stopped) -> None:
    done = _shell(f"{sys.executable} {stopped('os.kill(os.getpid(), signal.SIGINT)')}; echo $?")
    assert done.stdout.splitlines()[-1] == "130"


@pytest.mark.parametrize(("pressed", "code"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_ctrl_c_at_a_question_is_ctrl_c(faceid, add_person, monkeypatch, pressed, code) -> None:
    add_person("alice")

    def answer(prompt: str = "") -> str:
        raise pressed

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", answer)
    stopped = faceid("remove", "alice")
    assert stopped.code == code, stopped.err
    assert ("stopped by Ctrl-C" if code == 130 else "nothing was") in stopped.err
    assert faceid("list", "-q").out == "alice\n"


@pytest.mark.parametrize("output", ["-", "x-{seed}.png", "x-%03d.png"])
@pytest.mark.parametrize(
    "words",
    [
        ("generate", "alice", "x"),
        ("compose", "alice", "bob", "x"),
        ("attention", "alice", "x"),
        ("evaluate", "alice"),
        ("report", "alice"),
        ("export", "alice"),
        ("samples",),
        ("demo",),
        ("photos", "check", "{photos}", "--sheet"),
    ],
    ids=lambda words: words[0],
)
def test_no_command_takes_a_pattern_for_a_name(alice, faceid, photos, words, output) -> None:
    given = [word.replace("{photos}", str(photos)) for word in words]
    answer = faceid(*given, *(() if words[0] in ("samples", "demo", "photos") else ("-o",)), output)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: cannot write to {output}: ")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("prompt", ["-", "@prompts.txt"])
@pytest.mark.parametrize("words", [("generate", "alice"), ("compose", "alice", "bob"), ("attention", "alice")])
def test_no_command_draws_the_name_of_a_list(alice, faceid, words, prompt) -> None:
    answer = faceid(*words, prompt)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: the prompt is '{prompt}': a prompt is written out")


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("list >&-", 0, ""),
        ("list --json >&-", 0, ""),
        ("--help >&-", 0, ""),
        ("show alice >&- 2>&-", 0, ""),
        ("show bob 2>&-", 3, ""),
        ("list <&- >&- 2>&-", 0, ""),
        ("list <&-", 0, ""),
        ("nonsense 2>&-", 2, ""),
        ("remove alice <&-", 2, "error: cannot ask here: Forget alice, with everything that was learned?\n"),
        ("remove alice <&- >&-", 2, "error: cannot ask here: Forget alice, with everything that was learned?\n"),
        ("list >/dev/full", 9, "error: cannot write to standard output: no space left on device\n"),
        ("list --json >/dev/full", 9, "error: cannot write to standard output: no space left on device\n"),
        ("--help >/dev/full", 9, "error: cannot use a file: no space left on device\n"),
        ("list 1</dev/null", 9, "error: cannot write to standard output: bad file descriptor\n"),
        ("show bob 2>/dev/full", 3, ""),
        ("show alice 2>/dev/full", 0, ""),
        ("show alice 2</dev/null", 0, ""),
    ],
)
def test_streams_that_are_closed_or_full(add_person, line, code, err) -> None:
    add_person("alice")
    done = _shell(f"{sys.executable} -m faceid_cli {line}", cwd=_PACKAGE)
    said = "".join(part for part in done.stderr.splitlines(keepends=True) if part.startswith(("error", "Trace", "Exc")))
    assert (done.returncode, said) == (code, err), done.stderr
    assert known_names() == ["alice"]


def test_no_file_gets_the_number_of_a_closed_stream(add_person, tmp_path) -> None:
    """A library that prints would write into the registry, or into a picture."""
    add_person("alice")
    code = (
        "import os; from faceid_cli.cli.app import main; main(['show', 'alice']);"
        f"print(open({str(tmp_path / 'x')!r}, 'w').fileno() > 2, file=open({str(tmp_path / 'said')!r}, 'w'))"
    )
    _shell(f'{sys.executable} -c "$0" <&- >&- 2>&-'.replace("$0", code), cwd=_PACKAGE)
    assert (tmp_path / "said").read_text() == "True\n"


def test_a_home_that_cannot_be_written_can_be_rendered_from(alice, faceid, photos, quick, monkeypatch) -> None:
    from faceid_cli.registry import quick as quick_look
    from faceid_cli.registry import reading

    for module in (reading, quick_look):
        monkeypatch.setattr(module, "is_writable", lambda file: False)
    answer = faceid("generate", "alice", "x", "--steps", 1)
    assert answer.code == 0, answer.err
    assert Path("alice.png").is_file()
    assert "registry.db cannot be written, so it does not know of these pictures" in answer.err
    assert faceid("report", "alice", "--no-attention", "--no-open", "-o", ".").code == 0
    assert faceid("export", "alice").code == 0
    assert faceid("list", "-q").out == "alice\n"
    assert faceid("doctor").code in (0, 1)
    for words in (
        ("rename", "alice", "bob"),
        ("remove", "alice", "-y"),
        ("import", "alice.safetensors", "--name", "b"),
    ):
        answer = faceid(*words)
        assert (answer.code, answer.out) == (6, "")
        assert "registry.db cannot be written" in answer.err
    assert "registry.db cannot be written" in faceid("enroll", "bob", photos, *quick, "--model", "builtin").err
    assert faceid("list", "-q").out == "alice\n"
