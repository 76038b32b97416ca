"""One answer from the windows of a text: typed spans of tokens become typed spans of characters, each judged once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tasks.families.alignment import Borders, Deciding


class Found(NamedTuple):
    """What a head says about a span: its raw score and its probability."""

    score: float
    probability: float


TypedSpan = tuple[int, int, int]
"""(start, end, index of the type), characters [start, end)."""


def merged_spans(borders: Sequence[Borders], candidates: Sequence[Any]) -> dict[TypedSpan, Found]:
    """The spans that a head found in the windows of one text. `candidates` are `heads.base.Spans`, one a window.

    A span that several windows hold is taken from the one that decides about it (`alignment.Deciding`). Token spans
    that stand for the same characters are one span, with the best score.
    """
    deciding = Deciding(borders)
    best: dict[TypedSpan, Found] = {}
    for position, (window, found) in enumerate(zip(borders, candidates, strict=True)):
        columns = (found.type, found.start, found.end, found.score, found.probability)
        for type_, first, last, score, probability in zip(*(column.tolist() for column in columns), strict=True):
            characters = window.characters(first, last)
            if characters is None or (len(borders) > 1 and deciding.window(*characters) != position):
                continue
            span = (*characters, type_)
            if span not in best or score > best[span].score:
                best[span] = Found(score, probability)
    return best


def longest_apart(spans: Iterable[TypedSpan]) -> list[TypedSpan]:
    """Spans that do not overlap: the longest first, then the earliest, then the lowest type."""
    return _apart(sorted(spans, key=lambda span: (span[0] - span[1], span[0], span[2])))


def most_probable_apart(found: dict[TypedSpan, Found]) -> dict[TypedSpan, Found]:
    """Answers that do not overlap: the most probable first, then the longer, the earlier; in the order of the text."""
    ordered = sorted(found, key=lambda span: (-found[span].probability, span[0] - span[1], span))
    return {span: found[span] for span in sorted(_apart(ordered))}


def _apart(ordered: Iterable[TypedSpan]) -> list[TypedSpan]:
    kept: list[TypedSpan] = []
    for span in ordered:
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return kept
