"""The home of ten thousand people, in small."""

from pathlib import Path

from benchmarks.many_people import fill
from faceid_cli.registry.store import Registry


def test_copied_people_are_enrolled_like_any_other(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "home"))
    fill(tmp_path / "home", 3, 1)
    with Registry.open(create=False) as registry:
        assert [person.name for person in registry.list()] == ["extra0", "person00000", "person00001", "person00002"]
        assert registry.problems() == []
        assert len(registry.renders_of("person00002")) == 2
        registry.remove("person00002")
        assert registry.problems() == []
