"""A person as they are written for other programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from faceid_cli.errors import UsageError
from faceid_cli.kept.identity_file import IdentityFile
from faceid_cli.model_files import FAMILY_NAMES, family_of_fingerprint
from faceid_cli.model_files.widths import TOKEN_WIDTHS

Vectors = Mapping[str, np.ndarray]
"""One feature: (N, D) by the text encoder's name."""


@dataclass(frozen=True)
class Exported:
    """A person on the way to another program.

    Attributes:
        name: As enrolled.
        stored: Features, and what the file says of them, without folders of this machine.
    """

    name: str
    stored: IdentityFile

    @property
    def stages(self) -> int:
        """Number of stages S."""
        return int(next(iter(self.stored.keys.values())).shape[0])

    @property
    def is_split(self) -> bool:
        """Whether keys and values differ anywhere."""
        return any(not np.array_equal(part, self.stored.values[name]) for name, part in self.stored.keys.items())

    @property
    def changes(self) -> bool:
        """Whether stages differ."""
        return any(
            (part != part[:1]).any() for side in (self.stored.keys, self.stored.values) for part in side.values()
        )

    @property
    def family(self) -> str:
        """Of the base model: "sd1", "sd2" or "sdxl"; "" for the built-in model and others that no program loads."""
        said = family_of_fingerprint(self.stored.metadata.base_fingerprint)
        found = {name: int(part.shape[-1]) for name, part in self.stored.keys.items()}
        return next((family for family, widths in TOKEN_WIDTHS.items() if widths == found and said in ("", family)), "")

    def keys(self, stage: int) -> Vectors:
        """P^K of a stage, (N, D) by text encoder."""
        return {name: part[stage] for name, part in self.stored.keys.items()}

    def values(self, stage: int) -> Vectors:
        """P^V of a stage."""
        return {name: part[stage] for name, part in self.stored.values.items()}

    @property
    def stem(self) -> str:
        """The name as all programs take it in prompts and file names: lower case, with a part that is no word."""
        return f"fid-{re.sub('[^a-z0-9]+', '-', self.name.lower()).strip('-') or 'x'}"

    def check_family(self, program: str, families: tuple[str, ...]) -> None:
        """Refuse people of base models that a program does not load.

        Raises:
            UsageError: Says which it loads.
        """
        if self.family in families:
            return
        known = FAMILY_NAMES.get(self.family, "")
        what = known or f"a base model of its own kind ({self.stored.metadata.base_model})"
        loads = ", ".join(FAMILY_NAMES[family] for family in families)
        raise UsageError(
            f"{self.name} was learned on {what}, and {program} loads {loads}",
            "enroll the person on such a base model, or export --to diffusers",
        )
