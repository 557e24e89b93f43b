"""How much likeness suits a prompt: a small grid of pictures with fixed seeds, and the best trade-off in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from faceid_cli.backbone import BaseModel
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.run import score_picture
from faceid_cli.evaluation.scores import identity_of_prompt
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.types import IdentityTokens

LEVELS = (0.4, 0.6, 0.8, 1.0, 1.2)
SEEDS = (0, 1, 2, 3)


@dataclass(frozen=True)
class TradeOff:
    """What one level of likeness gives.

    Attributes:
        likeness: The level: 0 is anybody of the class, 1 the person.
        identity: Mean ID of its pictures.
        prompt: Mean prompt score; None where the judge cannot tell.
        identity_of_prompt: Mean ID where the prompt is obeyed, counting 0 elsewhere.
    """

    likeness: float
    identity: float
    prompt: float | None
    identity_of_prompt: float


def trade_offs(
    base: BaseModel,
    judge: PictureJudge,
    likeness: Likeness,
    tokens: IdentityTokens,
    name: str,
    text: str,
    prompt: EvaluationPrompt,
    rendering: RenderConfig,
    levels: Sequence[float] = LEVELS,
    seeds: Sequence[int] = SEEDS,
) -> list[TradeOff]:
    """Render a prompt at every level of likeness with the same seeds, and score the pictures.

    Args:
        base: The base model; it is left as found.
        judge: Scores the pictures.
        likeness: What faces are compared with.
        tokens: The person's tokens, as they were learned.
        name: The person's, in the text.
        text: The placed prompt, the person as `<name>`.
        prompt: The same as the judge reads it.
        rendering: Sampler settings; its likeness is the grid's, and a second pass is left out.
        levels: Levels of likeness to try, 0 to 2.
        seeds: Of every level's pictures.
    """
    found = []
    for level in levels:
        config = replace(rendering.with_likeness(level), hires=1.0)
        pictures = render(base, text, {name: tokens}, seeds, config)
        scored = [
            score_picture(judge, likeness, prompt, seed, picture.image)
            for seed, picture in zip(seeds, pictures, strict=True)
        ]
        prompts = [picture.prompt_score for picture in scored if picture.prompt_score is not None]
        found.append(
            TradeOff(
                level,
                float(np.mean([picture.score.identity for picture in scored])),
                float(np.mean(prompts)) if prompts else None,
                identity_of_prompt([picture.score for picture in scored]),
            )
        )
    return found


def best_trade_off(found: Sequence[TradeOff]) -> TradeOff:
    """The level with the highest ID where the prompt is obeyed; of equal ones that with the better prompt, then ID.

    So where no level obeys in full, the one that obeys most is taken, and the lowest of levels that are alike.

    Raises:
        ValueError: No levels.
    """
    if not found:
        raise ValueError("nothing to choose from")
    return max(found, key=lambda each: (each.identity_of_prompt, each.prompt or 0.0, each.identity, -each.likeness))
