"""`faceid export --bundle` and its import: people with their history in one file, and hostile ones refused."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.errors import OutputError
from faceid_cli.export.bundle import BUNDLE
from faceid_cli.kept.material import keep_json, material_folder
from faceid_cli.registry.store import Registry


def contents(path: str = "team.faceid") -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(files: dict[str, bytes], path: str = "bad.faceid", **claims: int) -> str:
    """A bundle of these files, with a list that says what is in it, true or not."""
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": claims.get(name, len(content))}
        for name, content in files.items()
        if name != "manifest.json"
    }
    said = {"format": "faceid-bundle", "version": 1, "files": listed}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if name != "manifest.json":
                archive.writestr(name, content)
        archive.writestr("manifest.json", files.get("manifest.json") or json.dumps(said))
    return path


@pytest.fixture
def team(add_person, faceid) -> str:
    alice = add_person("alice", note="first", tags=("family",), consent="yes", method={"method": "sefi", "vae": "/x"})
    add_person("bob")
    folder = material_folder(alice.id)
    keep_json(alice.id, "photos.json", {"version": 1, "crops": [], "photos": []})
    keep_json(alice.id, "scores.json", {"identity": 0.5})
    for name in ("crop-001.png", "preview-50.png"):
        Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(folder / name)
    assert faceid("export", "alice", "bob", "--bundle", "team.faceid", "--with", "crops,scores").code == 0
    return "team.faceid"


def test_everybody_comes_back_with_what_belongs_to_them(team, faceid, monkeypatch) -> None:
    before = {name: faceid("show", name, "--json").data for name in ("alice", "bob")}
    monkeypatch.setenv("FACEID_HOME", str(Path("elsewhere").absolute()))
    answer = faceid("import", team)
    assert (answer.code, answer.out) == (0, "imported alice\nimported bob\n")
    for name, data in before.items():
        after = faceid("show", name, "--json").data
        for key in ("class_word", "method", "tags", "note", "consent"):
            assert after["identity"][key] == data["identity"][key], key
        assert Path(after["identity"]["file"]).read_bytes() != b""
        assert [(run["losses"], run["seconds"]) for run in after["runs"]] == [
            (run["losses"], run["seconds"]) for run in data["runs"]
        ]
    folder = material_folder(faceid("show", "alice", "--json").data["identity"]["id"])
    assert sorted(path.name for path in folder.iterdir()) == ["crop-001.png", "photos.json", "scores.json"]
    assert not list((Path("elsewhere") / "unfinished").iterdir())
    assert faceid("report", "alice", "-o", "alice.html").code == 0
    assert Path("alice.html").stat().st_size > 1000


def test_only_what_was_asked_for_is_in_it_and_equal_people_give_equal_bytes(team, faceid) -> None:
    assert sorted(contents()) == [
        "manifest.json",
        "people/0001/crop-001.png",
        "people/0001/history.json",
        "people/0001/identity.safetensors",
        "people/0001/photos.json",
        "people/0001/scores.json",
        "people/0002/history.json",
        "people/0002/identity.safetensors",
    ]
    assert str(Path.cwd()).encode() not in b"".join(contents().values())
    faceid("export", "alice", "bob", "--bundle", "again.faceid", "--with", "scores,crops")
    assert Path(team).read_bytes() == Path("again.faceid").read_bytes()
    answer = faceid("export", "bob", "--bundle", "bob.faceid")
    assert "not in it: crops, previews, scores" in answer.err
    assert faceid("export", "bob", "--bundle", "bob.faceid").code == 9
    assert faceid("export", "alice", "--bundle", "bob.faceid", "--replace").code == 0
    Path("mine.faceid").write_text("mine")
    assert faceid("export", "bob", "--bundle", "mine.faceid", "--replace").code == 9
    assert Path("mine.faceid").read_text() == "mine"


def test_one_of_them_may_get_another_name_and_all_or_nobody_is_kept(team, faceid, add_person) -> None:
    assert faceid("import", team).code == 7
    assert faceid("import", team, "--name", "x").code == 2
    faceid("remove", "alice", "-y")
    answer = faceid("import", team)
    assert answer.code == 7, "bob is here already, so alice is not taken in either"
    assert faceid("list", "-q").out.split() == ["bob"]
    assert faceid("import", team, "--replace", "-q").out.split() == ["alice", "bob"]
    faceid("export", "bob", "--bundle", "bob.faceid")
    assert faceid("import", "bob.faceid", "--name", "robert", "-q").out == "robert\n"


def test_a_replacement_that_fails_half_way_loses_nobody(team, faceid, monkeypatch) -> None:
    faceid("remove", "alice", "-y")
    real = Registry.replace_identity

    def full(registry, new, *rest):
        if new.name == "bob":
            raise OutputError("the disk is full")
        return real(registry, new, *rest)

    monkeypatch.setattr(Registry, "replace_identity", full)
    assert faceid("import", team, "--replace").code != 0
    assert faceid("list", "-q").out == "bob\n", "alice was new, and goes again"
    monkeypatch.setattr(Registry, "replace_identity", real)
    assert faceid("import", team, "--replace").code == 0
    monkeypatch.setattr(Registry, "replace_identity", full)
    assert faceid("import", team, "--replace").code != 0
    assert faceid("list", "-q").out.split() == ["alice", "bob"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bundle", "a.zip"), "cannot write a bundle to a.zip"),
        (("--bundle", "a.faceid", "--with", "photos"), "there is no part 'photos'"),
        (("--bundle", "a.faceid", "--to", "a1111"), "--bundle writes one file"),
        (("--with", "crops"), "--with is for bundles"),
    ],
)
def test_what_cannot_be_meant(team, faceid, words, said) -> None:
    answer = faceid("export", "alice", *words)
    assert answer.code == 2
    assert said in answer.err


def picture(kind: str) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    return buffer.getvalue()


FIRST = "people/0001/identity.safetensors"


@pytest.mark.parametrize(
    "change",
    [
        {"../evil.safetensors": b"x"},
        {"/etc/evil": b"x"},
        {"people/0001/../../../evil": b"x"},
        {"people/0001/run.py": b"print()"},
        {"people/0001/crop-001.png": b"no picture"},
        {"people/0001/crop-001.png": picture("JPEG")},
        {"people/0001/scores.json": b"[1]"},
        {"people/0001/scores.json": b'{"a": NaN}'},
        {"people/0001/history.json": b'{"settings": {}, "losses": [[1]]}'},
        {"people/0001/history.json": b'{"settings": {}, "seconds": "long"}'},
        {FIRST: b"x"},
        {FIRST: None},
        {"people/0003/scores.json": b"{}"},
        {"manifest.json": b"[]"},
        {"manifest.json": json.dumps({"format": "faceid-backup", "version": 1, "files": {}}).encode()},
        {"manifest.json": json.dumps({"format": "faceid-bundle", "version": 2, "files": {}}).encode()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_hostile_bundles_are_refused_and_nothing_is_kept(team, faceid, monkeypatch, change) -> None:
    files = {name: content for name, content in {**contents(), **change}.items() if content is not None}
    if "manifest.json" not in change:
        del files["manifest.json"]
    write(files)
    monkeypatch.setenv("FACEID_HOME", str(Path("elsewhere").absolute()))
    before = sorted(str(path) for path in Path().glob("*"))
    answer = faceid("import", "bad.faceid")
    assert answer.code == 11
    assert len(answer.err.splitlines()) <= 2
    assert faceid("list", "-q").out == ""
    assert sorted(str(path) for path in Path().glob("*") if path.name != "elsewhere") == before
    assert not [path for path in Path("elsewhere").rglob("*") if path.suffix in (".safetensors", ".png", ".py")]


def test_zip_bombs_are_not_unpacked(team, faceid, monkeypatch) -> None:
    files = contents()
    del files["manifest.json"]
    bomb = b"\0" * 2**24  # packs into a few kilobytes
    write({**files, "people/0001/scores.json": bomb})
    assert Path("bad.faceid").stat().st_size < 2**20
    answer = faceid("import", "bad.faceid", "--replace")
    assert answer.code == 11
    # A list that says less than there is, or that there is more than there may be.
    write({**files, "people/0001/scores.json": bomb}, "bad.faceid", **{"people/0001/scores.json": 10})
    assert "another size than its list says" in faceid("import", "bad.faceid", "--replace").err
    monkeypatch.setattr("faceid_cli.export.bundle.BUNDLE", _with_limit(2**20))
    write({**files, "people/0001/scores.json": bomb})
    assert "more in it than there can be" in faceid("import", "bad.faceid", "--replace").err


def _with_limit(most: int):
    from dataclasses import replace

    return replace(BUNDLE, most_bytes=most)


def test_a_bundle_is_known_by_what_is_in_it(team, faceid) -> None:
    Path(team).rename("team.zip")
    assert faceid("import", "team.zip", "--replace").code == 0
    answer = faceid("import", "nothing.faceid")
    assert (answer.code, "there is no file" in answer.err) == (11, True)


def test_a_bundle_chooses_neither_whom_this_machine_asks_nor_which_of_its_files_are_photos(
    add_person, faceid, monkeypatch, tmp_path
) -> None:
    add_person("alice", base_model="somebody/of-theirs")
    assert faceid("export", "alice", "--bundle", "team.faceid").code == 0
    files = contents()
    history = json.loads(files["people/0001/history.json"])
    history["settings"] |= {"photo_files": ["/etc/passwd"], "from_bundle": False, "request": {"photos": ["/etc"]}}
    files["people/0001/history.json"] = json.dumps(history).encode()
    del files["manifest.json"]
    write(files)
    monkeypatch.setenv("FACEID_HOME", str(Path("elsewhere").absolute()))
    assert faceid("import", "bad.faceid").code == 0
    with Registry.open() as registry:
        (run,) = registry.runs_of("alice")
    assert run.run.settings == {"method": "sefi", "steps": 300, "from_bundle": True}
    answer = faceid("generate", "alice", "castle")
    assert answer.code == 5
    assert "it is not fetched unasked" in answer.err
