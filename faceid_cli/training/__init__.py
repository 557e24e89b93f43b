"""Learn a person's tokens on a frozen base model (paper section 3): data, losses, checkpoints and the loop."""

from faceid_cli.training.loop import train_identity

__all__ = ["train_identity"]
