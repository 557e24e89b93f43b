"""The photos a person is compared with: those they were learned from, or others that are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

from faceid_cli.errors import NoFaceError, PhotoError, UsageError
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness, likeness_to
from faceid_cli.evaluation.overlooked import face_details, mean_details
from faceid_cli.evaluation.run import largest_face
from faceid_cli.faces.crop import choose_face
from faceid_cli.kept.material import material_folder
from faceid_cli.orders import is_people_word
from faceid_cli.photo_files import find_photos, read_photo
from faceid_cli.registry.run_record import RunRecord, last_record
from faceid_cli.types import Face, Identity, OnNote, Photo


def is_thing(person: Identity) -> bool:
    """Whether somebody was learned as a thing: no face was looked for, and the class word speaks of no people.

    Of an identity that was learned elsewhere, the class word alone tells.
    """
    if is_people_word(person.class_word):
        return False
    record = last_record(person)
    return record is None or not record.was_detected


def likeness_of(
    person: Identity, judge: PictureJudge, given: Sequence[Path | str], take_all: bool, on_note: OnNote | None
) -> Likeness | None:
    """What pictures of a person are compared with; None, with a note, where there is no photo with a face.

    Args:
        person: The enrolled person; their last training run says which photos it used.
        judge: Finds and embeds faces.
        given: Photos or folders of the user's; none for those that the enrolment held out, else those it learned from.
        take_all: Whether all given photos show the person; else only those that they were learned from do.
        on_note: Called with a line worth telling the user.

    Raises:
        PhotoError: A given photo is missing or damaged, or shows no face at all.
    """
    record = last_record(person) or RunRecord({})
    if given:
        photos = _given(person, given, take_all)
    else:
        held = record.held_out_files
        # What training did not see measures best.
        photos = _unchanged([Path(file) for file in held], set(held.values()))
        photos = photos or _unchanged([Path(file) for file in record.photo_files], set(person.photo_hashes))
        # Moved or deleted: what training made of them may have been kept.
        photos = photos or _readable(sorted(material_folder(person.id).glob("crop-*.png")))
    if not photos:
        if on_note:
            on_note(f"no photos of {person.name} can be found, so likeness is not scored: give them by --photos")
        return None
    which = record.face or "largest"
    found = [_face(photo, judge, record.faces.get(str(photo.path.absolute()), which)) for photo in photos]
    faces = [(photo.image, face) for photo, face in zip(photos, found, strict=True) if face is not None]
    if not faces and given:
        raise NoFaceError(f"no face in the photos of {person.name}", "give photos that show the face with --photos")
    if not faces and on_note:
        on_note(f"the judge finds no face in the photos of {person.name}, so likeness is not scored")
    return likeness_to_faces(judge, faces) if faces else None


def likeness_to_faces(judge: PictureJudge, faces: Sequence[tuple[Image, Face]]) -> Likeness:
    """What pictures are compared with, from at least one picture with a face of the person in it."""
    details = mean_details([face_details(image, face) for image, face in faces])
    return likeness_to(judge, [judge.embed(image, face) for image, face in faces], details)


def _given(person: Identity, given: Sequence[Path | str], take_all: bool) -> list[Photo]:
    photos = [read_photo(path) for path in find_photos([Path(each) for each in given])]
    distinct = {photo.sha256: photo for photo in photos if take_all or photo.sha256 in person.photo_hashes}
    return list(distinct.values())


def _unchanged(files: Sequence[Path], hashes: set[str]) -> list[Photo]:
    """Those of the files that are still there and unchanged."""
    photos = {photo.sha256: photo for photo in _readable(files) if photo.sha256 in hashes}
    return list(photos.values())


def _readable(files: Sequence[Path]) -> list[Photo]:
    photos = []
    for file in files:
        try:
            photos.append(read_photo(file))
        except (OSError, PhotoError):
            continue
    return photos


def _face(photo: Photo, judge: PictureJudge, which: str | int) -> Face | None:
    faces = judge.find_faces(photo.image)
    if not faces:
        return None
    try:
        return choose_face(faces, which, str(photo.path))
    except (PhotoError, UsageError):  # "only" or "auto", where the judge sees more faces than the enrolment did
        return largest_face(faces)
