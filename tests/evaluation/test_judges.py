"""evaluation/judges.py, likeness.py and photographs.py: what judges say about pictures whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from faceid_cli.builtin.draw import draw
from faceid_cli.builtin.judge import Judge
from faceid_cli.builtin.samples import photo_set, unseen_person
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.errors import ModelError, UsageError, WeightsMissingError
from faceid_cli.evaluation.judges import DrawnJudge, check_fit
from faceid_cli.evaluation.likeness import Likeness, likeness_to
from faceid_cli.evaluation.photographs import ClipScorer, PhotographJudge
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.faces.drawn import DrawnFaceFinder


@pytest.fixture(scope="module")
def judge() -> DrawnJudge:
    return DrawnJudge(Judge.load())


def faces_of(judge: DrawnJudge, person: int, count: int, seed: int) -> list[np.ndarray]:
    return [judge.embed(drawing.image, drawing.faces[0]) for drawing in photo_set(person, count, seed, 128)]


def test_likeness_is_about_0_for_strangers_and_100_for_the_person(judge: DrawnJudge) -> None:
    likeness = likeness_to(judge, faces_of(judge, 5, 4, 0))
    own = [likeness.percent(likeness.similarity(face)) for face in faces_of(judge, 5, 6, 1)]
    strangers = [likeness.percent(likeness.similarity(faces_of(judge, number, 1, 0)[0])) for number in range(10, 22)]
    assert 80 < np.mean(own) < 120
    assert abs(np.mean(strangers)) < 25
    assert min(own) > max(strangers)


def test_a_single_photo_is_measured_by_what_is_typical(judge: DrawnJudge) -> None:
    alone, several = likeness_to(judge, faces_of(judge, 5, 1, 0)), likeness_to(judge, faces_of(judge, 5, 4, 0))
    assert alone.own == judge.typical_similarity()
    assert alone.own == pytest.approx(several.own, abs=0.25)


def test_likeness_without_a_known_own_level_has_no_percent() -> None:
    assert Likeness((np.ones(2),), 0.0, None).percent(0.5) is None
    assert Likeness((np.ones(2),), 0.4, 0.3).percent(0.5) is None
    assert Likeness((np.ones(2),), 0.2, 0.7).percent(0.45) == pytest.approx(50)


def test_the_built_in_judge_tells_what_of_a_prompt_is_there(judge: DrawnJudge) -> None:
    rng = np.random.default_rng(4)
    picture = draw(photo_picture(unseen_person(4), rng))
    scene = max(judge._judge.scenes(picture.image).items(), key=lambda entry: entry[1])[0]
    asked = EvaluationPrompt("{}", "scene", (scene, "guitar"))
    found = judge.obedience(picture.image, picture.faces[0], asked)
    assert found.concepts == {scene: True, "guitar": False}
    assert found.score == 0.5
    crowned = EvaluationPrompt("{}", "attribute", ("crown",))
    assert judge.obedience(picture.image, None, crowned).concepts == {"crown": False}, "no face, no crown"
    assert judge.obedience(picture.image, None, EvaluationPrompt("{} riding a dragon", "your own", ())).score is None


def test_judges_of_another_world_are_refused() -> None:
    check_fit("auto", True)
    check_fit("builtin", True)
    check_fit("photographs", False)
    with pytest.raises(UsageError, match="the built-in judge only knows drawn portraits"):
        check_fit("builtin", False)
    with pytest.raises(UsageError, match="judge of photographs cannot score"):
        check_fit("photographs", True)
    with pytest.raises(UsageError, match="unknown judge 'nobody'"):
        check_fit("nobody", True)


@pytest.fixture
def clip_dir(tmp_path: Path, tiny_model_dir: Path) -> Path:
    """A tiny CLIP model of real classes, in transformers' layout."""
    folder = tmp_path / "clip"
    tokenizer = CLIPTokenizer.from_pretrained(tiny_model_dir / "tokenizer")
    tokenizer.save_pretrained(folder)
    text = {"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "image_size": 32, "patch_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CLIPConfig(
            text_config={**text, **ends, "num_attention_heads": 2},
            vision_config={**vision, "num_attention_heads": 2},
            projection_dim=8,
        )
        CLIPModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


def test_the_judge_of_photographs_scores_prompts_with_clip(clip_dir: Path) -> None:
    scorer = ClipScorer.load(clip_dir, "cpu")
    judge = PhotographJudge(DrawnFaceFinder.load(), scorer)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    prompt = EvaluationPrompt("a photo of {} on the beach holding a cup", "two of them", ("beach", "cup"))
    found = judge.obedience(picture, None, prompt)
    whole, plain, beach, cup = scorer.similarities(
        picture,
        [
            "a photo of a person on the beach holding a cup",
            "a photo of a person",
            "a photo of a person, beach",
            "a photo of a person, cup",
        ],
    )
    assert found.score == pytest.approx(whole, abs=1e-6)
    assert found.concepts == {"beach": beach > plain, "cup": cup > plain}
    own = judge.obedience(picture, None, EvaluationPrompt("riding a dragon", "your own", ()))
    assert list(own.concepts) == ["a photo of a person, riding a dragon"]
    assert -1 <= own.score <= 1


def test_things_are_scored_by_clip_alone(clip_dir: Path) -> None:
    judge = PhotographJudge.load(clip_dir, "cpu", with_faces=False)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert judge.find_faces(image) == []
    prompt = EvaluationPrompt("{} on the beach", "your own", ()).about("cup")
    assert (prompt.people, prompt.subject) == (0, "a cup")
    (expected,) = ClipScorer.load(clip_dir, "cpu").similarities(image, ["a cup on the beach"])
    assert judge.obedience(image, None, prompt).score == pytest.approx(expected, abs=1e-5)


def test_missing_weights_for_photographs_are_named(tmp_path: Path, clip_dir: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"weights for comparing faces in photographs are missing: .*arcface"):
        PhotographJudge.load(clip_dir, "cpu")
    with pytest.raises(WeightsMissingError, match=r"CLIP model that scores prompts is missing") as caught:
        ClipScorer.load(tmp_path / "nothing")
    assert "openai/clip-vit-large-patch14" in caught.value.hint
    (clip_dir / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"CLIP model in .* cannot be loaded"):
        ClipScorer.load(clip_dir)
