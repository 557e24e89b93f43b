"""Measuring enrolled people: scores of rendered prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.api.examining import Exam, examine_spread
from faceid_cli.api.opening import Opened, opened
from faceid_cli.errors import OutputError, UsageError
from faceid_cli.kept.files import write_atomically
from faceid_cli.kept.material import SCORES, keep_json
from faceid_cli.model_files import fingerprint_of
from faceid_cli.orders import ModelOptions, RenderConfig
from faceid_cli.orders.checks import check_output, user_path
from faceid_cli.orders.composing import check_named
from faceid_cli.orders.enrolling import photo_paths
from faceid_cli.orders.kinds import fitted
from faceid_cli.orders.rendering import NOT_FOR_SCORES
from faceid_cli.orders.workers import WorkersOrder
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import png_bytes
from faceid_cli.types import Identity, OnNote

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel
    from faceid_cli.evaluation.judges import PictureJudge
    from faceid_cli.evaluation.likeness import Likeness
    from faceid_cli.evaluation.picture import ScoredPicture
    from faceid_cli.evaluation.prompts import EvaluationPrompt
    from faceid_cli.evaluation.summary import Summary

OnPicture = Callable[[str, int, int], None]
"""Called with (name, pictures done, pictures in all)."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and where it lies.

    Attributes:
        identity: Who was evaluated.
        judge: Name of the judge.
        summary: Over all prompts.
        groups: By kind of prompt.
        pictures: Each one, with its scores.
        likeness: The similarities that stand for 0 % and 100 %; empty where nothing was compared.
        folder: Holds scores.json, scores.csv and grid.png; None if nothing was written.
    """

    identity: Identity
    judge: str
    summary: Summary
    groups: dict[str, Summary]
    pictures: list[ScoredPicture]
    likeness: dict[str, float | None]
    folder: Path | None = None


def evaluate(
    names: Sequence[str] | str | None,
    *,
    prompts: Path | str | Sequence[EvaluationPrompt] | None = None,
    photos: Sequence[Path | str] | Path | str = (),
    pictures: int = 1,
    config: RenderConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    judge: str | PictureJudge = "auto",
    clip: Path | str | None = None,
    output: Path | str | None = None,
    on_picture: OnPicture | None = None,
    on_note: OnNote | None = None,
    where: WorkersOrder | None = None,
) -> list[Evaluation]:
    """Render a set of prompts with fixed seeds for each person, and score the pictures.

    Args:
        names: Enrolled people; None for everybody.
        prompts: A prompt file (see `evaluation.prompts.read_prompts`) or prompts; the fixed set if None.
        photos: Photos to compare with; by default those that the person was learned from, where they were. Of one
            person all of them count, of several people each one's own are known by their content.
        pictures: For each prompt.
        config: How to render.
        model: Another base model than the people's own.
        options: How to load it; by default as when the people were learned.
        judge: "auto", "builtin", "photographs", or a judge.
        clip: Folder of the CLIP model that scores prompts of photographs.
        output: Folder; each person gets a new one inside it. Nothing is written if None.
        on_picture: Called with (name, pictures done, pictures in all).
        on_note: Called with a line worth telling the user.
        where: Who does the work, a person each; None for this process.

    Raises:
        UnknownNameError: Nobody of that name.
        UsageError: Nobody enrolled, prompts or a judge that cannot work, the likeness of somebody else, or a config
            with what means nothing here, such as `hires` or `repair`.
        PhotoError: Given photos without a usable face.
        WeightsMissingError: The judge's weights are not on this machine.
        OutputError: The folder cannot be written.
    """
    fitted("config", RenderConfig | None, config)
    if fitted("pictures", int, pictures) < 1:
        raise UsageError(f"pictures for each prompt must be 1 or more, not {pictures}")
    if isinstance(judge, str) and judge not in ("auto", "builtin", "photographs"):
        raise UsageError(f"unknown judge {judge!r}", "choose one of: auto, builtin, photographs")
    if config is not None:
        config.check_unsaid(NOT_FOR_SCORES, "evaluate")
    if where is not None:
        where.check_beside(None if config is None else config.device)
    if where is not None and where.are_wanted and not isinstance(judge, str):
        raise UsageError("a judge of your own cannot go to other processes", "name one of faceid's")
    photos = photo_paths(photos)
    people = _people([names] if isinstance(names, str) else names)
    if config is not None:
        check_named(config.likeness_of, [person.name for person in people])
    all_opened = [opened([person], _of(person, config), model, options, on_note) for person in people]
    _check_folder(output)

    # These bring in torch, which takes seconds.
    from faceid_cli.evaluation.prompts import PROMPT_SET, read_prompts
    from faceid_cli.evaluation.references import is_thing, likeness_of
    from faceid_cli.evaluation.run import evaluate_tokens

    chosen = PROMPT_SET if prompts is None else prompts
    wanted = read_prompts(Path(chosen)) if isinstance(chosen, str | Path) else tuple(chosen)
    is_elsewhere = where is not None and where.are_wanted
    loaded, found, exams = _Loaded(judge, clip, on_note, is_elsewhere), list[Evaluation](), list[Exam]()
    likenesses: list[Likeness | None] = []
    for person, each in zip(people, all_opened, strict=True):
        thing = is_thing(person) and not photos
        base, scorer = loaded.of(each, with_faces=not thing)
        asked = [prompt.about(person.class_word) for prompt in wanted] if thing else wanted
        if thing and on_note:
            on_note(f"{person.name} was learned as {person.class_word}, so no face is looked for")
        likeness = None if thing else likeness_of(person, scorer, photos, len(people) == 1, on_note)
        if base is None:
            fingerprint = fingerprint_of(each.source, each.loading.variant)
            kind = judge if isinstance(judge, str) else ""
            exam = Exam(len(exams), each, fingerprint, likeness, tuple(asked), pictures, kind, loaded.clip, not thing)
            exams.append(exam)
            likenesses.append(likeness)
            continue
        scored = evaluate_tokens(
            base,
            scorer,
            each.tokens()[person.name],
            likeness,
            asked,
            each.config,
            pictures,
            on_picture=None if on_picture is None else _for(person.name, on_picture),
            name=person.name,
        )
        found.append(_summed(each, scorer.name, scored, likeness, output, on_note))
    if where is not None and exams:
        examined = examine_spread(exams, where, on_note or (lambda line: None))
        for exam, likeness in zip(exams, likenesses, strict=True):
            came = examined[exam.number]
            found.append(_summed(exam.opened, came.judge, came.scored, likeness, output, on_note))
    return found


def _summed(
    person: Opened,
    judge: str,
    scored: list[ScoredPicture],
    likeness: Likeness | None,
    output: Path | str | None,
    on_note: OnNote | None,
) -> Evaluation:
    """What a person's pictures come to, written where that is asked for."""
    from faceid_cli.evaluation.summary import by_group, summarise, warnings_of

    identity, is_compared = person.people[0], likeness is not None
    levels = {} if likeness is None else {"strangers": likeness.strangers, "own photos": likeness.own}
    summary, groups = summarise(scored, is_compared), by_group(scored, is_compared)
    result = Evaluation(identity, judge, summary, groups, scored, levels)
    if on_note:
        for warning in warnings_of(result.summary):
            on_note(f"{identity.name}: {warning}")
    return result if output is None else _written(result, Path(output), person.config)


class _Loaded:
    """A base model and its judge, each loaded once and when it is first needed."""

    def __init__(
        self, judge: str | PictureJudge, clip: Path | str | None, on_note: OnNote | None, is_elsewhere: bool = False
    ) -> None:
        self._judge, self._on_note, self._is_elsewhere = judge, on_note, is_elsewhere
        self.clip = None if clip is None else user_path(clip)
        self._held: tuple[object, BaseModel | None, PictureJudge] | None = None

    def of(self, each: Opened, with_faces: bool) -> tuple[BaseModel | None, PictureJudge]:
        """Both; where the work is done elsewhere, only a judge that knows faces."""
        key = (each.source, each.loading, with_faces)
        if self._held is None or self._held[0] != key:
            from faceid_cli.evaluation.judging import picture_judge

            if self.clip is not None and each.is_builtin and self._on_note:
                self._on_note("the CLIP model is not used: the built-in model's pictures have a judge of their own")
            # The judge first: it may be missing, and the base model takes long.
            with_prompts = not self._is_elsewhere
            judge = picture_judge(self._judge, each.is_builtin, self.clip, each.device, with_faces, with_prompts)
            self._held = None  # two base models at once might not fit
            self._held = (key, None if self._is_elsewhere else each.base(self._on_note), judge)
        return self._held[1:]


def _people(names: Sequence[str] | None) -> list[Identity]:
    with Registry.open(create=False) as registry:
        people = registry.list() if names is None else [registry.get(name) for name in names]
    if not people:
        raise UsageError("nobody is enrolled", "faceid enroll NAME PHOTOS")
    # People of one base model follow each other, so that each is loaded once and only one is held.
    return sorted(people, key=lambda person: person.base_model) if names is None else people


def _of(person: Identity, config: RenderConfig | None) -> RenderConfig | None:
    """How to render one of the people: likenesses of the others are not theirs."""
    if config is None:
        return None
    own = tuple(text for text in config.likeness_of if text.rpartition("=")[0] == person.name)
    return replace(config, likeness_of=own)


def _for(name: str, on_picture: OnPicture) -> Callable[[int, int], None]:
    return lambda done, total: on_picture(name, done, total)


def _check_folder(output: Path | str | None) -> None:
    if output is None:
        return
    folder = user_path(check_output(output))
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, not a folder", "give a folder with -o")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise OutputError(f"cannot write {folder}: there is no folder {folder.parent}", "make the folder first")


def evaluation_data(found: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON values, with stable keys."""
    from faceid_cli.evaluation.summary import picture_data

    return {
        "name": found.identity.name,
        "base_model": found.identity.base_model,
        "judge": found.judge,
        "likeness_levels": found.likeness,
        "summary": asdict(found.summary),
        "groups": {group: asdict(summary) for group, summary in found.groups.items()},
        "pictures": [picture_data(picture) for picture in found.pictures],
        "folder": None if found.folder is None else str(found.folder),
    }


def _written(found: Evaluation, output: Path, config: RenderConfig) -> Evaluation:
    from faceid_cli.evaluation.summary import picture_grid, to_csv

    folder = _new_folder(user_path(output), f"{found.identity.name}-evaluation")
    found = replace(found, folder=folder)
    report = {"format": 1, **evaluation_data(found), "rendering": asdict(config)}
    write_atomically(folder / "scores.json", (json.dumps(report, indent=2) + "\n").encode())
    rows = [(found.identity.name, picture) for picture in found.pictures]
    write_atomically(folder / "scores.csv", to_csv(rows).encode())
    write_atomically(folder / "grid.png", png_bytes(picture_grid(found.pictures), None))
    short = {key: value for key, value in report.items() if key != "pictures"}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    keep_json(found.identity.id, SCORES, {**short, "created": created})  # for the person's report
    return found


def _new_folder(parent: Path, name: str) -> Path:
    """Make the first free one of NAME, NAME-2, NAME-3, ..."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        except OSError as error:
            raise OutputError(f"cannot write to {parent}: {error.strerror}", "give another folder with -o") from error
        return folder
