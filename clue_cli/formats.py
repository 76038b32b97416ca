"""What a user hands over to be predicted: files in their own forms, as a stream of examples of the run's task.

jsonl  one JSON object a line (the official form is one), fields as they come; .json, .jsonl, .ndjson
csv    a header and rows with the csv module's quoting; .csv
tsv    a header and rows, quotes are ordinary characters; .tsv
text   one text a line, a tab between the two of a pair; blank lines are left out and counted; .txt

A .json file may be the task's official document instead (`Task.document`): it is taken apart into flat rows, and the
answers are written beside those. `-` is standard input: JSON if its first line begins with a brace, else text. Any file
may be packed (.gz, .bz2, .xz). `--text-field TITLE` says which of the user's columns holds what the task calls
`sentence`; what is written beside the answer is the user's own row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli.contract import Tally
from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.lines import (
    Bad,
    Row,
    csv_values,
    json_document,
    json_row,
    json_rows,
    open_text,
    refuse,
    tab_values,
    table_rows,
)

if TYPE_CHECKING:
    from clue_cli.contract import Example
    from clue_cli.task import Task

INPUT_FORMATS = ("jsonl", "csv", "tsv", "text")

_ENDINGS = {
    ".json": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".txt": "text"
}  # fmt: skip
PACKED = (".gz", ".bz2", ".xz")
_ARCHIVES = (".zip", ".tar", ".tgz", ".rar", ".7z", ".zst")

Lines = Iterator[tuple[int, str]]


def input_format(path: str, chosen: str | None = None) -> str | None:
    """The form of the file at `path`: as chosen, or by its ending; None for standard input (its first line tells).

    UserError for an unknown form, an archive, and an ending that says nothing.
    """
    if chosen is not None:
        if chosen not in INPUT_FORMATS:
            raise UserError(did_you_mean(chosen, INPUT_FORMATS, "input format"), where="--input-format")
        return chosen
    if path == "-":
        return None
    name = Path(path.lower())
    ending = name.with_suffix("").suffix if name.suffix in PACKED else name.suffix
    if ending in _ARCHIVES:
        hint = "unpack it; an official zip goes with --data ZIP --split test"
        raise UserError("an archive cannot be predicted", where=path, hint=hint)
    if ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        hint = f"--input-format {'|'.join(INPUT_FORMATS)} says it"
        raise UserError(f"its ending does not say what form it has (known: {known})", where=path, hint=hint)
    return _ENDINGS[ending]


@dataclass(frozen=True)
class Reading:
    """How files are read: `text_fields` are the user's names for the task's input fields, empty for the task's own."""

    encoding: str = "utf-8"
    form: str | None = None
    text_fields: tuple[str, ...] = ()


def read_rows(path: str, task: Task, reading: Reading, tally: Tally, bad: Bad | None = None) -> Iterator[Row]:
    """The rows of a file (`-`: standard input) with the user's own fields; plain text gets the task's.

    RowError and UserError as in `clue_cli.lines`; `bad` takes wrong lines instead.
    """
    form = input_format(path, reading.form)
    place = "<stdin>" if path == "-" else path
    lines: Lines = open_text(path, reading.encoding, blank=True, bad=bad)
    if form is None:
        form, lines = _look(lines, task.document)
    if form == "text":
        if reading.text_fields:
            raise UserError("plain text has no fields to name", where=f"--text-field {','.join(reading.text_fields)}")
        return text_rows(lines, place, task, tally, bad)
    if form == "jsonl":
        if task.document and reading.form is None and _may_be_document(path):
            return _document_or_lines(lines, place, task, reading.text_fields or task.fields, bad)
        return json_rows(lines, place, bad)
    return table_rows(csv_values(lines, place, bad) if form == "csv" else tab_values(lines), place, bad)


def _look(lines: Lines, document: bool) -> tuple[str, Lines]:
    """The form of standard input by its first line that is not blank, and all its lines; `document` may be a list."""
    first, lines = _first(lines)
    begins = ("{", "[") if document else ("{",)
    return "jsonl" if first.lstrip().startswith(begins) else "text", lines


def _first(lines: Lines) -> tuple[str, Lines]:
    """The first line that is not blank (empty where there is none), and all lines."""
    seen: list[tuple[int, str]] = []
    for number, line in lines:
        seen.append((number, line))
        if line.strip():
            return line, chain(seen, lines)
    return "", iter(seen)


def _may_be_document(path: str) -> bool:
    name = Path(path.lower())
    return path == "-" or (name.with_suffix("").suffix if name.suffix in PACKED else name.suffix) == ".json"


def _document_or_lines(lines: Lines, place: str, task: Task, fields: Sequence[str], bad: Bad | None) -> Iterator[Row]:
    """The rows of an official document, or of JSON lines: those begin with a row that has `fields`, and are streamed.

    A document is read whole, and nothing of it can be set aside by `bad`.
    """
    first, lines = _first(lines)
    if _is_row(first, place, fields):
        yield from json_rows(lines, place, bad)
        return
    numbered = list(lines)
    # A first row that is broken, or not whole, is no reason to take the others for a document.
    if not first or any(_is_row(line, place, fields) for _, line in numbered):
        yield from json_rows(numbered, place, bad)
        return
    document = json_document(numbered, place)
    yield from json_rows(numbered, place, bad) if document is None else task.unpack(document, place)


def _is_row(line: str, place: str, fields: Sequence[str]) -> bool:
    try:
        row = json_row(line, Where(place))
    except RowError:  # the first line of a document that has several
        return False
    return all(name in row.data for name in fields)


def text_rows(lines: Lines, place: str, task: Task, tally: Tally, bad: Bad | None = None) -> Iterator[Row]:
    """One text a line, tabs between several, under the names of the task's input fields."""
    fields = task.fields
    for number, line in lines:
        where = Where(place, number)
        if not line.strip():
            tally.add("blank lines", where)
            continue
        texts = line.split("\t") if len(fields) > 1 else [line]
        if len(texts) != len(fields):
            found = f"{len(fields)} texts with a tab between were expected ({', '.join(fields)}), found {len(texts)}"
            refuse(RowError(found, where), line, bad)
            continue
        yield Row(dict(zip(fields, texts, strict=True)), where)


def renamed(row: Row, text_fields: Sequence[str], task: Task) -> Row:
    """The row under the task's names; RowError where a named field is missing."""
    if not text_fields:
        return row
    data = dict(row.data)
    for own, name in zip(text_fields, task.fields, strict=True):
        if own not in row.data:
            found = ", ".join(list(row.data)[:12]) or "none"
            raise RowError(f"no field {own!r}; fields found: {found}", row.where, hint="--text-field names the columns")
        data[name] = row.data[own]
    return Row(data, row.where)


def check_text_fields(text_fields: Sequence[str], task: Task) -> None:
    """UserError where `--text-field` does not name as many columns as the task has input fields."""
    if text_fields and len(text_fields) != len(task.fields):
        needed = f"{task.name} reads {len(task.fields)}: {', '.join(task.fields)}"
        raise UserError(f"names {len(text_fields)} columns, {needed}", where=f"--text-field {','.join(text_fields)}")


class Rejects:
    """Rows that were set aside (`--on-error skip`), handed to `write` as one JSON line each.

    A line holds the file's base name, the line's number, the field and the reason, and the row: `row` as an object
    where it could be read, else `text` (undecodable bytes escaped).
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write, self.count = write, 0

    def add(self, error: RowError, text: str | Mapping[str, Any]) -> None:
        """Set one row aside; also a `Bad` of `clue_cli.lines`."""
        self.count += 1
        where = error.where if isinstance(error.where, Where) else Where(str(error.where))
        document: dict[str, Any] = {"file": Path(where.file).name, "line": where.line}
        if where.field is not None:
            document["field"] = where.field
        document["reason"] = error.message
        document["text" if isinstance(text, str) else "row"] = text
        line = json.dumps(document, ensure_ascii=False)
        if not line.isascii():
            line = line.encode("utf-8", errors="backslashreplace").decode()
        self.write(line + "\n")


def read_examples(
    rows: Iterable[Row],
    task: Task,
    *,
    text_fields: Sequence[str] = (),
    rejects: Rejects | None = None,
    check: Callable[[Example], None] | None = None,
    place: str = "",
    first: int = 0,
) -> Iterator[Example]:
    """Rows as unlabelled examples whose `row` is the user's own, numbered from `first`.

    check: a further test of an example, which may raise RowError (the form of the answers has its own demands).
    UserError where there are no rows at all (`place` names the file); RowError for a bad row unless `rejects` takes it.
    """
    number = first
    none = True
    for row in rows:
        none = False
        try:
            example = replace(task.example(renamed(row, text_fields, task), number, labelled=False), row=row.data)
            if check is not None:
                check(example)
        except RowError as error:
            if not text_fields and error.hint is None and any(name not in row.data for name in task.fields):
                error.hint = "--text-field names the columns that hold the texts"
            if rejects is None:
                raise
            rejects.add(error, row.data)
            continue
        yield example
        number += 1
    if none and not (rejects is not None and rejects.count):
        raise UserError("holds no rows", where=place)
