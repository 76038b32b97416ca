"""What users hand over: every form of file gives the same examples, and what is wrong is named with file and line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clue_cli.contract import Example, Tally
from clue_cli.errors import RowError, UserError, Where
from clue_cli.formats import Reading, Rejects, check_text_fields, input_format, read_examples, read_rows
from clue_cli.lines import Row
from clue_cli.registry import find_task

TEXTS = ["今天股市大涨", 'a "quoted", text', "行\u2028分隔", " ｆｕｌｌ width ", "😀emoji", "x" * 100_000]


class FakeTask:
    name = "fake"
    document = False

    def __init__(self, *fields: str) -> None:
        self.fields = fields or ("sentence",)

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        assert not labelled
        texts = []
        for name in self.fields:
            text = row.data.get(name)
            if not isinstance(text, str) or not text.strip():
                raise RowError("a text was expected", row.at(name))
            texts.append(text)
        return Example(number, row.data.get("id"), tuple(texts), None, row.data, row.where)


def read(
    path: Path | str, reading: Reading | None = None, *fields: str, skip: bool = False
) -> tuple[list[Example], list[Any]]:
    """The examples of a file, and the rejects."""
    reading, task = reading or Reading(), FakeTask(*fields)
    lines: list[str] = []
    rejects = Rejects(lines.append) if skip else None
    rows = read_rows(str(path), task, reading, Tally(), rejects.add if rejects else None)  # type: ignore[arg-type]
    stream = read_examples(rows, task, text_fields=reading.text_fields, rejects=rejects, place=str(path))  # type: ignore[arg-type]
    examples = list(stream)
    return examples, [json.loads(line) for line in lines]


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_text(texts: list[str]) -> str:
    return "sentence\n" + "".join('"' + text.replace('"', '""') + '"\n' for text in texts)


FORMS: dict[str, Callable[[list[str]], str]] = {
    "rows.json": lambda texts: jsonl([{"sentence": text} for text in texts]),
    "rows.jsonl": lambda texts: jsonl([{"sentence": text, "extra": {"kept": [1]}} for text in texts]),
    "rows.csv": csv_text,
    "rows.tsv": lambda texts: "sentence\tid\n" + "".join(f"{text}\t7\n" for text in texts),
    "rows.txt": lambda texts: "".join(f"{text}\n" for text in texts),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_form_gives_the_texts_as_they_are(tmp_path: Path, name: str, ending: str) -> None:
    content = FORMS[name](TEXTS).replace("\n", ending)
    (tmp_path / name).write_bytes(content.encode())
    examples, _ = read(tmp_path / name)
    assert [example.texts[0] for example in examples] == TEXTS
    assert [example.number for example in examples] == list(range(len(TEXTS)))
    assert all(example.row["sentence"] == example.texts[0] for example in examples)
    (tmp_path / name).write_bytes(content.removesuffix(ending).encode())  # no end of the last line
    assert read(tmp_path / name)[0] == examples


@pytest.mark.parametrize("pack, ending", [(gzip.compress, ".gz"), (bz2.compress, ".bz2"), (lzma.compress, ".xz")])
def test_packed_files_are_read(tmp_path: Path, pack: Callable[[bytes], bytes], ending: str) -> None:
    path = tmp_path / f"rows.csv{ending}"
    path.write_bytes(pack(csv_text(TEXTS).encode()))
    assert [example.texts[0] for example in read(path)[0]] == TEXTS
    path.write_bytes(pack(csv_text(TEXTS).encode())[:-9])
    with pytest.raises(UserError, match=r"rows\.csv.*broken"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("name", ["rows.txt", "rows.jsonl", "rows.csv"])
def test_encodings(tmp_path: Path, encoding: str, name: str) -> None:
    (tmp_path / name).write_bytes(FORMS[name](TEXTS).encode(encoding))
    examples, _ = read(tmp_path / name, Reading(encoding))
    assert [example.texts[0] for example in examples] == TEXTS


def test_a_pair_is_two_texts_with_a_tab_between(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("天\t地\n\n人\t和\n")
    examples, _ = read(path, None, "sentence1", "sentence2")
    assert [example.texts for example in examples] == [("天", "地"), ("人", "和")]
    assert examples[1].row == {"sentence1": "人", "sentence2": "和"}
    assert str(examples[1].where) == f"{path}:3"
    path.write_text("天\t地\n人\n")
    with pytest.raises(RowError, match=r"pairs.txt:2: 2 texts with a tab"):
        read(path, None, "sentence1", "sentence2")
    path.write_text("天\t地\n")
    assert read(path)[0][0].texts == ("天\t地",)  # a task with one text takes the line as it is


def test_columns_are_renamed_and_the_row_stays_the_users(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("nr,title,body\n1,天,地\n")
    examples, _ = read(path, Reading(text_fields=("body", "title")), "sentence1", "sentence2")
    assert examples[0].texts == ("地", "天")
    assert examples[0].row == {"nr": "1", "title": "天", "body": "地"}
    with pytest.raises(RowError, match=r"rows.csv:2: no field 'headline'; fields found: nr, title, body"):
        read(path, Reading(text_fields=("headline",)))
    with pytest.raises(UserError, match=r"--text-field a,b.*reads 1: sentence"):
        check_text_fields(("a", "b"), FakeTask())  # type: ignore[arg-type]
    (tmp_path / "rows.txt").write_text("天\n")
    with pytest.raises(UserError, match="plain text has no fields"):
        read(tmp_path / "rows.txt", Reading(text_fields=("title",)))


@pytest.mark.parametrize("text, count", [('\n{"sentence": "天"}\n', 1), ("天\n\n地\n", 2), ("{天\n", None)])
def test_standard_input_is_json_lines_or_text(monkeypatch: pytest.MonkeyPatch, text: str, count: int | None) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    if count is None:
        with pytest.raises(RowError, match="<stdin>:1: no valid JSON"):
            read("-")
    else:
        assert len(read("-")[0]) == count


@pytest.mark.parametrize(
    "path, chosen, form",
    [
        ("a/B.JSON", None, "jsonl"),
        ("x.ndjson.gz", None, "jsonl"),
        ("x.TXT.xz", None, "text"),
        ("x.log", "text", "text"),
        ("-", None, None),
    ],
)
def test_the_form_comes_from_the_ending_or_the_option(path: str, chosen: str | None, form: str | None) -> None:
    assert input_format(path, chosen) == form


@pytest.mark.parametrize(
    "path, chosen, message",
    [
        ("x.log", None, "--input-format"),
        ("x.gz", None, "--input-format"),
        ("x.zip", None, "--split"),
        ("x.csv", "cvs", "csv"),
    ],
)
def test_an_unknown_form_says_what_to_do(path: str, chosen: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        input_format(path, chosen)


BAD_ROWS: dict[str, tuple[str, bytes, int, int]] = {
    # name, content, good rows, line of the bad one
    "broken JSON": ("a.jsonl", b'{"sentence": "a"}\n{"sentence": \n{"sentence": "b"}\n', 2, 2),
    "a list": ("a.jsonl", b'{"sentence": "a"}\n[1]\n', 1, 2),
    "NaN": ("a.jsonl", b'{"sentence": "a", "x": NaN}\n{"sentence": "b"}\n', 1, 1),
    "an endless number": ("a.jsonl", b'{"sentence": "a", "x": 1e999}\n{"sentence": "b"}\n', 1, 1),
    "half a surrogate pair": ("a.jsonl", b'{"sentence": "\\ud83d"}\n{"sentence": "b"}\n', 1, 1),
    "invalid UTF-8": ("a.jsonl", b'{"sentence": "a"}\n{"sentence": "\xff\xfe"}\n{"sentence": "b"}\n', 2, 2),
    "a NUL byte": ("a.txt", b"a\nb\0c\nd\n", 2, 2),
    "a missing field": ("a.jsonl", b'{"sentence": "a"}\n\n{"text": "b"}\n', 1, 3),
    "an empty text": ("a.jsonl", b'{"sentence": "a"}\n{"sentence": " "}\n', 1, 2),
    "a wrong type": ("a.jsonl", b'{"sentence": ["a"]}\n{"sentence": "b"}\n', 1, 1),
    "too few values": ("a.csv", b"id,sentence\n1,a\n2\n3,c\n", 2, 3),
    "a quote gone astray": ("a.csv", b'id,sentence\n1,a\n2,"b"c\n3,d\n', 2, 3),
    "an undecodable line inside a quoted value": ("a.csv", b'id,sentence\n1,a\n2,"b\n\xff\nc"\n3,d\n', 2, 3),
    "an undecodable row of a table": ("a.csv", b"id,sentence\n1,a\n2,\xff\n3,d\n", 2, 3),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_row_stops_or_is_set_aside(tmp_path: Path, what: str) -> None:
    name, content, good, line = BAD_ROWS[what]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RowError) as caught:
        read(tmp_path / name)
    assert isinstance(caught.value.where, Where)
    # A quoted value is one row: reading stops at the very line, the row that is set aside begins earlier.
    assert caught.value.where.line in (line, line + 1)
    assert name in str(caught.value)
    examples, rejects = read(tmp_path / name, skip=True)
    assert len(examples) == good
    assert [example.number for example in examples] == list(range(good))
    assert line in [reject["line"] for reject in rejects]
    assert all(reject["file"] == name and reject["reason"] for reject in rejects)


def test_nothing_of_a_rejected_row_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"sentence": "天"}\n{"sentence": "地\n{"text": "人", "id": 3}\n'.encode() + b'\xff"x"\n')
    _, rejects = read(path, skip=True)
    assert rejects[0]["text"] == '{"sentence": "地'
    assert rejects[1]["row"] == {"text": "人", "id": 3}
    assert rejects[1]["field"] == "sentence"
    assert rejects[2]["line"] == 4
    assert '\\xff"x"' in [reject.get("text") for reject in rejects]


@pytest.mark.parametrize("name, content", [("a.jsonl", ""), ("a.txt", "\n \n"), ("a.csv", "sentence\n"), ("a.csv", "")])
def test_a_file_without_rows_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name}: holds no rows"):
        read(tmp_path / name)


def test_a_form_may_refuse_an_example(tmp_path: Path) -> None:
    def check(example: Example) -> None:
        if example.row["id"] == 2:
            raise RowError("does not fit", example.where)

    rows = [Row({"sentence": "天", "id": number}, Where("f", number)) for number in range(4)]
    lines: list[str] = []
    task: Any = FakeTask()
    kept = list(read_examples(rows, task, rejects=Rejects(lines.append), check=check))
    assert [example.row["id"] for example in kept] == [0, 1, 3]
    row = {"sentence": "天", "id": 2}
    assert json.loads(lines[0]) == {"file": "f", "line": 2, "reason": "does not fit", "row": row}
    with pytest.raises(RowError, match="f:2: does not fit"):
        list(read_examples(rows, task, check=check))


# -------------------------------------------------------------------- official documents

PASSAGE = "王明在上海出生，后来去了北京。"
SQUAD = {"version": "1", "data": [{"paragraphs": [{"context": PASSAGE, "qas": [
    {"id": "Q1", "question": "谁？"}, {"id": "Q2", "question": "哪里？"}]}]}]}  # fmt: skip
FLAT = [
    {"id": "Q1", "question": "谁？", "context": PASSAGE, "mine": 1},
    {"id": "Q2", "question": "哪里？", "context": PASSAGE, "mine": 2},
]
CHOICES = [[["男：几点？"], [{"id": 5, "question": "几点开会？", "choice": ["八点", "九点"]}]]]


def rows_of(name: str, path: str, *, skip: bool = False, fields: tuple[str, ...] = ()) -> list[Row]:
    rejects = Rejects(lambda line: None)
    reading = Reading(text_fields=fields)
    return list(read_rows(path, find_task(name), reading, Tally(), rejects.add if skip else None))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("name", "document", "wanted"),
    [
        ("cmrc2018", SQUAD, [{k: v for k, v in row.items() if k != "mine"} for row in FLAT]),
        ("c3", CHOICES, [{"id": 5, "passage": ["男：几点？"], "question": "几点开会？", "choices": ["八点", "九点"]}]),
    ],
)
def test_an_official_document_becomes_flat_rows(
    name: str, document: Any, wanted: list[Any], indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=indent).encode()
    (tmp_path / "a.json").write_bytes(b"\n" + text)
    assert [row.data for row in rows_of(name, str(tmp_path / "a.json"))] == wanted
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text))
    assert [row.data for row in rows_of(name, str(tmp_path / "a.json.gz"))] == wanted
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert [row.data for row in rows_of(name, "-")] == wanted


def test_flat_rows_are_streamed_whatever_the_file_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clue_cli.formats.json_document", None)
    for name in ("a.json", "a.jsonl"):
        for rows in (FLAT, FLAT[:1]):
            (tmp_path / name).write_text(jsonl(rows), encoding="utf-8")
            assert [row.data for row in rows_of("cmrc2018", str(tmp_path / name))] == rows
    renamed = [{"q": row["question"], "c": row["context"]} for row in FLAT]
    (tmp_path / "a.json").write_text(jsonl(renamed), encoding="utf-8")
    assert [row.data for row in rows_of("cmrc2018", str(tmp_path / "a.json"), fields=("q", "c"))] == renamed


def test_a_broken_first_row_does_not_make_a_document_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"id": "Q0", "question":\n' + jsonl(FLAT), encoding="utf-8")
    assert [row.data for row in rows_of("cmrc2018", str(path), skip=True)] == FLAT
    with pytest.raises(RowError, match=r"a\.json:1: no valid JSON"):
        rows_of("cmrc2018", str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"data": [{"paragraphs": [{"context": "好"}]}]}', r"a\.json: data\[0\]\.paragraphs\[0\]: no 'qas'"),
        ('{"data":\n [}', r"a\.json:2: no valid JSON"),
        ("[1, 2]", r"a\.json"),
    ],
)
def test_a_broken_document_is_named_with_its_part(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(RowError, match=words):
        rows_of("cmrc2018", str(tmp_path / "a.json"))
