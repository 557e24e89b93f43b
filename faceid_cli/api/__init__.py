"""What faceid can do, as plain functions: they join the rooms, report by callbacks and print nothing.

Every function raises subclasses of `FaceIDError` for what a user can cause. Rooms that need torch are imported inside
the functions, so that looking into the registry stays quick.
"""

from faceid_cli.api.attending import AttentionFigure, show_attention
from faceid_cli.api.first_steps import DemoResult, demo, draw_samples
from faceid_cli.api.health import Finding, check_health
from faceid_cli.api.learning import enroll
from faceid_cli.api.measuring import Evaluation, evaluate
from faceid_cli.api.models import (
    BaseModelInfo,
    add_model,
    check_models,
    list_models,
    model_info,
    remove_model,
    set_default_model,
)
from faceid_cli.api.people import (
    Details,
    export_identity,
    import_identity,
    list_identities,
    remove,
    rename,
    show,
)
from faceid_cli.api.photos import PhotoCheck, check_photos
from faceid_cli.api.pictures import compose, generate
from faceid_cli.api.reporting import Report, write_report

__all__ = [
    "AttentionFigure",
    "BaseModelInfo",
    "DemoResult",
    "Details",
    "Evaluation",
    "Finding",
    "PhotoCheck",
    "Report",
    "add_model",
    "check_health",
    "check_models",
    "check_photos",
    "compose",
    "demo",
    "draw_samples",
    "enroll",
    "evaluate",
    "export_identity",
    "generate",
    "import_identity",
    "list_identities",
    "list_models",
    "model_info",
    "remove",
    "remove_model",
    "rename",
    "set_default_model",
    "show",
    "show_attention",
    "write_report",
]
