"""Checking an official prediction file against the test file that it answers, whatever program wrote it.

A leaderboard tells nobody what was wrong with a file: a wrong name, a row number in place of an id, or class indices in
place of labels give a score of zero, or a bad one. Here each of them is a message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clue_cli.contract import Example, Tally
from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.lines import open_bytes
from clue_cli.prediction_rows import (
    check_same_input,
    id_field,
    official_rows,
    row_ids,
    some,
    submits_document,
)
from clue_cli.registry import tasks
from clue_cli.sources import Row, Source
from clue_cli.task import Task

UNORDERED = "its rows are not in the order of the test file: whoever pairs by order takes them for others"

_KINDS = {str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Checked:
    """An official file that passed.

    file:     its name, the official one. test: names of the test files that it answers; `official` says whether those
              are the benchmark's own, byte by byte (None where nobody knows).
    rows:     rows of the test file, each answered once; `answers` are the file's own, which differ where the parts of a
              row are answered apart.
    """

    task: str
    split: str
    file: str
    test: tuple[str, ...]
    rows: int
    answers: int
    official: bool | None
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {**vars(self), "test": list(self.test), "notes": list(self.notes)}


def split_of(task: Task, path: Path, split: str | None = None) -> str:
    """The split that a file answers, by its name; UserError where that is not the official name.

    A file under another name scores zero without a message, so that no other is taken.
    """
    wanted = dict(task.submissions)
    if not wanted:
        raise UserError(f"task {task.name} has no official prediction file", where=str(path))
    if split is not None:
        name = task.split(split)
        if name not in wanted:
            raise UserError(f"task {task.name} has no prediction file for split {name}", where="--split")
        wanted = {name: wanted[name]}
    found = [name for name, file in wanted.items() if file == path.name]
    if not found:
        names = " or ".join(f"{file} ({name})" for name, file in wanted.items())
        raise UserError(f"the official name is {names}", where=str(path), hint="another name scores zero")
    if len(found) > 1:
        raise UserError(f"may answer {' or '.join(found)}", where=str(path), hint="--split says which")
    return found[0]


def task_of(path: Path) -> Task:
    """The task whose official prediction file has this name; UserError with near names where there is none."""
    known = {file: task for task in tasks().values() for file in task.submissions.values()}
    if path.name not in known:
        raise UserError(did_you_mean(path.name, known, "official prediction file"), where=str(path))
    return known[path.name]


def check_submission(task: Task, path: Path, source: Source, split: str) -> Checked:
    """Check the official prediction file `path` against the test split of `source`.

    UserError, saying how many and which first, for ids that are missing, that are not in the test file, or that are
    answered twice, and for answers that the task has not: unknown labels, types other than the official ones, spans
    that are not in the text. RowError where a line cannot be read at all.
    """
    examples = list(task.read(source, split, Tally()))
    rows, document = official_rows(task, path)
    given = row_ids(rows, task)
    if None in given:
        row = rows[given.index(None)]
        found = ", ".join(list(row.data)[:12]) or "none"
        raise RowError(f"no field {id_field(task)!r}; fields found: {found}", row.where)
    ids = [str(key) for key in given]
    wanted = [str(key) for example in examples for key in _ids(task, example)]
    problems = _id_problems(task, ids, wanted)
    with open_bytes(path) as stream:
        if stream.read(3) == b"\xef\xbb\xbf":
            problems.append("a byte order mark at the beginning, which official scorers stumble over")
    wrong = _wrong_rows(task, examples, dict(zip(ids, rows, strict=True)), document)
    if wrong:
        others = f" (and {len(wrong) - 1:,} more wrong rows)" if len(wrong) > 1 else ""
        place = _inside(wrong[0].where)
        hint = f" ({wrong[0].hint})" if wrong[0].hint else ""
        problems.append(f"{place}{wrong[0].message}{hint}{others}")
    if problems:
        counts = f"{len(ids):,} answers, {len(wanted):,} expected"
        raise UserError(f"{'; '.join(problems)}; {counts}", where=str(path))
    files = task.files_of(source, split)
    notes = (UNORDERED,) if not submits_document(task) and ids != wanted else ()
    return Checked(
        task=task.name,
        split=split,
        file=path.name,
        test=tuple(files),
        rows=len(examples),
        answers=len(ids),
        official=_official(task, source, files),
        notes=notes,
    )


def _ids(task: Task, example: Example) -> tuple[str | int, ...]:
    ids = task.submission_ids(example)
    if not ids:
        hint = "use the official test file"
        raise RowError(f"no field {id_field(task)!r}: nothing can be checked by it", example.where, hint=hint)
    return ids


def _id_problems(task: Task, ids: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """What is wrong with the ids of a file, in words: each of `wanted` must be there, and no more often than wanted."""
    have, want = Counter(ids), Counter(wanted)
    problems = []
    if missing := [key for key in want if key not in have]:
        problems.append(f"no answer for {some(missing, task)}")
    if extra := [key for key in have if key not in want]:
        problems.append(f"{some(extra, task)} not in the test file")
    if repeated := [key for key, times in have.items() if key in want and times > want[key]]:
        problems.append(f"{some(repeated, task)} answered more than once")
    return problems


def _wrong_rows(task: Task, examples: Sequence[Example], rows: Mapping[str, Row], document: Any) -> list[RowError]:
    """What is wrong with the answers of the examples that have them all."""
    wrong: list[RowError] = []
    for example in examples:
        keys = [str(key) for key in task.submission_ids(example)]
        if any(key not in rows for key in keys):
            continue
        its = [rows[key] for key in keys]
        try:
            for row in its:
                check_same_input(task, example, row, "test row")
            prediction = task.read_predictions(its, example)
            if prediction.wrong:
                raise prediction.wrong[0]
            if isinstance(document, dict):
                official = task.submission_document([(example, prediction)])
                _check_form(document, official, its[0].where)
            elif document is None:
                _check_form(its[0].data, task.submission_row(example, prediction), its[0].where, id_field(task))
        except RowError as error:
            wrong.append(error)
    return wrong


def _check_form(
    found: Mapping[str, Any], official: Mapping[str, Any], where: Where, id_name: str | None = None
) -> None:
    """RowError where a field of the official form is missing or of another type; ids may be texts or numbers."""
    for name, value in official.items():
        place = Where(where.file, where.line, where.field or name)
        if name not in found:
            raise RowError(f"no field {name!r}, which the official form has", place)
        kind, expected = (_KINDS.get(type(one), "null") for one in (found[name], value))
        # Ids are texts or numbers in files that leaderboards took, and so are indices; a label's name is a text.
        same = name == id_name or (id_name is not None and isinstance(value, int) and found[name] == str(value))
        if kind != expected and not same:
            raise RowError(f"{expected} was expected, found {kind}", place)


def _inside(where: Where | str | None) -> str:
    """The place inside a file that is named already: `line 3: label: `."""
    if not isinstance(where, Where):
        return ""
    line = f"line {where.line}: " if where.line is not None else ""
    return line + (f"{where.field}: " if where.field is not None else "")


def _official(task: Task, source: Source, files: Sequence[str]) -> bool | None:
    """Whether the files are the official ones, by their hashes; None where no hash is known for one of them."""
    if any(file not in task.official for file in files):
        return None
    return all(source.sha256(file) == task.official[file] for file in files)
