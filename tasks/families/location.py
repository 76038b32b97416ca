"""Where strings stand in their text, for annotations without offsets, and whether tokens can express it.

A string that occurs several times is ambiguous: of 21,378 pairs of subject and object in the held part of DuIE 2.0
4,616 have several places, and in 2,378 the two first places are not the nearest ones. Nothing is searched for in
tokens: occurrences are characters of the original text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.families.alignment import Borders

Place = tuple[int, int]
"""Characters [start, end)."""


def occurrences(text: str, string: str) -> list[Place]:
    """Every place of `string` in `text`, overlapping ones too, in order; none for an empty string."""
    found: list[Place] = []
    at = text.find(string) if string else -1
    while at >= 0:
        found.append((at, at + len(string)))
        at = text.find(string, at + 1)
    return found


@dataclass(slots=True)
class Mentions:
    """The occurrences of one string, by what the tokens of the windows can do with them.

    exact:  places that begin and end at tokens.
    inner:  what is left of places whose edge characters the tokenizer drops (white space): learned without them.
    cut:    whether some place begins or ends inside a token.
    found:  whether the string occurs at all.
    """

    exact: list[Place] = field(default_factory=list)
    inner: list[Place] = field(default_factory=list)
    cut: bool = False
    found: bool = False

    @property
    def usable(self) -> list[Place]:
        """The places to learn from, in the order of the text."""
        return self.exact or self.inner


def mentions(text: str, string: str, windows: Sequence[Borders]) -> Mentions:
    """All occurrences of `string` in `text`, sorted by what the windows of the text can express."""
    result = Mentions()
    for place in occurrences(text, string):
        result.found = True
        if any(window.tokens(*place) for window in windows):
            result.exact.append(place)
        elif any(place[0] in window.inside or place[1] in window.inside for window in windows):
            result.cut = True
        elif (inner := _without_edges(place, windows)) is not None:
            result.inner.append(inner)
    return result


def _without_edges(place: Place, windows: Sequence[Borders]) -> Place | None:
    for window in windows:
        starts = [at for at in range(*place) if at in window.first_at]
        ends = [at for at in range(place[0] + 1, place[1] + 1) if at in window.last_at]
        if starts and ends and window.tokens(starts[0], ends[-1]):
            return starts[0], ends[-1]
    return None


def whole(text: str, places: Sequence[Place], longer: Sequence[Place]) -> list[Place]:
    """Of `places` those that are a mention of their own, all of them if none is.

    Left out where others remain: places inside one of `longer` (occurrences of longer strings of the same
    annotation: 秦 in 秦始皇), and, where a place stands alone between 《 and 》, all places that do not.
    """
    apart = [p for p in places if not any(a <= p[0] and p[1] <= b and p != (a, b) for a, b in longer)]
    apart = apart or list(places)
    titles = [(a, b) for a, b in apart if text[a - 1 : a] == "《" and text[b : b + 1] == "》"]
    return titles or apart


def distance(first: Place, second: Place) -> int:
    """Characters between two places; 0 where they touch or overlap."""
    return max(0, second[0] - first[1], first[0] - second[1])


def nearest(first: Sequence[Place], second: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Pairs of one place each, nearest first (then the earlier); pairs that overlap come after all others.

    Each place of `first` is paired with its neighbours in `second` only, so that the work is linear but for sorting.
    """
    starts, ends = [place[0] for place in second], [place[1] for place in second]
    pairs: set[tuple[Place, Place]] = set()
    for place in first:
        before = bisect_right(ends, place[0])
        after = bisect_left(starts, place[1])
        pairs.update((place, second[i]) for i in range(max(0, before - 1), min(len(second), after + 1)))
    yield from sorted(pairs, key=lambda pair: (_overlap(*pair), distance(*pair), pair))


def _overlap(first: Place, second: Place) -> bool:
    return first[0] < second[1] and second[0] < first[1]
