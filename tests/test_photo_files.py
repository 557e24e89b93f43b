"""photos.py: which files are found, and what pixels come out of them."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from faceid_cli import photo_files as photos
from faceid_cli.errors import NotAnImageError, PhotoError, PhotoNotFoundError


def _picture(path: Path, color: tuple[int, int, int] = (200, 30, 60), size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def test_folders_are_searched_in_sorted_order_and_no_file_twice(tmp_path: Path) -> None:
    second = _picture(tmp_path / "b.png")
    first = _picture(tmp_path / "a.JPG")
    deeper = _picture(tmp_path / "z" / "c.webp")
    _picture(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("x")
    assert photos.find_photos([tmp_path]) == [first, second, deeper]
    assert photos.find_photos([second, tmp_path, second]) == [second, first, deeper]


def test_a_named_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    file = tmp_path / "portrait"
    file.write_bytes(_picture(tmp_path / "p.png").read_bytes())
    assert photos.find_photos([file]) == [file]
    assert photos.read_photo(file).image.size == (8, 6)


def test_missing_paths_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoNotFoundError, match=r"no such file or folder: .*nowhere"):
        photos.find_photos([tmp_path / "nowhere"])
    with pytest.raises(PhotoNotFoundError, match=r"no such file or folder"):
        photos.find_photos([tmp_path / ("x" * 300)])
    with pytest.raises(PhotoNotFoundError, match=r"no pictures in folder"):
        photos.find_photos([tmp_path])
    with pytest.raises(PhotoNotFoundError, match=r"no such file: .*gone.png"):
        photos.read_photo(tmp_path / "gone.png")
    with pytest.raises(PhotoError, match=r"cannot read"):
        photos.read_photo(tmp_path)


def test_hash_is_of_the_bytes(tmp_path: Path) -> None:
    file = _picture(tmp_path / "a.png")
    assert photos.read_photo(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray((np.arange(6 * 4 * 3).reshape(6, 4, 3) * 3).astype(np.uint8))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(photos.read_photo(tmp_path / "a.png").image, upright)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(photos.read_photo(tmp_path / "deep.png").image)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_floating_point_grey(tmp_path: Path, scale: float) -> None:
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32) * scale).save(tmp_path / "float.tiff")
    assert np.asarray(photos.read_photo(tmp_path / "float.tiff").image)[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk_palette_and_grey_become_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    red = np.asarray(photos.read_photo(tmp_path / "cmyk.jpg").image)[0, 0]
    assert red[0] > 200
    assert red[1] < 40
    assert red[2] < 40
    Image.new("RGB", (4, 4), (10, 200, 30)).convert("P").save(tmp_path / "palette.gif")
    image = photos.read_photo(tmp_path / "palette.gif").image
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image)[0, 0].astype(int) - [10, 200, 30]).max() < 30
    Image.new("L", (4, 4), 77).save(tmp_path / "grey.png")
    assert photos.read_photo(tmp_path / "grey.png").image.getpixel((0, 0)) == (77, 77, 77)
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    assert photos.read_photo(tmp_path / "bits.png").image.getpixel((0, 0)) == (255, 255, 255)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    image.save(tmp_path / "alpha.png")
    result = photos.read_photo(tmp_path / "alpha.png").image
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    keyed = Image.new("P", (2, 1), 0)
    keyed.putpalette([0, 0, 255, 9, 9, 9])
    keyed.putpixel((1, 0), 1)
    keyed.save(tmp_path / "keyed.png", transparency=1)
    result = photos.read_photo(tmp_path / "keyed.png").image
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 255), (255, 255, 255)]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(depth: int, colour: int, row: bytes, *chunks: bytes) -> bytes:
    """A PNG of 2 x 1 pixels, in kinds that Pillow does not write."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + _chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["RGBA", "LA", "PA", "keyed L", "keyed 1", "webp", "tiff", "gif", "16", "16 A", "48"])
def test_transparency_becomes_the_background_in_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    """Two white pixels, or a white and a black one, of which the first is transparent."""
    file = tmp_path / "picture"
    white = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
    white.putpixel((0, 0), (255, 255, 255, 0))
    keyed = Image.new("L", (2, 1), 0)
    keyed.putpixel((0, 0), 255)
    if kind in ("RGBA", "LA", "PA"):
        white.convert(kind).save(file, "TIFF" if kind == "PA" else "PNG")
    elif kind.startswith("keyed"):
        keyed.convert(kind[-1]).save(file, "PNG", transparency=255)
    elif kind in ("webp", "tiff", "gif"):
        white.save(file, kind, lossless=True)
    elif kind == "16":  # grey in 16 bits, of which white is the transparent value
        file.write_bytes(_png(16, 0, b"\xff\xff\0\0", _chunk(b"tRNS", b"\xff\xff")))
    elif kind == "16 A":
        file.write_bytes(_png(16, 4, b"\xff\xff\0\0" + b"\xff" * 4))
    else:
        file.write_bytes(_png(16, 2, b"\xff" * 6 + b"\0" * 6, _chunk(b"tRNS", b"\xff" * 6)))
    for background in (photos.WHITE, photos.BLACK, (10, 20, 30)):
        assert photos.read_photo(file, background).image.getpixel((0, 0)) == background
    opaque = photos.read_photo(file, photos.BLACK).image.getpixel((1, 0))
    assert opaque == ((0, 0, 0) if kind in ("keyed L", "keyed 1", "16", "48") else (255, 255, 255))


def test_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The same profile with the primaries of red and green exchanged: "red" means green in this picture.
    profile = srgb.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)
    image = Image.new("RGB", (4, 4), (20, 220, 60))
    image.save(tmp_path / "wide.png", icc_profile=profile)
    result = photos.read_photo(tmp_path / "wide.png").image
    assert np.abs(np.asarray(result)[0, 0].astype(int) - [220, 20, 60]).max() <= 3
    assert "icc_profile" not in result.info


def test_a_profile_that_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (90, 120, 60))
    image.save(tmp_path / "bad.png", icc_profile=b"not a profile at all")
    assert np.array_equal(photos.read_photo(tmp_path / "bad.png").image, image)


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / "two.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert photos.read_photo(tmp_path / "two.webp").image.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_truncated_files_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    broken = tmp_path / f"half.{suffix}"
    broken.write_bytes(data[: len(data) // 2])
    with pytest.raises(NotAnImageError, match=f"half.{suffix}"):
        photos.read_photo(broken)


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(NotAnImageError, match=r"text.jpg is not a picture") as caught:
        photos.read_photo(tmp_path / "text.jpg")
    assert caught.value.hint
    assert caught.value.exit_code == 4
    (tmp_path / "empty.png").touch()
    with pytest.raises(NotAnImageError, match=r"empty.png is empty"):
        photos.read_photo(tmp_path / "empty.png")


def test_heic_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x1cftypheic" + bytes(100))
    with pytest.raises(NotAnImageError, match=r"phone.jpg is a HEIC picture, and the package") as caught:
        photos.read_photo(tmp_path / "phone.jpg")
    assert caught.value.hint == "pip install pillow-heif, or convert the picture to JPEG"


@pytest.mark.parametrize("name", ["phone.HEIC", "named-wrongly.jpg"])
def test_heic_pictures_are_read_whatever_their_name(tmp_path: Path, name: str) -> None:
    heif = pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (64, 48), (200, 30, 60))
    heif.from_pillow(image).save(tmp_path / "whole.heic")
    data = (tmp_path / "whole.heic").read_bytes()
    (tmp_path / name).write_bytes(data)
    read = photos.read_photo(tmp_path / name).image
    assert read.size == (64, 48)
    assert np.abs(np.asarray(read)[24, 32].astype(int) - [200, 30, 60]).max() < 12
    (tmp_path / "half.heic").write_bytes(data[: len(data) // 2])
    with pytest.raises(NotAnImageError, match=r"half.heic"):
        photos.read_photo(tmp_path / "half.heic")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_pictures_are_read(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (200, 30, 60)).save(tmp_path / "a.avif")
    read = photos.read_photo(tmp_path / "a.avif").image
    assert np.abs(np.asarray(read)[24, 32].astype(int) - [200, 30, 60]).max() < 12


def test_patterns_that_the_shell_left_alone(tmp_path: Path) -> None:
    first, second = _picture(tmp_path / "a1.png"), _picture(tmp_path / "x" / "a2.png")
    _picture(tmp_path / "b.png")
    assert photos.find_photos([tmp_path / "**" / "a*.png"]) == [first, second]
    assert photos.find_photos([tmp_path / "x*"]) == [second]
    with pytest.raises(PhotoNotFoundError, match=r"no such file or folder"):
        photos.find_photos([tmp_path / "c*.png"])
    odd = _picture(tmp_path / "odd[1].png")
    assert photos.find_photos([odd]) == [odd]  # a file of that very name comes first


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_what_only_has_the_name_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    good = _picture(tmp_path / "good.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    assert photos.find_photos([tmp_path]) == [tmp_path / "dangling.jpg", good]
    with pytest.raises(PhotoNotFoundError, match=r"no such file: .*dangling.jpg"):
        photos.read_photo(tmp_path / "dangling.jpg")
    with pytest.raises(PhotoError, match=r"pipe.jpg: not a file"):
        photos.read_photo(tmp_path / "pipe.jpg")


def test_files_beyond_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_BYTES", 1_000_000)
    with open(tmp_path / "vast.jpg", "wb") as file:
        file.truncate(1_000_001)
    with pytest.raises(NotAnImageError, match=r"vast.jpg has more than 1 megabytes"):
        photos.read_photo(tmp_path / "vast.jpg")


def test_decompression_bombs_are_refused_before_decoding(tmp_path: Path) -> None:
    side = int(photos.MAX_PIXELS**0.5) + 1000
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(NotAnImageError, match=r"more than 150 million pixels"):
        photos.read_photo(tmp_path / "bomb.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_unreadable_files_say_why(tmp_path: Path) -> None:
    file = _picture(tmp_path / "a.png")
    file.chmod(0)
    with pytest.raises(PhotoError, match=r"permission denied"):
        photos.read_photo(file)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_locked_subfolder_is_reported_and_passed_over(tmp_path: Path) -> None:
    good, locked = _picture(tmp_path / "good.png"), tmp_path / "locked"
    locked.mkdir(mode=0)
    problems: list[PhotoError] = []
    assert photos.find_photos([tmp_path], problems.append) == [good]
    assert [problem.message for problem in problems] == [f"cannot read folder {locked}: permission denied"]
    with pytest.raises(PhotoError, match=r"permission denied"):
        photos.find_photos([tmp_path])


def test_grey_of_16_bits_becomes_8_some_rows_at_a_time():
    values = np.random.default_rng(0).integers(0, 65536, (2500, 2000), dtype=np.uint16)
    image = Image.fromarray(values)
    tracemalloc.start()
    found = photos.flattened(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(np.asarray(found)[..., 0], (values * (255 / 65535)).round().astype(np.uint8))
    assert peak < 12 * values.size  # numbers of 64 bits would take 24 bytes and more for each


def test_links_that_lead_in_a_circle_and_pipes_have_their_verdict(tmp_path):
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "down").mkdir()
    (tmp_path / "down" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    found = photos.find_photos([tmp_path])
    assert sorted(path.name for path in found) == ["a.png", "b.png"]
    for path in (*found, tmp_path / "pipe.png"):
        with pytest.raises(PhotoError, match=str(path)):
            photos.read_photo(path)


def test_postscript_is_never_handed_to_another_program(tmp_path):
    (tmp_path / "x.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(NotAnImageError, match="is not a picture"):
        photos.read_photo(tmp_path / "x.jpg")
