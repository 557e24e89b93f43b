import io
import sys

import pytest

from faceid_cli.cli.output import Output, pairs, table
from faceid_cli.cli.output import out as shared
from faceid_cli.cli.progress import render_progress, training_progress
from faceid_cli.errors import FaceIDError
from faceid_cli.types import StepReport


class Terminal(io.StringIO):
    """A stderr that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def out(monkeypatch) -> Output:
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Output()


@pytest.mark.parametrize(
    ("mode", "stdout", "stderr"),
    [
        ("human", "a line\n", "a note\na hint\nwarning: a warning\n"),
        ("quiet", "x\n", "warning: a warning\n"),
        ("json", '{\n  "version": 1,\n  "key": "x"\n}\n', "a note\nwarning: a warning\n"),
    ],
)
def test_each_mode_says_its_part(out, capsys, mode, stdout, stderr) -> None:
    out.mode = mode
    out.result({"key": "x"}, ["a line"], ["x"])
    out.note("a note")
    out.hint("a hint")
    out.warn("a warning")
    assert capsys.readouterr() == (stdout, stderr)


def test_colour_only_in_a_terminal_that_wants_it(out, monkeypatch) -> None:
    error = FaceIDError("bad", "do good")
    said = []
    for no_color, stream in ((None, Terminal()), ("1", Terminal()), (None, io.StringIO())):
        if no_color:
            monkeypatch.setenv("NO_COLOR", no_color)
        else:
            monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr(sys, "stderr", stream)
        out.error(error)
        said.append(stream.getvalue())
    assert said[0] == "\x1b[31m\x1b[1merror:\x1b[0m bad\n\x1b[2m  do good\x1b[0m\n"
    assert said[1] == said[2] == "error: bad\n  do good\n"


def test_table_and_pairs_are_aligned() -> None:
    assert table([("a", "1"), ("long", "")], ("NAME", "N")) == ["NAME  N", "a     1", "long"]
    assert pairs({"a": "1", "none": "", "long": "2"}) == ["a     1", "long  2"]


def step(number: int, total: int = 2) -> StepReport:
    return StepReport(number, total, 0.5, 0.25, 4.0, 75.0)


def test_progress_is_plain_lines_outside_of_a_terminal(capsys) -> None:
    shared.reset()
    with training_progress() as report:
        report(step(1))
        report(step(2))
    assert capsys.readouterr().err == (
        "step 2/2  reconstruction 0.5000  attention 0.25000  4.0 steps/s, 1 min 15 s left\n"
    )


def test_progress_moves_in_a_terminal(monkeypatch) -> None:
    shared.reset()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with training_progress() as report:
        report(step(1))
        report(step(2))
    with render_progress() as progress:
        progress(1, 20)
        progress(20, 20)
    text = terminal.getvalue()
    assert "reconstruction 0.5000  attention 0.25000" in text
    assert "1 min 15 s left" in text
    assert "20/20" in text
