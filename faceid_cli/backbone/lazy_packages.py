"""Leave out what diffusers imports and nothing here uses: files of other model families, and statistics for schedules.

Some packages import everything that is in them as soon as one file of them is needed. Here they stand in
`sys.modules` before that, and import everything when something is asked of them, not of one of their files.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PACKAGES = (
    "diffusers.models.transformers",
    "diffusers.models.autoencoders",
    "diffusers.models.controlnets",
    "diffusers.hooks",
    "scipy.stats",
)


class LazyPackage(ModuleType):
    """A package whose own file is run when something is asked of it that is not there yet."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if (name.startswith("__") and name.endswith("__")) or spec is None or spec.loader is None:
            raise AttributeError(name)
        if not self.__dict__.get("_has_run"):
            self.__dict__["_has_run"] = True
            spec.loader.exec_module(self)
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _found(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ModuleNotFoundError:  # not even what it is a part of
        return None


def _leave_out_other_families() -> None:
    """Put the packages in place; those that are there already, or that this version has not, stay as they are."""
    for name in PACKAGES:
        parent, _, own = name.rpartition(".")
        spec = None if name in sys.modules else _found(name)
        if spec is None or spec.submodule_search_locations is None:
            continue
        package = LazyPackage(name)
        package.__spec__, package.__loader__, package.__file__ = spec, spec.loader, spec.origin
        package.__path__, package.__package__ = spec.submodule_search_locations, name
        sys.modules[name] = package
        setattr(sys.modules[parent], own, package)


_leave_out_other_families()
