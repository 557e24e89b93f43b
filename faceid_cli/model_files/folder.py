"""Base models as folders in diffusers' layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from faceid_cli.errors import ModelError, ModelNotFoundError, UnsupportedModelError
from faceid_cli.kept import foreign
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files.components import check_components, check_sizes
from faceid_cli.model_files.families import COMPONENTS, NOT_SUPPORTED, SUPPORTED, TOKENIZERS, check_channels

AGAIN = "copy or download the model again"
_CONVERT_HINT = "convert it where you trust its origin: diffusers' save_pretrained(folder) writes safetensors"
_MOST_TOKENIZER_BYTES = 64 * 2**20
OPENCLIP_WIDTH = 1024  # of the text that Stable Diffusion 2.x listens to


def check_model_folder(folder: Path, variant: str | None = None) -> str:
    """Check that a folder holds a whole Stable Diffusion pipeline with safetensors weights, and return its family.

    Args:
        folder: It holds model_index.json.
        variant: Of the weights, such as "fp16"; None for the plain ones, or fp16 where there are no others. Components
            that lack it are taken plain.

    Raises:
        ModelNotFoundError: Files are missing; the message names the first.
        UnsupportedModelError: Another kind of pipeline, or weights only as pickles.
    """
    family = family_of_folder(folder)
    if variant:
        _check_variant(folder, family, variant)
    for component, weight_name in COMPONENTS[family].items():
        _check_config(folder / component / "config.json")
        weight_files(folder / component, weight_name, variant)
    unet = read_json(folder / "unet" / "config.json")
    with reading(folder / "unet" / "config.json", ModelError, AGAIN):
        check_channels(folder, unet.get("in_channels") or 4, unet.get("out_channels") or 4)
    _check_config(folder / "scheduler" / "scheduler_config.json")
    for tokenizer in TOKENIZERS[family]:
        if not (folder / tokenizer / "tokenizer.json").is_file():
            _need(folder / tokenizer / "vocab.json")
            _need(folder / tokenizer / "merges.txt")
        for file in (folder / tokenizer).glob("*"):
            if file.is_file() and file.stat().st_size > _MOST_TOKENIZER_BYTES:
                raise ModelError(f"{file} is damaged: it has {file.stat().st_size} bytes", AGAIN)
    return family


def family_of_folder(folder: Path) -> str:
    """Return "sd1", "sd2" or "sdxl" by the pipeline's class and the UNet's configuration.

    Raises:
        ModelNotFoundError: No model_index.json.
        UnsupportedModelError: Another kind of pipeline.
        ModelError: model_index.json is damaged.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelNotFoundError(
            f"{folder} is no diffusers model: model_index.json is missing",
            "give the folder that holds model_index.json",
        )
    content = read_json(index)
    pipeline_class = content.get("_class_name")
    if not isinstance(pipeline_class, str):
        raise ModelError(f"{index} is damaged: it does not say which pipeline it is of (_class_name)", AGAIN)
    if pipeline_class not in ("StableDiffusionPipeline", "StableDiffusionXLPipeline"):
        raise UnsupportedModelError(f"{folder} is a {pipeline_class[:100]}", f"{SUPPORTED}; {NOT_SUPPORTED}")
    check_components(index, content)
    if pipeline_class == "StableDiffusionXLPipeline":
        return "sdxl"
    config = folder / "unet" / "config.json"
    _need(config)
    unet = read_json(config)
    is_second = unet.get("use_linear_projection") or unet.get("cross_attention_dim") == OPENCLIP_WIDTH
    return "sd2" if is_second else "sd1"


def vae_folder(path: Path) -> Path:
    """Where the autoencoder is: in a model's folder, or the folder itself."""
    return path / "vae" if (path / "vae" / "config.json").is_file() else path


def weight_variant(folder: Path, wanted: str | None = None) -> str | None:
    """Return the variant of the UNet's files that are loaded; see `weight_files`."""
    name = COMPONENTS["sd1"]["unet"]
    return variant_of(weight_files(folder / "unet", name, wanted)[0], name)


def variant_of(file: Path, name: str) -> str | None:
    """Return the variant that a weight file's name says, such as "fp16"; None for a plain one.

    Args:
        file: `NAME.VARIANT.safetensors`, or one of several, with `-00001-of-00002` before or behind the variant.
        name: What the weights of this component are called.
    """
    shard = r"(?:-\d+-of-\d+)?"
    found = re.fullmatch(rf"{re.escape(name)}{shard}(?:\.([\w-]+?))?{shard}\.safetensors", file.name)
    return found.group(1) if found else None


def weight_files(folder: Path, name: str, variant: str | None = None) -> list[Path]:
    """Return the weight files of a component, all there: of the variant, or else plain, or else in half precision.

    Components may have different variants: makers of models save some parts anew, and not the others.

    Raises:
        ModelNotFoundError: There are none of these, or shards are missing.
        UnsupportedModelError: There are only pickles.
    """
    for infix in dict.fromkeys((f".{variant}" if variant else "", "", ".fp16")):
        for index in (f"{name}.safetensors.index{infix}.json", f"{name}{infix}.safetensors.index.json"):
            if (folder / index).is_file():
                return _shards(folder, folder / index)
        if (folder / f"{name}{infix}.safetensors").is_file():
            return [folder / f"{name}{infix}.safetensors"]
    others = _variants(folder, name)
    if not others and (any(folder.glob("*.bin")) or any(folder.glob("*.ckpt"))):
        raise UnsupportedModelError(
            f"{folder} holds its weights only as pickle files, which can run code and are never loaded", _CONVERT_HINT
        )
    raise _missing(folder, name, variant, f"it is there as another variant: --variant {others[0]}" if others else AGAIN)


def _variants(folder: Path, name: str) -> list[str]:
    found = (variant_of(file, name) for file in folder.glob(f"{name}*.safetensors"))
    return sorted({each for each in found if each})


def _missing(folder: Path, name: str, variant: str | None, hint: str) -> ModelNotFoundError:
    file = f"{name}.{variant}.safetensors" if variant else f"{name}.safetensors"
    return ModelNotFoundError(f"the base model in {folder.parent} is incomplete: {folder.name}/{file} is missing", hint)


def _check_variant(folder: Path, family: str, variant: str) -> None:
    """Check that at least one component has a variant; the others may have plain files."""
    parts = COMPONENTS[family]
    if any(variant_of(file, name) == variant for part, name in parts.items() for file in (folder / part).glob("*")):
        return
    others = sorted({each for part, name in parts.items() for each in _variants(folder / part, name)})
    hint = f"it has these: {', '.join(others)}" if others else "leave --variant out"
    raise _missing(folder / "unet", parts["unet"], variant, hint)


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ModelError: The file is damaged.
    """
    with reading(path, ModelError, AGAIN, verb="cannot be read"):
        content = foreign.read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} is damaged: it holds no table", AGAIN)
    return content


def _shards(folder: Path, index: Path) -> list[Path]:
    placed = read_json(index).get("weight_map")
    shards = placed.values() if isinstance(placed, dict) else ()
    if not shards or not all(isinstance(shard, str) and shard == Path(shard).name for shard in shards):
        raise ModelError(f"{index} is damaged: it does not say which file each weight is in", AGAIN)
    files = [folder / shard for shard in sorted(set(shards))]
    for file in files:
        _need(file)
    return files


def _check_config(path: Path) -> None:
    _need(path)
    check_sizes(path, read_json(path))


def _need(path: Path) -> None:
    if not path.is_file():
        component = path.parent.name
        raise ModelNotFoundError(
            f"the base model in {path.parent.parent} is incomplete: {component}/{path.name} is missing", AGAIN
        )
