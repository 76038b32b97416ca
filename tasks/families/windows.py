"""Where characters of a passage lie in the tokens of its windows, and which characters tokens stand for.

The windows are `EncodedWindow`s or `Feature`s of a pair (question, passage). Positions of tokens are inclusive, of
characters half open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tasks.families.alignment import Window

PASSAGE = 1
"""The number of the passage among the texts of a pair."""

CUT = "answers whose borders fall inside a token; the whole token is learned"
DROPPED = "answers that begin or end with characters the tokenizer drops; what is left is learned"
NO_TOKEN = "answers of characters that the tokenizer drops"
NO_WINDOW = "answers that no window holds"


class Piece(NamedTuple):
    """The part of some characters that a window holds: its first and last token, and the characters these stand for."""

    first: int
    last: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an answer lies in the windows of its passage.

    reason: why its characters cannot be predicted exactly, None where they can.
    tokens: for each window the tokens (first, last) to learn, None where it does not hold all of them.
    holds:  for each window whether it holds any part of the answer.
    """

    reason: str | None
    tokens: list[tuple[int, int] | None]
    holds: list[bool]


def place(windows: Sequence[Window], start: int, end: int) -> Placed:
    """Where the characters [start, end) of the passage lie in its windows.

    A border inside a token moves outwards to the token's own, one among dropped characters inwards to the next token's.
    """
    pieces = [_piece(window, start, end) for window in windows]
    holds = [piece is not None for piece in pieces]
    there = [piece for piece in pieces if piece is not None]
    if not there:
        return Placed(NO_TOKEN, [None] * len(windows), holds)
    low, high = min(piece.start for piece in there), max(piece.end for piece in there)
    tokens = [(p.first, p.last) if p is not None and (p.start, p.end) == (low, high) else None for p in pieces]
    if not any(tokens):
        return Placed(NO_WINDOW, tokens, holds)
    reason = CUT if low < start or high > end else DROPPED if (low, high) != (start, end) else None
    return Placed(reason, tokens, holds)


def _piece(window: Window, start: int, end: int) -> Piece | None:
    spans, own = _own_spans(window)
    held = np.flatnonzero(own & (spans[:, 0] < end) & (spans[:, 1] > start))
    if not len(held):
        return None
    first, last = int(held[0]), int(held[-1])
    return Piece(first, last, int(spans[first, 0]), int(spans[last, 1]))


def _own_spans(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The characters of each token (L, 2), and which tokens (L,) are of the passage and have a character."""
    if window.char_spans is None or window.sequence is None:
        raise ValueError("a span task needs features with offsets")
    return window.char_spans, (window.sequence == PASSAGE) & (window.char_spans[:, 0] < window.char_spans[:, 1])


def characters(window: Window, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Characters (start, end) of the tokens `first` to `last`, each (K,), and whether (K,) there are any.

    Tokens without a character at either edge are passed over; tokens of the question and special ones are none.
    """
    spans, own = _own_spans(window)
    places = np.arange(len(own))
    # The next token at or after each, and the last one at or before it, that has a character.
    after = np.minimum.accumulate(np.where(own, places, len(own))[::-1])[::-1]
    before = np.maximum.accumulate(np.where(own, places, -1))
    first, last = np.asarray(first, dtype=np.int64), np.asarray(last, dtype=np.int64)
    inside = (window.sequence[first] == PASSAGE) & (window.sequence[last] == PASSAGE)  # type: ignore[index]
    first, last = after[first], before[last]
    there = inside & (first <= last) & (first < len(own)) & (last >= 0)
    first, last = np.where(there, first, 0), np.where(there, last, 0)
    start, end = spans[first, 0], spans[last, 1]
    return start, end, there
