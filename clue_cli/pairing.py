"""Scoring a file of predictions against a file of gold, wherever the predictions came from.

Rows are paired by their ids where both files have them, else by their order. Nothing is guessed: rows that are
missing, superfluous or repeated, counts that differ and texts that disagree are refused with the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clue_cli.contract import Example, Prediction, Tally, Task
from clue_cli.errors import RowError, UserError
from clue_cli.lines import open_text, rows_of, table_ending
from clue_cli.scoring import Score, make_metric, score
from clue_cli.sources import Row, Source

SPLIT = "dev"
"""How gold is read: as the rows of a labelled split."""


@dataclass(frozen=True)
class ScoredFile:
    """What the metrics say about a file of predictions.

    scores:   by metric id, the one that ranks first; `paired_by` is "id" or "order".
    official: whether the gold is, byte by byte, one of the task's official files.
    tally:    rows of gold that were left out, by reason.
    """

    task: str
    gold: str
    pred: str
    scores: dict[str, Score]
    paired_by: str
    official: bool
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "task": self.task, "gold": self.gold, "pred": self.pred, "official": self.official,
            "paired_by": self.paired_by, "left_out": self.tally.as_dict(),
            "metrics": [value.as_dict() for value in self.scores.values()],
        }  # fmt: skip


def score_files(
    task: Task, gold: str | Path, pred: str | Path, metric: str | None = None, *, encoding: str = "utf-8"
) -> ScoredFile:
    """Score the predictions in `pred` (`-`: standard input) against the labelled rows of `gold`.

    gold: a file in the task's own form, or a directory or zip, whose dev split is taken. pred: what `clue predict`
    writes, `predictions.dev.jsonl` of a run, or the official prediction file; rows are read by the task. metric: an id;
    None scores by every metric of the task. UserError and RowError for whatever does not fit.
    """
    source, tally = Source.open(gold, encoding=encoding), Tally()
    task = task.adapt(source)
    metrics = [make_metric(task, name) for name in ([metric] if metric is not None else _ranked(task))]
    examples = list(task.read(source, SPLIT, tally))
    rows = list(source.rows(task.file_of(source, SPLIT)))
    answers = [_unwrapped(row) for row in _rows(pred, encoding)]
    paired_by, found = _pair(task, examples, rows, answers, str(gold), str(pred))
    for example, row in found:
        _check_same_input(task, example, row)
    pairs: list[tuple[Example, Prediction | None]] = [
        (example, task.read_prediction(row, example)) for example, row in found
    ]
    return ScoredFile(
        task=task.name,
        gold=Path(gold).name,
        pred=Path(pred).name,
        scores={each.id: score(each, pairs) for each in metrics},
        paired_by=paired_by,
        official=source.sha256(task.file_of(source, SPLIT)) in task.official.values(),
        tally=tally,
    )


def _ranked(task: Task) -> list[str]:
    return [task.default_metric, *(name for name in task.metrics if name != task.default_metric)]


def _rows(path: str | Path, encoding: str) -> Iterable[Row]:
    name = "<stdin>" if str(path) == "-" else str(path)
    return rows_of(name, open_text(path, encoding, blank=table_ending(name) is not None), name)


def _unwrapped(row: Row) -> Row:
    """The row with its answer at the top: a run's `predictions.dev.jsonl` keeps it under `prediction`, gold apart."""
    answer = row.data.get("prediction")
    if not isinstance(answer, dict):
        return row
    return Row({"id": row.data.get("id"), **answer}, row.where)


def _pair(
    task: Task, examples: Sequence[Example], rows: Sequence[Row], answers: Sequence[Row], gold: str, pred: str
) -> tuple[str, list[tuple[Example, Row]]]:
    field = getattr(task, "id", "id")
    gold_ids, answer_ids = _ids(rows, field), _ids(answers, field)
    if gold_ids is not None and answer_ids is not None:
        lines = {example.where.line for example in examples}
        usable = [key for key, row in zip(gold_ids, rows, strict=True) if row.where.line in lines]
        return "id", _by_id(examples, usable, set(gold_ids), dict(zip(answer_ids, answers, strict=True)), pred)
    if len(answers) == len(examples):
        return "order", list(zip(examples, answers, strict=True))
    if len(answers) == len(rows):
        # Rows without usable gold were left out of the examples, not out of the predictions.
        by_line = {row.where.line: answer for row, answer in zip(rows, answers, strict=True)}
        return "order", [(example, by_line[example.where.line]) for example in examples]
    raise UserError(
        f"{len(answers)} predictions for the {len(rows)} rows of {gold}; without ids in both files rows are paired by "
        "their order, and the counts must be equal",
        where=pred,
    )


def _ids(rows: Sequence[Row], field: str) -> list[str] | None:
    """All rows' ids as strings (3 and "3" are one), None if no row has one; RowError if some lack or repeat it."""
    first: dict[str, int | None] = {}
    without: Row | None = None
    for row in rows:
        value = row.data.get(field, row.data.get("id"))
        if value is None:
            without = without or row
            continue
        if str(value) in first:
            raise RowError(f"id {value!r} was already used in line {first[str(value)]}", row.at(field))
        first[str(value)] = row.where.line
    if first and without is not None:
        raise RowError(f"this row has no {field!r}, other rows have one", without.where)
    return list(first) or None


def _by_id(
    examples: Sequence[Example], ids: Sequence[str], known: set[str], answers: dict[str, Row], pred: str
) -> list[tuple[Example, Row]]:
    if extra := [key for key in answers if key not in known]:
        raise RowError(f"{_some(extra)}: no such id in the gold", answers[extra[0]].where)
    if missing := [key for key in ids if key not in answers]:
        raise UserError(f"no prediction for {_some(missing)}", where=pred)
    return [(example, answers[key]) for example, key in zip(examples, ids, strict=True)]


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"id{'s' if len(ids) > 1 else ''} {', '.join(ids[:3])}{more}"


def _check_same_input(task: Task, example: Example, row: Row) -> None:
    """Refuse a prediction row that carries an input text other than that of its gold row."""
    for name in task.fields:
        ours, theirs = example.row.get(name), row.data.get(name)
        if isinstance(ours, str) and isinstance(theirs, str) and ours != theirs:
            raise RowError(
                f"the text is not that of the gold row {example.where}: the files are not in the same order, "
                "or belong to different data",
                row.at(name),
            )
