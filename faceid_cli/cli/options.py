"""Arguments and options that several commands share, and the parsers of their values. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from faceid_cli.cli.output import out
from faceid_cli.config import PRECISIONS, PRESETS, SCHEDULERS, ModelOptions, RenderConfig
from faceid_cli.errors import UsageError
from faceid_cli.registry.names import known_names
from faceid_cli.types import Box


def examples(*lines: str) -> str:
    """The epilog of a help text: real commands, one a line (\\b keeps the lines as they are)."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def complete_names(incomplete: str) -> list[str]:
    """Names of enrolled people that begin so, for shell completion."""
    return [name for name in known_names() if name.startswith(incomplete)]


def one_of(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """A completion over fixed words; the library checks the value and words the error."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def parse_size(text: str | None) -> tuple[int | None, int | None]:
    """Read "WIDTHxHEIGHT" in pixels.

    Raises:
        UsageError: Anything else.
    """
    if text is None:
        return None, None
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"{text!r} is not a size", "write it as WIDTHxHEIGHT in pixels, such as 512x768")
    return int(width), int(height)


def parse_stages(text: str | None) -> tuple[int, ...]:
    """Read "2-5", "1,3" or both together as stages in order; none for nothing.

    Raises:
        UsageError: Anything else.
    """
    found: set[int] = set()
    for part in [] if text is None else text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= _MOST_STAGES):
            raise UsageError(f"{text!r} names no stages", "write them as 2-5 or 1,3; 1 is the noisiest")
        found |= set(range(int(first), int(last) + 1))
    return tuple(sorted(found))


def parse_box(text: str | None) -> Box | None:
    """Read "x,y,width,height" in pixels.

    Raises:
        UsageError: Anything else, or an empty box.
    """
    if text is None:
        return None
    try:
        x, y, width, height = (float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(
            f"{text!r} is not a box", "write it as x,y,width,height in pixels, such as 40,30,200,200"
        ) from None
    if not (width > 0 and height > 0 and x >= 0 and y >= 0):
        raise UsageError(
            f"the box {text!r} is empty or outside the picture", "x and y from 0, width and height above 0"
        )
    return Box(x, y, width, height)


def model_options(
    variant: str | None, vae: str | None, lora: list[str] | None, low_vram: bool, compile_: bool = False
) -> ModelOptions | None:
    """How to load the base model; None where nothing is said."""
    given = ModelOptions(variant, vae, tuple(lora) if lora else None, low_vram, compile_)
    return None if given == ModelOptions() else given


# Those of TrainConfig that have no option of their own: most are for experiments.
_MORE_SETTINGS: dict[str, type] = {
    "background_weight": float,
    "learning_rate_schedule": str,
    "warm_up": int,
    "average_last": int,
    "initial_token": str,
    "token_space": str,
    "self_attention": bool,
}


def parse_settings(texts: Iterable[str]) -> dict[str, str | int | float | bool]:
    """Read "SETTING=VALUE", several times.

    Raises:
        UsageError: No such setting, or a value of another type.
    """
    found: dict[str, str | int | float | bool] = {}
    for text in texts:
        name, _, value = text.partition("=")
        kind = _MORE_SETTINGS.get(name)
        if kind is None:
            raise UsageError(f"{text!r} sets nothing", f"settings are: {', '.join(_MORE_SETTINGS)}")
        try:
            found[name] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (ValueError, KeyError):
            words = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
            raise UsageError(f"{name} is {words}, not {value!r}", f"write it as {name}=VALUE") from None
    return found


_MOST_STAGES = 1000
FACES = ("auto", "only", "largest", "left", "right")


def _json_mode(value: bool) -> bool:
    if value:
        out.mode = "json"
    return value


def _quiet_mode(value: bool) -> bool:
    if value and out.mode != "json":
        out.mode = "quiet"
    return value


def _verbose_mode(value: bool) -> bool:
    out.verbose = out.verbose or value
    return value


Json = Annotated[bool, typer.Option("--json", callback=_json_mode, help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_quiet_mode, help="Print only names or paths.")]
Verbose = Annotated[bool, typer.Option("--verbose", callback=_verbose_mode, help="Show where an error comes from.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Name = Annotated[str, typer.Argument(metavar="NAME", help="An enrolled person.", autocompletion=complete_names)]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="MODEL", help="Base model: builtin, a name, a diffusers folder, a file or a hub id."
    ),
]
Variant = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="Which of the base model's files, such as fp16.")
]
Vae = Annotated[str | None, typer.Option("--vae", metavar="PATH", help="Another autoencoder: a file or a folder.")]
Lora = Annotated[
    list[str] | None,
    typer.Option("--lora", metavar="FILE[:SCALE]", help="Put a LoRA into the base model; may be repeated."),
]
LowVram = Annotated[bool, typer.Option("--low-vram", help="Use less memory and more time.")]
Compile = Annotated[
    bool, typer.Option("--compile", help="Let torch compile the model first: takes minutes, pays in long work.")
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps.",
        autocompletion=one_of(("auto", "cpu", "cuda", "mps")),
    ),
]
Precision = Annotated[
    str | None,
    typer.Option("--precision", metavar="TYPE", help=", ".join(PRECISIONS) + ".", autocompletion=one_of(PRECISIONS)),
]
Preset = Annotated[
    str,
    typer.Option("--preset", metavar="PRESET", help=", ".join(PRESETS) + ".", autocompletion=one_of(PRESETS)),
]

# Of `generate` and `compose`
RENDER_DEFAULTS = RenderConfig()
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Seed of the first picture; random if not given, and shown.")
]
Count = Annotated[int, typer.Option("--count", "-n", metavar="K", help="Number of pictures.")]
RenderSteps = Annotated[int, typer.Option("--steps", metavar="N", help="Sampler steps.")]
GuidanceScale = Annotated[
    float, typer.Option("--guidance-scale", metavar="X", help="How closely to follow the prompt; 1 switches it off.")
]
Likeness = Annotated[
    float,
    typer.Option("--likeness", metavar="X", help="How much of the person: 0 anybody of the class, 1 all, up to 2."),
]
LikenessKeys = Annotated[
    float | None,
    typer.Option("--likeness-k", metavar="X", help="The same for where the person's word looks (keys) alone."),
]
LikenessValues = Annotated[
    float | None,
    typer.Option("--likeness-v", metavar="X", help="The same for what the person's word puts there (values) alone."),
]
InStages = Annotated[
    str | None,
    typer.Option("--stages", metavar="N-M", help="Timestep stages with the person, 1 the noisiest; the class else."),
]
Scheduler = Annotated[
    str,
    typer.Option("--scheduler", metavar="NAME", help=", ".join(SCHEDULERS) + ".", autocompletion=one_of(SCHEDULERS)),
]
Negative = Annotated[str, typer.Option("--negative", metavar="TEXT", help="What the picture should not show.")]
Size = Annotated[
    str | None, typer.Option("--size", metavar="WxH", help="In pixels; the base model's own size if not given.")
]
OutputPath = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="A .png file or a folder; nothing is overwritten."),
]
RENDER_BATCH = str(RENDER_DEFAULTS.batch_size)
RenderBatch = Annotated[
    str, typer.Option("--batch", metavar="N", help="Pictures rendered at once; auto for as many as fit into memory.")
]
ClipSkip = Annotated[
    int, typer.Option("--clip-skip", metavar="N", help="Layers of the text encoder to leave out at its end.")
]
Embedding = Annotated[
    list[str] | None,
    typer.Option("--embedding", metavar="FILE[:WORD]", help="A textual-inversion file; the prompt marks it as <WORD>."),
]
