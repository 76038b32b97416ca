"""Rows and schemas of events: what is read, what is refused with its place, what is written and read again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.contract import Answering, Example, Prediction, Tally, labels_sha256
from clue_cli.errors import RowError, UserError, Where
from clue_cli.registry import restore_task
from clue_cli.sources import Row, Source
from tasks.duee import TASK as DUEE
from tasks.families.event_forms import NOWHERE, Argument, Event, Mention, locate
from tasks.families.event_schema import Schema, Slot, read_schema, roles_of
from tasks.families.events import EventNotes, Events
from tasks.families.location import occurrences
from tests.tasks.event_cases import SCHEMA, STAGES, TASK, UNPLACED, event, example, row

TEXT = "甲公司以3亿收购乙公司，甲公司昨日上市"


def official(**changes: Any) -> dict[str, Any]:
    entry = {
        "event_type": "收购", "trigger": "收购", "trigger_start_index": 6, "class": "财经",
        "arguments": [
            {"role": "买方", "argument": "甲公司", "argument_start_index": 0, "alias": ["甲"]},
            {"role": "标的", "argument": "乙公司", "argument_start_index": 8, "alias": []},
        ],
    }  # fmt: skip
    return entry | changes


def argument(**changes: Any) -> dict[str, Any]:
    return official(arguments=[{"role": "买方", "argument": "甲公司", "argument_start_index": 0} | changes])


def read(data: dict[str, Any], task: Events = TASK) -> Any:
    return task.example(row({"text": TEXT, "id": "a1"} | data), 5, labelled=True)


# -------------------------------------------------------------------- reading


def test_the_official_form_is_read() -> None:
    got = read({"event_list": [official()]})
    assert got.gold == (
        Event("收购", Mention("收购", 6), (Argument("买方", "甲公司", 0, ("甲",)), Argument("标的", "乙公司", 8))),
    )
    assert (got.number, got.id, got.texts, str(got.where)) == (5, "a1", (TEXT,), "own.json:3")
    assert [TEXT[a.start : a.end] for a in got.gold[0].arguments] == ["甲公司", "乙公司"]
    assert TASK.example(row({"text": TEXT}), 0, labelled=False).gold is None
    assert list(TASK.labels_of(got.gold)) == ["收购"]


def test_an_empty_list_is_a_text_without_events() -> None:
    assert read({"event_list": []}).gold == ()
    assert read({"events": []}).gold == ()
    assert read({"event_list": "[]"}).gold == ()  # a csv cell
    assert TASK.is_labelled(row({"text": "x", "event_list": []}))
    assert not TASK.is_labelled(row({"text": "x", "event_list": "", "events": None}))


def test_equal_arguments_of_an_event_count_once_events_stay_as_they_are() -> None:
    """Whether equal events count once, a metric says."""
    twice = official(arguments=official()["arguments"] * 2)
    other = {"event_type": "停产", "arguments": []}
    got = read({"event_list": [other, twice, official()]}).gold
    assert [one.type for one in got] == ["停产", "收购", "收购"]
    assert [len(one.arguments) for one in got] == [0, 2, 2]


def test_the_value_of_an_enumerated_role_has_no_place() -> None:
    company = {"role": "公司", "argument": "甲公司", "argument_start_index": 12}
    arguments = [{"role": "环节", "argument": "正式上市"}, company]
    entry = {"event_type": "上市", "trigger": "上市", "trigger_start_index": 17, "arguments": arguments}
    [got] = read({"event_list": [entry]}).gold
    assert got.arguments == (Argument("环节", "正式上市", NOWHERE), Argument("公司", "甲公司", 12))


def test_words_without_an_offset_are_found_near_the_trigger() -> None:
    entry = {"event_type": "上市", "trigger": "上市", "arguments": [{"role": "公司", "argument": "甲公司"}]}
    assert read({"event_list": [entry]}).gold[0].arguments[0].start == 12
    with_place = entry | {"trigger": "甲公司", "trigger_start_index": 0}
    assert read({"event_list": [with_place]}).gold[0].arguments[0].start == 0


def test_our_own_form_is_read_and_what_is_written_can_be_read_again() -> None:
    gold = (
        event(TEXT, "收购", "收购", ("买方", "甲公司"), ("卖方", "甲公司", 12), ("标的", "乙公司")),
        event(TEXT, "上市", "上市", ("公司", "甲公司", 12), ("环节", "筹备上市")),
        event(TEXT, "停产", "", ("公司", "乙公司")),
    )
    one = example(TEXT, *gold)
    written = TASK.answer_fields(one, Prediction(gold, EventNotes((0.25, 0.5, 1.0))), Answering(), probabilities=True)
    assert written["events"][1] == {
        "event_type": "上市", "trigger": {"text": "上市", "start": 17, "end": 19}, "probability": 0.5,
        "arguments": [{"role": "公司", "text": "甲公司", "start": 12, "end": 15},
                      {"role": "环节", "text": "筹备上市", "start": None, "end": None}],
    }  # fmt: skip
    assert written["events"][2]["trigger"] is None
    again = json.loads(json.dumps(written, ensure_ascii=False))
    assert read(again).gold == gold
    back = TASK.read_prediction(row({"text": TEXT} | again), one)
    assert (back.answer, back.scores.probabilities) == (gold, (0.25, 0.5, 1.0))
    assert TASK.gold_fields(one)["events"] == [
        {name: value for name, value in entry.items() if name != "probability"} for entry in written["events"]
    ]


def test_words_may_be_left_out_where_the_offsets_say_them() -> None:
    entry = {"event_type": "停产", "arguments": [{"role": "公司", "start": 0, "end": 3}]}
    assert read({"events": [entry]}).gold[0].arguments == (Argument("公司", "甲公司", 0),)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "no field 'event_list'; fields found: text, id; task own expects text and event_list"),
    ({"event_list": None}, "event_list: a list of events was expected, found null"),
    ({"event_list": {"收购": []}}, "event_list: a list of events was expected, found the object"),
    ({"event_list": "收购"}, "event_list: a list of events was expected"),
    ({"event_list": [None]}, r"event_list\[0\]: an event was expected, found null"),
    ({"event_list": [[official()]]}, r"event_list\[0\]: an event was expected, found the list"),
    ({"event_list": [], "events": []}, "both 'event_list' and 'events' are given"),
    ({"event_list": [official(event_type="并购")]}, r"event_list\[0\]\.event_type: unknown event type '并购'"),
    ({"event_list": [official(event_type=None)]}, r"event_type: the event type must be a string, found null"),
    ({"event_list": [official(), official(trigger=None)]},
     r"event_list\[1\]\.trigger: an event of 收购 has no trigger .*schema"),
    ({"event_list": [official(trigger="")]}, r"\.trigger: words of the text were expected"),
    ({"event_list": [official(trigger=["收购"])]}, r"\.trigger: words of the text were expected, found the list"),
    ({"event_list": [official(trigger_start_index=7)]},
     r"trigger_start_index: at character 7 the text has '购乙', not '收购' .*character 6"),
    ({"event_list": [official(trigger="并购", trigger_start_index=None)]}, r"\.trigger: '并购' is not in the text"),
    ({"event_list": [official(event_type="停产", arguments=[])]}, r"schema says that events of 停产 have no trigger"),
    ({"event_list": [official(arguments=None)]}, r"arguments: a list of arguments was expected, found null"),
    ({"event_list": [official(arguments={"买方": "甲公司"})]},
     r"arguments: a list of arguments was expected, found the object"),
    ({"event_list": [official(arguments=[None])]}, r"arguments\[0\]: an argument was expected, found null"),
    ({"event_list": [argument(role="买家")]}, r"arguments\[0\]\.role: unknown role of 收购 '买家'"),
    ({"event_list": [argument(role="公司")]}, r"unknown role of 收购 '公司'"),
    ({"event_list": [argument(argument=None)]},
     r"arguments\[0\]\.argument: words of the text were expected, found null"),
    ({"event_list": [argument(argument={"text": "甲"})]},
     r"\.argument: words of the text were expected, found the object"),
    ({"event_list": [argument(argument="丙公司")]},
     r"at character 0 the text has '甲公司', not '丙公司' \(it is not in the text\)"),
    ({"event_list": [argument(argument="丙公司", argument_start_index=None)]}, r"'丙公司' is not in the text"),
    ({"event_list": [argument(argument_start_index=1)]}, r"argument_start_index: at character 1 .*character 0"),
    ({"event_list": [argument(argument_start_index=-3)]}, "at character -3"),
    ({"event_list": [argument(argument_start_index=99)]}, "at character 99 the text has ''"),
    ({"event_list": [argument(argument_start_index="0")]}, r"argument_start_index: a whole number was expected"),
    ({"event_list": [argument(argument_start_index=True)]}, "a whole number was expected"),
    ({"event_list": [argument(alias="甲")]}, r"alias: a list of other wordings was expected"),
    ({"event_list": [argument(alias=[None])]}, r"alias: a list of other wordings was expected"),
    ({"event_list": [{"event_type": "上市", "trigger": "上市", "arguments": [{"role": "环节", "argument": "退市"}]}]},
     r"arguments\[0\]\.argument: unknown value of 环节 '退市'"),
    ({"events": [{"event_type": "停产", "arguments": [{"role": "公司", "text": "甲公司", "start": 0, "end": 2}]}]},
     r"events\[0\]\.arguments\[0\]\.end: 3 was expected, .*exclusive"),
    ({"events": [{"event_type": "停产", "arguments": [{"role": "公司"}]}]}, r"\.text: words of the text were expected"),
    ({"events": [{"event_type": "收购", "trigger": "收购", "arguments": []}]},
     r"events\[0\]\.trigger: .*found the text"),
    ({"events": [{"event_type": "停产", "arguments": [], "probability": "1"}]}, r"probability: a number was expected"),
    ({"text": "", "event_list": []}, "text is empty"),
    ({"text": None, "event_list": []}, "a text was expected, found null"),
    ({"id": 1.5, "event_list": []}, "id: the id must be"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "words"), WRONG)
def test_a_wrong_row_is_refused_with_file_line_and_field(data: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError, match=words) as caught:
        read(data)
    assert str(caught.value).startswith("own.json:3")
    assert "\n" not in str(caught.value)


def test_an_emoji_before_it_explains_a_shifted_offset() -> None:
    data = {
        "text": "😀甲公司停产",
        "event_list": [
            {
                "event_type": "停产",
                "arguments": [argument()["arguments"][0] | {"role": "公司", "argument_start_index": 2}],
            }
        ],
    }
    with pytest.raises(RowError, match="one emoji is one, not two"):
        read(data)


def test_of_many_types_only_the_near_ones_are_named() -> None:
    with pytest.raises(RowError, match=r"unknown event type '组织关系-裁减'; did you mean 组织关系-") as caught:
        DUEE.example(row({"text": "x", "event_list": [official(event_type="组织关系-裁减")]}), 0, labelled=True)
    assert len(caught.value.message) < 100
    assert caught.value.hint is not None and "*schema*.json" in caught.value.hint
    with pytest.raises(RowError, match="there are 65"):
        DUEE.example(row({"text": "x", "event_list": [official(event_type="?")]}), 0, labelled=True)


# -------------------------------------------------------------------- documents without offsets


def test_title_and_text_are_read_together() -> None:
    data = {"title": "甲公司上市", "text": "昨日，乙公司停产。", "event_list": [
        {"event_type": "上市", "trigger": "上市",
         "arguments": [{"role": "公司", "argument": "甲公司"}, {"role": "环节", "argument": "正式上市"}]},
        {"event_type": "停产", "arguments": [{"role": "公司", "argument": "乙公司"}]},
    ]}  # fmt: skip
    got = UNPLACED.example(row(data), 0, labelled=True)
    [text] = got.texts
    assert text == "甲公司上市\n昨日，乙公司停产。"
    assert [text[a.start : a.end] for one in got.gold for a in one.arguments if a.start >= 0] == ["甲公司", "乙公司"]
    assert UNPLACED.example(row(data | {"title": ""}), 0, labelled=False).texts == ("\n昨日，乙公司停产。",)
    with pytest.raises(RowError, match="no field 'title'"):
        UNPLACED.example(row({"text": "x"}), 0, labelled=False)
    assert UNPLACED.with_fields(["text"]).example(row({"text": "x"}), 0, labelled=False).texts == ("x",)


def test_a_document_without_the_field_has_no_events_and_unfound_words_stay_gold() -> None:
    assert UNPLACED.example(row({"title": "a", "text": "b"}), 0, labelled=True).gold == ()
    with pytest.raises(RowError, match="found null"):
        UNPLACED.example(row({"title": "a", "text": "b", "event_list": None}), 0, labelled=True)
    entry = {"event_type": "停产", "arguments": [{"role": "公司", "argument": "丙", "argument_start_index": 77}]}
    got = UNPLACED.example(row({"title": "a", "text": "b", "event_list": [entry]}), 0, labelled=True)
    assert got.gold[0].arguments == (Argument("公司", "丙", NOWHERE),)


texts = st.text("ab", max_size=14)


@given(texts, st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=3), st.booleans())
def test_words_are_located_where_the_rule_says(text: str, words: list[str], anchored: bool) -> None:
    """Every place of the anchor tried; nearest places; smallest sum; the earlier of equals, each time."""
    places = [[i for i in range(len(text)) if text.startswith(some, i)] for some in words]
    assert [[start for start, _ in occurrences(text, some)] for some in words] == places
    found = locate(text, words, 0 if anchored else None)
    present = [i for i, some in enumerate(places) if some]
    if not present:
        assert found == [NOWHERE] * len(words)
        return
    anchor = 0 if anchored and places[0] else min(present, key=lambda i: (len(places[i]), i))
    tried = []
    for centre in places[anchor]:
        starts = [min(some, key=lambda s, c=centre: (abs(s - c), s)) if some else NOWHERE for some in places]
        starts[anchor] = centre
        tried.append((sum(abs(s - centre) for s in starts if s != NOWHERE), centre, starts))
    assert found == min(tried)[2]


# -------------------------------------------------------------------- predictions


def test_a_prediction_in_the_official_form_needs_no_trigger_and_no_offsets() -> None:
    listed = [{"role": "公司", "argument": "甲公司"}, {"role": "环节", "argument": "正式上市"}]
    unknown = [{"role": "公司", "argument": "没有的词"}, {"role": "公司", "argument": ""}]
    events = [{"event_type": "上市", "arguments": listed}, {"event_type": "停产", "arguments": unknown}]
    data = {"id": "a1", "event_list": events}
    answer = TASK.read_prediction(row(data), example(TEXT)).answer
    assert answer[0] == Event("上市", Mention(), (Argument("公司", "甲公司", 0), Argument("环节", "正式上市")))
    assert [a.start for a in answer[1].arguments] == [NOWHERE, NOWHERE]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"id": "a1"}, "no prediction: neither 'events' nor 'event_list'"),
        ({"event_list": [official(event_type=3)]}, "the event type must be a string"),
        ({"event_list": [argument(argument_start_index="3")]}, "a whole number was expected"),
        ({"events": [{"event_type": "停产"}]}, "list of arguments"),
    ],
)
def test_a_prediction_that_does_not_fit_is_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError, match=words):
        TASK.read_prediction(row(data), example(TEXT))


@pytest.mark.parametrize(
    ("type_", "role", "value", "says"),
    [
        ("并购", "甲方", "甲公司", "event_list[0].event_type: unknown event type '并购'"),
        ("上市", "甲方", "甲公司", "event_list[0].arguments[0].role: unknown role of 上市 '甲方'"),
        ("上市", "环节", "上市", "event_list[0].arguments[0].argument: unknown value of 环节 '上市'"),
    ],
)
def test_what_the_schema_lacks_is_wrong_in_predictions(type_: str, role: str, value: str, says: str) -> None:
    data = {"event_list": [{"event_type": type_, "arguments": [{"role": role, "argument": value}]}]}
    prediction = TASK.read_prediction(row(data), example(TEXT))
    (event,) = prediction.answer
    assert (event.type, [(a.role, a.text) for a in event.arguments]) == (type_, [(role, value)])
    (error,) = prediction.wrong
    assert says in str(error)


def test_the_official_prediction_file(tmp_path: Path) -> None:
    gold = (event(TEXT, "收购", "收购", ("买方", "甲公司")), event(TEXT, "上市", "上市", ("环节", "正式上市")))
    [names] = {DUEE.submissions["test"]}
    assert names.endswith(".json")
    answer = (Event("人生-死亡", Mention("死", 1), (Argument("死者", "甲", 0),)),)
    one = Example(0, "x7", ("甲死",), None, {}, Where("f", 1))
    DUEE.write_submission([(one, Prediction(answer))], "test", tmp_path / names)
    lines = (tmp_path / names).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "x7", "event_list": [{"event_type": "人生-死亡", "arguments": [{"role": "死者", "argument": "甲"}]}]}
    ]
    assert TASK.submission_row(example(TEXT), Prediction(gold))["event_list"][1]["arguments"] == [
        {"role": "环节", "argument": "正式上市"}
    ]


# -------------------------------------------------------------------- schemas

ROWS: list[dict[str, Any]] = [
    {"event_type": "收购", "role_list": [{"role": role} for role in SCHEMA["收购"]], "id": "9"},
    {"event_type": "上市", "class": "x", "role_list": [{"role": "公司"}, {"role": "环节", "enum_items": list(STAGES)}]},
    {"event_type": "停产", "role_list": [{"role": "公司"}], "trigger": False},
]  # fmt: skip


def schema_of(rows: list[Any]) -> Schema:
    return read_schema(Row(entry, Where("schema.json", line)) for line, entry in enumerate(rows, 1))


def test_a_schema_is_read_and_written_and_its_slots_stand_in_order() -> None:
    schema = schema_of(ROWS)
    assert schema == Schema(SCHEMA, {"上市": {"环节": STAGES}}, ("停产",))
    assert schema_of(schema.rows()) == schema
    assert schema.slots == (
        *(Slot("收购", role) for role in SCHEMA["收购"]),
        Slot("上市", "公司"), Slot("上市", "环节", "筹备上市"), Slot("上市", "环节", "正式上市"), Slot("停产", "公司"),
        Slot("收购"), Slot("上市"),
    )  # fmt: skip
    assert schema.role_slots == schema.slots[:8]
    assert schema.same(schema_of(ROWS[::-1]))
    assert not schema.same(schema_of(ROWS[:2]))
    assert (TASK.head_config("gplinker"), TASK.head_config("crf")) == ({"types": 10}, {"types": 8})
    with pytest.raises(UserError, match="did you mean crf"):
        TASK.head_config("crff")


def test_roles_of_a_block_of_lines() -> None:
    assert roles_of("\n  a: x y\n    z\n  b/c-d: w\n") == {"a": ("x", "y", "z"), "b/c-d": ("w",)}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{}], r"schema\.json:1: event_type: a name was expected, found null"),
        ([ROWS[0], ROWS[0]], r"schema\.json:2: event_type: event type '收购' occurs twice"),
        ([{"event_type": "a"}], r"role_list: .* found null"),
        ([{"event_type": "a", "role_list": ["b"]}], r"role_list\[0\]: .* found the text"),
        ([{"event_type": "a", "role_list": [{"role": " "}]}], r"role_list\[0\]\.role: a name was expected"),
        ([{"event_type": "a", "role_list": [{"role": "b"}, {"role": "b"}]}], r"role_list\[1\]\.role: .*occurs twice"),
        ([{"event_type": "a", "role_list": [{"role": "b", "enum_items": []}]}], r"enum_items: .*found an empty list"),
        ([{"event_type": "a", "role_list": [{"role": "b", "enum_items": ["x", "x"]}]}], "different names"),
        ([{"event_type": "a", "role_list": [], "trigger": "no"}], "trigger: true or false was expected"),
        ([{"event_type": "a", "role_list": [{"role": "b", "enum_items": ["x"]}], "trigger": False}], "and no trigger"),
    ],
)
def test_a_wrong_schema_is_refused_with_line_and_field(rows: list[Any], words: str) -> None:
    with pytest.raises(RowError, match=words):
        schema_of(rows)


def directory(place: Path, schema: list[dict[str, Any]] | None, name: str = "my_event_schema.json") -> Path:
    place.mkdir(exist_ok=True)
    data = {"text": TEXT, "event_list": [official()]}
    (place / "train.jsonl").write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")
    if schema is not None:
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in schema)
        (place / name).write_text(lines, encoding="utf-8")
    return place


def test_a_schema_beside_the_data_makes_a_variant_that_a_run_brings_back(tmp_path: Path) -> None:
    source = Source.open(directory(tmp_path / "own", ROWS))
    task: Any = DUEE.adapt(source)
    assert (task.name, task.own, task.labels) == ("duee", True, ("收购", "上市", "停产"))
    assert (task.official, task.counts, task.submissions) == ({}, {}, {})
    [only] = task.read(source, "train", Tally())
    assert [one.type for one in only.gold] == ["收购"]
    config = json.loads(json.dumps(task.to_config(), ensure_ascii=False))
    again: Any = restore_task(config)
    assert (again.known, again.own, again.labels, again.files) == (task.known, True, task.labels, task.files)
    labels = labels_sha256(DUEE.labels)
    assert DUEE.to_config() == {
        "name": "duee", "version": DUEE.version, "fields": ["text"], "labels_sha256": labels,
    }  # fmt: skip
    assert restore_task(DUEE.to_config()) is DUEE


def test_the_official_schema_or_none_changes_nothing(tmp_path: Path) -> None:
    assert DUEE.adapt(Source.open(directory(tmp_path / "a", None))) is DUEE
    assert DUEE.adapt(Source.open(directory(tmp_path / "b", DUEE.known.rows()[::-1]))) is DUEE


def test_data_of_a_type_that_the_schema_lacks_are_refused(tmp_path: Path) -> None:
    source = Source.open(directory(tmp_path / "own", ROWS[1:]))
    task = DUEE.adapt(source)
    with pytest.raises(RowError, match=r"train\.jsonl:1: event_list\[0\]\.event_type: unknown event type '收购'"):
        list(task.read(source, "train", Tally()))


def test_several_schemas_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    place = directory(tmp_path / "own", ROWS)
    with pytest.raises(UserError, match="several schema files"):
        DUEE.adapt(Source.open(directory(place, ROWS, "schema2.json")))
    with pytest.raises(UserError, match="no event types in it"):
        DUEE.adapt(Source.open(directory(tmp_path / "empty", [])))


def test_labels_alone_make_no_events() -> None:
    with pytest.raises(UserError, match="takes a schema, not labels"):
        DUEE.with_labels(["a", "b"])


def test_a_declaration_is_brought_back() -> None:
    declared = Events.from_declaration(json.loads(json.dumps(TASK.declaration(), ensure_ascii=False)))
    assert (declared.known, declared.labels) == (TASK.known, TASK.labels)


def test_every_pair_of_type_and_role_of_the_tasks_is_named_once() -> None:
    assert len(DUEE.known.slots) == 282
    assert len(DUEE.known.role_slots) == 217
    for first, second in itertools.pairwise(DUEE.known.slots):
        assert bool(first.role) >= bool(second.role)
