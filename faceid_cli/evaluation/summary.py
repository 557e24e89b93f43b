"""What an evaluation says: a summary of its pictures, and tables of them as plain data."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from faceid_cli.contact_sheet import contact_sheet
from faceid_cli.evaluation.overlooked import LEAST_FACE_SPREAD, LEAST_SHARPNESS, face_spread
from faceid_cli.evaluation.picture import ScoredPicture
from faceid_cli.evaluation.prompts import GROUPS
from faceid_cli.evaluation.run import background_spread, face_place_spread
from faceid_cli.evaluation.scores import identity_of_prompt


@dataclass(frozen=True)
class Summary:
    """Scores of some pictures; None where nothing could be scored.

    Attributes:
        pictures: How many they are.
        identity: ID: mean cosine similarity to the person's photos, 0 where no face was found.
        likeness_percent: The same between strangers (0) and the person's own photos (100).
        prompt: Mean prompt score.
        identity_of_prompt: ID(P): ID where the prompt is obeyed, else 0.
        one_face: Share of pictures with exactly the right number of faces.
        face_place_spread: Mean distance of the face's middle between two pictures, in picture sizes.
        background_spread: Mean difference of the background between two pictures, 0 to 1.
        attention_inside: Share of the person's attention that falls inside the face.
        seconds: Mean seconds of rendering a picture; None where none was timed.
        sharpness: Mean detail of the faces, as a share of that of the person's photos: below 1 they are softer.
        face_spread: How different the faces of two pictures are: near 0 for one face pasted into all.
    """

    pictures: int
    identity: float | None
    likeness_percent: float | None
    prompt: float | None
    identity_of_prompt: float | None
    one_face: float
    face_place_spread: float | None
    background_spread: float | None
    attention_inside: float | None
    seconds: float | None
    sharpness: float | None = None
    face_spread: float | None = None


def summarise(pictures: Sequence[ScoredPicture], with_identity: bool) -> Summary:
    """Summarise at least one picture.

    Args:
        pictures: Of one person.
        with_identity: Whether there was anything to compare faces with.
    """
    obeyable = [picture.score for picture in pictures if picture.score.concepts]
    return Summary(
        pictures=len(pictures),
        identity=_mean(pictures, lambda picture: picture.score.identity) if with_identity else None,
        likeness_percent=_mean(pictures, lambda picture: picture.likeness),
        prompt=_mean(pictures, lambda picture: picture.prompt_score),
        identity_of_prompt=identity_of_prompt(obeyable) if with_identity and obeyable else None,
        one_face=float(np.mean([picture.faces == picture.prompt.people for picture in pictures])),
        face_place_spread=face_place_spread(pictures),
        background_spread=background_spread(pictures),
        attention_inside=_mean(pictures, lambda picture: picture.score.attention_share),
        seconds=_mean(pictures, lambda picture: picture.seconds),
        sharpness=_mean(pictures, lambda picture: picture.sharpness),
        face_spread=face_spread(pictures),
    )


def warnings_of(summary: Summary) -> list[str]:
    """What is wrong with pictures whose likeness may look right, a line each."""
    found = []
    if summary.sharpness is not None and summary.sharpness < LEAST_SHARPNESS:
        found.append(
            f"the faces have {100 * summary.sharpness:.0f} % of the photos' detail, and recognisers forgive blur"
        )
    if summary.face_spread is not None and summary.face_spread < LEAST_FACE_SPREAD:
        found.append("all pictures show nearly the same face, as if it were pasted: likeness says little")
    return found


def by_group(pictures: Sequence[ScoredPicture], with_identity: bool) -> dict[str, Summary]:
    """One summary a group of prompts, in the order of GROUPS."""
    groups = {group: [picture for picture in pictures if picture.prompt.group == group] for group in GROUPS}
    return {group: summarise(members, with_identity) for group, members in groups.items() if members}


def picture_data(picture: ScoredPicture) -> dict[str, Any]:
    """A picture's scores as JSON values."""
    box = None if picture.face is None else asdict(picture.face.box)
    return {
        "prompt": picture.prompt.text,
        "group": picture.prompt.group,
        "seed": picture.seed,
        "similarity": picture.score.similarity,
        "likeness_percent": picture.likeness,
        "prompt_score": picture.prompt_score,
        "concepts": dict(picture.score.concepts),
        "faces": picture.faces,
        "face_box": box,
        "attention_inside": picture.score.attention_share,
        "seconds": picture.seconds,
        "sharpness": picture.sharpness,
    }


def to_csv(rows: Sequence[tuple[str, ScoredPicture]]) -> str:
    """(name, picture) pairs as CSV, one line a picture; concepts that are there and that are missing apart."""
    text = io.StringIO()
    columns = ["name", *picture_columns()]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for name, picture in rows:
        data = picture_data(picture)
        concepts = data.pop("concepts")
        data.pop("face_box")
        present = "; ".join(concept for concept, there in concepts.items() if there)
        missing = "; ".join(concept for concept, there in concepts.items() if not there)
        writer.writerow({"name": name, **data, "present": present, "missing": missing})
    return text.getvalue()


def picture_columns() -> tuple[str, ...]:
    """Columns of the CSV file beside the name."""
    return (
        "prompt",
        "group",
        "seed",
        "similarity",
        "likeness_percent",
        "prompt_score",
        "faces",
        "attention_inside",
        "seconds",
        "sharpness",
        "present",
        "missing",
    )


def picture_grid(pictures: Sequence[ScoredPicture], cell_px: int = 160) -> Image.Image:
    """All pictures on one sheet, each with its prompt, its likeness and what is missing."""
    return contact_sheet([picture.image for picture in pictures], [_caption(each) for each in pictures], None, cell_px)


def _caption(picture: ScoredPicture) -> str:
    words = picture.prompt.text.replace("{}", "").removeprefix("a photo of").strip() or picture.prompt.text
    similarity = "no face" if picture.face is None else ""
    if picture.score.similarity is not None:
        similarity = f"ID {picture.score.similarity:.2f}"
    missing = [concept for concept, there in picture.score.concepts.items() if not there]
    lacks = f"without {', '.join(missing)}" if missing else ""
    return " · ".join(part for part in (words, similarity, lacks) if part)


def _mean(pictures: Sequence[ScoredPicture], value: Callable[[ScoredPicture], float | None]) -> float | None:
    found = [each for each in map(value, pictures) if each is not None]
    return float(np.mean(found)) if found else None
