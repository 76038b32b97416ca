"""Scoring of typed spans: CLUENER's official figure, and micro F1 over exact spans.

The two are different numbers by rule (macro over types of entity strings against micro over positions) and carry
their own ids; neither may stand in the other's column. Published "cluener" dev figures are usually the micro one, the
README and the hidden test the official one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence, Set
from typing import Any

import numpy as np

from clue_cli.contract import Counts, Example, Prediction, Span
from tasks.families.entity_forms import Unplaced
from tasks.metrics.counts import ClassCounts


def _answer(prediction: Prediction | None) -> Sequence[Span | Unplaced]:
    """The predicted spans; none for a missing prediction."""
    return () if prediction is None else prediction.answer


class _SpanMetric:
    """What both rules share: sets of (something, type) of one row, counted by type."""

    primary = "f1"

    def __init__(self, types: Sequence[str]) -> None:
        self.classes = ClassCounts(types)
        self.columns = self.classes.columns

    def _compared(self, text: str, spans: Iterable[Span | Unplaced]) -> Set[tuple[Hashable, str]]:
        """What counts as equal: a set of (key, type)."""
        raise NotImplementedError

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The row's own cluster; a missing prediction is an empty one; KeyError for a type outside the set."""
        text = example.texts[0]
        gold = self._compared(text, example.gold)
        predicted = self._compared(text, _answer(prediction))
        right, made, wanted = (Counter(type_ for _, type_ in some) for some in (gold & predicted, predicted, gold))
        yield example.number, self.classes.counts(right=right, predicted=made, gold=wanted)

    def per_label(self, totals: np.ndarray) -> list[dict[str, Any]]:
        """One row a type: label, precision, recall, f1, support (gold), predicted; from sums (K,)."""
        return self.classes.rows(totals)


class CluenerOfficial(_SpanMetric):
    """The rule of CLUENER's own scorer: macro F1 over types, entity strings without positions.

    By type and row the set of gold strings is compared with the set of predicted strings (a string found twice counts
    once, positions are ignored), summed over rows; `f1` (primary), `precision` and `recall` are the plain means over
    all types of the set. The official script stops with a zero division where a type is never predicted right; here
    that type counts 0, and `notes` says so.
    """

    id = "cluener:official"

    def _compared(self, text: str, spans: Iterable[Span | Unplaced]) -> Set[tuple[Hashable, str]]:
        return {
            (span.words if isinstance(span, Unplaced) else text[span.start : span.end], span.type) for span in spans
        }

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`f1`, `precision`, `recall`, macro over types, from sums (..., K), each (...)."""
        by_class = self.classes.by_class(totals)
        return {
            "f1": by_class.f1.mean(axis=-1),
            "precision": by_class.precision.mean(axis=-1),
            "recall": by_class.recall.mean(axis=-1),
        }

    def notes(self, totals: np.ndarray) -> list[str]:
        """What a reader must know about the figure from sums (K,); empty if nothing."""
        right = self.classes.by_class(totals).right
        never = [label for label, amount in zip(self.classes.labels, right, strict=True) if amount == 0]
        if not never:
            return []
        return [f"never predicted right, counted as 0 (the official scorer stops there): {', '.join(never)}"]


class SpanMicroF1(_SpanMetric):
    """Micro F1 over exact spans: a prediction is right if a gold span has the same start, end and type.

    A predicted entity that does not stand at its place (`Unplaced`) is wrong.

    Spans of one row are a set (a span given twice counts once). `f1` (primary), `precision` and `recall` come from
    the sums over rows and types, never from a mean over batches; gold that the model could not reach (cut off, borders
    inside a token) is gold all the same. No gold and no prediction: 0.
    """

    id = "span:micro_f1"

    def _compared(self, text: str, spans: Iterable[Span | Unplaced]) -> Set[tuple[Hashable, str]]:
        return {(span, span.type) for span in spans}

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`f1`, `precision`, `recall` from sums (..., K), each (...)."""
        return self.classes.micro(totals)
