"""The report of an enrolment: one HTML file, made from what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceid_cli.api.opening import opened
from faceid_cli.errors import FaceIDError, OutputError, UsageError
from faceid_cli.kept.files import write_atomically
from faceid_cli.kept.material import material_folder
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.checks import check_output, shown_text, user_path
from faceid_cli.orders.kinds import fitted
from faceid_cli.orders.rendering import NOT_FOR_SCORES
from faceid_cli.registry.sources import without_folders
from faceid_cli.registry.store import Registry
from faceid_cli.report import MARK, ReportContent, report_page
from faceid_cli.report.attention_maps import AttentionMaps, kept_maps
from faceid_cli.report.gather import gather
from faceid_cli.types import Identity, OnNote, OnProgress

_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        identity: Whose.
        path: The HTML file.
        content: What it shows.
    """

    identity: Identity
    path: Path
    content: ReportContent


def write_report(
    name: str,
    *,
    output: Path | str | None = None,
    attention: bool = True,
    config: RenderConfig | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> Report:
    """Write the report of a person's enrolment, over an earlier one.

    Args:
        name: An enrolled person.
        output: A .html file or a folder; by default the file lies with the person, and goes when they are removed.
        attention: Render attention maps, if that has not been done yet; else only those that are kept are shown.
        config: How to render them.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.

    Raises:
        UnknownNameError: Nobody of that name.
        UsageError: A file of another kind than HTML, or a config with what means nothing here, such as `hires`.
        OutputError: It cannot be written there, or another file is there.
    """
    fitted("config", RenderConfig | None, config)
    if config is not None:
        config.check_unsaid(NOT_FOR_SCORES, "write_report")
    with Registry.open(create=False) as registry:
        person, runs = registry.get(name), registry.runs_of(name)
    target = _target(person, output)
    maps, missing = _maps(person, attention, config, on_progress, on_note)
    content = gather(person, runs[-1] if runs else None, maps, missing)
    write_atomically(target, shown_text(report_page(content)).encode())
    return Report(person, target, content)


def _maps(
    person: Identity,
    wanted: bool,
    config: RenderConfig | None,
    on_progress: OnProgress | None,
    on_note: OnNote | None,
) -> tuple[AttentionMaps | None, str]:
    """The maps, or why there are none: a report without them is better than none."""
    kept = kept_maps(person.id)
    if kept is not None:
        return kept, ""
    if not wanted:
        return None, "Not made yet: `faceid report` without --no-attention makes the maps."
    try:
        found = opened([person], config, on_note=on_note)

        # This brings in torch, which takes seconds.
        from faceid_cli.report.mapping import make_maps

        base = found.base(on_note)
        return make_maps(base, person, found.tokens()[person.name], found.config, on_progress), ""
    except FaceIDError as error:
        if on_note is not None:
            on_note(f"no attention maps: {error.message}")
        why = error.message.replace(person.base_model, without_folders(person.base_model, {})[0])
        return None, f"The maps cannot be made here: {why}."


def _target(person: Identity, output: Path | str | None) -> Path:
    """Where the report goes; checked before anything is rendered."""
    if output is None:
        return material_folder(person.id) / "report.html"
    path = user_path(check_output(output))
    if path.is_dir():
        path = path / f"{person.name}-report.html"
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"cannot write {path}: reports are HTML files", "give a name that ends in .html, or a folder")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}", "make the folder first")
    if path.exists() and not _is_report(path):
        raise OutputError(f"{path} is there already, and is no report of faceid", "give another name with -o")
    return path


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(1000)
    except OSError:
        return False


def report_data(made: Report) -> dict[str, Any]:
    """A report as JSON values, with stable keys."""
    shown = made.content
    return {
        "name": made.identity.name,
        "file": str(made.path),
        "photos": len(shown.photos),
        "steps": len(shown.losses),
        "previews": len(shown.previews),
        "attention_maps": len(shown.maps),
        "evaluations": len(shown.scores),
        "enroll_command": shown.whole_command or None,
    }
