"""How reading metrics cut answers into segments, and the longest run of segments that two answers share.

cmrc2018         Chinese characters one by one; what stands between them in English words, as NLTK's `word_tokenize`
                 cuts them (rule by rule below, without the library).
dureader_robust  Chinese characters and `=` one by one; what stands between them as one segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

CMRC_DELETED = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""Characters that the official CMRC2018 script deletes. Its list also has the ellipsis as an entry of two characters,
which equals no single one: the ellipsis stays, and so do ‘ and all other ASCII punctuation."""

DUREADER_DELETED = frozenset(":_`(),|，。：？！“”；’《》·、「」（）－～『』")
"""The same of the script that DuReader's scoring follows."""

_CHINESE = re.compile("[\u4e00-\u9fa5]")
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
"""The eight ranges that BERT takes for Chinese characters."""


def cmrc_normal(text: str) -> str:
    """`text` as exact match compares it: lower case, no white space at the ends, `CMRC_DELETED` deleted."""
    return "".join(character for character in text.lower().strip() if character not in CMRC_DELETED)


def cmrc_segments(text: str) -> list[str]:
    """The segments that F1 is computed over; deleting comes first, so that words on both sides of a hyphen join."""
    return _segments(cmrc_normal(text), lambda character: bool(_CHINESE.match(character)), english_words)


def dureader_normal(text: str) -> str:
    """`text` as exact match compares it: lower case, `DUREADER_DELETED` deleted; blanks stay."""
    return "".join(character for character in text.lower() if character not in DUREADER_DELETED)


def dureader_segments(text: str) -> list[str]:
    """The segments that F1 is computed over."""

    def alone(character: str) -> bool:
        return character == "=" or any(low <= ord(character) <= high for low, high in _IDEOGRAPHS)

    return _segments(dureader_normal(text), alone, lambda run: [run])


def _segments(text: str, alone: Callable[[str], bool], cut: Callable[[str], list[str]]) -> list[str]:
    """Characters that stand `alone` one by one, every run of others as `cut` has it."""
    segments: list[str] = []
    run = ""
    for character in text:
        if not alone(character):
            run += character
            continue
        if run:
            segments += cut(run)
            run = ""
        segments.append(character)
    return segments + cut(run) if run else segments


def longest_common_run(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest contiguous run of segments that both have."""
    letters: dict[str, str] = {}
    a, b = ("".join(letters.setdefault(segment, chr(len(letters))) for segment in each) for each in (first, second))
    if len(a) > len(b):
        a, b = b, a
    best = 0
    for start in range(len(a)):
        # A longer run that begins here holds every shorter one, so the search never has to go back.
        while start + best < len(a) and a[start : start + best + 1] in b:
            best += 1
    return best


# -------------------------------------------------------------------- English words

_CLITICS = "re|ve|ll|m|t|s|d|n"

_BEFORE_QUOTES: list[tuple[re.Pattern[str], str]] = [
    (re.compile("([«‘„])"), r" \1 "),
    # A double quote that opens becomes ``, one that closes ''.
    (re.compile(r'^"'), " `` "),
    (re.compile(r"""([ (\[{<])("|'')"""), r"\1 `` "),
    (re.compile(rf"(')(?!{_CLITICS})(\w)\b"), r"\1 \2"),
    # The full stop at the end, also before closing brackets and quotes.
    (re.compile(r"""([^.])(\.)([\])}>"'» ]*)\s*$"""), r"\1 \2 \3 "),
    (re.compile(r",(\D)"), r" , \1"),  # of two commas in a row the second stays with what follows it
    (re.compile(r",$"), " , "),
    (re.compile(r"\.{2,}"), r" \g<0> "),
    (re.compile(r"[;@#$%&]"), r" \g<0> "),
    (re.compile(r"""([^.])(\.)([\])}>"']*)\s*$"""), r"\1 \2\3 "),
    (re.compile(r"[?!]"), r" \g<0> "),
    (re.compile(r"([^'])' "), r"\1 ' "),
    (re.compile(r"[\]\[(){}<>]"), r" \g<0> "),
]

_AFTER: list[tuple[re.Pattern[str], str]] = [
    (re.compile("»"), " » "),
    (re.compile(r"''|\""), " '' "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"([^' ])('[smd]|') "), r"\1 \2 "),
    (re.compile(r"([^' ])('ll|'re|'ve|n't) "), r"\1 \2 "),
    (re.compile(r"\b(can)(not)\b"), r" \1 \2 "),
    (re.compile(r"\b(d)('ye)\b"), r" \1 \2 "),
    (re.compile(r"\b(gim)(me)\b"), r" \1 \2 "),
    (re.compile(r"\b(gon)(na)\b"), r" \1 \2 "),
    (re.compile(r"\b(got)(ta)\b"), r" \1 \2 "),
    (re.compile(r"\b(lem)(me)\b"), r" \1 \2 "),
    (re.compile(r"\b(more)('n)\b"), r" \1 \2 "),
    (re.compile(r"\b(wan)(na)(?=\s)"), r" \1 \2 "),
    (re.compile(r" ('t)(is)\b"), r" \1 \2 "),
    (re.compile(r" ('t)(was)\b"), r" \1 \2 "),
]


def english_words(run: str) -> list[str]:
    """The words and marks of a run without Chinese characters, in lower case, as `nltk.word_tokenize` gives them.

    Covers what is left after `CMRC_DELETED` is gone: no hyphens, colons, back quotes, “ or ”. Equal to the
    `NLTKWordTokenizer` of NLTK 3.9.2 sentence by sentence; the sentences, which NLTK finds with a trained model, are
    what `sentences` says. From 3.9.3 on NLTK cuts dashes (U+2012 to U+2015) apart, as no published figure has them.
    """
    words: list[str] = []
    for sentence in sentences(run):
        text = sentence
        for pattern, put in _BEFORE_QUOTES:
            text = pattern.sub(put, text)
        text = f" {text} "
        for pattern, put in _AFTER:
            text = pattern.sub(put, text)
        words += text.split()
    return words


_LISTED = (
    "a.m adj adm adv apr assn aug ave bros c.f capt cent cf co col corp ct d.c dec dept dr e.g est etc ex feb fig "
    "ft gen gov i.e inc jan jr jul jun lt ltd maj mar messrs mr mrs ms mt no nov oct p.m ph.d pp prof rep rev sen sep "
    "sept sgt sr st u.k u.n u.s univ v vol vs"
)
_ABBREVIATIONS = frozenset(_LISTED.split())
_SENTENCE_END = re.compile(r"""[.?!]["')\]}»’]*(?=\s)""")


def sentences(run: str) -> list[str]:
    """The sentences of a run in lower case, a stand-in for NLTK's trained model (Punkt).

    A sentence ends at `.`, `?` or `!` (and closing quotes or brackets after it) before white space; not at the stop of
    a common abbreviation, of a single letter (an initial) or of an ellipsis. It decides only whether a full stop inside
    an answer is a segment of its own, in answers that hold two English sentences.
    """
    found: list[str] = []
    begin = 0
    for match in _SENTENCE_END.finditer(run):
        word = run[begin : match.start()].rpartition(" ")[2].lstrip("\"'([{<«‘„")
        stop = run[match.start()] == "."
        if stop and (word in _ABBREVIATIONS or word.endswith(".") or (len(word) == 1 and word.isalpha())):
            continue
        found.append(run[begin : match.end()])
        begin = match.end()
    return [*found, run[begin:]]
