"""What picture files say of how they were made."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from faceid_cli.errors import FaceIDError, PhotoError, UsageError
from faceid_cli.kept import paths
from faceid_cli.kept.settings import read_setting
from faceid_cli.kept.signing import is_installed, signing_key
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.replay import render_command
from faceid_cli.photo_files import read_photo
from faceid_cli.rendering.credentials import Credentials, read_credentials
from faceid_cli.rendering.reading import PictureText, read_picture, says_trained_model
from faceid_cli.rendering.record import RenderMetadata, digest_of
from faceid_cli.rendering.replaying import Places, order_of
from faceid_cli.rendering.watermark import find_watermark
from faceid_cli.types import BUILTIN


@dataclass(frozen=True)
class PictureInfo:
    """A picture file.

    Attributes:
        text: What it says.
        command: What makes it again, without the folders of its files; "" where faceid did not make it.
        is_edited: Whether its pixels are others than those that were rendered; None where that cannot be told: of
            compressed files, marked pixels, damaged ones, and pictures of others.
        credentials: Its content credentials, checked; None where it has none.
        watermark: What is hidden in its pixels; "" for nothing that is known; None where nothing could be looked for.
    """

    text: PictureText
    command: str = ""
    is_edited: bool | None = None
    credentials: Credentials | None = None
    watermark: str | None = None

    @property
    def is_ai(self) -> bool:
        """Whether anything says that a trained model made it or a part of it: its mark, credentials or watermark."""
        signed = () if self.credentials is None else self.credentials.source_types
        return self.text.is_marked or bool(self.watermark) or any(map(says_trained_model, signed))


def info(picture: Path | str) -> PictureInfo:
    """Read what a picture file says of how it was made, whoever wrote it.

    Raises:
        PhotoNotFoundError: No such file.
        PhotoError: It is no file, or no picture, or so damaged that it cannot be opened.
    """
    path = user_path(picture)
    text = read_picture(path)
    image = _pixels(path)
    watermark = find_watermark(image) if image is not None and is_installed() else None
    found = PictureInfo(text, credentials=_credentials(path), watermark=watermark)
    if text.record is None:
        return found
    return replace(found, command=_command(text.record), is_edited=_is_edited(image, text))


def _credentials(path: Path) -> Credentials | None:
    try:
        data = path.read_bytes()
    except OSError:  # gone meanwhile
        return None
    own = None
    if is_installed() and (paths.signing_key_file().exists() or read_setting("signing-key")):
        with suppress(UsageError):
            own = signing_key(read_setting("signing-key"))
    return read_credentials(data, own)


def _pixels(path: Path) -> Image.Image | None:
    try:
        return read_photo(path).image
    except PhotoError:  # they are damaged, or too many
        return None


def _command(record: RenderMetadata) -> str:
    try:
        order = order_of(record, record.names, {}, None, Places(is_there=False))
        command = render_command(order, record.seed, record.base_model == BUILTIN)
        return command.replace(f"{Path.cwd()}{os.sep}", "")  # bare names stay bare
    except FaceIDError:  # a record of a faceid that could do more, or one that was edited
        return ""


def _is_edited(image: Image.Image | None, text: PictureText) -> bool | None:
    record = text.record
    if image is None or record is None or text.format != "PNG" or record.watermark or not record.pixels:
        return None
    return digest_of(image) != record.pixels
