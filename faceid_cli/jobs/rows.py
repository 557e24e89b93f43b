"""What is read of a file of rows, and what is said of a row that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from faceid_cli.errors import FaceIDError, UsageError


@dataclass(frozen=True)
class Place:
    """Where something stands.

    Attributes:
        file: As the user called it; "" for what came from no file.
        line: Counted from 1; 0 where there are none.
    """

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if not self.file:
            return f"row {self.line}" if self.line else ""
        return f"{self.file}, line {self.line}" if self.line else self.file


@dataclass(frozen=True)
class Row:
    """A row as it was read.

    Attributes:
        place: Where it stands.
        values: By column; texts, or what JSON and YAML have beside them.
        error: Why it could not be read; None where it could.
    """

    place: Place
    values: Mapping[str, Any]
    error: FaceIDError | None = None


class FieldError(UsageError):
    """A value that cannot be.

    Args:
        field: The column, as the user called it; "" where it is not one alone.
        message: As of `FaceIDError`.
        hint: As of `FaceIDError`.
    """

    def __init__(self, field: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.field = field


def text_of(name: object, content: bytes) -> str:
    """The text of a file, with or without a byte order mark.

    Args:
        name: Of the file, for the message.
        content: Its bytes.

    Raises:
        UsageError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8 (byte {error.start + 1})", f"such as with: iconv -f LATIN1 -t UTF-8 {name}"
        ) from None


def row_of(place: Place, said: Iterable[tuple[str, Any]]) -> Row:
    """A row of columns and values; one with an error where a column is said twice."""
    values: dict[str, Any] = {}
    error = None
    for column, value in said:
        label = column
        while label in values:
            error = FieldError(column, "is there twice", "leave out one of them")
            label += " (again)"  # which is no option either, where the row is given again as it is
        values[label] = value
    return Row(place, values, error)


def located(error: FaceIDError, place: Place) -> FaceIDError:
    """The same error with file, line and field in its message; its kind and exit code stay."""
    where = ", ".join(part for part in (str(place), getattr(error, "field", "")) if part)
    if where and not error.message.startswith(where):
        error.message = f"{where}: {error.message}"
        error.args = (error.message,)
    return error
