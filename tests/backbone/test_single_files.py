"""Single files: pickles, half precision, VAEs and LoRAs, hub ids, and everything that is not what it should be."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from faceid_cli.backbone import load_base_model
from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept import paths
from faceid_cli.model_files import check_model, fingerprint_of
from faceid_cli.model_files.file_hashes import sha256_of
from faceid_cli.model_files.vocabulary import write_vocabulary
from faceid_cli.orders import ModelOptions


@pytest.fixture
def tensors(tiny_families) -> dict[str, torch.Tensor]:
    return load_file(tiny_families("sd1").file)


def load(path: Path, **options: object) -> object:
    return load_base_model(str(path), "cpu", "float32", ModelOptions(**options))


def test_the_vocabulary_is_clips(tmp_path):
    write_vocabulary(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    assert len(vocabulary) == 49408
    known = {"!": 0, "photo</w>": 1125, "person</w>": 2533, "<|startoftext|>": 49406, "<|endoftext|>": 49407}
    assert {word: vocabulary[word] for word in known} == known


def test_the_names_are_those_that_diffusers_makes_of_them(tiny_families, tensors):
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    base = load(tiny_families("sd1").file)
    unet = convert_ldm_unet_checkpoint(dict(tensors), dict(base.unet.config))
    vae = convert_ldm_vae_checkpoint(dict(tensors), dict(base.pipeline.vae.config))
    for theirs, ours in ((unet, base.unet.state_dict()), (vae, base.pipeline.vae.state_dict())):
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[name].reshape(value.shape), value) for name, value in ours.items())


def test_a_ckpt_file_is_the_same_model(tiny_families, tensors, tmp_path):
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "model.ckpt")
    base = load(tmp_path / "model.ckpt")
    assert base.fingerprint == fingerprint_of(str(tiny_families("sd1").file))
    expected = load(tiny_families("sd1").file).unet.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in base.unet.state_dict().items())


def test_a_file_s_own_digest_is_worked_out_on_the_way(tmp_path, tiny_families) -> None:
    """Pictures tell it; a second pass over 7 GB would take as long as the first."""
    file = tmp_path / "model.safetensors"
    shutil.copy(tiny_families("sd1").file, file)
    fingerprint_of(str(file))
    remembered = paths.fingerprints_file().read_text()
    assert sha256_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert paths.fingerprints_file().read_text() == remembered, "it was known"


def test_a_ckpt_file_that_could_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {}, "callbacks": Evil()}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps({"a": Evil()}))
    for name in ("evil", "plain"):
        with pytest.raises(UnsupportedModelError, match="could run code, and is not loaded"):
            load(tmp_path / f"{name}.ckpt")
    assert not (tmp_path / "ran").exists()


def test_half_precision_files_are_computed_in_float32(tensors, tmp_path):
    save_file({name: value.half() for name, value in tensors.items()}, tmp_path / "half.safetensors")
    assert {weight.dtype for weight in load(tmp_path / "half.safetensors").unet.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("marker", "expected"),
    [("nothing", "v_prediction"), ("name", "epsilon"), ("yaml", "epsilon"), ("metadata", "epsilon")],
)
def test_what_sd2_predicts_is_told_by_what_lies_beside(tiny_families, tmp_path, marker, expected):
    path = tmp_path / ("v2-base.safetensors" if marker == "name" else "v2.safetensors")
    shutil.copy(tiny_families("sd2").file, path)
    if marker == "yaml":
        path.with_suffix(".yaml").write_text("model:\n  params:\n    linear_start: 0.00085\n")
    if marker == "metadata":
        save_file(load_file(path), path, {"modelspec.prediction_type": "epsilon"})
    base = load(path)
    assert base.prediction_type == expected
    assert base.size_px == (768 if expected == "v_prediction" else 512)


def test_a_marker_among_the_weights_makes_xl_predict_velocity(tiny_families, tmp_path):
    extra = {"v_pred": torch.zeros(()), "ztsnr": torch.zeros(())}
    save_file(load_file(tiny_families("sdxl").file) | extra, tmp_path / "v.safetensors")
    base = load(tmp_path / "v.safetensors")
    assert base.prediction_type == "v_prediction"
    assert base.pipeline.scheduler.config.rescale_betas_zero_snr
    assert base.pipeline.scheduler.config.timestep_spacing == "trailing"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.diffusion_model.joint_blocks.0.x_block.attn.proj.weight", "is Stable Diffusion 3"),
        ("double_blocks.0.img_attn.qkv.weight", "is Flux"),
        ("conditioner.embedders.0.model.ln_final.weight", "is the refiner of Stable Diffusion XL"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "is a LoRA, not a base model"),
        ("model.diffusion_model.input_blocks.0.0.weight", "holds a UNet without its text encoder"),
        ("edm_mean", r"was trained for another kind of noise \(EDM\)"),
        ("something.else", "is not a Stable Diffusion checkpoint"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, name, message):
    save_file({name: torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        load(tmp_path / "x.safetensors")
    assert caught.value.hint
    assert caught.value.exit_code == 5


def test_damaged_and_incomplete_files(tiny_families, tensors, tmp_path):
    whole = tiny_families("sd1").file.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="is damaged: the file is cut off"):
        load(tmp_path / "cut.safetensors")
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="is damaged"):
        load(tmp_path / "cut.ckpt")
    del tensors["model.diffusion_model.middle_block.1.proj_in.weight"]
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(ModelError, match=r"does not fit a UNet2DConditionModel.*proj_in"):
        load(tmp_path / "less.safetensors")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(UnsupportedModelError, match=r"neither a \.safetensors nor a \.ckpt"):
        load(tmp_path / "x.gguf")


def test_a_file_without_vae_takes_another(tiny_families, tensors, tmp_path):
    vae = {name.removeprefix("first_stage_model."): value for name, value in tensors.items() if "first_stage" in name}
    save_file(
        {name: value for name, value in tensors.items() if "first_stage" not in name}, tmp_path / "no.safetensors"
    )
    save_file(vae, tmp_path / "vae.safetensors")
    with pytest.raises(ModelError, match="has no VAE of its own") as caught:
        load(tmp_path / "no.safetensors")
    assert caught.value.hint == "give one with --vae FILE"
    expected = load(tiny_families("sd1").file).pipeline.vae.state_dict()
    for source in (tmp_path / "vae.safetensors", tiny_families("sd1").file, tiny_families("sd1").folder):
        base = load(tmp_path / "no.safetensors", vae=str(source))
        assert all(torch.equal(value, expected[name]) for name, value in base.pipeline.vae.state_dict().items())
        assert base.additions[0].startswith(f"vae {source.name} ")
    with pytest.raises(ModelNotFoundError, match="no VAE at"):
        load(tiny_families("sd1").folder, vae=str(tmp_path / "none"))


def lora_file(path: Path, width: int, kohya: bool) -> torch.Tensor:
    """Write a LoRA of rank 2 on one `to_k`, and return what it adds at scale 1."""
    down, up = torch.randn(2, width), torch.randn(64, 2)
    layer = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    if kohya:
        name = f"lora_unet_{layer.replace('.', '_')}"
        tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}
    else:
        tensors = {f"unet.{layer}.lora_A.weight": down, f"unet.{layer}.lora_B.weight": up}
    save_file(tensors, path)
    return up @ down * (0.5 if kohya else 1.0)


@pytest.mark.parametrize("kohya", [True, False])
def test_loras_are_merged_into_the_weights(tiny_families, tmp_path, kohya):
    pytest.importorskip("peft")
    added = lora_file(tmp_path / "a.safetensors", 32, kohya)
    plain = load(tiny_families("sd1").folder)
    base = load(tiny_families("sd1").folder, loras=(f"{tmp_path / 'a.safetensors'}:0.5",))
    name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    difference = base.unet.state_dict()[name] - plain.unet.state_dict()[name]
    assert torch.allclose(difference, 0.5 * added, atol=1e-5)
    assert base.unet.state_dict().keys() == plain.unet.state_dict().keys()
    assert base.fingerprint == plain.fingerprint
    assert base.additions[0].startswith("lora a.safetensors ")
    assert base.additions[0].endswith(" 0.5")


def test_loras_that_do_not_fit(tiny_families, tmp_path):
    pytest.importorskip("peft")
    lora_file(tmp_path / "xl.safetensors", 96, True)
    folder = tiny_families("sd1").folder
    with pytest.raises(UnsupportedModelError, match=r"made for another family: for text of width 96.* is 32"):
        load(folder, loras=(str(tmp_path / "xl.safetensors"),))
    with pytest.raises(UnsupportedModelError, match="is not a LoRA"):
        load(folder, loras=(str(tiny_families("sd1").file),))
    with pytest.raises(ModelNotFoundError, match="no LoRA at"):
        load(folder, loras=("nothing.safetensors:0.7",))
    (tmp_path / "a.pt").write_bytes(b"\x80\x04")
    with pytest.raises(UnsupportedModelError, match="pickles can run code"):
        load(folder, loras=(str(tmp_path / "a.pt"),))


def test_a_variant_is_chosen_by_name(tiny_families, tmp_path):
    folder = shutil.copytree(tiny_families("sd1").folder, tmp_path / "both")
    with pytest.raises(ModelNotFoundError, match=r"unet/diffusion_pytorch_model\.fp16\.safetensors is missing"):
        load(folder, variant="fp16")
    pipeline = load(folder).pipeline
    for module in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
        torch.nn.Module.to(module, torch.float16)
    pipeline.save_pretrained(folder, variant="fp16")
    plain, half = load(folder), load(folder, variant="fp16")
    assert plain.fingerprint != half.fingerprint
    weight = plain.unet.conv_in.weight
    assert torch.equal(half.unet.conv_in.weight, weight.half().float())
    assert not torch.equal(half.unet.conv_in.weight, weight)


@pytest.fixture
def hub_cache(tiny_families, tmp_path, monkeypatch) -> Path:
    """A folder that poses as the hub's cache, with one model of one revision."""
    repository = tmp_path / "hub" / "models--someone--tiny"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(tiny_families("sd1").folder, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    (repository / "refs" / "v2").write_text("a" * 40)
    import diffusers

    original = diffusers.DiffusionPipeline.download.__func__  # where its cache is, it asks only when it is imported
    moved = classmethod(lambda cls, *given, **named: original(cls, *given, cache_dir=str(tmp_path / "hub"), **named))
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", moved)
    return snapshot


def test_a_cached_hub_model_loads_offline(hub_cache, tiny_families):
    expected = fingerprint_of(str(tiny_families("sd1").folder))
    assert fingerprint_of("someone/tiny") == fingerprint_of("someone/tiny@v2") == expected
    with pytest.raises(ModelNotFoundError, match="someone/tiny@v3 is not in the local cache"):
        check_model("someone/tiny@v3")
    (hub_cache / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match=r"vae/diffusion_pytorch_model\.safetensors is missing") as caught:
        check_model("someone/tiny")
    assert "hf download someone/tiny" in caught.value.hint


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_in_half_precision_are_cast_where_they_are_used(tiny_families, tensors, tmp_path, precision):
    """In the file's own type they are mapped, not copied, and a GPU casts them sooner than the CPU does."""
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    schedule = {"alphas_cumprod": torch.ones(1000), "model_ema.decay": torch.ones(())}
    save_file(half | schedule, tmp_path / "half.safetensors")
    base = load_base_model(str(tmp_path / "half.safetensors"), "cpu", precision)
    dtype = getattr(torch, precision)
    expected = load(tiny_families("sd1").file)
    for part in ("unet", "text_encoder", "vae"):
        cast = getattr(base.pipeline, part).state_dict()
        for name, value in getattr(expected.pipeline, part).state_dict().items():
            assert cast[name].dtype == dtype or not value.is_floating_point()
            assert torch.equal(cast[name], value.half().to(dtype) if value.is_floating_point() else value)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not tell what is mapped")
def test_weights_of_the_wanted_type_stay_in_the_file(tiny_families):
    """So a model of 7 GB takes no memory twice, and is there at once."""
    file = tiny_families("sd1").file
    base = load(file)
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    places = [tuple(int(end, 16) for end in line[0].split("-")) for line in lines if line[-1] == str(file)]
    weights = [weight.data_ptr() for weight in base.unet.parameters()]
    in_file = [place for place in weights if any(start <= place < end for start, end in places)]
    assert len(in_file) == len(weights) > 100


def test_what_is_merged_is_merged_in_the_type_that_is_worked_in(tiny_families, tensors, tmp_path):
    """Rounded to half precision before and after, a LoRA of little weight would be lost."""
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(half, tmp_path / "half.safetensors")
    name, layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", "to_q"
    wide = load(tiny_families("sd1").file).unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    width = getattr(wide, layer).weight.shape[0]
    lora = {f"{name}.lora_up.weight": torch.full((width, 1), 1e-3), f"{name}.lora_down.weight": torch.ones(1, width)}
    save_file(lora, tmp_path / "lora.safetensors")
    found = load(tmp_path / "half.safetensors", loras=(f"{tmp_path / 'lora.safetensors'}:0.001",))
    merged = found.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q.weight
    assert torch.allclose(merged - wide.to_q.weight.half().float(), torch.full_like(merged, 1e-6), atol=2e-7)
