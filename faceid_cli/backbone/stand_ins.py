"""Modules and classes that stand for others until more is asked of them than they know; then those are imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class LateClass(type):
    """Of a class that stands for one that is not imported yet: who makes one, or asks it for more, gets the other."""

    _package: str
    _real: Callable[[], Any]

    def __new__(cls, name: str, bases: tuple[Any, ...] = (), members: dict[str, Any] | None = None, **more: Any) -> Any:
        """A class that is derived from such a class is derived from the other."""
        if bases:
            others = tuple(base._real() if isinstance(base, LateClass) else base for base in bases)
            return type(others[0])(name, others, members or {}, **more)
        return super().__new__(cls, name, (), members or {})

    @classmethod
    def of(cls, name: str, package: str, real: Callable[[], Any]) -> Any:
        """A class that stands for another.

        Args:
            name: What the other is called.
            package: It is somewhere in this.
            real: Imports it.
        """
        return cls(name, (), {"__module__": package, "_package": package, "_real": staticmethod(real)})

    def __instancecheck__(cls, instance: Any) -> bool:
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, other: type) -> bool:
        """Nothing is imported for what has nothing of the package in it."""
        if not any(f"{each.__module__}.".startswith(f"{cls._package}.") for each in other.__mro__):
            return False
        return other is cls or issubclass(other, cls._real())

    def __call__(cls, *arguments: Any, **settings: Any) -> Any:
        return cls._real()(*arguments, **settings)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return getattr(cls._real(), name)


class Postponed:
    """A package that is imported when it is needed.

    Args:
        package: Its name.
        independent: Files of it that do not need what its own file sets up.
    """

    def __init__(self, package: str, independent: Sequence[str] = ()) -> None:
        self.has_come = False
        self.when_it_comes: list[Callable[[], Any]] = []
        self._package, self._independent = package, independent
        self._modules: dict[str, ModuleType] = {}
        self._finder = _Finder(self)

    def take_its_place(self, answers: Mapping[str, Mapping[str, Any]]) -> bool:
        """Put modules in the place of it and of files of it; False where it is there already, or not to be had.

        Args:
            answers: What these modules know, by their names.
        """
        spec = None if self._package in sys.modules else find_spec(self._package)
        if spec is None or spec.submodule_search_locations is None or self._package in sys.modules:
            return False
        for name, known in answers.items():
            module = self._modules[name] = sys.modules[name] = _StandIn(name, self)
            module.__dict__.update(known)
        package = self._modules[self._package]
        package.__spec__, package.__path__ = spec, spec.submodule_search_locations
        sys.meta_path.insert(0, self._finder)
        return True

    def real(self, name: str) -> ModuleType:
        """The module itself."""
        if not self.has_come:
            self.has_come = True
            sys.meta_path.remove(self._finder)
            for each, module in self._modules.items():
                if sys.modules.get(each) is module:
                    del sys.modules[each]
            import_module(self._package)
            for action in self.when_it_comes:
                action()
        return import_module(name)

    def late_class(self, name: str, home: str) -> Any:
        """A class for one of its classes.

        Args:
            name: What that is called.
            home: The module that has it.
        """
        return LateClass.of(name, self._package, lambda: getattr(self.real(home), name))

    def needs_it(self, name: str) -> bool:
        """Whether a module is a file of it that needs it."""
        return name.startswith(f"{self._package}.") and name not in self._independent

    def real_spec(self, name: str) -> ModuleSpec | None:
        """Import it; then the spec of a file of it that came with it, or None."""
        self.real(self._package)
        if name not in sys.modules:
            return None
        spec = ModuleSpec(name, _Imported(sys.modules[name]))
        _set_spec(sys.modules[name], spec)  # else Python takes that for the better one, and runs the file again
        return spec


class _StandIn(ModuleType):
    def __init__(self, name: str, postponed: Postponed) -> None:
        super().__init__(name)
        self.__dict__["_postponed"] = postponed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_postponed"].real(self.__name__), name)


class _Finder(MetaPathFinder):
    """Is asked first where files of a postponed package are."""

    def __init__(self, postponed: Postponed) -> None:
        self._postponed = postponed

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None for what is not of the package."""
        return self._postponed.real_spec(name) if self._postponed.needs_it(name) else None


class _Imported(Loader):
    """Of a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Nothing new."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """It has run."""
        _set_spec(module, self._spec)


def _set_spec(module: ModuleType, spec: ModuleSpec | None) -> None:
    """Past the module's own ways: torch's modules of settings let nothing be set that is not a setting."""
    module.__dict__["__spec__"] = spec
