"""Bytes to lines to rows, with file and line: JSON lines, csv, tsv, compressed files, standard input.

Lines end at "\\n" and nowhere else: real files hold U+2028 and form feeds inside their texts. A carriage return before
the line's end and a byte order mark at the file's start are dropped; the last line needs no end.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from clue_cli.errors import ClueError, RowError, RunError, UserError, Where

MAX_LINE = 64 * 2**20
"""Longest line in bytes: far beyond any record, small enough not to fill the memory."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, lzma.LZMAError, gzip.BadGzipFile)
_COMPRESSED: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


Bad = Callable[[RowError, str], None]
"""Takes the error of a wrong line or row, and its text with undecodable bytes escaped; reading then goes on.

Where there is none, the error is raised and reading ends."""


def refuse(error: RowError, text: str, bad: Bad | None) -> None:
    """Hand a wrong line or row over to `bad`, or raise its error."""
    if bad is None:
        raise error
    bad(error, text)


class Row(NamedTuple):
    """One row of a file: its fields, and where it stands."""

    data: dict[str, Any]
    where: Where

    def at(self, field: str) -> Where:
        """The place of one field of this row (below the row's own, where it is a part of a document)."""
        return self.where.at(field)


def check_encoding(encoding: str) -> str:
    """The encoding's name; `utf-8-sig` is plain UTF-8 (a byte order mark is dropped anyway). UserError if unknown."""
    try:
        "".encode(encoding)
    except LookupError:
        raise UserError(
            f"unknown encoding {encoding!r}", hint="such as utf-8, gb18030, utf-16", where="--encoding"
        ) from None
    return "utf-8" if encoding.lower().replace("_", "-") in ("utf-8-sig", "utf8", "utf-8") else encoding


def open_text(
    path: str | Path, encoding: str = "utf-8", *, blank: bool = False, bad: Bad | None = None
) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers from 1, streamed; `-` is standard input, .gz, .bz2 and .xz are unpacked.

    Blank lines are skipped unless `blank`. UserError where the file is missing, a directory, or broken as an archive;
    RowError (file and line) for bytes that are not text in `encoding`, unless `bad` takes them.
    """
    place = "<stdin>" if str(path) == "-" else str(path)
    with open_bytes(path) as stream:
        yield from numbered_lines(stream, place, encoding, blank=blank, bad=bad)


@contextmanager
def open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked if compressed; `-` is standard input (left open). UserError if it can't be."""
    if str(path) == "-":
        yield _standard_input()
        return
    path = Path(path)
    with reading(str(path)):
        opener = _COMPRESSED.get(path.suffix.lower())
        stream = cast("IO[bytes]", opener(path, "rb") if opener else path.open("rb", buffering=2**18))
        with stream:
            yield stream


def _standard_input() -> IO[bytes]:
    """Standard input's bytes through an object of our own.

    The interpreter closes `sys.stdin` when it ends, and dies if a thread still waits in it for the next line.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (AttributeError, OSError, ValueError):  # something in its place that is no file
        return sys.stdin.buffer


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn what can go wrong with a file while it is opened and read into one line."""
    try:
        yield
    except ClueError:
        raise
    except FileNotFoundError:
        raise UserError("does not exist", where=place) from None
    except IsADirectoryError:
        raise UserError("is a directory; a file was expected", where=place) from None
    except PermissionError:
        raise UserError("no permission to read", where=place) from None
    except _BROKEN as error:
        raise UserError(f"is broken or cut off: {error}", where=place, hint="fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile: encrypted member, unknown method
        raise UserError(f"cannot be unpacked: {error}", where=place) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None:  # bz2 says no more than this about broken data
            raise UserError(f"is broken or cut off: {error}", where=place, hint="fetch it again") from error
        raise RunError(f"reading failed: {error.strerror}", where=place) from error


def numbered_lines(
    stream: IO[bytes], place: str, encoding: str, *, blank: bool, bad: Bad | None = None
) -> Iterator[tuple[int, str]]:
    """Lines of a byte stream with their numbers; see `open_text`. `place` names the file in messages."""
    encoding = check_encoding(encoding)
    wide = "\n".encode(encoding) != b"\n"  # UTF-16, UTF-32
    for number, line in _wide_lines(stream, place, encoding) if wide else _byte_lines(stream, place, encoding, bad):
        if number == 1 and line.startswith("\ufeff"):
            line = line[1:]
        if line.endswith("\r"):
            line = line[:-1]
        if "\0" in line:
            hint = f"is this a text file in {encoding}? --encoding names another one"
            found = f"a NUL byte at character {line.index(chr(0)) + 1}"
            refuse(RowError(found, Where(place, number), hint=hint), line, bad)
        elif blank or line.strip():
            yield number, line


def _byte_lines(stream: IO[bytes], place: str, encoding: str, bad: Bad | None) -> Iterator[tuple[int, str]]:
    """Lines of encodings in which the byte 0x0A is always a line's end (UTF-8, GB18030, Latin-1)."""
    number = 0
    while raw := stream.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise RowError(f"a line of more than {MAX_LINE // 2**20} MiB", Where(place, number))
        if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")) and encoding == "utf-8":
            raise RowError("the file is in UTF-16, not UTF-8", Where(place, number), hint="--encoding utf-16")
        try:
            line = raw.decode(encoding)
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at position {error.start + 1} is no {encoding.upper()} text"
            failure = RowError(found, Where(place, number), hint="--encoding gb18030 or utf-16 reads other files")
            refuse(failure, raw.decode(encoding, errors="backslashreplace").rstrip("\r\n"), bad)
            continue
        yield number, line[:-1] if line.endswith("\n") else line


def _wide_lines(stream: IO[bytes], place: str, encoding: str) -> Iterator[tuple[int, str]]:
    text = io.TextIOWrapper(stream, encoding=encoding, newline="\n")
    number = 0
    try:
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise RowError(f"a line of more than {MAX_LINE} characters", Where(place, number))
            yield number, line[:-1] if line.endswith("\n") else line
    except UnicodeError as error:
        # Decoding runs ahead of the lines, so the place is not exact.
        raise RowError(f"no {encoding.upper()} text after this line: {error}", Where(place, number or 1)) from None
    finally:
        text.detach()


# -------------------------------------------------------------------- rows


def rows_of(name: str, lines: Iterator[tuple[int, str]], place: str, bad: Bad | None = None) -> Iterator[Row]:
    """The rows of a file by its name: .csv and .tsv with a header (hand over blank lines too), all else JSON lines."""
    ending = table_ending(name)
    if ending is None:
        return json_rows(lines, place, bad)
    return table_rows(tab_values(lines) if ending == ".tsv" else csv_values(lines, place, bad), place, bad)


def table_ending(name: str) -> str | None:
    """`.csv` or `.tsv` for the name of a table (compressed or not), else None."""
    path = Path(name.lower())
    ending = path.with_suffix("").suffix if path.suffix in _COMPRESSED else path.suffix
    return ending if ending in (".csv", ".tsv") else None


def json_rows(lines: Iterable[tuple[int, str]], place: str, bad: Bad | None = None) -> Iterator[Row]:
    """One JSON object a line; RowError names line and column of what is not."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = json_row(line, Where(place, number))
        except RowError as error:
            refuse(error, line, bad)
            continue
        yield row


_HALF = "half of a surrogate pair (\\ud800 to \\udfff alone) is no character"


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number that JSON has")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


_JSON = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def json_row(line: str, where: Where) -> Row:
    """One line as a row; RowError if it is no JSON object or holds half a character."""
    try:
        data = _JSON.decode(line)
    except json.JSONDecodeError as error:
        raise RowError(_json_error(error), where, hint=_json_hint(line)) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; lists 10,000 deep
        raise RowError(f"no valid JSON: {type(error).__name__}: {error}", where) from None
    if not isinstance(data, dict):
        names = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
        found = names.get(type(data), "a number")
        raise RowError(f"one JSON object a line was expected, found {found}", where)
    if "\\ud" in line or "\\uD" in line:
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise RowError(_HALF, where) from None
    return Row(data, where)


def json_document(lines: Iterable[tuple[int, str]], place: str) -> Any:
    """The value of a file that is one JSON document; None where more than one value stands in it (JSON lines).

    RowError, with line and column, for a file that is neither.
    """
    numbered = list(lines)
    text = "\n".join(line for _, line in numbered)
    try:
        start = len(text) - len(text.lstrip())
        value, end = _JSON.raw_decode(text, start)
    except json.JSONDecodeError as error:
        if numbered and _is_json(next((line for _, line in numbered if line.strip()), "")):
            return None
        line = numbered[error.lineno - 1][0] if numbered else 1
        raise RowError(_json_error(error), Where(place, line)) from None
    except (ValueError, RecursionError) as error:
        raise RowError(f"no valid JSON: {type(error).__name__}: {error}", Where(place)) from None
    if text[end:].strip():
        return None
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise RowError(_HALF, Where(place)) from None
    return value


def _json_error(error: json.JSONDecodeError) -> str:
    # Some of the library's sentences end in "at" themselves: "Unterminated string starting at".
    return f"no valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}"


def _is_json(text: str) -> bool:
    try:
        _JSON.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_hint(line: str) -> str | None:
    if line.strip() in ("[", "{"):
        return "one JSON object a line was expected; this file is spread over several lines"
    return None


def table_rows(records: Iterable[tuple[int, list[str]]], place: str, bad: Bad | None = None) -> Iterator[Row]:
    """Rows of a table whose first line names the columns; every value is a text, blank lines are skipped.

    `records` come from `csv_values` or `tab_values`. RowError for a row that does not fit the header.
    """
    header: list[str] | None = None
    for number, values in records:
        where = Where(place, number)
        if not any(value.strip() for value in values):
            continue
        if header is None:
            header = _header(values, where)
        elif len(values) != len(header):
            found = f"{len(values)} values, but the header names {len(header)} columns ({', '.join(header)})"
            refuse(RowError(found, where), ",".join(values), bad)
        else:
            yield Row(dict(zip(header, values, strict=True)), where)


def tab_values(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Values between tabs: a line is a row, quotes are ordinary characters (as Chinese corpora have them)."""
    for number, line in lines:
        yield number, line.split("\t")


def csv_values(lines: Iterable[tuple[int, str]], place: str, bad: Bad | None = None) -> Iterator[tuple[int, list[str]]]:
    """Values between commas; those in double quotes may hold commas, doubled quotes and line ends. RowError otherwise.

    The number is that of a row's first line.
    """
    csv.field_size_limit(MAX_LINE)
    consumed: list[tuple[int, str]] = []  # the lines of the row being read

    def feed() -> Iterator[str]:
        for number, line in lines:
            consumed.append((number, line))
            yield line + "\n"

    reader = csv.reader(feed(), strict=True)
    while True:
        consumed.clear()
        failure = values = None
        try:
            values = next(reader, None)
        except csv.Error as error:
            failure = f"no valid csv: {error}"
        if not consumed:
            return
        start = consumed[0][0]
        if consumed[-1][0] - start >= len(consumed):  # `bad` took a line out of the middle
            failure = "a line of this row cannot be read"
        if failure is not None:
            hint = "quotes inside a value are doubled, and a value that holds one is in quotes"
            refuse(RowError(failure, Where(place, start), hint=hint), "\n".join(line for _, line in consumed), bad)
        elif values is not None:
            yield start, values


def _header(values: list[str], where: Where) -> list[str]:
    header = [value.strip() for value in values]
    if "" in header or len(set(header)) != len(header):
        raise RowError(f"the header must name every column once, found {', '.join(map(repr, header))}", where)
    return header
