"""How answers are written: one record a row, with the row's own fields, as JSON lines, CSV or a table to read.

A field of the row that has the name of an answer (the gold `label` of a dev file) is kept as `label_input`.
A broken-off file can be continued: each form says where its last complete record ends and whether a record answers
a given row.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from clue_cli import console
from clue_cli.contract import Example, Prediction, Span
from clue_cli.errors import RowError, UserError, did_you_mean
from clue_cli.formats import PACKED

CELL_WIDTH = 14
"""Columns of a cell of the table; the width is fixed, so that a continued file looks like one written at once."""

ASIDE = "_input"
"""Ending of a row's own field that gave way to an answer of its name."""


class AnswerForm(Protocol):
    """One way to write answers: `name` as typed after `--format`, `suffix` of its files.

    `header_records` stand before the rows.
    """

    name: str
    suffix: str
    header_records: int

    def check(self, example: Example) -> None:
        """RowError where a row does not fit the rows before it; asked about every row, in order, when it is read."""
        ...

    def record(self, example: Example, prediction: Prediction, fields: Mapping[str, Any]) -> str:
        """The text of one answer, its newline included; before the first one, the header's too."""
        ...

    def records(self, file: IO[bytes]) -> Iterator[tuple[str, int]]:
        """The complete records of a file, and for each the position in bytes where it ends."""
        ...

    def resume(self, header: str) -> None:
        """Go on below a header that is there already; UserError if it is not one of ours."""
        ...

    def agrees(self, record: str, example: Example) -> bool:
        """Whether a record that was written earlier answers this example."""
        ...


def with_answers(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own fields in their order, then the answers; see `ASIDE` for names that both have."""
    record: dict[str, Any] = {}
    for own, value in row.items():
        name = own
        while name in fields or name in record or (name != own and name in row):
            name += ASIDE
        record[name] = value
    record.update(fields)
    return record


def plain(value: Any) -> Any:
    """What JSON has no form for, among answers: numbers and arrays of numpy."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"no JSON form for {type(value).__name__}")


def to_json(value: Any) -> str:
    """One line of JSON, readable; ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        return json.dumps(value, ensure_ascii=True, allow_nan=False, default=plain)
    return text


def _holds(record: Mapping[str, Any], name: str, value: Any) -> bool:
    while name in record:
        if record[name] == value:
            return True
        name += ASIDE
    return False


def _lines(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    end = 0
    for line in file:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        yield line.decode("utf-8", errors="replace"), end


class JsonLines:
    """One JSON object a line."""

    name, suffix, header_records = "jsonl", ".jsonl", 0

    def check(self, example: Example) -> None:
        """Rows may differ in their fields."""

    def record(self, example: Example, prediction: Prediction, fields: Mapping[str, Any]) -> str:
        """See `AnswerForm`."""
        return to_json(with_answers(example.row, fields)) + "\n"

    def records(self, file: IO[bytes]) -> Iterator[tuple[str, int]]:
        """See `AnswerForm`."""
        return _lines(file)

    def resume(self, header: str) -> None:
        """There is no header."""

    def agrees(self, record: str, example: Example) -> bool:
        """See `AnswerForm`."""
        try:
            written = json.loads(record)
        except ValueError:
            return False
        return isinstance(written, dict) and all(_holds(written, name, value) for name, value in example.row.items())


class Csv:
    """A header and one record a row; nested values are JSON in their cell.

    The first row decides the columns: a later row with another field is refused (nothing is dropped in silence).
    """

    name, suffix, header_records = "csv", ".csv", 1

    def __init__(self) -> None:
        self.columns: list[str] | None = None
        self.fields: dict[str, None] | None = None

    def check(self, example: Example) -> None:
        """See `AnswerForm`."""
        if self.fields is None:
            self.fields = dict.fromkeys(example.row)
        for name in example.row:
            if name not in self.fields:
                raise RowError(
                    f"the field {name!r} has no column; the first row decides the columns: {', '.join(self.fields)}",
                    example.where,
                    hint="JSON lines (--format jsonl, OUTPUT.jsonl) take rows with different fields",
                )

    def record(self, example: Example, prediction: Prediction, fields: Mapping[str, Any]) -> str:
        """See `AnswerForm`."""
        values = with_answers(example.row, fields)
        header = ""
        if self.columns is None:
            self.columns = list(values)
            header = _csv_record(self.columns)
        return header + _csv_record([_cell(values.get(name)) for name in self.columns])

    def records(self, file: IO[bytes]) -> Iterator[tuple[str, int]]:
        """See `AnswerForm`. A record is complete when its quotation marks are even in number."""
        parts: list[str] = []
        quotes = 0
        for text, end in _lines(file):
            parts.append(text)
            quotes += text.count('"')
            if quotes % 2 == 0:
                yield "".join(parts), end
                parts, quotes = [], 0

    def resume(self, header: str) -> None:
        """See `AnswerForm`."""
        self.columns = next(csv.reader(io.StringIO(header, newline="")))

    def agrees(self, record: str, example: Example) -> bool:
        """See `AnswerForm`."""
        cells = next(csv.reader(io.StringIO(record, newline="")))
        if self.columns is None or len(cells) != len(self.columns):
            return False
        written = dict(zip(self.columns, cells, strict=True))
        return all(_holds(written, name, _cell(value)) for name, value in example.row.items())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else to_json(value)
    # A lone surrogate has no UTF-8 form; JSON cells hold it escaped already.
    return text.encode("utf-8", errors="backslashreplace").decode() if _has_surrogate(text) else text


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _csv_record(cells: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    # Written with \r\n, so that cells with either character are quoted in every version of Python.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()[:-2] + "\n"


class Table:
    """A line a row for people: the answers first, then the text, with entities marked as [北京 address] in it.

    Lines are never cut; control characters are shown escaped, so that one row is one line.
    """

    name, suffix, header_records = "table", ".txt", 1

    def __init__(self, *, probabilities: bool = False) -> None:
        self.probabilities = probabilities
        self.columns: list[str] | None = None

    def check(self, example: Example) -> None:
        """Every row fits."""

    def record(self, example: Example, prediction: Prediction, fields: Mapping[str, Any]) -> str:
        """See `AnswerForm`."""
        # Entities are marked in the text; listing them too would say everything twice.
        spans = prediction.answer if MARKED in fields else None
        shown = _once({name: value for name, value in fields.items() if name != MARKED})
        header = ""
        if self.columns is None:
            self.columns = list(shown)
            header = self._line([*self.columns, "text"])
        texts = [escaped(text) for text in example.texts]
        if spans is not None:
            scores = prediction.scores if self.probabilities else None
            texts = [mark_spans(example.texts[0], spans, scores), *texts[1:]]
        cells = [escaped(_reading(shown.get(name))) for name in self.columns]
        return header + self._line([*cells, " | ".join(texts)])

    def _line(self, cells: Sequence[str]) -> str:
        padded = [cell + " " * (CELL_WIDTH - _width(cell)) for cell in cells[:-1]]
        return "  ".join([*padded, cells[-1]]).rstrip(" ") + "\n"

    def records(self, file: IO[bytes]) -> Iterator[tuple[str, int]]:
        """See `AnswerForm`."""
        return _lines(file)

    def resume(self, header: str) -> None:
        """See `AnswerForm`."""
        *self.columns, text = header.split()
        if text != "text":
            raise UserError("the header is not one that clue wrote")

    def agrees(self, record: str, example: Example) -> bool:
        """Whether the line holds the texts' characters in order: entities may be marked in between."""
        characters = iter(record)
        return all(character in characters for text in example.texts for character in escaped(text).rstrip(" "))


MARKED = "entities"
"""The field whose answers are spans of the text and nothing more."""


def _once(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without a second list of parts: it says the same in another form (DuIE's own beside ours)."""
    lists = [name for name, value in fields.items() if isinstance(value, list) and all(map(_is_part, value))]
    return {name: value for name, value in fields.items() if name not in lists[1:]}


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping)


def _reading(value: Any) -> str:
    """An answer for people: numbers with four digits, a list of [label, probability] as `104 0.9120, 103 0.0312`."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping):
        # A part of the text is shown by its words; where it stands is in the other forms.
        shown = {name: part for name, part in value.items() if "text" not in value or name in ("text", "role")}
        return " ".join(filter(None, map(_reading, shown.values())))
    if isinstance(value, (list, tuple)):
        return ", ".join(
            " ".join(map(_reading, part)) if isinstance(part, (list, tuple)) else _reading(part) for part in value
        )
    return "" if value is None else str(value)


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def escaped(text: str) -> str:
    """`text` in one line: control characters, line ends and lone surrogates shown escaped."""
    shown = console.clean(text).replace("\n", "\\n").replace("\t", "\\t")
    return shown.encode("utf-8", errors="backslashreplace").decode() if _has_surrogate(shown) else shown


def mark_spans(text: str, spans: Sequence[Span], scores: Sequence[float] | None = None) -> str:
    """`text` with every span in brackets, its type (and score) before the closing one; nested and crossing ones too."""
    opening: Counter[int] = Counter(span.start for span in spans)
    closing: dict[int, list[tuple[int, str]]] = {}
    for index, span in enumerate(spans):
        score = "" if scores is None else f" {float(scores[index]):.2f}"
        closing.setdefault(span.end, []).append((-span.start, f" {escaped(span.type)}{score}]"))
    pieces: list[str] = []
    last = 0
    for position in sorted({*opening, *closing}):
        pieces.append(escaped(text[last:position]))
        # The span that began last ends first: brackets of nested spans pair up.
        pieces.extend(mark for _, mark in sorted(closing.get(position, [])))
        pieces.append("[" * opening[position])
        last = position
    pieces.append(escaped(text[last:]))
    return "".join(pieces)


FORMS = ("jsonl", "csv", "table")

_ENDINGS = {".json": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "table"}
_OTHERS = (".tsv", ".xls", ".xlsx", ".parquet", ".zip", ".tar", ".tgz", ".7z", ".rar", ".zst")
"""Endings of forms that answers are not written in."""


def form_name(output: str | None, chosen: str | None = None) -> str:
    """The form of answers to the file `output` (None: to a directory or standard output): as chosen, or by its ending.

    One of .gz, .bz2 and .xz may follow the ending. UserError where file and `chosen` name two forms, and for the ending
    of a form that there is not.
    """
    if chosen is not None and chosen not in FORMS:
        raise UserError(did_you_mean(chosen, FORMS, "format"), where="--format")
    name = Path((output or "").lower())
    ending = name.with_suffix("").suffix if name.suffix in PACKED else name.suffix
    if ending in _OTHERS:
        hint = "name it .jsonl, .csv, or .txt for a table to read"
        raise UserError(f"answers are not written as {ending}", where=f"--output {output}", hint=hint)
    named = _ENDINGS.get(ending)
    if chosen is None:
        return named or "jsonl"
    # Any form is a text, so .txt decides only where nothing else does.
    if named not in (None, chosen, "table"):
        hint = f"leave out --format {chosen}, or give the file another name"
        raise UserError(f"the name is that of {named}, not of {chosen}", where=f"--output {output}", hint=hint)
    return chosen


def make_form(name: str, *, probabilities: bool = False) -> AnswerForm:
    """The form called `name`, one of `FORMS`; UserError if there is none."""
    if name == "jsonl":
        return JsonLines()
    if name == "csv":
        return Csv()
    if name == "table":
        return Table(probabilities=probabilities)
    raise UserError(did_you_mean(name, FORMS, "format"), where="--format")
