"""`faceid serve --stdio`: requests a line, answers a line, the base model loaded once."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest


@pytest.fixture
def serve(faceid, monkeypatch) -> Any:
    """Answer some lines."""

    def run(*lines: str | dict[str, Any]) -> list[dict[str, Any]]:
        text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        answer = faceid("serve", "--stdio", "-o", "out", "--steps", 1, "--device", "cpu")
        assert answer.code == 0, answer.err
        return [json.loads(line) for line in answer.out.splitlines()]

    return run


def test_every_request_has_an_answer_and_a_bad_one_ends_nothing(serve, alice, monkeypatch) -> None:
    from faceid_cli.api.opening import Opened

    load, loads = Opened.base, []
    monkeypatch.setattr(Opened, "base", lambda *rest: loads.append(rest) or load(*rest))
    answers = serve(
        {"id": 1, "name": "alice", "prompt": "cup", "seed": 3},
        "nonsense",
        "[1]",
        '{"name": "alice", "prompt": "cup", "seed": 3, "seed": 4}',
        {"id": "b", "name": "nobody", "prompt": "cup"},
        {"id": 4, "name": "alice", "prompt": "cup", "setps": 2},
        {"id": 5, "name": "alice", "prompt": "night", "seeds": "1-2", "output": "out/{seed}.png"},
        {"id": 6, "name": "alice", "prompt": "cup", "seed": 3},
    )
    assert [answer["id"] for answer in answers] == [1, None, None, None, "b", 4, 5, 6]
    assert [answer["status"] for answer in answers] == ["done", *["failed"] * 5, "done", "done"]
    assert answers[0]["pictures"][0]["file"] == "out/00001-alice-3.png"
    assert answers[0]["pictures"][0]["settings"]["steps"] == 1
    assert "'seed' is there twice" in answers[3]["error"]["message"]
    assert answers[4]["pictures"][0]["error"]["exit_code"] == 3
    assert answers[5]["pictures"][0]["error"]["field"] == "setps"
    assert [each["file"] for each in answers[6]["pictures"]] == ["out/1.png", "out/2.png"]
    assert answers[7]["pictures"][0]["status"] == "there"
    assert len(loads) == 1


def test_it_has_to_be_told_where_requests_come_from(faceid) -> None:
    answer = faceid("serve")
    assert (answer.code, answer.out) == (2, "")
    assert "faceid serve --stdio" in answer.err
