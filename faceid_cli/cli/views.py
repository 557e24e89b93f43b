"""How identities and pictures are shown, the same in every command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from faceid_cli.cli.output import out
from faceid_cli.errors import FaceIDError
from faceid_cli.kept.remote import shown_path
from faceid_cli.types import Identity, Render

if TYPE_CHECKING:
    from faceid_cli.api.people import PersonOutcome
    from faceid_cli.api.wanted import Outcome


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def identity_data(identity: Identity) -> dict[str, Any]:
    """The stable JSON keys of an identity."""
    return {
        "name": identity.name,
        "id": identity.id,
        "class_word": identity.class_word,
        "base_model": identity.base_model,
        "base_fingerprint": identity.base_fingerprint,
        "method": identity.method,
        "photo_hashes": list(identity.photo_hashes),
        "created": identity.created,
        "tags": list(identity.tags),
        "note": identity.note,
        "consent": identity.consent,
        "file": str(identity.path),
        **({"damaged": list(identity.damaged)} if identity.damaged else {}),
    }


def render_data(render: Render) -> dict[str, Any]:
    """The stable JSON keys of a picture."""
    return {
        "file": shown_path(render.path),
        "seed": render.request.seed,
        "prompt": render.request.prompt,
        "names": list(render.request.names),
        "settings": render.settings,
    }


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """The stable JSON keys of what came of one picture of many."""
    job, error = outcome.job, outcome.error
    data: dict[str, Any] = {
        "status": outcome.status,
        "file": None if outcome.path is None else shown_path(outcome.path),
    }
    place = job.place if job is not None else outcome.row.place if outcome.row is not None else None
    if job is not None:
        data |= {"index": job.index, "names": list(job.order.names), "prompt": job.order.prompt, "seed": outcome.seed}
    if place is not None and place.line:
        data |= {"rows": place.file, "line": place.line}
    if outcome.similarity is not None:
        data["similarity"] = outcome.similarity
    if error is not None:
        data["error"] = {**error_data(error), "field": getattr(error, "field", "")}
    return data


def size(count: int) -> str:
    """Bytes as people say them."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def person_data(outcome: PersonOutcome) -> dict[str, Any]:
    """The stable JSON keys of what came of one person of many."""
    place, error, report = outcome.person.row.place, outcome.error, outcome.report
    data: dict[str, Any] = {"status": outcome.status, "name": outcome.person.name}
    data |= {"rows": place.file, "line": place.line} if place.line else {"rows": place.file} if place.file else {}
    if outcome.identity is not None:
        data["identity"] = identity_data(outcome.identity)
    if report is not None:
        data |= {"steps": len(report.losses), "seconds": report.seconds, "resumed_from": report.resumed_from}
    if error is not None:
        data["error"] = {**error_data(error), "field": getattr(error, "field", "")}
    return data


def person_cells(outcome: PersonOutcome) -> tuple[str, ...]:
    """The same as a line of a table: name, status, photos, steps, loss, note."""
    identity, report, error = outcome.identity, outcome.report, outcome.error
    return (
        outcome.person.name or "?",
        outcome.status,
        "" if identity is None else str(len(identity.photo_hashes)),
        "" if report is None else str(len(report.losses)),
        "" if report is None or not report.losses else f"{report.losses[-1][0]:.4f}",
        error.message if error is not None else "" if report is None or not report.resumed_from else "resumed",
    )


def error_data(error: FaceIDError) -> dict[str, Any]:
    """The stable JSON keys of an error."""
    return {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}


def render_lines(renders: Sequence[Render]) -> list[str]:
    """One line per picture: where it is, the seed that makes it again, and of several people how alike each is."""
    return [f"{render.path}  seed {render.request.seed}{_alike(render)}" for render in renders]


def _alike(render: Render) -> str:
    found: Mapping[str, float] = render.settings.get("likenesses") or {}
    told = ", ".join(f"{name} {similarity:.2f}" for name, similarity in found.items())
    return f"  alike: {told}" if told else ""


def show_renders(command: str, renders: Sequence[Render]) -> None:
    """Print pictures that were made."""
    out.result(
        {"command": command, "renders": [render_data(render) for render in renders]},
        render_lines(renders),
        [str(render.path) for render in renders],
    )


def method_text(method: Mapping[str, Any]) -> str:
    """A method in a few words."""
    name = str(method.get("method", "unknown"))
    return f"{name}, {method['steps']} steps" if "steps" in method else name


def plural(count: int, word: str, several: str = "") -> str:
    """A number with its noun; `several` is the noun of several, where that has not just an "s" more."""
    return f"{count} {word}" if count == 1 else f"{count} {several or f'{word}s'}"
