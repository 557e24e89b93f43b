"""How wide a base model's token embeddings are, without loading it."""

from __future__ import annotations

from faceid_cli.errors import ModelError
from faceid_cli.model_files.families import COMPONENTS
from faceid_cli.model_files.folder import read_json
from faceid_cli.model_files.single_file import read_single_file
from faceid_cli.model_files.source import check_model, model_path

TOKEN_WIDTHS = {
    "sd1": {"text_encoder": 768},
    "sd2": {"text_encoder": 1024},
    "sdxl": {"text_encoder": 768, "text_encoder_2": 1280},
}
"""Of each family's checkpoints, as other programs know them."""


def token_widths(source: str) -> dict[str, int]:
    """Return the widths of a base model's token embeddings, by the text encoder's name.

    Args:
        source: As of `model_path`.

    Raises:
        ModelError: In its subclasses: it is not there, damaged, or of no supported family.
    """
    family, path = check_model(source), model_path(source)
    names = [name for name in COMPONENTS[family] if name.startswith("text_encoder")]
    single = read_single_file(path).configs if path.is_file() else None
    widths = {}
    for name in names:
        width = (read_json(path / name / "config.json") if single is None else single[name]).get("hidden_size")
        if not isinstance(width, int):
            raise ModelError(f"{path} is damaged: its {name} does not say how wide it is", "download it again")
        widths[name] = width
    return widths
