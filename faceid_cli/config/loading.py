"""How a base model is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelOptions:
    """How a base model is loaded, and what is put into it.

    Attributes:
        variant: Of its files, such as "fp16"; None for the plain ones where they are there.
        vae: Another autoencoder: a file, a folder; None for the model's own.
        loras: LoRA adapters as "FILE" or "FILE:SCALE"; None for those a person was learned with, () for none.
        low_vram: Trade time for memory.
        compile: Let torch translate its parts first, which takes minutes and makes long work quicker.
    """

    variant: str | None = None
    vae: str | None = None
    loras: tuple[str, ...] | None = None
    low_vram: bool = False
    compile: bool = False
