"""From single pictures to what is to be rendered: people, base model, hash, and whether they are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from faceid_cli.api.again import put_in
from faceid_cli.api.already import Already
from faceid_cli.api.composing import cast_of
from faceid_cli.api.loaded import People
from faceid_cli.api.opening import Opened
from faceid_cli.api.placing import placed
from faceid_cli.api.results import not_alike
from faceid_cli.api.wanted import FAILED, THERE, Outcome, Wanted
from faceid_cli.errors import FaceIDError
from faceid_cli.jobs.expand import BadRow, Job
from faceid_cli.jobs.requests import rejected, request_of
from faceid_cli.jobs.rows import located
from faceid_cli.model_files import fingerprint_of
from faceid_cli.orders import ModelOptions, RenderOrder
from faceid_cli.types import OnNote


class Settling:
    """Finds a picture's people and its hash, and whether it is there already.

    Args:
        on_note: Called with a line worth telling the user.
        retries: How many times a picture may fail before it has failed.
        already: What is known of pictures that are there; found out if None.
    """

    def __init__(self, on_note: OnNote, retries: int = 0, already: Already | None = None) -> None:
        self._note, self._retries = on_note, retries
        self._people, self._already = People(on_note), already or Already()
        self._times: Counter[str] = Counter()
        self._last: tuple[RenderOrder, Any] | None = None
        self._models: dict[tuple[str, ModelOptions], tuple[str, Mapping[str, Any]]] = {}

    def settle(self, job: Job | BadRow) -> Wanted | Outcome:
        """What is to be done for a picture."""
        if isinstance(job, BadRow):
            return Outcome(FAILED, None, error=job.error, row=job.row)
        try:
            return self._settle(job)
        except FaceIDError as error:
            return Outcome(FAILED, job, error=located(error, job.place), seed=job.seed)

    def _settle(self, job: Job) -> Wanted | Outcome:
        opened, order, prompt, files, (fingerprint, loading) = self._of_order(job.order)
        wanted = Wanted(job, opened, order, prompt, files, "", retries=self._retries)
        seed = None if job.is_drawn else job.seed
        asked = partial(request_of, order, prompt, opened.digests, fingerprint, loading, seed)
        once = asked(0)
        number = self._times[once]  # the same row once more is another picture, under another name
        self._times[once] += 1
        request = once if number == 0 else asked(number)
        request = job.request or request
        wanted = replace(wanted, request=request, job=replace(job, request=request, config=order.config))
        found = self._already.find(wanted.request, wanted.path, job.template.root)
        if order.overwrite:
            return replace(wanted, target=found)
        if found is not None:
            return Outcome(THERE, wanted.job, found, seed=job.seed)
        return self._after_rejections(wanted) if order.min_likeness is not None else wanted

    def _after_rejections(self, wanted: Wanted) -> Wanted | Outcome:
        """Seeds that were tried before are not tried again."""
        for attempt in range(wanted.order.tries):
            tried = replace(wanted, attempt=attempt)
            if self._already.find(rejected(wanted.request, attempt), tried.path, wanted.job.template.root) is None:
                return tried
        raise not_alike(wanted)

    def _of_order(self, order: RenderOrder) -> Any:
        """People and prompt; of pictures that differ in the seed alone they are found once."""
        if self._last is None or self._last[0] is not order:
            opened = self._people.of(order)
            order_alone = order if order.output is None else replace(order, output=None)
            settled, prompt, files = placed(order_alone, opened, self._note)
            cast_of(settled, opened, prompt)  # what is wrong with a layout is known before anything is rendered
            self._last = order, (opened, settled, prompt, files, self._model(opened))
        return self._last[1]

    def _model(self, opened: Opened) -> tuple[str, Mapping[str, Any]]:
        """Fingerprint of the base model, and what is put into it; files are looked at once and not for each row."""
        key = opened.source, opened.loading
        if key not in self._models:
            self._models[key] = fingerprint_of(opened.source, opened.loading.variant), put_in(opened.loading)
        return self._models[key]
