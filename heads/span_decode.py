"""Spans over a threshold from span scores, dense or factorised: exact, in bounded memory, whatever the model.

An untrained model scores half of all pairs over the threshold. Scores are looked at in blocks, and a row keeps the best
`max_candidates`; once it has that many, only better ones come in. All others over the threshold are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from heads.base import Spans
from heads.layers import full_precision
from heads.span_loss import block_elements


class BestSpans:
    """The best `max_candidates` spans of each of `rows` rows, from blocks of candidates in any order."""

    def __init__(self, rows: int, max_candidates: int, threshold: float, like: Tensor) -> None:
        self.rows, self.max_candidates = rows, max_candidates
        # What a candidate of a row must exceed: the threshold, later the worst of a full row.
        self.bar = like.new_full((rows,), threshold)
        self.seen = torch.zeros(rows, dtype=torch.int64, device=like.device)
        self.row = self.seen.new_empty(0)
        self.code = self.seen.new_empty(0)
        self.score = like.new_empty(0)

    def add(self, row: Tensor, code: Tensor, score: Tensor) -> None:
        """Candidates that passed `bar`: row (M,), code (M,) int64 that names the span, score (M,)."""
        row, code, score = (torch.cat(pair) for pair in ((self.row, row), (self.code, code), (self.score, score)))
        order = torch.sort(score, descending=True, stable=True).indices
        order = order[torch.sort(row[order], stable=True).indices]
        row, code, score = row[order], code[order], score[order]
        counts = torch.bincount(row, minlength=self.rows)
        first = counts.cumsum(0) - counts
        place = torch.arange(len(row), device=row.device) - first[row]
        kept = place < self.max_candidates
        self.row, self.code, self.score = row[kept], code[kept], score[kept]
        if self.max_candidates and len(score):
            worst = (first + self.max_candidates - 1).clamp(max=len(score) - 1)
            self.bar = torch.where(counts >= self.max_candidates, score[worst], self.bar)

    def spans(self, types: int, length: int) -> list[Spans]:
        """The candidates of each row, best first (equal scores by type, start, end), on the host."""
        row, code = self.row.cpu().numpy(), self.code.cpu().numpy()
        score = self.score.cpu().numpy()
        order = np.lexsort((code, -score, row))
        row, code, score = row[order], code[order], score[order].astype(np.float32)
        # The loss is at its best where sigmoid(2 s) is the share of gold; tanh does not overflow.
        probability = ((1.0 + np.tanh(score.astype(np.float64))) / 2.0).astype(np.float32)
        kind, start, end = code // (length * length), code // length % length, code % length
        seen = self.seen.cpu().numpy()
        borders = np.searchsorted(row, np.arange(self.rows + 1))
        return [
            Spans(kind[low:high], start[low:high], end[low:high], score[low:high], probability[low:high],
                  dropped=int(seen[number]) - (high - low))
            for number, (low, high) in enumerate(itertools.pairwise(borders.tolist()))
        ]  # fmt: skip


def dense_spans(
    blocks: Iterable[tuple[int, Tensor]], types: int, valid: Tensor, threshold: float, max_candidates: int
) -> list[Spans]:
    """All valid spans that score over `threshold`, at most `max_candidates` a row, from blocks of types.

    `blocks` yields (first type, scores (B, h, L, L)); valid (B, L, L) bool.
    """
    rows, length = valid.shape[:2]
    best: BestSpans | None = None
    for first, scores in blocks:
        best = best or BestSpans(rows, max_candidates, threshold, scores)
        best.seen += ((scores > threshold) & valid[:, None]).flatten(1).sum(1)
        row, kind, start, end = ((scores > best.bar[:, None, None, None]) & valid[:, None]).nonzero().unbind(1)
        if len(row):
            best.add(row, ((first + kind) * length + start) * length + end, scores[row, kind, start, end])
    return [] if best is None else best.spans(types, length)


def factorised_spans(
    A: Tensor, b: Tensor, c: Tensor, valid: Tensor, threshold: float, max_candidates: int, *, ordered: bool = True
) -> list[Spans]:
    """The same for the scores `A[i,j] + b[i,h] + c[j,h]`, without writing them out.

    A (B, L, L), b and c (B, L, H), valid (B, L, L) bool; `ordered` says that valid pairs have start <= end. A line
    (h, i) can hold a span over the threshold only if `b[i,h] + max_j A[i,j] + max_{j >= i} c[j,h]` is over it; only
    such lines are scored. Rounding is monotone and bound and score are added in one order, so no span is missed.
    """
    rows, length, types = b.shape
    with full_precision(A):
        top_a = torch.where(valid, A, float("-inf")).amax(2)
        usable = torch.where(valid.any(1)[..., None], c, float("-inf"))
        top_c = usable.flip(1).cummax(1).values.flip(1) if ordered else usable.amax(1, keepdim=True)
        bound = (top_a[..., None] + top_c) + b
        row, start, kind = (bound > threshold).nonzero().unbind(1)
        # The most promising lines first: the bar rises early.
        order = torch.sort(bound[row, start, kind], descending=True, stable=True).indices
        row, start, kind = row[order], start[order], kind[order]
        columns = c.transpose(1, 2)
        best = BestSpans(rows, max_candidates, threshold, A)
        block = max(1, block_elements(A.device) // length)
        for low in range(0, len(row), block):
            r, i, h = row[low : low + block], start[low : low + block], kind[low : low + block]
            scores = torch.where(valid[r, i], (A[r, i] + columns[r, h]) + b[r, i, h][:, None], float("-inf"))
            best.seen.index_add_(0, r, (scores > threshold).sum(1))
            line, end = (scores > best.bar[r][:, None]).nonzero().unbind(1)
            if len(line):
                best.add(r[line], (h[line] * length + i[line]) * length + end, scores[line, end])
    return best.spans(types, length)
