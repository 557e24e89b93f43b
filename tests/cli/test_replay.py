"""`faceid replay`: the same pixels again, and plain words where they are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import faceid_cli
from faceid_cli.rendering.metadata import picture_bytes, read_metadata
from faceid_cli.rendering.record import digest_of

CHEAP = ("--device", "cpu", "--steps", 2)


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


@pytest.fixture
def made(faceid, alice) -> Path:
    """A picture of alice."""
    assert faceid("generate", "alice", "castle", "--seed", 7, *CHEAP, "-o", "made.png").code == 0
    return Path("made.png")


@pytest.fixture
def edit() -> Callable[..., None]:
    """Write a picture again with another record."""

    def change(path: Path, **fields: object) -> None:
        record = read_metadata(path)
        assert record is not None
        with Image.open(path) as image:
            image.load()
        path.write_bytes(picture_bytes(image, replace(record, **fields)))

    return change


def test_the_same_pixels_come_back_whatever_the_users_defaults_are(faceid, made) -> None:
    assert faceid("config", "set", "generate.steps", 5).code == 0
    assert faceid("config", "set", "likeness", 0.5).code == 0
    answer = faceid("replay", made, "--json")
    assert answer.code == 0, answer.err
    assert (answer.data["equal"], answer.data["differences"]) == (True, [])
    (found,) = answer.data["renders"]
    assert found["file"] == "made-replay.png"
    assert np.array_equal(pixels(found["file"]), pixels(made))
    assert faceid("history", "made-replay", "-q").out == f"{Path('made-replay.png').absolute()}\n"


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_compressed_files_are_replayed_to_the_same_bytes_of_pixels(faceid, alice, suffix) -> None:
    assert faceid("generate", "alice", "", "--seed", 3, *CHEAP, "-o", f"a.{suffix}").code == 0
    answer = faceid("replay", f"a.{suffix}", "--json")
    assert answer.data["equal"] is True
    (found,) = answer.data["renders"]
    assert found["file"] == f"a-replay.{suffix}"
    assert np.array_equal(pixels(found["file"]), pixels(f"a.{suffix}"))


def test_one_of_a_batch_is_rendered_with_the_others_again(faceid, alice) -> None:
    assert faceid("generate", "alice", "castle", "--seed", 7, "-n", 3, *CHEAP, "-o", "a.png").code == 0
    answer = faceid("replay", "a-2.png", "--json")
    assert answer.data["equal"] is True
    assert "rendering 3 pictures, since it was made together with 2 more" in answer.err
    assert [found["seed"] for found in answer.data["renders"]] == [8]
    assert np.array_equal(pixels("a-2-replay.png"), pixels("a-2.png"))


def test_everything_that_a_picture_can_be_made_from_comes_back(faceid, alice, tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    mask = Image.new("L", (80, 96), 0)
    mask.paste(255, (20, 20, 60, 70))
    mask.save(tmp_path / "mask.png")
    save_file({"emb_params": np.ones((1, 32), dtype=np.float32)}, tmp_path / "ink.safetensors")
    sources = ("--init", tmp_path / "photo.png", "--mask", tmp_path / "mask.png")
    words = ("--embedding", tmp_path / "ink.safetensors:paint", "--in-stages", "2-4", "--likeness-k", 0.8)
    made = ("generate", "alice", "<alice> in <paint>", *sources, *words, "--clip-skip", 1, "--strength", 0.7)
    answer = faceid(*made, "--seed", 4, "--device", "cpu", "--steps", 3, "-o", "a.png")
    assert answer.code == 0, answer.err
    again = faceid("replay", "a.png", "--json")
    assert again.code == 0, again.err
    assert (again.data["equal"], again.data["differences"]) == (True, [])


def test_a_lora_is_found_again_by_what_is_in_it(faceid, alice, tmp_path) -> None:
    random = np.random.default_rng(0)
    down, up = (random.normal(size=shape).astype(np.float32) for shape in ((4, 32), (16, 4)))
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    save_file(tensors, tmp_path / "paint.safetensors")
    lora = ("--lora", f"{tmp_path / 'paint.safetensors'}:0.5")
    assert faceid("generate", "alice", "castle", *lora, "--seed", 4, *CHEAP, "-o", "a.png").code == 0
    (found,) = faceid("info", "a.png", "--json").data["pictures"]
    (digest,) = found["metadata"]["lora_hashes"].values()
    assert found["parameters"]["settings"]["Lora hashes"] == f"paint: {digest}"
    assert found["parameters"]["hashes"] == {"lora:paint": digest}
    assert faceid("replay", "a.png", "--json").data["equal"] is True
    plain = faceid("replay", "a.png", "--change", "lora=", "--json")
    assert plain.code == 0, plain.err
    assert not np.array_equal(pixels(plain.data["renders"][0]["file"]), pixels("a.png"))
    save_file({key: value * 2 for key, value in tensors.items()}, tmp_path / "paint.safetensors")
    answer = faceid("replay", "a.png")
    assert answer.code == 5
    assert "paint.safetensors, which the picture was made with, is not here as it was then" in answer.err


def test_a_missing_picture_is_asked_for_and_another_of_its_name_is_not_taken(faceid, alice, tmp_path) -> None:
    photo = tmp_path / "photo.png"
    Image.effect_noise((64, 64), 50).convert("RGB").save(photo)
    assert faceid("generate", "alice", "", "--init", photo, "--seed", 4, *CHEAP, "-o", "a.png").code == 0
    photo.rename(tmp_path / "moved.png")
    Image.new("RGB", (64, 64)).save(photo)
    answer = faceid("replay", "a.png")
    assert answer.code == 4
    assert "photo.png, which the picture was made from, is not here as it was then" in answer.err
    assert "--change init=FILE" in answer.err
    shutil.copy(tmp_path / "moved.png", "photo.png")
    assert faceid("replay", "a.png", "--json").data["equal"] is True
    assert faceid("replay", "a.png", "--change", f"init={photo}", "--json").data["equal"] is None


def test_what_is_changed_is_changed_and_all_else_stays(faceid, made) -> None:
    changes = ("--change", "steps=3", "--change", "prompt=<alice> at night", "--change", "guidance-scale=2")
    answer = faceid("replay", made, *changes, "--json")
    assert answer.code == 0, answer.err
    assert answer.data["equal"] is None
    new, old = read_metadata(Path("made-replay.png")), read_metadata(made)
    assert (new.steps, new.prompt, new.guidance_scale) == (3, "<alice> at night", 2.0)
    assert (new.seed, new.scheduler, new.width) == (old.seed, old.scheduler, old.width)
    direct = faceid(
        "generate", "alice", "<alice> at night", "--seed", 7, "--steps", 3, "--guidance-scale", 2, "-o", "d.png"
    )
    assert direct.code == 0
    assert np.array_equal(pixels("d.png"), pixels("made-replay.png"))


def test_somebody_else_can_take_the_place(faceid, made, photos, tiny_model_dir, quick) -> None:
    assert faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick, "--seed", 5).code == 0
    assert faceid("replay", made, "--change", "name=bob").code == 0
    found = read_metadata(Path("made-replay.png"))
    assert (found.names, found.prompt) == (("bob",), "a photo of <bob>, castle")
    assert not np.array_equal(pixels("made-replay.png"), pixels(made))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("stepz=4", 2, "did you mean steps=4?"),
        ("steps=0", 2, "steps must be 1 or more"),
        ("name=nobody", 3, "no identity is called 'nobody'"),
        ("names=a,b", 2, "the picture shows 1 people"),
        ("model=./nowhere", 5, "no base model at ./nowhere"),
    ],
)
def test_changes_that_cannot_be_are_told(faceid, made, change, code, message) -> None:
    answer = faceid("replay", made, "--change", change)
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert not Path("made-replay.png").exists()


def test_a_person_is_known_by_their_tokens_under_another_name(faceid, made) -> None:
    assert faceid("rename", "alice", "anna").code == 0
    answer = faceid("replay", made, "--json")
    assert answer.data["equal"] is True, answer.data
    assert answer.data["renders"][0]["names"] == ["anna"]


def test_a_person_who_was_learned_again_is_told(faceid, made, photos, tiny_model_dir, quick) -> None:
    again = ("enroll", "alice", photos, "--model", tiny_model_dir, *quick, "--replace")
    assert faceid(*again, "--seed", 9).code == 0
    answer = faceid("replay", made, "--json")
    assert answer.code == 0
    assert "alice was learned again since" in answer.err
    assert answer.data["equal"] is False
    assert answer.data["differences"][0].startswith("alice is not the one of then")
    assert "of the pixels differ, by " in answer.data["differences"][-1]
    # Learned again in the same way, she is the same.
    assert faceid(*again).code == 0
    assert faceid("replay", made, "--json").data["equal"] is True


def test_who_is_missing_is_told_and_somebody_else_can_stand_in(faceid, made, photos, tiny_model_dir, quick) -> None:
    assert faceid("remove", "alice", "-y").code == 0
    answer = faceid("replay", made)
    assert answer.code == 3
    assert "alice, who is in the picture, is not enrolled here" in answer.err
    assert faceid("enroll", "bob", photos, "--model", tiny_model_dir, *quick).code == 0
    assert faceid("replay", made, "--change", "names=bob").code == 0
    assert np.array_equal(pixels("made-replay.png"), pixels(made)), (
        "bob was learned as alice was, so his tokens are hers"
    )


def test_a_strangers_picture_does_not_choose_whom_this_machine_contacts(faceid, made, edit) -> None:
    Image.new("RGB", (64, 64)).save("street.png")
    with Image.open("street.png") as street:
        digest = digest_of(street)
    control = {"control": "canny", "control_model": "stranger/net 0123456789abcdef", "control_image": digest}
    edit(made, **control, files={"control-image": "street.png"}, pixels="0" * 64)
    answer = faceid("replay", made)
    assert answer.code == 5
    assert "the ControlNet stranger/net, which the picture was made with, is not here" in answer.err
    assert "--change control=canny,MODEL" in answer.err


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"names": (), "prompt": "a cup"}, 2),
        ({"steps": 0}, 2),
        ({"width": 7}, 2),
        ({"scheduler": "\x1b[2J"}, 2),
        ({"prompt": "<somebody> else"}, 2),
        ({"additions": ("lora /dev/zero 0123456789abcdef 1",)}, 5),
        ({"additions": ("vae ../../x",)}, 5),
        ({"embeddings": ("word /dev/zero",)}, 5),
        ({"files": {"init": "/dev/zero"}, "init": "0" * 64}, 4),
        ({"files": {"odd": "x"}, "batch": tuple(range(7, 200_000))}, 0),
    ],
)
def test_records_that_were_made_up_end_in_words(faceid, made, edit, fields, code) -> None:
    edit(made, **fields)
    assert faceid("replay", made).code == code
    assert faceid("info", made).code == 0


def test_a_missing_base_model_is_told(faceid, made, edit) -> None:
    edit(made, base_fingerprint="sd1:0000000000000000", base_model="gone.safetensors")
    answer = faceid("replay", made)
    assert answer.code == 5
    assert "the base model gone.safetensors (sd1:0000000000000000) is not on this machine" in answer.err


def test_other_versions_and_devices_are_told_where_the_pixels_differ(faceid, made, edit) -> None:
    record = read_metadata(made)
    edit(made, versions={**record.versions, "torch": "1.0"}, device="cuda Old Card", pixels="0" * 64)
    found = faceid("replay", made)
    assert found.code == 0
    assert "not equal to made.png" in found.out
    assert "torch was 1.0, and is " in found.out
    assert "the device was cuda Old Card, and is " in found.out


def test_a_record_that_was_edited_is_found_out(faceid, made, edit) -> None:
    edit(made, steps=3)
    answer = faceid("replay", made)
    assert "not equal to made.png" in answer.out
    assert "the number of steps of the stages was " in answer.out
    edit(made, steps=2, guidance_scale=2.0)
    assert "its record was edited, or another processor rounds otherwise" in faceid("replay", made).out


def test_pixels_that_were_edited_are_found_out(faceid, made) -> None:
    record = read_metadata(made)
    with Image.open(made) as image:
        image.putpixel((1, 1), (1, 2, 3))
        made.write_bytes(picture_bytes(image, record))
    answer = faceid("replay", made)
    assert "equal to what was rendered" in answer.out
    assert "made.png itself was edited after it was rendered" in answer.out
    assert "edited since" in faceid("info", made).out


@pytest.mark.parametrize("name", ["bare.png", "nothing.png", "no.png"])
def test_pictures_that_say_nothing_cannot_be_replayed(faceid, alice, name) -> None:
    Image.new("RGB", (8, 8)).save("nothing.png")
    assert faceid("generate", "alice", "", "--no-metadata", *CHEAP, "-o", "bare.png").code == 0
    answer = faceid("replay", name)
    assert answer.code == 4
    assert ("no such file" if name == "no.png" else "does not say how faceid made it") in answer.err


def test_older_records_are_replayed_too(faceid, made) -> None:
    """Those of the first version knew neither device nor digests."""
    with Image.open(made) as image:
        old = json.loads(image.text["faceid"])
        for name in ("device", "batch", "pixels", "identity_hashes", "hashes", "lora_hashes", "watermark"):
            del old[name]
        from PIL.PngImagePlugin import PngInfo

        chunks = PngInfo()
        chunks.add_text("faceid", json.dumps(old))
        image.save("old.png", pnginfo=chunks)
    assert faceid("replay", "old.png", "--json").data["equal"] is True


def test_the_same_from_python(faceid, made) -> None:
    found = faceid_cli.replay(made)
    assert (found.is_equal, found.renders[0].path) == (True, None)
    assert np.array_equal(np.asarray(found.renders[0].image), pixels(made))
    other = faceid_cli.replay(made, change={"steps": 1}, output="other.png")
    assert (other.is_equal, other.renders[0].path) == (None, Path("other.png"))
