"""doccano's exports in the forms of its releases."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from clue_cli.errors import RowError, UserError
from tests.convert_cases import converted, left_out, spans, written


@pytest.mark.parametrize("field", ["label", "labels", "entities"])
def test_spans_as_lists(tmp_path: Path, field: str) -> None:
    export = [
        {"id": 7, "text": "李雷去北京", field: [[0, 2, "人"], [3, 5, "地"]], "Comments": ["?"]},
        {"text": "无", field: []},
    ]
    rows, done = converted(written(tmp_path / "all.jsonl", export, lines=True))
    assert [spans(row) for row in rows] == [[(0, 2, "人"), (3, 5, "地")], []]
    assert rows[0]["id"] == 7 and "id" not in rows[1]
    assert (done.format, done.empty, left_out(done)) == ("doccano", {"train": 1}, {"comments": 1})
    rows, done = converted(tmp_path / "all.jsonl", skip_empty=True, output=tmp_path / "b")
    assert len(rows) == 1
    assert left_out(done)["texts without annotations (--skip-empty)"] == 1


def entity(key: int, start: int, end: int, label: str) -> dict[str, Any]:
    return {"id": key, "label": label, "start_offset": start, "end_offset": end}


def test_entities_with_relations(tmp_path: Path) -> None:
    row = {
        "id": 1, "text": "李雷生于北京。李雷爱北京。",
        "entities": [entity(0, 0, 2, "人"), entity(1, 4, 6, "地"), entity(5, 7, 9, "人"), entity(6, 10, 12, "地")],
        "relations": [
            {"id": 0, "from_id": 0, "to_id": 1, "type": "生于"}, {"id": 1, "from_id": 5, "to_id": 6, "type": "爱"},
            {"id": 2, "from_id": 5, "to_id": 1, "type": "生于"}, {"id": 3, "from_id": 5, "to_id": 1, "type": None},
        ],
        "Comments": [],
    }  # fmt: skip
    path = written(tmp_path / "all.jsonl", [row], lines=True)
    [found], done = converted(path)
    assert done.task == "relations"
    assert [(r["predicate"], r["subject"]["start"], r["object"]["@value"]["start"]) for r in found["relations"]] == [
        ("生于", 0, 4), ("爱", 7, 10), ("生于", 7, 4),
    ]  # fmt: skip
    assert left_out(done) == {"relations without a label": 1}
    [found], _ = converted(path, form="official", output=tmp_path / "official")
    assert [(spo["subject"], spo["predicate"]) for spo in found["spo_list"]] == [("李雷", "生于"), ("李雷", "爱")]
    [found], done = converted(path, task="entities", output=tmp_path / "entities")
    assert len(spans(found)) == 4
    assert left_out(done)["relations, which this kind of task does not have"] == 3


@pytest.mark.parametrize("label", [["good"], "good"])
def test_labels_of_texts(tmp_path: Path, label: Any) -> None:
    export = [{"data": "很好", "label": label}, {"data": "很差", "label": ["bad"]}, {"data": "无", "label": []}]
    rows, done = converted(written(tmp_path / "all.json", export))
    assert [(row["text"], row["label"]) for row in rows] == [("很好", "good"), ("很差", "bad")]
    assert left_out(done) == {"texts without a label": 1}


def test_categories_beside_spans_ask_which(tmp_path: Path) -> None:
    export = [
        {"text": "去北京", "cats": ["旅行"], "entities": [[1, 3, "地"]]},
        {"text": "吃饭", "cats": ["餐饮"], "entities": []},
    ]
    path = written(tmp_path / "all.jsonl", export, lines=True)
    with pytest.raises(UserError, match=r"all\.jsonl: there are annotations for entities and classification .*--task"):
        converted(path)
    rows, done = converted(path, task="classification")
    assert [row["label"] for row in rows] == ["旅行", "餐饮"]
    assert left_out(done) == {"spans, which this kind of task does not have": 1}


def test_events_of_relations(tmp_path: Path) -> None:
    """A span that a relation leaves is a trigger, the relation's type the role."""
    row = {
        "text": "李雷到任，又离任",
        "entities": [entity(0, 0, 2, "人"), entity(1, 2, 4, "到任"), entity(2, 6, 8, "到任")],
        "relations": [{"from_id": 1, "to_id": 0, "type": "人员"}, {"from_id": 1, "to_id": 2, "type": "之后"}],
    }
    [found], done = converted(written(tmp_path / "all.jsonl", [row], lines=True), task="events", form="official")
    assert found["event_list"] == [
        {
            "event_type": "到任", "trigger": "到任", "trigger_start_index": 2,
            "arguments": [{"role": "人员", "argument": "李雷", "argument_start_index": 0, "alias": []}],
        },
        {"event_type": "到任", "trigger": "离任", "trigger_start_index": 6, "arguments": []},
    ]  # fmt: skip
    assert left_out(done) == {"arguments that are an event": 1}


def test_old_annotations(tmp_path: Path) -> None:
    entry = {"label": "人", "start_offset": 0, "end_offset": 2, "user": 1}
    [row], _ = converted(written(tmp_path / "old.json", [{"id": 1, "text": "李雷", "annotations": [entry]}]))
    assert spans(row) == [(0, 2, "人")]
    entry["label"] = 3
    with pytest.raises(RowError, match=r"annotations\[0\]\.label: the label is the number 3, whose name .*JSONL"):
        converted(
            written(tmp_path / "old.json", [{"id": 1, "text": "李雷", "annotations": [entry]}]), output=tmp_path / "b"
        )


def test_without_words_an_emoji_leaves_two_readings_and_the_user_is_asked(tmp_path: Path) -> None:
    path = written(tmp_path / "all.jsonl", [{"text": "😀在北京大学", "label": [[3, 5, "地"]]}], lines=True)
    with pytest.raises(RowError) as error:
        converted(path)
    for part in ("all.jsonl:1: label[0]", "'京大' counted in characters", "'北京' in UTF-16 units", "--offsets utf-16"):
        assert part in str(error.value)
    for unit, start in (("characters", 3), ("utf-16", 2)):
        [row], _ = converted(path, offsets=unit, output=tmp_path / unit)
        assert spans(row) == [(start, start + 2, "地")]


def test_what_is_impossible_in_one_reading_decides_for_the_file(tmp_path: Path) -> None:
    """The last span of the second text reaches beyond its characters: the tool counted UTF-16 units."""
    export = [{"text": "😀在北京大学", "label": [[3, 5, "地"]]}, {"text": "😀去北京", "label": [[3, 5, "地"]]}]
    rows, done = converted(written(tmp_path / "all.jsonl", export, lines=True))
    assert [spans(row) for row in rows] == [[(2, 4, "地")], [(2, 4, "地")]]
    assert list(left_out(done).values()) == [2]
    # And the other way round: an offset inside of an emoji, if units were counted.
    export = [{"text": "😀在北京大学", "label": [[2, 4, "地"]]}, {"text": "😀😀去", "label": [[0, 1, "笑"]]}]
    rows, done = converted(written(tmp_path / "b.jsonl", export, lines=True), output=tmp_path / "b")
    assert [spans(row) for row in rows] == [[(2, 4, "地")], [(0, 1, "笑")]]
    assert left_out(done) == {}


def test_a_zip_as_doccano_packs_it(tmp_path: Path) -> None:
    line = '{"text": "李雷", "label": [[0, 2, "人"]]}\r\n'
    for names, fine in ((["all.jsonl"], True), (["anna.jsonl", "ben.jsonl"], False)):
        path = tmp_path / f"{len(names)}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, line)
        if fine:
            [row], _ = converted(path)
            assert spans(row) == [(0, 2, "人")]
        else:
            with pytest.raises(UserError, match=r"found anna\.jsonl, ben\.jsonl \(unpack it and give one of them\)"):
                converted(path, output=tmp_path / "b")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": "李雷", "label": [[0, 2]]}, "label[0]: [start, end, type] was expected, found [0, 2]"),
        ({"text": "李雷", "label": [["0", 2, "人"]]}, "label[0][0]: an offset"),
        ({"text": "李雷", "label": [[0, 9, "人"]]}, "label[0]: [0, 9) does not fit the text"),
        ({"text": "李雷", "label": [[0, 2, None]]}, "label[0][2]: a label"),
        ({"text": "李雷", "label": {"a": 1}}, "label: a list of annotations was expected"),
        ({"text": "李雷"}, "no annotations: none of entities, label, labels, annotations is there; fields found: text"),
        ({"text": 3, "label": []}, "text: a text was expected, found 3"),
        ({"label": []}, "no field 'text'; fields found: label"),
        ({"text": "李雷", "entities": [entity(1, 0, 1, "a"), entity(1, 1, 2, "a")]}, "entities[1].id: id 1 occurs twi"),
        (
            {"text": "李", "entities": [entity(1, 0, 1, "a")], "relations": [{"from_id": 1, "to_id": 9, "type": "x"}]},
            "relations[0].to_id: the id of an entity of this row was expected, found 9",
        ),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(tmp_path: Path, row: Any, says: str) -> None:
    good = {"text": "李雷", "label": [[0, 2, "人"]]}
    path = written(tmp_path / "all.jsonl", [good, row], lines=True)
    with pytest.raises(RowError) as error:
        converted(path)
    assert f"all.jsonl:2: {says}" in str(error.value)
    rows, done = converted(path, skip=True)
    assert len(rows) == 1
    assert left_out(done) == {"rows with an error": 1}


def test_a_line_that_is_no_json_can_be_left_out(tmp_path: Path) -> None:
    good = '{"text": "李雷", "label": [[0, 2, "人"]]}\n'
    path = written(tmp_path / "all.jsonl", good + '{"text": \n' + good + "[]\n")
    with pytest.raises(RowError, match=r"all\.jsonl:2: no valid JSON"):
        converted(path)
    rows, done = converted(path, skip=True)
    assert len(rows) == 2
    assert left_out(done) == {"rows with an error": 2}
