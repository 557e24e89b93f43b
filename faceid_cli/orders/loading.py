"""How a base model is loaded, and where the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faceid_cli.orders.checks import DEVICES, PRECISIONS, check_device, one_of
from faceid_cli.orders.option import Option, Options, option

MODEL = Option(
    "Base model: builtin, a name, a diffusers folder, a file or a hub id.",
    ("--model",),
    metavar="MODEL",
    is_source=True,
)


@dataclass(frozen=True)
class ModelOptions(Options):
    """How a base model is loaded, and what is put into it."""

    variant: str | None = option(None, "Which of the base model's files, such as fp16.", "--variant", metavar="NAME")
    vae: str | None = option(None, "Another autoencoder: a file or a folder.", "--vae", metavar="PATH", is_source=True)
    loras: tuple[str, ...] | None = option(
        None, "Put a LoRA into the base model; may be repeated.", "--lora", metavar="FILE[:SCALE]", is_source=True
    )
    """None for those that a person was learned with, () for none."""
    low_vram: bool = option(False, "Use less memory and more time.", "--low-vram")
    compile: bool = option(
        False, "Let torch compile the model first: takes minutes, pays in long work.", "--compile", is_repeated=False
    )

    def kept(self) -> dict[str, Any]:
        """What belongs to a person's method of it, as JSON values; empty if nothing was put into the base model."""
        kept = {"variant": self.variant, "vae": self.vae, "loras": list(self.loras or ())}
        return {"model_options": kept} if any(kept.values()) else {}

    @classmethod
    def learned(cls, method: Mapping[str, Any]) -> ModelOptions:
        """Read what `kept` wrote; the method may come from anyone's file."""
        kept = method.get("model_options")
        if not isinstance(kept, dict):
            return cls()
        variant, vae, loras = kept.get("variant"), kept.get("vae"), kept.get("loras")
        return cls(
            variant=variant if isinstance(variant, str) else None,
            vae=vae if isinstance(vae, str) else None,
            loras=tuple(each for each in loras if isinstance(each, str)) if isinstance(loras, list) and loras else None,
        )


@dataclass(frozen=True)
class Machine(Options):
    """Where the work is done, and how exactly; what is None is as the user's settings say."""

    device: str | None = option(
        None,
        "auto, cpu, cuda, cuda:1 or mps.",
        "--device",
        metavar="DEVICE",
        choices=DEVICES,
        check=check_device,
    )
    precision: str | None = option(
        None,
        ", ".join(PRECISIONS) + ".",
        "--precision",
        metavar="TYPE",
        choices=PRECISIONS,
        check=one_of("precision", PRECISIONS),
    )
