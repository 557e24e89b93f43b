"""Rendering: from enrolled people and a prompt to pictures, on disk if wanted and then in the registry."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from faceid_cli.api.auto import choose_likeness
from faceid_cli.api.base_models import OnNote, checked_options, options_for, source_for
from faceid_cli.api.guiding import read_guides, with_face_mask
from faceid_cli.config import MAX_SEED, ModelOptions, RenderConfig, check_seed
from faceid_cli.errors import InterruptedRunError, UsageError
from faceid_cli.identity_file import load_identity
from faceid_cli.model_files import BUILTIN
from faceid_cli.registry.records import NewRender
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.command import Request, render_command
from faceid_cli.rendering.guides import Guides
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
    mask: Path | str | None = None,
    into: Path | str | None = None,
    face: str | int = "only",
    control: tuple[str, str] | None = None,
    control_image: Path | str | None = None,
    embeddings: Sequence[str] = (),
    auto: bool = False,
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
        auto: Try a few levels of likeness first, and take the one that suits the prompt best; instead of the
            likeness in `config`.
        options: How to load the base model; by default as it was when the person was learned.
        init: A picture to start from; `config.strength` says how much of it may change.
        mask: A picture of the same size, white where `init` may change; the rest stays bit for bit.
        into: A photo in which a face is replaced by the person's; the rest stays bit for bit.
        face: Which face of it: "only", "largest", "left", "right", or its number from the left.
        control: Kind and source of a ControlNet: ("canny", a folder, a file or a hub id); see `config.CONTROLS`.
        control_image: The picture that it follows; `config.control_scale` says how closely.
        embeddings: Textual-inversion files of others, "FILE" or "FILE:WORD"; the prompt marks them as `<WORD>`.
        output: A .png file or a folder; the pictures are not written if None.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.

    Returns:
        One render per picture; with `output`, each has its path. `settings["command"]` renders it again.

    Raises:
        UnknownNameError, UsageError, PromptTooLongError, PhotoError, ModelError, OutputError, OutOfMemoryError.
    """
    guides = _guides(init, mask, into, face, control, control_image)
    request = Request((name,), prompt, config or RenderConfig(), model, options, guides, tuple(embeddings))
    return _render(request, seed, count, output, on_progress, on_note, auto)


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
    mask: Path | str | None = None,
    control: tuple[str, str] | None = None,
    control_image: Path | str | None = None,
    embeddings: Sequence[str] = (),
    output: Path | str | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> list[Render]:
    """Render several people into each picture; arguments and errors as in `generate`."""
    guides = _guides(init, mask, None, "only", control, control_image)
    request = Request(tuple(names), prompt, config or RenderConfig(), model, options, guides, tuple(embeddings))
    return _render(request, seed, count, output, on_progress, on_note)


def _guides(
    init: Path | str | None,
    mask: Path | str | None,
    into: Path | str | None,
    face: str | int,
    control: tuple[str, str] | None,
    control_image: Path | str | None,
) -> Guides:
    files = {"init": init, "mask": mask, "into": into, "control_image": control_image}
    kind, source = control or ("", "")
    given = {key: Path(path).expanduser() for key, path in files.items() if path is not None}
    return Guides(face=face, control=kind, control_model=source, **given)


def _render(
    request: Request,
    seed: int | None,
    count: int,
    output: Path | str | None,
    on_progress: OnProgress | None,
    on_note: OnNote | None,
    auto: bool = False,
) -> list[Render]:
    """Check everything that is quick to check, load, render, and write picture by picture."""
    config = request.config
    seeds = _seeds(seed, count)
    if auto and (request.guides.files or request.embeddings):
        raise UsageError("--auto tries pictures from noise alone", "choose --likeness yourself")
    with Registry.open(create=False) as registry:
        people = [registry.get(name) for name in request.names]
    files = _embeddings(request, [person.name for person in people], on_note)
    place_people(request.prompt, [person.name for person in people], list(files))
    stored = {person.name: load_identity(person.path) for person in people}
    guidance = read_guides(request.guides)
    loading = options_for(people, None if request.options is None else checked_options(request.options), request.model)
    source = source_for(people, request.model, on_note, loading)
    guidance = with_face_mask(guidance, source == BUILTIN, config.device)

    # These bring in torch, which takes seconds.
    from faceid_cli.backbone import load_base_model
    from faceid_cli.rendering.generate import render_batches
    from faceid_cli.tokens import read_embedding, tokens_from_arrays

    base = load_base_model(source, config.device, config.precision, loading)
    if on_note:
        for line in base.notes:
            on_note(line)
    tokens = {
        name: tokens_from_arrays(file.keys, file.values, file.metadata.class_word) for name, file in stored.items()
    }
    words = {word: read_embedding(file, base) for word, file in files.items()}
    control, chosen = guidance.control(base), ""
    if auto:
        config, chosen = choose_likeness(base, people[0], tokens[people[0].name], request.prompt, config, on_note)
        request = replace(request, config=config)
    batches = render_batches(
        base, request.prompt, tokens, seeds, config, on_progress, guidance.init, words, guidance.mask, control
    )
    more = _untold(request, files, chosen)
    told = (_told(batch, request, more) for batch in batches)
    if output is None:
        return [picture for batch in told for picture in batch]
    # Only now, when nothing is left that could be wrong with the request, is anything written.
    plan = plan_output(Path(output), "-".join(person.name for person in people), count)
    return _save(told, plan, tuple(person.id for person in people))


def _embeddings(request: Request, names: Sequence[str], on_note: OnNote | None) -> dict[str, Path]:
    """Files of others by the words that stand for them."""
    files: dict[str, Path] = {}
    for file, word in (parse_embedding(text) for text in request.embeddings):
        if word in files or word in names:
            raise UsageError(f"<{word}> would stand for two things", "give one of them another word: FILE:WORD")
        files[word] = file
        if f"<{word}>" not in f"{request.prompt} {request.config.negative_prompt}" and on_note:
            on_note(f"no prompt mentions <{word}>, so {file.name} changes nothing")
    return files


def _untold(request: Request, embeddings: Mapping[str, Path], chosen: str) -> dict[str, object]:
    """What belongs into the settings and the rendering does not know: names of files, and how likeness was chosen."""
    from faceid_cli.backbone.additions import hash_of_file

    guides = request.guides
    return {
        "chosen": chosen,
        "files": {option: path.name for option, path in guides.files.items()},
        "face": "" if guides.into is None else str(guides.face),
        "embeddings": tuple(f"{word} {path.name} {hash_of_file(path)}" for word, path in embeddings.items()),
    }


def _told(batch: Sequence[Render], request: Request, more: Mapping[str, object]) -> list[Render]:
    """Add that to the settings, and the command that makes the picture again."""
    return [
        replace(
            picture,
            settings={**picture.settings, **more, "command": render_command(request, picture.request.seed)},
        )
        for picture in batch
    ]


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
    except KeyboardInterrupt as error:
        if not saved:
            raise
        done = "1 picture is" if len(saved) == 1 else f"{len(saved)} pictures are"
        raise InterruptedRunError(f"stopped by Ctrl-C; {done} finished, the last is {saved[-1].path}") from error
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
