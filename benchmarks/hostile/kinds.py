"""What is damaged and read: small real files of every kind that faceid takes from others, and their readers."""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
import unicodedata
import zlib
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save

from benchmarks.hostile.mutate import NASTY, changed_bytes, changed_json, changed_safetensors, json_text
from benchmarks.hostile.mutate import safetensors_parts as parts_of
from faceid_cli.api.doctor import _registry as registry_findings
from faceid_cli.api.import_ import import_identity
from faceid_cli.api.list import list_identities
from faceid_cli.api.remove import remove
from faceid_cli.backbone import BaseModel, load_base_model
from faceid_cli.backbone.additions import load_vae
from faceid_cli.backbone.lora import merge_lora
from faceid_cli.cli.list import list_people
from faceid_cli.cli.models import list_ as list_models
from faceid_cli.cli.output import out
from faceid_cli.cli.show import show as show_person
from faceid_cli.errors import FaceIDError
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.model_files import check_model, fingerprint_of
from faceid_cli.model_files.controlnet_file import read_controlnet_file
from faceid_cli.model_files.lora import check_lora
from faceid_cli.model_files.weight_file import read_pickled_weights
from faceid_cli.photo_files import read_photo
from faceid_cli.registry.quick import known_names
from faceid_cli.registry.records import NewIdentity, NewRender, NewRun
from faceid_cli.registry.store import Registry
from faceid_cli.rendering.metadata import png_bytes, read_metadata
from faceid_cli.rendering.record import RenderMetadata
from faceid_cli.tokens import read_embedding
from faceid_cli.types import Identity

METHOD = {"method": "sefi", "steps": 300, "model_options": {"variant": None, "vae": "v.safetensors", "loras": ["a:1"]}}


def _said(command: Callable[..., None], *words: object) -> None:
    """Let a command say what it has to, for people and as JSON, and look whether that is only letters."""
    for mode in ("human", "json"):
        out.reset()
        out.mode = mode
        with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as aside:
            command(*words)
        text = said.getvalue() + aside.getvalue()
        if mode == "json":
            json.loads(said.getvalue())
        if any(unicodedata.category(letter) in ("Cc", "Cf") for letter in text.replace("\n", "")):
            raise RuntimeError(f"{command.__name__} let through what steers a terminal: {text!r}")


class Kind(Protocol):
    """A kind of file: `make` writes the next one, `read` reads it, `left` is what lies where nothing should."""

    def make(self, chance: random.Random) -> None:
        """Write an input."""

    def read(self) -> None:
        """Read it, as faceid does."""

    def left(self) -> set[Path]:
        """Files that a refused input must not add to."""


class OneFile:
    """One file, and readers that take it one after the other; the first that refuses it is the answer.

    Args:
        folder: For the file.
        name: Of the file.
        change: Makes its content.
        readers: Take its path.
    """

    def __init__(
        self, folder: Path, name: str, change: Callable[[random.Random], bytes], *readers: Callable[[Path], object]
    ) -> None:
        self.path, self._change, self._readers = folder / name, change, readers

    def make(self, chance: random.Random) -> None:
        self.path.write_bytes(self._change(chance))

    def read(self) -> None:
        errors = []
        for reader in self._readers:
            try:
                reader(self.path)
            except FaceIDError as error:
                errors.append(error)
        if len(errors) == len(self._readers):
            raise errors[0]

    def left(self) -> set[Path]:
        home = paths.home()
        found = {*self.path.parent.iterdir(), *(home.rglob("*") if home.exists() else ())}
        return {file for file in found if file not in (home, self.path, paths.fingerprints_file())}


def identity_bytes(folder: Path) -> bytes:
    """A person as `faceid export` writes them."""
    features = {"text_encoder": np.arange(160, dtype=np.float32).reshape(5, 1, 32)}
    said = IdentityMetadata(
        "alice", "woman", "someone/model", "sd1:0123456789abcdef", METHOD, ("a" * 64,), "a note", {"tags": ["x", "y"]}
    )
    save_identity(folder / "seed.safetensors", features, features, said)
    content = (folder / "seed.safetensors").read_bytes()
    (folder / "seed.safetensors").unlink()
    return content


def _changed_identity(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return changed_safetensors(content, chance)
    header, rest = parts_of(content)
    said = json.loads(header["__metadata__"]["faceid"])
    text = json_text(changed_json(said, chance), chance).decode("utf-8", "replace")
    header["__metadata__"]["faceid"] = text
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + rest


def identity(folder: Path) -> Kind:
    """Identity files, read."""
    content = identity_bytes(folder)
    return OneFile(folder, "x.safetensors", lambda chance: _changed_identity(content, chance), load_identity)


def imported(folder: Path) -> Kind:
    """Identity files, taken in; then all that is kept is listed, shown, checked and removed."""
    content = identity_bytes(folder)

    def take(path: Path) -> None:
        person = import_identity(path, name="bob", replace=True)
        _said(list_people)
        _said(show_person, "bob")
        _said(list_models)
        registry_findings()
        remove(person.name)

    with Registry.open():
        pass
    return OneFile(folder, "x.safetensors", lambda chance: _changed_identity(content, chance), take)


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


def metadata(folder: Path) -> Kind:
    """Pictures that say how they were made."""
    known = RenderMetadata(prompt="a <alice>", names=("alice",), identity_ids=("1",), seed=1, width=64, height=64)
    content = png_bytes(Image.new("RGB", (8, 8)), known)
    place = content.index(b"tEXtfaceid\0")
    length = int.from_bytes(content[place - 4 : place], "big")
    said = json.loads(content[place + 11 : place + 4 + length])

    def change(chance: random.Random) -> bytes:
        if chance.random() < 0.4:
            return changed_bytes(content, chance)
        chunk = b"faceid\0" + json_text(changed_json(said, chance), chance)
        body = b"tEXt" + chunk
        whole = len(chunk).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return content[: place - 4] + whole + content[place + 8 + length :]

    return OneFile(folder, "x.png", change, read_metadata)


def photos(folder: Path) -> Kind:
    """Photos of every kind."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8))
    grey = Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40))
    originals = []
    for picture, form in (
        (image, "PNG"),
        (image, "JPEG"),
        (image, "WEBP"),
        (image, "TIFF"),
        (image, "GIF"),
        (grey, "PNG"),
    ):
        stream = io.BytesIO()
        picture.save(stream, form, **({"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"} if form == "JPEG" else {}))
        originals.append(stream.getvalue())
    return OneFile(folder, "x.jpg", lambda chance: changed_bytes(chance.choice(originals), chance), read_photo)


_COLUMNS = {
    "identities": (
        "name", "class_word", "base_model", "method", "photo_hashes", "created", "tags", "note", "consent", "id",
    ),
    "runs": ("created", "seconds", "resumed_from", "settings", "losses", "scores"),
    "renders": ("created", "path", "prompt", "seed", "settings"),
    "migrations": ("name",),
}  # fmt: skip


class Registries:
    """A registry with two people, damaged as a file or row by row, and then everything that reads it.

    Args:
        folder: For what is copied.
        by_row: Put values of another kind into rows, instead of damaging the file.
    """

    def __init__(self, folder: Path, by_row: bool = False) -> None:
        self._by_row = by_row
        with Registry.open() as registry:
            for name in ("alice", "bob"):
                new = NewIdentity(name, "woman", "builtin", "sd1:0123456789abcdef", METHOD, ("a" * 64,), ("x",), "note")
                person = registry.add_identity(new, self._write, NewRun(METHOD, ((0.5, 0.25),), 1.0))
                registry.add_renders([NewRender((person.id,), folder / "a.png", "a cup", 1, {"steps": 3})])
        with closing(sqlite3.connect(paths.registry_file())) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        self._home = shutil.copytree(paths.home(), folder / "good")

    @staticmethod
    def _write(person: Identity) -> None:
        features = {"text_encoder": np.zeros((5, 1, 32), np.float32)}
        save_identity(person.path, features, features, IdentityMetadata("x", "y", "builtin", "z"))

    def make(self, chance: random.Random) -> None:
        shutil.rmtree(paths.home())
        shutil.copytree(self._home, paths.home())
        file = paths.registry_file()
        if not self._by_row:
            file.write_bytes(changed_bytes(file.read_bytes(), chance))
            return
        table = chance.choice(("identities", "identities", *_COLUMNS))
        column, value = chance.choice(_COLUMNS[table]), chance.choice(NASTY)
        if chance.random() < 0.5:
            value = json.dumps(value)
        if not isinstance(value, str | int | float) or (isinstance(value, int) and abs(value) >= 2**63):
            value = chance.randbytes(9)
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
            value = value if chance.random() < 0.2 else value.decode("utf-8", "replace")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))

    def read(self) -> None:
        known_names()
        registry_findings()
        people = list_identities()
        _said(list_people)
        _said(list_models)
        for person in people:
            _said(show_person, person.name)
        if self._by_row and len(people) != 2:
            raise RuntimeError("somebody is hidden")
        for person in people:
            remove(person.name)

    def left(self) -> set[Path]:
        return set()


KINDS: dict[str, Callable[[Path], Kind]] = {
    "identity": identity,
    "imported": imported,
    "weights": weights,
    "pickles": pickles,
    "lora": lora,
    "folders": Folders,
    "loaded": lambda folder: Folders(folder, is_loaded=True),
    "metadata": metadata,
    "photos": photos,
    "registry": Registries,
    "rows": lambda folder: Registries(folder, by_row=True),
}
