"""Events, and their two written forms, read and written; everything is checked against the text before it is believed.

official  [{"event_type", "trigger", "trigger_start_index", "arguments": [{"role", "argument", "argument_start_index",
          "alias"}]}]                                                  DuEE's; DuEE-fin's is the same without offsets
own       [{"event_type", "trigger": {"text", "start", "end"} or null, "arguments": [{"role", "text", "start", "end"}],
          "probability"?}]                                             ours and users' own data; ends exclusive

Offsets count Unicode characters of the text. Where a file gives none, words are located (`locate`).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

from clue_cli.errors import RowError, Where
from tasks.families.event_schema import Schema, check_name
from tasks.families.location import occurrences
from tasks.families.values import kind, probability_in, rounded

NOWHERE = -1
"""The start of words that stand nowhere in the text, and of values of an enumerated role."""


class Mention(NamedTuple):
    """Words of the text from character `start` on; without words: there is none."""

    text: str = ""
    start: int = NOWHERE

    @property
    def end(self) -> int:
        """The character behind it, `NOWHERE` for words without a place."""
        return NOWHERE if self.start == NOWHERE else self.start + len(self.text)


class Argument(NamedTuple):
    """Words with a role in an event; `start` as in `Mention`; `wordings` say the same and count as well."""

    role: str
    text: str
    start: int = NOWHERE
    wordings: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        """The character behind it, `NOWHERE` for words without a place."""
        return NOWHERE if self.start == NOWHERE else self.start + len(self.text)


class Event(NamedTuple):
    """An event of the text; `trigger` is an empty `Mention` where there is none."""

    type: str
    trigger: Mention
    arguments: tuple[Argument, ...]


def locate(text: str, words: Sequence[str], anchor: int | None, centre: int | None = None) -> list[int]:
    """Where the words of one event stand in `text`: places that lie near each other.

    One of them (`anchor`, the trigger; None: that of the fewest occurrences) is tried at every place it has; all others
    are taken where they begin nearest to it, the earlier of two. The place with the smallest sum of distances wins, the
    earlier of equals. `centre` is a place that is known already, and the only one tried. `NOWHERE` for words that are
    not in the text.
    """
    places = [[start for start, _ in occurrences(text, some)] for some in words]
    if centre is not None:
        return [_nearest(found, centre) for found in places]
    if anchor is None or not places[anchor]:
        present = [index for index, found in enumerate(places) if found]
        if not present:
            return [NOWHERE] * len(words)
        anchor = min(present, key=lambda index: (len(places[index]), index))
    tried = [(start, [_nearest(found, start) for found in places]) for start in places[anchor]]
    distances = [sum(abs(near - start) for near in starts if near != NOWHERE) for start, starts in tried]
    return tried[distances.index(min(distances))][1]


def _nearest(starts: Sequence[int], centre: int) -> int:
    place = bisect_left(starts, centre)
    around = starts[max(0, place - 1) : place + 1]
    return min(around, key=lambda start: abs(start - centre), default=NOWHERE)


class _Words(NamedTuple):
    """Words as a row gives them: `start` None where it says nothing."""

    text: str
    start: int | None
    place: Where


@dataclass(frozen=True)
class EventReader:
    """Reads the events of one row.

    offsets: whether the offsets that the official form gives count characters of `text`; else they are not looked at.
    gold:    whether it reads gold: then words must be where an offset says (without an offset: anywhere in the text,
             unless the form has none), and an event has a trigger where its type has one. Other programs' predictions
             may hold anything; what is not in the text (at its offset) or the schema is wrong, not refused.
    wrong:   what of a prediction the schema lacks or is not where its offset says, in order; filled while reading.
    """

    schema: Schema
    text: str
    where: Where
    field: str
    offsets: bool = True
    gold: bool = True
    wrong: list[RowError] = dataclass_field(default_factory=list)

    def official(self, value: Any) -> tuple[Event, ...]:
        """The events of the official form, in order; RowError names what is wrong."""
        found = []
        for position, entry in enumerate(self._list(value)):
            path = (self.field, position)
            type_ = self._type(entry, *path)
            words = [] if (trigger := self._official_trigger(entry, type_, path)) is None else [trigger]
            roles = []
            for number, argument in enumerate(self._arguments(entry, path)):
                place = (*path, "arguments", number)
                role = self._role(argument, type_, place)
                roles.append((role, _wordings(argument.get("alias"), self.where.at(*place, "alias"))))
                words.append(self._words(argument, "argument", "argument_start_index", place))
            found.append(self._event(type_, trigger is not None, roles, words))
        return tuple(found)

    def own(self, value: Any) -> tuple[tuple[Event, float | None], ...]:
        """The events of our own form with their probabilities; RowError names what is wrong."""
        found = []
        for position, entry in enumerate(self._list(value)):
            path = (self.field, position)
            type_ = self._type(entry, *path)
            trigger = entry.get("trigger")
            self._check_trigger(trigger is not None, type_, (*path, "trigger"))
            words = [] if trigger is None else [self._own_words(trigger, (*path, "trigger"))]
            roles: list[tuple[str, tuple[str, ...]]] = []
            for number, argument in enumerate(self._arguments(entry, path)):
                place = (*path, "arguments", number)
                roles.append((self._role(argument, type_, place), ()))
                words.append(self._own_words(argument, place))
            event = self._event(type_, trigger is not None, roles, words)
            found.append((event, probability_in(entry.get("probability"), self.where.at(*path, "probability"))))
        return tuple(found)

    # ---------------------------------------------------------------- parts of an entry

    def _list(self, value: Any) -> list[Any]:
        if isinstance(value, str):  # a csv cell
            try:
                value = json.loads(value)
            except ValueError:
                place = self.where.at(self.field)
                raise RowError(f"a list of events was expected, found {kind(value)}", place) from None
        if not isinstance(value, list):
            raise RowError(f"a list of events was expected, found {kind(value)}", self.where.at(self.field))
        return value

    def _type(self, entry: Any, *path: Any) -> str:
        if not isinstance(entry, dict):
            raise RowError(f"an event was expected, found {kind(entry)}", self.where.at(*path))
        place = self.where.at(*path, "event_type")
        hint = "types are those of the schema (*schema*.json) in the directory of data or gold, else the official"
        return self._known(entry.get("event_type"), tuple(self.schema.roles), "event type", place, hint)

    def _known(self, name: Any, known: Sequence[str], what: str, place: Where, hint: str | None = None) -> str:
        """`name` if it is one of `known`, in predictions any text; RowError for anything else."""
        try:
            return check_name(name, known, what, place)
        except RowError as error:
            if not isinstance(name, str):
                raise
            told = RowError(error.message, place, hint=hint)
            if self.gold:
                raise told from None
            self.wrong.append(told)
            return name

    def _arguments(self, entry: dict[str, Any], path: tuple[Any, ...]) -> list[Any]:
        arguments = entry.get("arguments")
        if not isinstance(arguments, list):
            place = self.where.at(*path, "arguments")
            raise RowError(f"a list of arguments was expected, found {kind(arguments)}", place)
        return arguments

    def _role(self, argument: Any, type_: str, path: tuple[Any, ...]) -> str:
        if not isinstance(argument, dict):
            raise RowError(f"an argument was expected, found {kind(argument)}", self.where.at(*path))
        place, role = self.where.at(*path, "role"), argument.get("role")
        if type_ not in self.schema.roles and isinstance(role, str):  # nothing of such an event is right anyway
            return role
        return self._known(role, self.schema.roles.get(type_, ()), f"role of {type_}", place)

    def _official_trigger(self, entry: dict[str, Any], type_: str, path: tuple[Any, ...]) -> _Words | None:
        given = entry.get("trigger") is not None
        self._check_trigger(given, type_, (*path, "trigger"))
        return self._words(entry, "trigger", "trigger_start_index", path) if given else None

    def _check_trigger(self, given: bool, type_: str, path: tuple[Any, ...]) -> None:
        if not self.gold or given == self.schema.triggered(type_):
            return
        if given:
            raise RowError(f"the schema says that events of {type_} have no trigger", self.where.at(*path))
        hint = '"trigger": false in the schema is for types whose events have none'
        raise RowError(f"an event of {type_} has no trigger", self.where.at(*path), hint=hint)

    def _words(self, entry: dict[str, Any], name: str, index: str, path: tuple[Any, ...]) -> _Words:
        """Words and start of the official form."""
        words, place = entry.get(name), self.where.at(*path, name)
        if not isinstance(words, str) or (not words and self.gold):
            raise RowError(f"words of the text were expected, found {kind(words)}", place)
        start = entry.get(index) if self.offsets else None
        if start is not None:
            self._check_place(words, start, self.where.at(*path, index))
        return _Words(words, start, place)

    def _own_words(self, entry: Any, path: tuple[Any, ...]) -> _Words:
        """Words and start of our own form; the words may be left out where the offsets say which they are."""
        place = self.where.at(*path)
        if not isinstance(entry, dict):
            raise RowError(f'{{"text", "start", "end"}} was expected, found {kind(entry)}', place)
        words, start, end = (entry.get(name) for name in ("text", "start", "end"))
        if words is None and isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(self.text):
            words = self.text[start:end]
        if not isinstance(words, str) or not words:
            raise RowError(f"words of the text were expected, found {kind(words)}", self.where.at(*path, "text"))
        if start is not None:
            self._check_place(words, start, self.where.at(*path, "start"))
            if end is not None and (isinstance(end, bool) or end != start + len(words)):
                hint = "ends are exclusive in this form"
                expected = f"{start + len(words)} was expected, where {words!r} ends"
                raise RowError(f"{expected}, found {kind(end)}", self.where.at(*path, "end"), hint=hint)
        return _Words(words, start, place)

    def _check_place(self, words: str, start: Any, place: Where) -> None:
        if not isinstance(start, int) or isinstance(start, bool):
            raise RowError(f"a whole number was expected, found {kind(start)}", place)
        if start >= 0 and self.text[start : start + len(words)] == words:
            return
        there = self.text[max(start, 0) : max(start, 0) + len(words)]
        hint = f"it stands at character {self.text.find(words)}" if words in self.text else "it is not in the text"
        if words in self.text and any(ord(character) > 0xFFFF for character in self.text):
            hint = "offsets count Unicode characters; one emoji is one, not two"
        error = RowError(f"at character {start} the text has {there!r}, not {words!r}", place, hint=hint)
        if self.gold:
            raise error
        self.wrong.append(error)

    def _event(
        self, type_: str, triggered: bool, roles: Sequence[tuple[str, tuple[str, ...]]], words: Sequence[_Words]
    ) -> Event:
        """The event of a trigger (the first of `words`, if `triggered`) and arguments, all of them located."""
        enumerated = [self.schema.values(type_, role) for role, _ in roles]
        starts: dict[int, int] = {}
        for index, (role, _) in enumerate(roles):
            if enumerated[index]:
                self._known(
                    words[index + triggered].text, enumerated[index], f"value of {role}", words[index + triggered].place
                )
                starts[index + triggered] = NOWHERE
        starts |= {
            index: some.start for index, some in enumerate(words) if some.start is not None and index not in starts
        }
        open_ = [index for index in range(len(words)) if index not in starts]
        if open_:
            starts |= self._located(words, open_, triggered)
        trigger = Mention(words[0].text, starts[0]) if triggered else Mention()
        arguments = (
            Argument(role, words[index + triggered].text, starts[index + triggered], wordings)
            for index, (role, wordings) in enumerate(roles)
        )
        return Event(type_, trigger, tuple(dict.fromkeys(arguments)))

    def _located(self, words: Sequence[_Words], open_: Sequence[int], triggered: bool) -> dict[int, int]:
        anchor, centre = (0 if 0 in open_ else None, words[0].start) if triggered else (None, None)
        found = locate(self.text, [words[index].text for index in open_], anchor, centre)
        starts = dict(zip(open_, found, strict=True))
        for index in open_:
            if starts[index] == NOWHERE and self.gold and self.offsets:
                raise RowError(f"{words[index].text!r} is not in the text", words[index].place)
        return starts


def _wordings(value: Any, place: Where) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(words, str) and words for words in value):
        raise RowError(f"a list of other wordings was expected, found {kind(value)}", place)
    return tuple(value)


def write_own(events: Sequence[Event], probabilities: Sequence[float] | None) -> list[dict[str, Any]]:
    """Events in our own form, with their probabilities where wanted; null for a place that there is not."""
    written = []
    for position, event in enumerate(events):
        trigger = {"text": event.trigger.text, **_place(event.trigger)} if event.trigger.text else None
        arguments = [{"role": some.role, "text": some.text, **_place(some)} for some in event.arguments]
        entry: dict[str, Any] = {"event_type": event.type, "trigger": trigger, "arguments": arguments}
        if probabilities is not None:
            entry["probability"] = rounded(probabilities[position])
        written.append(entry)
    return written


def _place(some: Mention | Argument) -> dict[str, int | None]:
    return {"start": None, "end": None} if some.start == NOWHERE else {"start": some.start, "end": some.end}


def write_submission(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Events as the official prediction files want them: without triggers and places."""
    return [
        {
            "event_type": event.type,
            "arguments": [{"role": some.role, "argument": some.text} for some in event.arguments],
        }
        for event in events
    ]
