"""Which files a split was read from, as a record keeps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clue_cli.record import DataFile

if TYPE_CHECKING:
    from clue_cli.contract import Example
    from clue_cli.sources import Source
    from clue_cli.task import Task


def data_files(task: Task, source: Source, split: str, examples: Sequence[Example]) -> list[DataFile]:
    """The files of a split, each with its hash, whether it is the official one, and how many of `examples` it gave."""
    rows = Counter(example.where.file for example in examples)
    found = []
    for file in task.files_of(source, split):
        sha = source.sha256(file)
        official = task.official.get(file) == sha
        found.append(DataFile(name=file, split=split, sha256=sha, official=official, rows=rows[source.place(file)]))
    return found
