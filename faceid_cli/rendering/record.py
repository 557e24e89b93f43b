"""What is kept of a rendered picture: how it was ordered, and what that came to. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from PIL import Image

from faceid_cli.orders.composing import NO_LAYOUT
from faceid_cli.orders.sampling import USUAL, Sampling
from faceid_cli.types import Render


@dataclass(frozen=True, kw_only=True)
class RenderMetadata(Sampling):
    """Everything needed to render a picture again: beside the order's sampling, with sizes and strength as they were.

    Attributes:
        prompt: Normalised prompt, people as `<name>`.
        names: The people's names, in the order they were asked for.
        identity_ids: Their registry ids, same order.
        seed: Of the initial noise.
        width: Of the picture's first pass, in pixels.
        height: Of the picture's first pass, in pixels.
        base_model: The base model: a hub id, or the name of its file or folder, without where that lies.
        base_fingerprint: Of its weights.
        precision: Of the arithmetic.
        additions: What was put into the base model: LoRA adapters, another VAE.
        init: SHA-256 of the picture it started from; "" for noise alone.
        mask: SHA-256 of the mask, where only a part of that picture could change; else "".
        face: Which face of that picture was replaced, as it was asked for; "" where none was.
        strength: How much of that picture could change.
        control: What the control image showed, one of orders.CONTROLS; "" without a ControlNet.
        control_model: The ControlNet: its name and the beginning of its weights' SHA-256.
        control_image: SHA-256 of the control image, as it was given.
        steps: Of the sampler; this and the next three are as usual where an older picture does not say.
        scheduler: One of orders.SCHEDULERS.
        guidance_scale: How closely the prompt was followed.
        guided: The share of the steps that were guided.
        stage_steps: How many sampler steps each stage of the timesteps had, noisiest first; all passes together.
        files: Names of the files that were given, by option; without their folders.
        embeddings: Files of other words in the prompt, as "WORD FILE", with the beginning of the file's SHA-256.
        chosen: How the likeness was chosen, where faceid chose it; else "".
        request: Hash of what was asked for, by which a batch knows what is there already.
        layout: How the places of several people were found; None for one person, "none" before there were regions.
        region: Where each of several people was, as the option says it.
        likenesses: Of several people, how alike the face of each is to their photos, -1 to 1; empty if not looked at.
        repaired: Whose faces were rendered again, in order.
        similarity: To the person's photos, as `evaluate` scores it, where a least one was asked for; else None.
        versions: Package name -> version, of what changes pixels.
        device: Where the arithmetic was done: the kind, and the name of a graphics card or the processor's family.
        batch: Seeds of the pictures that were rendered together; with others beside it a picture is rounded otherwise.
        pixels: SHA-256 of the pixels as they were rendered, before a watermark and before the file's compression.
        identity_hashes: Digest of each person's tokens, by name.
        hashes: Digests of files as sites of models know them: "model", "vae", "lora:NAME", "embed:NAME".
        lora_hashes: Digest of each LoRA's weights without the file's header, by the file's name.
        watermark: What is hidden in the pixels; "" for nothing.
        prompt_writer: Who wrote the prompt, where the user has said so.
    """

    prompt: str
    names: tuple[str, ...]
    identity_ids: tuple[str, ...]
    seed: int
    width: int = field()
    height: int = field()
    base_model: str = ""
    base_fingerprint: str = ""
    precision: str = ""
    additions: tuple[str, ...] = ()
    init: str = ""
    mask: str = ""
    face: str = ""
    strength: float = 1.0
    control: str = ""
    control_model: str = ""
    control_image: str = ""
    stage_steps: tuple[int, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    embeddings: tuple[str, ...] = ()
    chosen: str = ""
    steps: int = USUAL["steps"]
    scheduler: str = USUAL["scheduler"]
    guidance_scale: float = USUAL["guidance_scale"]
    guided: float = USUAL["guided"]
    request: str = ""
    layout: str | None = NO_LAYOUT
    likenesses: dict[str, float] = field(default_factory=dict)
    repaired: tuple[str, ...] = ()
    similarity: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    batch: tuple[int, ...] = ()
    pixels: str = ""
    identity_hashes: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    lora_hashes: dict[str, str] = field(default_factory=dict)
    watermark: str = ""
    prompt_writer: str = ""

    def __post_init__(self) -> None:
        """Nothing is checked: this is what was done, perhaps by a faceid that could do more."""


def metadata_of(picture: Render, identity_ids: Sequence[str] = ()) -> RenderMetadata:
    """What to write into the picture's file, see rendering/metadata.py; other settings stay on this machine."""
    known = {field.name for field in fields(RenderMetadata)}
    settings = {name: value for name, value in picture.settings.items() if name in known}
    model = Path(settings["base_model"])
    if model.is_absolute():  # pictures are published, and folders have their owners' names in them
        settings["base_model"] = model.name
    return RenderMetadata(names=picture.request.names, identity_ids=tuple(identity_ids), **settings)


def digest_of(image: Image.Image | None) -> str:
    """SHA-256 of a picture's pixels; "" for none."""
    return "" if image is None else hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()
