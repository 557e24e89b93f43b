"""Checkpoints as model sites have them: other programs' habits, models of other kinds, downloads that went wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from faceid_cli.backbone import load_base_model
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files import check_model
from faceid_cli.orders import ModelOptions

UNET = "model.diffusion_model."
OPENCLIP = "conditioner.embedders.1.model."


def load(path: Path, **options: object) -> object:
    return load_base_model(str(path), "cpu", "float32", ModelOptions(**options))


@pytest.fixture
def changed(tiny_families, tmp_path) -> Callable[..., Path]:
    """Write a family's single file with some tensors more and some less."""

    def write(family: str, more: dict[str, torch.Tensor] | None = None, less: str = "", name: str = "x") -> Path:
        tensors = load_file(tiny_families(family).file)
        kept = {key: value for key, value in tensors.items() if not less or less not in key}
        save_file({**kept, **(more or {})}, tmp_path / f"{name}.safetensors")
        return tmp_path / f"{name}.safetensors"

    return write


def test_files_without_the_layer_that_sd2_does_not_hear_keep_all_others(tiny_families, changed):
    """Files that were made from diffusers' folders have 23 of OpenCLIP's 24 layers."""
    expected = load(tiny_families("sd2").folder)
    base = load(changed("sd2", less="resblocks.23."))
    assert base.text_encoder.config.num_hidden_layers == 23
    assert base.fingerprint == expected.fingerprint


def test_the_projection_of_xl_may_be_stored_as_diffusers_stores_it(tiny_families, changed):
    expected = load(tiny_families("sdxl").folder)
    projection = expected.pipeline.text_encoder_2.text_projection.weight
    base = load(changed("sdxl", {f"{OPENCLIP}text_projection.weight": projection.clone()}, "text_projection"))
    assert torch.equal(base.pipeline.text_encoder_2.text_projection.weight, projection)
    assert base.fingerprint == expected.fingerprint


def test_models_for_few_steps_are_known_by_name(changed):
    """Their first step must be the noisiest; and that of the second family was taught to predict noise."""
    base = load(changed("sd2", name="sd_turbo"))
    assert base.prediction_type == "epsilon"
    assert base.pipeline.scheduler.config.timestep_spacing == "trailing"


def test_older_names_and_averages_make_no_difference(tiny_families, tmp_path):
    tensors = load_file(tiny_families("sd1").file)
    old = {name.replace("transformer.text_model.", "transformer."): value for name, value in tensors.items()}
    old |= {f"model_ema.{name.replace('.', '')}": value + 1 for name, value in tensors.items() if UNET in name}
    old = {name: value for name, value in old.items() if "position_ids" not in name}
    save_file(old, tmp_path / "old.safetensors")
    base = load(tmp_path / "old.safetensors")
    assert base.fingerprint == load(tiny_families("sd1").file).fingerprint


def test_loading_a_file_makes_up_no_weights(tiny_families):
    """Random weights to begin with would take the memory of the model once more, and minutes."""
    before = torch.random.get_rng_state()
    base = load(tiny_families("sdxl").file)
    assert torch.equal(torch.random.get_rng_state(), before)
    for module in base.modules:
        assert not any(part.is_meta for part in (*module.parameters(), *module.buffers()))


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (5, "is a model that follows depth maps"),
        (8, r"is a model for editing by instructions \(pix2pix\)"),
        (9, "is an inpainting model: its UNet takes 9 channels and returns 4"),
    ],
)
def test_models_that_are_shown_more_than_noise_are_named(tiny_families, changed, tmp_path, channels, message):
    path = changed("sd1", {f"{UNET}input_blocks.0.0.weight": torch.zeros(32, channels, 3, 3)})
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        check_model(str(path))
    assert "use the ordinary model that it was made of" in caught.value.hint
    assert ("--mask" in caught.value.hint) == (channels == 9)
    folder = Path(shutil.copytree(tiny_families("sd1").folder, tmp_path / "folder"))
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": channels}))
    with pytest.raises(UnsupportedModelError, match=message):
        check_model(str(folder))


def test_models_with_guidance_built_in_are_named(changed):
    path = changed("sd1", {f"{UNET}time_embed.cond_proj.weight": torch.zeros(4, 4)})
    with pytest.raises(UnsupportedModelError, match=r"has guidance built in \(LCM\)") as caught:
        check_model(str(path))
    assert "--lora" in caught.value.hint


def test_models_that_listen_to_pictures_are_named(changed):
    path = changed("sd2", {f"{UNET}label_emb.0.0.weight": torch.zeros(4, 4)})
    with pytest.raises(UnsupportedModelError, match=r"also listens to pictures \(unCLIP\)"):
        check_model(str(path))


@pytest.mark.parametrize(
    ("name", "kind", "option"),
    [
        ("control_model.zero_convs.0.0.weight", "a ControlNet", "--control"),
        ("controlnet_down_blocks.0.weight", "a ControlNet", "--control"),
        ("first_stage_model.decoder.conv_in.weight", "a VAE", "--vae"),
        ("decoder.up.0.block.0.conv1.weight", "a VAE", "--vae"),
        ("emb_params", "a textual-inversion file", "--embedding"),
    ],
)
def test_parts_that_are_no_base_models_are_sent_where_they_belong(tmp_path, name, kind, option):
    save_file({name: torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedModelError, match=f"is {kind}, not a base model") as caught:
        check_model(str(tmp_path / "x.safetensors"))
    assert option in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3438167534\n", "is a Git LFS pointer"),
        ("<!DOCTYPE html><html>Sign in</html>", "is a page or a message of a web site"),
        ('{"error": "Unauthorized", "message": "log in to download"}', "is a page or a message of a web site"),
        ("", "the header is longer than the file"),
    ],
)
def test_what_stands_in_the_place_of_a_download_is_named(tmp_path, content, message):
    (tmp_path / "x.safetensors").write_text(content)
    with pytest.raises(ModelError, match=message):
        check_model(str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize(
    ("file", "weight"),
    [
        ("unet/diffusion_pytorch_model", "mid_block.attentions.0.proj_in.weight"),
        ("text_encoder/model", "encoder.layers.0.mlp.fc1.weight"),
        ("vae/diffusion_pytorch_model", "decoder.conv_in.weight"),
    ],
)
def test_weights_that_a_folder_lacks_are_never_made_up(tiny_families, tmp_path, file, weight):
    folder = Path(shutil.copytree(tiny_families("sd1").folder, tmp_path / "folder"))
    path = folder / f"{file}.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if not name.endswith(weight)}
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ModelError, match=rf"{path.parent.name} is incomplete: \S*{weight} is missing"):
        load(folder)
    if path.parent.name == "vae":
        assert load(folder, vae=str(tiny_families("sd1").folder)).additions[0].startswith("vae folder ")
        with pytest.raises(ModelError, match=f"vae is incomplete: {weight} is missing"):
            load(tiny_families("sd1").folder, vae=str(folder))


def test_a_configuration_that_does_not_fit_its_weights_is_an_error(tiny_families, tmp_path):
    folder = Path(shutil.copytree(tiny_families("sd1").folder, tmp_path / "folder"))
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_size": 64}))
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load(folder)
    assert len(caught.value.message) < 400
