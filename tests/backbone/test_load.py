"""Loading base models: what is refused, and what a loaded one promises."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from faceid_cli.backbone import load_base_model, memory_errors
from faceid_cli.errors import ModelError, ModelNotFoundError, OutOfMemoryError, UnsupportedModelError, UsageError
from faceid_cli.kept import paths
from faceid_cli.model_files import fingerprint_of


@pytest.fixture
def model_copy(tiny_model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def change_index(folder: Path, **entries: object) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **entries}))


def test_sizes_come_from_the_model(tiny_base):
    assert tiny_base.family == "sd1"
    assert tiny_base.size_px == 64
    assert tiny_base.latent_channels == 8
    assert tiny_base.text_window == 40
    assert tiny_base.text_width == 32
    assert tiny_base.prediction_type == "v_prediction"
    assert tiny_base.num_train_timesteps == 1000
    assert not tiny_base.is_builtin


def test_everything_is_frozen_and_in_eval_mode(tiny_base):
    for module in (tiny_base.unet, tiny_base.text_encoder, tiny_base.pipeline.vae):
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())
    assert tiny_base.pipeline.safety_checker is None


def test_precision_is_applied_to_every_module(tiny_model_dir):
    base = load_base_model(str(tiny_model_dir), device="cpu", precision="bfloat16")
    for module in (base.unet, base.text_encoder, base.pipeline.vae):
        assert {weight.dtype for weight in module.parameters()} == {torch.bfloat16}
    assert base.dtype == torch.bfloat16


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_half_precision_files_are_computed_in_float32(tiny_base, tmp_path, variant):
    pipeline = tiny_base.pipeline
    for module in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
        torch.nn.Module.to(module, torch.float16)
    pipeline.save_pretrained(tmp_path / "half", variant=variant)
    base = load_base_model(str(tmp_path / "half"), device="cpu")
    for module in (base.unet, base.text_encoder, base.pipeline.vae):
        assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    assert base.fingerprint != tiny_base.fingerprint


def test_loading_prints_nothing(tiny_model_dir, capfd):
    load_base_model(str(tiny_model_dir), device="cpu")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "missing",
    [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "scheduler/scheduler_config.json",
    ],
)
def test_incomplete_folder_names_the_missing_file(model_copy, missing):
    (model_copy / missing).unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        load_base_model(str(model_copy))
    assert missing in caught.value.message


def test_missing_tokenizer_is_named(model_copy):
    shutil.rmtree(model_copy / "tokenizer")
    with pytest.raises(ModelNotFoundError, match=r"tokenizer/vocab\.json is missing"):
        load_base_model(str(model_copy))


def test_missing_folder(tmp_path):
    with pytest.raises(ModelNotFoundError) as caught:
        load_base_model(str(tmp_path / "nowhere"))
    assert caught.value.message == f"no base model at {tmp_path / 'nowhere'}"
    assert caught.value.exit_code == 5


def test_hub_model_that_is_not_cached_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelNotFoundError) as caught:
        load_base_model("nobody/no-such-model")
    assert "nobody/no-such-model is not in the local cache" in caught.value.message
    assert "hf download nobody/no-such-model" in caught.value.hint


@pytest.mark.parametrize("pipeline", ["StableDiffusion3Pipeline", "FluxPipeline", "StableDiffusionXLImg2ImgPipeline"])
def test_other_families_are_refused(model_copy, pipeline):
    change_index(model_copy, _class_name=pipeline)
    with pytest.raises(UnsupportedModelError) as caught:
        load_base_model(str(model_copy))
    assert caught.value.message == f"{model_copy} is a {pipeline}"
    assert "supported are Stable Diffusion 1.x, 2.x and XL" in caught.value.hint
    assert "SD3, Flux and other transformers have no cross-attention" in caught.value.hint


def test_a_model_of_another_kind_of_noise_is_refused(model_copy):
    scheduler = model_copy / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps({"_class_name": "EDMEulerScheduler", "prediction_type": "epsilon"}))
    change_index(model_copy, scheduler=["diffusers", "EDMEulerScheduler"])
    with pytest.raises(UnsupportedModelError, match="was trained for EDMEulerScheduler, another kind of noise"):
        load_base_model(str(model_copy))


def test_an_empty_file_is_no_model(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        load_base_model(str(file))


def test_pickled_weights_are_never_loaded(model_copy):
    (model_copy / "unet/diffusion_pytorch_model.safetensors").unlink()
    (model_copy / "unet/diffusion_pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(UnsupportedModelError, match="only as pickle files"):
        load_base_model(str(model_copy))


def test_inpainting_model_is_refused(model_copy):
    config = model_copy / "vae/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "latent_channels": 4}))
    with pytest.raises((UnsupportedModelError, ModelError)):
        load_base_model(str(model_copy))


def test_cut_off_weights_are_an_error(model_copy):
    weights = model_copy / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelError, match="is damaged: the file is cut off"):
        load_base_model(str(model_copy))


def test_unknown_device_and_precision():
    with pytest.raises(UsageError, match="device 'toaster' cannot be used"):
        load_base_model(device="toaster")
    with pytest.raises(UsageError, match="unknown precision 'int3'"):
        load_base_model(precision="int3", device="cpu")


def test_fingerprint_follows_the_weights_alone(model_copy, tiny_model_dir):
    original = fingerprint_of(str(tiny_model_dir))
    assert original.startswith("sd1:")
    assert len(original) == 20

    weights = model_copy / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file(tensors, weights, {"format": "pt", "comment": "another header"})
    assert fingerprint_of(str(model_copy)) == original

    name = next(iter(tensors))
    tensors[name] = tensors[name] + np.float32(1e-3)
    save_file(tensors, weights, {"format": "pt"})
    assert fingerprint_of(str(model_copy)) != original


def test_fingerprint_is_remembered(model_copy, monkeypatch):
    first = fingerprint_of(str(model_copy))
    assert paths.fingerprints_file().is_file()
    monkeypatch.setattr(
        "faceid_cli.model_files.fingerprint._fingerprint",
        lambda folder, variant: pytest.fail("weights were read again"),
    )
    assert fingerprint_of(str(model_copy)) == first


def test_fingerprint_survives_an_unwritable_home(model_copy, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACEID_HOME", str(tmp_path / "file" / "home"))
    assert fingerprint_of(str(model_copy)).startswith("sd1:")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_every_out_of_memory_becomes_ours(error):
    with pytest.raises(OutOfMemoryError) as caught, memory_errors("buy a bigger one"):
        raise error
    assert caught.value.hint == "buy a bigger one"


def test_out_of_memory_behind_another_error_is_found():
    """Libraries tell of weights that cannot be loaded, and not why."""
    error = OSError("Unable to load weights from checkpoint file")
    error.__context__ = OSError(12, "Cannot allocate memory")
    with pytest.raises(OutOfMemoryError), memory_errors(""):
        raise error


def test_other_runtime_errors_stay():
    with pytest.raises(RuntimeError, match="shapes do not fit"), memory_errors(""):
        raise RuntimeError("shapes do not fit")


def test_threads_load_one_after_the_other(tiny_model_dir):
    """Loading changes libraries for the whole process; two at once left them so, and weights without numbers."""
    with ThreadPoolExecutor(4) as pool:
        bases = list(pool.map(lambda _: load_base_model(str(tiny_model_dir), "cpu", "float32"), range(8)))
    assert {weight.device.type for base in bases for weight in base.unet.parameters()} == {"cpu"}
    first = bases[0].unet.conv_in.weight
    assert all(torch.equal(base.unet.conv_in.weight, first) for base in bases)
