"""`faceid serve`: answer requests, with the base model kept between them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from faceid_cli.cli import options
from faceid_cli.cli.batch import Template
from faceid_cli.cli.options import examples, output_folder, spread
from faceid_cli.cli.output import out
from faceid_cli.cli.views import error_data, outcome_data, render_data
from faceid_cli.errors import FaceIDError, UsageError
from faceid_cli.kept.foreign import parse_json
from faceid_cli.orders import RenderOrder

EPILOG = examples(
    "faceid serve --stdio < requests.jsonl > answers.jsonl",
    "faceid serve --stdio --steps 30 -o pictures",
)


@spread(RenderOrder, without=("names", "prompt", "output"))
def serve(
    given: dict[str, Any],
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Read a JSON request a line from stdin, and answer a line on stdout.")
    ] = False,
    output: Template = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Answer requests of other programs: the base model is loaded once, at the first of them."""
    if not stdio:
        raise UsageError("say where requests come from", "faceid serve --stdio reads them from standard input")

    from faceid_cli.api.serve import Service

    out.mode = "json"
    common = {name: value for name, value in given.items() if value is not None}
    service = Service(output_folder(None) if output is None else output, common, out.note)
    for line in sys.stdin.buffer:
        if line.strip():
            out.item(_answer(service, line), ())


def _answer(service: Any, line: bytes) -> dict[str, Any]:
    """The answer to a line: with the request's id, and with what came of each picture."""
    found: dict[str, Any] = {"command": "serve", "id": None}
    try:
        request = parse_json(line, is_written_by_hand=True)
        if not isinstance(request, dict):
            raise UsageError("a request is a JSON object", 'such as {"id": 1, "name": "alice", "prompt": "a castle"}')
        found["id"] = request.pop("id", None)
        pictures = [
            outcome_data(each) | ({} if each.render is None else render_data(each.render))
            for each in service.answer({key: value for key, value in request.items() if value is not None})
        ]
        failed = [each for each in pictures if each["status"] == "failed"]
        return {**found, "status": "failed" if failed else "done", "pictures": pictures}
    except ValueError as error:
        return {**found, "status": "failed", "error": error_data(UsageError(f"this cannot be read as JSON: {error}"))}
    except FaceIDError as error:
        return {**found, "status": "failed", "error": error_data(error)}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", epilog=EPILOG)(serve)
