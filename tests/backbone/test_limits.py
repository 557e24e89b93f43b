"""What weight files claim is checked before anything of that size is made room for; what is damaged is one error."""

import io
import json
import os
import zipfile

import pytest
import torch
from safetensors.torch import save

from faceid_cli.backbone.lora import merge_lora
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files.controlnet_file import read_controlnet_file
from faceid_cli.model_files.single_file import read_single_file
from faceid_cli.model_files.weight_file import open_weight_file, read_pickled_weights

UNET, TEXT = "model.diffusion_model.", "cond_stage_model.transformer."


def table(path, header, size=0):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(size))
    return path


def test_a_list_of_tensors_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "x.safetensors", "wb") as file:
        file.write((6 << 30).to_bytes(8, "little") + b"{")
        file.truncate((6 << 30) + 100)  # takes no room on the disk
    with pytest.raises(ModelError, match="its list of tensors has 6442450944 bytes"):
        open_weight_file(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0]},
        {"dtype": "F32", "shape": [1], "data_offsets": {"0": 4}},
        {"dtype": None, "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1] * 100, "data_offsets": [0, 4]},
        [],
        "x",
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_refused(tmp_path, entry):
    with pytest.raises(ModelError, match=r"weight file .*x.safetensors is damaged: .*'a'"):
        open_weight_file(table(tmp_path / "x.safetensors", {"a": entry}, 8))


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"a":' * 100_000, b'{"\\ud800": {}}', b'{"a": NaN}'])
def test_a_list_of_tensors_that_nests_without_end_is_refused(tmp_path, text):
    with pytest.raises(ModelError, match="is damaged"):
        open_weight_file(table(tmp_path / "x.safetensors", text))


@pytest.mark.parametrize(
    "name", [f"{UNET}input_blocks.999999999.0.in_layers.0.weight", f"{UNET}output_blocks.999999999.0.x"]
)
def test_blocks_without_end_are_refused(tmp_path, name):
    names = {f"{UNET}input_blocks.1.0.out_layers.3.weight": torch.ones(4, 4, 3, 3), name: torch.ones(1)}
    (tmp_path / "x.safetensors").write_bytes(save({**names, f"{TEXT}x": torch.ones(1)}))
    with pytest.raises(ModelError, match=r"x.safetensors is damaged: \w+_blocks.999999999 is a part that no network"):
        read_single_file(tmp_path / "x.safetensors")
    control = {name.replace(UNET, "control_model."): tensor for name, tensor in names.items()}
    control["control_model.zero_convs.0.0.weight"] = torch.ones(1)
    (tmp_path / "x.safetensors").write_bytes(save(control))
    with pytest.raises(ModelError, match="is a part that no network has"):
        read_controlnet_file(tmp_path / "x.safetensors")


@pytest.mark.parametrize("parts", [("lora_up", "lora_down"), ("lokr_w1", "lokr_w2"), ("hada_w1_a", "hada_w1_b")])
def test_a_lora_of_small_factors_with_a_product_of_any_size_is_refused(tiny_base, tmp_path, parts):
    layer = next(name for name, _ in tiny_base.unet.named_modules() if name.endswith("attn2.to_k"))
    size, ends = 300_000, [".weight" if part.startswith("lora") else "" for part in parts]  # 360 gigabytes as a product
    shapes = {part: (size, 1) if index == 0 else (1, size) for index, part in enumerate(parts)}
    if parts[0].startswith("hada"):
        shapes |= {"hada_w2_a": (size, 1), "hada_w2_b": (1, size)}
        ends += ["", ""]
    name = "lora_unet_" + layer.replace(".", "_")
    tensors = {
        f"{name}.{part}{end}": torch.ones(shape) for (part, shape), end in zip(shapes.items(), ends, strict=True)
    }
    (tmp_path / "x.safetensors").write_bytes(save(tensors))
    with pytest.raises(UnsupportedModelError, match="does not fit the base model"):
        merge_lora(tiny_base.pipeline, tmp_path / "x.safetensors", 1.0)


@pytest.mark.parametrize("shape", [(), (4,), (0, 4)])
def test_a_lora_of_odd_shapes_is_one_error_that_names_it(tiny_base, tmp_path, shape):
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{name}.lora_{side}.weight": torch.ones(shape) for side in ("up", "down")}
    (tmp_path / "x.safetensors").write_bytes(save(tensors))
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        merge_lora(tiny_base.pipeline, tmp_path / "x.safetensors", 1.0)


def pickled(path, content, new=True):
    torch.save(content, path, _use_new_zipfile_serialization=new)
    return path


@pytest.mark.parametrize("new", [True, False])
def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path, new):
    huge = torch.ones(1).expand(10**11)
    with pytest.raises(ModelError, match="claims to be larger than what is in the file"):
        read_pickled_weights(pickled(tmp_path / "x.ckpt", {"a": huge}, new))
    with pytest.raises(ModelError, match="is no plain tensor"):
        read_pickled_weights(pickled(tmp_path / "x.ckpt", {"a": torch.eye(2).to_sparse()}, new))
    assert read_pickled_weights(pickled(tmp_path / "x.ckpt", {"a": torch.ones(3, 2).t()}, new))["a"].shape == (2, 3)


def test_a_packed_pickle_is_not_unpacked(tmp_path):
    stream = io.BytesIO()
    torch.save({"a": torch.ones(2)}, stream)
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(tmp_path / "x.ckpt", "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry) + bytes(10**6))
    with pytest.raises(ModelError, match=r"x\.ckpt is damaged: it is packed"):
        read_pickled_weights(tmp_path / "x.ckpt")


def test_pipes_are_not_waited_for(tmp_path):
    for name in ("x.safetensors", "x.ckpt"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(ModelError, match="it is not a file"):
        open_weight_file(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="it is not a file"):
        read_pickled_weights(tmp_path / "x.ckpt")
