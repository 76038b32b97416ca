"""The items that went wrong: the most confident errors first, with their words marked in the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clue_cli.report.answers import Answers, Element, Form
from clue_cli.report.marks import Marked, marked

MOST_CONFIDENT = 40
MOST_SILENT = 20
MOST_ELEMENTS = 12
"""Elements that are listed below a text; the rest is counted."""


@dataclass(frozen=True)
class Listed:
    """One gold or predicted element in words."""

    label: str
    words: str
    probability: float | None


@dataclass(frozen=True)
class Shown:
    """One item as the page shows it: its texts with marks, what is missed and what is wrong.

    `hidden_*` elements are not listed; `right` elements are right.
    """

    number: int
    id: str | None
    confidence: float | None
    texts: tuple[Marked, ...]
    missed: tuple[Listed, ...]
    wrong: tuple[Listed, ...]
    hidden_missed: int
    hidden_wrong: int
    right: int


@dataclass(frozen=True)
class Errors:
    """Items with something wrong in the answer (`confident`), and with something missed only (`silent`).

    `*_total` says how many there are of each kind. `probabilities` tells whether answers carry any: without them the
    order is that of the data. `by_words`: the gold says no places, so that its words are marked where they first stand.
    """

    confident: tuple[Shown, ...]
    confident_total: int
    silent: tuple[Shown, ...]
    silent_total: int
    probabilities: bool
    by_words: bool


def errors(lines: Sequence[dict[str, Any]], items: Sequence[Answers], right: Sequence[bool]) -> Errors:
    """The errors among the items that are not `right` in everything."""
    said, silent = [], []
    for line, answers, fine in zip(lines, items, right, strict=True):
        if fine:
            continue
        wrong = answers.wrong
        confidence = max((one.probability for one in wrong if one.probability is not None), default=None)
        if wrong:
            said.append((-1.0 if confidence is None else confidence, line, answers))
        else:
            silent.append((len(answers.missed), line, answers))
    for found in (said, silent):
        found.sort(key=lambda error: (-error[0], error[1]["number"]))
    return Errors(
        tuple(_shown(line, answers, score) for score, line, answers in said[:MOST_CONFIDENT]),
        len(said),
        tuple(_shown(line, answers, None) for _, line, answers in silent[:MOST_SILENT]),
        len(silent),
        any(element.probability is not None for answers in items for element in answers.predicted),
        any(mention.start is None for answers in items for mention in _gold_mentions(answers)),
    )


def _gold_mentions(answers: Answers) -> list[Any]:
    if answers.form is not Form.LIST:
        return []
    return [mention for element in answers.gold for mention in element.mentions]


def _shown(line: dict[str, Any], answers: Answers, confidence: float | None) -> Shown:
    missed, wrong = answers.missed, answers.wrong
    return Shown(
        line["number"],
        shown_id(line),
        None if confidence is None or confidence < 0 else confidence,
        tuple(marked(line["texts"] or (), answers)),
        tuple(map(_listed, missed[:MOST_ELEMENTS])),
        tuple(map(_listed, wrong[:MOST_ELEMENTS])),
        max(0, len(missed) - MOST_ELEMENTS),
        max(0, len(wrong) - MOST_ELEMENTS),
        len(answers.predicted) - len(wrong),
    )


def shown_id(line: Mapping[str, Any]) -> str | None:
    """The item's id, unless it is the text itself."""
    if line["id"] is None or line["id"] in (line["texts"] or ()):
        return None
    return shortened(str(line["id"]), 60)


def _listed(element: Element) -> Listed:
    return Listed(element.label, shortened(element.words, 240), element.probability)


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"
