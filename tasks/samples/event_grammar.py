"""Sentences with the events in them: a template, and below it a line that names its events by the slots.

    {day}，{firm}{fire}{crowd}
        | 组织关系-裁员 fire 时间=day 裁员方=firm 裁员人数=crowd

`type trigger role=slot ...`, several events with a semicolon between them. A slot that occurs twice in the template is
meant where it first stands, `slot@2` is its second place; `role=!words` is a value that stands nowhere in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.samples.grammar import SLOT, Dice, Filled, Lexicon, draw, lines


class Words(NamedTuple):
    """Words with a role (the trigger: an empty one) and where they begin; -1 for those that stand nowhere."""

    role: str
    text: str
    start: int


class Told(NamedTuple):
    """An event: its type, and its words, the trigger first."""

    type: str
    words: tuple[Words, ...]


class Sentences:
    """Templates with their events, over one lexicon."""

    def __init__(self, lexicon: Lexicon, block: str) -> None:
        self.lexicon = lexicon
        self.templates = list(zip(lines(block)[::2], lines(block)[1::2], strict=True))

    def tell(self, dice: Dice, split: str, given: dict[str, str] | None = None) -> tuple[str, list[Told]]:
        """One sentence and its events, which may be none; `given` fixes slots that it may have."""
        template, listed = draw(dice, self.templates, split)
        filled = self.lexicon.fill(template, dice, split, given)
        starts = _starts(template, filled)
        told = []
        for entry in filter(None, map(str.split, listed.removeprefix("|").split(";"))):
            type_, *parts = entry
            told.append(Told(type_, tuple(_words(part, filled, starts) for part in parts)))
        return filled.text, told


def _starts(template: str, filled: Filled) -> dict[str, list[int]]:
    """Slot -> where it begins in the filled text, each time it stands in the template."""
    starts: dict[str, list[int]] = {}
    shift = 0
    for match in SLOT.finditer(template):
        slot = match[0][1:-1]
        starts.setdefault(slot, []).append(match.start() + shift)
        shift += len(filled.words[slot]) - len(match[0])
    return starts


def _words(part: str, filled: Filled, starts: dict[str, list[int]]) -> Words:
    role, _, name = part.rpartition("=")
    if name.startswith("!"):
        return Words(role, name[1:], -1)
    slot, _, place = name.partition("@")
    return Words(role, filled.words[slot], starts[slot][int(place or 1) - 1])


def moved(told: Sequence[Told], by: int) -> list[Told]:
    """The events of a sentence in a text in which it begins at character `by`."""
    return [
        Told(one.type, tuple(w if w.start < 0 else w._replace(start=w.start + by) for w in one.words)) for one in told
    ]
