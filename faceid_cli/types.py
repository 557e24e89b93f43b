"""What the rooms hand to each other: small frozen dataclasses, with shapes and units.

Legend for tensor shapes: S stages, N vectors per feature, D width of the text encoder's token embedding,
B batch, T text positions, L attention layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

BUILTIN = "builtin"
"""What the base model that ships with faceid is called."""

Region = tuple[float, float, float, float]
"""A part of a picture: left, top, right, bottom as shares of its width and height, 0 to 1."""
OnNote = Callable[[str], None]
"""Called with a line worth telling the user."""
OnProgress = Callable[[int, int], None]
"""Called with (sampler steps done, sampler steps in all)."""
OnPreviewFile = Callable[[int, Path], None]
"""Called with (training steps done, the file of a sample picture)."""


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle in pixels: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box, (x, y) in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


@dataclass(frozen=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: Where it is, in pixels of the picture it was found in.
        landmarks: Left eye, right eye, nose tip, left and right mouth corner, as a viewer sees them; (x, y) in pixels.
        score: The detector's confidence, 0 to 1.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float


@dataclass(frozen=True)
class Photo:
    """A decoded photo: upright, sRGB, 8 bit.

    Attributes:
        path: The file it came from.
        image: The picture, RGB, of its full size.
        sha256: Hex digest of the file's bytes.
    """

    path: Path
    image: Image.Image
    sha256: str


@dataclass(frozen=True)
class FaceCrop:
    """A square training crop, at the base model's resolution, with the aspect of the photo kept.

    Attributes:
        image: RGB, size x size px.
        face: The face, in pixels of the crop; None when detection was switched off.
        photo_sha256: Which photo it was cut from.
        photo_path: The photo's file.
        others: Heads of other people, in pixels of the crop; nothing is learned from what they cover.
        outline: The visible face, of mode "L"; None where it was not looked for, or cannot be told.
    """

    image: Image.Image
    face: Face | None
    photo_sha256: str
    photo_path: Path
    others: tuple[Box, ...] = ()
    outline: Image.Image | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class IdentityTokens:
    """An identity: per-stage K and V features in the text encoder's token-embedding space (paper section 3.2).

    Attributes:
        keys: P^K per text encoder name ("text_encoder", for SDXL also "text_encoder_2"), each float32 (S, N, D).
        values: P^V, same layout. Equal to `keys` where K and V are not split.
        class_word: What the person was to the text encoder before training.
    """

    keys: dict[str, Tensor]
    values: dict[str, Tensor]
    class_word: str = "person"

    @property
    def stages(self) -> int:
        """Number of timestep stages S."""
        return int(next(iter(self.keys.values())).shape[0])

    @property
    def vectors(self) -> int:
        """Number of vectors per feature N."""
        return int(next(iter(self.keys.values())).shape[1])


@dataclass(frozen=True)
class StepReport:
    """One training step, for progress displays.

    Attributes:
        step: Steps done so far, counted from 1.
        steps: Steps in all.
        reconstruction: Noise (or velocity) prediction loss, mean square per latent element.
        attention: Face-wise attention loss before it is weighted with lambda.
        steps_per_second: Speed over the recent steps.
        seconds_left: Estimate of the time to the end.
        people: How many people the step was of.
    """

    step: int
    steps: int
    reconstruction: float
    attention: float
    steps_per_second: float
    seconds_left: float
    people: int = 1


@dataclass(frozen=True)
class TrainReport:
    """What a finished training run leaves beside the tokens.

    Attributes:
        losses: One (reconstruction, attention) pair per step.
        seconds: Wall-clock time of the whole run, resumed parts included.
        resumed_from: The step it was resumed from, or 0.
    """

    losses: tuple[tuple[float, float], ...]
    seconds: float
    resumed_from: int = 0


@dataclass(frozen=True)
class Identity:
    """An identity as the registry knows it (no tensors: those are in `path`).

    `damaged` names the fields that cannot be read any more; they are empty then.
    """

    name: str
    id: str
    class_word: str
    base_model: str
    base_fingerprint: str
    method: dict[str, Any]
    photo_hashes: tuple[str, ...]
    path: Path
    created: str
    tags: tuple[str, ...] = ()
    note: str = ""
    consent: str = ""
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class RenderRequest:
    """One picture to render.

    Attributes:
        prompt: The prompt as the user wrote it, people marked by `{name}` or `<name>`.
        names: Identities in the prompt, in order.
        seed: Seed of the initial noise, drawn on the CPU for this picture alone.
    """

    prompt: str
    names: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Render:
    """A rendered picture and everything needed to repeat it."""

    image: Image.Image
    request: RenderRequest
    settings: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
