"""Take texts as they were typed: typer imports pydantic even to make a text of a text, or nothing of nothing."""

from __future__ import annotations

from functools import partial
from typing import Any


def spare_plain_values(command: Any) -> None:
    """Let all parameters of a command do so, as far as this typer tells what they are."""
    usual = command.get_params

    def get_params(context: Any) -> list[Any]:
        parameters: list[Any] = usual(context)
        for parameter in parameters:
            descriptor = getattr(parameter, "type_descriptor", None)
            kind, info = getattr(descriptor, "annotation", None), getattr(descriptor, "parameter_info", None)
            if info is not None and info.parser is None and not isinstance(parameter.process_value, partial):
                parameter.process_value = partial(_processed, parameter, kind, parameter.process_value)
        return parameters

    command.get_params = get_params


def _processed(parameter: Any, kind: Any, usual: Any, context: Any, value: Any) -> Any:
    """The value of a parameter, after its callback."""
    if not value and parameter.required and context.resilient_parsing:  # for completion, what is missing is no error
        return None
    found: Any
    is_single = parameter.nargs == 1 and not parameter.multiple
    if is_single and ((value is None and not parameter.required) or (kind is str and type(value) is str)):
        found = value
    elif kind == list[str] and isinstance(value, list | tuple) and set(map(type, value)) == {str}:
        found = list(value)
    else:
        return usual(context, value)
    return found if parameter.callback is None else parameter.callback(context, parameter, found)
