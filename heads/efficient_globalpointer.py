"""Efficient GlobalPointer (Su 2022, kexue.fm 8877; arXiv 2208.03054): one product for all types, two numbers a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from heads.base import DecodeOptions, Head, HeadOutput, Spans, float32
from heads.layers import apply_dense, dense, full_precision
from heads.rotary import rotary_angles, rotate
from heads.span_decode import factorised_spans
from heads.span_loss import factorised_span_loss, valid_pairs


class Factors(NamedTuple):
    """Scores `shared[i,j] + start[i,h] + end[j,h]`: shared (B, L, L), start and end (B, L, H)."""

    shared: Tensor
    start: Tensor
    end: Tensor


class EfficientGlobalPointer(Head):
    """`s_h(i, j) = <R_i q_i, R_j k_j> / sqrt(d) + (e_i[2h+1] + e_j[2h]) / 2` for types h and spans i <= j.

    z = one dense layer of 2d outputs; q its even, k its odd components, turned by the position (RoPE) unless `rotary`
    is False; e a dense layer of 2H outputs on the z that is not turned. The scores stay in three factors, in training
    and in decoding: nothing of size H * L^2 is made (see `heads.span_loss`, `heads.span_decode`). Loss:
    `log(1 + sum_neg exp(s)) + log(1 + sum_pos exp(-s))` summed over (row, type), weight B * H. Decoded: every span
    whose score is over the threshold (0); its probability is sigmoid(2 s).

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
        self.project = dense(hidden_size, 2 * head_size, std=hidden_size**-0.5, bias=bias)
        self.types_of = dense(2 * head_size, 2 * types, std=(2 * head_size) ** -0.5, bias=bias)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `Factors`. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` (N, 4)."""
        factors = self.factors(hidden["last"])
        if not want_loss:
            return HeadOutput(None, None, factors)
        loss = factorised_span_loss(*factors, valid_pairs(batch["text_mask"]), batch["spans"])
        return HeadOutput(loss, loss.new_tensor(float(len(factors.start) * self.types)), factors)

    def factors(self, last: Tensor) -> Factors:
        """The three factors of the scores, float32 (float64 for float64), from the last layer (B, L, H)."""
        projected = apply_dense(self.project, self.dropout(last))
        ends = float32(apply_dense(self.types_of, projected)) / 2
        vectors = float32(projected).view(*last.shape[:2], self.head_size, 2)
        queries, keys = vectors[..., 0] * self.head_size**-0.5, vectors[..., 1]
        if self.rotary:
            angles = rotary_angles(last.shape[1], self.head_size, device=queries.device, dtype=queries.dtype)
            queries, keys = rotate(queries, angles), rotate(keys, angles)
        with full_precision(queries):
            shared = queries @ keys.transpose(-1, -2)
        return Factors(shared, ends[..., 1::2], ends[..., 0::2])

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Spans]:
        """Every span over the threshold, the best `max_candidates` of a row, best first."""
        threshold = self.default_threshold if options.threshold is None else options.threshold
        with torch.no_grad():
            valid = valid_pairs(batch["text_mask"])
            A, b, c = output.scores
            return factorised_spans(A, b, c, valid, threshold, options.max_candidates)
