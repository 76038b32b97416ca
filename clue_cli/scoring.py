"""Metrics over predictions: figures and their standard errors.

Every metric is a function of sums of statistics (`contract.Metric`), so this module needs nothing else of it. The
statistics are kept by cluster (mostly: by row), sparse: what `Statistics` holds of 100,000 rows of a task with 119
labels (357 columns) is a few dozen megabytes, where the dense matrix would be 286.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clue_cli.contract import Counts, Example, Metric, Prediction
from clue_cli.errors import UserError, did_you_mean
from clue_cli.registry import load_object
from clue_cli.task import Task

CHUNK_CELLS = 1 << 21
"""Cells of the dense matrix that is laid out at a time: 16 MiB of float64."""


def make_metric(
    task: Task, metric_id: str | None = None, *, further_labels: Sequence[str] = (), **options: Any
) -> Metric:
    """The metric of `task` called `metric_id` (None: its default one), built with the task's labels and `options`.

    further_labels: labels outside the task's that predictions hold; for metrics that are sums over all labels.
    UserError with the nearest names for an unknown id.
    """
    metric_id = metric_id or task.default_metric
    if metric_id not in task.metrics:
        raise UserError(did_you_mean(metric_id, task.metrics, f"metric of task {task.name}"))
    metric: Metric = load_object(task.metrics[metric_id])((*task.labels, *further_labels), **options)
    return metric


class Statistics:
    """The statistics of a metric by cluster, in the order in which the clusters came; those of one cluster are summed.

    Plain dictionaries and numbers: it can be pickled and gathered from several processes, then `update`d into one.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: dict[Hashable, dict[int, float]] = {}

    def add(self, cluster: Hashable, counts: Counts) -> None:
        """Add the statistics of one unit to its cluster; ValueError for a column that the metric has not."""
        row = self.rows.setdefault(cluster, {})
        for column, amount in counts.items():
            if not 0 <= column < self.columns:
                raise ValueError(f"column {column} of a metric that has {self.columns}")
            row[column] = row.get(column, 0.0) + amount

    def update(self, other: Statistics) -> None:
        """Add the statistics of another part of the data (or another process)."""
        if other.columns != self.columns:
            raise ValueError(f"statistics of {other.columns} columns cannot join those of {self.columns}")
        for cluster, counts in other.rows.items():
            self.add(cluster, counts)

    @property
    def clusters(self) -> list[Hashable]:
        """The clusters, in the order of the rows that `chunks` gives."""
        return list(self.rows)

    def totals(self) -> np.ndarray:
        """The sums over all clusters, (K,) float64."""
        totals = np.zeros(self.columns)
        for row in self.rows.values():
            for column, amount in row.items():
                totals[column] += amount
        return totals

    def chunks(self) -> Iterator[np.ndarray]:
        """The matrix clusters x K in dense pieces of whole rows, (rows, K) float64, of about `CHUNK_CELLS` cells."""
        size = max(1, CHUNK_CELLS // max(1, self.columns))
        rows = list(self.rows.values())
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            dense = np.zeros((len(part), self.columns))
            lengths = [len(row) for row in part]
            where = np.repeat(np.arange(len(part)), lengths)
            columns = np.fromiter((column for row in part for column in row), dtype=np.int64, count=sum(lengths))
            dense[where, columns] = [amount for row in part for amount in row.values()]
            yield dense


def jackknife(metric: Metric, statistics: Statistics) -> dict[str, float]:
    """The standard error of every figure, by leaving out one cluster at a time.

    With n clusters, sums T and statistics x_i of cluster i, the figure without cluster i is f(T - x_i), and

        error^2 = (n - 1) / n * sum_i (f(T - x_i) - mean_j f(T - x_j))^2

    (Tukey's jackknife). For accuracy p over n rows that is exactly p (1 - p) / (n - 1). It says how far the figure
    would move with other rows of the same kind, nothing about other seeds. Empty for fewer than two clusters, which
    have no error.
    """
    n = len(statistics.rows)
    if n < 2:
        return {}
    totals = statistics.totals()
    without = [metric.result(totals - chunk) for chunk in statistics.chunks()]
    errors = {}
    for name in without[0]:
        figures = np.concatenate([np.asarray(part[name], dtype=np.float64) for part in without])
        errors[name] = jackknife_error(figures)
    return errors


def jackknife_error(without: np.ndarray) -> float:
    """The standard error of a figure from its values (n,) without each of the n clusters (see `jackknife`)."""
    n = len(without)
    return float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))


@dataclass(frozen=True)
class Score:
    """What one metric says about one set of predictions.

    figures:    by name, in [0, 1]; `primary` names the one that ranks.
    errors:     item-level standard error of each figure (`jackknife`); empty for a single cluster.
    items:      rows scored; `clusters` the independent groups of them.
    missing:    rows without a prediction, counted as wrong or empty.
    unlabelled: rows without gold, not scored.
    per_label:  one row a label or type (label, precision, recall, f1, support, predicted), if the metric has them.
    notes:      what a reader must know about the figure.
    statistics: the sums by cluster that everything above is made of; paired tests need them.
    """

    metric: str
    primary: str
    figures: dict[str, float]
    errors: dict[str, float]
    items: int
    clusters: int
    missing: int = 0
    unlabelled: int = 0
    per_label: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    statistics: Statistics | None = field(default=None, repr=False, compare=False)

    @property
    def figure(self) -> float:
        """The primary figure."""
        return self.figures[self.primary]

    def as_dict(self) -> dict[str, Any]:
        """Everything but the statistics, as JSON values."""
        names = ("metric", "primary", "figures", "errors", "items", "clusters", "missing", "unlabelled", "per_label")
        return {name: getattr(self, name) for name in (*names, "notes")}


@dataclass
class Collected:
    """Statistics and counts of the pairs seen so far; those of several processes are merged before `finish`."""

    statistics: Statistics
    items: int = 0
    missing: int = 0
    unlabelled: int = 0

    def merge(self, other: Collected) -> None:
        """Add what another process collected."""
        self.statistics.update(other.statistics)
        self.items += other.items
        self.missing += other.missing
        self.unlabelled += other.unlabelled


def collect(metric: Metric, pairs: Iterable[tuple[Example, Prediction | None]]) -> Collected:
    """The statistics of `pairs` by cluster; rows without gold are counted and not scored.

    Where the metric says so (`last_counts`), of several rows of one cluster only the last counts.
    """
    collected = Collected(Statistics(len(metric.columns)))
    for example, prediction in pairs:
        if example.gold is None:
            collected.unlabelled += 1
            continue
        collected.items += 1
        collected.missing += prediction is None
        add_units(collected.statistics, metric, example, prediction)
    return collected


def last_counts(metric: Metric) -> bool:
    """Whether of several rows of one cluster only the last counts."""
    return bool(getattr(metric, "last_counts", False))


def add_units(statistics: Statistics, metric: Metric, example: Example, prediction: Prediction | None) -> None:
    """Add what one labelled example contributes."""
    for cluster, counts in metric.units(example, prediction):
        if last_counts(metric):
            statistics.rows.pop(cluster, None)
        statistics.add(cluster, counts)


def finish(metric: Metric, collected: Collected) -> Score:
    """The figures of what was collected, with their errors. UserError if no row was labelled."""
    if not collected.items:
        seen = f"none of the {collected.unlabelled} rows is labelled" if collected.unlabelled else "there are no rows"
        raise UserError(f"nothing to score: {seen}", hint="score a labelled split, such as dev")
    totals = collected.statistics.totals()
    per_label = getattr(metric, "per_label", None)
    notes = getattr(metric, "notes", None)
    return Score(
        metric=metric.id,
        primary=metric.primary,
        figures={name: float(value) for name, value in metric.result(totals).items()},
        errors=jackknife(metric, collected.statistics),
        items=collected.items,
        clusters=len(collected.statistics.rows),
        missing=collected.missing,
        unlabelled=collected.unlabelled,
        per_label=per_label(totals) if per_label else [],
        notes=notes(totals) if notes else [],
        statistics=collected.statistics,
    )


def score(metric: Metric, pairs: Iterable[tuple[Example, Prediction | None]]) -> Score:
    """What `metric` says about predictions beside their examples (None: no prediction). UserError without gold."""
    return finish(metric, collect(metric, pairs))


def item_statistics(
    metric: Metric, example: Example, prediction: Prediction | None
) -> tuple[Hashable, dict[str, float]]:
    """The cluster of one labelled example and its statistics by column name, zeros left out.

    An example with units in several clusters is one by itself: its number.
    """
    clusters: set[Hashable] = set()
    named: dict[str, float] = {}
    for cluster, counts in metric.units(example, prediction):
        clusters.add(cluster)
        for column, amount in counts.items():
            name = metric.columns[column]
            named[name] = named.get(name, 0.0) + amount
    cluster = clusters.pop() if len(clusters) == 1 else example.number
    return cluster, {name: amount for name, amount in named.items() if amount}


def by_cluster(metric: Metric, matrix: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The statistics (C, K) of clusters, in the order of their first items, from those of items.

    matrix: (n, K), in the order of the data. clusters: (n,), equal for items of one cluster.
    """
    _, first, number = np.unique(clusters, return_index=True, return_inverse=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    sums = np.zeros((len(first), matrix.shape[1]))
    if last_counts(metric):
        sums[place[number]] = matrix  # of several items for one place NumPy keeps the last
    else:
        np.add.at(sums, place[number], matrix)
    return sums
