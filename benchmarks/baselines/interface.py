"""What every method is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from faceid_cli.backbone import BaseModel
from faceid_cli.types import FaceCrop, IdentityTokens


@dataclass(frozen=True)
class Settings:
    """Settings of a run. Photos, seed and batch size are the same for all methods.

    Attributes:
        steps: Optimiser steps.
        learning_rate: Of AdamW.
        batch_size: Crops per step.
        seed: Of noise, timesteps and sentences; equal for all methods.
        class_word: What the person is.
        options: More of the method's own, by name.
    """

    steps: int = 300
    learning_rate: float = 5e-3
    batch_size: int = 4
    seed: int = 0
    class_word: str = "person"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """What a method has learned.

    Attributes:
        tokens: Stand at the person's place in a prompt.
        losses: One number a step.
        seconds: Of the training steps, as the method counts them.
        parameters: How many numbers are kept.
        around: Given a prompt with the person in it, a context in which the base model renders the person.
    """

    tokens: IdentityTokens
    losses: tuple[float, ...]
    seconds: float
    parameters: int
    around: Callable[[str], AbstractContextManager[None]] = lambda prompt: nullcontext()


class Method(Protocol):
    """A way to teach a base model a person.

    Attributes:
        name: In tables.
        defaults: Where the search for its best settings starts.
        grid: Changes of the defaults that are tried, one after the other.
    """

    name: str
    defaults: Settings
    grid: tuple[Mapping[str, Any], ...]

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """Learn the person in the crops; the base model is left as found."""
        ...
