"""A stand-in for the hub: what its client asks for, answered from local folders over HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
REVISIONS = ("main", "v2", COMMIT)


@contextmanager
def hub_of(repositories: dict[str, Path | str]) -> Iterator[tuple[str, list[str]]]:
    """Serve repositories while the context lasts: by "owner/name" a folder, or "gated"; yields address and requests."""
    requests: list[str] = []

    class Handler(_Handler):
        served, asked = repositories, requests

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: dict[str, Path | str]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        folder = self.served.get(name)
        revision = rest[1] if len(rest) > 1 else "main"
        if folder is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)
        elif isinstance(folder, str):
            self._send(403, b"", {"X-Error-Code": "GatedRepo"}, with_body)
        elif revision not in REVISIONS:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, with_body)
        elif path.startswith("/api/models"):
            self._send_json(self._tree(folder) if rest[:1] == ["tree"] else self._info(name, folder), with_body)
        else:
            self._send_file(folder / "/".join(rest[2:]), with_body)

    def _info(self, name: str, folder: Path) -> dict[str, object]:
        siblings = [{"rfilename": entry["path"]} for entry in self._tree(folder)]
        return {"_id": "1", "id": name, "modelId": name, "sha": COMMIT, "private": False, "siblings": siblings}

    def _tree(self, folder: Path) -> list[dict[str, object]]:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return [
            {"type": "file", "path": str(file.relative_to(folder)), "size": file.stat().st_size, "oid": _digest(file)}
            for file in files
        ]

    def _send_json(self, content: object, with_body: bool) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, with_body)

    def _send_file(self, file: Path, with_body: bool) -> None:
        if not file.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, with_body)
            return
        headers = {"ETag": f'"{_digest(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        self._send(200, file.read_bytes(), headers, with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
