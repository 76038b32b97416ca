"""A schema that lies beside a user's data: what relations and events share of finding one and of taking it over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from clue_cli.errors import UserError
from clue_cli.sources import Source


def schema_file(source: Source, files: Mapping[str, tuple[str, ...]], task: str) -> tuple[Source, str] | None:
    """Where the schema of the data in `source` lies, and the file's name: `*schema*.json` or .jsonl.

    It lies beside them: in the same directory or archive, of a single file in the directory that holds it. Neither one
    of the task's own `files` is it nor the single file. None where there is none, or but one file, which is the data.
    Of several the one with the name of the task in its own; UserError where that leaves more than one.
    """
    place = source.surroundings()
    names = place.names()
    data = {name for names_of in files.values() for name in names_of}
    if place is not source:
        data.update(source.names())
    found = [name for name in names if _may_be_schema(PurePosixPath(name).name, data)]
    if not found or len(names) == 1:
        return None
    named = [name for name in found if task in PurePosixPath(name).name]
    found = named if len(named) == 1 else found
    if len(found) > 1:
        raise UserError(f"several schema files: {', '.join(found)}", where=place.location, hint="keep one")
    return place, found[0]


def _may_be_schema(name: str, data: set[str]) -> bool:
    ending = name.endswith((".json", ".jsonl")) and not name.startswith(".")
    return ending and "schema" in name.lower() and name not in data
