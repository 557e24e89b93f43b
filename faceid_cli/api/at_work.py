"""What workers of every kind share: what they are told, and that the base model there is the one that is meant here."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from faceid_cli.errors import ModelMismatchError, ModelNotFoundError, WorkersError
from faceid_cli.kept.settings import take_settings
from faceid_cli.workers.pool import Place

SAME_PATH = "base models and files of rows have to lie at the same path on all machines; hub ids and builtin do without"
MOST_LOSSES = 3
"""A task that takes so many workers with it has failed."""


@dataclass(frozen=True)
class Told:
    """What all workers are told.

    Attributes:
        settings: The user's, see `kept.settings.take_settings`.
        host: The machine that they come from.
        is_signed: Whether pictures are marked and signed where the key is: then they go back without any words.
    """

    settings: dict[str, str]
    host: str
    is_signed: bool = False


def settle_in(place: Place, told: Told) -> None:
    """Begin to work at a place, with the user's settings."""
    take_settings(told.settings)
    if place.threads is not None:
        import torch

        torch.set_num_threads(place.threads)


def not_here(error: ModelNotFoundError) -> WorkersError:
    """The error for a base model that is not on the worker's machine."""
    return WorkersError(f"{error.message} on the worker {platform.node()}", SAME_PATH)


def check_same_base(source: str, found: str, wanted: str) -> None:
    """Compare fingerprints of a base model: on the worker's machine, and where the task comes from.

    Raises:
        ModelMismatchError: They are two.
    """
    if found != wanted:
        raise ModelMismatchError(
            f"the base model at {source} on the worker {platform.node()} is another one than here",
            "copy the same files to all machines",
        )


def lost_over(what: str, times: int, why: str) -> WorkersError:
    """The error for what took too many workers with it."""
    return WorkersError(f"{times} workers were lost over {what}; {why}", "see whether memory is short there")
