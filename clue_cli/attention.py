"""Attention for short texts in bf16 on a processor.

torch's fused attention is made for long rows: at 24 to 128 tokens, in bf16, its backward pass takes several times as
long on a processor as two batched products around a softmax, which is what stands here. Longer inputs, float32 and
accelerators keep the fused one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from clue_cli.dropout import byte_dropout

NAME = "clue_short"

LONGEST = 192
"""Tokens up to which the plain products were faster than the fused kernel (forward and backward, bf16, two cores)."""


def short_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention: query, key, value (B, heads, L, D) -> (B, L, heads, D).

    attention_mask: bool, True where a key may be seen, broadcast to (B, heads, L, L); or None. The softmax is float32.
    """
    if query.dtype != torch.bfloat16 or key.shape[2] > LONGEST or key.shape[1] != query.shape[1]:
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        return ALL_ATTENTION_FUNCTIONS["sdpa"](  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scaling is None else scaling), key.transpose(-1, -2))
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
        else:
            scores = scores + attention_mask
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    if dropout > 0:
        weights = byte_dropout(weights, dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


def use_short_attention(model: Any) -> bool:
    """Let a model of `transformers` attend by `short_attention` where it can; whether it does.

    Models without exchangeable attention, and releases of `transformers` without it, keep what they have.
    """
    try:
        from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    except ImportError:  # before transformers 4.53
        return False
    if not getattr(model, "_supports_attention_backend", False) or model.config._attn_implementation != "sdpa":
        return False
    ALL_ATTENTION_FUNCTIONS.register(NAME, short_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.config._attn_implementation = NAME
    return True
