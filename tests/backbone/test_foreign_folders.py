"""Model folders of others: no class but Stable Diffusion's own is ever imported, and no size is taken on trust."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from faceid_cli.backbone import load_base_model
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files import check_model
from faceid_cli.model_files.vocabulary import write_vocabulary


@pytest.fixture
def folder(tiny_model_dir, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("scheduler", ["evil", "EvilScheduler"]),
        ("scheduler", ["diffusers_modules.local.evil", "EvilScheduler"]),
        ("scheduler", ["diffusers", "DiffusionPipeline"]),
        ("unet", ["evil", "UNet2DConditionModel"]),
        ("unet", ["diffusers", "UNet3DConditionModel"]),
        ("vae", ["evil", "AutoencoderKL"]),
        ("text_encoder", ["evil", "CLIPTextModel"]),
        ("text_encoder", ["transformers", "AutoModel"]),
        ("tokenizer", ["evil", "CLIPTokenizer"]),
        ("safety_checker", ["evil", "StableDiffusionSafetyChecker"]),
        ("feature_extractor", ["evil", "CLIPImageProcessor"]),
        ("image_encoder", ["evil", "X"]),
        ("another", ["evil", "X"]),
        ("unet", ["diffusers", "UNet2DConditionModel", "more"]),
        ("unet", [None, "UNet2DConditionModel"]),
        ("unet", {"evil": "X"}),
    ],
)
def test_no_class_of_another_module_is_imported(folder, tmp_path, monkeypatch, part, said) -> None:
    for place in (tmp_path, folder, folder / "scheduler", folder / "unet"):
        (place / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass EvilScheduler: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    change(folder / "model_index.json", **{part: said})
    for look in (check_model, load_base_model):
        with pytest.raises(UnsupportedModelError, match="no part of a Stable Diffusion"):
            look(str(folder))
    assert "evil" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_what_others_write_into_the_index_is_still_read(folder) -> None:
    change(
        folder / "model_index.json",
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        feature_extractor=["transformers", "CLIPFeatureExtractor"],
        tokenizer=["transformers", "CLIPTokenizerFast"],
        scheduler=["diffusers", "PNDMScheduler"],
        force_zeros_for_empty_prompt=True,
    )
    assert check_model(str(folder)) == "sd1"


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("unet/config.json", "layers_per_block", 10**9),
        ("unet/config.json", "layers_per_block", [2, 10**9]),
        ("unet/config.json", "block_out_channels", [8] * 1000),
        ("unet/config.json", "cross_attention_dim", 10**12),
        ("vae/config.json", "layers_per_block", 5000),
        ("text_encoder/config.json", "num_hidden_layers", 10**6),
        ("text_encoder/config.json", "max_position_embeddings", 10**10),
        ("scheduler/scheduler_config.json", "num_train_timesteps", 10**11),
    ],
)
def test_sizes_that_would_fill_the_memory_are_refused(folder, file, key, value) -> None:
    change(folder / file, **{key: value})
    with pytest.raises(ModelError, match=rf"{file} is damaged: {key}"):
        check_model(str(folder))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff{}", b'{"a": NaN}', b"{}" + b" " * (5 << 20), b"", b"7"])
@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"])
def test_damaged_words_of_a_folder_are_one_error_that_names_the_file(folder, file, content) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        check_model(str(folder))
    assert file.rpartition("/")[2] in caught.value.message


def test_a_list_of_shards_cannot_lead_out_of_its_folder(folder) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "weights.safetensors")
    index = {"metadata": {}, "weight_map": {"conv_in.weight": "../weights.safetensors"}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="does not say which file each weight is in"):
        check_model(str(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer/tokenizer_config.json", b"[]"),
        ("tokenizer/vocab.json", b'{"a": "b"}'),
        ("tokenizer/merges.txt", b"\xff\xfe"),
        ("scheduler/scheduler_config.json", b'{"beta_schedule": 7}'),
        ("unet/config.json", b'{"down_block_types": 5}'),
        ("text_encoder/config.json", b'{"hidden_size": "x"}'),
    ],
)
def test_what_only_the_libraries_notice_is_one_error_that_names_the_folder(folder, file, content) -> None:
    if not (folder / file).exists():  # most folders have this layout, which transformers no longer writes
        (folder / "tokenizer" / "tokenizer.json").unlink()
        write_vocabulary(folder / "tokenizer")
    if content.startswith(b"{") and file.endswith("config.json"):
        change(folder / file, **json.loads(content))
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=str(folder)):
        load_base_model(str(folder), "cpu", "float32")
