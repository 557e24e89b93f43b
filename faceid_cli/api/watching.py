"""An enrolment that looks at itself: who scores its renders, and what is told of when it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from faceid_cli.api.judging import likeness_to_crops, picture_judge
from faceid_cli.config import TrainConfig
from faceid_cli.types import Look, TrainReport

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel
    from faceid_cli.evaluation.looking import RenderScorer
    from faceid_cli.types import FaceCrop


def render_scorer(base: BaseModel, crops: Sequence[FaceCrop], config: TrainConfig) -> RenderScorer | None:
    """What scores the renders of an enrolment with the judge that fits; None unless it stops by renders.

    Raises:
        WeightsMissingError: The judge of photographs needs weights that are not on this machine.
        UsageError: The judge sees no face in the photos.
    """
    if config.stop_by != "renders":
        return None
    from faceid_cli.evaluation.looking import RenderScorer

    judge = picture_judge("auto", base.is_builtin, device=config.device)
    return RenderScorer(base, judge, likeness_to_crops(judge, crops))


def line_on_stopping(report: TrainReport, config: TrainConfig) -> str | None:
    """What stopping did, in a line; None for a run that nobody looked at."""
    if not report.looks:
        return None
    done = len(report.losses)
    kept = next(look for look in report.looks if look.step == report.kept_step)
    ended = (
        f"after all {done} steps" if done >= config.steps else f"after {done} of {config.steps} steps, {_why(config)}"
    )
    return f"stopped {ended}; kept step {kept.step}: {_seen(kept, config)}"


def _why(config: TrainConfig) -> str:
    if config.stop_by == "held-out":
        return f"because the loss on held-out noise had not fallen for {config.patience * config.look_every} steps"
    return "because the pictures got no more alike and obeyed less"


def _seen(look: Look, config: TrainConfig) -> str:
    if config.stop_by == "held-out":
        return f"loss {-look.score:.4f} on held-out noise"
    prompt = "" if look.prompt is None else f", prompt {look.prompt:.2f}"
    return f"ID {look.score:.2f}{prompt}"


def stopping_record(report: TrainReport) -> dict[str, Any]:
    """What is kept with the run, as JSON values; nothing for a run that nobody looked at."""
    if not report.looks:
        return {}
    return {"stopping": {"kept_step": report.kept_step, "looks": [asdict(look) for look in report.looks]}}
