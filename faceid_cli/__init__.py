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

from faceid_cli.version import __version__

if TYPE_CHECKING:
    from faceid_cli.api.attach import attach as attach
    from faceid_cli.api.attention import show_attention as show_attention
    from faceid_cli.api.batch import batch as batch
    from faceid_cli.api.blend import blend as blend
    from faceid_cli.api.compose import compose as compose
    from faceid_cli.api.demo import demo as demo
    from faceid_cli.api.enroll import enroll as enroll
    from faceid_cli.api.evaluate import evaluate as evaluate
    from faceid_cli.api.export import export_bundle as export_bundle
    from faceid_cli.api.export import export_identity as export_identity
    from faceid_cli.api.export import export_to as export_to
    from faceid_cli.api.generate import generate as generate
    from faceid_cli.api.history import history as history
    from faceid_cli.api.import_ import import_identity as import_identity
    from faceid_cli.api.import_ import import_people as import_people
    from faceid_cli.api.info import info as info
    from faceid_cli.api.list import list_identities as list_identities
    from faceid_cli.api.people import enroll_people as enroll_people
    from faceid_cli.api.remove import remove as remove
    from faceid_cli.api.rename import rename as rename
    from faceid_cli.api.replay import replay as replay
    from faceid_cli.api.report import write_report as write_report
    from faceid_cli.api.samples import draw_samples as draw_samples
    from faceid_cli.api.show import show as show
    from faceid_cli.errors import FaceIDError as FaceIDError
    from faceid_cli.orders import EnrolOrder as EnrolOrder
    from faceid_cli.orders import ModelOptions as ModelOptions
    from faceid_cli.orders import RenderConfig as RenderConfig
    from faceid_cli.orders import RenderOrder as RenderOrder
    from faceid_cli.orders import TrainConfig as TrainConfig
    from faceid_cli.orders import preset as preset
    from faceid_cli.types import Box as Box
    from faceid_cli.types import Identity as Identity
    from faceid_cli.types import Render as Render
    from faceid_cli.types import StepReport as StepReport

_HOME = {
    "attach": "api.attach",
    "backup": "api.backup",
    "batch": "api.batch",
    "blend": "api.blend",
    "compose": "api.compose",
    "demo": "api.demo",
    "draw_samples": "api.samples",
    "enroll": "api.enroll",
    "enroll_people": "api.people",
    "evaluate": "api.evaluate",
    "export_bundle": "api.export",
    "export_identity": "api.export",
    "export_to": "api.export",
    "generate": "api.generate",
    "history": "api.history",
    "import_identity": "api.import_",
    "import_people": "api.import_",
    "info": "api.info",
    "list_identities": "api.list",
    "note": "api.notes",
    "remove": "api.remove",
    "rename": "api.rename",
    "replay": "api.replay",
    "restore": "api.backup",
    "show": "api.show",
    "show_attention": "api.attention",
    "tag": "api.notes",
    "write_report": "api.report",
    "EnrolOrder": "orders",
    "ModelOptions": "orders",
    "RenderConfig": "orders",
    "RenderOrder": "orders",
    "TrainConfig": "orders",
    "preset": "orders",
    "FaceIDError": "errors",
    "Box": "types",
    "Identity": "types",
    "Render": "types",
    "StepReport": "types",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
