"""Stable Diffusion 1.x, 2.x and XL in full shape: loaded in every way, learned on, rendered with, saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.errors import ModelMismatchError, UsageError
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.model_files import check_model, fingerprint_of
from faceid_cli.orders import ModelOptions, RenderConfig, TrainConfig
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import arrays_from_tokens, class_embedding, encode_prompt, tokens_from_arrays
from faceid_cli.training import train_identity
from faceid_cli.training.engine import Engine
from faceid_cli.types import FaceCrop, IdentityTokens

FAMILIES = ("sd1", "sd2", "sdxl")
QUICK = TrainConfig(steps=2, batch_size=2, seed=3, attention_weight=0.1)
SMALL = RenderConfig(steps=2, width=64, height=64, guidance_scale=5.0)


@pytest.fixture
def load(tiny_families):
    def get(family: str, **options: object) -> BaseModel:
        return load_base_model(str(tiny_families(family).folder), "cpu", "float32", ModelOptions(**options))

    return get


def crops(count: int = 2) -> list[FaceCrop]:
    pixels = np.random.default_rng(5).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [
        FaceCrop(Image.fromarray(each).resize((64, 64)), None, f"hash {index}", Path(f"{index}.png"))
        for index, each in enumerate(pixels)
    ]


def as_class_word(base: BaseModel, word: str, stages: int = 5) -> IdentityTokens:
    features = {each.name: class_embedding(base, word, each).expand(stages, 1, -1).clone() for each in base.encoders}
    return IdentityTokens(features, {name: part.clone() for name, part in features.items()})


def states(base: BaseModel) -> dict[str, torch.Tensor]:
    named = {"unet": base.unet, "vae": base.pipeline.vae, **{each.name: each.module for each in base.encoders}}
    return {f"{part}.{name}": value for part, module in named.items() for name, value in module.state_dict().items()}


def largest_difference(first: Image.Image, second: Image.Image) -> int:
    return int(np.abs(np.asarray(first, dtype=int) - np.asarray(second, dtype=int)).max())


@pytest.mark.parametrize("family", ["sd1", "sd2", pytest.param("sdxl", marks=pytest.mark.slow)])
def test_one_file_equals_the_folder_it_came_from(tiny_families, load, family):
    tiny = tiny_families(family)
    single, folder = load_base_model(str(tiny.file), "cpu", "float32"), load(family)
    assert single.family == folder.family == family == check_model(str(tiny.folder))
    assert single.prediction_type == folder.prediction_type == ("v_prediction" if family == "sd2" else "epsilon")
    assert single.size_px == {"sd1": 512, "sd2": 768, "sdxl": 1024}[family]
    assert single.fingerprint == folder.fingerprint
    assert single.fingerprint.startswith(f"{family}:")
    ours, theirs = states(single), states(folder)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    tokens = as_class_word(folder, "woman")
    pictures = [render(base, "<al>, castle", {"al": tokens}, [1], SMALL)[0].image for base in (single, folder)]
    assert largest_difference(*pictures) <= 1  # where weights lie in memory may turn the last bit


@pytest.mark.parametrize("family", FAMILIES)
def test_learn_save_load_and_render(load, tmp_path, family):
    base = load(family)
    tokens, report = train_identity(base, crops(), QUICK)
    widths = {"text_encoder": 32, "text_encoder_2": 64} if family == "sdxl" else {"text_encoder": 32}
    assert {name: tuple(part.shape) for name, part in tokens.keys.items()} == {
        name: (5, 1, width) for name, width in widths.items()
    }
    assert all(np.isfinite(loss).all() and min(loss) >= 0 for loss in report.losses)
    before = as_class_word(base, "person")
    for name in widths:  # both encoders' tokens were learned, keys as well as values
        assert not torch.equal(tokens.keys[name], before.keys[name])
        assert not torch.equal(tokens.keys[name], tokens.values[name])

    path = tmp_path / "alice.safetensors"
    save_identity(path, *arrays_from_tokens(tokens), IdentityMetadata("alice", "person", "x", base.fingerprint))
    file = load_identity(path)
    again = tokens_from_arrays(file.keys, file.values)
    first, second = (render(base, "a photo of <al>", {"al": each}, [7], SMALL)[0].image for each in (tokens, again))
    assert first.size == (64, 64)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_class_word_features_render_the_stock_picture(load, family):
    base = load(family)
    ours = render(base, "a photo of <al>, old", {"al": as_class_word(base, "man")}, [5], SMALL)[0].image
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(5))
    stock = base.pipeline(
        "a photo of man, old",
        latents=noise,
        num_inference_steps=2,
        guidance_scale=SMALL.guidance_scale,
        width=64,
        height=64,
    ).images[0]
    assert largest_difference(ours, stock) <= 1


def test_xl_encodes_as_its_pipeline_and_reads_the_pooled_text_at_the_end_token(load):
    base = load("sdxl")
    encoded = encode_prompt(base, "a photo of <al>, old", {"al": as_class_word(base, "man")})
    hidden, _, pooled, _ = base.pipeline.encode_prompt("a photo of man, old", device="cpu")
    assert encoded.keys.shape == (5, 77, 96)
    assert encoded.pooled.shape == (5, 64)
    assert torch.allclose(encoded.keys[2], hidden[0], atol=1e-5)
    assert torch.allclose(encoded.pooled[2], pooled[0], atol=1e-5)


def test_each_stage_of_xl_gets_its_own_pooled_text(load):
    base, seen = load("sdxl"), []
    pooled = torch.arange(5.0).repeat_interleave(64).expand(3, -1)
    context = torch.zeros(3, 2 * 5 * 77, 96)
    added = {"text_embeds": pooled, "time_ids": base.time_ids(64, 64).expand(3, -1)}
    with split_attention(base.unet, 5, 77), torch.no_grad():
        base.unet.add_embedding.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        base.unet(torch.zeros(3, 4, 8, 8), torch.tensor([999, 500, 0]), context, added_cond_kwargs=added)
    assert seen[0][:, :64].mean(dim=1).tolist() == [0.0, 2.0, 4.0]


def test_both_encoders_take_part_in_the_attention_loss(load):
    from faceid_cli.attention import record_attention

    base = load("sdxl")
    engine = Engine(base, crops(), replace(QUICK, batch_size=5, self_attention=False))
    state = engine.new_state()
    with torch.no_grad():  # at the class word's own embedding the loss is at its minimum
        for module in state.module.encoders.values():
            module.embeddings.add_(
                0.5 * torch.randn(module.embeddings.shape, generator=torch.Generator().manual_seed(1))
            )
    with split_attention(base.unet, 5, 77), record_attention(base.unet) as record:
        attention = engine.losses(state.module, state.draws.draw(5), record)[1]
        attention.backward()
    for name, module in state.module.encoders.items():
        assert module.embeddings.grad[:5].abs().sum() > 0, name
        assert module.embeddings.grad[5:].abs().sum() == 0, name  # P^V has no part in where a word looks


@pytest.mark.parametrize("family", ["sd1"])
def test_low_vram_learns_the_same(load, family):
    plain, sparing = load(family), load(family, low_vram=True)
    losses = [train_identity(base, crops(), QUICK)[1].losses for base in (plain, sparing)]
    assert np.allclose(losses[0], losses[1], rtol=1e-4)
    assert render(sparing, "a cup", {}, [1], SMALL)[0].image.size == (64, 64)


def test_a_person_of_another_family_is_refused(load):
    one, two = load("sd1"), load("sdxl")
    with pytest.raises(ModelMismatchError, match="token width 32, the model's is 32 and 64"):
        encode_prompt(two, "<al>", {"al": as_class_word(one, "man")})


def test_clip_skip_leaves_out_the_last_layers(load):
    base = load("sdxl")
    expected = base.pipeline.encode_prompt("a cup", device="cpu", do_classifier_free_guidance=False, clip_skip=1)[0]
    assert torch.allclose(encode_prompt(base, "a cup", {}, clip_skip=1).keys, expected, atol=1e-5)

    base = load("sd1")
    skipped, whole = encode_prompt(base, "a cup", {}, clip_skip=1).keys, encode_prompt(base, "a cup", {}).keys
    del getattr(base.text_encoder, "text_model", base.text_encoder).encoder.layers[-1]
    assert torch.allclose(encode_prompt(base, "a cup", {}).keys, skipped, atol=1e-5)
    assert not torch.allclose(skipped, whole, atol=1e-2)
    with pytest.raises(UsageError, match="clip skip is 12, the text encoder has 11 layers"):
        encode_prompt(base, "a cup", {}, clip_skip=12)


def test_prompt_weights_scale_what_they_stand_at(load):
    base = load("sd1")
    plain, weighted = (encode_prompt(base, prompt, {}).keys[0] for prompt in ("a red cup", "a (red:1.5) cup"))
    ratio = weighted / plain
    assert torch.allclose(ratio[2], 1.5 * ratio[1], rtol=1e-3)
    assert torch.allclose(ratio[1], ratio[5], rtol=1e-3)
    assert weighted.square().mean() == pytest.approx(float(plain.square().mean()), rel=1e-3)
    assert torch.equal(encode_prompt(base, "a (red:1) cup", {}).keys, encode_prompt(base, "a red cup", {}).keys)
    marked = encode_prompt(base, "(<al>:1.2) and (a) cup", {"al": as_class_word(base, "man")})
    assert marked.positions == {"al": (1,)}
    assert not any("(" in piece or ":" in piece for piece in marked.pieces)
    assert not torch.equal(
        marked.keys, encode_prompt(base, "(<al>:1.2) and a cup", {"al": as_class_word(base, "man")}).keys
    )


def test_fingerprints_differ_between_families_and_weights(tiny_families):
    found = {fingerprint_of(str(tiny_families(family).folder)) for family in FAMILIES}
    assert len(found) == 3
