"""Events to targets and back: what can be learned, what cannot and is counted, and how linked spans become events."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import example as example_of
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from clue_cli.contract import Answering, Limits, Prediction, Tally
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.registry import find_task
from clue_cli.sources import Source
from tasks.families import event_links
from tasks.families.alignment import align
from tasks.families.cliques import maximal_cliques
from tasks.families.event_forms import Argument, Event, Mention
from tasks.families.event_links import Part, assemble, link, links_of, parts_of, without_contained
from tasks.families.event_schema import Schema, Slot
from tasks.families.event_targets import APART, ENTANGLED, NOWHERE, OVERLAPPING, REASONS
from tasks.families.events import LINKS_DROPPED, SEARCH, SPANS_DROPPED, Events
from tests.tasks.event_cases import (
    MINI_ZH,
    TASK,
    UNPLACED,
    WIDE,
    answered,
    by_example,
    event,
    example,
    keys,
    oracle,
    row,
    spans_of,
)  # fmt: skip

FLAT = Answering(flat=True)


@pytest.fixture(scope="module")
def characters() -> HFTextEncoder:
    """The shipped tokenizer: Chinese characters and digits one by one, Latin word pieces, lower case."""
    return HFTextEncoder(AutoTokenizer.from_pretrained(MINI_ZH), takes_segments=False)


# -------------------------------------------------------------------- gold to targets to gold

TEXT = "甲公司昨日收购乙公司，又收购丙公司；丁公司上市，甲公司停产"
ODD = "😀ＡＢ 公司e\u0301收购👨‍👩‍👧乙"
CASES: dict[str, tuple[str, list[Event]]] = {
    "one event": (TEXT, [event(TEXT, "收购", "收购", ("买方", "甲公司"), ("标的", "乙公司"), ("时间", "昨日"))]),
    "two of one type share an argument": (TEXT, [
        event(TEXT, "收购", "收购", ("买方", "甲公司"), ("标的", "乙公司"), ("时间", "昨日")),
        event(TEXT, "收购", ("收购", 12), ("买方", "甲公司"), ("标的", "丙公司")),
    ]),
    "two of one type share the trigger": (TEXT, [
        event(TEXT, "收购", "收购", ("标的", "乙公司")),
        event(TEXT, "收购", "收购", ("标的", "丙公司")),
    ]),
    "two types share trigger and arguments": (TEXT, [
        event(TEXT, "收购", "上市", ("买方", "丁公司"), ("标的", "乙公司")),
        event(TEXT, "上市", "上市", ("公司", "丁公司"), ("公司", "乙公司")),
    ]),
    "one span in two roles": (TEXT, [
        event(TEXT, "收购", "收购", ("买方", "甲公司"), ("卖方", "甲公司"), ("标的", "乙公司")),
    ]),
    "an argument on the trigger": (TEXT, [event(TEXT, "收购", "收购", ("标的", "收购"), ("买方", "甲公司"))]),
    "a role several times": (TEXT, [event(TEXT, "收购", "收购", ("标的", "乙公司"), ("标的", "丙公司"))]),
    "the same words at two places": (TEXT, [
        event(TEXT, "收购", "收购", ("买方", "甲公司"), ("标的", "乙公司")),
        event(TEXT, "停产", "", ("公司", "甲公司", 24)),
    ]),
    "the same words at two places of one event": (TEXT, [
        event(TEXT, "收购", "收购", ("买方", "甲公司"), ("买方", "甲公司", 24))
    ]),
    "nested and overlapping arguments": (TEXT, [
        event(TEXT, "收购", "收购", ("买方", "甲公司"), ("买方", "公司"), ("标的", "公司昨"), ("时间", "昨日收")),
    ]),
    "an enumerated value": (TEXT, [event(TEXT, "上市", "上市", ("公司", "丁公司"), ("环节", "正式上市"))]),
    "two stages on one trigger": (TEXT, [
        event(TEXT, "上市", "上市", ("公司", "丁公司"), ("环节", "正式上市")),
        event(TEXT, "上市", "上市", ("公司", "甲公司"), ("环节", "筹备上市")),
    ]),
    "no argument": (TEXT, [event(TEXT, "收购", "收购"), event(TEXT, "上市", "上市")]),
    "none": (TEXT, []),
    "emoji, full-width, combining": (ODD, [
        event(ODD, "收购", "收购", ("买方", "ＡＢ 公司"), ("卖方", "e\u0301"), ("标的", "乙")),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("limits", [WIDE, Limits(20, 16)], ids=["one window", "windows"])
@pytest.mark.parametrize("name", CASES)
def test_gold_becomes_targets_becomes_gold(name: str, limits: Limits, characters: HFTextEncoder) -> None:
    text, gold = CASES[name]
    one, tally = example(text, *gold), Tally()
    [features] = by_example(TASK, [one], characters, limits, tally)
    found = answered(TASK, one, features)
    lost = keys(gold) - keys(found)
    assert len(lost) == sum(tally.counts.values())
    assert set(tally.counts) <= ({APART} if limits is not WIDE else set())
    if limits is WIDE:
        assert keys(found) >= keys(gold)
        assert len(found) == len(gold) or name == "two stages on one trigger"  # whose arguments fit either stage
        assert all(some.text == text[some.start : some.end] for e in found for some in e.arguments if some.start >= 0)


def test_targets_by_hand(characters: HFTextEncoder) -> None:
    text = "甲收购乙"
    one = example(text, event(text, "收购", "收购", ("买方", "甲"), ("卖方", "甲"), ("标的", "乙")))
    [[feature]] = by_example(TASK, [one], characters, WIDE)
    slots = TASK.known.slot_index
    first, trigger, last = (1, 1), (2, 3), (4, 4)  # tokens, after [CLS]
    assert feature.targets["spans"].tolist() == sorted(
        [[slots[Slot("收购", "买方")], *first], [slots[Slot("收购", "卖方")], *first],
         [slots[Slot("收购", "标的")], *last], [slots[Slot("收购")], *trigger]]
    )  # fmt: skip
    assert feature.targets["links"].tolist() == [
        [*first, *first], [*first, *trigger], [*first, *last], [*trigger, *last]
    ]  # fmt: skip
    assert {array.dtype for array in feature.targets.values()} == {np.dtype(np.int32)}
    batch = TASK.collate([feature, feature])
    assert (batch["spans"].shape, batch["links"].shape) == ((8, 4), (8, 5))
    assert batch["links"][:, 0].tolist() == [0] * 4 + [1] * 4
    [[bare]] = by_example(TASK, [example(text)], characters, WIDE)
    assert (bare.targets["spans"].shape, bare.targets["links"].shape) == ((0, 3), (0, 4))
    unlabelled = type(one)(0, None, (text,), None, {}, one.where)
    [[without]] = by_example(TASK, [unlabelled], characters, WIDE)
    assert without.targets == {}


def test_what_cannot_be_learned_is_counted_and_stays_gold(characters: HFTextEncoder) -> None:
    text = "看ＡＢＣ书 收购乙公司\u200b"
    gold = event(text, "收购", "收购", ("买方", "Ｂ"), ("卖方", "书 "), ("标的", "\u200b"), ("标的", "乙公司"))
    one, tally = example(text, gold), Tally()
    [features] = by_example(TASK, [one], characters, WIDE, tally)
    inside, dropped, _ = REASONS.values()
    assert tally.counts == {inside: 1, dropped: 2}
    assert tally.places[inside] == ["own.json:1"]
    [found] = answered(TASK, one, features)
    assert [some.text for some in found.arguments] == ["书", "乙公司"]  # learned without the blank at its end
    reach = TASK.recall_bound([one], characters, WIDE)
    assert (reach.gold, reach.reachable, reach.unreachable.counts) == (5, 2, tally.counts)


def test_an_argument_with_and_without_a_dropped_edge_is_learned_once(characters: HFTextEncoder) -> None:
    """Twice it would be linked with itself, as only a place in two roles is."""
    text = "收购书 "
    one = example(text, event(text, "收购", "收购", ("标的", "书"), ("标的", "书 ")))
    [[feature]] = by_example(TASK, [one], characters, WIDE)
    assert feature.targets["links"].tolist() == [[1, 2, 3, 3]]


def test_words_without_a_place_are_counted(characters: HFTextEncoder) -> None:
    text = "标题\n甲停产"
    gold = Event("停产", Mention(), (Argument("公司", "甲", 3), Argument("公司", "丙")))
    lost_trigger = Event("上市", Mention("上市"), (Argument("环节", "正式上市"),))
    one, tally = example(text, gold, lost_trigger), Tally()
    [features] = by_example(UNPLACED, [one], characters, WIDE, tally)
    assert tally.counts == {NOWHERE: 3}
    [found] = answered(UNPLACED, one, features)
    assert found.arguments == (Argument("公司", "甲", 3),)
    reach = UNPLACED.recall_bound([one], characters, WIDE)
    assert (reach.gold, reach.reachable) == (4, 1)


def test_events_that_links_cannot_tell_apart_are_counted(characters: HFTextEncoder) -> None:
    """Three events whose union is a clique; and one that another contains."""
    text = "收购甲乙丙"
    pairs = itertools.combinations("甲乙丙", 2)
    three = [event(text, "收购", "收购", ("买方", a), ("标的", b)) for a, b in pairs]
    three[1] = event(text, "收购", "收购", ("买方", "甲"), ("标的", "丙"))
    one, tally = example(text, *three), Tally()
    [features] = by_example(TASK, [one], characters, WIDE, tally)
    found = answered(TASK, one, features)
    assert len(keys(three) - keys(found)) == tally.counts[ENTANGLED] > 0
    within = [event(text, "收购", "收购", ("买方", "甲")), event(text, "收购", "收购", ("买方", "甲"), ("标的", "乙"))]
    one, tally = example(text, *within), Tally()
    [features] = by_example(TASK, [one], characters, WIDE, tally)
    assert keys(answered(TASK, one, features)) == keys(within[1:])
    assert tally.counts == {ENTANGLED: 1}


@st.composite
def texts_with_events(draw: Any) -> tuple[str, list[Event]]:
    text = "".join(draw(st.lists(st.sampled_from("甲乙丙丁，。收购"), min_size=4, max_size=30)))
    events = []
    for _ in range(draw(st.integers(1, 4))):
        type_ = draw(st.sampled_from(list(TASK.schema)))

        def words(longest: int = 3) -> tuple[str, int]:
            start = draw(st.integers(0, len(text) - 1))
            return text[start : start + draw(st.integers(1, longest))], start

        arguments = []
        for _ in range(draw(st.integers(0, 4))):
            role = draw(st.sampled_from(TASK.schema[type_]))
            if role == "环节":
                if not any(some.role == role for some in arguments):
                    arguments.append(Argument(role, draw(st.sampled_from(("筹备上市", "正式上市")))))
            else:
                arguments.append(Argument(role, *words()))
        trigger = Mention(*words(2)) if TASK.known.triggered(type_) else Mention()
        if trigger.text or arguments:
            events.append(Event(type_, trigger, tuple(dict.fromkeys(arguments))))
    return text, list(dict.fromkeys(events))


@settings(max_examples=80)
@example_of(
    made=(
        "甲甲甲甲",
        [
            Event("收购", Mention("甲甲", 0), (Argument("买方", "甲", 0),)),
            Event("上市", Mention("甲甲", 0), (Argument("公司", "甲", 1), Argument("环节", "筹备上市"))),
            Event("上市", Mention("甲", 0), (Argument("环节", "筹备上市"),)),
        ],
    ),
    limits=WIDE,
)
@given(made=texts_with_events(), limits=st.sampled_from([WIDE, Limits(16, 6), Limits(12, 4)]))
def test_every_event_comes_back_or_is_counted(
    characters: HFTextEncoder, made: tuple[str, list[Event]], limits: Limits
) -> None:
    """And what is counted is so: in the graph of all links an entangled event is no maximal clique."""
    text, gold = made
    one, tally = example(text, *gold), Tally()
    [features] = by_example(TASK, [one], characters, limits, tally)
    found = keys(answered(TASK, one, features))
    lost = keys(gold) - found
    assert len(lost) == tally.counts[APART] + tally.counts[ENTANGLED]
    assert set(tally.counts) <= {APART, ENTANGLED}
    if len(features) == 1:
        assert not tally.counts[APART]
        assert found == by_networkx(text, gold)


def by_networkx(text: str, gold: list[Event]) -> set[Any]:
    """What the links of all gold events together mean, with the library's cliques."""
    sets = [(e.type, parts_of(e, TASK.known)[0]) for e in gold]
    linked = {frozenset((a.place, b.place)) for _, parts in sets for a, b in itertools.combinations(parts, 2)}
    answer = set()
    for type_ in TASK.schema:
        graph = networkx.Graph()
        graph.add_nodes_from(part for of, parts in sets if of == type_ for part in parts)
        for a, b in itertools.combinations(graph.nodes, 2):
            both = {a.slot.role, b.slot.role}
            if frozenset((a.place, b.place)) in linked and both not in ({""}, {"环节"}):
                graph.add_edge(a, b)
        for clique in networkx.find_cliques(graph):
            if type_ == "停产" or any(not part.slot.role for part in clique):
                answer |= keys([event_links.event_of(type_, clique, text)])
    # A value of an enumerated role has no place of its own: of two cliques, one event can hold all that the other says.
    return {one for one in answer if not any(said(one) < said(other) for other in answer)}


def said(key: Any) -> set[Any]:
    """All that an event says, as one set."""
    type_, trigger, arguments = key
    return {("type", type_), *arguments, *([("trigger", trigger)] if trigger.text else [])}


# -------------------------------------------------------------------- linked spans to events

SCHEMA = Schema({"T": ("r", "q")})


def part(start: int, role: str = "r", value: str = "") -> Part:
    return Part(start, start + 1, Slot("T", role, value))


def test_a_span_without_its_trigger_is_no_event_and_links_to_nothing_are_passed_over() -> None:
    trigger, one, other = part(0, ""), part(1), part(2)
    links = [link(trigger.place, one.place), link(one.place, other.place), link(one.place, (7, 9))]
    assert assemble([trigger, one, other], links, SCHEMA) == ([(trigger, one)], True)
    bare = Schema(SCHEMA.roles, {}, ("T",))
    assert assemble([one, other], links, bare) == ([(one, other)], True)


def test_a_place_is_two_arguments_of_one_event_only_where_it_is_linked_with_itself() -> None:
    trigger, one, other = part(0, ""), part(1, "r"), part(1, "q")
    links = [link(trigger.place, one.place)]
    assert assemble([trigger, one, other], links, SCHEMA)[0] == [(trigger, one), (trigger, other)]
    assert assemble([trigger, one, other], [*links, link(one.place, one.place)], SCHEMA)[0] == [(trigger, one, other)]


def test_two_triggers_are_two_events() -> None:
    parts = [part(0, ""), part(1, ""), part(2)]
    links = links_of(parts)
    expected = [(parts[0], parts[2]), (parts[1], parts[2])]
    assert assemble(parts, links, SCHEMA)[0] == expected
    # Nor are they one where no window holds both.
    beside = [link(trigger.place, parts[2].place) for trigger in parts[:2]]
    assert assemble(parts, beside, SCHEMA, apart=lambda a, b: True)[0] == expected


def test_the_budget_is_that_of_all_types_together() -> None:
    schema = Schema({"S": ("r",), "T": ("r",)}, {}, ("S", "T"))
    parts = [Part(i, i + 1, Slot(type_, "r")) for type_ in schema.roles for i in range(3)]
    links = [link((0, 1), (1, 2)), link((1, 2), (2, 3))]
    steps = maximal_cliques(3, [(0, 1), (1, 2)]).steps
    assert [assemble(parts, links, schema, budget=budget)[1] for budget in (steps, 2 * steps)] == [False, True]


def test_places_that_no_window_holds_are_linked_through_a_third(characters: HFTextEncoder) -> None:
    """甲公司 and 丁公司 stand too far apart for one window; each stands beside the trigger in some window."""
    text = "甲公司" + "，" * 8 + "收购" + "，" * 8 + "丁公司"
    one = example(text, event(text, "收购", "收购", ("买方", "甲公司"), ("标的", "丁公司")))
    limits, tally = Limits(16, 12), Tally()
    [features] = by_example(TASK, [one], characters, limits, tally)
    assert len(features) > 1
    assert not any(
        {(1, 3)} & {tuple(r[:2]) for r in f.targets["links"].tolist()} and f is features[-1] for f in features
    )
    assert keys(answered(TASK, one, features)) == keys(one.gold)
    assert not tally.counts
    # Without a third between them they stay two pieces: that is counted.
    bare = example(text, Event("停产", Mention(), (Argument("公司", "甲公司", 0), Argument("公司", "丁公司", 21))))
    [features] = by_example(TASK, [bare], characters, limits, tally)
    assert len(answered(TASK, bare, features)) == 2
    assert tally.counts == {APART: 1}
    # And what one window can hold is believed: no link, no bridge.
    parts = [part(0, ""), part(1), part(2)]
    some = [link(parts[0].place, parts[1].place), link(parts[0].place, parts[2].place)]
    assert len(assemble(parts, some, SCHEMA, apart=lambda a, b: False)[0]) == 2
    assert len(assemble(parts, some, SCHEMA, apart=lambda a, b: True)[0]) == 1


def test_windows_are_merged_a_span_judged_once_a_link_by_any(characters: HFTextEncoder) -> None:
    text = "，" * 10 + "甲公司收购乙公司" + "，" * 10
    one = example(text, event(text, "收购", "收购", ("买方", "甲公司"), ("标的", "乙公司")))
    [features] = by_example(TASK, [one], characters, Limits(20, 14))
    candidates = [oracle(feature, 0.3 * (i + 1)) for i, feature in enumerate(features)]
    assert sum(len(found.spans.score) == 3 for found in candidates) > 1
    prediction = TASK.predictions(one, features, candidates, Answering())
    assert keys(prediction.answer) == keys(one.gold)
    holding = [f.spans.probability[0] for f in candidates if len(f.spans.score) == 3]
    assert min(holding) - 1e-6 <= prediction.scores.probabilities[0] <= max(holding) + 1e-6


def test_a_threshold_is_applied_to_spans_and_links(characters: HFTextEncoder) -> None:
    one = example(TEXT, *CASES["two of one type share an argument"][1])
    [[feature]] = by_example(TASK, [one], characters, WIDE)
    low = oracle(feature, 1.0)
    low.spans.score[[i for i, row in enumerate(feature.targets["spans"].tolist()) if row[1:] == [4, 5]]] = 0.2  # 昨日
    found = TASK.predictions(one, [feature], [low], Answering(threshold=0.5)).answer
    assert sorted(len(e.arguments) for e in found) == [2, 2]
    low = oracle(feature, 1.0)
    low.score[:] = 0.4  # links
    found = TASK.predictions(one, [feature], [low], Answering(threshold=0.5)).answer
    assert [(e.trigger.start, e.arguments) for e in found] == [(5, ()), (12, ())]
    assert keys(TASK.predictions(one, [feature], [low], Answering()).answer) == keys(one.gold)
    assert TASK.predictions(one, [feature], [low], Answering(threshold=2.0)).answer == ()


def test_probabilities_are_those_of_the_least_probable_part(characters: HFTextEncoder) -> None:
    one = example(TEXT, *CASES["one event"][1], event(TEXT, "上市", "上市"))
    [[feature]] = by_example(TASK, [one], characters, WIDE)
    found = oracle(feature, 1.0)
    found.score[2] = 0.3
    prediction = TASK.predictions(one, [feature], [found], Answering())
    link_, span = 1 / (1 + np.exp(-2 * 0.3)), 1 / (1 + np.exp(-2.0))
    assert prediction.scores.probabilities == pytest.approx((link_, span))
    assert prediction.scores.left_out == {}


def test_a_hostile_prediction_ends_and_says_so(characters: HFTextEncoder) -> None:
    """Sixty spans of one type, every pair linked but neighbours: two to the thirty maximal cliques."""
    text = "甲" * 60
    [[feature]] = by_example(TASK, [example(text)], characters, WIDE)
    slots = TASK.known.slot_index
    rows = [[slots[Slot("收购", "买方") if i < 58 else Slot("收购")], i + 1, i + 1] for i in range(60)]
    pairs = np.array([p for p in itertools.combinations(range(60), 2) if p[1] != p[0] ^ 1])
    found = oracle(feature)
    found.spans = spans_of(np.array(rows))
    found.first, found.second, found.score = pairs[:, 0], pairs[:, 1], np.ones(len(pairs))
    found.spans.dropped, found.dropped = 7, 9
    one = example(text)
    prediction = TASK.predictions(one, [feature], [found], Answering())
    assert prediction.scores.left_out == {SEARCH: 1, SPANS_DROPPED: 7, LINKS_DROPPED: 9}
    assert prediction.answer
    for found_event in prediction.answer[:20]:
        starts = {some.start for some in found_event.arguments} | {found_event.trigger.start}
        assert not any(start ^ 1 in starts for start in starts)
    shown = TASK.answer_fields(one, prediction, Answering(), probabilities=False)
    assert shown["left_out"] == {SEARCH: 1, SPANS_DROPPED: 7, LINKS_DROPPED: 9}


def test_events_within_others_go() -> None:
    one = Event("T", Mention("x", 0), (Argument("r", "甲", 3),))
    more = Event("T", Mention("x", 9), (Argument("r", "甲", 5), Argument("q", "乙", 7)))
    other_type = Event("S", Mention("x", 0), (Argument("r", "甲", 3),))
    bare = Event("T", Mention("x", 30), ())
    everything = [one, more, other_type, bare, one]
    assert without_contained(everything, places=False) == [1, 2]
    assert without_contained(everything, places=True) == [0, 1, 2, 3]
    assert without_contained([], places=True) == []


# -------------------------------------------------------------------- flat heads


def test_a_flat_head_learns_arguments_that_do_not_overlap(characters: HFTextEncoder) -> None:
    text, gold = CASES["nested and overlapping arguments"]
    one, tally = example(text, *gold), Tally()
    [[feature]] = by_example(TASK, [one], characters, WIDE, tally, flat=True)
    assert set(feature.targets) == {"spans"}
    assert feature.targets["spans"].tolist() == [[0, 1, 3], [3, 4, 6]]  # 甲公司, 昨日收 (the earlier of equals first)
    assert tally.counts == {OVERLAPPING: 2}
    assert feature.targets["spans"][:, 0].max() < TASK.head_config("crf")["types"]


@pytest.mark.parametrize("limits", [WIDE, Limits(20, 16)])
def test_every_span_of_a_flat_head_is_an_event(characters: HFTextEncoder, limits: Limits) -> None:
    one = example(TEXT, *CASES["two of one type share an argument"][1], *CASES["an enumerated value"][1])
    [features] = by_example(TASK, [one], characters, limits, flat=True)
    found = answered(TASK, one, features, FLAT)
    assert all(e.trigger == Mention() and len(e.arguments) == 1 for e in found)
    wanted = {(e.type, a.role, a.text, a.start) for e in one.gold for a in e.arguments}
    assert {(e.type, *e.arguments[0][:3]) for e in found} == wanted


def test_or_all_of_a_type_are_one(characters: HFTextEncoder) -> None:
    text = "\n" + TEXT
    one = example(text, *(UNPLACED.example(
        row({"title": "", "text": TEXT, "event_list": [
            {"event_type": "收购", "trigger": "收购", "arguments": [{"role": "买方", "argument": "甲公司"}]},
            {"event_type": "收购", "trigger": "收购", "arguments": [{"role": "标的", "argument": "丙公司"}]},
            {"event_type": "停产", "arguments": [{"role": "公司", "argument": "丁公司"}]},
        ]}), 0, labelled=True).gold))  # fmt: skip
    [features] = by_example(UNPLACED, [one], characters, WIDE, flat=True)
    found = answered(UNPLACED, one, features, FLAT)
    assert [(e.type, {a.text for a in e.arguments}) for e in found] == [
        ("收购", {"甲公司", "丙公司"}),
        ("停产", {"丁公司"}),
    ]


def test_overlapping_spans_of_neighbouring_windows_are_resolved(characters: HFTextEncoder) -> None:
    text = "甲" * 20
    [features] = by_example(TASK, [example(text)], characters, Limits(14, 6), flat=True)
    borders = align(features)
    candidates = []
    for number, (window, border) in enumerate(zip(features, borders, strict=True)):
        inside = [t for t, start in enumerate(border.starts) if start >= 0]
        rows = np.array([[0, inside[0], inside[-1]], [1, inside[0], inside[2]]][: 1 + (number == 0)])
        candidates.append(spans_of(rows, score=0.5 + number))
        assert window.length <= 14
    found = TASK.predictions(example(text), features, candidates, FLAT).answer
    ends = sorted((e.arguments[0].start, e.arguments[0].end) for e in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(ends))


# -------------------------------------------------------------------- samples and real data


@pytest.mark.parametrize("name", ["duee", "duee_fin"])
def test_the_samples_come_back_whole(name: str, characters: HFTextEncoder) -> None:
    task: Any = find_task(name)
    source = Source.open(Path(find_task.__code__.co_filename).parents[1] / "tasks" / "samples" / name)
    for split in ("train", "dev"):
        examples = list(task.read(source, split, Tally()))
        check_round_trip(task, examples, characters, Limits(512, 128))
        types = {e.type for one in examples for e in one.gold}
        assert len(types) >= 7
        assert any(len({e.type for e in one.gold}) < len(one.gold) for one in examples)


def check_round_trip(task: Events, examples: list[Any], encoder: Any, limits: Limits) -> tuple[int, int, Tally]:
    """Every event comes back, but for those counted: (events, lost). Lost arguments account for the others."""
    tally = Tally()
    events = lost = 0
    for one, features in zip(examples, by_example(task, examples, encoder, limits, tally), strict=True):
        found = answered(task, one, features)
        missing = keys(one.gold) - keys(found)
        events += len(one.gold)
        lost += len(missing)
        own = Tally()
        if missing:
            task._targets(one, align(features), own, False)
        unreachable = sum(own.counts[r] for r in (NOWHERE, *REASONS.values()))
        uncounted = len(missing) - own.counts[APART] - own.counts[ENTANGLED]
        assert uncounted == 0 if not unreachable else uncounted >= 0, one.where
    return events, lost, tally


REAL = [
    # task, split, limits, at most lost (of events), reasons that may be met
    ("duee", "dev", Limits(512, 32), 13, {REASONS[k] for k in REASONS}),
    ("duee", "dev", Limits(128, 32), 42, {APART, *REASONS.values()}),
    ("duee", "train", Limits(512, 32), 20, {ENTANGLED, *REASONS.values()}),
    ("duee_fin", "dev", Limits(512, 128), 60, {APART, ENTANGLED}),
]


@pytest.mark.parametrize(
    ("name", "split", "limits", "most", "reasons"), REAL, ids=[f"{r[0]}-{r[1]}-{r[2].max_length}" for r in REAL]
)
def test_every_real_event_comes_back_or_is_counted(
    name: str, split: str, limits: Limits, most: int, reasons: set[str], shared: Path, characters: HFTextEncoder
) -> None:
    task: Any = find_task(name)
    examples = list(task.read(Source.open(shared / "data" / name), split, Tally()))
    examples = examples[:: {"train": 8, "dev": 1}[split] * {"duee": 1, "duee_fin": 2}[name]]
    events, lost, tally = check_round_trip(task, examples, characters, limits)
    assert events > 700
    assert lost <= most
    assert set(tally.counts) <= reasons


def test_the_schemas_are_the_official_ones(shared: Path) -> None:
    for name in ("duee", "duee_fin"):
        task: Any = find_task(name)
        assert task.adapt(Source.open(shared / "data" / name)) is task
    assert len(find_task("duee_fin").known.slots) == 108  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "split", "rows", "events", "official"),
    [
        ("duee", "train", 11_908, 13_860, True),
        ("duee", "dev", 1_498, 1_790, True),
        ("duee", "test", 15_000, 0, True),
        ("duee_fin", "dev", 1_171, 1_533, True),  # one event occurs twice
        ("duee_fin", "train", 1_484, 4_264, None),  # a selected part; three events occur twice
    ],
)
def test_official_files_are_read_whole(
    name: str, split: str, rows: int, events: int, official: bool | None, shared: Path
) -> None:
    task: Any = find_task(name)
    source = Source.open(shared / "data" / name)
    tally = Tally()
    examples = list(task.read(source, split, tally))
    assert (len(examples), sum(len(one.gold or ()) for one in examples)) == (rows, events)
    assert not tally.counts
    file = task.file_of(source, split)
    assert task.official.get(file) == (source.sha256(file) if official else None)
    if official:
        assert task.counts[split] == rows
    if split == "test":
        assert all(one.gold is None and isinstance(one.id, str) for one in examples)


def test_gold_scores_one(shared: Path) -> None:
    from clue_cli.scoring import make_metric, score

    for name in ("duee", "duee_fin"):
        task: Any = find_task(name)
        examples = list(task.read(Source.open(shared / "data" / name), "dev", Tally()))
        for metric in task.metrics:
            figures = score(make_metric(task, metric), [(one, Prediction(one.gold)) for one in examples]).figures
            assert figures["f1"] == pytest.approx(1.0)
