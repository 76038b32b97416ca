"""Sentences from templates and word lists, the same on every machine and Python version.

A template holds slots: `{city}` draws from the list `city`; `{city2}` draws another word of the same list; a slot named
twice gets the same word twice. Words may hold slots themselves. Every fourth word of a list, and every fourth template,
is kept from train, so that dev and test hold some that training has not seen.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Record = dict[str, Any]
Files = Mapping[str, Sequence[Record] | str]
"""File name -> its rows, in order, or the whole text of a file that is one JSON document."""

SLOT = re.compile(r"\{([a-z_]+)(\d*)\}")
HELD_OUT_EVERY = 4
HELD_OUT_SHARE = 0.4
"""How often dev and test draw from what was kept from train, where a list has such words."""


class Dice:
    """Draws by seed. Only `random.Random.random` is used: its sequence is the one that Python promises to keep."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return int(self._random.random() * limit)

    def chance(self, probability: float) -> bool:
        """True with `probability`."""
        return self._random.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[T], amount: int) -> list[T]:
        """`amount` different positions of `items`, in drawn order; all of them where there are fewer."""
        return self.shuffled(items)[:amount]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """`items` in drawn order (Fisher-Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result


def known(items: Sequence[T]) -> list[T]:
    """What train may draw from."""
    return [item for number, item in enumerate(items) if number % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]


def draw(dice: Dice, items: Sequence[T], split: str) -> T:
    """One of `items`: in train only the known ones, else also those kept from train."""
    unseen = items[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    if split != "train" and unseen and dice.chance(HELD_OUT_SHARE):
        return dice.pick(unseen)
    return dice.pick(known(items))


@dataclass(frozen=True)
class Filled:
    """A finished text with its slots: `marks` are (list name, start, end), characters, half open, outer first."""

    text: str
    marks: tuple[tuple[str, int, int], ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


class Lexicon:
    """Word lists by name. A list may be given as one string of words between white space."""

    def __init__(self, lists: Mapping[str, str | Sequence[str]]) -> None:
        self.lists = {name: words.split() if isinstance(words, str) else list(words) for name, words in lists.items()}

    def fill(self, template: str, dice: Dice, split: str, given: Mapping[str, str] | None = None) -> Filled:
        """`template` with its slots filled; `given` fixes some by slot name. KeyError for a list that there is not."""
        values = {slot: Filled(word) for slot, word in (given or {}).items()}
        text, marks, position = "", [], 0
        for match in SLOT.finditer(template):
            text += template[position : match.start()]
            position = match.end()
            slot, name = match[0][1:-1], match[1]
            if slot not in values:
                values[slot] = self._other(name, [value.text for value in values.values()], dice, split)
            value = values[slot]
            marks.append((name, len(text), len(text) + len(value.text)))
            marks.extend((inner, len(text) + start, len(text) + end) for inner, start, end in value.marks)
            text += value.text
        words = {slot: value.text for slot, value in values.items()}
        return Filled(text + template[position:], tuple(marks), words)

    def _other(self, name: str, taken: Sequence[str], dice: Dice, split: str) -> Filled:
        """A word of the list `name` that is not among `taken` (after 30 misses, any)."""
        for _ in range(30):
            value = self.fill(draw(dice, self.lists[name], split), dice, split)
            if value.text not in taken:
                break
        return value


class Unrepeated:
    """Keeps inputs apart: no two rows of a task, in whatever split, have the same key."""

    def __init__(self) -> None:
        self._seen: set[Hashable] = set()

    def add(self, key: Hashable) -> bool:
        """Whether `key` is new; it is not afterwards."""
        new = key not in self._seen
        self._seen.add(key)
        return new

    def take(self, make: Callable[[], T], key: Callable[[T], Hashable]) -> T:
        """The first of up to 500 made things whose key is new; RuntimeError where the templates run dry."""
        for _ in range(500):
            thing = make()
            if self.add(key(thing)):
                return thing
        raise RuntimeError("the templates are too few for so many different rows")


def lines(block: str) -> list[str]:
    """The non-empty lines of a block of text, stripped."""
    return [line.strip() for line in block.split("\n") if line.strip()]


def numbered(rows: Sequence[Record], *, without: Sequence[str] = ("label",)) -> list[Record]:
    """Test rows: `id` from 0 first, the fields of `without` (the gold) left out."""
    return [{"id": number} | {k: v for k, v in row.items() if k not in without} for number, row in enumerate(rows)]
