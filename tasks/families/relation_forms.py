"""Relations as they are written: the schema, the official form and our own, read and written.

official  {"predicate", "subject", "object": {slot: text}, "subject_type"?, "object_type"?}     DuIE's `spo_list`
own       {"predicate", "subject": MENTION, "object": {slot: MENTION}, "probability"?}          `relations`
          MENTION = {"start", "end", "text"?, "type"?}; ends exclusive, counted in characters of the text

Every object has the slot `@value`; a plain text in place of an object (DuIE 1.0) is its `@value`. Types stand in the
schema: those of a row are written, never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.sources import Row, Source
from tasks.families.location import Place
from tasks.families.values import kind, probability_in, rounded

VALUE = "@value"
"""The slot that every object has; it opens an object, other slots complete it."""

Schema = Mapping[str, tuple[str, Mapping[str, str]]]
"""Predicate -> type of the subject, and slot -> type of the object, `@value` first."""


class Relation(NamedTuple):
    """One relation in the words of the text; `object` is (slot, text), slots in the order of the schema."""

    predicate: str
    subject: str
    object: tuple[tuple[str, str], ...]

    @property
    def type(self) -> str:
        """The predicate: what `clue data` counts gold by."""
        return self.predicate


class Located(NamedTuple):
    """Where a relation stands: the places of its subject and of each slot, with the head's estimate.

    score: the smallest raw score of its slots; probability: that of the same slot. None where nobody said.
    """

    subject: Place
    object: tuple[Place, ...]
    score: float | None = None
    probability: float | None = None


# ---------------------------------------------------------------- schema


def schema_of(lines: Sequence[Sequence[Any]]) -> Schema:
    """A declaration's schema, (predicate, subject type, {slot: type}) each, by predicate; ValueError if it is none."""
    schema: dict[str, tuple[str, Mapping[str, str]]] = {}
    for predicate, subject, slots in lines:
        if predicate in schema:
            raise ValueError(f"predicate {predicate!r} occurs twice in the schema")
        if VALUE not in slots:
            raise ValueError(f"predicate {predicate!r} has no slot {VALUE!r}")
        schema[predicate] = subject, {VALUE: slots[VALUE], **slots}
    return schema


def schema_lines(block: str) -> tuple[tuple[str, str, dict[str, str]], ...]:
    """A declaration's schema from lines of `predicate: subject-type object-type slot=type ...`."""
    lines = []
    for line in filter(None, map(str.strip, block.splitlines())):
        predicate, _, types = line.partition(": ")
        subject, value, *slots = types.split()
        further = dict(slot.split("=") for slot in slots)
        lines.append((predicate, subject, {VALUE: value, **further}))
    return tuple(lines)


def read_schema(source: Source, file: str) -> list[tuple[str, str, dict[str, str]]]:
    """The lines of a schema file, {"predicate", "subject_type", "object_type": {slot: type}} each.

    A predicate with several types of subjects may have a line for each, of the same slots (DuIE 1.0): the types are
    joined by a slash, as DuIE 2.0 has it (企业/品牌). RowError, with line and field, for whatever it cannot be;
    UserError for an empty file.
    """
    lines: dict[str, tuple[str, str, dict[str, str]]] = {}
    first: dict[str, int | None] = {}
    for row in source.rows(file):
        predicate, subject, slots = _word(row, "predicate"), _word(row, "subject_type"), _slot_types(row)
        if predicate in lines:
            _, subjects, known = lines[predicate]
            if slots != known:
                before = f"{predicate!r} stands in line {first[predicate]} already, with other slots"
                hint = "give relations between other types a name of their own"
                raise RowError(before, row.at("predicate"), hint=hint)
            subject = "/".join(dict.fromkeys([*subjects.split("/"), *subject.split("/")]))
        first.setdefault(predicate, row.where.line)
        lines[predicate] = predicate, subject, slots
    if not lines:
        expected = '{"predicate", "subject_type", "object_type": {"@value": type}} on each line'
        raise UserError(f"an empty schema; {expected} was expected", where=source.place(file))
    return list(lines.values())


def _word(row: Row, name: str) -> str:
    value = row.data.get(name)
    if not isinstance(value, str) or not value.strip():
        found = kind(value) if name in row.data else "nothing"
        raise RowError(f"a text was expected in every line of a schema, found {found}", row.at(name))
    return value


def _slot_types(row: Row) -> dict[str, str]:
    slots, place = row.data.get("object_type"), row.at("object_type")
    if isinstance(slots, str) and slots.strip():
        return {VALUE: slots}
    if not isinstance(slots, dict):
        found = kind(slots) if "object_type" in row.data else "nothing"
        raise RowError(f'{{"{VALUE}": type, ...}} was expected, found {found}', place)
    if VALUE not in slots:
        raise RowError(f"no slot {VALUE!r}, which every object has; found: {', '.join(slots) or 'none'}", place)
    for slot, type_ in slots.items():
        if not isinstance(type_, str) or not type_.strip():
            found = kind(type_)
            raise RowError(f"the type of a slot must be a text, found {found}", row.where.at("object_type", slot))
    return {VALUE: slots[VALUE], **slots}


# ---------------------------------------------------------------- reading


def read_official(
    value: Any, schema: Schema, where: Where, field: str, wrong: list[RowError] | None = None
) -> list[Relation]:
    """The relations of a `spo_list`; RowError, with the place, for a wrong structure, predicate or slot.

    wrong: takes the errors for predicates and slots that the schema lacks, and the relations are read all the same.
    """
    relations: list[Relation] = []
    for position, spo in enumerate(_list(value, where.at(field))):
        predicate = _predicate(spo, schema, where, (field, position), wrong)
        subject = _string(_part(spo, "subject", where, (field, position)), where.at(field, position, "subject"))
        given = _part(spo, "object", where, (field, position))
        given = {VALUE: given} if isinstance(given, str) else given
        slots = _slots(given, predicate, schema, where, (field, position), wrong)
        texts = [(slot, _string(text, where.at(field, position, "object", slot))) for slot, text in slots.items()]
        relations.append(Relation(predicate, subject, tuple(texts)))
    return relations


def read_own(
    value: Any, text: str, schema: Schema, where: Where, field: str, wrong: list[RowError] | None = None
) -> list[tuple[Relation, Located]]:
    """The relations of our own form with their places, checked against the text; RowError for anything wrong.

    wrong: as `read_official`; what is off its place is refused all the same.
    """
    found: list[tuple[Relation, Located]] = []
    for position, entry in enumerate(_list(value, where.at(field))):
        path = (field, position)
        predicate = _predicate(entry, schema, where, path, wrong)
        subject = _mention(_part(entry, "subject", where, path), text, where, (*path, "subject"))
        given = _part(entry, "object", where, path)
        if isinstance(given, dict) and "start" in given:
            given = {VALUE: given}
        slots = _slots(given, predicate, schema, where, path, wrong)
        places = {slot: _mention(part, text, where, (*path, "object", slot)) for slot, part in slots.items()}
        probability = probability_in(entry.get("probability"), where.at(*path, "probability"))
        words = tuple((slot, text[slice(*place)]) for slot, place in places.items())
        located = Located(subject, tuple(places.values()), None, probability)
        found.append((Relation(predicate, text[slice(*subject)], words), located))
    return found


def _list(value: Any, place: Where) -> list[Any]:
    if not isinstance(value, list):
        raise RowError(f"a list of relations was expected, found {kind(value)}", place)
    return value


def _part(entry: Mapping[str, Any], name: str, where: Where, path: Sequence[Any]) -> Any:
    if name not in entry:
        expected = "predicate, subject and object were expected"
        raise RowError(f"no {name!r}; {expected}, found {', '.join(entry) or 'none'}", where.at(*path))
    return entry[name]


def _refuse(error: RowError, wrong: list[RowError] | None) -> None:
    if wrong is None:
        raise error
    wrong.append(error)


def _predicate(
    entry: Any, schema: Schema, where: Where, path: Sequence[Any], wrong: list[RowError] | None = None
) -> str:
    if not isinstance(entry, dict):
        raise RowError(f"{{predicate, subject, object}} was expected, found {kind(entry)}", where.at(*path))
    predicate, place = _part(entry, "predicate", where, path), where.at(*path, "predicate")
    if not isinstance(predicate, str):
        raise RowError(f"the predicate must be a text, found {kind(predicate)}", place)
    if predicate not in schema:
        hint = "predicates are those of the schema (*schema*.json) in the directory of data or gold, else the official"
        _refuse(RowError(did_you_mean(predicate, schema, "predicate"), place, hint=hint), wrong)
    return predicate


def _slots(
    given: Any, predicate: str, schema: Schema, where: Where, path: Sequence[Any], wrong: list[RowError] | None = None
) -> dict[str, Any]:
    """Slot -> what it holds, in the order of the schema, behind them those that it lacks."""
    place = where.at(*path, "object")
    if not isinstance(given, dict):
        raise RowError(f'{{"{VALUE}": ...}} was expected, found {kind(given)}', place)
    known = schema[predicate][1] if predicate in schema else given  # nothing of such a relation is right anyway
    for slot in given:
        if slot not in known:
            _refuse(RowError(f"predicate {predicate!r}: {did_you_mean(slot, known, 'slot')}", place), wrong)
    if VALUE not in given:
        raise RowError(f"no slot {VALUE!r}, which every object has; found {kind(given)}", place)
    return {slot: given[slot] for slot in dict.fromkeys([*known, *given]) if slot in given}


def _string(value: Any, place: Where) -> str:
    if not isinstance(value, str):
        raise RowError(f"a text was expected, found {kind(value)}", place)
    if not value.strip():
        raise RowError("the text is empty", place, hint="leave a slot out where it has no value")
    return value


def _mention(value: Any, text: str, where: Where, path: Sequence[Any]) -> Place:
    place = where.at(*path)
    if not isinstance(value, dict):
        raise RowError(f'{{"start", "end"}} was expected, found {kind(value)}', place)
    for name in ("start", "end"):
        if not isinstance(value.get(name), int) or isinstance(value[name], bool):
            found = kind(value[name]) if name in value else "nothing"
            raise RowError(f"a whole number was expected, found {found}", where.at(*path, name))
    start, end = value["start"], value["end"]
    if not 0 <= start < end <= len(text):
        many = len(text)
        raise RowError(f"[{start}, {end}) (end exclusive) is no part of the text, which has {many} characters", place)
    if value.get("text", text[start:end]) != text[start:end]:
        found, given = text[start:end], value["text"]
        raise RowError(f"[{start}, {end}) is {found!r} in the text, not {given!r}", where.at(*path, "text"))
    return start, end


# ---------------------------------------------------------------- writing


def write_official(relations: Sequence[Relation], schema: Schema) -> list[dict[str, Any]]:
    """Relations as a `spo_list`, with the types of the schema for the slots that are there."""
    return [
        {
            "predicate": relation.predicate,
            "subject": relation.subject,
            "subject_type": schema[relation.predicate][0],
            "object": dict(relation.object),
            "object_type": {slot: schema[relation.predicate][1][slot] for slot, _ in relation.object},
        }
        for relation in relations
    ]


def write_own(
    text: str, relations: Sequence[Relation], places: Sequence[Located], schema: Schema, *, probabilities: bool
) -> list[dict[str, Any]]:
    """Relations in our own form, in the order given, with their probabilities where wanted and known."""
    written: list[dict[str, Any]] = []
    for relation, located in zip(relations, places, strict=True):
        subject_type, types = schema[relation.predicate]
        slots = zip(relation.object, located.object, strict=True)
        entry: dict[str, Any] = {
            "predicate": relation.predicate,
            "subject": _written(text, located.subject, subject_type),
            "object": {slot: _written(text, place, types[slot]) for (slot, _), place in slots},
        }
        if probabilities and located.probability is not None:
            entry["probability"] = rounded(located.probability)
        written.append(entry)
    return written


def _written(text: str, place: Place, type_: str) -> dict[str, Any]:
    return {"start": place[0], "end": place[1], "type": type_, "text": text[slice(*place)]}
