"""Pictures that are damaged and read: photos, and renderings that say how they were made."""

from __future__ import annotations

import io
import json
import random
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hostile.mutate import changed_bytes, changed_json, json_text
from benchmarks.hostile.one_file import Kind, OneFile
from faceid_cli.photo_files import read_photo
from faceid_cli.rendering.metadata import png_bytes, read_metadata
from faceid_cli.rendering.record import RenderMetadata


def metadata(folder: Path) -> Kind:
    """Pictures that say how they were made."""
    known = RenderMetadata(prompt="a <alice>", names=("alice",), identity_ids=("1",), seed=1, width=64, height=64)
    content = png_bytes(Image.new("RGB", (8, 8)), known)
    place = content.index(b"tEXtfaceid\0")
    length = int.from_bytes(content[place - 4 : place], "big")
    said = json.loads(content[place + 11 : place + 4 + length])

    def change(chance: random.Random) -> bytes:
        if chance.random() < 0.4:
            return changed_bytes(content, chance)
        chunk = b"faceid\0" + json_text(changed_json(said, chance), chance)
        body = b"tEXt" + chunk
        whole = len(chunk).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return content[: place - 4] + whole + content[place + 8 + length :]

    return OneFile(folder, "x.png", change, read_metadata)


def photos(folder: Path) -> Kind:
    """Photos of every kind."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8))
    grey = Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40))
    originals = []
    for picture, form in (
        (image, "PNG"),
        (image, "JPEG"),
        (image, "WEBP"),
        (image, "TIFF"),
        (image, "GIF"),
        (grey, "PNG"),
    ):
        stream = io.BytesIO()
        picture.save(stream, form, **({"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"} if form == "JPEG" else {}))
        originals.append(stream.getvalue())
    return OneFile(folder, "x.jpg", lambda chance: changed_bytes(chance.choice(originals), chance), read_photo)
