"""Bytes that are no UTF-8, and characters that the terminal does not have: said in words, and never a traceback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import faceid_cli
from faceid_cli.errors import UsageError
from faceid_cli.orders import EnrolOrder, RenderOrder
from faceid_cli.orders.replay import enrol_command

LATIN = os.fsdecode(b"caf\xe9")


@pytest.fixture
def latin_folder(photos: Path) -> Path:
    """A folder of photos whose name, and the name of one photo, are Latin-1."""
    folder = photos.parent / LATIN
    try:
        shutil.copytree(photos, folder)
    except OSError:
        pytest.skip("this file system takes no such names")
    (folder / "0.png").rename(folder / f"{LATIN}.png")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "alice", LATIN),
        ("generate", "alice", "x", "--negative", LATIN),
        ("generate", "alice", "x", f"--negative={LATIN}"),
        ("generate", LATIN, "x"),
        ("generate", "alice", "x", "-o", f"{LATIN}.png"),
        ("generate", "alice", "x", "--lora", LATIN),
        ("compose", "alice", LATIN, "x"),
        ("attention", "alice", LATIN),
        ("enroll", "bob", "{photos}", "--note", LATIN),
        ("enroll", "bob", "{photos}", "--tag", LATIN),
        ("enroll", "bob", "{photos}", "--consent", LATIN),
        ("enroll", "bob", "{photos}", "--class", LATIN),
        ("enroll", LATIN, "{photos}"),
        ("show", LATIN),
        ("remove", LATIN, "-y"),
        ("rename", "alice", LATIN),
        ("export", "alice", "-o", f"{LATIN}.safetensors"),
        ("list", "--tag", LATIN),
        ("models", "add", LATIN, "x"),
        ("config", "set", LATIN, "x"),
    ],
)
def test_what_is_no_text_is_refused_in_words(alice, faceid, photos, words) -> None:
    answer = faceid(*(str(word).replace("{photos}", str(photos)) for word in words))
    assert answer.code == 2
    assert r"caf\xe9" in answer.err
    assert "is not UTF-8" in answer.err
    assert answer.out == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("field", ["note", "tags", "consent", "preview", "class_word"])
def test_python_is_told_the_same(field) -> None:
    with pytest.raises(UsageError, match=r"caf\\xe9' is not UTF-8"):
        EnrolOrder.of(name="bob", photos="x", **{field: (LATIN,) if field == "tags" else LATIN})
    with pytest.raises(UsageError, match=r"'\\ud800' is not UTF-8"):
        RenderOrder.of(names=("alice",), prompt="\ud800")


def test_the_registry_refuses_what_it_cannot_keep(faceid, add_person) -> None:
    with pytest.raises(UsageError, match=r"caf\\xe9' is not UTF-8"):
        add_person("bob", note=LATIN)
    assert faceid("list", "-q").out == ""


def test_pictures_go_nowhere_where_the_registry_could_not_find_them(alice, faceid, tmp_path, monkeypatch) -> None:
    folder = tmp_path / LATIN
    folder.mkdir()
    monkeypatch.chdir(folder)
    answer = faceid("generate", "alice", "x", "--steps", 1)
    assert (answer.code, list(folder.iterdir())) == (2, [])
    assert r"caf\xe9' is not UTF-8" in answer.err


def test_photos_may_have_any_names(faceid, latin_folder, tiny_model_dir, quick) -> None:
    assert faceid("enroll", "bob", latin_folder, "--model", tiny_model_dir, *quick).code == 0
    data = faceid("show", "bob", "--json").data
    assert len(data["identity"]["photo_hashes"]) == 2
    made = faceid("report", "bob", "--no-attention", "--no-open", "-o", latin_folder, "--json").data
    page = Path(made["file"]).read_text(encoding="utf-8")
    assert r"caf\xe9.png" in page
    assert made["enroll_command"].split()[3].endswith(r"caf\xe9'")
    file = faceid("export", "bob", "-o", latin_folder, "--json").data["file"]
    assert Path(file).is_file()
    assert faceid("import", file, "--name", "carl").code == 0


def test_a_command_of_such_names_finds_them_again() -> None:
    photo = Path(f"/photos/it's {LATIN}.png")
    command = enrol_command(EnrolOrder.of(name="bob", photos=photo))
    said = subprocess.run(["bash", "-c", f"printf %s {command.split('bob ')[1]}"], capture_output=True, check=True)
    assert said.stdout.startswith(os.fsencode(photo))


def _run(*words: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "faceid_cli", *map(os.fsencode, map(str, words))],
        capture_output=True,
        check=False,
        cwd=Path(faceid_cli.__file__).parents[1],
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_printing_never_fails(add_person, environment) -> None:
    add_person("alice", note="caf\xe9 \u2615", tags=("\u540d",))
    commands = [["show", "alice"], ["show", "alice", "--json"], ["list"], ["--help"], ["list", "--tag", "a"]]
    code = f"from faceid_cli.cli.app import main; print(*(main(words) for words in {commands!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        cwd=Path(faceid_cli.__file__).parents[1],
        env={**os.environ, **environment},
    )
    assert done.stderr.startswith(b"next: "), done.stderr
    assert done.stdout.endswith(b"0 0 0 0 0\n"), done.stdout


def test_a_path_is_printed_as_the_bytes_that_it_is(latin_folder) -> None:
    done = _run("samples", latin_folder, "--count", "1", "-q")
    assert done.returncode == 0, done.stderr
    assert Path(os.fsdecode(done.stdout.rstrip(b"\n"))).is_file()


def test_another_languages_shell_is_told_what_to_set() -> None:
    done = _run("list", "--tag", "\xe9", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.returncode == 2
    assert b"set LC_ALL=C.UTF-8" in done.stderr
