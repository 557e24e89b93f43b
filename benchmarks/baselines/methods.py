"""All methods by name, and one that learns nothing, as a level to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.baselines.interface import Learned, Method, Settings
from benchmarks.baselines.loop import FixedTokens, tokens_of
from benchmarks.baselines.tokens import PACES, START, MaskedAttention, MaskedReconstruction, PerLayerTokens, Preset
from benchmarks.baselines.weights import CustomDiffusion, DreamBoothLora, class_words
from faceid_cli.backbone import BaseModel
from faceid_cli.types import FaceCrop


class BaseAlone:
    """The base model with the class word: its own prompt score, and the likeness of anybody."""

    name = "base model"
    defaults = Settings(steps=1)
    grid: tuple[Mapping[str, Any], ...] = ()

    def learn(self, base: BaseModel, crops: Sequence[FaceCrop], settings: Settings) -> Learned:
        """See `Method`; nothing is learned."""
        return Learned(tokens_of(FixedTokens(class_words(base, settings.class_word))), (), 0.0, 0)


METHODS: dict[str, Method] = {
    "base": BaseAlone(),
    "textual-inversion": Preset("Textual Inversion", "textual-inversion", START, PACES),
    "prospect": Preset("ProSpect", "prospect", START, PACES),
    "per-layer": PerLayerTokens(),
    "masked-loss": MaskedReconstruction(),
    "masked-attention": MaskedAttention(),
    "dreambooth-lora": DreamBoothLora(),
    "custom-diffusion": CustomDiffusion(),
    "sefi-paper": Preset(
        "SeFi-IDE, the paper's recipe",
        "sefi-paper",
        START,
        (*PACES, {"attention_weight": 0.03}, {"attention_weight": 0.3}),
    ),
    # As users get it (`benchmarks.tuned`), so nothing is looked for.
    "sefi": Preset("faceid (sefi)", "sefi", START, ()),
    "regression-alone": Preset(
        "its first token alone",
        "sefi-paper",
        Settings(steps=1, learning_rate=1e-6, options={"initial_token": "regression"}),
        (),
    ),
}
