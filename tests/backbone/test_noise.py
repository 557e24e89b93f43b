import logging

import torch
from diffusers import AutoencoderKL

from faceid_cli.backbone import load_base_model


def test_a_cast_of_a_model_without_exceptions_is_not_warned_of(tiny_model_dir, capfd) -> None:
    base = load_base_model(str(tiny_model_dir), "cpu", "float16")
    base.pipeline.vae.to(torch.float32)
    assert capfd.readouterr().err == ""


def test_a_warning_that_names_a_part_is_still_heard(tiny_model_dir, caplog, monkeypatch) -> None:
    base = load_base_model(str(tiny_model_dir), "cpu", "float16")
    monkeypatch.setattr(AutoencoderKL, "_keep_in_fp32_modules", ["decoder"])
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    base.pipeline.vae.to(torch.float32)
    assert "['decoder']" in caplog.text
