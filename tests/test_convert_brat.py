"""brat's standoff files: spans, fragments, relations, events, and what is not one of these."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from clue_cli.errors import RowError, UserError
from tests.convert_cases import converted, left_out, spans, written

TEXT = "周亦然今天上任，\n接管质检组。林望舒也上任。\n"


def corpus(directory: Path, annotations: str, text: str = TEXT, name: str = "a") -> Path:
    written(directory / f"{name}.txt", text)
    written(directory / f"{name}.ann", annotations)
    return directory


def bound(key: str, type_: str, words: str, text: str = TEXT, nth: int = 0) -> str:
    start = -1
    for _ in range(nth + 1):
        start = text.index(words, start + 1)
    return f"{key}\t{type_} {start} {start + len(words)}\t{words}\n"


def test_spans_and_what_is_counted(tmp_path: Path) -> None:
    annotations = (
        bound("T1", "人", "周亦然") + bound("T2", "时间", "今天")
        + "A1\tNegation T1\nM1\tX T2\nN1\tReference T1 Wikipedia:1\t周\n#1\tAnnotatorNotes T1\t?\n*\tEquiv T1 T2\n"
    )  # fmt: skip
    corpus(tmp_path / "in", annotations)
    written(tmp_path / "in" / "bare.txt", "无")
    [row], done = converted(tmp_path / "in", output=tmp_path / "out")
    assert (row["id"], row["text"], spans(row)) == ("a", TEXT, [(0, 3, "人"), (3, 5, "时间")])
    assert done.format == "brat"
    assert left_out(done) == {
        "attributes": 2, "normalisations": 1, "notes": 1, "equivalences": 1, "texts without an .ann file": 1,
    }  # fmt: skip


def test_fragments_at_a_line_end_are_one_span_and_others_are_left_out(tmp_path: Path) -> None:
    text = "北京\n 大学和北京师范大学"
    annotations = (
        "T1\t机构 0 2;4 6\t北京 大学\n"  # what brat makes of a span over the line's end
        "T2\t机构 7 9;11 13\t北京 大学\n"
        "T3\t地 7 9\t北京\nR1\t在 Arg1:T2 Arg2:T3\n"
    )
    [row], done = converted(corpus(tmp_path / "in", annotations, text), output=tmp_path / "out")
    assert spans(row) == [(0, 6, "机构"), (7, 9, "地")]
    assert left_out(done) == {"discontinuous spans": 1, "relations with a discontinuous span": 1}


def test_line_ends_of_two_characters_count_as_two(tmp_path: Path) -> None:
    text = "第一行\r\n林望舒上任\r\n"
    [row], done = converted(corpus(tmp_path / "in", "T1\t人 5 8\t林望舒\r\n", text), output=tmp_path / "out")
    assert (row["text"], spans(row)) == (text, [(5, 8, "人")])
    assert left_out(done) == {}


def test_relations(tmp_path: Path) -> None:
    annotations = (
        bound("T1", "人", "周亦然") + bound("T2", "组", "质检组") + bound("T3", "人", "林望舒")
        + "R1\t接管 Arg1:T1 Arg2:T2\t\nR2\t同事 Subj:T3 Obj:T1\n"
    )  # fmt: skip
    [row], done = converted(corpus(tmp_path / "in", annotations), output=tmp_path / "out", form="official")
    assert [(s["subject"], s["predicate"], s["object"]["@value"]) for s in row["spo_list"]] == [
        ("周亦然", "接管", "质检组"), ("林望舒", "同事", "周亦然"),
    ]  # fmt: skip
    assert done.names == ["同事", "接管"]


def test_events(tmp_path: Path) -> None:
    annotations = (
        bound("T1", "人", "周亦然") + bound("T2", "人", "林望舒") + bound("T3", "到任", "上任")
        + bound("T4", "到任", "上任", nth=1) + bound("T5", "时间", "今天") + bound("T6", "组", "质检组")
        + "E1\t到任:T3 人员:T1 时间:T5 人员2:T2\nE2\t到任:T4 人员:T2 原因:E1 版本2:T6\n"
    )  # fmt: skip
    path = corpus(tmp_path / "in", annotations)
    [row], done = converted(path, output=tmp_path / "out")
    assert done.task == "events"
    first, second = row["events"]
    assert first["trigger"] == {"start": 5, "end": 7, "text": "上任"}
    assert [(part["role"], part["text"]) for part in first["arguments"]] == [
        ("人员", "周亦然"), ("时间", "今天"), ("人员", "林望舒"),
    ]  # fmt: skip
    assert second["trigger"]["start"] == TEXT.rindex("上任")
    # The digit of a role that the event has only once is part of its name.
    assert [part["role"] for part in second["arguments"]] == ["人员", "版本2"]
    assert left_out(done) == {"arguments that are an event": 1}
    [row], _ = converted(path, output=tmp_path / "official", form="official")
    assert row["event_list"][0]["trigger_start_index"] == 5
    assert row["event_list"][1]["arguments"][0] == {
        "role": "人员", "argument": "林望舒", "argument_start_index": 15, "alias": [],
    }  # fmt: skip


def test_events_and_relations_ask_which(tmp_path: Path) -> None:
    annotations = (
        bound("T1", "人", "周亦然") + bound("T3", "到任", "上任") + "E1\t到任:T3 人员:T1\nR1\tx Arg1:T1 Arg2:T3\n"
    )
    with pytest.raises(UserError, match=r"annotations for relations and events .*--task"):
        converted(corpus(tmp_path / "in", annotations), output=tmp_path / "out")


def test_fragments_that_touch_are_one_span(tmp_path: Path) -> None:
    """brat joins the words of fragments with a blank, also where the text has none."""
    rows, _ = converted(corpus(tmp_path / "in", "T1\t人 0 1;1 3\t周 亦然\n"), output=tmp_path / "out")
    assert [(entity["start"], entity["end"]) for entity in rows[0]["entities"]] == [(0, 3)]


def test_one_document_or_a_zip_of_several(tmp_path: Path) -> None:
    corpus(tmp_path / "in", bound("T1", "人", "周亦然"))
    corpus(tmp_path / "in", bound("T1", "人", "林望舒"), name="b")
    rows, _ = converted(tmp_path / "in" / "b.ann", output=tmp_path / "one")
    assert [row["id"] for row in rows] == ["b"]
    path = tmp_path / "corpus.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((tmp_path / "in").iterdir()):
            archive.write(file, f"corpus/{file.name}")
    rows, done = converted(path, output=tmp_path / "two")
    assert [row["id"] for row in rows] == ["corpus/a", "corpus/b"]
    assert done.format == "brat"


def test_a_collection_in_directories_is_what_its_zip_is(tmp_path: Path) -> None:
    for name in ("one/a", "two/deep/a"):
        corpus(tmp_path / "in", bound("T1", "人", "周亦然"), name=name)
    written(tmp_path / "in" / "annotation.conf", "[entities]\n")
    written(tmp_path / "in" / ".hidden" / "a.ann", "no annotation")
    found, done = converted(tmp_path / "in", output=tmp_path / "out")
    assert [row["id"] for row in found] == ["one/a", "two/deep/a"]
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "in"))
    assert converted(path, output=tmp_path / "zipped")[0] == found
    assert done.format == "brat"


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        ("T1\t人 0 3\t林望舒\nT2\t人 x 3\t周\n", "a.ann:2: a type and offsets"),
        ("T1\t人 0 99\t周亦然们\n", "a.ann:1: [0, 99) does not fit"),
        ("T1\t人 1 3\t上任\n", "a.ann:1: [1, 3) is '亦然' in the text, not '上任', which stands 2 times"),
        ("T1\t人 0 3\t周亦然\nT1\t人 0 3\t周亦然\n", "a.ann:2: T1 occurs twice"),
        ("T1\t人 0 3\t周亦然\nR1\tx Arg1:T1 Arg2:T9\n", "a.ann:2: T9 stands nowhere in this file"),
        ("T1\t人 0 3\t周亦然\nR1\tx Arg1:T1\n", "a.ann:2: a relation of two arguments was expected, found 1"),
        ("T1\t人 0 3\t周亦然\nE1\tx\n", "a.ann:2: arguments (NAME:ID) were expected"),
        ("T1 人 0 3 周亦然\n", "a.ann:1: an annotation (ID, tab, content) was expected"),
        ("Q1\t人 0 3\t周亦然\n", "a.ann:1: an annotation (ID, tab, content) was expected"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, annotations: str, says: str) -> None:
    corpus(tmp_path / "in", annotations)
    corpus(tmp_path / "in", bound("T1", "人", "林望舒"), name="b")
    with pytest.raises(RowError) as error:
        converted(tmp_path / "in", output=tmp_path / "out")
    assert says in str(error.value)
    rows, done = converted(tmp_path / "in", output=tmp_path / "out", skip=True)
    assert [row["id"] for row in rows] == ["b"]
    assert left_out(done) == {"rows with an error": 1}


def test_annotations_without_their_text_or_text_in_another_encoding(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.ann", "")
    with pytest.raises(UserError, match=r"a\.ann: no a\.txt beside it"):
        converted(tmp_path / "in", output=tmp_path / "out")
    corpus(tmp_path / "in", bound("T1", "人", "周亦然"))
    for name in ("a.txt", "a.ann"):
        path = tmp_path / "in" / name
        path.write_bytes(path.read_text(encoding="utf-8").encode("gb18030"))
    with pytest.raises(RowError, match=r"a\.txt:1: byte 0xd6 is no UTF-8 text .*--encoding"):
        converted(tmp_path / "in", output=tmp_path / "out")
    [row], _ = converted(tmp_path / "in", output=tmp_path / "out", encoding="gb18030")
    assert spans(row) == [(0, 3, "人")]
