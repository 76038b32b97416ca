"""Right, predicted and gold counts by class: the sums that accuracy, precision, recall and F1 are made of.

A metric with C classes has 3 C columns: `right` (predicted and gold agree), `predicted`, `gold`, each by class in the
order of the label set. 0/0 is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class ByClass(NamedTuple):
    """Arrays (..., C): counts and the figures made of them, class by class."""

    right: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, 0 where `whole` is 0; any one shape, float64."""
    found = np.zeros(np.shape(whole), dtype=np.float64)
    np.divide(part, whole, out=found, where=np.asarray(whole) > 0)
    return found


def f1_score(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """F1 = 2 right / (predicted + gold), the harmonic mean of precision and recall; 0 where both counts are 0."""
    return ratio(2.0 * right, predicted + gold)


class ClassCounts:
    """The columns of a metric over `labels`, and what sums of them mean."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a metric needs labels, each once: {self.labels!r}")
        self.index = {label: i for i, label in enumerate(self.labels)}
        self.columns = tuple(f"{kind}:{label}" for kind in ("right", "predicted", "gold") for label in self.labels)

    def by_class(self, totals: np.ndarray) -> ByClass:
        """Counts and figures by class from sums (..., 3 C), each (..., C)."""
        totals = np.asarray(totals, dtype=np.float64)
        classes = len(self.labels)
        if totals.shape[-1] != 3 * classes:
            raise ValueError(f"{totals.shape[-1]} statistics where {3 * classes} belong to {classes} classes")
        right, predicted, gold = (totals[..., k * classes : (k + 1) * classes] for k in range(3))
        precision, recall = ratio(right, predicted), ratio(right, gold)
        return ByClass(right, predicted, gold, precision, recall, f1_score(right, predicted, gold))

    def micro(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`f1`, `precision`, `recall` over all classes together from sums (..., 3 C), each (...)."""
        counts = self.by_class(totals)
        right, predicted, gold = (some.sum(axis=-1) for some in (counts.right, counts.predicted, counts.gold))
        return {
            "f1": f1_score(right, predicted, gold),
            "precision": ratio(right, predicted),
            "recall": ratio(right, gold),
        }

    def counts(
        self, right: Mapping[str, float], predicted: Mapping[str, float], gold: Mapping[str, float]
    ) -> dict[int, float]:
        """Sparse statistics of one unit from counts by label; KeyError for a label outside the set."""
        classes = len(self.labels)
        found: dict[int, float] = {}
        for offset, amounts in ((0, right), (classes, predicted), (2 * classes, gold)):
            for label, amount in amounts.items():
                if amount:
                    found[offset + self.index[label]] = float(amount)
        return found

    def rows(self, totals: np.ndarray) -> list[dict[str, Any]]:
        """One row a label, in the order of the set: label, precision, recall, f1, support, predicted; sums (3 C,)."""
        by_class = self.by_class(totals)
        return [
            {
                "label": label,
                "precision": float(by_class.precision[i]),
                "recall": float(by_class.recall[i]),
                "f1": float(by_class.f1[i]),
                "support": int(by_class.gold[i]),
                "predicted": int(by_class.predicted[i]),
            }
            for i, label in enumerate(self.labels)
        ]
