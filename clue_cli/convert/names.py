"""The names that rows use, as `labels.txt` or a schema holds them: labels, predicates with their types, event types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clue_cli.contract import Tally
from clue_cli.errors import RowError
from clue_cli.lines import json_rows, open_text
from clue_cli.sources import Row as FileRow
from clue_cli.sources import read_labels

Row = dict[str, Any]

JOINED = "predicates between several types (the schema joins their names by |)"


def names(rows: Iterable[Row], task: str, tally: Tally) -> list[Any]:
    """Labels, or lines of a schema, of rows in our own form; in an order that does not hang on theirs."""
    makers: Mapping[str, Callable[[Iterable[Row]], Sequence[Any]]] = {
        "entities": lambda rows: sorted({entity["type"] for row in rows for entity in row["entities"]}),
        "classification": lambda rows: sorted({row["label"] for row in rows}),
        "relations": _predicates,
        "events": _event_types,
    }
    found = list(makers[task](rows))
    if task == "relations":
        tally.add(JOINED, amount=sum("|" in _types(line) for line in found))
    return found


def _predicates(rows: Iterable[Row]) -> list[Row]:
    """One line a predicate; types of a schema are for people, no model learns them."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for relation in (relation for row in rows for relation in row["relations"]):
        subjects, objects = found.setdefault(relation["predicate"], (set(), set()))
        subjects.add(relation["subject"]["type"])
        objects.add(relation["object"]["@value"]["type"])
    return [
        {
            "predicate": predicate,
            "subject_type": "|".join(sorted(subjects)),
            "object_type": {"@value": "|".join(sorted(objects))},
        }
        for predicate, (subjects, objects) in sorted(found.items())
    ]


def _event_types(rows: Iterable[Row]) -> list[Row]:
    roles: dict[str, set[str]] = {}
    for event in (event for row in rows for event in row["events"]):
        roles.setdefault(event["event_type"], set()).update(part["role"] for part in event["arguments"])
    return [
        {"event_type": type_, "role_list": [{"role": role} for role in sorted(roles[type_])]} for type_ in sorted(roles)
    ]


def _types(line: Row) -> str:
    return f"{line['subject_type']} {line['object_type']['@value']}"


def shown(name: Any) -> str:
    """A label, or what a line of a schema is called."""
    return str(name if isinstance(name, str) else name.get("predicate") or name.get("event_type"))


# -------------------------------------------------------------------- names that are there already


def read_names(path: Path, task: str) -> list[Any]:
    """The labels or lines of a file that an earlier conversion wrote; RowError for what is neither."""
    if task in ("entities", "classification"):
        return list(read_labels(path))
    rows = list(json_rows(open_text(path), str(path)))
    for row in rows:
        _check_line(row, "predicate" if task == "relations" else "event_type")
    return [row.data for row in rows]


def _check_line(row: FileRow, key: str) -> None:
    if not isinstance(row.data.get(key), str):
        raise RowError(f"a line of a schema with {key!r} was expected", row.where)
    roles = row.data.get("role_list", [])
    if not isinstance(roles, list) or not all(isinstance(part, dict) and "role" in part for part in roles):
        raise RowError('[{"role": ...}, ...] was expected', row.at("role_list"))


def merged(before: Sequence[Any], now: Sequence[Any]) -> list[Any]:
    """Names that were there already, in their order, with new ones behind them; an event type's roles likewise."""
    kept = {shown(name): name for name in before}
    for name in now:
        known = kept.get(shown(name))
        if known is None:
            kept[shown(name)] = name
        elif isinstance(name, dict) and "role_list" in name:
            listed = known.get("role_list", [])
            roles = {part["role"] for part in listed}
            more = [part for part in name["role_list"] if part["role"] not in roles]
            kept[shown(name)] = {**known, "role_list": [*listed, *more]} if more else known
    return list(kept.values())
