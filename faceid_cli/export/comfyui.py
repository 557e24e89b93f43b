"""For ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence

from faceid_cli.export.person import Exported
from faceid_cli.export.targets import Choices, Package


def comfyui(people: Sequence[Exported], choices: Choices) -> Package:
    """Still to come."""
    raise NotImplementedError
