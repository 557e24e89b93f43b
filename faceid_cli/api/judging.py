"""Which judge fits a base model, and the person's faces in the pictures that were learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.references import likeness_to_faces
from faceid_cli.errors import UsageError

if TYPE_CHECKING:
    from faceid_cli.evaluation.judges import PictureJudge
    from faceid_cli.evaluation.likeness import Likeness
    from faceid_cli.types import FaceCrop


def picture_judge(
    judge: str | PictureJudge,
    builtin: bool,
    clip: Path | None = None,
    device: str = "auto",
    with_faces: bool = True,
) -> PictureJudge:
    """The judge that is asked for, or that fits the base model.

    Args:
        judge: "auto", "builtin", "photographs", or a judge.
        builtin: Whether the base model is the built-in one.
        clip: Folder of the CLIP model that scores prompts of photographs.
        device: Of the judge of photographs.
        with_faces: Whether it needs to find faces in photographs; things have none.

    Raises:
        UsageError: A judge of another world than the base model's, or an unknown one.
        WeightsMissingError: Its weights are not on this machine.
    """
    from faceid_cli.evaluation.judges import DrawnJudge, check_fit

    if not isinstance(judge, str):
        return judge
    check_fit(judge, builtin)
    if builtin:
        from faceid_cli.builtin.judge import Judge

        return DrawnJudge(Judge.load())
    from faceid_cli.evaluation.photographs import PhotographJudge

    return PhotographJudge.load(clip, device, with_faces)


def likeness_to_crops(judge: PictureJudge, crops: Sequence[FaceCrop]) -> Likeness:
    """What rendered faces are compared with while the crops are being learned.

    Raises:
        UsageError: The judge sees no face in any of them.
    """
    from faceid_cli.evaluation.run import largest_face

    plain: dict[str, FaceCrop] = {}  # of each photo the first crop: jittered ones say the same again
    for crop in crops:
        plain.setdefault(crop.photo_sha256, crop)
    faces = []
    for crop in plain.values():
        # A box given by hand has no landmarks, which faces are compared by.
        face = crop.face if crop.face and crop.face.landmarks else largest_face(judge.find_faces(crop.image))
        if face is not None:
            faces.append((crop.image, face))
    if not faces:
        raise UsageError(
            "to stop by renders, faces are compared, and the judge sees none in the photos",
            "use --set stop_by=held-out",
        )
    return likeness_to_faces(judge, faces)
