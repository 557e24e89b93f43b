"""Commands that do something again, to be pasted into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Sequence
from dataclasses import replace

from faceid_cli.orders.checks import is_text
from faceid_cli.orders.enrolling import EnrolOrder
from faceid_cli.orders.loading import ModelOptions
from faceid_cli.orders.rendering import RenderOrder
from faceid_cli.orders.sampling import RenderConfig, Sampler
from faceid_cli.orders.training import PRESETS, more_settings
from faceid_cli.orders.words import said, words


def render_command(order: RenderOrder, seed: int, is_builtin: bool, always: Collection[str] = ()) -> str:
    """Return the `faceid` command that makes one picture of an order again; files keep their absolute paths.

    Args:
        order: The order.
        seed: Of the picture.
        is_builtin: Whether its base model is the built-in one, which has a sampler of its own.
        always: Options that are said even if they are as usual: those for which the user has another default.
    """
    if always and order.options is None:
        order = replace(order, options=ModelOptions())
    command = "compose" if len(order.names) > 1 or order.config.layout or order.config.region else "generate"
    prompt = order.prompt if not order.prompt.startswith("-") else f" {order.prompt}"
    usual = RenderConfig(device="auto", precision="auto").suiting(is_builtin)
    wanted = order.config.suiting(is_builtin).sampler
    told = {
        name: value
        for name, value in wanted._asdict().items()
        if name in always or value != getattr(usual.sampler, name)
    }
    if RenderConfig(eta=order.config.eta, **told).suiting(is_builtin).sampler != wanted:
        always = {*always, *Sampler._fields}  # one of them alone would change what suits
    config = words(order.config, usual, always=always)
    rest = words(order, without=("config",), always=always)
    return _join(["faceid", command, *order.names, prompt, "--seed", str(seed), *config, *rest])


def enrol_command(order: EnrolOrder, always: Collection[str] = ()) -> str:
    """Return the `faceid` command that learns a person again, in the place of the one who is there.

    Args:
        order: With the base model named, and its settings settled: what differs from their preset is said.
        always: As for `render_command`.
    """
    usual = replace(PRESETS[order.config.method], device="auto", precision="auto")
    if order.config.templates == "face":  # what most would have had unasked
        usual = replace(usual, templates="face")
    start = ["faceid", "enroll", order.name, *map(str, order.photos), "--replace", *said("--model", order.model)]
    settings = [*said("--preset", order.config.method), *words(order.config, usual, without=("method",), always=always)]
    for name in more_settings():
        if (value := getattr(order.config, name)) != getattr(usual, name):
            settings += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    model = words(order.options, always=always) if order.options is not None else ()
    return _join([*start, *settings, *model, *words(order, without=("config", "model", "options"), always=always)])


def _join(words: Sequence[str]) -> str:
    """A command line; names that are no text in the way that bash, ksh and zsh read bytes."""
    return " ".join(shlex.quote(word) if is_text(word) else _in_bytes(word) for word in words)


def _in_bytes(word: str) -> str:
    said = (f"\\x{byte:02x}" if byte in b"\\'" or not 32 <= byte < 127 else chr(byte) for byte in os.fsencode(word))
    return f"$'{''.join(said)}'"
