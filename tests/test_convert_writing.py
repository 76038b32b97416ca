"""What a conversion leaves in its directory: splits, names, a task of its own; all of it or nothing."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.contract import Tally
from clue_cli.convert import Request, convert
from clue_cli.convert.detection import open_export
from clue_cli.convert.writing import deal
from clue_cli.errors import RunError, UserError
from clue_cli.registry import find_task
from clue_cli.sources import Source
from tests.convert_cases import converted, examples, rows_of, written


def export(path: Path, *texts: str, type_: str = "人") -> Path:
    """doccano rows, each with a span over its first character."""
    return written(path, [{"text": text, "label": [[0, 1, type_]]} for text in texts], lines=True)


def files(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.iterdir())}


TEXTS = [f"第{number}句" for number in range(40)]


# -------------------------------------------------------------------- tasks read what was written


@pytest.mark.parametrize("form", ["own", "official"])
def test_an_entity_task_of_its_own(tmp_path: Path, form: str) -> None:
    rows = [
        {"id": 3, "text": "😀李雷去北京大学\u2028", "label": [[1, 3, "人"], [4, 6, "地"], [4, 8, "机构"]]},
        {"text": "无", "label": []},
    ]
    path = written(tmp_path / "all.jsonl", rows, lines=True)
    converted(path, form=form, offsets="characters")
    read = examples(tmp_path / "out")
    assert [(e.id, e.texts[0], [tuple(span) for span in e.gold]) for e in read] == [
        (3, rows[0]["text"], [(1, 3, "人"), (4, 6, "地"), (4, 8, "机构")]), (None, "无", []),
    ]  # fmt: skip
    task = find_task(str(tmp_path / "out"))
    assert (task.name, task.labels, task.family, task.own) == ("out", ("人", "地", "机构"), "entities", True)


def test_the_official_form_of_entities_has_inclusive_ends(tmp_path: Path) -> None:
    path = written(tmp_path / "all.jsonl", [{"text": "李雷见李雷", "label": [[0, 2, "人"], [3, 5, "人"]]}], lines=True)
    rows, _ = converted(path, form="official")
    assert rows == [{"text": "李雷见李雷", "label": {"人": {"李雷": [[0, 1], [3, 4]]}}}]


def test_a_classifier_of_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path / "all.jsonl", [{"text": "很好", "label": ["好"]}, {"text": "很差", "label": ["差"]}], lines=True
    )
    converted(path, output=tmp_path / "_我的 数据!")
    assert [(e.texts, e.gold) for e in examples(tmp_path / "_我的 数据!")] == [(("很好",), "好"), (("很差",), "差")]
    assert find_task(str(tmp_path / "_我的 数据!")).name == "我的 数据-"
    path = written(tmp_path / "one.jsonl", [{"text": "很好", "label": ["好"]}], lines=True)
    converted(path, output=tmp_path / "_我的 数据!", split="dev")  # the directory has the other label
    with pytest.raises(UserError, match="a classifier needs two labels, these texts have one: 好"):
        converted(path, output=tmp_path / "b")
    assert not (tmp_path / "b").exists()


RELATIONS = {
    "text": "李雷生于北京，李雷爱北京，李雷属于北京队",
    "entities": [
        {"id": key, "label": label, "start_offset": start, "end_offset": start + 2}
        for key, (label, start) in enumerate([("人", 0), ("地", 4), ("人", 7), ("地", 10), ("人", 13)])
    ]
    + [{"id": 9, "label": "队", "start_offset": 17, "end_offset": 20}],
    "relations": [
        {"from_id": 0, "to_id": 1, "type": "生于"}, {"from_id": 2, "to_id": 3, "type": "爱"},
        {"from_id": 4, "to_id": 9, "type": "爱"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", ["own", "official"])
def test_relations_with_a_schema_of_their_own(tmp_path: Path, form: str) -> None:
    path = written(tmp_path / "all.jsonl", [RELATIONS], lines=True)
    _, done = converted(path, form=form)
    assert done.files == ["duie_schema.json", "duie_train.json"]
    assert rows_of(tmp_path / "out" / "duie_schema.json") == [
        {"predicate": "爱", "subject_type": "人", "object_type": {"@value": "地|队"}},
        {"predicate": "生于", "subject_type": "人", "object_type": {"@value": "地"}},
    ]
    [example] = examples(tmp_path / "out", "duie")
    assert [(r.subject, r.predicate, r.object) for r in example.gold] == [
        ("李雷", "生于", (("@value", "北京"),)),
        ("李雷", "爱", (("@value", "北京"),)),
        ("李雷", "爱", (("@value", "北京队"),)),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["own", "official"])
def test_events_with_a_schema_of_their_own(tmp_path: Path, form: str) -> None:
    written(tmp_path / "in" / "a.txt", "他上任，她上任")
    lines = (
        "T1\t人 0 1\t他\nT2\t到任 1 3\t上任\nT3\t人 4 5\t她\nT4\t到任 5 7\t上任\nE1\t到任:T2 谁:T1\nE2\t到任:T4 谁:T3\n"
    )
    written(tmp_path / "in" / "a.ann", lines)
    converted(tmp_path / "in", form=form, output=tmp_path / "out")
    [example] = examples(tmp_path / "out", "duee")
    assert [(e.trigger.start, [(a.role, a.text, a.start) for a in e.arguments]) for e in example.gold] == [
        (1, [("谁", "他", 0)]), (5, [("谁", "她", 4)]),
    ]  # fmt: skip


# -------------------------------------------------------------------- dealing


@given(texts=st.lists(st.text(max_size=3)), share=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_dealing_keeps_every_row_once_and_equal_texts_together(texts: list[str], share: float, seed: int) -> None:
    rows = [{"text": text, "number": number} for number, text in enumerate(texts)]
    dealt = deal(rows, share, seed)
    back = sorted((row for part in dealt.values() for row in part), key=lambda row: row["number"])
    assert back == rows
    places = {text: {split for split, part in dealt.items() for row in part if row["text"] == text} for text in texts}
    assert all(len(splits) == 1 for splits in places.values())
    assert all([row["number"] for row in part] == sorted(row["number"] for row in part) for part in dealt.values())
    many = len(set(texts)) > 1
    assert set(dealt) == ({"train", "dev"} if many and share > 0 else {"train"} if texts else set())


def test_dealing_is_about_the_share_and_stays_when_texts_are_added() -> None:
    rows = [{"text": f"text {number}"} for number in range(4000)]
    before = {row["text"] for row in deal(rows[:2000], 0.1, 1)["dev"]}
    after = {row["text"] for row in deal(rows, 0.1, 1)["dev"]}
    assert before == {row["text"] for row in rows[:2000] if row["text"] in after}
    assert 320 < len(after) < 480
    assert after != {row["text"] for row in deal(rows, 0.1, 2)["dev"]}


def test_both_splits_at_once(tmp_path: Path) -> None:
    _, done = converted(export(tmp_path / "all.jsonl", *TEXTS), split=None, dev_share=0.25, seed=3)
    assert done.rows["train"] + done.rows["dev"] == 40
    assert 3 < done.rows["dev"] < 20
    texts = {split: {e.texts[0] for e in examples(tmp_path / "out", split=split)} for split in ("train", "dev")}
    assert texts["train"] | texts["dev"] == set(TEXTS)
    assert not texts["train"] & texts["dev"]


# -------------------------------------------------------------------- what is there already


def test_a_split_beside_another(tmp_path: Path) -> None:
    converted(export(tmp_path / "train.jsonl", *TEXTS))
    toml = tmp_path / "out" / "task.toml"
    toml.write_text(toml.read_text() + "[recipe]\nepochs = 9\n")
    mine = toml.read_text()
    _, done = converted(export(tmp_path / "dev.jsonl", "甲"), split="dev")
    assert done.files == ["dev.jsonl"]
    assert [e.texts[0] for e in examples(tmp_path / "out", split="dev")] == ["甲"]
    before = files(tmp_path / "out")
    with pytest.raises(UserError, match=r"labels\.txt: lacks 物, which these annotations have .*--force adds them"):
        converted(export(tmp_path / "test.jsonl", "乙", type_="物"), split="test")
    assert files(tmp_path / "out") == before
    converted(tmp_path / "test.jsonl", split="test", force=True)
    assert find_task(str(tmp_path / "out")).labels == ("人", "物")
    assert toml.read_text() == mine
    assert examples(tmp_path / "out")[0].gold is not None


def test_schemas_grow_likewise(tmp_path: Path) -> None:
    first = {**RELATIONS, "relations": RELATIONS["relations"][:1]}
    converted(written(tmp_path / "a.jsonl", [first], lines=True))
    second = written(tmp_path / "b.jsonl", [RELATIONS], lines=True)
    with pytest.raises(UserError, match=r"duie_schema\.json: lacks 爱"):
        converted(second, split="dev")
    converted(second, split="dev", force=True)
    assert [line["predicate"] for line in rows_of(tmp_path / "out" / "duie_schema.json")] == ["生于", "爱"]
    events = {"a": "E1\t到任:T2 谁:T1\n", "b": "E1\t到任:T2 何时:T1\nE2\t离任:T2\n"}
    for name, lines in events.items():
        written(tmp_path / name / "x.txt", "他上任")
        written(tmp_path / name / "x.ann", "T1\t人 0 1\t他\nT2\t到任 1 3\t上任\n" + lines)
    converted(tmp_path / "a", output=tmp_path / "events")
    converted(tmp_path / "b", output=tmp_path / "events", split="dev", force=True)
    assert rows_of(tmp_path / "events" / "duee_event_schema.json") == [
        {"event_type": "到任", "role_list": [{"role": "谁"}, {"role": "何时"}]},
        {"event_type": "离任", "role_list": []},
    ]  # fmt: skip


def test_nothing_is_replaced_unasked_and_labels_are_those_of_the_export(tmp_path: Path) -> None:
    converted(export(tmp_path / "a.jsonl", *TEXTS), split=None)
    before = files(tmp_path / "out")
    again = export(tmp_path / "b.jsonl", *TEXTS, type_="物")
    for split in (None, "train", "dev"):
        with pytest.raises(UserError, match=r"exists already|--force adds them"):
            converted(again, split=split)
        assert files(tmp_path / "out") == before
    converted(again, split=None, force=True)
    assert find_task(str(tmp_path / "out")).labels == ("物",)


@pytest.mark.parametrize("named", ["train.jsonl", ".", "link.jsonl"])
def test_an_export_is_never_replaced_by_its_rows(tmp_path: Path, named: str) -> None:
    path = export(tmp_path / "in" / "train.jsonl", "甲", "乙")
    before = path.read_bytes()
    if named == "link.jsonl":
        (tmp_path / "link.jsonl").symlink_to(path)
    file = tmp_path / named if named == "link.jsonl" else tmp_path / "in" / named
    for force in (True, False):
        with pytest.raises(UserError, match=r"in/train\.jsonl: this is the export; its rows must go elsewhere"):
            converted(file, output=tmp_path / "in", force=force)
    assert [found.name for found in (tmp_path / "in").iterdir()] == ["train.jsonl"]
    assert path.read_bytes() == before
    assert len(converted(file, output=tmp_path / "in", split="dev")[0]) == 2


def test_no_text_of_brat_is_replaced_by_labels(tmp_path: Path) -> None:
    for name in ("a", "labels"):
        written(tmp_path / f"{name}.txt", "周亦然")
        written(tmp_path / f"{name}.ann", "T1\t人 0 3\t周亦然\n")
    for file in (tmp_path, tmp_path / "a.ann"):
        with pytest.raises(UserError, match=r"labels\.txt: this is the export"):
            converted(file, output=tmp_path, force=True)
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8") == "周亦然"


def test_a_directory_of_another_task_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path / "out" / "task.toml", 'family = "classification"\nlabels = ["a", "b"]\n')
    with pytest.raises(UserError, match=r"task\.toml: exists already"):
        converted(export(tmp_path / "a.jsonl", "甲"))
    assert list(files(tmp_path / "out")) == ["task.toml"]


@pytest.mark.parametrize("fails", [1, 3])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    """The disk is full at the first or at a later file."""
    written_before = export(tmp_path / "a.jsonl", *TEXTS)
    calls = iter(range(1, 99))
    real = os.fsync

    def full(handle: int) -> None:
        if next(calls) == fails:
            raise OSError(errno.ENOSPC, "full")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="disk is full"):
        convert(Request(file=written_before, output=tmp_path / "deep" / "out"))
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"format": "docano"}, "--format: unknown format 'docano'; did you mean doccano"),
        ({"task": "entity"}, "--task: unknown kind of task 'entity'; did you mean entities"),
        ({"task": "relations"}, "no relations are annotated here; found: entities"),
        ({"task": "events"}, "no events are annotated here"),
        ({"form": "duie"}, "--to: unknown form 'duie'"),
        ({"split": "trian"}, "--split: unknown split 'trian'; did you mean train"),
        ({"offsets": "bytes"}, "--offsets: unknown way to count 'bytes'"),
        ({"joiner": "tab"}, "--joiner: unknown joiner 'tab'"),
        ({"dev_share": 1.0, "split": None}, "--dev-share: a share from 0 to under 1"),
        ({"dev_share": 0.1}, "--dev-share: all rows become one split"),
        ({"encoding": "utf-99"}, "--encoding: unknown encoding"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_named(tmp_path: Path, wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as error:
        converted(export(tmp_path / "a.jsonl", "甲"), **wanted)
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the file is empty"),
        ("一句话。\n两句话。\n", "cannot tell the format"),
        ('{"sentence": "x", "tag": 3}\n', "neither Label Studio's form nor doccano's: sentence, tag"),
        ("[]", "neither Label Studio's form nor doccano's: no objects"),
        ('{"text": "甲", "label": []}\n', "nothing is annotated here"),
        ('{"text": "甲", "label": [\n', "no valid JSON"),
        ('{"text": "甲", "label": [[0, 1, "a"]]}\nno\n', "no valid JSON"),
        (b"\xff\xfe{\0", "UTF-16"),
    ],
)  # fmt: skip
def test_what_is_no_export_is_named(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(UserError) as error:
        converted(written(tmp_path / "x.json", content))
    assert says in str(error.value)
    assert "x.json" in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("cluener", {"text": "甲", "label": {"人": {"甲": [[0, 0]]}}}),
        ("duie", {"text": "甲", "spo_list": []}),
        ("duie", {"text": "甲", "relations": [{"predicate": "a"}]}),
        ("duee", {"text": "甲", "id": "1", "event_list": []}),
        ("duee", {"text": "甲", "events": [{"event_type": "a"}]}),
        ("duee_fin", {"text": "甲", "id": "1", "title": "乙", "event_list": []}),
    ],
)
def test_what_needs_no_conversion_is_told_the_command(tmp_path: Path, task: str, row: Any) -> None:
    path = written(tmp_path / "a b" / "x.json", [row], lines=True)
    told = rf"x\.json:1: this is the form of task {task} already .* are: clue train {task} --data '{tmp_path}/a b'\)"
    with pytest.raises(UserError, match=told):
        converted(path)


def test_an_export_above_documents_of_brat_is_the_export(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.txt").write_text("甲乙")
    (tmp_path / "old" / "a.ann").write_text("T1\t人 0 1\t甲\n")
    (tmp_path / "annotation.conf").write_text("[entities]\n人\n")
    assert open_export(tmp_path).format == "brat"
    (tmp_path / "annotation.conf").unlink()
    written(tmp_path / "export.jsonl", [{"id": 1, "text": "丙", "label": ["a"]}], lines=True)
    assert open_export(tmp_path).format == "doccano"
    assert open_export(tmp_path, "brat").format == "brat"


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz"])
@pytest.mark.parametrize("format", ["auto", "doccano"])
def test_a_table_is_told_what_it_needs(tmp_path: Path, name: str, format: str) -> None:
    content = b"id,text,label\n1,\xe7\x94\xb2,a\n"
    path = written(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UserError, match=r"tables are not converted: .* give them a task\.toml"):
        converted(path, format=format)


def test_a_column_file_may_be_called_tsv(tmp_path: Path) -> None:
    [row], _ = converted(written(tmp_path / "x.tsv", "甲\tB-人\n乙\tO\n"))
    assert row["text"] == "甲乙"


def test_places_that_do_not_exist_or_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        converted(tmp_path / "nowhere.json")
    path = export(tmp_path / "a.jsonl", "甲")
    with pytest.raises(UserError, match=r"a\.jsonl: is a file; a directory was expected"):
        converted(path, output=path)
    (tmp_path / "many").mkdir()
    with pytest.raises(UserError, match="one export was expected, found nothing"):
        converted(tmp_path / "many")


def test_the_summary_is_json(tmp_path: Path) -> None:
    _, done = converted(export(tmp_path / "a.jsonl", "甲", "乙"))
    document = json.loads(json.dumps(done.as_dict()))
    assert document["rows"] == {"train": 2}
    assert document["annotations"] == {"train": 2}
    assert document["names"] == ["人"]


# -------------------------------------------------------------------- real annotations


def test_the_real_cluener_survives_every_form(tmp_path: Path, shared: Path) -> None:
    """Its dev set as each tool would export it (columns: where entities do not overlap) is read back as it was."""
    source = Source.open(shared / "data" / "cluener")
    gold = {example.texts[0]: example.gold for example in find_task("cluener").read(source, "dev", Tally())}
    lists = [{"text": text, "label": [list(span) for span in spans]} for text, spans in gold.items()]
    regions = [
        {"data": {"text": text}, "annotations": [{"result": [
            {"id": str(n), "type": "labels", "value": {"start": s, "end": e, "text": text[s:e], "labels": [type_]}}
            for n, (s, e, type_) in enumerate(spans)
        ]}]}
        for text, spans in gold.items()
    ]  # fmt: skip
    written(tmp_path / "doccano.jsonl", lists, lines=True)
    written(tmp_path / "studio.json", regions)
    flat, blocks = {}, []
    for text, spans in gold.items():
        tags = ["O"] * len(text)
        for start, end, type_ in spans:
            tags[start:end] = [f"B-{type_}"] + [f"I-{type_}"] * (end - start - 1)
        if sum(end - start for start, end, _ in spans) == sum(tag != "O" for tag in tags):
            flat[text] = spans
            blocks.append("".join(f"{token}\t{tag}\n" for token, tag in zip(text, tags, strict=True)))
    written(tmp_path / "columns.bio", "\n".join(blocks))
    some = dict(list(gold.items())[:150])
    for number, (name, text) in enumerate(some.items()):
        lines = [f"T{n}\t{t} {s} {e}\t{name[s:e]}\n" for n, (s, e, t) in enumerate(text)]
        written(tmp_path / "brat" / f"{number}.txt", name)
        written(tmp_path / "brat" / f"{number}.ann", "".join(lines))
    for name, expected in (("doccano.jsonl", gold), ("studio.json", gold), ("brat", some), ("columns.bio", flat)):
        _, done = converted(tmp_path / name, output=tmp_path / f"{name}.out")
        assert {e.texts[0]: e.gold for e in examples(tmp_path / f"{name}.out")} == expected, name
        assert done.left_out.as_dict() == {}, name
    assert len(flat) > 1200
