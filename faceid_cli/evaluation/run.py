"""Evaluate a person: render a set of prompts with fixed seeds, and let a judge score every picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from PIL import Image

from faceid_cli.attention import record_attention
from faceid_cli.backbone import BaseModel
from faceid_cli.evaluation.judges import PictureJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.overlooked import face_details, sharpness
from faceid_cli.evaluation.picture import ScoredPicture
from faceid_cli.evaluation.prompts import EvaluationPrompt
from faceid_cli.evaluation.scores import PictureScore, attention_share
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import tokenize_prompt
from faceid_cli.types import Face, IdentityTokens

Around = Callable[[str], AbstractContextManager[None]]
"""Given the placed prompt, a context in which its pictures are rendered: what a method changes in the base model."""

_ATTENTION_EVERY = 3  # recording takes time: these prompts are left out of the seconds per picture


def evaluate_tokens(
    base: BaseModel,
    judge: PictureJudge,
    tokens: IdentityTokens,
    likeness: Likeness | None,
    prompts: Sequence[EvaluationPrompt],
    rendering: RenderConfig,
    pictures: int = 1,
    around: Around | None = None,
    on_picture: Callable[[int, int], None] | None = None,
    name: str = "person",
) -> list[ScoredPicture]:
    """Render every prompt, and score the pictures. Seeds depend on a prompt's place alone.

    Args:
        base: The base model the tokens were learned on.
        judge: Scores the pictures.
        tokens: The person's tokens, whose place in each prompt is marked.
        likeness: What faces are compared with; without it the identity is not scored.
        prompts: What to render.
        rendering: How to sample: steps, guidance scale, size, dials.
        pictures: For each prompt.
        around: What a method changes in the base model while a prompt is rendered.
        on_picture: Called with (pictures done, pictures in all).
        name: The person's, in the prompts.
    """
    scored: list[ScoredPicture] = []
    for place, prompt in enumerate(prompts):
        text = placed_prompt(prompt, name)
        seeds = [place * 1000 + number for number in range(pictures)]
        with around(text) if around else nullcontext():
            images, shares, seconds = render_prompt(
                base, judge, text, {name: tokens}, seeds, rendering, place % _ATTENTION_EVERY == 0
            )
        for seed, image, share in zip(seeds, images, shares, strict=True):
            scored.append(score_picture(judge, likeness, prompt, seed, image, share, seconds))
        if on_picture is not None:
            on_picture(len(scored), len(prompts) * pictures)
    return scored


def largest_face(faces: Sequence[Face]) -> Face | None:
    """The largest of some faces, or None."""
    return max(faces, key=lambda face: face.box.area, default=None)


def placed_prompt(prompt: EvaluationPrompt, name: str) -> str:
    """The prompt with the person as `<name>`, a sentence about them where it has no mark."""
    text = prompt.with_mark(f"<{name}>")
    return text if text != prompt.text else f"a photo of <{name}>, {text}"


def render_prompt(
    base: BaseModel,
    judge: PictureJudge,
    text: str,
    people: Mapping[str, IdentityTokens],
    seeds: Sequence[int],
    rendering: RenderConfig,
    with_attention: bool,
) -> tuple[list[Image.Image], list[float | None], float | None]:
    """Pictures of a prompt, the share of attention inside each one's face, and seconds for one picture.

    Shares are None without attention, and seconds with it: recording takes time of its own.
    """
    if not with_attention:
        started = time.perf_counter()
        images = [found.image for found in render(base, text, people, seeds, rendering)]
        return images, [None] * len(images), (time.perf_counter() - started) / len(images)
    places = tokenize_prompt(base, text, {name: tokens.vectors for name, tokens in people.items()}).positions
    positions = [at for found in places.values() for at in found]
    images, shares = [], []
    for seed in seeds:  # one by one: a record's rows are those of one batch
        with record_attention(base.unet, keep="mean") as record:
            images.append(render(base, text, people, [seed], rendering)[0].image)
        face = largest_face(judge.find_faces(images[-1]))
        maps = record.maps()
        shares.append(None if face is None else attention_share(maps, positions, face.box, images[-1].size))
    return images, shares, None


def score_picture(
    judge: PictureJudge,
    likeness: Likeness | None,
    prompt: EvaluationPrompt,
    seed: int,
    image: Image.Image,
    share: float | None = None,
    seconds: float | None = None,
) -> ScoredPicture:
    """Score one picture.

    Args:
        judge: Finds and embeds the faces, and says what of the prompt is there.
        likeness: What its largest face is compared with; without it the identity is not scored.
        prompt: What it was asked to show.
        seed: Of its noise.
        image: The picture, RGB.
        share: Of the person's attention inside the face, where it was recorded.
        seconds: Of rendering, where they were measured.
    """
    faces = judge.find_faces(image)
    face = largest_face(faces)
    obedience = judge.obedience(image, face, prompt)
    similarity = percent = sharp = None
    if likeness is not None:
        similarity = None if face is None else likeness.similarity(judge.embed(image, face))
        sharp = None if face is None else sharpness(face_details(image, face), likeness.details)
        percent = likeness.percent(0.0 if similarity is None else similarity)
        if face is None and percent is not None:
            percent = 0.0
    return ScoredPicture(
        prompt,
        seed,
        image,
        PictureScore(similarity, obedience.concepts, share),
        obedience.score,
        percent,
        len(faces),
        face,
        seconds,
        sharp,
    )


def face_place_spread(pictures: Sequence[ScoredPicture]) -> float | None:
    """Mean distance of the faces' middles between two pictures, in picture widths and heights; None below two faces."""
    places = np.array(
        [
            (picture.face.box.center[0] / picture.image.width, picture.face.box.center[1] / picture.image.height)
            for picture in pictures
            if picture.face is not None
        ]
    )
    if len(places) < 2:
        return None
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return float(distances[np.triu_indices(len(places), 1)].mean())


def background_spread(pictures: Sequence[ScoredPicture], cells: int = 16) -> float | None:
    """Mean difference between the backgrounds of two pictures, 0 (the same) to 1; None below two pictures.

    Compared are coarse cells that neither picture's face covers, so a photo pasted into every picture is found out.
    """
    if len(pictures) < 2:
        return None
    colours = np.stack([_coarse(picture.image, cells) for picture in pictures])
    free = np.stack([_free_of_face(picture, cells) for picture in pictures])
    differences = []
    for first, second in zip(*np.triu_indices(len(pictures), 1), strict=True):
        both = free[first] & free[second]
        if both.any():
            differences.append(float(np.abs(colours[first] - colours[second]).mean(axis=-1)[both].mean()))
    return float(np.mean(differences)) if differences else None


def _coarse(image: Image.Image, cells: int) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((cells, cells), Image.Resampling.BOX), dtype=np.float64) / 255


def _free_of_face(picture: ScoredPicture, cells: int) -> np.ndarray:
    """Which cells the face leaves free, hair and neck included by half a face on each side."""
    free = np.ones((cells, cells), dtype=bool)
    if picture.face is not None:
        box, image = picture.face.box, picture.image
        left, right = (box.x - box.width / 2) / image.width, (box.x + 1.5 * box.width) / image.width
        top, bottom = (box.y - box.height / 2) / image.height, (box.y + 1.5 * box.height) / image.height
        rows = slice(max(int(top * cells), 0), max(int(np.ceil(bottom * cells)), 0))
        columns = slice(max(int(left * cells), 0), max(int(np.ceil(right * cells)), 0))
        free[rows, columns] = False
    return free
