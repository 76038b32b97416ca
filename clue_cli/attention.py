"""Attention in bf16 on a processor.

torch's fused attention computes every product of a sliding-window layer and masks most of them away, and its bf16
backward pass takes longer on a processor than batched products around a softmax: several times as long for short
inputs, 1.4 times at 480 tokens. Two forms stand here for it: short inputs keep their attention weights for the backward
pass; longer ones are cut into blocks that fit into the caches, which the backward pass computes again (no L x L matrix
is ever kept), and a layer with a window multiplies only the keys that a block's window can reach. Float32, attention
dropout on long inputs and accelerators keep the fused one.

ModernBERT turns its queries and keys in float32 by ten operations, which takes a processor longer than their products;
`turned` does it in bf16 by three.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from clue_cli.dropout import byte_dropout

NAME = "clue_bf16"

SHORT = 192
"""Tokens up to which the weights are kept: so far they are small, and the fused kernel was slower (bf16, two cores)."""

BLOCK_SCORES = 1 << 20
"""Scores of one block at most, where its queries can be cut so far: 2 MB in bf16 stay near the core."""

WINDOW_QUERIES = 64
"""Queries of one block in a layer with a window; a block needs the keys of its queries and of a window each side."""


def blocks(count: int, heads: int, queries: int, keys: int, reach: int | None) -> Iterator[tuple[slice, slice, slice]]:
    """Examples, queries and keys of one block after the other, all pairs in reach once.

    reach: how far from a query its farthest key may stand, None without a bound.
    """
    if reach is None:
        width, seen = min(queries, max(64, BLOCK_SCORES // (heads * keys))), keys
    else:
        width = min(queries, WINDOW_QUERIES)
        seen = min(keys, width + 2 * reach)
    step = max(1, BLOCK_SCORES // (heads * width * seen))
    for first in range(0, count, step):
        examples = slice(first, min(count, first + step))
        for begin in range(0, queries, width):
            end = min(queries, begin + width)
            near = slice(0, keys) if reach is None else slice(max(0, begin - reach), min(keys, end + reach))
            yield examples, slice(begin, end), near


def weights_of(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax of scaled queries (B heads, Q, D) and keys (B heads, K, D) over the keys seen: (B heads, Q, K).

    mask: (B, heads or 1, Q, K), see `bf16_attention`.
    """
    scores = torch.bmm(query, key.transpose(1, 2))
    if mask is not None:
        apart = scores.view(mask.shape[0], -1, *scores.shape[1:])
        if mask.dtype == torch.bool:
            apart.masked_fill_(~mask, torch.finfo(scores.dtype).min)
        else:
            apart += mask
    return torch.softmax(scores, dim=-1)


class _BlockAttention(torch.autograd.Function):
    """Softmax attention (B heads, L, D) by blocks; saves its inputs and output only.

    With weights P = softmax(S), output O = P V and upward gradient G, the gradient of the scores is
    P * (G V^T - rowsum(G * O)); the row sums need no block.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, heads: int, reach: int | None
    ) -> Tensor:
        output = torch.empty_like(query)
        for examples, queries, keys in blocks(len(query) // heads, heads, query.shape[1], key.shape[1], reach):
            rows = slice(examples.start * heads, examples.stop * heads)
            seen = None if mask is None else mask[examples, :, queries, keys]
            output[rows, queries] = torch.bmm(
                weights_of(query[rows, queries], key[rows, keys], seen), value[rows, keys]
            )
        ctx.save_for_backward(query, key, value, output, mask)
        ctx.heads, ctx.reach = heads, reach
        return output

    @staticmethod
    def backward(ctx: Any, upward: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, output, mask = ctx.saved_tensors
        heads = ctx.heads
        upward = upward.contiguous()
        query_gradient, key_gradient, value_gradient = (torch.zeros_like(x) for x in (query, key, value))
        sums = (upward.float() * output).sum(-1, keepdim=True).to(query.dtype)
        for examples, queries, keys in blocks(len(query) // heads, heads, query.shape[1], key.shape[1], ctx.reach):
            rows = slice(examples.start * heads, examples.stop * heads)
            q, g, k, v = query[rows, queries], upward[rows, queries], key[rows, keys], value[rows, keys]
            weights = weights_of(q, k, None if mask is None else mask[examples, :, queries, keys])
            value_gradient[rows, keys] += torch.bmm(weights.transpose(1, 2), g)
            scores_gradient = torch.bmm(g, v.transpose(1, 2)).sub_(sums[rows, queries]).mul_(weights)
            query_gradient[rows, queries] = torch.bmm(scores_gradient, k)
            key_gradient[rows, keys] += torch.bmm(scores_gradient.transpose(1, 2), q)
        return query_gradient, key_gradient, value_gradient, None, None, None


def bf16_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention: query, key, value (B, heads, L, D) -> (B, L, heads, D).

    attention_mask: bool, True where a key may be seen, or float, added; broadcast to (B, heads, L, L); or None.
    sliding_window: keys at this distance or farther are never seen, which the mask says already (`transformers` hands
    the number to kernels that take no mask).
    """
    long = key.shape[2] > SHORT
    if query.dtype != torch.bfloat16 or key.shape[1] != query.shape[1] or (long and dropout > 0):
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        return ALL_ATTENTION_FUNCTIONS["sdpa"](  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
    query = query * (1 / math.sqrt(query.shape[-1]) if scaling is None else scaling)
    count, heads, queries, width = query.shape
    if attention_mask is not None:
        attention_mask = attention_mask.expand(count, -1, queries, key.shape[2])
    query, key, value = (x.reshape(count * heads, -1, width) for x in (query, key, value))
    output: Tensor
    if long:
        reach = sliding_window - 1 if sliding_window and attention_mask is not None else None
        output = _BlockAttention.apply(query, key, value, attention_mask, heads, reach)  # type: ignore[no-untyped-call]
    else:
        weights = weights_of(query, key, attention_mask)
        output = torch.bmm(byte_dropout(weights, dropout) if dropout > 0 else weights, value)
    return output.view(count, heads, queries, width).transpose(1, 2).contiguous(), None


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`x` (B, heads, L, D) turned: pair (d, d + D/2) by the angle whose cosine and sine are `cos`, `sin` (B, 1, L, D).

    RoFormer (Su et al. 2021), with the halves of a vector for its pairs, as `transformers` has it.
    """
    half = x.shape[-1] // 2
    output = torch.mul(x, cos, out=torch.empty(x.shape, dtype=x.dtype))
    output[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
    output[..., half:].addcmul_(x[..., :half], sin[..., half:])
    return output


class _Turn(torch.autograd.Function):
    """`turn`, whose gradient is turned back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return turn(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, upward: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return turn(upward, cos, -sin), None, None


Turned = Callable[..., tuple[Tensor, Tensor]]


def turned(original: Turned) -> Turned:
    """`original`, ModernBERT's `apply_rotary_pos_emb`, which leaves bf16 tensors of a processor to `turn`."""

    def apply_rotary_pos_emb(
        q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1
    ) -> tuple[Tensor, Tensor]:
        if q.dtype != torch.bfloat16 or cos.dtype != torch.bfloat16 or q.device.type != "cpu":
            return original(q, k, cos, sin, unsqueeze_dim=unsqueeze_dim)
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return tuple(_Turn.apply(x, cos, sin) for x in (q, k))  # type: ignore[no-untyped-call]

    return apply_rotary_pos_emb


def use_bf16_turns(model: Any) -> bool:
    """Let a ModernBERT of `transformers` turn queries and keys by `turn`; whether it does.

    Its code offers no seam for it: the function is exchanged in its module, and passes on what is not ours.
    """
    code = sys.modules[type(model).__module__]
    original = getattr(code, "apply_rotary_pos_emb", None)
    if model.config.model_type != "modernbert" or original is None:
        return False
    if original.__module__ != __name__:
        code.apply_rotary_pos_emb = turned(original)  # type: ignore[attr-defined]
    return True


def use_bf16_attention(model: Any) -> bool:
    """Let a model of `transformers` attend by `bf16_attention` where it can; whether it does.

    Models without exchangeable attention, and releases of `transformers` without it, keep what they have.
    """
    try:
        from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    except ImportError:  # before transformers 4.53
        return False
    if not getattr(model, "_supports_attention_backend", False) or model.config._attn_implementation != "sdpa":
        return False
    ALL_ATTENTION_FUNCTIONS.register(NAME, bf16_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.config._attn_implementation = NAME
    return True
