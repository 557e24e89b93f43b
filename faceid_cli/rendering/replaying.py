"""From what a picture says of itself back to an order, and why a second rendering came out differently. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelNotFoundError, PhotoError, PhotoNotFoundError, UsageError
from faceid_cli.model_files.file_hashes import sha256_of
from faceid_cli.orders import RenderOrder
from faceid_cli.orders.composing import NO_LAYOUT
from faceid_cli.orders.sampling import Sampling
from faceid_cli.photo_files import BLACK, read_photo
from faceid_cli.rendering.record import RenderMetadata, digest_of

_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Places:
    """Where files that a picture was made from may lie.

    Attributes:
        paths: Whole paths that are known from when it was made.
        folders: Folders in which a file of the same name may be.
        is_there: Whether files are looked for at all; without, their bare names stand for them.
        is_own: Whether the picture was made here. A stranger's picture must not choose whom this machine contacts.
    """

    paths: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    is_there: bool = True
    is_own: bool = False

    def of(self, name: str) -> Iterator[Path]:
        """Files and folders of this name; a name with folders in it, which a stranger may have written, finds none."""
        if name != Path(name).name:
            return
        for path in (*(path for path in self.paths if path.name == name), *(each / name for each in self.folders)):
            if path.is_file() or path.is_dir():
                yield path


def order_of(
    record: RenderMetadata, names: Sequence[str], changes: Mapping[str, Any], model: str | None, places: Places
) -> RenderOrder:
    """The order that renders a picture again.

    Args:
        record: What the picture says.
        names: What its people are called here, in the order of `record.names`.
        changes: Options that are to be other ones, by field name; as many names as there are people.
        model: The base model, where it is not the people's own.
        places: Where files are looked for.

    Raises:
        UsageError: The changes do not go with the rest, or the record holds what this version cannot do.
        PhotoNotFoundError, ModelNotFoundError: A file that it was made with is not here; says how to give it.
    """
    if not names:
        raise UsageError("the picture names nobody", "`faceid info FILE` shows what it says")
    given: dict[str, Any] = {field.name: getattr(record, field.name) for field in fields(Sampling)}
    if not record.init:  # then it is how it was counted, not what was asked for
        given["strength"] = None
    if record.layout == NO_LAYOUT and len(names) == 1:
        given["layout"] = None
    for field in ("region", "likeness_of"):
        given[field] = tuple(_of_other(text, record.names, names) for text in getattr(record, field))
    given |= {"names": tuple(names), "prompt": _renamed(record.prompt, record.names, names), "seed": record.seed}
    # A graphics card that is not here is no reason to stop: that it was another one is told where pixels differ.
    device = {"": None, "cpu": "cpu"}.get(record.device.partition(" ")[0], "auto")
    given |= {"model": model, "precision": record.precision or None, "device": device}
    given |= _pictures(record, changes, places)
    given |= {} if "embeddings" in changes else {"embeddings": _embeddings(record, places)}
    given |= _additions(record, changes, places)
    if "control" not in changes and record.control:
        given["control"] = (record.control, _controlnet(record, places))
    changed = dict(changes)
    if "names" in changed and "prompt" not in changed:
        given["prompt"] = _renamed(given["prompt"], names, changed["names"])
        for field in ("region", "likeness_of"):
            given[field] = tuple(_of_other(text, names, changed["names"]) for text in given[field])
    return RenderOrder.of(**{**given, **changed})


def differences(old: RenderMetadata, new: RenderMetadata) -> list[str]:
    """What is not as it was, in words; only what changes pixels."""
    found = [
        f"{package} was {version}, and is {new.versions.get(package, 'gone')}"
        for package, version in old.versions.items()
        if new.versions.get(package) != version
    ]
    for name, digest in old.identity_hashes.items():
        now = new.identity_hashes.get(name)
        if now is not None and now != digest:
            found.append(f"{name} is not the one of then: learned again, or somebody else of that name")
    for field, words in _COMPARED.items():
        was, now = getattr(old, field), getattr(new, field)
        if was and was != now:
            found.append(f"{words} was {_shown(was)}, and is {_shown(now)}")
    if len(old.batch) > 1 and old.batch != new.batch:
        found.append(f"it was rendered together with {len(old.batch) - 1} more, which rounds differently")
    return found


_COMPARED = {
    "device": "the device",
    "precision": "the precision",
    "base_fingerprint": "the base model",
    "additions": "what is put into the base model",
    "init": "the picture to start from",
    "mask": "the mask",
    "control_model": "the ControlNet",
    "control_image": "the control image",
    "embeddings": "the embedding",
    "stage_steps": "the number of steps of the stages",
}


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    text = str(value)
    return f"{text[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", text) else text or "nothing"


def _renamed(prompt: str, old: Sequence[str], new: Sequence[str]) -> str:
    """The prompt with people's marks under other names; in one pass, since names may change places."""
    names = dict(zip(old, new, strict=True))
    return re.sub(r"<([^<>{}]+)>", lambda mark: f"<{names.get(mark[1], mark[1])}>", prompt)


def _of_other(text: str, old: Sequence[str], new: Sequence[str]) -> str:
    """NAME=VALUE under another name."""
    name, _, value = text.partition("=")
    return f"{dict(zip(old, new, strict=True)).get(name, name)}={value}"


def _pictures(record: RenderMetadata, changes: Mapping[str, Any], places: Places) -> dict[str, Any]:
    wanted = {"init": record.init, "into": record.init, "mask": record.mask, "control-image": record.control_image}
    found: dict[str, Any] = {}
    for option, name in record.files.items():
        field = option.replace("-", "_")
        if field in changes or option not in wanted:
            continue
        if not places.is_there:
            found[field] = Path(name)
            continue
        found[field] = next((path for path in places.of(name) if _shows(path, option, wanted[option])), None)
        if found[field] is None:
            raise PhotoNotFoundError(
                f"{name}, which the picture was made from, is not here as it was then",
                f"give it, or another picture: --change {option}=FILE",
            )
    if record.face and "into" in found:
        found["face"] = record.face
    return found


def _shows(path: Path, option: str, digest: str) -> bool:
    try:
        image = read_photo(path, BLACK).image
    except PhotoError:
        return False
    return digest_of(image.convert("L") if option == "mask" else image) == digest


def _embeddings(record: RenderMetadata, places: Places) -> tuple[str, ...]:
    parts = [line.partition(" ") for line in record.embeddings]
    return tuple(f"{_file_of(named, places, 'embedding', f'FILE:{word}')}:{word}" for word, _, named in parts)


def _additions(record: RenderMetadata, changes: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """LoRAs and the autoencoder; to be said even where there are none, or those of the people would be taken."""
    found: dict[str, Any] = {"loras": ()}
    for line in record.additions:
        kind, _, rest = line.partition(" ")
        if kind == "lora" and "loras" not in changes:
            named, _, scale = rest.rpartition(" ")
            found["loras"] += (f"{_file_of(named, places, 'lora', 'FILE:' + scale)}:{scale}",)
        elif kind == "vae" and "vae" not in changes:
            found["vae"] = str(_file_of(rest, places, "vae", "FILE"))
    return found


def _file_of(named: str, places: Places, option: str, how: str) -> Path:
    """A file by its name and the digests behind that.

    Raises:
        ModelNotFoundError: It is not here, or is another one.
    """
    words = named.split(" ")
    digests = [word for word in words[1:] if _DIGEST.fullmatch(word)]
    name = " ".join(words[: len(words) - len(digests)])
    if not places.is_there:
        return Path(name)
    for path in places.of(name):
        if not digests or path.is_dir() or sha256_of(path)[:16] in digests:
            return path.absolute()
    raise ModelNotFoundError(
        f"{name}, which the picture was made with, is not here as it was then", f"give it: --change {option}={how}"
    )


def _controlnet(record: RenderMetadata, places: Places) -> str:
    name = " ".join(word for word in record.control_model.split(" ") if not _DIGEST.fullmatch(word))
    found = next(places.of(name), None)
    if found is None and places.is_there and not (places.is_own and "/" in name):
        raise ModelNotFoundError(
            f"the ControlNet {name}, which the picture was made with, is not here",
            f"give it: --change control={record.control},MODEL",
        )
    return name if found is None else str(found.absolute())
