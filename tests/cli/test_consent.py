"""When `enroll` asks what a person said to being learned: last of all, once about the same photos, and of no thing."""

import io
import sys

import pytest
from PIL import Image

from faceid_cli.errors import UsageError
from faceid_cli.registry.store import Registry

QUESTION = "say to being learned?"


class Stdin(io.StringIO):
    """A terminal at which somebody types; "^C" is Ctrl-C, "^D" is Ctrl-D."""

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:
        line = super().readline()
        if line == "^C\n":
            raise KeyboardInterrupt
        return "" if line == "^D\n" else line


@pytest.fixture
def sit(monkeypatch):
    """Somebody sits there, and types these lines; the answer is what is left of them."""

    def sit(typed: str) -> Stdin:
        stdin = Stdin(typed)
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        return stdin

    return sit


@pytest.fixture
def enroll(faceid, tiny_model_dir, quick, photos):
    """Learn somebody on the tiny model."""

    def run(name, *more):
        how = [word for word in quick if word != "--no-detect" or "--box" not in more]
        return faceid("enroll", name, photos, "--model", tiny_model_dir, *how, *more)

    return run


def consent_of(name: str) -> str:
    with Registry.open() as registry:
        return registry.get(name).consent


@pytest.mark.parametrize("said", ["yes, by mail", ""])
def test_a_loop_over_the_same_photos_is_asked_once(sit, enroll, photos, said) -> None:
    left = sit(f"{said}\n")
    first = enroll("k1")
    assert first.err.count(QUESTION) == 1
    assert "consent-question off" in first.err, "it says why, and how it ends"
    for name, more in (("k2", ("--seed", 3)), ("k1", ("--replace",))):
        answer = enroll(name, *more)
        assert (answer.code, QUESTION in answer.err) == (0, False)
        assert consent_of(name) == said
    (photos / "1.png").unlink()  # fewer of them say nothing new
    assert QUESTION not in enroll("k3").err
    assert left.read() == ""


def test_other_photos_and_another_face_of_them_are_another_matter(sit, enroll, photos) -> None:
    sit("of the left one\nof the right one\nof more\n")
    (photos / "1.png").unlink()
    enroll("left", "--box", "0,0,40,40")
    answer = enroll("right", "--box", "40,0,40,40")
    assert QUESTION in answer.err
    assert (consent_of("left"), consent_of("right")) == ("of the left one", "of the right one")
    Image.new("RGB", (80, 80), (9, 99, 199)).save(photos / "2.png")
    enroll("left", "--replace")
    assert consent_of("left") == "of more"


def test_what_the_command_line_said_counts_and_goes_with_the_person(sit, faceid, enroll) -> None:
    sit("asked anew\n")
    enroll("k1", "--consent", "on paper")
    assert QUESTION not in enroll("k2").err
    assert consent_of("k2") == "on paper"
    assert faceid("remove", "k1", "-y").code == faceid("remove", "k2", "-y").code == 0
    assert QUESTION in enroll("k3").err, "nothing is remembered of those who are forgotten"
    assert consent_of("k3") == "asked anew"


def test_nobody_is_asked_of_things_with_the_question_off_or_where_nobody_sits(
    sit, faceid, enroll, photos, monkeypatch
) -> None:
    left = sit("never read\n")
    assert QUESTION not in enroll("beetle", "--class", "car").err
    assert QUESTION not in enroll("quiet", "-q").err
    assert QUESTION not in enroll("data", "--json").err
    assert faceid("config", "set", "consent-question", "off").code == 0
    assert QUESTION not in enroll("k1").err
    assert left.read() == "never read\n"
    assert faceid("config", "set", "consent-question", "on").code == 0
    assert faceid("config", "set", "consent-question", "maybe").code == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert (enroll("k2").code, consent_of("k2")) == (0, "")
    sit("now it is asked\n")
    assert QUESTION in enroll("k3").err, "nobody was asked before"


def test_it_asks_only_when_nothing_else_could_be_wrong(sit, faceid, enroll, photos, tiny_model_dir, quick) -> None:
    left = sit("never read\n")
    (photos / "text").mkdir()
    (photos / "text" / "a.jpg").write_text("no picture")
    on = ("--model", tiny_model_dir, *quick)
    for words, code in (
        (("k1", photos / "nowhere", *on), 4),
        (("k1", photos / "text", *on), 4),
        (("k1", photos, *on, "--hold-out", 9), 4),
        (("k1", photos, *quick, "--model", "no/where/at all"), 5),
        (("k 1", photos, *on), 2),
    ):
        answer = faceid("enroll", *words)
        assert (answer.code, QUESTION in answer.err) == (code, False), words
    assert left.read() == "never read\n"


def test_ctrl_c_at_a_question_is_ctrl_c_and_keeps_nothing(sit, faceid, enroll) -> None:
    sit("^C\n")
    answer = enroll("k1")
    assert answer.code == 130
    assert "stopped by Ctrl-C" in answer.err
    assert faceid("list", "-q").out == ""
    sit("yes\n")
    assert "interrupted enrolment" not in enroll("k1").err
    sit("^C\n")
    assert faceid("remove", "k1").code == 130
    assert faceid("list", "-q").out == "k1\n"


def test_an_answer_in_another_encoding_is_asked_for_again(sit, enroll) -> None:
    sit("\udcff\udcfe\nyes\n")
    answer = enroll("k1")
    assert (answer.code, answer.err.count(QUESTION), consent_of("k1")) == (0, 2, "yes")


def test_ctrl_d_says_nothing(sit, enroll) -> None:
    sit("^D\n")
    assert (enroll("k1").code, consent_of("k1")) == (0, "")


def test_an_interrupted_enrolment_is_not_asked_again(sit, faceid, enroll, monkeypatch) -> None:
    from faceid_cli.training import loop

    real = loop.train_identity

    def stopped(*arguments: object) -> None:
        (arguments[3] / "checkpoint.safetensors").write_bytes(b"half of it")  # type: ignore[operator]
        raise KeyboardInterrupt

    sit("yes, by mail\n")
    monkeypatch.setattr(loop, "train_identity", stopped)
    assert enroll("k1").code == 130
    monkeypatch.setattr(loop, "train_identity", real)
    sit("")
    answer = enroll("k1")
    assert (answer.code, QUESTION in answer.err) == (0, False)
    assert consent_of("k1") == "yes, by mail"


def test_what_fails_before_a_checkpoint_leaves_no_answer_behind(sit, enroll, monkeypatch) -> None:
    from faceid_cli.kept.runs import checkpoint_dir
    from faceid_cli.training import loop

    def failing(*_: object) -> None:
        raise UsageError("no")

    sit("yes\n")
    monkeypatch.setattr(loop, "train_identity", failing)
    assert enroll("k1").code == 2
    assert not checkpoint_dir("k1").exists()
