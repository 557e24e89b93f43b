"""A package that is imported when it is needed: whichever way that is, it is imported once, and whole."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator

import pytest

from faceid_cli.backbone.lean_imports import _Distributions
from faceid_cli.backbone.stand_ins import Postponed

_FILES = {
    "__init__": "from heavy_package import core, settings\nfrom heavy_package.core import Thing\nmarked = []\n",
    "core": "runs = []\nruns.append(1)\nclass Thing: pass\n",
    "light": "",
    "other": "from heavy_package import core\n",
    # As torch's modules of settings are.
    "settings": "import sys\nfrom types import ModuleType\nclass Settings(ModuleType):\n"
    "    def __setattr__(self, name, value): raise AttributeError(name)\nsys.modules[__name__].__class__ = Settings\n",
}


@pytest.fixture
def postponed(tmp_path, monkeypatch) -> Iterator[Postponed]:
    folder = tmp_path / "heavy_package"
    folder.mkdir()
    for name, content in _FILES.items():
        (folder / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    package = Postponed("heavy_package", ["heavy_package.light"])
    known = {"heavy_package": {"Thing": package.late_class("Thing", "heavy_package.core")}}
    assert package.take_its_place(known)
    assert not package.take_its_place(known), "it is there already"
    yield package
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition(".")[0] == "heavy_package"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "way",
    [
        "import heavy_package.core",
        "import heavy_package.other",
        "import heavy_package.settings",
        "from heavy_package.core import Thing",
        "from heavy_package import marked",
        "import heavy_package; heavy_package.marked.append",
        "from heavy_package import Thing; Thing()",
    ],
)
def test_however_it_is_asked_for_it_is_imported_once(postponed, way) -> None:
    come = []
    postponed.when_it_comes.append(lambda: come.append(True))
    exec("import heavy_package.light\nfrom heavy_package import Thing\nassert not isinstance(1, Thing)", late := {})
    assert not postponed.has_come
    exec(way, {})
    core = sys.modules["heavy_package.core"]
    assert (come, core.runs) == ([True], [1])
    assert type(late["Thing"]()) is core.Thing
    assert isinstance(core.Thing(), late["Thing"])
    assert sys.modules["heavy_package"].core is core
    assert type(core.__spec__.loader).__name__ == "SourceFileLoader"


def test_a_package_that_is_not_to_be_had_is_no_error() -> None:
    assert not Postponed("no_such_package").take_its_place({"no_such_package": {}})
    assert "no_such_package" not in sys.modules


def test_distributions_are_looked_up_when_they_are_asked_for(monkeypatch) -> None:
    expected = importlib.metadata.packages_distributions()["torch"]
    monkeypatch.setattr(importlib.metadata, "packages_distributions", _Distributions)  # as while diffusers is imported
    assert importlib.metadata.packages_distributions()["torch"] == expected
    assert "no_such_package" not in importlib.metadata.packages_distributions()
