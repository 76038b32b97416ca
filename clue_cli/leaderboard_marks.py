"""What makes a figure incomparable with others, each in a sentence that stands as a footnote under the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

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
        marks.append(f"own fields or labels: fields {', '.join(record.task.fields)}; {record.task.labels} labels")
    if record.status != "finished":
        marks.append(f"run {record.status}" if record.status != "running" else "run not finished")
    return tuple(dict.fromkeys(marks))


def cell_marks(pairs: Sequence[tuple[Record, Result]], split: str, versions: Mapping[str, int]) -> tuple[str, ...]:
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
        newest = versions[record.task.name]
        if record.task.version != newest:
            marks.append(f"version {record.task.version} of the task (newest {newest})")
        if result.split != split:
            marks.append(f"split {result.split}")
        if result.missing:
            marks.append(f"{result.missing:,} rows without a prediction, counted as wrong")
    return tuple(dict.fromkeys(marks))


def marks_of(record: Record, result: Result) -> tuple[str, ...]:
    """Everything that makes one figure of one run incomparable."""
    own = cell_marks([(record, result)], result.split, newest_versions([record]))
    return tuple(dict.fromkeys((*run_marks(record), *own)))


def newest_versions(records: Iterable[Record]) -> dict[str, int]:
    """Task -> its newest version among `records`."""
    newest: dict[str, int] = {}
    for record in records:
        newest[record.task.name] = max(record.task.version, newest.get(record.task.name, 0))
    return newest
