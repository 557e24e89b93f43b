"""`faceid enroll --from` and `--each`: many people in one go, each as if alone, and a queue that can be continued."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import faceid_cli
from faceid_cli.errors import InterruptedRunError
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.types import StepReport


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A folder with the photos of three people, each in a folder of their own."""
    folder = tmp_path / "people"
    for number, name in enumerate(("ann", "bob", "cid")):
        (folder / name).mkdir(parents=True)
        for photo in range(1 + number % 2):
            pixels = np.random.default_rng(10 * number + photo).integers(0, 255, (80, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{photo}.png")
    return folder


@pytest.fixture
def options(tiny_model_dir: Path, quick: tuple[object, ...]) -> tuple[object, ...]:
    return "--model", tiny_model_dir, *quick


def tokens_of(faceid, name: str) -> dict[str, np.ndarray]:
    return load_identity(Path(faceid("show", name, "--json").data["identity"]["file"])).keys


def lines_of(answer) -> list[dict[str, object]]:
    return [json.loads(line) for line in answer.out.splitlines()]


def test_each_folder_is_a_person_and_each_learns_what_they_would_alone(faceid, people, options) -> None:
    (people / "notes.txt").write_text("not a person")
    (people / ".cache").mkdir()
    answer = faceid("enroll", "--each", people, *options, "--tag", "family")
    assert answer.code == 0, answer.err
    rows = [line.split()[:4] for line in answer.out.splitlines()]
    assert rows[0] == ["name", "status", "photos", "steps"]
    assert rows[1:] == [["ann", "enrolled", "1", "2"], ["bob", "enrolled", "2", "2"], ["cid", "enrolled", "1", "2"]]
    assert "1 file in no person's folder is left out" in answer.err
    assert "3 people" in answer.err
    assert faceid("list", "--tag", "family", "-q").out == "ann\nbob\ncid\n"
    assert not list(paths.runs_dir().glob("*")), "no checkpoint is left"
    for name in ("ann", "bob", "cid"):
        assert faceid("enroll", f"{name}-alone", people / name, *options).code == 0
        alone = tokens_of(faceid, f"{name}-alone")
        for encoder, keys in tokens_of(faceid, name).items():
            assert np.allclose(keys, alone[encoder], atol=2e-4)
    assert not np.allclose(
        tokens_of(faceid, "ann")["text_encoder"], tokens_of(faceid, "bob")["text_encoder"], atol=1e-3
    )


def test_rows_say_who_is_learned_and_how(faceid, people, options) -> None:
    file = people.parent / "people.csv"
    file.write_text(
        "name,photos,class,steps,--note,lambda\n"
        f"ann,{people / 'ann'},woman,3,first,\n"
        f'bob,"{people / "bob" / "0.png"},{people / "bob" / "1.png"}",man,,,0\n'
    )
    answer = faceid("enroll", "--from", file, *options, "--json")
    assert answer.code == 0, answer.err
    first, second, last = lines_of(answer)
    assert (first["name"], first["status"], first["line"], first["steps"]) == ("ann", "enrolled", 2, 3)
    assert (second["name"], second["identity"]["class_word"], second["steps"]) == ("bob", "man", 2)
    assert len(second["identity"]["photo_hashes"]) == 2
    assert second["identity"]["method"]["attention_weight"] == 0, "other settings have a pass of their own"
    assert first["identity"]["note"] == "first"
    assert last == {"version": 1, "command": "enroll", "status": "done", "counts": {"enrolled": 2}}
    again = faceid("enroll", "--from", file, *options, "--json")
    assert [line["status"] for line in lines_of(again)] == ["there", "there", "done"]


def test_who_fails_stops_nobody_and_can_be_given_again(faceid, people, options) -> None:
    rows = [
        {"name": "ann", "photos": [str(people / "ann")], "steps": 3},
        {"name": "eve", "photos": str(people / "eve"), "note": "moved away"},
        {"name": "b b", "photos": str(people / "bob")},
        {"name": "Ann", "photos": str(people / "bob")},
        {"name": "dan", "photos": str(people / "bob"), "setps": 4},
        {"name": "fay"},
    ]
    file = people.parent / "people.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    answer = faceid("enroll", "--from", file, *options)
    assert answer.code == 1
    assert "5 of 6 people failed" in answer.err
    assert f"{file}, line 2: " in answer.err
    assert "setps: there is no such option" in answer.err
    assert "did you mean steps?" in answer.err
    assert faceid("list", "-q").out == "ann\n"
    failed = [json.loads(line) for line in Path("failed-people.jsonl").read_text().splitlines()]
    assert [row.get("name") for row in failed] == ["eve", "b b", "Ann", "dan", "fay"]
    assert "no such file or folder" in failed[0]["error"]
    assert {row["steps"] for row in failed} == {2}, "those that could not be read, too"
    (people / "eve").mkdir()
    Image.open(people / "bob" / "0.png").save(people / "eve" / "0.png")
    Path("failed-people.jsonl").write_text(json.dumps(failed[0]) + "\n")
    again = faceid("enroll", "--from", "failed-people.jsonl")
    assert again.code == 0, again.err
    shown = faceid("show", "eve", "--json").data["identity"]
    assert (shown["note"], shown["method"]["steps"]) == ("moved away", 2), (
        "the options of the first time are in the row"
    )
    assert not Path("failed-people.jsonl").exists()


def test_a_stopped_queue_goes_on_where_it_stopped(faceid, people, options, tiny_model_dir) -> None:
    settings = {"model": str(tiny_model_dir), "detect": False, "steps": 3, "batch_size": 1, "device": "cpu"}

    def stop(report: StepReport) -> None:
        if (report.people, report.step) == (1, 2):
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError) as caught:
        faceid_cli.enroll_people(each=[str(people)], together=2, on_step=stop, **settings)
    assert caught.value.message == "stopped by Ctrl-C; 2 of 3 people are enrolled"
    outcomes = faceid_cli.enroll_people(each=[str(people)], together=2, **settings)
    assert [(each.person.name, each.status) for each in outcomes] == [
        *(("ann", "there"), ("bob", "there"), ("cid", "enrolled")),
    ]
    assert outcomes[2].report is not None
    assert outcomes[2].report.resumed_from == 2
    assert len(outcomes[2].report.losses) == 3


def test_ctrl_c_stops_everybody_while_others_wait_for_another_base_model(
    faceid, people, tiny_model_dir, tiny_model_builder, tmp_path
) -> None:
    tiny_model_builder(tmp_path / "other", "epsilon")
    rows = [
        {"name": name, "photos": str(people / name), "model": str(model)}
        for name, model in (("ann", tiny_model_dir), ("bob", tmp_path / "other"))
    ]

    def stop(report: StepReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError) as caught:
        faceid_cli.enroll_people(rows, steps=2, detect=False, batch_size=1, device="cpu", on_step=stop)
    assert caught.value.message == "stopped by Ctrl-C; 0 of 2 people are enrolled"
    assert not Path("failed-people.jsonl").exists()


def test_a_checkpoint_of_other_settings_is_given_up(people, tiny_model_dir) -> None:
    settings = {"model": str(tiny_model_dir), "detect": False, "batch_size": 1, "device": "cpu"}
    notes: list[str] = []

    def stop(report: StepReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError):
        faceid_cli.enroll_people(each=[str(people)], steps=3, on_step=stop, **settings)
    outcomes = faceid_cli.enroll_people(each=[str(people)], steps=2, on_note=notes.append, **settings)
    assert [each.report.resumed_from for each in outcomes if each.report] == [0, 0, 0]
    assert [note for note in notes if note.startswith("bob: starting anew")]


def test_a_row_may_say_otherwise_than_the_command(faceid, people, tiny_model_dir) -> None:
    rows = [
        {"name": "ann", "photos": str(people / "ann"), "box": "10,10,40,40"},
        {"name": "bob", "photos": str(people / "bob"), "box": "10,10,40,40", "detect": False},
    ]
    outcomes = faceid_cli.enroll_people(
        rows, steps=1, batch_size=1, detect=False, device="cpu", model=str(tiny_model_dir)
    )
    by_name = {each.person.row.values["name"]: each for each in outcomes}
    assert by_name["ann"].status == "enrolled"
    assert by_name["bob"].error is not None
    assert "--no-detect looks for no face, --box says where it is" in by_name["bob"].error.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alice", "--each", "people"), "unexpected argument 'alice'"),
        (("--each", "people", "--from", "people.csv"), "--from and --each both say who"),
        (("--from", "nothing.csv"), "cannot read nothing.csv"),
        (("--each", "nothing"), "cannot read nothing"),
        (("--each", "."), "no folders in ."),
        (("alice",), "Missing argument 'PHOTOS'"),
        ((), "Missing argument 'NAME'"),
        (("--each", "people", "--together", "0"), "people together"),
    ],
)
def test_orders_that_cannot_be_are_refused(faceid, words, said) -> None:
    answer = faceid("enroll", *words)
    assert answer.code == 2
    assert said in answer.err
