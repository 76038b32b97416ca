"""One vector a row from the encoder's last layer.

Shapes: B rows, L tokens, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from clue_cli.errors import UserError, did_you_mean

POOLINGS = ("first", "mean")
"""`first`: the first real token ([CLS] of a BERT). `mean`: the mean over all real tokens, special ones included."""


def pool(last: Tensor, attention_mask: Tensor, kind: str) -> Tensor:
    """The pooled rows (B, H), float32, of `last` (B, L, H) under `attention_mask` (B, L), 1 or True for real tokens.

    Padding may stand on either side. A row without any real token gives zeros. UserError for an unknown `kind`.
    """
    mask = attention_mask.bool()
    if kind == "first":
        # argmax finds the first of equal values, hence the first real token also behind padding on the left.
        first = mask.long().argmax(dim=1)
        rows = last[torch.arange(last.shape[0], device=last.device), first].float()
        return rows.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)
    if kind == "mean":
        # Filled, not multiplied: padding may hold NaN, and 0 * NaN is NaN.
        total = last.float().masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1)
        return total / mask.sum(dim=1, keepdim=True).clamp(min=1)
    raise UserError(did_you_mean(kind, POOLINGS, "pooling"), where="--pooling")
