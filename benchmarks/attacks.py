"""Pictures that try to fool a judge of drawings: spoilt ones, fakes, and honest ones to compare with."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from faceid_cli.builtin.draw import Picture, draw
from faceid_cli.builtin.people import Person
from faceid_cli.builtin.samples import photo_set, unseen_person
from faceid_cli.builtin.sampling import photo_picture
from faceid_cli.builtin.vocabulary import ATTRIBUTES, HELD_OBJECTS, PLAIN_SCENES, SCENES
from faceid_cli.evaluation.prompts import EvaluationPrompt

FIRST_PERSON, FIRST_STRANGER = 2000, 3000
SIZE_PX = 128


@dataclass(frozen=True)
class Target:
    """Whom the pictures should show.

    Attributes:
        person: They.
        stranger: Somebody else.
        photo: The person's enrolment photo, SIZE_PX square.
        head: What a pair of scissors would cut out of it: the head with its hair.
        number: Seed of everything drawn.
    """

    person: Person
    stranger: Person
    photo: Image.Image
    head: Image.Image
    number: int


Attack = Callable[[Target, EvaluationPrompt, int], Image.Image]
"""Makes the picture of a prompt, given its place."""


def honest(target: Target, prompt: EvaluationPrompt, place: int, person: Person | None = None) -> Image.Image:
    """A drawing that shows what the prompt asks for, with the person, or with somebody else in their stead."""
    return draw(_picture(person or target.person, prompt, np.random.default_rng([target.number, place]))).image


def _picture(person: Person, prompt: EvaluationPrompt, rng: np.random.Generator) -> Picture:
    asked = set(prompt.concepts)
    scene = next((word for word in SCENES if word in asked), str(rng.choice(PLAIN_SCENES)))
    plain = photo_picture(person, rng)  # pose and clothes as in any snapshot
    x = float(rng.uniform(50, 78))
    figure = replace(
        plain.figures[0],
        x=x,
        scale=float(rng.uniform(0.75, 1.0)),
        attributes=frozenset(asked & set(ATTRIBUTES)),
        held=next((word for word in HELD_OBJECTS if word in asked), None),
        hand=-1 if x > 64 else 1,
    )
    return Picture((figure,), scene, feature_x=26.0 if x > 64 else 102.0, variant=plain.variant)


def changed(change: Callable[[Image.Image], Image.Image]) -> Attack:
    """The honest picture, changed afterwards."""
    return lambda target, prompt, place: change(honest(target, prompt, place))


def blurred(deviation: float) -> Attack:
    """Gaussian blur, in pixels of SIZE_PX, where a head is about 45 high."""
    return changed(lambda image: image.filter(ImageFilter.GaussianBlur(deviation)))


def noisy(deviation: float) -> Attack:
    """Gaussian noise, in shares of the full range."""

    def add(image: Image.Image) -> Image.Image:
        noise = np.random.default_rng(0).normal(0, 255 * deviation, (image.height, image.width, 3))
        return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))

    return changed(add)


def compressed(quality: int) -> Attack:
    """JPEG and back."""

    def squeeze(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")

    return changed(squeeze)


def shrunk(factor: float) -> Attack:
    """The whole picture, small in the middle of nothing."""

    def shrink(image: Image.Image) -> Image.Image:
        small = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
        empty = Image.new("RGB", image.size, (120, 140, 150))
        empty.paste(small, ((image.width - small.width) // 2, (image.height - small.height) // 2))
        return empty

    return changed(shrink)


def zoomed(image: Image.Image) -> Image.Image:
    """Only the head and what is next to it, as large as the picture."""
    side = image.width
    return image.crop((round(0.22 * side), round(0.1 * side), round(0.78 * side), round(0.66 * side))).resize(
        image.size, Image.Resampling.BICUBIC
    )


def stranger(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """Everything right, but for the person."""
    return honest(target, prompt, place, target.stranger)


def double(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """A stranger with the person's hair, beard, glasses and colours: alike at a glance."""
    own = target.person
    copied = {name: getattr(own, name) for name in ("woman", "hair_style", "hair", "beard", "glasses", "skin", "frame")}
    return honest(target, prompt, place, replace(target.stranger, **copied))


def pasted_photo(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """The enrolment photo, whatever is asked for."""
    return target.photo


def pasted_head(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """The head of the enrolment photo, pasted over the head of a stranger who does what the prompt asks for."""
    rng = np.random.default_rng([target.number, place])
    drawing = draw(_picture(target.stranger, prompt, rng))
    box, image = drawing.faces[0].box, drawing.image.copy()
    head = target.head.resize((round(box.width * 1.5), round(box.height * 1.5)), Image.Resampling.LANCZOS)
    image.paste(head, (round(box.x - 0.25 * box.width), round(box.y - 0.35 * box.height)))
    return image


def two_of_them(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """The person twice."""
    picture = _picture(target.person, prompt, np.random.default_rng([target.number, place]))
    first = replace(picture.figures[0], x=36.0, scale=0.7, hand=-1)
    second = replace(first, x=92.0, held=None, tilt=-first.tilt)
    return draw(replace(picture, figures=(first, second))).image


def nobody(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """The scene alone."""
    return draw(replace(_picture(target.person, prompt, np.random.default_rng(place)), figures=())).image


def only_noise(target: Target, prompt: EvaluationPrompt, place: int) -> Image.Image:
    """No picture at all."""
    pixels = np.random.default_rng(place).integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


ATTACKS: dict[str, Attack] = {
    "honest": honest,
    "blurred, 1 px": blurred(1),
    "blurred, 2 px": blurred(2),
    "blurred, 3 px": blurred(3),
    "saturated, 3 x": changed(lambda image: ImageEnhance.Color(image).enhance(3)),
    "grey": changed(lambda image: ImageEnhance.Color(image).enhance(0)),
    "contrast, 3 x": changed(lambda image: ImageEnhance.Contrast(image).enhance(3)),
    "noise, 10 %": noisy(0.1),
    "noise, 25 %": noisy(0.25),
    "JPEG, quality 30": compressed(30),
    "JPEG, quality 8": compressed(8),
    "tiny, 30 %": shrunk(0.3),
    "huge": changed(zoomed),
    "upside down": changed(lambda image: image.rotate(180)),
    "stranger": stranger,
    "same-haircut stranger": double,
    "photo pasted": pasted_photo,
    "head pasted": pasted_head,
    "twice in a picture": two_of_them,
    "nobody": nobody,
    "only noise": only_noise,
}


def target_of(number: int) -> Target:
    """The n-th person to attack, and the stranger who stands in."""
    drawing = photo_set(FIRST_PERSON + number, 1, 0, SIZE_PX)[0]
    box = drawing.faces[0].box
    around = (box.x - 0.25 * box.width, box.y - 0.35 * box.height, box.x + 1.25 * box.width, box.y + 1.15 * box.height)
    left, top, right, bottom = (round(side) for side in around)
    head = drawing.image.crop((left, top, right, bottom))
    return Target(
        unseen_person(FIRST_PERSON + number), unseen_person(FIRST_STRANGER + number), drawing.image, head, number
    )
