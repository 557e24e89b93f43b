"""Prompts with variants, `{red|blue}` and `__file__`, as the package dynamicprompts understands them."""

from __future__ import annotations

import logging
import random
import re
from itertools import islice
from pathlib import Path

from faceid_cli.errors import UsageError

_MOST = 100_000
_SYNTAX = re.compile(r"\{[^{}]*(?:\||\$\$)|\$\{|__[\w*/.-]+__")
_MARK = re.compile(r"\{([A-Za-z0-9_-]{1,64})\}")
_WILDCARD = re.compile(r"__([\w*/.-]+?)__")


def has_variants(prompt: str) -> bool:
    """Whether a prompt stands for several."""
    return _SYNTAX.search(prompt) is not None


def variants_of(prompt: str, folder: Path | None, count: int | None, seed: int) -> list[str]:
    """All prompts that a prompt stands for, or some at random; itself alone where it has no variants.

    Args:
        prompt: May mark people as `{name}`, which stay.
        folder: Holds the files that `__file__` stands for, a value a line; None for no files.
        count: How many at random; None for all.
        seed: Of the random ones.

    Raises:
        UsageError: It cannot be read, a file is missing, empty or not UTF-8, or there are too many.
    """
    if not has_variants(prompt):
        return [prompt]
    # Only prompts with variants need it, and it takes a moment.
    from dynamicprompts.generators import CombinatorialPromptGenerator, RandomPromptGenerator

    from faceid_cli.jobs.wildcards import wildcards_in

    logging.getLogger("dynamicprompts").setLevel(logging.ERROR)
    manager = wildcards_in(folder)
    for wildcard in _WILDCARD.findall(prompt):
        if not manager.get_values(wildcard):
            raise _nothing(wildcard, folder)
    text = _MARK.sub(r"<\1>", prompt)  # {name} would read as a variant with one choice
    try:
        if count is not None:
            found = list(RandomPromptGenerator(manager, seed=seed).generate(text, count))
        else:
            every = CombinatorialPromptGenerator(manager).generate(text, _MOST + 1)
            found = list(islice(dict.fromkeys(every), _MOST + 1))
    except UsageError:  # a file that another file mentions
        raise
    except Exception as error:  # the package raises whatever its parser does
        reason = " ".join(str(error).split())
        raise UsageError(f"the variants of {prompt!r} cannot be read: {reason}", "write them as {red|blue}") from error
    if count is None and len(found) > _MOST:
        raise UsageError(f"{prompt!r} has more than {_MOST} variants", "render some of them: --variants N")
    for wildcard in (each for variant in found for each in _WILDCARD.findall(variant)):
        raise _nothing(wildcard, folder)  # of a file that another file mentions
    return found


def _nothing(wildcard: str, folder: Path | None) -> UsageError:
    where = f"no {wildcard}.txt in {folder}" if folder is not None else "there is no folder of such files"
    return UsageError(f"__{wildcard}__ stands for nothing: {where}", "give the folder with --wildcards FOLDER")


def seeded(seed: int, place: int) -> int:
    """A seed for the random variants of one of many rows."""
    return random.Random(f"{seed}/{place}").getrandbits(32)
