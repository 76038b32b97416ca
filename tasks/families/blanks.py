"""The blanks of a cloze: found in a passage, their context cut to a length, made ready for the encoder.

A blank is written `#idiom000378#`, or `#idiom#` where there is one only; what is written there is its tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clue_cli.contract import EncodedWindow, Limits, Mark, Tally, Text, TextEncoder
from clue_cli.errors import Where

ENCODE_BATCH = 256
"""Blanks given to the tokenizer at once, each with all its candidates."""

OVERHEAD = 4
"""Tokens of an input beside candidate and context: three special ones, and the mark of the blank."""

CUT_BLANKS = "blanks whose context was cut to max_length"
CUT_CHARACTERS = "characters of context cut there"
NO_ROOM = "blanks whose candidates leave no room for any context"

TAG = re.compile(r"#idiom\d*#")

HIDDEN_TOKENS = 4
"""Tokens that stand for another blank: an idiom has four characters."""


@dataclass(frozen=True, slots=True)
class Blank:
    """One blank of a passage, and the passage's text on both sides, in pieces between the other blanks."""

    tag: str
    left: tuple[str, ...]
    right: tuple[str, ...]

    @property
    def size(self) -> int:
        """Characters of the context, another blank counted as `HIDDEN_TOKENS`."""
        return sum(map(len, (*self.left, *self.right))) + HIDDEN_TOKENS * (len(self.left) + len(self.right) - 2)

    def text(self) -> Text:
        """What the encoder sees: the pieces, the blank and the others as marks between them."""
        return (*_joined(self.left), Mark.BLANK, *_joined(self.right))


def blanks_of(passage: str) -> list[Blank]:
    """The blanks of a passage in its order; empty where it has none."""
    pieces = tuple(TAG.split(passage))
    return [Blank(tag, pieces[:n], pieces[n:]) for n, tag in enumerate(TAG.findall(passage), start=1)]


def tags_of(passages: Sequence[str]) -> list[str]:
    """The tags of all blanks, in the order of the passages."""
    return [tag for passage in passages for tag in TAG.findall(passage)]


def cut(blank: Blank, budget: int) -> Blank:
    """The blank with its context cut to `budget` characters, as CLUE-bert4keras cuts it.

    While the context is longer (`Blank.size`), the side with more characters of text, of equal ones the right, loses
    one at its outer end; an outermost piece of one character (or none) goes with the blank beside it. Text and blanks
    may both be gone in the end. The steps are taken many at a time; the tests take them one by one.
    """
    over = blank.size - budget
    left, right = list(blank.left), list(blank.right)
    while over > 0:
        on_left, on_right = sum(map(len, left)), sum(map(len, right))
        pairs = min(over // 2, len(left[0]) - 1, len(right[-1]) - 1)
        if on_left == on_right and pairs > 0:  # the right, the left, the right ...
            left[0], right[-1] = left[0][pairs:], right[-1][:-pairs]
            over -= 2 * pairs
            continue
        if on_left > on_right or (on_right == 0 and len(right) == 1):
            lost = _shorten(left, 0, min(over, on_left - on_right))
        else:
            lost = _shorten(right, -1, min(over, on_right - on_left + 1))
        if not lost:
            break
        over -= lost
    return Blank(blank.tag, tuple(left), tuple(right))


def _shorten(pieces: list[str], outer: int, steps: int) -> int:
    """Take up to `steps` characters, one at least, off the outermost piece, or the piece itself; what that gained."""
    piece = pieces[outer]
    if len(piece) > 1:
        steps = min(steps, len(piece) - 1)
        pieces[outer] = piece[steps:] if outer == 0 else piece[:-steps]
        return steps
    if len(pieces) > 1:
        del pieces[outer]
        return len(piece) + HIDDEN_TOKENS
    pieces[outer] = ""
    return len(piece)


def _joined(pieces: Sequence[str]) -> list[str | Mark]:
    found: list[str | Mark] = [pieces[0]]
    for piece in pieces[1:]:
        found += [*[Mark.HIDDEN] * HIDDEN_TOKENS, piece]
    return found


class Asked(NamedTuple):
    """A blank to be filled: the item it belongs to, its gold (None: unknown), the candidates and place of its line."""

    item: int
    blank: Blank
    gold: int | None
    candidates: tuple[str, ...]
    where: Where


def encoded_blanks(
    asked: Sequence[Asked], text_encoder: TextEncoder, limits: Limits, segments: str, tally: Tally
) -> Iterator[list[EncodedWindow]]:
    """For each blank the inputs `[CLS] candidate [SEP] context [SEP]` of all its candidates, the context cut to fit."""
    for start in range(0, len(asked), ENCODE_BATCH):
        batch = asked[start : start + ENCODE_BATCH]
        for one, (kept, windows) in zip(batch, _fitted(batch, text_encoder, limits, segments), strict=True):
            if kept.size < one.blank.size:
                tally.add(CUT_BLANKS, one.where)
                tally.add(CUT_CHARACTERS, amount=one.blank.size - kept.size)
            if any(window.cut for window in windows):
                tally.add(NO_ROOM, one.where)
            yield windows


def _fitted(
    asked: Sequence[Asked], text_encoder: TextEncoder, limits: Limits, segments: str
) -> list[tuple[Blank, list[EncodedWindow]]]:
    """Contexts cut by characters, and by more of them where they are still too many tokens, until all fit."""
    budgets = [limits.max_length - OVERHEAD - max(map(len, one.candidates)) for one in asked]
    kept = [one.blank for one in asked]
    done: list[list[EncodedWindow]] = [[] for _ in asked]
    waiting = list(range(len(asked)))
    while waiting:
        for n in waiting:
            kept[n] = cut(asked[n].blank, max(budgets[n], 0))
        contexts = {n: kept[n].text() for n in waiting}
        entries = [(candidate, contexts[n]) for n in waiting for candidate in asked[n].candidates]
        encoded = iter(text_encoder.encode(entries, limits, windows=False, offsets=False, segments=segments))
        for n in waiting:
            done[n] = [next(encoded)[0] for _ in asked[n].candidates]
        lost = {n: max(window.cut for window in done[n]) for n in waiting}
        waiting = [n for n in waiting if lost[n] and budgets[n] > 0]
        for n in waiting:
            # A character is four tokens at most (but for a few ligatures), so no more is cut than must be.
            budgets[n] = min(budgets[n], kept[n].size) - -(-lost[n] // 4)
    return list(zip(kept, done, strict=True))
