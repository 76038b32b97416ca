"""Relations from rows to targets and back: what is read, what can be learned, what is answered and written."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally
from clue_cli.encoders import text as text_module
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.errors import RowError, UserError, Where
from clue_cli.registry import restore_task
from clue_cli.sources import Row, Source
from tasks.duie import TASK as DUIE
from tasks.families.relation_forms import Located, Relation, schema_lines
from tasks.families.relation_places import CUT, DROPPED, NO_WINDOW, NOT_FOUND
from tasks.families.relation_slots import Triple, combined
from tasks.families.relations import AMBIGUOUS, Relations

MINI_ZH = Path(text_module.__file__).parent / "mini_zh"
SCHEMA = schema_lines("""
    作者: 图书 人物
    饰演: 演员 人物 inWork=影视作品
    获奖: 演员 奖项 inWork=作品 onDate=Date
""")
TASK = Relations(name="own", title="a user's own", schema=SCHEMA, own=True, id="text")
WIDE = Limits(max_length=256, overlap=32)
PLAIN = Answering()


@pytest.fixture(scope="module")
def characters() -> HFTextEncoder:
    """The shipped tokenizer: Chinese characters and digits one by one, Latin word pieces, lower case."""
    return HFTextEncoder(AutoTokenizer.from_pretrained(MINI_ZH), takes_segments=False)


def row(data: dict[str, Any], line: int = 3) -> Row:
    return Row(data, Where("own.json", line))


def relation(predicate: str, subject: str, value: str, **slots: str) -> Relation:
    return Relation(predicate, subject, (("@value", value), *slots.items()))


def spo(predicate: str, subject: str, value: str, **slots: str) -> dict[str, Any]:
    return {"predicate": predicate, "subject": subject, "object": {"@value": value, **slots}}


def example(text: str, *gold: Relation, number: int = 0) -> Example:
    return Example(number, text, (text,), gold, {"text": text}, Where("own.json", number + 1))


def triples_of(*found: tuple[float, ...]) -> SimpleNamespace:
    """What a head decodes: (pair, subject first, last, object first, last, raw score)."""
    columns = np.array(found, dtype=np.float64).reshape(-1, 6).T
    names = ("predicate", "subject_start", "subject_end", "object_start", "object_end")
    ints = {name: columns[i].astype(int) for i, name in enumerate(names)}
    return SimpleNamespace(**ints, score=columns[5], probability=1 / (1 + np.exp(-2 * columns[5])), dropped=0)


def oracle(feature: Feature) -> SimpleNamespace:
    """A head that answers the targets."""
    return triples_of(*((*target, 1.0) for target in feature.targets["triples"].tolist()))


def by_example(
    task: Relations, examples: list[Example], encoder: Any, limits: Limits = WIDE, tally: Tally | None = None
) -> list[list[Feature]]:
    grouped: list[list[Feature]] = [[] for _ in examples]
    for feature in task.features(examples, encoder, limits, tally or Tally()):
        assert feature.unit == feature.item
        grouped[feature.item].append(feature)
    return grouped


def answered(
    task: Relations, one: Example, encoder: Any, limits: Limits = WIDE, tally: Tally | None = None
) -> tuple[Relation, ...]:
    (features,) = by_example(task, [one], encoder, limits, tally)
    answer: tuple[Relation, ...] = task.predictions(one, features, list(map(oracle, features)), PLAIN).answer
    return answer


# -------------------------------------------------------------------- reading


def test_official_rows_are_read_in_order_and_each_relation_once() -> None:
    text = "《活着》的作者余华，主演《活着》的是葛优，饰演福贵 "
    listed = [
        {**spo("饰演", "葛优", "福贵", inWork="活着"), "subject_type": "演员", "object_type": {"@value": "人物"}},
        spo("作者", "活着", "余华"),
        spo("饰演", "葛优", "福贵", inWork="活着"),
    ]
    listed[2]["object"] = dict(reversed(listed[2]["object"].items()))
    got = TASK.example(row({"text": text, "spo_list": listed}), 5, labelled=True)
    assert got.gold == (relation("饰演", "葛优", "福贵", inWork="活着"), relation("作者", "活着", "余华"))
    assert (got.number, got.id, got.texts) == (5, text, (text,))
    assert [one.type for one in got.gold] == ["饰演", "作者"]
    assert TASK.example(row({"text": text, "spo_list": listed}), 5, labelled=False).gold is None
    assert TASK.example(row({"text": "无", "spo_list": []}), 0, labelled=True).gold == ()
    as_cell = {"text": text, "spo_list": json.dumps(listed)}
    assert TASK.example(row(as_cell), 0, labelled=True).gold == got.gold


def test_a_plain_object_is_its_value() -> None:
    plain = {"predicate": "作者", "subject": "活着", "object": "余华"}
    assert TASK.example(row({"text": "余华", "spo_list": [plain]}), 0, labelled=True).gold == (
        relation("作者", "活着", "余华"),
    )


def test_our_own_form_brings_places(characters: HFTextEncoder) -> None:
    text = "葛优在《活着》里演福贵，葛优很好"
    mention = {"start": 12, "end": 14, "text": "葛优"}
    own = {"predicate": "饰演", "subject": mention, "object": {"start": 9, "end": 11}}
    work = {"@value": {"start": 9, "end": 11}, "inWork": {"start": 4, "end": 6, "type": "影视作品"}}
    both = [own, {**own, "object": work, "probability": 0.5}]
    got = TASK.example(row({"text": text, "relations": both}), 0, labelled=True)
    assert got.gold == (relation("饰演", "葛优", "福贵"), relation("饰演", "葛优", "福贵", inWork="活着"))
    (features,) = by_example(TASK, [got], characters)
    targets = features[0].targets["triples"].tolist()
    assert [target[1:3] for target in targets] == [[13, 14]] * 2  # the second 葛优, after [CLS]


TEXT = "余华写了《活着》，葛优演福贵"
GOOD = spo("作者", "活着", "余华")
PLACE = {"start": 0, "end": 2}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"spo_list": []}, "no field 'text'"),
    ({"text": " ", "spo_list": []}, "the text is empty"),
    ({"text": TEXT}, "no field 'spo_list'; fields found: text; task own expects text and spo_list"),
    ({"text": TEXT, "spo_list": None}, "spo_list: a list of relations was expected, found null"),
    ({"text": TEXT, "spo_list": {}}, "spo_list: a list of relations was expected, found an empty object"),
    ({"text": TEXT, "spo_list": "作者"}, "spo_list: a list of relations was expected, found the text"),
    ({"text": TEXT, "spo_list": [[]]}, "spo_list[0]: {predicate, subject, object} was expected, found an empty list"),
    ({"text": TEXT, "spo_list": [GOOD, None]}, "spo_list[1]: {predicate, subject, object} was expected, found null"),
    ({"text": TEXT, "spo_list": [[GOOD]]}, "spo_list[0]: {predicate, subject, object} was expected, found the list"),
    ({"text": TEXT, "spo_list": [{"subject": "x"}]}, "spo_list[0]: no 'predicate'"),
    ({"text": TEXT, "spo_list": [{**GOOD, "predicate": 3}]}, "spo_list[0].predicate: the predicate must be a text"),
    ({"text": TEXT, "spo_list": [{**GOOD, "predicate": "作家"}]}, "unknown predicate '作家'; did you mean 作者"),
    ({"text": TEXT, "spo_list": [{**GOOD, "predicate": "首都"}]}, "unknown predicate '首都'; known"),
    ({"text": TEXT, "spo_list": [{"predicate": "作者", "object": {}}]}, "spo_list[0]: no 'subject'"),
    ({"text": TEXT, "spo_list": [{**GOOD, "subject": None}]}, "spo_list[0].subject: a text was expected, found null"),
    ({"text": TEXT, "spo_list": [{**GOOD, "subject": {"@value": "x"}}]}, "spo_list[0].subject: a text was expected"),
    ({"text": TEXT, "spo_list": [{**GOOD, "subject": ""}]}, "spo_list[0].subject: the text is empty"),
    ({"text": TEXT, "spo_list": [{**GOOD, "object": {}}]}, "spo_list[0].object: no slot '@value'"),
    ({"text": TEXT, "spo_list": [{**GOOD, "object": None}]}, 'spo_list[0].object: {"@value": ...} was expected'),
    ({"text": TEXT, "spo_list": [{**GOOD, "object": ["余华"]}]}, 'spo_list[0].object: {"@value": ...} was expected'),
    ({"text": TEXT, "spo_list": [{**GOOD, "object": ""}]}, "spo_list[0].object.@value: the text is empty"),
    ({"text": TEXT, "spo_list": [{**GOOD, "object": {"@value": " "}}]}, "object.@value: the text is empty (leave"),
    (
        {"text": TEXT, "spo_list": [{**GOOD, "object": {"@value": {"@value": "x"}}}]},
        "a text was expected, found the ob",
    ),
    ({"text": TEXT, "spo_list": [{**GOOD, "object": {"@value": 7}}]}, "a text was expected, found the number 7"),
    (
        {"text": TEXT, "spo_list": [{**GOOD, "object": {"@value": "x", "inWork": "y"}}]},
        "predicate '作者': unknown slot 'inWork'; known: @value",
    ),
    ({"text": TEXT, "spo_list": [spo("饰演", "葛优", "福贵", inwork="x")]}, "did you mean inWork"),
    (
        {"text": TEXT, "spo_list": [{"predicate": "饰演", "subject": "葛优", "object": {"inWork": "x"}}]},
        "no slot '@value'",
    ),
    ({"text": TEXT, "spo_list": [], "relations": []}, "both 'spo_list' and 'relations' are given"),
    ({"text": TEXT, "relations": [GOOD]}, 'relations[0].subject: {"start", "end"} was expected'),
    ({"text": TEXT, "relations": [{**GOOD, "subject": PLACE}]}, 'relations[0].object.@value: {"start", "end"} was'),
    ({"text": TEXT, "relations": [{**GOOD, "subject": {"start": 0}}]}, "relations[0].subject.end: a whole number was"),
    ({"text": TEXT, "relations": [{**GOOD, "subject": {"start": True, "end": 2}}]}, "subject.start: a whole number"),
    ({"text": TEXT, "relations": [{**GOOD, "subject": {"start": 3, "end": 3}}]}, "[3, 3) (end exclusive) is no part"),
    ({"text": TEXT, "relations": [{**GOOD, "subject": {"start": 9, "end": 99}}]}, "which has 14 characters"),
    (
        {"text": TEXT, "relations": [{**GOOD, "subject": {**PLACE, "text": "余"}}]},
        "[0, 2) is '余华' in the text, not '余'",
    ),
    (
        {"text": TEXT, "relations": [{"predicate": "作者", "subject": PLACE, "object": PLACE, "probability": "high"}]},
        "relations[0].probability: a number was expected",
    ),
]


@pytest.mark.parametrize(("data", "expected"), WRONG, ids=range(len(WRONG)))
def test_wrong_rows_are_refused_with_file_line_and_field(data: dict[str, Any], expected: str) -> None:
    with pytest.raises(RowError) as caught:
        TASK.example(row(data), 0, labelled=True)
    message = str(caught.value)
    assert message.startswith("own.json:3: ")
    assert expected in message
    assert "\n" not in message


def test_a_text_may_stand_twice_in_a_test_split(tmp_path: Path) -> None:
    (tmp_path / "duie_test1.json").write_text('{"text": "甲"}\n{"text": "甲"}\n', encoding="utf-8")
    assert len(list(DUIE.read(Source.open(tmp_path), "test", Tally()))) == 2


# -------------------------------------------------------------------- the schema


def write_schema(directory: Path, *lines: Any, name: str = "my_schema.json") -> Source:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    (directory / name).write_text(text, encoding="utf-8")
    (directory / "train.jsonl").write_text("", encoding="utf-8")
    return Source.open(directory)


OWNED = {"predicate": "拥有", "subject_type": "人", "object_type": {"since": "日期", "@value": "物"}}
LIKES = {"predicate": "喜欢", "subject_type": "人", "object_type": "物"}


def test_another_schema_beside_the_data_makes_another_task_and_comes_back_from_a_run(tmp_path: Path) -> None:
    task = DUIE.adapt(write_schema(tmp_path, OWNED, LIKES))
    assert task.own
    assert task.labels == ("拥有", "喜欢")
    assert task.pairs == (("拥有", "@value"), ("拥有", "since"), ("喜欢", "@value"))
    assert task.head_config("gplinker") == {"predicates": 3}
    assert (task.official, task.counts, task.submissions) == ({}, {}, {})
    assert task.file_of(Source.open(tmp_path), "train") == "train.jsonl"
    again = restore_task(json.loads(json.dumps(task.to_config())))
    assert isinstance(again, Relations)
    assert (again.own, again.pairs, again.by_predicate) == (True, task.pairs, task.by_predicate)
    assert again.adapt(Source.open(tmp_path)) is again
    assert "schema" not in DUIE.to_config()
    assert restore_task(DUIE.to_config()) is DUIE


def test_the_same_schema_in_another_order_is_the_same_task(tmp_path: Path) -> None:
    lines = [{"predicate": p, "subject_type": s, "object_type": dict(reversed(o.items()))} for p, s, o in DUIE.schema]
    assert DUIE.adapt(write_schema(tmp_path, *reversed(lines))) is DUIE
    (tmp_path / "my_schema.json").unlink()
    assert DUIE.adapt(Source.open(tmp_path)) is DUIE
    assert DUIE.adapt(Source.open(tmp_path / "train.jsonl")) is DUIE


BROKEN = [
    ((), "an empty schema"),
    (("[]",), "my_schema.json:1"),
    ((OWNED, {}), "my_schema.json:2: predicate: a text was expected in every line of a schema, found nothing"),
    (
        (OWNED, {**OWNED, "object_type": "人"}),
        "my_schema.json:2: predicate: '拥有' stands in line 1 already, with other slots",
    ),
    (({**OWNED, "subject_type": None},), "subject_type: a text was expected in every line of a schema, found null"),
    (({**OWNED, "object_type": []},), 'object_type: {"@value": type, ...} was expected, found an empty list'),
    (({**OWNED, "object_type": {"since": "日期"}},), "object_type: no slot '@value'"),
    (({**OWNED, "object_type": {"@value": 3}},), "object_type.@value: the type of a slot must be a text"),
]


@pytest.mark.parametrize(("lines", "expected"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_schema_is_refused_with_file_line_and_field(tmp_path: Path, lines: tuple, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        DUIE.adapt(write_schema(tmp_path, *lines))
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["all_50_schemas", "all_50_schemas.json"])
def test_a_predicate_of_several_types_of_subjects_has_a_line_for_each(tmp_path: Path, name: str) -> None:
    founded = {"object_type": "Date", "predicate": "成立日期", "subject_type": "机构"}
    write_schema(tmp_path, founded, {**OWNED}, {**founded, "subject_type": "企业"}, founded, name=name)
    task = DUIE.adapt(Source.open(tmp_path))
    assert task.by_predicate["成立日期"] == ("机构/企业", {"@value": "Date"})
    assert task.labels == ("成立日期", "拥有")


def test_a_schema_without_an_ending_counts_where_there_is_no_other(tmp_path: Path) -> None:
    write_schema(tmp_path, OWNED, name="schema")
    assert DUIE.adapt(Source.open(tmp_path)).labels == ("拥有",)
    write_schema(tmp_path, {**OWNED, "predicate": "属于"})
    assert DUIE.adapt(Source.open(tmp_path)).labels == ("属于",)


def test_two_schema_files_and_a_label_file_are_refused(tmp_path: Path) -> None:
    write_schema(tmp_path, OWNED, name="schema.json")
    with pytest.raises(UserError, match=r"several schema files: my_schema\.json, schema\.json"):
        DUIE.adapt(write_schema(tmp_path, OWNED))
    with pytest.raises(UserError, match="takes its predicates from a schema"):
        DUIE.with_labels(["a", "b"])
    for damaged in ([["拥有", "人"]], [["拥有", "人", {"since": "日期"}]], 7):
        with pytest.raises(UserError, match=r"the schema of task duie does not fit"):
            DUIE.with_schema(damaged)  # type: ignore[arg-type]


def test_data_with_a_predicate_that_their_schema_lacks_are_refused(tmp_path: Path) -> None:
    source = write_schema(tmp_path, OWNED)
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "x", "spo_list": [GOOD]}), encoding="utf-8")
    with pytest.raises(
        RowError, match=r"train\.jsonl:1: spo_list\[0\]\.predicate: unknown predicate '作者'; known: 拥有"
    ):
        list(DUIE.adapt(source).read(source, "train", Tally()))


# -------------------------------------------------------------------- places

PLACES = [
    # text, relation, (subject, object) as (first character, first character)
    ("余华说，活着是余华的书", relation("作者", "活着", "余华"), (4, 7)),
    ("余华写活着，活着很好", relation("作者", "活着", "余华"), (3, 0)),
    ("《活着》与活着：余华", relation("作者", "活着", "余华"), (1, 8)),
    ("余华，活着三部曲，还有活着", relation("作者", "活着", "余华"), (11, 0)),  # the nearer one is no word of its own
    ("活着，作者活着", relation("作者", "活着", "活着"), (0, 5)),
    ("活着", relation("作者", "活着", "活着"), (0, 0)),
]


@pytest.mark.parametrize(("text", "gold", "expected"), PLACES, ids=range(len(PLACES)))
def test_the_nearest_places_are_learned(
    characters: HFTextEncoder, text: str, gold: Relation, expected: tuple[int, int]
) -> None:
    others = [relation("作者", "活着三部曲", "余华")] if "三部曲" in text else []
    one = example(text, gold, *others)
    found = TASK._located(one, text_borders(one, characters))[0].triples
    assert [(triple.subject[0], triple.object[0]) for triple in found] == [expected]


def text_borders(one: Example, encoder: HFTextEncoder, limits: Limits = WIDE) -> list[Any]:
    from tasks.families.alignment import align

    (windows,) = encoder.encode([one.texts], limits, windows=True, offsets=True, segments="pair")
    return align(windows)


def test_a_given_place_is_believed_without_the_edges_that_are_dropped(characters: HFTextEncoder) -> None:
    text = "《 活着 》与《 活着 》的作者余华"
    given = {"predicate": "作者", "subject": {"start": 8, "end": 12}, "object": {"start": 16, "end": 18}}
    one = TASK.example(row({"text": text, "relations": [given]}), 0, labelled=True)
    (found,) = TASK._located(one, text_borders(one, characters))
    assert [(triple.subject, triple.object) for triple in found.triples] == [((9, 11), (16, 18))]


def test_a_slot_is_learned_beside_its_object(characters: HFTextEncoder) -> None:
    text = "在1999年，葛优等了很久，后来葛优于1999年拿到金奖"
    one = example(text, relation("获奖", "葛优", "金奖", onDate="1999年"))
    found = TASK._located(one, text_borders(one, characters))[0].triples
    assert [(triple.slot, triple.subject[0], triple.object[0]) for triple in found] == [
        ("@value", 16, 26), ("onDate", 16, 19)
    ]  # fmt: skip


LOST = [
    ("余华写书", relation("作者", "活着", "余华"), NOT_FOUND, 0),
    ("第abcd期的作者余华", relation("作者", "bc", "余华"), CUT, 0),
    ("第abcd期的作者余华", relation("作者", "第a", "余华"), CUT, 0),
    ("第abcd期和bc的作者\u200b", relation("作者", "bc", "\u200b"), DROPPED, 0),  # bc is a word of its own, too
    ("《 活着 》的作者余华", relation("作者", " 活着 ", "余华"), DROPPED, 1),
    ("活着" + "很" * 40 + "余华", relation("作者", "活着", "余华"), NO_WINDOW, 0),
]


@pytest.mark.parametrize(("text", "gold", "reason", "learned"), LOST, ids=range(len(LOST)))
def test_what_cannot_be_learned_is_counted_and_stays_gold(
    characters: HFTextEncoder, text: str, gold: Relation, reason: str, learned: int
) -> None:
    tally, one, limits = Tally(), example(text, gold), Limits(max_length=32, overlap=8)
    (features,) = by_example(TASK, [one], characters, limits, tally)
    assert tally.as_dict() == {reason: 1}
    assert sum(len(feature.targets["triples"]) for feature in features) == learned
    assert one.gold == (gold,)
    reach = TASK.recall_bound([one], characters, limits)
    assert (reach.gold, reach.reachable, reach.unreachable.as_dict()) == (1, 0, {reason: 1})


def test_what_can_be_learned_as_it_stands_is_not_counted(characters: HFTextEncoder) -> None:
    tally, one = Tally(), example("余华写了《活着》", relation("作者", "活着", "余华"))
    by_example(TASK, [one], characters, WIDE, tally)
    assert not tally.counts
    reach = TASK.recall_bound([one], characters, WIDE)
    assert (reach.gold, reach.reachable, reach.unreachable.as_dict()) == (1, 1, {})


def test_targets_are_collated_with_their_row(characters: HFTextEncoder) -> None:
    one = example("余华写了《活着》", relation("作者", "活着", "余华"))
    none = example("没有什么")
    features = [feature for some in by_example(TASK, [none, one], characters) for feature in some]
    assert features[1].targets["triples"].tolist() == [[0, 6, 7, 1, 2]]
    assert TASK.collate(features)["triples"].tolist() == [[1, 0, 6, 7, 1, 2]]
    unlabelled = Example(0, None, ("余华",), None, {}, Where("x", 1))
    assert by_example(TASK, [unlabelled], characters)[0][0].targets == {}


# -------------------------------------------------------------------- slots


def triple(predicate: str, slot: str, subject: str, words: str, text: str, score: float = 1.0) -> Triple:
    at, of = text.index(subject), text.index(words)
    return Triple(predicate, slot, (at, at + len(subject)), (of, of + len(words)), score, 0.9)


COMBINED = [
    # one value of a slot goes to every object
    ("葛优《活着》甲乙", [("@value", "甲"), ("@value", "乙"), ("inWork", "活着")],
     [{"inWork": "活着", "@value": "甲"}, {"inWork": "活着", "@value": "乙"}]),
    # one object with several values of one slot stands with each
    ("葛优《活着》《大腕》甲", [("@value", "甲"), ("inWork", "活着"), ("inWork", "大腕")],
     [{"@value": "甲", "inWork": "活着"}, {"@value": "甲", "inWork": "大腕"}]),
    # several of both are paired off by distance
    ("葛优《活着》甲，在《大腕》里演乙", [("@value", "乙"), ("@value", "甲"), ("inWork", "活着"), ("inWork", "大腕")],
     [{"@value": "甲", "inWork": "活着"}, {"@value": "乙", "inWork": "大腕"}]),
    # an object too many stays without, a value too many is left out
    ("葛优《活着》甲，《大腕》乙，还有丙", [("@value", v) for v in "甲乙丙"] + [("inWork", "活着"), ("inWork", "大腕")],
     [{"@value": "甲", "inWork": "活着"}, {"@value": "乙", "inWork": "大腕"}, {"@value": "丙"}]),
    # where distances say nothing, words go together in their order
    *((text, [("@value", "乙"), ("@value", "甲"), ("inWork", "活着"), ("inWork", "大腕")],
       [{"@value": "甲", "inWork": "活着"}, {"@value": "乙", "inWork": "大腕"}])
      for text in ("葛优甲乙《活着》《大腕》", "《活着》《大腕》葛优甲乙", "葛优演甲和乙两人，片是《活着》和《大腕》")),
    # no object, no relation
    ("葛优《活着》", [("inWork", "活着")], []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found", "expected"), COMBINED, ids=range(len(COMBINED)))
def test_slots_are_put_together_by_evidence(text: str, found: list, expected: list[dict[str, str]]) -> None:
    triples = [triple("饰演", slot, "葛优", words, text) for slot, words in found]
    for order in (triples, triples[::-1]):
        answer = [dict(one.object) for one, _ in combined(text, order, TASK.by_predicate)]
        assert sorted(answer, key=str) == sorted(
            ({slot: one[slot] for slot in ("@value", "inWork") if slot in one} for one in expected), key=str
        )


def test_several_values_of_two_slots_do_not_multiply() -> None:
    text = "葛优1999年、2000年《活着》《大腕》金奖"
    found = [("@value", "金奖"), ("onDate", "1999年"), ("onDate", "2000年"), ("inWork", "活着"), ("inWork", "大腕")]
    answer = combined(text, [triple("获奖", slot, "葛优", words, text) for slot, words in found], TASK.by_predicate)
    assert [one for one, _ in answer] == [relation("获奖", "葛优", "金奖", inWork="大腕", onDate="2000年")]


def test_a_relation_has_the_score_of_its_weakest_slot_and_its_best_place() -> None:
    text = "葛优演福贵，活着里的福贵，葛优"
    weak = triple("饰演", "inWork", "葛优", "活着", text, 0.25)
    first = triple("饰演", "@value", "葛优", "福贵", text, 0.5)
    second = first._replace(subject=(13, 15), object=(10, 12), score=2.0, probability=0.99)
    ((one, located),) = combined(text, [first, second, weak], TASK.by_predicate)
    assert one == relation("饰演", "葛优", "福贵", inWork="活着")
    assert located == Located((13, 15), ((10, 12), (6, 8)), 0.25, 0.9)
    ((_, located),) = combined(text, [second._replace(score=0.5), first], TASK.by_predicate)
    assert located == Located((0, 2), ((3, 5),), 0.5, 0.9)  # of equal ones the earlier


# -------------------------------------------------------------------- round trips

NAMES = ("葛优", "余华", "葛", "活着", "活着三", "大腕", "福贵", "abc", "1999年")
pieces = st.lists(st.one_of(st.sampled_from(NAMES), st.sampled_from("，。的《》 了x")), min_size=1, max_size=25)
drawn = st.builds(
    lambda predicate, subject, value, work, date: Relation(predicate, subject, tuple(
        (slot, words) for slot, words in (("@value", value), ("inWork", work), ("onDate", date))
        if words and slot in TASK.by_predicate[predicate][1]
    )),
    st.sampled_from(TASK.labels), st.sampled_from(NAMES), st.sampled_from(NAMES),
    st.sampled_from((None, *NAMES)), st.sampled_from((None, *NAMES)),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(pieces, st.lists(drawn, max_size=5), st.sampled_from([12, 20, 256]))
def test_gold_comes_back_but_for_what_is_counted(parts: list[str], gold: list[Relation], length: int) -> None:
    encoder = HFTextEncoder(_tokenizer(), takes_segments=False)
    text = "文" + "".join(parts)
    one = example(text, *dict.fromkeys(gold))
    limits = Limits(max_length=length, overlap=4)
    tally = Tally()
    back = set(answered(TASK, one, encoder, limits, tally))
    reach = TASK.recall_bound([one], encoder, limits)
    assert reach.gold == len(one.gold)
    assert len(set(one.gold) & back) == reach.reachable
    assert reach.gold - reach.reachable == sum(reach.unreachable.counts.values())
    if set(reach.unreachable.counts) <= {NOT_FOUND, NO_WINDOW} and not tally.counts:
        assert set(one.gold) == back
    assert all(words in text for answer in back for words in (answer.subject, *dict(answer.object).values()))


_KNOWN: list[Any] = []


def _tokenizer() -> Any:
    if not _KNOWN:
        _KNOWN.append(AutoTokenizer.from_pretrained(MINI_ZH))
    return _KNOWN[0]


@pytest.mark.parametrize(("split", "gold", "lost"), [
    ("train", 16_933, {NO_WINDOW: 132, AMBIGUOUS: 10, DROPPED: 3, CUT: 2}),
    ("dev", 3_655, {NO_WINDOW: 24, DROPPED: 3, AMBIGUOUS: 2}),
])  # fmt: skip
def test_every_real_relation_comes_back_but_for_those_counted(
    shared: Path, characters: HFTextEncoder, split: str, gold: int, lost: dict[str, int]
) -> None:
    source, limits = Source.open(shared / "data" / "duie"), Limits(max_length=128, overlap=32)
    assert DUIE.adapt(source) is DUIE
    examples, tally = list(DUIE.read(source, split, Tally())), Tally()
    assert sum(len(one.gold) for one in examples) == gold
    back = 0
    for one, features in zip(examples, by_example(DUIE, examples, characters, limits, tally), strict=True):
        answer = DUIE.predictions(one, features, list(map(oracle, features)), PLAIN).answer
        back += len(set(one.gold) & set(answer))
    assert tally.as_dict() == {reason: amount for reason, amount in lost.items() if reason != AMBIGUOUS}
    assert back == gold - sum(lost.values())
    if split == "dev":
        reach = DUIE.recall_bound(examples, characters, limits)
        assert (reach.gold, reach.reachable, reach.unreachable.as_dict()) == (gold, back, lost)


def test_a_triple_that_several_windows_hold_is_judged_by_the_one_that_sees_most(characters: HFTextEncoder) -> None:
    text = "很" * 20 + "余华写活着" + "很" * 20
    one = example(text, relation("作者", "活着", "余华"))
    limits = Limits(max_length=30, overlap=20)
    (features,) = by_example(TASK, [one], characters, limits)
    holding = [i for i, feature in enumerate(features) if len(feature.targets["triples"])]
    assert len(holding) > 1
    answers = []
    for chosen in holding:
        candidates = [oracle(feature) if i == chosen else triples_of() for i, feature in enumerate(features)]
        answers.append(TASK.predictions(one, features, candidates, PLAIN).answer)
    assert sorted(map(len, answers)) == [0] * (len(holding) - 1) + [1]


def test_a_threshold_applies_to_candidates_decoded_lower(characters: HFTextEncoder) -> None:
    one = example("余华写了《活着》")
    (features,) = by_example(TASK, [one], characters)
    found = [triples_of((0, 6, 7, 1, 2, 0.5), (0, 1, 2, 6, 7, -1.0), (0, 0, 0, 1, 2, 3.0))]  # the last holds [CLS]
    sizes = [len(TASK.predictions(one, features, found, Answering(threshold=t)).answer) for t in (None, -1.0, 0.5)]
    assert sizes == [2, 1, 0]


# -------------------------------------------------------------------- answers


def test_answers_are_written_in_both_forms_and_read_again(characters: HFTextEncoder, tmp_path: Path) -> None:
    text = " 葛优在《活着》里演福贵，很多人看过，《活着》的作者是余华\u3000"
    one = example(text, relation("饰演", "葛优", "福贵", inWork="活着"), relation("作者", "活着", "余华"))
    (features,) = by_example(TASK, [one], characters)
    prediction = TASK.predictions(one, features, list(map(oracle, features)), PLAIN)
    assert prediction.answer == one.gold
    fields = TASK.answer_fields(one, prediction, PLAIN, probabilities=True)
    assert fields["spo_list"][0] == {
        "predicate": "饰演", "subject": "葛优", "subject_type": "演员",
        "object": {"@value": "福贵", "inWork": "活着"}, "object_type": {"@value": "人物", "inWork": "影视作品"},
    }  # fmt: skip
    assert fields["relations"][0] == {
        "predicate": "饰演", "subject": {"start": 1, "end": 3, "type": "演员", "text": "葛优"},
        "object": {
            "@value": {"start": 10, "end": 12, "type": "人物", "text": "福贵"},
            "inWork": {"start": 5, "end": 7, "type": "影视作品", "text": "活着"},
        },
        "probability": pytest.approx(0.880797, abs=1e-6),
    }  # fmt: skip
    line = json.loads(json.dumps({"text": text, **fields}))
    again = TASK.read_prediction(row(line), one)
    assert again.answer == prediction.answer
    assert [place.object for place in again.scores] == [place.object for place in prediction.scores]
    assert TASK.read_prediction(row({"spo_list": line["spo_list"]}), one) == Prediction(prediction.answer)
    gold = TASK.answer_fields(one, Prediction(one.gold), PLAIN, probabilities=False)
    assert gold == {"spo_list": fields["spo_list"]}
    with pytest.raises(RowError, match="no prediction: neither 'relations' nor 'spo_list'"):
        TASK.read_prediction(row({"text": text}), one)


def test_the_submission_has_the_text_as_it_was(tmp_path: Path) -> None:
    text = " 《红楼梦》 的\u3000作者ＡＢＣ\u2028"
    one = Example(0, text, (text,), None, {"text": text}, Where("duie_test1.json", 1))
    path = tmp_path / "duie.json"
    DUIE.write_submission([(one, Prediction((relation("作者", "红楼梦", "ＡＢＣ"),)))], "test", path)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert list(written) == ["text", "spo_list"]
    assert written["text"] == text
    assert written["spo_list"] == [{
        "predicate": "作者", "subject": "红楼梦", "subject_type": "图书作品", "object": {"@value": "ＡＢＣ"},
        "object_type": {"@value": "人物"},
    }]  # fmt: skip


# -------------------------------------------------------------------- DuIE itself


def test_the_declaration_is_the_official_schema(shared: Path) -> None:
    source = Source.open(shared / "data" / "duie")
    official = {
        line.data["predicate"]: (line.data["subject_type"], line.data["object_type"])
        for line in source.rows("duie_schema.json")
    }
    assert {predicate: (subject, dict(slots)) for predicate, subject, slots in DUIE.schema} == official
    assert DUIE.labels == tuple(official)
    assert len(DUIE.labels) == 48
    assert len(DUIE.pairs) == 55
    assert source.sha256("duie_schema.json") == DUIE.official["duie_schema.json"]


def test_the_shipped_sample_is_within_reach(characters: HFTextEncoder) -> None:
    from clue_cli.sources import locate

    source, sample = locate("duie", None)
    assert sample
    slots: set[tuple[str, str]] = set()
    for split in ("train", "dev"):
        examples = list(DUIE.read(source, split, Tally()))
        reach = DUIE.recall_bound(examples, characters, Limits(max_length=256, overlap=32))
        assert reach.reachable >= 0.99 * reach.gold
        found = {(one.type, slot) for each in examples for one in each.gold for slot, _ in one.object}
        assert split == "train" or found <= slots
        slots |= found
    assert len({predicate for predicate, _ in slots}) >= 40
    assert all(one.gold is None for one in DUIE.read(source, "test", Tally()))
