"""Python functions that take the options of a group by name: how they show them, and what they refuse."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from faceid_cli.errors import UsageError
from faceid_cli.orders.option import Options, leaves

Function = TypeVar("Function", bound=Callable[..., Any])


def takes(group: type[Options], without: Sequence[str] = ()) -> Callable[[Function], Function]:
    """Let a function's `**options` show the options of a group in its signature and its docstring.

    Args:
        group: Whose options.
        without: Those that the function does not take: who gives one gets a UsageError.
    """

    def decorate(function: Function) -> Function:
        shown = {name: leaf for name, leaf in leaves(group).items() if name not in without}
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        keyword = inspect.Parameter.KEYWORD_ONLY
        more = [inspect.Parameter(name, keyword, default=leaf[2], annotation=leaf[1]) for name, leaf in shown.items()]
        more += [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in group.groups.items()]
        lines = [
            f"{name}: {'' if leaf[0].flags or not leaf[0].off else 'If False: '}{leaf[0].help}"
            for name, leaf in shown.items()
        ]
        lines += [f"{name}: All of those that `{kind.__name__}` has, in one." for name, kind in group.groups.items()]
        refused = set(without) - set(signature.parameters)

        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            for name in options:
                if name in refused:
                    what = function.__name__
                    raise UsageError(f"{what} takes no option {name!r}", f"help(faceid_cli.{what}) lists its options")
            return function(*arguments, **options)

        checked.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        checked.__doc__ = f"{function.__doc__}\n\n    Options:\n" + "".join(f"        {line}\n" for line in lines)
        return cast(Function, checked)

    return decorate
