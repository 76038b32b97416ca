"""Rows of the leaderboard: records of runs, and published figures beside them.

Columns stand in parts by kind of task. Two figures meet in a column only if task, metric and split are the same, and in
a row only if encoder, head, the user's changes to the recipe and the data are. What still makes a figure incomparable
(shipped sample, part of the data, other files than the official ones, ...) is a mark, a sentence that stands under the
table as a footnote; bold is the best among rows with no mark. Runs of one `--seeds` are one row: their mean, their
standard deviation, and the mean of their item-level standard errors.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clue_cli.leaderboard_filters import Filters, check_filters
from clue_cli.leaderboard_marks import Usual, cell_marks, run_marks, usual_of
from clue_cli.record import Record, Result
from clue_cli.references import Reference, averages, references

PUBLISHED_CHOICES = ("none", "main", "all")
"""Which published figures stand beside ours: none, the best-known systems, or all of them."""

KINDS = {
    "Classification": ("classification",),
    "Entities": ("entities",),
    "Reading, choice and cloze": ("reading", "choice", "cloze"),
    "Relations and events": ("relations", "events"),
}
"""The parts of a table of many tasks: title -> families of tasks; a family not named here is a part of its own."""


class Column(NamedTuple):
    """What a column of the table holds."""

    task: str
    metric: str


@dataclass(frozen=True)
class Cell:
    """One figure, in percent: mean over `runs`, `spread` their sample standard deviation (None for a single run).

    `error` is the item-level standard error (mean over the runs), `items` the rows scored, `marks` what makes this
    figure alone incomparable.
    """

    score: float
    split: str
    runs: int = 1
    spread: float | None = None
    error: float | None = None
    items: int | None = None
    scores: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    marks: tuple[str, ...] = ()

    @property
    def uncertainty(self) -> float | None:
        """The standard error of the figure over other items and, where there are several runs, other seeds."""
        if self.error is None:
            return None
        return math.hypot(self.error, 0.0 if self.spread is None else self.spread / math.sqrt(self.runs))


@dataclass
class Row:
    """One system. `marks` hold for all its cells; `source` is given for published rows only."""

    encoder: str
    head: str
    details: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    source: str | None = None
    cells: dict[Column, Cell] = field(default_factory=dict)
    averages: dict[str, float] = field(default_factory=dict)

    @property
    def published(self) -> bool:
        """Whether the row was taken from a publication."""
        return self.source is not None

    def runs(self) -> str:
        """How many runs stand behind the cells: "single run", "3 seeds", "1 to 3 seeds"."""
        counts = sorted({cell.runs for cell in self.cells.values()})
        if counts == [1] or not counts:
            return "single run"
        return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


class Part(NamedTuple):
    """Columns and averages that are shown together: those of one kind of task."""

    title: str
    keys: list[Column | str]


@dataclass
class Leaderboard:
    """The table. `averages` names those that some row has; `skipped` are records that could not be read, with why.

    primaries: which figure of its metric a column shows, where records tell.
    """

    split: str
    parts: list[Part]
    rows: list[Row]
    references: list[Row]
    averages: list[str]
    primaries: dict[Column, str] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def columns(self) -> list[Column]:
        """The columns of all parts, without averages."""
        return [key for part in self.parts for key in part.keys if isinstance(key, Column)]

    def footnotes(self) -> dict[str, str]:
        """Mark -> letter, in the order in which the marks appear."""
        marks: list[str] = []
        for part, row in itertools.product(self.parts, (*self.rows, *self.references)):
            cells = [row.cells[key] for key in part.keys if isinstance(key, Column) and key in row.cells]
            if cells:
                marks += [*row.marks, *(mark for cell in cells for mark in cell.marks)]
        return {mark: _letter(number) for number, mark in enumerate(dict.fromkeys(marks))}

    def is_best(self, row: Row, key: Column | str) -> bool:
        """Whether `row` has the highest figure of a column (or average) among two or more comparable rows of ours."""
        mine = _figure(row, key)
        rivals = [
            other
            for other in (_figure(r, key) for r in self.rows if _marks(r, key) == _marks(row, key))
            if other is not None
        ]
        unmarked = any(_figure(r, key) is not None and not _marks(r, key) for r in self.rows)
        if row.published or mine is None or len(rivals) < 2 or (unmarked and _marks(row, key)):
            return False
        return mine >= max(rivals)

    def is_near_best(self, row: Row, column: Column) -> bool:
        """Whether a figure cannot be told from the best of the figures in its column that have its marks.

        The two errors are those of `Cell.uncertainty`; a difference under 1.96 times their root of squares is not
        significant. Rows are taken as independent though they answer the same items, so that the mark stands too often
        rather than too rarely; `clue compare` pairs the items. False for the best itself and where an error is unknown.
        """
        marks = _marks(row, column)
        best = next((r for r in self.rows if _marks(r, column) == marks and self.is_best(r, column)), None)
        if best is None or row.published or column not in row.cells or self.is_best(row, column):
            return False
        ours, theirs = row.cells[column], best.cells[column]
        if ours.uncertainty is None or theirs.uncertainty is None:
            return False
        return theirs.score - ours.score < 1.96 * math.hypot(ours.uncertainty, theirs.uncertainty)


def build(
    records: Sequence[Record],
    filters: Filters,
    *,
    published: str = "main",
    families: Mapping[str, str] | None = None,
    splits: Iterable[str] = (),
    skipped: Sequence[tuple[str, str]] = (),
) -> Leaderboard:
    """The table of `records`; `published` is none, main or all.

    families: task -> family, of tasks that may have no record; splits: those of such tasks. UserError for a filter that
    names what neither they nor records nor published figures have.
    """
    others = [] if published == "none" else references()
    families = {**(families or {}), **{record.task.name: record.task.family for record in records}}
    check_filters(filters, records, references(), families, splits)
    left_out: Counter[str] = Counter()
    rows = _own_rows(records, filters, left_out)
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    if not columns:
        columns = list(dict.fromkeys(Column(r.task, r.metric) for r in others if filters.reference_fits(r)))
    shown = [r for r in others if filters.reference_fits(r) and (published == "all" or r.main)]
    reference_rows = _reference_rows(shown, set(columns), filters)
    for row in (*rows, *reference_rows):
        _add_averages(row)
    for group in (rows, reference_rows):
        group.sort(key=_rank)
    named = [name for name in averages() if any(name in row.averages for row in (*rows, *reference_rows))]
    primaries = {Column(record.task.name, r.metric): r.primary for record in records for r in record.results}
    return Leaderboard(
        filters.split, _parts(columns, named, families), rows, reference_rows, named, primaries, list(skipped), left_out
    )


def _parts(columns: Sequence[Column], named: Sequence[str], families: Mapping[str, str]) -> list[Part]:
    """The columns by kind of task, family and name; an average stands behind the part that has all its tasks."""
    titles = {family: title for title, members in KINDS.items() for family in members}
    ranks = {family: rank for rank, family in enumerate(titles)}

    def place(column: Column) -> tuple[int, str, str]:
        family = families.get(column.task, "other tasks")
        return ranks.get(family, len(ranks)), family, column.task

    parts: dict[str, Part] = {}
    for column in sorted(columns, key=place):
        family = families.get(column.task, "other tasks")
        title = titles.get(family, family.capitalize())
        parts.setdefault(title, Part(title, [])).keys.append(column)
    for name in named:
        members = {Column(*member) for member in averages()[name].members}
        whole = [part for part in parts.values() if members.issubset(part.keys)]
        (whole or list(parts.values()))[0].keys.append(name)
    return list(parts.values())


class _System(NamedTuple):
    """What runs of one row have in common; the weights' SHA-256 is empty where they are drawn anew for each seed."""

    encoder: str
    weights: str
    head: str
    details: tuple[str, ...]
    marks: tuple[str, ...]


def _own_rows(records: Sequence[Record], filters: Filters, left_out: Counter[str]) -> list[Row]:
    """Rows of runs: one for each system, more where a system has several groups of runs on a task."""
    systems: dict[_System, dict[str, dict[object, list[Record]]]] = {}
    precision = Counter(record.precision for record in records).most_common(1)
    for position, record in enumerate(records):
        task, name = record.task.name, _encoder_name(record)
        if (filters.tasks and task not in filters.tasks) or not filters.encoder_fits(name):
            continue
        if filters.heads and record.head not in filters.heads:
            continue
        if not any(True for _ in _results(record, filters)):
            left_out[f"runs without a figure on {filters.split}"] += 1
            continue
        key = _System(
            name,
            "" if record.encoder.scratch else record.encoder.sha256,
            record.head,
            _details(record, precision[0][0]),
            run_marks(record),
        )
        group = (record.group, None) if record.group is not None else (None, position)
        systems.setdefault(key, {}).setdefault(task, {}).setdefault(group, []).append(record)
    usual = usual_of(records)
    weights: dict[str, set[str]] = {}
    for system in systems:
        weights.setdefault(system.encoder, set()).add(system.weights)
    rows = []
    for system, tasks in systems.items():
        shown = system.encoder + (f"@{system.weights[:8]}" if len(weights[system.encoder]) > 1 else "")
        newest_first = [
            sorted(groups.values(), key=lambda runs: max(r.started for r in runs), reverse=True)
            for groups in tasks.values()
        ]
        for line in range(max(map(len, newest_first))):
            row = Row(shown, system.head, system.details, system.marks)
            for groups in newest_first:
                if line < len(groups):
                    row.cells.update(_cells(groups[line], filters, usual))
            rows.append(row)
    return rows


def _details(record: Record, usual: str) -> tuple[str, ...]:
    """What the user chose, and a precision that is not the `usual` one of the table."""
    chosen = tuple(f"{key}={value}" for key, value in record.choices().items())
    return chosen if record.precision == usual else (*chosen, f"precision={record.precision}")


def _results(record: Record, filters: Filters) -> Iterator[Result]:
    for result in record.results:
        if filters.split_fits(result.split) and (not filters.metrics or result.metric in filters.metrics):
            yield result


def _cells(runs: Sequence[Record], filters: Filters, usual: Usual) -> dict[Column, Cell]:
    """The cells of one group of runs on one task."""
    found: dict[Column, list[tuple[Record, Result]]] = {}
    for record in sorted(runs, key=lambda r: r.seed):
        for result in _results(record, filters):
            found.setdefault(Column(record.task.name, result.metric), []).append((record, result))
    cells = {}
    for column, pairs in found.items():
        split = pairs[0][1].split  # of several test sets the first one measured; the others have --split of their own
        pairs = [pair for pair in pairs if pair[1].split == split]
        scores = tuple(100 * result.figures[result.primary] for _, result in pairs)
        errors = [100 * r.errors[r.primary] for _, r in pairs if r.primary in r.errors]
        cells[column] = Cell(
            score=statistics.fmean(scores),
            split=split,
            runs=len(pairs),
            scores=scores,
            spread=statistics.stdev(scores) if len(scores) > 1 else None,
            error=statistics.fmean(errors) if len(errors) == len(pairs) else None,
            items=pairs[0][1].items,
            seeds=tuple(record.seed for record, _ in pairs),
            marks=cell_marks(pairs, filters.split, usual),
        )
    return cells


def _encoder_name(record: Record) -> str:
    name = record.encoder.name
    return f"{name} (scratch)" if record.encoder.scratch and "scratch" not in name else name


def _reference_rows(shown: Iterable[Reference], columns: set[Column], filters: Filters) -> list[Row]:
    """Published rows: one for each system, encoder, source and split."""
    rows: dict[tuple[str, ...], Row] = {}
    for reference in shown:
        column = Column(reference.task, reference.metric)
        if column not in columns:
            continue
        key = (reference.system, reference.encoder, reference.size, reference.source, reference.split)
        split = (reference.split,) if reference.split != filters.split else ()
        details = ((reference.size,) if reference.size else ()) + split
        row = rows.setdefault(key, Row(reference.encoder, reference.system, details, source=reference.source))
        row.cells[column] = Cell(reference.score, reference.split, marks=reference.notes)
    for row in rows.values():
        _lift_marks(row)
    return list(rows.values())


def _lift_marks(row: Row) -> None:
    """Marks that all cells share become the row's."""
    shared = [m for m in next(iter(row.cells.values())).marks if all(m in c.marks for c in row.cells.values())]
    row.marks = tuple(shared)
    for column, cell in row.cells.items():
        marks = tuple(mark for mark in cell.marks if mark not in shared)
        row.cells[column] = replace(cell, marks=marks)


def _add_averages(row: Row) -> None:
    """The averages whose tasks the row has all, measured on one kind of split and on the benchmark's own test sets."""
    for name, average in averages().items():
        cells = [cell for member in average.members if (cell := row.cells.get(Column(*member))) is not None]
        splits = {cell.split for cell in cells}
        of_one_kind = len(splits) == 1 and not any(split.startswith("test") for split in splits)
        if len(cells) == len(average.members) and (of_one_kind or splits <= average.splits):
            row.averages[name] = statistics.fmean(cell.score for cell in cells)


def _rank(row: Row) -> tuple[object, ...]:
    """Comparable rows first, then by average (each with its like), by how much a row covers, by its mean."""
    best = tuple(-row.averages.get(name, -1.0) for name in averages())
    mean = statistics.fmean(cell.score for cell in row.cells.values())
    return (bool(row.marks) and not row.published, best, -len(row.cells), -mean, row.encoder, row.head, row.details)


def _figure(row: Row, key: Column | str) -> float | None:
    if isinstance(key, str):
        return row.averages.get(key)
    cell = row.cells.get(key)
    return None if cell is None else cell.score


def _marks(row: Row, key: Column | str) -> frozenset[str]:
    if isinstance(key, str):
        cells = [row.cells[Column(*member)] for member in averages()[key].members if Column(*member) in row.cells]
    else:
        cells = [row.cells[key]] if key in row.cells else []
    return frozenset(row.marks).union(*(cell.marks for cell in cells))


def _letter(number: int) -> str:
    """a, b ... z, aa, ab ..."""
    number, last = divmod(number, 26)
    return (_letter(number - 1) if number else "") + chr(ord("a") + last)
