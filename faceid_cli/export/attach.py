"""People in a diffusers pipeline of the user's own: its prompts may mark them as `<name>` until they are detached.

The pipeline keeps its class's name and all its parts. While it is called with a prompt that marks somebody, its text
context holds all stages, and its UNet and ControlNets take each stage's keys and values apart, as in
`rendering.passes`. Any other call is the stock pipeline's, untouched.

Shapes: S stages, T text positions, C width of the encoded text, E width of the pooled text.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from diffusers.utils import USE_PEFT_BACKEND, scale_lora_layers, unscale_lora_layers
from torch import Tensor

from faceid_cli.attention import cross_attention_layers, split_attention
from faceid_cli.backbone import BaseModel
from faceid_cli.errors import ModelMismatchError, UnsupportedModelError, UsageError
from faceid_cli.tokens import EncodedPrompt, dialled, encode_prompt
from faceid_cli.types import IdentityTokens

_MARK = re.compile(r"<([A-Za-z0-9_-]{1,64})>")
_WHOLE_MARK = re.compile(r"(<[A-Za-z0-9_-]{1,64}>)")


class Attached:
    """People who are attached to a pipeline; see `faceid_cli.attach`. As a context manager it detaches at the end.

    Args:
        pipe: A diffusers pipeline of Stable Diffusion 1.x, 2.x or XL, of any task.
        people: Tokens by name.
        dials: Likeness of the keys, of the values, and stages, as `tokens.dialled` takes them.

    Raises:
        UnsupportedModelError: Not such a pipeline.
        ModelMismatchError: Tokens of another width than its text encoders'.
        UsageError: People are attached to it already, or the dials cannot be.
    """

    def __init__(
        self, pipe: Any, people: Mapping[str, IdentityTokens], dials: tuple[float, float | None, Sequence[int]]
    ) -> None:
        kind = type(pipe)
        if isinstance(getattr(kind, "_faceid", None), Attached):
            raise UsageError("people are attached to this pipeline already", "detach them, or name all at once")
        for part in ("unet", "text_encoder", "tokenizer", "scheduler"):
            if getattr(pipe, part, None) is None:
                raise UnsupportedModelError(
                    f"{kind.__name__} has no {part}", "use a pipeline of Stable Diffusion 1.x, 2.x or XL"
                )
        if not hasattr(kind, "encode_prompt"):
            raise UnsupportedModelError(f"{kind.__name__} does not encode prompts in a way that faceid knows")
        cross_attention_layers(pipe.unet)
        self._pipe, self._kind = pipe, kind
        base = self._base()
        _check_widths(base, people)
        self._people = {name: dialled(base, tokens, *dials) for name, tokens in people.items()}
        self._called: ExitStack | None = None
        methods = {
            "__call__": lambda pipe, *arguments, **named: self._call(*arguments, **named),
            "encode_prompt": lambda pipe, *arguments, **named: self._encode(*arguments, **named),
            "__module__": kind.__module__,
            "__doc__": kind.__doc__,
            "_faceid": self,
        }
        pipe.__class__ = type(kind.__name__, (kind,), methods)

    @property
    def names(self) -> tuple[str, ...]:
        """Who may be marked in prompts, as `<name>`."""
        return tuple(self._people)

    def detach(self) -> None:
        """Make the pipeline what it was before."""
        if getattr(type(self._pipe), "_faceid", None) is self:
            self._pipe.__class__ = self._kind

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def _base(self) -> BaseModel:
        """The pipeline's parts as the encoders of prompts take them."""
        pipe = self._pipe
        family = "sdxl" if getattr(pipe, "text_encoder_2", None) is not None else "sd1"
        return BaseModel("", family, "", pipe, torch.device(pipe._execution_device), pipe.unet.dtype)

    def _call(self, *arguments: Any, **named: Any) -> Any:
        with ExitStack() as stack:
            self._called = stack
            try:
                return self._kind.__call__(self._pipe, *arguments, **named)
            finally:
                self._called = None

    def _encode(self, *arguments: Any, **named: Any) -> Any:
        """The pipeline's own `encode_prompt`, but for prompts that mark somebody."""
        given = inspect.signature(self._kind.encode_prompt).bind(self._pipe, *arguments, **named)
        given.apply_defaults()
        said = given.arguments
        prompts = [said["prompt"]] if isinstance(said["prompt"], str) else list(said["prompt"] or [])
        marked = {name for prompt in prompts for name in _MARK.findall(prompt)} & set(self._people)
        if not marked or said.get("prompt_embeds") is not None:
            if prompts and not marked:
                warnings.warn(f"the prompt marks none of {_listed(self._people)}: nobody is in it", stacklevel=7)
            return self._kind.encode_prompt(self._pipe, *arguments, **named)
        if self._called is None:
            raise UsageError("prompts with people are encoded by the pipeline's own call", "give it the prompt itself")
        for name in ("prompt_2", "negative_prompt_2"):
            if said.get(name) not in (None, said[name.removesuffix("_2")]):
                raise UsageError(f"{name} cannot be another text where people are in the prompt", "leave it out")
        with torch.no_grad(), _lora_scale(self._pipe, said.get("lora_scale")):
            return self._encoded(prompts, said)

    def _encoded(self, prompts: list[str], said: Mapping[str, Any]) -> tuple[Tensor | None, ...]:
        base, skip = self._base(), said.get("clip_skip") or 0
        stages = max(person.stages for person in self._people.values())
        rows = [self._row(base, prompt, skip).with_stages(stages) for prompt in prompts]
        assert self._called is not None
        for network in _networks(self._pipe):
            self._called.enter_context(
                split_attention(network, stages, rows[0].keys.shape[1], base.num_train_timesteps)
            )
        times, guided = said["num_images_per_prompt"], said["do_classifier_free_guidance"]
        found = _stacked(rows, times, base.dtype)
        negative = self._negative(base, said, len(prompts), stages, skip, times) if guided else (None, None)
        if base.family != "sdxl":
            return found[0], negative[0]
        return found[0], negative[0], found[1], negative[1]

    def _row(self, base: BaseModel, prompt: str, skip: int) -> EncodedPrompt:
        prompt = _spelt_out(self._pipe, " ".join(prompt.split()))
        return encode_prompt(base, prompt, {**_own_words(base, prompt, self._people), **self._people}, skip)

    def _negative(
        self, base: BaseModel, said: Mapping[str, Any], count: int, stages: int, skip: int, times: int
    ) -> tuple[Tensor, Tensor | None]:
        given = said.get("negative_prompt_embeds")
        if given is not None:
            pooled = said.get("negative_pooled_prompt_embeds")
            context = given.to(base.device, base.dtype).repeat(1, 2 * stages, 1).repeat_interleave(times, 0)
            return context, None if pooled is None else pooled.to(context).repeat(1, stages).repeat_interleave(times, 0)
        texts = said["negative_prompt"] or ""
        texts = [texts] * count if isinstance(texts, str) else list(texts)
        if len(texts) != count:
            raise UsageError(f"there are {count} prompts, and {len(texts)} negative prompts", "give one, or as many")
        rows = [self._row(base, text, skip).with_stages(stages) for text in texts]
        context, pooled = _stacked(rows, times, base.dtype)
        if said["negative_prompt"] is None and self._pipe.config.get("force_zeros_for_empty_prompt", False):
            return torch.zeros_like(context), None if pooled is None else torch.zeros_like(pooled)
        return context, pooled


def _check_widths(base: BaseModel, people: Mapping[str, IdentityTokens]) -> None:
    wanted = {encoder.name: encoder.width for encoder in base.encoders}
    for name, tokens in people.items():
        found = {encoder: int(part.shape[-1]) for encoder, part in tokens.keys.items()}
        if found != wanted:
            widths, own = (" and ".join(map(str, sides.values())) for sides in (found, wanted))
            raise ModelMismatchError(
                f"{name} does not fit this pipeline: token width {widths}, the pipeline's is {own}",
                "use a base model of the family that the person was enrolled on",
            )


def _networks(pipe: Any) -> Iterator[Any]:
    yield pipe.unet
    network = getattr(pipe, "controlnet", None)
    if network is not None:
        yield from getattr(network, "nets", [network])


def _stacked(rows: Sequence[EncodedPrompt], times: int, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Rows of contexts and of pooled texts, each so many times: (B, 2 * S * T, C) and (B, S * E).

    In the UNet's type: text encoders may have been loaded in another.
    """
    contexts = torch.cat([row.context() for row in rows]).repeat_interleave(times, 0).to(dtype)
    pooled = [row.pooled_context() for row in rows]
    whole = [part for part in pooled if part is not None]
    return contexts, torch.cat(whole).repeat_interleave(times, 0).to(dtype) if whole else None


def _spelt_out(pipe: Any, prompt: str) -> str:
    """Textual inversions of several vectors that the pipeline has loaded, as their tokens; marks stay."""
    if not hasattr(pipe, "maybe_convert_prompt"):
        return prompt
    parts = _WHOLE_MARK.split(prompt)
    return "".join(part if _MARK.fullmatch(part) else pipe.maybe_convert_prompt(part, pipe.tokenizer) for part in parts)


def _own_words(base: BaseModel, prompt: str, people: Mapping[str, IdentityTokens]) -> dict[str, IdentityTokens]:
    """Textual inversions that the pipeline has loaded as `<word>`."""
    words = {}
    for name in {*_MARK.findall(prompt)} - {*people}:
        sides = {}
        for encoder in base.encoders:
            known, token, ids = encoder.tokenizer.get_added_vocab(), f"<{name}>", []
            while token in known:
                ids.append(known[token])
                token = f"<{name}>_{len(ids)}"
            if ids:
                table = encoder.module.get_input_embeddings().weight
                sides[encoder.name] = table[ids].detach().float().cpu()[None]
        if len(sides) == len(base.encoders):
            words[name] = IdentityTokens(sides, sides)
    return words


@contextmanager
def _lora_scale(pipe: Any, scale: float | None) -> Iterator[None]:
    """LoRAs of the text encoders at the scale that the call asks for."""
    if scale is None or not USE_PEFT_BACKEND:
        yield
        return
    encoders = [pipe.text_encoder, *filter(None, [getattr(pipe, "text_encoder_2", None)])]
    for encoder in encoders:
        scale_lora_layers(encoder, scale)
    try:
        yield
    finally:
        for encoder in encoders:
            unscale_lora_layers(encoder, scale)


def _listed(people: Mapping[str, IdentityTokens]) -> str:
    return ", ".join(f"<{name}>" for name in people)
