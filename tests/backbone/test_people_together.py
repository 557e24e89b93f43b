"""Several people in shared passes: each learns what they would alone, whatever becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.backbone import load_base_model
from faceid_cli.errors import FaceIDError, InterruptedRunError, OutOfMemoryError
from faceid_cli.orders import TrainConfig
from faceid_cli.training import train_identity
from faceid_cli.training.run import Lesson, Run
from faceid_cli.training.together import shared_settings, train_together
from faceid_cli.types import Box, Face, FaceCrop, IdentityTokens, StepReport


def crops_of(person: int, count: int = 2, face: Face | None = None) -> list[FaceCrop]:
    pixels = np.random.default_rng(person).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [
        FaceCrop(Image.fromarray(each).resize((64, 64)), face, f"{person} {n}", Path(f"{person}-{n}.png"))
        for n, each in enumerate(pixels)
    ]


@pytest.fixture
def quick() -> TrainConfig:
    return TrainConfig(steps=4, batch_size=2, checkpoint_every=2, seed=3)


class Ends:
    """Collects what comes of runs."""

    def __init__(self) -> None:
        self.finished: list[Run] = []
        self.failed: dict[int, FaceIDError] = {}

    def on_failed(self, run: Run, error: FaceIDError) -> None:
        self.failed[id(run)] = error


def assert_alike(one: IdentityTokens, other: IdentityTokens) -> None:
    for side in ("keys", "values"):
        for name, expected in getattr(other, side).items():
            # Adam makes a whole step of a gradient that is nothing but rounding, which a number in a hundred may have.
            apart = (getattr(one, side)[name] - expected).abs().flatten()
            assert apart.quantile(0.98) < 2e-4, side
            assert apart.max() < 5e-3, side


@pytest.mark.parametrize("family", ["sd1", pytest.param("sdxl", marks=pytest.mark.slow)])
def test_each_learns_what_they_would_alone(tiny_families, family) -> None:
    base = load_base_model(str(tiny_families(family).folder), "cpu", "float32")
    size = base.size_px
    face = Face(Box(16, 16, 32, 32), (), 1.0)
    config = TrainConfig(steps=6, batch_size=2, seed=3)
    lessons = [
        Lesson(crops_of(1, 2, face), config),
        Lesson(crops_of(2, 1), replace(config, class_word="old man", seed=9, learning_rate=1e-3)),
        Lesson(crops_of(3, 3), replace(config, steps=4, average_last=2, mirror=True, templates="photo")),
    ]
    assert {crop.image.size for lesson in lessons for crop in lesson.crops} == {(size, size)}
    assert len({shared_settings(lesson.config) for lesson in lessons}) == 1
    known: dict[object, object] = {}
    runs, ends = [Run(base, lesson, known) for lesson in lessons], Ends()
    reports: list[StepReport] = []
    train_together(runs, ends.finished.append, ends.on_failed, reports.append)
    assert [run.state.step for run in runs] == [6, 6, 4]
    assert ends.finished[0] is runs[2], "whoever has fewer steps is finished first"
    assert [report.people for report in reports] == [3] * 4 + [2] * 2
    for run, lesson in zip(runs, lessons, strict=True):
        alone, report = train_identity(base, lesson.crops, lesson.config)
        assert_alike(run.tokens(), alone)
        assert run.report().losses == pytest.approx(np.array(report.losses), rel=1e-3, abs=1e-6)
    assert not torch.allclose(runs[0].tokens().keys["text_encoder"], runs[2].tokens().keys["text_encoder"], atol=1e-3)


def test_people_with_one_class_word_share_their_sentences(tiny_base, quick) -> None:
    known: dict[object, object] = {}
    runs = [Run(tiny_base, Lesson(crops_of(person), quick), known) for person in (1, 2)]
    assert runs[0].engine.sentences is runs[1].engine.sentences


def test_settings_that_shape_a_pass_or_weigh_its_losses_are_not_shared(quick) -> None:
    for change in ({"stages": 3}, {"vectors": 2}, {"batch_size": 3}, {"attention_weight": 0.0}):
        assert shared_settings(replace(quick, **change)) != shared_settings(quick)
    assert shared_settings(replace(quick, steps=9, class_word="cat", seed=1)) == shared_settings(quick)


def test_one_who_goes_astray_leaves_and_the_others_go_on(tiny_base, quick) -> None:
    runs, ends = [Run(tiny_base, Lesson(crops_of(person), quick)) for person in range(3)], Ends()
    with torch.no_grad():
        runs[1].engine.latents.fill_(float("nan"))
    train_together(runs, ends.finished.append, ends.on_failed)
    assert ends.finished == [runs[0], runs[2]]
    assert "the loss of step 1 is not a number" in ends.failed[id(runs[1])].message
    assert_alike(runs[2].tokens(), train_identity(tiny_base, crops_of(2), quick)[0])


def test_where_memory_is_short_fewer_share_a_pass(tiny_base, quick) -> None:
    rows: list[int] = []

    def small_memory(module: object, arguments: tuple[torch.Tensor, ...]) -> None:
        if len(arguments[0]) > 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        rows.append(len(arguments[0]))

    runs, ends, notes = [Run(tiny_base, Lesson(crops_of(person), quick)) for person in range(3)], Ends(), []
    handle = tiny_base.unet.register_forward_pre_hook(small_memory)
    train_together(runs, ends.finished.append, ends.on_failed, on_note=notes.append)
    handle.remove()
    assert notes == ["3 people do not fit into memory together: 2 share a pass from here on"]
    assert rows == [4] * 4 + [2] * 4
    for person, run in enumerate(runs):
        assert_alike(run.tokens(), train_identity(tiny_base, crops_of(person), quick)[0])


def test_who_does_not_fit_alone_fails(tiny_base, quick) -> None:
    def no_memory(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    runs, ends = [Run(tiny_base, Lesson(crops_of(person), quick)) for person in range(2)], Ends()
    tiny_base.unet.register_forward_pre_hook(no_memory)
    train_together(runs, ends.finished.append, ends.on_failed)
    assert {type(error) for error in ends.failed.values()} == {OutOfMemoryError}
    assert len(ends.failed) == 2


def test_after_ctrl_c_everybody_goes_on_alone_or_together(tiny_base, tmp_path, quick) -> None:
    def begun(resume: bool = False) -> list[Run]:
        folders = [tmp_path / str(person) for person in range(2)]
        return [
            Run(tiny_base, Lesson(crops_of(person), quick, folder, resume)) for person, folder in enumerate(folders)
        ]

    def stop(report: StepReport) -> None:
        if report.step == 3:
            raise KeyboardInterrupt

    ends = Ends()
    with pytest.raises(InterruptedRunError) as caught:
        train_together(begun(), ends.finished.append, ends.on_failed, stop)
    assert caught.value.message == "interrupted; checkpoints are saved"
    resumed, report = train_identity(tiny_base, crops_of(0), quick, tmp_path / "0", resume=True)
    assert report.resumed_from == 3
    runs = begun(resume=True)
    train_together(runs, ends.finished.append, ends.on_failed)
    assert [run.resumed_from for run in runs] == [4, 3], "the first was finished alone"
    for person, tokens in enumerate((resumed, runs[1].tokens())):
        assert_alike(tokens, train_identity(tiny_base, crops_of(person), quick)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_replayed_steps_of_several_people_learn_what_each_would_alone(tiny_families, family) -> None:
    base = load_base_model(str(tiny_families(family).folder), "cuda", "float32")
    config = TrainConfig(steps=30, batch_size=2, average_last=5)
    lessons = [Lesson(crops_of(person), replace(config, steps=30 - 12 * (person == 1))) for person in range(3)]
    runs, ends, notes = [Run(base, lesson) for lesson in lessons], Ends(), []
    train_together(runs, ends.finished.append, ends.on_failed, on_note=notes.append)
    assert notes == []
    assert len(ends.finished) == 3
    for run, lesson in zip(runs, lessons, strict=True):
        alone, _ = train_identity(base, lesson.crops, lesson.config)
        for name, keys in alone.keys.items():
            assert torch.allclose(run.tokens().keys[name], keys, atol=2e-3)
