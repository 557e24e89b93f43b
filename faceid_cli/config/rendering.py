"""Settings of rendering."""

from __future__ import annotations

from dataclasses import dataclass

from faceid_cli.config.checks import at_least, check_precision, not_negative
from faceid_cli.errors import UsageError

CONTROLS = ("canny", "openpose", "depth", "image")
"""What a control image shows: of "canny" faceid makes the edges itself, the others are given ready-made."""
SCHEDULERS = (
    "ddim",
    "euler",
    "euler-a",
    "dpm++",
    "dpm++-karras",
    "dpm++-sde",
    "dpm++-sde-karras",
    "unipc",
    "lcm",
)


@dataclass(frozen=True)
class RenderConfig:
    """How pictures are rendered.

    Attributes:
        steps: Sampler steps.
        guidance_scale: Classifier-free guidance scale; 1 switches guidance off.
        scheduler: One of SCHEDULERS, or as other programs call it ("DPM++ 2M Karras").
        width: Pixels, or None for the base model's own size.
        height: Pixels, or None for the base model's own size.
        negative_prompt: What the picture should not show.
        clip_skip: How many of the text encoders' last layers to leave out (other programs count one more).
        strength: With a picture to start from: how much of it may change, above 0 up to 1; None for 0.6, or for 0.8
            where a mask holds the rest.
        batch_size: Pictures rendered at once. Changes speed and memory, not the pictures (up to rounding).
        fit_batch: Halve `batch_size` until the pictures fit into memory.
        precision: Of the model's arithmetic; "auto" picks by device.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        likeness: How much of the person is in the tokens: 0 the class word, 1 what was learned, up to 2.
        likeness_keys: The same for the key features alone; None for `likeness`.
        likeness_values: The same for the value features alone; None for `likeness`.
        stages: Timestep stages, counted from 1 at the noisiest, in which the person is there; the class word stands in
            the others. All of them if empty.
        control_scale: With a ControlNet: how closely it is followed; 0 is not at all, 1 as it was taught.
        hires: Above 1: enlarge the finished picture so many times, and render it once more from there.
        hires_strength: How much of the enlarged picture may change, above 0 up to 1.
    """

    steps: int = 20
    guidance_scale: float = 5.0
    scheduler: str = "ddim"
    width: int | None = None
    height: int | None = None
    negative_prompt: str = ""
    clip_skip: int = 0
    strength: float | None = None
    batch_size: int = 4
    fit_batch: bool = False
    precision: str = "auto"
    device: str = "auto"
    likeness: float = 1.0
    likeness_keys: float | None = None
    likeness_values: float | None = None
    stages: tuple[int, ...] = ()
    control_scale: float = 1.0
    hires: float = 1.0
    hires_strength: float = 0.5

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 1)
        at_least("batch size", self.batch_size, 1)
        if self.steps > 1000:
            raise UsageError(f"steps is {self.steps}, but there are only 1000 timesteps", "20 to 50 is usual")
        at_least("clip skip", self.clip_skip, 0)
        for name, strength in (("strength", self.strength), ("strength of the second pass", self.hires_strength)):
            if strength is not None and not 0 < strength <= 1:
                raise UsageError(f"{name} is {strength}", "use a number above 0, up to 1; 0.6 is usual")
        if not 0 <= self.control_scale <= 2:
            raise UsageError(f"control scale is {self.control_scale:g}", "use 0 to 2; 1 is usual")
        if not 1 <= self.hires <= 4:
            raise UsageError(f"a picture cannot be enlarged {self.hires:g} times", "use 1 to 4; 1.5 is usual")
        not_negative("guidance scale", self.guidance_scale)
        for name, likeness in (
            ("likeness", self.likeness),
            ("likeness of keys", self.likeness_keys),
            ("likeness of values", self.likeness_values),
        ):
            if likeness is not None and not 0 <= likeness <= 2:
                raise UsageError(f"{name} is {likeness:g}", "0 is anybody of the class, 1 the person, 2 the most")
        if any(stage < 1 for stage in self.stages):
            raise UsageError(f"there is no stage {min(self.stages)}", "count them from 1, the noisiest")
        if scheduler_name(self.scheduler) not in SCHEDULERS:
            raise UsageError(f"unknown scheduler {self.scheduler!r}", f"choose one of: {', '.join(SCHEDULERS)}")
        object.__setattr__(self, "scheduler", scheduler_name(self.scheduler))
        for name, size in (("width", self.width), ("height", self.height)):
            if size is not None and (size < 64 or size % 8):
                raise UsageError(f"{name} is {size} px", "sizes are multiples of 8, from 64 px")
        check_precision(self.precision)

    def strength_of(self, masked: bool) -> float:
        """How much of a picture to start from may change; `masked` tells whether a mask holds the rest."""
        return (0.8 if masked else 0.6) if self.strength is None else self.strength

    @property
    def dials(self) -> tuple[float, float, tuple[int, ...]]:
        """Likeness of the keys, likeness of the values, and the stages with the person."""
        keys = self.likeness if self.likeness_keys is None else self.likeness_keys
        values = self.likeness if self.likeness_values is None else self.likeness_values
        return keys, values, self.stages


def scheduler_name(text: str) -> str:
    """What is called "Euler a", "DPM++ 2M SDE Karras" or "dpmpp_2m" elsewhere, in the words used here."""
    name = "-".join(text.lower().replace("_", " ").split()).replace("dpmpp", "dpm++").replace("dpm++-2m", "dpm++")
    return "euler-a" if name == "euler-ancestral" else name
