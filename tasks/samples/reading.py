"""Passages from templates, with questions whose answers stand in them.

A kind is a paragraph of lines: `NAME: word list` says what it is about, every other line is a sentence with its answers
in brackets, and a question for each of them behind bars, wordings between slashes:

    NAME: town
    {name}在[{province}东部]，离{city}[{digit}公里]。 | {name}在哪里？/{name}位于什么地方？ | {name}离{city}有多远？
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.samples.grammar import Dice, Lexicon, draw

BRACKETS = re.compile(r"[\[\]]")
KEPT = ("country", "country2")
"""Slots that have one word in a whole passage."""


@dataclass(frozen=True)
class Kind:
    """What passages are about: the word list of their names, and sentences with the questions to their answers."""

    names: str
    sentences: list[tuple[str, list[list[str]]]]


@dataclass(frozen=True)
class Asked:
    """A question and its answer: characters [start, end) of the passage."""

    question: str
    start: int
    end: int


@dataclass(frozen=True)
class Passage:
    """A text and what is asked about it, in the order of the answers."""

    text: str
    asked: tuple[Asked, ...]


def kinds(block: str) -> list[Kind]:
    """The kinds of a block, paragraphs between empty lines."""
    found = []
    for paragraph in block.strip().split("\n\n"):
        first, *others = [line.strip() for line in paragraph.split("\n")]
        sentences = []
        for line in others:
            sentence, *questions = [part.strip() for part in line.split(" | ")]
            sentences.append((sentence, [question.split("/") for question in questions]))
        found.append(Kind(first.removeprefix("NAME: "), sentences))
    return found


def passage(kind: Kind, lexicon: Lexicon, dice: Dice, split: str, sentences: int) -> Passage:
    """A passage of up to `sentences` sentences of one kind: the first one stands first, the others in drawn order."""
    name = lexicon.fill("{" + kind.names + "}", dice, split).text
    chosen = [kind.sentences[0], *dice.some(kind.sentences[1:], sentences - 1)]
    text, asked = "", []
    given = {"name": name}
    for template, questions in chosen:
        filled = lexicon.fill(template, dice, split, given)
        words = {**filled.words, "name": name}
        given |= {slot: word for slot, word in filled.words.items() if slot in KEPT}
        for (start, end), wordings in zip(spans(filled.text), questions, strict=True):
            question = lexicon.fill(draw(dice, wordings, split), dice, split, words).text
            asked.append(Asked(question, len(text) + start, len(text) + end))
        text += BRACKETS.sub("", filled.text)
    return Passage(text, tuple(asked))


def spans(text: str) -> list[tuple[int, int]]:
    """The bracketed pieces of `text`: characters [start, end) of the text without the brackets."""
    marks = [match.start() - number for number, match in enumerate(BRACKETS.finditer(text))]
    return list(zip(marks[::2], marks[1::2], strict=True))


def joined(parts: Sequence[Passage]) -> Passage:
    """Passages one after the other, with all their questions."""
    text, asked = "", []
    for part in parts:
        asked += [Asked(one.question, len(text) + one.start, len(text) + one.end) for one in part.asked]
        text += part.text
    return Passage(text, tuple(asked))


def answer(passage: Passage, asked: Asked, *, shift: int = 0) -> dict[str, Any]:
    """The official form of an answer; `shift` moves its start, as annotators did."""
    return {"text": passage.text[asked.start : asked.end], "answer_start": asked.start + shift}


def document(values: Mapping[str, Any], indent: int) -> str:
    """The text of a file that is one JSON document; official ones end without a newline."""
    return json.dumps(values, ensure_ascii=False, indent=indent)
