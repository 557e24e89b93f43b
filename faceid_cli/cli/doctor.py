"""`faceid doctor`: is everything here that faceid needs?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli import views
from faceid_cli.cli.flags import Json, Quiet, Verbose, Yes, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid doctor", "faceid doctor --fix")


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended; asks before files are deleted.")] = False,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check that everything is in place, and whole.

    Looks at the installation, the device, the registry and everybody in it, the base model and helper weights, and
    changes nothing. With --fix it finishes what had stopped half-way, lets only you read faceid's folder, and deletes
    what belongs to nobody.
    """
    from faceid_cli.api.doctor import check_health, mend

    findings = [*(mend(partial(_may_delete, yes)) if fix else ()), *check_health()]
    lines = []
    for finding, after in zip_longest(findings, findings[1:]):
        lines.append(f"{finding.state.ljust(4)}  {finding.what}: {finding.detail}")
        if finding.hint and (after is None or after.hint != finding.hint):  # what helps several is said below the last
            lines.append(f"      {finding.hint}")
    failed = [finding for finding in findings if finding.state == "fail"]
    out.result(
        {"command": "doctor", "healthy": not failed, "findings": [asdict(finding) for finding in findings]},
        lines,
        [f"{finding.what}: {finding.detail}" for finding in findings if finding.state != "ok"],
    )
    if failed:
        raise typer.Exit(1)


def _may_delete(yes: bool, files: Sequence[Path]) -> bool:
    for path in files:
        out.note(f"belongs to nobody: {path}")
    return out.confirm(f"Delete {views.plural(len(files), 'file or folder', 'files and folders')}?", yes)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=EPILOG)(doctor)
