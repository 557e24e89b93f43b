"""The dial between the class word and the person, at generation: how much of the person is in the tokens."""

from __future__ import annotations

from faceid_cli.backbone import BaseModel
from faceid_cli.tokens.module import class_embedding
from faceid_cli.types import IdentityTokens


def dialled(base: BaseModel, tokens: IdentityTokens, likeness: float) -> IdentityTokens:
    """Return tokens between the class word's (0) and the person's own (1), or beyond them.

    Features move along the straight line from the class word's embedding. Less likeness leaves the other words of a
    prompt more room; 1 changes no bit.

    Raises:
        UsageError: The base model has no token for the person's class word.
    """
    if likeness == 1:
        return tokens
    sides = []
    for side in (tokens.keys, tokens.values):
        moved = {}
        for encoder in base.encoders:
            features = side[encoder.name]
            start = class_embedding(base, tokens.class_word, encoder).to(features)
            moved[encoder.name] = start + likeness * (features - start)
        sides.append(moved)
    return IdentityTokens(sides[0], sides[1], tokens.class_word)
