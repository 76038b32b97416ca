"""Scoring of a label a row: accuracy, with macro F1 beside it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from clue_cli.contract import Counts, Example, Prediction
from tasks.metrics.counts import ClassCounts, ratio


class Accuracy:
    """Share of the rows whose label is right (primary), and macro F1.

    Macro F1 is the plain mean of the labels' F1 over all labels of the set that occur in gold or among the
    predictions; a label that occurs in neither has no F1 and is left out (with every label present, as in all the
    official dev sets, that is scikit-learn's `f1_score(average="macro")`). A missing prediction is a wrong row: it
    counts for the gold label's recall and for no label's precision. No rows at all: both figures are 0.
    """

    id = "accuracy"
    primary = "accuracy"

    def __init__(self, labels: Sequence[str]) -> None:
        self.classes = ClassCounts(labels)
        self.columns = self.classes.columns

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The row's own cluster; KeyError for a label outside the set (readers have refused it before)."""
        gold = example.gold
        answer = None if prediction is None else prediction.answer
        counts = self.classes.counts(
            right={gold: 1} if answer == gold else {},
            predicted={} if answer is None else {answer: 1},
            gold={gold: 1},
        )
        yield example.number, counts

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`accuracy` and `macro_f1` from sums (..., K), each (...)."""
        by_class = self.classes.by_class(totals)
        present = (by_class.gold + by_class.predicted > 0).sum(axis=-1)
        return {
            "accuracy": ratio(by_class.right.sum(axis=-1), by_class.gold.sum(axis=-1)),
            "macro_f1": ratio(by_class.f1.sum(axis=-1), present),
        }

    def per_label(self, totals: np.ndarray) -> list[dict[str, Any]]:
        """One row a label: label, precision, recall, f1, support (gold rows), predicted; from sums (K,)."""
        return self.classes.rows(totals)
