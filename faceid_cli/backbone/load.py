"""Load a base model: from a folder, a hub id or a single file, with what the user wants put into it."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTextModelWithProjection
from transformers.utils import logging as transformers_logging

from faceid_cli.backbone.additions import add_loras, check_complete, hash_of_file, load_vae
from faceid_cli.backbone.compiling import compile_parts
from faceid_cli.backbone.memory import is_out_of_memory, memory_errors
from faceid_cli.backbone.model import BaseModel
from faceid_cli.backbone.single_file import pipeline_from_file
from faceid_cli.backbone.undrawn import Undrawn
from faceid_cli.errors import ModelError, UnsupportedModelError, UsageError
from faceid_cli.kept.collector import collect_as_usual
from faceid_cli.kept.foreign import reading
from faceid_cli.model_files import NOT_SUPPORTED, SUPPORTED, check_model, fingerprint_of, model_path, weight_variant
from faceid_cli.model_files.families import COMPONENTS
from faceid_cli.model_files.fingerprint import files_of
from faceid_cli.model_files.folder import AGAIN, read_json, variant_of, weight_files
from faceid_cli.model_files.single_file import read_single_file
from faceid_cli.model_files.weight_file import open_weight_file
from faceid_cli.orders import ModelOptions
from faceid_cli.orders.checks import user_path
from faceid_cli.types import BUILTIN

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_ONE_AT_A_TIME = threading.Lock()  # loading changes libraries for all of the process, see `Undrawn`
_STORED = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def load_base_model(
    source: str = BUILTIN,
    device: str | None = None,
    precision: str | None = None,
    options: ModelOptions | None = None,
) -> BaseModel:
    """Load a base model, frozen and in eval mode.

    Args:
        source: "builtin", a local folder in diffusers' layout, a single file, or a hub id (local cache first).
        device: "auto" or None (a CUDA device, Apple's mps, else the CPU), or a torch device such as "cpu" or "cuda:1".
        precision: "auto" or None (float32; on CUDA bfloat16 where that is native, else float16), or a name.
        options: Variant of the files, another VAE, LoRA adapters, whether to save memory, and whether to compile.

    Raises:
        ModelNotFoundError: Nothing there, or files are missing.
        UnsupportedModelError: Other families, pickled weights, adapters for another family.
        ModelError: Damaged files.
        UsageError: A device that this machine does not have.
        OutOfMemoryError: It does not fit.
    """
    options = options or ModelOptions()
    target = _device(device or "auto")
    dtype = _dtype(precision or "auto", target)
    path = model_path(source, options.variant)
    family = check_model(source, options.variant)
    fingerprint = fingerprint_of(source, options.variant)
    with _ONE_AT_A_TIME, memory_errors(_memory_hint(options)), _quiet_libraries(), Undrawn():
        vae, notes = load_vae(options.vae, dtype, family) if options.vae else (None, ())
        with reading(path, ModelError, AGAIN, "the base model in", "cannot be loaded", is_out_of_memory):
            read_as = dtype if options.loras else _type_to_read(path, options.variant, dtype)
            if path.is_file():
                pipeline = pipeline_from_file(path, read_as, vae)
            else:
                pipeline, more = _from_folder(path, read_as, family, options, vae)
                notes += more
            _check_parts(pipeline, family, path)
        lines, more = add_loras(pipeline, options.loras or ())
        notes += more + _with_sound_schedule(pipeline)
        additions = _vae_line(options.vae) + lines
        base = BaseModel(source, family, fingerprint, pipeline, target, dtype, additions, options.low_vram, notes=notes)
        if not base.offloads:  # else parts are moved when they are at work
            pipeline.to(target)
        settle(base)
    collect_as_usual()
    return _compiled(base) if options.compile else base


def _compiled(base: BaseModel) -> BaseModel:
    note = compile_parts(base.unet, base.pipeline.vae, base.device)
    return replace(base, compiled=not note, notes=(*base.notes, note) if note else base.notes)


def _memory_hint(options: ModelOptions) -> str:
    """The next smaller setting."""
    return "close other programs, or choose a smaller base model" if options.low_vram else "give --low-vram"


def settle(base: BaseModel) -> None:
    """Freeze a base model's parts, and put them into the shape that they work best in."""
    for module in base.modules:
        module.requires_grad_(False).eval()
        if module.dtype != base.dtype:  # a diffusers that does not know `dtype` yet
            module.to(base.dtype)
    base.pipeline.set_progress_bar_config(disable=True)
    if base.device.type == "cuda":  # the layout that its convolutions are quickest in
        base.unet.to(memory_format=torch.channels_last)
    if base.low_vram:
        base.unet.enable_gradient_checkpointing()  # takes effect only where gradients are wanted
        base.pipeline.vae.enable_slicing()
        base.pipeline.vae.enable_tiling()


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}", "use auto or cpu") from error
    return device


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision != "auto":
        if precision not in _DTYPES:
            raise UsageError(f"unknown precision {precision!r}", f"choose one of: auto, {', '.join(_DTYPES)}")
        return _DTYPES[precision]
    if device.type != "cuda":
        return torch.float32
    with torch.cuda.device(device):  # older ones emulate it, many times slower
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _type_to_read(path: Path, variant: str | None, dtype: torch.dtype) -> torch.dtype:
    """As the weights are stored, where that takes no more room: the device, once they are there, casts them quicker.

    So they are mapped from the file, too, and not copied. LoRAs are merged in the type that is worked in.
    """
    kinds = _stored_types(path, variant)
    stored = _STORED.get(next(iter(kinds)), dtype) if len(kinds) == 1 else dtype
    return stored if stored.itemsize <= dtype.itemsize else dtype


def _stored_types(path: Path, variant: str | None) -> set[str]:
    """In safetensors' words; nothing of pickles."""
    if path.is_file() and path.suffix.lower() != ".safetensors":
        return set()
    if path.is_file():  # where noise schedules may stand, too, and averages of the weights
        tensors = open_weight_file(path).tensors
        kinds = {tensors[piece.key].dtype for part in read_single_file(path).pieces.values() for piece in part.values()}
    else:
        entries = [entry for file in files_of(path, variant) for entry in open_weight_file(file).tensors.values()]
        kinds = {entry.dtype for entry in entries}
    return kinds - {"I64"}  # positions, in older files


def _from_folder(
    folder: Path, dtype: torch.dtype, family: str, options: ModelOptions, vae: Any | None
) -> tuple[Any, tuple[str, ...]]:
    settings: dict[str, Any] = {"vae": vae} if vae is not None else {}
    if family == "sdxl":
        kind, settings = StableDiffusionXLPipeline, {**settings, "add_watermarker": False}
    else:
        kind = StableDiffusionPipeline
        settings |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    variant = weight_variant(folder, options.variant)
    settings |= _of_other_variants(folder, dtype, family, options.variant, variant, tuple(settings))
    pipeline = kind.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        variant=variant,
        local_files_only=True,
        **settings,
    )
    notes: tuple[str, ...] = ()
    _settle_schedule(pipeline, folder)
    for component, name in COMPONENTS[family].items():
        if component != "vae" or vae is None:
            network = getattr(pipeline, component)
            notes += check_complete(network, component, weight_files(folder / component, name, options.variant))
    return pipeline, notes


def _settle_schedule(pipeline: Any, folder: Path) -> None:
    """State what all Stable Diffusions have in common, where the folder's scheduler does not.

    Schedulers such as Euler have no word for it, and DDIM's own defaults are not those that Stable Diffusion was made
    with. Single files state the same, so that both draw the same pictures.
    """
    stated = read_json(folder / "scheduler" / "scheduler_config.json")
    common = {"set_alpha_to_one": False, "clip_sample": False, "steps_offset": 1}
    missing = {key: value for key, value in common.items() if key not in stated}
    # Values of this list are taken for a scheduler's own defaults, and are not handed to another one.
    defaults = [key for key in pipeline.scheduler.config.get("_use_default_values", []) if key not in missing]
    pipeline.scheduler.register_to_config(**missing, _use_default_values=defaults)


def _of_other_variants(
    folder: Path, dtype: torch.dtype, family: str, wanted: str | None, main: str | None, given: Collection[str]
) -> dict[str, Any]:
    """Load those components whose files are of another variant than the UNet's: a pipeline loads only one."""
    found: dict[str, Any] = {}
    for component, name in COMPONENTS[family].items():
        variant = variant_of(weight_files(folder / component, name, wanted)[0], name)
        if variant == main or component in given:
            continue
        settings = {"variant": variant, "use_safetensors": True, "local_files_only": True}
        kind = AutoencoderKL if component == "vae" else _text_encoder_class(component)
        found[component] = kind.from_pretrained(folder / component, torch_dtype=dtype, **settings)
    return found


def _text_encoder_class(component: str) -> Any:
    return CLIPTextModelWithProjection if component == "text_encoder_2" else CLIPTextModel


def _check_parts(pipeline: Any, family: str, path: Path) -> None:
    unet, vae = pipeline.unet.config, pipeline.vae.config
    if unet.in_channels != vae.latent_channels:
        raise UnsupportedModelError(
            f"the UNet in {path} takes {unet.in_channels} channels, the VAE gives {vae.latent_channels}: "
            "an inpainting or editing model, or a VAE of another family",
            NOT_SUPPORTED,
        )
    text_width = pipeline.text_encoder.config.hidden_size
    if family == "sdxl":
        text_width += pipeline.text_encoder_2.config.hidden_size
    if unet.cross_attention_dim != text_width:
        raise UnsupportedModelError(
            f"the UNet in {path} expects text of width {unet.cross_attention_dim}, its text encoder gives {text_width}",
            NOT_SUPPORTED,
        )
    schedule = type(pipeline.scheduler).__name__
    if schedule.startswith(("EDM", "FlowMatch")):
        raise UnsupportedModelError(f"the model in {path} was trained for {schedule}, another kind of noise", SUPPORTED)
    prediction = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction", "sample"):
        raise UnsupportedModelError(f"the model in {path} predicts {prediction!r}", NOT_SUPPORTED)


def _with_sound_schedule(pipeline: Any) -> tuple[str, ...]:
    """Take zero terminal SNR from models that predict noise: where all is noise there is nothing to predict.

    Files that claim both were written so by mistake, and would be drawn black. Returns what is worth telling.
    """
    config = pipeline.scheduler.config
    if config.get("prediction_type", "epsilon") != "epsilon" or not config.get("rescale_betas_zero_snr", False):
        return ()
    pipeline.scheduler = type(pipeline.scheduler).from_config(config, rescale_betas_zero_snr=False)
    return ("the model predicts noise, which does not go with zero terminal SNR: the ordinary noise schedule is used",)


def _vae_line(source: str | None) -> tuple[str, ...]:
    if not source:
        return ()
    path = user_path(source)
    if path.is_file():
        return (f"vae {path.name} {hash_of_file(path)}",)
    files = sorted(path.rglob("diffusion_pytorch_model*.safetensors"))
    return (f"vae {path.name} {hash_of_file(files[0]) if files else ''}".strip(),)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """The loading bars and hints of the libraries would mix with the command line's own output.

    Nothing that they say of weights is lost by it: what a folder's files lack or have too much is looked up by
    `check_complete`, single files must fit exactly, and LoRAs are merged without the libraries.
    """
    libraries = (diffusers_logging, transformers_logging)
    shown = [library.is_progress_bar_enabled() for library in libraries]
    verbosities = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
        library.set_verbosity(logging.CRITICAL)  # what goes wrong is told in an error of ours
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for library, was_shown, verbosity in zip(libraries, shown, verbosities, strict=True):
            library.set_verbosity(verbosity)
            if was_shown:
                library.enable_progress_bar()
