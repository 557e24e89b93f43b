import errno
import json

import pytest

from faceid_cli.kept import paths


def test_defaults_need_no_file(faceid) -> None:
    assert faceid("config", "get", "model").out == "builtin\n"
    assert (
        faceid("config", "list", "-q").out
        == "model=builtin\ndevice=auto\nprecision=auto\ndetector=mobilenet\nconsent-question=on\nprompt-writer=\n"
        "provenance=off\nsigning-key=\noutput=.\n"
    )
    assert not paths.config_file().exists()


def test_set_is_kept_and_paths_become_absolute(faceid, tiny_model_dir, monkeypatch) -> None:
    monkeypatch.chdir(tiny_model_dir.parent)
    answer = faceid("config", "set", "model", tiny_model_dir.name)
    assert (answer.code, answer.out) == (0, f"model is now {tiny_model_dir}\n")
    assert faceid("config", "set", "device", "cuda:1").code == 0
    assert faceid("config", "set", "model", "owner/model").code == 0
    assert json.loads(paths.config_file().read_text()) == {"device": "cuda:1", "model": "owner/model"}
    assert faceid("config", "get", "device", "--json").data["value"] == "cuda:1"


@pytest.mark.parametrize(
    ("key", "value", "code", "message"),
    [
        (
            "colour",
            "red",
            2,
            "error: unknown setting 'colour'\n  `faceid config list` shows all\n",
        ),
        ("device", "gpu", 2, "error: unknown device 'gpu'\n  use auto, cpu, cuda, cuda:1 or mps\n"),
        (
            "precision",
            "int8",
            2,
            "error: unknown precision 'int8'\n  choose one of: auto, float32, bfloat16, float16\n",
        ),
        ("detector", "eyes", 2, "error: unknown detector 'eyes'\n  choose one of: mobilenet, resnet50\n"),
        ("output", "nowhere", 9, "error: there is no folder nowhere\n  make the folder first\n"),
        ("model", "./nowhere", 5, "error: no base model at ./nowhere\n"),
    ],
)
def test_what_cannot_be_set_changes_nothing(faceid, key, value, code, message) -> None:
    answer = faceid("config", "set", key, value)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith(message)
    assert not paths.config_file().exists()


def test_an_unknown_key_cannot_be_read(faceid) -> None:
    assert faceid("config", "get", "colour").code == 2


def test_a_damaged_file_is_named(faceid) -> None:
    paths.home().mkdir(parents=True)
    paths.config_file().write_text("{")
    answer = faceid("config", "list")
    assert answer.code == 1
    assert answer.err.startswith(f"error: the settings in {paths.config_file()} cannot be read")
    assert faceid("config", "set", "device", "cpu").code == 1
    assert paths.config_file().read_text() == "{"


def test_a_full_disk_leaves_the_settings_as_they_were(faceid, monkeypatch) -> None:
    assert faceid("config", "set", "device", "cpu").code == 0

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        answer = faceid("config", "set", "device", "cuda")
    assert answer.code == 9
    assert answer.err.startswith(f"error: cannot write {paths.config_file()}: No space left on device\n")
    assert faceid("config", "get", "device").out == "cpu\n"
    assert list(paths.home().iterdir()) == [paths.config_file()]


def test_settings_are_used(faceid, add_person, tmp_path) -> None:
    """The output folder of the settings is where `generate` writes; here it has gone in the meantime."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    assert faceid("config", "set", "output", folder).code == 0
    assert faceid("config", "get", "output").out == f"{folder}\n"
