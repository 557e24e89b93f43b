"""Rendering: from enrolled people and a prompt to pictures, on disk if wanted and then in the registry."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from faceid_cli.api.base_models import OnNote, checked_options, options_for, source_for
from faceid_cli.config import MAX_SEED, ModelOptions, RenderConfig, check_seed
from faceid_cli.errors import UsageError
from faceid_cli.identity_file import load_identity
from faceid_cli.photos import read_photo
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.prompts import parse_embedding, place_people
from faceid_cli.rendering.save import OutputPlan, plan_output, save_render
from faceid_cli.types import Render

OnProgress = Callable[[int, int], None]


def generate(
    name: str,
    prompt: str,
    *,
    seed: int | None = None,
    count: int = 1,
    config: RenderConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    init: Path | str | None = None,
    embeddings: Sequence[str] = (),
    output: Path | str | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> list[Render]:
    """Render a person.

    Args:
        name: An enrolled person.
        prompt: `<name>`, `{name}` or the person's own name in either kind of brackets marks the person; without a mark
            the prompt follows "a photo of <name>".
        seed: Of the first picture; the next ones count up. Random if None.
        count: Number of pictures.
        config: How to render.
        model: Another base model than the person's own, of the same family.
        init: A picture to start from; `config.strength` says how much of it may change.
        embeddings: Textual-inversion files of others, "FILE" or "FILE:WORD"; the prompt marks them as `<WORD>`.
        options: How to load the base model; by default as it was when the person was learned.
        output: A .png file or a folder; the pictures are not written if None.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.

    Returns:
        One render per picture; with `output`, each has its path.

    Raises:
        UnknownNameError, UsageError, PromptTooLongError, ModelError, OutputError, OutOfMemoryError.
    """
    return compose(
        [name],
        prompt,
        seed=seed,
        count=count,
        config=config,
        model=model,
        options=options,
        init=init,
        embeddings=embeddings,
        output=output,
        on_progress=on_progress,
        on_note=on_note,
    )


def compose(
    names: Sequence[str],
    prompt: str,
    *,
    seed: int | None = None,
    count: int = 1,
    config: RenderConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    init: Path | str | None = None,
    embeddings: Sequence[str] = (),
    output: Path | str | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> list[Render]:
    """Render several people into each picture; arguments and errors as in `generate`."""
    config = config or RenderConfig()
    seeds = _seeds(seed, count)
    with Registry.open(create=False) as registry:
        people = [registry.get(name) for name in names]
    files = {word: file for file, word in (parse_embedding(text) for text in embeddings)}
    place_people(prompt, [person.name for person in people], list(files))
    stored = {person.name: load_identity(person.path) for person in people}
    picture = None if init is None else read_photo(Path(init)).image
    loading = options_for(people, None if options is None else checked_options(options))
    source = source_for(people, model, on_note, loading)

    # These bring in torch, which takes seconds.
    from faceid_cli.backbone import load_base_model
    from faceid_cli.rendering.generate import render_batches
    from faceid_cli.tokens import read_embedding, tokens_from_arrays

    base = load_base_model(source, config.device, config.precision, loading)
    tokens = {
        name: tokens_from_arrays(file.keys, file.values, file.metadata.class_word) for name, file in stored.items()
    }
    words = {word: read_embedding(file, base) for word, file in files.items()}
    batches = render_batches(base, prompt, tokens, seeds, config, on_progress, picture, words)
    if output is None:
        return [picture for batch in batches for picture in batch]
    # Only now, when nothing is left that could be wrong with the request, is anything written.
    plan = plan_output(Path(output), "-".join(person.name for person in people), count)
    return _save(batches, plan, tuple(person.id for person in people))


def _seeds(seed: int | None, count: int) -> list[int]:
    if count < 1:
        raise UsageError(f"count must be 1 or more, not {count}")
    first = secrets.randbelow(MAX_SEED - count + 2) if seed is None else check_seed(seed)
    if first + count - 1 > MAX_SEED:
        raise UsageError(f"{count} pictures from seed {first} on go beyond seed {MAX_SEED}", "use a smaller seed")
    return list(range(first, first + count))


def _save(batches: Iterable[list[Render]], plan: OutputPlan, ids: tuple[str, ...]) -> list[Render]:
    """Write pictures as they are finished, and record those that were written, even if a later one fails."""
    from faceid_cli.rendering.generate import metadata_of

    saved: list[Render] = []
    try:
        for batch in batches:
            for picture in batch:
                saved.append(save_render(picture, plan, metadata_of(picture, ids)))
    finally:
        _record(saved, ids)
    return saved


def _record(saved: Sequence[Render], ids: tuple[str, ...]) -> None:
    records = [
        NewRender(ids, picture.path.absolute(), picture.request.prompt, picture.request.seed, picture.settings)
        for picture in saved
        if picture.path is not None
    ]
    if records:
        with Registry.open() as registry:
            registry.add_renders(records)
