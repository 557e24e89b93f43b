"""Settings of training, and their presets."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from faceid_cli.config.checks import at_least, check_precision, check_seed, not_negative, one_of
from faceid_cli.errors import UsageError

LEARNING_RATE_SCHEDULES = ("constant", "cosine")
INITIAL_TOKENS = ("auto", "class", "regression")
TOKEN_SPACES = ("auto", "embeddings", "names")
AS_SUITS = -1
"""Average over as many steps as suit what the features start from, see `pace`."""


@dataclass(frozen=True)
class TrainConfig:
    """How an identity is learned. Defaults are the `sefi` preset.

    Attributes:
        method: Name of the preset these settings started from.
        steps: Optimiser steps; 0 for as many as suit what the features start from, see `pace`.
        learning_rate: Of AdamW over the token module's parameters; 0 for what suits the start.
        batch_size: Crops (with own noise and timestep) per step.
        stages: Number of equal timestep stages; each has its own token (paper: 5).
        split_keys_values: Separate K and V features per stage (paper: yes).
        self_attention: Let a small self-attention module produce the features in training (paper: yes);
            without it they are plain parameters, as in Textual Inversion.
        vectors: Text positions each feature occupies.
        attention_weight: Lambda, the weight of the face-wise attention loss; 0 switches it off.
        class_word: What the person is to the text encoder before training, and in the reference prompt.
        templates: Name of the set of training sentences: "face" or "photo".
        seed: Of noise, timesteps, templates and module initialisation.
        mirror: Also train on mirrored crops (faces are not symmetric: off).
        precision: Of the frozen model's arithmetic; "auto" picks by device.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        checkpoint_every: Steps between checkpoints; 0 writes one only when interrupted.
        learning_rate_schedule: "constant", or "cosine" down to nearly 0.
        warm_up: Steps over which the learning rate rises.
        background_weight: How much the reconstruction loss counts outside the person's head, from 0 to 1 (alike). A
            crop without a known face counts as a whole.
        average_last: Over how many of the last steps the features are averaged; 0 takes those of the last step, and -1
            (`AS_SUITS`) what suits the start.
        initial_token: What the features start from: "class", or "regression" for what the judge's embedding of the
            photos says the person's name would be, or "auto" for regression where the base model knows people by name
            and the photos show a face, else "class".
        token_space: Where the features may go: "embeddings" anywhere, "names" no further than the names of people that
            the base model knows span, or "auto" for names where they start from regression, else anywhere.
    """

    method: str = "sefi"
    steps: int = 0
    learning_rate: float = 0.0
    batch_size: int = 4
    stages: int = 5
    split_keys_values: bool = True
    self_attention: bool = True
    vectors: int = 1
    attention_weight: float = 0.003
    class_word: str = "person"
    templates: str = "face"
    seed: int = 0
    mirror: bool = False
    precision: str = "auto"
    device: str = "auto"
    checkpoint_every: int = 50
    background_weight: float = 0.05
    learning_rate_schedule: str = "cosine"
    warm_up: int = 10
    average_last: int = AS_SUITS
    initial_token: str = "auto"
    token_space: str = "auto"

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 0)
        at_least("batch size", self.batch_size, 1)
        at_least("stages", self.stages, 1)
        at_least("vectors", self.vectors, 1)
        at_least("checkpoint interval", self.checkpoint_every, 0)
        if self.stages > 1000:
            raise UsageError(f"stages is {self.stages}, but there are only 1000 timesteps", "use 1 to 10")
        if self.learning_rate:  # 0 is what suits the start
            _check_learning_rate(self.learning_rate)
        not_negative("lambda", self.attention_weight)
        if self.templates not in ("face", "photo"):
            raise UsageError(f"unknown template set {self.templates!r}", "use face or photo")
        if not self.class_word.strip():
            raise UsageError("the class word is empty", "use a word such as person, woman or man")
        check_seed(self.seed)
        check_precision(self.precision)
        if not 0 <= self.background_weight <= 1:
            raise UsageError(f"background weight is {self.background_weight}", "0 to 1, where all counts alike")
        one_of("learning rate schedule", self.learning_rate_schedule, LEARNING_RATE_SCHEDULES)
        one_of("initial token", self.initial_token, INITIAL_TOKENS)
        one_of("token space", self.token_space, TOKEN_SPACES)
        at_least("warm-up", self.warm_up, 0)
        if self.average_last != AS_SUITS:
            at_least("number of averaged steps", self.average_last, 0)


def preset(name: str, **changes: Any) -> TrainConfig:
    """Return a preset's settings with the given fields changed; fields that are None keep the preset's value.

    Raises:
        UsageError: Unknown preset or field, or values that cannot work together.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}", f"choose one of: {', '.join(PRESETS)}")
    known = {field.name for field in fields(TrainConfig)}
    for key in changes:
        if key not in known:
            raise UsageError(f"unknown training setting {key!r}", f"settings are: {', '.join(sorted(known))}")
    if changes.get("steps") is not None:
        at_least("steps", changes["steps"], 1)
    if changes.get("learning_rate") is not None:
        _check_learning_rate(changes["learning_rate"])
    return replace(PRESETS[name], **{key: value for key, value in changes.items() if value is not None})


def _check_learning_rate(value: float) -> None:
    if not 0 < value < float("inf"):
        raise UsageError(f"learning rate must be above 0, not {value}")


_PLAIN = TrainConfig(
    method="sefi-paper",
    steps=300,
    learning_rate=5e-3,
    batch_size=4,
    stages=5,
    split_keys_values=True,
    self_attention=True,
    vectors=1,
    attention_weight=0.003,
    mirror=False,
    background_weight=1.0,
    learning_rate_schedule="constant",
    warm_up=0,
    average_last=0,
    initial_token="class",
    token_space="embeddings",
)
"""The paper's recipe. Written out, so that better defaults change neither it nor what others are compared with."""

PRESETS: dict[str, TrainConfig] = {
    "sefi": TrainConfig(),
    "sefi-paper": _PLAIN,
    "textual-inversion": replace(
        _PLAIN,
        method="textual-inversion",
        stages=1,
        split_keys_values=False,
        self_attention=False,
        attention_weight=0.0,
    ),
    "prospect": replace(
        _PLAIN, method="prospect", stages=10, split_keys_values=False, self_attention=False, attention_weight=0.0
    ),
}
