"""Answers as JSON lines, CSV and table, and the file they go to: whole or continued, never overwritten unasked."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clue_cli import answer_file, console, files
from clue_cli.answer_file import AnswerFile, run_fingerprint
from clue_cli.answers import FORMS, Table, make_form, mark_spans, to_json, with_answers
from clue_cli.contract import Example, Prediction, Span
from clue_cli.errors import RowError, RunError, UserError, Where
from clue_cli.lines import open_bytes


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def example(row: Mapping[str, Any], number: int = 0, text: str | None = None) -> Example:
    texts = (text if text is not None else str(row.get("text", "")),)
    return Example(number, None, texts, None, row, Where("rows.jsonl", number + 1))


field_names = st.sampled_from(["text", "label", "label_input", "label_input_input", "id", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
rows_strategy = st.dictionaries(field_names, values, max_size=5)


# ------------------------------------------------------------------ forms


@settings(max_examples=150)
@given(row=rows_strategy, fields=st.dictionaries(field_names, st.integers(), max_size=3))
def test_no_field_of_the_row_is_lost_beside_the_answers(row: dict[str, Any], fields: dict[str, int]) -> None:
    record = with_answers(row, fields)
    assert len(record) == len(row) + len(fields)
    assert {name: record[name] for name in fields} == fields
    for name, value in row.items():
        homes = [home for home in record if home.startswith(name) and set(home[len(name) :].split("_input")) <= {""}]
        assert any(record[home] == value and home not in fields for home in homes)
    untouched = [name for name in row if name not in fields and not any(n + "_input" == name for n in fields)]
    assert all(record[name] == row[name] for name in untouched)


def test_a_gold_label_is_kept_as_label_input() -> None:
    assert with_answers({"label": "100", "id": 1}, {"label": "101"}) == {"label_input": "100", "id": 1, "label": "101"}


@settings(max_examples=100)
@given(row=rows_strategy)
def test_json_lines_round_trip(row: dict[str, Any]) -> None:
    form = make_form("jsonl")
    record = form.record(example(row), Prediction("a"), {"label": "a", "score": np.float32(0.5)})
    assert record.endswith("\n")
    assert record.count("\n") == 1
    assert json.loads(record) == with_answers(row, {"label": "a", "score": 0.5})
    assert form.agrees(record, example(row))
    assert not form.agrees(record, example({**row, "new": 1}))
    assert not form.agrees(record[:-3], example(row))


@settings(max_examples=100)
@given(values=st.lists(st.tuples(st.text(alphabet='a",\n\r天 \u2028', max_size=6), values), min_size=1, max_size=5))
def test_csv_round_trip(values: list[tuple[str, Any]]) -> None:
    form = make_form("csv")
    rows = [{"text": text, "x": x} for text, x in values]
    records = [form.record(example(row), Prediction("a"), {"label": "a"}) for row in rows]
    read = list(csv.reader(io.StringIO("".join(records), newline=""), strict=True))
    assert read[0] == ["text", "x", "label"]
    for row, cells in zip(rows, read[1:], strict=True):
        assert cells[0] == row["text"]
        plain = row["x"] if isinstance(row["x"], str) else "" if row["x"] is None else to_json(row["x"])
        assert cells[1:] == [plain, "a"]
    complete = [text for text, _ in form.records(io.BytesIO("".join(records).encode()))]
    assert "".join(complete) == "".join(records)
    assert len(complete) == len(rows) + 1
    assert all(form.agrees(text, example(row)) for text, row in zip(complete[1:], rows, strict=True))


def test_csv_refuses_a_field_that_the_first_row_lacks() -> None:
    form = make_form("csv")
    form.check(example({"text": "a", "id": 1}))
    form.check(example({"text": "a"}))
    with pytest.raises(
        RowError, match=r"rows.jsonl:3: the field 'new' has no column.*text, id.*--format jsonl, OUTPUT.jsonl"
    ):
        form.check(example({"text": "a", "new": 1}, 2))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_json_holds_no_nan(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        make_form("jsonl").record(example({"text": "a"}), Prediction("a"), {"p": number})


def test_half_a_surrogate_pair_can_be_written() -> None:
    for name in FORMS:
        half = example({"text": "a", "x": "\ud83d"}, text="a\ud83d")
        record = make_form(name).record(half, Prediction("a"), {"label": "a"})
        assert record.encode()
    assert json.loads(make_form("jsonl").record(example({"x": "\ud83d"}), Prediction("a"), {})) == {"x": "\ud83d"}


def test_an_unknown_form_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"--format.*jsonl"):
        make_form("json")


@pytest.mark.parametrize(
    "text, spans, marked",
    [
        ("我在北京大学", [(2, 6, "org")], "我在[北京大学 org]"),
        ("我在北京大学", [(2, 6, "org"), (2, 4, "address")], "我在[[北京 address]大学 org]"),
        ("我在北京大学", [(4, 6, "org"), (2, 6, "org")], "我在[北京[大学 org] org]"),
        ("甲乙丙", [(0, 2, "a"), (1, 3, "b")], "[甲[乙 a]丙 b]"),
        ("甲\n乙", [(2, 3, "a")], "甲\\n[乙 a]"),
        ("甲", [], "甲"),
    ],
)
def test_entities_are_marked_in_the_text(text: str, spans: list[tuple[int, int, str]], marked: str) -> None:
    assert mark_spans(text, [Span(*span) for span in spans]) == marked


def test_the_table_shows_answers_first_and_one_line_a_row() -> None:
    form = Table(probabilities=True)
    hostile = example({}, text="今天\x1b[31m股市\n大涨\u2028")
    first = form.record(hostile, Prediction("104"), {"label": "104", "probability": 0.98765})
    header, line = first.splitlines()
    assert header.split() == ["label", "probability", "text"]
    assert line.split() == ["104", "0.9877", "今天\\x1b[31m股市\\n大涨\\u2028"]
    prediction = Prediction((Span(0, 2, "name"),), scores=(0.5,))
    listed = Table(probabilities=True).record(example({}, text="王伟说"), prediction, {"entities": [{"start": 0}]})
    assert listed.splitlines()[1] == "[王伟 name 0.50]说"
    assert Table().record(example({}, text="王伟说"), prediction, {"entities": [1]}).splitlines()[1] == "[王伟 name]说"
    assert form.agrees(line, hostile)
    assert not form.agrees(line, example({}, text="今天股市不好"))


# ------------------------------------------------------------------ files

ROWS = [{"id": n, "text": text} for n, text in enumerate(["天", 'a"b', "c,d", "e\nf", "王伟说", "x" * 30])]
MADE_OF = {"run": "abc", "format": "any"}


def write(path: Path, form_name: str, rows: list[dict[str, Any]], *, stop: int | None = None, **how: Any) -> AnswerFile:
    """Answer rows into `path`; with `stop` an error comes before that row."""
    form = make_form(form_name)
    with AnswerFile(path, form, MADE_OF, **how) as file:
        if file.finished:
            return file
        examples = [example(row, n) for n, row in enumerate(rows)]
        for n, one in enumerate(file.agreeing(iter(examples))):
            if n == stop:
                raise RowError("stop", Where("rows", n))
            if n >= file.answered:
                prediction = Prediction((Span(0, 1, "a"),))
                file.write(form.record(one, prediction, {"entities": [{"start": 0, "end": 1}], "n": n}))
    return file


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_anywhere_is_continued_to_the_same_bytes(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # hundreds of them take their time on some disks
    path = tmp_path / "out"
    write(path, form, ROWS)
    whole = path.read_bytes()
    assert names(tmp_path) == ["out"]
    with pytest.raises(RowError):
        write(path, form, ROWS, stop=4, force=True)
    assert path.read_bytes() == whole  # the older file stays until the new one is whole
    path.unlink()
    part, about = tmp_path / "out.part", tmp_path / "out.part.json"
    made_of = about.read_bytes()
    for cut in range(len(whole) + 1):
        part.write_bytes(whole[:cut])
        about.write_bytes(made_of)
        file = write(path, form, ROWS, resume=True)
        assert path.read_bytes() == whole, cut
        assert 0 <= file.answered <= len(ROWS)
        assert (file.answered == len(ROWS)) == (cut == len(whole))
        assert names(tmp_path) == ["out"]
        path.unlink()


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_input_is_not_continued(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    with pytest.raises(RowError):
        write(path, form, ROWS, stop=4)
    before = (tmp_path / "out.part").read_bytes()
    changed = [dict(row) for row in ROWS]
    changed[2]["text"] = "other"
    with pytest.raises(UserError, match=r"out\.part: its answer number 3 is not to the row at rows.jsonl:3"):
        write(path, form, changed, resume=True)
    with pytest.raises(UserError, match=r"holds 4 answers, but the input has only 2 rows"):
        write(path, form, ROWS[:2], resume=True)
    assert (tmp_path / "out.part").read_bytes() == before
    write(path, form, ROWS, resume=True)


def test_a_broken_off_file_of_another_prediction_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(RowError):
        write(path, "jsonl", ROWS, stop=4)
    for made_of, message in (
        ({**MADE_OF, "run": "other"}, "made with another run"),
        ({**MADE_OF, "format": "csv"}, 'another format: "any" then, "csv" now'),
        ({**MADE_OF, "top_k": 2}, "another top_k: null then, 2 now"),
    ):
        with pytest.raises(UserError, match=message):
            AnswerFile(path, make_form("jsonl"), made_of, resume=True)
    (tmp_path / "out.part.json").write_text("{")
    with pytest.raises(UserError, match=r"does not say what out\.part was made of"):
        AnswerFile(path, make_form("jsonl"), MADE_OF, resume=True)
    with pytest.raises(UserError, match="--resume continues it, --force starts anew"):
        AnswerFile(path, make_form("jsonl"), MADE_OF)
    write(path, "jsonl", ROWS, force=True)
    assert names(tmp_path) == ["out"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("mine")
    with pytest.raises(UserError, match=r"exists already.*--force"):
        write(path, "jsonl", ROWS)
    assert path.read_text() == "mine"
    assert write(path, "jsonl", ROWS, resume=True).finished
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["out"]
    write(path, "jsonl", ROWS, force=True)
    assert path.read_text() != "mine"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", "jsonl", ROWS, force=True)
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "real").read_text().splitlines()) == len(ROWS)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_a_packed_file_is_packed_when_it_is_whole(tmp_path: Path, ending: str) -> None:
    plain, path = tmp_path / "plain.csv", tmp_path / f"out.csv{ending}"
    write(plain, "csv", ROWS)
    with pytest.raises(RowError):
        write(path, "csv", ROWS, stop=4)
    assert write(path, "csv", ROWS, resume=True).answered == 4
    with open_bytes(path) as file:
        assert file.read() == plain.read_bytes()
    assert names(tmp_path) == [path.name, plain.name]
    first = path.read_bytes()
    write(path, "csv", ROWS, force=True)
    assert path.read_bytes() == first


def test_what_cannot_be_packed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(plain: Any, packed: Any, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def interrupted(plain: Any, packed: Any, size: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "out.jsonl.gz"
    console.configure()  # a command that was run before may have been --quiet
    monkeypatch.setattr(answer_file.shutil, "copyfileobj", full)
    with pytest.raises(RunError, match="the disk is full"):
        write(path, "jsonl", ROWS)
    assert "--resume continues it" in capsys.readouterr().err
    assert names(tmp_path) == [f"{path.name}.part", f"{path.name}.part.json"]
    monkeypatch.setattr(answer_file.shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path, "jsonl", ROWS, resume=True)
    assert "--resume continues it" in capsys.readouterr().err
    monkeypatch.undo()
    assert write(path, "jsonl", ROWS, resume=True).answered == len(ROWS)
    assert names(tmp_path) == [path.name]


def test_what_was_to_replace_a_file_is_continued_by_both_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("older\n")
    console.configure()
    with pytest.raises(RowError):
        write(path, "jsonl", ROWS, stop=2, force=True)
    assert "--resume --force continues it" in capsys.readouterr().err
    with pytest.raises(UserError, match="--resume --force replaces it"):
        write(path, "jsonl", ROWS, resume=True)
    assert write(path, "jsonl", ROWS, resume=True, force=True).answered == 2
    assert names(tmp_path) == [path.name]


def test_without_an_answer_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(RowError):
        write(tmp_path / "new" / "out", "csv", ROWS, stop=0, skipping=True)
    assert names(tmp_path / "new") == []


@pytest.mark.parametrize("place", ["file/out", "directory"])
def test_an_output_that_cannot_be_is_found_at_once(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    with pytest.raises(UserError):
        AnswerFile(tmp_path / place, make_form("jsonl"), MADE_OF)
    assert names(tmp_path) == ["directory", "file"]


def test_a_full_disk_is_one_line_and_the_answers_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    monkeypatch.setattr(answer_file, "FLUSH_EVERY", 2)
    real = io.BufferedWriter.flush
    form = make_form("jsonl")
    full = pytest.raises(RunError, match="out: writing failed: the disk is full")
    with full as caught, AnswerFile(path, form, MADE_OF) as file:
        inner, flushes = file._file, iter([0])

        class Disk:
            """Takes the first two records; then it is full."""

            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            def flush(self) -> None:
                if next(flushes, None) is None:
                    raise OSError(errno.ENOSPC, "No space left on device")
                real(inner)  # type: ignore[arg-type]

        file._file = Disk()  # type: ignore[assignment]
        for n, row in enumerate(ROWS):
            file.write(form.record(example(row, n), Prediction((Span(0, 1, "a"),)), {"entities": [], "n": n}))
    assert caught.value.exit_status == 1
    assert not path.exists()
    monkeypatch.undo()
    rest = write(path, "jsonl", ROWS, resume=True)
    assert rest.answered >= 2
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == list(range(len(ROWS)))


def test_messages_name_the_output_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RowError):
        write(Path("out"), "jsonl", ROWS, stop=2)
    with pytest.raises(UserError, match=r"^out\.part: is there"):
        AnswerFile(Path("out"), make_form("jsonl"), MADE_OF)

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_open", full)
    with pytest.raises(RunError, match=r"^out\.part\.json: writing failed"):
        AnswerFile(Path("out"), make_form("jsonl"), MADE_OF, force=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_device_is_written_directly() -> None:
    with pytest.raises(RunError, match="/dev/full: writing failed: the disk is full"):
        write(Path("/dev/full"), "jsonl", ROWS)
    assert Path("/dev/full").is_char_device()
    write(Path("/dev/null"), "jsonl", ROWS)
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_a_pipe_is_written_directly() -> None:
    """`-o >(gzip)` and `-o /dev/stdout` name a pipe by a link that leads to no path."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as read:
        with os.fdopen(writing, "wb") as write_end:
            write(Path(f"/dev/fd/{write_end.fileno()}"), "jsonl", ROWS)
        assert len(read.readlines()) == len(ROWS)


def test_a_pipe_takes_no_packed_answers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.jsonl.gz")
    with pytest.raises(UserError, match="which takes plain answers"):
        write(tmp_path / "out.jsonl.gz", "jsonl", ROWS)


def rejecting(file: AnswerFile, rows: list[int]) -> Iterator[int]:
    assert file.rejects is not None
    for n in rows:
        if n % 2:
            file.rejects.add(RowError("odd", Where("rows", n)), f"row {n}")
        else:
            yield n


def test_rejected_rows_go_beside_the_answers(tmp_path: Path) -> None:
    path, rejected = tmp_path / "out.jsonl", tmp_path / "out.jsonl.rejects.jsonl"
    with AnswerFile(path, make_form("jsonl"), MADE_OF, skipping=True) as file:
        for n in rejecting(file, [0, 1, 2, 3]):
            file.write(f"{n}\n")
    assert path.read_text() == "0\n2\n"
    assert [json.loads(line)["text"] for line in rejected.read_text().splitlines()] == ["row 1", "row 3"]
    path.unlink()
    with pytest.raises(UserError, match=r"rejects.jsonl: exists already"):
        AnswerFile(path, make_form("jsonl"), MADE_OF, skipping=True)
    assert names(tmp_path) == [rejected.name]
    with AnswerFile(path, make_form("jsonl"), MADE_OF, skipping=True, force=True) as file:
        file.write("0\n")
    assert names(tmp_path) == [path.name]  # what an older file said no longer holds


def test_rejected_rows_of_another_prediction_do_not_stay_beside_new_answers(tmp_path: Path) -> None:
    path, rejected = tmp_path / "out.jsonl", tmp_path / "out.jsonl.rejects.jsonl"
    rejected.write_text("older")
    (tmp_path / "out.jsonl.rejects.jsonl.part").write_text("broken off")
    with pytest.raises(UserError, match=r"rejected rows go to .*rejects.jsonl: exists already"):
        AnswerFile(path, make_form("jsonl"), MADE_OF)
    assert rejected.read_text() == "older"
    with AnswerFile(path, make_form("jsonl"), MADE_OF, force=True) as file:
        file.write("0\n")
        assert rejected.exists()  # the older answers stand until the new ones are whole
    assert names(tmp_path) == [path.name]


def test_the_fingerprint_of_a_run_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "clue.json").write_text("{}")
    (tmp_path / "head.safetensors").write_bytes(b"a" * 100)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "vocab.txt").write_text("a")
    first = run_fingerprint(tmp_path)
    (tmp_path / "answers.jsonl.part").write_text("an export's directory is a good place for answers")
    assert run_fingerprint(tmp_path) == first
    (tmp_path / "encoder" / "vocab.txt").write_text("b")
    assert run_fingerprint(tmp_path) != first
    (tmp_path / "encoder" / "vocab.txt").write_text("a")
    (tmp_path / "model.onnx").write_text("graph")
    assert run_fingerprint(tmp_path) != first
    (tmp_path / "model.onnx").unlink()
    (tmp_path / "head.safetensors").write_bytes(b"a" * 99 + b"b")
    assert run_fingerprint(tmp_path) != first
