"""The engine as a whole, on a tiny real pipeline."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from faceid_cli.attention import split_attention
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.config import TrainConfig, preset
from faceid_cli.errors import CheckpointError, FaceIDError, InterruptedRunError, OutOfMemoryError, UsageError
from faceid_cli.identity_file import IdentityMetadata, save_identity
from faceid_cli.tokens import ENCODER, arrays_from_tokens
from faceid_cli.training import train_identity
from faceid_cli.training.checkpoint import FILE_NAME
from faceid_cli.training.data import Draws
from faceid_cli.training.engine import Engine
from faceid_cli.types import FaceCrop, IdentityTokens, StepReport

QUICK = TrainConfig(steps=4, batch_size=2, checkpoint_every=2, seed=3)


def make_crops(count: int = 2, size_px: int = 64) -> list[FaceCrop]:
    pixels = np.random.default_rng(5).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [
        FaceCrop(Image.fromarray(each).resize((size_px, size_px)), None, f"hash {index}", Path(f"photo{index}.png"))
        for index, each in enumerate(pixels)
    ]


def weights_of(base: BaseModel) -> dict[str, bytes]:
    modules = {"unet": base.unet, "text_encoder": base.text_encoder, "vae": base.pipeline.vae}
    return {
        f"{name}.{key}": value.numpy().tobytes()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def identity_bytes(tokens: IdentityTokens, path: Path) -> bytes:
    save_identity(path, *arrays_from_tokens(tokens), IdentityMetadata("alice", "person", "tiny", "sd1:0"))
    return path.read_bytes()


def stop_after(step: int):
    def on_step(report: StepReport) -> None:
        if report.step == step:
            raise KeyboardInterrupt

    return on_step


def test_base_model_tokenizer_and_embeddings_are_left_as_found(tiny_base):
    before, vocabulary = weights_of(tiny_base), tiny_base.tokenizer.get_vocab()

    train_identity(tiny_base, make_crops(), QUICK)

    assert weights_of(tiny_base) == before
    assert tiny_base.tokenizer.get_vocab() == vocabulary
    for module in (tiny_base.unet, tiny_base.text_encoder, tiny_base.pipeline.vae):
        assert all(not weight.requires_grad and weight.grad is None for weight in module.parameters())
        assert all(not each._forward_hooks and not each._forward_pre_hooks for each in module.modules())


def test_gradients_reach_every_parameter_of_the_token_module(tiny_base):
    engine = Engine(tiny_base, make_crops(), replace(QUICK, batch_size=5))
    state = engine.new_state()
    with torch.no_grad():
        state.module.projection_out.normal_(
            generator=torch.Generator().manual_seed(0)
        )  # zero would hide what is behind
    with split_attention(tiny_base.unet, 5, tiny_base.text_window):
        engine.losses(state.module, state.draws.draw(5), None)[0].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in state.module.parameters())
    assert (state.module.offsets.grad.abs().sum(dim=1) > 0).all()  # five stratified timesteps: every stage, K and V


def test_the_first_step_starts_from_the_class_word(tiny_base):
    module = Engine(tiny_base, make_crops(), QUICK).new_state().module
    keys, values = module()
    row = tiny_base.tokenizer("person", add_special_tokens=False).input_ids[0]
    expected = tiny_base.text_encoder.get_input_embeddings().weight[row].expand(5, 1, -1)
    assert torch.equal(keys, expected)
    assert torch.equal(values, expected)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_equals_plain_textual_inversion(tmp_path, tiny_model_builder, prediction_type):
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
def test_every_setting_trains(tiny_base, changes):
    config = replace(QUICK, **changes)
    tokens, report = train_identity(tiny_base, make_crops(), config)
    assert tokens.keys[ENCODER].shape == (config.stages, config.vectors, 32)
    assert torch.equal(tokens.keys[ENCODER], tokens.values[ENCODER]) != config.split_keys_values
    assert all(reconstruction > 0 for reconstruction, _ in report.losses)
    assert (max(attention for _, attention in report.losses) > 0) == (config.attention_weight > 0)


def test_both_losses_fall(tiny_base):
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


def test_equal_seeds_give_equal_files_and_others_do_not(tiny_base, tmp_path):
    first, again = (
        identity_bytes(train_identity(tiny_base, make_crops(), QUICK)[0], tmp_path / name) for name in ("a", "b")
    )
    other = identity_bytes(train_identity(tiny_base, make_crops(), replace(QUICK, seed=4))[0], tmp_path / "c")
    assert first == again
    assert first != other


@pytest.mark.parametrize("stopped_at", [1, 2, 4])
def test_interrupted_and_resumed_equals_unbroken(tiny_base, tmp_path, stopped_at):
    unbroken, report = train_identity(tiny_base, make_crops(), QUICK)

    with pytest.raises(InterruptedRunError) as caught:
        train_identity(tiny_base, make_crops(), QUICK, tmp_path / "run", on_step=stop_after(stopped_at))
    torch.rand(7)  # no global random state is used
    resumed, resumed_report = train_identity(tiny_base, make_crops(), QUICK, tmp_path / "run", resume=True)

    assert caught.value.exit_code == 130
    assert caught.value.message == (
        f"interrupted after step {stopped_at} of 4; checkpoint saved at {tmp_path / 'run' / FILE_NAME}"
    )
    assert "--resume" in caught.value.hint
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(unbroken, tmp_path / "b")
    assert resumed_report.losses == report.losses
    assert resumed_report.resumed_from == stopped_at


def test_ctrl_c_within_a_step_lets_the_step_finish(tiny_base, tmp_path):
    def press_ctrl_c(report: StepReport) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="interrupted after step 3 of 4"):
        train_identity(tiny_base, make_crops(), QUICK, tmp_path, on_step=press_ctrl_c)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_periodic_checkpoint_survives_a_crash(tiny_base, tmp_path):
    class Crash(Exception):
        pass

    def crash(report: StepReport) -> None:
        if report.step == 3:
            raise Crash

    with pytest.raises(Crash):
        train_identity(tiny_base, make_crops(), QUICK, tmp_path / "run", on_step=crash)
    resumed, report = train_identity(tiny_base, make_crops(), QUICK, tmp_path / "run", resume=True)
    unbroken, _ = train_identity(tiny_base, make_crops(), QUICK)
    assert report.resumed_from == 2
    assert identity_bytes(resumed, tmp_path / "a") == identity_bytes(unbroken, tmp_path / "b")


@pytest.mark.parametrize(
    ("config", "crops", "words"),
    [
        (replace(QUICK, learning_rate=1e-3), make_crops(), "learning rate is 0.005 there and 0.001 here"),
        (replace(QUICK, stages=3), make_crops(), "stages is 5 there and 3 here"),
        (replace(QUICK, steps=9), make_crops(), "steps is 4 there and 9 here"),
        (QUICK, make_crops(3), "other crops; other photos"),
    ],
)
def test_checkpoint_of_another_run_is_refused(tiny_base, tmp_path, config, crops, words):
    train_identity(tiny_base, make_crops(), QUICK, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        train_identity(tiny_base, crops, config, tmp_path, resume=True)
    assert words in caught.value.message
    assert "belongs to another run" in caught.value.message


def test_checkpoint_of_another_base_model_is_refused(tiny_base, tmp_path):
    train_identity(tiny_base, make_crops(), QUICK, tmp_path)
    with pytest.raises(CheckpointError, match=r"base model is sd1:[0-9a-f]+ there and sd1:other here"):
        train_identity(replace(tiny_base, fingerprint="sd1:other"), make_crops(), QUICK, tmp_path, resume=True)


@pytest.mark.parametrize("damage", [b"", b"\x80\x04pickle", None])
def test_damaged_or_missing_checkpoint_is_refused(tiny_base, tmp_path, damage):
    train_identity(tiny_base, make_crops(), QUICK, tmp_path)
    file = tmp_path / FILE_NAME
    file.write_bytes(file.read_bytes()[:-50] if damage is None else damage)
    with pytest.raises(CheckpointError, match="is damaged"):
        train_identity(tiny_base, make_crops(), QUICK, tmp_path, resume=True)
    file.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint to resume at"):
        train_identity(tiny_base, make_crops(), QUICK, tmp_path, resume=True)


def test_without_resume_an_old_checkpoint_is_not_used(tiny_base, tmp_path):
    train_identity(tiny_base, make_crops(), replace(QUICK, seed=8), tmp_path)
    assert train_identity(tiny_base, make_crops(), QUICK, tmp_path)[1].resumed_from == 0


def test_crops_of_another_size_are_refused(tiny_base):
    with pytest.raises(UsageError, match="32 x 32 px, the base model needs 64 x 64"):
        train_identity(tiny_base, make_crops(size_px=32), QUICK)
    with pytest.raises(UsageError, match="no picture"):
        train_identity(tiny_base, [], QUICK)


def test_diverged_training_says_so(tiny_base):
    with pytest.raises(FaceIDError, match=r"the loss of step [12] is not a number"):
        train_identity(tiny_base, make_crops(), replace(QUICK, learning_rate=1e30))


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")]
)
def test_out_of_memory_becomes_one_clear_error(tiny_base, error):
    def on_step(report: StepReport) -> None:
        raise error

    with pytest.raises(OutOfMemoryError) as caught:
        train_identity(tiny_base, make_crops(), QUICK, on_step=on_step)
    assert "--batch" in caught.value.hint


def test_reports_count_up_to_the_end(tiny_base):
    reports: list[StepReport] = []
    train_identity(tiny_base, make_crops(), QUICK, on_step=reports.append)
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert reports[-1].seconds_left == 0
    assert all(report.steps_per_second > 0 for report in reports)
