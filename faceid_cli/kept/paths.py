"""FACEID_HOME and every file below it; the only reader of faceid's environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_dir

from faceid_cli.errors import UsageError

_PACKAGE = Path(__file__).parent.parent


def home() -> Path:
    """Folder of everything faceid keeps: $FACEID_HOME, or the platform's folder for user data. Not created here.

    Raises:
        UsageError: FACEID_HOME is the folder of a user who does not exist.
    """
    override = os.environ.get("FACEID_HOME")
    if not override:
        return Path(user_data_dir("faceid", appauthor=False))
    whole = os.path.expanduser(override)
    if override.startswith("~") and whole == override:
        raise UsageError(f"FACEID_HOME is {override}, and there is no such user", "give the whole path")
    return Path(whole)


def registry_file() -> Path:
    """The SQLite registry."""
    return home() / "registry.db"


def identities_dir() -> Path:
    """Embeddings, one `<identity id>.safetensors` each; ids are hexadecimal, so names never become path components."""
    return home() / "identities"


def runs_dir() -> Path:
    """Training checkpoints, one folder per run key."""
    return home() / "runs"


def batches_dir() -> Path:
    """Claims of the batches that are being rendered, a file for each while it is."""
    return home() / "batches"


def material_dir() -> Path:
    """What an enrolment was made of (crops, masks, landmarks), and its report: a folder per identity id."""
    return home() / "material"


def weights_dir() -> Path:
    """Weights of helper networks for photographs (facexlib)."""
    return home() / "weights"


def fingerprints_file() -> Path:
    """Cache of base model fingerprints, so that gigabytes of weights are hashed only once."""
    return home() / "fingerprints.json"


def config_file() -> Path:
    """User settings written by `faceid config set`."""
    return home() / "config.json"


def signing_key_file() -> Path:
    """The private key that signs pictures, with its certificates; readable by its owner alone."""
    return home() / "signing-key.pem"


def builtin_model_dir() -> Path:
    """The built-in model that ships with the package, in diffusers' folder layout."""
    return _PACKAGE / "builtin" / "model"


def builtin_judge_file() -> Path:
    """Weights of the built-in world's judge."""
    return _PACKAGE / "builtin" / "judge.safetensors"


def builtin_named_faces_file() -> Path:
    """The judge's embeddings of people whom the built-in model knows by name."""
    return _PACKAGE / "builtin" / "named_faces.safetensors"
