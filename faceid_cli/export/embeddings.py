"""People as textual-inversion files: for AUTOMATIC1111's web UI and its kin, InvokeAI and kohya's scripts.

These have one token a word, so a person's keys and values become one. The web UI can change words along the way: a
prompt-editing string brings each stage's token in at its call of the denoiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from faceid_cli.errors import UsageError
from faceid_cli.export.inversions import check_written, inversion_file
from faceid_cli.export.person import Exported, Vectors
from faceid_cli.export.schedules import TIMESTEPS, Sampler, parse_sampler
from faceid_cli.export.targets import TOKENS, Choices, Package

_STEPS = (10, 15, 20, 25, 30, 40, 50)
_HEAD = "Put embeddings/*.safetensors into the folder embeddings of the web UI. Then:"
_COUNTED = (
    "The numbers in a prompt count calls of the denoiser, so each is for one sampler, schedule type and number of",
    "steps, and for txt2img without hires fix.",
)
_LOST_SIDES = "keys and values are one token ({token})"
_LOST_STAGES = "all stages have one token"


@dataclass(frozen=True)
class Words:
    """A person's tokens as words.

    Attributes:
        stems: One a stage, or one for all.
        vectors: What each stands for.
        lost: What of the person is not in them.
    """

    stems: tuple[str, ...]
    vectors: tuple[Vectors, ...]
    lost: tuple[str, ...]


def words_of(person: Exported, single: bool, token: str) -> Words:
    """The person's tokens, one a stage; one alone where all stages are alike or one is wanted.

    Raises:
        UsageError: No such token.
    """
    if token not in TOKENS:
        raise UsageError(f"there is no token {token!r}", f"choose one of: {', '.join(TOKENS)}")
    lost = [_LOST_SIDES.format(token=token)] if person.is_split else []
    staged = [_one_token(person, stage, token) for stage in range(person.stages)]
    if not person.changes:
        return Words((person.stem,), (staged[0],), tuple(lost))
    if single:
        mean = {name: np.mean([each[name] for each in staged], axis=0) for name in staged[0]}
        return Words((person.stem,), (mean,), (*lost, _LOST_STAGES))
    digits = len(str(person.stages))  # of equal length, so that no word is another one and a number
    return Words(
        tuple(f"{person.stem}-s{stage + 1:0{digits}d}" for stage in range(person.stages)), tuple(staged), tuple(lost)
    )


def a1111(people: Sequence[Exported], choices: Choices) -> Package:
    """Embeddings, and prompts for a sampler and numbers of steps."""
    sampler = parse_sampler(choices.sampler)
    found = [words_of(person, choices.single, choices.token) for person in people]
    lines = [_HEAD, ""]
    if all(len(words.stems) == 1 for words in found):
        use = _with_words(choices.prompt, people, [words.stems[0] for words in found])
        return _package(
            people, found, "embeddings/", f"in the web UI: {use}", {"prompts.txt": _text([*lines, use])}, []
        )
    lines += [*_COUNTED, ""]
    notes: list[str] = []
    for steps in sorted({*_STEPS, choices.steps}):
        edited = [edited_word(words.stems, sampler.timesteps(steps)) for words in found]
        prompt, said = _with_words(choices.prompt, people, [word for word, _ in edited]), _settings(sampler, steps)
        lines += [f"{said}:", prompt, ""]
        if steps == choices.steps:
            use = f"in the web UI with {said}: {prompt}"
            left_out = sorted({stage for _, stages in edited for stage in stages})
            if left_out:
                notes = [f"with {said}, {_stages(left_out)} cannot be written or have no call: more steps reach them"]
    return _package(people, found, "embeddings/", use, {"prompts.txt": _text(lines)}, notes)


def invokeai(people: Sequence[Exported], choices: Choices) -> Package:
    """Embeddings, in prompts as `<stem>`."""
    found = [words_of(person, choices.single, choices.token) for person in people]
    prompt = _with_words(choices.prompt, people, [f"<{words.stems[0]}>" for words in found])
    use = f"in InvokeAI, after adding the files as models: {prompt}"
    stems = max((words.stems for words in found), key=len)
    if len(stems) > 1:
        cuts = ", ".join(f"{stage / len(stems):g} to {(stage + 1) / len(stems):g}" for stage in range(len(stems)))
        use += f"; one Denoise Latents node a stage, <{stems[0]}> to <{stems[-1]}>, start to end: {cuts}"
    return _package(people, found, "", use, {}, [])


def kohya(people: Sequence[Exported], choices: Choices) -> Package:
    """One embedding a person: its scripts cannot change words along the way."""
    found = [words_of(person, True, choices.token) for person in people]
    stems = [words.stems[0] for words in found]
    files = " ".join(f"{stem}.safetensors" for stem in stems)
    prompt = _with_words(choices.prompt, people, stems)
    return _package(people, found, "", f'gen_img.py --textual_inversion_embeddings {files} --prompt "{prompt}"', {}, [])


def edited_word(stems: Sequence[str], timesteps: np.ndarray) -> tuple[str, list[int]]:
    """A word that changes along the way, in AUTOMATIC1111's `[from:to:when]`.

    The web UI takes `from` up to and including the call that `when` counts to, from 0 on, and never takes it where
    that is 0: so a first stage of a single call cannot be written, and gives way to the next.

    Args:
        stems: A word a stage, the noisiest first.
        timesteps: Of each call of the denoiser.

    Returns:
        The text, and the stages (from 0) that are not in it.
    """
    count = len(stems)
    stages = [min(max(count - 1 - int(time) * count // TIMESTEPS, 0), count - 1) for time in timesteps]
    begins = {stage: stages.index(stage) for stage in sorted(set(stages))}
    order = list(begins)
    if len(order) > 1 and begins[order[1]] == 1:
        del order[0]
    text = stems[order[-1]]
    for stage, following in reversed(list(pairwise(order))):
        text = f"[{stems[stage]}:{text}:{begins[following] - 1}]"
    return text, [stage for stage in range(count) if stage not in order]


def _one_token(person: Exported, stage: int, token: str) -> Vectors:
    keys, values = person.keys(stage), person.values(stage)
    if token == "mean":
        return {name: (keys[name] + values[name]) / 2 for name in keys}
    return keys if token == "keys" else values


def _package(
    people: Sequence[Exported],
    found: Sequence[Words],
    folder: str,
    use: str,
    more: dict[str, bytes],
    notes: Sequence[str],
) -> Package:
    expected: dict[str, Vectors] = {}
    files = dict(more)
    for person, words in zip(people, found, strict=True):
        for number, (stem, vectors) in enumerate(zip(words.stems, words.vectors, strict=True), start=1):
            title = person.name if len(words.stems) == 1 else f"{person.name}, stage {number} of {len(words.stems)}"
            name = f"{folder}{stem}.safetensors"
            if name in files:
                raise UsageError(
                    f"two people would both be {stem}", "export them one by one, into folders of their own"
                )
            files[name] = inversion_file(vectors, person.family, stem, title, f"write {stem} in the prompt")
            expected[name] = vectors
    lost = tuple(dict.fromkeys(line for words in found for line in words.lost))
    return Package(files, use, lambda where: check_written(where, expected), lost, tuple(notes))


def _with_words(prompt: str, people: Sequence[Exported], words: Sequence[str]) -> str:
    """The example, with each person's words where they are marked."""
    for person, word in zip(people, words, strict=True):
        prompt = prompt.replace(f"<{person.name}>", word)
    return prompt


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines).rstrip() + "\n").encode()


def _settings(sampler: Sampler, steps: int) -> str:
    if sampler.schedule == "DDIM":
        return f"DDIM, {steps} steps"
    return f"{sampler.method}, schedule type {sampler.schedule}, {steps} steps"


def _stages(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number + 1) for number in numbers)
    return f"stage {shown}" if len(numbers) == 1 else f"stages {shown}"
