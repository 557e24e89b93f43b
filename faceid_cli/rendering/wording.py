"""Prompts as the UNet is given them: encoded once, and kept while the same ones come again.

Shapes: S stages, T text positions, C width of the encoded text, E width of the pooled text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from faceid_cli.backbone import BaseModel, memory_errors
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.finite import check_text, check_tokens
from faceid_cli.rendering.passes import Contexts
from faceid_cli.rendering.prompts import people_in
from faceid_cli.rendering.scene import Scene
from faceid_cli.tokens import EncodedPrompt, dialled, encode_prompt
from faceid_cli.tokens.encode import common_stages
from faceid_cli.types import IdentityTokens

_KEPT = 32  # of a large base model each is a few megabytes
Made = TypeVar("Made")


@dataclass(frozen=True)
class Wording:
    """A prompt and a negative prompt, encoded.

    Attributes:
        placed: The prompt, normalised, people as `<name>`.
        names: The people in it.
        contexts: Both as arguments of the stock pipeline, each of one row: (1, G * 2 * S * T, C), pooled (1, S * E).
        stages: S.
        texts: G: how many texts there are, one behind the other. With several, the first is the common prompt, and the
            others are the figures' own sentences.
    """

    placed: str
    names: tuple[str, ...]
    contexts: Contexts
    stages: int
    texts: int = 1


class Wordings:
    """Encodes prompts for one base model. What was encoded lately is kept: prompts and negative prompts come again."""

    def __init__(self, base: BaseModel) -> None:
        self._base = base
        self._wordings: OrderedDict[Hashable, tuple[Wording, object]] = OrderedDict()
        self._negatives: OrderedDict[Hashable, tuple[EncodedPrompt, object]] = OrderedDict()

    def of(
        self,
        placed: str,
        people: Mapping[str, IdentityTokens],
        config: RenderConfig,
        words: Mapping[str, IdentityTokens] | None = None,
        scene: Scene | None = None,
    ) -> Wording:
        """Encode a prompt; arguments and errors as of `generate.render`.

        With a scene of several people, its common prompt and each one's own sentence are encoded.
        """
        placed, words = " ".join(placed.split()), words or {}
        # Tokens are known by what they are: the same object is the same person. They are held, so no other takes it.
        others = tuple((word, id(tokens)) for word, tokens in words.items())
        asked = (config.negative_prompt, config.clip_skip, others)
        dials = tuple((name, id(tokens), config.dials_of(name)) for name, tokens in people.items())
        key = (placed, dials, scene, *asked)

        def encode() -> Wording:
            negative = _kept(self._negatives, asked, words, lambda: self._encode(config.negative_prompt, words, config))
            return self._wording(placed, people, config, words, negative, scene)

        return _kept(self._wordings, key, (people, words), encode)

    def _wording(
        self,
        placed: str,
        people: Mapping[str, IdentityTokens],
        config: RenderConfig,
        words: Mapping[str, IdentityTokens],
        negative: EncodedPrompt,
        scene: Scene | None,
    ) -> Wording:
        check_tokens(people, words)
        sentences = [placed] if scene is None else [scene.common, *(figure.sentence for figure in scene.figures)]
        with torch.no_grad(), memory_errors(memory_hint(self._base, 1)):
            tokens = {name: dialled(self._base, person, *config.dials_of(name)) for name, person in people.items()}
            stages = common_stages(tokens)
            texts = [
                encode_prompt(self._base, sentence, {**words, **tokens}, config.clip_skip).with_stages(stages)
                for sentence in sentences
            ]
            negative = negative.with_stages(stages)
            for text in texts:
                check_text(self._base, text, negative)
            contexts = _contexts(self._base, texts, negative, blank=not config.negative_prompt.strip())
        names = tuple(name for name in people_in(placed) if name in people)
        return Wording(placed, names, contexts, stages, len(texts))

    def _encode(self, text: str, words: Mapping[str, IdentityTokens], config: RenderConfig) -> EncodedPrompt:
        check_tokens({}, words)
        with torch.no_grad(), memory_errors(memory_hint(self._base, 1)):
            return encode_prompt(self._base, text, words, config.clip_skip)


def memory_hint(base: BaseModel, batch: int) -> str:
    """What to do where so many pictures at once do not fit into memory: the next smaller setting."""
    if batch > 1:
        return f"render fewer pictures at once: --batch {max(batch // 2, 1)}, or --batch auto"
    return (
        "render smaller pictures (--size)" if base.low_vram else "give --low-vram, or render smaller pictures (--size)"
    )


def _kept(
    cache: OrderedDict[Hashable, tuple[Made, object]], key: Hashable, held: object, make: Callable[[], Made]
) -> Made:
    """What was made for a key, with what must live as long as the key is known."""
    if key in cache:
        cache.move_to_end(key)
        return cache[key][0]
    made = make()
    cache[key] = (made, held)
    while len(cache) > _KEPT:
        cache.popitem(last=False)
    return made


def _contexts(base: BaseModel, texts: Sequence[EncodedPrompt], negative: EncodedPrompt, blank: bool) -> Contexts:
    """The pipeline's arguments for prompts and negative prompt, each of one row, all stages in it.

    Of several texts the first one's pooled text is taken: a picture has only one. The negative prompt stands behind
    itself as often, so that rows have equal shapes.

    Stable Diffusion XL was taught with zeros for no text, and its pipeline gives them for a blank negative prompt.
    """
    found = {
        "prompt_embeds": torch.cat([text.context() for text in texts], dim=1),
        "negative_prompt_embeds": negative.context().repeat(1, len(texts), 1),
    }
    pooled, negative_pooled = texts[0].pooled_context(), negative.pooled_context()
    if pooled is not None and negative_pooled is not None:
        found |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": negative_pooled}
        if blank and base.pipeline.config.get("force_zeros_for_empty_prompt", False):
            found |= {name: torch.zeros_like(part) for name, part in found.items() if name.startswith("negative")}
    return found
