"""A schema that lies beside a user's data: what relations and events share of finding one and of taking it over."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence, Set
from pathlib import Path, PurePosixPath

from clue_cli.errors import ClueError, UserError
from clue_cli.sources import Source

_PACKED = (".gz", ".bz2", ".xz")


def schema_file(
    source: Source, files: Mapping[str, tuple[str, ...]], task: str, opening: str
) -> tuple[Source, str] | None:
    """Where the schema of the data in `source` lies, and the file's name: `*schema*.json` or .jsonl, packed or not, or
    where there is no such file one without an ending (`all_50_schemas` of DuIE 1.0).

    It lies beside them: in the same directory or archive, of a single file in the directory that holds it. Neither one
    of the task's own `files` is it nor the single file. None where there is none, or but one file, which is the data.
    Of several the one with the name of the task in its own (`duee_fin_schema.json` is not named for duee), else the one
    whose first row has the field `opening`. What lies beside a single file may belong to other data: there only these
    two are taken. UserError where that leaves more than one.
    """
    place = source.surroundings()
    names = place.names()
    data = {name for names_of in files.values() for name in names_of}
    single = place is not source
    if single:
        data.update(source.names())
    found = _may_be_schemas(names, data, (".json", ".jsonl")) or _may_be_schemas(names, data, ("",))
    if not found or len(names) == 1:
        return None
    if single or len(found) > 1:
        owners = {name: _named_for(name, task) for name in found}
        opened = [name for name in found if owners[name] is None and _opens(place, name, opening)]
        found = [name for name in found if owners[name] == task] or opened or ([] if single else found)
    if len(found) > 1:
        raise UserError(f"several schema files: {', '.join(found)}", where=place.location, hint="keep one")
    return (place, found[0]) if found else None


def _may_be_schemas(names: Sequence[str], data: Set[str], endings: tuple[str, ...]) -> list[str]:
    paths = {name: PurePosixPath(name) for name in names}
    return [
        name
        for name, path in paths.items()
        if "schema" in path.name.lower() and _ending(path) in endings and path.name[0] != "." and path.name not in data
    ]


def _ending(path: PurePosixPath) -> str:
    """The ending that says the form, in lower case."""
    unpacked = path.with_suffix("") if path.suffix.lower() in _PACKED else path
    return unpacked.suffix.lower()


def _named_for(name: str, task: str) -> str | None:
    """The task whose name a file's holds: `task`, or one whose name is a part of its name or the other way round."""
    modules = (found.name for found in pkgutil.iter_modules([str(Path(__file__).parents[1])]) if not found.ispkg)
    kin = {task, *(module for module in modules if module in task or task in module)}
    return max((other for other in kin if other in PurePosixPath(name).name.lower()), key=len, default=None)


def _opens(place: Source, name: str, field: str) -> bool:
    """Whether the first row has `field`; what cannot be read has not."""
    try:
        first = next(place.rows(name), None)
    except ClueError:
        return False
    return first is not None and field in first.data
