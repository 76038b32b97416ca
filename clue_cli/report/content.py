"""What a report is made of: every run read, measured and cut up; no drawing and no HTML yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from clue_cli.comparison import Comparison, Scored, compare_scored, read_run, same_task
from clue_cli.contract import Metric
from clue_cli.errors import UserError, did_you_mean
from clue_cli.leaderboard_marks import marks_of
from clue_cli.record import Record, Result
from clue_cli.report.answers import Answers, Element, Form, read_answers
from clue_cli.report.calibration import Calibration, calibration
from clue_cli.report.confusion import Confusion, confusion
from clue_cli.report.curves import Curve, read_curve
from clue_cli.report.errors import Errors, errors, shortened, shown_id
from clue_cli.report.intervals import LabelFigures, by_label, labels_of
from clue_cli.report.slices import Slices, all_right, figure_error, slices
from clue_cli.scoring import by_cluster, make_metric
from clue_cli.significance import figure_of


@dataclass
class Run:
    """One run with its answers on the split, and everything that is measured of them."""

    scored: Scored
    metric: Metric
    split: str
    letter: str = "A"

    @property
    def record(self) -> Record:
        """The run's record."""
        return self.scored.record

    @property
    def directory(self) -> str:
        """The name of the run's directory, without the machine's path to it."""
        return self.scored.path.resolve().name

    @property
    def name(self) -> str:
        """Encoder, head and seed."""
        return f"{self.record.encoder.name} {self.record.head} s{self.record.seed}"

    @property
    def known(self) -> str:
        """How the run is called where several stand beside each other."""
        return f"{self.letter} {self.name}"

    @cached_property
    def matrix(self) -> np.ndarray:
        """The statistics (n, K) of the items."""
        return self.scored.matrix(self.metric)

    @cached_property
    def by_cluster(self) -> np.ndarray:
        """The statistics (C, K) of clusters of items."""
        return by_cluster(self.metric, self.matrix, self.scored.clusters(self.metric))

    @cached_property
    def items(self) -> list[Answers]:
        """Gold and prediction of every item."""
        labels = frozenset(labels_of(self.metric.columns))
        return [read_answers(line["gold"], line["prediction"], labels) for line in self.scored.lines]

    @property
    def form(self) -> Form:
        """What kind of answers the items have."""
        return self.items[0].form

    @property
    def has_texts(self) -> bool:
        """Whether the lines hold the texts of the items (those of older versions do not)."""
        return all(line["texts"] is not None for line in self.scored.lines)

    @cached_property
    def result(self) -> Result:
        """The figures that stand in the record, else those that the lines give."""
        found = self.record.result(self.metric.id, self.split)
        if found is not None:
            return found
        error = figure_error(self.metric, self.by_cluster)
        totals = self.by_cluster.sum(0)
        figures = {name: float(np.asarray(value)) for name, value in self.metric.result(totals).items()}
        errors = {} if error is None else {self.metric.primary: error}
        return Result(self.metric.id, self.split, self.metric.primary, figures, errors, len(self.matrix))

    @property
    def figure(self) -> float:
        """The primary figure."""
        return self.result.figures[self.result.primary]

    @property
    def error(self) -> float | None:
        """Its item-level standard error."""
        return self.result.errors.get(self.result.primary)

    @property
    def by_lines(self) -> float | None:
        """The primary figure by the sums of the lines, where it is not the record's; None where it is."""
        found = float(figure_of(self.metric, self.by_cluster.sum(0)))
        return None if abs(found - self.figure) < 1e-9 else found

    @property
    def marks(self) -> tuple[str, ...]:
        """What makes the figure incomparable with others."""
        return marks_of(self.record, self.result)

    @cached_property
    def right(self) -> list[bool]:
        """Which items are right in everything."""
        found: list[bool] = all_right(self.metric, self.matrix).tolist()
        return found

    @cached_property
    def curve(self) -> Curve:
        """Loss by step, figures by epoch."""
        return read_curve(self.scored.path, self.record, self.metric.id, self.metric.primary)

    @cached_property
    def labels(self) -> list[LabelFigures]:
        """Figures by label; empty where the metric counts by none."""
        return by_label(self.metric.columns, self.by_cluster) if labels_of(self.metric.columns) else []

    @cached_property
    def confusion(self) -> Confusion | None:
        """Which label was taken for which."""
        return confusion(self.items, labels_of(self.metric.columns))

    @cached_property
    def calibration(self) -> Calibration | None:
        """Confidence against being right; None where answers carry no probabilities."""
        return calibration(self._outcomes())

    def _outcomes(self) -> Iterator[tuple[float, bool]]:
        for answers, fine in zip(self.items, self.right, strict=True):
            for element, right in answers.outcomes():
                if element.probability is not None:
                    yield element.probability, fine if answers.form is Form.PIECE else right

    @cached_property
    def errors(self) -> Errors:
        """The items that went wrong."""
        return errors(self.scored.lines, self.items, self.right)

    @cached_property
    def slices(self) -> list[Slices]:
        """The figure on parts of the split."""
        lengths = [sum(map(len, line["texts"])) for line in self.scored.lines] if self.has_texts else None
        return list(slices(self.metric, self.matrix, self.scored.clusters(self.metric), self.items, lengths))

    def label_name(self, label: str | None) -> str:
        """A label with what it means, where the task says so."""
        if not label:
            return ""
        meaning = self.scored.task.label_names.get(label)
        return label if meaning is None else f"{label} {meaning}"


@dataclass(frozen=True)
class Disagreed:
    """An item that two runs answer differently well, in words."""

    number: int
    id: str | None
    texts: tuple[str, ...]
    gold: str
    first: str
    second: str


MOST_DISAGREED = 12
MOST_TEXTS = 3
"""Texts of an item that are shown; choices and candidates come after the first ones."""


def read_runs(paths: Sequence[Path], split: str, metric: str | None) -> list[Run]:
    """The runs with their answers on the split.

    UserError where they are missing, for runs of several tasks, and for a metric that is none of the task.
    """
    scored = [read_run(path, split) for path in paths]
    same_task(scored)
    first = scored[0]
    name = metric or first.record.metrics[0]
    for some in scored:
        if name not in some.task.metrics:
            wrong = did_you_mean(name, some.task.metrics, f"metric of task {some.task.name}")
            raise UserError(wrong, where="--metric" if metric else str(some.path))
    letters = [chr(ord("A") + i) if i < 26 else str(i + 1) for i in range(len(scored))]
    return [
        Run(some, make_metric(some.task, name), split, letter) for some, letter in zip(scored, letters, strict=True)
    ]


def compare(runs: Sequence[Run], resamples: int) -> Comparison:
    """The runs pair by pair, as `clue compare` has them. UserError where they did not answer the same items."""
    return compare_scored(
        [run.scored for run in runs], split=runs[0].split, metric=runs[0].metric.id, resamples=resamples
    )


def disagreed(comparison: Comparison, runs: Sequence[Run]) -> list[tuple[str, str, list[Disagreed], int]]:
    """By pair (first letter, second letter) the items with the largest difference, and how many there are in all.

    Pairs without a difference on any item are left out.
    """
    by_letter = {run.letter: run for run in runs}
    position = {line["number"]: i for i, line in enumerate(runs[0].scored.lines)}
    found = []
    for pair in comparison.pairs:
        first, second = by_letter[pair.first], by_letter[pair.second]
        shown = []
        for item in pair.disagreements[:MOST_DISAGREED]:
            i = position[item.number]
            line, ours, theirs = first.scored.lines[i], first.items[i], second.items[i]
            texts = tuple(shortened(text, 240) for text in (line["texts"] or ())[:MOST_TEXTS])
            words = (in_words(elements, first) for elements in (ours.gold, ours.predicted, theirs.predicted))
            shown.append(Disagreed(item.number, shown_id(line), texts, *words))
        if shown:
            found.append((pair.first, pair.second, shown, len(pair.disagreements)))
    return found


def in_words(elements: Sequence[Element], run: Run) -> str:
    """An answer in a line."""
    said = []
    for element in elements:
        label, words = run.label_name(element.label), element.words
        said.append(f"{words} ({label})" if label and words and not label.endswith(words) else label or words)
    return shortened(", ".join(dict.fromkeys(said)), 200) or "nothing"
