"""What events there can be: types, their roles, roles that are chosen from a list, types without a trigger.

The file form is that of DuEE and DuEE-fin, one type a line; `enum_items` and `trigger` may be left out:

    {"event_type": "公司上市", "trigger": true,
     "role_list": [{"role": "上市公司"}, {"role": "环节", "enum_items": ["筹备上市", "正式上市"]}]}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from clue_cli.errors import RowError, Where, did_you_mean
from clue_cli.sources import Row
from tasks.families.values import kind

MANY_NAMES = 20
"""From here on a message about an unknown name does not list all that are known."""


class Slot(NamedTuple):
    """What a span can be: an argument of `role` in an event of `type`, its trigger (`role` empty), or the place where
    the `value` of an enumerated role is marked, which is the trigger's."""

    type: str
    role: str = ""
    value: str = ""


@dataclass(frozen=True)
class Schema:
    """Event types and what belongs to them.

    roles:       type -> its roles, in order.
    enumerated:  type -> role -> the values one of which it takes: such an argument is a choice, not a piece of text.
    untriggered: types whose events have no trigger.
    """

    roles: Mapping[str, tuple[str, ...]]
    enumerated: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    untriggered: tuple[str, ...] = ()

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """What spans can be, in the order of a head's types: all roles first, then the triggers."""
        return self.role_slots + tuple(Slot(type_) for type_ in self.roles if self.triggered(type_))

    @cached_property
    def role_slots(self) -> tuple[Slot, ...]:
        """The slots without the triggers; an enumerated role has one for each of its values."""
        return tuple(
            Slot(type_, role, value)
            for type_, roles in self.roles.items()
            for role in roles
            for value in self.values(type_, role) or ("",)
        )

    @cached_property
    def slot_index(self) -> dict[Slot, int]:
        """Slot -> its place in `slots`."""
        return {slot: index for index, slot in enumerate(self.slots)}

    def triggered(self, type_: str) -> bool:
        """Whether events of this type have a trigger."""
        return type_ not in self.untriggered

    def values(self, type_: str, role: str) -> tuple[str, ...]:
        """The values of an enumerated role; none for any other."""
        return tuple(self.enumerated.get(type_, {}).get(role, ()))

    def rows(self) -> list[dict[str, Any]]:
        """The schema in the file form, as JSON values: the inverse of `read_schema`."""
        rows = []
        for type_, roles in self.roles.items():
            row: dict[str, Any] = {"event_type": type_, "role_list": []}
            for role in roles:
                values = self.values(type_, role)
                row["role_list"].append({"role": role} | ({"enum_items": list(values)} if values else {}))
            rows.append(row | ({} if self.triggered(type_) else {"trigger": False}))
        return rows

    def same(self, other: Schema) -> bool:
        """Whether the other one says the same, whatever the order of types and roles."""
        return bool(_unordered(self) == _unordered(other))


def _unordered(schema: Schema) -> Any:
    return {
        type_: (schema.triggered(type_), {role: frozenset(schema.values(type_, role)) for role in roles})
        for type_, roles in schema.roles.items()
    }


def roles_of(block: str) -> dict[str, tuple[str, ...]]:
    """Types and roles from lines of `type: role role role`; a line without a colon goes on with the one before."""
    found: dict[str, tuple[str, ...]] = {}
    type_ = ""
    for line in filter(None, map(str.strip, block.split("\n"))):
        head, colon, rest = line.partition(": ")
        type_ = head if colon else type_
        found[type_] = found.get(type_, ()) + tuple((rest if colon else line).split())
    return found


def read_schema(rows: Iterable[Row]) -> Schema:
    """A schema from the rows of its file; RowError, naming line and field, for what is wrong or repeated."""
    roles: dict[str, tuple[str, ...]] = {}
    enumerated: dict[str, dict[str, tuple[str, ...]]] = {}
    untriggered: list[str] = []
    for row in rows:
        type_ = _name(row.data.get("event_type"), row, "event_type")
        if type_ in roles:
            raise RowError(f"event type {type_!r} occurs twice", row.at("event_type"))
        listed = row.data.get("role_list")
        if not isinstance(listed, list):
            raise RowError(f'[{{"role": ...}}, ...] was expected, found {kind(listed)}', row.at("role_list"))
        roles[type_] = ()
        for position, entry in enumerate(listed):
            place = f"role_list[{position}]"
            if not isinstance(entry, dict):
                raise RowError(f'{{"role": ...}} was expected, found {kind(entry)}', row.at(place))
            role = _name(entry.get("role"), row, f"{place}.role")
            if role in roles[type_]:
                raise RowError(f"role {role!r} of {type_!r} occurs twice", row.at(f"{place}.role"))
            roles[type_] += (role,)
            if "enum_items" in entry:
                enumerated.setdefault(type_, {})[role] = _values(entry["enum_items"], row, f"{place}.enum_items")
        if not isinstance(row.data.get("trigger", True), bool):
            raise RowError(f"true or false was expected, found {kind(row.data['trigger'])}", row.at("trigger"))
        if row.data.get("trigger") is False:
            untriggered.append(type_)
            if type_ in enumerated:
                found = f"{type_!r} has an enumerated role, which is marked on the trigger, and no trigger"
                raise RowError(found, row.at("trigger"))
    return Schema(roles, enumerated, tuple(untriggered))


def _name(value: Any, row: Row, field_: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"a name was expected, found {kind(value)}", row.at(field_))
    return value


def _values(value: Any, row: Row, field_: str) -> tuple[str, ...]:
    texts = isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)
    if not texts or len(set(value)) != len(value):
        raise RowError(f"a list of different names was expected, found {kind(value)}", row.at(field_))
    return tuple(value)


def check_name(name: Any, known: Sequence[str], what: str, place: Where) -> str:
    """`name` if it is one of `known`; RowError with the nearest ones if not."""
    if not isinstance(name, str):
        raise RowError(f"the {what} must be a string, found {kind(name)}", place)
    if name in known:
        return name
    if len(known) <= MANY_NAMES:
        raise RowError(did_you_mean(name, known, what), place)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    raise RowError(
        f"unknown {what} {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else f"there are {len(known)}"),
        place,
    )
