"""Requests one after the other, with the base model kept between them: for programs in other languages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceid_cli.api.already import Already
from faceid_cli.api.loaded import Loaded
from faceid_cli.api.mixing import Mixer
from faceid_cli.api.saving import Saver
from faceid_cli.api.settling import Settling
from faceid_cli.api.sinks import Files
from faceid_cli.api.wanted import Outcome, Wanted
from faceid_cli.jobs.expand import Expansion, Job
from faceid_cli.jobs.naming import template_of
from faceid_cli.jobs.rows import Place, Row
from faceid_cli.orders import MAX_SEED
from faceid_cli.orders.batching import BatchOrder
from faceid_cli.rendering.provenance import wanted_provenance
from faceid_cli.types import OnNote


class Service:
    """Renders requests.

    Args:
        output: A folder or a template of file names, for requests that do not say.
        common: Options by field names, for requests that do not say otherwise.
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: A template that cannot be read, or pictures that are to be signed and cannot.
    """

    def __init__(self, output: Path | str, common: Mapping[str, Any], on_note: OnNote) -> None:
        self._template, self._common, self._on_note = template_of(output), common, on_note
        self._loaded, self._already, self._pictures = Loaded(on_note), Already(), 0
        self._provenance = wanted_provenance(on_note)

    def answer(self, request: Mapping[str, Any]) -> list[Outcome]:
        """Render what a request asks for: a row as of a batch, with `count` or `seeds` for several pictures.

        Raises:
            OutputError: A picture cannot be written. All else that goes wrong is in the outcomes.
        """
        first = secrets.randbelow(MAX_SEED + 1)
        expansion = Expansion(BatchOrder(), self._common, (), self._template, first, self._on_note)
        settling = Settling(self._on_note, already=self._already)
        jobs = list(expansion.jobs([Row(Place(), request)], start=self._pictures))
        self._pictures += len(jobs)
        # Who asks twice without a seed wants two pictures: here a seed that was drawn is one that was given.
        settled = [settling.settle(replace(job, is_drawn=False) if isinstance(job, Job) else job) for job in jobs]
        outcomes = [each for each in settled if isinstance(each, Outcome)]
        saver = Saver(self._on_note, self._provenance)
        try:
            mixer = Mixer(self._loaded, Files(saver, self._already), outcomes.append, self._on_note)
            mixer.render(each for each in settled if isinstance(each, Wanted))
            saver.close()
        finally:
            saver.abandon()
        return sorted(outcomes, key=lambda each: 0 if each.job is None else each.job.index)
