"""Where data lie: a directory, an official zip, a single file, or the hub. Files by name, rows with file and line.

Nothing is unpacked: members of a zip are read as a stream, after checks against paths that lead out of the archive and
against members that would grow without bound.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import IO, Any

from clue_cli.errors import UserError, Where
from clue_cli.lines import (
    Bad,
    Row,
    check_encoding,
    json_document,
    json_rows,
    numbered_lines,
    open_bytes,
    open_text,
    reading,
    rows_of,
    table_ending,
)

__all__ = ["Row", "Source", "data_at_hand", "locate", "open_text", "read_labels", "spelled"]

MAX_MEMBER = 4 * 2**30
"""Largest member of a zip in bytes, unpacked; the largest official file has under 100 MB."""
MAX_RATIO, RATIO_FROM = 200, 16 * 2**20
"""Members of more than `RATIO_FROM` bytes may be packed `MAX_RATIO` to one at most; real text is packed 3 to 10."""

_DATA_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".txt")
_FOREIGN = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".rar", ".7z")


class Source(ABC):
    """An opened place of data.

    label: its base name, for records; `place` is what messages say, with the path as it was given.
    """

    def __init__(self, location: str | Path, encoding: str = "utf-8") -> None:
        self.location, self.encoding = str(location), check_encoding(encoding)
        self.label = Path(self.location).resolve().name or self.location
        self._hashes: dict[str, str] = {}

    @staticmethod
    def open(location: str | Path, *, encoding: str = "utf-8") -> Source:
        """The source at `location`: a directory (of files, or with one zip in it), a zip, or a single file.

        UserError if it does not exist, is an archive of another kind, or a zip that is broken or unsafe.
        """
        path = Path(location).expanduser()
        with reading(str(location)):
            mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            directory = DirectorySource(path, encoding)
            zips = [name for name in directory.names() if name.lower().endswith(".zip")]
            if zips and not any(name.lower().endswith(_DATA_ENDINGS) for name in directory.names()):
                if len(zips) > 1:
                    raise UserError(f"holds several archives ({', '.join(zips)})", where=str(location), hint="name one")
                return ZipSource(path / zips[0], encoding)
            return directory
        if path.name.lower().endswith(_FOREIGN):
            raise UserError("this kind of archive is not read", where=str(location), hint="unpack it, or make it a zip")
        if path.suffix.lower() == ".zip":
            return ZipSource(path, encoding)
        return FileSource(path, encoding)

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the files it holds, sorted."""

    @abstractmethod
    def open_bytes(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file's bytes as a stream."""

    def place(self, name: str) -> str:
        """How messages call a file of this source."""
        return f"{self.location.rstrip('/')}/{name}"

    def has(self, name: str) -> bool:
        """Whether a file of this name is there."""
        return name in self.names()

    def surroundings(self) -> Source:
        """Where files lie that belong to the data without being data (a schema): the place itself."""
        return self

    def find(self, candidates: Sequence[str]) -> str:
        """The first of `candidates` that is there; UserError that says what was looked for and what was found."""
        for name in candidates:
            if self.has(name):
                return name
        found = [name for name in self.names() if not name.startswith(".")]
        shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "") or "nothing"
        raise UserError(f"no {' or '.join(candidates)} here; found: {shown}", where=self.location)

    def lines(self, name: str, *, blank: bool = False, bad: Bad | None = None) -> Iterator[tuple[int, str]]:
        """Lines of a file with their numbers from 1; see `clue_cli.lines.open_text`."""
        place = self.place(name)
        with reading(place), self.open_bytes(name) as stream:
            yield from numbered_lines(stream, place, self.encoding, blank=blank, bad=bad)

    def rows(self, name: str, bad: Bad | None = None) -> Iterator[Row]:
        """Rows of a file: csv and tsv with a header, else one JSON object a line; RowError with file and line."""
        lines = self.lines(name, blank=table_ending(name) is not None, bad=bad)
        return rows_of(name, lines, self.place(name), bad)

    def document(self, name: str) -> Any:
        """The value of a file that is one JSON document, None where it holds JSON lines; RowError if it is neither."""
        return json_document(self.lines(name, blank=True), self.place(name))

    def sha256(self, name: str) -> str:
        """SHA-256 of a file's bytes (unpacked), as hexadecimal digits."""
        if name not in self._hashes:
            with reading(self.place(name)), self.open_bytes(name) as stream:
                self._hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        return self._hashes[name]


class DirectorySource(Source):
    """The files of one directory."""

    def names(self) -> list[str]:
        with reading(self.location):
            return sorted(entry.name for entry in Path(self.location).iterdir() if entry.is_file())

    def has(self, name: str) -> bool:
        return (Path(self.location) / name).is_file()

    def find(self, candidates: Sequence[str]) -> str:
        """As everywhere; a directory by the name of a file is called one."""
        if not any(map(self.has, candidates)):
            for name in candidates:
                if (Path(self.location) / name).is_dir():
                    raise UserError("is a directory; a file was expected", where=self.place(name))
        return super().find(candidates)

    def open_bytes(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return open_bytes(Path(self.location) / name)


class FileSource(Source):
    """A single file, which stands for whatever split is asked for; but for one only."""

    def __init__(self, location: str | Path, encoding: str = "utf-8") -> None:
        super().__init__(location, encoding)
        self._asked: tuple[str, ...] | None = None

    def names(self) -> list[str]:
        return [Path(self.location).name]

    def place(self, name: str) -> str:
        return self.location

    def surroundings(self) -> Source:
        """The directory in which the file lies."""
        return DirectorySource(Path(self.location).expanduser().parent, self.encoding)

    def find(self, candidates: Sequence[str]) -> str:
        """The file, whatever its name; UserError if it was already given out as another split."""
        if self._asked is not None and self._asked != tuple(candidates):
            both = f"one file cannot be both {self._asked[0]} and {candidates[0]}"
            raise UserError(both, where=self.location, hint="give a directory that holds both")
        self._asked = tuple(candidates)
        return self.names()[0]

    def open_bytes(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return open_bytes(self.location)


class ZipSource(Source):
    """The members of a zip; those in folders are found by their base name where it is unique."""

    def __init__(self, location: str | Path, encoding: str = "utf-8") -> None:
        super().__init__(location, encoding)
        with reading(self.location):
            self._zip = zipfile.ZipFile(location)
        self._members: dict[str, zipfile.ZipInfo] = {}
        nearest: dict[str, tuple[int, str | None]] = {}
        for info in self._zip.infolist():
            path = self._checked(info)
            if info.is_dir() or path.parts[:1] == ("__MACOSX",):
                continue
            self._members[str(path)] = info
            depth, known = len(path.parts), nearest.get(path.name)
            if known is None or depth < known[0]:
                nearest[path.name] = depth, str(path)
            elif depth == known[0]:
                nearest[path.name] = depth, None
        self._by_name = {name: path for name, (_, path) in nearest.items() if path is not None}

    def _checked(self, info: zipfile.ZipInfo) -> PurePosixPath:
        """The member's path; UserError if it leads out of the archive or would unpack without bound."""
        name = info.filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
            raise UserError(f"refused: its member {name!r} leads out of the archive", where=self.location)
        packed = max(info.compress_size, 1)
        if info.file_size > MAX_MEMBER or (info.file_size > RATIO_FROM and info.file_size / packed > MAX_RATIO):
            size = f"{info.compress_size:,} bytes that unpack to {info.file_size:,}"
            hint = "unpack it yourself if you trust it"
            raise UserError(f"refused: its member {name!r} has {size}", where=self.location, hint=hint)
        return path

    def names(self) -> list[str]:
        return sorted(self._members)

    def has(self, name: str) -> bool:
        return name in self._members or name in self._by_name

    @contextmanager
    def open_bytes(self, name: str) -> Iterator[IO[bytes]]:
        # zipfile reads no more than the size that `_checked` saw, and compares the checksum at the end.
        with reading(self.place(name)):
            info = self._members.get(self._by_name.get(name, name))
            if info is None:
                raise FileNotFoundError(name)
            with self._zip.open(info) as member, io.BufferedReader(member, 2**18) as stream:  # type: ignore[type-var]
                yield stream


def locate(
    task_name: str, data: str | Path | None, *, hub: str | None = None, encoding: str = "utf-8"
) -> tuple[Source, bool]:
    """The data of a task, and whether they are the sample that ships with the package.

    `data` (what `--data` says: a directory, a zip, a file, or "hub") goes before `$CLUE_DATA/<task>`, which goes before
    the sample. `hub` is the task's configuration on the hub (`Task.hub`; None: its name; empty: it is not there).
    UserError if there is nothing.
    """
    check_encoding(encoding)
    if data is not None and not str(data).strip():
        raise UserError("an empty name", where="--data", hint="a directory, a zip, a file, or hub")
    if data is not None and str(data) == "hub":
        from clue_cli.hub import HubSource

        return HubSource.for_task(task_name, task_name if hub is None else hub), False
    if data is not None:
        return Source.open(data, encoding=encoding), False
    if (path := data_at_hand(task_name)) is not None:
        return Source.open(path, encoding=encoding), False
    sample = Path(str(resources.files("tasks.samples"))) / task_name
    if sample.is_dir():
        return Source.open(sample), True
    raise UserError(f"no data for task {task_name}", hint=f"give --data PATH, or put them in $CLUE_DATA/{task_name}")


def data_at_hand(task_name: str) -> Path | None:
    """`$CLUE_DATA/<task>` where it exists, else None."""
    root = os.environ.get("CLUE_DATA")
    if not root:
        return None
    path = Path(root).expanduser() / task_name
    return path if path.exists() else None


def read_labels(path: str | Path, encoding: str = "utf-8") -> tuple[str, ...]:
    """The labels of a label file, in its order: one a line, or (.json) a JSON list, or JSON lines with a field `label`.

    Numbers and truth values in JSON are labels by their spelling (`spelled`). UserError, naming file and line, for a
    label that occurs twice or is nothing of the kind, and for fewer than one.
    """
    labels: dict[str, int | None] = {}
    for number, label in _label_entries(path, encoding):
        where, label = Where(str(path), number), spelled(label)
        if not isinstance(label, str) or not label.strip():
            raise UserError(f"a label must be a text that is not empty, found {json.dumps(label)}", where=where)
        if (label := label.strip()) in labels:
            raise UserError(f"label {label!r} occurs twice", where=where)
        labels[label] = number
    if not labels:
        raise UserError("no labels in it; one a line was expected", where=str(path))
    return tuple(labels)


def spelled(value: Any) -> Any:
    """A number or truth value as the text by which a label names it: its JSON spelling (`5`, `1.0`, `true`).

    Anything else as it is.
    """
    number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return json.dumps(value) if number else value


def _label_entries(path: str | Path, encoding: str) -> Iterator[tuple[int | None, Any]]:
    if Path(path).suffix not in (".json", ".jsonl"):
        yield from open_text(path, encoding)
        return
    lines = list(open_text(path, encoding))
    if lines and lines[0][1].lstrip().startswith("["):
        try:
            values = json.loads("\n".join(line for _, line in lines))
        except ValueError as error:
            raise UserError(f"no valid JSON list: {error}", where=str(path)) from None
        yield from ((None, value) for value in values)
    else:
        yield from ((row.where.line, row.data.get("label")) for row in json_rows(lines, str(path)))
