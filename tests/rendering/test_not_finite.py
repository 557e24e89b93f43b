"""NaN and infinity never become a picture: what is broken is named, and the other pictures go on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from faceid_cli.errors import NotFiniteError
from faceid_cli.orders import ModelOptions, RenderConfig
from faceid_cli.rendering.control import Control
from faceid_cli.rendering.generate import render, render_batches
from faceid_cli.tokens import read_embedding
from faceid_cli.types import IdentityTokens, Render

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from faceid_cli.backbone import BaseModel

FAST = RenderConfig(steps=2, batch_size=2)
PROMPT = "a photo of a cup"
BROKEN = [float("nan"), float("inf"), float("-inf")]


def _spoil(weight: torch.Tensor, value: float = float("nan")) -> None:
    with torch.no_grad():
        weight.view(-1)[0] = value


def _lose(base: BaseModel, seeds: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the denoiser overflow for some pictures alone, as it does in half precision."""
    from faceid_cli.rendering import passes

    def drawn(base: BaseModel, seed: int, width: int, height: int) -> Any:
        noise, generator = initial_noise(base, seed, width, height)
        return (noise * float("nan") if seed in seeds else noise), generator

    initial_noise = passes.initial_noise
    monkeypatch.setattr(passes, "initial_noise", drawn)


def _gather(pictures: list[Render], batches: Iterable[list[Render]]) -> None:
    for batch in batches:
        pictures += batch


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("unet", "the UNet's weight conv_in.weight"),
        ("vae", "the VAE's weight post_quant_conv.weight"),
        ("text_encoder", "the text encoder's weight"),
    ],
)
def test_a_broken_weight_of_the_checkpoint_is_named(tiny_base: BaseModel, part: str, name: str, value: float) -> None:
    network = getattr(tiny_base.pipeline, part)
    weights = {"unet": "conv_in.weight", "vae": "post_quant_conv.weight"}
    # Until transformers 5.5 a text encoder's layers were one level further down.
    text = getattr(network, "text_model", network)
    chosen = network.state_dict()[weights[part]] if part in weights else text.final_layer_norm.weight
    _spoil(chosen, value)
    with pytest.raises(NotFiniteError, match=name) as raised:
        render(tiny_base, PROMPT, {}, [1], FAST)
    assert "download the model again" in str(raised.value.hint)


def test_a_broken_encoder_of_the_vae_is_named_where_it_is_used(tiny_base: BaseModel) -> None:
    _spoil(tiny_base.pipeline.vae.encoder.conv_in.weight)
    assert len(render(tiny_base, PROMPT, {}, [1], FAST)) == 1
    with pytest.raises(NotFiniteError, match=r"the VAE's weight encoder\.conv_in\.weight"):
        render(tiny_base, PROMPT, {}, [1], FAST, init=Image.new("RGB", (64, 64)))


def test_the_other_pictures_go_on_and_the_error_names_those_that_failed(
    tiny_base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {seed: np.asarray(render(tiny_base, PROMPT, {}, [seed], FAST)[0].image).astype(int) for seed in (1, 3, 5)}
    _lose(tiny_base, {2, 4}, monkeypatch)
    pictures: list[Render] = []
    with pytest.raises(NotFiniteError, match=r"2 of 5 pictures, seed 2, 4: .*the UNet's numbers grow"):
        _gather(pictures, render_batches(tiny_base, PROMPT, {}, [1, 2, 3, 4, 5], FAST))
    found = {picture.request.seed: np.asarray(picture.image).astype(int) for picture in pictures}
    assert sorted(found) == [1, 3, 5]
    assert all(np.abs(found[seed] - alone[seed]).max() <= 2 for seed in found)


def test_a_second_pass_is_rendered_of_the_pictures_that_are_left(
    tiny_base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lose(tiny_base, {2}, monkeypatch)
    found: list[Render] = []
    with pytest.raises(NotFiniteError, match="1 of 2 pictures, seed 2"):
        _gather(found, render_batches(tiny_base, PROMPT, {}, [1, 2], replace(FAST, hires=1.5)))
    assert [(picture.request.seed, picture.image.size) for picture in found] == [(1, (96, 96))]


def test_broken_weights_stop_at_the_first_batch(tiny_base: BaseModel) -> None:
    _spoil(tiny_base.unet.conv_in.weight)
    steps: list[int] = []
    with pytest.raises(NotFiniteError, match=r"conv_in\.weight"):
        render(tiny_base, PROMPT, {}, range(20), FAST, on_progress=lambda done, total: steps.append(done))
    assert max(steps) == FAST.steps


def test_a_vae_that_overflows_in_half_precision_is_run_in_float32(tiny_model_dir: Path) -> None:
    """The decoder's last convolution gets numbers beyond 65504, which its weights bring down again."""
    from faceid_cli.backbone import load_base_model

    pictures = {}
    for precision in ("float32", "float16"):
        base = load_base_model(str(tiny_model_dir), "cpu", precision)
        vae, original = base.pipeline.vae, base.pipeline.vae.decoder.conv_in.weight.clone()
        with torch.no_grad():
            vae.post_quant_conv.weight.mul_(3e4)
            vae.post_quant_conv.bias.mul_(3e4)
            vae.decoder.conv_in.weight.copy_(original / 3e4)
        pictures[precision] = np.asarray(render(base, PROMPT, {}, [1], FAST)[0].image).astype(int)
        assert vae.dtype == base.dtype
    assert pictures["float16"].std() > 5
    assert np.abs(pictures["float32"] - pictures["float16"]).mean() < 12


def test_a_vae_that_overflows_in_float32_is_told(tiny_base: BaseModel) -> None:
    with torch.no_grad():
        tiny_base.pipeline.vae.post_quant_conv.weight.mul_(3e38)
        tiny_base.pipeline.vae.decoder.conv_in.weight.mul_(1e6)
    with pytest.raises(NotFiniteError, match="the VAE's numbers") as raised:
        render(tiny_base, PROMPT, {}, [1], FAST)
    assert "--vae" in str(raised.value.hint)


def test_the_denoiser_in_half_precision_is_told_with_its_remedy(tiny_model_dir: Path) -> None:
    from faceid_cli.backbone import load_base_model

    base = load_base_model(str(tiny_model_dir), "cpu", "float16")
    with torch.no_grad():
        base.unet.conv_in.weight.mul_(0).add_(6e4)
    with pytest.raises(NotFiniteError, match=r"the UNet's numbers grow too large for float16") as raised:
        render(base, PROMPT, {}, [1], FAST)
    assert "--precision float32" in str(raised.value.hint)


def test_a_guidance_scale_without_bounds_is_blamed(tiny_base: BaseModel) -> None:
    with pytest.raises(NotFiniteError, match=r"the guidance scale 1e\+38 is too large"):
        render(tiny_base, PROMPT, {}, [1], replace(FAST, guidance_scale=1e38))


@pytest.mark.parametrize("value", BROKEN)
def test_an_identity_is_named(tiny_base: BaseModel, value: float) -> None:
    sides = torch.zeros(1, 1, tiny_base.text_width)
    sides[0, 0, 3] = value
    tokens = IdentityTokens({"text_encoder": torch.zeros_like(sides)}, {"text_encoder": sides})
    with pytest.raises(NotFiniteError, match="the identity of alice holds NaN or infinity: values of text_encoder"):
        render(tiny_base, "a photo of <alice>", {"alice": tokens}, [1], FAST)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_an_embedding_is_named(tiny_base: BaseModel, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"style{suffix}"
    vectors = torch.zeros(2, tiny_base.text_width)
    vectors[1, 1] = float("nan")
    if suffix == ".pt":
        torch.save({"string_to_param": {"*": vectors}}, file)
    else:
        save_file({"emb_params": vectors}, file)
    with pytest.raises(NotFiniteError, match=r"the embedding .*style.* holds NaN or infinity"):
        read_embedding(file, tiny_base)


def test_a_controlnet_is_named(tiny_base: BaseModel) -> None:
    from diffusers import ControlNetModel

    network = ControlNetModel.from_unet(tiny_base.unet, conditioning_embedding_out_channels=(4, 8, 8, 8)).eval()
    _spoil(network.controlnet_mid_block.weight)
    control = Control("image", "net", network, Image.new("RGB", (64, 64)))
    with pytest.raises(NotFiniteError, match=r"the ControlNet's weight controlnet_mid_block\.weight"):
        render(tiny_base, PROMPT, {}, [1], FAST, control=control)


@pytest.mark.parametrize(("value", "scale"), [(float("nan"), ""), (float("inf"), ""), (1e3, ":1e38")])
def test_a_lora_is_named(tiny_model_dir: Path, tmp_path: Path, value: float, scale: str) -> None:
    """Also one that is sound in itself, and made infinite by its scale."""
    from faceid_cli.backbone import load_base_model

    pytest.importorskip("peft")
    base = load_base_model(str(tiny_model_dir), "cpu", "float32")
    layer = next(name for name, _ in base.unet.named_modules() if name.endswith("attn2.to_q"))
    width, out = base.unet.get_submodule(layer).weight.shape[::-1]
    file = tmp_path / "style.safetensors"
    down, up = torch.ones(2, width), torch.ones(out, 2)
    up[0, 0] = value
    save_file({f"unet.{layer}.lora_A.weight": down, f"unet.{layer}.lora_B.weight": up}, file)

    def render_with_lora() -> None:
        spoilt = load_base_model(str(tiny_model_dir), "cpu", "float32", ModelOptions(loras=(f"{file}{scale}",)))
        render(spoilt, PROMPT, {}, [1], FAST)

    with pytest.raises(NotFiniteError, match=r"style\.safetensors"):
        render_with_lora()
