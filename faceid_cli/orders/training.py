"""How an identity is learned: the settings, and their presets.

The defaults are the paper's where it gives them. Others were tried on the built-in model, on people kept apart for it:
benchmarks/results/tried.md has what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import at_least, check_class_word, check_seed, not_negative, one_of, within
from faceid_cli.orders.loading import Machine
from faceid_cli.orders.option import leaves, option
from faceid_cli.orders.pace import PACES
from faceid_cli.orders.sampling import read_batch

LEARNING_RATE_SCHEDULES = ("constant", "cosine")
INITIAL_TOKENS = ("auto", "class", "regression")
TOKEN_SPACES = ("auto", "embeddings", "names")
TEMPLATE_SETS = ("auto", "face", "photo")
AS_SUITS = -1
"""Average over as many steps as suit what the features start from, see `pace`."""
PRESET_NAMES = ("sefi", "sefi-paper", "textual-inversion", "prospect")

_USUAL, _NAMED = PACES["class"], PACES["regression"]


def _learning_rate(value: float) -> float:
    if value and not 0 < value < float("inf"):  # 0 is what suits the start
        raise UsageError(f"learning rate must be above 0, not {value}")
    return value


def _templates(value: str) -> str:
    if value not in TEMPLATE_SETS:
        raise UsageError(f"unknown template set {value!r}", "use face or photo")
    return value


def _average_last(value: int) -> int:
    return value if value == AS_SUITS else at_least("number of averaged steps", 0)(value)


@dataclass(frozen=True)
class TrainConfig(Machine):
    """How an identity is learned. Defaults are the `sefi` preset."""

    is_preset: ClassVar[bool] = True

    method: str = option("sefi", ", ".join(PRESET_NAMES) + ".", "--preset", metavar="PRESET", choices=PRESET_NAMES)
    steps: int = option(
        0,
        f"Optimiser steps; sefi: {_USUAL.steps}, on the built-in model {_NAMED.steps}.",
        "--steps",
        metavar="N",
        check=at_least("steps", 0),
    )
    """0 for as many as suit what the features start from, see `pace`."""
    learning_rate: float = option(
        0.0,
        f"Of AdamW; sefi: {_USUAL.learning_rate:g}, on the built-in model {_NAMED.learning_rate:g}.",
        "--learning-rate",
        metavar="X",
        check=_learning_rate,
    )
    """0 for what suits the start."""
    batch_size: int = option(
        4,
        "Crops per step; 4 for sefi. auto halves that until it fits into memory.",
        "--batch",
        metavar="N",
        kind=str,
        check=at_least("batch size", 1),
        read=lambda text: read_batch(text, largest=None),
    )
    """Each crop of a step has its own noise and timestep."""
    stages: int = option(
        5, "Timestep stages; 5 for sefi.", "--stages", metavar="N", check=at_least("stages", 1, "use 1 to 10")
    )
    """Of equal length, each with a token of its own (paper: 5)."""
    split_keys_values: bool = option(True, "Separate key and value features.", "--kv-split", off="--no-kv-split")
    """(Paper: yes.)"""
    self_attention: bool = option(True, "A small self-attention module produces the features in training.")
    """(Paper: yes.) Without it they are plain parameters, as in Textual Inversion."""
    vectors: int = option(1, "Vectors per feature; 1 for sefi.", "--vectors", metavar="N", check=at_least("vectors", 1))
    """Text positions that each feature takes."""
    attention_weight: float = option(
        0.003,
        "Weight of the face-wise attention loss, 0 for none; 0.003 for sefi.",
        "--lambda",
        metavar="X",
        check=not_negative("lambda"),
    )
    class_word: str = option(
        "person", "What they are: person, woman, man, ..., dog, car.", "--class", metavar="WORD", check=check_class_word
    )
    """What the person is to the text encoder before training, and in the reference prompt."""
    templates: str = option(
        "auto",
        "Training sentences: face or photo.",
        "--templates",
        metavar="SET",
        choices=TEMPLATE_SETS[1:],
        check=_templates,
    )
    """"auto" takes those of the whole, "photo", for a thing in which no face was looked for."""
    seed: int = option(0, "One seed, one result.", "--seed", metavar="N", check=check_seed)
    """Of noise, timesteps, templates and module initialisation."""
    mirror: bool = option(False, "Train on mirrored crops, too.", "--mirror")
    """(Faces are not symmetric: off.)"""
    checkpoint_every: int = option(
        50,
        "Steps; 0 only when interrupted.",
        "--checkpoint-every",
        metavar="N",
        check=at_least("checkpoint interval", 0),
    )
    background_weight: float = option(
        0.05,
        "How much the reconstruction loss counts outside the person's head, from 0 to 1 (alike).",
        check=within("background weight is {}", 0, 1, "0 to 1, where all counts alike"),
    )
    """A crop without a known face counts as a whole."""
    learning_rate_schedule: str = option(
        "cosine",
        "constant, or cosine down to nearly 0.",
        check=one_of("learning rate schedule", LEARNING_RATE_SCHEDULES),
    )
    warm_up: int = option(10, "Steps over which the learning rate rises.", check=at_least("warm-up", 0))
    average_last: int = option(
        AS_SUITS,
        "Over how many of the last steps the features are averaged; 0 takes those of the last step, and -1 what suits "
        "the start.",
        check=_average_last,
    )
    initial_token: str = option(
        "auto",
        "What the features start from: class, regression, or auto.",
        check=one_of("initial token", INITIAL_TOKENS),
    )
    """"regression" is what the judge's embedding of the photos says the person's name would be; "auto" takes it where
    the base model knows people by name and the photos show a face, else "class"."""
    token_space: str = option(
        "auto", "Where the features may go: embeddings, names, or auto.", check=one_of("token space", TOKEN_SPACES)
    )
    """"embeddings" is anywhere, "names" no further than the names of people that the base model knows span; "auto"
    takes names where they start from regression."""

    capture: bool = option(
        True, "On CUDA, replay steps as a captured graph: quicker, and the same result.", is_repeated=False
    )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left open that depends on base model and photos."""
        said = (self.initial_token, self.token_space, self.templates)
        return "auto" not in said and self.steps > 0 and self.learning_rate > 0 and self.average_last != AS_SUITS

    @classmethod
    def changed(cls, base: Self | None, given: Mapping[str, Any]) -> Self:
        """The settings, or those of the preset called `method` in `given`, with what is given and not None changed."""
        said = {key: value for key, value in given.items() if value is not None}
        name = said.pop("method", None)
        if name is not None and (not isinstance(name, str) or name not in PRESETS):
            raise UsageError(f"unknown preset {name!r}", f"choose one of: {', '.join(PRESETS)}")
        start: Any = base if base is not None and name is None else PRESETS[name or "sefi"]
        made: Self = replace(start, **said)
        if "steps" in said:  # what is left unsaid may be 0, which is what suits
            at_least("steps", 1)(made.steps)
        if "learning_rate" in said and made.learning_rate == 0:
            raise UsageError("learning rate must be above 0, not 0")
        return made


def preset(name: str, **changes: Any) -> TrainConfig:
    """Return a preset's settings with the given fields changed; fields that are None keep the preset's value.

    Raises:
        UsageError: Unknown preset or field, or values that cannot work together.
    """
    known = leaves(TrainConfig)
    for key in changes:
        if key not in known:
            raise UsageError(f"unknown training setting {key!r}", f"settings are: {', '.join(sorted(known))}")
    return TrainConfig.changed(None, {"method": name, **changes})


def paced(config: TrainConfig) -> TrainConfig:
    """Return settings with steps, learning rate and averaging as suits a settled initial token; what is said stays.

    Args:
        config: Settings whose initial token is not "auto".
    """
    pace = PACES[config.initial_token]
    steps = config.steps or pace.steps
    average = config.average_last
    if average == AS_SUITS:
        average = steps if pace.averaged else 0
    return replace(config, steps=steps, learning_rate=config.learning_rate or pace.learning_rate, average_last=average)


def more_settings() -> dict[str, type]:
    """Settings without an option of their own, which `--set` reaches, and their types: most are for experiments."""
    return {name: type(default) for name, (asked, _, default) in leaves(TrainConfig).items() if not asked.flags}


def read_more(texts: Iterable[str]) -> dict[str, Any]:
    """Read "SETTING=VALUE", several times.

    Raises:
        UsageError: No such setting, one that is set twice, or a value of another type.
    """
    known, found = more_settings(), {}
    for text in texts:
        name, _, value = text.partition("=")
        kind = known.get(name)
        if kind is None:
            raise UsageError(f"{text!r} sets nothing", f"settings are: {', '.join(known)}")
        if name in found:
            raise UsageError(f"{name} is set twice", "leave out one of them")
        try:
            found[name] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (ValueError, KeyError):
            raise UsageError(f"{name} is {_KINDS[kind]}, not {value!r}", f"write it as {name}=VALUE") from None
    return found


_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}

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
