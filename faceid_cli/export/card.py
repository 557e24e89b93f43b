"""A model card in the form of Hugging Face's hub, for a folder with people in it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from faceid_cli.export.person import Exported
from faceid_cli.model_files import FAMILY_NAMES, family_of_fingerprint
from faceid_cli.types import BUILTIN

_TAGS = ("text-to-image", "diffusers", "stable-diffusion", "textual-inversion", "faceid")
_FAMILY_TAGS = {"sdxl": "stable-diffusion-xl"}


def model_card(people: Sequence[Exported], use: str, keeps: str) -> str:
    """The README.md of a folder.

    Args:
        people: Who is in it.
        use: What to do with the files, in Markdown.
        keeps: What of the people is in the files, in one line.
    """
    bases = list(dict.fromkeys(person.stored.metadata.base_model for person in people))
    public = [base.partition("@")[0] for base in bases if _is_public(base)]
    family = family_of_fingerprint(people[0].stored.metadata.base_fingerprint)
    tags = [*_TAGS, *([_FAMILY_TAGS[family]] if family in _FAMILY_TAGS else [])]
    head = {
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "tags": tags,
        "license": "other",
        "license_name": "that-of-the-base-model",
        **({"base_model": public[0] if len(public) == 1 else public} if len(public) == len(bases) else {}),
        "inference": False,
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", ""]
    lines += [f"# {', '.join(person.name for person in people)}", "", "Learned with faceid.", ""]
    lines += [f"- Kept: {keeps}."]
    for person in people:
        said = person.stored.metadata
        family = BUILTIN if said.base_model == BUILTIN else family_of_fingerprint(said.base_fingerprint)
        lines += [
            f"- **{person.name}**: {_plain(said.class_word)}; base model {_plain(said.base_model)} "
            f"({FAMILY_NAMES.get(family, 'unknown')}, `{_plain(said.base_fingerprint)}`); "
            f"stages: {person.stages}; photos: {len(said.photo_hashes)}."
        ]
    lines += ["", "## Use", "", use.strip(), "", "## Consent", ""]
    for person in people:
        consent = str(person.stored.metadata.extra.get("consent", ""))
        lines += [
            f"- {person.name}: {_plain(consent) if consent else 'nothing was written down; ask before you share this'}"
        ]
    lines += ["", "## Licence", ""]
    lines += ["Pictures are made by the base model, whose licence says what they may be used for. Do not make pictures"]
    lines += ["of people that deceive or hurt, and publish nobody who has not agreed to it.", ""]
    return "\n".join(lines)


def _is_public(base: str) -> bool:
    """Whether the hub can know a base model: by a name with an owner, not a file of this machine."""
    return re.fullmatch(r"[A-Za-z0-9][\w-]*/[\w.-]+(@[\w./-]+)?", base) is not None


def _plain(text: str) -> str:
    """A user's words in one line, without marks of Markdown and HTML that would make something else of them."""
    return " ".join(text.split()).translate(str.maketrans("<>[]`", "()()'"))
