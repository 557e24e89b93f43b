"""What is loaded once for many pictures: the base model and encoded prompts, people's tokens, judges."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from faceid_cli.api.checking import Checking, checking_for, judge_of
from faceid_cli.api.opening import Opened, on_machine, open_people
from faceid_cli.orders import RenderConfig, RenderOrder
from faceid_cli.types import IdentityTokens, OnNote

if TYPE_CHECKING:
    from faceid_cli.backbone import BaseModel
    from faceid_cli.evaluation.judges import PictureJudge
    from faceid_cli.evaluation.likeness import Likeness
    from faceid_cli.evaluation.threshold import Threshold
    from faceid_cli.rendering.wording import Wordings

_PEOPLE_KEPT = 256


class Once:
    """Hands on each line once: of thousands of pictures each would say the same."""

    def __init__(self, on_note: OnNote | None) -> None:
        self._on_note, self._said = on_note, set[str]()

    def __call__(self, line: str) -> None:
        """Say it, if it has not been said."""
        if self._on_note is not None and line not in self._said:
            self._said.add(line)
            self._on_note(line)


class Loaded:
    """Holds one base model at a time, since two might not fit, and what was made with it.

    Args:
        on_note: Called with a line worth telling the user.
    """

    def __init__(self, on_note: OnNote) -> None:
        self._on_note = on_note
        self._key: tuple[object, ...] | None = None
        self._base: BaseModel | None = None
        self._wordings: Wordings | None = None
        self._tokens: OrderedDict[tuple[str, ...], tuple[Opened, dict[str, IdentityTokens]]] = OrderedDict()
        self._words: dict[tuple[str, int], IdentityTokens] = {}
        self._judge: tuple[tuple[object, ...], PictureJudge] | None = None
        self._thresholds: dict[tuple[object, ...], Threshold] = {}
        self._checkings: dict[tuple[object, ...], Checking | None] = {}
        self.likenesses: Mapping[str, Likeness | None] | None = None
        """What people are compared with, by id, where that came from elsewhere; None to look for their photos here."""

    def base_of(self, opened: Opened) -> tuple[BaseModel, Wordings]:
        """The base model, loaded where it is not the one that is held; this brings in torch.

        Raises:
            ModelError, OutOfMemoryError: As `Opened.base`.
        """
        from faceid_cli.rendering.wording import Wordings

        key = base_key(opened)
        if self._base is None or self._wordings is None or self._key != key:
            self._key = self._base = self._wordings = None
            self._words.clear()
            self._base = opened.base(self._on_note)
            self._key, self._wordings = key, Wordings(self._base)
        return self._base, self._wordings

    def tokens_of(self, opened: Opened) -> dict[str, IdentityTokens]:
        """The people's tokens, the same objects each time, so that their prompts are known again."""
        key = tuple(person.id for person in opened.people)
        held = self._tokens.get(key)
        if held is None or held[0].stored.keys() != opened.stored.keys():
            held = self._tokens[key] = (opened, opened.tokens())
        self._tokens.move_to_end(key)
        while len(self._tokens) > _PEOPLE_KEPT:
            self._tokens.popitem(last=False)
        return held[1]

    def words_of(self, files: dict[str, Path]) -> dict[str, IdentityTokens]:
        """Embeddings of others, by the words that stand for them."""
        from faceid_cli.tokens import read_embedding

        assert self._base is not None
        found = {}
        for word, file in files.items():
            key = (str(file), file.stat().st_mtime_ns if file.exists() else 0)
            if key not in self._words:
                self._words[key] = read_embedding(file, self._base)
            found[word] = self._words[key]
        return found

    def checking_of(self, opened: Opened, order: RenderOrder) -> Checking | None:
        """What looks at pictures of several people, see `checking.checking_for`."""
        key = (order.config.repair > 0, opened.is_builtin, *(person.id for person in opened.people))
        if key not in self._checkings:
            self._checkings[key] = checking_for(opened, order, self._on_note, self._judge_of, self.likenesses)
        return self._checkings[key]

    def threshold_of(self, opened: Opened, least: str) -> Threshold:
        """What pictures of these people are measured by.

        Raises:
            UsageError: They have no face, or no photos to compare with.
            WeightsMissingError: The judge's weights are not on this machine.
        """
        from faceid_cli.evaluation.threshold import Threshold

        judge = self._judge_of(opened)
        key = (least, *(person.id for person in opened.people))
        if key not in self._thresholds:
            self._thresholds[key] = Threshold(judge, opened.people, least, self.likenesses)
        return self._thresholds[key]

    def _judge_of(self, opened: Opened) -> PictureJudge:
        """What looks at pictures of these people's world."""
        kind = (opened.is_builtin, opened.device)
        if self._judge is None or self._judge[0] != kind:
            self._judge = (kind, judge_of(opened))
            self._thresholds.clear()
        return self._judge[1]


class People:
    """Looks people up, each group of them once."""

    def __init__(self, on_note: OnNote) -> None:
        self._on_note = on_note
        self._found: dict[tuple[object, ...], Opened] = {}
        self._settled: tuple[RenderConfig, bool, RenderConfig] | None = None

    def of(self, order: RenderOrder) -> Opened:
        """The people of an order. Raises as `open_people`."""
        key = (order.names, order.model, order.options, order.config.device, order.config.precision)
        if key not in self._found:
            self._found[key] = open_people(order.names, order.config, order.model, order.options, self._on_note)
        found = self._found[key]
        settled = self._settled
        if settled is None or settled[0] is not order.config or settled[1] != found.is_builtin:  # many rows share one
            config = on_machine(order.config).suiting(found.is_builtin)
            settled = self._settled = order.config, found.is_builtin, config
        return replace(found, config=settled[2])


def base_key(opened: Opened) -> tuple[object, ...]:
    """What has to be equal for people to share a loaded base model."""
    return opened.source, opened.loading, opened.config.device, opened.config.precision
