"""`faceid report`, and the samples that `faceid enroll --preview-every` keeps for it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from faceid_cli.cli import terminal_pictures
from faceid_cli.kept import paths
from faceid_cli.kept.material import SCORES, keep_json, material_folder
from faceid_cli.registry.store import Registry


def identity_of(name):
    with Registry.open(create=False) as registry:
        return registry.get(name)


def left_at_home() -> list[str]:
    """Files of people and runs; not the registry itself, and not what is known of base models."""
    files = [path for path in paths.home().rglob("*") if path.is_file() and path != paths.fingerprints_file()]
    return [str(path) for path in files if not path.name.startswith("registry.db")]


def test_an_enrolment_with_previews_its_report_and_its_repetition(faceid, photos, tiny_model_dir, quick) -> None:
    odd = photos.rename(photos.with_name("it's <b>her & $HOME"))
    common = ("enroll", "alice", odd, "--model", tiny_model_dir, *quick, "--note", "<script>alert(1)</script>")
    assert faceid(*common).code == 0
    plain = identity_of("alice")
    plain_bytes = plain.path.read_bytes()
    answer = faceid(*common, "--replace", "--preview-every", 1, "--preview", "holding a cup")
    assert answer.code == 0, answer.err
    assert answer.err.count("preview of step ") == 3, "before the first step, and after each of two"
    alice = identity_of("alice")
    assert alice.path.read_bytes() == plain_bytes, "previews change nothing"
    kept = sorted(path.name for path in material_folder(alice.id).glob("preview-*"))
    assert kept == ["preview-000000.png", "preview-000001.png", "preview-000002.png"]
    assert not material_folder(plain.id).exists()
    assert not list(paths.runs_dir().glob("*")), "nothing is left of the run"

    answer = faceid("report", "alice", "--json")
    assert answer.code == 0, answer.err
    data = answer.data
    assert Path(data["file"]) == material_folder(alice.id) / "report.html"
    assert (data["photos"], data["steps"], data["previews"], data["evaluations"]) == (2, 2, 3, 0)
    assert data["attention_maps"] == 7, "the picture, all of the sampling, and five stages"
    page = Path(data["file"]).read_text(encoding="utf-8")
    assert "&quot;a photo of &lt;alice&gt; holding a cup&quot;, seed 0" in page
    assert "<script" not in page
    for folder in (odd.parent, tiny_model_dir.parent, paths.home()):
        assert str(folder) not in page, "a report may be given to others"
    assert page.count("<img") == 2 + 2 * 2 + 3 + 2 * 7  # first a picture and the last sample

    assert faceid("rename", "alice", "anna").code == 0
    command = shlex.split(faceid("report", "anna", "--json").data["enroll_command"])
    assert str(odd) in command
    assert "a photo of {name} holding a cup" in command, "which fits the new name, too"
    assert faceid("rename", "anna", "alice").code == 0
    assert shlex.split(data["enroll_command"])[3:] == command[3:]
    assert faceid(*shlex.split(data["enroll_command"])[1:]).code == 0
    assert identity_of("alice").path.read_bytes() == plain_bytes
    assert identity_of("alice").id != alice.id

    assert faceid("remove", "alice", "-y").code == 0
    assert left_at_home() == []


def test_a_report_is_written_where_one_wants_it(faceid, alice, tmp_path) -> None:
    answer = faceid("report", "alice", "-o", tmp_path, "--no-attention", "-q")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'alice-report.html'}\n")
    assert "`faceid report` without --no-attention makes the maps" in (tmp_path / "alice-report.html").read_text()
    assert faceid("report", "alice", "-o", tmp_path, "--no-attention").code == 0, "a report may be written over"
    precious = tmp_path / "precious.html"
    precious.write_text("<p>mine")
    answer = faceid("report", "alice", "-o", precious, "--no-attention")
    assert answer.code == 9
    assert "is there already, and is no report of faceid" in answer.err
    assert precious.read_text() == "<p>mine"
    assert faceid("report", "alice", "-o", tmp_path / "a.pdf").code == 2
    assert faceid("report", "alice", "-o", tmp_path / "no" / "a.html").code == 9
    assert faceid("report", "bob").code == 3


def test_the_browser_opens_only_when_asked_or_in_a_terminal(faceid, add_person, monkeypatch) -> None:
    import webbrowser

    add_person("alice")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    faceid("report", "alice", "--no-attention")
    assert opened == []
    faceid("report", "alice", "--no-attention", "--open")
    assert opened == [(material_folder(identity_of("alice").id) / "report.html").as_uri()]


def test_what_is_not_there_is_said_and_the_rest_is_shown(faceid, add_person) -> None:
    alice = add_person("alice")  # as after --no-keep-photos, and of a base model that has changed
    answer = faceid("report", "alice", "--json")
    assert answer.code == 0, answer.err
    assert "no attention maps: the base model builtin has changed" in answer.err
    page = Path(answer.data["file"]).read_text(encoding="utf-8")
    assert "No photos were kept (--no-keep-photos" in page
    assert "The maps cannot be made here: the base model builtin has changed" in page
    assert "No samples: `faceid enroll --preview-every N`" in page
    assert "`faceid evaluate alice` scores" in page
    assert "there is no record of it" in page
    assert answer.data["enroll_command"] is None
    assert page.count("<svg") == 2, "its losses are known"
    summary = {"pictures": 42, "identity": 0.25, "likeness_percent": None, "prompt": 0.5}
    keep_json(alice.id, SCORES, {"summary": summary, "groups": {}, "judge": "<b>", "created": "2026-01-01"})
    page = Path(faceid("report", "alice", "-q", "--no-attention").out.strip()).read_text(encoding="utf-8")
    assert "Evaluation of 2026-01-01, judge &lt;b&gt;" in page
    assert "<td>all</td><td>42</td><td>0.25</td><td>-</td><td>0.50</td>" in page


def test_damaged_leftovers_do_not_stop_a_report(faceid, alice) -> None:
    folder = material_folder(identity_of("alice").id)
    (folder / "crop-001.png").write_bytes(b"rubbish")
    (folder / "mask-002.png").unlink()
    (folder / "attention.json").write_text("[")
    answer = faceid("report", "alice", "--no-attention", "--json")
    assert answer.code == 0, answer.err
    assert Path(answer.data["file"]).read_text().count("<img") == 3, "two photos and a crop"
    index = json.loads((folder / "photos.json").read_text())
    index["photos"][0]["faces"] = [{"box": 1}]
    (folder / "photos.json").write_text(json.dumps(index))
    assert Path(faceid("report", "alice", "--no-attention", "-q").out.strip()).read_text().count("<img") == 2
    (folder / "photos.json").write_text("rubbish")
    assert faceid("report", "alice", "--no-attention", "--json").data["photos"] == 0


def test_an_imported_person_has_a_report(faceid, alice, tmp_path) -> None:
    assert faceid("export", "alice", "-o", tmp_path / "a.safetensors").code == 0
    assert faceid("import", tmp_path / "a.safetensors", "--name", "anna").code == 0
    answer = faceid("report", "anna", "--no-attention", "-q")
    page = Path(answer.out.strip()).read_text(encoding="utf-8")
    assert "photos do not travel with it" in page
    assert "This person came from a file. How the training went" in page
    assert "<dt>steps</dt><dd>2</dd>" in page, "the settings travel"
    old = material_folder(identity_of("anna").id)
    assert faceid("import", tmp_path / "a.safetensors", "--name", "anna", "--replace").code == 0
    assert not old.exists(), "what belonged to the one that gave way goes, too"


def test_doctor_lists_previews_that_belong_to_nobody(faceid, monkeypatch) -> None:
    from faceid_cli.api import doctor as health

    monkeypatch.setattr(health, "probe", dict)
    folder = material_folder("0123456789abcdef")
    folder.mkdir(parents=True)
    (folder / "preview-000050.png").write_bytes(b"")
    assert f"material: belongs to nobody: {folder}" in faceid("doctor").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preview-every", -1), "steps between previews must be 0 or more, not -1"),
        (("--preview-every", 1, "--preview", "a photo of <bob>"), "bob"),
    ],
)
def test_previews_that_cannot_be_are_found_before_the_training(faceid, photos, quick, options, message) -> None:
    answer = faceid("enroll", "alice", photos, *quick, *options)
    assert answer.code == 2
    assert message in answer.err


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({}, None),
    ],
)
def test_terminals_that_show_pictures(environment, protocol) -> None:
    assert terminal_pictures.protocol_of(environment) == protocol


def test_a_picture_in_the_terminal_is_the_file_itself() -> None:
    import base64
    import re

    png = bytes(range(256)) * 40
    kitty = terminal_pictures.picture_sequence(png, "kitty")
    chunks = re.findall("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\", kitty)
    assert base64.b64decode("".join(data for _, data in chunks)) == png
    assert [keys for keys, _ in chunks] == ["a=T,f=100,q=2,m=1", *["m=1"] * (len(chunks) - 2), "m=0"]
    assert max(len(data) for _, data in chunks) <= 4096
    iterm = re.fullmatch("\x1b]1337;File=([^:]*):([^\x07]*)\x07\n", terminal_pictures.picture_sequence(png, "iterm2"))
    assert iterm is not None
    assert base64.b64decode(iterm[2]) == png
    assert f"size={len(png)}" in iterm[1]


def test_previews_show_in_terminals_that_can_and_nowhere_else(faceid, monkeypatch, tmp_path, capsys) -> None:
    import sys

    picture = tmp_path / "preview.png"
    picture.write_bytes(b"PNG")
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("TMUX", raising=False)
    terminal_pictures.show_preview(50, picture)
    assert capsys.readouterr().err == f"preview of step 50: {picture}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    terminal_pictures.show_preview(50, picture)
    said = capsys.readouterr()
    assert said.err == "preview of step 50\n\x1b_Ga=T,f=100,q=2,m=0;UE5H\x1b\\\n"
    assert said.out == ""


def test_the_report_shows_what_was_rendered_last(faceid, alice) -> None:
    from PIL import Image

    for seed in range(8):
        assert faceid("generate", "alice", "a cup", "--seed", seed, "--steps", 1, "-o", f"{seed}.png").code == 0
    Path("7.png").unlink()
    Path("6.png").write_bytes(b"no picture")
    assert Image.open("5.png").size == (64, 64)
    assert faceid("report", "alice", "--no-attention", "--no-open", "-o", "report.html").code == 0
    page = Path("report.html").read_text(encoding="utf-8")
    section = page[page.index("<h2>Pictures</h2>") : page.index("<h2>Photos</h2>")]
    shown = [number for number in range(8) if f"&quot;a cup&quot;, seed {number}<" in section]
    assert shown == [0, 1, 2, 3, 4, 5]
    assert section.index("seed 5<") < section.index("seed 0<"), "the latest first"
