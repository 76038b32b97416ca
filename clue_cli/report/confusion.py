"""Which label was taken for which: a matrix for few labels, the most confused pairs for many.

Of lists, elements about the same thing (the same borders; the same words where no borders are said) are put beside each
other: their types agree or differ; a gold one without a partner is missed, a predicted one spurious.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from clue_cli.report.answers import Answers, Element, Form

MOST_LABELS = 20
"""A matrix of more labels is too wide to read."""
MOST_PAIRS = 40

Pair = tuple[str | None, str | None]
"""(gold label, predicted label): None on the left is spurious, on the right missed."""


@dataclass(frozen=True)
class Confusion:
    """Counts by pair of labels.

    labels: those that occur, in the metric's order, then others by name.
    open:   whether elements can be missed or spurious (lists), so that None occurs in the pairs.
    """

    labels: tuple[str, ...]
    counts: Counter[Pair]
    open: bool

    @property
    def is_matrix(self) -> bool:
        """Whether there are few enough labels for a matrix."""
        return len(self.labels) <= MOST_LABELS

    def gold(self, label: str | None) -> int:
        """How often gold has the label (None: spurious elements)."""
        return sum(count for (gold, _), count in self.counts.items() if gold == label)

    def predicted(self, label: str | None) -> int:
        """How often it was predicted (None: missed elements)."""
        return sum(count for (_, predicted), count in self.counts.items() if predicted == label)

    def rows(self) -> list[tuple[str | None, list[tuple[int, float, bool]]]]:
        """The matrix: by gold label (count, share of the row, on the diagonal or not) by predicted label."""
        ways: list[str | None] = [*self.labels, *([None] if self.open else [])]
        table = []
        for gold in ways:
            whole = self.gold(gold)
            cells = [
                (count := self.counts[gold, predicted], count / whole if whole else 0.0, gold == predicted)
                for predicted in ways
            ]
            table.append((gold, cells))
        return table

    def confused(self) -> list[tuple[str, str, int]]:
        """Pairs of different labels, the most frequent first."""
        pairs = [(g, p, n) for (g, p), n in self.counts.items() if g is not None and p is not None and g != p]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))

    def alone(self) -> list[tuple[str, int, int]]:
        """Labels with how often they were missed and how often spurious, the most frequent first."""
        found = [(label, self.counts[label, None], self.counts[None, label]) for label in self.labels]
        return sorted((one for one in found if one[1] or one[2]), key=lambda one: (-one[1] - one[2], one[0]))


def confusion(items: Iterable[Answers], order: Sequence[str]) -> Confusion | None:
    """The confusion over items of a CLASS or LIST form; None for others and where no label occurs."""
    counts: Counter[Pair] = Counter()
    form = None
    for answers in items:
        form = answers.form
        if form is Form.CLASS:
            counts[answers.gold[0].label, answers.predicted[0].label if answers.predicted else None] += 1
        elif form is Form.LIST:
            counts.update(_paired(answers.gold, answers.predicted))
    seen = {label for pair in counts for label in pair if label is not None}
    if not seen:
        return None
    known = [label for label in order if label in seen]
    unpaired = form is Form.LIST or any(None in pair for pair in counts)
    return Confusion((*known, *sorted(seen - set(known))), counts, unpaired)


def _paired(gold: Iterable[Element], predicted: Iterable[Element]) -> Counter[Pair]:
    """Types put beside each other: equal ones first, of what is left at a place one by one in order of their names."""
    wanted, made = _by_place(gold), _by_place(predicted)
    counts: Counter[Pair] = Counter()
    for place in wanted.keys() | made.keys():
        same = wanted[place] & made[place]
        for label, count in same.items():
            counts[label, label] += count
        left, right = (sorted((some - same).elements()) for some in (wanted[place], made[place]))
        pairs = min(len(left), len(right))
        counts.update(zip(left[:pairs], right[:pairs], strict=True))
        counts.update((label, None) for label in left[pairs:])
        counts.update((None, label) for label in right[pairs:])
    return counts


def _by_place(elements: Iterable[Element]) -> defaultdict[Hashable, Counter[str]]:
    """The types by place, each once: what an answer says twice it says once."""
    found: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
    for label, place in {unit for element in elements for unit in element.units}:
        found[place][label] += 1
    return found
