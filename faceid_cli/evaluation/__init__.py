"""Scores of rendered pictures: likeness, obedience to the prompt, and where the person's attention goes."""

from faceid_cli.evaluation.scores import (
    Interval,
    PictureScore,
    attention_share,
    bootstrap_interval,
    concepts_obeyed,
    cosine_similarity,
    detection_rate,
    identity_of_prompt,
    mean_similarity,
    obedience,
    share_of_upper_bound,
    upper_bound,
)

__all__ = [
    "Interval",
    "PictureScore",
    "attention_share",
    "bootstrap_interval",
    "concepts_obeyed",
    "cosine_similarity",
    "detection_rate",
    "identity_of_prompt",
    "mean_similarity",
    "obedience",
    "share_of_upper_bound",
    "upper_bound",
]
