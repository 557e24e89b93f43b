"""`faceid models`, and options that say how a base model is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from faceid_cli.errors import OutOfMemoryError
from faceid_cli.kept import paths
from faceid_cli.model_files import fingerprint_of
from faceid_cli.model_files.kin import kin_of
from faceid_cli.orders import ModelOptions
from faceid_cli.registry.base_models import add_score, scores_of
from faceid_cli.registry.store import Registry


@pytest.fixture
def sister(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """Another checkpoint of the family: the tiny model, trained on."""
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "sister"))
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({name: value + np.float32(1e-3) for name, value in tensors.items()}, weights, {"format": "pt"})
    return folder


def test_names_for_base_models(faceid, alice, tiny_model_dir, sister):
    assert faceid("models", "add", "tiny", tiny_model_dir).out == f"tiny is {tiny_model_dir}, Stable Diffusion 1.x\n"
    faceid("models", "add", "sister", sister)
    listed = {entry["name"]: entry for entry in faceid("models", "list", "--json").data["models"]}
    assert set(listed) == {"builtin", "tiny", "sister"}
    assert listed["tiny"]["people"] == ["alice"]
    assert listed["sister"]["people"] == []
    assert listed["builtin"]["is_default"]

    taken = faceid("models", "add", "TINY", sister)
    assert taken.code == 7
    assert "tiny is a base model already" in taken.err
    assert faceid("models", "add", "builtin", sister).code == 2
    assert faceid("models", "add", "tiny", sister, "--replace").code == 0
    assert faceid("models", "remove", "tiny").code == 0
    gone = faceid("models", "remove", "sistr")
    assert gone.code == 3
    assert "did you mean sister?" in gone.err


def test_info_tells_a_base_model_without_loading_it(faceid, alice, tiny_model_dir):
    details = faceid("models", "info", tiny_model_dir, "--json").data["model"]["details"]
    assert details["size_px"] == 64
    assert details["predicts"] == "v_prediction"
    assert details["text_width"] == 32
    answer = faceid("models", "info", tiny_model_dir)
    assert "Stable Diffusion 1.x" in answer.out
    assert "alice" in answer.out
    missing = faceid("models", "info", "nothing")
    assert missing.code == 5
    assert "no base model at nothing" in missing.err


def test_a_name_is_as_good_as_a_path(faceid, alice, sister):
    faceid("models", "add", "sister", sister)
    assert faceid("models", "set-default", "sister").out == "model is now sister\n"
    assert faceid("config", "get", "model", "--json").data["value"] == str(sister)
    answer = faceid("generate", "alice", "a cup", "--model", "sister", "--seed", "1", "--steps", "1")
    assert answer.code == 0
    assert "learned on another base model, so expect less likeness: alice" in answer.err
    assert "alice is untested on it; `faceid models score alice --base sister` scores it" in answer.err


def test_base_models_are_told_by_their_names(faceid, alice, tiny_model_dir, sister):
    for name, folder in (("photo", tiny_model_dir), ("sister", sister)):
        assert faceid("models", "add", name, folder).code == 0
    assert faceid("config", "set", "model", "PHOTO").out == "model is now photo\n"
    assert faceid("config", "get", "model").out == "photo\n"
    assert "model=photo\n" in faceid("config", "list", "-q").out
    faceid("report", "alice", "-o", "report.html")
    page = Path("report.html").read_text(encoding="utf-8")
    learned_on = page[page.index("<dt>learned on") :].partition("</dd>")[0]
    for said in (faceid("list").out, faceid("show", "alice").out, faceid("config", "list").out, learned_on):
        assert "photo" in said
        assert str(tiny_model_dir) not in said
    with Registry.open() as registry:
        assert registry.get("alice").base_model == str(tiny_model_dir), "what is kept is where it lies"
    faceid("models", "remove", "photo")
    assert f"  {tiny_model_dir}  " in faceid("list").out


def test_the_built_in_family_has_a_name_of_its_own(faceid, alice, add_person, tiny_model_dir, tmp_path):
    listed = {entry["name"]: entry["family"] for entry in faceid("models", "list", "--json").data["models"]}
    assert listed == {"builtin": "builtin"}
    assert "built-in drawings" in faceid("models", "list").out
    answer = faceid("generate", "alice", "a cup", "--model", "builtin")
    assert answer.code == 5
    assert "alice was learned on Stable Diffusion 1.x, and builtin is built-in drawings" in answer.err
    add_person("drawn")
    answer = faceid("generate", "drawn", "a cup", "--model", tiny_model_dir)
    assert "drawn was learned on built-in drawings" in answer.err
    # What was trained from the built-in model is of its kind, wherever it lies.
    own = Path(shutil.copytree(paths.builtin_model_dir(), tmp_path / "own"))
    assert kin_of(str(own), fingerprint_of("builtin")) == "builtin"
    assert kin_of("owner/name", "sd1:0") == "sd1"
    assert kin_of("sd15.safetensors", "sd1:0") == "", "of a file that is gone it cannot be told"


def test_a_tested_base_model_is_not_warned_of(faceid, alice, sister):
    with Registry.open() as registry:
        person = registry.get("alice")
        add_score(registry, person.id, fingerprint_of(str(sister)), str(sister), {"identity": 0.5, "prompt": None})
        assert [score.scores for score in scores_of(registry, person.id)] == [{"identity": 0.5, "prompt": None}]
    answer = faceid("generate", "alice", "a cup", "--model", sister, "--seed", "1", "--steps", "1")
    assert "untested" not in answer.err
    assert "expect less likeness" in answer.err
    faceid("remove", "alice", "--yes")
    with Registry.open() as registry:
        assert scores_of(registry, person.id) == []


def test_another_family_is_refused_with_the_reason(faceid, add_person, tiny_model_dir):
    add_person("xena", base_model="/gone", base_fingerprint="sdxl:0123456789abcdef")
    answer = faceid("generate", "xena", "a cup", "--model", tiny_model_dir)
    assert answer.code == 5
    assert "xena was learned on Stable Diffusion XL" in answer.err
    assert "is Stable Diffusion 1.x: its text encoders read other tokens" in answer.err
    assert faceid("models", "test", "xena", "--base", tiny_model_dir).code == 5
    assert faceid("models", "test", "xena", tiny_model_dir).code == 5
    missing = faceid("models", "test", "xena", "--base", "/gone", "nothing")
    assert missing.code == 5


def test_a_changed_base_model_is_noticed(faceid, sister):
    faceid("models", "add", "sister", sister)
    weights = sister / "vae/diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({name: value * 2 for name, value in tensors.items()}, weights, {"format": "pt"})
    assert "changed since it was added" in faceid("models", "list").out


def test_options_of_the_enrolment_are_kept_and_used(faceid, photos, quick, tiny_model_dir, sister):
    answer = faceid("enroll", "zoe", photos, "--model", tiny_model_dir, "--vae", sister, "--low-vram", *quick)
    assert answer.code == 0, answer.err
    shown = faceid("show", "zoe", "--json").data["identity"]["method"]["model_options"]
    assert shown == {"variant": None, "vae": str(sister), "loras": []}
    assert faceid("generate", "zoe", "a cup", "--steps", "1").code == 0
    shutil.rmtree(sister)
    gone = faceid("generate", "zoe", "a cup", "--steps", "1")
    assert gone.code == 5
    assert f"no VAE at {sister}" in gone.err


def test_loras_and_vaes_that_are_not_there(faceid, alice):
    answer = faceid("generate", "alice", "a cup", "--lora", "nothing.safetensors:0.5")
    assert answer.code == 5
    assert "no LoRA at nothing.safetensors" in answer.err
    assert faceid("generate", "alice", "a cup", "--vae", "nothing").code == 5
    assert faceid("generate", "alice", "a cup", "--lora", "nothing.safetensors:big").code == 2


def test_a_picture_to_start_from(faceid, alice, photos):
    start = ("--init", photos / "0.png", "--strength", "0.5", "--clip-skip", "1")
    how = ("--steps", "2", "--scheduler", "dpm++-karras", "--batch", "auto", "--seed", "3", "--json")
    answer = faceid("generate", "alice", "(a cup:1.2)", *start, *how)
    assert answer.code == 0, answer.err
    settings = answer.data["renders"][0]["settings"]
    assert settings["strength"] == 0.5
    assert len(settings["init"]) == 64
    assert settings["clip_skip"] == 1
    assert faceid("generate", "alice", "a cup", "--strength", "2").code == 2
    assert faceid("generate", "alice", "a cup", "--batch", "many").code == 2
    assert faceid("generate", "alice", "a cup", "--init", "nothing.png").code == 4


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "alice", "a cup"),
        ("attention", "alice", "a cup"),
        ("evaluate", "alice", "--judge", "builtin"),
        ("models", "score", "alice"),
    ],
)
def test_every_command_that_renders_can_save_memory(faceid, alice, monkeypatch, words):
    """Where memory runs out its error says --low-vram, so the option must be there and arrive."""
    from faceid_cli import backbone
    from faceid_cli.evaluation import judging

    def no_memory(source: str, device: str, precision: str, options: ModelOptions) -> None:
        raise OutOfMemoryError(f"low_vram={options.low_vram}")

    monkeypatch.setattr(backbone, "load_base_model", no_memory)
    monkeypatch.setattr(judging, "picture_judge", lambda *_: None)
    for more in ((), ("--low-vram",)):
        answer = faceid(*words, *more)
        assert answer.code == 10, answer.err
        assert f"low_vram={bool(more)}" in answer.err


def test_info_lists_what_the_built_in_model_can_draw(faceid) -> None:
    details = faceid("models", "info", "builtin", "--json").data["model"]["details"]
    assert "eiffel tower" in details["scenes"]
    assert "chess" in details["things"]
    assert "hoodie" in details["clothes"]
    assert "eiffel tower, beach, mountains" in faceid("models", "info", "builtin").out


def test_words_that_the_built_in_model_does_not_know_are_told_once(faceid, add_person) -> None:
    from faceid_cli.model_files import fingerprint_of

    add_person("bob", base_fingerprint=fingerprint_of("builtin"))
    prompt = "(riding:1.2) a dragon through neon tokyo, a dragon"
    answer = faceid("generate", "bob", prompt, "--negative", "hats", "--device", "cpu", "--steps", 1)
    assert "does not know, and draws nothing for: riding, dragon, through, neon, tokyo, hats" in " ".join(
        answer.err.split()
    )
    assert answer.err.count("dragon") == 1
    known = faceid("generate", "bob", "on the beach", "--device", "cpu", "--steps", 1)
    assert "does not know" not in known.err


def test_scores_on_several_base_models_take_a_judge_and_a_clip_model(faceid, alice, tmp_path):
    gone = faceid("models", "score", "alice", "--judge", "photographs", "--clip", tmp_path / "gone")
    assert gone.code == 5
    drawings = faceid("models", "score", "alice", "--judge", "builtin")
    assert drawings.code == 2, "a judge of another world"
    assert faceid("models", "score", "alice", "--judge", "nobody").code == 2
