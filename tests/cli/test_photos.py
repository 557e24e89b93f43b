"""photos check, and what enroll says of photos, keeps of them and forgets."""

import io
import json
import sys

import pytest
from PIL import Image

from faceid_cli.builtin.samples import photo_set
from faceid_cli.cli.output import Output
from faceid_cli.kept import paths
from faceid_cli.registry.store import Registry

KEYS = {"file", "verdict", "reasons", "faces", "face", "quality"}


@pytest.fixture
def drawn(tmp_path):
    """Three good drawings of one person, and a file that is none."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number, drawing in enumerate(photo_set(400, 3, 400, 256)):
        drawing.image.save(folder / f"{number}.png")
    (folder / "text.jpg").write_text("no picture")
    return folder


@pytest.fixture
def terminal(monkeypatch):
    """A person sits there, and types these lines."""

    def sit(typed: str) -> None:
        stdin = io.StringIO(typed)
        stdin.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    return sit


def test_check_is_a_table_with_a_verdict_and_the_reason(faceid, drawn) -> None:
    answer = faceid("photos", "check", drawn)
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert lines[0].split()[:4] == ["PHOTO", "VERDICT", "FACES", "FACE"]
    assert lines[1].split()[:4] == ["0.png", "good", "1", "1"]
    assert lines[4].startswith("text.jpg  left out  0")
    assert lines[4].endswith("not a picture")
    assert lines[5] == "3 of 4 photos can be used"
    assert "contact sheet: photos-check.png" in answer.err
    with Image.open("photos-check.png") as sheet:
        assert min(sheet.size) > 300
    assert not paths.home().exists()  # looking keeps nothing


def test_check_passes_over_the_sheet_that_it_wrote_before(faceid, drawn, monkeypatch) -> None:
    monkeypatch.chdir(drawn)
    first = faceid("photos", "check", ".")
    assert (drawn / "photos-check.png").exists()
    assert faceid("photos", "check", ".").out == first.out
    assert "photos-check.png" in faceid("photos", "check", "photos-check.png", "--no-sheet").out, "if it is asked for"


def test_check_fits_into_a_narrow_terminal(faceid, drawn, monkeypatch) -> None:
    def headings() -> list[str]:
        return faceid("photos", "check", drawn, "--no-sheet").out.splitlines()[0].split()

    assert headings() == ["PHOTO", "VERDICT", "FACES", "FACE", "HEIGHT", "BLUR", "LIGHT", "TURN", "WHY"]
    monkeypatch.setattr(Output, "columns", 58)
    assert headings() == ["PHOTO", "VERDICT", "FACES", "FACE", "HEIGHT", "WHY"]
    monkeypatch.setattr(Output, "columns", 10)  # the verdict and the reason stay
    assert headings() == ["PHOTO", "VERDICT", "FACES", "FACE", "WHY"]


def test_check_as_json_and_quiet(faceid, drawn) -> None:
    data = faceid("photos", "check", drawn, "--json", "--no-sheet").data
    assert (data["command"], data["usable"], data["sheet"]) == ("photos check", 3, None)
    assert [set(photo) for photo in data["photos"]] == [KEYS] * 4
    assert data["photos"][0]["quality"]["face_px"] > 30
    assert data["photos"][3]["reasons"] == ["not a picture"]
    quiet = faceid("photos", "check", drawn, "-q", "--no-sheet").out.splitlines()
    assert quiet == [str(drawn / f"{number}.png") for number in range(3)]


def test_check_fails_where_nothing_can_be_used(faceid, drawn) -> None:
    answer = faceid("photos", "check", drawn / "text.jpg", "--no-sheet")
    assert answer.code == 4
    assert answer.out.splitlines()[-1] == "0 of 1 photo can be used"
    assert faceid("photos", "check", drawn / "nowhere").code == 4
    assert faceid("photos", "check", drawn, "--sheet", "no/such/folder.png").code == 9
    misspelt = faceid("photos", "check", drawn, "--model", "bultin")
    assert (misspelt.code, "bultin" in misspelt.err) == (5, True)


def test_enroll_leaves_out_what_is_no_good_and_keeps_its_crops(faceid, photos, tiny_model_dir, quick) -> None:
    (photos / "text.jpg").write_text("no picture")
    options = ("--model", tiny_model_dir, *quick)
    assert faceid("enroll", "alice", photos, *options, "--strict").code == 4
    answer = faceid("enroll", "alice", photos, *options, "--consent", "yes, by mail")
    assert answer.code == 0
    assert "left out text.jpg: not a picture" in answer.err
    assert answer.out == "enrolled alice from 2 photos\n"
    with Registry.open() as registry:
        alice = registry.get("alice")
    kept = paths.material_dir() / alice.id
    assert sorted(path.name for path in kept.glob("*.png")) == [
        "crop-001.png",
        "crop-002.png",
        "mask-001.png",
        "mask-002.png",
    ]
    index = json.loads((kept / "photos.json").read_text())
    assert [crop["photo"] for crop in index["crops"]] == ["0.png", "1.png"]
    assert index["photos"][2] == {"photo": "text.jpg", "verdict": "left out", "reasons": ["not a picture"]}
    assert "consent     yes, by mail" in faceid("show", "alice").out
    # The consent of a person goes on to the one who replaces them; crops do not.
    again = faceid("enroll", "alice", photos, *options, "--replace", "--no-keep-photos", "--json").data
    assert again["identity"]["consent"] == "yes, by mail"
    assert not kept.exists()
    assert list(paths.material_dir().iterdir()) == []


def test_consent_travels_in_an_exported_file(faceid, add_person) -> None:
    add_person("alice", consent="yes, by mail")
    assert faceid("export", "alice").code == 0
    faceid("import", "alice.safetensors", "--name", "anna")
    assert faceid("show", "anna", "--json").data["identity"]["consent"] == "yes, by mail"


def test_consent_is_asked_for_where_somebody_sits(terminal, capsys) -> None:
    terminal("of course\n")
    assert Output().ask("Well?") == "of course"
    terminal("\n")
    assert Output().ask("Well?") == ""
    silent = Output()
    silent.mode = "json"
    assert silent.ask("Well?") == ""


def test_nothing_of_a_removed_person_is_left_and_doctor_says_so(faceid, add_person, monkeypatch) -> None:
    from faceid_cli.api import doctor as health

    monkeypatch.setattr(health, "probe", lambda: {"torch": "2", "diffusers": "1", "transformers": "5", "threads": 1})
    alice, bob = add_person("alice"), add_person("bob", consent="a word that must not stay behind")
    for person in (alice, bob):
        folder = paths.material_dir() / person.id
        folder.mkdir(parents=True)
        (folder / "crop-001.png").write_bytes(b"a face")
    assert faceid("remove", "bob", "-y").code == 0
    left = [path for path in paths.home().rglob("*") if path.is_file()]
    assert not [path for path in left if bob.id in str(path)]
    assert not [path for path in left if b"must not stay behind" in path.read_bytes()]
    assert (paths.material_dir() / alice.id / "crop-001.png").exists()
    assert "belongs to nobody" not in faceid("doctor").out
    (paths.material_dir() / bob.id).mkdir()
    assert f"warn  material: belongs to nobody: {paths.material_dir() / bob.id}" in faceid("doctor").out
