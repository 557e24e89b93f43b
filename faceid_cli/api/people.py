"""Many people in one go: who they are, who is there already, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceid_cli.api.enroll import OnStep
from faceid_cli.api.learning import Learning
from faceid_cli.api.loaded import Once
from faceid_cli.api.people_rows import rows_of_people, whole_paths
from faceid_cli.api.preparing import checked_order
from faceid_cli.api.row_files import write_failed_rows
from faceid_cli.api.teaching import learn_spread
from faceid_cli.errors import BatchError, FaceIDError, InterruptedRunError
from faceid_cli.jobs.columns import ERROR, options_of, with_common
from faceid_cli.jobs.rows import FieldError, Place, Row, located
from faceid_cli.kept.settings import enrolment_order
from faceid_cli.orders import EnrolOrder
from faceid_cli.orders.enrolling import rivals_of
from faceid_cli.orders.option import each_checked, parted
from faceid_cli.orders.people import PeopleOrder
from faceid_cli.orders.signatures import takes
from faceid_cli.registry.names import check_name
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, OnNote, TrainReport

ENROLLED, THERE, FAILED = "enrolled", "there", "failed"
FAILED_FILE = "failed-people.jsonl"


@dataclass(frozen=True)
class WantedPerson:
    """Somebody who is to be learned.

    Attributes:
        order: How; None of a row of which none can be made.
        source: The base model.
        row: Where it was said, and what.
        said: The options of the row and those for all, by field names.
    """

    order: EnrolOrder | None
    source: str
    row: Row
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As far as it is known."""
        return str(self.said.get("name") or self.row.values.get("name") or "")


@dataclass(frozen=True)
class PersonOutcome:
    """What came of somebody.

    Attributes:
        status: "enrolled"; "there" for who had been before; "failed".
        person: Who it is of.
        identity: Who is in the registry now; None for who failed.
        report: How the training went; None where there was none.
        error: Why it failed, or None.
    """

    status: str
    person: WantedPerson
    identity: Identity | None = None
    report: TrainReport | None = None
    error: FaceIDError | None = None


OnPerson = Callable[[PersonOutcome], None]
"""Called with each person as soon as something has come of them."""


@dataclass(frozen=True)
class PeoplePlan:
    """What an order for many people comes to, before anything is loaded.

    Attributes:
        missing: Who is to be learned.
        there: Who is enrolled already.
        bad: Rows of which nothing can be made.
        order: How the work is done.
    """

    missing: tuple[WantedPerson, ...]
    there: tuple[PersonOutcome, ...]
    bad: tuple[PersonOutcome, ...]
    order: PeopleOrder

    @property
    def people(self) -> int:
        """How many they are in all."""
        return len(self.missing) + len(self.there) + len(self.bad)


@takes(PeopleOrder)
@takes(EnrolOrder, without=("name", "photos"))
def enroll_people(
    people: Path | str | Iterable[Mapping[str, Any]] | None = None,
    *,
    on_outcome: OnPerson | None = None,
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
    **options: Any,
) -> list[PersonOutcome]:
    """Learn many people: the base model is loaded once, and people with equal settings share its passes.

    Each person's tokens are those that they would have alone, up to rounding. Who is enrolled already stays, and who
    was half learned when an earlier call stopped goes on.

    Args:
        people: A file of rows (CSV, JSON a line, YAML), or rows: mappings of options with "name" and "photos". None for
            those of the option `each`.
        on_outcome: Called with each person as soon as something has come of them.
        on_step: Called after each shared step.
        on_note: Called with a line worth telling the user.
        options: Of `PeopleOrder`, and of `EnrolOrder` for rows that do not say otherwise.

    Returns:
        What came of each person. Those who failed are among them, with their errors.

    Raises:
        UsageError: The file cannot be read, or an option cannot be.
        InterruptedRunError: Ctrl-C; who was learned stays, and the same call goes on.
    """
    order, common = split_options(options)
    plan = plan_people(people if people is not None else order.rows, order, common, on_note)
    done: list[PersonOutcome] = []

    def take(outcome: PersonOutcome) -> None:
        done.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)

    run_people(plan, take, on_step, on_note)
    return done


def split_options(options: Mapping[str, Any]) -> tuple[PeopleOrder, dict[str, Any]]:
    """Options by name as those of the whole, and those of each person.

    What options of a person say together is checked only with what a row says.

    Raises:
        UsageError: An option that does not exist, or cannot be.
    """
    own, common = parted(PeopleOrder, options)
    order = PeopleOrder.of(**own)
    common = each_checked(EnrolOrder, common)
    order.where.check_beside(common.get("device"))
    return order, common


def plan_people(
    people: Path | str | Iterable[Mapping[str, Any]] | None,
    order: PeopleOrder,
    common: Mapping[str, Any],
    on_note: OnNote | None = None,
) -> PeoplePlan:
    """Read who is meant, and find out who is missing. Arguments and errors as of `enroll_people`; nothing is loaded."""
    note = Once(on_note)
    found: list[WantedPerson | PersonOutcome] = []
    names: dict[str, Place] = {}
    found += [_wanted(row, common, names, note) for row in rows_of_people(people, order, note)]
    outcomes = [each for each in found if isinstance(each, PersonOutcome)]
    return PeoplePlan(
        tuple(each for each in found if isinstance(each, WantedPerson)),
        tuple(each for each in outcomes if each.status == THERE),
        tuple(each for each in outcomes if each.status == FAILED),
        order,
    )


def run_people(
    plan: PeoplePlan, on_outcome: OnPerson, on_step: OnStep | None = None, on_note: OnNote | None = None
) -> None:
    """Learn who is missing. Arguments and errors as of `enroll_people`."""
    counts = {ENROLLED: 0, THERE: 0, FAILED: 0}
    failures: list[PersonOutcome] = []

    def tally(outcome: PersonOutcome) -> None:
        counts[outcome.status] += 1
        if outcome.status == FAILED:
            failures.append(outcome)
        on_outcome(outcome)

    for outcome in (*plan.there, *plan.bad):
        tally(outcome)

    def enrolled(person: WantedPerson, identity: Identity, report: TrainReport) -> None:
        tally(PersonOutcome(ENROLLED, person, identity, report))

    def failed(person: WantedPerson, error: FaceIDError) -> None:
        tally(PersonOutcome(FAILED, person, error=_at(error, person.row)))

    note, where = Once(on_note), plan.order.where
    try:
        if where.are_wanted and plan.missing:
            orders = []
            for person in plan.missing:
                assert person.order is not None
                orders.append((person.order, person.source))
            learn_spread(
                orders,
                where,
                plan.order.together,
                lambda number, identity, report: enrolled(plan.missing[number], identity, report),
                lambda number, error: failed(plan.missing[number], error),
                note,
            )
            return
        with Learning(plan.order.together, enrolled, failed, on_step, note) as learning:
            for person in plan.missing:
                assert person.order is not None
                learning.add(person, person.order, person.source)
            learning.finish()
    except (KeyboardInterrupt, InterruptedRunError) as error:
        raise InterruptedRunError(
            f"stopped by Ctrl-C; {counts[ENROLLED] + counts[THERE]} of {plan.people} people are enrolled",
            "the same command goes on where it stopped",
        ) from error
    finally:
        write_failed_rows(failed_file(plan), map(_failed_row, failures), plan.order.failed is not None)


def check_people(plan: PeoplePlan, failed: int) -> None:
    """Raise BatchError where some people failed."""
    if failed:
        file = failed_file(plan)
        raise BatchError(
            f"{failed} of {plan.people} people failed",
            f"their rows are in {file}: faceid enroll --from {file}",
        )


def failed_file(plan: PeoplePlan) -> Path:
    """Where failed rows go."""
    return plan.order.failed or Path(FAILED_FILE)


def _wanted(row: Row, common: Mapping[str, Any], names: dict[str, Place], note: Once) -> WantedPerson | PersonOutcome:
    said: dict[str, Any] = {**common}
    try:
        if row.error is not None:
            raise row.error
        own = options_of(row.values, EnrolOrder)
        rivals = rivals_of(own)
        said = {name: value for name, value in common.items() if name not in rivals} | own
        for column in ("name", "photos"):
            if not said.get(column):
                raise FieldError(column, "is missing")
        name, said["photos"] = said["name"], whole_paths(said["photos"])
        check_name(str(name))
        if str(name).lower() in names:
            raise FieldError(
                "name", f"{name} is there already: {names[str(name).lower()]}", "give each a name of their own"
            )
        names[str(name).lower()] = row.place
        order = enrolment_order({**said, "resume": True}, note)
        if not order.replace:
            with Registry.open(create=False) as registry:
                if (there := registry.find(order.name)) is not None:
                    return PersonOutcome(THERE, WantedPerson(order, "", row, said), there)
        checked, source = checked_order(order, note)
        return WantedPerson(checked, source, row, said)
    except FaceIDError as error:
        return PersonOutcome(FAILED, WantedPerson(None, "", row, said), error=_at(error, row))


def _failed_row(outcome: PersonOutcome) -> dict[str, Any]:
    """A row that can be given again, with everything that its order said, and why it failed."""
    person, error = outcome.person, outcome.error
    is_read = "name" in person.said and "photos" in person.said
    own = {} if is_read else person.row.values
    return {**with_common(own, person.said, EnrolOrder), ERROR: "" if error is None else error.message}


def _at(error: FaceIDError, row: Row) -> FaceIDError:
    """The error with file and line; of a folder, which it names by itself, nothing."""
    return located(error, row.place) if row.place.line else error
