"""Rendering several people into one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faceid_cli.api.generate import render_order
from faceid_cli.kept.settings import rendering_order
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.composing import composed
from faceid_cli.orders.kinds import fitted
from faceid_cli.orders.rendering import NOT_FOR_SEVERAL
from faceid_cli.orders.signatures import takes
from faceid_cli.types import OnNote, OnProgress, Render


@takes(RenderOrder, without=NOT_FOR_SEVERAL)
def compose(
    names: Sequence[str] | str,
    prompt: str,
    *,
    on_progress: OnProgress | None = None,
    on_note: OnNote | None = None,
    **options: Any,
) -> list[Render]:
    """Render several people into each picture.

    Args:
        names: Enrolled people; one is enough where the prompt has others without a name.
        prompt: `<name>` marks each of them, or none is marked. What is said behind a mark belongs to that person.
        on_progress: Called with (sampler steps done, steps in all).
        on_note: Called with a line worth telling the user.
        options: Of `RenderOrder`, by name, but for those that need one person alone.

    Returns:
        One render per picture, as `generate` does.

    Raises:
        ModelMismatchError: They were learned on different base models. Else as `generate`.
    """
    given = composed({"names": fitted("names", tuple[str, ...], names), "prompt": prompt, **options})
    order = rendering_order(given, on_note, NOT_FOR_SEVERAL)
    return render_order(order, on_progress, on_note)
