"""Official prediction files of every task: written, checked, packed, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clue_cli.contract import Example, Prediction, Tally
from clue_cli.errors import RowError, UserError
from clue_cli.lines import Row
from clue_cli.prediction_rows import known_by_text, submits_document
from clue_cli.registry import find_task, tasks
from clue_cli.sources import Source, locate
from clue_cli.submission import lacking_of, pack
from clue_cli.submission_check import UNORDERED, check_submission, split_of, task_of
from clue_cli.task import Task

SUBMITTED = sorted(name for name, task in tasks().items() if task.submissions)
LINES = [name for name in SUBMITTED if not submits_document(find_task(name))]
DOCUMENTS = [name for name in SUBMITTED if name not in LINES]
PARTS = 12
"""Rows of a made-up test file: the first of the sample's dev split."""


class Case:
    """A test file of a task in `directory` whose rows have known answers, and the official file made of them."""

    def __init__(self, name: str, directory: Path) -> None:
        self.task: Any = find_task(name)
        self.split = list(self.task.submissions)[-1]
        sample, _ = locate(name, None)
        self.labelled = list(self.task.read(sample, "dev", Tally()))[:PARTS]
        ids = [e.id if isinstance(e.id, str) else 7000 - number for number, e in enumerate(self.labelled)]
        rows = [{**e.row, self.task.id: key} for e, key in zip(self.labelled, ids, strict=True)]
        file = directory / self.task.files[self.split][0]
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        self.source = Source.open(directory)
        self.examples = list(self.task.read(self.source, self.split, Tally()))
        self.path = directory / "out" / self.task.submissions[self.split]
        self.task.write_submission(self.pairs(), self.split, self.path)

    def pairs(self) -> list[tuple[Example, Prediction]]:
        return [
            (example, self.task.read_prediction(Row(self.task.gold_fields(gold), gold.where), example))
            for example, gold in zip(self.examples, self.labelled, strict=True)
        ]

    def check(self) -> Any:
        return check_submission(self.task, self.path, self.source, self.split)

    def rewrite(self, change: Callable[[Any], Any]) -> None:
        """Put the file's rows (or its one value) through `change`."""
        text = self.path.read_text(encoding="utf-8")
        if submits_document(self.task):
            self.path.write_text(json.dumps(change(json.loads(text)), ensure_ascii=False), encoding="utf-8")
            return
        rows = change([json.loads(line) for line in text.splitlines()])
        self.path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def key(self, position: int) -> str:
        """The id of a row's (first) answer as a message shows it."""
        key = str(self.task.submission_ids(self.examples[position])[0])
        return key if len(key) <= 40 else key[:37]


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Case]:
    return lambda name: Case(name, tmp_path)


@pytest.mark.parametrize("name", SUBMITTED)
def test_gold_written_as_predictions_passes_and_reads_back_as_it_was(name: str, case: Callable[[str], Case]) -> None:
    made = case(name)
    checked = made.check()
    assert (checked.task, checked.split, checked.file) == (name, made.split, made.path.name)
    assert checked.rows == len(made.examples) == PARTS
    assert checked.answers >= checked.rows
    assert checked.notes == ()
    assert not checked.official
    again = made.path.read_bytes()
    made.task.write_submission(made.pairs(), made.split, made.path)
    assert made.path.read_bytes() == again


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "no answer for (id|text) {last}.*; 11 answers, 12 expected"),
        (lambda rows: [*rows, rows[0]], "(id|text) {first}.* answered more than once; 13 answers, 12 expected"),
        (lambda rows: [], "no answer for (ids|texts) .* and 9 more; 0 answers, 12 expected"),
    ],
)
def test_lines_too_few_or_too_many_are_refused(
    name: str, change: Callable[[Any], Any], words: str, case: Callable[[str], Case]
) -> None:
    made = case(name)
    made.rewrite(change)
    first, last = re.escape(made.key(0)), re.escape(made.key(-1))
    with pytest.raises(UserError, match=words.format(first=first, last=last)) as refused:
        made.check()
    assert str(made.path) in str(refused.value)
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("name", LINES)
def test_an_id_that_the_test_file_has_not_is_refused(name: str, case: Callable[[str], Case]) -> None:
    made = case(name)
    field = "text" if known_by_text(made.task) else made.task.id
    made.rewrite(lambda rows: [{**rows[0], field: "nobody"}, *rows[1:]])
    with pytest.raises(UserError, match=r"no answer for (id|text) .*; (id|text) nobody not in the test file"):
        made.check()


@pytest.mark.parametrize("name", LINES)
def test_an_answer_of_another_type_is_refused_with_its_line(name: str, case: Callable[[str], Case]) -> None:
    made = case(name)
    official = made.task.submission_row(*made.pairs()[2])
    answer = [key for key in official if key not in (made.task.id, *made.task.fields)][-1]
    for value in (None, 1.5, True):
        made.rewrite(lambda rows, value=value: [*rows[:2], {**rows[2], answer: value}, *rows[3:]])
        with pytest.raises(UserError, match=rf"line 3: .*{answer}"):
            made.check()
    made.rewrite(lambda rows: [*rows[:2], {k: v for k, v in rows[2].items() if k != answer}, *rows[3:]])
    with pytest.raises(UserError, match=r"line 3: "):
        made.check()


@pytest.mark.parametrize("name", LINES)
def test_a_row_without_id_or_without_json_is_refused_with_its_line(name: str, case: Callable[[str], Case]) -> None:
    made = case(name)
    made.rewrite(lambda rows: [rows[0], {k: v for k, v in rows[1].items() if k != made.task.id}, *rows[2:]])
    with pytest.raises(RowError, match=rf"{made.path.name}:2: no field '{made.task.id}'"):
        made.check()
    made.path.write_text("{}\n{'id': 3}\n", encoding="utf-8")
    with pytest.raises(RowError, match=rf"{made.path.name}:2: no valid JSON"):
        made.check()


@pytest.mark.parametrize("name", LINES)
def test_another_order_passes_and_is_said(name: str, case: Callable[[str], Case]) -> None:
    made = case(name)
    made.rewrite(lambda rows: rows[::-1])
    assert made.check().notes == (UNORDERED,)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_does_not_fit_is_refused(name: str, case: Callable[[str], Case]) -> None:
    made = case(name)
    whole = made.path.read_text(encoding="utf-8")
    first, last = made.key(0), str(made.task.submission_ids(made.examples[-1])[-1])
    value = json.dumps(json.loads(whole)[first], ensure_ascii=False)

    def refused(text: str, words: str) -> None:
        made.path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=words):
            made.check()

    def changed(change: Callable[[dict[str, Any]], Any]) -> str:
        return json.dumps(change(json.loads(whole)), ensure_ascii=False)

    refused(changed(lambda all_: {k: v for k, v in all_.items() if k != last}), f"no answer for id {last}; ")
    refused(changed(lambda all_: {**all_, "nobody": all_[first]}), "id nobody not in the test file; ")
    refused(changed(lambda all_: {**all_, first: None}), first)
    refused(changed(lambda all_: {**all_, first: [1]}), first)
    refused(changed(lambda all_: [all_]), made.path.name)
    refused(whole.replace("{", f'{{"{first}": {value},\n', 1), rf":\d+: '{first}' occurs twice in one object")
    refused(whole[: len(whole) // 2], r"no valid JSON")
    refused(whole + whole, "one JSON value was expected in the whole file, found several")


@pytest.mark.parametrize("name", SUBMITTED)
def test_a_file_under_another_name_is_refused(name: str) -> None:
    task = find_task(name)
    for split, file in task.submissions.items():
        assert split_of(task, Path("some") / file) == split
        assert split_of(task, Path(file), split) == split
        assert task_of(Path("some") / file) is task
    with pytest.raises(UserError, match=rf"x/predict\.json: the official name is .*{file}.*another name scores zero"):
        split_of(task, Path("x/predict.json"))


def test_names_that_no_task_has_are_answered_with_near_ones() -> None:
    with pytest.raises(UserError, match=r"did you mean .*tnews11_predict\.json"):
        task_of(Path("tnews_predict.json"))
    with pytest.raises(UserError, match="no prediction file for split dev"):
        split_of(find_task("tnews"), Path("tnews10_predict.json"), "dev")
    own = find_task("tnews").with_labels(["a", "b"])
    with pytest.raises(UserError, match="tnews has no official prediction file"):
        split_of(own, Path("tnews10_predict.json"))


# -------------------------------------------------------------------- what goes wrong in practice


def test_row_numbers_in_place_of_ids(case: Callable[[str], Case]) -> None:
    made = case("csl")
    made.rewrite(lambda rows: [{**row, "id": number} for number, row in enumerate(rows)])
    words = r"no answer for ids \d+, \d+, \d+ and 9 more; ids 0, 1, 2 and 9 more not in the test file; 12 answers"
    with pytest.raises(UserError, match=words):
        made.check()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (3, "line 1: label: unknown label '3'"),
        ("3", "line 1: label: unknown label '3'"),
        ("news_story", r"line 1: label: unknown label 'news_story'.*\(and 11 more wrong rows\); 12 answers, 12 exp"),
        (100, "line 1: label: a text was expected, found a number"),
    ],
)
def test_class_indices_descriptions_and_numbers_in_place_of_labels(
    label: Any, words: str, case: Callable[[str], Case]
) -> None:
    made = case("tnews")
    made.rewrite(lambda rows: [{**row, "label": label} for row in rows])
    with pytest.raises(UserError, match=words):
        made.check()


def test_a_byte_order_mark_is_refused(case: Callable[[str], Case]) -> None:
    made = case("tnews")
    made.path.write_bytes(b"\xef\xbb\xbf" + made.path.read_bytes())
    with pytest.raises(UserError, match="byte order mark"):
        made.check()


def test_ids_may_be_texts_or_numbers(case: Callable[[str], Case]) -> None:
    made = case("tnews")
    made.rewrite(lambda rows: [{**row, "id": str(row["id"])} for row in rows])
    assert made.check().answers == PARTS
    made.rewrite(lambda rows: [{**row, "id": [row["id"]]} for row in rows])
    with pytest.raises(RowError, match=r":1: id: the id must be a string or a whole number"):
        made.check()


def test_fields_beside_the_official_ones_are_taken_unless_the_text_is_another(case: Callable[[str], Case]) -> None:
    made = case("cluener")
    made.rewrite(lambda rows: [{**row, "text": e.texts[0]} for row, e in zip(rows, made.examples, strict=True)])
    assert made.check().answers == PARTS
    made.rewrite(lambda rows: [{**rows[0], "text": "别的"}, *rows[1:]])
    with pytest.raises(UserError, match="line 1: text: the text is not that of the test row"):
        made.check()


def test_spans_that_are_not_in_the_text(case: Callable[[str], Case]) -> None:
    made = case("cluener")
    made.rewrite(lambda rows: [{**rows[0], "label": {"name": {"无此人": [[0, 2]]}}}, *rows[1:]])
    with pytest.raises(UserError, match="line 1: label"):
        made.check()


@pytest.mark.parametrize(
    ("task", "answer", "says"),
    [
        (
            "duie",
            {"spo_list": [{"predicate": "没有", "subject": "甲", "object": {"@value": "乙"}}]},
            "unknown predicate",
        ),
        ("duee", {"event_list": [{"event_type": "没有", "arguments": []}]}, "unknown event type"),
    ],
)
def test_answers_outside_the_schema_are_refused(
    case: Callable[[str], Case], task: str, answer: dict[str, Any], says: str
) -> None:
    made = case(task)
    made.rewrite(lambda rows: [{**rows[0], **answer}, *rows[1:]])
    with pytest.raises(UserError, match=f"line 1: .*{says}"):
        made.check()


def test_a_test_file_without_ids_is_named(tmp_path: Path) -> None:
    task = find_task("tnews")
    (tmp_path / "test.json").write_text('{"sentence": "好"}\n', encoding="utf-8")
    made = tmp_path / "tnews11_predict.json"
    made.write_text('{"id": 0, "label": "100"}\n', encoding="utf-8")
    with pytest.raises(RowError, match=r"test\.json:1: no field 'id'"):
        check_submission(task, made, Source.open(tmp_path), "test1.1")
    example = next(iter(task.read(Source.open(tmp_path), "test1.1", Tally())))
    with pytest.raises(RowError, match=r"test\.json:1: no field 'id'"):
        task.write_submission([(example, Prediction("100"))], "test1.1", made)


# -------------------------------------------------------------------- a whole entry


def test_the_same_files_make_the_same_zip(tmp_path: Path) -> None:
    made = []
    for number, order in enumerate((("b.json", "a.json"), ("a.json", "b.json"))):
        directory = tmp_path / str(number)
        directory.mkdir()
        for name in order:
            (directory / name).write_text(name * 100, encoding="utf-8")
        pack([directory / name for name in order], directory / "entry.zip")
        made.append((directory / "entry.zip").read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "0" / "entry.zip") as archive:
        assert archive.namelist() == ["a.json", "b.json"]
        assert archive.read("b.json") == b"b.json" * 100
        assert archive.testzip() is None


def test_what_an_average_lacks_is_known_by_version() -> None:
    lacking = lacking_of({("tnews", "test1.1"), ("ocnli", "test")})
    assert list(lacking) == ["CLUE 1.1"]
    names = [one.task for one in lacking["CLUE 1.1"]]
    assert names == ["afqmc", "iflytek", "cluewsc2020", "csl", "cmrc2018", "chid", "c3"]
    assert lacking["CLUE 1.1"][2].files == ("cluewsc11_predict.json",)
    both = lacking_of({("iflytek", "test")})
    assert list(both) == ["CLUE 1.0", "CLUE 1.1"]
    assert "cmnli" in [one.task for one in both["CLUE 1.0"]]
    assert "ocnli" not in [one.task for one in both["CLUE 1.0"]]
    assert lacking_of(set()) == {} == lacking_of({("cluener", "test")})
    whole = {(one.task, one.split or "test") for one in both["CLUE 1.0"]} | {("iflytek", "test")}
    assert lacking_of(whole)["CLUE 1.0"] == []


def test_the_lists_name_tasks_and_splits_that_exist() -> None:
    from clue_cli.references import entries

    for members in entries().values():
        assert len(set(members)) == len(members)
        for name, split in members:
            if name in tasks():
                submissions = tasks()[name].submissions
                assert split in submissions if split else len(submissions) == 1, name


# -------------------------------------------------------------------- the real test files

ANSWER: dict[str, Callable[[Task], dict[str, Any]]] = {
    "classification": lambda task: {"label": task.labels[-1]},
    "entities": lambda task: {"entities": []},
    "reading": lambda task: {"answer": "答"},
    "choice": lambda task: {"label": 1},
    "cloze": lambda task: {"answer": 1},
    "relations": lambda task: {"spo_list": []},
    "events": lambda task: {"event_list": []},
}
"""An answer that fits any row, by family."""

REAL = {
    ("tnews", "test1.0"): 10_000, ("tnews", "test1.1"): 10_000, ("iflytek", "test"): 2_600, ("afqmc", "test"): 3_861,
    ("ocnli", "test"): 3_000, ("cluewsc2020", "test1.0"): 290, ("cluewsc2020", "test1.1"): 2_574,
    ("csl", "test"): 3_000, ("cluener", "test"): 1_345, ("cmrc2018", "test"): 2_000, ("c3", "test1.0"): 3_892,
    ("c3", "test1.1"): 1_625, ("duie", "test"): 5_000, ("duee", "test"): 15_000, ("fewclue_chid", "test_hidden"): 2_000,
}  # fmt: skip
"""Rows of the test files at hand."""


def real_data(name: str, shared: Path) -> Path:
    """Where they lie; what lies under chid is FewCLUE's."""
    return shared / "data" / {"fewclue_chid": "chid", "chid": "nowhere"}.get(name, name)


@pytest.mark.parametrize(("name", "split"), REAL)
def test_a_submission_for_the_real_test_file_passes(name: str, split: str, shared: Path, tmp_path: Path) -> None:
    task: Any = find_task(name)
    source = Source.open(real_data(name, shared))
    answer = ANSWER[task.family](task)
    examples = list(task.read(source, split, Tally()))
    pairs = [(example, task.read_prediction(Row(answer, example.where), example)) for example in examples]
    path = tmp_path / task.submissions[split]
    task.write_submission(pairs, split, path)
    checked = check_submission(task, path, source, split)
    assert checked.rows == checked.answers == len(examples) == REAL[name, split]
    assert checked.official is not False
    assert checked.notes == ()


def test_every_real_test_file_is_tried(shared: Path) -> None:
    at_hand = {
        (name, split)
        for name, task in tasks().items()
        if real_data(name, shared).is_dir()
        for split in task.submissions
        if task.has_split(Source.open(real_data(name, shared)), split)
    }
    assert at_hand == REAL.keys()
