"""What makes a figure incomparable with others, each in a sentence that stands as a footnote under the table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from clue_cli.record import DataInfo, Record, Result

SAMPLE = "shipped sample data, not the benchmark"
UNOFFICIAL = "data files that are not the official ones"


def _data_marks(data: DataInfo) -> Iterator[str]:
    if data.sample:
        yield SAMPLE
    elif any(not file.official for file in data.files):
        yield UNOFFICIAL
    if data.limit is not None:
        yield f"trained on {data.limit:,} rows only (--limit)"


def run_marks(record: Record) -> tuple[str, ...]:
    """What makes all figures of a run incomparable."""
    marks = list(_data_marks(record.data))
    if record.task.changed:
        labels = f"; {record.task.labels} labels" if record.task.labels > 1 else ""
        marks.append(f"own fields or labels: fields {', '.join(record.task.fields)}{labels}")
    if record.status != "finished":
        marks.append(f"run {record.status}" if record.status != "running" else "run not finished")
    return tuple(dict.fromkeys(marks))


class _Scored(NamedTuple):
    """On what a figure was scored: the SHA-256 of the split's files and of the labels."""

    files: tuple[str, ...]
    labels: str


def _scored_on(record: Record, result: Result) -> tuple[tuple[object, ...], _Scored]:
    """On what, and among which figures it should be the same: those of the task and split on data of one kind."""
    data = result.data or record.data
    files = tuple(sorted(file.sha256 for file in data.files if file.split == result.split))
    official = all(file.official for file in data.files)
    return (record.task.name, result.split, data.sample, official), _Scored(files, record.task.labels_sha256)


class Usual(NamedTuple):
    """What most runs of a table share: the newest version of each task, and what figures were scored on."""

    versions: Mapping[str, int]
    scored: Mapping[tuple[object, ...], _Scored]


def usual_of(records: Sequence[Record]) -> Usual:
    """Of equally frequent files or labels those of the earlier run in `records`."""
    found: dict[tuple[object, ...], Counter[_Scored]] = {}
    for record in records:
        for result in record.results:
            among, scored = _scored_on(record, result)
            found.setdefault(among, Counter())[scored] += 1
    return Usual(newest_versions(records), {among: counts.most_common(1)[0][0] for among, counts in found.items()})


def _other_data(record: Record, result: Result, usual: Usual) -> Iterator[str]:
    among, scored = _scored_on(record, result)
    common = usual.scored[among]
    if scored.files != common.files:
        which = hashlib.sha256(" ".join(scored.files).encode()).hexdigest()[:8]
        yield f"other {result.split} files than most rows of the task ({which})"
    if scored.labels != common.labels:
        yield f"other labels than most rows of the task ({scored.labels[:8]})"


def cell_marks(pairs: Sequence[tuple[Record, Result]], split: str, usual: Usual) -> tuple[str, ...]:
    """What makes one figure, of one or several runs, incomparable in a table of `split`."""
    marks: list[str] = []
    for record, result in pairs:
        if result.data is not None:
            own = set(_data_marks(record.data))
            marks += [mark for mark in _data_marks(result.data) if mark not in own]
        if (limit := (result.data or record.data).eval_limit) is not None:
            marks.append(f"scored on {limit:,} rows only (--eval-limit)")
        if result.threshold_origin == f"tuned on {result.split}":
            marks.append(f"threshold tuned on {result.split} itself")
        marks += _other_data(record, result, usual)
        newest = usual.versions[record.task.name]
        if record.task.version != newest:
            marks.append(f"version {record.task.version} of the task (newest {newest})")
        if result.split != split:
            marks.append(f"split {result.split}")
        if result.missing:
            marks.append(f"{result.missing:,} rows without a prediction, counted as wrong")
    return tuple(dict.fromkeys(marks))


def marks_of(record: Record, result: Result) -> tuple[str, ...]:
    """Everything that makes one figure of one run incomparable."""
    own = cell_marks([(record, result)], result.split, usual_of([record]))
    return tuple(dict.fromkeys((*run_marks(record), *own)))


def newest_versions(records: Iterable[Record]) -> dict[str, int]:
    """Task -> its newest version among `records`."""
    newest: dict[str, int] = {}
    for record in records:
        newest[record.task.name] = max(record.task.version, newest.get(record.task.name, 0))
    return newest
