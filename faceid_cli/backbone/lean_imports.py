"""Import diffusers and transformers without what they look for in vain.

That is peft, whose classes they know layers by; the names of packages that hardly anybody has; and in a process of
faceid's own, training on several machines: there they take torch for one that was built without it, as some are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from importlib import import_module
from importlib.metadata import packages_distributions
from typing import Any

from faceid_cli.backbone.lazy_compiler import postpone_the_compiler
from faceid_cli.backbone.lazy_packages import LazyPackage, join_packages, leave_out_packages
from faceid_cli.backbone.stand_ins import Postponed
from faceid_cli.kept.own_process import is_own_process

__all__ = ["LazyPackage"]

_TRAINING = (
    "torch.distributed.is_available",
    "transformers.utils.is_torch_flex_attn_available",
    "transformers.utils.import_utils.is_torch_flex_attn_available",
)
_ANEW = ("diffusers", "transformers", "peft")
_AT_ONCE = (
    "diffusers.utils.import_utils",
    "transformers.modeling_utils",
    "diffusers.loaders.lora_base",
    "diffusers.models.attention_dispatch",
    "transformers.models.clip.modeling_clip",
)


class _Distributions(Mapping[str, list[str]]):
    """`packages_distributions()`, looked up when somebody wants to know: that takes reading what all packages hold."""

    def __getitem__(self, name: str) -> list[str]:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _all(self) -> Mapping[str, list[str]]:
        return packages_distributions()


def _postpone_peft() -> None:
    """diffusers wants to know of modules whether they are peft's: before it is imported, none is."""
    peft = Postponed("peft")
    files = {"peft": "PeftModel", "peft.tuners.tuners_utils": "BaseTunerLayer"}
    peft.take_its_place({home: {name: peft.late_class(name, home)} for home, name in files.items()})


@contextmanager
def _replaced(module: Any, name: str, function: Any) -> Iterator[None]:
    """Another function in the place of one, while the context lasts; nothing where there is none."""
    was = getattr(module, name, None)
    if was is None:
        yield
        return
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, was)


def _answers() -> dict[str, Any]:
    """What is answered in the place of some functions."""
    transformers = import_module("transformers")
    answers = {
        "importlib.metadata.packages_distributions": _Distributions,
        # It would run the package's own file once more.
        "transformers.utils.direct_transformers_import": lambda *_, **__: transformers,
    }
    if is_own_process():
        answers |= dict.fromkeys(_TRAINING, lambda: False)
    return answers


def _import_lean() -> None:
    postpone_the_compiler()
    leave_out_packages()
    _postpone_peft()
    with ExitStack() as stack:
        for name, function in _answers().items():
            module, _, own = name.rpartition(".")
            stack.enter_context(_replaced(import_module(module), own, function))
        for name in _AT_ONCE:
            with suppress(ModuleNotFoundError):  # in this version they are elsewhere
                import_module(name)
        join_packages()


def _import_lean_or_plainly() -> None:
    """Where these versions cannot be imported so, they are imported as anybody would."""
    before = set(sys.modules)
    try:
        _import_lean()
    except Exception:
        for name in set(sys.modules) - before:
            package = sys.modules[name]
            if name.partition(".")[0] in _ANEW or (isinstance(package, LazyPackage) and not package.has_run):
                del sys.modules[name]


_import_lean_or_plainly()
