"""`samples` and `demo`: the built-in world, from drawing to the judge."""

import shlex
from pathlib import Path

import pytest
from PIL import Image


def test_samples_draws_picture_files_and_says_where(faceid) -> None:
    answer = faceid("samples", "photos/of", "--person", 3, "--count", 2)
    assert (answer.code, answer.out) == (0, "drew 2 pictures of person 3 in photos/of\n")
    assert answer.err == "next: faceid enroll person3 photos/of\n"
    files = sorted(Path("photos/of").iterdir())
    assert [file.name for file in files] == ["person-3-1.png", "person-3-2.png"]
    for file in files:
        with Image.open(file) as image:
            assert image.mode == "RGB"
            assert min(image.size) >= 64


def test_the_next_command_can_be_pasted(faceid) -> None:
    words = shlex.split(faceid("samples", "my photos of å", "--person", 3, "--count", 1).err.splitlines()[-1])
    assert words == ["next:", "faceid", "enroll", "person3", "my photos of å"]


def test_samples_are_the_same_again_and_never_overwrite_others(faceid) -> None:
    assert faceid("samples", "photos", "--count", 2).code == 0
    first = Path("photos/person-0-1.png").read_bytes()
    assert faceid("samples", "photos", "--count", 2).code == 0
    assert Path("photos/person-0-1.png").read_bytes() == first
    Path("photos/person-0-1.png").write_bytes(b"mine")
    answer = faceid("samples", "photos", "--count", 2)
    assert answer.code == 9
    assert answer.err.startswith("error: photos/person-0-1.png exists already and is another picture\n")
    assert Path("photos/person-0-1.png").read_bytes() == b"mine"


def test_the_hint_leaves_out_pictures_of_others(faceid) -> None:
    faceid("samples", "photos", "--count", 1)
    answer = faceid("samples", "photos", "--count", 1, "--person", 1)
    assert answer.err == "next: faceid enroll person1 photos/person-1-*.png\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("photos", "--count", 0), 2),
        (("photos", "--person", -1), 2),
        (("photos", "--person", 500_000), 2),
        (("photos", "--count", "many"), 2),
        (("file",), 9),
    ],
)
def test_samples_that_cannot_be(faceid, words, code) -> None:
    Path("file").touch()
    answer = faceid("samples", *words)
    assert (answer.code, answer.out) == (code, "")
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_demo_does_not_touch_somebody_called_demo(faceid, add_person) -> None:
    add_person("demo")
    answer = faceid("demo")
    assert answer.code == 7
    assert answer.err == (
        "error: the demo uses the name demo, and somebody of yours has it\n"
        "  rename them first: faceid rename demo NEW\n"
    )
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_demo_may_be_run_again(faceid) -> None:
    for run in (1, 2):
        answer = faceid("demo", "--steps", 1, "--json")
        assert answer.code == 0, answer.err
        assert len(list(Path("faceid-demo/photos/person-0").iterdir())) == 5
        assert len(list(Path("faceid-demo/pictures").iterdir())) == 4 * run
        assert Path(answer.data["contact_sheet"]).is_file()
    commands = [line for line in answer.err.splitlines() if line.startswith("$ faceid ")]
    assert [line.split()[2] for line in commands] == ["samples", "enroll", *["generate"] * 4]
    assert faceid("list", "-q").out == "demo\n"


@pytest.mark.slow
def test_the_judge_finds_person_and_basketball_in_the_demo(faceid) -> None:
    from faceid_cli.builtin.judge import Judge

    answer = faceid("demo", "--json")
    assert answer.code == 0, answer.err
    for person in range(1, 11):
        assert faceid("samples", f"others/{person}", "--person", person, "--count", 2).code == 0
    judge = Judge.load()

    def embedding(path: str | Path):
        with Image.open(path) as file:
            image = file.convert("RGB")
        faces = judge.find_faces(image)
        assert len(faces) == 1, f"{len(faces)} faces in {path}"
        return judge.embed(image, faces[0])

    own = sum(embedding(photo) for photo in answer.data["photos"])
    others = [sum(embedding(photo) for photo in folder.iterdir()) / 2 for folder in Path("others").iterdir()]
    found = 0
    for render in answer.data["renders"]:
        made = embedding(render["file"])
        found += bool(made @ own / len(answer.data["photos"]) > max(made @ other for other in others))
    assert found >= 3, "the person is recognised in most of the four pictures"

    with Image.open(answer.data["renders"][0]["file"]) as file:
        image = file.convert("RGB")
    objects, scenes = judge.objects(image), judge.scenes(image)
    assert max(objects, key=objects.__getitem__) == "basketball"
    assert max(scenes, key=scenes.__getitem__) == "eiffel tower"
