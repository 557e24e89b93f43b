"""`faceid info`: what a picture says of how it was made."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceid_cli.cli.flags import Json, Quiet, Verbose, examples
from faceid_cli.cli.output import out, pairs
from faceid_cli.errors import FaceIDError

if TYPE_CHECKING:
    from faceid_cli.api.info import PictureInfo
    from faceid_cli.rendering.credentials import Credentials
    from faceid_cli.rendering.record import RenderMetadata

EPILOG = examples("faceid info alice.png", "faceid info pictures/*.jpg --json")
_LONGEST = 2_000
_IPTC = {
    "AISystemUsed": "made with",
    "AISystemVersionUsed": "version",
    "AIPromptInformation": "prompt (IPTC)",
    "AIPromptWriterName": "prompt by",
    "CreatorTool": "tool",
}


def info(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="PNG, JPEG or WebP files.", show_default=False)
    ],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what pictures say of themselves: people, prompt, seed, settings, and that AI made them.

    Files of other programs are shown as far as they can be read. The rest goes on where a file cannot be read.
    """
    from faceid_cli.api.info import info as read

    found: list[PictureInfo] = []
    failed: list[tuple[Path, FaceIDError]] = []
    for picture in pictures:
        try:
            found.append(read(picture))
        except FaceIDError as error:
            failed.append((picture, error))
    data = [_data(each) for each in found]
    data += [{"file": str(picture), "error": problem.message} for picture, problem in failed]
    lines = [line for place, each in enumerate(found) for line in (*([""] if place else []), *_lines(each))]
    made = [str(each.text.path) for each in found if each.text.record is not None]
    if found or out.mode == "json":
        out.result({"command": "info", "pictures": data}, lines, made)
    for _, problem in failed[:-1]:
        out.error(problem)
    if failed:
        raise failed[-1][1]
    if made and out.mode == "human":
        out.hint(f"next: faceid replay {shlex.quote(made[0])}")


def _data(found: PictureInfo) -> dict[str, Any]:
    text = found.text
    return {
        "file": str(text.path),
        "format": text.format,
        "width": text.width,
        "height": text.height,
        "program": text.program,
        "ai": found.is_ai,
        "ai_in_part": text.is_part,
        "fields": text.fields,
        "metadata": None if text.record is None else asdict(text.record),
        "command": found.command,
        "edited": found.is_edited,
        "credentials": None if found.credentials is None else asdict(found.credentials),
        "watermark": found.watermark,
        "parameters": None if text.parameters is None else asdict(text.parameters),
    }


def _lines(found: PictureInfo) -> Iterator[str]:
    """Everything as one line each: what a file says may hold anything."""
    text, entries = found.text, {}
    entries["file"] = f"{text.path}, {text.format}, {text.width} x {text.height} px"
    entries["AI"] = _mark(found)
    entries["signed"] = _signed(found.credentials)
    entries["watermark"] = found.watermark or ""
    if text.record is not None:
        entries |= _of_record(text.record)
        entries["again"] = found.command
        entries["pixels"] = {True: "edited since", False: "as rendered", None: ""}[found.is_edited]
    elif text.parameters is not None:
        entries["program"] = text.program
        entries["prompt"] = text.parameters.prompt
        entries["negative prompt"] = text.parameters.negative_prompt
        entries |= text.parameters.settings
        entries |= {f"hash of {name}": digest for name, digest in text.parameters.hashes.items()}
    else:
        entries["program"] = f"{text.program}, whose graph is not read" if text.program else ""
        entries["says"] = "" if text.fields else "nothing of how it was made"
    shown = ("AIPromptWriterName",) if text.record is not None else tuple(_IPTC)
    entries |= {_IPTC[name]: text.fields[name] for name in shown if name in text.fields}
    yield from pairs({_short(name): _short(value) for name, value in entries.items()})


def _mark(found: PictureInfo) -> str:
    if not found.text.is_marked:
        return "no mark in words, but see below" if found.is_ai else "not marked"
    return "a part of it was made by a trained model" if found.text.is_part else "made by a trained model"


def _signed(found: Credentials | None) -> str:
    if found is None:
        return ""
    problems = f" ({', '.join(found.problems)})" if found.problems else ""
    if found.state == "unchecked":
        return f"yes, not checked{problems}"
    if found.state == "invalid":
        return f"NOT VALID: changed since it was signed, or damaged{problems}"
    who = f"by {found.signer or 'somebody'}" + (", the key of this machine" if found.is_own else "")
    return f"valid, {who}{'' if found.is_trusted or found.is_own else '; nobody else vouches for the signer'}{problems}"


def _of_record(record: RenderMetadata) -> dict[str, str]:
    """The settings that are not as usual, beside those that everybody asks for."""
    from faceid_cli.orders import RenderConfig
    from faceid_cli.orders.composing import NO_LAYOUT
    from faceid_cli.orders.option import leaves
    from faceid_cli.orders.sampling import USUAL

    usual = {name: default for name, (_, _, default) in leaves(RenderConfig).items()}
    told = {
        "steps",
        "guidance_scale",
        "scheduler",
        "negative_prompt",
        "width",
        "height",
        "precision",
        "strength",
        "device",
    }
    others = {
        name.replace("_", " "): _in_words(getattr(record, name))
        for name, default in usual.items()
        if name not in told
        and hasattr(record, name)
        and getattr(record, name) not in (default, USUAL.get(name), NO_LAYOUT)
    }
    return {
        "people": ", ".join(record.names),
        "prompt": record.prompt,
        "negative prompt": record.negative_prompt,
        "seed": str(record.seed),
        "steps": f"{record.steps} of {record.scheduler}",
        "guidance scale": f"{record.guidance_scale:g}",
        "size": f"{record.width} x {record.height} px{', first pass' if record.hires != 1 else ''}",
        **others,
        "base model": f"{record.base_model} ({record.base_fingerprint})",
        "put into it": ", ".join(record.additions),
        "embeddings": ", ".join(record.embeddings),
        "from": ", ".join(f"{option} {name}" for option, name in record.files.items()),
        "strength": f"{record.strength:g}" if record.init else "",
        "control": f"{record.control} {record.control_model}" if record.control else "",
        "likeness chosen": record.chosen,
        "similarity": "" if record.similarity is None else f"{record.similarity:.2f}, to the person's photos",
        "alike": ", ".join(f"{name} {similarity:.2f}" for name, similarity in record.likenesses.items()),
        "repaired": ", ".join(record.repaired),
        "rendered": f"{record.precision} on {record.device}" if record.device else record.precision,
        "versions": ", ".join(f"{package} {version}" for package, version in record.versions.items()),
    }


def _in_words(value: object) -> str:
    return (
        ", ".join(map(str, value)) if isinstance(value, tuple) and value and isinstance(value[0], str) else str(value)
    )


def _short(text: str) -> str:
    """In one line of reasonable length; what is in it that would steer a terminal, `out` shows escaped."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
    return short.replace("\n", " | ")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("info", epilog=EPILOG)(info)
