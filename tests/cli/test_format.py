"""docs/format.md and its example: an identity file is of use without faceid."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.types import Identity

EXAMPLE = Path(__file__).parents[2] / "examples" / "read_identity.py"


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def unlike(path: Path, seed: int = 0) -> None:
    """Make the features of a file's stages and sides differ as much as words do."""
    stored = load_identity(path)
    noise = np.random.default_rng(seed)
    sides = [
        {name: noise.normal(size=part.shape).astype(np.float32) * 10 * part.std() for name, part in side.items()}
        for side in (stored.keys, stored.values)
    ]
    save_identity(path, *sides, stored.metadata)


def test_the_example_renders_the_same_pixels_as_generate(alice, faceid, tiny_model_dir, monkeypatch) -> None:
    unlike(Path(faceid("show", "alice", "--json").data["identity"]["file"]))
    assert faceid("export", "alice").code == 0
    prompt = "a photo of <alice> holding a cup"
    assert faceid("generate", "alice", prompt, "--seed", 7, "-o", "ours.png", "--device", "cpu").code == 0
    arguments = [str(EXAMPLE), "alice.safetensors", str(tiny_model_dir), prompt, "7", "theirs.png"]
    monkeypatch.setattr("sys.argv", arguments)
    runpy.run_path(str(EXAMPLE))
    assert np.abs(pixels("ours.png") - pixels("theirs.png")).max() <= 2
    stored = load_identity(Path("alice.safetensors"))
    save_identity(Path("swapped.safetensors"), stored.values, stored.keys, stored.metadata)
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), "swapped.safetensors", *arguments[2:-1], "swapped.png"])
    runpy.run_path(str(EXAMPLE))
    assert np.abs(pixels("ours.png") - pixels("swapped.png")).mean() > 2, "the comparison would notice it"


def test_the_header_says_how_stages_are_counted(add_person, faceid) -> None:
    add_person("alice")
    faceid("export", "alice")
    with safe_open("alice.safetensors", "numpy") as file:
        header = json.loads(file.metadata()["faceid"])
    assert header["stage_order"] == "noisiest-first"
    assert header["num_train_timesteps"] == 1000


def test_export_import_export_gives_equal_bytes(add_person, faceid) -> None:
    person: Identity = add_person("alice", note="hello", tags=("a", "b"), consent="asked")
    stored = load_identity(person.path)
    save_identity(person.path, stored.keys, stored.values, _with_timesteps(stored.metadata, 500))
    faceid("export", "alice")
    assert faceid("import", "alice.safetensors", "--replace").code == 0
    faceid("export", "alice", "-o", "again.safetensors")
    assert Path("alice.safetensors").read_bytes() == Path("again.safetensors").read_bytes()
    assert load_identity(Path("again.safetensors")).metadata.num_train_timesteps == 500


def _with_timesteps(metadata, timesteps):
    from dataclasses import replace

    return replace(metadata, num_train_timesteps=timesteps)


@pytest.mark.parametrize("wrong", [{"stage_order": "cleanest-first"}, {"num_train_timesteps": 0}, {"version": 2}])
def test_what_cannot_be_read_as_meant_is_refused(wrong, add_person, faceid) -> None:
    from safetensors.numpy import load_file, save_file

    add_person("alice")
    faceid("export", "alice")
    with safe_open("alice.safetensors", "numpy") as file:
        header = json.loads(file.metadata()["faceid"])
    save_file(load_file("alice.safetensors"), "bob.safetensors", {"faceid": json.dumps({**header, **wrong})})
    answer = faceid("import", "bob.safetensors", "--name", "bob")
    assert answer.code == 11
    assert [person["name"] for person in faceid("list", "--json").data["identities"]] == ["alice"]


def test_files_that_do_not_say_are_read_as_before(add_person, faceid) -> None:
    from safetensors.numpy import load_file, save_file

    add_person("alice")
    faceid("export", "alice")
    with safe_open("alice.safetensors", "numpy") as file:
        header = json.loads(file.metadata()["faceid"])
    old = {name: header[name] for name in ("format", "version", "identity")}
    save_file(load_file("alice.safetensors"), "old.safetensors", {"faceid": json.dumps(old)})
    assert load_identity(Path("old.safetensors")).metadata.num_train_timesteps == 1000


def test_a_base_model_of_other_timesteps_is_told(faceid, photos, tiny_model_dir, quick) -> None:
    shutil.copytree(tiny_model_dir, "model")
    config = Path("model/scheduler/scheduler_config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_train_timesteps": 500}))
    assert faceid("enroll", "alice", photos, "--model", "model", *quick).code == 0
    assert faceid("export", "alice").code == 0
    assert load_identity(Path("alice.safetensors")).metadata.num_train_timesteps == 500
