"""The dials at generation: how much of the person is in the tokens, keys and values and stages apart.

Shapes: S stages, N vectors per feature, D width of token embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import UsageError
from faceid_cli.tokens.module import class_embedding
from faceid_cli.types import IdentityTokens


def dialled(
    base: BaseModel,
    tokens: IdentityTokens,
    likeness: float,
    likeness_values: float | None = None,
    stages: Sequence[int] = (),
) -> IdentityTokens:
    """Return tokens between the class word's (0) and the person's own (1), or beyond them.

    Features move along the straight line from the class word's embedding. Less likeness leaves the other words of a
    prompt more room. Less of the keys lets the person's word look where the class word looks, less of the values puts
    less of the person there (paper section 3.2). Where a dial stands at 1, no bit changes.

    Args:
        base: The base model.
        tokens: The person's tokens, as they were learned.
        likeness: Of the keys, and of the values, too, where they have no likeness of their own.
        likeness_values: Of the values; None for `likeness`.
        stages: Stages, counted from 1 at the noisiest, in which the person is there; in the others the class word
            stands in their place. All of them if empty.

    Raises:
        UsageError: The base model has no token for the person's class word, or the person has not so many stages.
    """
    beyond = [stage for stage in stages if not 1 <= stage <= tokens.stages]
    if beyond:
        counted = "1 stage" if tokens.stages == 1 else f"{tokens.stages} stages"
        raise UsageError(f"there is no stage {beyond[0]}: the person has {counted}", "count them from 1")
    sides = []
    for side, amount in (
        (tokens.keys, likeness),
        (tokens.values, likeness if likeness_values is None else likeness_values),
    ):
        amounts = [amount if not stages or stage + 1 in stages else 0.0 for stage in range(tokens.stages)]
        sides.append(_moved(base, tokens.class_word, side, amounts))
    if sides[0] is tokens.keys and sides[1] is tokens.values:
        return tokens
    return IdentityTokens(sides[0], sides[1], tokens.class_word)


def _moved(base: BaseModel, class_word: str, side: dict[str, Tensor], amounts: Sequence[float]) -> dict[str, Tensor]:
    """One side, (S, N, D) by text encoder, with each stage moved by its own amount."""
    if all(amount == 1 for amount in amounts):
        return side
    moved = {}
    for encoder in base.encoders:
        features = side[encoder.name].clone()
        start = class_embedding(base, class_word, encoder).to(features)
        for stage, amount in enumerate(amounts):
            if amount != 1:
                features[stage] = start + amount * (features[stage] - start)
        moved[encoder.name] = features
    return moved
