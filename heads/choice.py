"""One score a choice, softmax over the choices of a question: multiple choice and cloze."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heads.base import DecodeOptions, Head, HeadOutput, float32
from heads.divergence import symmetric_divergence
from heads.layers import apply_dense, dense, stable_order


class ByUnit(NamedTuple):
    """Where rows stand in a table (U, M), a line a unit: `unit` and `place` of each row, (B,) int64 both."""

    unit: Tensor
    place: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, unit: Tensor) -> ByUnit:
        """The rows of a unit from the left, in the order of the batch. `unit` numbers the units from 0, all of them."""
        sizes = torch.bincount(unit)
        order = stable_order(unit)
        starts = sizes.cumsum(0) - sizes
        place = torch.empty_like(unit)
        place[order] = torch.arange(len(unit), device=unit.device) - starts[unit[order]]
        return cls(unit, place, (len(sizes), int(sizes.max()) if len(sizes) else 0))

    def table(self, values: Tensor, fill: float) -> Tensor:
        """`values` (B,) laid out, `fill` in cells of no row.

        Every cell is written at most once: the table and its gradient are the same bits in every run, on every device.
        """
        return values.new_full(self.shape, fill).index_put((self.unit, self.place), values)


class Choice(Head):
    """Which of the rows of a unit is right: one dense unit on the pooled vector, softmax over the rows of the unit.

    The head of CLUE-bert4keras for c3 and chid, but for the width of the softmax: it goes over the choices that are
    there, two or ten, and no padding choice can be picked. Loss: minus the log-probability of the right row, summed
    over units; the weight is the number of units. A unit of one row has loss 0. Rows of a unit need not be adjacent,
    and a unit must not be spread over batches. Decoded: the raw score of each row, (1,) float32; scores are comparable
    inside a unit (softmax turns them into probabilities) and, for a cloze, between the blanks of one text.
    Different from the reference: dropout stands before the layer (the reference has none; `dropout=0` is the same).
    """

    needs = frozenset({"pooled"})

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"dropout": dropout}
        self.dropout = nn.Dropout(dropout)
        self.linear = dense(hidden_size, 1, std=0.02)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores (B,) float32. Takes "pooled" (B, H) and, for the loss, `unit` (B,) and `labels` (B,), both int64.

        `unit` numbers the units of the batch from 0, none left out; `labels` is 1 for the one right row of a unit,
        else 0.
        """
        scores = float32(apply_dense(self.linear, self.dropout(hidden["pooled"]))).squeeze(-1)
        if not want_loss:
            return HeadOutput(None, None, scores)
        by_unit = ByUnit.of(batch["unit"])
        right = by_unit.table(batch["labels"], 0) == 1
        # Padding is -inf: nothing in the sum of exponentials, and left out before -inf could meet another.
        logs = F.log_softmax(by_unit.table(scores, float("-inf")), dim=-1).masked_fill(~right, 0)
        return HeadOutput(-logs.sum(), logs.new_tensor(len(logs)), scores)

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[np.ndarray]:
        """The raw score of each row, (1,) float32 on the host."""
        return list(output.scores.detach().float().cpu().numpy()[:, None])

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of each unit (R-Drop, Liang et al. 2021), summed over units."""
        by_unit = ByUnit.of(batch["unit"])
        tables = (by_unit.table(output.scores, float("-inf")) for output in (first, second))
        return symmetric_divergence(*tables).sum()
