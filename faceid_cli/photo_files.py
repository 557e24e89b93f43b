"""Find, decode, rotate, colour-convert and hash photos."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from faceid_cli.errors import NotAnImageError, PhotoError, PhotoNotFoundError
from faceid_cli.kept.foreign import open_file
from faceid_cli.orders.checks import user_path
from faceid_cli.types import Photo

PHOTO_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff",
    ".webp",
})  # fmt: skip
"""File name endings that make a file in a folder a picture (compared in lower case)."""

MAX_PIXELS = 150_000_000
"""Largest picture that is decoded, width x height; a small file can claim more and fill the memory."""

MAX_BYTES = 1_000_000_000
"""Largest file that is read; a picture within MAX_PIXELS is smaller in every format."""

# Pillow knows more, and hands PostScript to another program that runs it.
_FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "TGA", "TIFF",
    "WEBP",
)  # fmt: skip

# Of an ISO media file, after its four bytes of length: HEIC and its relatives, which need pillow-heif.
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

_BAND_PIXELS = 500_000

OnProblem = Callable[[PhotoError], None]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
"""What transparency becomes: paper behind photos, and nothing where a picture guides another."""


def find_photos(paths: Sequence[Path], on_problem: OnProblem | None = None, besides: Path | None = None) -> list[Path]:
    """List the picture files that the given files, folders and patterns stand for.

    Files are taken as they are, whatever they are called; folders are searched with all their subfolders, in sorted
    order, for files with a picture's suffix. Hidden files are passed over, and so is what only has a picture's name:
    folders, pipes, devices. What does not exist and holds `*`, `?` or `[` is a pattern, for shells that leave it to
    the program. No file is listed twice.

    Args:
        paths: Files, folders and patterns.
        on_problem: Takes what is wrong with subfolders, and the search goes on; without it the first one is raised.
        besides: A file in the folders that is no photo: the sheet that was made of them. None if there is none.

    Raises:
        PhotoNotFoundError: A path does not exist, or a folder or a pattern yields no pictures.
        PhotoError: A folder that may not be read.
    """
    found: dict[str, Path] = {}
    for path in paths:
        for file in _photos_of(Path(path), on_problem):
            found.setdefault(os.path.realpath(file), file)  # unlike resolve, this takes links that lead in a circle
    if besides is not None and besides not in paths:
        found.pop(os.path.realpath(besides), None)
    return list(found.values())


def read_photo(path: Path, background: tuple[int, int, int] = WHITE) -> Photo:
    """Decode one picture: upright, sRGB, 8 bit RGB, the first frame of several.

    Args:
        path: The file.
        background: What shows through where the picture is transparent, red, green and blue.

    Raises:
        PhotoNotFoundError: No such file.
        PhotoError: The file may not be read.
        NotAnImageError: Not a picture, or a damaged, truncated or oversized one; the message names the file.
    """
    path = Path(path)
    data = _read_bytes(path)
    if not data:
        raise NotAnImageError(f"{path} is empty", "give picture files such as JPEG or PNG")
    if _is_heic(data):
        _learn_heic(path)
    try:
        image = _decode(data, path)
        return Photo(path=path, image=flattened(image, background), sha256=hashlib.sha256(data).hexdigest())
    except NotAnImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files, and all of it means the same
        raise NotAnImageError(
            f"{path} is damaged or truncated and cannot be decoded ({error})", "copy the file again or leave it out"
        ) from error


def flattened(image: Image.Image, background: tuple[int, int, int] = BLACK) -> Image.Image:
    """Convert any of Pillow's modes to an sRGB picture of mode RGB without metadata and transparency.

    Args:
        image: A decoded picture.
        background: As for `read_photo`.
    """
    profile = image.info.get("icc_profile")
    has_transparency = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    if image.mode.startswith(("I", "F")):
        grey, keyed = _to_8_bit(image), image.info.get("transparency")
        if isinstance(keyed, int):  # one value of these is transparent, and the conversion would forget which
            grey = Image.merge("LA", (grey, _by_bands(image, lambda values: np.where(values != keyed, 255, 0))))
        image = grey.convert("RGBA") if grey.mode == "LA" else grey
    elif image.mode in ("P", "PA", "RGBa", "La", "1") or has_transparency:
        image = image.convert("RGBA" if has_transparency else "RGB")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    if alpha is not None:
        image = image.convert("RGB")
    rgb = _apply_profile(image, profile) or image.convert("RGB")
    if alpha is None:
        rgb.info = {}  # a new picture in either case
        return rgb
    clean = Image.new("RGB", rgb.size, background)
    clean.paste(rgb, (0, 0), alpha)
    return clean


@contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """Open a picture without decoding it, as long as the context lasts.

    Raises:
        OSError: It cannot be read, or is none.
        ValueError: It is damaged, or too large.
    """
    with open_file(path) as file, _open(file) as image:
        yield image


def claimed_pixels(path: Path) -> int:
    """Width x height, as a picture's header has it; 0 where that cannot be told."""
    try:
        with opened_picture(path) as image:
            return image.width * image.height
    except Exception:  # whatever is wrong with it, its reader will say
        return 0


def _photos_of(path: Path, on_problem: OnProblem | None) -> Iterator[Path]:
    if not os.path.exists(path):  # unlike Path.exists, this never raises
        matches = sorted(glob.glob(str(user_path(path)), recursive=True)) if glob.has_magic(str(path)) else []
        if not matches:
            raise PhotoNotFoundError(f"no such file or folder: {path}", "check the spelling and the current folder")
        for match in matches:
            if os.path.isdir(match):
                yield from _pictures_below(Path(match), on_problem)
            elif _is_picture(Path(match)):
                yield Path(match)
        return
    if not os.path.isdir(path):
        yield path
        return
    files = list(_pictures_below(path, on_problem))
    if not files:
        raise PhotoNotFoundError(f"no pictures in folder {path}", "pictures are files such as .jpg, .png or .webp")
    yield from files


def _pictures_below(folder: Path, on_problem: OnProblem | None) -> Iterator[Path]:
    def cannot_list(error: OSError) -> None:
        problem = PhotoError(f"cannot read folder {error.filename}: {_reason(error)}", "check its permissions")
        if on_problem is None or Path(error.filename) == folder:
            raise problem from error
        on_problem(problem)

    for root, folders, names in os.walk(folder, onerror=cannot_list):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _is_picture(Path(root, name)):
                yield Path(root, name)


def _is_picture(path: Path) -> bool:
    """Whether a file found in a folder counts; a link that leads nowhere does, so that it is reported."""
    if path.name.startswith(".") or path.suffix.lower() not in PHOTO_SUFFIXES:
        return False
    return os.path.isfile(path) or not os.path.exists(path)


def _read_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device could go on forever
            raise PhotoError(f"cannot read {path}: not a file", "give picture files, or folders of them")
        if status.st_size > MAX_BYTES:
            raise NotAnImageError(f"{path} has more than {MAX_BYTES // 1_000_000} megabytes", "leave it out")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PhotoNotFoundError(f"no such file: {path}", "check the spelling and the current folder") from error
    except OSError as error:
        raise PhotoError(f"cannot read {path}: {_reason(error)}", "check what it is and its permissions") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _is_heic(data: bytes) -> bool:
    """Phones write HEIC under other endings, too, so the content decides."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def _learn_heic(path: Path) -> None:
    """Teach Pillow to decode HEIC, if the package for it is there.

    Raises:
        NotAnImageError: It is not.
    """
    try:
        importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
    except ImportError as error:
        raise NotAnImageError(
            f"{path} is a HEIC picture, and the package for those is not installed",
            "pip install pillow-heif, or convert the picture to JPEG",
        ) from error


def _decode(data: bytes, path: Path) -> Image.Image:
    """Return the first frame, fully decoded and turned upright."""
    try:
        image = _open(io.BytesIO(data))
    except _TooLargeError as error:
        raise _too_large(path) from error
    except UnidentifiedImageError as error:
        kind = "a damaged HEIC picture" if _is_heic(data) else "not a picture"
        raise NotAnImageError(f"{path} is {kind}", "give picture files such as JPEG or PNG") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.load()
        return _upright(image)


class _TooLargeError(ValueError):
    """More pixels than are decoded."""


def _open(file: IO[bytes]) -> Image.Image:
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large and of slightly wrong files; the limit is below
            image = Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise _TooLargeError(str(error)) from error
    if image.width * image.height > MAX_PIXELS:
        raise _TooLargeError(f"it has more than {MAX_PIXELS // 1_000_000} million pixels")
    return image


def _too_large(path: Path) -> NotAnImageError:
    return NotAnImageError(
        f"{path} has more than {MAX_PIXELS // 1_000_000} million pixels", "make the picture smaller first"
    )


def _upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels, which are decoded
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit or floating-point grey to 8 bits by the range that the values show."""
    if image.mode.startswith("I;16"):
        scale = 255 / 65535
    else:
        largest = max((float(values.max(initial=0)) for _, values in _bands(image)), default=0.0)
        small = 255.0 if image.mode == "F" and largest <= 1 else 1.0
        scale = small if largest <= 255 else 255 / 65535
    return _by_bands(image, lambda values: (values * scale).round().clip(0, 255))


def _by_bands(image: Image.Image, change: Callable[[NDArray[np.float64]], NDArray[Any]]) -> Image.Image:
    """A picture, mode "L", of what is made of the values, some rows at a time: all as numbers would fill the memory."""
    found = np.empty((image.height, image.width), dtype=np.uint8)
    for top, values in _bands(image):
        found[top : top + len(values)] = change(values).astype(np.uint8)
    return Image.fromarray(found, "L")


def _bands(image: Image.Image) -> Iterator[tuple[int, NDArray[np.float64]]]:
    rows = max(_BAND_PIXELS // max(image.width, 1), 1)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.nan_to_num(np.asarray(band).astype(np.float64))


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Convert from the embedded colour profile to sRGB; None where there is none or it does not fit the picture."""
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
