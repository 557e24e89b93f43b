"""Rendering: from enrolled people and a prompt to pictures, on disk if wanted and then in the registry."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceid_cli.api.again import files_there, read_render, requests_of
from faceid_cli.api.alike import render_alike
from faceid_cli.api.checking import checking_for, renders_again
from faceid_cli.api.composing import cast_of
from faceid_cli.api.opening import open_people
from faceid_cli.api.placing import placed, told, untold
from faceid_cli.api.recording import finished, not_recorded, record_picture
from faceid_cli.errors import InterruptedRunError, NotFiniteError, UsageError
from faceid_cli.kept.settings import fields_with_defaults, rendering_order
from faceid_cli.kept.signals import held_signals
from faceid_cli.orders import MAX_SEED, RenderOrder
from faceid_cli.orders.checks import check_text
from faceid_cli.orders.rendering import FOR_SEVERAL
from faceid_cli.orders.signatures import takes
from faceid_cli.rendering.guiding import read_guidance, with_face_mask
from faceid_cli.rendering.provenance import wanted_provenance
from faceid_cli.rendering.record import metadata_of
from faceid_cli.rendering.save import OutputPlan, check_output_place, plan_output, save_over, save_render
from faceid_cli.types import OnNote, OnProgress, Render


@takes(RenderOrder, without=("names", "prompt", *FOR_SEVERAL))
def generate(
    name: str,
    prompt: str,
    *,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
    **options: Any,
) -> list[Render]:
    """Render a person.

    Args:
        name: An enrolled person.
        prompt: `<name>`, `{name}` or the person's own name in either kind of brackets marks the person; without a mark
            the prompt follows "a photo of <name>".
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.
        options: Of `RenderOrder`, by name. Without `output` no picture is written.

    Returns:
        One render per picture; with `output`, each has its path. `settings["command"]` renders it again.

    Raises:
        UnknownNameError, UsageError, PromptTooLongError, PhotoError, ModelError (NotFiniteError among them: some
        pictures came to nothing, the others are written), OutputError, OutOfMemoryError.
    """
    order = rendering_order({"names": (name,), "prompt": prompt, **options}, on_note, FOR_SEVERAL)
    order.config.check_unsaid(FOR_SEVERAL, "generate")
    return render_order(order, on_progress, on_note)


def render_order(
    order: RenderOrder, on_progress: OnProgress | None = None, on_note: OnNote | None = None
) -> list[Render]:
    """Check everything that is quick to check, load, render, and write picture by picture; see `generate`."""
    seeds = _seeds(order.seed, order.count)
    if order.output is not None:  # the registry will keep the whole path
        check_text("--output", str(order.output.absolute()))
        check_output_place(order.output)
    if order.min_likeness is not None:
        return render_alike(order, seeds, on_progress, on_note)
    opened = open_people(order.names, order.config, order.model, order.options, on_note)
    order, prompt, files = placed(order, opened, on_note)
    cast = cast_of(order, opened, prompt)
    requests = requests_of(order, opened, prompt, seeds)
    there = files_there(order, requests)
    if not order.overwrite:
        seeds = [seed for seed in seeds if seed not in there]
    if on_note is not None and there and not order.overwrite:
        which = ", ".join(map(str, there.values())) if len(there) < 4 else f"{len(there)} pictures"
        on_note(f"there already: {which} (--overwrite renders again)")
    if not seeds:
        return [read_render(path, order, seed) for seed, path in there.items()]
    provenance = None if order.output is None else wanted_provenance(on_note)
    guidance = read_guidance(order)
    guidance = with_face_mask(guidance, order.face, opened.is_builtin, opened.device)

    # These bring in torch, which takes seconds.
    from faceid_cli.rendering.control import control_for
    from faceid_cli.rendering.generate import render_batches
    from faceid_cli.rendering.wording import Wordings
    from faceid_cli.tokens import read_embedding

    checking = None if cast is None else checking_for(opened, order, on_note)
    base, tokens, chosen = opened.base(on_note), opened.tokens(), ""
    words = {word: read_embedding(file, base) for word, file in files.items()}
    control = control_for(guidance, base)
    if order.auto:
        from faceid_cli.evaluation.auto import choose_likeness  # loads judges, which the other renderings do without

        person = opened.people[0]
        config, chosen = choose_likeness(base, person, tokens[person.name], prompt, order.config, on_note)
        order = replace(order, config=config)
    batches = render_batches(
        base,
        prompt,
        tokens,
        seeds,
        order.config,
        on_progress,
        guidance.init,
        words,
        guidance.mask,
        control,
        on_note,
        cast,
    )
    more, always = untold(order, opened, files, chosen, base), fields_with_defaults(RenderOrder)
    if checking is not None and cast is not None:
        again = renders_again(base, Wordings(base), tokens, words, order.config)
        batches = ([checking.checked(picture, cast, again) for picture in batch] for batch in batches)
    told_batches = (
        [told(picture, order, more | {"request": requests[picture.request.seed]}, always) for picture in batch]
        for batch in batches
    )
    if order.output is None:
        return [picture for batch in told_batches for picture in batch]
    # Only now, when nothing is left that could be wrong with the order, is anything written.
    plan = plan_output(order.output, "-".join(order.names), order.count, order.format, order.metadata)
    plan = replace(plan, provenance=provenance)
    old = {} if order.overwrite else {seed: read_render(path, order, seed) for seed, path in there.items()}
    targets = _targets(order, plan, seeds, there) if order.overwrite else {}
    new = save_pictures(told_batches, plan, targets, tuple(person.id for person in opened.people), on_note)
    made = old | {picture.request.seed: picture for picture in new}
    return [made[seed] for seed in sorted(made)]


def _seeds(seed: int | None, count: int) -> list[int]:
    first = secrets.randbelow(MAX_SEED - count + 2) if seed is None else seed
    if first + count - 1 > MAX_SEED:
        raise UsageError(f"{count} pictures from seed {first} on go beyond seed {MAX_SEED}", "use a smaller seed")
    return list(range(first, first + count))


def _targets(order: RenderOrder, plan: OutputPlan, seeds: Sequence[int], there: Mapping[int, Path]) -> dict[int, Path]:
    """What is overwritten, by seed: the same picture where it is there, else what has the name that it would get."""
    return {seed: there.get(seed, path) for seed, path in zip(seeds, plan.candidates(), strict=False)}


def save_pictures(
    batches: Iterable[list[Render]],
    plan: OutputPlan,
    targets: Mapping[int, Path],
    ids: tuple[str, ...],
    on_note: OnNote | None,
) -> list[Render]:
    """Write each picture as it is finished, and record it at once: what is on the disk is known to the registry."""
    saved: list[Render] = []
    try:
        for batch in batches:
            for picture in batch:
                with held_signals():
                    target, metadata = targets.get(picture.request.seed), metadata_of(picture, ids)
                    saved.append(
                        save_render(picture, plan, metadata)
                        if target is None
                        else save_over(picture, target, plan, metadata)
                    )
                    is_known = record_picture(saved[-1], ids, replaces=target is not None)
                if not is_known and on_note is not None and len(saved) == 1:
                    on_note(not_recorded())
    except KeyboardInterrupt as error:
        if not saved:
            raise
        raise InterruptedRunError(f"stopped by Ctrl-C; {finished(saved)}") from error
    except NotFiniteError as error:
        if saved:
            raise NotFiniteError(f"{error.message}; {finished(saved)}", error.hint) from error
        raise
    return saved
