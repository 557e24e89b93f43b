"""rendering/save.py: where pictures go, and that they arrive whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from faceid_cli.errors import FaceIDError, OutputError, UsageError
from faceid_cli.rendering import save
from faceid_cli.rendering.save import check_output_place, plan_output, save_picture

RED = Image.new("RGB", (8, 8), (255, 0, 0))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_picture_into_a_file(tmp_path: Path) -> None:
    path = save_picture(RED, plan_output(tmp_path / "out.png", "alice", 1))
    assert path == tmp_path / "out.png"
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == (255, 0, 0)
    assert _names(tmp_path) == ["out.png"]


def test_sheets_say_that_a_model_made_part_of_them(tmp_path: Path) -> None:
    with Image.open(save_picture(RED, plan_output(tmp_path / "sheet.png", "alice", 1))) as image:
        image.load()
        assert set(image.text) == {"XML:com.adobe.xmp"}
        assert "compositeWithTrainedAlgorithmicMedia" in image.text["XML:com.adobe.xmp"]


def test_existing_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"precious")
    plan = plan_output(tmp_path / "out.png", "alice", 1)
    assert [save_picture(RED, plan).name for _ in range(2)] == ["out-2.png", "out-3.png"]
    assert (tmp_path / "out.png").read_bytes() == b"precious"


def test_several_pictures_are_numbered(tmp_path: Path) -> None:
    plan = plan_output(tmp_path / "out.png", "alice", 2)
    assert [save_picture(RED, plan).name for _ in range(2)] == ["out-1.png", "out-2.png"]


def test_folders_take_the_default_name(tmp_path: Path) -> None:
    plan = plan_output(tmp_path / "new", "alice-7", 1)
    assert save_picture(RED, plan) == tmp_path / "new" / "alice-7.png"
    assert save_picture(RED, plan_output(tmp_path / "new", "alice-7", 1)).name == "alice-7-2.png"
    (tmp_path / "v1.5").mkdir()
    assert plan_output(tmp_path / "v1.5", "a", 1).folder == tmp_path / "v1.5"


def test_no_output_means_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_picture(RED, plan_output(None, "alice", 1))
    assert _names(tmp_path) == ["alice.png"]


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "out.png").write_bytes(b"precious")
    assert save_picture(RED, plan_output(tmp_path / "out.png", "a", 1)).name == "out-2.png"
    assert _names(tmp_path) == ["out-2.png", "out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"precious"


def test_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = save_picture(RED, plan_output(tmp_path / "out.png", "a", 1))
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("no/out.png", OutputError, "there is no folder"),
        ("no/deeper", OutputError, "there is no folder"),
        ("file", OutputError, "file is a file, not a folder"),
        ("file/out.png", OutputError, "file is not a folder"),
        ("out.gif", UsageError, "pictures are PNG, JPEG or WebP files"),
    ],
)
def test_paths_that_cannot_work(tmp_path: Path, path: str, error: type[FaceIDError], message: str) -> None:
    (tmp_path / "file").touch()
    for check in (check_output_place, lambda output: plan_output(output, "a", 1)):
        with pytest.raises(error, match=message) as caught:
            check(tmp_path / path)
        assert caught.value.exit_code == {OutputError: 9, UsageError: 2}[error]
    assert _names(tmp_path) == ["file"]


def test_what_is_only_checked_is_not_made(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "new", tmp_path / "new.png", tmp_path / "there.png"):
        (tmp_path / "there.png").touch()
        check_output_place(path)
    assert _names(tmp_path) == ["there.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_an_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match=r"permission denied"):
        plan_output(tmp_path / "out.png", "a", 1)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"name too long"):
        save_picture(RED, plan_output(tmp_path / f"{'x' * 300}.png", "a", 1))
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only"), (errno.EACCES, "permission denied")],
)
def test_messages(number: int, text: str) -> None:
    error = save.output_error(Path("out"), OSError(number, os.strerror(number)))
    assert text in error.message
    assert error.hint


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk: the kernel stops the write in the middle."""
    resource = pytest.importorskip("resource")
    noise = Image.effect_noise((256, 256), 90)
    code = f"""
import resource, sys
from PIL import Image
from faceid_cli.errors import OutputError
from faceid_cli.rendering.save import plan_output, save_picture
plan = plan_output(__import__("pathlib").Path({str(tmp_path)!r}), "a", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, ({4096}, {resource.RLIM_INFINITY}))
try:
    save_picture(Image.effect_noise({noise.size}, 90), plan)
except OutputError as error:
    sys.exit(0 if "no space left" in error.message else 3)
sys.exit(4)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert _names(tmp_path) == []
