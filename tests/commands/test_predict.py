"""`clue predict` as typed, with a small model of the real kind: every input, every output, every way to go wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import clue_cli
from clue_cli import prediction
from clue_cli.answers import FORMS, form_name
from clue_cli.errors import UserError
from clue_cli.main import run

TITLES = ["今天股市大涨", "国足又输了一场", "苹果发布新款手机", "高考分数线公布", "房价下跌", "王者荣耀更新"] * 4


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str | None], Path]:
    """A run directory of a task with the shipped encoder and a head with random weights; made once."""
    import torch

    from clue_cli.model import Model
    from clue_cli.registry import find_task

    made: dict[tuple[str, str | None], Path] = {}

    def make(name: str, head: str | None = None) -> Path:
        if (name, head) not in made:
            task = find_task(name)
            head_name = head or task.default_head
            torch.manual_seed(0)
            model = Model.build(task, head_name, task.recipe_for(head_name, "small")[0])
            directory = tmp_path_factory.mktemp(name)
            model.eval().save(directory / "model")
            made[name, head] = directory
        return made[name, head]

    return make


@pytest.fixture(autouse=True)
def short_lookahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "LOOKAHEAD", 5)


@pytest.fixture
def tnews(make_run: Callable[..., Path]) -> str:
    return str(make_run("tnews"))


def titles_file(path: Path, count: int = len(TITLES)) -> Path:
    rows = [{"sentence": text, "label": "104", "nr": n, "tags": ["a"]} for n, text in enumerate(TITLES[:count])]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_stand_beside_the_rows_own_fields_in_input_order(tnews: str, tmp_path: Path) -> None:
    rows, out = titles_file(tmp_path / "rows.jsonl"), tmp_path / "answers.jsonl"
    assert run(["predict", tnews, str(rows), "-o", str(out), "--probabilities", "--top-k", "3"]) == 0
    answers = read_jsonl(out)
    assert [answer["nr"] for answer in answers] == list(range(len(TITLES)))
    assert all(answer["label_input"] == "104" and answer["tags"] == ["a"] for answer in answers)
    assert all(0 < answer["probability"] <= 1 and len(answer["top"]) == 3 for answer in answers)
    assert names(tmp_path) == ["answers.jsonl", "rows.jsonl"]
    # The same in a notebook.
    notebook = clue_cli.load(tnews).predict(TITLES, probabilities=True, top_k=3)
    assert [{name: answer[name] for name in notebook[0]} for answer in answers] == notebook


def test_every_input_form_gives_the_same_labels(
    tnews: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("\n".join(TITLES), encoding="utf-8")
    table = "nr,title\r\n" + "".join(f"{n},{t}\r\n" for n, t in enumerate(TITLES))
    (tmp_path / "b.csv").write_bytes(table.encode("gb18030"))
    titles_file(tmp_path / "c.json")
    labels = []
    for arguments in (["a.txt"], ["b.csv", "--text-field", "title", "--encoding", "gb18030"], ["c.json"], ["-"]):
        stdin = io.BytesIO("\n".join(TITLES).encode())
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin, isatty=lambda: False))
        file = arguments[0] if arguments[0] == "-" else str(tmp_path / arguments[0])
        capsys.readouterr()
        assert run(["predict", tnews, file, *arguments[1:], "--quiet"]) == 0
        labels.append([json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()])
    assert len(labels[0]) == len(TITLES)
    assert all(found == labels[0] for found in labels)


def test_csv_and_table(make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = titles_file(tmp_path / "rows.jsonl")
    assert run(["predict", str(make_run("tnews")), str(rows), "--format", "csv", "--quiet"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["nr"] for row in table] == [str(n) for n in range(len(TITLES))]
    assert table[0]["tags"] == '["a"]'
    ner = make_run("cluener", "globalpointer")
    (tmp_path / "ner.txt").write_text("王小明在北京\n", encoding="utf-8")
    assert run(["predict", str(ner), str(tmp_path / "ner.txt"), "--quiet"]) == 0
    entities = json.loads(capsys.readouterr().out)["entities"]
    assert entities
    assert all("王小明在北京"[entity["start"] : entity["end"]] == entity["text"] for entity in entities)
    assert run(["predict", str(ner), str(tmp_path / "ner.txt"), "--format", "table", "--quiet"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.count("[") == len(entities) == line.count("]")
    assert run(["predict", str(ner), str(tmp_path / "ner.txt"), "--threshold", "1e6", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["entities"] == []


@pytest.mark.parametrize(
    ("output", "chosen", "form"),
    [
        (None, None, "jsonl"), ("a.jsonl", None, "jsonl"), ("b.d/a", None, "jsonl"), ("a.CSV", None, "csv"),
        ("a.csv.xz", None, "csv"), ("a.gz", None, "jsonl"), ("a.txt", None, "table"), ("a.txt", "jsonl", "jsonl"),
        ("a.json", "jsonl", "jsonl"), ("a", "csv", "csv"), (None, "table", "table"),
        ("a.csv", "jsonl", "the name is that of csv, not of jsonl"),
        ("a.jsonl.gz", "csv", "the name is that of jsonl, not of csv"),
        ("a.tsv", None, "answers are not written as .tsv"), ("a.xlsx", "csv", "answers are not written as .xlsx"),
    ],
)  # fmt: skip
def test_the_form_follows_the_name_of_the_file(output: str | None, chosen: str | None, form: str) -> None:
    if form in FORMS:
        assert form_name(output, chosen) == form
    else:
        with pytest.raises(UserError, match=f"--output {output}: {form}"):
            form_name(output, chosen)


def test_the_name_of_the_output_says_its_form(tnews: str, tmp_path: Path) -> None:
    """What was written can be read again, packed or not."""
    rows, directory = titles_file(tmp_path / "rows.jsonl", 3), tmp_path / "out"
    for name in ("a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.xz"):
        assert run(["predict", tnews, str(rows), "-o", str(directory / name)]) == 0
        again = tmp_path / f"again-{name}.jsonl"
        assert run(["predict", tnews, str(directory / name), "-o", str(again)]) == 0
        assert [str(row["nr"]) for row in read_jsonl(again)] == ["0", "1", "2"]
    assert names(directory) == ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.xz"]
    assert (directory / "a.csv").read_text().startswith("sentence,label_input,nr,tags,label,")


@pytest.mark.parametrize(
    ("name", "head", "text"),
    [("tnews", None, "股市大涨" * 25_000), ("cluener", "softmax", "王小明在北京大学" * 1_000)],
    ids=["one feature", "many windows"],
)
def test_a_very_long_text(
    make_run: Callable[..., Path], tmp_path: Path, name: str, head: str | None, text: str
) -> None:
    (tmp_path / "long.txt").write_text(f"{text}\n短\n", encoding="utf-8")
    out = tmp_path / "out.jsonl"
    assert run(["predict", str(make_run(name, head)), str(tmp_path / "long.txt"), "-o", str(out), "--json"]) == 0
    assert len(read_jsonl(out)) == 2


def test_progress_counts_rows_as_they_are_computed(
    tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clue_cli.progress.LINE_EVERY", 0.0)
    assert run(["predict", tnews, str(titles_file(tmp_path / "rows.jsonl")), "-o", str(tmp_path / "out.jsonl")]) == 0
    amounts = [line.split()[1] for line in capsys.readouterr().err.splitlines() if line.startswith("predicting: ")]
    assert list(dict.fromkeys(amounts)) == ["5", "10", "15", "20", "24"]  # a batch holds a look-ahead of these titles


def test_a_split_of_the_data(tnews: str, tmp_path: Path) -> None:
    rows = [{"id": n, "sentence": text, "keywords": ""} for n, text in enumerate(TITLES)]
    (tmp_path / "test.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(["predict", tnews, "--split", "test1.1", "--data", str(tmp_path), "-o", f"{tmp_path}/out/"]) == 0
    assert [answer["id"] for answer in read_jsonl(tmp_path / "out" / "test1.1.jsonl")] == list(range(len(TITLES)))


def test_several_files_go_into_one_or_into_a_directory(
    tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = titles_file(tmp_path / "a.jsonl", 3), titles_file(tmp_path / "b.jsonl", 4)
    one = tmp_path / "one.jsonl"
    assert run(["predict", tnews, str(first), str(second), "-o", str(one)]) == 0
    assert [answer["nr"] for answer in read_jsonl(one)] == [0, 1, 2, 0, 1, 2, 3]
    assert run(["predict", tnews, str(first), str(second), "-o", f"{tmp_path}/each/", "--format", "csv"]) == 0
    assert names(tmp_path / "each") == ["a.csv", "b.csv"]
    assert len((tmp_path / "each" / "b.csv").read_text().splitlines()) == 5
    # What is finished is kept, what is missing is made.
    (tmp_path / "each" / "b.csv").unlink()
    arguments = ["predict", tnews, str(first), str(second), "-o", f"{tmp_path}/each/", "--format", "csv"]
    assert run(arguments) == 2
    capsys.readouterr()
    assert run([*arguments, "--resume"]) == 0
    assert f"{tmp_path}/each/a.csv: nothing of it is unfinished" in (said := capsys.readouterr().err)
    assert "whether or not it answers this input" in said
    assert names(tmp_path / "each") == ["a.csv", "b.csv"]


def test_a_bad_row_stops_with_file_and_line_and_can_be_mended_and_continued(
    tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, out, whole = titles_file(tmp_path / "rows.jsonl"), tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    assert run(["predict", tnews, str(rows), "-o", str(whole), "--probabilities"]) == 0
    good = rows.read_text()
    lines = good.splitlines(keepends=True)
    rows.write_text("".join([*lines[:13], "{broken\n", *lines[14:]]))
    arguments = ["predict", tnews, str(rows), "-o", str(out), "--probabilities"]
    capsys.readouterr()
    assert run(arguments) == 2
    assert f"{rows}:14: no valid JSON" in capsys.readouterr().err
    assert not out.exists()
    assert len(read_jsonl(tmp_path / "out.jsonl.part")) == 13
    assert run(arguments) == 2
    assert "--resume continues it" in capsys.readouterr().err
    # Who cannot mend the row leaves it out, and loses no answer.
    parts = [tmp_path / f"out.jsonl{ending}" for ending in (".part", ".part.json")]
    kept = [part.read_bytes() for part in parts]
    assert run([*arguments, "--resume", "--on-error", "skip"]) == 0
    assert read_jsonl(out) == [answer for answer in read_jsonl(whole) if answer["nr"] != 13]
    for place in (out, tmp_path / "out.jsonl.rejects.jsonl"):
        place.unlink()
    for part, content in zip(parts, kept, strict=True):
        part.write_bytes(content)
    capsys.readouterr()
    rows.write_text(good)
    assert run([*arguments, "--resume", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["rows"] == len(TITLES)
    assert summary["outputs"][0]["before"] == 13
    assert out.read_bytes() == whole.read_bytes()


def test_bad_rows_are_set_aside(tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_bytes(b'{"sentence": "a"}\n{"sentence": 3}\n\xff\n{"sentence": ""}\n{"sentence": "b"}\n')
    assert run(["predict", tnews, str(rows), "-o", str(out), "--on-error", "skip", "--json"]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert (summary["rows"], summary["rejected"]) == (2, 3)
    assert "3 bad rows" in captured.err
    assert [reject["line"] for reject in read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")] == [2, 3, 4]
    assert [answer["sentence"] for answer in read_jsonl(out)] == ["a", "b"]


def test_rejected_rows_of_another_prediction_are_found_at_the_start(
    tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [str(titles_file(tmp_path / name, 3)) for name in ("a.jsonl", "b.jsonl")]
    out, older = tmp_path / "out", tmp_path / "out" / "b.jsonl.rejects.jsonl"
    out.mkdir()
    older.write_text("{}\n")
    assert run(["predict", tnews, *rows, "-o", str(out)]) == 2
    assert f"{older}: exists already" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == [older.name]
    assert run(["predict", tnews, *rows, "-o", str(out), "--force"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_nothing_is_overwritten_unasked(tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = titles_file(tmp_path / "rows.jsonl", 3), tmp_path / "out.jsonl"
    out.write_text("mine")
    assert run(["predict", tnews, str(rows), "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert run(["predict", tnews, str(rows), "-o", str(rows), "--force"]) == 2
    assert "this is an input" in capsys.readouterr().err
    assert len(read_jsonl(rows)) == 3
    assert run(["predict", tnews, str(rows), "-o", str(out), "--force"]) == 0
    assert len(read_jsonl(out)) == 3
    # Nor may what is written beside the answers take an input's place.
    for ending in (".part", ".rejects.jsonl"):
        beside = titles_file(tmp_path / f"out.jsonl{ending}", 3)
        arguments = [str(beside), "--input-format", "jsonl", "-o", str(out), "--force", "--on-error", "skip"]
        capsys.readouterr()
        assert run(["predict", tnews, *arguments]) == 2
        assert f"{beside}: this is an input" in capsys.readouterr().err
        assert len(read_jsonl(beside)) == 3


def test_a_split_is_looked_for_before_it_is_announced(tnews: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", tnews, "--split", "tset"]) == 2
    said = capsys.readouterr().err
    assert "'tset'" in said and "sample" not in said


def test_requests_that_make_no_sense(tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = str(titles_file(tmp_path / "rows.jsonl", 3))
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"sentence1": "a", "sentence2": "b"}\n')
    for arguments, message in (
        ([str(tmp_path / "none.jsonl")], "none.jsonl: does not exist"),
        ([str(tmp_path)], "a file was expected"),
        ([rows, "--split", "dev"], "not both"),
        ([rows, "--data", "x"], "--split test"),
        ([rows, "--format", "jsno"], "jsonl"),
        ([rows, "--encoding", "utf-9"], "unknown encoding"),
        ([rows, "--input-format", "xml"], "input format"),
        ([rows, "--on-error", "skp"], "skip"),
        ([rows, "--on-error", "skip"], "--output FILE"),
        ([rows, "--on-error", "skip", "-o", os.devnull], "needs a file beside which rejected rows can go"),
        ([rows, "--resume"], "--output FILE"),
        ([rows, "--json"], "--output FILE"),
        ([rows, "--threshold", "1"], "--threshold"),
        ([rows, "--threshold", "nan"], "must be a finite number"),
        ([rows, "--text-field", "a,b"], "--text-field a,b"),
        ([rows, "--device", "tpu"], "--device"),
        ([rows, "--precision", "fp8"], "--precision"),
        ([rows, "-o", f"{rows}/out.jsonl"], "file"),
        ([rows, "-o", f"{tmp_path}/out.csv", "--format", "jsonl"], "out.csv: the name is that of csv, not of jsonl"),
        ([rows, rows, "-o", f"{tmp_path}/"], "both be answered in"),
        ([rows, "-o", f"{tmp_path}/"], "this is an input"),
        ([str(pairs)], "pairs.jsonl:1: no field 'sentence'; fields found: sentence1, sentence2"),
        ([str(pairs)], "(--text-field names the columns that hold the texts)"),
    ):
        assert run(["predict", tnews, *arguments]) == 2, arguments
        assert message in " ".join(capsys.readouterr().err.split()), arguments
    assert names(tmp_path) == ["pairs.jsonl", "rows.jsonl"]


def test_a_broken_run_is_named(tnews: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = str(titles_file(tmp_path / "rows.jsonl", 3))
    head = Path(tnews) / "model" / "head.safetensors"
    broken = tmp_path / "run"
    (broken / "model").mkdir(parents=True)
    for source in sorted((Path(tnews) / "model").rglob("*")):
        target = broken / source.relative_to(tnews)
        if source.is_dir():
            target.mkdir()
        elif source.name != head.name:
            target.symlink_to(source)
    (broken / "model" / head.name).write_bytes(head.read_bytes()[:100])
    for arguments, message in (
        ([str(tmp_path / "nowhere"), rows], "no such run directory"),
        ([rows, rows], "this is a file"),
        ([str(tmp_path), rows], "not a run directory"),
        ([str(broken), rows], "head.safetensors"),
    ):
        assert run(["predict", *arguments]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_an_interruption_leaves_a_file_that_can_be_continued(
    tnews: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from clue_cli.model import Model

    rows, out, whole = titles_file(tmp_path / "rows.jsonl"), tmp_path / "out.csv", tmp_path / "whole.csv"
    arguments = ["predict", tnews, str(rows), "--format", "csv", "--probabilities"]
    assert run([*arguments, "-o", str(whole)]) == 0
    real, calls = Model.predict, iter(range(3))

    def interrupted(self: Any, *how: Any) -> list[Any]:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return real(self, *how)

    monkeypatch.setattr(Model, "predict", interrupted)
    assert run([*arguments, "-o", str(out)]) == 130
    assert "--resume continues it" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(prediction, "LOOKAHEAD", 5)
    assert run([*arguments, "-o", str(out), "--resume"]) == 0
    assert out.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == ["out.csv", "rows.jsonl", "whole.csv"]


def test_two_processes_write_the_file_of_one(tnews: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("\n".join(title * (1 + n % 3) for n, title in enumerate(TITLES * 10)), encoding="utf-8")
    # The same short look-aheads in all processes: enough of them that both have work.
    start = "from clue_cli import main, prediction; prediction.LOOKAHEAD = 50; main.main()"
    script = tmp_path / "start.py"
    script.write_text(start)
    root = Path(clue_cli.__file__).resolve().parents[1]
    surroundings = {**os.environ, "PYTHONPATH": str(root)}
    arguments = [str(script), "predict", tnews, str(rows), "--probabilities", "-o"]
    subprocess.run([sys.executable, *arguments, str(tmp_path / "one.jsonl")], check=True, env=surroundings)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--main_process_port", "0"]
    done = subprocess.run(
        [*launch, *arguments, str(tmp_path / "two.jsonl"), "--json"], check=True, env=surroundings, capture_output=True
    )
    assert json.loads(done.stdout)["rows"] == len(TITLES) * 10
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


@pytest.mark.parametrize("task", ["c3", "chid", "fewclue_chid", "csl", "cmrc2018"])
def test_rows_in_csv_are_the_rows_of_json_lines(task: str, tmp_path: Path) -> None:
    """Lists stand in csv cells as JSON: texts, choices and answers are the same in both forms."""
    from clue_cli.answers import plain
    from clue_cli.contract import Tally
    from clue_cli.lines import Row
    from clue_cli.registry import find_task
    from clue_cli.sources import locate

    known: Any = find_task(task)
    examples = list(known.read(locate(task, None)[0], "dev", Tally()))[:5]
    for one in examples:
        cells = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain)
            for name, value in {**one.row, **known.gold_fields(one)}.items()
        }
        again = known.example(Row(cells, one.where), one.number, labelled=False)
        assert again.texts == one.texts
        gold = one.gold[0] if task == "cmrc2018" else one.gold
        assert known.read_prediction(Row(cells, one.where), one).answer == gold
