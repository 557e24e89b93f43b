"""ControlNets in one file, in both layouts that model sites have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file

from faceid_cli.backbone import load_base_model
from faceid_cli.backbone.controlnet import controlnet_line, load_controlnet
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files.controlnet import find_controlnet

UnetName = Callable[[str, int], str]


def first_name(name: str, unet_name: UnetName) -> str:
    """A weight's name in the first implementation: its own parts by number, all else as in the UNet."""
    own = {
        "controlnet_mid_block": "middle_block_out.0",
        "controlnet_cond_embedding.conv_in": "input_hint_block.0",
        "controlnet_cond_embedding.conv_out": "input_hint_block.14",
    }
    own |= {f"controlnet_cond_embedding.blocks.{index}": f"input_hint_block.{2 * index + 2}" for index in range(6)}
    own |= {f"controlnet_down_blocks.{index}": f"zero_convs.{index}.0" for index in range(12)}
    start, _, kind = name.rpartition(".")
    if start in own:
        return f"{own[start]}.{kind}"
    return unet_name(name, 4).removeprefix("model.diffusion_model.")


def controlnet(base: Any) -> Any:
    """A ControlNet for a base model, of which no weight is zero."""
    network = ControlNetModel.from_unet(base.unet)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return network


@pytest.mark.parametrize("family", ["sd1", "sd2", pytest.param("sdxl", marks=pytest.mark.slow)])
def test_a_file_of_either_layout_is_the_folder_it_came_from(tiny_families, unet_name, tmp_path, family):
    base = load_base_model(str(tiny_families(family).folder), "cpu", "float32")
    network = controlnet(base)
    network.save_pretrained(tmp_path / "net")
    state = {name: value.clone() for name, value in network.state_dict().items()}
    save_file(state, tmp_path / "theirs.safetensors")
    save_file({first_name(name, unet_name): value for name, value in state.items()}, tmp_path / "bare.safetensors")
    whole = {f"control_model.{first_name(name, unet_name)}": value for name, value in state.items()}
    torch.save({"state_dict": {**whole, "model.diffusion_model.out.2.bias": torch.zeros(4)}}, tmp_path / "first.pth")
    folder = load_controlnet(find_controlnet(str(tmp_path / "net")), base)
    behind_config = {"_name_or_path", "_use_default_values", "_diffusers_version", "_class_name"}
    for name in ("theirs.safetensors", "bare.safetensors", "first.pth"):
        files = find_controlnet(str(tmp_path / name))
        loaded = load_controlnet(files, base)
        assert loaded.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items()), name
        for key in folder.config.keys() - behind_config:
            ours, theirs = loaded.config[key], folder.config[key]
            assert _plain(ours) == _plain(theirs) or key in _without_effect(family), (key, ours, theirs)
        assert not loaded.training
        assert not any(weight.requires_grad for weight in loaded.parameters())
        assert controlnet_line(files).startswith(f"{name} ")
        noisy, text = torch.ones(1, 4, 8, 8), torch.ones(1, 77, base.unet.config.cross_attention_dim)
        added = {}
        if family == "sdxl":
            added = {"added_cond_kwargs": {"text_embeds": torch.ones(1, 64), "time_ids": torch.ones(1, 6)}}
        with torch.no_grad():
            ours, theirs = (
                each(noisy, 500, text, torch.ones(1, 3, 64, 64), **added).mid_block_res_sample
                for each in (loaded, folder)
            )
        assert torch.allclose(ours, theirs, rtol=1e-4)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _without_effect(family: str) -> tuple[str, ...]:
    """Settings of layers that a family does not have, or that say the same in another way."""
    return ("transformer_layers_per_block",) if family != "sdxl" else ()


def test_a_file_for_another_family_is_refused(tiny_families, tmp_path):
    xl = load_base_model(str(tiny_families("sdxl").folder), "cpu", "float32")
    save_file(controlnet(xl).state_dict(), tmp_path / "xl.safetensors")
    base = load_base_model(str(tiny_families("sd1").folder), "cpu", "float32")
    with pytest.raises(UnsupportedModelError, match=r"made for another family: its cross_attention_dim is 96"):
        load_controlnet(find_controlnet(str(tmp_path / "xl.safetensors")), base)


def test_an_incomplete_file_says_what_is_missing(tiny_families, tmp_path):
    base = load_base_model(str(tiny_families("sd1").folder), "cpu", "float32")
    state = controlnet(base).state_dict()
    for missing in ("conv_in.weight", "mid_block.resnets.0.conv1.bias"):
        save_file({name: value for name, value in state.items() if name != missing}, tmp_path / "less.safetensors")
        with pytest.raises(ModelError, match=missing):
            load_controlnet(find_controlnet(str(tmp_path / "less.safetensors")), base)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lora_controlnet", "is a Control-LoRA"),
        ("difference", "holds only its difference to a base model"),
        ("task_embedding", "is a ControlNet for several kinds of control at once"),
        ("adapter.body.0.in_conv.weight", "is a T2I-Adapter"),
        ("ip_adapter.1.to_k_ip.weight", "is an IP-Adapter"),
        ("controlnet_blocks.0.weight", "is a ControlNet for transformers"),
        ("model.diffusion_model.out.2.weight", "is a base model"),
        ("something.else", "is not a ControlNet"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, name, message):
    save_file({name: torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        find_controlnet(str(tmp_path / "x.safetensors"))
    assert caught.value.hint


def test_files_that_no_controlnet_comes_in(tmp_path: Path):
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(UnsupportedModelError, match="is no ControlNet that can be read"):
        find_controlnet(str(tmp_path / "x.zip"))
    (tmp_path / "x.pth").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="damaged"):
        find_controlnet(str(tmp_path / "x.pth"))
