"""Scoring of relations: the official figure of DuIE 2.0, and micro F1 over single triples.

The official one compares whole relations (every slot right) in normalised words; the other one counts each slot by
itself, words as they are: what the model finds before slots are put together. They carry their own ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clue_cli.contract import Counts, Example, Prediction
from clue_cli.errors import UserError
from clue_cli.lines import open_text
from tasks.metrics.counts import ClassCounts, ratio

Aliases = Mapping[str, frozenset[str]]
"""Words, lower-cased -> other words for the same thing."""


class Compared(NamedTuple):
    """A relation in normalised words; `object` maps slot to text and is compared slot by slot."""

    predicate: str
    subject: str
    object: tuple[tuple[str, str], ...]


def read_aliases(path: str | Path) -> dict[str, frozenset[str]]:
    """An alias file: a word and its aliases on each line, between tabs, lower-cased; lines of one word are joined.

    UserError for a file that cannot be read or a line that begins with a tab.
    """
    aliases: dict[str, frozenset[str]] = {}
    for number, line in open_text(path):
        key, *others = (word.strip().lower() for word in line.split("\t"))
        if not key:
            raise UserError("a word and its aliases between tabs were expected", where=f"{path}:{number}")
        aliases[key] = aliases.get(key, frozenset()) | {word for word in others if word}
    return aliases


def normalised(words: str) -> str:
    """Lower-cased, and without one pair of 《》 if it stands around the whole."""
    words = words.lower()
    return words[1:-1] if words.startswith("《") and words.endswith("》") else words


class RelationList:
    """A list of relations in which one is looked up as the official rule has it; in the order in which they came."""

    def __init__(self, relations: Iterable[Compared], aliases: Aliases) -> None:
        self.aliases = aliases
        self.relations: list[Compared] = []
        self.known: set[Compared] = set()
        self.by_subject: dict[tuple[str, str], list[Compared]] = {}
        for relation in relations:
            self.add(relation)

    def add(self, relation: Compared) -> None:
        """Put one more at the end."""
        self.relations.append(relation)
        self.known.add(relation)
        self.by_subject.setdefault((relation.predicate, relation.subject), []).append(relation)

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.relations)

    def __contains__(self, wanted: Compared) -> bool:
        """Whether `wanted` is there: the same, or one with its predicate, a subject that is its own or one of its
        aliases, and the same slots, each with the same words or aliases both ways."""
        if wanted in self.known or not self.aliases:
            return wanted in self.known
        subjects = {wanted.subject, *self.aliases.get(wanted.subject, ())}
        others = (other for name in subjects for other in self.by_subject.get((wanted.predicate, name), ()))
        return any(self._same(dict(other.object), dict(wanted.object)) for other in others)

    def _same(self, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
        return one.keys() == other.keys() and all(self._synonyms(one[slot], other[slot]) for slot in one)

    def _synonyms(self, one: str, other: str) -> bool:
        return one == other or (one in self.aliases.get(other, ()) and other in self.aliases.get(one, ()))


class DuieOfficial:
    """The rule of the official scorer of DuIE 2.0: micro F1 over relations with all their slots.

    Words of subject and object are lower-cased and lose one pair of 《》 around them; types do not count. A relation is
    found in a list if one there has the same predicate, a subject that is its own or one of its aliases, and an object
    with the same slots, slot by slot equal or aliases of each other in both directions. Precision is the share of
    predicted relations found among the gold ones, recall the share of gold ones found among the predicted; repeated
    ones (in the same sense) count once in both. `f1` (primary) is harmonic. With aliases the two counts of right ones
    differ, so both are kept.

    Rows are told apart by their text: of rows with one and the same text the last counts (`last_counts`).
    The official script rounds its figures to four digits; these are not rounded. The official alias file is not public.
    """

    id = "duie:official"
    primary = "f1"
    last_counts = True
    """Statistics of a cluster replace those that came before, they are not added to them."""

    def __init__(self, labels: Sequence[str], aliases: Aliases | None = None) -> None:
        self.labels = tuple(labels)
        self.index = {label: i for i, label in enumerate(self.labels)}
        self.aliases: Aliases = aliases or {}
        kinds = ("right", "predicted", "found", "gold")
        self.columns = tuple(f"{kind}:{label}" for kind in kinds for label in self.labels)

    read_aliases = staticmethod(read_aliases)

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The text as cluster; a missing prediction is an empty one; KeyError for a predicate outside the schema."""
        gold = self._apart(map(_compared, example.gold))
        every = RelationList([] if prediction is None else map(_compared, prediction.answer), self.aliases)
        predicted = self._apart(every)
        counted: tuple[Iterable[Compared], ...] = (
            [relation for relation in predicted if relation in gold],
            predicted,
            [relation for relation in gold if relation in every],
            gold,
        )
        counts: dict[int, float] = {}
        for kind, relations in enumerate(counted):
            for label, amount in Counter(relation.predicate for relation in relations).items():
                counts[kind * len(self.labels) + self.index[label]] = float(amount)
        yield example.texts[0], counts

    def _apart(self, relations: Iterable[Compared]) -> RelationList:
        """Each relation once: the first of those that are found in what came before."""
        kept = RelationList((), self.aliases)
        for relation in relations:
            if relation not in kept:
                kept.add(relation)
        return kept

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`f1`, `precision`, `recall` from sums (..., 4 C), each (...)."""
        right, predicted, found, gold = (column.sum(axis=-1) for column in self._by_label(totals))
        precision, recall = ratio(right, predicted), ratio(found, gold)
        return {"f1": _harmonic(precision, recall), "precision": precision, "recall": recall}

    def per_label(self, totals: np.ndarray) -> list[dict[str, Any]]:
        """One row a predicate: label, precision, recall, f1, support (gold), predicted; from sums (4 C,)."""
        right, predicted, found, gold = self._by_label(totals)
        precision, recall = ratio(right, predicted), ratio(found, gold)
        f1 = _harmonic(precision, recall)
        return [
            {
                "label": label, "precision": float(precision[i]), "recall": float(recall[i]), "f1": float(f1[i]),
                "support": int(gold[i]), "predicted": int(predicted[i]),
            }
            for i, label in enumerate(self.labels)
        ]  # fmt: skip

    def _by_label(self, totals: np.ndarray) -> list[np.ndarray]:
        totals = np.asarray(totals, dtype=np.float64)
        if totals.shape[-1] != len(self.columns):
            raise ValueError(f"{totals.shape[-1]} statistics where {len(self.columns)} belong to the schema")
        return np.split(totals, 4, axis=-1)


class TripleMicroF1:
    """Micro F1 over single triples: (subject, predicate, slot, words of the slot), exactly as they stand.

    Each slot of an object is a triple of its own; the triples of a row are a set. `f1` (primary), `precision` and
    `recall` come from sums over rows and predicates. No normalisation, no aliases; the place does not count.
    """

    id = "duie:triple"
    primary = "f1"

    def __init__(self, labels: Sequence[str]) -> None:
        self.classes = ClassCounts(labels)
        self.columns = self.classes.columns

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The text as cluster; a missing prediction is an empty one; KeyError for a predicate outside the schema."""
        gold = _triples(example.gold)
        predicted = _triples(() if prediction is None else prediction.answer)
        right, made, wanted = (Counter(some[0] for some in each) for each in (gold & predicted, predicted, gold))
        yield example.texts[0], self.classes.counts(right=right, predicted=made, gold=wanted)

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`f1`, `precision`, `recall` from sums (..., 3 C), each (...)."""
        return self.classes.micro(totals)

    def per_label(self, totals: np.ndarray) -> list[dict[str, Any]]:
        """One row a predicate: label, precision, recall, f1, support (gold), predicted; from sums (3 C,)."""
        return self.classes.rows(totals)


def _compared(relation: Any) -> Compared:
    slots = sorted((slot, normalised(words)) for slot, words in relation.object)
    return Compared(relation.predicate, normalised(relation.subject), tuple(slots))


def _triples(relations: Iterable[Any]) -> set[tuple[str, str, str, str]]:
    return {
        (relation.predicate, relation.subject, slot, words)
        for relation in relations
        for slot, words in relation.object
    }  # fmt: skip


def _harmonic(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return ratio(2.0 * precision * recall, precision + recall)
