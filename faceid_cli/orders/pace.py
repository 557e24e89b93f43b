"""How long and how fast to train where nothing is said: that depends on what features start from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The usual training from some initial token.

    Attributes:
        steps: Of the optimiser.
        learning_rate: Of AdamW.
        averaged: Whether the features are averaged over all steps.
    """

    steps: int
    learning_rate: float
    averaged: bool = False


PACES = {
    "class": Pace(300, 5e-3),
    # A name that is nearly right has not far to go, and much of what photos ask for is the photos and not the face: an
    # average over all steps goes half of the way.
    "regression": Pace(20, 1e-2, averaged=True),
}
"""By initial token."""
