"""A schema that lies beside a user's data: what relations and events share of finding one and of taking it over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import PurePosixPath

from clue_cli.errors import UserError
from clue_cli.sources import Source


def schema_file(source: Source, files: Mapping[str, tuple[str, ...]], task: str) -> tuple[Source, str] | None:
    """Where the schema of the data in `source` lies, and the file's name: `*schema*.json` or .jsonl, or where there is
    no such file one without an ending (`all_50_schemas` of DuIE 1.0).

    It lies beside them: in the same directory or archive, of a single file in the directory that holds it. Neither one
    of the task's own `files` is it nor the single file. None where there is none, or but one file, which is the data.
    Of several the one with the name of the task in its own; UserError where that leaves more than one.
    """
    place = source.surroundings()
    names = place.names()
    data = {name for names_of in files.values() for name in names_of}
    if place is not source:
        data.update(source.names())
    found = _may_be_schemas(names, data, (".json", ".jsonl")) or _may_be_schemas(names, data, ("",))
    if not found or len(names) == 1:
        return None
    named = [name for name in found if task in PurePosixPath(name).name]
    found = named if len(named) == 1 else found
    if len(found) > 1:
        raise UserError(f"several schema files: {', '.join(found)}", where=place.location, hint="keep one")
    return place, found[0]


def _may_be_schemas(names: Sequence[str], data: Set[str], endings: tuple[str, ...]) -> list[str]:
    paths = {name: PurePosixPath(name) for name in names}
    return [
        name
        for name, path in paths.items()
        if "schema" in path.name.lower() and path.suffix in endings and path.name[0] != "." and path.name not in data
    ]
