"""From options of the library to options of the command line, and those that only the command line has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from faceid_cli.cli.flags import Json as Json  # all flags can be had here
from faceid_cli.cli.flags import Name as Name
from faceid_cli.cli.flags import Names as Names
from faceid_cli.cli.flags import Quiet as Quiet
from faceid_cli.cli.flags import Verbose as Verbose
from faceid_cli.cli.flags import Yes as Yes
from faceid_cli.cli.flags import complete_names as complete_names
from faceid_cli.cli.flags import examples as examples
from faceid_cli.cli.flags import one_of as one_of
from faceid_cli.errors import FaceIDError
from faceid_cli.kept.settings import read_setting
from faceid_cli.orders.loading import MODEL
from faceid_cli.orders.option import Option, Options, leaves
from faceid_cli.types import BUILTIN

Group = TypeVar("Group", bound=Options)
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_CONTEXT = "said_in"

OF_SCORED_PICTURES = (
    "steps",
    "guidance_scale",
    "likeness",
    "likeness_keys",
    "likeness_values",
    "stages",
    "scheduler",
    "negative_prompt",
    "width",
    "batch_size",
    "low_vram",
    "device",
    "precision",
    "output",
)
"""What `evaluate` and its like take of the options of rendering: what means something for many prompts."""


def complete_prompt(incomplete: str) -> list[str]:
    """The prompt with what the built-in model can draw that begins as its last word; nothing for other base models."""
    from faceid_cli.builtin.words import DRAWS

    with suppress(FaceIDError):
        if read_setting("model") == BUILTIN:
            start = max(incomplete.rfind(" "), incomplete.rfind(",")) + 1
            said, word = incomplete[:start], incomplete[start:].lower()
            return [said + each for kind in DRAWS.values() for each in kind if word and each.startswith(word)]
    return []


def spread(
    *groups: type[Options], only: Sequence[str] = (), without: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of groups; its argument `given` then holds what was said, by field names.

    What was not said is not in it, but for options whose default is None.

    Args:
        groups: Whose options; of several with an option of one name, the first one's.
        only: Names of fields; all of them if empty.
        without: Names of fields that the command does not take.
    """
    taken: dict[str, tuple[Option, Any, Any, bool]] = {}
    for group in groups:
        for name, leaf in leaves(group).items():
            is_there = leaf[0].flags or leaf[0].off
            if is_there and (not only or name in only) and name not in without:
                taken.setdefault(name, (*leaf, group.is_preset or _is_of_preset(group, name)))

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        before = [each for each in signature.parameters.values() if each.name != "given"]
        arguments = [each for each in before if each.default is inspect.Parameter.empty]
        rest = [each for each in before if each.default is not inspect.Parameter.empty]
        more = [parameter for name, leaf in taken.items() for parameter in _parameters(name, *leaf)]

        @functools.wraps(command)
        def wrapper(**values: Any) -> None:
            context: typer.Context = values.pop(_CONTEXT)
            given: dict[str, Any] = {}
            for name, (asked, _, default, _) in taken.items():
                former, against = values.pop(f"former_{name}", None), values.pop(f"against_{name}", None)
                value = values.pop(name, None)
                if against:
                    given[name] = bool(default) if not asked.flags else False
                elif former is not None:
                    given |= _read(name, asked, former)
                elif _is_said(context, name) or default is None:
                    given |= _read(name, asked, value)
            command(**values, given=given)

        everything = [each.replace(kind=_KEYWORD) for each in (*arguments, *more, *rest)]
        everything.append(inspect.Parameter(_CONTEXT, _KEYWORD, annotation=typer.Context))
        wrapper.__signature__ = signature.replace(parameters=everything)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {}  # typer would look there, too
        return wrapper

    return decorate


def _is_said(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def build(group: type[Group], given: dict[str, Any]) -> Group | None:
    """Make a group of its options among those that were given; None where nothing is said that differs from it."""
    return group.changed(None, {name: value for name, value in given.items() if name in leaves(group)})


def _is_of_preset(group: type[Options], name: str) -> bool:
    return any(each.is_preset and name in leaves(each) for each in group.groups.values())


def _parameters(name: str, asked: Option, hint: Any, default: Any, of_preset: bool) -> Iterator[inspect.Parameter]:
    """The command's parameter for an option, and a hidden one for a name that it had before."""
    flags, kind, usual = list(asked.flags), asked.kind or hint, default
    if asked.off:
        flags = [f"{flags[0]}/{asked.off}"] if flags else [asked.off]
    if of_preset:
        kind, usual = kind | None, None
    elif not asked.flags:  # said only where it is switched off
        usual = False
    elif asked.read is not None:
        usual = None if default in (None, ()) else str(default)
        kind = kind if usual is not None else kind | None
    elif hint == tuple[str, ...] or hint == tuple[str, ...] | None:
        kind, usual = list[str] | None, None
    yield _parameter(name, kind, usual, *flags, metavar=asked.metavar, help=asked.help, choices=asked.choices)
    if asked.former:
        yield _parameter(f"former_{name}", str | None, None, asked.former, hidden=True)
    if isinstance(default, bool) and asked.opposite:  # for those whose own default is the other way round
        yield _parameter(f"against_{name}", bool, False, asked.opposite, hidden=True)


def _parameter(
    name: str, kind: Any, default: Any, *flags: str, choices: Sequence[str] = (), **more: Any
) -> inspect.Parameter:
    completion = one_of(choices) if choices else None
    annotation = Annotated[kind, typer.Option(*flags, autocompletion=completion, **more)]
    return inspect.Parameter(name, _KEYWORD, default=default, annotation=annotation)


def _read(name: str, asked: Option, value: Any) -> dict[str, Any]:
    if asked.off and not asked.flags:
        return {name: not value}
    if asked.read is not None:
        return {} if value is None else dict(asked.read(value))
    return {name: tuple(value) if isinstance(value, list) else value}


Judge = Annotated[
    str,
    typer.Option(
        "--judge",
        metavar="JUDGE",
        help="auto, builtin (drawings) or photographs (ArcFace and CLIP).",
        autocompletion=one_of(("auto", "builtin", "photographs")),
    ),
]
Clip = Annotated[
    Path | None, typer.Option("--clip", metavar="FOLDER", help="CLIP model that scores prompts of photographs.")
]
Model = Annotated[str | None, typer.Option(*MODEL.flags, metavar=MODEL.metavar, help=MODEL.help)]


def output_folder(output: Path | None) -> Path:
    """Where pictures go: as given, else as set with `faceid config set output`, else the current folder."""
    return Path(read_setting("output")) if output is None else output
