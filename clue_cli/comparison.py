"""`clue compare`: runs on the same split, pair by pair, from the answers that stand in their directories.

A run keeps one line an item in `predictions.<split>.jsonl`: gold, prediction, and the item's statistics under every
metric. Nothing is predicted again; runs that did not score exactly the same items are refused.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clue_cli.contract import Metric
from clue_cli.errors import UserError, did_you_mean
from clue_cli.model_settings import read_settings
from clue_cli.record import Record
from clue_cli.registry import restore_task
from clue_cli.scoring import by_cluster, make_metric
from clue_cli.significance import Paired, compare, figure_of, holm, seeds_needed, welch
from clue_cli.task import Task


@dataclass
class Scored:
    """A run with what it answered on the split: `lines` by item, in the order of the data.

    A line has number, id, texts (None in runs of older versions), gold, prediction, statistics and clusters.
    """

    path: Path
    record: Record
    task: Task
    lines: list[dict[str, Any]]
    name: str = ""

    def matrix(self, metric: Metric) -> np.ndarray:
        """The statistics (n, K) of every item under `metric`; UserError where the file does not hold them."""
        columns = {name: position for position, name in enumerate(metric.columns)}
        matrix = np.zeros((len(self.lines), len(columns)))
        for row, line in enumerate(self.lines):
            found = line["statistics"].get(metric.id)
            if not isinstance(found, dict) or not columns.keys() >= found.keys():
                raise UserError(f"holds no statistics of {metric.id} for item {line['number']}", where=str(self.path))
            for name, amount in found.items():
                matrix[row, columns[name]] = amount
        return matrix

    def clusters(self, metric: Metric) -> np.ndarray:
        """The cluster (n,) of every item under `metric`: the number of its first item."""
        return np.array([(line["clusters"] or {}).get(metric.id, line["number"]) for line in self.lines])


@dataclass(frozen=True)
class Disagreement:
    """An item that the two systems answer differently well: what the gold is and what each says."""

    number: int
    id: str | int | None
    gold: Any
    first: Any
    second: Any
    first_figure: float
    second_figure: float


@dataclass(frozen=True)
class System:
    """A run as the comparison calls it: `letter` in tables; `figure` in [0, 1]."""

    letter: str
    name: str
    path: str
    figure: float


@dataclass(frozen=True)
class Pair:
    """Two runs compared, by their letters; `adjusted` is Holm's p over all pairs."""

    first: str
    second: str
    paired: Paired
    adjusted: float
    disagreements: list[Disagreement]


@dataclass(frozen=True)
class Seeds:
    """Two groups of runs (`--seeds`) compared by the figures of their seeds, in [0, 1]: Welch's t-test.

    `needed` is the runs of each that would show the difference with 80 % power; None where there is none. Neither is
    known (None) where no run differs from the others of its group: without a spread there is no test.
    """

    first: str
    second: str
    first_figures: list[float]
    second_figures: list[float]
    p: float | None
    needed: int | None


@dataclass(frozen=True)
class Comparison:
    """What `clue compare` found: on `items` in `clusters` (mostly one an item), which are drawn and exchanged whole."""

    task: str
    metric: str
    primary: str
    split: str
    items: int
    clusters: int
    resamples: int
    runs: list[System]
    pairs: list[Pair]
    seeds: list[Seeds] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self)


def compare_runs(
    runs: Sequence[Path], *, split: str = "dev", metric: str | None = None, resamples: int = 10_000
) -> Comparison:
    """Compare two or more runs of one task pair by pair, by one metric (None: the one that ranks the first run).

    UserError where a run has no answers for the split, or the runs did not answer the same items of the same task.
    """
    if len(runs) < 2:
        raise UserError("two or more runs are needed to compare", where="RUN")
    return compare_scored([read_run(path, split) for path in runs], split=split, metric=metric, resamples=resamples)


def compare_scored(
    scored: Sequence[Scored], *, split: str, metric: str | None = None, resamples: int = 10_000
) -> Comparison:
    """The same for two or more runs that were read; they are given names that differ."""
    _same_items(scored)
    _name(scored)
    first = scored[0]
    name = metric or first.record.metrics[0]
    if name not in first.task.metrics:
        raise UserError(did_you_mean(name, first.task.metrics, f"metric of task {first.task.name}"), where="--metric")
    chosen = make_metric(first.task, name)
    # The answers of older versions do not say which items belong together; the items are the same.
    knowing = next((some for some in scored if any(line["clusters"] for line in some.lines)), first)
    items = [some.matrix(chosen) for some in scored]
    matrices = [by_cluster(chosen, matrix, knowing.clusters(chosen)) for matrix in items]
    if len(matrices[0]) < 2:
        raise UserError("one item shows no difference between systems", where=str(first.path))
    found = [
        (i, j, compare(chosen, matrices[i], matrices[j], resamples=resamples))
        for i, j in itertools.combinations(range(len(scored)), 2)
    ]
    figures = [float(figure_of(chosen, matrix.sum(0))) for matrix in matrices]
    systems = [
        System(_letter(i), some.name, str(some.path), figure)
        for i, (some, figure) in enumerate(zip(scored, figures, strict=True))
    ]
    adjusted = holm([paired.p for _, _, paired in found])
    pairs = [
        Pair(
            systems[i].letter,
            systems[j].letter,
            paired,
            p,
            disagreements(chosen, scored[i], scored[j], items[i], items[j]),
        )
        for (i, j, paired), p in zip(found, adjusted, strict=True)
    ]
    return Comparison(
        first.task.name, chosen.id, chosen.primary, split, len(first.lines), len(matrices[0]), resamples,
        systems, pairs, _by_seeds(scored, figures),
    )  # fmt: skip


LINE = ("number", "id", "texts", "gold", "prediction", "statistics", "clusters")
"""What is read of a line of `predictions.<split>.jsonl`."""


def read_run(path: Path, split: str) -> Scored:
    """A run with its answers on `split`; UserError, saying which command makes them, where they are missing."""
    record = Record.load(path)
    file = path / f"predictions.{split}.jsonl"
    if not file.is_file():
        raise UserError(f"no answers on {split} here", where=str(path), hint=f"clue eval {path} --split {split}")
    task = restore_task(read_settings(path / "model")["task"], str(path))
    lines = []
    with file.open(encoding="utf-8") as stream:
        for number, text in enumerate(stream, start=1):
            try:
                line = json.loads(text)
                labelled = bool(line["statistics"]) and "gold" in line
                lines.append({name: line.get(name) for name in LINE})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"no line of a run's predictions: {error!r}", where=f"{file}:{number}") from None
            if not labelled:
                lines.pop()
    if not lines:
        raise UserError(f"no labelled item on {split}", where=str(file))
    return Scored(path, record, task, lines)


def same_task(scored: Sequence[Scored]) -> None:
    """UserError where the runs are not all of the first one's task."""
    first = scored[0]
    for other in scored[1:]:
        if other.task.name != first.task.name:
            raise UserError(
                f"a run of {other.task.name}; {first.path} is one of {first.task.name}", where=str(other.path)
            )


def _same_items(scored: Sequence[Scored]) -> None:
    same_task(scored)
    first = scored[0]
    for other in scored[1:]:
        if len(other.lines) != len(first.lines):
            found = f"{len(other.lines):,} items; {first.path} has {len(first.lines):,}"
            raise UserError(f"scored on {found}: only the same items can be compared", where=str(other.path))
        compared = ["number", "id", "gold"]
        if other.record.task.fields == first.record.task.fields and first.lines[0]["texts"] is not None:
            compared.append("texts")
        for ours, theirs in zip(first.lines, other.lines, strict=True):
            if any(ours[name] != theirs[name] for name in compared if theirs[name] is not None or name != "texts"):
                raise UserError(
                    f"item {theirs['number']} is not item {ours['number']} of {first.path}: other data, or other gold",
                    where=str(other.path),
                )


def _name(scored: Sequence[Scored]) -> None:
    """Short names that differ: encoder, head and seed, else the directory, else the path."""
    for make in (
        lambda s: f"{s.record.encoder.name} {s.record.head} s{s.record.seed}",
        lambda s: s.path.resolve().name,
        lambda s: str(s.path),
    ):
        names = [make(some) for some in scored]
        if len(set(names)) == len(names):
            break
    else:
        raise UserError("a run is named twice", where="RUN")
    for some, name in zip(scored, names, strict=True):
        some.name = name


def disagreements(
    metric: Metric, first: Scored, second: Scored, ours: np.ndarray, theirs: np.ndarray
) -> list[Disagreement]:
    """The items whose own figure differs, the largest differences first, then in the order of the data."""
    left, right = (figure_of(metric, some) for some in (ours, theirs))
    differing = np.flatnonzero(np.abs(left - right) > 1e-12)
    order = differing[np.argsort(-np.abs(left - right)[differing], kind="stable")]
    return [
        Disagreement(
            first.lines[i]["number"], first.lines[i]["id"], first.lines[i]["gold"], first.lines[i]["prediction"],
            second.lines[i]["prediction"], float(left[i]), float(right[i]),
        )
        for i in order.tolist()
    ]  # fmt: skip


def _by_seeds(scored: Sequence[Scored], figures: Sequence[float]) -> list[Seeds]:
    """Groups of two or more of the runs, compared by the spread of their seeds.

    The letters of the runs stand in a group's name: encoder and head may be those of other groups too.
    """
    groups: dict[str, list[int]] = {}
    for i, some in enumerate(scored):
        if some.record.group is not None:
            groups.setdefault(some.record.group, []).append(i)
    systems = []
    for members in groups.values():
        if len(members) > 1:
            record, letters = scored[members[0]].record, "+".join(map(_letter, members))
            name = f"{letters} {record.encoder.name} {record.head} ({len(members)} seeds)"
            systems.append((name, [figures[i] for i in members]))
    return [_welch(one, other) for one, other in itertools.combinations(systems, 2)]


def _letter(number: int) -> str:
    """A to Z, then numbers."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _welch(one: tuple[str, list[float]], other: tuple[str, list[float]]) -> Seeds:
    (first, ours), (second, theirs) = one, other
    return Seeds(first, second, ours, theirs, welch(ours, theirs), seeds_needed(ours, theirs))
