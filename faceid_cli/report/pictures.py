"""Pictures inside of a page: small copies as data URIs."""

from __future__ import annotations

import base64
import io

from PIL import Image

MOST_PX = 512
"""Longest side of a picture in a report."""

_PLAIN_PX = 192  # up to this size PNG is small enough, and drawings keep their edges


def data_uri(image: Image.Image) -> tuple[str, tuple[int, int]]:
    """Return a picture as a data URI, and its width and height in pixels."""
    small = image.convert("RGB")
    small.thumbnail((MOST_PX, MOST_PX), Image.Resampling.LANCZOS)
    kind = "PNG" if max(small.size) <= _PLAIN_PX else "JPEG"
    buffer = io.BytesIO()
    small.save(buffer, kind, **({"optimize": True} if kind == "PNG" else {"quality": 88}))
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{encoded}", small.size
