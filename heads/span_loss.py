"""The multi-label loss over all spans of all types (Su 2022, kexue.fm 7359), dense and factorised.

For one (row, type), over the valid pairs (i, j): `log(1 + sum_neg exp(s)) + log(1 + sum_pos exp(-s))`. Both functions
return the sum over rows and types; the published mean is that over B * H. Gold spans come as a list (N, 4) of (row,
type, start, end inclusive): a span listed twice counts once, one outside `valid` not at all, and every position can
be expressed. Nothing is masked with a large number: what does not count is left out of the sum, and no sum is empty
when its logarithm is taken, so values and gradients are finite for every finite score.

`factorised_span_loss` is for scores `A[i,j] + b[i,h] + c[j,h]` and never makes the B x H x L x L tensor, backward
included. The sum over all valid spans of a type is one matrix product,

    sum_ij exp(A[i,j] + b[i,h] + c[j,h]) = sum_i exp(b[i,h]) U[i,h],    U = E exp(c),    E = exp(A) where valid

taken with the largest A of each i and the largest c of each h out of the exponents. A line (row, start, type) that
holds gold spans, at most one a gold span, is summed explicitly without them: to subtract them from the whole would lose
every digit once they dominate. So is a line whose U underflows (the largest A and the largest c lie far apart, at
different j); to see whether there is one, a number is read back from the device, once a call. `docs/span-loss.md` has
the derivation, the measurements and the relation to the published forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from heads.layers import add_at, full_precision, stable_order

MOST_TYPES = 2**20
"""Bound on the number of types: what sorting by one 63-bit integer leaves room for (500,000 rows of 4,096 tokens)."""


def block_elements(device: torch.device) -> int:
    """Numbers of one working block: a few times the cache of a processor, a small part of an accelerator's memory."""
    return 2**21 if device.type == "cpu" else 2**25


def valid_pairs(text_mask: Tensor, *, ordered: bool = True) -> Tensor:
    """Pairs (B, L, L) bool of two text tokens, with start <= end if `ordered`."""
    # On a processor operations on bytes are many times faster than on bool.
    text = text_mask.view(torch.uint8)
    pairs = text[:, :, None] & text[:, None, :]
    if ordered:
        places = torch.arange(text.shape[1], device=text.device)
        pairs &= (places[:, None] <= places).view(torch.uint8)
    return pairs.view(torch.bool)


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
    code = ((row * MOST_TYPES + kind) * length + start) * length + end
    order = stable_order(code)
    code = code[order]
    row, kind, start, end = spans[order].unbind(1)
    counts = valid[row, start, end]
    counts[1:].logical_and_(code[1:] != code[:-1])
    return Gold(row, kind, start, end, counts)


# ---------------------------------------------------------------- the dense form


def log_sum_exp_with_zero(x: Tensor, dim: int) -> Tensor:
    """`log(1 + sum exp(x))` over `dim`; entries of -inf do not count, and all may be -inf."""
    peak = x.detach().amax(dim, keepdim=True).clamp(min=0)
    total = (x - peak).exp().sum(dim) + (-peak.squeeze(dim)).exp()
    return total.log() + peak.squeeze(dim)


def positive_part(scores: Tensor, gold: Gold, rows: int, types: int) -> tuple[Tensor, Tensor]:
    """The sum over (row, type) of `log(1 + sum_pos exp(-s))` from the scores (N,) of the gold spans; its gradient."""
    group = gold.row * types + gold.kind
    negated = torch.where(gold.counts, -scores, float("-inf"))
    peak = scores.new_zeros(rows * types).scatter_reduce(0, group, negated, "amax")
    terms = (negated - peak[group]).exp()
    total = add_at((-peak).exp(), group, terms)
    return (total.log() + peak).sum(), -terms / total[group]


class _PositivePart(torch.autograd.Function):
    """`positive_part` with its gradient."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, gold: Gold, rows: int, types: int) -> Tensor:
        loss, gradient = positive_part(scores, gold, rows, types)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None, None


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
        pull: Tensor = _PositivePart.apply(own, gold, rows, types)  # type: ignore[no-untyped-call]
        return log_sum_exp_with_zero(others, 2).sum() + pull


# ---------------------------------------------------------------- the factorised form


def factorised_span_loss(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    """The loss, summed over rows and types, of the scores `A[i,j] + b[i,h] + c[j,h]`.

    A (B, L, L), b and c (B, L, H), float32 or float64; valid (B, L, L) bool; spans (N, 4) int64. Memory
    O(B L (L + H)), time that of one product [L, L] x [L, H] a row, of two in the backward pass, and of an explicit sum
    for each (row, start, type) that holds a gold span. The same inputs give the same bits. Can be differentiated once.
    """
    loss: Tensor = _FactorisedLoss.apply(A, b, c, valid, spans)  # type: ignore[no-untyped-call]
    return loss


class _FactorisedLoss(torch.autograd.Function):
    """The loss with its gradient written by hand: nothing is kept, filled or added up that needs not be.

    Inside, types come before positions: `lines` and all of its size are (B, H, L).
    """

    @staticmethod
    def forward(ctx: Any, A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
        rows, _, types = b.shape
        with full_precision(A):
            gold = gold_list(spans, valid)
            lines, product = _all_spans(A, b, c, valid)
            listed, inner = _summed(_listed_lines(gold, product), product.A, c)
            lines.view(-1)[listed.place] = inner.add_(b[listed.row, listed.start, listed.kind])
            peak = lines.amax(2, keepdim=True).clamp(min=0)
            shares = _exponential(lines.sub_(peak))
            total = shares.sum(2, keepdim=True).add_((-peak).exp())
            own = A[gold.row, gold.start, gold.end] + b[gold.row, gold.start, gold.kind]
            positive, pull = positive_part(own + c[gold.row, gold.end, gold.kind], gold, rows, types)
            if any(ctx.needs_input_grad):
                shares.div_(total)
                # What is taken explicitly has no part in the product; nothing is divided by a sum that underflowed.
                ratio = torch.div(shares, product.U.clamp_(min=product.least), out=product.U)
                ratio.view(-1).index_fill_(0, listed.place, 0)
                ctx.save_for_backward(product.A, c, product.E, product.C, ratio, shares, pull, *gold, *listed)
            return total.log_().add_(peak).sum() + positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        A, c, E, C, ratio, shares, pull, *lists = ctx.saved_tensors
        gold, listed = Gold(*lists[:5]), _Listed(*lists[5:])
        types, length = C.shape[1:]
        with full_precision(A):
            ratio, by_b = ratio * upstream, shares * upstream
            by_a = torch.bmm(ratio.transpose(1, 2), C).mul_(E)
            by_c = torch.bmm(ratio, E).mul_(C)
            weight = by_b.view(-1)[listed.place]
            whole = [(slice(None), listed.shares)]
            again = ((part, _softmax(scores)[1]) for part, scores in _blocks(listed, A, c))
            for part, shares in whole if len(listed.shares) else again:
                share = shares * weight[part, None]
                add_at(by_a.view(-1, length), listed.row[part] * length + listed.start[part], share)
                add_at(by_c.view(-1, length), listed.row[part] * types + listed.kind[part], share)
            pull, group = pull * upstream, gold.row * types + gold.kind
            add_at(by_a.view(-1), (gold.row * length + gold.start) * length + gold.end, pull)
            add_at(by_b.view(-1), group * length + gold.start, pull)
            add_at(by_c.view(-1), group * length + gold.end, pull)
        return by_a, by_b.transpose(1, 2), by_c.transpose(1, 2), None, None


def _exponential(x: Tensor) -> Tensor:
    """`exp(x)` in place, of x <= 0.

    By way of 2^x: on a processor a third of the time of `exp_`, and a tenth where it underflows. The rounding of its
    argument is that of the scores.
    """
    return x.mul_(1 / math.log(2)).exp2_()


def _softmax(x: Tensor) -> tuple[Tensor, Tensor]:
    """`log sum_j exp(x[r,j])` (R,), -inf where there is nothing, and its gradient (R, L), 0 there; `x` is used up."""
    peak = x.amax(1, keepdim=True).clamp_(min=torch.finfo(x.dtype).min)
    shares = _exponential(x.sub_(peak))
    total = shares.sum(1, keepdim=True)
    return total.log().add_(peak).squeeze(1), shares.div_(total.clamp_(min=1))


def _left_out(counts: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `counts`, else inf: on a processor to subtract it is several times faster than to choose by a bool."""
    return counts.view(torch.uint8).to(dtype).reciprocal_().sub_(1)


class _Product(NamedTuple):
    """A (B, L, L), -inf where not valid; E, its, and C (B, H, L), c's exponentials without their peaks; U (B, H, L).

    `exists` (B, 1, L): whether a valid span starts there.
    """

    A: Tensor
    E: Tensor
    C: Tensor
    U: Tensor
    exists: Tensor

    @property
    def least(self) -> float:
        """What a sum must exceed: so far above the smallest number that what underflowed in it is below its digits."""
        return float(torch.finfo(self.U.dtype).tiny ** 0.5)


def _all_spans(A: Tensor, b: Tensor, c: Tensor, valid: Tensor) -> tuple[Tensor, _Product]:
    """`log sum_j exp(A[i,j] + b[i,h] + c[j,h])` over valid j, (B, H, L), -inf where there is none; what made it."""
    left_out, least = _left_out(valid, A.dtype), torch.finfo(A.dtype).min
    A = torch.sub(A, left_out, out=left_out)
    peak_a, used = A.amax(2), A.amax(1) > float("-inf")
    exists = peak_a > float("-inf")
    E = _exponential(A - peak_a.clamp_(min=least)[..., None])
    C = (c - _left_out(used, c.dtype)[..., None]).transpose(1, 2).contiguous()
    peak_c = C.amax(2, keepdim=True).clamp_(min=least)
    _exponential(C.sub_(peak_c))
    U = torch.bmm(C, E.transpose(1, 2))
    return U.log().add_(peak_a[:, None]).add_(peak_c).add_(b.transpose(1, 2)), _Product(A, E, C, U, exists[:, None])


class _Listed(NamedTuple):
    """R lines (row, type, start) that are summed explicitly, and their flat places (R,) in a tensor (B, H, L).

    Entry k of `slot`, `end` (N,) leaves column `end[k]` out of line `slot[k]`. `shares` (R, L): what part of the sum
    over A and c each place is, if the lines are one block, else (0, L).
    """

    row: Tensor
    kind: Tensor
    start: Tensor
    place: Tensor
    slot: Tensor
    end: Tensor
    shares: Tensor


def _listed_lines(gold: Gold, product: _Product) -> _Listed:
    """The lines that hold gold spans, then those whose sum was lost to underflow. Waits for the device once."""
    _, types, length = product.U.shape
    place = (gold.row * types + gold.kind) * length + gold.start
    leads = torch.ones_like(gold.counts)
    leads[1:] = place[1:] != place[:-1]
    low = product.exists & (product.U.amin(1, keepdim=True) <= product.least)
    count, some_lost = torch.stack((leads.sum(), low.any())).tolist()
    slot = leads.cumsum(0) - 1
    place = place[stable_order(leads, descending=True)[:count]]
    if some_lost:
        sums = product.U
        lost = product.exists & (sums <= product.least)
        lost.view(-1)[place] = False
        place = torch.cat((place, lost.view(-1).nonzero().squeeze(1)))
    line, none = place // length, product.U.new_empty((0, length))
    return _Listed(line // types, line % types, place % length, place, slot, gold.end, none)


def _summed(listed: _Listed, A: Tensor, c: Tensor) -> tuple[_Listed, Tensor]:
    """`listed` with its shares if they are one block; the logarithms of the sums over A and c (R,)."""
    inner = [listed.shares[:, 0]]
    for part, scores in _blocks(listed, A, c):
        total, shares = _softmax(scores)
        inner.append(total)
        if part == slice(0, len(listed.place)):
            listed = listed._replace(shares=shares)
    return listed, torch.cat(inner)


def _blocks(listed: _Listed, A: Tensor, c: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The scores `A[i,j] + c[j,h]` of the listed lines in blocks (r, L), -inf where j is not valid or left out."""
    length = A.shape[2]
    size = max(1, block_elements(A.device) // length)
    columns = c.transpose(1, 2)
    for low in range(0, len(listed.place), size):
        part = slice(low, min(low + size, len(listed.place)))
        row = listed.row[part]
        scores = A.new_empty((len(row) + 1, length))  # the last, also -1, takes what lies in other blocks
        torch.add(A[row, listed.start[part]], columns[row, listed.kind[part]], out=scores[:-1])
        scores[(listed.slot - low).clamp_(-1, len(row)), listed.end] = float("-inf")
        yield part, scores[:-1]
