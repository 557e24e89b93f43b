"""`faceid enroll`: learn a person from photo files."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceid_cli.cli import views
from faceid_cli.cli.loading_line import loading_line
from faceid_cli.cli.options import Json, Quiet, Verbose, examples, spread
from faceid_cli.cli.output import out, pairs, table
from faceid_cli.cli.progress import training_progress
from faceid_cli.cli.terminal_pictures import show_preview
from faceid_cli.cli.views import duration
from faceid_cli.errors import UsageError
from faceid_cli.kept.material import material_folder
from faceid_cli.kept.settings import enrolment_order, read_setting
from faceid_cli.orders import EnrolOrder, is_people_word
from faceid_cli.orders.option import leaves
from faceid_cli.orders.people import PeopleOrder
from faceid_cli.orders.training import read_more
from faceid_cli.orders.workers import WorkersOrder

if TYPE_CHECKING:
    from faceid_cli.api.people import PersonOutcome

EPILOG = examples(
    "faceid enroll alice photos/alice",
    "faceid enroll --from people.csv --together 8",
)

Plan = Annotated[bool, typer.Option("--plan", help="Only say how long it would take, and how much memory and disk.")]

_WHY_CONSENT = (
    "Whoever finds this person later will want to know whether they agreed, so the answer is kept with them "
    "(`faceid show`).\nThe same photos are not asked about again; `faceid config set consent-question off` ends the "
    "question, --consent TEXT answers it."
)


@spread(EnrolOrder, PeopleOrder, without=("name", "photos"))
def enroll(
    given: dict[str, Any],
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Letters, digits, - and _, 1 to 64 of them.", show_default=False),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTOS", help="Picture files, or folders of them.", show_default=False),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="Any other training setting, such as warm_up=30."),
    ] = None,
    plan: Plan = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn a person from photo files, or with --from or --each many people."""
    given |= read_more(more or ())
    if given.get("rows") is not None or given.get("each"):
        if plan:
            raise UsageError("--plan is about one person", "give a name and photos")
        if name is not None:
            raise UsageError(f"unexpected argument {name!r}", "--from and --each say who is learned")
        enroll_many(given)
        return
    _check_one(given)
    enroll_one(name, photos, {key: value for key, value in given.items() if key not in leaves(PeopleOrder)}, plan)


def _check_one(given: dict[str, Any]) -> None:
    """Refuse what is said of many people where one is learned."""
    if any(given.get(key) for key in leaves(WorkersOrder)):
        raise UsageError("one person is learned on one device", "give --device, or many people with --from or --each")
    flags = [asked.flags[0] for key, (asked, _, _) in leaves(PeopleOrder).items() if given.get(key)]
    if flags:
        what = f"{', '.join(flags)} {'is' if len(flags) == 1 else 'are'} about many people"
        raise UsageError(what, "leave that out for one person, or give many with --from or --each")


def enroll_one(name: str | None, photos: list[Path] | None, given: dict[str, Any], plan: bool) -> None:
    """Learn a person, or only say what that would take.

    Raises:
        UsageError: Nobody is named, or there are no photos.
    """
    if not name or not photos:
        missing = "argument 'PHOTOS'" if name else "argument 'NAME'"
        raise UsageError(f"Missing {missing}", "faceid enroll alice photos/alice")
    order = enrolment_order({"name": name, "photos": photos, **given}, out.note)

    if plan:
        show_plan(order)
        return

    from faceid_cli.api.enroll import already_enrolled, enroll_order

    there = already_enrolled(order)
    if there is not None:
        out.result(
            {"command": "enroll", "identity": views.identity_data(there), "skipped": True},
            [f"{there.name} is enrolled already: skipped"],
            [there.name],
        )
        return

    def ask_consent() -> str | None:
        if not out.can_ask or read_setting("consent-question") == "off":
            return None
        out.note(_WHY_CONSENT)
        return out.ask(f"What did {order.name} say to being learned? (Enter for nothing)")

    with training_progress() as on_step:

        def on_preview(step: int, path: Path) -> None:
            on_step.make_room()
            show_preview(step, path)

        identity = enroll_order(order, f"{name}-faces.png", on_preview, on_step, out.note, ask_consent)
    out.result(
        {"command": "enroll", "identity": views.identity_data(identity), "skipped": False},
        [f"enrolled {identity.name} from {views.plural(len(identity.photo_hashes), 'photo')}"],
        [identity.name],
    )
    if order.preview_every:
        kept = material_folder(identity.id)
        out.note(f"the previews are now in {kept}; faceid report {identity.name} shows them")
    scene = "holding a basketball, eiffel tower" if is_people_word(identity.class_word) else "on the beach"
    out.hint(f'next: faceid generate {identity.name} "{scene}"')


def show_plan(order: EnrolOrder) -> None:
    """Say what an enrolment will take.

    Raises:
        OutOfMemoryError: The batch that was asked for does not fit.
    """
    from faceid_cli.api.planning import check_plan, plan_enrolment

    with loading_line():
        plan = plan_enrolment(order, out.note)
    lines = pairs(
        {
            "photos": str(plan.photos),
            "steps": f"{plan.steps} of {plan.step_seconds:.2g} s, batch {plan.batch_size}",
            "time": f"{duration(plan.seconds)}, {duration(plan.begin_seconds)} of them until the first step",
            "memory": views.size(plan.memory_bytes)
            + ("" if plan.room_bytes is None else f" of {views.size(plan.room_bytes)} that are free"),
            "disk": f"{views.size(plan.kept_bytes)}, and {views.size(plan.checkpoint_bytes)} until it is finished, of "
            f"{views.size(plan.free_disk_bytes)} that are free",
            "device": f"{plan.device}, {plan.precision}",
        }
    )
    out.result({"command": "enroll", "plan": asdict(plan)}, lines)
    if plan.previews:
        out.note(f"the time of {plan.previews} previews comes on top")
    check_plan(plan)


def enroll_many(given: dict[str, Any]) -> None:
    """Learn the people of a file, or of a folder.

    Raises:
        UsageError: The file cannot be read, or an option cannot be.
        BatchError: Some people failed.
    """
    from faceid_cli.api.people import FAILED, check_people, plan_people, run_people, split_options

    outcomes: list[PersonOutcome] = []
    order, common = split_options(given)
    plan = plan_people(order.rows, order, common, out.note)
    with training_progress() as on_step:

        def on_outcome(outcome: PersonOutcome) -> None:
            on_step.make_room()
            outcomes.append(outcome)
            _show_person(outcome)

        run_people(plan, on_outcome, on_step, out.note)
    counts = Counter(outcome.status for outcome in outcomes)
    rows = [views.person_cells(outcome) for outcome in outcomes]
    lines = table(rows, ("name", "status", "photos", "steps", "loss", "note")) if len(rows) > 1 else []
    if out.mode == "json":
        out.item({"command": "enroll", "status": "done", "counts": dict(counts)}, ())
    elif out.mode != "quiet":
        out.item({}, lines)
    check_people(plan, counts[FAILED])
    out.hint("next: faceid list; the same command again learns who is missing")


def _show_person(outcome: PersonOutcome) -> None:
    """Say what came of one of many."""
    if out.mode == "json":
        out.item({"command": "enroll", **views.person_data(outcome)}, ())
    elif outcome.error is not None:
        out.error(outcome.error)
    elif out.mode == "quiet":
        out.item({}, (), [outcome.person.name])
    elif outcome.identity is not None and outcome.report is not None:
        photos = views.plural(len(outcome.identity.photo_hashes), "photo")
        out.note(f"enrolled {outcome.identity.name} from {photos}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enroll", epilog=EPILOG)(enroll)
