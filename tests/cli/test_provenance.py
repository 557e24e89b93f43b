"""`faceid config set provenance on`: signed files, a watermark in the pixels, and what `faceid info` makes of both."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceid_cli.kept import paths, signing
from faceid_cli.kept.signing import signing_key

pytest.importorskip("c2pa")
pytest.importorskip("cryptography")

MADE = ("generate", "alice", "castle", "--device", "cpu", "--steps", 2, "--seed", 7, "--size", "96x96")


def told(faceid, file: str) -> dict[str, object]:
    """What `faceid info` says of a picture."""
    (found,) = faceid("info", file, "--json").data["pictures"]
    return found


@pytest.fixture
def provenance(faceid, alice) -> None:
    """It is switched on."""
    assert faceid("config", "set", "provenance", "on").code == 0


def test_it_is_off_unless_it_is_asked_for(faceid, alice) -> None:
    assert faceid(*MADE, "-o", "a.png").code == 0
    found = told(faceid, "a.png")
    assert (found["credentials"], found["watermark"]) == (None, "")
    assert not paths.signing_key_file().exists()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_is_signed_and_watermarked_and_both_are_verified(faceid, provenance, suffix) -> None:
    assert faceid(*MADE, "-o", f"a.{suffix}").code == 0
    found = told(faceid, f"a.{suffix}")
    credentials = found["credentials"]
    assert (credentials["state"], credentials["problems"]) == ("valid", [])
    assert (credentials["is_own"], credentials["is_trusted"]) == (True, False)
    assert credentials["generator"].startswith("faceid ")
    assert credentials["source_types"] == ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]
    assert (found["watermark"], found["metadata"]["watermark"]) == ("faceid", "faceid")
    shown = faceid("info", f"a.{suffix}").out
    assert "valid, by faceid on this machine, the key of this machine" in shown


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_file_that_was_changed_is_not_valid_any_more(faceid, provenance, suffix) -> None:
    assert faceid(*MADE, "-o", f"a.{suffix}").code == 0
    content = bytearray(Path(f"a.{suffix}").read_bytes())
    content[-40] ^= 1
    Path(f"b.{suffix}").write_bytes(content)
    credentials = told(faceid, f"b.{suffix}")["credentials"]
    assert credentials["state"] == "invalid"
    assert credentials["problems"]
    assert "NOT VALID" in faceid("info", f"b.{suffix}").out


def test_the_watermark_outlives_a_file_that_lost_everything_else(faceid, provenance) -> None:
    assert faceid(*MADE, "-o", "a.png").code == 0
    with Image.open("a.png") as image:
        image.convert("RGB").save("b.jpg", quality=95)
    found = told(faceid, "b.jpg")
    assert (found["metadata"], found["credentials"], found["fields"]) == (None, None, {})
    assert (found["watermark"], found["ai"]) == ("faceid", True)


def test_words_can_be_left_out_of_what_is_signed(faceid, provenance) -> None:
    assert faceid(*MADE, "--no-metadata", "-o", "a.png").code == 0
    content = Path("a.png").read_bytes()
    assert b"alice" not in content
    assert b"castle" not in content
    found = told(faceid, "a.png")
    assert (found["credentials"]["state"], found["watermark"], found["ai"]) == ("valid", "faceid", True)


def test_a_signed_picture_is_replayed_to_the_same_pixels(faceid, provenance) -> None:
    assert faceid(*MADE, "-o", "a.png").code == 0
    assert faceid("replay", "a.png", "--json").data["equal"] is True
    with Image.open("a.png") as first, Image.open("a-replay.png") as second:
        assert first.tobytes() == second.tobytes(), "the watermark, too, is the same"
    assert faceid("config", "set", "provenance", "off").code == 0
    assert faceid("replay", "a.png", "--json").data["equal"] is True
    found = told(faceid, "a-replay-2.png")
    assert (found["credentials"], found["watermark"], found["edited"]) == (None, "", False)


def test_a_part_of_a_picture_is_signed_as_one(faceid, provenance, tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    mask = Image.new("L", (96, 96), 0)
    mask.paste(255, (20, 20, 60, 60))
    mask.save("mask.png")
    answer = faceid(*MADE, "--init", "photo.png", "--mask", "mask.png", "-o", "a.png")
    assert answer.code == 0
    assert "signed, but without a watermark: only a part of the picture may change" in answer.err
    with Image.open("a.png") as image:
        kept = np.asarray(mask) == 0
        assert np.array_equal(np.asarray(image)[kept], noise[kept]), "bit for bit, as without provenance"
    found = told(faceid, "a.png")
    assert found["watermark"] == ""
    assert found["credentials"]["source_types"][0].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert found["ai_in_part"] is True


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_the_key_is_for_its_owner_alone_and_stays(faceid, provenance) -> None:
    file = paths.signing_key_file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    assert faceid("config", "set", "provenance", "on").code == 0
    assert file.read_bytes() == before
    assert b"PRIVATE KEY" not in faceid("config", "list").out.encode()


def test_a_key_of_the_users_own_signs(faceid, alice, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "elsewhere"))
    signing_key()
    own = tmp_path / "own.pem"
    paths.signing_key_file().rename(own)
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "faceid-home"))
    assert faceid("config", "set", "signing-key", own).code == 0
    assert faceid("config", "set", "provenance", "on").code == 0
    assert not paths.signing_key_file().exists()
    assert faceid(*MADE, "-o", "a.png").code == 0
    assert told(faceid, "a.png")["credentials"]["is_own"] is True
    assert faceid("config", "unset", "signing-key").code == 0
    stranger = told(faceid, "a.png")["credentials"]
    assert (stranger["state"], stranger["is_own"]) == ("valid", False)
    assert "nobody else vouches for the signer" in faceid("info", "a.png").out


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_sign_is_refused_before_anything_is_rendered(faceid, provenance, content) -> None:
    Path("bad.pem").write_bytes(content)
    answer = faceid("config", "set", "signing-key", "bad.pem")
    assert answer.code == 2
    assert "bad.pem is no key that pictures can be signed with" in answer.err
    paths.signing_key_file().write_bytes(content)
    answer = faceid(*MADE, "-o", "a.png")
    assert answer.code == 2
    assert "is no key that pictures can be signed with" in answer.err
    assert not Path("a.png").exists()


def test_without_the_packages_it_is_refused_and_signed_pictures_are_told(faceid, provenance, monkeypatch) -> None:
    assert faceid(*MADE, "-o", "a.png").code == 0
    monkeypatch.setattr(signing, "_PACKAGES", ("no_such_package",))
    answer = faceid("config", "set", "provenance", "on")
    assert answer.code == 2
    assert "no_such_package" in answer.err
    assert "pip install 'faceid-cli[provenance]'" in answer.err
    assert faceid(*MADE, "-o", "b.png").code == 2
    found = told(faceid, "a.png")
    assert (found["credentials"]["state"], found["watermark"]) == ("unchecked", None)
    assert "yes, not checked" in faceid("info", "a.png").out
