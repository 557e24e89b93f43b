"""From photo files to pictures through `main(argv)`, with a tiny real model."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli import paths
from faceid_cli.cli.app import main
from faceid_cli.rendering.metadata import read_metadata

LABELS = ("--tag", "test", "--note", "hello")
QUICK = ("--no-detect", "--steps", 2, "--batch", 1, "--device", "cpu")


@pytest.fixture(scope="session")
def home_with_alice(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FACEID_HOME where alice is enrolled on the tiny model, made once."""
    home = tmp_path_factory.mktemp("home-with-alice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEID_HOME", str(home))
        photos = draw_photos(tmp_path_factory.mktemp("photos-of-alice"))
        assert (
            main([str(word) for word in ("enroll", "alice", photos, "--model", tiny_model_dir, *QUICK, *LABELS)]) == 0
        )
    return home


@pytest.fixture
def alice(home_with_alice: Path) -> None:
    """Alice is enrolled."""
    shutil.copytree(home_with_alice, paths.home())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The photos that alice was enrolled from."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return draw_photos(folder)


def draw_photos(folder: Path) -> Path:
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def home_files() -> set[str]:
    return {str(file.relative_to(paths.home())) for file in paths.home().rglob("*") if file.is_file()}


def test_enroll_says_what_it_did_and_what_comes_next(faceid, photos, tiny_model_dir) -> None:
    answer = faceid("enroll", "alice", photos, "--model", tiny_model_dir, *QUICK)
    assert answer.code == 0
    assert answer.out == "enrolled alice from 2 photos\n"
    assert "step 2/2  reconstruction " in answer.err
    assert 'next: faceid generate alice "' in answer.err
    assert "built-in" not in answer.err, "the tiny model is not the built-in one"
    assert list(paths.identities_dir().glob("*.safetensors"))
    assert not list(paths.runs_dir().glob("*")), "the checkpoint of a finished run is deleted"


def test_show_knows_the_training(alice, faceid, tiny_model_dir) -> None:
    data = faceid("show", "alice", "--json").data
    assert data["identity"]["method"]["steps"] == 2
    assert data["identity"]["base_model"] == str(tiny_model_dir)
    assert data["identity"]["tags"] == ["test"]
    assert len(data["identity"]["photo_hashes"]) == 2
    assert len(data["runs"][0]["losses"]) == 2
    lines = faceid("show", "alice").out.splitlines()
    assert "note        hello" in lines
    assert any(line.startswith("training ") and " 2 steps in " in line for line in lines)


def test_enroll_twice_with_one_seed_gives_equal_files(alice, faceid, photos, tiny_model_dir) -> None:
    def digest(name: str) -> str:
        file = Path(faceid("show", name, "--json").data["identity"]["file"])
        return hashlib.sha256(file.read_bytes()).hexdigest()

    first = digest("alice")
    again = (
        "enroll",
        "alice",
        photos,
        "--model",
        tiny_model_dir,
        *QUICK,
        "--replace",
        "--tag",
        "test",
        "--note",
        "hello",
    )
    assert faceid(*again).code == 0
    assert digest("alice") == first
    assert faceid(*again, "--seed", 1).code == 0
    assert digest("alice") != first
    assert len(list(paths.identities_dir().iterdir())) == 1


def test_generate_writes_pictures_that_can_be_made_again(alice, faceid) -> None:
    answer = faceid("generate", "alice", "holding a cup", "--steps", 2, "--count", 3, "--batch", 2, "--seed", 5)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "alice-1.png  seed 5",
        "alice-2.png  seed 6",
        "alice-3.png  seed 7",
    ]
    made = read_metadata(Path("alice-2.png"))
    assert made is not None
    assert (made.prompt, made.seed, made.steps, made.names) == ("a photo of <alice> holding a cup", 6, 2, ("alice",))

    alone = faceid("generate", "ALICE", "holding a cup", "--steps", 2, "--seed", 6, "-o", "alone.png", "--json").data
    assert alone["renders"][0]["file"] == "alone.png"
    with Image.open("alone.png") as one, Image.open("alice-2.png") as two:
        difference = max(abs(a - b) for a, b in zip(one.tobytes(), two.tobytes(), strict=True))
    assert difference <= 2

    renders = faceid("show", "alice", "--json").data["renders"]
    assert [render["seed"] for render in renders] == [5, 6, 7, 6]
    assert renders[0]["prompt"] == "holding a cup"
    assert Path(renders[0]["path"]) == Path.cwd() / "alice-1.png"


def test_generate_never_overwrites(alice, faceid) -> None:
    for _ in range(2):
        assert faceid("generate", "alice", "x", "--steps", 1, "--seed", 5, "-o", "a.png").code == 0
    assert {path.name for path in Path().iterdir()} == {"a.png", "a-2.png"}


def test_a_random_seed_is_shown(alice, faceid) -> None:
    answer = faceid("generate", "alice", "x", "--steps", 1)
    seed = int(answer.out.split()[-1])
    assert answer.err.splitlines()[-1] == f"next: the same again with --seed {seed}"
    made = read_metadata(Path("alice.png"))
    assert made is not None
    assert made.seed == seed


def test_quiet_prints_paths_only(alice, faceid) -> None:
    answer = faceid("generate", "alice", "x", "--steps", 1, "-q")
    assert (answer.out, answer.err) == ("alice.png\n", "")


def test_size_scheduler_and_negative_prompt_reach_the_picture(alice, faceid) -> None:
    answer = faceid(
        "generate", "alice", "{name} smiling", "--steps", 2, "--size", "64x128", "--scheduler", "euler",
        "--negative", "beard", "--guidance-scale", 3,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    with Image.open("alice.png") as image:
        assert image.size == (64, 128)
    made = read_metadata(Path("alice.png"))
    assert made is not None
    assert (made.scheduler, made.negative_prompt, made.guidance_scale) == ("euler", "beard", 3.0)
    assert made.prompt == "<alice> smiling"


def test_compose_puts_both_into_one_prompt(alice, faceid, photos, tiny_model_dir) -> None:
    assert faceid("enroll", "bob", photos / "0.png", "--model", tiny_model_dir, *QUICK).code == 0
    answer = faceid("compose", "alice", "bob", "at night", "--steps", 1, "--seed", 3, "--json")
    assert answer.code == 0, answer.err
    assert answer.data["renders"][0]["settings"]["prompt"] == "a photo of <alice> and <bob> at night"
    assert [render["seed"] for render in faceid("show", "bob", "--json").data["renders"]] == [3]
    removed = faceid("remove", "bob", "-y", "--json").data
    assert removed["pictures"] == [str(Path("alice-bob.png").absolute())]
    assert Path("alice-bob.png").exists()
    assert faceid("show", "alice", "--json").data["renders"] == []


def test_export_and_import_keep_the_person(alice, faceid) -> None:
    assert faceid("export", "alice").out == "alice.safetensors\n"
    assert faceid("export", "alice").code == 9, "nothing is overwritten"
    assert faceid("import", "alice.safetensors").code == 7
    answer = faceid("import", "alice.safetensors", "--name", "anna", "--tag", "copy")
    assert (answer.code, answer.out) == (0, "imported anna\n")
    anna = faceid("show", "anna", "--json").data["identity"]
    assert anna["tags"] == ["test", "copy"]
    assert anna["note"] == "hello"
    for name in ("alice", "anna"):
        assert faceid("generate", name, "x <" + name + ">", "--steps", 1, "--seed", 1, "-o", f"{name}.png").code == 0
    with Image.open("alice.png") as one, Image.open("anna.png") as two:
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("generate", "bob", "x"), 3, "no identity is called 'bob'"),
        (("generate", "alice", "<bob> x"), 2, "the prompt marks <bob>, which is none of the people of this picture"),
        (("generate", "alice", "x", "--size", "65x64"), 2, "width is 65 px"),
        (("generate", "alice", "x", "--size", "big"), 2, "'big' is not a size"),
        (("generate", "alice", "x", "--scheduler", "magic"), 2, "unknown scheduler 'magic'"),
        (("generate", "alice", "x", "--seed", "-1"), 2, "seed is -1"),
        (("generate", "alice", "x", "--seed", 2**32 - 1, "--count", 2), 2, "2 pictures from seed 4294967295 on go"),
        (("generate", "alice", "x", "-o", "no/such/folder/a.png"), 9, "there is no folder no/such/folder"),
        (("generate", "alice", "x", "-o", "a.gif"), 2, "pictures are PNG files"),
        (("generate", "alice", "mountains " * 80), 2, "mountains"),
        (("generate", "alice", "x", "--model", "nowhere"), 5, "nowhere"),
        (("compose", "alice", "alice", "x"), 2, "alice is given more than once"),
        (("enroll", "alice", "{photos}"), 7, "alice is enrolled already"),
        (("enroll", "a/b", "{photos}"), 2, "'a/b' is not a name"),
        (("enroll", "bob", "nowhere"), 4, "nowhere"),
        (("enroll", "bob", "{photos}", "--model", "./nowhere"), 5, "no base model at ./nowhere"),
        (("enroll", "bob", "{photos}", "--preset", "magic"), 2, "unknown preset 'magic'"),
        (("enroll", "bob", "{photos}", "--steps", 0), 2, "steps must be 1 or more, not 0"),
        (("enroll", "bob", "{photos}", "--box", "1,2"), 2, "'1,2' is not a box"),
        (("enroll", "bob", "{photos}", "--resume", "--no-detect", "--model", "{model}"), 8, "checkpoint"),
        (("import", "{photos}/0.png"), 11, "is not a safetensors file"),
        (("export", "alice", "-o", "alice.pt"), 2, "cannot export to alice.pt"),
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


def test_a_changed_base_model_is_noticed(alice, faceid, photos, tiny_model_dir, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model_dir, copy)
    assert faceid("enroll", "bob", photos, "--model", copy, *QUICK).code == 0
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\0\0"
    weights.write_bytes(content)
    answer = faceid("generate", "bob", "x")
    assert answer.code == 5
    assert f"the base model {copy} has changed since bob was learned on it" in answer.err
    answer = faceid("generate", "bob", "x", "--steps", 1, "--model", tiny_model_dir)
    assert answer.code == 0, answer.err
    assert faceid("enroll", "bob", photos, "--model", copy, *QUICK, "--replace").code == 0
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


def test_ctrl_c_saves_a_checkpoint_and_resume_goes_on(alice, faceid, photos, tiny_model_dir, monkeypatch) -> None:
    from faceid_cli.cli import progress

    words = ("enroll", "bob", photos, "--model", tiny_model_dir, *QUICK[:1], "--steps", 4, "--batch", 1)
    assert faceid(*words, *LABELS).code == 0
    unbroken = Path(faceid("show", "bob", "--json").data["identity"]["file"]).read_bytes()
    assert faceid("remove", "bob", "-y").code == 0

    def press(gate: object, last: bool) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress._Gate, "opens", press)
        answer = faceid(*words, *LABELS)
    assert answer.code == 130
    assert "error: interrupted after step 1 of 4; checkpoint saved at " in answer.err
    assert "run the same command with --resume" in answer.err
    assert faceid("show", "bob").code == 3

    wrong = faceid(*words, "--resume", "--seed", 9)
    assert wrong.code == 8
    answer = faceid(*words, "--resume", *LABELS)
    assert answer.code == 0, answer.err
    assert Path(faceid("show", "bob", "--json").data["identity"]["file"]).read_bytes() == unbroken
    assert not list(paths.runs_dir().glob("*"))


def test_the_first_enrolment_explains_the_builtin_model(faceid, photos) -> None:
    if not (paths.builtin_model_dir() / "unet").is_dir():
        pytest.skip("the built-in model's weights are not there")
    answer = faceid("enroll", "bob", photos / "0.png", *QUICK)
    assert answer.err.startswith("base model: the built-in one, which draws illustrated portraits; for photographs ")
    assert "faceid config set model" in answer.err.splitlines()[0]
    answer = faceid("enroll", "carol", photos / "0.png", *QUICK)
    assert "built-in" not in answer.err


def test_an_import_tells_that_the_base_model_is_missing(faceid, add_person) -> None:
    add_person("zoe", base_model="/gone", base_fingerprint="sd1:fedcba9876543210", tags=("far",))
    assert faceid("export", "zoe").code == 0
    answer = faceid("import", "zoe.safetensors", "--name", "zara")
    assert answer.code == 0
    assert answer.err.startswith("the base model /gone (sd1:fedcba9876543210) is not on this machine: give --model\n")
    assert faceid("show", "zara", "--json").data["identity"]["tags"] == ["far"]


def test_a_damaged_identity_file_is_named(alice, faceid) -> None:
    file = Path(faceid("show", "alice", "--json").data["identity"]["file"])
    file.write_bytes(file.read_bytes()[:-8])
    for words in (("generate", "alice", "x"), ("export", "alice")):
        answer = faceid(*words)
        assert (answer.code, answer.out) == (11, "")
        assert f"error: {file} is damaged" in answer.err


def test_a_home_that_cannot_be_written_is_found_before_the_training(
    faceid, photos, tiny_model_dir, tmp_path, monkeypatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "file"))
    answer = faceid("enroll", "bob", photos, "--model", tiny_model_dir, *QUICK)
    assert answer.code == 6
    assert "error: the registry " in answer.err
    assert "step " not in answer.err


def test_json_is_one_object_with_a_version(alice, faceid) -> None:
    for words in (("list",), ("show", "alice"), ("config", "list"), ("config", "get", "model"), ("export", "alice")):
        data = json.loads(faceid(*words, "--json").out)
        assert data["version"] == 1
        assert data["command"] == " ".join(word for word in words if word not in ("alice", "model"))
