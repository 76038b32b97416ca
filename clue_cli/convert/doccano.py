"""doccano's exports: JSON lines (or a JSON list) in the forms that its releases have written.

spans           `label`, `labels` or `entities`: [[start, end, type], ...]
with relations  `entities`: [{"id", "label", "start_offset", "end_offset"}, ...],
                `relations`: [{"from_id", "to_id", "type"}, ...]
whole texts     `label` or `labels`: ["type", ...] or "type"; `cats` beside spans
older ones      `annotations`: [{"label", "start_offset", "end_offset"}, ...] with the labels' names

The text is `text` or `data`. doccano stores no words beside its offsets; see `offsets` for what they count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clue_cli.contract import Tally
from clue_cli.convert import documents as d
from clue_cli.convert.documents import Document, Marking, Reading, Relation
from clue_cli.errors import RowError, Where
from clue_cli.sources import Source

ANNOTATED = ("entities", "label", "labels", "annotations")
"""Fields that may hold the annotations."""
CATEGORIES = "cats"
COMMENTS = "comments"


def read(source: Source, name: str, reading: Reading, tally: Tally) -> Iterator[Document]:
    """The annotated texts of an export. RowError names line and field of what is wrong."""
    for value, where in d.entries(source, name, reading.bad(tally)):
        counts = Tally()
        try:
            document = _document(d.object_at(value, where, "an object with a text"), where, reading, counts)
        except RowError as error:
            reading.refuse(error, tally)
            continue
        tally.merge(counts)
        yield document


def _document(row: Mapping[str, Any], where: Where, reading: Reading, tally: Tally) -> Document:
    text = reading.text_field or ("data" if "text" not in row and isinstance(row.get("data"), str) else "text")
    document = Document(d.text_at(row, text, where), where, d.identity(row.get("id")))
    fields = [field for field in (*ANNOTATED, CATEGORIES) if field in row and field != text]
    if reading.label_field is not None:
        fields = [reading.label_field]
    if not any(field in row for field in fields):
        found = ", ".join(list(row)[:12])
        raise RowError(f"no annotations: none of {', '.join(ANNOTATED)} is there; fields found: {found}", where)
    for field in fields:
        _add_field(document, row[field], where.at(field))
    for number, relation in enumerate(d.list_at(row.get("relations") or [], where.at("relations"), "a list")):
        _add_relation(document, relation, where.at("relations", number), tally)
    comments = row.get("Comments")
    tally.add(COMMENTS, where, len(comments) if isinstance(comments, list) else 0)
    return document


def _add_field(document: Document, value: Any, where: Where) -> None:
    if value is None:
        return
    if isinstance(value, (str, int)):
        document.labels = [*(document.labels or []), d.name_at(value, where)]
        return
    for number, entry in enumerate(d.list_at(value, where, "a list of annotations")):
        place = where.at(number)
        if isinstance(entry, list):
            _add_triple(document, entry, place)
        elif isinstance(entry, dict):
            _add_object(document, entry, place)
        else:
            document.labels = [*(document.labels or []), d.name_at(entry, place)]


def _add_triple(document: Document, entry: list[Any], where: Where) -> None:
    if len(entry) != 3:
        raise RowError(f"[start, end, type] was expected, found {d.shown(entry)}", where)
    start, end = (d.number_at(entry[part], where.at(part)) for part in (0, 1))
    key = f"{where.field}"  # a place, so that no id is taken for it
    document.marks[key] = Marking(start, end, d.name_at(entry[2], where.at(2)), where)


def _add_object(document: Document, entry: Mapping[str, Any], where: Where) -> None:
    label = entry.get("label")
    if isinstance(label, int):
        hint = "export JSONL with the labels' texts"
        raise RowError(
            f"the label is the number {label}, whose name the export does not say", where.at("label"), hint=hint
        )
    name = d.name_at(label, where.at("label"))
    if "start_offset" not in entry and "end_offset" not in entry:
        document.labels = [*(document.labels or []), name]
        return
    start, end = (d.number_at(entry.get(part), where.at(part)) for part in ("start_offset", "end_offset"))
    key = str(entry["id"]) if "id" in entry else f"{where.field}"
    if key in document.marks:
        raise RowError(f"id {d.shown(entry['id'])} occurs twice", where.at("id"))
    document.marks[key] = Marking(start, end, name, where)


def _add_relation(document: Document, value: Any, where: Where, tally: Tally) -> None:
    relation = d.object_at(value, where, '{"from_id", "to_id", "type"}')
    for name in ("from_id", "to_id"):
        if str(relation.get(name)) not in document.marks:
            found = d.shown(relation.get(name))
            raise RowError(f"the id of an entity of this row was expected, found {found}", where.at(name))
    if relation.get("type") is None:
        tally.add("relations without a label", where)
        return
    ends = str(relation["from_id"]), str(relation["to_id"])
    document.relations.append(Relation(d.name_at(relation["type"], where.at("type")), *ends))
