"""Files of predictions, ours or the official ones of a task, as rows; and by what their rows are known.

A file holds JSON lines or a table, or is one JSON value where the task's official prediction file is one
(`Task.submission_document`). It may be compressed, or the only member of a zip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clue_cli.contract import Example
from clue_cli.errors import RowError, UserError, Where
from clue_cli.lines import Row, json_document, open_text, rows_of, table_ending
from clue_cli.sources import Source
from clue_cli.task import Task

_SHOWN = 3
"""How many ids a message names before it only counts them."""
_LONG = 40
"""From here on an id is shortened in a message."""


def id_field(task: Task) -> str:
    """The field of a row that holds its id."""
    return getattr(task, "id", "id")


def known_by_text(task: Task) -> bool:
    """Whether the task's rows are known by their text (DuIE), which may stand in a file twice, not by an id."""
    return id_field(task) in task.fields


def submits_document(task: Task) -> bool:
    """Whether the official prediction file is one JSON value."""
    return task.submission_document(()) is not None


def prediction_rows(task: Task, path: str | Path, encoding: str = "utf-8") -> list[Row]:
    """The rows of a prediction file (`-`: standard input): what `clue predict` writes, or the official form.

    A run's `predictions.dev.jsonl` keeps the answer under `prediction`, the gold apart: it comes to the top. RowError
    and UserError for what cannot be read, and for an id that one JSON object has twice.
    """
    name, lines = _opened(path, encoding)
    if submits_document(task) and table_ending(name) is None:
        numbered = list(lines)
        document = json_document(numbered, name)
        if document is not None and not _is_row(document, task):
            refuse_repeated_keys(numbered, name)
            return list(task.unpack_predictions(document, name))
        lines = iter(numbered)
    return [_unwrapped(row) for row in rows_of(name, lines, name)]


def official_rows(task: Task, path: Path) -> tuple[list[Row], Any]:
    """The rows of a file that should be the official one, and its JSON value (None for JSON lines).

    RowError where the file has another form, or one JSON object has an id twice.
    """
    lines = open_text(path)
    if not submits_document(task):
        return list(rows_of("", lines, str(path))), None
    numbered = list(lines)
    document = json_document(numbered, str(path))
    if document is None:
        raise RowError("one JSON value was expected in the whole file, found several", Where(str(path)))
    refuse_repeated_keys(numbered, str(path))
    return list(task.unpack_predictions(document, str(path))), document


def _opened(path: str | Path, encoding: str) -> tuple[str, Iterator[tuple[int, str]]]:
    name = "<stdin>" if str(path) == "-" else str(path)
    if name.lower().endswith(".zip"):
        source = Source.open(path, encoding=encoding)
        members = source.names()
        if len(members) != 1:
            raise UserError(f"one file of predictions was expected in it, found {len(members)}", where=name)
        place = source.place(members[0])
        return place, source.lines(members[0], blank=table_ending(place) is not None)
    return name, open_text(path, encoding, blank=table_ending(name) is not None)


def _is_row(document: Any, task: Task) -> bool:
    """Whether a file's only value is one row of JSON lines, not a whole document."""
    row_has = {id_field(task), "id", "prediction", *task.fields}
    return isinstance(document, dict) and bool(row_has & document.keys())


def _unwrapped(row: Row) -> Row:
    answer = row.data.get("prediction")
    if not isinstance(answer, dict):
        return row
    return Row({"id": row.data.get("id"), **answer}, row.where)


def refuse_repeated_keys(lines: Sequence[tuple[int, str]], place: str) -> None:
    """RowError, with the line of the second one, where a JSON object has one key twice: readers keep only the last."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            key = next(key for position, key in enumerate(keys) if key in keys[:position])
            raise RowError(f"{key!r} occurs twice in one object", Where(place, _line_of(key, lines)))
        return found

    json.loads("\n".join(line for _, line in lines), object_pairs_hook=unique)


def _line_of(key: str, lines: Sequence[tuple[int, str]]) -> int | None:
    """The line in which `key` stands as a key for the second time."""
    spelt = "|".join(re.escape(json.dumps(key, ensure_ascii=ascii_)) for ascii_ in (True, False))
    pattern, seen = re.compile(rf"(?:{spelt})\s*:"), 0
    for number, line in lines:
        seen += len(pattern.findall(line))
        if seen > 1:
            return number
    return None


def check_same_input(task: Task, example: Example, row: Row, what: str = "gold row") -> None:
    """RowError for a prediction row that carries an input text other than that of its example."""
    for name in task.fields:
        ours, theirs = example.row.get(name), row.data.get(name)
        if isinstance(ours, str) and isinstance(theirs, str) and ours != theirs:
            raise RowError(
                f"the text is not that of the {what} {example.where}: the files are not in the same order, "
                "or belong to different data",
                row.at(name),
            )


# -------------------------------------------------------------------- ids


def row_ids(rows: Iterable[Row], task: Task) -> list[str | None]:
    """The id of every row as a string (3 and "3" are one), None where it has none; RowError for what is no id."""
    field = id_field(task)
    found: list[str | None] = []
    for row in rows:
        value = row.data.get(field, row.data.get("id"))
        if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
            raise RowError(f"the id must be a string or a whole number, found {value!r}", row.at(field))
        found.append(None if value is None else str(value))
    return found


def place(where: Where) -> str:
    """How a message refers to the place of another row: its line, or in a document the part."""
    return f"in line {where.line}" if where.line is not None else f"at {where}"


def some(ids: Sequence[str], task: Task) -> str:
    """`id 7`, or `ids 7, 8, 9 and 4 more`; for tasks whose rows are known by their text `text 今天...`."""
    noun = "text" if known_by_text(task) else "id"
    shown = ", ".join(key if len(key) <= _LONG else key[: _LONG - 3] + "..." for key in ids[:_SHOWN])
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return f"{noun}{'s' if len(ids) > 1 else ''} {shown}{more}"
