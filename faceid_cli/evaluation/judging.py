"""Which judge fits a base model."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.builtin.judge import Judge
from faceid_cli.evaluation.judges import DrawnJudge, PictureJudge, check_fit
from faceid_cli.evaluation.photographs import PhotographJudge


def picture_judge(
    judge: str | PictureJudge,
    builtin: bool,
    clip: Path | None = None,
    device: str | None = None,
    with_faces: bool = True,
    with_prompts: bool = True,
) -> PictureJudge:
    """The judge that is asked for, or that fits the base model.

    Args:
        judge: "auto", "builtin", "photographs", or a judge.
        builtin: Whether the base model is the built-in one.
        clip: Folder of the CLIP model that scores prompts of photographs.
        device: Of the judge of photographs.
        with_faces: Whether it needs to find faces in photographs; things have none.
        with_prompts: Whether it needs to score prompts of photographs.

    Raises:
        UsageError: A judge of another world than the base model's, or an unknown one.
        WeightsMissingError: Its weights are not on this machine.
    """
    if not isinstance(judge, str):
        return judge
    check_fit(judge, builtin)
    if builtin:
        return DrawnJudge(Judge.load())
    return PhotographJudge.load(clip, device or "auto", with_faces, with_prompts)
