"""`faceid config get|set|unset|list`: the user's own defaults."""

from __future__ import annotations

from typing import Annotated

import typer

from faceid_cli.cli.options import Json, Quiet, Verbose, examples, one_of
from faceid_cli.cli.output import out, table
from faceid_cli.kept.defaults import OPTIONS
from faceid_cli.kept.settings import SETTINGS, known_key, read_setting, read_settings, set_keys, unset_setting

Key = Annotated[
    str,
    typer.Argument(metavar="KEY", help="See `faceid config list`.", autocompletion=one_of(tuple(SETTINGS))),
]


def get(key: Key, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show one setting."""
    from faceid_cli.api.config import shown_setting

    key = known_key(key)
    value = read_setting(key)
    shown = shown_setting(key, value)
    out.result({"command": "config get", "key": key, "value": value}, [shown or "-"], [shown])


def set_(
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="As the option of that name takes it; on or off.")],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Change one setting."""
    from faceid_cli.api.config import set_setting, shown_setting

    key = known_key(key)
    kept = set_setting(key, value)
    shown = shown_setting(key, kept)
    out.result({"command": "config set", "key": key, "value": kept}, [f"{key} is now {shown}"], [shown])


def unset(key: Key, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Go back to the default of one setting."""
    key = known_key(key)
    value = unset_setting(key)
    out.result({"command": "config unset", "key": key, "value": value}, [f"{key} is {value or '-'} again"], [value])


def list_(json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show all settings; * marks those that you have set."""
    from faceid_cli.api.config import shown_setting

    values, own = read_settings(), set_keys()
    shown = {key: shown_setting(key, value) for key, value in values.items()}
    rows = [(key, f"{shown[key] or '-'}{' *' * (key in own)}", each.help) for key, each in SETTINGS.items()]
    out.result(
        {"command": "config list", "settings": values, "set": own},
        table(rows, ("KEY", "VALUE", "WHAT IT IS")),
        [f"{key}={value}" for key, value in shown.items() if key in own or key not in OPTIONS],
    )


def register(app: typer.Typer) -> None:
    """Add the command and its parts."""
    part = typer.Typer(
        rich_markup_mode=None, epilog=examples("faceid config list", "faceid config set model ~/models/sd15")
    )

    @part.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        """Read and change your own defaults."""
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    part.command("get", epilog=examples("faceid config get model", "faceid config get device --json"))(get)
    examples_of_set = examples("faceid config set model ~/models/sd15", "faceid config set generate.steps 30")
    # A negative number is a value, too.
    part.command("set", epilog=examples_of_set, context_settings={"ignore_unknown_options": True})(set_)
    part.command("unset", epilog=examples("faceid config unset model", "faceid config unset generate.steps"))(unset)
    part.command("list", epilog=examples("faceid config list", "faceid config list --json"))(list_)
    app.add_typer(part, name="config")
