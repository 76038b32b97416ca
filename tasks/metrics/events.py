"""Scoring of events: DuEE's character credit and DuEE-fin's greedy matching, and the strict figures beside them.

Each is a different number by rule and carries its own id. None of the official scripts is public: what the rules leave
open is decided here and said in the docstrings. All are micro figures over texts, counted by event type. With sums of
credit S, P = S / predicted, R = S / gold and F1 = 2 P R / (P + R) = 2 S / (predicted + gold); 0/0 is 0.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from clue_cli.contract import Counts, Example, Prediction
from tasks.families.event_forms import Event
from tasks.metrics.counts import ClassCounts

Amounts = Mapping[str, float]
"""Event type -> how much."""


class _EventMetric:
    """What all rules share: credit, predicted and gold amounts of one text by event type, summed."""

    id = ""
    primary = "f1"

    def __init__(self, types: Sequence[str]) -> None:
        self.classes = ClassCounts(types)
        self.columns = self.classes.columns

    def _counted(self, gold: Sequence[Event], predicted: Sequence[Event]) -> tuple[Amounts, Amounts, Amounts]:
        """Credit, predicted and gold amounts by event type."""
        raise NotImplementedError

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The row's own cluster; a missing prediction is an empty one; KeyError for a type outside the set."""
        credit, made, wanted = self._counted(example.gold, () if prediction is None else prediction.answer)
        yield example.number, self.classes.counts(right=credit, predicted=made, gold=wanted)

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`f1`, `precision`, `recall`, micro over types, from sums (..., K), each (...)."""
        return self.classes.micro(totals)

    def per_label(self, totals: np.ndarray) -> list[dict[str, Any]]:
        """One row an event type: label, precision, recall, f1, support (gold), predicted; from sums (K,)."""
        return self.classes.rows(totals)


def shared_characters(first: str, second: str) -> float:
    """F1 over characters: twice the characters that both have (as often as both have them) over those of both."""
    return 2.0 * sum((Counter(first) & Counter(second)).values()) / max(1, len(first) + len(second))


class DueeCharacter(_EventMetric):
    """DuEE's rule: an argument earns the character F1 of its words, if event type and role are right.

    Official (task text; the script was never published): score of a predicted argument = [type right] x [role right] x
    character F1 with the gold argument, case ignored, the best of several gold wordings; precision is the sum of scores
    over predicted arguments, recall the sum over gold ones. Triggers, and which arguments make one event, do not count.

    Decided here: of a text, arguments of equal type, role and lower-cased words count once, in gold and in the
    prediction; within a type and role they are matched one to one so that the sum is largest; shared characters are a
    multiset intersection (their order does not matter); empty words earn nothing.
    """

    id = "duee:character"

    def _counted(self, gold: Sequence[Event], predicted: Sequence[Event]) -> tuple[Amounts, Amounts, Amounts]:
        wanted, made = _wordings(gold), _wordings(predicted)
        credit: dict[str, float] = defaultdict(float)
        for slot in wanted.keys() & made.keys():
            table = [[_best(words, others) for others in wanted[slot].values()] for words in made[slot]]
            credit[slot[0]] += _largest_sum(np.array(table))
        return credit, _sizes(made), _sizes(wanted)


def _best(words: str, wordings: Iterable[str]) -> float:
    return max(shared_characters(words, other) for other in wordings)


def _wordings(events: Iterable[Event]) -> dict[tuple[str, str], dict[str, set[str]]]:
    """(type, role) -> lower-cased words of an argument -> all its wordings."""
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for event in events:
        for argument in event.arguments:
            words = argument.text.lower()
            of_slot = found.setdefault((event.type, argument.role), {})
            of_slot.setdefault(words, {words}).update(other.lower() for other in argument.wordings)
    return found


def _sizes(found: dict[tuple[str, str], dict[str, set[str]]]) -> Amounts:
    sizes: dict[str, float] = defaultdict(float)
    for (type_, _), arguments in found.items():
        sizes[type_] += len(arguments)
    return sizes


def _largest_sum(table: np.ndarray) -> float:
    """The largest sum of entries of which no two share a row or a column."""
    if 1 in table.shape:
        return float(table.max())
    from scipy.optimize import linear_sum_assignment  # heavy to import, and mostly not needed

    return float(table[linear_sum_assignment(table, maximize=True)].sum())


class DueeEvent(_EventMetric):
    """Exact events: type, trigger and the whole set of (role, words, place) must be right; each counts once a text.

    What the GPLinker repository reports at the level of events. Values of enumerated roles have no place. A head
    without triggers gets none right where events have them.
    """

    id = "duee:event"

    def _counted(self, gold: Sequence[Event], predicted: Sequence[Event]) -> tuple[Amounts, Amounts, Amounts]:
        return _agreeing({_whole(event) for event in gold}, {_whole(event) for event in predicted})

    def notes(self, totals: np.ndarray) -> list[str]:
        """Why nothing may be right, from sums (K,); empty if something is."""
        by_class = self.classes.by_class(totals)
        if by_class.right.sum() or not by_class.predicted.sum():
            return []
        return ["duee:event wants triggers too: the official prediction form and the head crf have none"]


def _whole(event: Event) -> tuple[str, Hashable]:
    arguments = frozenset((argument.role, argument.text, argument.start) for argument in event.arguments)
    return event.type, (event.trigger, arguments)


class DueeArgument(_EventMetric):
    """Exact arguments: type, role, words and place must be right; each counts once a text, triggers do not count."""

    id = "duee:argument"

    def _counted(self, gold: Sequence[Event], predicted: Sequence[Event]) -> tuple[Amounts, Amounts, Amounts]:
        return _agreeing(set(_arguments(gold)), set(_arguments(predicted)))


def _arguments(events: Iterable[Event]) -> Iterable[tuple[str, Hashable]]:
    for event in events:
        for argument in event.arguments:
            yield event.type, (argument.role, argument.text, argument.start)


def _agreeing(
    gold: set[tuple[str, Hashable]], predicted: set[tuple[str, Hashable]]
) -> tuple[Amounts, Amounts, Amounts]:
    right, made, wanted = (Counter(type_ for type_, _ in some) for some in (gold & predicted, predicted, gold))
    return dict(right), dict(made), dict(wanted)


class DueeFinGreedy(_EventMetric):
    """DuEE-fin's rule: each gold event is given the most similar predicted one, and its right arguments count.

    Official (task text; no script is public): in each document every gold event takes, without putting it back, the
    predicted event of its type with the most right (role, words); P = right / all predicted arguments, R = right / all
    gold arguments, micro over documents. Places and triggers do not count.

    Decided here: gold events choose in the order of the file; of equally similar predicted events the first is taken,
    one without a right argument not at all; the arguments of an event are a set of (role, words). Equal events of a
    document all count.
    """

    id = "duee_fin:greedy"

    def _counted(self, gold: Sequence[Event], predicted: Sequence[Event]) -> tuple[Amounts, Amounts, Amounts]:
        right: dict[str, float] = defaultdict(float)
        made: dict[str, float] = defaultdict(float)
        wanted: dict[str, float] = defaultdict(float)
        left = [(event.type, _pairs(event)) for event in predicted]
        for type_, pairs in left:
            made[type_] += len(pairs)
        for event in gold:
            own = _pairs(event)
            wanted[event.type] += len(own)
            shared = [len(own & pairs) if type_ == event.type else 0 for type_, pairs in left]
            if most := max(shared, default=0):
                right[event.type] += most
                del left[shared.index(most)]
        return right, made, wanted


def _pairs(event: Event) -> set[tuple[str, str]]:
    return {(argument.role, argument.text) for argument in event.arguments}
