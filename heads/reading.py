"""Reading comprehension: where in a passage the answer stands, one pair of start and end among all pairs of positions.

Both heads see `[CLS] question [SEP] passage [SEP]` and allow the same positions: the passage's tokens (`text_mask`) and
position 0, whose pair (0, 0) means "no answer in this window". Question, separators and padding are out, as starts and
as ends. Position 0 is always a real token (batches are padded on the right); where an encoder puts its summary token
last, the question's first token stands there and serves as well, since it is no token of the passage.

The target is one pair (N, 4) of (row, 0, start, end) for each row that is to be learned; a row without one has no loss.
Answers are decoded without position 0, as the best pairs by raw score: between windows of one passage raw scores can be
compared, probabilities within a window cannot.

Sources: bojone/CLUE-bert4keras (one-headed GlobalPointer with a softmax over all pairs); Devlin et al. 2019 (two
softmaxes). Nothing is masked with a large number: what is out is -inf under a maximum that is finite, as (0, 0) always
is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from heads.base import DecodeOptions, Head, HeadOutput, Spans, float32
from heads.divergence import symmetric_divergence
from heads.layers import apply_dense, dense, full_precision
from heads.rotary import rotary_angles, rotate
from heads.span_loss import block_elements, recomputed

CANDIDATES = 20
"""Pairs of each window that come out of decoding: more than an answer and its rivals need."""

NOTHING = float("-inf")


def allowed_positions(text_mask: Tensor) -> Tensor:
    """Positions (B, L) bool that an answer or its absence may have: the passage's tokens and position 0."""
    allowed = text_mask.clone()
    allowed[:, 0] = True
    return allowed


def answer_positions(text_mask: Tensor) -> Tensor:
    """Positions (B, L) bool that an answer may have: the passage's tokens."""
    answers = text_mask.clone()
    answers[:, 0] = False
    return answers


def masked_pairs(scores: Tensor, allowed: Tensor) -> Tensor:
    """`scores` (B, L, L) of (start, end) where both are `allowed` (B, L) and start <= end, else -inf."""
    pairs = (allowed[:, :, None] & allowed[:, None, :]).triu()
    return torch.where(pairs, scores, NOTHING)


class Listed(NamedTuple):
    """The targets (N,) of a batch; `counts` is False for a pair that is not among those allowed."""

    row: Tensor
    start: Tensor
    end: Tensor
    counts: Tensor


def listed(spans: Tensor, allowed: Tensor) -> Listed:
    """The targets of (N, 4) int64 (row, type, start, end)."""
    row, _, start, end = spans.unbind(1)
    return Listed(row, start, end, allowed[row, start] & allowed[row, end] & (start <= end))


class PairHead(Head):
    """What the two heads share: decoding. A subclass writes the scores of pairs out, some rows at a time."""

    by_row = True

    def pair_scores(self, scores: Any, low: int, high: int) -> Tensor:
        """Scores (high - low, L, L) of every (start, end) of rows `low` to `high`, nothing masked."""
        raise NotImplementedError

    def row_divergence(self, first: Any, second: Any, allowed: Tensor) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of each row, (B,), of the scores of two passes."""
        raise NotImplementedError

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of the loss's softmax (R-Drop), summed over targets."""
        allowed = allowed_positions(batch["text_mask"])
        targets = listed(batch["spans"], allowed)
        rows = self.row_divergence(first.scores, second.scores, allowed)[targets.row]
        return torch.where(targets.counts, rows, 0).sum()

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Spans]:
        """The best `CANDIDATES` pairs of each row, best first (equal scores by start, end); no limit of length.

        `score` is the raw score; `probability` the pair's share of the exponentials of all pairs of the passage's
        tokens in this window, "no answer" left out: it says how sure the place is if the answer is here.
        """
        count = min(CANDIDATES, options.max_candidates)
        answers = answer_positions(batch["text_mask"])
        found: list[Spans] = []
        with torch.no_grad():
            for low, high in _row_blocks(answers):
                pairs = masked_pairs(self.pair_scores(output.scores, low, high), answers[low:high])
                found += _best_pairs(pairs, count)
        return found


class ReadingScores(NamedTuple):
    """Queries and keys (B, L, d), turned by their positions; the queries carry the factor 1/sqrt(d)."""

    queries: Tensor
    keys: Tensor


class ReadingGlobalPointer(PairHead):
    """`s(i, j) = <R_i q_i, R_j k_j> / sqrt(d)`, one softmax over all allowed pairs i <= j, (0, 0) included.

    One-headed GlobalPointer (kexue.fm 8373) as CLUE-bert4keras reads with it: q and k come from one dense layer of 2d
    outputs without bias, R turns by the position (RoPE) unless `rotary` is False. Loss: cross-entropy of the target
    pair, weight one a target, in blocks of rows that the backward pass makes again: memory O(L^2) a block beside q
    and k, not O(B L^2). Raises ValueError if `head_size` is odd and `rotary` is on.
    """

    def __init__(
        self, hidden_size: int, head_size: int = 64, rotary: bool = True, bias: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if rotary and head_size % 2:
            raise ValueError(f"head_size must be even with rotary positions, not {head_size}")
        self.head_size, self.rotary = head_size, rotary
        self.config: dict[str, Any] = {"head_size": head_size, "rotary": rotary, "bias": bias, "dropout": dropout}
        self.dropout = nn.Dropout(dropout)
        self.linear = dense(hidden_size, 2 * head_size, std=hidden_size**-0.5, bias=bias)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `ReadingScores`. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` (N, 4)."""
        projected = float32(apply_dense(self.linear, self.dropout(hidden["last"])))
        queries, keys = projected.view(*projected.shape[:2], 2, self.head_size).unbind(2)
        if self.rotary:
            angles = rotary_angles(queries.shape[1], self.head_size, device=queries.device, dtype=queries.dtype)
            queries, keys = rotate(queries, angles), rotate(keys, angles)
        scores = ReadingScores(queries * self.head_size**-0.5, keys)
        if not want_loss:
            return HeadOutput(None, None, scores)
        targets = listed(batch["spans"], allowed_positions(batch["text_mask"]))
        return HeadOutput(self._loss(scores, batch, targets), targets.counts.sum().to(queries.dtype), scores)

    def pair_scores(self, scores: ReadingScores, low: int, high: int) -> Tensor:
        """The scores of rows `low` to `high`, never in less than float32."""
        queries, keys = scores.queries[low:high], scores.keys[low:high]
        with full_precision(queries):
            return queries @ keys.transpose(-1, -2)

    def row_divergence(self, first: ReadingScores, second: ReadingScores, allowed: Tensor) -> Tensor:
        """Of the softmax over all allowed pairs, in blocks of rows as in the loss."""

        def one(allowed: Tensor, *parts: Tensor) -> Tensor:
            pairs = (
                masked_pairs(self.pair_scores(ReadingScores(*scores), 0, len(allowed)), allowed).flatten(1)
                for scores in (parts[:2], parts[2:])
            )
            return symmetric_divergence(*pairs)

        both = (allowed, *first, *second)
        return torch.cat([recomputed(one, *(x[low:high] for x in both)) for low, high in _row_blocks(allowed)])

    def _loss(self, scores: ReadingScores, batch: Mapping[str, Tensor], targets: Listed) -> Tensor:
        allowed = allowed_positions(batch["text_mask"])

        def one(low: int, queries: Tensor, keys: Tensor) -> Tensor:
            rows = len(queries)
            scores = self.pair_scores(ReadingScores(queries, keys), 0, rows)
            pairs = masked_pairs(scores, allowed[low : low + rows])
            inside = targets.counts & (targets.row >= low) & (targets.row < low + rows)
            row = torch.where(inside, targets.row - low, 0)
            total = pairs.flatten(1).logsumexp(1)[row]
            own = torch.where(inside, pairs[row, targets.start, targets.end], 0)
            return torch.where(inside, total - own, 0).sum()

        blocks = [(low, scores.queries[low:high], scores.keys[low:high]) for low, high in _row_blocks(allowed)]
        if len(blocks) == 1:
            return one(*blocks[0])
        return torch.stack([recomputed(one, *block) for block in blocks]).sum()


class StartEnd(PairHead):
    """Two scores a token, `s_i` to be the start and `e_j` to be the end, each with a softmax over allowed positions.

    Loss: the mean of the two cross-entropies, weight one a target. A pair scores `s_i + e_j`. Different from the usual
    form: question and separators cannot be an answer's border, in training as in decoding.
    """

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"dropout": dropout}
        self.dropout = nn.Dropout(dropout)
        self.linear = dense(hidden_size, 2, std=0.02)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: (B, L, 2), start and end. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans`."""
        scores = float32(apply_dense(self.linear, self.dropout(hidden["last"])))
        if not want_loss:
            return HeadOutput(None, None, scores)
        allowed = allowed_positions(batch["text_mask"])
        targets = listed(batch["spans"], allowed)
        log_shares = torch.where(allowed[..., None], scores, NOTHING).log_softmax(1)
        starts = log_shares[targets.row, targets.start, 0]
        ends = log_shares[targets.row, targets.end, 1]
        # Chosen one by one, not after adding: a target that is out has -inf, and no gradient may come of it.
        loss = -(torch.where(targets.counts, starts, 0) + torch.where(targets.counts, ends, 0)).sum() / 2
        return HeadOutput(loss, targets.counts.sum().to(scores.dtype), scores)

    def row_divergence(self, first: Tensor, second: Tensor, allowed: Tensor) -> Tensor:
        """The mean of that of starts and that of ends."""
        logits = (torch.where(allowed[..., None], scores, NOTHING).mT for scores in (first, second))
        return symmetric_divergence(*logits).mean(-1)

    def pair_scores(self, scores: Tensor, low: int, high: int) -> Tensor:
        """The sums of rows `low` to `high`."""
        start, end = scores[low:high].unbind(-1)
        return start[:, :, None] + end[:, None, :]


def _row_blocks(positions: Tensor) -> Iterator[tuple[int, int]]:
    """Rows [low, high) of (B, L) whose L x L pairs are written out at once."""
    rows, length = positions.shape
    size = max(1, block_elements(positions.device) // max(1, length * length))
    for low in range(0, rows, size):
        yield low, min(low + size, rows)


def _best_pairs(pairs: Tensor, count: int) -> list[Spans]:
    """The best `count` of each row of `pairs` (B, L, L), -inf where there is none, on the host."""
    rows, length = pairs.shape[:2]
    # The best pairs start where a line's best end is among the best: 20 lines are searched, not all.
    best_end = pairs.amax(2)
    starts = best_end.topk(min(count, length), 1).indices
    lines = pairs.gather(1, starts[:, :, None].expand(-1, -1, length)).flatten(1)
    scores, places = lines.topk(min(count, lines.shape[1]), 1)
    start = starts.gather(1, places // length)
    columns = [x.cpu().numpy() for x in (start, places % length, scores, pairs.flatten(1).logsumexp(1))]
    return [_spans(*(column[row] for column in columns)) for row in range(rows)]


def _spans(start: np.ndarray, end: np.ndarray, score: np.ndarray, total: np.ndarray) -> Spans:
    order = np.lexsort((end, start, -score))
    order = order[score[order] > NOTHING]  # none is, in a row without any pair, whose total is -inf
    start, end, score = start[order], end[order], score[order]
    share = np.exp(np.minimum(score.astype(np.float64) - total.astype(np.float64), 0.0)) if len(order) else score
    zeros = np.zeros(len(order), dtype=np.int64)
    return Spans(zeros, start, end, score.astype(np.float32), share.astype(np.float32))
