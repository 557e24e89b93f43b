"""What a report shows, gathered before any of it becomes HTML. All text is plain: the page escapes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class ReportPicture:
    """A picture with what stands below it.

    Attributes:
        image: Any size; the page holds a copy of at most `pictures.MOST_PX`.
        caption: A few words.
    """

    image: Image.Image
    caption: str


@dataclass(frozen=True)
class ReportPhoto:
    """What became of a photo.

    Attributes:
        name: Of its file.
        verdict: "good", "fair" or "left out".
        reasons: Flaws of the photo, or why it was left out, each in a few words.
        pictures: The photo with its faces, and its crops; may be empty.
    """

    name: str
    verdict: str
    reasons: Sequence[str] = ()
    pictures: Sequence[ReportPicture] = ()


@dataclass(frozen=True)
class MapColumn:
    """The same heat map before and after the training.

    Attributes:
        label: Which part of the sampling.
        before: Where the class word looks.
        after: Where the person's token looks.
    """

    label: str
    before: Image.Image
    after: Image.Image


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one evaluation.

    Attributes:
        title: What was evaluated, and when.
        heading: Of the columns.
        rows: As many cells as the heading has.
    """

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ReportContent:
    """Everything a report shows. A section without content shows its note instead, and without a note nothing.

    Attributes:
        name: The person's name, which heads the report.
        facts: About the person: label and value.
        photos: One a photo file.
        photos_note: Why there are no photos, or "".
        settings: Of the training: label and value.
        losses: (reconstruction, attention) a step.
        training_note: How long it took, and whether it went as it should; or why there is no record of it.
        rendered: Pictures of the person, which the report begins with.
        rendered_note: How to get some, or "".
        previews: Samples over the training, in order.
        previews_note: What they show, or how to get some.
        maps: Attention before and after.
        maps_note: What they show, or why there are none.
        scores: One table an evaluation.
        scores_note: What the columns are, or how to get scores.
        command: Repeats the enrolment, with names where there are paths; "" where that cannot be told.
        whole_command: The same with the paths, for this machine alone; the page does not show it.
        command_note: What to know about it, or why there is none.
        version: Of the faceid that writes the report.
    """

    name: str
    facts: Mapping[str, str] = field(default_factory=dict)
    photos: Sequence[ReportPhoto] = ()
    photos_note: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    losses: Sequence[tuple[float, float]] = ()
    training_note: str = ""
    rendered: Sequence[ReportPicture] = ()
    rendered_note: str = ""
    previews: Sequence[ReportPicture] = ()
    previews_note: str = ""
    maps: Sequence[MapColumn] = ()
    maps_note: str = ""
    scores: Sequence[ScoreTable] = ()
    scores_note: str = ""
    command: str = ""
    whole_command: str = ""
    command_note: str = ""
    version: str = ""
