"""The files of a base model on disk: find them, check that they are whole, tell the family, fingerprint. No torch.

A base model is a folder in diffusers' layout, a hub id, or one `.safetensors` or `.ckpt` file of a model site.
"""

from faceid_cli.model_files.ahead import read_ahead
from faceid_cli.model_files.families import FAMILY_NAMES, NOT_SUPPORTED, SUPPORTED
from faceid_cli.model_files.fingerprint import family_of_fingerprint, fingerprint_of
from faceid_cli.model_files.folder import weight_variant
from faceid_cli.model_files.kin import kin_of
from faceid_cli.model_files.source import check_model, is_here, model_path

__all__ = [
    "FAMILY_NAMES",
    "NOT_SUPPORTED",
    "SUPPORTED",
    "check_model",
    "family_of_fingerprint",
    "fingerprint_of",
    "is_here",
    "kin_of",
    "model_path",
    "read_ahead",
    "weight_variant",
]
