"""Scores of photographs: ArcFace (through facexlib) for the identity, CLIP (through transformers) for the prompt.

Neither network's weights are shipped; what is missing is named before anything is rendered.
Shapes: B texts, E width of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from faceid_cli.errors import ModelError, WeightsMissingError
from faceid_cli.evaluation.judges import Obedience
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.scores import Embedding
from faceid_cli.faces.finder import FaceFinder
from faceid_cli.faces.photographs import PhotographFaceFinder
from faceid_cli.kept import paths
from faceid_cli.kept.weights import local_weights
from faceid_cli.types import Face

CLIP_SOURCE = "https://huggingface.co/openai/clip-vit-large-patch14"
_CLIP_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, per channel


class ClipScorer:
    """Similarity of pictures and texts by a CLIP model.

    Args:
        model: A transformers `CLIPModel`.
        tokenizer: The transformers tokenizer of that model.
        device: Where the model is.
    """

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self._model, self._tokenizer, self._device = model, tokenizer, device

    @classmethod
    def load(cls, folder: Path | None = None, device: str = "auto") -> ClipScorer:
        """Load a CLIP model from a folder in transformers' layout; `clip` in the weights' folder by default.

        Raises:
            WeightsMissingError: Files are missing; the message names the folder and where they come from.
            ModelError: Files that cannot be read.
        """
        folder = folder or paths.weights_dir() / "clip"
        missing = [name for name in _CLIP_FILES if not (folder / name).is_file()]
        if missing:
            raise WeightsMissingError(
                f"the CLIP model that scores prompts is missing: {folder / missing[0]}",
                f"run `faceid weights fetch clip`, or put {', '.join(_CLIP_FILES)} of {CLIP_SOURCE} there, "
                "or give another folder with --clip",
            )
        target = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        try:
            model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(f"the CLIP model in {folder} cannot be loaded: {reason}", "copy it again") from error
        return cls(model.eval().requires_grad_(False).to(target), tokenizer, target)

    def similarities(self, image: Image.Image, texts: Sequence[str]) -> list[float]:
        """Cosine similarity of a picture to each text, -1 to 1."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            found = self._model(**tokens, pixel_values=self._pixels(image).to(self._device))
            image_embeds, text_embeds = (
                torch.nn.functional.normalize(part.float(), dim=-1) for part in (found.image_embeds, found.text_embeds)
            )
        similarities: list[float] = (text_embeds @ image_embeds[0]).tolist()
        return similarities

    def _pixels(self, image: Image.Image) -> Tensor:
        """The largest square in the middle, as CLIP was trained: (1, 3, size, size)."""
        size, side = int(self._model.config.vision_config.image_size), min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        pixels = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / 255
        scaled = (pixels - np.array(_MEAN, dtype=np.float32)) / np.array(_DEVIATION, dtype=np.float32)
        return torch.from_numpy(scaled).permute(2, 0, 1)[None]


class PhotographJudge:
    """Scores photographs.

    Args:
        faces: Finds and compares faces; None where none are of interest.
        clip: Compares pictures and texts; None where no prompts are scored.
    """

    name = "photographs"
    is_drawn_world = False

    def __init__(self, faces: FaceFinder | None, clip: ClipScorer | None) -> None:
        self._faces, self._clip = faces, clip

    @classmethod
    def load(
        cls, clip: Path | None = None, device: str = "auto", with_faces: bool = True, with_prompts: bool = True
    ) -> PhotographJudge:
        """Load all three networks, or CLIP alone, or those of faces alone.

        Raises:
            WeightsMissingError: Weights of one of them are missing; the message names the file and its source.
        """
        if not with_faces:
            return cls(None, ClipScorer.load(clip, device))
        local_weights("face-recognition")  # loaded when the first face is compared; a gap is better found now
        return cls(PhotographFaceFinder.load(device), ClipScorer.load(clip, device) if with_prompts else None)

    def find_faces(self, image: Image.Image) -> list[Face]:
        """See `PictureJudge`."""
        return [] if self._faces is None else self._faces.find(image)

    def embed(self, image: Image.Image, face: Face) -> Embedding:
        """See `PictureJudge`."""
        assert self._faces is not None, "there are no faces without a finder"
        return self._faces.embed(image, face)

    def obedience(self, image: Image.Image, face: Face | None, prompt: EvaluationPrompt) -> Obedience:
        """The score is CLIP's cosine similarity to the prompt with "a person" for the person.

        A concept is there if the picture is more like a photo of a person with it than like a photo of a person.
        """
        assert self._clip is not None, "prompts are not scored without CLIP"
        subject = f"a photo of {prompt.subject}"
        text = prompt.with_mark(prompt.subject)
        text = text if text != prompt.text else f"{subject}, {prompt.text}"
        asked = prompt.concepts or (text,)
        described = [f"{subject}, {concept}" for concept in prompt.concepts] or [text]
        whole, plain, *parts = self._clip.similarities(image, [text, subject, *described])
        return Obedience(whole, {concept: part > plain for concept, part in zip(asked, parts, strict=True)})

    def stranger_similarity(self, references: Sequence[Embedding]) -> float:
        """Faces of strangers are at right angles to each other on average: that is what ArcFace's loss asks for."""
        return 0.0

    def typical_similarity(self) -> float | None:
        """Not known: it depends on camera and light more than on the recogniser, so two photos of the person say it."""
        return None
