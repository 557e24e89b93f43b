"""Bad input through `main(argv)`: one clear line, a documented exit code, and no change on disk."""

import shutil
from pathlib import Path

import pytest

from faceid_cli.kept import paths


def home_files() -> set[str]:
    return {str(file.relative_to(paths.home())) for file in paths.home().rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("generate", "bob", "x"), 3, "no identity is called 'bob'"),
        (("generate", "alice", "<bob> x"), 2, "the prompt marks <bob>, which is none of the people of this picture"),
        (("generate", "alice", "x", "--size", "65x64"), 2, "width is 65 px"),
        (("generate", "alice", "x", "--size", "big"), 2, "'big' is not a size"),
        (("generate", "alice", "x", "--scheduler", "magic"), 2, "unknown scheduler 'magic'"),
        (("generate", "alice", "x", "--seed", "-1"), 2, "seed is -1"),
        (("generate", "alice", "x", "--guidance-scale", "inf"), 2, "guidance scale is inf"),
        (("generate", "alice", "x", "--seed", 2**32 - 1, "--count", 2), 2, "2 pictures from seed 4294967295 on go"),
        (("generate", "alice", "x", "-o", "no/such/folder/a.png"), 9, "there is no folder no/such/folder"),
        (("generate", "alice", "x", "-o", "a.gif"), 2, "pictures are PNG, JPEG or WebP files"),
        (("generate", "alice", "mountains " * 80), 2, "mountains"),
        (("generate", "alice", "x", "--model", "nowhere"), 5, "nowhere"),
        (("compose", "alice", "alice", "x"), 2, "alice is given more than once"),
        (("enroll", "alice", "{photos}"), 7, "alice is enrolled already"),
        (("enroll", "a/b", "{photos}"), 2, "'a/b' is not a name"),
        (("enroll", "bob", "nowhere"), 4, "nowhere"),
        (("enroll", "bob", "{photos}", "--model", "./nowhere"), 5, "no base model at ./nowhere"),
        (("enroll", "bob", "{photos}", "--face", "third"), 2, "cannot choose face 'third'"),
        (("enroll", "bob", "{photos}", "--face-share", 5), 2, "the face's share of the crop is 5"),
        (("enroll", "bob", "{photos}", "--face", "left", "--no-detect"), 2, "--no-detect looks for no face, --face"),
        (
            ("enroll", "bob", "{photos}", "--face-share", 0.5, "--no-detect"),
            2,
            "--no-detect takes photos whole, --face",
        ),
        (("enroll", "bob", "{photos}", "--box", "1,2,30,30", "--no-detect"), 2, "--no-detect looks for no face, --box"),
        (("enroll", "bob", "{photos}", "--box", "1,2,30,30", "--face", 2), 2, "--box and --face both say which face"),
        (("enroll", "bob", "{photos}", "--preview", "castle"), 2, "--preview says what samples show, and none are"),
        (("enroll", "bob", "{photos}", "--together", 4), 2, "--together is about many people"),
        (
            ("enroll", "bob", "{photos}", "--together", 4, "--rows-format", "csv", "--failed", "f"),
            2,
            "--together, --rows-format, --failed are about many people",
        ),
        (("enroll", "bob", "{photos}", "--class", " "), 2, "the class word is empty"),
        (("enroll", "bob", "{photos}", "--class", "(person:2)"), 2, "the class word '(person:2)' is not a plain word"),
        (("enroll", "bob", "{photos}", "--class", "[person]"), 2, "the class word '[person]' is not a plain word"),
        (("enroll", "bob", "{photos}", "--class", "<ada>"), 2, "the class word '<ada>' is not a plain word"),
        (("enroll", "bob", "{photos}", "--class", "-"), 2, "the class word '-' is not a plain word"),
        (("evaluate", "alice", "--likeness", "bob=0.2"), 2, "bob has a likeness, and is not in the picture"),
        (("evaluate", "--all", "--likeness", "bob=0.2"), 2, "bob has a likeness, and is not in the picture"),
        (("attention", "alice", "x", "--likeness", "bob=0.2"), 2, "bob has a likeness, and is not in the picture"),
        (("models", "score", "alice", "--likeness", "bob=0.2"), 2, "bob has a likeness, and is not in the picture"),
        (("enroll", "bob", "{photos}", "--preset", "magic"), 2, "unknown preset 'magic'"),
        (("enroll", "bob", "{photos}", "--steps", 0), 2, "steps must be 1 or more, not 0"),
        (("enroll", "bob", "{photos}", "--box", "1,2"), 2, "'1,2' is not a box"),
        (("enroll", "bob", "{photos}", "--device", "quantum"), 2, "unknown device 'quantum'"),
        (("enroll", "bob", "{photos}", "--lambda", "inf"), 2, "lambda is inf"),
        (
            ("enroll", "bob", "{photos}", "--no-detect", "--vectors", 50, "--model", "{model}"),
            2,
            "do not fit into the 40",
        ),
        (("import", "{photos}/0.png"), 11, "is not a safetensors file"),
        (("export", "alice", "-o", "alice.pt"), 2, "cannot export to alice.pt"),
        (("export", "alice", "--to", "comfyui", "--steps", -3), 2, "sampler steps must be 1 or more, not -3"),
        (("export", "alice", "--bundle", "a.faceid", "--lossy"), 2, "--bundle has no --lossy: it holds people whole"),
        (
            (
                *("export", "alice", "--bundle", "a.faceid", "--single", "--token", "values"),
                *("--sampler", "Euler a", "--steps", 5, "--prompt", "hello"),
            ),
            2,
            "--bundle has no --single, --token, --sampler, --steps, --prompt: it holds people whole",
        ),
        (
            ("export", "alice", "--to", "a1111", "--single", "--sampler", "Euler a", "--steps", 5),
            2,
            "--sampler and --steps mean nothing beside --single",
        ),
    ],
)
def test_bad_input_gets_one_clear_line_and_changes_nothing(
    alice, faceid, photos, tiny_model_dir, words, code, message
) -> None:
    before, here = home_files(), sorted(Path().rglob("*"))
    filled = [str(word).replace("{photos}", str(photos)).replace("{model}", str(tiny_model_dir)) for word in words]
    answer = faceid(*filled)
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert answer.code == code, answer.err
    assert len(errors) == 1
    assert message in errors[0]
    assert answer.out == ""
    assert (home_files(), sorted(Path().rglob("*"))) == (before, here)
    assert [entry["name"] for entry in faceid("list", "--json").data["identities"]] == ["alice"]


def test_a_changed_base_model_is_noticed(alice, faceid, photos, tiny_model_dir, tmp_path, quick) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model_dir, copy)
    assert faceid("enroll", "bob", photos, "--model", copy, *quick).code == 0
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\0\0"
    weights.write_bytes(content)
    answer = faceid("generate", "bob", "x")
    assert answer.code == 5
    assert f"the base model {copy} has changed since bob was learned on it" in answer.err
    answer = faceid("generate", "bob", "x", "--steps", 1, "--model", tiny_model_dir)
    assert answer.code == 0, answer.err
    assert faceid("enroll", "bob", photos, "--model", copy, *quick, "--replace").code == 0
    answer = faceid("compose", "alice", "bob", "x")
    assert answer.code == 5
    assert f"alice was learned on {tiny_model_dir}, bob on {copy}" in answer.err
    answer = faceid("compose", "alice", "bob", "x", "--steps", 1, "--model", tiny_model_dir)
    assert answer.code == 0
    assert "learned on another base model, so expect less likeness: bob" in answer.err
    shutil.rmtree(copy)
    answer = faceid("generate", "bob", "x")
    assert answer.code == 5
    assert "the base model of bob is missing" in answer.err


def test_an_import_tells_that_the_base_model_is_missing(faceid, add_person) -> None:
    add_person("zoe", base_model="/home/zoe/gone", base_fingerprint="sd1:fedcba9876543210", tags=("far",))
    assert faceid("export", "zoe").code == 0
    answer = faceid("import", "zoe.safetensors", "--name", "zara")
    assert answer.code == 0
    assert answer.err.startswith("the base model gone (sd1:fedcba9876543210) is not on this machine: give --model\n")
    assert faceid("show", "zara", "--json").data["identity"]["tags"] == ["far"]


def test_a_damaged_identity_file_is_named(alice, faceid) -> None:
    file = Path(faceid("show", "alice", "--json").data["identity"]["file"])
    file.write_bytes(file.read_bytes()[:-8])
    for words in (("generate", "alice", "x"), ("export", "alice")):
        answer = faceid(*words)
        assert (answer.code, answer.out) == (11, "")
        assert f"error: {file} is damaged" in answer.err


def test_a_home_that_cannot_be_written_is_told_before_the_training(
    faceid, photos, tiny_model_dir, quick, tmp_path, monkeypatch
) -> None:
    home = tmp_path / "a-file"
    home.write_text("somebody else's")
    monkeypatch.setenv("FACEID_HOME", str(home))
    answer = faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick)
    assert answer.code == 9
    assert answer.err == f"error: {home} cannot be written\n  set FACEID_HOME to a folder of yours\n"
    assert home.read_text() == "somebody else's"


def test_missing_weights_are_told_before_the_base_model_is_loaded(
    faceid, photos, tiny_model_dir, monkeypatch, tmp_path
) -> None:
    """Loading a checkpoint takes minutes. This one has lost its weights, so loading it would be another error."""
    model = tmp_path / "model"
    shutil.copytree(tiny_model_dir, model)
    (model / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    answer = faceid("enroll", "bob", photos, "--model", model, "--device", "cpu")
    assert answer.code == 5
    assert answer.err.startswith("error: weights for finding faces in photographs are missing: ")
    assert "--no-detect and --box work without" in answer.err


@pytest.mark.parametrize(("output", "code"), [("nosuch/y.jpg", 9), ("y.gif", 2), ("rows.csv/y.png", 9)])
def test_a_place_that_cannot_be_is_told_before_the_base_model_is_loaded(faceid, alice, output, code) -> None:
    Path("rows.csv").touch()
    answer = faceid("generate", "alice", "cup", "--seed", 1, "-o", output)
    assert answer.code == code
    assert answer.err.startswith("error: "), "and nothing of loading"
