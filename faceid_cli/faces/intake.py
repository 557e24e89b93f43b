"""From photo files and folders to training crops: read, find, choose, judge, cut. Needs no torch itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from faceid_cli.errors import PhotoError, SeveralFacesError, UsageError
from faceid_cli.faces.crop import FACE_SHARE, choose_face
from faceid_cli.faces.cutting import AUTO, IntakeOptions, cut_crop, shaken
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.look import Look, look_at_photos
from faceid_cli.faces.quality import Quality, measure_face
from faceid_cli.faces.verdict import (
    ENOUGH_PHOTOS,
    Grade,
    PhotoVerdict,
    flaws_of,
    folder_verdict,
    near_copies,
    nothing_left,
    short_reason,
    warnings_of,
)
from faceid_cli.faces.who import Choice, PhotoFaces, choose_person
from faceid_cli.photo_files import find_photos, read_photo
from faceid_cli.types import FaceCrop, Photo

OnUnclear = Callable[[Sequence[Look]], str]
"""Takes what was seen where it is not clear which face is meant; returns a hint for the error."""

_KEPT_THUMBNAILS = 100  # more than that no contact sheet shows


@dataclass(frozen=True)
class Intake:
    """What became of the photos.

    Attributes:
        crops: To learn from, in the order of the files.
        verdicts: One for each file.
        warnings: What to tell about the photos as a set.
        looks: What each file showed, in the same order; without embeddings.
    """

    crops: tuple[FaceCrop, ...]
    verdicts: tuple[PhotoVerdict, ...]
    warnings: tuple[str, ...]
    looks: tuple[Look, ...] = field(repr=False, default=())


@dataclass
class _Entry:
    """One file on its way."""

    look: Look
    crop: FaceCrop | None = None  # of its only face, cut when it was looked at
    face: int | None = None
    quality: Quality | None = None
    flaws: list[str] = field(default_factory=list)
    poor: bool = False
    left_out: str = ""
    problem: PhotoError | None = None

    def leave_out(self, reason: str, problem: PhotoError | None = None) -> None:
        self.left_out, self.problem = reason, problem


def take_in(
    paths: Sequence[Path],
    finder: FaceFinder | None,
    options: IntakeOptions,
    on_unclear: OnUnclear | None = None,
) -> Intake:
    """Look at all photos, choose the person, leave out what is no good, and cut the crops.

    Args:
        paths: Files, folders and patterns.
        finder: What finds the faces; may be None where nothing is to be found.
        options: Which face is meant, how to cut, and whether to stop at the first photo that is no good.
        on_unclear: Called with what was seen where it is not clear who is meant; what it returns becomes the hint of
            the error. None for no further hint.

    Raises:
        PhotoError: In its subclasses: a path that does not exist; no photo that can be used; with `strict`, the first
            that cannot. Where several cannot for different reasons, the message has the first one's.
        UsageError: A box for several photos.
    """
    intake = judge_photos(paths, finder, options, on_unclear)
    if not intake.crops:
        raise nothing_left(intake.verdicts)
    return intake


def judge_photos(
    paths: Sequence[Path],
    finder: FaceFinder | None,
    options: IntakeOptions,
    on_unclear: OnUnclear | None = None,
    besides: Path | None = None,
) -> Intake:
    """Like `take_in`, and content with no usable photo at all; `besides` is as for `find_photos`."""
    finder = finder if options.detect and options.box is None else None
    problems: list[PhotoError] = []
    files = find_photos(paths, None if options.strict else problems.append, besides)
    entries = [
        _entry(look if number < _KEPT_THUMBNAILS else replace(look, thumbnail=None), photo, finder, options)
        for number, (look, photo) in enumerate(look_at_photos(files, finder))
    ]
    different = {entry.look.sha256 for entry in entries if entry.look.problem is None}
    if options.box is not None and len(different) > 1:
        raise UsageError(f"one box cannot fit {len(different)} photos", "give one photo with --box")
    _leave_out_unusable(entries, options)
    doubtful = _choose(entries, finder, options, on_unclear) if finder else False
    odd = _unlike_the_others(entries, finder) if finder and options.which != AUTO else []
    crops = _cut_all(entries, finder, options)
    if not options.keep_poor:
        _leave_out_poor(entries, options)
    _stop_if_strict(entries, options)
    used = [entry for entry in entries if not entry.left_out]
    verdicts = [*map(_verdict, entries), *map(folder_verdict, problems)]
    kept = {entry.look.path for entry in used}
    compared = finder is None or options.which != AUTO or finder.can_compare
    return Intake(
        crops=tuple(crop for crop in crops if crop.photo_path in kept),
        verdicts=tuple(verdicts),
        warnings=(*odd, *warnings_of(verdicts, [entry.look.fingerprint for entry in used], doubtful, compared)),
        looks=tuple(entry.look for entry in entries),
    )


def _entry(look: Look, photo: Photo | None, finder: FaceFinder | None, options: IntakeOptions) -> _Entry:
    """Photos that show one face are cut at once, so that they need not be decoded twice."""
    entry = _Entry(look)
    if photo is not None and look.problem is None and len(look.faces) <= 1:
        try:
            entry.crop = cut_crop(photo, look.faces, 0 if look.faces else None, finder, options)
        except PhotoError as error:
            entry.leave_out(short_reason(error, look.path), error)
    return entry


def _leave_out_unusable(entries: Sequence[_Entry], options: IntakeOptions) -> None:
    first: dict[str, Path] = {}
    for entry in entries:
        look = entry.look
        if look.problem is not None:
            entry.leave_out(short_reason(look.problem, look.path), look.problem)
        elif look.sha256 in first:
            entry.leave_out(f"a copy of {first[look.sha256].name}")
        elif not entry.left_out:
            first[look.sha256] = look.path
    _stop_if_strict(entries, options)


def _stop_if_strict(entries: Sequence[_Entry], options: IntakeOptions) -> None:
    if options.strict:
        for entry in entries:
            if entry.problem is not None:
                raise entry.problem


def _choose(
    entries: Sequence[_Entry], finder: FaceFinder, options: IntakeOptions, on_unclear: OnUnclear | None
) -> bool:
    """Set each entry's face; returns whether it is in doubt that they show one person."""
    open_ones = [entry for entry in entries if not entry.left_out]
    if options.which != AUTO:
        for entry in open_ones:
            try:
                face = choose_face(entry.look.faces, options.which, str(entry.look.path))
                entry.face = entry.look.faces.index(face)
            except PhotoError as error:
                entry.leave_out(short_reason(error, entry.look.path), error)
        doubtful = False
    else:
        chosen = choose_person([PhotoFaces(e.look.faces, e.look.embeddings) for e in open_ones], finder.same_person)
        for entry, choice in zip(open_ones, chosen.choices, strict=True):
            entry.face = choice.face
            if choice.face is None:
                problem = _unchosen(entry.look, choice, finder)
                flaws = _too_poor_to_compare(entry, finder, options)
                entry.leave_out(flaws or short_reason(problem, entry.look.path), problem)
        doubtful = chosen.doubtful
    nobody = all(entry.face is None for entry in open_ones)
    unclear = [entry for entry in open_ones if isinstance(entry.problem, SeveralFacesError)]
    if on_unclear is not None and unclear and (nobody or options.strict):
        hint = on_unclear([entry.look for entry in unclear])
        for entry in unclear:
            entry.problem.hint = f"{entry.problem.hint}; {hint}"  # type: ignore[union-attr]
    return doubtful and not nobody


def _unlike_the_others(entries: Sequence[_Entry], finder: FaceFinder) -> list[str]:
    """Which faces that the user's word chose are not the person of the others: used all the same, and told."""
    seen = [entry for entry in entries if not entry.left_out and entry.face is not None and entry.look.embeddings]
    faces = [PhotoFaces((e.look.faces[e.face],), (e.look.embeddings[e.face],)) for e in seen if e.face is not None]
    choices = choose_person(faces, finder.same_person).choices if faces else ()
    odd = [entry for entry, choice in zip(seen, choices, strict=True) if choice.reason == "other"]
    return [f"{entry.look.path.name} seems to show somebody else than the other photos" for entry in odd]


def _too_poor_to_compare(entry: _Entry, finder: FaceFinder, options: IntakeOptions) -> str:
    """The flaws of a lone face that make it look like nobody's; "" where there are none of that kind."""
    if entry.crop is None or not entry.look.faces:
        return ""
    entry.face = 0
    entry.crop = _measure(entry, entry.crop, finder, options)
    entry.face = None
    return ", ".join(entry.flaws) if entry.poor else ""


def _unchosen(look: Look, choice: Choice, finder: FaceFinder) -> PhotoError:
    if choice.reason == "other":
        hint = "leave it out, or choose with --face"
        return PhotoError(f"{look.path} shows somebody else than the other photos", hint)
    count = len(look.faces)
    why = "" if finder.can_compare else ", and the weights for comparing them are missing"
    return SeveralFacesError(
        f"{count} faces in {look.path}{why}",
        f"choose one with --face largest, left, right or 1 to {count} (from the left)",
    )


def _cut_all(entries: Sequence[_Entry], finder: FaceFinder | None, options: IntakeOptions) -> list[FaceCrop]:
    """Cut and measure what is still to be used; photos with several faces, or to be jittered, are read once more."""
    crops: list[FaceCrop] = []
    random = np.random.default_rng(options.seed)
    for entry in entries:
        if entry.left_out:
            continue
        try:
            own = [entry.crop] if entry.crop is not None else []
            if not own or options.jitter:
                photo = read_photo(entry.look.path)
                framings = [shaken(random) for _ in range(options.jitter)]
                own = own or [cut_crop(photo, entry.look.faces, entry.face, finder, options)]
                own += [cut_crop(photo, entry.look.faces, entry.face, finder, options, each) for each in framings]
        except PhotoError as error:
            entry.leave_out(short_reason(error, entry.look.path), error)
            continue
        own[0] = _measure(entry, own[0], finder, options)
        entry.crop = None
        crops += own
    return crops


def _measure(entry: _Entry, crop: FaceCrop, finder: FaceFinder | None, options: IntakeOptions) -> FaceCrop:
    """Measure a face; returns the crop with the outline that this took."""
    if crop.face is None or finder is None or entry.face is None:
        return crop
    photo_px = entry.look.faces[entry.face].box.height
    outline = crop.outline or finder.outline(crop.image, crop.face)
    entry.quality = measure_face(crop.image, crop.face, photo_px, outline)
    entry.flaws, entry.poor = flaws_of(entry.quality, options.size_px)
    return replace(crop, outline=outline)


def _leave_out_poor(entries: Sequence[_Entry], options: IntakeOptions) -> None:
    used = [entry for entry in entries if not entry.left_out]
    copies = near_copies(
        [entry.look.fingerprint for entry in used],
        [entry.quality for entry in used],
        [len(entry.flaws) for entry in used],
        (options.face_share or FACE_SHARE) * options.size_px,
    )
    for copy, kept in copies.items():
        used[copy].leave_out(f"nearly the same as {used[kept].look.path.name}")
    rest = [entry for entry in used if not entry.left_out]
    if sum(not entry.poor for entry in rest) >= ENOUGH_PHOTOS:
        for entry in rest:
            if entry.poor:
                entry.leave_out(", ".join(entry.flaws))


def _verdict(entry: _Entry) -> PhotoVerdict:
    if entry.left_out:
        grade: Grade = "left out"
    else:
        grade = "fair" if entry.flaws else "good"
    return PhotoVerdict(
        path=entry.look.path,
        grade=grade,
        reasons=(entry.left_out,) if entry.left_out else tuple(entry.flaws),
        faces=len(entry.look.faces),
        face=None if entry.face is None else entry.face + 1,
        quality=entry.quality,
        problem=entry.problem,
    )
