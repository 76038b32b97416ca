"""What every annotation tool says, in one form: texts with spans, relations, events and labels, and where they stand.

A reader (one module a tool) makes `Document`s with offsets as its tool counts them; `offsets.settle` turns them into
characters of the text; `targets` writes what a task reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clue_cli.contract import Span, Tally
from clue_cli.errors import RowError, UserError, Where
from clue_cli.lines import Bad, table_ending
from clue_cli.sources import Source

CHARACTERS, UTF16 = "characters", "utf-16"
"""What offsets may count."""


@dataclass(slots=True)
class Marking:
    """A typed span as the tool has it: `[start, end)` in the tool's own units, and the words it stored, if it did."""

    start: int
    end: int
    type: str
    where: Where
    words: str | None = None

    @property
    def span(self) -> Span:
        """The span, once its offsets count characters (`offsets.settle`)."""
        return Span(self.start, self.end, self.type)


@dataclass(frozen=True, slots=True)
class Relation:
    """`head` and `tail` are keys of `Document.marks`."""

    type: str
    head: str
    tail: str


@dataclass(frozen=True, slots=True)
class Event:
    """`trigger` and the second parts of `arguments` (role, mark) are keys of `Document.marks`."""

    type: str
    trigger: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Document:
    """One text with everything that was said of it; `marks` by the tool's own keys.

    labels: names for the whole text, None where the tool has no such thing for it.
    unit:   what the offsets count, where the form leaves no doubt.
    """

    text: str
    where: Where
    id: str | int | None = None
    marks: dict[str, Marking] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    labels: list[str] | None = None
    unit: str | None = None

    def is_empty(self) -> bool:
        """Whether nothing at all is said of the text."""
        return not (self.marks or self.relations or self.events or self.labels)


@dataclass(frozen=True, slots=True)
class Reading:
    """How exports are read.

    text_field, label_field: names of the text and of the labels for whole texts, where the export leaves a choice.
    offsets:  what the tool counted, "characters" or "utf-16"; "auto" finds out (see `offsets`).
    joiner:   how tokens of column files become a text: "none", "blank", "auto" (see `bio`).
    skip:     leave a row with an error out, and count it, instead of stopping there.
    """

    text_field: str | None = None
    label_field: str | None = None
    offsets: str = "auto"
    joiner: str = "auto"
    skip: bool = False

    def refuse(self, error: RowError, tally: Tally) -> None:
        """Count a wrong row, or raise its error."""
        if not self.skip:
            raise error
        tally.add("rows with an error", str(error))

    def bad(self, tally: Tally) -> Bad:
        """`refuse` for lines that are no rows at all."""
        return lambda error, text: self.refuse(error, tally)


def shown(value: Any) -> str:
    """A JSON value for messages, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


def object_at(value: Any, where: Where, expected: str) -> Mapping[str, Any]:
    """`value` if it is a JSON object; RowError otherwise."""
    if not isinstance(value, dict):
        raise RowError(f"{expected} was expected, found {shown(value)}", where)
    return value


def list_at(value: Any, where: Where, expected: str) -> list[Any]:
    """`value` if it is a list; RowError otherwise."""
    if not isinstance(value, list):
        raise RowError(f"{expected} was expected, found {shown(value)}", where)
    return value


def number_at(value: Any, where: Where) -> int:
    """`value` if it is a whole number from 0; RowError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RowError(f"an offset (a whole number from 0) was expected, found {shown(value)}", where)
    return value


def name_at(value: Any, where: Where, what: str = "a label") -> str:
    """A type, label or role: a text of one line that is not empty, without blanks around it. RowError otherwise."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip() or len(text.strip().splitlines()) > 1:
        raise RowError(f"{what} (a text of one line) was expected, found {shown(value)}", where)
    return text.strip()


def text_at(data: Mapping[str, Any], name: str, where: Where) -> str:
    """The text in field `name`; RowError, listing the fields found, if it is not there."""
    if name not in data:
        found = ", ".join(list(data)[:12]) or "none"
        raise RowError(f"no field {name!r}; fields found: {found}", where, hint="--text-field names the text")
    if not isinstance(data[name], str):
        raise RowError(f"a text was expected, found {shown(data[name])}", where.at(name))
    return str(data[name])


def identity(value: Any) -> str | int | None:
    """A row's own id if it is a text or a whole number, else None."""
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def refuse_table(name: str, place: str) -> None:
    """UserError for a file that is a table by its name."""
    if table_ending(name) is not None:
        hint = "rows of one text and one label need no conversion: give them a task.toml"
        raise UserError("tables are not converted: export JSON or JSON lines", where=place, hint=hint)


def entries(source: Source, name: str, bad: Bad | None = None) -> Iterable[tuple[Any, Where]]:
    """The values of a file with their places: of a JSON list (or one object), or of JSON lines; `bad` takes wrong ones.

    RowError for a file that is neither.
    """
    place = source.place(name)
    refuse_table(name, place)
    value = source.document(name)
    if value is None:
        return ((row.data, row.where) for row in source.rows(name, bad))
    if isinstance(value, list):
        return ((item, Where(place, None, f"[{number}]")) for number, item in enumerate(value))
    return [(value, Where(place, 1))]
