"""`faceid export`: write people for other machines, and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from faceid_cli.cli.flags import Json, Quiet, Verbose, complete_names, examples, one_of
from faceid_cli.cli.output import out
from faceid_cli.errors import UsageError
from faceid_cli.export.targets import TARGETS, TOKENS

EPILOG = examples("faceid export alice bob -o /media/usb --replace", "faceid export alice --to comfyui -o for-comfyui")


def export(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Enrolled people, one or several.", autocompletion=complete_names),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="TARGET", help="See --list.", autocompletion=one_of(TARGETS))
    ] = "faceid",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File or folder; named after people and target if not given."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an earlier export.")] = False,
    lossy: Annotated[bool, typer.Option("--lossy", help="Export what the target can hold.")] = False,
    single: Annotated[bool, typer.Option("--single", help="One token for all stages.")] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="WHICH",
            help="Token for keys and values where only one can be: values, keys, mean.",
            autocompletion=one_of(TOKENS),
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option("--sampler", metavar="NAME", help='Of a prompt for the web UI: "DPM++ 2M Karras" if not given.'),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Sampler steps of it; 20.")] = None,
    prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help="The example that is written along.")] = "",
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="One .faceid file with everybody, and how they were learned."),
    ] = None,
    with_: Annotated[
        str,
        typer.Option("--with", metavar="PARTS", help="What else is in a bundle: crops, previews, scores; with commas."),
    ] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show the targets, with what each keeps and loses.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write people to files for `faceid import`, one file each, or for another program."""
    from faceid_cli.api.export import export_bundle, export_to, list_targets

    if list_:
        targets = list_targets()
        data = [
            {"name": each.name, "programs": each.programs, "keeps": each.keeps, "loses": each.loses or "nothing"}
            for each in targets
        ]
        shown = [line for each in data for line in _described(each)]
        out.result({"command": "export", "targets": data}, shown, [each.name for each in targets])
        return
    if not names:
        raise UsageError("no person to export", "give a name, or --list to see the targets")
    if bundle is not None:
        if to != "faceid" or output is not None:
            raise UsageError("--bundle writes one file of its own", "leave out --to and -o")
        _check_bundle(
            lossy=lossy or None,
            single=single or None,
            token=token,
            sampler=sampler,
            steps=steps,
            prompt=prompt or None,
        )
        parts = [part.strip() for part in with_.split(",") if part.strip()]
        _say([export_bundle(names, bundle, parts, replace)])
        return
    if with_:
        raise UsageError("--with is for bundles", "give --bundle FILE")
    made = export_to(
        names,
        to,
        output,
        replace=replace,
        lossy=lossy,
        single=single,
        token=token,
        sampler=sampler,
        steps=steps,
        prompt=prompt,
    )
    _say(made)


def _check_bundle(**of_targets: object) -> None:
    """Refuse what is said of files for other programs; None is nothing said."""
    said = [f"--{name}" for name, value in of_targets.items() if value is not None]
    if said:
        raise UsageError(f"--bundle has no {', '.join(said)}: it holds people whole", "leave that out")


def _described(target: dict[str, str]) -> list[str]:
    """Three lines on a target."""
    name = f"{target['name']:10}"
    return [f"{name} {target['programs']}", *(f"{'':10} {word} {target[word]}" for word in ("keeps", "loses"))]


def _say(made: list[Any]) -> None:
    lines = [str(each.path) for each in made]
    files: list[dict[str, Any]] = [
        {
            "name": each.people[0],
            "file": str(each.path),
            "to": each.to,
            "people": list(each.people),
            "use": each.use,
            "lost": list(each.lost),
        }
        for each in made
    ]
    # The keys of one person are those of before several could be given.
    first = {key: files[0][key] for key in ("name", "file")} if len(files) == 1 else {}
    out.result({"command": "export", **first, "exports": files}, lines, lines)
    for each in made:
        if each.lost:
            out.note(f"lost: {'; '.join(each.lost)}")
        for note in each.notes:
            out.note(note)
    out.hint(f"use: {made[0].use}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog=EPILOG)(export)
