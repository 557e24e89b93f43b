"""Masks, faces put into photos, ControlNets and second passes from the command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from safetensors.numpy import save_file

from faceid_cli.rendering.metadata import read_metadata

CHEAP = ("--device", "cpu", "--steps", 2, "--guidance-scale", 1)


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    image = Image.new("L", (200, 150), 0)
    ImageDraw.Draw(image).ellipse((60, 40, 110, 100), fill=255)
    image.save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture
def controlnet(tmp_path: Path, tiny_model_dir: Path) -> Path:
    """A ControlNet for the tiny model that has learned something."""
    import torch
    from diffusers import ControlNetModel, UNet2DConditionModel

    network = ControlNetModel.from_unet(UNet2DConditionModel.from_pretrained(tiny_model_dir / "unet"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in (network.controlnet_mid_block, network.controlnet_cond_embedding.conv_out):
            for weight in part.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))
    network.save_pretrained(tmp_path / "edges")
    return tmp_path / "edges"


def repeated(faceid, words: list[str]) -> Path:
    """Run a stored command again, and return the picture."""
    assert words[0] == "faceid"
    again = faceid(*words[1:], "-o", "again.png", "--json")
    assert again.code == 0, again.err
    return Path(again.data["renders"][0]["file"])


def test_a_mask_keeps_the_rest_and_the_command_repeats_the_picture(faceid, alice, photo, mask) -> None:
    answer = faceid("generate", "alice", "", "--init", photo, "--mask", mask, *CHEAP, "--json")
    assert answer.code == 0, answer.err
    (found,) = answer.data["renders"]
    kept = np.asarray(Image.open(mask)) == 0
    assert np.array_equal(pixels(found["file"])[kept], pixels(photo)[kept])
    assert (pixels(found["file"]) != pixels(photo))[~kept].mean() > 0.3
    command = shlex.split(found["settings"]["command"])
    assert command[command.index("--mask") + 1] == str(mask)
    assert np.array_equal(pixels(repeated(faceid, command)), pixels(found["file"]))


@pytest.mark.parametrize("hidden", [0, 255])
def test_transparent_parts_of_a_mask_are_black(faceid, alice, photo, mask, hidden: int) -> None:
    """White paint on an empty layer, whatever colour the program left below the transparency."""
    painted = Image.open(mask)
    Image.merge("LA", (painted.point(lambda level: level or hidden), painted)).save(mask.with_name("layer.png"))
    given = ("--init", photo, "--seed", 3, *CHEAP, "--json")
    files = [
        faceid("generate", "alice", "", "--mask", each, *given).data["renders"][0]["file"]
        for each in (mask, mask.with_name("layer.png"))
    ]
    assert np.array_equal(pixels(files[0]), pixels(files[1]))
    outside = np.asarray(painted) == 0
    assert np.array_equal(pixels(files[1])[outside], pixels(photo)[outside])


def test_transparent_parts_of_a_picture_and_of_a_control_image_are_black(faceid, alice, controlnet, tmp_path) -> None:
    shape = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(shape).line((5, 5, 60, 40), fill=255, width=6)
    for name, background in (("layer", None), ("black", 0), ("white", 255)):
        image = Image.new("RGB", shape.size, (255, 255, 255) if background is None else (background,) * 3)
        image.paste((250, 200, 30), (0, 0), shape)
        if background is None:
            image.putalpha(shape)
        image.save(tmp_path / f"{name}.png")
    for option in (("--strength", 0.5, "--init"), ("--control", "depth", controlnet, "--control-image")):
        found = {}
        for name in ("layer", "black", "white"):
            words = ("generate", "alice", "", *option, tmp_path / f"{name}.png", "--seed", 3, *CHEAP, "--json")
            found[name] = pixels(faceid(*words).data["renders"][0]["file"])
        assert np.array_equal(found["layer"], found["black"])
        assert not np.array_equal(found["layer"], found["white"])


def test_the_file_names_no_folders_of_the_user(faceid, alice, photo, mask) -> None:
    answer = faceid("generate", "alice", "", "--init", photo, "--mask", mask, *CHEAP, "--json")
    file = Path(answer.data["renders"][0]["file"])
    metadata = read_metadata(file)
    assert metadata is not None
    assert metadata.files == {"init": "photo.png", "mask": "mask.png"}
    assert str(photo.parent).encode() not in file.read_bytes()


def test_a_controlnet_is_followed_and_recorded(faceid, alice, photo, controlnet) -> None:
    plain = faceid("generate", "alice", "", "--seed", 3, *CHEAP, "--json").data["renders"][0]
    control = ("--control", "canny", controlnet, "--control-image", photo, "--control-scale", 0.8)
    answer = faceid("generate", "alice", "", "--seed", 3, *control, *CHEAP, "--json")
    assert answer.code == 0, answer.err
    (found,) = answer.data["renders"]
    assert not np.array_equal(pixels(found["file"]), pixels(plain["file"]))
    settings = found["settings"]
    assert (settings["control"], settings["control_scale"]) == ("canny", 0.8)
    assert settings["control_model"].startswith("edges ")
    again = repeated(faceid, shlex.split(settings["command"]))
    assert np.array_equal(pixels(again), pixels(found["file"]))


def test_a_controlnet_of_one_file_and_a_word_of_others_repeat_from_relative_paths(
    faceid, alice, photo, controlnet
) -> None:
    (controlnet / "diffusion_pytorch_model.safetensors").rename("net.safetensors")
    shutil.copy(photo, "street.png")
    save_file({"emb_params": np.ones((1, 32), dtype=np.float32)}, "ink.safetensors")
    guided = (
        "--control",
        "canny",
        "net.safetensors",
        "--control-image",
        "street.png",
        "--embedding",
        "ink.safetensors",
    )
    answer = faceid("generate", "alice", "in <ink>", "--seed", 3, *guided, *CHEAP, "--json")
    assert answer.code == 0, answer.err
    assert "no prompt mentions" not in answer.err
    (found,) = answer.data["renders"]
    assert found["settings"]["control_model"].startswith("net.safetensors ")
    command = shlex.split(found["settings"]["command"])
    here = str(Path().absolute())
    assert [word for word in command if word.startswith(here)] == [
        f"{here}/{name}" for name in ("net.safetensors", "street.png", "ink.safetensors")
    ]
    assert np.array_equal(pixels(repeated(faceid, command)), pixels(found["file"]))


def test_embeddings_that_change_nothing_or_mean_two_things(faceid, alice) -> None:
    save_file({"emb_params": np.ones((1, 32), dtype=np.float32)}, "ink.safetensors")
    answer = faceid("generate", "alice", "", "--embedding", "ink.safetensors", *CHEAP)
    assert answer.code == 0, answer.err
    assert "no prompt mentions <ink>, so ink.safetensors changes nothing" in answer.err
    twice = ("--embedding", "ink.safetensors", "--embedding", "ink.safetensors:ink")
    assert "<ink> would stand for two things" in faceid("generate", "alice", "<ink>", *twice, *CHEAP).err
    named = faceid("generate", "alice", "", "--embedding", "ink.safetensors:alice", *CHEAP)
    assert named.code == 2
    assert "<alice> would stand for two things" in named.err


def test_a_second_pass_makes_a_larger_picture(faceid, alice) -> None:
    answer = faceid("generate", "alice", "", "--hires", 1.5, "--hires-strength", 0.6, *CHEAP, "--json")
    assert answer.code == 0, answer.err
    (found,) = answer.data["renders"]
    assert pixels(found["file"]).shape == (96, 96, 3)
    again = repeated(faceid, shlex.split(found["settings"]["command"]))
    assert np.array_equal(pixels(again), pixels(found["file"]))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--mask", "PHOTO"), 2, "a mask needs a picture to belong to"),
        (("--into", "PHOTO", "--init", "PHOTO"), 2, "at once"),
        (("--face", "left"), 2, "a face is chosen where one is replaced"),
        (("--control", "canny", "NET"), 2, "canny needs an image to follow"),
        (("--control", "sketch", "NET", "--control-image", "PHOTO"), 2, "unknown control 'sketch'"),
        (("--control-image", "PHOTO"), 2, "a control image needs a ControlNet"),
        (("--control", "depth", "nothing-there", "--control-image", "PHOTO"), 5, "no ControlNet at nothing-there"),
        (("--control", "depth", "PHOTO", "--control-image", "PHOTO"), 5, "is no ControlNet that can be read"),
        (("--control", "depth", "MODEL/unet", "--control-image", "PHOTO"), 5, "holds a UNet2DConditionModel, not"),
        (("--control", "depth", "MODEL", "--control-image", "PHOTO"), 5, "config.json is missing"),
        (("--init", "PHOTO", "--mask", "SMALL"), 4, "has 20 x 20 px, its picture 200 x 150 px"),
        (("--init", "PHOTO", "--mask", "BLACK"), 2, "the mask is black"),
        (("--init", "PHOTO", "--mask", "MASK", "--hires", 2), 2, "no second pass"),
        (("--init", "missing.png"), 4, "no such file"),
        (("--hires", 9), 2, "cannot be enlarged 9 times"),
        (("--strength", 0), 2, "strength is 0"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    faceid, alice, photo, mask, controlnet, tiny_model_dir, tmp_path, words, code, message
) -> None:
    Image.new("L", (20, 20), 255).save(tmp_path / "small.png")
    Image.new("L", (200, 150), 0).save(tmp_path / "black.png")
    stand_ins = {
        "PHOTO": photo,
        "MASK": mask,
        "SMALL": tmp_path / "small.png",
        "BLACK": tmp_path / "black.png",
        "NET": controlnet,
        "MODEL": tiny_model_dir,
        "MODEL/unet": tiny_model_dir / "unet",
    }
    answer = faceid("generate", "alice", "", *(stand_ins.get(word, word) for word in words), *CHEAP)
    assert answer.code == code
    assert message in answer.err
    assert answer.err.startswith("error: ")
    assert not list(Path().glob("*.png"))


def test_pickled_controlnets_are_never_read(faceid, alice, photo, controlnet) -> None:
    (controlnet / "diffusion_pytorch_model.safetensors").rename(controlnet / "diffusion_pytorch_model.bin")
    answer = faceid("generate", "alice", "", "--control", "depth", controlnet, "--control-image", photo, *CHEAP)
    assert answer.code == 5
    assert "no weights in safetensors" in answer.err


def test_a_controlnet_of_the_hub_comes_from_the_local_cache(
    faceid, alice, photo, controlnet, tmp_path, monkeypatch
) -> None:
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    snapshot = cache / "models--someone--edges" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    controlnet.rename(snapshot)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    control = ("--control", "depth", "someone/edges", "--control-image", photo)
    answer = faceid("generate", "alice", "", *control, *CHEAP, "--json")
    assert answer.code == 0, answer.err
    assert answer.data["renders"][0]["settings"]["control_model"].startswith("someone/edges ")
    absent = faceid("generate", "alice", "", "--control", "depth", "someone/poses", "--control-image", photo, *CHEAP)
    assert absent.code == 5
    assert "ControlNet someone/poses is not in the local cache" in absent.err


def test_two_people_can_be_put_into_a_masked_place(faceid, alice, photo, mask, photos, tiny_model_dir, quick) -> None:
    assert faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick).code == 0
    answer = faceid("compose", "alice", "bob", "", "--init", photo, "--mask", mask, *CHEAP, "--json")
    assert answer.code == 0, answer.err
    command = shlex.split(answer.data["renders"][0]["settings"]["command"])
    assert command[1:4] == ["compose", "alice", "bob"]
    assert np.array_equal(pixels(repeated(faceid, command)), pixels(answer.data["renders"][0]["file"]))


def test_settings_are_kept_with_the_picture(faceid, alice, photo) -> None:
    answer = faceid("generate", "alice", "old", "--init", photo, "--clip-skip", 1, *CHEAP, "--json")
    command = shlex.split(answer.data["renders"][0]["settings"]["command"])
    assert json.dumps(answer.data)
    assert command[2:5] == ["alice", "old", "--seed"]
    assert command[command.index("--clip-skip") + 1] == "1"
    assert "--strength" not in command


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("option", ["--init", "--into", "--mask"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused_and_other_rows_go_on(faceid, alice, photo, tmp_path, option, kind) -> None:
    given = tmp_path / "given"
    given.mkdir() if kind == "folder" else os.mkfifo(given)
    more = ("--init", photo) if option == "--mask" else ()
    answer = faceid("generate", "alice", "cup", "--seed", 1, option, given, *more, *CHEAP)
    assert (answer.code, len(answer.err.splitlines())) == (4, 2), answer.err
    assert str(given) in answer.err
    rows = [{"prompt": "cup", "init": str(photo), option[2:]: str(given)}, {"prompt": "night"}]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = faceid("batch", "rows.jsonl", "--for", "alice", "-o", "out", *CHEAP)
    assert (answer.code, len(list(Path("out").glob("*.png")))) == (1, 1), answer.err
