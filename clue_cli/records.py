"""Records on disk: found below directories, read, and those that cannot be read named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from clue_cli.errors import UserError
from clue_cli.record import FILE_NAME, Record, to_document


def find_records(places: Iterable[str | Path]) -> list[Path]:
    """The records below `places` (directories, or records themselves), each once, in order of their paths.

    UserError for a place that does not exist.
    """
    found: dict[Path, Path] = {}
    for place in map(Path, places):
        if place.is_file() and place.suffix != ".json":
            raise UserError("is neither a directory nor a record (.json)", where=str(place))
        if place.is_file():
            found.setdefault(place.resolve(), place)
        elif not place.is_dir():
            raise UserError("no such directory or record", where=str(place), hint="clue train makes runs below runs/")
        for directory, names, files in os.walk(place):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                if name == FILE_NAME or name.endswith("." + FILE_NAME):
                    path = Path(directory) / name
                    found.setdefault(path.resolve(), path)
    return list(found.values())


def read_records(paths: Iterable[Path]) -> tuple[list[Record], list[tuple[str, str]]]:
    """The records that can be read, a run that lies in two places once; and (file, why) of those that cannot."""
    records: dict[str, Record] = {}
    skipped = []
    for path in paths:
        try:
            record = Record.load(path)
        except UserError as error:
            skipped.append((str(path), str(error)))
            continue
        key = _run(record)
        older = records.get(key)
        if older is None or len(record.results) > len(older.results):
            records[key] = record
    return list(records.values()), skipped


def _run(record: Record) -> str:
    """What two records of the same run share, however much later one of them was written."""
    later = {"results", "epochs", "chosen_epoch", "timing", "status", "error", "finished", "data", "device"}
    return json.dumps({name: value for name, value in to_document(record).items() if name not in later})
