"""Pictures of `generate` and `compose` that have to be like the person: other seeds are tried until they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from faceid_cli.api.again import read_render
from faceid_cli.api.already import Already
from faceid_cli.api.loaded import Loaded, Once
from faceid_cli.api.mixing import Mixer
from faceid_cli.api.recording import finished
from faceid_cli.api.saving import Saver
from faceid_cli.api.settling import Settling
from faceid_cli.api.sinks import Files, Memory
from faceid_cli.api.wanted import REJECTED, Outcome, Wanted
from faceid_cli.errors import FaceIDError, InterruptedRunError
from faceid_cli.jobs.expand import Job
from faceid_cli.jobs.naming import Template, literal
from faceid_cli.jobs.rows import Place
from faceid_cli.orders import RenderOrder
from faceid_cli.rendering.provenance import wanted_provenance
from faceid_cli.rendering.save import plan_output
from faceid_cli.types import OnNote, OnProgress, Render


def render_alike(
    order: RenderOrder, seeds: Sequence[int], on_progress: OnProgress | None = None, on_note: OnNote | None = None
) -> list[Render]:
    """Render a picture for each seed, with another one where it is not like the person; arguments and errors as of
    `generate.render_order`.

    Raises:
        NotAlikeError: Some pictures were not, whatever the seed; the others are written.
    """
    note, template = Once(on_note), _template(order)
    single = replace(order, output=None, seed=None, count=1)
    settling, outcomes = Settling(note), list[Outcome]()
    wanted: list[Wanted] = []
    for number, seed in enumerate(seeds, 1):
        found = settling.settle(Job(single, seed, False, number, Place(), template))
        if isinstance(found, Wanted):
            wanted.append(found)
        else:
            outcomes.append(found)

    def take(outcome: Outcome) -> None:
        if outcome.status == REJECTED and outcome.path is not None:
            note(f"{outcome.path}  seed {outcome.seed}  likeness {outcome.similarity:.2f} is too little")
        elif outcome.status != REJECTED:
            outcomes.append(outcome)
            if on_progress is not None:
                on_progress(len(outcomes), len(seeds))

    saver = Saver(note, None if order.output is None else wanted_provenance(note))
    sink = Memory() if order.output is None else Files(saver, Already())
    try:
        Mixer(Loaded(note), sink, take, note).render(wanted)
        saver.close()
    except KeyboardInterrupt as error:
        saver.close()
        raise InterruptedRunError("stopped by Ctrl-C; what is finished stays") from error
    finally:
        saver.abandon()
    return _renders(outcomes, order)


def _template(order: RenderOrder) -> Template:
    """The names that `generate` gives otherwise, too."""
    stem = "-".join(order.names)
    if order.output is None:
        return Template(Path(), f"{stem}.png")
    plan = plan_output(order.output, stem, order.count, order.format, order.metadata)
    return Template(plan.folder, f"{literal(plan.stem)}{'-{index}' if plan.numbered else ''}{plan.suffix}")


def _renders(outcomes: Sequence[Outcome], order: RenderOrder) -> list[Render]:
    ordered = sorted(outcomes, key=lambda each: 0 if each.job is None else each.job.index)
    errors = [each.error for each in ordered if each.error is not None]
    made = [
        each.render if each.render is not None else read_render(each.path, order, each.seed or 0)
        for each in ordered
        if each.render is not None or each.path is not None
    ]
    if errors:
        raise _first(errors, made)
    return made


def _first(errors: Sequence[FaceIDError], made: Sequence[Render]) -> FaceIDError:
    error = errors[0]
    if made and made[-1].path is not None:
        error.message = f"{error.message}; {finished(made)}"
        error.args = (error.message,)
    return error
