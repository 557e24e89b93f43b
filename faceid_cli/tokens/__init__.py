"""The learned tokens of a person: how they are learned (module), and how they enter a prompt (tokenize, encode).

A placeholder `<name>` in a prompt stands for a person. It takes N text positions, whose input embeddings are replaced,
while the frozen text transformer runs, by the person's features of the current stage (paper section 3.2).
"""

from faceid_cli.tokens.dial import dialled
from faceid_cli.tokens.embedding_file import embedding_for, files_of_embedding, read_embedding
from faceid_cli.tokens.encode import (
    ENCODER,
    EncodedPrompt,
    arrays_from_tokens,
    encode_prompt,
    tokens_from_arrays,
)
from faceid_cli.tokens.encoders import EncoderRows, encode_rows
from faceid_cli.tokens.module import (
    FeatureSource,
    TokenModule,
    TokenModules,
    class_embedding,
    embedding_scale,
    features_of,
)
from faceid_cli.tokens.space import EmbeddingSpace
from faceid_cli.tokens.tokenize import class_word_ids, tokenize_prompt

__all__ = [
    "ENCODER",
    "EmbeddingSpace",
    "EncodedPrompt",
    "EncoderRows",
    "FeatureSource",
    "TokenModule",
    "TokenModules",
    "arrays_from_tokens",
    "class_embedding",
    "class_word_ids",
    "dialled",
    "embedding_for",
    "embedding_scale",
    "encode_prompt",
    "encode_rows",
    "features_of",
    "files_of_embedding",
    "read_embedding",
    "tokenize_prompt",
    "tokens_from_arrays",
]
