"""What is kept of a rendered picture: how it was ordered, and what that came to. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from faceid_cli.orders.sampling import Sampling


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
        stage_steps: How many sampler steps each stage of the timesteps had, noisiest first; all passes together.
        files: Names of the files that were given, by option; without their folders.
        embeddings: Files of other words in the prompt, as "WORD FILE", with the beginning of the file's SHA-256.
        chosen: How the likeness was chosen, where faceid chose it; else "".
        request: Hash of what was asked for, by which a batch knows what is there already.
        similarity: To the person's photos, as `evaluate` scores it, where a least one was asked for; else None.
        versions: Package name -> version, of what changes pixels.
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
    request: str = ""
    similarity: float | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is checked: this is what was done, perhaps by a faceid that could do more."""
