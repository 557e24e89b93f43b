"""Learn one person after the other, and those who can share passes of the base model together."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from faceid_cli.api.base_model import base_model
from faceid_cli.api.enroll import OnStep
from faceid_cli.api.preparing import Prepared, prepare
from faceid_cli.errors import CheckpointError, FaceIDError, InterruptedRunError
from faceid_cli.faces.finder import FaceFinder, enrolment_finder
from faceid_cli.kept.runs import claimed_run
from faceid_cli.orders import EnrolOrder
from faceid_cli.orders.people import MOST_TOGETHER
from faceid_cli.types import BUILTIN, IdentityTokens, OnNote, TrainReport

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel
    from faceid_cli.training.run import Run

Person = TypeVar("Person")
Keep = Callable[[Prepared, IdentityTokens, TrainReport], Any]
"""Takes somebody who was learned."""


@dataclass(frozen=True)
class _Waiting(Generic[Person]):
    """Somebody whose run has been begun.

    Attributes:
        person: As the caller calls them.
        prepared: What was made of their photos.
        run: Of their training.
        claim: Holds the folder of their checkpoint.
    """

    person: Person
    prepared: Prepared
    run: Run
    claim: ExitStack


class Learning(Generic[Person]):
    """Takes people, and learns them as soon as enough have come who can share a pass. A context manager.

    Args:
        together: How many share a pass; None for as many as suit the base model.
        on_enrolled: Called with each person who is in the registry now.
        on_failed: Called with each person who is not, and why; the others go on.
        on_step: Called after each shared step.
        on_note: Called with a line worth telling the user.
        keep: Takes who was learned in the place of the registry, which is not looked at then; `on_enrolled` is called
            with what it returns.
    """

    def __init__(
        self,
        together: int | None,
        on_enrolled: Callable[[Person, Any, TrainReport], None],
        on_failed: Callable[[Person, FaceIDError], None],
        on_step: OnStep | None,
        on_note: OnNote,
        keep: Keep | None = None,
    ) -> None:
        self._keep = keep
        self._together, self._on_step, self._on_note = together, on_step, on_note
        self._on_enrolled, self._on_failed = on_enrolled, on_failed
        self._waiting: dict[Hashable, list[_Waiting[Person]]] = {}
        self._base: tuple[Hashable, BaseModel | FaceIDError] | None = None
        self._finders: dict[Hashable, FaceFinder | FaceIDError | None] = {}
        self._known: dict[tuple[Any, ...], Any] = {}  # sentences, encoded by the base model
        self._claims = ExitStack()

    def __enter__(self) -> Self:
        self._claims.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claims.__exit__(kind, error, trace)

    def add(self, person: Person, order: EnrolOrder, source: str) -> None:
        """Take in a person's photos, and train where enough people wait who can share a pass.

        Args:
            person: As `on_enrolled` and `on_failed` are to call them.
            order: As `checked_order` returned it.
            source: The base model.

        Raises:
            InterruptedRunError, KeyboardInterrupt: Ctrl-C; checkpoints are saved.
        """
        from faceid_cli.training.together import shared_settings

        claim = self._claims.enter_context(ExitStack())
        try:
            folder = claim.enter_context(claimed_run(order.name))
            base = self._base_of(order, source)
            finder = self._finder_of(order, source)

            def note(line: str) -> None:
                self._on_note(f"{order.name}: {line}")

            prepared = prepare(order, source, base, finder, folder, note, is_kept_here=self._keep is None)
            prepared, run = self._begun(prepared)
        except InterruptedRunError:  # of those who were learned first, to make room for another base model
            raise
        except FaceIDError as error:
            claim.close()
            self._on_failed(person, error)
            return
        key = shared_settings(run.config)
        alike = self._waiting.setdefault(key, [])
        alike.append(_Waiting(person, prepared, run, claim))
        if len(alike) >= self._most(base):
            self._train(self._waiting.pop(key))

    @property
    def fingerprint(self) -> str:
        """Of the base model that is held; "" for none."""
        held = None if self._base is None else self._base[1]
        return "" if held is None or isinstance(held, FaceIDError) else held.fingerprint

    def finish(self) -> None:
        """Learn everybody who still waits. Raises as `add`."""
        while self._waiting:
            self._train(self._waiting.pop(next(iter(self._waiting))))

    def _begun(self, prepared: Prepared) -> tuple[Prepared, Run]:
        from faceid_cli.backbone import memory_errors
        from faceid_cli.training.loop import memory_hint
        from faceid_cli.training.run import Run

        with memory_errors(memory_hint(prepared.base, prepared.order.config)):
            try:
                return prepared, Run(prepared.base, prepared.lesson, self._known)
            except CheckpointError as error:
                if not prepared.resume:
                    raise
                prepared.on_note(f"starting anew: {error.message}")
            prepared = prepared.anew()
            return prepared, Run(prepared.base, prepared.lesson, self._known)

    def _train(self, group: list[_Waiting[Person]]) -> None:
        from faceid_cli.training.together import train_together

        of_run = {id(each.run): each for each in group}

        def finished(run: Run) -> None:
            each = of_run[id(run)]
            try:
                keep = Prepared.keep if self._keep is None else self._keep
                identity = keep(each.prepared, run.tokens(), run.report())
            except FaceIDError as error:
                failed(run, error)
                return
            each.claim.close()
            self._on_enrolled(each.person, identity, run.report())

        def failed(run: Run, error: FaceIDError) -> None:
            each = of_run[id(run)]
            each.claim.close()
            self._on_failed(each.person, error)

        train_together([each.run for each in group], finished, failed, self._on_step, self._on_note)

    def _base_of(self, order: EnrolOrder, source: str) -> BaseModel:
        """The base model of an order. One is held at a time: who waits for another one is learned first."""
        key = (source, order.config.device, order.config.precision, order.options)
        if self._base is None or self._base[0] != key:
            self.finish()
            self._base = None
            self._known.clear()
            try:
                self._base = (key, base_model(source, order.config, order.options, self._on_note))
            except FaceIDError as error:
                self._base = (key, error)
        found = self._base[1]
        if isinstance(found, FaceIDError):
            raise type(found)(found.message, found.hint)
        return found

    def _finder_of(self, order: EnrolOrder, source: str) -> FaceFinder | None:
        wanted = order.detect and order.box is None
        key = (source == BUILTIN, order.config.device, wanted)
        if key not in self._finders:
            try:
                self._finders[key] = enrolment_finder(*key)
            except FaceIDError as error:
                self._finders[key] = error
        found = self._finders[key]
        if isinstance(found, FaceIDError):
            raise type(found)(found.message, found.hint)
        return found

    def _most(self, base: BaseModel) -> int:
        from faceid_cli.backbone.memory import is_large

        if self._together is not None:
            return self._together
        return 1 if base.device.type == "cpu" and is_large(base) else MOST_TOGETHER
