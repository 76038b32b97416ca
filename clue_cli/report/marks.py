"""Texts with the words of gold and prediction marked: cut into pieces, each with what covers it.

Marks may overlap and lie inside each other, so a text is cut at every border; a mark's label stands after its last
piece. Long texts are shown around the marks only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from clue_cli.report.answers import Answers, Form, Mention

Status = Literal["right", "gold", "predicted"]
"""Of words: in both, in the gold only (missed), in the prediction only (wrong)."""

WHOLE = 320
"""Characters of a text that is shown whole."""
SHORT = 20
"""Characters of a text that may share a line with others."""
AROUND = 60
"""Characters that are shown on each side of a mark in a longer one."""
MOST_MARKS = 24


@dataclass(frozen=True)
class Tag:
    """What stands after the last character of marked words."""

    status: Status
    label: str
    probability: float | None = None


@dataclass(frozen=True)
class Piece:
    """Characters with one and the same cover; `left_out` characters stand in its place where it is not 0."""

    text: str
    statuses: tuple[Status, ...] = ()
    tags: tuple[Tag, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class Marked:
    """One text in pieces; `unmarked` words that should be marked in it are too many to show."""

    pieces: tuple[Piece, ...]
    unmarked: int = 0

    @property
    def short(self) -> bool:
        """Whether several such texts (choices, candidates) may stand in one line."""
        return sum(len(piece.text) + 8 * len(piece.tags) for piece in self.pieces) <= SHORT


@dataclass(frozen=True)
class Mark:
    """Characters `[start, end)` of one text."""

    start: int
    end: int
    tag: Tag


def marked(texts: Sequence[str], answers: Answers) -> Iterator[Marked]:
    """The texts of an item with the words of its answers marked, each in the text where it stands."""
    found: list[dict[Mark, None]] = [{} for _ in texts]  # a set that keeps the order
    for mention, tag in _tagged(answers):
        place = locate(texts, mention)
        if place is not None:
            index, start, end = place
            found[index][Mark(start, end, tag)] = None
    for text, marks in zip(texts, found, strict=True):
        kept = sorted(marks, key=lambda mark: (mark.start, mark.end, mark.tag.status))[:MOST_MARKS]
        yield Marked(tuple(pieces(text, kept)), len(marks) - len(kept))


def locate(texts: Sequence[str], mention: Mention) -> tuple[int, int, int] | None:
    """(text, start, end) where the words of a mention stand; None where they do not.

    At their place if the words stand there in one of the texts; without a place in a text that is nothing else, else
    where they stand first.
    """
    if mention.start is not None and mention.end is not None:
        for index, text in enumerate(texts):
            if mention.text and text[mention.start : mention.end] == mention.text:
                return index, mention.start, mention.end
        return None
    if mention.text in texts:
        index = len(texts) - 1 - list(reversed(texts)).index(mention.text)
        return index, 0, len(mention.text)
    for index, text in enumerate(texts):
        if mention.text and (start := text.find(mention.text)) >= 0:
            return index, start, start + len(mention.text)
    return None


def _tagged(answers: Answers) -> Iterator[tuple[Mention, Tag]]:
    """Every mention of gold and prediction, once, with its status.

    Parts of elements are compared one by one: an event with one wrong argument has its other arguments right.
    """
    gold = [mention for element in answers.gold for mention in element.mentions]
    said = [(mention, element.probability) for element in answers.predicted for mention in element.mentions]
    placed = not gold or any(mention.start is not None for mention in gold)

    def key(mention: Mention) -> tuple[object, ...]:
        where = (mention.start, mention.end) if placed and mention.start is not None else mention.text
        return mention.name, where

    wanted, made = {key(mention) for mention in gold}, {key(mention) for mention, _ in said}
    for mention, probability in said:
        status: Status = "right" if key(mention) in wanted else "predicted"
        yield mention, Tag(status, _label(mention, answers), probability)
    for mention in gold:
        if key(mention) not in made:
            yield mention, Tag("gold", _label(mention, answers))


def _label(mention: Mention, answers: Answers) -> str:
    """What the mark says beside its status: of a blank the words that fill it."""
    return mention.name if answers.form in (Form.LIST, Form.BLANKS) else ""


def pieces(text: str, marks: Sequence[Mark]) -> Iterator[Piece]:
    """`text` cut at the borders of `marks`, and without what is far from all of them where it is long."""
    borders = sorted({0, len(text), *(place for mark in marks for place in (mark.start, mark.end))})
    for start, end in itertools.pairwise(borders):
        over = [mark for mark in marks if mark.start <= start and end <= mark.end]
        statuses = tuple(sorted({mark.tag.status for mark in over}))
        ending = [mark.tag for mark in marks if mark.end == end and mark.start < end]
        whole = Piece(text[start:end], statuses, tuple(_once(ending)))
        if over or len(text) <= WHOLE:
            yield from _cut(whole, WHOLE, WHOLE)
        else:
            yield from _cut(whole, AROUND if start > 0 else 0, AROUND if end < len(text) else 0, bool(marks))


def _once(tags: Sequence[Tag]) -> list[Tag]:
    """Tags that say the same as one, with the highest probability."""
    found: dict[tuple[str, str], Tag] = {}
    for tag in tags:
        known = found.setdefault((tag.status, tag.label), tag)
        if (tag.probability or 0.0) > (known.probability or 0.0):
            found[tag.status, tag.label] = tag
    return list(found.values())


def _cut(piece: Piece, head: int, tail: int, near: bool = True) -> Iterator[Piece]:
    """The first `head` and last `tail` characters of a piece; of a text without marks its beginning."""
    if not near:
        head, tail = WHOLE, 0
    left_out = len(piece.text) - head - tail
    if left_out <= 20:  # saying how much is left out would take as much room
        yield piece
        return
    if head:
        yield replace(piece, text=piece.text[:head], tags=())
    yield Piece("", (), (), left_out)
    if tail:
        yield replace(piece, text=piece.text[-tail:])
