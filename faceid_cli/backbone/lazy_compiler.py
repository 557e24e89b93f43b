"""torch's compiler, imported when somebody compiles: diffusers and transformers only mark functions for it.

It takes longer to import than both of them. What stands for it remembers the marks, and hands them on when it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial, wraps
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Any

from faceid_cli.backbone.stand_ins import Postponed

_NAME = "torch._dynamo"
_INDEPENDENT = "torch._dynamo._trace_wrapped_higher_order_op"  # transformers needs it


class _Marks:
    """What can be said of functions before the compiler is there."""

    def __init__(self, compiler: Postponed) -> None:
        self._compiler = compiler

    def marker(self, name: str) -> Callable[[Any], Any]:
        """Of a mark whose function returns what it marks."""

        def mark(marked: Any) -> Any:
            if self._compiler.has_come:
                return self._real(name)(marked)
            self._compiler.when_it_comes.append(lambda: self._real(name)(marked))
            return marked

        return mark

    def disable(self, function: Any = None, recursive: bool = True, **settings: Any) -> Any:
        """A function that must not be compiled: as it is while nothing is compiled."""
        if not self._compiler.has_come and function is None:
            return partial(self.disable, recursive=recursive, **settings)
        if self._compiler.has_come or not isinstance(function, FunctionType):
            return self._real("disable")(function, recursive, **settings)

        @wraps(function)
        def plain(*arguments: Any, **more: Any) -> Any:
            return (disabled() if self._compiler.has_come else function)(*arguments, **more)

        disabled = cache(lambda: self._real("disable")(function, recursive, **settings))
        return plain

    def graph_break(self, *arguments: Any, **settings: Any) -> None:
        """Where what is compiled is to be parted: nothing, while nothing is. Optimizers ask for it at each step."""
        if self._compiler.has_come:
            self._real("graph_break")(*arguments, **settings)

    def _real(self, name: str) -> Any:
        return getattr(self._compiler.real(_NAME), name)


def postpone_the_compiler() -> None:
    """Put something in its place, if this torch is built as expected; else everything stays as it is."""
    compiler = Postponed(_NAME, [_INDEPENDENT])
    marks = _Marks(compiler)
    known: dict[str, Any] = {name: marks.marker(name) for name in ("allow_in_graph", "assume_constant_result")}
    nothing_compiled = SimpleNamespace(OptimizedModule=compiler.late_class("OptimizedModule", f"{_NAME}.eval_frame"))
    known |= {"disable": marks.disable, "graph_break": marks.graph_break, "eval_frame": nothing_compiled}
    if compiler.take_its_place({_NAME: known}):
        try:
            import_module(_INDEPENDENT)
        except ImportError:
            compiler.real(_NAME)
