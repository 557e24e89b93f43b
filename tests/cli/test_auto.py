"""`generate --auto`: what it says, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceid_cli.builtin.samples import photo_set
from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.model_files import fingerprint_of
from faceid_cli.photo_files import read_photo
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import read_metadata

QUICK = ("--device", "cpu", "--steps", 1)


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    folder = tmp_path / "drawings"
    folder.mkdir()
    for number, drawing in enumerate(photo_set(7, 2, 0, 256)):
        drawing.image.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def carol(drawings) -> Path:
    """Somebody of the built-in world, enrolled without training."""
    files, fingerprint = sorted(drawings.iterdir()), fingerprint_of("builtin")
    features = {"text_encoder": np.random.default_rng(0).normal(size=(5, 1, 192)).astype(np.float32) * 0.02}
    hashes = tuple(read_photo(file).sha256 for file in files)
    new = NewIdentity("carol", "person", "builtin", fingerprint, {"method": "sefi", "steps": 1}, hashes)
    metadata = IdentityMetadata("carol", "person", "builtin", fingerprint)
    run = NewRun({**new.method, "photo_files": [str(file) for file in files], "face": "only"}, ((0.5, 0.25),), 1.0)
    with Registry.open() as registry:
        registry.add_identity(new, lambda kept: save_identity(kept.path, features, features, metadata), run)
    return drawings


@pytest.mark.slow
def test_auto_says_what_it_picked_and_the_picture_remembers(faceid, carol) -> None:
    answer = faceid("generate", "carol", "on the beach", "--auto", "--seed", 3, "--json", *QUICK)
    assert answer.code == 0, answer.err
    told = next(line for line in answer.err.splitlines() if "--auto: likeness" in line)
    assert all(f"{level}: ID" in told for level in ("0.4", "0.6", "0.8", "1", "1.2"))
    file = answer.data["renders"][0]["file"]
    metadata = read_metadata(Path(file))
    assert f"--auto: likeness {metadata.likeness:g};" in told
    assert metadata.chosen.startswith(f"auto: likeness {metadata.likeness:g} of 0.4, 0.6, 0.8, 1, 1.2 by ID(P) ")
    same = faceid("generate", "carol", "on the beach", "--likeness", metadata.likeness, "--seed", 3, "--json", *QUICK)
    other = same.data["renders"][0]["file"]
    assert read_metadata(Path(other)).chosen == ""
    assert pixels(file) == pixels(other), "nothing but the likeness was chosen"


def pixels(path: str) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def test_auto_needs_photos_and_plain_noise(faceid, carol, tmp_path) -> None:
    photo = sorted(carol.iterdir())[0]
    refused = faceid("generate", "carol", "on the beach", "--auto", "--init", photo, *QUICK)
    assert refused.code == 2
    assert "--auto tries pictures from noise alone" in refused.err
    carol.rename(tmp_path / "moved")
    lost = faceid("generate", "carol", "on the beach", "--auto", *QUICK)
    assert lost.code == 2
    assert "no photos of carol can be found" in lost.err
    assert not list(Path().glob("*.png"))
