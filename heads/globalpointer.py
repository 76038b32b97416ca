"""GlobalPointer (Su 2021, kexue.fm 8373; arXiv 2208.03054): every span of every type is scored by a product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from heads.base import DecodeOptions, Head, HeadOutput, Spans, float32
from heads.divergence import span_divergence
from heads.layers import apply_dense, dense, full_precision
from heads.rotary import rotary_angles, rotate
from heads.span_decode import dense_spans
from heads.span_loss import block_elements, dense_span_loss, recomputed, valid_pairs


class Projections(NamedTuple):
    """Queries and keys (B, H, L, d), turned by their positions; the queries carry the factor 1/sqrt(d)."""

    queries: Tensor
    keys: Tensor


class GlobalPointer(Head):
    """`s_h(i, j) = <R_i q_{h,i}, R_j k_{h,j}> / sqrt(d)` for types h, spans i <= j; nested and overlapping too.

    q and k come from one dense layer of H * 2d outputs (per type first q, then k); R turns by the position (RoPE)
    unless `rotary` is False. Loss: `log(1 + sum_neg exp(s)) + log(1 + sum_pos exp(-s))` summed over (row, type),
    weight B * H, in blocks of types that the backward pass makes again: memory O(B L^2) beside q and k, not
    O(B H L^2). Decoded: every span whose score is over the threshold (0); its probability is sigmoid(2 s).

    Different from the reference: [CLS] and [SEP] are left out in training as in decoding (there only in decoding).
    Raises ValueError if `head_size` is odd and `rotary` is on.
    """

    thresholded = True
    default_threshold = 0.0

    def __init__(
        self,
        hidden_size: int,
        types: int,
        head_size: int = 64,
        rotary: bool = True,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if rotary and head_size % 2:
            raise ValueError(f"head_size must be even with rotary positions, not {head_size}")
        self.types, self.head_size, self.rotary = types, head_size, rotary
        self.config: dict[str, Any] = {
            "types": types, "head_size": head_size, "rotary": rotary, "bias": bias, "dropout": dropout
        }  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.linear = dense(hidden_size, types * 2 * head_size, std=hidden_size**-0.5, bias=bias)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `Projections`. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` (N, 4)."""
        projected = float32(apply_dense(self.linear, self.dropout(hidden["last"])))
        rows, length = projected.shape[:2]
        projected = projected.view(rows, length, self.types, 2, self.head_size)
        if self.rotary:
            angles = rotary_angles(length, self.head_size, device=projected.device, dtype=projected.dtype)
            projected = rotate(projected, angles)
        queries, keys = projected.permute(3, 0, 2, 1, 4)
        scores = Projections(queries * self.head_size**-0.5, keys)
        if not want_loss:
            return HeadOutput(None, None, scores)
        return HeadOutput(self._loss(scores, batch), queries.new_tensor(float(rows * self.types)), scores)

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of every span's sigmoid(2 s) (R-Drop), summed over spans."""
        valid = valid_pairs(batch["text_mask"])

        def one(*projections: Tensor) -> Tensor:
            return span_divergence(span_scores(*projections[:2]), span_scores(*projections[2:]), valid)

        size = _block_size(first.scores)
        both = (*first.scores, *second.scores)
        blocks = range(0, self.types, size)
        return torch.stack([recomputed(one, *(x[:, low : low + size] for x in both)) for low in blocks]).sum()

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Spans]:
        """Every span over the threshold, the best `max_candidates` of a row, best first."""
        threshold = self.threshold(options)
        with torch.no_grad():
            valid = valid_pairs(batch["text_mask"])
            return dense_spans(_blocks(output.scores), valid, threshold, options.max_candidates)

    def _loss(self, scores: Projections, batch: Mapping[str, Tensor]) -> Tensor:
        valid, spans = valid_pairs(batch["text_mask"]), batch["spans"]

        def one(first: int, queries: Tensor, keys: Tensor) -> Tensor:
            return dense_span_loss(span_scores(queries, keys), valid, spans, first)

        size = _block_size(scores)
        if size >= self.types:
            return one(0, *scores)
        losses = [
            recomputed(one, first, scores.queries[:, first : first + size], scores.keys[:, first : first + size])
            for first in range(0, self.types, size)
        ]
        return torch.stack(losses).sum()


def span_scores(queries: Tensor, keys: Tensor) -> Tensor:
    """Scores (B, h, L, L) of `Projections` of h types, never in less than float32."""
    with full_precision(queries):
        return queries @ keys.transpose(-1, -2)


def _block_size(scores: Projections) -> int:
    """Types whose scores are written out at once."""
    rows, _, length, _ = scores.queries.shape
    return max(1, block_elements(scores.queries.device) // max(1, rows * length * length))


def _blocks(scores: Projections) -> Iterator[tuple[int, Tensor]]:
    size = _block_size(scores)
    for first in range(0, scores.queries.shape[1], size):
        yield first, span_scores(scores.queries[:, first : first + size], scores.keys[:, first : first + size])
