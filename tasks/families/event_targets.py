"""What a head is to learn of the events of a text, window by window; what it cannot learn is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from clue_cli.contract import Example, Span, Tally
from tasks.families import entities, event_links
from tasks.families.alignment import Borders
from tasks.families.event_forms import Event, Mention
from tasks.families.event_links import Link, Part
from tasks.families.event_schema import Schema
from tasks.families.merging import TypedSpan, longest_apart

NOWHERE = "arguments and triggers that are not in the text"
REASONS = {
    entities.CUT: "arguments and triggers whose borders fall inside a token",
    entities.DROPPED: "arguments and triggers that begin or end with characters the tokenizer drops",
    entities.NO_WINDOW: "arguments and triggers that no window holds",
}
OVERLAPPING = "overlapping arguments a flat head cannot learn"
APART = "events with arguments that no window holds together"
ENTANGLED = "events that links cannot tell from others of their type"

Targets = list[dict[str, np.ndarray]]
"""One mapping of targets a window."""
WithinReach = list[tuple[list[Part], bool]]
"""The parts of each gold event that can be learned, and whether these are the whole event."""


def linked_targets(example: Example, schema: Schema, windows: list[Borders], tally: Tally, *, places: bool) -> Targets:
    """`spans` (K, 3) and `links` (M, 4) of each window, tokens inclusive; see `Events.features`.

    Counted: words out of reach, and the events within reach that a perfect model's answer does not give back.
    """
    gold = within_reach(example, schema, windows, tally, triggers=True)
    linked: set[Link] = set()
    targets: Targets = []
    for window in windows:
        spans: set[tuple[int, ...]] = set()
        links: set[tuple[int, ...]] = set()
        for parts, _ in gold:
            tokens = {part.place: found for part in parts if (found := window.tokens(*part.place)) is not None}
            held = [part for part in parts if part.place in tokens]
            spans |= {(schema.slot_index[part.slot], *tokens[part.place]) for part in held}
            own = event_links.links_of(held)
            links |= {(*tokens[first], *tokens[second]) for first, second in own}
            linked |= own
        targets.append({"spans": _rows(spans, 3), "links": _rows(links, 4)})
    _count_lost(example, gold, linked, schema, windows, tally, places=places)
    return targets


def flat_targets(example: Example, schema: Schema, windows: list[Borders], tally: Tally) -> Targets:
    """`spans` (K, 3) of each window for a head that tags arguments only, none overlapping another.

    The longest of overlapping ones is learned (then the earliest, then the first slot); the others are counted.
    """
    gold = within_reach(example, schema, windows, tally, triggers=False)
    parts = {(*part.place, schema.slot_index[part.slot]) for own, _ in gold for part in own}
    learned: set[TypedSpan] = set()
    targets: Targets = []
    for window in windows:
        held = {span: tokens for span in parts if (tokens := window.tokens(*span[:2])) is not None}
        kept = longest_apart(held)
        learned.update(kept)
        targets.append({"spans": _rows({(span[2], *held[span]) for span in kept}, 3)})
    tally.add(OVERLAPPING, example.where, len(parts) - len(learned))
    return targets


def within_reach(
    example: Example, schema: Schema, windows: list[Borders], tally: Tally, *, triggers: bool
) -> WithinReach:
    """The parts of each gold event as they can be learned, and whether these are all of it, exactly.

    What is out of reach is counted in `tally`: a place in a slot once, however many events share it.
    """
    found: WithinReach = []
    seen: dict[Part, tuple[str | None, Part | None]] = {}
    for event in example.gold:
        parts, lost = event_links.parts_of(event, schema)
        tally.add(NOWHERE, example.where, lost)
        own: list[Part] = []
        for part in parts:
            if not part.slot.role and not triggers:
                continue
            if part not in seen:
                reason, inner = entities.reachable(Span(part.start, part.end, ""), windows)
                seen[part] = reason, None if inner is None else Part(*inner, part.slot)
                if reason is not None:
                    tally.add(REASONS[reason], example.where)
            reason, learned = seen[part]
            lost += reason is not None
            if learned is not None and learned not in own:
                own.append(learned)
        found.append((own, not lost))
    return found


def _count_lost(
    example: Example,
    gold: WithinReach,
    linked: set[Link],
    schema: Schema,
    windows: Sequence[Borders],
    tally: Tally,
    *,
    places: bool,
) -> None:
    parts = {part for own, _ in gold for part in own}
    answer = event_links.put_together(parts, linked, schema, example.texts[0], windows, places=places)
    right = {event_key(event) for event in answer.events}
    for event, (own, exact) in zip(example.gold, gold, strict=True):
        if exact and event_key(event) not in right:
            tally.add(ENTANGLED if event_links.links_of(own) <= linked else APART, example.where)


def event_key(event: Event) -> tuple[str, Mention, frozenset[tuple[str, str, int]]]:
    """What makes two events the same: type, trigger, and the set of (role, words, start) of its arguments."""
    return event.type, event.trigger, frozenset((some.role, some.text, some.start) for some in event.arguments)


def _rows(found: Iterable[tuple[int, ...]], width: int) -> np.ndarray:
    return np.array(sorted(found), dtype=np.int32).reshape(-1, width)
