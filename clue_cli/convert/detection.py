"""Which tool an export comes from, told by its names and its first row; UserError where that is not plain."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clue_cli.contract import Tally
from clue_cli.convert import bio, brat, doccano, label_studio
from clue_cli.convert.documents import Document, Reading, entries, refuse_table
from clue_cli.convert.official import words_of
from clue_cli.errors import UserError, did_you_mean
from clue_cli.sources import Source, ZipSource

LABEL_STUDIO, DOCCANO, BIO, BRAT = FORMATS = ("label-studio", "doccano", "bio", "brat")

LOOKED_AT = 20
"""Lines of a column file that decide whether it is one."""


@dataclass(frozen=True, slots=True)
class Export:
    """An opened export: its format, where it lies, and the file to read (None: every document of a brat directory)."""

    format: str
    source: Source
    file: str | None

    def inputs(self) -> list[Path]:
        """The files on the disk that the export is read from."""
        place = Path(self.source.location)
        if not place.is_dir():
            return [place]
        names = [self.file] if self.format != BRAT else itertools.chain.from_iterable(brat.pairs(self.source)[0])
        return [place / name for name in names if name is not None]


_OF_BRAT = re.compile(r".*\.conf|README.*", re.IGNORECASE)
"""Files of a collection of brat's beside its documents."""


def open_export(location: str | Path, wanted: str = "auto", encoding: str = "utf-8") -> Export:
    """The export at `location`: a file, a directory, or a zip (doccano packs its exports). UserError if it is none."""
    if wanted != "auto" and wanted not in FORMATS:
        raise UserError(did_you_mean(wanted, ("auto", *FORMATS), "format"), where="--format")
    path = Path(location).expanduser()
    if path.suffix.lower() in (".ann", ".txt") and wanted in ("auto", BRAT) and path.with_suffix(".ann").exists():
        return Export(BRAT, Source.open(path.parent, encoding=encoding), path.name)
    if wanted in ("auto", BRAT) and path.is_dir():
        collection = brat.Collection(path, encoding)
        names = collection.names()
        top = [name for name in names if "/" not in name and not _OF_BRAT.fullmatch(name)]
        # Another tool's export may have documents of brat's below it.
        if brat.is_annotated(names if wanted == BRAT or not top else top):
            return Export(BRAT, collection, None)
    source = Source.open(location, encoding=encoding)
    names = [name for name in source.names() if not Path(name).name.startswith(".")]
    if wanted == BRAT or (wanted == "auto" and brat.is_annotated(names)):
        if path.is_file() and path.suffix.lower() != ".zip":
            hint = "give the directory with the .txt and .ann files, or one of them"
            raise UserError("no .ann file beside it", where=str(location), hint=hint)
        return Export(BRAT, source, None)
    if len(names) != 1:
        found = ", ".join(names[:8]) or "nothing"
        several = "unpack it and give one of them" if isinstance(source, ZipSource) else "give one of them"
        advice = several if names else None
        raise UserError(f"one export was expected, found {found}", where=source.location, hint=advice)
    return Export(_format(source, names[0]) if wanted == "auto" else wanted, source, names[0])


def _format(source: Source, name: str) -> str:
    _, line = next(iter(source.lines(name)), (0, ""))
    if not line:
        raise UserError("the file is empty", where=source.place(name))
    if bio.is_tagged(line) or line.startswith("-DOCSTART-") or not line.lstrip().startswith(("{", "[")):
        return _columns(source, name)
    value, where = next(iter(entries(source, name)), (None, None))
    if (words := words_of(value)) is not None:
        packed = isinstance(source, ZipSource) or Path(source.location).is_dir()
        data = source.location if packed else str(Path(source.location).parent)
        told = f"this is the form of task {words.split()[0]} already"
        hint = f"train.json and dev.json of it train as they are: clue train {words.format(shlex.quote(data))}"
        raise UserError(told, where=str(where), hint=hint)
    found = _rows(value)
    if found is None:
        fields = ", ".join(value) if isinstance(value, dict) else "no objects"
        told = f"neither Label Studio's form nor doccano's: {fields}"
        raise UserError(told, where=str(where or source.place(name)), hint="--format names it")
    return found


def _columns(source: Source, name: str) -> str:
    """BIO if at least half of the first lines end in a tag; the reader then names those that do not."""
    lines = [line for _, line in itertools.islice(source.lines(name), LOOKED_AT)]
    lines = [line for line in lines if not line.startswith(("-DOCSTART-", "#"))]
    if sum(map(bio.is_tagged, lines)) * 2 < len(lines):
        refuse_table(name, source.place(name))
        raise UserError(
            "cannot tell the format: neither JSON nor lines of a token and a tag",
            where=source.place(name),
            hint="--format label-studio, doccano, bio or brat names it",
        )
    return BIO


def _rows(row: Any) -> str | None:
    """Label Studio, doccano, or None where the first row is of neither's form."""
    if not isinstance(row, dict):
        return None
    if isinstance(row.get("data"), dict) and ("annotations" in row or "completions" in row):
        return LABEL_STUDIO
    if "annotation_id" in row or "annotator" in row or any(_is_region(value) for value in row.values()):
        return LABEL_STUDIO
    text = isinstance(row.get("text"), str) or isinstance(row.get("data"), str)
    known = any(field in row for field in (*doccano.ANNOTATED, doccano.CATEGORIES))
    return DOCCANO if text and known else None


def _is_region(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and "labels" in first and "start" in first


def read(export: Export, reading: Reading, tally: Tally) -> Iterator[Document]:
    """The documents of an export, by the reader of its format."""
    if export.format == BRAT:
        return brat.read(export.source, export.file, reading, tally)
    assert export.file is not None
    reader = {LABEL_STUDIO: label_studio.read, DOCCANO: doccano.read, BIO: bio.read}[export.format]
    return reader(export.source, export.file, reading, tally)
