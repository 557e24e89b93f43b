"""`faceid config get|set|list`: the user's own defaults."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli.options import Json, Quiet, Verbose, examples, one_of
from faceid_cli.cli.output import out, table
from faceid_cli.kept.settings import SETTINGS, read_setting, read_settings

Key = Annotated[
    str, typer.Argument(metavar="KEY", help=", ".join(SETTINGS) + ".", autocompletion=one_of(tuple(SETTINGS)))
]


def get(key: Key, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show one setting."""
    from faceid_cli.api.config import shown_setting

    value = read_setting(key)
    shown = shown_setting(key, value)
    out.result({"command": "config get", "key": key, "value": value}, [shown], [shown])


def set_(
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="See `faceid config list`.")],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Change one setting."""
    from faceid_cli.api.config import set_setting, shown_setting

    kept = set_setting(key, value)
    shown = shown_setting(key, kept)
    out.result({"command": "config set", "key": key, "value": kept}, [f"{key} is now {shown}"], [shown])


def list_(json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show all settings."""
    from faceid_cli.api.config import shown_setting

    values = read_settings()
    shown = {key: shown_setting(key, value) for key, value in values.items()}
    out.result(
        {"command": "config list", "settings": values},
        table([(key, shown[key], setting.help) for key, setting in SETTINGS.items()], ("KEY", "VALUE", "WHAT IT IS")),
        [f"{key}={value}" for key, value in shown.items()],
    )


def register(app: typer.Typer) -> None:
    """Add the command and its three parts."""
    part = typer.Typer(
        rich_markup_mode=None, epilog=examples("faceid config list", "faceid config set model ~/models/sd15")
    )

    @part.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        """Read and change your own defaults."""
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    part.command("get", epilog=examples("faceid config get model", "faceid config get device --json"))(get)
    part.command("set", epilog=examples("faceid config set model ~/models/sd15", "faceid config set model builtin"))(
        set_
    )
    part.command("list", epilog=examples("faceid config list", "faceid config list --json"))(list_)
    app.add_typer(part, name="config")
