"""Folders with parts of different variants, with too much in them, with other schedulers; and files made of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from faceid_cli.backbone import load_base_model
from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.model_files import check_model
from faceid_cli.orders import ModelOptions, RenderConfig
from faceid_cli.rendering.generate import render

UNET, TEXT = "unet/diffusion_pytorch_model", "text_encoder/model"


def load(path: Path, **options: object) -> object:
    return load_base_model(str(path), "cpu", "float32", ModelOptions(**options))


@pytest.fixture
def folder(tiny_families, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_families("sd1").folder, tmp_path / "folder"))


def move(folder: Path, file: str, variant: str, add: float = 0.0, keep: bool = False) -> None:
    """Make a weight file one of a variant, with something added to its weights to know it by."""
    plain = folder / f"{file}.safetensors"
    tensors = {name: value + add for name, value in load_file(plain).items()}
    save_file(tensors, folder / f"{file}.{variant}.safetensors", {"format": "pt"})
    if not keep:
        plain.unlink()


def first(base: object) -> float:
    return float(base.unet.conv_in.bias[0])


@pytest.mark.parametrize("is_alone", [True, False])
def test_one_part_may_have_a_variant_that_the_others_lack(tiny_families, folder, is_alone):
    plain = load(tiny_families("sd1").folder)
    move(folder, UNET, "non_ema", 1.0, keep=not is_alone)
    base = load(folder, variant="non_ema")
    assert first(base) == pytest.approx(first(plain) + 1)
    assert torch.equal(base.pipeline.vae.quant_conv.bias, plain.pipeline.vae.quant_conv.bias)
    assert base.fingerprint != plain.fingerprint
    if is_alone:
        with pytest.raises(ModelNotFoundError, match=r"unet/diffusion_pytorch_model\.safetensors is missing") as caught:
            load(folder)
        assert "--variant non_ema" in caught.value.hint
    else:
        assert first(load(folder)) == first(plain)


@pytest.mark.parametrize("variant", [None, pytest.param("fp16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", [TEXT, UNET, "vae/diffusion_pytorch_model"])
def test_one_part_may_be_there_in_half_precision_alone(tiny_families, folder, file, variant):
    move(folder, file, "fp16")
    base, plain = load(folder, variant=variant), load(tiny_families("sd1").folder)
    assert base.fingerprint == plain.fingerprint
    for module, other in zip(base.modules, plain.modules, strict=True):
        theirs = other.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in module.state_dict().items())


def test_parts_in_several_files_may_be_of_another_variant(tiny_families, folder):
    tensors = load_file(folder / f"{UNET}.safetensors")
    names = sorted(tensors)
    (folder / f"{UNET}.safetensors").unlink()
    for index, part in enumerate((names[::2], names[1::2])):
        file = folder / f"{UNET}-0000{index + 1}-of-00002.fp16.safetensors"
        save_file({name: tensors[name] for name in part}, file, {"format": "pt"})
        tensors |= dict.fromkeys(part, file.name)
    index = {"metadata": {"total_size": 1}, "weight_map": tensors}
    (folder / f"{UNET}.safetensors.index.fp16.json").write_text(json.dumps(index))
    assert first(load(folder)) == first(load(tiny_families("sd1").folder))


def test_a_variant_that_no_part_has_is_named_with_those_there_are(folder):
    move(folder, TEXT, "bf16", keep=True)
    with pytest.raises(ModelNotFoundError, match=r"unet/diffusion_pytorch_model\.fp16\.safetensors") as caught:
        load(folder, variant="fp16")
    assert caught.value.hint == "it has these: bf16"


def test_a_vae_may_be_given_as_a_folder_in_half_precision(tiny_families, folder):
    move(folder, "vae/diffusion_pytorch_model", "fp16", 1.0)
    plain, base = load(tiny_families("sd1").folder), load(tiny_families("sd1").folder, vae=str(folder))
    assert torch.allclose(base.pipeline.vae.quant_conv.bias, plain.pipeline.vae.quant_conv.bias + 1)


def test_a_vae_of_another_kind_is_named(tiny_families, folder):
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({"_class_name": "AutoencoderTiny"}))
    with pytest.raises(UnsupportedModelError, match=r"is of another kind \(AutoencoderTiny\)"):
        load(tiny_families("sd1").folder, vae=str(folder))


@pytest.mark.parametrize("file", [UNET, TEXT, "vae/diffusion_pytorch_model"])
def test_weights_that_have_no_place_are_told(folder, file):
    """The libraries leave them out, and warn where nobody sees it."""
    path = folder / f"{file}.safetensors"
    save_file({**load_file(path), "more.weight": torch.zeros(2), "z.bias": torch.zeros(2)}, path, {"format": "pt"})
    words = f"2 weights in {path.parent} have no place in the network and are left out: more.weight, z.bias"
    assert load(folder).notes == (words,)
    if file.startswith("vae"):
        assert load(folder, vae=str(folder)).notes == (words,)


def test_the_rest_of_a_clip_model_is_left_out_without_a_word(folder):
    path = folder / f"{TEXT}.safetensors"
    more = {
        "text_projection.weight": torch.zeros(2, 2),
        "vision_model.x": torch.zeros(2),
        "logit_scale": torch.zeros(1),
    }
    save_file({**load_file(path), **more}, path, {"format": "pt"})
    assert load(folder).notes == ()


def of_current_transformers(tiny: object) -> dict[str, torch.Tensor]:
    """What diffusers' script makes of a folder of Stable Diffusion 2.x whose text encoder has the newest names."""
    start = "cond_stage_model."
    tensors = {name: value for name, value in load_file(tiny.file).items() if not name.startswith(start)}
    text = load_file(tiny.folder / f"{TEXT}.safetensors")
    return tensors | {f"{start}transformer.{name.removeprefix('text_model.')}": value for name, value in text.items()}


@pytest.mark.parametrize("older", [False, True])
def test_a_file_of_sd2_with_the_text_encoders_newest_names_is_sd2(tiny_families, tmp_path, older):
    tiny = tiny_families("sd2")
    tensors = of_current_transformers(tiny)
    if older:  # the last layer, which is not heard, and the names before
        start = "cond_stage_model.transformer."
        last = {n.replace("layers.22", "layers.23"): v.clone() for n, v in tensors.items() if "encoder.layers.22" in n}
        tensors |= last
        tensors = {
            name.replace(start, f"{start}text_model.") if start in name else name: value
            for name, value in tensors.items()
        }
    save_file(tensors, tmp_path / "v2-1.safetensors")
    base, expected = load(tmp_path / "v2-1.safetensors"), load(tiny.folder)
    assert check_model(str(tmp_path / "v2-1.safetensors")) == base.family == "sd2"
    assert base.prediction_type == "v_prediction"
    assert base.fingerprint == expected.fingerprint
    assert base.text_encoder.config.hidden_act == "gelu"
    pictures = [
        np.asarray(render(each, "a cup", {}, [1], RenderConfig(steps=2, width=64, height=64))[0].image, dtype=int)
        for each in (base, expected)
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("sdxl", "EulerDiscreteScheduler"),
        pytest.param("sdxl", "DDIMScheduler", marks=pytest.mark.slow),
        ("sd1", "PNDMScheduler"),
    ],
)
def test_a_folder_whose_scheduler_says_less_draws_what_its_file_draws(tiny_families, tmp_path, family, kind):
    tiny = tiny_families(family)
    folder = Path(shutil.copytree(tiny.folder, tmp_path / "folder"))
    stated = {"_class_name": kind, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(stated))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "scheduler": ["diffusers", kind]}))
    config = RenderConfig(steps=2, width=64, height=64, scheduler="ddim")
    ours, theirs = (
        np.asarray(render(load(path), "a cup", {}, [1], config)[0].image, dtype=int) for path in (folder, tiny.file)
    )
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (f"{UNET}.safetensors.index.json", {"weight_map": None}, "does not say which file each weight is in"),
        (f"{UNET}.safetensors.index.json", {"weight_map": {}}, "does not say which file each weight is in"),
        (f"{UNET}.safetensors.index.json", {"weight_map": {"a": None}}, "does not say which file each weight is in"),
        (f"{UNET}.safetensors.index.json", {"weight_map": {"a": "b.safetensors"}}, r"unet/b\.safetensors is missing"),
        ("model_index.json", {"_class_name": None}, "does not say which pipeline it is of"),
        ("model_index.json", None, "is damaged"),
        ("unet/config.json", [], "is damaged"),
    ],
)
def test_null_where_a_folder_should_say_something(folder, file, content, words):
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ModelError, match=words):
        check_model(str(folder))
