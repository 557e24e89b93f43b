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
    "regression": Pace(75, 5e-3),  # a name that is nearly right has not far to go
}
"""By initial token."""

PACES_OF_ONE_PHOTO = PACES | {
    # Much of what one photo asks for is the photo and not the face: an average goes half of the way.
    "regression": Pace(20, 1e-2, averaged=True),
}


def pace_of(initial_token: str, photos: int) -> Pace:
    """Return what suits a settled initial token and a number of photos."""
    return (PACES_OF_ONE_PHOTO if photos == 1 else PACES)[initial_token]
