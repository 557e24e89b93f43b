"""Kinds of LoRA: each changes the weights by the rule of the program that writes it."""

from __future__ import annotations

import pytest
import torch

from tests.backbone.lora_files import CONV, CROSS, QUERY, WIDER, changes, kohya, load, merged, plain, random, weights


def kinds() -> dict[str, tuple[str, dict[str, torch.Tensor], torch.Tensor]]:
    """Of each kind of change: a layer, its tensors, and what they add at scale 1; the alpha is always 3."""
    down, up, core = random(4, 64), random(64, 4), random(4, 4, 3, 3)
    w1a, w1b, w2a, w2b = random(64, 2), random(2, 64), random(64, 2) * 2, random(2, 64) * 0.5
    small, large, left, right = random(4, 4), random(16, 16), random(16, 2), random(2, 16)
    t1, t2 = random(2, 2, 3, 3), random(2, 2, 3, 3) * 2
    conv = {"hada_w1_a": random(2, 64), "hada_w1_b": w1b, "hada_t1": t1}
    conv |= {"hada_w2_a": random(2, 64) * 3, "hada_w2_b": w2b, "hada_t2": t2}
    rebuilt = [
        torch.stack([torch.stack([a.t() @ t[:, :, y, x] @ b for x in range(3)], -1) for y in range(3)], -2)
        for a, t, b in ((conv["hada_w1_a"], t1, w1b), (conv["hada_w2_a"], t2, w2b))
    ]
    cp = torch.stack([torch.stack([up @ core[:, :, y, x] @ down for x in range(3)], -1) for y in range(3)], -2)
    return {
        "LoCon": (
            CONV,
            {"lora_down.weight": random(4, 64, 3, 3), "lora_up.weight": up[:, :, None, None]},
            torch.einsum("or,ripq->oipq", up, random(4, 64, 3, 3)) * 0.75,
        ),
        "LoCon with a core": (
            CONV,
            {
                "lora_down.weight": down[:, :, None, None],
                "lora_up.weight": up[:, :, None, None],
                "lora_mid.weight": core,
            },
            cp * 0.75,
        ),
        "LoHa": (
            QUERY,
            {"hada_w1_a": w1a, "hada_w1_b": w1b, "hada_w2_a": w2a, "hada_w2_b": w2b},
            (w1a @ w1b) * (w2a @ w2b) * 1.5,
        ),
        "LoHa with cores": (CONV, conv, rebuilt[0] * rebuilt[1] * 1.5),
        "LoKr, whole": (QUERY, {"lokr_w1": small, "lokr_w2": large}, torch.kron(small, large)),
        "LoKr": (
            QUERY,
            {"lokr_w1": small, "lokr_w2_a": left, "lokr_w2_b": right},
            torch.kron(small, left @ right) * 1.5,
        ),
        "LoKr of a convolution": (
            CONV,
            {"lokr_w1": small, "lokr_w2": random(16, 16, 3, 3)},
            torch.einsum("ab,cdyx->acbdyx", small, random(16, 16, 3, 3)).reshape(64, 64, 3, 3),
        ),
        "difference": (QUERY, {"diff": random(64, 64)}, random(64, 64)),
    }


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_change_is_merged_by_its_rule(tiny_families, tmp_path, kind):
    layer, tensors, expected = kinds()[kind]
    folder = tiny_families("sd1").folder
    named = {f"{kohya(layer)}.{end}": value for end, value in tensors.items()}
    named[f"{kohya(layer)}.alpha"] = torch.tensor(3.0)
    base = merged(folder, tmp_path / "a.safetensors", named, 0.5)
    found = changes(plain(folder), base)
    assert list(found) == [f"unet {layer}.weight"]
    assert torch.allclose(found[f"unet {layer}.weight"], 0.5 * expected, atol=1e-3)
    assert base.notes == ()


def test_differences_of_norms_and_biases_are_merged(tiny_families, tmp_path):
    folder = tiny_families("sd1").folder
    norm, out = f"{CROSS}.norm1", f"{CROSS}.attn1.to_out.0"
    tensors = {f"{kohya(norm)}.w_norm": random(64), f"{kohya(norm)}.b_norm": random(64) * 2}
    tensors |= {f"{kohya(out)}.diff": random(64, 64), f"{kohya(out)}.diff_b": random(64) * 3}
    found = changes(plain(folder), merged(folder, tmp_path / "a.safetensors", tensors, 0.5))
    expected = {
        f"unet {norm}.weight": random(64) / 2,
        f"unet {norm}.bias": random(64),
        f"unet {out}.weight": random(64, 64) / 2,
        f"unet {out}.bias": random(64) * 1.5,
    }
    assert found.keys() == expected.keys()
    assert all(torch.allclose(value, expected[name], atol=1e-5) for name, value in found.items())


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [
        (WIDER, (1, 64), 0),
        (WIDER, (512, 1), 1),
        pytest.param(QUERY, (1, 64), 0, marks=pytest.mark.slow),
        pytest.param(QUERY, (64, 1), 1, marks=pytest.mark.slow),
        (CONV, (1, 64, 1, 1), 0),
    ],
)
def test_a_dora_of_lycoris_is_merged_with_its_magnitudes(tiny_families, tmp_path, layer, shape, axis):
    folder = tiny_families("sd1").folder
    before = plain(folder)
    weight = weights(before)[f"unet {layer}.weight"]
    down, up = random(2, *weight.shape[1:]), random(len(weight), 2, *(1,) * (weight.ndim - 2))
    change = (up.flatten(1) @ down.flatten(1)).view(weight.shape) / 2
    magnitude = random(*shape).abs() + 0.5
    changed = weight + change
    axes = [1, *range(2, weight.ndim)] if axis else [0, *range(2, weight.ndim)]
    expected = changed * magnitude / changed.square().sum(axes, keepdim=True).sqrt()
    tensors = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(1.0), "dora_scale": magnitude}
    named = {f"{kohya(layer)}.{end}": value for end, value in tensors.items()}
    for scale in (1.0, 0.25):
        base = merged(folder, tmp_path / "a.safetensors", named, scale)
        found = weights(base)[f"unet {layer}.weight"] - weight
        assert torch.allclose(found, scale * (expected - weight), atol=1e-4)
        assert base.notes == ()


def test_a_dora_of_diffusers_is_what_peft_makes_of_it_in_the_text_encoder_too(tiny_families, tmp_path):
    pytest.importorskip("peft")
    from diffusers import StableDiffusionPipeline

    folder = tiny_families("sd1").folder
    query = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    tensors = {}
    for layer, width in ((f"unet.{QUERY}", 64), (f"unet.{CONV}", 64), (query, 32)):
        kernel = (3, 3) if layer.endswith("conv1") else ()
        tensors[f"{layer}.lora_A.weight"] = random(2, width, *kernel)
        tensors[f"{layer}.lora_B.weight"] = random(width, 2, *(1 for _ in kernel))
        shape = (1, width, 1, 1) if kernel else (width,)
        tensors[f"{layer}.lora_magnitude_vector"] = random(*shape).abs() + 0.5
    base = merged(folder, tmp_path / "a.safetensors", tensors)
    stock = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    stock.load_lora_weights(str(tmp_path), weight_name="a.safetensors")
    stock.fuse_lora(components=["unet"])
    stock.unload_lora_weights()
    found, unet = weights(base), stock.unet.state_dict()
    for layer in (QUERY, CONV):
        assert torch.allclose(found[f"unet {layer}.weight"], unet[f"{layer}.weight"], atol=1e-4), layer
    # The libraries leave out the magnitudes of the text encoder, so what is right there is worked out.
    old = weights(load(folder))["text_encoder encoder.layers.0.self_attn.q_proj.weight"]
    changed = old + tensors[f"{query}.lora_B.weight"] @ tensors[f"{query}.lora_A.weight"]
    expected = changed * (tensors[f"{query}.lora_magnitude_vector"] / changed.norm(dim=1))[:, None]
    assert torch.allclose(found["text_encoder encoder.layers.0.self_attn.q_proj.weight"], expected, atol=1e-4)
