"""Label Studio's exports, JSON and JSON-MIN, as its releases write them, with what goes wrong in them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.contract import Tally
from clue_cli.convert.documents import Document, Marking, Reading
from clue_cli.convert.offsets import settle
from clue_cli.errors import RowError, UserError, Where
from tests.convert_cases import converted, left_out, spans, written

IDS = itertools.count(1)


def region(start: int, end: int, *labels: str, words: str | None = None, key: str = "", kind: str = "labels") -> Any:
    value: dict[str, Any] = {"start": start, "end": end, kind: list(labels)}
    if words is not None:
        value["text"] = words
    return {"id": key or f"r{next(IDS)}", "from_name": "ner", "to_name": "text", "type": kind, "value": value}


def choice(*choices: str, name: str = "sentiment") -> Any:
    return {"id": "c", "from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(choices)}}


def relation(head: str, tail: str, *labels: str, direction: str = "right") -> Any:
    return {"from_id": head, "to_id": tail, "type": "relation", "direction": direction, "labels": list(labels)}


def task(text: str, *results: Any, **more: Any) -> dict[str, Any]:
    annotation = {
        "id": next(IDS),
        "completed_by": 1,
        "was_cancelled": False,
        "ground_truth": False,
        "result": [*results],
    }
    return {"id": next(IDS), "data": {"text": text}, "annotations": [annotation], "predictions": [], **more}


def annotation(*results: Any, **more: Any) -> dict[str, Any]:
    return {"id": next(IDS), "was_cancelled": False, "ground_truth": False, "result": [*results], **more}


def test_spans_of_a_task(tmp_path: Path) -> None:
    text = "李雷去了北京大学"
    export = [task(text, region(0, 2, "人", words="李雷"), region(4, 6, "地"), region(4, 8, "地", "机构"))]
    [row], done = converted(written(tmp_path / "e.json", export))
    assert (row["id"], row["text"]) == (export[0]["id"], text)
    assert spans(row) == [(0, 2, "人"), (4, 6, "地"), (4, 8, "地"), (4, 8, "机构")]
    assert (done.format, done.task, done.names, left_out(done)) == (
        "label-studio",
        "entities",
        ["人", "地", "机构"],
        {},
    )


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_offsets_after_an_emoji_count_what_the_words_say(tmp_path: Path, newline: str) -> None:
    """Older frontends count UTF-16 units, newer ones characters; both may stand in one file."""
    text = f"👩‍🚒😀{newline}李雷在北京，李雷走了"
    start = text.index("北京")
    units = len(text[:start].encode("utf-16-le")) // 2
    export = [
        task(text, region(units, units + 2, "地", words="北京")),
        task(text, region(start, start + 2, "地", words="北京")),
    ]
    rows, done = converted(written(tmp_path / "e.json", export))
    assert [spans(row) for row in rows] == [[(start, start + 2, "地")]] * 2
    assert all(row["text"] == text for row in rows)
    assert list(left_out(done).values()) == [1]


def test_line_breaks_that_a_browser_counted_once(tmp_path: Path) -> None:
    text = "第一行\r\n第二行\r\n李雷"
    [row], _ = converted(written(tmp_path / "e.json", [task(text, region(8, 10, "人", words="李雷"))]))
    assert spans(row) == [(10, 12, "人")]
    [row], _ = converted(written(tmp_path / "f.json", [task(text, region(10, 12, "人"))]), output=tmp_path / "f")
    assert spans(row) == [(10, 12, "人")]


def test_words_over_a_line_break_are_the_same_words(tmp_path: Path) -> None:
    text = "北京\n大学很大"
    [row], done = converted(written(tmp_path / "e.json", [task(text, region(0, 5, "机构", words="北京\\n大学"))]))
    assert spans(row) == [(0, 5, "机构")]
    assert left_out(done) == {}


def test_words_elsewhere_move_the_span_if_there_is_one_place(tmp_path: Path) -> None:
    export = [task("今天李雷到了", region(0, 2, "人", words="李雷"))]
    [row], done = converted(written(tmp_path / "e.json", export))
    assert spans(row) == [(2, 4, "人")]
    assert left_out(done) == {"spans moved to the one place where their words stand": 1}


@pytest.mark.parametrize(
    ("text", "wrong", "says"),
    [
        ("李雷见李雷了", region(1, 3, "人", words="李雷"), r"'雷见' in the text, not '李雷', which stands 2 times"),
        ("今天", region(0, 2, "人", words="李雷"), "which stands nowhere in the text"),
        ("今天", region(1, 5, "人"), r"\[1, 5\) does not fit the text, which has 2 characters"),
        ("今天", region(2, 1, "人"), "ends before it begins"),
        ("今天", region(-1, 1, "人"), "a whole number from 0"),
        ("今天", region(0, 1), "without a label"),
        ("今天", region(0, 1, ""), "a text of one line"),
        ("今天", region(0, 1, "a\nb"), "a text of one line"),
    ],
)
def test_a_wrong_region_is_named(tmp_path: Path, text: str, wrong: Any, says: str) -> None:
    export = written(tmp_path / "e.json", [task("李雷", region(0, 2, "人")), task(text, wrong)])
    with pytest.raises(RowError, match=rf"e\.json: \[1\]\.annotations\[0\]\.result\[0\]\.value.*: .*{says}"):
        converted(export)
    assert not (tmp_path / "out").exists()
    rows, done = converted(export, skip=True)
    assert [spans(row) for row in rows] == [[(0, 2, "人")]]
    assert left_out(done) == {"rows with an error": 1}


def test_spans_are_trimmed_of_blanks_and_empty_ones_left_out(tmp_path: Path) -> None:
    results = [region(0, 3, "人", key="a"), region(2, 3, "人", key="b"), region(3, 4, "人", key="c")]
    path = written(
        tmp_path / "e.json", [task("李雷 去\u3000", *results, relation("a", "b", "知"), relation("a", "c", "知"))]
    )
    [row], done = converted(path)
    assert [(r["subject"]["text"], r["object"]["@value"]["text"]) for r in row["relations"]] == [("李雷", "去")]
    assert left_out(done) == {
        "spans trimmed of blanks at their ends": 1,
        "spans without a visible character": 1,
        "relations whose span was left out": 1,
    }


def test_which_annotation_of_a_task_counts(tmp_path: Path) -> None:
    """Ground truth first, then the last updated one, then the last of the file; cancelled ones never."""
    a, b = region(0, 2, "a"), region(0, 2, "b")
    old, new = {"updated_at": "2024-01-01T00:00:00Z"}, {"updated_at": "2024-02-01T00:00:00Z"}
    export = [
        task("李雷1", annotations=[annotation(a, **new), annotation(b, **old)]),
        task("李雷2", annotations=[annotation(a), annotation(b)]),
        task("李雷3", annotations=[annotation(a, ground_truth=True, **old), annotation(b, **new)]),
        task("李雷4", annotations=[annotation(a), annotation(b, was_cancelled=True)]),
        task("李雷5", annotations=[annotation(b, was_cancelled=True)]),
        task("李雷6", annotations=[]),
        task("李雷7", annotations=[annotation(a), annotation(region(0, 2, "a"))]),
    ]
    export[0]["predictions"] = [{"result": [a]}]
    rows, done = converted(written(tmp_path / "e.json", export))
    assert [(row["text"][2], spans(row)[0][2]) for row in rows] == [*zip("12347", "abaaa", strict=True)]
    assert left_out(done) == {
        "cancelled annotations": 2,
        "texts without an annotation": 2,
        "further annotations of a text (ground truth counts, else the last)": 4,
        "texts whose annotators disagree": 3,
        "predictions of a model": 1,
    }


def test_relations_agree_where_they_lead_from_the_same_to_the_same(tmp_path: Path) -> None:
    """The ids of regions differ in every annotation; "left" turns a relation round, and "bi" has no direction."""

    def said(key: str, **how: Any) -> Any:
        ends = (f"{key}2", f"{key}1") if how.pop("turned", False) else (f"{key}1", f"{key}2")
        regions = region(0, 1, "a", key=f"{key}1"), region(1, 2, "a", key=f"{key}2")
        return annotation(*regions, relation(*ends, how.pop("label", "r"), **how))

    pairs = [
        ({}, {}), ({}, {"direction": "left", "turned": True}),
        ({"direction": "bi"}, {"direction": "bi", "turned": True}),
        ({}, {"turned": True}), ({}, {"direction": "left"}), ({}, {"label": "s"}),
        ({}, {"direction": "bi"}),
    ]  # fmt: skip
    for number, (one, other) in enumerate(pairs):
        export = [task("李雷", annotations=[said("x", **one), said("y", **other)])]
        _, done = converted(written(tmp_path / "e.json", export), output=tmp_path / str(number))
        disagreeing = left_out(done).get("texts whose annotators disagree", 0)
        assert disagreeing == (number > 2), number


def test_relations_and_their_directions(tmp_path: Path) -> None:
    text = "李雷生于北京，任校长"
    export = [
        task(
            text,
            relation("a", "b", "生于"),  # before the regions it joins
            region(0, 2, "人", key="a"), region(4, 6, "地", key="b"), region(8, 10, "职", key="c"),
            relation("c", "a", "任", direction="left"), relation("a", "b", "同", direction="bi"),
            relation("a", "x", "生于"), relation("a", "b"),
        )
    ]  # fmt: skip
    [row], done = converted(written(tmp_path / "e.json", export), form="official")
    found = [(spo["subject"], spo["predicate"], spo["object"]["@value"]) for spo in row["spo_list"]]
    assert found == [("李雷", "生于", "北京"), ("李雷", "任", "校长"), ("李雷", "同", "北京"), ("北京", "同", "李雷")]
    assert row["spo_list"][0]["subject_type"] == "人"
    assert row["spo_list"][0]["object_type"] == {"@value": "地"}
    assert left_out(done) == {
        "relations with something that is no labelled span": 1,
        "relations without a label": 1,
        "predicates between several types (the schema joins their names by |)": 1,
    }


def test_choices_and_what_is_no_annotation_of_a_text(tmp_path: Path) -> None:
    of_region = {"id": "r", "type": "choices", "from_name": "x", "value": {"start": 0, "end": 1, "choices": ["x"]}}
    other = {"id": "t", "type": "textarea", "from_name": "note", "value": {"text": ["x"]}}
    export = [
        task("很好", choice("good"), other, of_region),
        task("很差", choice("bad")),
        task("一般", choice("good", "bad")),
        task("未知", choice()),
    ]
    rows, done = converted(written(tmp_path / "e.json", export))
    assert [(row["text"], row["label"]) for row in rows] == [("很好", "good"), ("很差", "bad")]
    assert left_out(done) == {
        "results of type 'textarea'": 1,
        "results of type 'choices' of a region": 1,
        "texts with several labels (a class is one label)": 1,
        "texts without a label": 1,
    }


def test_several_groups_of_choices_ask_which(tmp_path: Path) -> None:
    export = [task("很好", choice("good"), choice("hotel", name="topic")), task("很差", choice("bad"))]
    path = written(tmp_path / "e.json", export)
    with pytest.raises(UserError, match=r"several groups of choices: sentiment, topic .*--label-field"):
        converted(path)
    rows, done = converted(path, label_field="sentiment")
    assert [row["label"] for row in rows] == ["good", "bad"]
    assert left_out(done) == {"choices of 'topic'": 1}


def test_html_regions_are_counted(tmp_path: Path) -> None:
    html = {"start": "/div[1]/text()[1]", "end": "/div[1]/text()[1]", "startOffset": 0, "endOffset": 2}
    region_ = {"id": "h", "type": "hypertextlabels", "value": {**html, "hypertextlabels": ["人"]}}
    export = [task("李雷", region_, region(0, 2, "人", kind="hypertextlabels"))]
    [row], done = converted(written(tmp_path / "e.json", export))
    assert spans(row) == [(0, 2, "人")]
    assert left_out(done) == {"results of type 'hypertextlabels'": 1}


def test_the_field_of_the_text(tmp_path: Path) -> None:
    export = task("x", region(0, 2, "人"))
    export["data"] = {"content": "李雷", "number": 3}
    path = written(tmp_path / "e.json", [export])
    [row], _ = converted(path)
    assert row["text"] == "李雷"
    export["data"]["url"] = "http"
    written(path, [export])
    with pytest.raises(UserError, match=r"which field holds the text.*content, url.*--text-field"):
        converted(path, output=tmp_path / "b")
    [row], _ = converted(path, text_field="content", output=tmp_path / "b")
    assert row["text"] == "李雷"
    with pytest.raises(RowError, match=r"\[0\]\.data: no field 'titel'; fields found: content, number, url"):
        converted(path, text_field="titel", output=tmp_path / "c")


def test_old_releases_say_completions(tmp_path: Path) -> None:
    old = {"id": 1, "data": {"text": "李雷"}, "completions": [{"result": [region(0, 2, "人")]}]}
    [row], done = converted(written(tmp_path / "e.json", [old]))
    assert (spans(row), done.format) == ([(0, 2, "人")], "label-studio")


def test_json_lines_of_tasks(tmp_path: Path) -> None:
    export = [task("李雷", region(0, 2, "人")), task("北京", region(0, 2, "地"))]
    rows, _ = converted(written(tmp_path / "e.jsonl", export, lines=True))
    assert [spans(row) for row in rows] == [[(0, 2, "人")], [(0, 2, "地")]]


def minimal(number: int, text: str, **fields: Any) -> dict[str, Any]:
    own = {"annotator": 1, "annotation_id": next(IDS), "created_at": "x", "updated_at": "2024-01-01", "lead_time": 1.5}
    return {"id": number, "text": text, **fields, **own}


def test_json_min_of_spans(tmp_path: Path) -> None:
    span = {"start": 0, "end": 2, "text": "李雷", "labels": ["人"]}
    export = [minimal(1, "李雷", ner=[span], source="a"), minimal(2, "无", source="b")]
    rows, done = converted(written(tmp_path / "e.json", export))
    assert [(row["id"], spans(row)) for row in rows] == [(1, [(0, 2, "人")]), (2, [])]
    assert done.format == "label-studio"


def test_json_min_of_choices(tmp_path: Path) -> None:
    export = [
        minimal(1, "很好", sentiment="good"),
        minimal(2, "很差", sentiment="bad"),
        {**minimal(1, "很好", sentiment="bad"), "updated_at": "2024-02-01"},
        minimal(3, "一般", sentiment={"choices": ["good", "bad"]}),
        minimal(4, "不错", sentiment="good"),
    ]
    rows, done = converted(written(tmp_path / "e.json", export))
    assert [(row["id"], row["label"]) for row in rows] == [(1, "bad"), (2, "bad"), (4, "good")]
    assert left_out(done)["further annotations of a text (ground truth counts, else the last)"] == 1
    assert left_out(done)["texts whose annotators disagree"] == 1
    assert left_out(done)["texts with several labels (a class is one label)"] == 1


def test_json_min_asks_which_field_is_the_label(tmp_path: Path) -> None:
    export = [minimal(1, "很好", sentiment="good", city="北京"), minimal(2, "很差", sentiment="bad", city="上海")]
    path = written(tmp_path / "e.json", export)
    with pytest.raises(UserError, match=r"which field holds the label.*city, sentiment"):
        converted(path)
    rows, _ = converted(path, label_field="sentiment")
    assert [row["label"] for row in rows] == ["good", "bad"]


@given(
    text=st.text(st.sampled_from("李雷去北京a 😀𠮷"), min_size=1, max_size=12),
    data=st.data(),
    unit=st.sampled_from(["characters", "utf-16"]),
)
def test_words_lead_any_counted_offset_back_to_its_characters(text: str, data: Any, unit: str) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    words = text[start:end]
    if not words.strip():
        return
    place = Where("x")
    size = 1 if unit == "characters" else 2
    counted = [len(text[:at]) if size == 1 else len(text[:at].encode("utf-16-le")) // 2 for at in (start, end)]
    document = Document(text, place, marks={"a": Marking(*counted, "t", place, words)})
    [settled] = settle([document], Reading(offsets=unit), Tally())
    [mark] = settled.marks.values()
    left, right = len(words) - len(words.lstrip()), len(words) - len(words.rstrip())
    assert (mark.start, mark.end) == (start + left, end - right)
    # Without being told the unit: at least the same words.
    document = Document(text, place, marks={"a": Marking(*counted, "t", place, words)})
    [settled] = settle([document], Reading(), Tally())
    [mark] = settled.marks.values()
    assert text[mark.start : mark.end] == words.strip()
