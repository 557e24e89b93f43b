"""Leave out what diffusers and transformers import and nothing here uses: other models, and statistics for schedules.

Some packages import everything that is in them, or look through all of it, as soon as one file of them is needed. Here
they stand in `sys.modules` before that, and do so when something is asked of them, not of one of their files.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from faceid_cli.backbone.stand_ins import LateClass

PACKAGES = (
    "diffusers.models.transformers",
    "diffusers.models.autoencoders",
    "diffusers.models.controlnets",
    "diffusers.guiders",
    "diffusers.hooks",
    "scipy.integrate",
    "scipy.optimize",
    "scipy.stats",
    "torch.nn.attention.flex_attention",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.ops",
    "transformers",
    "transformers.models",
)
_CLIP = "transformers.models.clip"
# What may be asked of a package without its own file being run, and the files that it is in.
_HOMES = {
    "diffusers.guiders": {"BaseGuidance": "diffusers.guiders.guider_utils"},
    "scipy.optimize": {"linear_sum_assignment": "scipy.optimize._lsap"},
    "transformers": {
        "CLIPConfig": f"{_CLIP}.configuration_clip",
        "CLIPTextConfig": f"{_CLIP}.configuration_clip",
        "CLIPTextModel": f"{_CLIP}.modeling_clip",
        "CLIPTextModelWithProjection": f"{_CLIP}.modeling_clip",
        "CLIPTokenizer": f"{_CLIP}.tokenization_clip",
        "CLIPVisionModel": f"{_CLIP}.modeling_clip",
        "CLIPVisionModelWithProjection": f"{_CLIP}.modeling_clip",
        "FeatureExtractionMixin": "transformers.feature_extraction_utils",
        "ImageProcessingMixin": "transformers.image_processing_base",
        "PreTrainedModel": "transformers.modeling_utils",
        "PreTrainedTokenizer": "transformers.tokenization_python",
        "PreTrainedTokenizerFast": "transformers.tokenization_utils_tokenizers",
        "ProcessorMixin": "transformers.processing_utils",
    },
}
# Classes that diffusers only mentions, and whose files bring everything in.
_MENTIONED = {
    "transformers": ("AutoImageProcessor", "CLIPImageProcessor", "SiglipImageProcessor", "SiglipVisionModel"),
}

# Of other libraries; diffusers looks for them everywhere.
_ELSEWHERE = {
    "transformers": (
        "BaseGuidance",
        "DiffusionPipeline",
        "ModelMixin",
        "OnnxRuntimeModel",
        "ORTModule",
        "SchedulerMixin",
    )
}


class LazyPackage(ModuleType):
    """A package whose own file is run when something is asked of it that is not there yet."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.has_run = False

    def __getattr__(self, name: str) -> Any:
        if (name.startswith("__") and name.endswith("__")) or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(name)
        if name in _ELSEWHERE.get(self.__name__, ()):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if not self.has_run:
            found = self._without_running(name)
            return self.run(name) if found is None else found
        return self.run(name)

    def run(self, name: str) -> Any:
        """What the package says to a name, once its own file has been run."""
        if not self.has_run:
            self.has_run = True
            self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        real = sys.modules[self.__name__]  # some put another module in their own place
        if real is not self:
            return getattr(real, name)
        if name in self.__dict__:
            return self.__dict__[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _without_running(self, name: str) -> Any:
        if self.__name__ not in _HOMES:
            return None
        if name in _MENTIONED.get(self.__name__, ()):
            return LateClass.of(name, self.__name__, lambda: self.run(name))
        with suppress(ImportError, AttributeError):  # in this version they are elsewhere
            if name in _HOMES[self.__name__]:
                return getattr(import_module(_HOMES[self.__name__][name]), name)
            if PathFinder.find_spec(file := f"{self.__name__}.{name}", self.__path__):
                return import_module(file)
        return None


def _found(name: str) -> ModuleSpec | None:
    """Where a package or file is, without importing what it is a part of."""
    spec, path = None, None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if end > 1 and path is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        path = None if spec is None else spec.submodule_search_locations
    return spec


def leave_out_packages() -> None:
    """Put the packages in place; those that are there already, or that this version has not, stay as they are."""
    for name in PACKAGES:
        spec = None if name in sys.modules else _found(name)
        if spec is None:
            continue
        package = LazyPackage(name)
        package.__spec__, package.__loader__, package.__file__ = spec, spec.loader, spec.origin
        package.__package__ = spec.parent
        if spec.submodule_search_locations is not None:
            package.__path__ = spec.submodule_search_locations
        if "." not in name:
            with suppress(PackageNotFoundError):
                package.__dict__["__version__"] = version(name)
        sys.modules[name] = package


def join_packages() -> None:
    """Let each package be found in what it is a part of, once that can be imported."""
    for name in PACKAGES:
        package = sys.modules.get(name)
        parent, _, own = name.rpartition(".")
        if parent and isinstance(package, LazyPackage) and not package.has_run:
            setattr(import_module(parent), own, package)
