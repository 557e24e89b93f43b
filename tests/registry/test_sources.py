"""How a base model is loaded for people: as they were learned, unless something else is said."""

from __future__ import annotations

from pathlib import Path

from faceid_cli.api.opening import options_for
from faceid_cli.orders import ModelOptions
from faceid_cli.types import Identity


def learned_on(source: Path, **options: object) -> Identity:
    kept = {"variant": None, "vae": None, "loras": [], **options}
    return Identity(
        id="1",
        name="alice",
        class_word="woman",
        base_model=str(source),
        base_fingerprint="sd1:0123456789abcdef",
        method={"model_options": kept},
        photo_hashes=(),
        path=source / "alice.safetensors",
        created="2026-01-01T00:00:00+00:00",
    )


def test_a_variant_belongs_to_the_base_model_of_the_enrolment(tmp_path):
    own, sister = tmp_path / "own", tmp_path / "sister"
    own.mkdir()
    sister.mkdir()
    alice = learned_on(own, variant="fp16", vae="/vae", loras=["/a.safetensors:1"])
    assert options_for([alice]).variant == "fp16"
    assert options_for([alice], model=str(own)).variant == "fp16"
    elsewhere = options_for([alice], model=str(sister))
    assert elsewhere == ModelOptions(variant=None, vae="/vae", loras=("/a.safetensors:1",))
    assert options_for([alice], ModelOptions(variant="bf16"), str(sister)).variant == "bf16"


def test_what_is_given_is_joined_with_what_was_learned(tmp_path):
    alice = learned_on(tmp_path, vae="/vae", loras=["/a.safetensors:1"])
    given = options_for([alice], ModelOptions(low_vram=True, loras=()))
    assert given == ModelOptions(vae="/vae", loras=(), low_vram=True)
