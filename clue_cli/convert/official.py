"""Our own forms of annotations turned into the official ones, CLUENER's, DuIE's and DuEE's; and rows told by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def words_of(row: Any) -> str | None:
    """What `clue train` is told for a row that is read as it is, in the official form or in ours (`Target.words`).

    None for any other row.
    """
    if not isinstance(row, dict):
        return None
    label = row.get("label")
    if isinstance(label, dict) and label and all(isinstance(words, dict) for words in label.values()):
        return "cluener --data {}"
    if "event_list" in row and "title" in row:
        return "duee_fin --data {}"
    if "event_list" in row or _holds(row.get("events"), "event_type"):
        return "duee --data {}"
    return "duie --data {}" if "spo_list" in row or _holds(row.get("relations"), "predicate") else None


def _holds(value: Any, name: str) -> bool:
    return isinstance(value, list) and any(isinstance(part, dict) and name in part for part in value)


def official(row: Mapping[str, Any]) -> Row:
    """A row with its gold in the official form; a class label is the same in both."""
    rest = {name: value for name, value in row.items() if name not in ("entities", "relations", "events")}
    if "entities" in row:
        return {**rest, "label": _cluener(row["entities"])}
    if "relations" in row:
        return {**rest, "spo_list": _duie(row["relations"])}
    if "events" in row:
        return {**rest, "event_list": [_duee(event) for event in row["events"]]}
    return rest


def _cluener(entities: Iterable[Row]) -> dict[str, dict[str, list[list[int]]]]:
    """{type: {entity: [[start, end], ...]}}, ends inclusive."""
    label: dict[str, dict[str, list[list[int]]]] = {}
    for entity in sorted(entities, key=lambda entity: (entity["type"], entity["start"], entity["end"])):
        places = label.setdefault(entity["type"], {}).setdefault(entity["text"], [])
        places.append([entity["start"], entity["end"] - 1])
    return label


def _duie(relations: Iterable[Row]) -> Sequence[Row]:
    """Triples of words, each once: the form says nothing of places."""
    found: dict[tuple[str, ...], Row] = {}
    for relation in relations:
        subject, object_ = relation["subject"], relation["object"]["@value"]
        key = relation["predicate"], subject["type"], subject["text"], object_["type"], object_["text"]
        found[key] = {
            "predicate": relation["predicate"], "subject": subject["text"], "subject_type": subject["type"],
            "object": {"@value": object_["text"]}, "object_type": {"@value": object_["type"]},
        }  # fmt: skip
    return list(found.values())


def _duee(event: Row) -> Row:
    arguments = [
        {"role": part["role"], "argument": part["text"], "argument_start_index": part["start"], "alias": []}
        for part in event["arguments"]
    ]
    trigger = event["trigger"]
    places = {"trigger": trigger["text"], "trigger_start_index": trigger["start"]}
    return {"event_type": event["event_type"], **places, "arguments": arguments}
