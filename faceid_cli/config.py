"""Settings of training and rendering: defaults, units, checks and presets. No side effects.

The defaults are the paper's where it gives them. They are not yet tuned by measurement: benchmarks/main_job.py does
that, on people kept apart for it (`--first 1000`), once the built-in model draws faces well enough.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from faceid_cli.errors import UsageError

MAX_SEED = 2**32 - 1
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
LOSS_WEIGHTINGS = ("uniform", "min-snr")
TIMESTEP_SAMPLINGS = ("uniform", "noisy", "middle")
LEARNING_RATE_SCHEDULES = ("constant", "cosine")
INITIAL_TOKENS = ("auto", "class", "search", "regression")
STOPS = ("steps", "held-out", "renders")
CONTROLS = ("canny", "openpose", "depth", "image")
"""What a control image shows: of "canny" faceid makes the edges itself, the others are given ready-made."""
SCHEDULERS = (
    "ddim",
    "euler",
    "euler-a",
    "dpm++",
    "dpm++-karras",
    "dpm++-sde",
    "dpm++-sde-karras",
    "unipc",
    "lcm",
)


@dataclass(frozen=True)
class TrainConfig:
    """How an identity is learned. Defaults are the `sefi` preset.

    Attributes:
        method: Name of the preset these settings started from.
        steps: Optimiser steps.
        learning_rate: Of AdamW over the token module's parameters.
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
        loss_weighting: Of timesteps: "uniform", or "min-snr" (arXiv 2303.09556), whose mean weight is 1.
        timestep_sampling: How often each timestep is drawn: "uniform", "noisy" (the more noise the more often) or
            "middle" (seldom at either end).
        learning_rate_schedule: "constant", or "cosine" down to nearly 0.
        warm_up: Steps over which the learning rate rises.
        average_last: Over how many of the last steps the features are averaged; 0 takes those of the last step.
        norm_limit: Longest a feature may be, in typical lengths of the text encoder's embeddings; 0 for no limit.
        initial_token: What the features start from: "class", or "search" for the best of the words that the text
            encoder knows, or "regression" for what the judge's embedding of the photos says the person's name would be,
            or "auto" for regression where the base model knows people by name and the photos show a face, else "class".
        direction_limit: Least cosine between a feature and what it started from, from 0 to below 1; 0 for no limit.
        stop_by: When to stop, and which step to keep: "steps" the last one; "held-out" when the loss on noise that
            training never draws stops to fall; "renders" when rendered pictures get no more alike and obey less.
        look_every: Steps between looks at that.
        patience: How many looks without gain end the training.
        other_words_weight: Weight of the penalty on what the person's word takes of the other words' attention.
    """

    method: str = "sefi"
    steps: int = 300
    learning_rate: float = 5e-3
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
    loss_weighting: str = "uniform"
    timestep_sampling: str = "uniform"
    learning_rate_schedule: str = "constant"
    warm_up: int = 0
    average_last: int = 0
    norm_limit: float = 0.0
    initial_token: str = "class"
    direction_limit: float = 0.0
    other_words_weight: float = 0.0
    stop_by: str = "steps"
    look_every: int = 25
    patience: int = 3

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 1)
        _at_least("batch size", self.batch_size, 1)
        _at_least("stages", self.stages, 1)
        _at_least("vectors", self.vectors, 1)
        _at_least("checkpoint interval", self.checkpoint_every, 0)
        if self.stages > 1000:
            raise UsageError(f"stages is {self.stages}, but there are only 1000 timesteps", "use 1 to 10")
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"learning rate must be above 0, not {self.learning_rate}")
        if not 0 <= self.attention_weight < float("inf"):
            raise UsageError(f"lambda must be 0 or more, not {self.attention_weight}")
        if self.templates not in ("face", "photo"):
            raise UsageError(f"unknown template set {self.templates!r}", "use face or photo")
        if not self.class_word.strip():
            raise UsageError("the class word is empty", "use a word such as person, woman or man")
        _check_seed(self.seed)
        _check_precision(self.precision)
        _one_of("loss weighting", self.loss_weighting, LOSS_WEIGHTINGS)
        _one_of("timestep sampling", self.timestep_sampling, TIMESTEP_SAMPLINGS)
        _one_of("learning rate schedule", self.learning_rate_schedule, LEARNING_RATE_SCHEDULES)
        _one_of("initial token", self.initial_token, INITIAL_TOKENS)
        _at_least("warm-up", self.warm_up, 0)
        _at_least("number of averaged steps", self.average_last, 0)
        if not 0 <= self.norm_limit < float("inf"):
            raise UsageError(f"norm limit must be 0 or more, not {self.norm_limit}")
        _one_of("way to stop", self.stop_by, STOPS)
        _at_least("number of steps between looks", self.look_every, 1)
        _at_least("patience", self.patience, 1)
        if self.stop_by != "steps" and self.average_last:
            raise UsageError(
                f"average_last averages the last steps, and stop_by={self.stop_by} keeps the best one",
                "set one of them",
            )
        if not 0 <= self.direction_limit < 1:
            raise UsageError(f"direction limit is {self.direction_limit}", "a cosine from 0 to below 1; 0 for none")
        if not 0 <= self.other_words_weight < float("inf"):
            raise UsageError(f"weight of the other words must be 0 or more, not {self.other_words_weight}")


@dataclass(frozen=True)
class ModelOptions:
    """How a base model is loaded, and what is put into it.

    Attributes:
        variant: Of its files, such as "fp16"; None for the plain ones where they are there.
        vae: Another autoencoder: a file, a folder; None for the model's own.
        loras: LoRA adapters as "FILE" or "FILE:SCALE"; None for those a person was learned with, () for none.
        low_vram: Trade time for memory.
        compile: Let torch translate its parts first, which takes minutes and makes long work quicker.
    """

    variant: str | None = None
    vae: str | None = None
    loras: tuple[str, ...] | None = None
    low_vram: bool = False
    compile: bool = False


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
    return replace(PRESETS[name], **{key: value for key, value in changes.items() if value is not None})


@dataclass(frozen=True)
class RenderConfig:
    """How pictures are rendered.

    Attributes:
        steps: Sampler steps.
        guidance_scale: Classifier-free guidance scale; 1 switches guidance off.
        scheduler: One of SCHEDULERS, or as other programs call it ("DPM++ 2M Karras").
        width: Pixels, or None for the base model's own size.
        height: Pixels, or None for the base model's own size.
        negative_prompt: What the picture should not show.
        clip_skip: How many of the text encoders' last layers to leave out (other programs count one more).
        strength: With a picture to start from: how much of it may change, above 0 up to 1; None for 0.6, or for 0.8
            where a mask holds the rest.
        batch_size: Pictures rendered at once. Changes speed and memory, not the pictures (up to rounding).
        fit_batch: Halve `batch_size` until the pictures fit into memory.
        precision: Of the model's arithmetic; "auto" picks by device.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        likeness: How much of the person is in the tokens: 0 the class word, 1 what was learned, up to 2.
        likeness_keys: The same for the key features alone; None for `likeness`.
        likeness_values: The same for the value features alone; None for `likeness`.
        stages: Timestep stages, counted from 1 at the noisiest, in which the person is there; the class word stands in
            the others. All of them if empty.
        control_scale: With a ControlNet: how closely it is followed; 0 is not at all, 1 as it was taught.
        hires: Above 1: enlarge the finished picture so many times, and render it once more from there.
        hires_strength: How much of the enlarged picture may change, above 0 up to 1.
    """

    steps: int = 20
    guidance_scale: float = 5.0
    scheduler: str = "ddim"
    width: int | None = None
    height: int | None = None
    negative_prompt: str = ""
    clip_skip: int = 0
    strength: float | None = None
    batch_size: int = 4
    fit_batch: bool = False
    precision: str = "auto"
    device: str = "auto"
    likeness: float = 1.0
    likeness_keys: float | None = None
    likeness_values: float | None = None
    stages: tuple[int, ...] = ()
    control_scale: float = 1.0
    hires: float = 1.0
    hires_strength: float = 0.5

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 1)
        _at_least("batch size", self.batch_size, 1)
        if self.steps > 1000:
            raise UsageError(f"steps is {self.steps}, but there are only 1000 timesteps", "20 to 50 is usual")
        _at_least("clip skip", self.clip_skip, 0)
        for name, strength in (("strength", self.strength), ("strength of the second pass", self.hires_strength)):
            if strength is not None and not 0 < strength <= 1:
                raise UsageError(f"{name} is {strength}", "use a number above 0, up to 1; 0.6 is usual")
        if not 0 <= self.control_scale <= 2:
            raise UsageError(f"control scale is {self.control_scale:g}", "use 0 to 2; 1 is usual")
        if not 1 <= self.hires <= 4:
            raise UsageError(f"a picture cannot be enlarged {self.hires:g} times", "use 1 to 4; 1.5 is usual")
        if not 0 <= self.guidance_scale < float("inf"):
            raise UsageError(f"guidance scale must be 0 or more, not {self.guidance_scale}")
        for name, likeness in (
            ("likeness", self.likeness),
            ("likeness of keys", self.likeness_keys),
            ("likeness of values", self.likeness_values),
        ):
            if likeness is not None and not 0 <= likeness <= 2:
                raise UsageError(f"{name} is {likeness:g}", "0 is anybody of the class, 1 the person, 2 the most")
        if any(stage < 1 for stage in self.stages):
            raise UsageError(f"there is no stage {min(self.stages)}", "count them from 1, the noisiest")
        if scheduler_name(self.scheduler) not in SCHEDULERS:
            raise UsageError(f"unknown scheduler {self.scheduler!r}", f"choose one of: {', '.join(SCHEDULERS)}")
        object.__setattr__(self, "scheduler", scheduler_name(self.scheduler))
        for name, size in (("width", self.width), ("height", self.height)):
            if size is not None and (size < 64 or size % 8):
                raise UsageError(f"{name} is {size} px", "sizes are multiples of 8, from 64 px")
        _check_precision(self.precision)

    def strength_of(self, masked: bool) -> float:
        """How much of a picture to start from may change; `masked` tells whether a mask holds the rest."""
        return (0.8 if masked else 0.6) if self.strength is None else self.strength

    @property
    def dials(self) -> tuple[float, float, tuple[int, ...]]:
        """Likeness of the keys, likeness of the values, and the stages with the person."""
        keys = self.likeness if self.likeness_keys is None else self.likeness_keys
        values = self.likeness if self.likeness_values is None else self.likeness_values
        return keys, values, self.stages


def scheduler_name(text: str) -> str:
    """What is called "Euler a", "DPM++ 2M SDE Karras" or "dpmpp_2m" elsewhere, in the words used here."""
    name = "-".join(text.lower().replace("_", " ").split()).replace("dpmpp", "dpm++").replace("dpm++-2m", "dpm++")
    return "euler-a" if name == "euler-ancestral" else name


def check_seed(seed: int) -> int:
    """Return the seed if it is one that every random generator here accepts.

    Raises:
        UsageError: Below 0 or above 2**32 - 1.
    """
    _check_seed(seed)
    return seed


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed is {seed}", f"use a number from 0 to {MAX_SEED}")


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", f"choose one of: {', '.join(PRECISIONS)}")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {name} {value!r}", f"choose one of: {', '.join(choices)}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"{name} must be {least} or more, not {value}")


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
    loss_weighting="uniform",
    timestep_sampling="uniform",
    learning_rate_schedule="constant",
    warm_up=0,
    average_last=0,
    norm_limit=0.0,
    initial_token="class",
    direction_limit=0.0,
    other_words_weight=0.0,
    stop_by="steps",
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
