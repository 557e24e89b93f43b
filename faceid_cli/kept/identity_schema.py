"""What an identity file may say about itself: everything is checked here before anything of it is kept or shown."""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from faceid_cli.orders.checks import is_text

_Form = TypeVar("_Form", bound=BaseModel)

_DEEPEST, _MOST_VALUES, _LARGEST = 20, 100_000, 2**63
_MOST_STEPS = 1_000_000


def _text(value: str) -> str:
    if not is_text(value) or "\0" in value:
        raise ValueError("it is not text")
    return value


def _here(value: str) -> str:
    """Refuse a path on another machine, as some systems have them: to look whether it is there would ask that one."""
    if value.startswith(("\\\\", "//")):
        raise ValueError("it is on another machine")
    return value


def _json(value: dict[str, Any]) -> dict[str, Any]:
    """JSON that every other program can read again, and that no reader drowns in."""
    left: list[tuple[Any, int]] = [(value, 0)]
    seen = 0
    while left:
        item, depth = left.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_VALUES:
            raise ValueError("it is nested too deeply, or holds too much")
        if isinstance(item, str):
            _text(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("it holds a number that is not finite")
        elif isinstance(item, int) and abs(item) >= _LARGEST:
            raise ValueError("it holds a number that is too large")
        elif isinstance(item, list):
            left += [(each, depth + 1) for each in item]
        elif isinstance(item, dict):
            left += [(each, depth + 1) for pair in item.items() for each in pair]
    return value


Text = Annotated[str, AfterValidator(_text)]
Line = Annotated[Text, StringConstraints(max_length=1000)]
Source = Annotated[Text, StringConstraints(max_length=4096), AfterValidator(_here)]
Json = Annotated[dict[str, Any], AfterValidator(_json)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class StoredAdditions(_Checked):
    """What was put into the base model, as `ModelOptions.kept` writes it."""

    variant: Annotated[str, StringConstraints(pattern=r"^[\w-]{1,100}$")] | None = None
    vae: Source | None = None
    loras: list[Source] | None = None


class StoredMethod(_Checked):
    """Settings of the training; those that faceid acts on."""

    model_options: StoredAdditions | None = None


class StoredExtra(_Checked):
    """What belongs to the person beside that; what faceid acts on."""

    tags: list[Line] = Field(default=[], max_length=1000)
    consent: Text = ""


class StoredIdentity(_Checked):
    """The metadata of an identity file. Fields that are not known are left out."""

    model_config = ConfigDict(strict=True, extra="ignore")

    name: Line
    class_word: Line
    base_model: Source
    base_fingerprint: Line
    method: Json = {}
    photo_hashes: list[Line] = Field(default=[], max_length=_MOST_VALUES)
    note: Text = ""
    extra: Json = {}

    def model_post_init(self, context: Any, /) -> None:
        """Check within the two free tables what faceid acts on; they are kept as they are."""
        StoredMethod.model_validate(self.method)
        StoredExtra.model_validate(self.extra)


class StoredRun(_Checked):
    """How a person was learned, as a bundle says it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    settings: Json
    losses: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]] = Field(default=[], max_length=_MOST_STEPS)
    seconds: Finite = 0.0
    resumed_from: Annotated[int, Field(ge=0, lt=_MOST_STEPS)] = 0
    scores: dict[Line, Finite] = Field(default={}, max_length=1000)


def stored_run(content: Any) -> StoredRun:
    """Check the history of a person.

    Raises:
        ValueError: It cannot be; the message says what and where.
    """
    return _checked(StoredRun, content)


def stored_identity(content: Any) -> StoredIdentity:
    """Check the metadata of an identity file.

    Args:
        content: As JSON has it.

    Raises:
        ValueError: It cannot be; the message says what and where.
    """
    return _checked(StoredIdentity, content)


def _checked(form: type[_Form], content: Any) -> _Form:
    try:
        return form.model_validate(content)
    except ValidationError as error:
        raise ValueError(_problem_of(error)) from error


def _problem_of(error: ValidationError) -> str:
    """The first thing that pydantic found, without the value itself, which may be anything."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or error.title
    said = first["msg"].removeprefix("Value error, ")
    return f"{where[:100]}: {said[:1].lower()}{said[1:]}"
