"""Teach a Stable Diffusion model a person from a few pictures, and render them into any scene.

    import faceid_cli as faceid

    faceid.enroll("alice", ["photos/alice"])
    render = faceid.generate("alice", "holding a coffee cup, mountains", seed=7)[0]
    render.image.show()

Names are loaded when they are first used, so that importing the package stays quick and does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from faceid_cli.api import (
        compose,
        demo,
        draw_samples,
        enroll,
        evaluate,
        export_identity,
        generate,
        import_identity,
        list_identities,
        remove,
        rename,
        show,
        show_attention,
        write_report,
    )
    from faceid_cli.config import ModelOptions, RenderConfig, TrainConfig, preset
    from faceid_cli.errors import FaceIDError
    from faceid_cli.types import Box, Identity, Render, StepReport

_HOME = {
    "compose": "api",
    "demo": "api",
    "draw_samples": "api",
    "enroll": "api",
    "evaluate": "api",
    "export_identity": "api",
    "generate": "api",
    "import_identity": "api",
    "list_identities": "api",
    "remove": "api",
    "rename": "api",
    "show": "api",
    "show_attention": "api",
    "write_report": "api",
    "ModelOptions": "config",
    "RenderConfig": "config",
    "TrainConfig": "config",
    "preset": "config",
    "FaceIDError": "errors",
    "Box": "types",
    "Identity": "types",
    "Render": "types",
    "StepReport": "types",
}

__all__ = [
    "Box",
    "FaceIDError",
    "Identity",
    "ModelOptions",
    "Render",
    "RenderConfig",
    "StepReport",
    "TrainConfig",
    "__version__",
    "compose",
    "demo",
    "draw_samples",
    "enroll",
    "evaluate",
    "export_identity",
    "generate",
    "import_identity",
    "list_identities",
    "preset",
    "remove",
    "rename",
    "show",
    "show_attention",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
