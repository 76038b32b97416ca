"""Published figures that ours stand beside, and the sets of tasks that benchmarks average over.

`data/published.csv` was drawn by hand from the sources it names: figures of the benchmark's own tasks, each mapped to
one of our metric ids (a macro F1 by entity string and a micro F1 by span never share a column).

split     dev, test, test1.0, test1.1; unknown where the source does not say
score     percent, with the digits of the source
disputed  yes: the source contradicts itself, or the figure was measured in another way; a note beginning with
          "disputed: " says how
main      yes: one of the systems that are shown unless all are asked for
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Reference:
    """One published figure."""

    system: str
    encoder: str
    size: str
    task: str
    split: str
    metric: str
    score: float
    source: str
    disputed: bool
    main: bool
    notes: tuple[str, ...]


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = (resources.files("clue_cli") / "data" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def references() -> list[Reference]:
    """All published figures, in the order of the file."""
    return [
        Reference(
            system=row["system"],
            encoder=row["encoder"],
            size=row["size"],
            task=row["task"],
            split=row["split"],
            metric=row["metric"],
            score=float(row["score"]),
            source=row["source"],
            disputed=row["disputed"] == "yes",
            main=row["main"] == "yes",
            notes=tuple(note for note in row["notes"].split("; ") if note),
        )
        for row in _rows("published.csv")
    ]


@dataclass(frozen=True, slots=True)
class Average:
    """The mean over tasks of one kind that a benchmark has; not the benchmark's own average, which has more tasks."""

    benchmark: str
    members: tuple[tuple[str, str], ...]
    """(task, metric) pairs that a system must have, all of them."""
    splits: frozenset[str]
    """The names of the benchmark's test sets."""
    tasks: int
    """How many tasks the benchmark has."""

    @property
    def name(self) -> str:
        """`CLUE 1.0 (6 of 9)`."""
        return f"{self.benchmark} ({len(self.members)} of {self.tasks})"


def averages() -> dict[str, Average]:
    """The averages of the table, by name."""
    members: dict[str, list[tuple[str, str]]] = {}
    for row in _rows("averages.csv"):
        members.setdefault(row["name"], []).append((row["task"], row["metric"]))
    parts = entries()
    found = [
        Average(
            benchmark,
            tuple(pairs),
            frozenset({"test", *(split for _, split in parts[benchmark] if split is not None)}),
            len(parts[benchmark]),
        )
        for benchmark, pairs in members.items()
    ]
    return {average.name: average for average in found}


def entries() -> dict[str, list[tuple[str, str | None]]]:
    """What a leaderboard entry needs for its average: name -> (task, split) pairs; split None where a task has one."""
    sets: dict[str, list[tuple[str, str | None]]] = {}
    for row in _rows("entries.csv"):
        sets.setdefault(row["name"], []).append((row["task"], row["split"] or None))
    return sets
