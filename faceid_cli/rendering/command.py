"""The command that renders a picture again, to be pasted into a shell. Needs no torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faceid_cli.config import ModelOptions, RenderConfig
from faceid_cli.model_files import BUILTIN
from faceid_cli.rendering.guides import Guides

_USUAL = RenderConfig()
_OPTIONS = {
    "steps": "--steps",
    "guidance_scale": "--guidance-scale",
    "likeness": "--likeness",
    "likeness_keys": "--likeness-k",
    "likeness_values": "--likeness-v",
    "scheduler": "--scheduler",
    "negative_prompt": "--negative",
    "clip_skip": "--clip-skip",
    "strength": "--strength",
    "control_scale": "--control-scale",
    "hires": "--hires",
    "hires_strength": "--hires-strength",
    "precision": "--precision",
    "device": "--device",
}


@dataclass(frozen=True)
class Request:
    """Pictures as they were asked for.

    Attributes:
        names: The people.
        prompt: As the user wrote it.
        config: How to render.
        model: The base model, where another than the people's own was asked for.
        options: How to load it; None for as it was when they were learned.
        guides: Files beside the prompt.
        embeddings: As they were given.
    """

    names: tuple[str, ...]
    prompt: str
    config: RenderConfig
    model: str | None = None
    options: ModelOptions | None = None
    guides: Guides = field(default_factory=Guides)
    embeddings: tuple[str, ...] = ()


def render_command(request: Request, seed: int) -> str:
    """Return the `faceid` command that makes one picture of a request again; files keep their absolute paths."""
    command = "generate" if len(request.names) == 1 else "compose"
    prompt = request.prompt if not request.prompt.startswith("-") else f" {request.prompt}"
    words = ["faceid", command, *request.names, prompt, "--seed", str(seed)]
    words += [*_settings(request.config), *_guides(request.guides)]
    for embedding in request.embeddings:
        words += option("--embedding", _absolute(embedding))
    words += [*option("--model", request.model and _absolute(request.model)), *_model(request.options)]
    return shlex.join(words)


def option(name: str, value: object) -> list[str]:
    """An option with its value; with "=" where the value itself looks like one. Nothing for no value."""
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    if value is None or not text:
        return []
    return [f"{name}={text}"] if text.startswith("-") else [name, text]


def _absolute(source: str) -> str:
    """FILE, or FILE:WORD, with its whole path; names and hub ids stay as they are."""
    if source == BUILTIN:
        return source
    file, colon, word = source, "", ""
    if not Path(source).expanduser().exists():
        file, colon, word = source.rpartition(":")
    path = Path(file).expanduser()
    return f"{path.absolute()}{colon}{word}" if file and path.exists() else source


def _settings(config: RenderConfig) -> Iterator[str]:
    """What differs from the defaults."""
    for setting, name in _OPTIONS.items():
        value = getattr(config, setting)
        if value != getattr(_USUAL, setting):
            yield from option(name, value)
    if config.width is not None and config.height is not None:
        yield from option("--size", f"{config.width}x{config.height}")
    yield from option("--stages", ",".join(map(str, config.stages)))


def _guides(guides: Guides) -> Iterator[str]:
    for name, path in guides.files.items():
        yield from option(f"--{name}", path.expanduser().absolute())
    if guides.face != "only":
        yield from option("--face", guides.face)
    if guides.control:
        yield from ("--control", guides.control, _absolute(guides.control_model))


def _model(options: ModelOptions | None) -> Sequence[str]:
    if options is None:
        return ()
    words = [*option("--variant", options.variant), *option("--vae", options.vae and _absolute(options.vae))]
    for lora in options.loras or ():
        words += option("--lora", _absolute(lora))
    return [*words, *(["--low-vram"] if options.low_vram else [])]
