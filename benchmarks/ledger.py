"""Results that survive a stop: one JSON line for each finished piece of work, and nothing is done twice."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


class Ledger:
    """A file of JSON lines, each with a key that says which piece of work it is.

    Args:
        path: Made when the first line is written. A last line that a crash has cut off is left out.

    Threads may share one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, Any]] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            self._records[key_of(record["key"])] = record
        self._newline = bool(text) and not text.endswith("\n")

    def has(self, key: Mapping[str, Any]) -> bool:
        """Whether that piece of work is finished; it then counts as the last that was asked for."""
        name = key_of(key)
        with self._lock:
            if name in self._records:
                self._records[name] = self._records.pop(name)
            return name in self._records

    def get(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """The finished record of a key."""
        return self._records[key_of(key)]

    def add(self, key: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Append a finished piece of work, safe on disk when this returns."""
        record = json.loads(json.dumps({"key": dict(key), **result}))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, open(self.path, "a", encoding="utf-8") as file:
            file.write(("\n" if self._newline else "") + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self._newline = False
            self._records[key_of(key)] = record

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All records, the last added or asked for at the end."""
        with self._lock:
            return iter(list(self._records.values()))


def key_of(key: Mapping[str, Any]) -> str:
    """A key as text: the same for equal keys, whatever their order."""
    return json.dumps(key, sort_keys=True)


SHARED = ("base", "prompts", "prompt_set", "sampler", "judge", "photo_set")
"""What `Bench.key` says: records are compared only where all of it is the same."""

_WHO = ("method", "variant", "share", "photos")
_PLACE = ("person", "step")


def of_the_last_run(records: Iterable[dict[str, Any]], bench: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Those records that can be compared: of one base model, judge, photo set, prompt set and sampler.

    Which they are is said by `bench`, the key of a `Bench`; without it they are those of the last record.

    Of a method (or variant) that was measured with several settings, only the last ones count: those of the last
    record, in the order in which a `Ledger` was asked for them. So a ledger may be added to after the model was trained
    further, after a default was changed, or after a quick try, and no table mixes the two.
    """
    alike = _comparable(records, bench)
    newest = {_who(each["key"]): _with_what(each["key"]) for each in alike}
    return [each for each in alike if newest[_who(each["key"])] == _with_what(each["key"])]


def of_the_best_settings(
    records: Iterable[dict[str, Any]],
    score: Callable[[Sequence[dict[str, Any]]], float],
    bench: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Of each method (or variant) the records with those of its settings that score highest, comparable as above.

    Settings that were tried on fewer people than others do not count.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for each in _comparable(records, bench):
        found.setdefault(_who(each["key"]), {}).setdefault(_with_what(each["key"]), []).append(each)
    chosen: list[dict[str, Any]] = []
    for by_settings in found.values():
        most = max(map(len, by_settings.values()))
        whole = [each for each in by_settings.values() if len(each) == most]
        best: list[dict[str, Any]] = max(whole, key=score)
        chosen += best
    return chosen


def _comparable(records: Iterable[dict[str, Any]], bench: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    found = list(records)
    if not found:
        return []
    last = found[-1]["key"] if bench is None else bench
    return [each for each in found if all(each["key"].get(name) == last.get(name) for name in SHARED)]


def _who(key: Mapping[str, Any]) -> str:
    return key_of({name: key.get(name) for name in _WHO})


def _with_what(key: Mapping[str, Any]) -> str:
    """All else that a result depends on: settings of the training, whatever they are called."""
    return key_of({name: value for name, value in key.items() if name not in (*SHARED, *_WHO, *_PLACE)})
