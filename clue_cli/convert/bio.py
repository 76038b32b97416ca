"""Column files: a token and its tag a line, a blank line between sentences (CoNLL). BIO, IOB1, BIOES, BMES, BILOU.

The first column is the token, the last one the tag, columns are parted by tabs or, in lines without one, by blanks; a
line that begins with the separator has a blank as its token. `-DOCSTART-` lines part documents; lines that begin with
`#` and end in no tag are comments.

Tags are `O` or a letter and a type: B, I, M, E, L, S, U. B, S and U begin an entity. I, M, E and L continue the one
that is open if it has their type, and begin one otherwise (as conlleval counts). E, L, S and U end it. A tag that
begins one without being made for it is counted, except in IOB1 files, where I- begins entities and B- parts neighbours.
In files that have E- or L- tags, entities that end without one are counted.

Tokens become a text by the joiner: "none", "blank" (one between every two), or "auto": blanks everywhere in a file
without any Chinese character; else only between two words of letters or digits that are not Chinese, where one of them
has more than one character (files of single characters spell a word out).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from clue_cli.contract import Tally
from clue_cli.convert.documents import CHARACTERS, Document, Marking, Reading
from clue_cli.errors import RowError, UserError, Where
from clue_cli.sources import Source

JOINERS = ("auto", "none", "blank")
COMMENTS = "comment lines"
BEGUN = "tags that continue no entity (each begins one)"
UNENDED = "entities without the tag that ends them"

_TAG = re.compile(r"O|(?P<letter>[BIMELSU])[-_](?P<type>.+)")
_DOCUMENT = "-DOCSTART-"
_BEGIN, _END = frozenset("BSU"), frozenset("ELSU")
_CHINESE = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(slots=True)
class _Sentence:
    where: Where
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def is_tagged(line: str) -> bool:
    """Whether a line looks like one of a column file."""
    parts = _columns(line)
    return len(parts) > 1 and bool(_TAG.fullmatch(parts[-1]))


def read(source: Source, name: str, reading: Reading, tally: Tally) -> Iterator[Document]:
    """A document a sentence. RowError names the line that is no token with a tag."""
    sentences = list(_sentences(source, name, reading, tally))
    if not sentences:
        raise UserError("no sentences in it; a token and its tag a line were expected", where=source.place(name))
    iob1 = _is_iob1(sentences)
    ended = any(tag[0] in "EL" for sentence in sentences for tag in sentence.tags)
    joiner = reading.joiner
    if joiner == "auto" and not any(_CHINESE.search(token) for sentence in sentences for token in sentence.tokens):
        joiner = "blank"
    for sentence in sentences:
        yield _document(sentence, joiner, tally, iob1=iob1, ended=ended)


def _sentences(source: Source, name: str, reading: Reading, tally: Tally) -> Iterator[_Sentence]:
    place = source.place(name)
    current: _Sentence | None = None
    wrong: RowError | None = None
    for number, line in source.lines(name, blank=True):
        where = Where(place, number)
        if not line.strip() or line.startswith(_DOCUMENT):
            if current is not None and wrong is None:
                yield current
            current = wrong = None
            continue
        parts = _columns(line)
        tagged = len(parts) > 1 and _TAG.fullmatch(parts[-1]) is not None
        if line.startswith("#") and not tagged:
            tally.add(COMMENTS, where)
            continue
        current = current or _Sentence(where)
        if not tagged:
            if wrong is None:  # once a sentence, all of which is left out
                wrong = _complaint(parts, where)
                reading.refuse(wrong, tally)
            continue
        current.tokens.append(parts[0] or " ")
        current.tags.append(parts[-1])
        current.lines.append(number)
    if current is not None and wrong is None:
        yield current


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [part.strip(" ") for part in line.rstrip("\t ").split("\t")]
    # Not split(): full-width and other blanks are tokens.
    return re.split(" +", line.rstrip(" "))


def _complaint(parts: Sequence[str], where: Where) -> RowError:
    if len(parts) < 2:
        return RowError(f"a token and its tag were expected, found only {parts[0]!r}", where)
    hint = "the tag is the last column"
    return RowError(f"a tag such as O, B-name or I-name was expected, found {parts[-1]!r}", where, hint=hint)


def _split(tag: str) -> tuple[str, str]:
    found = _TAG.fullmatch(tag)
    assert found is not None
    return (found["letter"], found["type"].strip()) if found["letter"] else ("O", "")


def _is_iob1(sentences: Sequence[_Sentence]) -> bool:
    """Whether I- begins entities here and B- stands only where one follows another of its type."""
    begins = False
    for sentence in sentences:
        before = ("O", "")
        for tag in sentence.tags:
            letter, type_ = _split(tag)
            if letter not in "OIB" or (letter == "B" and before[1] != type_):
                return False
            begins = begins or (letter == "I" and before[1] != type_)
            before = letter, type_
    return begins


def _document(sentence: _Sentence, joiner: str, tally: Tally, *, iob1: bool, ended: bool) -> Document:
    text, places = join(sentence.tokens, joiner)
    document = Document(text, sentence.where, unit=CHARACTERS)
    for first, last, type_ in _entities(sentence, tally, iob1=iob1, ended=ended):
        where = Where(sentence.where.file, sentence.lines[first])
        document.marks[str(first)] = Marking(places[first][0], places[last][1], type_, where)
    return document


def _entities(sentence: _Sentence, tally: Tally, *, iob1: bool, ended: bool) -> Iterator[tuple[int, int, str]]:
    """(first token, last token, type) of each entity."""
    start, open_type = 0, ""
    for position, tag in enumerate(sentence.tags):
        where = Where(sentence.where.file, sentence.lines[position])
        letter, type_ = _split(tag)
        continues = letter != "O" and letter not in _BEGIN and type_ == open_type
        if open_type and not continues:
            tally.add(UNENDED, where, int(ended))
            yield start, position - 1, open_type
            open_type = ""
        if letter == "O":
            continue
        if not continues:
            start, open_type = position, type_
            tally.add(BEGUN, where, int(letter not in _BEGIN and not iob1))
        if letter in _END:
            yield start, position, open_type
            open_type = ""
    if open_type:
        tally.add(UNENDED, Where(sentence.where.file, sentence.lines[-1]), int(ended))
        yield start, len(sentence.tags) - 1, open_type


def join(tokens: Sequence[str], joiner: str) -> tuple[str, list[tuple[int, int]]]:
    """The text of tokens, and each token's characters in it; `joiner` as in `Reading`."""
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    length = 0
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else ""
        if before and (joiner == "blank" or (joiner == "auto" and _are_words(before, token))):
            parts.append(" ")
            length += 1
        parts.append(token)
        places.append((length, length + len(token)))
        length += len(token)
    return "".join(parts), places


def _are_words(left: str, right: str) -> bool:
    return (len(left) > 1 or len(right) > 1) and _is_letter(left[-1]) and _is_letter(right[0])


def _is_letter(character: str) -> bool:
    return character.isalnum() and not _CHINESE.match(character)
