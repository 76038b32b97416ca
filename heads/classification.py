"""Dropout, one linear layer, softmax cross-entropy: the classifier of every CLUE baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heads.base import DecodeOptions, Head, HeadOutput, float32
from heads.divergence import symmetric_divergence
from heads.layers import apply_dense, dense


class Classification(Head):
    """One of C classes from the pooled vector: softmax of a linear layer (CLUE-bert4keras, every task of its kind).

    Loss: cross-entropy; with `class_weights` w the loss of a row of class y counts w_y times and the weight of the
    batch is the sum of its w_y, else B. Decoded: raw logits (C,) float32 (softmax turns them into probabilities).
    Different from the reference: dropout stands before the layer (the reference has none; `dropout=0` is the same).

    Raises ValueError if `class_weights` has not one finite, positive number a class.
    """

    needs = frozenset({"pooled"})
    class_weights: Tensor | None

    def __init__(
        self, hidden_size: int, classes: int, dropout: float = 0.1, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        weights = None if class_weights is None else [float(weight) for weight in class_weights]
        if weights is not None and (len(weights) != classes or not all(0 < w < float("inf") for w in weights)):
            raise ValueError(f"class_weights must be {classes} positive numbers, one a class, not {weights}")
        self.config: dict[str, Any] = {"classes": classes, "dropout": dropout, "class_weights": weights}
        self.dropout = nn.Dropout(dropout)
        self.linear = dense(hidden_size, classes, std=0.02)
        # Not in the state: the weights stand in `config`, and a checkpoint stays loadable without them.
        self.register_buffer(
            "class_weights", None if weights is None else torch.tensor(weights, dtype=torch.float32), persistent=False
        )

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: logits (B, C), float32. Takes "pooled" (B, H) and, for the loss, `labels` (B,) int64."""
        logits = float32(apply_dense(self.linear, self.dropout(hidden["pooled"])))
        if not want_loss:
            return HeadOutput(None, None, logits)
        losses = F.cross_entropy(logits, batch["labels"], reduction="none")
        weights = self._row_weights(logits, batch)
        return HeadOutput((losses * weights).sum(), weights.sum(), logits)

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[np.ndarray]:
        """The logits of each row, (C,) float32 on the host."""
        return list(output.scores.detach().float().cpu().numpy())

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences (R-Drop, Liang et al. 2021), summed over rows like the loss."""
        rows = symmetric_divergence(first.scores, second.scores)
        return (rows * self._row_weights(first.scores, batch)).sum()

    def _row_weights(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        if self.class_weights is None:
            return logits.new_ones(len(logits))
        return self.class_weights.to(logits.dtype)[batch["labels"]]
