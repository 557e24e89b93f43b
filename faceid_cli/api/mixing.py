"""Rendering many different pictures: the base model is loaded once, and what is sampled alike shares a batch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from faceid_cli.api.checking import renders_again
from faceid_cli.api.composing import cast_of
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.placing import told, untold
from faceid_cli.api.results import Results, Sink, not_alike
from faceid_cli.api.wanted import OnOutcome, Wanted
from faceid_cli.errors import FaceIDError, OutOfMemoryError, OutputError
from faceid_cli.jobs.requests import rejected
from faceid_cli.kept.settings import fields_with_defaults
from faceid_cli.orders import RenderOrder
from faceid_cli.rendering.guiding import read_guidance, with_face_mask
from faceid_cli.types import OnNote, Render

if TYPE_CHECKING:
    from faceid_cli.rendering.control import Control
    from faceid_cli.rendering.layouts import Cast
    from faceid_cli.rendering.mixed import MixedPicture
    from faceid_cli.rendering.placing import Placing
    from faceid_cli.rendering.plan import Plan


class Mixer:
    """Renders pictures that are wanted.

    Args:
        loaded: Base model and people.
        sink: Where pictures go.
        on_outcome: Called with what came of each.
        on_note: Called with a line worth telling the user.
        fail_fast: Whether the first picture that fails ends all, with its error.
        tries_here: Whether other seeds of a picture that is not like its people are tried with the next batch, and not
            left to `results.again`.
    """

    def __init__(
        self,
        loaded: Loaded,
        sink: Sink,
        on_outcome: OnOutcome,
        on_note: OnNote,
        fail_fast: bool = False,
        tries_here: bool = True,
    ) -> None:
        self.loaded, self.on_note, self.tries_here = loaded, on_note, tries_here
        self.results = Results(sink, on_outcome, on_note, fail_fast)
        self.always = fields_with_defaults(RenderOrder)
        self._group: tuple[Hashable, _Group] | None = None

    def render(self, pictures: Iterable[Wanted]) -> None:
        """Render all of them, those of one base model together.

        Raises:
            OutputError: A picture cannot be written; all else that goes wrong with a picture is told of it alone.
        """
        left = list(pictures)
        while left:
            self.render_once(left)
            left = self.results.taken_again()

    def render_once(self, pictures: Iterable[Wanted]) -> None:
        """The same, without those that are to be tried again: they are in `results.again`."""
        for same_base in grouped(pictures, lambda each: each.base):
            for alike in grouped(same_base, lambda each: each.sampling):
                self._render_alike(alike)

    def _render_alike(self, pictures: Sequence[Wanted]) -> None:
        """Pictures that differ in prompts, people and seeds alone."""
        try:
            group = self._group_of(pictures[0])
        except FaceIDError as error:
            for picture in pictures:
                self.results.failed(picture, error)
            return
        group.render(pictures)

    def _group_of(self, first: Wanted) -> _Group:
        """What renders pictures that are sampled like the first; the same as before where those were, too."""
        key = (first.base, first.sampling)
        if self._group is None or self._group[0] != key:
            from faceid_cli.rendering.placing import Placing

            self._group = None
            base, wordings = self.loaded.base_of(first.opened)
            plan, mask, control = self._plan(first)
            self._group = (key, _Group(self, base, plan, mask, control, Placing(base, wordings, self.on_note)))
        return self._group[1]

    def _plan(self, first: Wanted) -> tuple[Plan, Any, Control | None]:
        from faceid_cli.rendering.control import control_for
        from faceid_cli.rendering.plan import plan_rendering

        base, _ = self.loaded.base_of(first.opened)
        guidance = with_face_mask(
            read_guidance(first.order), first.order.face, first.opened.is_builtin, first.opened.device
        )
        control = control_for(guidance, base)
        plan = plan_rendering(base, first.order.config, guidance.init, guidance.mask, control)
        return plan, guidance.mask, control


class _Group:
    """Renders pictures of one group, batch by batch."""

    def __init__(
        self, mixer: Mixer, base: Any, plan: Plan, mask: Any, control: Control | None, placing: Placing
    ) -> None:
        self._mixer, self._base, self._plan, self._mask = mixer, base, plan, mask
        self._network = None if control is None else control.network
        self._size = plan.config.batch_size
        self._left: deque[Wanted] = deque()
        self._batches: dict[Hashable, list[tuple[Wanted, MixedPicture]]] = {}
        self._stages: set[int] = set()
        self._hopeless: FaceIDError | None = None
        self._placing = placing

    def render(self, pictures: Sequence[Wanted]) -> None:
        """Render them, and those that take their place."""
        self._hopeless = None
        self._left.extend(pictures)
        while self._left or self._batches:
            while self._left:
                self._gather(self._left.popleft())
            for key in list(self._batches):
                self._run(self._batches.pop(key))

    def _gather(self, picture: Wanted) -> None:
        """Encode a picture's prompt, and render once there are enough of its kind."""
        from faceid_cli.rendering.mixed import MixedPicture, shape_of

        if self._hopeless is not None:
            self._mixer.results.failed(picture, self._hopeless)
            return
        try:
            picture = self._with_chosen_likeness(picture)
            _, wordings = self._mixer.loaded.base_of(picture.opened)
            tokens = self._mixer.loaded.tokens_of(picture.opened)
            words = self._mixer.loaded.words_of(picture.files)
            cast = cast_of(picture.order, picture.opened, picture.prompt)
            scene = None if cast is None else cast.scene
            wording = wordings.of(picture.prompt, tokens, picture.order.config, words, scene)
            if cast is not None:  # it may want what is missing
                self._mixer.loaded.checking_of(picture.opened, picture.order)
            if picture.order.min_likeness is not None:  # it may want a file that is missing: told before rendering
                self._mixer.loaded.threshold_of(picture.opened, picture.order.min_likeness)
        except FaceIDError as error:
            self._mixer.results.failed(picture, error)
            return
        self._tell_idle_stages(wording.stages, picture)
        key = shape_of(wording)
        batch = self._batches.setdefault(key, [])
        batch.append((picture, MixedPicture(wording, picture.seed, picture.order.config, cast, words)))
        if len(batch) >= self._size:
            self._run(self._batches.pop(key))

    def _run(self, batch: list[tuple[Wanted, MixedPicture]]) -> None:
        """Render pictures; in halves where they do not fit into memory."""
        from faceid_cli.rendering.decoding import Lost
        from faceid_cli.rendering.finite import is_hopeless, lost_pictures
        from faceid_cli.rendering.mixed import render_mixed

        started, made = time.perf_counter(), None
        try:
            mixed = [each for _, each in batch]
            made = render_mixed(
                self._base, mixed, self._plan, self._mask, lambda step: self._mixer.results.finished(), self._placing
            )
        except OutOfMemoryError as error:
            problem = OutOfMemoryError(error.message, error.hint)  # without what the error holds on to
        except OutputError:  # of an earlier picture, see `Sink.finished`
            raise
        except FaceIDError as error:
            if error is self._mixer.results.last:  # of an earlier picture, too
                raise
            for picture, _ in batch:
                self._mixer.results.failed(picture, error)
            return
        if made is None:
            self._run_halves(batch, problem)
            return
        seconds = (time.perf_counter() - started) / len(batch)
        for (picture, asked), image in zip(batch, made, strict=True):
            if isinstance(image, Lost):
                lost = lost_pictures(self._base, [(picture.seed, image)], 1, self._plan.config, self._network)
                self._hopeless = lost if is_hopeless(self._base, self._network) else None
                self._mixer.results.failed(picture, lost)
            else:
                self._keep(picture, image, asked.cast, {"seconds": round(seconds, 3)})

    def _run_halves(self, batch: list[tuple[Wanted, MixedPicture]], problem: OutOfMemoryError) -> None:
        if len(batch) == 1:
            self._mixer.results.failed(batch[0][0], problem)
            return
        half = self._size = len(batch) // 2
        self._mixer.on_note(f"{len(batch)} pictures at once do not fit into memory; {half} are tried")
        self._run(batch[:half])
        self._run(batch[half:])

    def _keep(self, picture: Wanted, image: Render, cast: Cast | None, measured: Mapping[str, object]) -> None:
        """Hand a picture on; one that is not like the person is rejected, and another seed is tried."""
        try:
            image = self._checked(picture, image, cast)
            more = {**untold(picture.order, picture.opened, picture.files, picture.chosen, self._base), **measured}
            least = picture.order.min_likeness
            threshold = None if least is None else self._mixer.loaded.threshold_of(picture.opened, least)
        except FaceIDError as error:
            self._mixer.results.failed(picture, error)
            return
        alike = None if threshold is None else threshold.score(image.image)
        similarity = None if alike is None else round(alike.similarity, 4)
        is_enough = alike is None or alike.is_enough
        request = picture.request if is_enough else rejected(picture.request, picture.attempt)
        more |= {"request": request, "similarity": similarity}
        self._mixer.results.put(told(image, picture.order, more, self._mixer.always), picture, not is_enough)
        if not is_enough and alike is not None and threshold is not None:
            self._try_again(picture, threshold.shown(alike))

    def _checked(self, picture: Wanted, image: Render, cast: Cast | None) -> Render:
        """The same picture; of several people looked at, and repaired."""
        loaded = self._mixer.loaded
        checking = None if cast is None else loaded.checking_of(picture.opened, picture.order)
        if cast is None or checking is None:
            return image
        _, wordings = loaded.base_of(picture.opened)
        tokens, words = loaded.tokens_of(picture.opened), loaded.words_of(picture.files)
        return checking.checked(image, cast, renders_again(self._base, wordings, tokens, words, picture.order.config))

    def _try_again(self, picture: Wanted, score: str) -> None:
        if picture.attempt + 1 < picture.order.tries:
            (self._left if self._mixer.tries_here else self._mixer.results.again).append(
                replace(picture, attempt=picture.attempt + 1)
            )
        else:
            self._mixer.results.failed(picture, not_alike(picture, score))

    def _tell_idle_stages(self, stages: int, picture: Wanted) -> None:
        from faceid_cli.rendering.generate import idle_stages

        if stages not in self._stages:
            self._stages.add(stages)
            counts = self._plan.steps_of_stages(self._base, stages)
            for note in idle_stages(counts, self._plan.config.sampler.scheduler):
                self._mixer.on_note(note)

    def _with_chosen_likeness(self, picture: Wanted) -> Wanted:
        if not picture.order.auto or picture.chosen:
            return picture
        from faceid_cli.evaluation.auto import choose_likeness

        person = picture.opened.people[0]
        tokens = self._mixer.loaded.tokens_of(picture.opened)[person.name]
        config, chosen = choose_likeness(
            self._base, person, tokens, picture.prompt, picture.order.config, self._mixer.on_note
        )
        return replace(picture, order=replace(picture.order, config=config), chosen=chosen)


def grouped(pictures: Iterable[Wanted], key: Callable[[Wanted], Hashable]) -> list[list[Wanted]]:
    """Groups in the order in which the first of each comes."""
    groups: dict[Hashable, list[Wanted]] = {}
    for picture in pictures:
        groups.setdefault(key(picture), []).append(picture)
    return list(groups.values())
