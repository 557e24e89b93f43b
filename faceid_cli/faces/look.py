"""Looking at many photo files, one batch after the other: what each shows, without keeping its pixels.

At any time only a few photos are in memory, however many there are. Files are decoded ahead in threads while faces are
looked for. Needs no torch itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceid_cli.errors import NoFaceError, PhotoError, WrongWorldError
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.quality import likeness_hash, shrunk
from faceid_cli.faces.texture import looks_like_photograph
from faceid_cli.photo_files import claimed_pixels, read_photo
from faceid_cli.types import Face, Photo

THUMBNAIL_PX = 320

_BATCH = 8
_BATCH_PIXELS = 60_000_000  # large photos go in smaller batches, or the pixels of a batch would fill the memory
_READ_AHEAD = 4


@dataclass(frozen=True)
class Look:
    """What was seen in a photo file.

    Attributes:
        path: Where the file is.
        problem: Why it cannot be used, or None.
        sha256: Of its bytes; "" where they cannot be read.
        size: Width and height of the upright photo in pixels.
        faces: From left to right.
        embeddings: One unit vector a face; none where faces cannot be compared.
        fingerprint: Nearly the same bits for nearly the same photos, see `quality.likeness_hash`.
        thumbnail: The photo at THUMBNAIL_PX or less, or None.
    """

    path: Path
    problem: PhotoError | None = None
    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    faces: tuple[Face, ...] = ()
    embeddings: tuple[NDArray[np.float32], ...] = ()
    fingerprint: int = 0
    thumbnail: Image.Image | None = field(default=None, compare=False, repr=False)


def look_at_photos(paths: Iterable[Path], finder: FaceFinder | None) -> Iterator[tuple[Look, Photo | None]]:
    """Yield what each file shows, in order, and the photo itself, which the caller should not keep.

    Args:
        paths: Files, see `photos.find_photos`.
        finder: What finds the faces; None where nothing is to be found.
    """
    for batch in _batches(_decoded(paths)):
        photos = [photo for photo in batch if isinstance(photo, Photo)]
        found = finder.find_all([photo.image for photo in photos]) if finder and photos else [[] for _ in photos]
        faces = iter(found)
        for entry in batch:
            if isinstance(entry, Photo):
                yield _look(entry, next(faces), finder), entry
            else:
                yield entry, None


def _look(photo: Photo, faces: Sequence[Face], finder: FaceFinder | None) -> Look:
    problem: PhotoError | None = None
    if finder is not None:
        problem = _other_world(photo, faces) if finder.is_drawn_world else _no_face(photo, faces)
    compared = finder is not None and finder.can_compare and problem is None
    small = shrunk(photo.image, THUMBNAIL_PX)
    return Look(
        path=photo.path,
        problem=problem,
        sha256=photo.sha256,
        size=photo.image.size,
        faces=tuple(faces),
        embeddings=tuple(finder.embed(photo.image, face) for face in faces) if compared and finder else (),
        fingerprint=likeness_hash(small),
        thumbnail=small,
    )


def _no_face(photo: Photo, faces: Sequence[Face]) -> PhotoError | None:
    if faces:
        return None
    return NoFaceError(f"no face in {photo.path}", "leave it out, mark the face with --box, or use --no-detect")


def _other_world(photo: Photo, faces: Sequence[Face]) -> PhotoError | None:
    """Say what to do with a photograph, instead of letting the judge of drawings find no face or a wrong one."""
    if looks_like_photograph(photo.image, has_drawn_face=bool(faces)):
        return WrongWorldError(
            f"{photo.path} looks like a photograph, but the built-in model only knows drawn portraits",
            "faceid config set model PATH chooses a checkpoint for photographs; --no-detect learns the picture anyway",
        )
    if not faces:
        return NoFaceError(
            f"no drawn face in {photo.path}, and the built-in model only knows drawn portraits",
            "mark the face with --box, use --no-detect, or choose another model: faceid config set model PATH",
        )
    return None


def _decoded(paths: Iterable[Path]) -> Iterator[Photo | Look]:
    """Decode in threads, a few files ahead; in order."""
    waiting: deque[tuple[int, Future[Photo | Look]]] = deque()
    todo = ((path, claimed_pixels(path)) for path in paths)
    coming = next(todo, None)
    with ThreadPoolExecutor(_READ_AHEAD, thread_name_prefix="faceid-photos") as pool:
        try:
            while coming or waiting:
                while coming and len(waiting) < _READ_AHEAD and _is_room(coming[1], waiting):
                    waiting.append((coming[1], pool.submit(_read, coming[0])))
                    coming = next(todo, None)
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()


def _is_room(pixels: int, waiting: Iterable[tuple[int, object]]) -> bool:
    """Whether one more photo may be read ahead: the first always, others as long as all are not too large together."""
    others = [each for each, _ in waiting]
    return not others or pixels + sum(others) <= _BATCH_PIXELS


def _read(path: Path) -> Photo | Look:
    try:
        return read_photo(path)
    except PhotoError as error:
        return Look(path, error)


def _batches(entries: Iterable[Photo | Look]) -> Iterator[list[Photo | Look]]:
    batch: list[Photo | Look] = []
    pixels = 0
    for entry in entries:
        batch.append(entry)
        pixels += entry.image.width * entry.image.height if isinstance(entry, Photo) else 0
        if len(batch) >= _BATCH or pixels >= _BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
