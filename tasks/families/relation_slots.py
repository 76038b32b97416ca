"""From single triples (predicate, slot, subject, object) to whole relations: which slots belong to which object.

A head finds each slot by itself; what connects `@value` and `inWork` of one object is that they share predicate and
subject. Within such a group every `@value` opens an object, and the other slots complete it by evidence only:

- one value of a slot: it goes to every object of the group;
- several values of a slot and one object: the object stands once with each value (with the nearest one only if that
  is so for more than one slot, since nothing says which values go together);
- several of both: they are paired off one to one with the smallest sum of distances in the text; a value too many is
  left out, an object too many stays without the slot;
- a slot without any `@value` in its group is no relation.

On the held part of DuIE 2.0 (1,238 groups of the five predicates with several slots, train and dev together, places as
`relation_places` has them) this gives back 1,225 groups exactly and 1,320 of 1,334 relations. Leaving slots out where
there is a choice gives back 1,177 and 1,198, pairing by order in the text 1,225 and 1,317, giving a single value to
the nearest object only 1,221 and 1,315. What cannot be given back is counted by `clue data`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.families.location import Place
from tasks.families.relation_forms import VALUE, Located, Relation, Schema

if TYPE_CHECKING:
    import numpy as np


class Triple(NamedTuple):
    """One slot of a relation, found at one place: characters of subject and object, the head's score of it."""

    predicate: str
    slot: str
    subject: Place
    object: Place
    score: float = 0.0
    probability: float = 1.0


Words = Mapping[str, Sequence[Triple]]
"""The words of an object (or of the value of a slot) -> the triples that found them."""


def combined(text: str, triples: Iterable[Triple], schema: Schema) -> list[tuple[Relation, Located]]:
    """The relations of one text, each with its best place; in the order of the text (subject, then object)."""
    groups: dict[tuple[str, str], dict[str, dict[str, list[Triple]]]] = {}
    for triple in triples:
        group = groups.setdefault((triple.predicate, text[slice(*triple.subject)]), {})
        group.setdefault(triple.slot, {}).setdefault(text[slice(*triple.object)], []).append(triple)
    found: list[tuple[Relation, Located]] = []
    for (predicate, subject), slots in groups.items():
        for words, parts in _objects(slots, [slot for slot in schema[predicate][1] if slot in slots]):
            found.append((Relation(predicate, subject, words), _place(parts)))
    return sorted(found, key=lambda pair: (pair[1].subject, pair[1].object, pair[0]))


def _objects(
    slots: Mapping[str, Words], order: Sequence[str]
) -> Iterator[tuple[tuple[tuple[str, str], ...], list[Sequence[Triple]]]]:
    """The objects of one group: (slot, words) of each, and the triples that found each slot."""
    values = slots.get(VALUE, {})
    others = [slot for slot in order if slot != VALUE]
    repeated = sum(len(slots[slot]) > 1 for slot in others) == 1
    taken = {slot: _completing(values, slots[slot], repeated=repeated) for slot in others if values}
    for value in values:
        choices = [[(slot, words) for words in taken[slot].get(value, ())] for slot in others]
        for choice in itertools.product(*(some for some in choices if some)):
            words = ((VALUE, value), *choice)
            yield words, [slots[slot][word] for slot, word in words]


def _completing(values: Words, completions: Words, *, repeated: bool) -> dict[str, list[str]]:
    """Words of each object -> the values of one other slot that complete it; several only if `repeated`."""
    if len(completions) == 1 or (len(values) == 1 and repeated):
        return {value: list(completions) for value in values}
    from scipy.optimize import linear_sum_assignment

    rows, columns = (sorted(words, key=lambda word: _first(words[word])) for words in (values, completions))
    costs = _distances([values[row] for row in rows], [completions[column] for column in columns])
    chosen = zip(*linear_sum_assignment(costs), strict=True)
    return {rows[row]: [columns[column]] for row, column in chosen}


def _distances(first: Sequence[Sequence[Triple]], second: Sequence[Sequence[Triple]]) -> np.ndarray:
    """Characters between the objects of two lists of words, the nearest places of each: (R, C) float64.

    Where sums are equal, words that come in the same order go together.
    """
    import numpy as np

    a, b = (np.array([triple.object for found in words for triple in found]) for words in (first, second))
    between = np.maximum(b[None, :, 0] - a[:, None, 1], a[:, None, 0] - b[None, :, 1]).clip(min=0)
    rows, columns = (np.cumsum([0, *(len(found) for found in words[:-1])]) for words in (first, second))
    nearest = np.minimum.reduceat(np.minimum.reduceat(between, rows, axis=0), columns, axis=1).astype(np.float64)
    disorder: np.ndarray = np.abs(np.subtract.outer(np.arange(len(first)), np.arange(len(second))))
    return nearest + disorder / (2.0 * max(len(first), len(second)) ** 2)


def _first(found: Sequence[Triple]) -> Place:
    return min(triple.object for triple in found)


def _place(parts: Sequence[Sequence[Triple]]) -> Located:
    """Where to show a relation: each slot at its best triple; the subject where that of `@value` has it.

    The score of a relation is that of its weakest slot.
    """
    best = [max(part, key=lambda triple: (triple.score, -triple.object[0], -triple.subject[0])) for part in parts]
    weakest = min(best, key=lambda triple: triple.score)
    return Located(best[0].subject, tuple(t.object for t in best), weakest.score, weakest.probability)
