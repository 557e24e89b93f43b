"""What the features start from, and where they may go, as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from faceid_cli.backbone import BaseModel
from faceid_cli.orders import TrainConfig, is_people_word, paced
from faceid_cli.tokens import EmbeddingSpace
from faceid_cli.training.regression import knows_names, names_space, regressed_initial, shows_face
from faceid_cli.types import FaceCrop


def settled(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> TrainConfig:
    """Return settings in which what was "auto" is said, and the pace, too; what is said already stays.

    Args:
        base: The base model.
        crops: What is learned from.
        config: As they were asked for, with "auto" where something is left open.
    """
    if config.is_settled:
        return config
    initial, space, templates = config.initial_token, config.token_space, config.templates
    if initial == "auto":
        initial = "regression" if knows_names(base) and shows_face(crops) else "class"
    if space == "auto":
        space = "names" if initial == "regression" else "embeddings"
    if templates == "auto":
        is_thing = not is_people_word(config.class_word) and all(crop.face is None for crop in crops)
        templates = "photo" if is_thing else "face"
    return paced(replace(config, initial_token=initial, token_space=space, templates=templates))


def initial_embeddings(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> dict[str, Tensor]:
    """Return what the features start from for each text encoder, (D,), as the settings say; empty for the class word.

    Raises:
        UsageError: A way that does not work with this base model or these photos.
    """
    return regressed_initial(base, crops) if config.initial_token == "regression" else {}


def space_of(base: BaseModel, config: TrainConfig) -> EmbeddingSpace | None:
    """Return where the features stay, as the settings say; None for anywhere.

    Raises:
        UsageError: A space that this base model has not.
    """
    return names_space(base) if config.token_space == "names" else None
