"""Offsets as annotation tools count them, turned into characters of the text and checked against it.

Tools in a browser have counted UTF-16 units, in which an emoji is two: Label Studio before its frontend counted code
points (label-studio #1008, #1347), doccano unless it counts grapheme clusters (doccano #2290). Others, brat among them,
count characters. Browsers may also have shown "\\r\\n" as one line break. The two ways differ only in texts that hold
characters beyond the basic plane, or "\\r\\n". There:

- the words that a tool stored beside the offsets decide (Label Studio, brat);
- without words, what is impossible decides (an offset beyond the text, or inside a character);
- else what the file's other marks showed, if they agree with one another;
- else nothing does, and the user is asked, with both readings in the message: `--offsets`.

Where no way of counting gives the words, but they stand in the text exactly once, that place is taken and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clue_cli.contract import Span, Tally
from clue_cli.convert.documents import CHARACTERS, UTF16, Document, Marking, Reading
from clue_cli.errors import RowError

UNITS = (CHARACTERS, UTF16)

MOVED = "spans moved to the one place where their words stand"
TRIMMED = "spans trimmed of blanks at their ends"
BLANK = "spans without a visible character"
OTHER_UNITS = "spans whose offsets count UTF-16 units, or a line break of two characters as one"

_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of counting: position -> character, None inside of one."""

    unit: str
    one_break: bool
    positions: tuple[int | None, ...] | None
    """None where every position is its character."""

    def cut(self, text: str, start: int, end: int) -> tuple[int, int] | None:
        """The characters `[start, end)` means; None where it reaches out of the text or into a character."""
        if start > end or end > (len(text) if self.positions is None else len(self.positions) - 1):
            return None
        if self.positions is None:
            return start, end
        first, last = self.positions[start], self.positions[end]
        return None if first is None or last is None else (first, last)


def ways(text: str, unit: str) -> list[_Way]:
    """The ways of counting that differ for a text, the plain one first; `unit` narrows them ("auto": both)."""
    beyond, breaks = bool(_BEYOND.search(text)), "\r\n" in text
    units = UNITS if unit == "auto" else (unit,)
    found = [_Way(one, False, None if one == CHARACTERS or not beyond else _positions(text, True, False))
             for one in units if beyond or one == units[0]]  # fmt: skip
    if breaks:
        found += [_Way(way.unit, True, _positions(text, way.unit == UTF16, True)) for way in found]
    return found


def _positions(text: str, utf16: bool, one_break: bool) -> tuple[int | None, ...]:
    positions: list[int | None] = []
    for index, character in enumerate(text):
        if one_break and character == "\n" and index and text[index - 1] == "\r":
            continue
        positions.append(index)
        if utf16 and ord(character) > 0xFFFF:
            positions.append(None)
    return (*positions, len(text))


def same_words(words: str, cut: str) -> bool:
    """Whether a tool's copy of a span is the span: line breaks may be written `\\n` and blanks may be fewer."""
    if words == cut:
        return True
    plain = _BLANKS.sub(" ", words.replace("\\n", "\n")).strip()
    return bool(plain) and plain == _BLANKS.sub(" ", cut).strip()


def settle(documents: Iterable[Document], reading: Reading, tally: Tally) -> Iterator[Document]:
    """The documents with offsets in characters, checked; spans are trimmed of blanks, empty ones left out and counted.

    Relations and events that lose a span so are dealt with by `targets`. RowError for a mark that fits nowhere.
    """
    held = list(documents)
    unit = _unit_of(held) if reading.offsets == "auto" else reading.offsets
    for document in held:
        changes = Tally()
        try:
            _settle(document, unit, document.unit or reading.offsets, changes)
        except RowError as error:
            reading.refuse(error, tally)
            continue
        tally.merge(changes)
        yield document


def _settle(document: Document, unit: str | None, wanted: str, tally: Tally) -> None:
    possible = ways(document.text, wanted)
    for key, mark in list(document.marks.items()):
        start, end = _place(document.text, mark, possible, unit, tally)
        inner = document.text[start:end]
        left, right = len(inner) - len(inner.lstrip()), len(inner) - len(inner.rstrip())
        if left == len(inner):
            tally.add(BLANK, mark.where)
            del document.marks[key]
            continue
        if left or right:
            tally.add(TRIMMED, mark.where)
        mark.start, mark.end = start + left, end - right
        mark.words = None


def _place(text: str, mark: Marking, possible: list[_Way], unit: str | None, tally: Tally) -> tuple[int, int]:
    if mark.start > mark.end:
        raise RowError(f"[{mark.start}, {mark.end}) ends before it begins", mark.where)
    cuts = [(way, cut) for way in possible if (cut := way.cut(text, mark.start, mark.end)) is not None]
    if mark.words is None:
        cuts = [(way, cut) for way, cut in cuts if not way.one_break]
    else:
        cuts = [(way, cut) for way, cut in cuts if same_words(mark.words, text[slice(*cut)])]
    if not cuts:
        return _found(text, mark, possible, tally)
    preferred = [(way, cut) for way, cut in cuts if way.unit == unit] or cuts
    if mark.words is None and len({cut for _, cut in preferred}) > 1:
        first, second = (text[slice(*cut)] for _, cut in preferred[:2])
        told = f"[{mark.start}, {mark.end}) is {first!r} counted in characters and {second!r} in UTF-16 units"
        raise RowError(told, mark.where, hint="--offsets characters or --offsets utf-16 says which")
    cut = preferred[0][1]
    if cut != (mark.start, mark.end):
        tally.add(OTHER_UNITS, mark.where)
    return cut


def _found(text: str, mark: Marking, possible: list[_Way], tally: Tally) -> tuple[int, int]:
    """The one place where a mark's words stand; RowError if there is none or more than one."""
    words = mark.words
    if words and words.strip() and text.count(words) == 1:
        start = text.index(words)
        tally.add(MOVED, mark.where)
        return start, start + len(words)
    shown = f"[{mark.start}, {mark.end})"
    cut = possible[0].cut(text, mark.start, mark.end)
    if cut is None:
        raise RowError(f"{shown} does not fit the text, which has {len(text)} characters", mark.where)
    times = text.count(words) if words else 0
    where = "nowhere in the text" if not times else f"{times} times in the text"
    raise RowError(f"{shown} is {text[slice(*cut)]!r} in the text, not {words!r}, which stands {where}", mark.where)


def _unit_of(documents: list[Document]) -> str | None:
    """What a tool counted in this file, as far as its marks prove it without contradiction."""
    proved: set[str] = set()
    for document in documents:
        text = document.text
        if not _BEYOND.search(text):
            continue
        possible = [way for way in ways(text, "auto") if not way.one_break]
        for mark in document.marks.values():
            fits = {
                way.unit
                for way in possible
                if (cut := way.cut(text, mark.start, mark.end)) is not None
                and (mark.words is None or same_words(mark.words, text[slice(*cut)]))
            }
            if len(fits) == 1:
                proved |= fits
    return proved.pop() if len(proved) == 1 else None


def spans(document: Document, tally: Tally) -> list[Span]:
    """The settled spans of a document in the order of the text, each once."""
    found = sorted({mark.span for mark in document.marks.values()})
    tally.add("spans given twice", document.where, len(document.marks) - len(found))
    return found
