"""What a training ends with when it went astray though its losses stayed numbers."""

from __future__ import annotations

import math

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import FaceIDError
from faceid_cli.tokens import embedding_scale
from faceid_cli.types import IdentityTokens

_MOST_TIMES = 1000
"""How many times as large as the base model's own words a feature may be."""


def too_large(base: BaseModel, tokens: IdentityTokens) -> FaceIDError | None:
    """The error for tokens that no text encoder makes sense of, so that every picture would fail; None for others."""
    for encoder in base.encoders:
        largest = max(
            float(side[encoder.name].double().square().mean(dim=-1).sqrt().max())
            for side in (tokens.keys, tokens.values)
        )
        times = largest / embedding_scale(base, encoder)
        if not times <= _MOST_TIMES:  # what is no number compares as False
            what = f"{times:.0e} times as large as the words of the base model" if math.isfinite(times) else "no number"
            return FaceIDError(f"training went astray: what was learned is {what}", "use a smaller --learning-rate")
    return None
