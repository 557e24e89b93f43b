"""Render a picture and see where its prompt's words look, stage by stage.

Shapes: S stages, H x W pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from faceid_cli.attention.maps import share_inside, word_map
from faceid_cli.attention.stages import record_stages
from faceid_cli.backbone import BaseModel
from faceid_cli.errors import UsageError
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.emphasis import plain_text
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.heat_maps import HeatRow, heat_figure
from faceid_cli.rendering.prompts import people_in
from faceid_cli.tokens import tokenize_prompt
from faceid_cli.types import Face, IdentityTokens, OnProgress, Render

_MAX_WORDS = 6
_DULL_WORDS = "a an the of and in on at with to for is as by from some photo picture portrait"


@dataclass(frozen=True)
class Attention:
    """Where the words of a prompt look.

    Attributes:
        render: The picture, with its settings.
        words: As shown; people as "<name>".
        stages: For each word S maps, each (H, W) float32, how much each pixel attends to the word; None for a stage
            that no sampler step fell into.
        averages: For each word the mean over all sampler steps, (H, W).
    """

    render: Render
    words: tuple[str, ...]
    stages: tuple[tuple[Tensor | None, ...], ...]
    averages: tuple[Tensor, ...]

    def inside(self, face: Face | None) -> dict[str, list[float | None]]:
        """For each word the share of its attention inside a face, stage by stage and on average; empty without one."""
        if face is None:
            return {}
        size = self.render.image.size
        return {
            word: [None if cell is None else float(share_inside(cell, face.box, size)) for cell in (*stages, average)]
            for word, stages, average in zip(self.words, self.stages, self.averages, strict=True)
        }

    def figure(self, inside: Mapping[str, Sequence[float | None]]) -> Image.Image:
        """The labelled figure: a row a word, a column a stage, and the average; with the shares that are known."""
        count = len(self.stages[0])
        rows = []
        for word, stages, average in zip(self.words, self.stages, self.averages, strict=True):
            cells = [None if cell is None else cell.numpy() for cell in (*stages, average)]
            notes = ["" if share is None else f"{100 * share:.0f} % in face" for share in inside.get(word, ())]
            rows.append(HeatRow(word, cells, notes))
        columns = [*(f"stage {number + 1} of {count}" for number in range(count)), "all steps"]
        settings = self.render.settings
        return heat_figure(self.render.image, columns, rows, f"{settings['prompt']}  ·  seed {settings['seed']}")


def render_with_attention(
    base: BaseModel,
    placed: str,
    people: Mapping[str, IdentityTokens],
    seed: int,
    config: RenderConfig,
    words: Sequence[str] = (),
    stages: int | None = None,
    on_progress: OnProgress | None = None,
) -> Attention:
    """Render one picture, the same as `render` makes, and record where words look.

    Args:
        base: The base model; it is left as found.
        placed: As for `render`.
        people: As for `render`.
        seed: Of the picture.
        config: How to sample.
        words: Words or phrases of the prompt, people as "<name>" or by name; by default the people and the first words
            that mean something.
        stages: Into how many stages to cut the timesteps; by default as many as the people have.
        on_progress: Called after every sampler step.

    Raises:
        UsageError: A word that is not in the prompt. Else as `render`.
    """
    chosen = positions_of_words(base, placed, people, words or default_words(placed))
    count = stages or max((people[name].stages for name in people_in(placed) if name in people), default=1)
    with record_stages(base.unet, count, base.num_train_timesteps) as record:
        picture = render(base, placed, people, [seed], config, on_progress)[0]
    width, height = picture.image.size

    def map_of(positions: Sequence[int], stage: int | None) -> Tensor | None:
        maps = record.maps(stage)
        # The last row is the prompt's; with guidance the first is the negative prompt's.
        return word_map(maps, positions, height, width)[-1] if maps else None

    averages = [map_of(positions, None) for positions in chosen.values()]
    return Attention(
        picture,
        tuple(chosen),
        tuple(tuple(map_of(positions, stage) for stage in range(count)) for positions in chosen.values()),
        tuple(average for average in averages if average is not None),
    )


def default_words(placed: str) -> tuple[str, ...]:
    """The people of a normalised prompt, then the first words that mean something."""
    people = [f"<{name}>" for name in people_in(placed)]
    rest = plain_text(placed)
    for person in people:
        rest = rest.replace(person, " ")
    plain = [word.strip(",.;:!?()\"'").lower() for word in rest.split()]
    wanted = [word for word in plain if word and word not in _DULL_WORDS.split()]
    return tuple(dict.fromkeys([*people, *wanted]))[: max(_MAX_WORDS, len(people))]


def positions_of_words(
    base: BaseModel, placed: str, people: Mapping[str, IdentityTokens], words: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Text positions of words and phrases of a normalised prompt, wherever they stand.

    Raises:
        UsageError: A word that is not there; the hint lists those that are.
    """
    tokenized = tokenize_prompt(base, placed, {name: tokens.vectors for name, tokens in people.items()})
    found: dict[str, tuple[int, ...]] = {}
    for word in words:
        name = word.strip("<>{} ")
        if name in tokenized.positions:
            found[f"<{name}>"] = tokenized.positions[name]
            continue
        taken = {at for places in tokenized.positions.values() for at in places}
        places = _places(tokenized.ids, base.tokenizer(word, add_special_tokens=False).input_ids, taken)
        if not places:
            raise UsageError(
                f"{word!r} is not in the prompt {placed!r}", f"words are: {' '.join(plain_text(placed).split())}"
            )
        found[word] = places
    return found


def _places(ids: Sequence[int], wanted: Any, taken: set[int]) -> tuple[int, ...]:
    """All positions at which a run of token ids stands; those of people, whose ids mean nothing, do not count."""
    run = list(wanted)
    starts = [start for start in range(len(ids) - len(run) + 1) if run and list(ids[start : start + len(run)]) == run]
    places = [start + offset for start in starts for offset in range(len(run))]
    return tuple(dict.fromkeys(place for place in places if place not in taken))
