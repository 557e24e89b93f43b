"""Rendering: from enrolled people and a prompt to pictures, on disk if wanted and then in the registry."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceid_cli.api.opening import open_people
from faceid_cli.builtin.words import unknown_words
from faceid_cli.errors import InterruptedRunError, NotFiniteError, UsageError
from faceid_cli.kept import paths
from faceid_cli.kept.settings import fields_with_defaults, rendering_order
from faceid_cli.kept.signals import held_signals
from faceid_cli.orders import MAX_SEED, RenderOrder
from faceid_cli.orders.checks import check_text
from faceid_cli.orders.emphasis import doubtful_weights, plain_text
from faceid_cli.orders.option import takes
from faceid_cli.orders.replay import render_command
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.guiding import read_guidance, with_face_mask
from faceid_cli.rendering.prompts import parse_embedding, place_people
from faceid_cli.rendering.save import OutputPlan, plan_output, save_render
from faceid_cli.types import OnNote, OnProgress, Render


@takes(RenderOrder, without=("names", "prompt"))
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
    order = rendering_order({"names": (name,), "prompt": prompt, **options}, on_note)
    return render_order(order, on_progress, on_note)


def render_order(
    order: RenderOrder, on_progress: OnProgress | None = None, on_note: OnNote | None = None
) -> list[Render]:
    """Check everything that is quick to check, load, render, and write picture by picture; see `generate`."""
    seeds = _seeds(order.seed, order.count)
    if order.output is not None:  # the registry will keep the whole path
        check_text("--output", str(order.output.absolute()))
    opened = open_people(order.names, order.config, order.model, order.options, on_note)
    order = replace(order, names=tuple(person.name for person in opened.people), config=opened.config)
    files = _embeddings(order, on_note)
    prompt = place_people(order.prompt, order.names, list(files))
    if on_note:
        for text in (prompt, order.config.negative_prompt):
            for doubt in doubtful_weights(text):
                on_note(doubt)
        unknown = unknown_words(plain_text(f"{prompt} {order.config.negative_prompt}")) if opened.is_builtin else ()
        if unknown:
            on_note(
                f"the built-in model does not know, and draws nothing for: {', '.join(unknown)}; "
                "faceid models info builtin lists what it can draw"
            )
    guidance = read_guidance(order)
    guidance = with_face_mask(guidance, order.face, opened.is_builtin, opened.device)

    # These bring in torch, which takes seconds.
    from faceid_cli.rendering.control import control_for
    from faceid_cli.rendering.generate import render_batches
    from faceid_cli.tokens import read_embedding

    base, tokens, chosen = opened.base(on_note), opened.tokens(), ""
    words = {word: read_embedding(file, base) for word, file in files.items()}
    control = control_for(guidance, base)
    if order.auto:
        from faceid_cli.evaluation.auto import choose_likeness  # loads judges, which the other renderings do without

        person = opened.people[0]
        config, chosen = choose_likeness(base, person, tokens[person.name], prompt, order.config, on_note)
        order = replace(order, config=config)
    batches = render_batches(
        base, prompt, tokens, seeds, order.config, on_progress, guidance.init, words, guidance.mask, control, on_note
    )
    more, always = _untold(order, files, chosen, base), fields_with_defaults(RenderOrder)
    told = (_told(batch, order, more, always) for batch in batches)
    if order.output is None:
        return [picture for batch in told for picture in batch]
    # Only now, when nothing is left that could be wrong with the order, is anything written.
    plan = plan_output(order.output, "-".join(order.names), order.count)
    return _save(told, plan, tuple(person.id for person in opened.people), on_note)


def _embeddings(order: RenderOrder, on_note: OnNote | None) -> dict[str, Path]:
    """Files of others by the words that stand for them."""
    files: dict[str, Path] = {}
    for file, word in (parse_embedding(text) for text in order.embeddings):
        if word in files or word in order.names:
            raise UsageError(f"<{word}> would stand for two things", "give one of them another word: FILE:WORD")
        files[word] = file
        if f"<{word}>" not in f"{order.prompt} {order.config.negative_prompt}" and on_note:
            on_note(f"no prompt mentions <{word}>, so {file.name} changes nothing")
    return files


def _untold(order: RenderOrder, embeddings: Mapping[str, Path], chosen: str, base: Any) -> dict[str, object]:
    """What belongs into the settings and the rendering does not know: names of files, and how likeness was chosen."""
    from faceid_cli.backbone.additions import hash_of_file
    from faceid_cli.tokens import files_of_embedding

    hashes = {word: " ".join(map(hash_of_file, files_of_embedding(path, base))) for word, path in embeddings.items()}
    return {
        "chosen": chosen,
        "files": {option: path.name for option, path in order.files.items()},
        "face": "" if order.into is None else str(order.face),
        "embeddings": tuple(f"{word} {path.name} {hashes[word]}" for word, path in embeddings.items()),
    }


def _told(
    batch: Sequence[Render], order: RenderOrder, more: Mapping[str, object], always: Collection[str]
) -> list[Render]:
    """Add that to the settings, with the prompt as it was written, and the command that makes the picture again."""
    return [
        replace(
            picture,
            request=replace(picture.request, prompt=order.prompt),
            settings={**picture.settings, **more, "command": render_command(order, picture.request.seed, always)},
        )
        for picture in batch
    ]


def _seeds(seed: int | None, count: int) -> list[int]:
    first = secrets.randbelow(MAX_SEED - count + 2) if seed is None else seed
    if first + count - 1 > MAX_SEED:
        raise UsageError(f"{count} pictures from seed {first} on go beyond seed {MAX_SEED}", "use a smaller seed")
    return list(range(first, first + count))


def _save(
    batches: Iterable[list[Render]], plan: OutputPlan, ids: tuple[str, ...], on_note: OnNote | None
) -> list[Render]:
    """Write each picture as it is finished, and record it at once: what is on the disk is known to the registry."""
    from faceid_cli.rendering.generate import metadata_of

    saved: list[Render] = []
    try:
        for batch in batches:
            for picture in batch:
                with held_signals():
                    saved.append(save_render(picture, plan, metadata_of(picture, ids)))
                    is_known = _record(saved[-1], ids)
                if not is_known and on_note is not None and len(saved) == 1:
                    file = paths.registry_file()
                    on_note(f"the registry {file} cannot be written, so it does not know of these pictures")
    except KeyboardInterrupt as error:
        if not saved:
            raise
        raise InterruptedRunError(f"stopped by Ctrl-C; {_finished(saved)}") from error
    except NotFiniteError as error:
        if saved:
            raise NotFiniteError(f"{error.message}; {_finished(saved)}", error.hint) from error
        raise
    return saved


def _finished(saved: Sequence[Render]) -> str:
    done = "1 picture is" if len(saved) == 1 else f"{len(saved)} pictures are"
    return f"{done} finished, the last is {saved[-1].path}"


def _record(picture: Render, ids: tuple[str, ...]) -> bool:
    """Let the registry know of a picture that was written; False where it can only be read."""
    assert picture.path is not None
    request = picture.request
    with Registry.open() as registry:
        if registry.is_read_only:
            return False
        registry.add_renders([NewRender(ids, picture.path.absolute(), request.prompt, request.seed, picture.settings)])
        return True
