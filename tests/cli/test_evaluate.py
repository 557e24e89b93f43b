"""`faceid evaluate` and `faceid attention` through `main(argv)`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from faceid_cli.builtin.samples import photo_set
from faceid_cli.cli.app import main
from faceid_cli.cli.evaluate import _table as evaluation_table
from faceid_cli.cli.output import Output
from faceid_cli.evaluation.summary import Summary
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.kept.material import material_folder
from faceid_cli.model_files import fingerprint_of
from faceid_cli.photo_files import read_photo
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.store import Registry

RENDERING = ("--steps", 2, "--device", "cpu")


@pytest.fixture
def carol(tmp_path: Path) -> Path:
    """Somebody of the built-in world, enrolled without training; returns the folder of the photos."""
    from faceid_cli.backbone import load_base_model

    folder = tmp_path / "photos of carol"
    folder.mkdir()
    for number, drawing in enumerate(photo_set(7, 3, 0)):
        drawing.image.save(folder / f"{number}.png")
    files = sorted(folder.iterdir())
    width = load_base_model("builtin", "cpu", "float32").text_width
    features = {"text_encoder": np.random.default_rng(0).normal(size=(5, 1, width)).astype(np.float32) * 0.02}
    add("carol", files, features)
    return folder


def add(name: str, files: list[Path], features: dict[str, np.ndarray]) -> None:
    fingerprint = fingerprint_of("builtin")
    hashes = tuple(read_photo(file).sha256 for file in files)
    new = NewIdentity(name, "person", "builtin", fingerprint, {"method": "sefi", "steps": 1}, hashes)
    metadata = IdentityMetadata(name, "person", "builtin", fingerprint)
    run = NewRun({**new.method, "photo_files": [str(file) for file in files], "face": "only"}, ((0.5, 0.25),), 1.0)
    with Registry.open() as registry:
        registry.add_identity(new, lambda kept: save_identity(kept.path, features, features, metadata), run)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.txt"
    file.write_text("{} on the beach\nwearing a crown\n")
    return file


def test_evaluate_prints_a_table_and_writes_everything(faceid, carol, prompts) -> None:
    answer = faceid("evaluate", "carol", "--prompts", prompts, *RENDERING)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0].split()[:3] == ["PROMPTS", "ID", "likeness"]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["your own", "all"]
    assert lines[-1] == "carol: carol-evaluation"
    report = json.loads(Path("carol-evaluation/scores.json").read_text())
    assert report["judge"] == "builtin"
    assert report["rendering"]["steps"] == 2
    assert [picture["prompt"] for picture in report["pictures"]] == ["{} on the beach", "wearing a crown"]
    assert [picture["seed"] for picture in report["pictures"]] == [0, 1000]
    assert -1 <= report["summary"]["identity"] <= 1
    assert report["likeness_levels"]["own photos"] > report["likeness_levels"]["strangers"]
    with open("carol-evaluation/scores.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["carol", "carol"]
    with Image.open("carol-evaluation/grid.png") as grid:
        assert grid.width > 320
    shown = faceid("report", "carol", "--no-attention", "--json").data
    assert shown["evaluations"] == 1
    page = Path(shown["file"]).read_text(encoding="utf-8")
    assert "judge builtin" in page
    assert f"<td>all</td><td>2</td><td>{report['summary']['identity']:.2f}</td>" in page

    repeated = faceid("evaluate", "carol", "--prompts", prompts, "--json", "--clip", "unused", *RENDERING)
    assert "the CLIP model is not used" in repeated.err
    again = repeated.data["evaluations"][0]
    assert again["folder"] == "carol-evaluation-2", "nothing is overwritten"
    unchanging = ("prompt", "similarity", "concepts", "faces", "face_box")
    for first, second in zip(report["pictures"], again["pictures"], strict=True):
        assert {key: first[key] for key in unchanging} == {key: second[key] for key in unchanging}


def test_of_several_people_each_has_their_own_likeness(faceid, carol, prompts) -> None:
    features = {"text_encoder": load_identity(registered("carol")).keys["text_encoder"]}
    add("dave", sorted(carol.iterdir()), features)
    words = ("evaluate", "--all", "--prompts", prompts, "--likeness", "dave=0.2", "--json", *RENDERING)
    answer = faceid(*words)
    assert answer.code == 0, answer.err
    said = {
        each["name"]: json.loads(Path(each["folder"], "scores.json").read_text())["rendering"]["likeness_of"]
        for each in answer.data["evaluations"]
    }
    assert said == {"carol": [], "dave": ["dave=0.2"]}


def registered(name: str) -> Path:
    with Registry.open() as registry:
        return registry.get(name).path


def test_the_table_fits_into_a_narrow_terminal(monkeypatch) -> None:
    summary = Summary(2, -0.001, -0.4, 1.0, 0.5, 1.0, 0.1, 0.2, 0.3, 1.0, 0.9, 0.5)
    found = [SimpleNamespace(groups={"two of them": summary}, summary=summary)]
    monkeypatch.setattr(Output, "columns", 80)
    lines = evaluation_table(found)
    assert max(map(len, lines)) <= 80
    assert lines[0].split("  ")[0] == "PROMPTS"
    assert {"ID", "likeness", "prompt", "ID(P)", "in face"} <= set(re.split(r"\s{2,}", lines[0]))
    assert "-0" not in "".join(lines), "nothing is minus nothing"


def test_photos_that_have_gone_leave_likeness_out_or_are_given(faceid, carol, prompts, tmp_path) -> None:
    elsewhere = carol.rename(tmp_path / "moved")
    answer = faceid("evaluate", "carol", "--prompts", prompts, "--json", *RENDERING)
    assert answer.code == 0
    assert "no photos of carol can be found, so likeness is not scored" in answer.err
    assert answer.data["evaluations"][0]["summary"]["identity"] is None

    moved = faceid("evaluate", "--all", "--photos", elsewhere, "--prompts", prompts, "--quiet", *RENDERING)
    assert moved.code == 0
    assert moved.out == "carol-evaluation-2\n"
    assert json.loads(Path("carol-evaluation-2/scores.json").read_text())["summary"]["identity"] is not None


def test_evaluate_says_what_cannot_work(faceid, alice, carol, prompts) -> None:
    def error_of(*words: object) -> tuple[int, str]:
        answer = faceid("evaluate", *words)
        return answer.code, answer.err

    for words in ((), ("carol", "--all")):
        code, message = error_of(*words)
        assert code == 2
        assert "give either a name or --all" in message
    code, message = error_of("carol", "--judge", "photographs")
    assert code == 2
    assert "a judge of photographs cannot score" in message
    code, message = error_of("alice", "--judge", "builtin")
    assert code == 2
    assert "the built-in judge only knows drawn portraits" in message
    code, message = error_of("alice")
    assert code == 5
    assert "weights for comparing faces in photographs are missing" in message
    assert error_of("nobody")[0] == 3
    assert error_of("carol", "--judge", "guess")[0] == 2
    assert error_of("carol", "--prompts", "nothing.txt")[0] == 2
    assert error_of("carol", "--pictures", 0)[0] == 2
    assert error_of("carol", "-o", "not/there")[0] == 9


@pytest.mark.slow
def test_another_process_finds_the_same(faceid, carol, prompts, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ("evaluate", "carol", "--prompts", prompts, "--json", "--steps", 2, "--precision", "float32")
    (here,) = faceid(*words, "--device", "cpu", "-o", "here").data["evaluations"]
    answer = faceid(*words, "--devices", "cpu", "-o", "there")
    assert answer.code == 0, answer.err
    assert "the work goes to 1 process" in answer.err
    (there,) = answer.data["evaluations"]
    for found in (here, there):
        for picture in found["pictures"]:
            picture.pop("seconds")
        found["summary"].pop("seconds")
    assert there["pictures"] == here["pictures"]
    assert there["summary"] == here["summary"]
    assert there["likeness_levels"] == here["likeness_levels"]
    assert Path(there["folder"], "grid.png").is_file()
    both = faceid(*words, "--devices", "cpu", "--device", "cpu")
    assert (both.code, "--device and --devices each say where" in both.err) == (2, True)


def test_nobody_to_evaluate(faceid) -> None:
    answer = faceid("evaluate", "--all")
    assert answer.code == 2
    assert "nobody is enrolled" in answer.err


def test_attention_writes_one_figure(faceid, alice) -> None:
    answer = faceid("attention", "alice", "holding a cup, beach", "--size", "64x128", "--json", *RENDERING)
    assert answer.code == 0, answer.err
    assert answer.data["words"] == ["<alice>", "holding", "cup", "beach"]
    with Image.open(answer.data["file"]) as figure:
        assert figure.height > 4 * 192, "a row a word"
    wrong = faceid("attention", "alice", "holding a cup", "--word", "crown", *RENDERING)
    assert wrong.code == 2
    assert "'crown' is not in the prompt" in wrong.err


def test_attention_tells_the_share_inside_the_face(faceid, carol) -> None:
    answer = faceid("attention", "carol", "smiling, beach", "--json", "--steps", 6, "--stages", 2, "--device", "cpu")
    assert answer.code == 0, answer.err
    shares = answer.data["inside_face"]
    if shares:  # a face was found in the picture
        assert set(shares) == {"<carol>", "smiling", "beach"}
        assert all(len(row) == 3 and 0 <= row[-1] <= 1 for row in shares.values())


def test_enrolling_remembers_where_the_photos_are(faceid, photos, tiny_model_dir, quick) -> None:
    assert main([str(word) for word in ("enroll", "dora", photos, "--model", tiny_model_dir, *quick)]) == 0
    with Registry.open() as registry:
        settings = registry.runs_of("dora")[-1].run.settings
    assert settings["photo_files"] == [str(photos / "0.png"), str(photos / "1.png")]


def test_the_crops_that_were_kept_stand_in_for_photos_that_have_gone(faceid, carol, prompts, tmp_path) -> None:
    with Registry.open() as registry:
        folder = material_folder(registry.get("carol").id)
    folder.mkdir(parents=True)
    with Image.open(carol / "0.png") as photo:
        photo.save(folder / "crop-001.png")
    carol.rename(tmp_path / "moved")
    answer = faceid("evaluate", "carol", "--prompts", prompts, "--json", *RENDERING)
    assert answer.code == 0, answer.err
    assert answer.data["evaluations"][0]["summary"]["identity"] is not None
