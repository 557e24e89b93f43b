"""What people can be exported to, and what becomes of them there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from faceid_cli.errors import UsageError


@dataclass(frozen=True)
class Target:
    """A program, or a few that read the same files.

    Attributes:
        name: As `--to` takes it.
        programs: Who reads it.
        keeps: What of a person is there.
        loses: What is not; "" for nothing.
        families: Families of base models whose people it takes; all of them if empty.
        options: Fields of `Choices` that mean something there.
    """

    name: str
    programs: str
    keeps: str
    loses: str = ""
    families: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


TOKENS = ("values", "keys", "mean")
"""What can stand for keys and values where only one token can."""
_CHECKPOINTS = ("sd1", "sd2", "sdxl")
TARGETS = {
    target.name: target
    for target in (
        Target("faceid", "faceid (the default; one file each)", "everything"),
        Target("diffusers", "scripts with diffusers: folder with card and snippet", "everything", options=("prompt",)),
        Target(
            "comfyui",
            "ComfyUI: custom nodes, embeddings, workflow",
            "stages, keys and values",
            families=("sd1", "sdxl"),
            options=("prompt", "steps"),
        ),
        Target(
            "a1111",
            "AUTOMATIC1111, Forge, SD.Next: embeddings and a prompt",
            "stages, for one sampler, schedule and number of steps",
            "keys and values become one token",
            _CHECKPOINTS,
            ("single", "token", "sampler", "steps", "prompt"),
        ),
        Target(
            "invokeai",
            "InvokeAI: embeddings",
            "stages, with one Denoise node each",
            "keys and values become one token",
            _CHECKPOINTS,
            ("single", "token", "prompt"),
        ),
        Target(
            "kohya",
            "kohya's sd-scripts (gen_img.py): an embedding",
            "likeness on average",
            "stages; keys and values become one token",
            _CHECKPOINTS,
            ("token", "prompt"),
        ),
    )
}


@dataclass(frozen=True)
class Choices:
    """How to export.

    Attributes:
        single: One token for all stages.
        token: Which token stands for keys and values where only one can: "keys", "values" or "mean".
        sampler: As AUTOMATIC1111's web UI names it, with its schedule, that a prompt which changes is made for.
        steps: Sampler steps that it is made for.
        prompt: The example, with `<name>` for each person.
    """

    single: bool = False
    token: str = "values"
    sampler: str = "DPM++ 2M Karras"
    steps: int = 20
    prompt: str = ""


class Check(Protocol):
    """Reads written files back; raises OutputError where they are not what they should be."""

    def __call__(self, folder: Path, /) -> None:
        """Check the files in a folder."""


@dataclass(frozen=True)
class Package:
    """Files for another program.

    Attributes:
        files: Content by name, relative to the folder, with "/" between folders.
        use: What to do with them, in one line.
        check: See there.
        lost: What of these people is not in them.
        notes: What else is worth telling the user.
    """

    files: dict[str, bytes]
    use: str
    check: Check
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_target(name: str) -> Target:
    """The target of a name.

    Raises:
        UsageError: There is none; the hint lists those that are.
    """
    if name not in TARGETS:
        raise UsageError(f"there is no target {name!r}", f"choose one of: {', '.join(TARGETS)}")
    return TARGETS[name]
