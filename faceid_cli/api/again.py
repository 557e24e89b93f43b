"""Pictures of `generate` that are there already: with a seed and a folder, nothing is rendered twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faceid_cli.api.already import Already
from faceid_cli.api.opening import Opened
from faceid_cli.jobs.requests import request_of
from faceid_cli.kept.settings import fields_with_defaults
from faceid_cli.model_files import fingerprint_of
from faceid_cli.model_files.file_hashes import sha256_of
from faceid_cli.model_files.folder import vae_folder
from faceid_cli.model_files.lora import parse_lora
from faceid_cli.orders import ModelOptions, RenderOrder
from faceid_cli.orders.checks import user_path
from faceid_cli.orders.replay import render_command
from faceid_cli.rendering.metadata import opened_file, read_metadata
from faceid_cli.types import BUILTIN, Render, RenderRequest


def requests_of(order: RenderOrder, opened: Opened, prompt: str, seeds: Sequence[int]) -> dict[int, str]:
    """The hash of each picture's request, by seed.

    Args:
        order: The order.
        opened: Its people.
        prompt: Normalised, people as `<name>`.
        seeds: Of the pictures.
    """
    fingerprint = fingerprint_of(opened.source, opened.loading.variant)
    loading = put_in(opened.loading)
    return {seed: request_of(order, prompt, opened.digests, fingerprint, loading, seed) for seed in seeds}


def put_in(loading: ModelOptions) -> dict[str, Any]:
    """What is put into a base model, by name and by content: under the same name may be another file by now.

    Raises:
        ModelError: A file cannot be read.
    """
    found = [path for path, _ in map(parse_lora, loading.loras or ()) if path.is_file()]
    if loading.vae is not None:
        vae = user_path(loading.vae)
        found += [vae] if vae.is_file() else sorted(vae_folder(vae).glob("*.safetensors"))
    return {**loading.kept(), "files": [sha256_of(file) for file in found]} if found else loading.kept()


def files_there(order: RenderOrder, requests: Mapping[int, str]) -> dict[int, Path]:
    """Files of pictures that are there already, by seed; of an order without a seed or a folder none."""
    folder = order.output
    if order.seed is None or folder is None or not folder.is_dir():
        return {}
    already, target = Already(), folder / f"{'-'.join(order.names)}.png"
    found = {seed: already.find(request, target, folder) for seed, request in requests.items()}
    return {seed: path for seed, path in found.items() if path is not None}


def read_render(path: Path | None, order: RenderOrder, seed: int) -> Render:
    """A picture that was rendered before, with its settings.

    Args:
        path: Its file.
        order: That asks for it again.
        seed: Of the picture.

    Raises:
        NotAnImageError: It is damaged.
    """
    assert path is not None
    metadata = read_metadata(path)
    settings = {} if metadata is None else asdict(metadata)
    seed = settings.get("seed", seed)
    command = render_command(order, seed, settings.get("base_model") == BUILTIN, fields_with_defaults(RenderOrder))
    with opened_file(path) as image:
        return Render(
            image.convert("RGB"), RenderRequest(order.prompt, order.names, seed), {**settings, "command": command}, path
        )
