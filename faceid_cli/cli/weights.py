"""`faceid weights list|path|fetch|verify`: helper networks for photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from faceid_cli.cli.options import Json, Quiet, Verbose, examples, one_of
from faceid_cli.cli.output import out, table
from faceid_cli.kept.weights import KNOWN_WEIGHTS, WeightsState, fetch_weights, weights_path, weights_state, with_parts

NAMES = tuple(KNOWN_WEIGHTS)
OneName = Annotated[
    str, typer.Argument(metavar="WEIGHTS", help=f"One of {', '.join(NAMES)}.", autocompletion=one_of(NAMES))
]
SomeNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WEIGHTS]...", help="All if none is given.", autocompletion=one_of(NAMES)),
]


def list_(json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show which weights there are, what for, and which of them are here."""
    states = [weights_state(name, read=False) for name in NAMES]
    rows = [
        (
            state.name,
            "here" if state.state == "ok" else "missing",
            f"{state.weights.megabytes} MB",
            state.weights.purpose,
        )
        for state in states
    ]
    out.result(
        {"command": "weights list", "weights": [_data(state) for state in states]},
        table(rows, ("NAME", "STATE", "SIZE", "WHAT FOR")),
        [state.name for state in states if state.state == "ok"],
    )
    out.hint("next: faceid weights fetch NAME downloads one; faceid weights path NAME says where to put it by hand")


def path(name: OneName, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show where a file of weights is, or where to put it by hand."""
    found = weights_path(name)
    source = KNOWN_WEIGHTS[name].source
    out.result(
        {"command": "weights path", "name": name, "path": str(found), "source": source}, [str(found)], [str(found)]
    )
    if not found.is_file():
        out.hint(f"not there yet; its source is {source}")


def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="WEIGHTS...", help=f"One or several of {', '.join(NAMES)}.", autocompletion=one_of(NAMES)
        ),
    ],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Download weights, and check them.

    The only command of faceid that downloads helper weights. What is here already and sound is not downloaded again.
    """
    names = with_parts(names)  # a wrong name is better found before the first download
    files = []
    for name in names:
        out.note(f"{name}: {KNOWN_WEIGHTS[name].source} ({KNOWN_WEIGHTS[name].megabytes} MB)")
        files.append(fetch_weights(name))
    out.result(
        {"command": "weights fetch", "files": [str(file) for file in files]},
        [f"{name} is at {file}" for name, file in zip(names, files, strict=True)],
        [str(file) for file in files],
    )


def verify(names: SomeNames = None, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Compare the weights that are here with their pinned SHA-256.

    Fails where a file has other content, and where weights that were asked for by name are missing.
    """
    states = [weights_state(name) for name in names or NAMES]
    bad = [state for state in states if state.state == "wrong" or (names and state.state == "missing")]
    out.result(
        {"command": "weights verify", "sound": not bad, "weights": [_data(state) for state in states]},
        _lines(states),
        [state.name for state in bad],
    )
    if bad:
        raise typer.Exit(1)


def _lines(states: Sequence[WeightsState]) -> Iterable[str]:
    for state in states:
        yield f"{state.state.ljust(7)}  {state.name}: {state.path}"
        if state.state == "wrong":
            yield f"         not the file it should be; replace it by {state.weights.source}"


def _data(state: WeightsState) -> dict[str, Any]:
    return {
        "name": state.name,
        "state": state.state,
        "path": str(state.path),
        "source": state.weights.source,
        "sha256": state.weights.sha256,
        "megabytes": state.weights.megabytes,
        "purpose": state.weights.purpose,
    }


def register(app: typer.Typer) -> None:
    """Add the command and its four parts."""
    part = typer.Typer(
        rich_markup_mode=None, epilog=examples("faceid weights list", "faceid weights fetch face-detection")
    )

    @part.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        """Look after the helper networks for photographs."""
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    part.command("list", epilog=examples("faceid weights list", "faceid weights list --json"))(list_)
    part.command("path", epilog=examples("faceid weights path face-recognition"))(path)
    part.command("fetch", epilog=examples("faceid weights fetch face-detection face-recognition"))(fetch)
    part.command("verify", epilog=examples("faceid weights verify", "faceid weights verify face-detection"))(verify)
    app.add_typer(part, name="weights")
