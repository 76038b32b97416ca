"""A schema that lies beside a user's data: what relations and events share of finding one and of taking it over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from clue_cli.errors import UserError
from clue_cli.sources import Source


def schema_file(source: Source, files: Mapping[str, tuple[str, ...]], task: str) -> str | None:
    """The file of `source` that holds a schema (`*schema*.json` or .jsonl, none of the task's own `files`).

    None where there is none, or but one file, which is the data. Of several the one with the name of the task in its
    own; UserError where that leaves more than one.
    """
    data = {name for names in files.values() for name in names}
    found = [name for name in source.names() if _may_be_schema(PurePosixPath(name).name, data)]
    if not found or len(source.names()) == 1:
        return None
    named = [name for name in found if task in PurePosixPath(name).name]
    found = named if len(named) == 1 else found
    if len(found) > 1:
        raise UserError(f"several schema files: {', '.join(found)}", where=source.location, hint="keep one")
    return found[0]


def _may_be_schema(name: str, data: set[str]) -> bool:
    ending = name.endswith((".json", ".jsonl")) and not name.startswith(".")
    return ending and "schema" in name.lower() and name not in data
