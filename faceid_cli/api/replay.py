"""Rendering a picture again from what its file says, and saying whether it came out the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from faceid_cli.api.generate import render_order, save_pictures
from faceid_cli.errors import IdentityFileError, ModelNotFoundError, PhotoError, UnknownNameError, UsageError
from faceid_cli.kept.changes import read_changes
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.model_files.lora import parse_lora
from faceid_cli.orders import ModelOptions, RenderOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.rendering import SUFFIXES
from faceid_cli.photo_files import read_photo
from faceid_cli.registry.history import render_with_pixels
from faceid_cli.registry.sources import source_of_fingerprint
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import opened_file, record_in
from faceid_cli.rendering.provenance import wanted_provenance
from faceid_cli.rendering.record import RenderMetadata, digest_of, metadata_of
from faceid_cli.rendering.replaying import Places, differences, order_of
from faceid_cli.rendering.save import plan_output
from faceid_cli.types import Identity, OnNote, OnProgress, Render

_MOST_TOGETHER = 64
"""A record that was made up could name a million."""


@dataclass(frozen=True)
class Replayed:
    """A picture that was rendered again.

    Attributes:
        original: The file.
        renders: What was rendered: one picture, or as many as a changed `count` says.
        is_equal: Whether it has the same pixels, all of them; None where something was changed on purpose.
        differences: What is not as it was, and how much that did, one line each.
    """

    original: Path
    renders: tuple[Render, ...]
    is_equal: bool | None
    differences: tuple[str, ...]


def replay(
    picture: Path | str,
    *,
    change: Sequence[str] | Mapping[str, Any] = (),
    output: Path | str | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> Replayed:
    """Render a picture again from its own metadata.

    Args:
        picture: A file that faceid wrote.
        change: Options that are to be other ones: "OPTION=VALUE" each, or values by name.
        output: Where to write it, as for `generate`; without it nothing is written.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.

    Raises:
        PhotoError: No picture, none that says how faceid made it, or a picture that it was made from is missing.
        UnknownNameError: Somebody in it is not enrolled here.
        ModelError: The base model, or a file that was put into it, is not here.
        UsageError, OutputError: As `generate`.
    """
    path = user_path(picture)
    with opened_file(path) as image:
        record = record_in(image)
    if record is None:
        raise PhotoError(
            f"{path} does not say how faceid made it",
            "only whole files of faceid do, written without --no-metadata; `faceid info FILE` shows what one says",
        )
    changes = dict(change) if isinstance(change, Mapping) else read_changes(change)
    people = _people(record, on_note) if "names" not in changes else _others(record, changes["names"])
    names = record.names if "names" in changes else tuple(person.name for person in people)
    order = order_of(record, names, changes, _model(record, people, changes), _places(record, path, people))
    order = replace(order, output=None if output is None else Path(output))
    renders = _render(record, order, bool(changes), path, on_progress, on_note)
    if changes:
        return Replayed(path, renders, None, ())
    hashes = {
        new: record.identity_hashes[old]
        for old, new in zip(record.names, names, strict=True)
        if old in record.identity_hashes
    }
    record = replace(record, identity_hashes=hashes)
    return Replayed(path, renders, *_compared(path, record, renders[0]))


def _people(record: RenderMetadata, on_note: OnNote | None) -> list[Identity]:
    """Who is in the picture, under whatever name they have here; those with the same tokens before all others."""
    with Registry.open(create=False) as registry:
        enrolled = registry.list()
    found: list[Identity] = []
    for name in record.names:
        digest = record.identity_hashes.get(name, "")
        named = [person for person in enrolled if person.name.lower() == name.lower()]
        known = [person for person in enrolled if person.id in record.identity_ids and person not in named]
        same = next((person for person in (*named, *known) if digest and _digest_of(person) == digest), None)
        if same is None and not named:
            raise UnknownNameError(
                f"{name}, who is in the picture, is not enrolled here",
                f"import their file, or render somebody else: --change names={'NAME,NAME' if found else 'NAME'}",
            )
        found.append(same or named[0])
        if on_note and same is None and digest:
            on_note(f"{name} was learned again since, or is somebody else: the picture will be another one")
    return found


def _others(record: RenderMetadata, names: Sequence[str]) -> list[Identity]:
    """People who take the places of those in the picture."""
    if len(names) != len(record.names):
        raise UsageError(f"the picture shows {len(record.names)} people", "name as many, with commas between")
    with Registry.open(create=False) as registry:
        return [registry.get(name) for name in names]


def _digest_of(person: Identity) -> str:
    try:
        return load_identity(person.path).digest
    except IdentityFileError:
        return ""


def _model(record: RenderMetadata, people: Sequence[Identity], changes: Mapping[str, Any]) -> str | None:
    """The base model to ask for; None for the people's own."""
    if "model" in changes or all(person.base_fingerprint == record.base_fingerprint for person in people):
        return None
    source = source_of_fingerprint(record.base_model, record.base_fingerprint)
    if source is None:
        raise ModelNotFoundError(
            f"the base model {record.base_model} ({record.base_fingerprint}) is not on this machine",
            "name it with `faceid models add NAME FILE`, or render on another one: --change model=MODEL",
        )
    return source


def _places(record: RenderMetadata, path: Path, people: Sequence[Identity]) -> Places:
    """Whole paths are known of what was rendered here, and of what people were learned with.

    Other files may lie beside the picture.
    """
    with Registry.open(create=False) as registry:
        made = render_with_pixels(registry, record.seed, record.pixels)
    kept = made.render.settings.get("sources") if made else None
    sources = kept if isinstance(kept, list) else []
    learned = [ModelOptions.learned(person.method) for person in people]
    loras = [path for each in learned for path, _ in map(parse_lora, each.loras or ())]
    paths = (
        *(Path(source) for source in sources if isinstance(source, str)),
        *loras,
        *(Path(each.vae) for each in learned if each.vae),
    )
    return Places(paths, (path.absolute().parent, Path.cwd()), is_own=made is not None)


def _render(
    record: RenderMetadata,
    order: RenderOrder,
    is_changed: bool,
    path: Path,
    on_progress: OnProgress | None,
    on_note: OnNote | None,
) -> tuple[Render, ...]:
    """Render, as then together with the pictures of the same batch, and keep the one."""
    kind = SUFFIXES.get(path.suffix.lower(), "png") if order.format == "png" else order.format
    plan = None
    if order.output is not None:
        plan = plan_output(order.output, f"{path.stem}-replay", order.count, kind, order.metadata)
        plan = replace(plan, provenance=wanted_provenance(on_note))
    first, *others = record.batch or (record.seed,)
    alike = (
        0 < len(others) < _MOST_TOGETHER
        and not is_changed
        and list(record.batch) == list(range(first, first + len(record.batch)))
    )
    ordered = order
    if alike:
        config = replace(order.config, batch_size=len(record.batch))
        ordered = replace(order, seed=first, count=len(record.batch), config=config)
        if on_note:
            on_note(f"rendering {len(record.batch)} pictures, since it was made together with {len(others)} more")
    renders = render_order(replace(ordered, output=None), on_progress, on_note)
    if alike:
        renders = [render for render in renders if render.request.seed == record.seed]
    if plan is None:
        return tuple(renders)
    with Registry.open(create=False) as registry:
        ids = tuple(registry.get(name).id for name in order.names)
    return tuple(save_pictures([renders], plan, {}, ids, on_note))


def _compared(path: Path, record: RenderMetadata, render: Render) -> tuple[bool, tuple[str, ...]]:
    """Whether it came out the same, and why not."""
    made, then = metadata_of(render), read_photo(path).image
    is_exact = path.suffix.lower() == ".png" and not record.watermark
    if made.pixels == (record.pixels or digest_of(then)):
        is_edited = is_exact and digest_of(then) != made.pixels
        return True, (f"{path} itself was edited after it was rendered",) if is_edited else ()
    reasons = differences(record, made)
    if not reasons:
        reasons = ["nothing of what it says differs: its record was edited, or another processor rounds otherwise"]
    if is_exact and then.size == render.image.size:
        apart = np.abs(np.asarray(then, dtype=int) - np.asarray(render.image.convert("RGB"), dtype=int)).max(axis=2)
        reasons.append(f"{(apart > 0).mean():.2%} of the pixels differ, by {apart.max()} of 255 levels at most")
    return False, tuple(reasons)
