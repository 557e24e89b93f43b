"""What is settled of an order before anything is loaded: who is meant, where they stand, and what is told of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceid_cli.api.composing import with_layout
from faceid_cli.api.opening import Opened
from faceid_cli.api.origins import origins_of
from faceid_cli.builtin.words import unknown_words
from faceid_cli.errors import UsageError
from faceid_cli.kept.settings import fields_with_defaults
from faceid_cli.model_files.file_hashes import sha256_of
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.emphasis import doubtful_weights, plain_text, weighted_parts
from faceid_cli.orders.idle import idle_options
from faceid_cli.orders.replay import render_command
from faceid_cli.rendering.prompts import parse_embedding, place_people
from faceid_cli.types import BUILTIN, OnNote, Render


def placed(order: RenderOrder, opened: Opened, on_note: OnNote | None) -> tuple[RenderOrder, str, dict[str, Path]]:
    """The order with names as the registry writes them, its prompt with people as `<name>`, and files of other words.

    Raises:
        UsageError: A prompt that marks nobody, or leaves somebody out; a word that stands for two things.
    """
    order = replace(order, names=tuple(person.name for person in opened.people), config=opened.config)
    order = with_layout(order)
    files = _embeddings(order, on_note)
    prompt = place_people(order.prompt, order.names, list(files))
    if on_note:
        _tell_idle(order, on_note)
        _tell_doubts(prompt, order.config.negative_prompt, opened.is_builtin, on_note)
        if order.has_regions and any(weight != 1 for _, weight in weighted_parts(prompt)):
            on_note("weights in the prompt count for nothing where people have regions; `--layout none` keeps them")
    return order, prompt, files


def _tell_idle(order: RenderOrder, on_note: OnNote) -> None:
    """Not of the user's own defaults: they are for all pictures, and may do nothing for some."""
    idle = idle_options(order)
    mine = fields_with_defaults(RenderOrder) if idle else ()
    for field, line in idle.items():
        if field not in mine:
            on_note(line)


def _tell_doubts(prompt: str, negative: str, is_builtin: bool, on_note: OnNote) -> None:
    for text in (prompt, negative):
        for doubt in doubtful_weights(text):
            on_note(doubt)
    unknown = unknown_words(plain_text(f"{prompt} {negative}")) if is_builtin else ()
    if unknown:
        on_note(
            f"the built-in model does not know, and draws nothing for: {', '.join(unknown)}; "
            "faceid models info builtin lists what it can draw"
        )


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


def untold(
    order: RenderOrder, opened: Opened, embeddings: Mapping[str, Path], chosen: str, base: Any
) -> dict[str, object]:
    """What belongs into the settings and the rendering does not know: people, files, and how likeness was chosen."""
    from faceid_cli.tokens import files_of_embedding

    of_words = {word: files_of_embedding(path, base) for word, path in embeddings.items()}
    hashes = {word: " ".join(sha256_of(file)[:16] for file in files) for word, files in of_words.items()}
    return {
        **origins_of(order, opened, embeddings, [file for files in of_words.values() for file in files]),
        "chosen": chosen,
        "files": {option: path.name for option, path in order.files.items()},
        "face": "" if order.into is None else str(order.face),
        "embeddings": tuple(f"{word} {path.name} {hashes[word]}" for word, path in embeddings.items()),
    }


def told(picture: Render, order: RenderOrder, more: Mapping[str, object], always: Collection[str]) -> Render:
    """Add that to the settings, with the prompt as it was written, and the command that makes the picture again."""
    command = render_command(order, picture.request.seed, picture.settings["base_model"] == BUILTIN, always)
    return replace(
        picture,
        request=replace(picture.request, prompt=order.prompt),
        settings={**picture.settings, **more, "command": command},
    )
