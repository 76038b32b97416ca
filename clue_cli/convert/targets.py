"""What tasks read: rows for entities, classification, relations and events.

entities        {"id", "text", "entities": [SPAN]}             SPAN = {"start", "end", "text", "type"}, ends exclusive
classification  {"id", "text", "label"}
relations       {"id", "text", "relations": [{"predicate", "subject": SPAN, "object": {"@value": SPAN}}]}
events          {"id", "text", "events": [{"event_type", "trigger": PLACE, "arguments": [{"role", PLACE}]}]}, where a
                PLACE is a SPAN without a type

These are our own forms; `official` makes the official ones of them. Whatever a row cannot hold is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clue_cli.contract import Span, Tally
from clue_cli.convert.documents import Document, Event
from clue_cli.convert.offsets import spans
from clue_cli.errors import UserError, did_you_mean

Row = dict[str, Any]

LOST_RELATIONS = "relations whose span was left out"
LOST_ARGUMENTS = "arguments whose span was left out"
LOST_EVENTS = "events whose trigger was left out"
NESTED = "arguments that are an event"
SEVERAL = "texts with several labels (a class is one label)"
UNLABELLED = "texts without a label"
ALONE, APART = "spans that no relation holds", "spans that no event holds"

MANY, NEARLY = 10, 0.8
"""So many labels, and such a share of them that occur once, make no classifier."""

LABELS, TASK_FILE = "labels.txt", "task.toml"


@dataclass(frozen=True, slots=True)
class Target:
    """The files of one kind of task.

    files:  split -> file.
    names:  the file of labels or of the schema.
    words:  what `clue train` is told for data in `{}`.
    own:    whether the directory becomes a task of its own, by a task.toml.
    """

    task: str
    files: Mapping[str, str]
    names: str
    words: str
    own: bool


_OWN_FILES = {split: f"{split}.jsonl" for split in ("train", "dev", "test")}
TARGETS: Mapping[str, Target] = {
    target.task: target
    for target in (
        Target("entities", _OWN_FILES, LABELS, "{}", True),
        Target("classification", _OWN_FILES, LABELS, "{}", True),
        Target(
            "relations",
            {"train": "duie_train.json", "dev": "duie_dev.json", "test": "duie_test1.json"},
            "duie_schema.json", "duie --data {}", False,
        ),
        Target(
            "events",
            {"train": "duee_train.json", "dev": "duee_dev.json", "test": "duee_test1.json"},
            "duee_event_schema.json", "duee --data {}", False,
        ),
    )
}  # fmt: skip
FORMS = ("own", "official")


def choose(documents: Sequence[Document], wanted: str) -> str:
    """The kind of task that the annotations make, or `wanted` if they can make it; UserError otherwise."""
    if wanted != "auto" and wanted not in TARGETS:
        raise UserError(did_you_mean(wanted, ("auto", *TARGETS), "kind of task"), where="--task")
    there = {
        "entities": any(document.marks for document in documents),
        "classification": any(document.labels for document in documents),
        "relations": any(document.relations for document in documents),
        "events": any(document.events for document in documents),
    }
    if wanted != "auto":
        if not there[wanted] and not (wanted == "events" and there["relations"]):
            other = ", ".join(name for name, is_there in there.items() if is_there) or "nothing"
            raise UserError(f"no {wanted} are annotated here; found: {other}", where=f"--task {wanted}")
        return wanted
    found = [name for name, is_there in there.items() if is_there]
    if "events" in found or "relations" in found:
        found.remove("entities")  # which they are made of
    if not found:
        raise UserError("nothing is annotated here", hint="a conversion needs spans, relations, events or labels")
    if len(found) > 1:
        raise UserError(f"there are annotations for {' and '.join(found)}", hint="--task says which to convert")
    return found[0]


# -------------------------------------------------------------------- rows


def rows(documents: Iterable[Document], task: str, tally: Tally) -> list[Row]:
    """A row a document, for those that have one."""
    make = {"entities": _entities, "classification": _classification, "relations": _relations, "events": _events}[task]
    found = []
    for document in documents:
        _count_others(document, task, tally)
        content = make(document, tally)
        if content is None:
            continue
        head = {} if document.id is None else {"id": document.id}
        found.append({**head, "text": document.text, **content})
    return found


def _count_others(document: Document, task: str, tally: Tally) -> None:
    """What is annotated besides, and belongs to another kind of task."""
    if task != "classification":
        tally.add("labels of whole texts", document.where, len(document.labels or []))
    if task != "relations":
        tally.add("relations, which this kind of task does not have", document.where, len(document.relations))
    if task != "events":
        tally.add("events, which this kind of task does not have", document.where, len(document.events))
    if task == "classification":
        tally.add("spans, which this kind of task does not have", document.where, len(document.marks))


def _entities(document: Document, tally: Tally) -> Row:
    return {"entities": [_span(document, span) for span in spans(document, tally)]}


def _classification(document: Document, tally: Tally) -> Row | None:
    labels = list(dict.fromkeys(document.labels or []))
    if len(labels) != 1:
        tally.add(SEVERAL if labels else UNLABELLED, document.where)
        return None
    return {"label": labels[0]}


def unlike_classes(rows: Sequence[Row]) -> str | None:
    """What to say of labels that nearly all occur once, as texts written for texts do; None of any others."""
    counts = Counter(row["label"] for row in rows)
    once = sum(count == 1 for count in counts.values())
    if len(counts) < MANY or once < NEARLY * len(counts):
        return None
    return f"{once:,} of {len(counts):,} labels occur once: texts written for each text (seq2seq) make no classifier"


def _relations(document: Document, tally: Tally) -> Row:
    found: list[Row] = []
    used: set[str] = set()
    for relation in document.relations:
        if not {relation.head, relation.tail} <= set(document.marks):
            tally.add(LOST_RELATIONS, document.where)
            continue
        used |= {relation.head, relation.tail}
        subject, object_ = (_span(document, document.marks[key].span) for key in (relation.head, relation.tail))
        row = {"predicate": relation.type, "subject": subject, "object": {"@value": object_}}
        if row in found:
            tally.add("relations given twice", document.where)
        else:
            found.append(row)
    tally.add(ALONE, document.where, len(set(document.marks) - used))
    return {"relations": found}


def _events(document: Document, tally: Tally) -> Row:
    used = {event.trigger for event in document.events}
    found = []
    for event in document.events:
        if event.trigger not in document.marks:
            tally.add(LOST_EVENTS, document.where)
            continue
        arguments = []
        for role, key in dict.fromkeys(event.arguments):
            if key not in document.marks:
                tally.add(LOST_ARGUMENTS, document.where)
                continue
            used.add(key)
            arguments.append({"role": role, **_words(document, document.marks[key].span)})
        trigger = _words(document, document.marks[event.trigger].span)
        found.append({"event_type": event.type, "trigger": trigger, "arguments": arguments})
    tally.add(APART, document.where, len(set(document.marks) - used))
    return {"events": found}


def _words(document: Document, span: Span) -> Row:
    return {"start": span.start, "end": span.end, "text": document.text[span.start : span.end]}


def _span(document: Document, span: Span) -> Row:
    return {**_words(document, span), "type": span.type}


def events_from_relations(documents: Iterable[Document], tally: Tally) -> None:
    """Make events of spans and relations, for tools that know none: a relation leads from a trigger to an argument.

    The trigger's type is the event's, the relation's the role. Spans of a trigger's type that no relation leaves are
    events without arguments; triggers cannot be arguments, and are counted.
    """
    held = list(documents)
    types = {
        document.marks[relation.head].type
        for document in held
        for relation in document.relations
        if relation.head in document.marks
    }
    for document in held:
        triggers = {key for key, mark in document.marks.items() if mark.type in types}
        for key in sorted(triggers, key=lambda key: (document.marks[key].start, document.marks[key].end)):
            leaving = [(relation.type, relation.tail) for relation in document.relations if relation.head == key]
            tally.add(NESTED, document.where, sum(tail in triggers for _, tail in leaving))
            arguments = tuple((role, tail) for role, tail in leaving if tail not in triggers)
            document.events.append(Event(document.marks[key].type, key, arguments))
        tally.add(LOST_EVENTS, document.where, sum(r.head not in document.marks for r in document.relations))
        document.relations = []
