"""Find out where the people of a picture would stand: the frozen model draws anybody in their places, in a few steps.

The same seed and prompt make nearly the same composition, whoever is in it, so that regions fit what the picture is
about to become anyway. Faces are what is looked for; where there are too few, people stand in an even grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from PIL import Image

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import FaceIDError
from faceid_cli.faces.finder import FaceFinder, finder_for
from faceid_cli.kept.settings import read_setting
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.batches import render_batch
from faceid_cli.rendering.layouts import Cast, Layout, even_grid, layout_of_faces
from faceid_cli.rendering.plan import Plan
from faceid_cli.rendering.wording import Wordings
from faceid_cli.types import IdentityTokens, OnNote

_STEPS, _BUILTIN_STEPS = 4, 2
"""As many show where faces will be: a fifth of the usual number. On the built-in model they do so without guidance,
too, which halves the work; of other models that is not known."""


@dataclass(frozen=True)
class Placed:
    """One picture whose people are to be placed.

    Attributes:
        cast: Its people.
        seed: Of its noise.
        config: How it was ordered.
        words: Tokens of other words in its prompt.
    """

    cast: Cast
    seed: int
    config: RenderConfig
    words: Mapping[str, IdentityTokens] = field(default_factory=dict)


class Placing:
    """Places people for one base model.

    Args:
        base: The base model; it is left as found.
        wordings: Encodes prompts for it.
        on_note: Called with a line worth telling the user.
    """

    def __init__(self, base: BaseModel, wordings: Wordings, on_note: OnNote | None = None) -> None:
        self._base, self._wordings, self._note = base, wordings, on_note or (lambda line: None)
        self._finder: FaceFinder | None = None
        self._is_looked_for = False

    def layouts(self, pictures: Sequence[Placed], plan: Plan) -> list[Layout]:
        """The regions of each picture's people; those that are not given are found for all pictures together.

        Raises:
            OutOfMemoryError: The pictures do not fit at once.
        """
        open_ones = [place for place, picture in enumerate(pictures) if picture.cast.layout is None]
        found = dict(zip(open_ones, self._found([pictures[place] for place in open_ones], plan), strict=True))
        return [
            found[place] if picture.cast.layout is None else picture.cast.layout
            for place, picture in enumerate(pictures)
        ]

    def _found(self, pictures: Sequence[Placed], plan: Plan) -> list[Layout]:
        finder = self._face_finder() if pictures else None
        if finder is None:
            return [even_grid(len(picture.cast.scene.figures)) for picture in pictures]
        sampler, is_builtin = plan.config.sampler, self._base.is_builtin
        steps = min(_BUILTIN_STEPS if is_builtin else _STEPS, sampler.steps)
        guidance = 1.0 if is_builtin else sampler.guidance_scale
        config = replace(plan.config, steps=steps, hires=1.0, guidance_scale=guidance)
        wordings = [self._wordings.of(each.cast.scene.common, {}, each.config, each.words) for each in pictures]
        contexts = {name: torch.cat([each.contexts[name] for each in wordings]) for name in wordings[0].contexts}
        seeds = [picture.seed for picture in pictures]
        images = render_batch(self._base, contexts, 1, seeds, replace(plan, config=config), None)
        return [self._layout(picture, image, finder) for picture, image in zip(pictures, images, strict=True)]

    def _layout(self, picture: Placed, image: object, finder: FaceFinder) -> Layout:
        count = len(picture.cast.scene.figures)
        if isinstance(image, Image.Image):
            faces = finder.find(image)
            if (layout := layout_of_faces(faces, count, image.size)) is not None:
                return layout
            self._note(
                f"seed {picture.seed}: {len(faces)} faces were seen in a quick try, not {count}, "
                "so people stand side by side; --layout or --region say where else"
            )
        return even_grid(count)

    def _face_finder(self) -> FaceFinder | None:
        """What finds faces; None, told, where that is not on this machine."""
        if not self._is_looked_for:
            self._is_looked_for = True
            try:
                self._finder = finder_for(self._base.is_builtin, str(self._base.device), read_setting("detector"))
            except FaceIDError as error:
                self._note(f"people stand side by side, since faces cannot be found: {error.message}; {error.hint}")
        return self._finder
