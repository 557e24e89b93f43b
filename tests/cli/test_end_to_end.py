"""From photo files to pictures through `main(argv)`, with a tiny real model."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image

from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import load_identity, save_identity
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import read_metadata


def test_enroll_says_what_it_did_and_what_comes_next(faceid, photos, tiny_model_dir, quick) -> None:
    answer = faceid("enroll", "alice", photos, "--model", tiny_model_dir, *quick)
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


def test_enroll_twice_with_one_seed_gives_equal_files(alice, faceid, photos, tiny_model_dir, quick) -> None:
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
        *quick,
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


def test_compose_puts_both_into_one_prompt(alice, faceid, photos, tiny_model_dir, quick) -> None:
    assert faceid("enroll", "bob", photos / "0.png", "--model", tiny_model_dir, *quick).code == 0
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


def test_an_exported_file_names_no_folders(alice, faceid, photos, tiny_model_dir) -> None:
    assert faceid("export", "alice").code == 0
    content = Path("alice.safetensors").read_bytes()
    for folder in (tiny_model_dir, photos):
        assert str(folder).encode() not in content
    assert tiny_model_dir.name.encode() in content
    assert faceid("remove", "alice", "-y").code == 0

    answer = faceid("import", "alice.safetensors")
    assert f"the base model {tiny_model_dir.name}" in answer.err
    assert "is not on this machine: give --model" in answer.err
    assert faceid("models", "add", "mine", tiny_model_dir).code == 0
    answer = faceid("import", "alice.safetensors", "--replace")
    assert answer.err.count("not on this machine") == 0, "found among the named ones"
    assert faceid("show", "alice", "--json").data["identity"]["base_model"] == str(tiny_model_dir)


def test_an_import_says_which_files_are_needed_beside_the_base_model(alice, faceid) -> None:
    """Learned with a LoRA: its name is in the file, its folder is not."""
    assert faceid("export", "alice").code == 0
    stored = load_identity(Path("alice.safetensors"))
    method = {
        **stored.metadata.method,
        "model_options": {"variant": None, "vae": None, "loras": ["/secret/a.safetensors:0.5"]},
    }
    save_identity(Path("b.safetensors"), stored.keys, stored.values, replace(stored.metadata, name="b", method=method))
    assert "b was learned with --lora" in faceid("import", "b.safetensors").err
    assert faceid("export", "b", "-o", "c.safetensors").code == 0
    assert b"secret" not in Path("c.safetensors").read_bytes()
    assert b"a.safetensors:0.5" in Path("c.safetensors").read_bytes()


def test_ctrl_c_saves_a_checkpoint_and_resume_goes_on(
    alice, faceid, photos, tiny_model_dir, monkeypatch, quick, labels
) -> None:
    from faceid_cli.cli import progress

    words = ("enroll", "bob", photos, "--model", tiny_model_dir, *quick[:1], "--steps", 4, "--batch", 1)
    assert faceid(*words, *labels).code == 0
    unbroken = Path(faceid("show", "bob", "--json").data["identity"]["file"]).read_bytes()
    assert faceid("remove", "bob", "-y").code == 0

    def press(gate: object, last: bool) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress._Gate, "opens", press)
        answer = faceid(*words, *labels)
    assert answer.code == 130
    assert "error: interrupted after step 1 of 4; checkpoint saved at " in answer.err
    assert "run the same command with --resume" in answer.err
    assert faceid("show", "bob").code == 3

    wrong = faceid(*words, "--resume", "--seed", 9)
    assert wrong.code == 8
    answer = faceid(*words, "--resume", *labels)
    assert answer.code == 0, answer.err
    assert Path(faceid("show", "bob", "--json").data["identity"]["file"]).read_bytes() == unbroken
    assert not list(paths.runs_dir().glob("*"))


def test_ctrl_c_keeps_the_pictures_that_are_finished(alice, faceid, monkeypatch) -> None:
    from faceid_cli.cli import progress

    words = ("generate", "alice", "x", "--steps", 1, "--batch", 1, "--count", 4, "--seed", 5)
    steps: list[None] = []

    def press(gate: object, last: bool) -> bool:
        steps.append(None)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patch:
        patch.setattr(progress._Gate, "opens", press)
        answer = faceid(*words)
    assert (answer.code, answer.out) == (130, "")
    assert answer.err.splitlines()[-1] == "error: stopped by Ctrl-C; 2 pictures are finished, the last is alice-2.png"
    assert sorted(path.name for path in Path().iterdir()) == ["alice-1.png", "alice-2.png"]
    assert [made["seed"] for made in faceid("show", "alice", "--json").data["renders"]] == [5, 6]


def test_a_picture_on_the_disk_is_known_to_the_registry_before_the_next_is_begun(alice, faceid, monkeypatch) -> None:
    """Whatever ends the process then."""
    from faceid_cli.cli import progress

    seen: list[tuple[list[str], list[str]]] = []

    def look(gate: object, last: bool) -> bool:
        with Registry.open() as registry:
            known = [record.render.path.name for record in registry.renders_of("alice")]
        seen.append((sorted(path.name for path in Path().iterdir()), known))
        return False

    with monkeypatch.context() as patch:
        patch.setattr(progress._Gate, "opens", look)
        assert faceid("generate", "alice", "x", "--steps", 1, "--batch", 1, "--count", 3, "--seed", 5).code == 0
    assert seen[1:] == [(["alice-1.png"],) * 2, (["alice-1.png", "alice-2.png"],) * 2]


def test_two_enrolments_of_one_name_do_not_meet(alice, faceid, photos, tiny_model_dir, monkeypatch, quick) -> None:
    from faceid_cli.cli import progress

    words = ("enroll", "bob", photos, "--model", tiny_model_dir, *quick)
    others: list[tuple[int, str]] = []

    def meanwhile(gate: object, last: bool) -> bool:
        if others:
            return False
        for other in (("enroll", "BOB", photos, "--model", tiny_model_dir, *quick), ("remove", "bob", "-y")):
            answer = subprocess.run(
                [sys.executable, "-m", "faceid_cli", *map(str, other)],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                capture_output=True,
                text=True,
                check=False,
            )
            others.append((answer.returncode, answer.stderr.splitlines()[0]))
        return False

    with monkeypatch.context() as patch:
        patch.setattr(progress._Gate, "opens", meanwhile)
        assert faceid(*words).code == 0
    assert others == [
        (7, "error: BOB is being enrolled by another process"),
        (7, "error: bob is being enrolled by another process"),
    ]
    assert faceid("list", "-q").out == "alice\nbob\n"
    assert not list(paths.runs_dir().glob("*"))


def test_the_first_enrolment_explains_the_builtin_model(faceid, photos, quick) -> None:
    answer = faceid("enroll", "bob", photos / "0.png", *quick)
    assert answer.err.startswith("base model: the built-in one, which draws illustrated portraits; for photographs ")
    assert "faceid config set model" in answer.err.splitlines()[0]
    answer = faceid("enroll", "carol", photos / "0.png", *quick)
    assert "built-in" not in answer.err


def test_json_is_one_object_with_a_version(alice, faceid) -> None:
    for words in (("list",), ("show", "alice"), ("config", "list"), ("config", "get", "model"), ("export", "alice")):
        data = json.loads(faceid(*words, "--json").out)
        assert data["version"] == 1
        assert data["command"] == " ".join(word for word in words if word not in ("alice", "model"))
