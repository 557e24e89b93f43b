"""`faceid enroll`: learn a person from photo files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import Json, Quiet, Verbose, examples, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import training_progress
from faceid_cli.cli.terminal_pictures import show_preview
from faceid_cli.kept.material import material_folder
from faceid_cli.kept.settings import enrolment_order, read_setting
from faceid_cli.orders import EnrolOrder, is_people_word
from faceid_cli.orders.training import read_more

EPILOG = examples(
    "faceid enroll alice photos/alice",
    "faceid enroll bob group.jpg --face left --class man --steps 500 --replace",
)

_WHY_CONSENT = (
    "Whoever finds this person later will want to know whether they agreed, so the answer is kept with them "
    "(`faceid show`).\nThe same photos are not asked about again; `faceid config set consent-question off` ends the "
    "question, --consent TEXT answers it."
)


@spread(EnrolOrder, without=("name", "photos"))
def enroll(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, - and _, 1 to 64 of them.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS", help="Picture files, or folders of them.")],
    given: dict[str, Any],
    more: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="Any other training setting, such as warm_up=30."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn a person from photo files."""
    order = enrolment_order({"name": name, "photos": photos, **given, **read_more(more or ())}, out.note)

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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enroll", epilog=EPILOG)(enroll)
