"""Sample pictures during an enrolment: always the same prompt and seed, so that they show what the training does."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import FaceIDError
from faceid_cli.kept.files import write_atomically
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.rendering.metadata import png_bytes
from faceid_cli.rendering.record import metadata_of
from faceid_cli.types import IdentityTokens, OnNote, OnPreviewFile


class Previews:
    """Renders a sample whenever training calls, and writes it.

    A sample that fails is told and left out: the training is worth more.

    Args:
        base: What is trained on; it is left as found.
        name: The person's name, as the prompt marks them.
        prompt: Of every sample, the person as `<name>`.
        seed: Of every sample.
        folder: For the files; made when the first is written.
        on_preview: Called with (steps done, file).
        on_note: Called with a line worth telling the user.
    """

    def __init__(
        self,
        base: BaseModel,
        name: str,
        prompt: str,
        seed: int,
        folder: Path,
        on_preview: OnPreviewFile | None = None,
        on_note: OnNote | None = None,
    ) -> None:
        self._base, self._name, self._prompt, self._seed = base, name, prompt, seed
        self._folder, self._on_preview, self._on_note = folder, on_preview, on_note

    def __call__(self, step: int, tokens: IdentityTokens) -> None:
        """Render and write the sample of a step."""
        try:
            path = self._write(step, tokens)
        except FaceIDError as error:
            if self._on_note is not None:
                self._on_note(f"no preview of step {step}: {error.message}")
            return
        if self._on_preview is not None:
            self._on_preview(step, path)

    def _write(self, step: int, tokens: IdentityTokens) -> Path:
        picture = render(self._base, self._prompt, {self._name: tokens}, [self._seed], RenderConfig())[0]
        path = self._folder / f"preview-{step:06d}.png"
        write_atomically(path, png_bytes(picture.image, metadata_of(picture)))
        return path
