"""Characters and tokens: which spans of a text the tokens of its windows can express, and back.

Everything goes through the tokenizer's offsets into the original text, never through joined or searched-for tokens.
The text encoder has put the offsets right already (no white space at their edges, an empty span for a token without a
character of its own, dropped combining marks given to the token before them). What is left to see to here:

- several tokens on the same characters (byte fallback, ligatures and full-width forms taken apart): a span starts at
  the first token that starts there and ends at the last that ends there;
- a character within a token (a year in one word piece; two Chinese characters in one sentence piece): no border.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

SPECIAL, EMPTY = -2, -1


class Window(Protocol):
    """What is needed of a `Feature` or an `EncodedWindow`."""

    char_spans: np.ndarray | None
    sequence: np.ndarray | None


@dataclass(slots=True)
class Borders:
    """One window of a text.

    starts, ends: for each token of the feature the characters it stands for, [start, end); `SPECIAL` for tokens that
                  are not of the text, `EMPTY` for tokens without a character of their own.
    first_at:     character -> the first token that starts there.
    last_at:      character -> the last token that ends there.
    inside:       characters before which a border would cut a token.
    low, high:    the characters that the window's tokens reach from and to.
    """

    starts: list[int]
    ends: list[int]
    first_at: dict[int, int]
    last_at: dict[int, int]
    inside: set[int]
    low: int
    high: int

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and the last token (inclusive) of characters [start, end); None if they have no such borders."""
        first, last = self.first_at.get(start), self.last_at.get(end)
        if first is None or last is None or first > last:
            return None
        return first, last

    def characters(self, first: int, last: int) -> tuple[int, int] | None:
        """The characters [start, end) of the tokens `first` to `last` (inclusive).

        Tokens without a character at either edge are passed over. None for tokens that are not of the text and where
        no character is left.
        """
        if self.starts[first] == SPECIAL or self.starts[last] == SPECIAL:
            return None
        while first <= last and self.starts[first] == EMPTY:
            first += 1
        while first <= last and self.starts[last] == EMPTY:
            last -= 1
        if first > last or self.starts[first] >= self.ends[last]:
            return None
        return self.starts[first], self.ends[last]


def align(windows: Sequence[Window], sequence: int = 0) -> list[Borders]:
    """The borders of every window of a text, in order; `sequence` says which text of a pair it is."""
    return [_borders(window, sequence) for window in windows]


def _borders(window: Window, sequence: int) -> Borders:
    if window.char_spans is None or window.sequence is None:
        raise ValueError("a span task needs features with offsets")
    length = len(window.sequence)
    starts, ends = [SPECIAL] * length, [SPECIAL] * length
    first_at: dict[int, int] = {}
    last_at: dict[int, int] = {}
    inside: set[int] = set()
    for token, ((start, end), of) in enumerate(zip(window.char_spans.tolist(), window.sequence.tolist(), strict=True)):
        if of != sequence:
            continue
        if start >= end:
            starts[token] = ends[token] = EMPTY
            continue
        starts[token], ends[token] = start, end
        first_at.setdefault(start, token)
        last_at[end] = token
        if end - start > 1:
            inside.update(range(start + 1, end))
    low, high = min(first_at, default=-1), max(last_at, default=-1)
    return Borders(starts, ends, first_at, last_at, inside, low, high)


class Deciding:
    """Which window decides about a span that several windows hold: the one in which it has most context.

    The context is the smaller of the characters between the span and the window's two ends; the ends of the text
    count as unlimited. Of equal windows the earlier decides. So a piece of an entity that a window's end cuts off is
    judged by the neighbour that sees the whole.
    """

    def __init__(self, windows: Sequence[Borders]) -> None:
        self.windows = windows
        self.used = [i for i, window in enumerate(windows) if window.low >= 0]
        self.lows = [windows[i].low for i in self.used]
        self.known: dict[tuple[int, int], int] = {}

    def window(self, start: int, end: int) -> int | None:
        """The position of the window that decides about [start, end); None if none holds it."""
        if (start, end) not in self.known:
            self.known[start, end] = self._find(start, end)
        found = self.known[start, end]
        return None if found < 0 else found

    def _find(self, start: int, end: int) -> int:
        best, most = -1, -1.0
        # Windows move forward through the text: once one ends too early, all before it do.
        for k in range(bisect_right(self.lows, start) - 1, -1, -1):
            window = self.windows[self.used[k]]
            if window.high < end:
                break
            left = float("inf") if k == 0 else start - window.low
            right = float("inf") if k == len(self.used) - 1 else window.high - end
            if min(left, right) >= most:
                best, most = self.used[k], min(left, right)
        return best
