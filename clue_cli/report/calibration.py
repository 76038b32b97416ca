"""Confidence against being right: ten bins of equal width, and the expected calibration error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clue_cli.report.intervals import Interval, wilson

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers whose probability is in `[low, high)` (the last bin: `[low, high]`).

    `confidence` is their mean probability, `right` the share of them that is right; None for an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    right: Interval | None


@dataclass(frozen=True)
class Calibration:
    """`error` is the expected calibration error; `confidence` and `right` are the means over all answers."""

    bins: tuple[Bin, ...]
    count: int
    error: float
    confidence: float
    right: float


def calibration(outcomes: Iterable[tuple[float, bool]]) -> Calibration | None:
    """What (probability, right or not) of answers say; None for no answers.

    The expected calibration error is the mean over answers of |share right - mean confidence| of their bin (Naeini et
    al. 2015, https://doi.org/10.1609/aaai.v29i1.9602).
    """
    filled: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probability, right in outcomes:
        filled[min(BINS - 1, max(0, int(probability * BINS)))].append((probability, right))
    count = sum(map(len, filled))
    if not count:
        return None
    bins = tuple(_bin(number / BINS, (number + 1) / BINS, members) for number, members in enumerate(filled))
    error = sum(
        one.count * abs(one.right.figure - one.confidence)
        for one in bins
        if one.right is not None and one.confidence is not None
    )
    confidence = sum(probability for members in filled for probability, _ in members) / count
    rights = sum(right for members in filled for _, right in members)
    return Calibration(bins, count, error / count, confidence, rights / count)


def _bin(low: float, high: float, members: list[tuple[float, bool]]) -> Bin:
    if not members:
        return Bin(low, high, 0, None, None)
    confidence = sum(probability for probability, _ in members) / len(members)
    return Bin(low, high, len(members), confidence, wilson(sum(right for _, right in members), len(members)))
