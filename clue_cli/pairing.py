"""Scoring a file of predictions against a file of gold, wherever the predictions came from.

Rows are paired by their ids where both files have them (for tasks whose rows are known by their text: by that), else by
their order. Nothing is guessed: rows that are missing, superfluous or repeated, counts that differ and texts that
disagree are refused with the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clue_cli.contract import Example, Prediction, Tally
from clue_cli.errors import RowError, UserError, Where
from clue_cli.prediction_rows import check_same_input, id_field, known_by_text, place, prediction_rows, row_ids, some
from clue_cli.registry import load_object
from clue_cli.scoring import Score, make_metric, score
from clue_cli.sources import Row, Source
from clue_cli.task import Task

SPLIT = "dev"
"""How gold is read: as the rows of a labelled split."""

REPEATED = "predictions for a text that has another one further down, which counts"
EXTRA = "predictions for texts that are not in the gold"
WRONG = "parts of answers outside the schema or off their place: wrong, unless a metric ignores places"
"""What is said of parts of predictions that are scored, and can hardly be right."""

MISSING = "rows without a prediction, counted as wrong or empty"

Pair = tuple[Example, Sequence[Row]]
"""A gold row and the rows that answer it: one, or one for each of its ids; none where it is not answered."""


@dataclass(frozen=True)
class ScoredFile:
    """What the metrics say about a file of predictions.

    scores:   by metric id, the one that ranks first; `paired_by` is "id" or "order".
    official: whether the gold is, byte by byte, one of the task's official files.
    tally:    rows of either file that were left out, by reason.
    wrong:    how many parts of predictions are `WRONG`; `first_wrong` says where and why of the first.
    """

    task: str
    gold: str
    pred: str
    scores: dict[str, Score]
    paired_by: str
    official: bool
    tally: Tally
    wrong: int = 0
    first_wrong: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "task": self.task, "gold": self.gold, "pred": self.pred, "official": self.official,
            "paired_by": self.paired_by, "left_out": self.tally.as_dict(),
            "wrong": {"count": self.wrong, "first": self.first_wrong},
            "metrics": [value.as_dict() for value in self.scores.values()],
        }  # fmt: skip


def score_files(
    task: Task,
    gold: str | Path,
    pred: str | Path,
    metric: str | None = None,
    *,
    encoding: str = "utf-8",
    aliases: Path | None = None,
    missing_wrong: bool = False,
) -> ScoredFile:
    """Score the predictions in `pred` (`-`: standard input) against the labelled rows of `gold`.

    gold: a file in the task's own form, or a directory or zip, whose dev split is taken. pred: what `clue predict`
    writes, `predictions.dev.jsonl` of a run, or the official prediction file; rows are read by the task. metric: an id;
    None scores by every metric of the task. aliases: a file for the metrics that take one. missing_wrong: a gold row
    without prediction counts as wrong or empty. UserError and RowError for whatever does not fit.
    """
    source, tally = Source.open(gold, encoding=encoding), Tally()
    task = task.adapt(source)
    chosen = [metric] if metric is not None else _ranked(task)
    options = _metric_options(task, chosen, aliases)
    examples = list(task.read(source, SPLIT, tally))
    files = task.files_of(source, SPLIT)
    rows = [row for file in files for row in task.rows(source, file)]
    answers = prediction_rows(task, pred, encoding)
    pairing = _Pairing(task, _gold(task, examples, rows), str(gold), str(pred), missing_wrong, tally)
    paired_by, found = pairing.pairs(answers)
    pairs: list[tuple[Example, Prediction | None]] = []
    for example, its_rows in found:
        for row in its_rows:
            check_same_input(task, example, row)
        pairs.append((example, task.read_predictions(its_rows, example) if its_rows else None))
    wrong = [error for _, prediction in pairs if prediction is not None for error in prediction.wrong]
    further = _unknown_labels(task, pairs)
    metrics = [make_metric(task, name, further_labels=further, **options.get(name, {})) for name in chosen]
    official = set(task.official.values())
    return ScoredFile(
        task=task.name,
        gold=Path(gold).name,
        pred=Path(pred).name,
        scores={each.id: score(each, pairs) for each in metrics},
        paired_by=paired_by,
        official=all(source.sha256(file) in official for file in files),
        tally=tally,
        wrong=len(wrong),
        first_wrong=str(wrong[0]) if wrong else None,
    )


def _unknown_labels(task: Task, pairs: Sequence[tuple[Example, Prediction | None]]) -> list[str]:
    """Labels of wrong answers that the task does not have."""
    labels: dict[str, None] = {}
    for _, prediction in pairs:
        if prediction is not None and prediction.wrong:
            labels |= dict.fromkeys(label for label in task.labels_of(prediction.answer) if label not in task.labels)
    return list(labels)


def _ranked(task: Task) -> list[str]:
    return [task.default_metric, *(name for name in task.metrics if name != task.default_metric)]


def _metric_options(task: Task, metrics: Sequence[str], aliases: Path | None) -> dict[str, dict[str, Any]]:
    """Metric id -> further arguments of its class: what `read_aliases` of the class makes of the alias file."""
    if aliases is None:
        return {}
    classes = {name: load_object(task.metrics[name]) for name in metrics}
    options = {
        name: {"aliases": class_.read_aliases(aliases)}
        for name, class_ in classes.items()
        if hasattr(class_, "read_aliases")
    }
    if not options:
        raise UserError(f"no metric of task {task.name} that is asked for takes aliases", where=f"--alias {aliases}")
    return options


@dataclass(frozen=True)
class _Gold:
    """A row of gold: its ids as strings (none, one, or those of its parts), `example` None where it is not usable."""

    ids: tuple[str, ...]
    where: Where
    example: Example | None


def _gold(task: Task, examples: Sequence[Example], rows: Sequence[Row]) -> list[_Gold]:
    """All rows of gold in the order of the file, those that became no examples too."""
    gold = [_Gold(tuple(map(str, task.submission_ids(e))), e.where, e) for e in examples]
    usable = {example.where for example in examples}
    unusable = [row for row in rows if row.where not in usable]
    ids = row_ids(unusable, task)
    gold += [_Gold(() if key is None else (key,), row.where, None) for key, row in zip(ids, unusable, strict=True)]
    order = {row.where: position for position, row in enumerate(rows)}
    return sorted(gold, key=lambda row: order.get(row.where, len(order)))


@dataclass(frozen=True)
class _Pairing:
    """The rows of `gold`, to be paired with predictions; the names of both files are for messages."""

    task: Task
    gold: Sequence[_Gold]
    gold_name: str
    pred_name: str
    missing_wrong: bool
    tally: Tally

    def pairs(self, answers: Sequence[Row]) -> tuple[str, list[Pair]]:
        """What the rows were paired by ("id", "text", "order"), and the pairs in the order of the gold."""
        keys = [() if key is None else (key,) for key in row_ids(answers, self.task)]
        gold_keys = [row.ids for row in self.gold]
        # Both are looked at in any case: a file in which only some rows have an id is wrong.
        gold_known = self._known(gold_keys, [row.where for row in self.gold])
        if self._known(keys, [row.where for row in answers]) and gold_known:
            return "text" if known_by_text(self.task) else "id", self._by_id(gold_keys, keys, answers)
        _check_ascending([key for its in keys for key in its], self.pred_name)
        return "order", self._by_order(answers)

    def _known(self, keys: Sequence[tuple[str, ...]], places: Sequence[Where]) -> bool:
        """Whether rows have ids, all of them or none; RowError if some lack or repeat theirs."""
        first: dict[str, Where] = {}
        field = id_field(self.task)
        for its, where in zip(keys, places, strict=True):
            for key in its:
                if key in first and not known_by_text(self.task):
                    used = f"id {key} was already used {place(first[key])}"
                    raise RowError(used, Where(where.file, where.line, where.field or field))
                first.setdefault(key, where)
        without = [where for its, where in zip(keys, places, strict=True) if not its]
        if first and without:
            raise RowError(f"this row has no {field!r}, other rows have one", without[0])
        return bool(first)

    def _by_id(
        self, gold_keys: Sequence[tuple[str, ...]], keys: Sequence[tuple[str, ...]], answers: Sequence[Row]
    ) -> list[Pair]:
        found = {its[0]: row for its, row in zip(keys, answers, strict=True)}
        self.tally.add(REPEATED, amount=len(answers) - len(found))
        known = {key for its in gold_keys for key in its}
        self._check_extra([key for key in found if key not in known], found)
        pairs: list[Pair] = []
        missing: list[str] = []
        for row in self.gold:
            if row.example is None:
                continue
            lacking = [key for key in row.ids if key not in found]
            missing += lacking
            if lacking:
                self.tally.add(MISSING, row.where)
            pairs.append((row.example, tuple(found[key] for key in row.ids if key in found)))
        if missing and not self.missing_wrong:
            hint = "--missing wrong counts them as wrong or empty"
            raise UserError(f"no prediction for {some(missing, self.task)}", where=self.pred_name, hint=hint)
        return pairs

    def _check_extra(self, extra: Sequence[str], found: dict[str, Row]) -> None:
        if not extra:
            return
        if not known_by_text(self.task):
            raise RowError(f"{some(extra, self.task)}: no such id in the gold", found[extra[0]].where)
        for key in extra:
            self.tally.add(EXTRA, found[key].where)
        if len(extra) == len(found):
            hint = "texts must be those of the gold, character by character"
            raise RowError("no prediction is for a text of the gold", found[extra[0]].where, hint=hint)

    def _by_order(self, answers: Sequence[Row]) -> list[Pair]:
        usable = [row for row in self.gold if row.example is not None]
        # Rows without usable gold were left out of the examples, perhaps not out of the predictions.
        rows = usable if len(answers) == len(usable) else self.gold
        if len(answers) != len(rows):
            raise UserError(
                f"{len(answers)} predictions for the {len(self.gold)} rows of {self.gold_name}; without ids in both "
                "files rows are paired by their order, and the counts must be equal",
                where=self.pred_name,
            )
        return [(row.example, (answer,)) for row, answer in zip(rows, answers, strict=True) if row.example is not None]


def _check_ascending(keys: Sequence[str], name: str) -> None:
    """Refuse ids that number the rows of the gold, but in another order than its; others say nothing about order."""
    numbers = [int(key) for key in keys if key.isascii() and key.isdigit()]
    if not keys or len(numbers) != len(keys) or numbers == sorted(numbers):
        return
    if sorted(numbers) in (list(range(len(numbers))), list(range(1, len(numbers) + 1))):
        hint = "sort them by id"
        raise UserError("the ids count the rows in another order, and the gold has no ids", where=name, hint=hint)
