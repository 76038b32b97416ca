"""The two written forms of entities, read and written.

official  {type: {entity: [[start, end], ...]}}                     CLUENER's; ends inclusive
own       [{"start", "end", "type", "text"?, "probability"?}, ...]   ours and users' own data; ends exclusive

Both count Unicode characters of the text. Everything is checked against the text before it is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from clue_cli.contract import Span
from clue_cli.errors import RowError, Where, did_you_mean
from tasks.families.values import kind, probability_in, rounded


class Unplaced(NamedTuple):
    """A predicted entity that does not stand where its row says: characters `[start, end)`, -1 without a place."""

    start: int
    end: int
    type: str
    words: str


def read_official(value: Any, text: str, types: Sequence[str], where: Where, field: str) -> list[Span]:
    """The spans of the official form, half open; RowError for a wrong structure, type, offset or entity."""
    wrong: list[RowError] = []
    spans = read_predicted(value, text, types, where, field, wrong)
    if wrong:
        raise wrong[0]
    return [span for span in spans if isinstance(span, Span)]


def read_predicted(
    value: Any, text: str, types: Sequence[str], where: Where, field: str, wrong: list[RowError]
) -> list[Span | Unplaced]:
    """As `read_official`, for a prediction: entities that do not stand at their places, or have none, are read as
    `Unplaced`, and `wrong` takes the errors."""
    spans: list[Span | Unplaced] = []
    for type_, entities in _object(value, where.at(field), "{type: {entity: [[start, end], ...]}}").items():
        place = where.at(field, type_)
        _check_type(type_, types, place)
        for entity, pairs in _object(entities, place, "{entity: [[start, end], ...]}").items():
            place = where.at(field, type_, entity)
            if not isinstance(pairs, list) or not pairs:
                placeless = RowError(f"[[start, end], ...] was expected, found {kind(pairs)}", place)
                if pairs != []:
                    raise placeless
                wrong.append(placeless)
                spans.append(Unplaced(-1, -1, type_, entity))
            for pair in pairs:
                if not isinstance(pair, list) or len(pair) != 2 or not all(_whole(value) for value in pair):
                    raise RowError(f"[start, end] of whole numbers was expected, found {kind(pair)}", place)
                try:
                    spans.append(_official_span(pair[0], pair[1], entity, text, type_, place))
                except RowError as error:
                    wrong.append(error)
                    spans.append(Unplaced(pair[0], pair[1] + 1, type_, entity))
    return spans


def _official_span(start: int, last: int, entity: str, text: str, type_: str, place: Where) -> Span:
    """The span of an entity; RowError where it does not stand there."""
    _check_range(start, last + 1, text, place, f"[{start}, {last}] (end inclusive)")
    if text[start : last + 1] != entity:
        hint = "ends are inclusive in this form" if text[start:last] == entity else _hint(text, entity)
        found = text[start : last + 1]
        raise RowError(f"[{start}, {last}] is {found!r} in the text, not {entity!r}", place, hint=hint)
    return Span(start, last + 1, type_)


def read_own(value: Any, text: str, types: Sequence[str], where: Where, field: str) -> list[Span]:
    """The spans of our own form; RowError for anything wrong."""
    wrong: list[RowError] = []
    found = read_own_predicted(value, text, types, where, field, wrong)
    if wrong:
        raise wrong[0]
    return [span for span, _ in found if isinstance(span, Span)]


def read_own_predicted(
    value: Any, text: str, types: Sequence[str], where: Where, field: str, wrong: list[RowError]
) -> list[tuple[Span | Unplaced, float | None]]:
    """As `read_own`, for a prediction: each with its probability if it has one. Entities that do not stand at their
    places are read as `Unplaced`, and `wrong` takes the errors."""
    if not isinstance(value, list):
        raise RowError(f"a list of entities was expected, found {kind(value)}", where.at(field))
    found: list[tuple[Span | Unplaced, float | None]] = []
    for position, entity in enumerate(value):
        place = where.at(field, position)
        if not isinstance(entity, dict):
            raise RowError(f'{{"start", "end", "type"}} was expected, found {kind(entity)}', place)
        for name in ("start", "end", "type"):
            if name not in entity:
                raise RowError(f'no {name!r}; {{"start", "end", "type"}} was expected, found {kind(entity)}', place)
        start, end, type_ = entity["start"], entity["end"], entity["type"]
        for name in ("start", "end"):
            if not _whole(entity[name]):
                value = kind(entity[name])
                raise RowError(f"a whole number was expected, found {value}", where.at(field, position, name))
        _check_type(type_, types, where.at(field, position, "type"))
        words, its_place = entity.get("text"), where.at(field, position, "text")
        if words is not None and not isinstance(words, str):
            raise RowError(f"a text was expected, found {kind(words)}", its_place)
        probability = probability_in(entity.get("probability"), where.at(field, position, "probability"))
        span: Span | Unplaced = Span(start, end, type_)
        try:
            _check_range(start, end, text, place, f"[{start}, {end}) (end exclusive)")
            _check_text(words, text, start, end, its_place)
        except RowError as error:
            wrong.append(error)
            span = Unplaced(start, end, type_, words or "")
        found.append((span, probability))
    return found


def _check_text(given: str | None, text: str, start: int, end: int, place: Where) -> None:
    if given is None or given == text[start:end]:
        return
    hint = "ends are exclusive in this form" if text[start : end + 1] == given else _hint(text, given)
    raise RowError(f"[{start}, {end}) is {text[start:end]!r} in the text, not {given!r}", place, hint=hint)


def _hint(text: str, entity: str) -> str | None:
    if entity in text and any(ord(character) > 0xFFFF for character in text):
        return "offsets count Unicode characters; one emoji is one, not two"
    if entity in text:
        return f"it stands at character {text.find(entity)}"
    return None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _object(value: Any, place: Where, expected: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RowError(f"{expected} was expected, found {kind(value)}", place)
    return value


def _check_type(type_: Any, types: Collection[str], place: Where) -> None:
    if not isinstance(type_, str):
        raise RowError(f"the type must be a string, found {kind(type_)}", place)
    if type_ not in types:
        raise RowError(did_you_mean(type_, types, "entity type"), place)


def _check_range(start: int, end: int, text: str, place: Where, shown: str) -> None:
    if start < 0 or end > len(text):
        raise RowError(f"{shown} reaches beyond the text, which has {len(text)} characters", place)
    if start >= end:
        raise RowError(f"{shown} holds no character", place)


def write_official(text: str, spans: Iterable[Span], types: Sequence[str]) -> dict[str, dict[str, list[list[int]]]]:
    """Spans in the official form, ends inclusive: types in the order of the set, entities in that of the text."""
    label: dict[str, dict[str, list[list[int]]]] = {}
    for span in sorted(spans, key=lambda span: (types.index(span.type), span.start, span.end)):
        entities = label.setdefault(span.type, {})
        entities.setdefault(text[span.start : span.end], []).append([span.start, span.end - 1])
    return label


def write_own(text: str, spans: Sequence[Span], probabilities: Sequence[float] | None) -> list[dict[str, Any]]:
    """Spans in our own form, half open, in the order given, with their probabilities where wanted."""
    entities: list[dict[str, Any]] = []
    for position, span in enumerate(spans):
        entity = {"start": span.start, "end": span.end, "type": span.type, "text": text[span.start : span.end]}
        if probabilities is not None:
            entity["probability"] = rounded(probabilities[position])
        entities.append(entity)
    return entities
