"""Questions on passages as they are written: the nesting of SQuAD, and the flat row of one question.

nested  {"data": [{"paragraphs": [{"context": ..., "qas": [{"id", "question", "answers": [...]}]}]}]}      official
flat    {"id", "question", "context", "answers": [{"text", "answer_start"}, ...]}          ours and users' own data

`answer_start` counts Unicode characters of the context, -1 where nobody knows it. Official files hold starts that are
off by a character or two and texts that the context does not hold, so every answer is looked for in its context.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from clue_cli.errors import RowError, Where
from clue_cli.lines import Row
from tasks.families.location import occurrences
from tasks.families.values import json_cell, kind

MISSING = "answers that the passage does not hold"
EMPTY = "answers without a text"
SHIFTED = "answers that do not stand at their answer_start; the nearest place is taken"
SEVERAL = "answers without answer_start that the passage holds several times; the first place is taken"
"""What is said of answers that do not stand where they should."""

IMPOSSIBLE = "is_impossible"
"""The field by which SQuAD 2.0 says that the passage does not answer the question."""


class Answer(NamedTuple):
    """A piece of the passage: characters [start, end); both -1 where the passage does not hold `text`.

    `note` says what is unusual about a gold answer's place: one of `MISSING`, `EMPTY`, `SHIFTED`, `SEVERAL`, or "".
    """

    text: str
    start: int = -1
    end: int = -1
    note: str = ""

    @property
    def located(self) -> bool:
        """Whether it is known where the answer stands."""
        return self.start >= 0


def locate(text: str, start: int, context: str) -> Answer:
    """The answer `text` in `context`, near the character `start` (-1: nobody knows).

    At `start` if it stands there; else at the place nearest to `start` (of two equally near the earlier), the first
    place if `start` is -1. A text that is empty or not there has no place.
    """
    if not text:
        return Answer(text, note=EMPTY)
    if start >= 0 and context.startswith(text, start):
        return Answer(text, start, start + len(text))
    places = [start for start, _ in occurrences(context, text)]
    if not places:
        return Answer(text, note=MISSING)
    place = min(places, key=lambda found: abs(found - start)) if start >= 0 else places[0]
    note = SHIFTED if start >= 0 else SEVERAL if len(places) > 1 else ""
    return Answer(text, place, place + len(text), note)


def read_answers(value: Any, context: str, where: Where) -> tuple[Answer, ...]:
    """The gold answers of one question in their order, each once; RowError, at `where` or inside it, if wrong.

    `value` is a list of {"text", "answer_start"}, the same as one object of two lists (as `datasets` has it), or either
    as JSON in a string (a csv cell). `answer_start` may be left out.
    """
    answers: dict[tuple[str, int, int], Answer] = {}
    for position, answer in enumerate(_listed(json_cell(value, '[{"text", "answer_start"}] was', where), where)):
        found = _answer(answer, context, where.at(position))
        answers.setdefault(found[:3], found)
    if not answers:
        raise RowError("at least one answer was expected, found an empty list", where)
    return tuple(answers.values())


def unanswerable(value: Any, impossible: Any) -> bool:
    """Whether a question has no answer in its passage: `is_impossible` says so, or there are no `answers` in any of the
    forms that `read_answers` takes. A csv cell says true as text. What is no JSON is for `read_answers` to refuse."""
    if impossible is True or (isinstance(impossible, str) and impossible.strip().lower() == "true"):
        return True
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    return (value.get("text") if isinstance(value, Mapping) else value) == []


def _listed(value: Any, where: Where) -> list[Any]:
    """The answers as a list of objects."""
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, list) and (starts is None or (isinstance(starts, list) and len(starts) == len(texts))):
            return [{"text": t, "answer_start": s} for t, s in zip(texts, starts or [-1] * len(texts), strict=True)]
    if not isinstance(value, list):
        raise RowError(f'a list of {{"text", "answer_start"}} was expected, found {kind(value)}', where)
    return value


def _answer(value: Any, context: str, where: Where) -> Answer:
    if not isinstance(value, Mapping):
        raise RowError(f'{{"text", "answer_start"}} was expected, found {kind(value)}', where)
    if "text" not in value:
        raise RowError(f"no 'text' in the answer, found {kind(value)}", where)
    text, start = value["text"], value.get("answer_start", -1)
    if not isinstance(text, str):
        raise RowError(f"a text was expected, found {kind(text)}", where.at("text"))
    place = where.at("answer_start")
    if isinstance(start, bool) or not isinstance(start, int):
        raise RowError(f"a whole number was expected, found {kind(start)}", place)
    if start < -1 or start >= len(context):
        inside = f"lies outside the passage of {len(context)} characters"
        raise RowError(f"answer_start {start} {inside}", place, hint=_hint(text, context))
    return locate(text, start, context)


def _hint(text: str, context: str) -> str:
    place = context.find(text) if text else -1
    return "-1 says that the place is not known" if place < 0 else f"the answer stands at character {place}"


def unpack(document: Any, place: str, *, question: str, context: str, answers: str, id: str) -> Iterator[Row]:
    """The flat rows of a nested document, in order, under the given names of fields.

    RowError, with the path inside the document, for every part that is missing or of another kind, and for an id that
    occurs twice. What stands in a field of a question is for the reader of the row to judge.
    """
    seen: dict[str | int, Where] = {}
    top = Where(place)
    for entry, at_entry in _children(document, "data", top):
        for paragraph, at_paragraph in _children(entry, "paragraphs", at_entry):
            passage = _text(paragraph, "context", at_paragraph)
            for qa, at_qa in _children(paragraph, "qas", at_paragraph):
                found = _object(qa, at_qa)
                row = {id: _id(found, at_qa, seen), question: _text(found, "question", at_qa), context: passage}
                if "answers" in found:
                    row[answers] = found["answers"]
                if found.get(IMPOSSIBLE) is True:
                    row[IMPOSSIBLE] = True
                yield Row(row, at_qa)


def _object(value: Any, where: Where) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RowError(f"an object was expected, found {kind(value)}", where)
    return value


def _part(parent: Any, name: str, where: Where) -> Any:
    found = _object(parent, where)
    if name not in found:
        fields = ", ".join(list(found)[:12]) or "none"
        raise RowError(f"no {name!r} here; fields found: {fields}", where)
    return found[name]


def _children(parent: Any, name: str, where: Where) -> Iterator[tuple[Any, Where]]:
    """The elements of the list `name` of an object, each with its place."""
    values, place = _part(parent, name, where), where.at(name)
    if not isinstance(values, list):
        raise RowError(f"a list was expected, found {kind(values)}", place)
    for position, value in enumerate(values):
        yield value, place.at(position)


def _text(parent: Any, name: str, where: Where) -> str:
    """The text in field `name` of the passage or the question; a passage must not be empty."""
    value, place = _part(parent, name, where), where.at(name)
    if not isinstance(value, str):
        raise RowError(f"a text was expected, found {kind(value)}", place)
    if name == "context" and not value.strip():
        raise RowError("the passage is empty", place)
    return value


def _id(qa: Mapping[str, Any], where: Where, seen: dict[str | int, Where]) -> str | int:
    value, place = _part(qa, "id", where), where.at("id")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise RowError(f"the id must be a string or a whole number, found {kind(value)}", place)
    if value in seen:
        raise RowError(f"id {value!r} was already used at {seen[value].field}", place)
    seen[value] = where
    return value
