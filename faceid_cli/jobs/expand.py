"""From rows to single pictures: people times prompts times options times seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faceid_cli.errors import FaceIDError, UsageError
from faceid_cli.jobs.columns import REQUEST, SEEDS, options_of, with_common
from faceid_cli.jobs.grid import Axis, Cell, cells, read_axes
from faceid_cli.jobs.naming import Template, slug_of, template_of
from faceid_cli.jobs.rows import FieldError, Place, Row, located
from faceid_cli.jobs.variants import has_variants, seeded, variants_of
from faceid_cli.kept.settings import rendering_order
from faceid_cli.orders import MAX_SEED, RenderConfig, RenderOrder
from faceid_cli.orders.batching import MOST_SEEDS, BatchOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.rendering import NOT_FOR_SEVERAL, suffix_of
from faceid_cli.types import OnNote

_SAID_APART = ("seed", "count", "output")
_MOST_MADE = 1000
_OF_ONE_PERSON = tuple(name for name in NOT_FOR_SEVERAL if name not in ("names", "prompt"))


@dataclass(frozen=True)
class Job:
    """One picture to be made.

    Attributes:
        order: For this picture; `seed`, `count` and `output` are said here and not there.
        seed: Of its noise.
        is_drawn: Whether nobody asked for that seed.
        index: Which of all pictures, from 1.
        place: Where its row stands.
        template: Where it goes.
        labels: Which cell of a grid it is; () without one.
        sheet: Which sheet it belongs to.
        request: The hash that it is known by, where its row says it or it has been found out.
        config: How it is rendered, once nothing of that is left open; its name may tell of it.
    """

    order: RenderOrder
    seed: int
    is_drawn: bool
    index: int
    place: Place
    template: Template
    labels: tuple[str, ...] = ()
    sheet: int = 0
    request: str = ""
    config: RenderConfig | None = None

    @property
    def path(self) -> Path:
        """The name that its file is to have; with a number behind it where that is taken."""
        values = {name: value for holder in holders(self.order) for name, value in vars(holder).items()}
        values |= vars(self.config or self.order.config)
        own = {"index": self.index, "seed": self.seed, "line": self.place.line, "slug": slug_of(self.order.prompt)}
        own["suffix"] = suffix_of(self.order.format)
        return self.template.path({**values, "name": self.order.names, **own})


@dataclass(frozen=True)
class BadRow:
    """A row of which nothing can be made, and why."""

    row: Row
    error: FaceIDError


@dataclass(frozen=True)
class Expansion:
    """What is made of rows.

    Attributes:
        batch: The order for all of them.
        common: Options of all rows that do not say otherwise, by field names; "seeds", too.
        people: Who is rendered where a row names nobody, each entry the people of one picture.
        output: Where pictures go if their rows do not say.
        first_seed: The first of the seeds that nobody asked for.
        on_note: Called with a line worth telling the user.
    """

    batch: BatchOrder
    common: Mapping[str, Any]
    people: Sequence[tuple[str, ...]]
    output: Template
    first_seed: int
    on_note: OnNote | None = None
    _made: dict[Any, RenderOrder] = field(default_factory=dict, repr=False)

    def jobs(self, rows: Sequence[Row], beside: Path | None = None, start: int = 0) -> Iterator[Job | BadRow]:
        """Every picture of some rows, in their order, and the rows that cannot be.

        Args:
            rows: As they were read.
            beside: Folder of wildcards where the order names none.
            start: How many pictures there were before these.

        Raises:
            UsageError: A grid that cannot be, or a folder of wildcards that is none.
        """
        axes, wildcards = read_axes(self.batch.grid), self._wildcards(beside)
        self._tell_idle_variants(rows)
        index, drawn, sheet = start, 0, 0
        for number, row in enumerate(rows):
            made: list[Job] = []
            try:
                if row.error is not None:
                    raise row.error
                given = {**self._common_for(row), **options_of(row.values)}
                for variant in self._variants(given, wildcards, number):
                    seeds, are_drawn = self._seeds(given, drawn)
                    for names in self._names(given):
                        for job in self._pictures(row, given | {"names": names, "prompt": variant}, axes):
                            for place, seed in enumerate(seeds):
                                which, group = index + len(made) + 1, sheet + place if axes else 0
                                made.append(replace(job, seed=seed, is_drawn=are_drawn, index=which, sheet=group))
                        sheet += len(seeds)
                    drawn += len(seeds) if are_drawn else 0
            except FaceIDError as error:
                yield BadRow(self._whole(row), located(error, row.place))
                continue
            index += len(made)
            yield from made

    def _common_for(self, row: Row) -> dict[str, Any]:
        """Options for all rows but those that this row says in another way."""
        said = {column.strip().lower() for column in row.values}
        left_out = {"seed", SEEDS} if said & {"seed", SEEDS} else set()
        left_out |= {"count"} if SEEDS in said else {SEEDS} if "count" in said else set()
        return {name: value for name, value in self.common.items() if name not in left_out}

    def _whole(self, row: Row) -> Row:
        """A row with what all rows have in common, so that it can be given again alone."""
        if not row.values:
            return row
        common = {**self._common_for(row), "output": self.output.whole}
        if len(self.people) == 1:
            common["names"] = self.people[0]
        return replace(row, values=with_common(row.values, common))

    def _wildcards(self, beside: Path | None) -> Path | None:
        if self.batch.wildcards is None:
            return beside
        folder = user_path(self.batch.wildcards)
        if not folder.is_dir():
            raise UsageError(f"--wildcards {folder}: there is no such folder", "give one with files such as hats.txt")
        return folder

    def _tell_idle_variants(self, rows: Sequence[Row]) -> None:
        if self.batch.variants is None or self.on_note is None:
            return
        if not any(has_variants(str(value)) for row in rows for value in row.values.values()):
            self.on_note("no prompt has variants such as {red|blue} or __file__, so --variants changes nothing")

    def _variants(self, given: Mapping[str, Any], folder: Path | None, number: int) -> list[str]:
        if "prompt" not in given:
            raise FieldError("prompt", "is missing")
        seed = seeded(self.first_seed if given.get("seed") is None else given["seed"], number)
        try:
            return variants_of(given["prompt"], folder, self.batch.variants, seed)
        except FaceIDError as error:
            raise FieldError("prompt", error.message, error.hint) from error

    def _names(self, given: Mapping[str, Any]) -> Sequence[tuple[str, ...]]:
        if given.get("names"):
            return [given["names"]]
        if not self.people:
            raise FieldError("name", "nobody is named", "add a column `name`, or give --for NAME, --all or --tag TAG")
        return self.people

    def _seeds(self, given: Mapping[str, Any], drawn: int) -> tuple[list[int], bool]:
        """Seeds of a row, and whether nobody asked for them."""
        count = given.get("count") or 1
        if count > MOST_SEEDS:
            raise FieldError(
                "count", f"{count} is more than {MOST_SEEDS} pictures of a row", "render them in several goes"
            )
        if given.get(SEEDS):
            if given.get("seed") is not None or count > 1:
                raise FieldError(SEEDS, "each picture has one of these seeds: there is no other seed, and no count")
            return list(given[SEEDS]), False
        first = given.get("seed")
        if first is None:
            return [(self.first_seed + drawn + place) % (MAX_SEED + 1) for place in range(count)], True
        if first + count - 1 > MAX_SEED:
            raise FieldError("seed", f"{count} pictures from seed {first} on go beyond seed {MAX_SEED}")
        return list(range(first, first + count)), False

    def _pictures(self, row: Row, given: Mapping[str, Any], axes: Sequence[Axis]) -> Iterator[Job]:
        """One picture for each cell of the grid, still without seeds."""
        for cell in cells(axes):
            yield self._picture(row, {**given, **cell.options}, cell)

    def _picture(self, row: Row, given: dict[str, Any], cell: Cell) -> Job:
        several = len(given["names"]) > 1
        if several and (said := [name for name in _OF_ONE_PERSON if given.get(name) not in (None, False)]):
            raise FieldError(said[0], "is for pictures of one person")
        output = given.get("output")
        template = self.output if output is None else template_of(output)
        options = {name: value for name, value in given.items() if name not in (*_SAID_APART, SEEDS, REQUEST)}
        without = (*_SAID_APART, *(NOT_FOR_SEVERAL if several else ()))
        order = self._order(options, without)
        return Job(order, 0, False, 0, row.place, template, cell.labels, 0, given.get(REQUEST, ""))

    def _order(self, options: dict[str, Any], without: tuple[str, ...]) -> RenderOrder:
        """An order; those of rows that differ in prompt and people alone share all else, and its checks."""
        own = {"names": options["names"], "prompt": options["prompt"]}
        rest = tuple((name, type(value), value) for name, value in options.items() if name not in own)
        try:
            made = self._made.get((rest, without))
        except TypeError:  # a list or the like, which cannot be looked up
            return rendering_order(options, self.on_note, without)
        if made is not None:
            return replace(made, **own)
        made = rendering_order(options, self.on_note, without)
        if len(self._made) >= _MOST_MADE:
            self._made.clear()
        self._made[rest, without] = made
        return made


def holders(order: RenderOrder) -> Iterator[Any]:
    """An order and the groups in it."""
    yield order
    yield order.config
    if order.options is not None:
        yield order.options
