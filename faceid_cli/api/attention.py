"""Where the words of a prompt look: one labelled figure of heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.opening import open_people
from faceid_cli.orders import ModelOptions, RenderConfig, check_seed
from faceid_cli.orders.checks import check_output, check_prompt, check_text
from faceid_cli.orders.kinds import fitted
from faceid_cli.orders.rendering import NOT_FOR_SCORES
from faceid_cli.rendering.prompts import place_people
from faceid_cli.rendering.save import plan_output, save_picture
from faceid_cli.types import OnNote, OnProgress, Render

if TYPE_CHECKING:
    from PIL import Image


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
    words: Sequence[str] | str = (),
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
        words: Words or phrases of the prompt, one or several; by default the person and the first words that mean
            something.
        stages: Into how many stages to cut the sampling; by default as many as the person has.
        seed: Of the picture.
        config: How to render.
        model: Another base model than the person's own.
        options: How to load it; by default as when the person was learned.
        output: A .png file or a folder; nothing is written if None.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: A word that is not in the prompt, a config with what means nothing here, such as `hires`, and as
            `generate` raises.
    """
    check_seed(fitted("seed", int, seed))
    fitted("stages", int | None, stages)
    fitted("config", RenderConfig | None, config)
    check_prompt(fitted("prompt", str, prompt))
    if config is not None:
        config.check_unsaid(NOT_FOR_SCORES, "show_attention")
    if output is not None:
        check_output(output)
    words = fitted("words", tuple[str, ...], words)
    for text in (prompt, *words):
        check_text("the prompt", text)
    opened = open_people([name], config, model, options, on_note)
    person = opened.people[0]
    placed = place_people(prompt, [person.name])

    # These bring in torch, which takes seconds.
    from faceid_cli.faces.finder import face_if_any
    from faceid_cli.rendering.attend import render_with_attention

    base = opened.base(on_note)
    plan = None if output is None else plan_output(Path(output), f"{person.name}-attention", 1)
    found = render_with_attention(base, placed, opened.tokens(), seed, opened.config, words, stages, on_progress)
    picture = found.render.image
    inside = found.inside(face_if_any(picture, opened.is_builtin, opened.device))
    figure = found.figure(inside)
    path = None if plan is None else save_picture(figure, plan)
    return AttentionFigure(found.render, figure, found.words, inside, path)
