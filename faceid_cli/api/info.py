"""What picture files say of how they were made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from faceid_cli.errors import FaceIDError
from faceid_cli.orders.replay import render_command
from faceid_cli.photo_files import read_photo
from faceid_cli.rendering.reading import PictureText, read_picture
from faceid_cli.rendering.record import RenderMetadata, digest_of
from faceid_cli.rendering.replaying import Places, order_of


@dataclass(frozen=True)
class PictureInfo:
    """A picture file.

    Attributes:
        text: What it says.
        command: What makes it again, without the folders of its files; "" where faceid did not make it.
        is_edited: Whether its pixels are others than those that were rendered; None where that cannot be told: of
            compressed files, marked pixels, and pictures of others.
    """

    text: PictureText
    command: str = ""
    is_edited: bool | None = None


def info(picture: Path | str) -> PictureInfo:
    """Read what a picture file says of how it was made, whoever wrote it.

    Raises:
        PhotoNotFoundError: No such file.
        PhotoError: It is no file, or no picture, or so damaged that it cannot be opened.
    """
    path = Path(picture).expanduser()
    text = read_picture(path)
    if text.record is None:
        return PictureInfo(text)
    return PictureInfo(text, _command(text.record), _is_edited(path, text))


def _command(record: RenderMetadata) -> str:
    try:
        order = order_of(record, record.names, {}, None, Places(is_there=False))
        return render_command(order, record.seed).replace(f"{Path.cwd()}{os.sep}", "")  # bare names stay bare
    except FaceIDError:  # a record of a faceid that could do more, or one that was edited
        return ""


def _is_edited(path: Path, text: PictureText) -> bool | None:
    record = text.record
    if record is None or text.format != "PNG" or record.watermark or not record.pixels:
        return None
    return digest_of(read_photo(path).image) != record.pixels
