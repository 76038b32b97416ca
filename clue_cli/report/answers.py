"""What the gold and the prediction of one line of `predictions.<split>.jsonl` say, told by their form alone.

Five forms are known, found by the fields of the gold:

    CLASS    {"label": "100"}                                    a label that the metric counts by
    CHOICE   {"label": 2, "answer": "..."}                       one of things that differ from item to item
    BLANKS   {"answers": {tag: index}, "words": {tag: text}}     one of them for each of several places
    PIECE    {"answer": text, "start": int, "end": int}          a piece of a text; gold may hold several in "answers"
    LIST     {"entities": [{...}, ...]}                          any number of elements, which may hold others

Of a LIST two lists may stand in the prediction, the second with places and probabilities of the same elements.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any

PATH = " / "
"""Between the names of an element and of its parts."""


class Form(Enum):
    """See the module's docstring."""

    CLASS = "class"
    CHOICE = "choice"
    BLANKS = "blanks"
    PIECE = "piece"
    LIST = "list"


@dataclass(frozen=True)
class Mention:
    """Words of an answer; characters `[start, end)` of the text, None where no place is said.

    `label` is that of the element they belong to, `part` what they are of it ("" for the whole of it).
    """

    label: str
    text: str
    start: int | None = None
    end: int | None = None
    part: str = ""

    @property
    def name(self) -> str:
        """Label and part, as far as there are any."""
        return PATH.join(name for name in (self.label, self.part) if name)


@dataclass(frozen=True)
class Element:
    """One thing that an answer says.

    identity: what makes it the same as another one, its probability left aside.
    units:    (type, where or what): two of the same second part are about the same thing.
    """

    label: str
    words: str
    identity: Hashable
    probability: float | None = None
    mentions: tuple[Mention, ...] = ()
    units: tuple[tuple[str, Hashable], ...] = ()


@dataclass(frozen=True)
class Answers:
    """Gold and prediction of one item; of a PIECE every gold element is right by itself, else all are wanted."""

    form: Form
    gold: tuple[Element, ...]
    predicted: tuple[Element, ...]

    def outcomes(self) -> Iterator[tuple[Element, bool]]:
        """Every predicted element, and whether the gold holds the same."""
        known = {element.identity for element in self.gold}
        return ((element, element.identity in known) for element in self.predicted)

    @property
    def wrong(self) -> list[Element]:
        """Predicted elements that the gold does not hold."""
        return [element for element, right in self.outcomes() if not right]

    @property
    def missed(self) -> list[Element]:
        """Gold elements that were not predicted."""
        known = {element.identity for element in self.predicted}
        return [element for element in self.gold if element.identity not in known]


def read_answers(gold: Mapping[str, Any], prediction: Mapping[str, Any] | None, labels: Set[str]) -> Answers:
    """Gold and prediction of a line; `labels` are those that the metric counts by (none: `frozenset()`)."""
    said = prediction or {}
    if "start" in gold and "end" in gold:
        alternatives = gold.get("answers") or [gold]
        return Answers(Form.PIECE, tuple(map(_piece, alternatives)), (_piece(said),) if said else ())
    for name, value in gold.items():
        if isinstance(value, list):
            return Answers(Form.LIST, tuple(_elements(value, (), labels)), tuple(_predicted_list(said, name, labels)))
        if isinstance(value, dict):
            return Answers(Form.BLANKS, tuple(_blanks(gold, gold)), tuple(_blanks(said, gold)))
    if (label := str(next(iter(gold.values()), ""))) in labels:
        return Answers(Form.CLASS, (_class(label, gold),), tuple(_predicted_class(said, gold)))
    return Answers(Form.CHOICE, (_choice(gold, gold),), (_choice(said, gold),) if said else ())


# ---------------------------------------------------------------- single answers


def _probability(said: Mapping[str, Any]) -> float | None:
    value = said.get("probability")
    return float(value) if isinstance(value, (int, float)) else None


def _class(label: str, said: Mapping[str, Any]) -> Element:
    return Element(label, str(said.get("label_desc", "")), label, _probability(said))


def _predicted_class(said: Mapping[str, Any], gold: Mapping[str, Any]) -> Iterator[Element]:
    name = next(iter(gold))
    if name in said:
        yield _class(str(said[name]), said)


def _choice(said: Mapping[str, Any], gold: Mapping[str, Any]) -> Element:
    values = [said.get(name) for name in gold]
    words = next((value for value in values if isinstance(value, str)), ", ".join(map(str, values)))
    return Element("", words, json.dumps(values), _probability(said), (Mention("", words),))


def _piece(said: Mapping[str, Any]) -> Element:
    words = str(said.get("answer", ""))
    place = _place(said)
    mentions = (Mention("", words, *place),) if words else ()
    return Element("", words, (words, place), _probability(said), mentions)


def _blanks(said: Mapping[str, Any], gold: Mapping[str, Any]) -> Iterator[Element]:
    """One element a tag, made of the fields that the gold has too."""
    names = [name for name, value in gold.items() if isinstance(value, dict)]
    probabilities = said.get("probabilities") or {}
    for tag in gold[names[0]]:
        values = [(said.get(name) or {}).get(tag) for name in names]
        if all(value is None for value in values):
            continue
        words = next((value for value in values if isinstance(value, str)), str(values[0]))
        probability = probabilities.get(tag)
        yield Element(
            "",
            words,
            (tag, json.dumps(values)),
            None if probability is None else float(probability),
            (Mention(words, str(tag)),),
        )


# ---------------------------------------------------------------- lists


def _predicted_list(said: Mapping[str, Any], name: str, labels: Set[str]) -> Iterator[Element]:
    own = said.get(name) or []
    others = (value for other, value in said.items() if other != name and isinstance(value, list))
    richer = next((other for other in others if len(other) == len(own) and all(map(_is_object, other))), ())
    return _elements(own, richer, labels)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _elements(own: Iterable[Any], richer: Iterable[Any], labels: Set[str]) -> Iterator[Element]:
    """Elements of a list, with places and probabilities from `richer`, a list of the same elements, if not empty."""
    own, richer = list(own), list(richer)
    for value, other in zip(own, richer or own, strict=True):
        if not isinstance(value, dict):
            text = str(value)
            yield Element(text if text in labels else "", text, text)
            continue
        name = next((n for n, v in value.items() if isinstance(v, str) and v in labels), None)
        label = "" if name is None else str(value[name])
        said = list(_mentions(_without(value, name), label, ()))
        yield Element(
            label,
            "; ".join(f"{mention.part}: {mention.text}" if mention.part else mention.text for mention in said),
            json.dumps({n: v for n, v in value.items() if n != "probability"}, sort_keys=True, ensure_ascii=False),
            _probability(other),
            tuple(_mentions(_without(other, name), label, ())),
            tuple(_units(value, label, said)),
        )


def _without(value: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in (name, "probability")}


def _mentions(value: Any, label: str, path: tuple[str, ...]) -> Iterator[Mention]:
    """All words inside a value: texts with or without a place; names of types are not among them."""
    if isinstance(value, str):
        yield Mention(label, value, part=PATH.join(path))
    elif isinstance(value, list):
        for item in value:
            role = item.get("role") if isinstance(item, dict) else None
            yield from _mentions(item, label, (*path[:-1], str(role)) if role is not None else path)
    elif isinstance(value, dict) and isinstance(value.get("text"), str):
        start, end = _place(value)
        yield Mention(label, value["text"], start, end, PATH.join(path))
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name != "type" and not name.endswith("_type"):
                yield from _mentions(inner, label, (*path, name))


def _place(value: Mapping[str, Any]) -> tuple[int, int] | tuple[None, None]:
    start, end = value.get("start"), value.get("end")
    return (start, end) if isinstance(start, int) and isinstance(end, int) and 0 <= start <= end else (None, None)


def _units(value: Mapping[str, Any], label: str, mentions: list[Mention]) -> Iterator[tuple[str, Hashable]]:
    """What of an element can be taken for something else: itself, or its parts one by one where it is a group."""
    if any(isinstance(inner, list) for inner in value.values()):
        for mention in mentions:
            place = mention.text if mention.start is None else (mention.start, mention.end)
            yield mention.name, place
    elif len(mentions) == 1 and mentions[0].start is not None:
        yield label, (mentions[0].start, mentions[0].end)
    else:
        yield label, tuple((mention.part, mention.text) for mention in mentions)
