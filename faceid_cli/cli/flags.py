"""Flags and arguments that many commands have. Quick to import: `faceid list` and completion need no more.

Those that are options of the library are in `options.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from faceid_cli.cli.output import out


def examples(*lines: str) -> str:
    """The epilog of a help text: real commands, one a line (\\b keeps the lines as they are)."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def complete_names(incomplete: str) -> list[str]:
    """Names of enrolled people that begin so, for shell completion."""
    from faceid_cli.registry.quick import known_names

    return [name for name in known_names() if name.startswith(incomplete)]


def one_of(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """A completion over fixed words; the library checks the value and words the error."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _json_mode(value: bool) -> bool:
    if value:
        out.mode = "json"
    return value


def _quiet_mode(value: bool) -> bool:
    if value and out.mode != "json":
        out.mode = "quiet"
    return value


def _verbose_mode(value: bool) -> bool:
    out.verbose = out.verbose or value
    return value


Json = Annotated[bool, typer.Option("--json", callback=_json_mode, help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_quiet_mode, help="Print only names or paths.")]
Verbose = Annotated[bool, typer.Option("--verbose", callback=_verbose_mode, help="Show where an error comes from.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Name = Annotated[str, typer.Argument(metavar="NAME", help="An enrolled person.", autocompletion=complete_names)]
Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="Enrolled people, one or several.", autocompletion=complete_names),
]
