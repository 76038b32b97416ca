"""Events as linked spans, and linked spans as events (GPLinker: Su 2022, kexue.fm 8926).

An event is a set of typed spans (its arguments, and its trigger where its type has one) any two of which are linked.
Links know places, not types: that two places belong together. So the events of a type are the maximal cliques of the
graph whose nodes are the type's spans; what a place is to one event it may be to others.

Two spans that no event can have together are never linked: two triggers, two values of one enumerated role.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from tasks.families import cliques
from tasks.families.alignment import Borders, Deciding
from tasks.families.event_forms import NOWHERE, Argument, Event, Mention
from tasks.families.event_schema import Schema, Slot

Place = tuple[int, int]
"""Characters [start, end)."""
Link = tuple[Place, Place]
"""Two places that belong together, in ascending order; a place with itself where one event has it in two roles."""


class Part(NamedTuple):
    """A typed span: characters [start, end) and the slot that they fill."""

    start: int
    end: int
    slot: Slot

    @property
    def place(self) -> Place:
        """Its characters."""
        return self.start, self.end


def link(first: Place, second: Place) -> Link:
    """The link of two places, in whatever order they are given."""
    return (first, second) if first <= second else (second, first)


def parts_of(event: Event, schema: Schema) -> tuple[list[Part], int]:
    """The typed spans of an event, each once, and how many of its words have no place in the text.

    The value of an enumerated role is marked on the trigger.
    """
    trigger = event.trigger
    parts = [Part(trigger.start, trigger.end, Slot(event.type))] if trigger.text and trigger.start != NOWHERE else []
    lost = 1 if trigger.text and not parts else 0
    for argument in event.arguments:
        chosen = bool(schema.values(event.type, argument.role))
        source = trigger if chosen else argument
        if source.start == NOWHERE:
            lost += 1
            continue
        slot = Slot(event.type, argument.role, argument.text if chosen else "")
        parts.append(Part(source.start, source.end, slot))
    return list(dict.fromkeys(parts)), lost


def links_of(parts: Iterable[Part]) -> set[Link]:
    """The links of one event: between any two of its parts, a place with itself where it is two of them."""
    return {link(first.place, second.place) for first, second in itertools.combinations(parts, 2)}


class Answer(NamedTuple):
    """Events, the parts that each is made of, and whether the search for them went to its end."""

    events: list[Event]
    groups: list[tuple[Part, ...]]
    complete: bool


def put_together(
    parts: Collection[Part],
    links: Iterable[Link],
    schema: Schema,
    text: str,
    windows: Sequence[Borders],
    *,
    places: bool,
) -> Answer:
    """The events of a text from the parts and links found in its windows; see `assemble` and `without_contained`."""
    groups, complete = assemble(parts, links, schema, apart=out_of_sight(windows))
    events = [event_of(group[0].slot.type, group, text) for group in groups]
    kept = without_contained(events, places=places)
    return Answer([events[i] for i in kept], [groups[i] for i in kept], complete)


def out_of_sight(windows: Sequence[Borders]) -> Callable[[Place, Place], bool] | None:
    """Whether no window holds two places both; None for a single window, which holds them all."""
    if len(windows) < 2:
        return None
    deciding = Deciding(windows)

    def apart(first: Place, second: Place) -> bool:
        return deciding.window(min(first[0], second[0]), max(first[1], second[1])) is None

    return apart


def assemble(
    parts: Collection[Part],
    links: Iterable[Link],
    schema: Schema,
    *,
    apart: Callable[[Place, Place], bool] | None = None,
    budget: int = cliques.BUDGET,
) -> tuple[list[tuple[Part, ...]], bool]:
    """The parts of each event that linked parts make, and whether these are all of them.

    Types come in the order of the schema, then events by their parts. What has no trigger is no event where the type
    has one. `apart` says of two places that nobody can have seen both (no window holds them); such parts of one type
    count as linked if a third part of it is linked with both. `budget` bounds the steps of all searches together.
    """
    by_type: dict[str, list[Part]] = defaultdict(list)
    for part in sorted(set(parts), key=lambda part: (part.start, part.end, schema.slot_index[part.slot])):
        by_type[part.slot.type].append(part)
    edges = _edges(by_type, links)
    groups: list[tuple[Part, ...]] = []
    complete = True
    for type_ in schema.roles:
        if type_ not in by_type:
            continue
        nodes = by_type[type_]
        bridges = _bridges(nodes, edges[type_], apart) if apart is not None else []
        found = cliques.maximal_cliques(len(nodes), edges[type_] + bridges, budget)
        budget -= found.steps
        complete &= found.complete
        for clique in found.cliques:
            group = tuple(nodes[node] for node in clique)
            if not schema.triggered(type_) or any(not part.slot.role for part in group):
                groups.append(group)
    return groups, complete


def _edges(by_type: Mapping[str, Sequence[Part]], links: Iterable[Link]) -> dict[str, list[tuple[int, int]]]:
    """For each type the pairs of its parts that are linked, as positions in its list."""
    at: dict[Place, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for type_, parts in by_type.items():
        for node, part in enumerate(parts):
            at[part.place][type_].append(node)
    edges: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for first, second in links:
        if first not in at or second not in at:
            continue
        for type_, nodes in at[first].items():
            for node, other in itertools.product(nodes, at[second].get(type_, ())):
                if not _exclude(by_type[type_][node].slot, by_type[type_][other].slot):
                    edges[type_].append((node, other))
    return edges


def _bridges(
    nodes: Sequence[Part], edges: Iterable[tuple[int, int]], apart: Callable[[Place, Place], bool]
) -> list[tuple[int, int]]:
    """The pairs of parts that are `apart` and both linked with a third one."""
    neighbours: dict[int, set[int]] = defaultdict(set)
    for first, second in edges:
        neighbours[first].add(second)
        neighbours[second].add(first)
    seen = {
        (first, second)
        for between in neighbours.values()
        for first, second in itertools.combinations(sorted(between), 2)
        if second not in neighbours[first] and not _exclude(nodes[first].slot, nodes[second].slot)
    }
    return sorted(pair for pair in seen if apart(nodes[pair[0]].place, nodes[pair[1]].place))


def _exclude(first: Slot, second: Slot) -> bool:
    """Whether no event can have both: it has one trigger, and one value of an enumerated role."""
    return first.role == second.role and bool(not first.role or first.value)


def event_of(type_: str, parts: Sequence[Part], text: str) -> Event:
    """The event that parts make; its words are cut from the text, its arguments in the order of `parts`."""
    trigger = Mention()
    arguments = []
    for start, end, slot in parts:
        if not slot.role:
            trigger = Mention(text[start:end], start)
        elif slot.value:
            arguments.append(Argument(slot.role, slot.value))
        else:
            arguments.append(Argument(slot.role, text[start:end], start))
    return Event(type_, trigger, tuple(arguments))


def without_contained(events: Sequence[Event], *, places: bool) -> list[int]:
    """The positions of the events that stand, in order: those that another one of their type contains do not.

    With `places` an event is its trigger and its arguments where they stand; without, the words of its arguments alone,
    as where data give no offsets. Of equal events the first stands.
    """
    sets = [(event.type, _compared(event, places)) for event in events]
    holders: dict[tuple[str, object], int] = defaultdict(int)
    for index, (type_, own) in enumerate(sets):
        for element in (None, *own):
            holders[type_, element] |= 1 << index
    kept = []
    for index, (type_, own) in enumerate(sets):
        above = holders[type_, None] & ~(1 << index)
        for element in own:
            above &= holders[type_, element]
        # Equal events hold each other: the first of them stands.
        if not any(other < index or len(sets[other][1]) > len(own) for other in cliques.bits(above)):
            kept.append(index)
    return kept


def _compared(event: Event, places: bool) -> frozenset[tuple[str, str, int]]:
    if not places:
        return frozenset((some.role, some.text, NOWHERE) for some in event.arguments)
    trigger = [("", event.trigger.text, event.trigger.start)] if event.trigger.text else []
    return frozenset([*trigger, *((some.role, some.text, some.start) for some in event.arguments)])
