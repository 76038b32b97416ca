"""The primary figure on parts of the split: by length, by label, by how much there is to find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clue_cli.contract import Metric
from clue_cli.evaluation import LENGTHS
from clue_cli.report.answers import Answers, Form
from clue_cli.report.intervals import Interval, counts, labels_of, wilson
from clue_cli.scoring import by_cluster, jackknife_error
from clue_cli.significance import figure_of

MOST = 40
"""Slices of one table; those with the most items are kept."""
AMOUNTS = (0, 1, 2, 3, 5, 10)


@dataclass(frozen=True)
class Slice:
    """The items that `name` describes: their figure with its standard error (None for one item), how many are right."""

    name: str
    items: int
    figure: float
    error: float | None
    right: Interval


@dataclass(frozen=True)
class Slices:
    """One way to cut the split; `hidden` slices with the fewest items are not shown."""

    title: str
    what: str
    slices: tuple[Slice, ...]
    hidden: int = 0


def all_right(metric: Metric, matrix: np.ndarray) -> np.ndarray:
    """Which items (n,) are right in everything: nothing missed and nothing wrong by the metric's own counts.

    Of a metric without labels those whose own figure is 1.
    """
    if labels_of(metric.columns):
        sums = {kind: amounts.sum(1) for kind, amounts in counts(metric.columns, matrix).items()}
        fine: np.ndarray = np.isclose(sums["right"], sums["predicted"]) & np.isclose(sums["found"], sums["gold"])
        return fine
    figures: np.ndarray = np.asarray(metric.result(matrix)[metric.primary])
    return figures > 1 - 1e-9


class Judged(NamedTuple):
    """What a metric says of every item: its statistics (n, K) and cluster (n,), and whether all of it is right."""

    metric: Metric
    matrix: np.ndarray
    clusters: np.ndarray
    right: np.ndarray


def slices(
    metric: Metric, matrix: np.ndarray, clusters: np.ndarray, items: Sequence[Answers], lengths: Sequence[int] | None
) -> Iterator[Slices]:
    """All the ways to cut the split that these items allow; `lengths` in characters, None where texts are missing."""
    judged = Judged(metric, matrix, clusters, all_right(metric, matrix))
    if lengths is not None:
        what = "characters of the text; all texts of an item together"
        yield _binned("By length", what, np.array(lengths), LENGTHS, judged)
    labels = labels_of(metric.columns)
    if labels:
        gold = counts(metric.columns, matrix)["gold"] > 0
        members = [(label, gold[:, i]) for i, label in enumerate(labels) if gold[:, i].any()]
        members.sort(key=lambda one: -int(one[1].sum()))
        found = tuple(_slice(label, chosen, judged) for label, chosen in members[:MOST])
        yield Slices("By label", "items whose gold holds the label", found, max(0, len(members) - MOST))
    if items and items[0].form in (Form.LIST, Form.BLANKS):
        amounts = np.array([len(answers.gold) for answers in items])
        yield _binned("By amount", "elements that the gold of an item holds", amounts, AMOUNTS, judged)
    if items and items[0].form is Form.PIECE:
        sizes = np.array([len(answers.gold[0].words) for answers in items])
        what = "characters of the gold answer; of several, the first"
        yield _binned("By answer", what, sizes, (0, 1, 3, 5, 10, 20, 40), judged)


def _binned(title: str, what: str, values: np.ndarray, borders: Sequence[int], judged: Judged) -> Slices:
    found = []
    for low, end in zip(borders, (*borders[1:], None), strict=True):
        chosen = (values >= low) & (True if end is None else values < end)
        if chosen.any():
            high = int(values[chosen].max()) if end is None else end - 1
            name = f"{low:,}" if high == low else f"{low:,} to {high:,}"
            found.append(_slice(name, chosen, judged))
    return Slices(title, what, tuple(found))


def _slice(name: str, chosen: np.ndarray, judged: Judged) -> Slice:
    part = by_cluster(judged.metric, judged.matrix[chosen], judged.clusters[chosen])
    share = wilson(float(judged.right[chosen].sum()), int(chosen.sum()))
    assert share is not None  # no slice is empty
    figure = float(figure_of(judged.metric, part.sum(0)))
    return Slice(name, int(chosen.sum()), figure, figure_error(judged.metric, part), share)


def figure_error(metric: Metric, matrix: np.ndarray) -> float | None:
    """The standard error of the primary figure by the jackknife over the rows (n, K); None for fewer than two."""
    return jackknife_error(figure_of(metric, matrix.sum(0) - matrix)) if len(matrix) > 1 else None
