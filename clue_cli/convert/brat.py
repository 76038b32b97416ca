"""brat's standoff form: a text (.txt) and its annotations (.ann) side by side in a directory tree or a zip.

Read are text-bound annotations (T), relations (R) and events (E). Attributes (A, M), normalisations (N), notes (#) and
equivalences (*) are counted. Offsets count characters of the text as it stands in the file. brat breaks a span at a
line's end into fragments: fragments with nothing but blanks between them are one span again. All others are
discontinuous, left out and counted, with the relations and arguments that need them.

A relation's first argument is its subject. brat numbers repeated roles of an event (Theme, Theme2): the digits go where
the event has the role without them. Arguments that are events themselves are left out and counted.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clue_cli.contract import Tally
from clue_cli.convert.documents import Document, Event, Marking, Reading, Relation
from clue_cli.errors import RowError, UserError, Where
from clue_cli.lines import reading as file_reading
from clue_cli.sources import DirectorySource, Source

DISCONTINUOUS = "discontinuous spans"
UNANNOTATED = "texts without an .ann file"
OTHERS = {"A": "attributes", "M": "attributes", "N": "normalisations", "#": "notes", "*": "equivalences"}

_TEXT_BOUND = re.compile(r"(?P<type>\S+) (?P<offsets>\d+ \d+(?:;\d+ \d+)*)")
_ARGUMENT = re.compile(r"(?P<role>[^:\s]+):(?P<key>[^:\s]+)")
_NUMBERED = re.compile(r"(?P<role>.*\D)\d+")


class Collection(DirectorySource):
    """A directory of documents, those in its sub-directories (brat's collections) included; names as in its zip."""

    def names(self) -> list[str]:
        """Paths below the directory, sorted; hidden files and what lies in hidden directories are left out."""
        found: list[str] = []
        top = Path(self.location)
        with file_reading(self.location):
            for place, directories, files in os.walk(top, onerror=_unreadable):
                directories[:] = [name for name in directories if not name.startswith(".")]
                below = Path(place).relative_to(top)
                found += [(below / name).as_posix() for name in files if not name.startswith(".")]
        return sorted(found)


def _unreadable(error: OSError) -> None:
    """Documents of a directory that cannot be listed would be missing in silence."""
    raise error


def is_annotated(names: Iterable[str]) -> bool:
    """Whether annotations of brat's are among the files of these names."""
    return any(name.lower().endswith(".ann") for name in names)


@dataclass(slots=True)
class _Lines:
    """The lines of one .ann file by kind, each with its id and its place."""

    bound: list[tuple[str, str, Where]] = field(default_factory=list)
    relations: list[tuple[str, str, Where]] = field(default_factory=list)
    events: list[tuple[str, str, Where]] = field(default_factory=list)


def pairs(source: Source) -> tuple[list[tuple[str, str]], list[str]]:
    """(text, annotations) of every annotated document, and the texts without annotations; UserError without any."""
    names = [name for name in source.names() if not any(part.startswith(".") for part in name.split("/"))]
    texts = [name for name in names if name.lower().endswith(".txt")]
    known = {name[:-4]: name for name in texts}
    found = []
    for name in names:
        if name.lower().endswith(".ann"):
            if name[:-4] not in known:
                raise UserError(f"no {name[:-4]}.txt beside it", where=source.place(name))
            found.append((known.pop(name[:-4]), name))
    if not found:
        raise UserError("no .ann file here", where=source.location)
    return found, sorted(known.values())


def read(source: Source, only: str | None, reading: Reading, tally: Tally) -> Iterator[Document]:
    """A document a text, or the one that `only` names. RowError names file and line of what is wrong."""
    annotated, bare = pairs(source)
    if only is None:
        for name in bare:
            tally.add(UNANNOTATED, source.place(name))
    else:
        stem = only[:-4]
        annotated = [pair for pair in annotated if pair[0][:-4] == stem]
        if not annotated:
            raise UserError(f"no {stem}.ann beside it", where=source.place(only))
    for text, beside in annotated:
        counts = Tally()
        try:
            document = _document(source, text, beside, counts)
        except RowError as error:
            reading.refuse(error, tally)
            continue
        tally.merge(counts)
        yield document


def _document(source: Source, name: str, annotations: str, tally: Tally) -> Document:
    document = Document(_text(source, name), Where(source.place(name)), name[:-4])
    lines = _lines(source, annotations, tally)
    broken: set[str] = set()
    for key, content, where in lines.bound:
        mark = _mark(content, document.text, where)
        if mark is None:
            tally.add(DISCONTINUOUS, where)
            broken.add(key)
        elif key in document.marks:
            raise RowError(f"{key} occurs twice", where)
        else:
            document.marks[key] = mark
    events = {key for key, _, _ in lines.events}
    for _, content, where in lines.relations:
        _add_relation(document, content, where, broken, events, tally)
    for _, content, where in lines.events:
        _add_event(document, content, where, broken, events, tally)
    return document


def _text(source: Source, name: str) -> str:
    """The text as brat counts it: every character, those of line ends too; a byte order mark is none of them."""
    place = source.place(name)
    with file_reading(place), source.open_bytes(name) as stream:
        content = stream.read()
    try:
        return content.decode(source.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = "--encoding gb18030 or utf-16 reads other files"
        found = f"byte 0x{content[error.start]:02x} is no {source.encoding.upper()} text"
        raise RowError(found, Where(place, line), hint=hint) from None


def _lines(source: Source, name: str, tally: Tally) -> _Lines:
    found = _Lines()
    kinds = {"T": found.bound, "R": found.relations, "E": found.events}
    for number, line in source.lines(name):
        where = Where(source.place(name), number)
        key, _, content = line.partition("\t")
        if key[:1] in OTHERS:
            tally.add(OTHERS[key[:1]], where)
        elif key[:1] not in kinds or not content:
            raise RowError(f"an annotation (ID, tab, content) was expected, found {line[:40]!r}", where)
        else:
            kinds[key[:1]].append((key, content, where))
    return found


def _mark(content: str, text: str, where: Where) -> Marking | None:
    """The span of a T line; None for a discontinuous one."""
    head, _, words = content.partition("\t")
    found = _TEXT_BOUND.fullmatch(head.strip())
    if found is None:
        raise RowError(f"a type and offsets (TYPE START END) were expected, found {head[:40]!r}", where)
    fragments = sorted(tuple(map(int, part.split(" "))) for part in found["offsets"].split(";"))
    for (_, end), (start, _) in itertools.pairwise(fragments):
        if text[end:start].strip():
            return None
    first, last = fragments[0][0], fragments[-1][1]
    if len(fragments) > 1 and words == " ".join(text[start:end] for start, end in fragments):
        words = text[first:last]  # brat writes a blank between fragments, whatever the text has there
    return Marking(first, last, found["type"], where, words or None)


def _arguments(content: str, where: Where) -> list[tuple[str, str]]:
    found = [_ARGUMENT.fullmatch(part) for part in content.split()]
    if not all(found):
        raise RowError(f"arguments (NAME:ID) were expected, found {content[:40]!r}", where)
    return [(part["role"], part["key"]) for part in found if part]


def _fits(key: str, document: Document, broken: set[str], events: set[str], where: Where) -> str | None:
    """Why an id can be no argument, None if it can; RowError if the file does not have it."""
    if key in document.marks:
        return None
    if key in broken:
        return "a discontinuous span"
    if key in events:
        return "an event"
    raise RowError(f"{key} stands nowhere in this file", where)


def _add_relation(
    document: Document, content: str, where: Where, broken: set[str], events: set[str], tally: Tally
) -> None:
    name, _, rest = content.strip().partition(" ")
    arguments = _arguments(rest, where)
    if len(arguments) != 2:
        raise RowError(f"a relation of two arguments was expected, found {len(arguments)}", where)
    reasons = [reason for _, key in arguments if (reason := _fits(key, document, broken, events, where))]
    if reasons:
        tally.add(f"relations with {reasons[0]}", where)
        return
    document.relations.append(Relation(name, arguments[0][1], arguments[1][1]))


def _add_event(
    document: Document, content: str, where: Where, broken: set[str], events: set[str], tally: Tally
) -> None:
    parts = _arguments(content, where)
    if not parts:
        raise RowError("an event (TYPE:TRIGGER ROLE:ID ...) was expected, found nothing", where)
    (type_, trigger), arguments = parts[0], parts[1:]
    if reason := _fits(trigger, document, broken, events, where):
        tally.add(f"events whose trigger is {reason}", where)
        return
    kept = []
    for role, key in zip(_roles([role for role, _ in arguments]), [key for _, key in arguments], strict=True):
        if reason := _fits(key, document, broken, events, where):
            tally.add(f"arguments that are {reason}", where)
        else:
            kept.append((role, key))
    document.events.append(Event(type_, trigger, tuple(kept)))


def _roles(names: Sequence[str]) -> list[str]:
    """Roles without the digits that tell repeated ones apart."""
    plain = [found["role"] if (found := _NUMBERED.fullmatch(name)) else name for name in names]
    return [short if short in names else name for short, name in zip(plain, names, strict=True)]
