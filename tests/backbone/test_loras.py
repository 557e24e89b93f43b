"""LoRA files as trainers write them: every layer they hold is merged, by its own scale, or the user hears of it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import ModelError, UnsupportedModelError
from faceid_cli.model_files.lora_names import first_name
from tests.backbone.lora_files import CROSS, QUERY, changes, kohya, load, merged, plain, random, weights

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
@pytest.mark.parametrize("family", ["sd1", pytest.param("sdxl", marks=pytest.mark.slow)])
def test_every_layer_of_a_lora_is_merged_by_its_own_scale(tiny_families, tmp_path, family, layout):
    folder = tiny_families(family).folder
    before = plain(folder)
    tensors, added = adapter(before, family, layout)
    save_file(tensors, tmp_path / "a.safetensors")
    base = load(folder, f"{tmp_path / 'a.safetensors'}:0.5", f"{tmp_path / 'a.safetensors'}:-0.25")
    assert base.notes == ()
    assert len(base.additions) == 2
    before, after = weights(before), weights(base)
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


@pytest.mark.parametrize(
    "names",
    [
        ("unet.{0}.lora_down.weight", "unet.{0}.lora_up.weight"),
        ("unet.{0}.lora.down.weight", "unet.{0}.lora.up.weight"),
        ("unet.{0}.lora_linear_layer.down.weight", "unet.{0}.lora_linear_layer.up.weight"),
        ("unet.{1}.processor.to_q_lora.down.weight", "unet.{1}.processor.to_q_lora.up.weight"),
        ("{1}.processor.to_q_lora.down.weight", "{1}.processor.to_q_lora.up.weight"),
        ("unet.{0}.lora_A.default.weight", "unet.{0}.lora_B.default.weight"),
        ("diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.lora_{A}.weight",) * 2,
        ("lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.lora_{D}.weight",) * 2,
    ],
)
def test_a_layer_is_found_by_whatever_name_trainers_gave_it(tiny_families, tmp_path, names):
    folder = tiny_families("sd1").folder
    down, up = random(2, 64), random(64, 2)
    written = [
        name.format(QUERY, QUERY.rpartition(".")[0], A="AB"[index], D=("down", "up")[index])
        for index, name in enumerate(names)
    ]
    base = merged(folder, tmp_path / "a.safetensors", dict(zip(written, (down, up), strict=True)))
    found = changes(plain(folder), base)
    assert list(found) == [f"unet {QUERY}.weight"]
    assert torch.allclose(found[f"unet {QUERY}.weight"], up @ down, atol=1e-5)
    assert base.notes == ()


@pytest.mark.parametrize(
    ("start", "ends"),
    [
        ("lora_te_text_model_encoder_layers_0_self_attn_q_proj", ("lora_down", "lora_up")),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
            ("lora_linear_layer.down", "lora_linear_layer.up"),
        ),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", ("lora_A", "lora_B")),
        ("text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora", ("down", "up")),
        ("text_encoder.encoder.layers.0.self_attn.q_proj", ("lora_down", "lora_up")),
    ],
)
def test_a_lora_of_the_text_encoder_alone_is_merged_and_counted(tiny_families, tmp_path, start, ends):
    folder = tiny_families("sd1").folder
    down, up = random(2, 32), random(32, 2)
    tensors = {f"{start}.{end}.weight": value for end, value in zip(ends, (down, up), strict=True)}
    strange = {name.replace("layers.0", "layers.77").replace("layers_0", "layers_77"): v for name, v in tensors.items()}
    base = merged(folder, tmp_path / "a.safetensors", tensors | strange)
    found = changes(plain(folder), base)
    assert list(found) == ["text_encoder encoder.layers.0.self_attn.q_proj.weight"]
    assert torch.allclose(next(iter(found.values())), up @ down, atol=1e-5)
    assert base.notes == ("LoRA a.safetensors: 1 of its 2 parts do not fit and are left out",)


def test_embeddings_and_other_tensors_beside_a_lora_are_told(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    start = kohya(QUERY)
    tensors = {f"{start}.lora_down.weight": random(2, 64), f"{start}.lora_up.weight": random(64, 2)}
    tensors |= {"bundle_emb.ink.string_to_param.*": random(1, 32), "bundle_emb.pen.v2.clip_l": random(1, 32)}
    tensors |= {"something.else": torch.zeros(1), "lora_te_x.alpha": torch.zeros(())}
    base = merged(folder, tmp_path / "a.safetensors", tensors)
    assert len(changes(plain(folder), base)) == 1
    embeddings, others = base.notes
    assert "the embeddings beside it are left out: ink, pen.v2" in embeddings
    assert others.endswith("2 tensors are no part of a LoRA and left out: lora_te_x.alpha, something.else")


def test_the_scale_that_diffusers_writes_beside_the_weights_is_heard(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    other = f"{CROSS}.attn1.to_k"
    tensors = {}
    for layer in (QUERY, other):
        tensors |= {f"unet.{layer}.lora_A.weight": random(2, 64), f"unet.{layer}.lora_B.weight": random(64, 2)}
    stated = {"unet.r": 2, "unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_k": 1}}
    base = merged(folder, tmp_path / "a.safetensors", tensors, lora_adapter_metadata=json.dumps(stated))
    found = changes(plain(folder), base)
    assert torch.allclose(found[f"unet {QUERY}.weight"], 4 * random(64, 2) @ random(2, 64), atol=1e-4)
    assert torch.allclose(found[f"unet {other}.weight"], 0.5 * random(64, 2) @ random(2, 64), atol=1e-4)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"oft_blocks": (2, 2)}, "is an OFT or BOFT"),
        ({"a1.weight": (2, 2), "b1.weight": (2, 2)}, "is a GLoRA"),
        ({"on_input": ()}, "is an IA3"),
        ({"set_weight": (2, 2)}, "is a LoRA with parts of an unknown kind"),
        ({"lora_down.weight": (2, 64)}, "is incomplete: of lora_unet_x it holds only down"),
        ({"lora_up.weight": (64, 2), "alpha": ()}, "is incomplete: of lora_unet_x it holds only alpha, up"),
        ({"dora_scale": (1, 64)}, "is incomplete"),
        ({"hada_w1_a": (64, 2), "hada_w1_b": (2, 64)}, "is incomplete"),
        ({"alpha": ()}, "is not a LoRA that can be read"),
        ({"weight": (2, 2)}, "is not a LoRA that can be read"),
    ],
)
def test_what_cannot_be_merged_is_named(tiny_families, tmp_path, ends, words):
    tensors = {f"lora_unet_x.{end}": torch.zeros(shape) for end, shape in ends.items()}
    with pytest.raises(ModelError, match=words) as caught:
        merged(tiny_families("sd1").folder, tmp_path / "a.safetensors", tensors)
    assert "renamed" not in caught.value.message
    assert caught.value.hint


def test_layers_of_other_sizes_are_refused_with_both_sizes(tiny_families, tmp_path):
    start = kohya(QUERY)
    tensors = {f"{start}.lora_down.weight": random(2, 128), f"{start}.lora_up.weight": random(128, 2)}
    with pytest.raises(UnsupportedModelError, match=r"changes a weight of 128 x 128, the model's has 64 x 64"):
        merged(tiny_families("sd1").folder, tmp_path / "a.safetensors", tensors)
    tensors = {f"{start}.lora_down.weight": random(2, 64), f"{start}.lora_up.weight": random(64, 2)}
    with pytest.raises(UnsupportedModelError, match="has 7 magnitudes"):
        merged(
            tiny_families("sd1").folder, tmp_path / "a.safetensors", {**tensors, f"{start}.dora_scale": random(1, 7)}
        )


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_layers_have_the_names_of_the_first_implementation(tiny_families, unet_name, family):
    unet = load(tiny_families(family).folder).unet
    names = [name for name, module in unet.named_modules() if isinstance(getattr(module, "weight", None), torch.Tensor)]
    for name in names:
        expected = unet_name(f"{name}.weight", len(unet.config.block_out_channels))
        assert f"model.diffusion_model.{first_name(name, names, 2)}.weight" == expected


def test_safetensors_with_another_ending_and_folders_are_no_pickles(tiny_families, tmp_path):
    save_file({f"{kohya(QUERY)}.lora_down.weight": random(2, 64)}, tmp_path / "a.pt")
    with pytest.raises(UnsupportedModelError, match="is a safetensors file with another ending"):
        load(tiny_families("sd1").folder, str(tmp_path / "a.pt"))
    with pytest.raises(ModelError, match="is a folder, not a LoRA"):
        load(tiny_families("sd1").folder, str(tmp_path))


@pytest.mark.parametrize(("down", "up"), [((), ()), ((2, 64), (64, 3)), ((0, 64), (64, 0)), ((2, 64), (64,))])
def test_halves_that_do_not_fit_each_other_are_named(tiny_families, tmp_path, down, up):
    start = kohya(QUERY)
    tensors = {f"{start}.lora_down.weight": torch.zeros(down), f"{start}.lora_up.weight": torch.zeros(up)}
    tensors[f"{start}.alpha"] = torch.tensor(1.0)
    with pytest.raises(ModelError, match=r"is damaged: the parts of lora_unet_.* do not fit each other"):
        merged(tiny_families("sd1").folder, tmp_path / "a.safetensors", tensors)
