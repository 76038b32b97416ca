"""Spans over a threshold from span scores, dense or factorised: exact, in bounded memory, whatever the model.

An untrained model scores half of all pairs over the threshold. Scores are looked at in blocks, and a row keeps the best
`max_candidates`; once it has that many, only better ones come in. All others over the threshold are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from heads.base import Spans, probability_of
from heads.layers import count_at, full_precision, stable_order
from heads.span_loss import block_elements, valid_pairs

MANY_BLOCKS = 4
"""Blocks of lines that a trained model does not fill: beyond, lines are taken by their promise, round by round."""


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
        order = stable_order(score, descending=True)
        order = order[stable_order(row[order])]
        row, code, score = row[order], code[order], score[order]
        counts = torch.bincount(row, minlength=self.rows)
        first = counts.cumsum(0) - counts
        place = torch.arange(len(row), device=row.device) - first[row]
        kept = place < self.max_candidates
        self.row, self.code, self.score = row[kept], code[kept], score[kept]
        if self.max_candidates and len(score):
            worst = (first + self.max_candidates - 1).clamp(max=len(score) - 1)
            self.bar = torch.where(counts >= self.max_candidates, score[worst], self.bar)

    def found(self, length: int) -> FoundSpans:
        """The candidates on the host, whose codes are `(type * length + start) * length + end`."""
        row, code = self.row.cpu().numpy(), self.code.cpu().numpy()
        score = self.score.cpu().numpy()
        order = np.lexsort((code, -score, row))
        row, code, score = row[order], code[order], score[order]
        kind, start, end = code // (length * length), code // length % length, code % length
        dropped = self.seen.cpu().numpy() - np.bincount(row, minlength=self.rows)
        return FoundSpans(row, kind, start, end, score, dropped)


class FoundSpans(NamedTuple):
    """The spans of all rows, row by row, best first (equal scores by type, start, end): five arrays (K,).

    `dropped` (B,): how many more of each row are over the threshold.
    """

    row: np.ndarray
    type: np.ndarray
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray
    dropped: np.ndarray

    def by_row(self) -> list[Spans]:
        """The same as `Spans` of each row."""
        score = self.score.astype(np.float32)
        probability = probability_of(score)
        borders = np.searchsorted(self.row, np.arange(len(self.dropped) + 1)).tolist()
        rows = map(slice, borders[:-1], borders[1:])
        return [
            Spans(self.type[row], self.start[row], self.end[row], score[row], probability[row], dropped)
            for row, dropped in zip(rows, self.dropped.tolist(), strict=True)
        ]


def dense_spans(
    blocks: Iterable[tuple[int, Tensor]], valid: Tensor, threshold: float, max_candidates: int
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
    return [] if best is None else best.found(length).by_row()


def factorised_spans(
    A: Tensor, b: Tensor, c: Tensor, text_mask: Tensor, threshold: float, max_candidates: int, *, ordered: bool = True
) -> FoundSpans:
    """The same for the scores `A[i,j] + b[i,h] + c[j,h]`, without writing them out.

    A (B, L, L), b and c (B, L, H), text_mask (B, L) bool: spans start and end on text, with start <= end if `ordered`.
    A line (i, h) can hold a span over the threshold only if `b[i,h] + max_j A[i,j] + max_{j >= i} c[j,h]` is over it,
    and a type h only if the sum of all three maxima is. Only such lines are scored. Rounding is monotone, and bounds
    and scores are added in one order, so no span is missed.

    Where very many lines are promising (an untrained model), they are taken most promising first, until no other can
    hold a span better than the worst that is kept; the rest is only counted.
    """
    rows, length, _ = b.shape
    with full_precision(A):
        top_a, type_bound = _bounds(A, b, c, text_mask, ordered)
        best, scores = BestSpans(rows, max_candidates, threshold, A), _LineScores(A, b, c, text_mask, ordered)
        most = max(1, MANY_BLOCKS * block_elements(A.device) // length)
        lines = scores.promising(top_a, type_bound, threshold, most)
        if lines is not None:
            scores.add(lines, best, threshold)
        else:
            best.seen = scores.count_over(threshold)
            scores.add_best(best, top_a, most)
    return best.found(length)


def _bounds(A: Tensor, b: Tensor, c: Tensor, text_mask: Tensor, ordered: bool) -> tuple[Tensor, Tensor]:
    """`max_j A[i,j]` over valid pairs (B, L), -inf where none starts; and a bound on the scores of a type (B, H)."""
    rows, length, types = b.shape
    top_a, top_b, top_c = A.new_empty((rows, length)), A.new_empty((rows, types)), A.new_empty((rows, types))
    # To add 0 or -inf is several times faster on a processor than to choose by a bool.
    text = torch.zeros(text_mask.shape, dtype=A.dtype, device=A.device).masked_fill_(~text_mask, float("-inf"))
    before = torch.full_like(A[0], float("-inf")).tril_(-1) if ordered else None
    # Some rows at a time, in the same small memory; `amax` is fast over whole vectors of a processor.
    step = max(1, min(rows, block_elements(A.device) // 4 // (length * max(length, types))))
    buffer = A.new_full((step, length, -(-length // 16) * 16), float("-inf"))
    for low in range(0, rows, step):
        part = slice(low, min(low + step, rows))
        held = buffer[: part.stop - low]
        masked = torch.add(A[part], text[part, None], out=held[..., :length])
        if before is not None:
            masked += before
        torch.amax(held, 2, out=top_a[part])
        top_b[part], top_c[part] = maximum(b[part]), maximum(c[part])
    if bool(top_a.isnan().any()):  # what is no number may stand where there is no text
        top_a = torch.where(valid_pairs(text_mask, ordered=ordered), A, float("-inf")).amax(2)
    top_a = torch.where(text_mask, top_a, float("-inf"))
    return top_a, (top_a.amax(1)[:, None] + top_c) + top_b


def maximum(x: Tensor) -> Tensor:
    """`x.amax(1)` of x (B, L, H), several times faster on a processor."""
    while (length := x.shape[1]) > 1:
        x = torch.maximum(x[:, : (length + 1) // 2], x[:, length // 2 :])
    return x[:, 0]


def suffix_maximum(x: Tensor) -> Tensor:
    """`max(x[:, i:])` for every i, of x (B, L, ...): in log2(L) passes."""
    result, other = x.clone(), torch.empty_like(x)
    step = 1
    while step < x.shape[1]:
        torch.maximum(result[:, :-step], result[:, step:], out=other[:, :-step])
        other[:, -step:] = result[:, -step:]
        result, other, step = other, result, 2 * step
    return result


def _sorted(lines: Tensor, bound: Tensor) -> Tensor:
    """The lines (M, 3), the most promising first: the bar of a row rises early."""
    return lines[stable_order(bound, descending=True)]


class _LineScores(NamedTuple):
    """The scores of lines (row, start, type), made when they are asked for, -inf where a pair is not valid."""

    A: Tensor
    b: Tensor
    c: Tensor
    text_mask: Tensor
    ordered: bool

    def promising(self, top_a: Tensor, type_bound: Tensor, threshold: float, most: int) -> Tensor | None:
        """The lines (M, 3) that may hold a span over the threshold, the most promising first; None if over `most`."""
        # Not "over": what is no number, where there is no text, rules nothing out.
        row, kind = (~(type_bound <= threshold)).nonzero().unbind(1)
        if len(row) > most:
            bound = self.bounds(top_a)
            over = bound > threshold
            if int(over.count_nonzero()) > most:
                return None
            lines = over.nonzero()
            return _sorted(lines, bound[lines.unbind(1)])
        ends = torch.where(self.text_mask[row], self.c[row, :, kind], float("-inf"))
        bound = (top_a[row] + self._from(ends)) + self.b[row, :, kind]
        number, start = (bound > threshold).nonzero().unbind(1)
        if len(number) > most:
            return None
        return _sorted(torch.stack((row[number], start, kind[number]), 1), bound[number, start])

    def bounds(self, top_a: Tensor) -> Tensor:
        """What no score of a line exceeds (B, L, H), -inf where none starts."""
        ends = torch.where(self.text_mask[..., None], self.c, float("-inf"))
        starts = torch.where(self.text_mask[..., None], self.b, float("-inf"))
        return (top_a[..., None] + self._from(ends)) + starts

    def _from(self, ends: Tensor) -> Tensor:
        """The largest of `ends` (M, L, ...) that a span from each start may have."""
        return suffix_maximum(ends) if self.ordered else ends.amax(1, keepdim=True)

    def add(self, lines: Tensor, best: BestSpans, threshold: float | None) -> None:
        """Add to `best` what is over the bar, of lines (M, 3); with a threshold what is over that counts as seen."""
        length = self.b.shape[1]
        places = torch.arange(length, device=self.b.device)
        block = max(1, block_elements(self.b.device) // length)
        for low in range(0, len(lines), block):
            row, start, kind = lines[low : low + block].unbind(1)
            valid = self.text_mask[row]
            if self.ordered:
                valid &= places >= start[:, None]
            scores = (self.A[row, start] + self.c[row, :, kind]) + self.b[row, start, kind][:, None]
            scores = torch.where(valid, scores, float("-inf"))
            if threshold is not None:
                count_at(best.seen, row, (scores > threshold).sum(1))
            line, end = (scores > best.bar[row][:, None]).nonzero().unbind(1)
            if len(line):
                best.add(row[line], (kind[line] * length + start[line]) * length + end, scores[line, end])

    def add_best(self, best: BestSpans, top_a: Tensor, most: int) -> None:
        """Add the spans of all lines, `most` lines in a round and the best first, until no line could be better."""
        rows, length, types = self.b.shape
        bound = self.bounds(top_a).flatten(1)
        # Lines of one type lie together: whole columns are read.
        columns = self._replace(c=self.c.transpose(1, 2).contiguous().transpose(1, 2))
        while True:
            values, found = bound.topk(max(1, min(most // rows, length * types)), dim=1)
            bound.scatter_(1, found, float("-inf"))
            row, place = (values > best.bar[:, None]).nonzero().unbind(1)
            if not len(row):
                return
            line = found[row, place]
            lines = _sorted(torch.stack((row, line // types, line % types), 1), values[row, place])
            columns.add(lines, best, None)

    def count_over(self, threshold: float) -> Tensor:
        """How many spans of each row score over the threshold (B,)."""
        rows, length, types = self.b.shape
        counts = torch.zeros(rows, dtype=torch.int64, device=self.b.device)
        step = max(1, block_elements(self.b.device) // (length * types))
        for row in range(rows):
            valid = valid_pairs(self.text_mask[row : row + 1], ordered=self.ordered)[0]
            A = torch.where(valid, self.A[row], float("-inf"))
            for low in range(0, length, step):
                starts, first = slice(low, low + step), low if self.ordered else 0
                scores = (A[starts, first:, None] + self.c[row, first:]).add_(self.b[row, starts, None])
                counts[row] += torch.gt(scores, threshold, out=scores).sum(2).long().sum()
        return counts
