"""Premises and hypotheses from frames: what a frame's premise entails, leaves open, contradicts.

A frame is a paragraph: `P` the wordings of the premise, `E`, `N`, `C` the hypotheses by label, alternatives between
bars. `{n}`, `{less}` and `{more}` are numbers in words, in that order of size; every other slot is a word list.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.samples.grammar import Dice, Lexicon, draw
from tasks.samples.names import NAMES

LABELS = {"E": "entailment", "N": "neutral", "C": "contradiction"}
NUMBERS = NAMES["number"].split()


class Frame(NamedTuple):
    """A kind of situation: wordings of the premise, hypotheses by label, and its genre where the block names one."""

    premises: list[str]
    hypotheses: dict[str, list[str]]
    genre: str


class Pair(NamedTuple):
    """A premise, a hypothesis and what the one says about the other (a label of the official set)."""

    premise: str
    hypothesis: str
    label: str


def frames(block: str) -> list[Frame]:
    """The frames of a block: paragraphs of `KEY: a | b` lines between empty lines; `G` names the genre."""
    found = []
    for paragraph in block.strip().split("\n\n"):
        parts: dict[str, list[str]] = {}
        for line in paragraph.split("\n"):
            key, texts = line.strip().split(": ", 1)
            parts[key] = [text.strip() for text in texts.split("|")]
        hypotheses = {LABELS[key]: parts[key] for key in LABELS}
        found.append(Frame(parts["P"], hypotheses, parts.get("G", [""])[0]))
    return found


def pairs(frame: Frame, lexicon: Lexicon, dice: Dice, split: str) -> list[Pair]:
    """One premise of the frame with a hypothesis of each label, about the same people, places and numbers."""
    middle = 1 + dice.below(len(NUMBERS) - 2)
    given = {
        "n": NUMBERS[middle],
        "less": NUMBERS[dice.below(middle)],
        "more": NUMBERS[middle + 1 + dice.below(len(NUMBERS) - middle - 1)],
    }
    filled = lexicon.fill(draw(dice, frame.premises, split), dice, split, given)
    made = []
    for label, texts in frame.hypotheses.items():
        hypothesis = lexicon.fill(draw(dice, texts, split), dice, split, {**given, **filled.words})
        made.append(Pair(filled.text, hypothesis.text, label))
    return made
