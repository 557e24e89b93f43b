"""Weights of helper networks for photographs: pinned by SHA-256, kept in paths.weights_dir().

The only module of faceid that downloads anything, and only when `fetch_weights` is called. Needs no torch.
"""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from faceid_cli.errors import UsageError, WeightsMissingError
from faceid_cli.kept import paths
from faceid_cli.kept.files import replacing

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Weights:
    """A file of weights that faceid knows.

    Attributes:
        file_name: Its name in paths.weights_dir().
        sha256: Hex digest of the bytes that the source delivers; other content is refused.
        source: Where it comes from.
        purpose: What it is for, in a few words.
        same_content: Digests of other files that hold the same network, for instance one saved again by a newer torch.
        megabytes: About how large it is, 10**6 bytes.
        parts: Other keys of KNOWN_WEIGHTS: files without which this one is of no use, fetched together with it.
    """

    file_name: str
    sha256: str
    source: str
    purpose: str
    same_content: tuple[str, ...] = ()
    megabytes: int = 0
    parts: tuple[str, ...] = ()

    def accepts(self, sha256: str) -> bool:
        """Whether a file with this digest can be used."""
        return sha256 == self.sha256 or sha256 in self.same_content


@dataclass(frozen=True)
class WeightsState:
    """What was found of some weights.

    Attributes:
        name: A key of KNOWN_WEIGHTS.
        weights: What they should be.
        path: Where their file is, or belongs.
        state: "ok"; "missing"; "wrong" where the content is not the pinned one.
    """

    name: str
    weights: Weights
    path: Path
    state: Literal["ok", "missing", "wrong"]


_CLIP = "https://huggingface.co/openai/clip-vit-large-patch14/resolve/32bd64288804d66eefd0ccbe215aa642df71cc41"
_RELEASES = "https://github.com/xinntao/facexlib/releases/download"

# Each digest is stated alike by two or more independent public projects that use the file.
KNOWN_WEIGHTS = {
    "face-detection": Weights(
        "detection_mobilenet0.25_Final.pth",
        "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        f"{_RELEASES}/v0.1.0/detection_mobilenet0.25_Final.pth",
        "finding faces in photographs",
        # A copy of the same network that was saved again, in torch's zip format.
        ("7c417d4a43c5e2100ef40c2fbd2177d2fd0e5090d8e87c0fa31806cfb895c12f",),
        megabytes=2,
    ),
    "face-detection-resnet50": Weights(
        "detection_Resnet50_Final.pth",
        "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        f"{_RELEASES}/v0.1.0/detection_Resnet50_Final.pth",
        "finding faces in photographs, with the larger detector",
        megabytes=109,
    ),
    "face-recognition": Weights(
        "recognition_arcface_ir_se50.pth",
        "a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        f"{_RELEASES}/v0.1.0/recognition_arcface_ir_se50.pth",
        "comparing faces in photographs",
        megabytes=175,
    ),
    "face-parsing": Weights(
        "parsing_bisenet.pth",
        "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        f"{_RELEASES}/v0.2.0/parsing_bisenet.pth",
        "outlining faces in photographs",
        megabytes=53,
    ),
    "face-parsing-parsenet": Weights(
        "parsing_parsenet.pth",
        "3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        f"{_RELEASES}/v0.2.2/parsing_parsenet.pth",
        "outlining faces in photographs, with the other network",
        megabytes=85,
    ),
    "clip": Weights(
        "clip/model.safetensors",
        "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
        f"{_CLIP}/model.safetensors",
        "scoring photographs by their prompts",
        megabytes=1711,
        parts=("clip-config", "clip-tokenizer"),
    ),
    "clip-config": Weights(
        "clip/config.json",
        "8a09b467700c58138c29d53c605b34ebc69beaadd13274a8a2af8ad2c2f4032a",
        f"{_CLIP}/config.json",
        "the same: how that network is built",
        megabytes=1,
    ),
    "clip-tokenizer": Weights(
        "clip/tokenizer.json",
        "a83e0809aa4c3af7208b2df632a7a69668c6d48775b3c3fe4e1b1199d1f8b8f4",
        f"{_CLIP}/tokenizer.json",
        "the same: how it reads words",
        megabytes=2,
    ),
}


def with_parts(names: Sequence[str]) -> list[str]:
    """The named weights, each followed by the files without which it is of no use.

    Raises:
        UsageError: No weights of such a name.
    """
    return list(dict.fromkeys(each for name in names for each in (name, *_known(name).parts)))


def local_weights(name: str) -> Path:
    """Return the checked file of the named weights; never downloads.

    Raises:
        UsageError: No weights of that name.
        WeightsMissingError: The file is not there, or its content is not the pinned one.
    """
    weights = _known(name)
    path = paths.weights_dir() / weights.file_name
    if not path.is_file():
        raise WeightsMissingError(
            f"weights for {weights.purpose} are missing: {path}",
            f"run `faceid weights fetch {name}`, or download {weights.source} and put it there",
        )
    found = _sha256(path)
    if not weights.accepts(found):
        raise WeightsMissingError(
            f"{path} is not the file it should be (SHA-256 {found[:12]}..., expected {weights.sha256[:12]}...)",
            f"replace it by {weights.source}",
        )
    return path


def weights_path(name: str) -> Path:
    """Return where the file of the named weights is, or belongs; it need not be there.

    Raises:
        UsageError: No weights of that name.
    """
    return paths.weights_dir() / _known(name).file_name


def weights_state(name: str, read: bool = True) -> WeightsState:
    """Look whether the named weights are there, and whether they are what they should be; never downloads.

    Args:
        name: A key of KNOWN_WEIGHTS.
        read: Without it, a file that is there counts as "ok", and is not read.

    Raises:
        UsageError: No weights of that name.
        WeightsMissingError: The file cannot be read.
    """
    weights, path = _known(name), weights_path(name)
    if not path.is_file():
        return WeightsState(name, weights, path, "missing")
    fits = not read or weights.accepts(_sha256(path))
    return WeightsState(name, weights, path, "ok" if fits else "wrong")


def fetch_weights(name: str) -> Path:
    """Download the named weights into paths.weights_dir(), unless they are there already, and check them.

    Raises:
        UsageError: No weights of that name.
        WeightsMissingError: The download failed, or its content is not the pinned one; nothing is kept then.
        OutputError: The folder cannot be written.
    """
    weights = _known(name)
    path = paths.weights_dir() / weights.file_name
    if path.is_file() and weights.accepts(_sha256(path)):
        return path
    with replacing(path) as scratch:
        _download(weights, scratch)
        if not weights.accepts(_sha256(scratch)):
            raise WeightsMissingError(f"{weights.source} has other content than expected", "it was not kept")
    return path


def _known(name: str) -> Weights:
    if name not in KNOWN_WEIGHTS:
        raise UsageError(f"unknown weights {name!r}", f"choose one of: {', '.join(KNOWN_WEIGHTS)}")
    return KNOWN_WEIGHTS[name]


def _download(weights: Weights, target: Path) -> None:
    try:
        with urllib.request.urlopen(weights.source, timeout=_TIMEOUT_S) as answer, open(target, "wb") as file:
            while block := answer.read(_CHUNK_BYTES):
                file.write(block)
    except OSError as error:  # urllib's errors are OSErrors too
        raise WeightsMissingError(
            f"cannot download {weights.source}: {error}",
            f"download it elsewhere and put it at {paths.weights_dir() / weights.file_name}",
        ) from error


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsMissingError(f"cannot read {path}: {error.strerror}", "check its permissions") from error
