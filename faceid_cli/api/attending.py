"""Where the words of a prompt look: one labelled figure of heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.base_models import OnNote, checked_options, options_for, source_for
from faceid_cli.api.pictures import OnProgress
from faceid_cli.config import ModelOptions, RenderConfig, check_seed
from faceid_cli.errors import ModelError
from faceid_cli.identity_file import load_identity
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.prompts import place_people
from faceid_cli.rendering.save import plan_output, save_picture
from faceid_cli.types import Render

if TYPE_CHECKING:
    from PIL import Image

    from faceid_cli.backbone import BaseModel
    from faceid_cli.rendering.attend import Attention
    from faceid_cli.types import Face


@dataclass(frozen=True)
class AttentionFigure:
    """Heat maps of words over a picture.

    Attributes:
        picture: What was rendered.
        figure: The labelled figure.
        words: Its rows.
        inside: For each word the share of its attention that falls inside the face, for each stage (None for a stage
            without a sampler step) and, last, on average; empty where no face was found or nothing could look for one.
        path: The figure's file; None if it was not written.
    """

    picture: Render
    figure: Image.Image
    words: tuple[str, ...]
    inside: dict[str, list[float | None]]
    path: Path | None = None


def show_attention(
    name: str,
    prompt: str,
    *,
    words: Sequence[str] = (),
    stages: int | None = None,
    seed: int = 0,
    config: RenderConfig | None = None,
    model: str | None = None,
    options: ModelOptions | None = None,
    output: Path | str | None = None,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
) -> AttentionFigure:
    """Render a person, and show where words of the prompt look, for each timestep stage and averaged.

    Args:
        name: An enrolled person.
        prompt: As for `generate`.
        words: Words or phrases of the prompt; by default the person and the first words that mean something.
        stages: Into how many stages to cut the sampling; by default as many as the person has.
        seed: Of the picture.
        config: How to render.
        model: Another base model than the person's own.
        options: How to load it; by default as when the person was learned.
        output: A .png file or a folder; nothing is written if None.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: A word that is not in the prompt, and as `generate` raises.
    """
    config = config or RenderConfig()
    check_seed(seed)
    with Registry.open(create=False) as registry:
        person = registry.get(name)
    placed = place_people(prompt, [person.name])
    stored = load_identity(person.path)
    loading = options_for([person], None if options is None else checked_options(options), model)
    source = source_for([person], model, on_note, loading)

    # These bring in torch, which takes seconds.
    from faceid_cli.backbone import load_base_model
    from faceid_cli.rendering.attend import render_with_attention
    from faceid_cli.tokens import tokens_from_arrays

    base = load_base_model(source, config.device, config.precision, loading)
    plan = None if output is None else plan_output(Path(output), f"{person.name}-attention", 1)
    people = {person.name: tokens_from_arrays(stored.keys, stored.values, stored.metadata.class_word)}
    found = render_with_attention(base, placed, people, seed, config, words, stages, on_progress)
    inside = _inside(found, _face(base, found.render.image, config.device))
    figure = _figure(found, inside)
    path = None if plan is None else save_picture(figure, plan)
    return AttentionFigure(found.render, figure, found.words, inside, path)


def _face(base: BaseModel, image: Image.Image, device: str) -> Face | None:
    """The largest face; None where there is none, or nothing to find it with."""
    from faceid_cli.faces.finder import finder_for

    try:
        faces = finder_for(base.is_builtin, device).find(image)
    except ModelError:
        return None
    return max(faces, key=lambda face: face.box.area, default=None)


def _inside(found: Attention, face: Face | None) -> dict[str, list[float | None]]:
    from faceid_cli.attention.maps import share_inside

    if face is None:
        return {}
    size = found.render.image.size
    return {
        word: [None if cell is None else float(share_inside(cell, face.box, size)) for cell in (*stages, average)]
        for word, stages, average in zip(found.words, found.stages, found.averages, strict=True)
    }


def _figure(found: Attention, inside: dict[str, list[float | None]]) -> Image.Image:
    from faceid_cli.rendering.heat_maps import HeatRow, heat_figure

    count = len(found.stages[0])
    rows = []
    for word, stages, average in zip(found.words, found.stages, found.averages, strict=True):
        cells = [None if cell is None else cell.numpy() for cell in (*stages, average)]
        notes = ["" if share is None else f"{100 * share:.0f} % in face" for share in inside.get(word, ())]
        rows.append(HeatRow(word, cells, notes))
    columns = [*(f"stage {number + 1} of {count}" for number in range(count)), "all steps"]
    settings = found.render.settings
    return heat_figure(found.render.image, columns, rows, f"{settings['prompt']}  ·  seed {settings['seed']}")
