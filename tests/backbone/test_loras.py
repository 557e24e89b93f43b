"""LoRA files as trainers write them: every layer they hold is merged, by its own scale, or the user hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.errors import UnsupportedModelError
from faceid_cli.orders import ModelOptions

pytest.importorskip("peft")

CROSS = "mid_block.attentions.0.transformer_blocks.0"
TEXT = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")
LAYERS = {
    "unet": (f"{CROSS}.attn1.to_q", f"{CROSS}.attn2.to_k", f"{CROSS}.attn2.to_out.0", f"{CROSS}.ff.net.0.proj"),
    "text_encoder": tuple(f"encoder.layers.0.{part}" for part in TEXT),
    "text_encoder_2": tuple(f"encoder.layers.1.{part}" for part in TEXT),
}
# What comes before a layer's name in kohya's files: of Stable Diffusion 1.x and 2.x, and of XL.
KOHYA = {
    "sd1": {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"},
    "sdxl": {
        "unet": "lora_unet_",
        "text_encoder": "lora_te1_text_model_",
        "text_encoder_2": "lora_te2_text_model_",
    },
}
IN_XL = "middle_block_1_transformer_blocks_0"  # kohya counts XL's blocks as its first implementation does


def load(folder: Path, *loras: str) -> BaseModel:
    return load_base_model(str(folder), "cpu", "float32", ModelOptions(loras=loras or None))


def weights(base: BaseModel) -> dict[str, torch.Tensor]:
    """Of UNet and text encoders, by part and name."""
    parts = {"unet": base.unet, **{encoder.name: encoder.module for encoder in base.encoders}}
    return {
        f"{part} {name.removeprefix('text_model.')}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }


def adapter(base: BaseModel, family: str, layout: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A LoRA on some layers of every part: (the file's tensors, what each adds to a weight at scale 1)."""
    generator = torch.Generator().manual_seed(4)
    tensors: dict[str, torch.Tensor] = {}
    added: dict[str, torch.Tensor] = {}
    known = weights(base)
    for part, prefix in KOHYA[family].items():
        for index, layer in enumerate(LAYERS[part]):
            weight = known[f"{part} {layer}.weight"]
            rows, columns = weight.flatten(1).shape
            rank = 2 + index % 2 if layout == "kohya" else 2
            down, up = (torch.randn(shape, generator=generator) for shape in ((rank, columns), (rows, rank)))
            if layout == "kohya":
                name = layer.replace(CROSS, IN_XL) if family == "sdxl" else layer
                name = f"{prefix}{name.replace('.', '_')}"
                alpha = 1.0 + index
                tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
                tensors[f"{name}.alpha"] = torch.tensor(alpha)
                added[f"{part} {layer}.weight"] = alpha / rank * up @ down
            else:
                name = f"{part}.{layer}" if part == "unet" else f"{part}.text_model.{layer}"
                tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
                added[f"{part} {layer}.weight"] = up @ down
    return tensors, added


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_every_layer_of_a_lora_is_merged_by_its_own_scale(tiny_families, tmp_path, family, layout):
    folder = tiny_families(family).folder
    plain = load(folder)
    tensors, added = adapter(plain, family, layout)
    save_file(tensors, tmp_path / "a.safetensors")
    base = load(folder, f"{tmp_path / 'a.safetensors'}:0.5", f"{tmp_path / 'a.safetensors'}:-0.25")
    assert base.notes == ()
    assert len(base.additions) == 2
    before, after = weights(plain), weights(base)
    assert before.keys() == after.keys()
    for name, value in after.items():
        expected = before[name] + 0.25 * added[name].view(value.shape) if name in added else before[name]
        assert torch.allclose(value, expected, atol=1e-4), name


def test_layers_that_do_not_fit_are_told(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    tensors, _ = adapter(load(folder), "sd1", "diffusers")
    strange = {f"transformer.blocks.0.attn.lora_{side}.weight": torch.zeros(2, 2) for side in "AB"}
    save_file({**tensors, **strange}, tmp_path / "a.safetensors")
    notes = load(folder, str(tmp_path / "a.safetensors")).notes
    assert notes == ("LoRA a.safetensors: 1 of its 11 parts do not fit and are left out",)


@pytest.mark.parametrize("prefix", ["transformer.single_transformer_blocks.0.", "base_model.model.", "lora_unet_x_"])
def test_a_lora_of_which_nothing_fits_is_refused(tiny_families, tmp_path, prefix, capfd):
    save_file(
        {f"{prefix}attn.to_q.lora_{side}.weight": torch.zeros(2, 2) for side in ("A", "B")},
        tmp_path / "flux.safetensors",
    )
    with pytest.raises(UnsupportedModelError, match=r"flux\.safetensors does not fit the base model"):
        load(tiny_families("sd1").folder, str(tmp_path / "flux.safetensors"))
    assert capfd.readouterr() == ("", "")
