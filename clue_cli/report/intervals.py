"""Precision, recall and F1 by label, with 95 % intervals, from the statistics of the items.

Works on every metric whose columns are `right:LABEL`, `predicted:LABEL`, `gold:LABEL` (and `found:LABEL` where the
gold elements that were found are counted apart from the predicted ones that are right).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """A figure in [0, 1] with the bounds of its 95 % interval."""

    figure: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """False where the bounds are the figure itself: nothing that was seen says how far it could move."""
        return self.low < self.high


@dataclass(frozen=True)
class LabelFigures:
    """One label: counts of the metric, and None for a figure without anything to be a share of."""

    label: str
    gold: float
    predicted: float
    right: float
    precision: Interval | None
    recall: Interval | None
    f1: Interval | None


def wilson(part: float, whole: float) -> Interval | None:
    """The share `part / whole` with Wilson's score interval (1927); None for no whole.

    Where credit is given in parts of 1 the share of it varies less than that of rights and wrongs, so that the interval
    is rather too wide.
    """
    if whole <= 0:
        return None
    share = part / whole
    below = 1 + Z**2 / whole
    centre = (share + Z**2 / (2 * whole)) / below
    half = Z / below * float(np.sqrt(max(0.0, share * (1 - share)) / whole + Z**2 / (4 * whole**2)))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def labels_of(columns: Sequence[str]) -> tuple[str, ...]:
    """The labels that a metric counts by, in its order; none where it counts otherwise."""
    return tuple(column.removeprefix("gold:") for column in columns if column.startswith("gold:"))


def counts(columns: Sequence[str], matrix: np.ndarray) -> dict[str, np.ndarray]:
    """`right`, `predicted`, `found` and `gold` amounts by item and label, each (n, C), of statistics (n, K)."""
    labels, index = labels_of(columns), {column: i for i, column in enumerate(columns)}
    kinds = {
        kind: matrix[:, [index[f"{kind}:{label}"] for label in labels]]
        for kind in ("right", "predicted", "found", "gold")
        if all(f"{kind}:{label}" in index for label in labels)
    }
    return {"found": kinds["right"], **kinds}


def by_label(columns: Sequence[str], matrix: np.ndarray) -> list[LabelFigures]:
    """Every label that occurs in gold or among the predictions, in the metric's order."""
    by_item = counts(columns, matrix)
    totals = {kind: amounts.sum(0) for kind, amounts in by_item.items()}
    f1, errors = f1_errors(by_item)
    return [
        LabelFigures(
            label,
            float(totals["gold"][i]),
            float(totals["predicted"][i]),
            float(totals["right"][i]),
            wilson(totals["right"][i], totals["predicted"][i]),
            wilson(totals["found"][i], totals["gold"][i]),
            _around(float(f1[i]), float(errors[i])) if len(matrix) > 1 else None,
        )
        for i, label in enumerate(labels_of(columns))
        if totals["gold"][i] or totals["predicted"][i]
    ]


def _around(figure: float, error: float) -> Interval:
    return Interval(figure, max(0.0, figure - Z * error), min(1.0, figure + Z * error))


def f1_errors(by_item: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """F1 of every label (C,) and its standard error by the jackknife over items (see `scoring.jackknife`)."""
    n = len(by_item["gold"])
    totals = {kind: amounts.sum(0) for kind, amounts in by_item.items()}
    without = _f1({kind: totals[kind] - amounts for kind, amounts in by_item.items()})
    spread = np.square(without - without.mean(0)).sum(0)
    return _f1(totals), np.sqrt(max(0, n - 1) / max(1, n) * spread)


def _f1(sums: dict[str, np.ndarray]) -> np.ndarray:
    """The harmonic mean of right / predicted and found / gold; 0 where either has nothing in it."""
    precision, recall = _ratio(sums["right"], sums["predicted"]), _ratio(sums["found"], sums["gold"])
    return _ratio(2 * precision * recall, precision + recall)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    found = np.zeros(np.shape(whole), dtype=np.float64)
    np.divide(part, whole, out=found, where=np.asarray(whole) > 1e-12)
    return found
