"""faceid as a library: values come back, callbacks are called, and nothing is printed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import faceid_cli
from faceid_cli import RenderConfig, StepReport, errors, preset
from faceid_cli.kept import paths
from faceid_cli.rendering.metadata import read_metadata

QUICK = preset("sefi", steps=2, batch_size=1, device="cpu")
RENDER = RenderConfig(steps=1, device="cpu")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture
def alice(photo: Path, tiny_model_dir: Path) -> faceid_cli.Identity:
    return faceid_cli.enroll("alice", str(photo), config=QUICK, model=str(tiny_model_dir), detect=False)


def test_enroll_reports_and_prints_nothing(photo, tiny_model_dir, capsys) -> None:
    steps: list[StepReport] = []
    notes: list[str] = []
    identity = faceid_cli.enroll(
        "alice",
        [photo],
        config=QUICK,
        model=str(tiny_model_dir),
        detect=False,
        tags=("a", "b"),
        note="hello",
        on_step=steps.append,
        on_note=notes.append,
    )
    assert [report.step for report in steps] == [1, 2]
    assert notes == []
    assert (identity.name, identity.tags, identity.note) == ("alice", ("a", "b"), "hello")
    settled = dataclasses.replace(  # kept as it came out
        QUICK,
        initial_token="class",
        token_space="embeddings",
        learning_rate=0.005,
        average_last=0,
        templates="face",
        precision="auto",
    )
    assert identity.method == dataclasses.asdict(settled)
    assert identity.path.is_file()
    assert faceid_cli.list_identities() == [identity]
    assert capsys.readouterr() == ("", "")


def test_an_abandoned_checkpoint_is_mentioned(photo, tiny_model_dir, alice) -> None:
    from faceid_cli.kept.runs import checkpoint_dir

    checkpoint_dir("bob").mkdir(parents=True)
    (checkpoint_dir("bob") / "checkpoint.safetensors").write_bytes(b"half of bob")
    notes: list[str] = []
    faceid_cli.enroll("bob", photo, config=QUICK, model=str(tiny_model_dir), detect=False, on_note=notes.append)
    assert notes == ["starting anew: the interrupted enrolment of bob is given up (--resume would go on with it)"]
    assert not checkpoint_dir("bob").exists()


def test_pictures_stay_in_memory_unless_an_output_is_given(alice, tmp_path) -> None:
    renders = faceid_cli.generate("alice", "at night", seed=4, count=2, config=RENDER)
    assert [render.request.seed for render in renders] == [4, 5]
    assert renders[0].request.prompt == "at night"
    assert renders[0].path is None
    assert renders[0].image.size == (64, 64)
    assert faceid_cli.show("alice").renders == []

    written = faceid_cli.generate("alice", "at night", seed=4, config=RENDER, output=tmp_path / "a.png")
    assert written[0].path == tmp_path / "a.png"
    alone, in_batch = (np.asarray(made[0].image, dtype=int) for made in (written, renders))
    assert abs(alone - in_batch).max() <= 2, "a batch changes the rounding, not the picture"
    records = faceid_cli.show("alice").renders
    assert [(record.render.path, record.render.seed) for record in records] == [(tmp_path / "a.png", 4)]
    made = read_metadata(tmp_path / "a.png")
    assert made is not None
    assert made.identity_ids == (alice.id,)


def test_progress_counts_sampler_steps(alice) -> None:
    seen: list[tuple[int, int]] = []
    config = RenderConfig(steps=2, batch_size=1, device="cpu")
    faceid_cli.generate(
        "alice", "x", count=2, config=config, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_pictures_written_before_a_failure_are_recorded(alice, tmp_path, monkeypatch) -> None:
    from faceid_cli.api import generate as pictures

    real, written = pictures.save_render, []

    def full_after_one(*arguments):
        if written:
            raise errors.OutputError("no space left")
        written.append(real(*arguments))
        return written[0]

    monkeypatch.setattr(pictures, "save_render", full_after_one)
    with pytest.raises(errors.OutputError):
        faceid_cli.generate("alice", "x", seed=1, count=2, config=RENDER, output=tmp_path)
    assert [record.render.seed for record in faceid_cli.show("alice").renders] == [1]


def test_random_seeds_differ_and_leave_room_for_the_count(alice) -> None:
    from faceid_cli.api.generate import _seeds

    assert _seeds(None, 3) != _seeds(None, 3)
    assert _seeds(2**32 - 3, 3) == [2**32 - 3, 2**32 - 2, 2**32 - 1]
    with pytest.raises(errors.UsageError, match="go beyond seed 4294967295"):
        _seeds(2**32 - 2, 3)


def test_rename_and_remove_look_after_the_checkpoint(alice, tmp_path) -> None:
    from faceid_cli.kept.runs import checkpoint_dir

    checkpoint_dir("ALICE").mkdir(parents=True)
    assert faceid_cli.rename("alice", "anna").id == alice.id
    removed = faceid_cli.remove("anna")
    assert removed.identity.name == "anna"
    assert not list(paths.runs_dir().iterdir()), "a checkpoint of the person is left"
    assert not alice.path.exists()


def test_names_of_checkpoints_are_never_paths() -> None:
    from faceid_cli.kept.runs import checkpoint_dir

    assert checkpoint_dir("../../etc").parent == paths.runs_dir()
    assert checkpoint_dir("Alice") == checkpoint_dir("alice")


def test_a_thing_is_learned_with_the_sentences_for_things(photo, tiny_model_dir) -> None:
    def templates(**options) -> str:
        options |= {"steps": 1, "batch_size": 1, "device": "cpu", "model": str(tiny_model_dir), "detect": False}
        return faceid_cli.enroll("it", photo, replace=True, **options).method["templates"]

    assert templates(class_word="car") == "photo"
    assert templates(config=preset("sefi-paper", class_word="car")) == "photo"
    assert templates(class_word="woman") == "face"
    assert templates(class_word="cat", templates="face") == "face"


def test_the_users_settings_hold_in_python_too(photo, tiny_model_dir) -> None:
    from faceid_cli.api.config import set_setting

    set_setting("device", "cpu")
    set_setting("precision", "bfloat16")
    learned = faceid_cli.enroll("it", photo, steps=1, batch_size=1, model=str(tiny_model_dir), detect=False)
    assert (learned.method["device"], learned.method["precision"]) == ("cpu", "bfloat16")
    (picture,) = faceid_cli.generate("it", "at night", steps=1)
    assert picture.settings["precision"] == "bfloat16"
    (picture,) = faceid_cli.generate("it", "at night", steps=1, precision="float32")
    assert picture.settings["precision"] == "float32"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda **options: faceid_cli.generate("alice", "x", **options), "names"),
        (lambda **options: faceid_cli.generate("alice", "x", **options), "layout"),
        (lambda **options: faceid_cli.generate("alice", "x", **options), "region"),
        (lambda **options: faceid_cli.generate("alice", "x", **options), "repair"),
        (lambda **options: faceid_cli.compose(("alice",), "x", **options), "into"),
        (lambda **options: faceid_cli.compose(("alice",), "x", **options), "auto"),
        (lambda **options: faceid_cli.batch(["x"], **options), "names"),
        (lambda **options: faceid_cli.batch(["x"], **options), "prompt"),
        (lambda **options: faceid_cli.enroll_people([], **options), "name"),
        (lambda **options: faceid_cli.enroll_people([], **options), "photos"),
    ],
)
def test_options_that_are_not_in_the_signature_are_refused(call, name) -> None:
    with pytest.raises(errors.UsageError, match=f"takes no option '{name}'"):
        call(**{name: ("bob",)})


def test_arguments_may_be_given_by_name(alice) -> None:
    (picture,) = faceid_cli.generate(prompt="at night", name="alice", config=RENDER)
    assert picture.request.prompt == "at night"


@pytest.mark.parametrize("said", [{"repair": 3}, {"layout": "none"}, {"region": ("alice=0,0,0.5,1",)}])
def test_a_config_for_several_people_is_not_for_one(said) -> None:
    with pytest.raises(errors.UsageError, match=f"{next(iter(said))} means nothing to generate"):
        faceid_cli.generate("alice", "x", config=RenderConfig(**said))


@pytest.mark.parametrize("said", [{"hires": 1.5}, {"repair": 1}, {"layout": "auto"}, {"strength": 0.5}])
def test_a_config_with_what_means_nothing_to_scores_is_refused(said) -> None:
    config = RenderConfig(**said)
    for call in (
        lambda: faceid_cli.evaluate("alice", config=config),
        lambda: faceid_cli.show_attention("alice", "x", config=config),
        lambda: faceid_cli.write_report("alice", config=config),
    ):
        with pytest.raises(errors.UsageError, match=f"{next(iter(said))} means nothing to "):
            call()


def test_arguments_of_another_type_are_refused() -> None:
    for call in (
        lambda: faceid_cli.evaluate("alice", config={"steps": 2}),  # type: ignore[arg-type]
        lambda: faceid_cli.evaluate("alice", pictures="2"),  # type: ignore[arg-type]
        lambda: faceid_cli.show_attention("alice", "x", seed="1"),  # type: ignore[arg-type]
        lambda: faceid_cli.show_attention("alice", "x", stages=1.5),  # type: ignore[arg-type]
        lambda: faceid_cli.show_attention("alice", None),  # type: ignore[arg-type]
        lambda: faceid_cli.write_report("alice", config="x"),  # type: ignore[arg-type]
        lambda: faceid_cli.attach(None, "alice", likeness="0.5"),  # type: ignore[arg-type]
        lambda: faceid_cli.attach(None, "alice", stages=2),  # type: ignore[arg-type]
    ):
        with pytest.raises(errors.UsageError):
            call()


def test_none_is_nothing_said(alice) -> None:
    nothing = {"count": None, "likeness": None, "negative_prompt": None, "fast": None, "format": None}
    (picture,) = faceid_cli.generate("alice", "at night", seed=4, config=RENDER, **nothing)
    assert picture.settings["likeness"] == 1
    with pytest.raises(errors.UsageError, match="prompt is None"):
        faceid_cli.generate("alice", None, config=RENDER)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="names is None"):
        faceid_cli.compose(None, "x", config=RENDER)  # type: ignore[arg-type]


def test_one_text_stands_for_several(alice, tmp_path) -> None:
    assert faceid_cli.tag("alice", "xyz").tags == ("xyz",)
    assert faceid_cli.tag("alice", ["a", "b"]).tags == ("xyz", "a", "b")
    assert faceid_cli.tag("alice", "xyz", remove=True).tags == ("a", "b")
    with pytest.raises(errors.UsageError, match="tags is 3"):
        faceid_cli.tag("alice", 3)  # type: ignore[arg-type]
    assert faceid_cli.export_bundle("alice", tmp_path / "a.faceid").people == ("alice",)
    found = faceid_cli.show_attention("alice", "at night", words="night", config=RENDER)
    assert found.words == ("night",)
    with pytest.raises(errors.UnknownNameError, match="bob"):
        faceid_cli.compose("bob", "<bob> and an old man", config=RENDER)
