"""Fixtures of the command line's tests: run a command as a shell would, and look at what it said."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceid_cli.cli.app import main
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

LABELS = ("--tag", "test", "--note", "hello")
QUICK = ("--no-detect", "--steps", 2, "--batch", 1, "--device", "cpu")


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """Its JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def faceid(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Answer]:
    """Run `faceid` with the given words, in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def add_person() -> Callable[..., Identity]:
    """Put a person into the registry without learning them."""

    def add(name: str, **changes: Any) -> Identity:
        values: dict[str, Any] = {
            "class_word": "woman",
            "base_model": "builtin",
            "base_fingerprint": "sd1:0123456789abcdef",
            "method": {"method": "sefi", "steps": 300},
            "photo_hashes": ("a" * 64,),
        }
        new = NewIdentity(name=name, **(values | changes))

        def write(identity: Identity) -> None:
            features = {"text_encoder": np.arange(160, dtype=np.float32).reshape(5, 1, 32)}
            metadata = IdentityMetadata(name, new.class_word, new.base_model, new.base_fingerprint, new.method)
            save_identity(identity.path, features, features, metadata)

        with Registry.open() as registry:
            return registry.add_identity(new, write, NewRun(new.method, ((0.5, 0.25),), 12.0))

    return add


@pytest.fixture
def quick() -> tuple[object, ...]:
    """Options that make an enrolment quick."""
    return QUICK


@pytest.fixture
def labels() -> tuple[object, ...]:
    """Tag and note that alice was enrolled with."""
    return LABELS


@pytest.fixture(scope="session")
def home_with_alice(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FACEID_HOME where alice is enrolled on the tiny model, made once."""
    home = tmp_path_factory.mktemp("home-with-alice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEID_HOME", str(home))
        photos = draw_photos(tmp_path_factory.mktemp("photos-of-alice"))
        assert (
            main([str(word) for word in ("enroll", "alice", photos, "--model", tiny_model_dir, *QUICK, *LABELS)]) == 0
        )
    return home


@pytest.fixture
def alice(home_with_alice: Path) -> None:
    """Alice is enrolled."""
    shutil.copytree(home_with_alice, paths.home())


@pytest.fixture
def bob(alice, faceid) -> None:
    """Alice, and the same person under another name."""
    assert faceid("export", "alice", "-o", "copy.safetensors").code == 0
    assert faceid("import", "copy.safetensors", "--name", "bob").code == 0
    Path("copy.safetensors").unlink()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The photos that alice was enrolled from."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return draw_photos(folder)


def draw_photos(folder: Path) -> Path:
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder
