"""Efficient GlobalPointer (Su 2022, kexue.fm 8877; arXiv 2208.03054): one product for all types, two numbers a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from heads.base import DecodeOptions, Head, HeadOutput, Spans
from heads.divergence import factorised_divergence
from heads.factorised import FactorisedScorer
from heads.span_decode import factorised_spans
from heads.span_loss import factorised_span_loss, valid_pairs


class EfficientGlobalPointer(FactorisedScorer, Head):
    """`s_h(i, j) = <R_i q_i, R_j k_j> / sqrt(d) + (e_i[2h+1] + e_j[2h]) / 2` for types h and spans i <= j.

    The layer is `heads.factorised.FactorisedScorer`. The scores stay in its three factors, in training
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
        super().__init__(hidden_size, types, head_size, rotary, bias, dropout)
        self.config: dict[str, Any] = {
            "types": types, "head_size": head_size, "rotary": rotary, "bias": bias, "dropout": dropout
        }  # fmt: skip

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `Factors`. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` (N, 4)."""
        factors = self.factors(hidden["last"])
        if not want_loss:
            return HeadOutput(None, None, factors)
        loss = factorised_span_loss(*factors, valid_pairs(batch["text_mask"]), batch["spans"])
        return HeadOutput(loss, loss.new_tensor(float(len(factors.start) * self.types)), factors)

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of every span's sigmoid(2 s) (R-Drop), summed over spans."""
        return factorised_divergence(first.scores, second.scores, valid_pairs(batch["text_mask"]))

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Spans]:
        """Every span over the threshold, the best `max_candidates` of a row, best first."""
        threshold = self.threshold(options)
        with torch.no_grad():
            A, b, c = output.scores
            return factorised_spans(A, b, c, batch["text_mask"], threshold, options.max_candidates).by_row()
