"""How far two passes of one batch are apart, for R-Drop (Liang et al. 2021, arXiv 2106.14448, equation 2).

Two passes differ by their dropout alone. All functions give (KL(p, q) + KL(q, p)) / 2 of the distributions that a head
makes of its scores; they are differentiable in both passes, zero for equal ones, and symmetric.

Shapes: B rows, L tokens, H types, C classes or tags.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from heads.factorised import Factors
from heads.span_loss import block_elements, recomputed


def symmetric_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Of the softmax of two logit tensors (..., C) -> (...). -inf in both leaves a class out."""
    log_p, log_q = F.log_softmax(first, dim=-1), F.log_softmax(second, dim=-1)
    out = torch.isneginf(log_p) & torch.isneginf(log_q)
    # The difference is masked before it is formed: -inf minus -inf is NaN, and so would be its gradient.
    gap = log_p.masked_fill(out, 0) - log_q.masked_fill(out, 0)
    return ((log_p.exp() - log_q.exp()) * gap).sum(-1) / 2


def span_divergence(first: Tensor, second: Tensor, valid: Tensor) -> Tensor:
    """Of one yes or no for every span, with probability sigmoid(2 s), summed over `valid` (B, L, L) and types: ().

    first, second: scores (B, H, L, L). The loss is at its best where sigmoid(2 s) is the share of gold (Su 2022).
    """
    gap = torch.sigmoid(2 * first) - torch.sigmoid(2 * second)
    return torch.where(valid[:, None], gap * (first - second), 0).sum()


def factorised_divergence(first: Factors, second: Factors, valid: Tensor) -> Tensor:
    """`span_divergence` of scores in factors, () float. Written out in blocks of types, again in the backward pass."""

    def one(valid: Tensor, *factors: Tensor) -> Tensor:
        return span_divergence(_written_out(*factors[:3]), _written_out(*factors[3:]), valid)

    rows, length, types = first.start.shape
    size = max(1, block_elements(valid.device) // max(1, rows * length * length))
    parts = [
        recomputed(one, valid, *(x if x is f.shared else x[..., low : low + size] for f in (first, second) for x in f))
        for low in range(0, types, size)
    ]
    return torch.stack(parts).sum()


def _written_out(shared: Tensor, start: Tensor, end: Tensor) -> Tensor:
    return shared[:, None] + start.mT[..., None] + end.mT[:, :, None]


def chain_divergence(
    first: Tensor, second: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor
) -> Tensor:
    """Of the two distributions over paths of a linear chain with emissions (B, T, C) each, summed over rows: ().

    See `heads.linear_chain` for the other arguments. Transitions are shared, so that of the log-ratio of two paths'
    probabilities only emissions remain, and the expectation under each side needs its marginals m alone:
    sum over t, c of (m_p - m_q) * (first - second) / 2.
    """
    gap = _marginals(first, lengths, transitions, start, end) - _marginals(second, lengths, transitions, start, end)
    return (gap * (first - second)).sum() / 2


def _marginals(emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Probabilities (B, T, C) of each tag, 0 beyond a row's length: the gradient of the log-partition, differentiable.

    The recursion of `heads.linear_chain` gives them faster, but can't be differentiated again.
    """
    if not emissions.requires_grad:
        emissions = emissions.detach().requires_grad_()
    with torch.enable_grad():
        forward = start + emissions[:, 0]
        for step in range(1, emissions.shape[1]):
            onward = torch.logsumexp(forward[:, :, None] + transitions, 1) + emissions[:, step]
            forward = torch.where((step < lengths)[:, None], onward, forward)
        total = torch.where(lengths > 0, torch.logsumexp(forward + end, 1), 0).sum()
        (found,) = torch.autograd.grad(total, emissions, create_graph=True)
    return found
