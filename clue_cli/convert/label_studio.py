"""Label Studio's exports: JSON (tasks with annotations and results) and JSON-MIN (one flat object an annotation).

Read are `labels` (spans), `choices` (labels of the whole text) and `relation`; every other kind of result is counted.
A region with several labels is a span of each; a relation of it belongs to its first one. A relation's direction
"left" turns it round, "bi" makes two of it.

Of several annotations of a task one counts: one marked as ground truth, else the one updated last, else the last in the
file. Cancelled (skipped) annotations, the further ones, those that disagree, tasks without any, and a model's
predictions are counted. In JSON-MIN relations do not exist (label-studio #1803), nor does ground truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clue_cli.contract import Tally
from clue_cli.convert import documents as d
from clue_cli.convert.documents import Document, Marking, Reading, Relation
from clue_cli.errors import RowError, UserError, Where
from clue_cli.sources import Source

CANCELLED = "cancelled annotations"
UNLABELLED = "texts without an annotation"
FURTHER = "further annotations of a text (ground truth counts, else the last)"
DISAGREE = "texts whose annotators disagree"
PREDICTED = "predictions of a model"

_SPANS = ("labels", "hypertextlabels")
_MIN_FIELDS = {
    "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history",
}  # fmt: skip
"""What JSON-MIN writes of its own beside a task's data and annotations."""

Entry = tuple[Mapping[str, Any], Where]


def read(source: Source, name: str, reading: Reading, tally: Tally) -> Iterator[Document]:
    """The annotated texts of an export. RowError names the part that is wrong, UserError a choice that must be made."""
    items: list[Entry] = []
    for value, where in d.entries(source, name, reading.bad(tally)):
        try:
            items.append((d.object_at(value, where, "a task"), where))
        except RowError as error:
            reading.refuse(error, tally)
    full = any(isinstance(item.get("data"), dict) for item, _ in items)
    if not items:
        raise UserError("no tasks in it", where=source.place(name))
    yield from _full(items, reading, tally) if full else _flat(items, reading, tally)


def _guarded(make: Any, item: Entry, reading: Reading, tally: Tally) -> Iterator[Document]:
    """What `make` finds in one entry; a wrong one is refused, and leaves no counts behind."""
    counts = Tally()
    try:
        found = make(*item, counts)
    except RowError as error:
        reading.refuse(error, tally)
        return
    tally.merge(counts)
    if found is not None:
        yield found


# -------------------------------------------------------------------- JSON


def _full(items: list[Entry], reading: Reading, tally: Tally) -> Iterator[Document]:
    datas = [(data, where.at("data")) for item, where in items if isinstance(data := item.get("data"), dict)]
    text = reading.text_field or _text_field(datas, ())

    def make(item: Mapping[str, Any], where: Where, counts: Tally) -> Document | None:
        data = d.object_at(item.get("data"), where.at("data"), "an object with the text")
        document = Document(d.text_at(data, text, where.at("data")), where, d.identity(item.get("id")))
        counts.add(PREDICTED, where, len(d.list_at(item.get("predictions") or [], where.at("predictions"), "a list")))
        found = _annotation(item, where, counts)
        if found is None:
            return None
        _read_results(document, *found, reading.label_field, counts)
        return document

    for item in items:
        yield from _guarded(make, item, reading, tally)


def _annotation(item: Mapping[str, Any], where: Where, tally: Tally) -> tuple[list[Any], Where] | None:
    """The results of the annotation that counts, and where they stand; None for a task without one."""
    field = "annotations" if "annotations" in item else "completions"
    given = d.list_at(item.get(field) or [], where.at(field), "a list of annotations")
    valid: list[tuple[Mapping[str, Any], Where]] = []
    for number, value in enumerate(given):
        place = where.at(field, number)
        annotation = d.object_at(value, place, "an annotation")
        if annotation.get("was_cancelled"):
            tally.add(CANCELLED, place)
        else:
            valid.append((annotation, place))
    if not valid:
        tally.add(UNLABELLED, where)
        return None
    chosen, place = valid[_chosen([annotation for annotation, _ in valid])]
    _count_further([annotation.get("result") for annotation, _ in valid], where, tally)
    return d.list_at(chosen.get("result"), place.at("result"), "a list of results"), place.at("result")


def _chosen(annotations: Sequence[Mapping[str, Any]]) -> int:
    def rank(number: int) -> tuple[bool, str, int]:
        annotation = annotations[number]
        # ISO 8601 with one time zone, as the tool writes it, sorts as text.
        return bool(annotation.get("ground_truth")), str(annotation.get("updated_at") or ""), number

    return max(range(len(annotations)), key=rank)


def _count_further(contents: Sequence[Any], where: Where, tally: Tally) -> None:
    tally.add(FURTHER, where, len(contents) - 1)
    if len({_essence(content) for content in contents}) > 1:
        tally.add(DISAGREE, where)


def _essence(content: Any) -> str:
    """What an annotator said, without the ids that differ anyway: a relation's ends are told by what they mark."""
    parts = content if isinstance(content, list) else [content]
    results = [part for part in parts if isinstance(part, dict)]
    regions = {str(part.get("id")): part.get("value") for part in results if part.get("type") in _SPANS}
    values = [part for part in parts if not isinstance(part, dict)]
    for part in results:
        values.append(_related(part, regions) if part.get("type") == "relation" else part.get("value", part))
    return "\n".join(sorted(map(_sortable, values)))


def _related(result: Mapping[str, Any], regions: Mapping[str, Any]) -> list[Any]:
    """A relation by the values of its regions, in the direction it is read (`_add_relation`)."""
    ends = [regions.get(str(result.get(name))) for name in ("from_id", "to_id")]
    direction = result.get("direction") or "right"
    if direction == "left":
        direction, ends = "right", ends[::-1]
    elif direction == "bi":
        ends.sort(key=_sortable)
    return [direction, ends, result.get("labels") or []]


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _read_results(document: Document, results: list[Any], where: Where, label_field: str | None, tally: Tally) -> None:
    choices: dict[str, list[str]] = {}
    for number, value in enumerate(results):
        place = where.at(number)
        result = d.object_at(value, place, "a result")
        kind, content = str(result.get("type")), result.get("value")
        if kind == "relation":
            continue  # when all regions are known
        content = d.object_at(content, place.at("value"), "the value of a result")
        if kind in _SPANS and isinstance(content.get("start"), int):
            _add_region(document, str(result.get("id") or f"#{number}"), content, place.at("value"), kind)
        elif kind == "choices" and "start" not in content:
            name = str(result.get("from_name") or "choices")
            choices.setdefault(name, []).extend(_choices(content, place.at("value")))
        else:
            of_region = " of a region" if kind == "choices" else ""
            tally.add(f"results of type {kind!r}{of_region}", place)
    for number, result in enumerate(results):
        if result.get("type") == "relation":
            _add_relation(document, result, where.at(number), tally)
    if choices:
        document.labels = _one_group(choices, label_field, where, tally)


def _add_region(document: Document, key: str, value: Mapping[str, Any], where: Where, kind: str) -> None:
    start, end = (d.number_at(value.get(name), where.at(name)) for name in ("start", "end"))
    words = value.get("text")
    labels = d.list_at(value.get(kind, value.get("labels")), where.at(kind), "a list of labels")
    if not labels:
        raise RowError("a region without a label", where.at(kind))
    for number, label in enumerate(labels):
        mark = Marking(
            start, end, d.name_at(label, where.at(kind, number)), where, words if isinstance(words, str) else None
        )
        document.marks[key if number == 0 else f"{key}/{number}"] = mark


def _choices(value: Mapping[str, Any], where: Where) -> list[str]:
    given = d.list_at(value.get("choices"), where.at("choices"), "a list of choices")
    return [d.name_at(choice, where.at("choices", number), "a choice") for number, choice in enumerate(given)]


def _one_group(groups: Mapping[str, list[str]], wanted: str | None, where: Where, tally: Tally) -> list[str]:
    """The labels of the group of choices that counts; UserError where that is not said."""
    if wanted is None and len(groups) > 1:
        hint = "--label-field names the one to take"
        raise UserError(f"several groups of choices: {', '.join(sorted(groups))}", where=str(where), hint=hint)
    for name in groups:
        if wanted is not None and name != wanted:
            tally.add(f"choices of {name!r}", where)
    if wanted is None:
        return next(iter(groups.values()))
    return groups.get(wanted, [])


def _add_relation(document: Document, result: Mapping[str, Any], where: Where, tally: Tally) -> None:
    ends = [str(result.get(name)) for name in ("from_id", "to_id")]
    for name, key in zip(("from_id", "to_id"), ends, strict=True):
        if key not in document.marks:
            tally.add("relations with something that is no labelled span", where.at(name))
            return
    labels = d.list_at(result.get("labels") or [], where.at("labels"), "a list of labels")
    if not labels:
        tally.add("relations without a label", where)
    direction = result.get("direction") or "right"
    if direction not in ("right", "left", "bi"):
        raise RowError(f"right, left or bi was expected, found {d.shown(direction)}", where.at("direction"))
    for number, label in enumerate(labels):
        name = d.name_at(label, where.at("labels", number))
        if direction in ("right", "bi"):
            document.relations.append(Relation(name, *ends))
        if direction in ("left", "bi"):
            document.relations.append(Relation(name, *reversed(ends)))


# -------------------------------------------------------------------- JSON-MIN


def _flat(items: list[Entry], reading: Reading, tally: Tally) -> Iterator[Document]:
    span_fields = {name for item, _ in items for name, value in item.items() if _holds_spans(value)}
    text = reading.text_field or _text_field(items, {*_MIN_FIELDS, *span_fields, reading.label_field or ""})
    label = reading.label_field or _label_field(items, span_fields, text)

    def make(item: Mapping[str, Any], where: Where, counts: Tally) -> Document:
        document = Document(d.text_at(item, text, where), where, d.identity(item.get("id")))
        for name in sorted(span_fields):
            for number, value in enumerate(d.list_at(item.get(name) or [], where.at(name), "a list of spans")):
                place = where.at(name, number)
                span = d.object_at(value, place, "a span")
                if isinstance(span.get("start"), int):
                    _add_region(document, f"{name}{number}", span, place, "labels" if "labels" in span else _SPANS[1])
                else:
                    counts.add("results of type 'hypertextlabels'", place)
        if label is not None and label in item:
            value = item[label]
            chosen = {"choices": [value]} if isinstance(value, str) else value
            document.labels = _choices(d.object_at(chosen, where.at(label), "a choice"), where.at(label))
        return document

    for item in _latest(items, {*span_fields, *([label] if label else [])}, tally):
        yield from _guarded(make, item, reading, tally)


def _holds_spans(value: Any) -> bool:
    """Whether a field of JSON-MIN is a list of regions."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and any(kind in first for kind in _SPANS) and "start" in first


def _latest(items: list[Entry], fields: set[str], tally: Tally) -> list[Entry]:
    """Of the annotations of each task the last updated one, in the order of the file; tasks are told by their ids."""
    groups: dict[Any, list[Entry]] = {}
    for number, (item, where) in enumerate(items):
        key = d.identity(item.get("id"))
        groups.setdefault(("row", number) if key is None else key, []).append((item, where))
    kept = []
    for group in groups.values():
        kept.append(group[_chosen([item for item, _ in group])])
        said = [{name: item.get(name) for name in fields} for item, _ in group]
        _count_further(said, kept[-1][1], tally)
    return kept


def _text_field(items: Sequence[Entry], known: Sequence[str] | set[str]) -> str:
    """The field that holds the texts: `text`, or the only one of strings. UserError where that is not so."""
    if all("text" in item for item, _ in items):
        return "text"
    names = {name for item, _ in items for name, value in item.items() if isinstance(value, str)} - set(known)
    if len(names) == 1:
        return names.pop()
    found = ", ".join(sorted(names)) or "none"
    raise UserError(
        f"which field holds the text? Fields of strings: {found}",
        where=str(items[0][1]) if items else None,
        hint="--text-field names it",
    )


def _label_field(items: Sequence[Entry], spans: set[str], text: str) -> str | None:
    """The field with the labels of whole texts; None where spans were annotated. UserError if several may be it."""
    lists = {
        name for item, _ in items for name, value in item.items() if isinstance(value, dict) and "choices" in value
    }
    strings = {name for item, _ in items for name, value in item.items() if isinstance(value, str)}
    names = lists if spans or lists else strings - _MIN_FIELDS - {text}
    if len(names) > 1:
        hint = "--label-field names it"
        raise UserError(f"which field holds the label? {', '.join(sorted(names))}", where=items[0][1].file, hint=hint)
    return next(iter(names), None)
