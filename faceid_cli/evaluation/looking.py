"""Score tokens in passing, by a few pictures with fixed prompts and seeds: what stopping by render looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceid_cli.backbone import BaseModel
from faceid_cli.builtin.prompts import known_prompt
from faceid_cli.config import RenderConfig
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.run import ScoredPicture, placed_prompt, score_picture
from faceid_cli.rendering.generate import render
from faceid_cli.types import IdentityTokens

LOOK_PROMPTS: tuple[EvaluationPrompt, ...] = tuple(
    EvaluationPrompt(prompt.text, "your own", prompt.concepts)
    for prompt in (
        known_prompt("beach", None, "cap"),
        known_prompt("mountains", "coffee cup"),
        known_prompt("library", None, "smiling"),
        known_prompt("castle", "guitar"),
    )
)
"""Scenes, things and attributes that leave the face alone; none of them is in the fixed set of an evaluation."""

LOOK_RENDERING = RenderConfig(steps=10)
"""Half of the usual sampler steps: to compare steps of a training, pictures need not be fine."""

_NAME = "person"


class RenderScorer:
    """Renders a picture a prompt, with the prompt's place as its seed, and returns (identity, prompt score).

    Args:
        base: The base model that is trained on; it is left as found.
        judge: Scores the pictures.
        likeness: What faces are compared with.
        prompts: What to render.
        rendering: Sampler settings.
    """

    def __init__(
        self,
        base: BaseModel,
        judge: PictureJudge,
        likeness: Likeness,
        prompts: Sequence[EvaluationPrompt] = LOOK_PROMPTS,
        rendering: RenderConfig = LOOK_RENDERING,
    ) -> None:
        self._base, self._judge, self._likeness = base, judge, likeness
        self._prompts, self._rendering = tuple(prompts), rendering

    def __call__(self, tokens: IdentityTokens) -> tuple[float, float | None]:
        """Mean identity (0 where no face is found), and mean prompt score, None where the judge cannot tell."""
        scored = [self._scored(prompt, seed, tokens) for seed, prompt in enumerate(self._prompts)]
        prompts = [picture.prompt_score for picture in scored if picture.prompt_score is not None]
        identity = float(np.mean([picture.score.identity for picture in scored]))
        return identity, float(np.mean(prompts)) if prompts else None

    def _scored(self, prompt: EvaluationPrompt, seed: int, tokens: IdentityTokens) -> ScoredPicture:
        text = placed_prompt(prompt, _NAME)
        image = render(self._base, text, {_NAME: tokens}, [seed], self._rendering)[0].image
        return score_picture(self._judge, self._likeness, prompt, seed, image)
