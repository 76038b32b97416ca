"""Scoring of choices: the share of questions, or of blanks, that are answered right."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from clue_cli.contract import Counts, Example, Prediction
from tasks.metrics.counts import ratio


class ChoiceAccuracy:
    """Share of the questions whose right choice was picked (C3's figure).

    A missing prediction is a wrong one. Questions on one passage are not independent: they are one cluster.
    """

    id = "accuracy"
    primary = "accuracy"
    columns = ("right", "questions")

    def __init__(self, labels: Sequence[str] = ()) -> None:
        """There are no labels: an index means another choice in every question."""

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The question, in the cluster of its passage."""
        right = prediction is not None and prediction.answer == example.gold
        yield example.texts[0], {0: float(right), 1: 1.0}

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`accuracy` from sums (..., 2), each (...)."""
        right, questions = np.moveaxis(np.asarray(totals, dtype=np.float64), -1, 0)
        return {"accuracy": ratio(right, questions)}


class ClozeAccuracy:
    """Share of the blanks that are filled right (ChID's figure), as answered and one by one.

    `accuracy` (primary) is that of the answers: by default those of a line exclude each other, so that every candidate
    is used once. `accuracy_independent` is that of each blank's own best candidate, which predictions carry beside
    their answers; a file that does not say them counts nothing there, and `notes` says so. A missing prediction is
    wrong in all its blanks, for both. The blanks of one line are answered together: they are one cluster.
    """

    id = "chid:accuracy"
    primary = "accuracy"
    columns = ("right", "blanks", "right_independent", "blanks_independent")

    def __init__(self, labels: Sequence[str] = ()) -> None:
        """There are no labels: an index means another candidate in every line."""

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The blanks of a line, summed."""
        blanks = float(len(example.gold))
        if prediction is None:
            yield example.number, {1: blanks, 3: blanks}
            return
        counts = {0: _equal(prediction.answer, example.gold), 1: blanks}
        if prediction.scores is not None:
            counts |= {2: _equal(prediction.scores.independent, example.gold), 3: blanks}
        yield example.number, counts

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`accuracy` and `accuracy_independent` from sums (..., 4), each (...)."""
        right, blanks, alone, alone_blanks = np.moveaxis(np.asarray(totals, dtype=np.float64), -1, 0)
        return {"accuracy": ratio(right, blanks), "accuracy_independent": ratio(alone, alone_blanks)}

    def notes(self, totals: np.ndarray) -> list[str]:
        """What a reader must know about the figures from sums (4,)."""
        unknown = int(totals[1] - totals[3])
        if not unknown:
            return []
        return [f"accuracy_independent leaves out {unknown} blanks: their predictions hold joint answers only"]


def _equal(answers: Sequence[int], gold: Sequence[int]) -> float:
    return float(sum(answer == right for answer, right in zip(answers, gold, strict=True)))
