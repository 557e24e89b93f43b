"""Evaluations by workers, a person a task: what faces are compared with comes by value, and scored pictures go back."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.api.at_work import MOST_LOSSES, Told, check_same_base, lost_over, not_here, settle_in
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.opening import Opened
from faceid_cli.errors import ModelNotFoundError
from faceid_cli.kept.settings import stored_settings
from faceid_cli.orders.workers import WorkersOrder
from faceid_cli.types import OnNote
from faceid_cli.workers.opening import opened_pool
from faceid_cli.workers.pool import Place
from faceid_cli.workers.queue import Queue

if TYPE_CHECKING:
    from faceid_cli.evaluation.judges import PictureJudge
    from faceid_cli.evaluation.likeness import Likeness
    from faceid_cli.evaluation.picture import ScoredPicture
    from faceid_cli.evaluation.prompts import EvaluationPrompt


@dataclass(frozen=True)
class Exam:
    """A person who is to be evaluated.

    Attributes:
        number: As what becomes of it is called.
        opened: The person, and what they are rendered with.
        fingerprint: Of the base model, as it is where the task comes from.
        likeness: What faces are compared with; None where none are.
        prompts: What to render.
        pictures: For each prompt.
        judge: Name of the judge, as of `evaluate`.
        clip: Folder of the CLIP model.
        with_faces: Whether the judge needs to find faces.
    """

    number: int
    opened: Opened
    fingerprint: str
    likeness: Likeness | None
    prompts: tuple[EvaluationPrompt, ...]
    pictures: int
    judge: str
    clip: Path | None
    with_faces: bool


@dataclass(frozen=True)
class Examined:
    """What came of it: the judge's name, each picture with its scores, and lines worth telling the user."""

    judge: str
    scored: list[ScoredPicture]
    notes: tuple[str, ...]


class ExaminingWorker:
    """Evaluates people; keeps the base model and the judge between them.

    Args:
        place: Where it works.
        told: What all workers are told.
    """

    def __init__(self, place: Place, told: Told) -> None:
        settle_in(place, told)
        self._place, self._notes = place, list[str]()
        self._loaded = Loaded(self._notes.append)
        self._judge: tuple[Any, PictureJudge] | None = None

    def __call__(self, exam: Exam) -> Examined:
        """Evaluate a person.

        Raises:
            WorkersError: The base model is not on this machine.
            ModelMismatchError: It is another one than where the task comes from.
            FaceIDError: As `evaluate`.
        """
        from faceid_cli.evaluation.run import evaluate_tokens

        self._notes.clear()
        opened = exam.opened
        if self._place.device is not None:
            opened = replace(opened, config=replace(opened.config, device=self._place.device))
        judge = self._judge_of(exam, opened)
        try:
            base, _ = self._loaded.base_of(opened)
        except ModelNotFoundError as error:
            raise not_here(error) from error
        check_same_base(opened.source, base.fingerprint, exam.fingerprint)
        name, tokens = opened.people[0].name, self._loaded.tokens_of(opened)
        scored = evaluate_tokens(
            base, judge, tokens[name], exam.likeness, exam.prompts, opened.config, exam.pictures, name=name
        )
        return Examined(judge.name, scored, tuple(self._notes))

    def _judge_of(self, exam: Exam, opened: Opened) -> PictureJudge:
        from faceid_cli.evaluation.judging import picture_judge

        key = (exam.judge, opened.is_builtin, exam.clip, exam.with_faces)
        if self._judge is None or self._judge[0] != key:
            self._judge = (key, picture_judge(exam.judge, opened.is_builtin, exam.clip, opened.device, exam.with_faces))
        return self._judge[1]


def examine_spread(exams: Sequence[Exam], where: WorkersOrder, on_note: OnNote) -> dict[int, Examined]:
    """Evaluate people by workers; returns what came of it, by number.

    Raises:
        UsageError: Ray is not installed.
        WorkersError: Workers cannot be had, have not what they need, or were lost over one person again and again.
        FaceIDError: As `evaluate`.
    """
    told = Told(stored_settings(), platform.node())
    device = "cpu" if all(each.opened.device == "cpu" for each in exams) else "auto"
    finished: dict[int, Examined] = {}

    def take(exam: Exam, examined: Examined) -> None:
        for note in examined.notes:
            on_note(note)
        finished[exam.number] = examined

    def lost(exam: Exam, times: int, why: str) -> Sequence[Exam]:
        if times >= MOST_LOSSES:
            raise lost_over(exam.opened.people[0].name, times, why)
        return (exam,)

    left = iter(exams)
    with opened_pool(where, ExaminingWorker, told, device, on_note) as pool:
        Queue(pool, take, lost, on_note).run(lambda: next(left, None))
    return finished
