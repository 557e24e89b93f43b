"""Cross-attention of the frozen UNet: split by stage (hooks), recorded (record) and measured (maps)."""

from faceid_cli.attention.hooks import cross_attention_layers, split_attention
from faceid_cli.attention.record import AttentionRecord, record_attention

__all__ = [
    "AttentionRecord",
    "cross_attention_layers",
    "record_attention",
    "split_attention",
]
