"""Pictures that came as finished files, from workers. Needs no torch; pixels are decoded only if somebody looks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from faceid_cli.types import Render, RenderRequest


class EncodedRender(Render):
    """A render whose pixels are in a file's bytes.

    Args:
        data: The file.
        kind: What it is: "png", "jpeg" or "webp".
        request: See `Render`.
        settings: See `Render`.
        path: See `Render`.
    """

    data: bytes
    kind: str

    def __init__(
        self, data: bytes, kind: str, request: RenderRequest, settings: dict[str, Any], path: Path | None = None
    ) -> None:
        values = {"data": data, "kind": kind, "request": request, "settings": settings, "path": path}
        self.__dict__.update(values)  # the class is frozen

    def __getattr__(self, name: str) -> Any:
        if name != "image":
            raise AttributeError(name)
        with Image.open(io.BytesIO(self.data)) as opened:
            image = self.__dict__["image"] = opened.convert("RGB")
        return image

    def at(self, path: Path) -> EncodedRender:
        """The same with its path."""
        return EncodedRender(self.data, self.kind, self.request, self.settings, path)
