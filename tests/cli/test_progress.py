"""What is shown while something takes its time: at once, countable, and within the width of the terminal."""

import io
import re
import sys
import time

import pytest

from faceid_cli.cli import loading_line
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import fitting_fields, picture_progress, render_progress, training_progress
from faceid_cli.errors import FaceIDError
from faceid_cli.model_files.recalled import Reading, recalled
from faceid_cli.types import StepReport

_ERASE = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In the test itself: between fixtures and test pytest puts streams of its own."""
    out.reset()
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    return stream


def _pipe(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out.reset()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(loading_line, "_SECONDS_UNTIL_TOLD", 0.05)
    return stream


@pytest.mark.parametrize("display", [training_progress, render_progress, picture_progress])
def test_a_terminal_is_told_at_once_that_something_is_loaded(monkeypatch, display) -> None:
    terminal = _terminal(monkeypatch)
    with display():
        assert terminal.getvalue() == "loading ..."
        out.note("a note")
        out.warn("a warning")
        assert terminal.getvalue().endswith(f"{_ERASE}a note\nloading ...{_ERASE}warning: a warning\nloading ...")
    assert terminal.getvalue().endswith(f"loading ...{_ERASE}")


def test_an_error_takes_its_place(monkeypatch) -> None:
    terminal = _terminal(monkeypatch)
    with pytest.raises(FaceIDError), render_progress():
        raise FaceIDError("bad")
    out.error(FaceIDError("bad"))
    assert terminal.getvalue() == f"loading ...{_ERASE}error: bad\n"


def test_a_question_takes_its_place(monkeypatch) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    with training_progress():
        out.ask("What?")
    assert terminal.getvalue().startswith(f"loading ...{_ERASE}")
    assert "loading" not in terminal.getvalue().split("What?")[1]


def test_outside_of_a_terminal_it_is_told_once_and_only_where_it_takes_long(monkeypatch) -> None:
    pipe = _pipe(monkeypatch)
    with training_progress(), render_progress():
        assert pipe.getvalue() == ""
        time.sleep(0.3)
    assert pipe.getvalue() == "loading ...\n"
    with render_progress() as show:
        show(1, 2)
        time.sleep(0.3)
    assert pipe.getvalue() == "loading ...\n"


def test_a_terminal_is_told_how_long_and_how_far_it_is_with_new_weights(monkeypatch, tmp_path) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(loading_line, "_SECONDS_UNTIL_TOLD", 0)
    monkeypatch.setattr(loading_line, "_SECONDS_BETWEEN", 0.05)
    (tmp_path / "weights").write_bytes(bytes(100))

    def compute(reading: Reading) -> str:
        reading.read(25)
        time.sleep(0.3)
        return "found"

    with training_progress():
        recalled([tmp_path / "weights"], compute)
        time.sleep(0.2)
        out.note("a note")
    shown = terminal.getvalue().split(_ERASE)
    reading = r"loading \.\.\. \d s  \(reading new weights once: 25 %, \d s left\)"
    assert any(re.fullmatch(reading, each) for each in shown)
    assert re.fullmatch(r"a note\nloading \.\.\. \d s", shown[-2])
    assert shown[-1] == "", "nothing comes after it"
    assert max(map(len, shown)) < 60


def test_quiet_is_quiet(monkeypatch) -> None:
    pipe = _pipe(monkeypatch)
    out.mode = "quiet"
    with render_progress() as show:
        time.sleep(0.2)
        show(1, 2)
    assert pipe.getvalue() == ""
    out.reset()


@pytest.mark.parametrize("columns", [50, 80, 120, 200])
def test_the_bar_of_an_enrolment_stays_a_bar(monkeypatch, columns) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(columns))
    with training_progress() as show:
        for step in (1, 299, 300):
            show(StepReport(step, 300, 0.2436, 0.15145, 2.0, 3675.0))
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))
    bars = [line for line in lines if "/300" in line]
    assert bars
    for line in bars:
        assert len(re.findall("[━╸╺]", line)) == 20, line
        assert len(line) <= columns
        assert "/300 steps" in line
        if columns >= 80:
            assert "loss 0.2436" in line or "reconstruction 0.2436  attention 0.15145" in line
            assert "61 min 15 s left" in line


def test_the_bar_counts_pictures_and_steps(monkeypatch) -> None:
    terminal = _terminal(monkeypatch)
    for done, said in (
        (1, "picture 1/4  1/80 steps"),
        (41, "picture 3/4  41/80 steps"),
        (80, "picture 4/4  80/80 steps"),
    ):
        with render_progress(4) as show:
            show(done, 80)
        assert said in terminal.getvalue()
    text = terminal.getvalue()
    with render_progress(1) as show:
        show(1, 20)
    assert "picture" not in terminal.getvalue()[len(text) :]


def test_what_matters_least_goes_first() -> None:
    fields = {"pictures": "picture 1/4", "count": "1/80 steps", "losses": "a long loss", "speed": "2/s", "left": "9 s"}
    said = [fitting_fields(fields, "loss", room) for room in range(60, 0, -1)]
    assert list(dict.fromkeys(said)) == [
        "picture 1/4  1/80 steps  a long loss  2/s  9 s",
        "picture 1/4  1/80 steps  loss  2/s  9 s",
        "picture 1/4  1/80 steps  loss  9 s",
        "picture 1/4  1/80 steps  9 s",
        "picture 1/4  1/80 steps",
        "1/80 steps",
    ]
