"""Files of models that are damaged and read: base models, ControlNets, VAEs, LoRAs, embeddings, and whole folders."""

from __future__ import annotations

import io
import json
import random
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from benchmarks.hostile.mutate import changed_bytes, changed_json, changed_safetensors, json_text
from benchmarks.hostile.one_file import Kind, OneFile
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.backbone.additions import load_vae
from faceid_cli.backbone.lora import merge_lora
from faceid_cli.kept import paths
from faceid_cli.model_files import check_model, fingerprint_of
from faceid_cli.model_files.controlnet_file import read_controlnet_file
from faceid_cli.model_files.lora import check_lora
from faceid_cli.model_files.weight_file import read_pickled_weights
from faceid_cli.tokens import read_embedding


def checkpoint_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint of Stable Diffusion 1.x, tiny."""
    unet, text, vae = "model.diffusion_model.", "cond_stage_model.transformer.text_model.", "first_stage_model."
    resnet = ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3")
    cross = [
        f"transformer_blocks.0.{part}" for part in ("attn1.to_q", "attn2.to_q", "attn2.to_k", "attn2.to_v", "norm1")
    ]
    names: dict[str, tuple[int, ...]] = {
        f"{unet}input_blocks.0.0.weight": (8, 4, 3, 3),
        f"{unet}time_embed.0.weight": (32, 8),
        f"{unet}out.2.weight": (4, 8, 3, 3),
        f"{unet}input_blocks.2.0.op.weight": (8, 8, 3, 3),
    }
    for block in ("input_blocks.1", "input_blocks.3", "middle_block", *(f"output_blocks.{n}" for n in range(4))):
        for layer in resnet:
            names[f"{unet}{block}.0.{layer}.weight"] = (8, 8, 3, 3) if layer.endswith(("2", "3")) else (8,)
        for layer in ("norm", "proj_in", *cross, "proj_out"):
            names[f"{unet}{block}.1.{layer}.weight"] = (8, 8)
    names |= {f"{text}embeddings.{kind}_embedding.weight": (16, 8) for kind in ("token", "position")}
    names |= {f"{text}encoder.layers.{layer}.mlp.fc1.weight": (16, 8) for layer in range(2)}
    names |= {f"{vae}{half}.conv_in.weight": (8, 4, 3, 3) for half in ("encoder", "decoder")}
    for level in range(2):
        names[f"{vae}encoder.down.{level}.block.0.conv1.weight"] = (8, 8, 3, 3)
        names[f"{vae}decoder.up.{level}.block.0.conv1.weight"] = (8, 8, 3, 3)
    return names | {f"{vae}encoder.mid.attn_1.{side}.weight": (8, 8, 1, 1) for side in "qkv"}


def _safetensors(shapes: dict[str, tuple[int, ...]]) -> bytes:
    return save({name: np.ones(shape, np.float32) for name, shape in shapes.items()}, {"modelspec.architecture": "x"})


def weights(folder: Path) -> Kind:
    """Single files: as base models, ControlNets, VAEs and fingerprints."""
    base = _safetensors(checkpoint_shapes())
    renamed = {
        name.replace("model.diffusion_model.", "control_model."): shape for name, shape in checkpoint_shapes().items()
    }
    control = _safetensors({**renamed, "control_model.zero_convs.0.0.weight": (8, 8, 1, 1)})

    def change(chance: random.Random) -> bytes:
        return changed_safetensors(chance.choice((base, base, control)), chance)

    def vae(path: Path) -> None:
        load_vae(str(path), torch.float32, "sd1")

    readers = (lambda path: check_model(str(path)), read_controlnet_file, lambda path: fingerprint_of(str(path)), vae)
    return OneFile(folder, "x.safetensors", change, *readers)


def pickles(folder: Path) -> Kind:
    """Checkpoints and embeddings as pickles, read by torch's restricted reader."""
    originals = []
    for new in (True, False):
        for content in (
            {"state_dict": {name: torch.ones(2, 2) for name in list(checkpoint_shapes())[:12]}},
            {"string_to_param": {"*": torch.ones(2, 32)}, "name": "x", "step": 3},
        ):
            stream = io.BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=new)
            originals.append(stream.getvalue())

    def embedding(path: Path) -> None:
        read_embedding(path, _base())

    return OneFile(
        folder, "x.pt", lambda chance: changed_bytes(chance.choice(originals), chance), read_pickled_weights, embedding
    )


def lora(folder: Path) -> Kind:
    """LoRA files, checked and merged."""
    width = int(_base().unet.config.cross_attention_dim)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in list(_base().unet.named_modules()):
        if name.endswith(("attn2.to_k", "attn2.to_q", "conv1")) and len(shapes) < 40:
            rows, columns = module.weight.shape[:2]
            start = "lora_unet_" + name.replace(".", "_")
            rest = tuple(module.weight.shape[2:])
            shapes |= {
                f"{start}.lora_down.weight": (2, columns, *rest),
                f"{start}.lora_up.weight": (rows, 2, *(1,) * len(rest)),
            }
            shapes |= {f"{start}.alpha": ()}
    kinds = [shapes]
    for halves in (
        ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
        ("lokr_w1", "lokr_w2"),
        ("diff", "dora_scale"),
    ):
        kinds.append({f"lora_unet_mid_block_x.{half}": (4, 4) for half in halves} | dict(list(shapes.items())[:6]))
    contents = [_safetensors(each) for each in kinds]

    def merge(path: Path) -> None:
        check_lora(path, width)
        merge_lora(_base().pipeline, path, 0.0)

    return OneFile(
        folder, "x.safetensors", lambda chance: changed_safetensors(chance.choice(contents), chance, 10), merge
    )


@cache
def _base() -> BaseModel:
    return load_base_model("builtin", "cpu", "float32")


class Folders:
    """Model folders: the built-in model with one file changed. Weights are links, so that nothing is copied.

    Args:
        folder: For the model.
        is_loaded: Load what passes the checks, too; else it is only looked at.
    """

    def __init__(self, folder: Path, is_loaded: bool = False) -> None:
        self.path, self._is_loaded = folder / "model", is_loaded
        source = paths.builtin_model_dir()
        self._texts = {}
        for file in source.rglob("*"):
            target = self.path / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.is_file() and file.suffix == ".json":
                self._texts[target] = file.read_bytes()
            elif file.is_file():
                target.symlink_to(file)
        self._before: Path | None = None
        for target, text in self._texts.items():
            target.write_bytes(text)

    def make(self, chance: random.Random) -> None:
        if self._before is not None:
            self._before.write_bytes(self._texts[self._before])
        target = self._before = chance.choice(list(self._texts))
        large = len(self._texts[target]) > 50_000
        content = None if large or chance.random() < 0.1 else json.loads(self._texts[target] or b"{}")
        if content is None:
            target.write_bytes(changed_bytes(self._texts[target], chance))
        else:
            target.write_bytes(json_text(changed_json(content, chance), chance))

    def read(self) -> None:
        check_model(str(self.path))
        if self._is_loaded:
            load_base_model(str(self.path), "cpu", "float32")
        else:
            fingerprint_of(str(self.path))

    def left(self) -> set[Path]:
        return set(self.path.rglob("*.py*"))
