"""Where the relations of a row stand in its text, and what a head can learn of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tasks.families.alignment import Borders
from tasks.families.location import Mentions, Place, distance, mentions, nearest, occurrences, whole
from tasks.families.relation_forms import VALUE, Located, Relation
from tasks.families.relation_slots import Triple

NOT_FOUND = "relations whose words do not stand in the text"
CUT = "relations whose borders fall inside a token"
DROPPED = "relations whose words begin or end with characters the tokenizer drops"
NO_WINDOW = "relations whose subject and object no window holds together"


class Placed(NamedTuple):
    """A gold relation: why it cannot be predicted (None: it can), and the triples to learn of it, slot by slot."""

    relation: Relation
    reason: str | None
    triples: list[Triple]


class Locator:
    """Places of the words of one text's relations; `windows` are all windows of the text.

    Of all places of a subject and its `@value` the two nearest to each other are taken (`location.nearest`), after
    those that are no mention of their own were set aside (`location.whole`); of a further slot the place nearest to
    the `@value`. Only places that one window holds together count. Where the places are given they are believed.
    """

    def __init__(self, text: str, relations: Iterable[Relation], windows: Sequence[Borders]) -> None:
        self.text, self.windows = text, windows
        self.strings = {words for relation in relations for words in _words(relation)}
        self.known: dict[str, Mentions] = {}
        self.preferred: dict[str, list[Place]] = {}

    def found(self, relation: Relation, given: Located | None = None) -> Placed:
        """Where a relation stands; a slot that cannot be learned is left out, and the reason told."""
        reasons: list[str] = []
        triples: list[Triple] = []
        for position, (slot, words) in enumerate(relation.object):
            both = [self._mentions(string) for string in (relation.subject, words)]
            if given is not None:
                both = [_only(*pair) for pair in zip(both, (given.subject, given.object[position]), strict=True)]
            reason = _unusable(both)
            if reason is None:
                opened = triples[0] if triples and triples[0].slot == VALUE else None
                pairs = self._given(both) if given is not None else self._pairs(relation.subject, words, opened)
                pair = next((pair for pair in pairs if self._together(*pair)), None)
                reason = NO_WINDOW if pair is None else None if all(found.exact for found in both) else DROPPED
                if pair is not None:
                    triples.append(Triple(relation.predicate, slot, *pair))
            if reason is not None:
                reasons.append(reason)
        return Placed(relation, reasons[0] if reasons else None, triples)

    def _pairs(self, subject: str, words: str, opened: Triple | None) -> Iterator[tuple[Place, Place]]:
        """Places to take for subject and object, best first; `opened` is the triple of the relation's `@value`."""
        if opened is not None:
            by_value = sorted(self._whole(words), key=lambda place: (distance(place, opened.object), place))
            yield from ((opened.subject, place) for place in by_value)
        yield from nearest(self._whole(subject), self._whole(words))
        yield from nearest(self._mentions(subject).usable, self._mentions(words).usable)

    def _given(self, both: Sequence[Mentions]) -> Iterator[tuple[Place, Place]]:
        yield both[0].usable[0], both[1].usable[0]

    def _together(self, subject: Place, object_: Place) -> bool:
        return any(window.tokens(*subject) and window.tokens(*object_) for window in self.windows)

    def _mentions(self, string: str) -> Mentions:
        if string not in self.known:
            self.known[string] = mentions(self.text, string, self.windows)
        return self.known[string]

    def _whole(self, string: str) -> list[Place]:
        if string not in self.preferred:
            longer = [other for other in self.strings if len(other) > len(string) and string in other]
            around = [place for other in longer for place in occurrences(self.text, other)]
            self.preferred[string] = whole(self.text, self._mentions(string).usable, around)
        return self.preferred[string]


def _words(relation: Relation) -> Iterator[str]:
    yield relation.subject
    yield from (words for _, words in relation.object)


def _unusable(both: Sequence[Mentions]) -> str | None:
    if not all(found.found for found in both):
        return NOT_FOUND
    if all(found.usable for found in both):
        return None
    return CUT if any(found.cut and not found.usable for found in both) else DROPPED


def _only(found: Mentions, place: Place) -> Mentions:
    """What is said of one place alone."""
    exact = [p for p in found.exact if p == place]
    inner = [p for p in found.inner if place[0] <= p[0] and p[1] <= place[1]]
    return Mentions(exact, inner, cut=not exact and not inner, found=found.found)
