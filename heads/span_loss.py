"""The multi-label loss over all spans of all types (Su 2022, kexue.fm 7359), dense and factorised.

For one (row, type), over the valid pairs (i, j): `log(1 + sum_neg exp(s)) + log(1 + sum_pos exp(-s))`. Both functions
return the sum over rows and types; the published mean is that over B * H. Gold spans come as a list (N, 4) of (row,
type, start, end inclusive): a span listed twice counts once, one outside `valid` not at all, and every position can
be expressed. Nothing is masked with a large number: what does not count is left out of the sum, and no sum is empty
when its logarithm is taken, so values and gradients are finite for every finite score.

`factorised_span_loss` is for scores `A[i,j] + b[i,h] + c[j,h]` and never makes the B x H x L x L tensor, backward
included. It reads one number back from the device a call, to see whether a sum underflowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from heads.layers import full_precision

MOST_TYPES = 2**20
"""Bound on the number of types: what sorting by one 63-bit integer leaves room for (500,000 rows of 4,096 tokens)."""


def block_elements(device: torch.device) -> int:
    """Numbers of one working block: a few times the cache of a processor, a small part of an accelerator's memory."""
    return 2**21 if device.type == "cpu" else 2**25


def valid_pairs(text_mask: Tensor, *, ordered: bool = True) -> Tensor:
    """Pairs (B, L, L) bool of two text tokens, with start <= end if `ordered`."""
    pairs = text_mask[:, :, None] & text_mask[:, None, :]
    return pairs.triu() if ordered else pairs


def recomputed(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """`function(*inputs)` whose intermediate tensors are made again in the backward pass instead of kept."""
    result: Tensor = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    return result


class Gold(NamedTuple):
    """Gold spans in ascending order (N,); `counts` is False for repetitions and for spans outside `valid`."""

    row: Tensor
    kind: Tensor
    start: Tensor
    end: Tensor
    counts: Tensor


def gold_list(spans: Tensor, valid: Tensor) -> Gold:
    """Sorted gold spans of (N, 4); shapes do not depend on the values, so nothing waits for the device."""
    row, kind, start, end = spans.unbind(1)
    length = valid.shape[-1]
    order = torch.argsort(((row * MOST_TYPES + kind) * length + start) * length + end)
    row, kind, start, end = spans[order].unbind(1)
    repeated = (spans[order][1:] == spans[order][:-1]).all(1)
    counts = valid[row, start, end].clone()
    counts[1:] &= ~repeated
    return Gold(row, kind, start, end, counts)


def log_sum_exp_with_zero(x: Tensor, dim: int) -> Tensor:
    """`log(1 + sum exp(x))` over `dim`; entries of -inf do not count, and all may be -inf."""
    peak = x.detach().amax(dim, keepdim=True).clamp(min=0)
    total = (x - peak).exp().sum(dim) + (-peak.squeeze(dim)).exp()
    return total.log() + peak.squeeze(dim)


def positive_part(scores: Tensor, gold: Gold, rows: int, types: int) -> Tensor:
    """Sum over (row, type) of `log(1 + sum_pos exp(-s))` from the scores (N,) of the gold spans."""
    group = gold.row * types + gold.kind
    negated = torch.where(gold.counts, -scores, float("-inf"))
    peak = scores.new_zeros(rows * types).scatter_reduce(0, group, negated.detach(), "amax")
    # index_put sums in a fixed order on an accelerator too, index_add and scatter_add do not.
    total = (-peak).exp().index_put((group,), (negated - peak[group]).exp(), accumulate=True)
    return (total.log() + peak).sum()


def dense_span_loss(scores: Tensor, valid: Tensor, spans: Tensor, first_type: int = 0) -> Tensor:
    """The loss, summed over rows and types, of scores (B, H, L, L) written out; float32 or float64.

    valid (B, L, L) bool, spans (N, 4) int64. `scores` may be a block of types from `first_type` on; spans of other
    types do not count then. Memory: some five tensors of the size of `scores`, with the backward pass.
    """
    with full_precision(scores):
        rows, types, length = scores.shape[:3]
        gold = gold_list(spans, valid)
        kind = gold.kind - first_type
        within = (kind >= 0) & (kind < types)
        gold = gold._replace(kind=torch.where(within, kind, 0), counts=gold.counts & within)
        own = scores[gold.row, gold.kind, gold.start, gold.end]
        index = ((gold.row * types + gold.kind) * length + gold.start) * length + gold.end
        # A place behind the last score takes what does not count.
        positive = torch.zeros(scores.numel() + 1, dtype=torch.bool, device=scores.device)
        positive[torch.where(gold.counts, index, scores.numel())] = True
        negative = valid[:, None] & ~positive[:-1].view(scores.shape)
        others = torch.where(negative, scores, float("-inf")).flatten(2)
        return log_sum_exp_with_zero(others, 2).sum() + positive_part(own, gold, rows, types)


def factorised_span_loss(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    """The loss, summed over rows and types, of the scores `A[i,j] + b[i,h] + c[j,h]`.

    A (B, L, L), b and c (B, L, H), float32 or float64; valid (B, L, L) bool; spans (N, 4) int64. Memory
    O(B L (L + H)), time that of one product [L, L] x [L, H] a row and of an explicit sum for each (row, type, start)
    that holds a gold span. Those sums leave the gold spans out rather than subtract them, which would lose every
    digit once they dominate.
    """
    with full_precision(A):
        rows, _, types = b.shape
        gold = gold_list(spans, valid)
        inner, lost = _all_spans(A, c, valid)
        inner = _without_gold(inner, A, c, valid, gold)
        if bool(lost.any()):
            inner = _recomputed_rows(inner, A, c, valid, gold, lost)
        negative = log_sum_exp_with_zero(b + inner, 1).sum()
        own = A[gold.row, gold.start, gold.end] + b[gold.row, gold.start, gold.kind] + c[gold.row, gold.end, gold.kind]
        return negative + positive_part(own, gold, rows, types)


def _all_spans(A: Tensor, c: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """`log sum_j exp(A[i,j] + c[j,h])` over valid j, (B, L, H), -inf where there is none; and where it was lost.

    The largest A of each i and the largest c of each h are taken out; if they lie at different j and far apart, the
    sum of what remains underflows, and the sum is to be taken explicitly.
    """
    masked = torch.where(valid, A, float("-inf"))
    columns = valid.any(1)[..., None]
    peak_a = masked.detach().amax(2, keepdim=True)
    exists = peak_a > float("-inf")
    peak_a = torch.where(exists, peak_a, 0)
    shifted = torch.where(columns, c, float("-inf"))
    peak_c = shifted.detach().amax(1, keepdim=True)
    peak_c = torch.where(peak_c > float("-inf"), peak_c, 0)
    total = torch.bmm((masked - peak_a).exp(), (shifted - peak_c).exp())
    # Far enough above the smallest number that what underflowed inside the sum is below its last digit.
    floor = torch.finfo(A.dtype).tiny ** 0.5
    inner = torch.where(exists, total.clamp(min=floor).log() + (peak_a + peak_c), float("-inf"))
    return inner, exists & (total <= floor)


def _explicit(
    A: Tensor, c: Tensor, valid: Tensor, row: Tensor, start: Tensor, kind: Tensor, left_out: Tensor
) -> Tensor:
    """`log sum_j exp(A[i,j] + c[j,h])` over valid j not `left_out`, for R listed (row, start, type): (R,)."""
    scores = A[row, start] + c.transpose(1, 2)[row, kind]
    scores = torch.where(valid[row, start] & ~left_out, scores, float("-inf"))
    peak = scores.detach().amax(1, keepdim=True)
    peak = torch.where(peak > float("-inf"), peak, 0)
    total = (scores - peak).exp().sum(1)
    some = total > 0
    return torch.where(some, torch.where(some, total, 1).log() + peak.squeeze(1), float("-inf"))


def _explicit_in_blocks(
    A: Tensor, c: Tensor, valid: Tensor, row: Tensor, start: Tensor, kind: Tensor, slot: Tensor, place: Tensor
) -> Tensor:
    """`_explicit` for any number of rows in bounded memory. Entry k of `slot`, `place` leaves column `place[k]` out of
    row `slot[k]`; slots are in ascending order, and a slot beyond the last row takes what does not count."""
    count, length = len(row), A.shape[2]
    block = max(1, block_elements(A.device) // length)

    def one(low: int, high: int, A: Tensor, c: Tensor) -> Tensor:
        left_out = torch.zeros((high - low + 1, length), dtype=torch.bool, device=A.device)
        inside = (slot >= low) & (slot < high)
        left_out[torch.where(inside, slot - low, high - low), place] = True
        return _explicit(A, c, valid, row[low:high], start[low:high], kind[low:high], left_out[:-1])

    if count <= block:
        return one(0, count, A, c)
    return torch.cat([recomputed(one, low, min(low + block, count), A, c) for low in range(0, count, block)])


def _without_gold(inner: Tensor, A: Tensor, c: Tensor, valid: Tensor, gold: Gold) -> Tensor:
    """`inner` with the gold spans left out, rewritten for each (row, start, type) that holds one."""
    if not len(gold.row):
        return inner
    _, length, types = inner.shape
    index = (gold.row * length + gold.start) * types + gold.kind
    leads = torch.ones_like(gold.counts)
    leads[1:] = index[1:] != index[:-1]
    numbers = torch.arange(len(index), device=index.device)
    if thins_first(A.device, len(index) * length):
        leader, chosen = leads.cumsum(0) - 1, leads.nonzero().squeeze(1)
    else:
        leader, chosen = torch.where(leads, numbers, 0).cummax(0).values, numbers
    slot = torch.where(gold.counts, leader, len(chosen))
    values = _explicit_in_blocks(A, c, valid, gold.row[chosen], gold.start[chosen], gold.kind[chosen], slot, gold.end)
    if chosen is numbers:  # followers write their leader's value once more, and pass no gradient
        values = torch.where(leads, values, values.detach()[leader])
    return _overwrite(inner, index[chosen], values)


def thins_first(device: torch.device, elements: int) -> bool:
    """Whether to take one line for all gold spans that share (row, start, type), not one each.

    An accelerator would wait for the number of lines, so a short list stays as it is there, some lines made in vain.
    """
    return device.type == "cpu" or elements > block_elements(device)


def _overwrite(inner: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """`inner` with `values[k]` at the flat place `index[k]`."""
    return inner.reshape(-1).index_put((index,), values).view(inner.shape)


def _recomputed_rows(inner: Tensor, A: Tensor, c: Tensor, valid: Tensor, gold: Gold, lost: Tensor) -> Tensor:
    """`inner` with the rows that underflowed taken explicitly (those with gold spans already were)."""
    _, length, types = inner.shape
    done = torch.zeros(lost.numel(), dtype=torch.bool, device=lost.device)
    done[(gold.row * length + gold.start) * types + gold.kind] = True
    index = (lost.reshape(-1) & ~done).nonzero().squeeze(1)
    if not len(index):
        return inner
    row, start, kind = index // (length * types), index // types % length, index % types
    none = index.new_empty(0)
    values = _explicit_in_blocks(A, c, valid, row, start, kind, none, none)
    return _overwrite(inner, index, values)
