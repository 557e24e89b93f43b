"""`faceid doctor`: is everything here that faceid needs?"""

from __future__ import annotations

from dataclasses import asdict
from itertools import zip_longest

import typer

from faceid_cli.cli.flags import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out

EPILOG = examples("faceid doctor", "faceid doctor --json")


def doctor(json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Check that everything is in place.

    Looks at the installation, the device, the registry, the base model and helper weights, and changes nothing.
    """
    from faceid_cli.api.doctor import check_health

    findings = check_health()
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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=EPILOG)(doctor)
