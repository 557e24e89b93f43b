"""Whatever stands in a name, a note or a file name: no command lets it steer the terminal, and JSON stays JSON."""

import json
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from faceid_cli.builtin.samples import photo_set
from faceid_cli.cli.output import Output
from faceid_cli.cli.visible import visible
from faceid_cli.errors import FaceIDError
from faceid_cli.registry import base_models
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry

STEERING = (
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x1b]52;c;eA==\x07",
    "\x1b]8;;http://x\x1b\\",
    "\r\n\b\x7f",
    "\x9b31m\x85",
    "\u202e\u2066\u200f\u2028",
    "\U000e0041",
)
ALL = "".join(STEERING)


@pytest.fixture
def mallory(add_person, tmp_path) -> None:
    """A person whose every field, and whose every picture and run, would steer a terminal."""
    person = add_person(
        "mallory",
        class_word=f"woman{ALL}",
        base_model=f"model{ALL}",
        base_fingerprint=f"sd1:{ALL}",
        method={"method": f"sefi{ALL}", "steps": f"3{ALL}", ALL: ALL},
        tags=(f"tag{ALL}",),
        note=f"note{ALL}",
        consent=f"yes{ALL}",
    )
    with Registry.open() as registry:
        registry.add_renders(
            [NewRender((person.id,), tmp_path / f"{ALL}.png", f"cup{ALL}", 1, {ALL: ALL, "nan": float("nan")})]
        )
        base_models.add_model(registry, "odd", f"/models/{ALL}", f"sd1:{ALL}")
        base_models.add_score(registry, person.id, "sd1:x", f"model{ALL}", {f"identity{ALL}": float("nan")})


def unshown(text: str) -> list[str]:
    """Letters that a terminal would obey, or not show."""
    return [each for each in text if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs")]


@pytest.mark.parametrize("mode", [(), ("--json",), ("--quiet",)])
@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "--tag", f"tag{ALL}"),
        ("show", "mallory"),
        ("models", "list"),
        ("models", "info", "odd"),
        ("models", "set-default", f"/models/{ALL}"),
        ("models", "remove", "odd"),
        ("tag", "mallory", "more"),
        ("note", "mallory", f"other{ALL}"),
        ("rename", "mallory", "bob"),
        ("export", "mallory"),
        ("report", "mallory", "--no-attention", "--no-open"),
        ("generate", "mallory", "a cup"),
        ("generate", "mallory", f"<{ALL}>"),
        ("remove", "mallory", "-y"),
        ("remove", ALL, "-y"),
        ("show", f"nobody{ALL}"),
        ("import", f"{ALL}.safetensors"),
        ("enroll", "bob", f"{ALL}.png"),
        ("photos", "check", f"{ALL}.png"),
        ("config", "set", "output", f"/nowhere{ALL}"),
        ("config", "set", ALL, "x"),
        ("list", f"--{ALL}"),
        (ALL,),
    ],
)
def test_no_field_of_any_command_steers_the_terminal(mallory, faceid, words, mode) -> None:
    answer = faceid(*words, *(mode if words[0] != ALL else ()))
    assert unshown(answer.out) == unshown(answer.err) == []
    if mode == ("--json",) and answer.out:
        json.loads(answer.out, parse_constant=pytest.fail)
    assert "Traceback" not in answer.err


def test_what_is_hidden_is_shown_as_an_escape(mallory, faceid) -> None:
    assert r"note\x1b]0;title\x07\x1b[2J" in faceid("show", "mallory").out
    assert faceid("show", "mallory", "--json").data["identity"]["note"] == f"note{ALL}"
    lines = faceid("list").out.splitlines()
    assert len(lines) == 2
    assert r"\r\n\x08\x7f\x9b31m\x85\u202e\u2066\u200f\u2028\U000e0041" in lines[1]


def test_what_people_write_stays_as_it_is() -> None:
    for text in ("caf\xe9", "\u540d\u524d", "\u05e9\u05dc\u05d5\u05dd", "\U0001f469\u200d\U0001f52c", "a\u0301", ""):
        assert visible(text) == text


def test_file_names_of_photos_are_shown_escaped(faceid, tmp_path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    names = ("good.png", "a\x1b[2J\u202e.png", os.fsdecode(b"b\x9b\xff.png"))
    try:
        for number, name in enumerate(names):
            photo_set(300, 3, 300, 128)[number].image.save(folder / name)
        shutil.copy(folder / names[0], folder / "c\x07.png")
    except (OSError, ValueError):
        pytest.skip("this file system takes no such names")
    (folder / "text\x1b.jpg").write_text("no picture")
    for mode in ((), ("--json",)):
        answer = faceid("photos", "check", folder, "--no-sheet", *mode)
        assert unshown(answer.out + answer.err) == []
        assert (r"\x1b[2J" in answer.out and r"b\x9b\xff.png" in answer.out) or mode
    assert len(answer.data["photos"]) == 5


def test_errors_and_tracebacks_are_shown_escaped(capsys) -> None:
    said = Output()
    said.verbose = True
    said.error(FaceIDError(f"bad{ALL}", f"do{ALL}"))
    said.warn(ALL)
    said.note(ALL)
    said.hint(ALL)
    assert unshown(capsys.readouterr().err) == []


def test_an_imported_person_is_shown_escaped_from_the_first_line_on(mallory, faceid) -> None:
    file = faceid("export", "mallory", "--json").data["file"]
    for mode in ((), ("--json",)):
        answer = faceid("import", file, "--name", "bob", "--replace", *mode)
        assert answer.code == 0, answer.err
        assert unshown(answer.out + answer.err) == []


def test_pictures_with_words_in_them_that_steer_are_told_escaped(faceid, tmp_path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    answer = faceid("photos", "check", tmp_path / "x.png", "--no-sheet", "--model", f"a/{ALL}")
    assert unshown(answer.out + answer.err) == []
    assert Path("photos-check.png").exists() is False
