"""`faceid models`: names for base models, and how people come out on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceid_cli.cli import options
from faceid_cli.cli.options import OF_SCORED_PICTURES, Json, Quiet, Verbose, build, examples, spread
from faceid_cli.cli.output import out, pairs, table
from faceid_cli.cli.progress import picture_progress
from faceid_cli.orders import ModelOptions, RenderConfig

if TYPE_CHECKING:
    from faceid_cli.api.models import BaseModelInfo

_HEADING = ("NAME", "FAMILY", "FINGERPRINT", "PEOPLE", "SOURCE", "")
_SCORES = {
    "identity": "ID",
    "likeness_percent": "likeness",
    "prompt": "prompt",
    "identity_of_prompt": "ID(P)",
    "one_face": "one face",
}
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A name, a path or a hub id.")]


def list_(json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show the base models that have a name, and who was learned on them."""
    from faceid_cli.api import models

    found = models.list_models()
    rows = [
        (
            model.name or "-",
            model.family_name,
            model.fingerprint,
            ", ".join(model.people),
            model.source,
            model.problem or ("default" if model.is_default else ""),
        )
        for model in found
    ]
    out.result(
        {"command": "models list", "models": [_data(model) for model in found]},
        table(rows, _HEADING),
        [model.name or model.source for model in found],
    )


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What --model is to know it by.")],
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A diffusers folder, a file or a hub id.")],
    replace: Annotated[bool, typer.Option("--replace", help="Let the name stand for another base model.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give a base model a name."""
    from faceid_cli.api import models

    model = models.add_model(name, source, replace)
    out.result(
        {"command": "models add", "model": _data(model)},
        [f"{model.name} is {model.source}, {model.family_name}"],
        [model.name],
    )
    out.hint(f"next: faceid models set-default {model.name}")


def info(model: ModelName, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Look at a base model, without loading it."""
    from faceid_cli.api import models

    found = models.model_info(model)
    entries = {
        "source": found.source,
        "name": found.name or "-",
        "family": found.family_name,
        "fingerprint": found.fingerprint,
        **{key.replace("_", " "): _text(value) for key, value in (found.details or {}).items()},
        "people": ", ".join(found.people) or "-",
    }
    out.result({"command": "models info", "model": _data(found)}, pairs(entries), [found.fingerprint])


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def set_default(model: ModelName, json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Learn new people on this base model from now on."""
    from faceid_cli.api import models
    from faceid_cli.registry.base_models import shown_source

    source = models.set_default_model(model)
    out.result({"command": "models set-default", "source": source}, [f"model is now {shown_source(source)}"], [source])


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A base model's name.")],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Forget a base model's name; its files stay."""
    from faceid_cli.api import models

    models.remove_model(name)
    out.result({"command": "models remove", "name": name}, [f"{name} has no meaning any more"], [name])


@spread(RenderConfig, ModelOptions, only=OF_SCORED_PICTURES)
def score(
    name: options.Name,
    given: dict[str, Any],
    base: Annotated[
        list[str] | None, typer.Option("--base", metavar="MODEL", help="A base model; the person's own if none.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="Further base models.")] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option("--photos", metavar="PATH", help="Compare with these photos; by default with the enrolment's."),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", metavar="FILE", help="Your own prompts, one a line; {} is the person.")
    ] = None,
    judge: options.Judge = "auto",
    clip: options.Clip = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score one person on several base models of a family, and keep the scores."""
    config, loading = build(RenderConfig, given), build(ModelOptions, given)

    from faceid_cli.api import models

    with picture_progress() as on_picture:
        found = models.score_models(
            name,
            [*(base or ()), *(more or ())],
            photos=photos or (),
            prompts=prompts,
            config=config,
            options=loading,
            judge=judge,
            clip=clip,
            on_picture=on_picture,
            on_note=out.note,
        )
    from faceid_cli.registry.base_models import names_of_sources

    names = names_of_sources()
    rows = [
        (names.get(score.source, score.source), *(_number(score.scores[key]) for key in _SCORES)) for score in found
    ]
    data = [{"source": each.source, "fingerprint": each.fingerprint, "scores": each.scores} for each in found]
    out.result(
        {"command": "models score", "name": name, "models": data},
        table(rows, ("BASE MODEL", *_SCORES.values())),
        [each.source for each in found],
    )


def _data(model: BaseModelInfo) -> dict[str, Any]:
    return {
        "name": model.name,
        "source": model.source,
        "family": model.family,
        "fingerprint": model.fingerprint,
        "is_default": model.is_default,
        "problem": model.problem,
        "details": model.details or {},
        "people": list(model.people),
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def register(app: typer.Typer) -> None:
    """Add the command and its parts."""
    part = typer.Typer(
        rich_markup_mode=None,
        epilog=examples("faceid models list", "faceid models add photo ~/models/sd15.safetensors"),
    )

    @part.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        """Name base models, and see how people come out on them."""
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    part.command("list", epilog=examples("faceid models list", "faceid models list --json"))(list_)
    part.command("add", epilog=examples("faceid models add photo ~/models/sd15.safetensors"))(add)
    part.command("info", epilog=examples("faceid models info photo", "faceid models info ~/models/sdxl"))(info)
    part.command("set-default", epilog=examples("faceid models set-default photo"))(set_default)
    part.command("remove", epilog=examples("faceid models remove photo"))(remove)
    examples_of_score = examples("faceid models score alice --base photo ~/models/sister.safetensors")
    part.command("score", epilog=examples_of_score)(score)
    part.command("test", hidden=True)(score)  # its former name
    app.add_typer(part, name="models")
