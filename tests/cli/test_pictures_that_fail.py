"""Pictures that come to nothing are not written; the others are, and the command says which failed."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

CHEAP = ("--steps", 1, "--size", "64x64", "--device", "cpu", "--precision", "float32")


def test_the_other_pictures_are_written_and_recorded(faceid, alice, monkeypatch) -> None:
    from faceid_cli.rendering import passes

    def drawn(base, seed, width, height):
        noise, generator = initial_noise(base, seed, width, height)
        return (noise * float("inf") if seed in (8, 9) else noise), generator

    initial_noise = passes.initial_noise
    monkeypatch.setattr(passes, "initial_noise", drawn)
    answer = faceid("generate", "alice", "cup", "--seed", 7, "-n", 4, "--batch", 2, *CHEAP, "-o", "pictures")
    assert answer.code == 5
    written = sorted(Path("pictures").glob("*"))
    assert len(written) == 2
    assert "2 of 4 pictures, seed 8, 9" in answer.err
    assert "2 pictures are finished" in answer.err
    assert {each["seed"] for each in faceid("show", "alice", "--json").data["renders"]} == {7, 10}


def test_nothing_is_written_with_a_broken_vae(faceid, alice, tiny_model_dir: Path, tmp_path: Path) -> None:
    vae = tmp_path / "vae"
    vae.mkdir()
    weights = load_file(tiny_model_dir / "vae" / "diffusion_pytorch_model.safetensors")
    weights["decoder.conv_out.bias"] = torch.full_like(weights["decoder.conv_out.bias"], float("nan"))
    save_file(weights, vae / "diffusion_pytorch_model.safetensors")
    (vae / "config.json").write_bytes((tiny_model_dir / "vae" / "config.json").read_bytes())
    answer = faceid("generate", "alice", "cup", "--vae", vae, *CHEAP, "-o", "a.png")
    assert answer.code == 5
    assert "the VAE's weight decoder.conv_out.bias is not finite" in answer.err
    assert "leave out --lora and --vae" in answer.err
    assert not Path("a.png").exists()
    assert faceid("show", "alice", "--json").data["renders"] == []
