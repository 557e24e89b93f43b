"""Pictures of several people looked at: whose face is whose, and faces that are nobody's rendered again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from faceid_cli.api.opening import Opened
from faceid_cli.errors import FaceIDError, UsageError
from faceid_cli.faces.finder import finder_for
from faceid_cli.faces.replacing import face_mask
from faceid_cli.kept.settings import read_setting
from faceid_cli.orders import MAX_SEED, RenderConfig, RenderOrder
from faceid_cli.orders.composing import parse_region
from faceid_cli.rendering.layouts import Cast
from faceid_cli.rendering.record import digest_of
from faceid_cli.types import OnNote, Region, Render

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel
    from faceid_cli.evaluation.assigning import Match
    from faceid_cli.evaluation.judges import PictureJudge
    from faceid_cli.evaluation.likeness import Likeness
    from faceid_cli.rendering.wording import Wordings

LEAST_PERCENT, LEAST_SIMILARITY = 40.0, 0.25
"""Who is less alike, on the way from strangers to the person's own photos, or by similarity where that is not known, is
not recognised."""
_NEXT_SEED = 500_009
_HEAD = 0.4  # height of a head as a share of a person's region, where no face was found


def is_wrong(match: Match) -> bool:
    """Whether somebody is not there, is not recognised, or is more like another person of the picture."""
    if not match.is_theirs:
        return True
    return match.similarity < LEAST_SIMILARITY if match.percent is None else match.percent < LEAST_PERCENT


@dataclass
class Checking:
    """Looks at pictures of several people, and repairs them where that is asked for.

    Args:
        opened: The people.
        on_note: Called with a line worth telling the user.
        known: What each is compared with, by id, where that was found out elsewhere; None to look for their photos.
    """

    opened: Opened
    on_note: OnNote
    known: Mapping[str, Likeness | None] | None = None
    _judge: PictureJudge | None = None
    _people: dict[str, Likeness] = field(default_factory=dict)

    def prepare(self, must: bool, load: Callable[[Opened], PictureJudge]) -> bool:
        """Load the judge and the people's photos; whether there is anything to compare with.

        Args:
            must: Whether it is an error if not.
            load: Gives the judge.

        Raises:
            WeightsMissingError: The judge's weights are not on this machine.
            UsageError: Somebody's photos are not where they were.
        """
        from faceid_cli.evaluation.references import is_thing, likeness_of

        try:
            judge = load(self.opened)
            for person in self.opened.people:
                if self.known is not None:
                    likeness = self.known.get(person.id)
                else:
                    likeness = None if is_thing(person) else likeness_of(person, judge, (), True, None)
                if likeness is None:
                    raise UsageError(
                        f"there are no photos of {person.name}, so nobody can tell who is who",
                        "put back those that they were learned from, or leave out --repair; a blend has none",
                    )
                self._people[person.name] = likeness
        except FaceIDError:
            if must:
                raise
            return False
        self._judge = judge
        return True

    @property
    def likenesses(self) -> dict[str, Likeness | None]:
        """What each person is compared with, by id."""
        return {person.id: self._people.get(person.name) for person in self.opened.people}

    def checked(
        self, picture: Render, cast: Cast, again: Callable[[Image.Image, Image.Image, str, str, int], Image.Image]
    ) -> Render:
        """Look at a picture, repair it as often as was asked for, and tell what was found.

        Args:
            picture: With its settings.
            cast: Its people.
            again: Renders a part of it again: of (picture, mask, name, prompt, seed).
        """
        assert self._judge is not None
        from faceid_cli.evaluation.assigning import matched

        image, repaired = picture.image, list[str]()
        found = matched(self._judge, image, self._people)
        for attempt in range(picture.settings["repair"]):
            wrong = min(filter(is_wrong, found), key=lambda match: match.similarity, default=None)
            if wrong is None:
                break
            sentence = next(figure.alone for figure in cast.scene.figures if figure.name == wrong.name)
            seed = (picture.request.seed + (attempt + 1) * _NEXT_SEED) % (MAX_SEED + 1)
            tried = again(image, self._mask(image, wrong, picture.settings["region"]), wrong.name, sentence, seed)
            now = matched(self._judge, tried, self._people)
            if _score(now) > _score(found):
                image, found = tried, now
                repaired.append(wrong.name)
        self._tell(picture, found, repaired)
        settings = {
            **picture.settings,
            "likenesses": {match.name: round(match.similarity, 4) for match in found},
            "repaired": tuple(repaired),
            "pixels": digest_of(image) if repaired else picture.settings["pixels"],
        }
        return replace(picture, image=image, settings=settings)

    def _tell(self, picture: Render, found: list[Match], repaired: list[str]) -> None:
        if repaired:
            self.on_note(f"seed {picture.request.seed}: rendered again, the face of {', '.join(repaired)}")
        wrong = [match for match in found if is_wrong(match)]
        for match in wrong:
            what = "is not there" if match.face is None else f"is hardly to be recognised ({match.similarity:.2f})"
            if match.face is not None and not match.is_theirs:
                what = f"looks more like somebody else ({match.similarity:.2f}, and {match.rival:.2f})"
            self.on_note(f"seed {picture.request.seed}: {match.name} {what}")
        if wrong and not picture.settings["repair"]:
            self.on_note("--repair 2 renders such faces again; so does another --seed")

    def _mask(self, image: Image.Image, match: Match, regions: tuple[str, ...]) -> Image.Image:
        if match.face is not None:
            finder = finder_for(self.opened.is_builtin, self.opened.device, read_setting("detector"))
            return face_mask(image, match.face, finder)
        return head_mask(image.size, dict(parse_region(text) for text in regions)[match.name])


def head_mask(size: tuple[int, int], region: Region) -> Image.Image:
    """Where the head of a person would be who is not there: an oval in the upper part of their region, mode "L"."""
    width, height = size
    left, top, right, bottom = region
    tall = _HEAD * (bottom - top) * height
    wide = min(0.8 * tall, (right - left) * width)
    middle, start = (left + right) / 2 * width, (top + 0.1 * (bottom - top)) * height
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((middle - wide / 2, start, middle + wide / 2, start + tall), fill=255)
    return mask


def _score(found: list[Match]) -> tuple[int, float]:
    """The more people are right the better, and then the more alike they are."""
    return sum(not is_wrong(match) for match in found), sum(match.similarity for match in found)


def judge_of(opened: Opened) -> PictureJudge:
    """What looks at pictures of these people's world.

    Raises:
        WeightsMissingError: Its weights are not on this machine.
    """
    from faceid_cli.evaluation.judging import picture_judge

    return picture_judge("auto", opened.is_builtin, device=opened.device, with_prompts=False)


def checking_for(
    opened: Opened,
    order: RenderOrder,
    on_note: OnNote | None,
    load: Callable[[Opened], PictureJudge] = judge_of,
    known: Mapping[str, Likeness | None] | None = None,
) -> Checking | None:
    """What looks at pictures of these people; None where there is nothing to compare them with and none need be.

    Args:
        opened: The people.
        order: Says whether pictures are to be repaired.
        on_note: Called with a line worth telling the user.
        load: Gives the judge.
        known: See `Checking`.

    Raises:
        FaceIDError: As `Checking.prepare`, where pictures are to be repaired.
    """
    checking = Checking(opened, on_note or (lambda line: None), known)
    return checking if checking.prepare(order.config.repair > 0, load) else None


def renders_again(
    base: BaseModel, wordings: Wordings, tokens: Mapping[str, Any], words: Mapping[str, Any], config: RenderConfig
) -> Callable[[Image.Image, Image.Image, str, str, int], Image.Image]:
    """What renders a masked part of a picture again with one person, as `--into` does."""
    from faceid_cli.rendering.batches import render_batch
    from faceid_cli.rendering.plan import plan_rendering

    def again(picture: Image.Image, mask: Image.Image, name: str, prompt: str, seed: int) -> Image.Image:
        plan = plan_rendering(base, replace(config, hires=1.0, strength=None), picture, mask)
        wording = wordings.of(prompt, {name: tokens[name]}, config, words)
        made = render_batch(base, wording.contexts, wording.stages, [seed], plan, None)[0]
        return made if isinstance(made, Image.Image) else picture

    return again
