"""Token offsets put right: which characters of the original text a token stands for.

Fast tokenizers keep offsets through their normalisation, with three habits that a span task cannot use: a piece with a
leading-space mark counts the space as its own, a mark that stands alone claims the character after it, and a combining
character that was stripped belongs to nobody.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

_SPACE = re.compile(r"\s")
_COMBINING = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u0903\u093a-\u0e4e\u0eb1-\u20f0\u302a-\u309a\ua66f-\uaaef"
    "\uabe3-\uabed\ufb1e\ufe00-\ufe2f\U000101fd-\U0001e94a\U000e0100-\U000e01ef]"
)
"""Finds texts that may hold combining characters (it takes in more than those)."""


def align(text: str, offsets: list[tuple[int, int]], is_blank: np.ndarray) -> np.ndarray:
    """Spans (L, 2) int32 of L tokens, half open, in characters of `text`.

    `is_blank` (L,) bool marks tokens that are nothing but a leading-space mark. White space at the edge of a token is
    left out; a token without a character of its own gets the empty span before the next token's first character;
    combining characters that the tokenizer dropped belong to the token before them. Starts and ends never decrease.
    """
    if not offsets:
        return np.zeros((0, 2), np.int32)
    spans = np.array(offsets, dtype=np.int32).reshape(-1, 2)
    if _SPACE.search(text):
        _trim(text, spans)
    empty = is_blank | (spans[:, 1] <= spans[:, 0])
    if empty.any():
        starts = np.where(empty, np.int32(len(text)), spans[:, 0])
        spans[:, 0] = np.minimum.accumulate(starts[::-1])[::-1]
        spans[empty, 1] = spans[empty, 0]
    if _COMBINING.search(text):
        _adopt(text, spans, empty)
    return spans


def _trim(text: str, spans: np.ndarray) -> None:
    """Leave white space at both edges of each span out, in place."""
    n = len(text)
    places = np.arange(n + 1, dtype=np.int32)
    visible = np.fromiter((not c.isspace() for c in text), dtype=bool, count=n)
    following = np.append(np.where(visible, places[:-1], n), n)
    following = np.minimum.accumulate(following[::-1])[::-1]  # the first visible character at or after i
    preceding = np.maximum.accumulate(np.insert(np.where(visible, places[1:], 0), 0, 0))  # end of the last one before i
    spans[:, 0] = np.minimum(following[spans[:, 0]], spans[:, 1])
    spans[:, 1] = np.maximum(preceding[spans[:, 1]], spans[:, 0])


def _adopt(text: str, spans: np.ndarray, empty: np.ndarray) -> None:
    """Give combining characters that no token covers to the tokens that end where they start, in place."""
    covered = np.zeros(len(text) + 1, np.int32)
    np.add.at(covered, spans[:, 0], 1)
    np.add.at(covered, spans[:, 1], -1)
    for i in np.flatnonzero(np.cumsum(covered[:-1]) == 0):
        if unicodedata.category(text[i]).startswith("M"):
            spans[(spans[:, 1] == i) & ~empty, 1] = i + 1
