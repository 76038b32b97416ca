"""The published forms of the multi-label loss over all spans, stated anew, to measure the factorised form against.

Both take the factors of the scores and write the scores out, as every public port of GlobalPointer does; both return
the sum over rows and types. They serve the tests as independent statements too. Gold spans must be valid ones.

`published_dense`:   Su 2020 (kexue.fm 7359), bert4keras' `multilabel_categorical_crossentropy`. A label for every span
                     of every type; gold and other spans are masked in turn by 1e12.
`published_sparse`:  Su 2022, bert4keras' `sparse_multilabel_categorical_crossentropy` with `mask_zero`. Gold spans as
                     flat indices, filled up with 0; their sum is subtracted from the sum of all.
                     Differences that follow: the span at flat index 0, that is (0, 0), counts neither as gold nor as
                     another span; and what is left after the subtraction is clamped at `epsilon` of the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor

MASKED_OUT = 1e12


def written_out(A: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Scores (B, H, L, L)."""
    return A[:, None] + b.transpose(1, 2)[..., None] + c.transpose(1, 2)[:, :, None]


def masked_scores(A: Tensor, b: Tensor, c: Tensor, valid: Tensor) -> Tensor:
    """Scores (B, H, L * L), the smallest number where a pair is not valid."""
    return torch.where(valid[:, None], written_out(A, b, c), torch.finfo(A.dtype).min).flatten(2)


def published_dense(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    scores = masked_scores(A, b, c, valid)
    labels = torch.zeros_like(scores)
    row, kind, start, end = spans.unbind(1)
    labels[row, kind, start * A.shape[2] + end] = 1
    turned = (1 - 2 * labels) * scores
    zero = torch.zeros_like(scores[..., :1])
    others = torch.logsumexp(torch.cat((turned - labels * MASKED_OUT, zero), 2), 2)
    gold = torch.logsumexp(torch.cat((turned - (1 - labels) * MASKED_OUT, zero), 2), 2)
    return (others + gold).sum()


def flat_indices(spans: Tensor, rows: int, types: int, length: int) -> Tensor:
    """Gold spans as (B, H, K) flat indices `start * L + end`, filled up with 0."""
    listed: list[list[list[int]]] = [[[] for _ in range(types)] for _ in range(rows)]
    for row, kind, start, end in sorted(set(map(tuple, spans.tolist()))):
        listed[row][kind].append(start * length + end)
    most = max(1, *(len(places) for kinds in listed for places in kinds), 1)
    filled = [[places + [0] * (most - len(places)) for places in kinds] for kinds in listed]
    return torch.tensor(filled, device=spans.device)


def published_sparse(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor, epsilon: float = 1e-7) -> Tensor:
    rows, length, types = b.shape
    scores = masked_scores(A, b, c, valid)
    index = flat_indices(spans, rows, types, length)
    gold, padding = scores.gather(2, index), index == 0
    zero = torch.zeros_like(scores[..., :1])
    positive = torch.logsumexp(torch.cat((torch.where(padding, -torch.inf, -gold), zero), 2), 2)
    # The 0 of the loss takes the place of index 0.
    everything = torch.logsumexp(torch.cat((zero, scores[..., 1:]), 2), 2)
    own = torch.logsumexp(torch.where(padding, torch.finfo(A.dtype).min, gold), 2)
    rest = torch.log((1 - (own - everything).exp()).clamp(min=epsilon))
    return (positive + everything + rest).sum()
