"""The engine as a whole, on a tiny real pipeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.errors import FaceIDError, OutOfMemoryError, UsageError
from faceid_cli.orders import TrainConfig, preset
from faceid_cli.tokens import ENCODER
from faceid_cli.training import train_identity
from faceid_cli.training.data import Draws
from faceid_cli.training.engine import Engine
from faceid_cli.types import FaceCrop, StepReport


def weights_of(base: BaseModel) -> dict[str, bytes]:
    modules = {"unet": base.unet, "text_encoder": base.text_encoder, "vae": base.pipeline.vae}
    return {
        f"{name}.{key}": value.numpy().tobytes()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def test_base_model_tokenizer_and_embeddings_are_left_as_found(tiny_base, quick, make_crops):
    before, vocabulary = weights_of(tiny_base), tiny_base.tokenizer.get_vocab()

    train_identity(tiny_base, make_crops(), quick)

    assert weights_of(tiny_base) == before
    assert tiny_base.tokenizer.get_vocab() == vocabulary
    for module in (tiny_base.unet, tiny_base.text_encoder, tiny_base.pipeline.vae):
        assert all(not weight.requires_grad and weight.grad is None for weight in module.parameters())
        assert all(not each._forward_hooks and not each._forward_pre_hooks for each in module.modules())


def test_gradients_reach_every_parameter_of_the_token_module(tiny_base, quick, make_crops):
    engine = Engine(tiny_base, make_crops(), replace(quick, batch_size=5))
    state = engine.new_state()
    with torch.no_grad():
        state.module.projection_out.normal_(
            generator=torch.Generator().manual_seed(0)
        )  # zero would hide what is behind
    with split_attention(tiny_base.unet, 5, tiny_base.text_window):
        engine.losses(state.module, state.draws.draw(5), None)[0].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in state.module.parameters())
    assert (state.module.offsets.grad.abs().sum(dim=1) > 0).all()  # five stratified timesteps: every stage, K and V


def test_the_first_step_starts_from_the_class_word(tiny_base, quick, make_crops):
    module = Engine(tiny_base, make_crops(), quick).new_state().module
    keys, values = module()
    row = tiny_base.tokenizer("person", add_special_tokens=False).input_ids[0]
    expected = tiny_base.text_encoder.get_input_embeddings().weight[row].expand(5, 1, -1)
    assert torch.equal(keys, expected)
    assert torch.equal(values, expected)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_equals_plain_textual_inversion(tmp_path, tiny_model_builder, prediction_type, make_crops):
    tiny_model_builder(tmp_path / "model", prediction_type)
    base = in_double_precision(load_base_model(str(tmp_path / "model"), device="cpu"))
    config = preset("textual-inversion", steps=5, batch_size=2, seed=1, learning_rate=1e-2)
    crops = make_crops(3)

    tokens, report = train_identity(base, crops, config)
    row = base.tokenizer("person", add_special_tokens=False).input_ids[0]
    untrained = base.text_encoder.get_input_embeddings().weight[row].clone()
    expected, losses = plain_textual_inversion(base, crops, config)

    learned = tokens.keys[ENCODER][0, 0]
    moved = (expected - untrained).abs().max()
    assert torch.equal(tokens.keys[ENCODER], tokens.values[ENCODER])
    assert moved > 0.02
    assert torch.allclose(learned, expected.float(), rtol=0, atol=1e-3 * float(moved))
    assert [loss for loss, _ in report.losses] == pytest.approx(losses, rel=1e-5)


def in_double_precision(base: BaseModel) -> BaseModel:
    """Adam divides small gradients by their own size: in float32 it would magnify rounding, not differences."""
    for module in (base.unet, base.text_encoder, base.pipeline.vae):
        torch.nn.Module.to(module, torch.float64)
    return replace(base, dtype=torch.float64)


def plain_textual_inversion(
    base: BaseModel, crops: list[FaceCrop], config: TrainConfig
) -> tuple[torch.Tensor, list[float]]:
    """The textbook loop: a new row in the embedding table, gradients of the whole table, AdamW on that row."""
    tokenizer, encoder, unet, vae = base.tokenizer, base.text_encoder, base.unet, base.pipeline.vae
    sentences = ["a photo of the face of {}", "a picture of the face of {}", "a portrait of the face of {}"]
    sentences.append("a close-up photo of the face of {}")
    row = tokenizer("person", add_special_tokens=False).input_ids[0]  # as the word occurs nowhere else
    table = encoder.get_input_embeddings().weight
    table.requires_grad_(True)
    learned = torch.nn.Parameter(table[row].detach().float().clone())
    optimizer = torch.optim.AdamW([learned], lr=config.learning_rate, weight_decay=1e-2)
    scheduler = DDIMScheduler.from_config(base.pipeline.scheduler.config)
    images = [torch.tensor(np.asarray(crop.image)).permute(2, 0, 1)[None].double() / 127.5 - 1 for crop in crops]
    draws = Draws(config.seed, pictures=3, sentences=4, timesteps=1000, latent_shape=(8, 8, 8))
    losses = []
    for _ in range(config.steps):
        batch = draws.draw(config.batch_size)
        with torch.no_grad():
            table[row] = learned
            latents = torch.cat([vae.encode(images[i]).latent_dist.mean for i in batch.pictures]).float() * 0.7
        prompts = [sentences[i].format("person") for i in batch.sentences]
        ids = tokenizer(prompts, padding="max_length", max_length=40, return_tensors="pt").input_ids
        noisy = scheduler.add_noise(latents, batch.noise, batch.timesteps)
        prediction = unet(noisy.double(), batch.timesteps, encoder(ids)[0]).sample.float()
        goal = {
            "epsilon": batch.noise,
            "sample": latents,
            "v_prediction": scheduler.get_velocity(latents, batch.noise, batch.timesteps),
        }[base.prediction_type]
        loss = torch.nn.functional.mse_loss(prediction, goal)
        table.grad = None
        loss.backward()
        learned.grad = table.grad[row].float()
        optimizer.step()
        losses.append(loss.item())
    return learned.detach(), losses


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"split_keys_values": False, "stages": 10},
        {"vectors": 3},
        {"self_attention": False, "stages": 1},
        {"class_word": "old man", "mirror": True},
        {"attention_weight": 0.0, "templates": "photo"},
    ],
    ids=str,
)
def test_every_setting_trains(tiny_base, changes, quick, make_crops):
    config = replace(quick, **changes)
    tokens, report = train_identity(tiny_base, make_crops(), config)
    assert tokens.keys[ENCODER].shape == (config.stages, config.vectors, 32)
    assert torch.equal(tokens.keys[ENCODER], tokens.values[ENCODER]) != config.split_keys_values
    assert all(reconstruction > 0 for reconstruction, _ in report.losses)
    assert (max(attention for _, attention in report.losses) > 0) == (config.attention_weight > 0)


def test_both_losses_fall(tiny_base, make_crops):
    def late_losses(learning_rate: float, weight: float) -> tuple[float, float]:
        config = TrainConfig(steps=40, batch_size=5, attention_weight=weight, learning_rate=learning_rate)
        losses = train_identity(tiny_base, make_crops(1), config)[1].losses
        return sum(pair[0] for pair in losses[-15:]) / 15, sum(pair[1] for pair in losses[-15:]) / 15

    # Equal seeds draw equal noise and timesteps, so that runs can be compared step by step.
    untrained, _ = late_losses(1e-12, 0.0)
    trained, free = late_losses(2e-2, 1e-9)
    _, held = late_losses(2e-2, 100.0)
    assert trained < untrained - 1e-3
    assert held < free / 2


def test_equal_seeds_give_equal_files_and_others_do_not(tiny_base, tmp_path, quick, make_crops, identity_bytes):
    first, again = (
        identity_bytes(train_identity(tiny_base, make_crops(), quick)[0], tmp_path / name) for name in ("a", "b")
    )
    other = identity_bytes(train_identity(tiny_base, make_crops(), replace(quick, seed=4))[0], tmp_path / "c")
    assert first == again
    assert first != other


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_float32_tokens(tiny_model_dir, precision, quick, make_crops):
    base = load_base_model(str(tiny_model_dir), device="cpu", precision=precision)
    tokens, report = train_identity(base, make_crops(), quick)
    reference = train_identity(load_base_model(str(tiny_model_dir), device="cpu"), make_crops(), quick)[1]
    assert tokens.keys[ENCODER].dtype == torch.float32
    assert [pair[0] for pair in report.losses] == pytest.approx([pair[0] for pair in reference.losses], rel=0.05)


def test_crops_of_another_size_are_refused(tiny_base, quick, make_crops):
    with pytest.raises(UsageError, match="32 x 32 px, the base model needs 64 x 64"):
        train_identity(tiny_base, make_crops(size_px=32), quick)
    with pytest.raises(UsageError, match="no picture"):
        train_identity(tiny_base, [], quick)


def test_diverged_training_says_so(tiny_base, quick, make_crops):
    with pytest.raises(FaceIDError, match=r"the loss of step [12] is not a number"):
        train_identity(tiny_base, make_crops(), replace(quick, learning_rate=1e30))


@pytest.mark.parametrize("average_last", [0, 1])
@pytest.mark.parametrize(
    ("learning_rate", "what"), [(1e9, r"\de\+\d+ times as large as the words of the base model"), (1e30, "no number")]
)
def test_what_no_text_encoder_makes_sense_of_is_not_kept(
    tiny_base, tmp_path, quick, make_crops, average_last, learning_rate, what
):
    config = replace(quick, steps=1, learning_rate=learning_rate, average_last=average_last)
    seen: list[int] = []
    folder = tmp_path / "run"
    with pytest.raises(FaceIDError, match=f"went astray: what was learned is {what}") as caught:
        train_identity(
            tiny_base, make_crops(), config, folder, preview_every=1, on_preview=lambda step, _: seen.append(step)
        )
    assert "--learning-rate" in caught.value.hint
    assert seen == [0], "no sample is rendered of it"
    assert not list(folder.glob("*")), "nothing is left that could be gone on from"


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_out_of_memory_becomes_one_clear_error(tiny_base, error, quick, make_crops):
    def on_step(report: StepReport) -> None:
        raise error

    with pytest.raises(OutOfMemoryError) as caught:
        train_identity(tiny_base, make_crops(), quick, on_step=on_step)
    assert "--batch" in caught.value.hint


def test_reports_count_up_to_the_end(tiny_base, quick, make_crops):
    reports: list[StepReport] = []
    train_identity(tiny_base, make_crops(), quick, on_step=reports.append)
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert reports[-1].seconds_left == 0
    assert all(report.steps_per_second > 0 for report in reports)
