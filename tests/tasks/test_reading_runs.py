"""Reading comprehension through the program: data, train, eval, predict, score, and train on one set for another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from clue_cli.contract import Answering
from clue_cli.main import run
from clue_cli.prediction import Predictor
from clue_cli.record import Record
from clue_cli.sources import Source

SAMPLES = Path(__file__).parents[2] / "tasks" / "samples"
QUICK = ["--epochs", "1", "--max-length", "64", "--overlap", "16", "--precision", "float32", "--device", "cpu"]

PLACE = ("answer", "start", "end")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    torch.set_num_threads(threads)


Clue = Callable[..., tuple[str, str]]


@pytest.fixture
def clue(capfd: pytest.CaptureFixture[str]) -> Clue:
    """Runs a verb that must end well; standard output and standard error."""

    def call(*arguments: str) -> tuple[str, str]:
        status = run(list(arguments))
        told = capfd.readouterr()
        assert status == 0, told.err
        return told.out, told.err

    return call


def small(directory: Path, **files: tuple[str, str, int]) -> Path:
    """A data directory: file -> (sample of which task, its file, how many paragraphs of the first entries)."""
    directory.mkdir()
    for name, (task, file, amount) in files.items():
        document = json.loads((SAMPLES / task / file).read_text(encoding="utf-8"))
        if len(document["data"]) > 1:
            document["data"] = document["data"][:amount]
        else:
            document["data"][0]["paragraphs"] = document["data"][0]["paragraphs"][:amount]
        (directory / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return directory


@pytest.mark.parametrize("head", ["globalpointer", "span"])
def test_train_eval_predict_and_score_agree(clue: Clue, tiny_encoder: Path, tmp_path: Path, head: str) -> None:
    data = small(tmp_path / "data", train=("cmrc2018", "train.json", 6), dev=("cmrc2018", "dev.json", 4))
    model = tmp_path / "run"
    common = ["--data", str(data), "--encoder", str(tiny_encoder), "--output", str(model)]
    clue("train", "cmrc2018", "--head", head, *common, *QUICK)
    record = Record.load(model)
    figures = {metric: record.result(metric, "dev") for metric in record.metrics}
    assert set(figures) == {"cmrc2018:official", "cmrc2018:span"}
    lines = [json.loads(line) for line in (model / "predictions.dev.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 16
    assert set(lines[0]["gold"]) == {"answer", "start", "end", "answers"}
    assert {"answer", "start", "end", "score", "probability"} <= set(lines[0]["prediction"])

    clue("predict", str(model), str(data / "dev.json"), "--output", "answers.jsonl", "--top-k", "3", "--device", "cpu",
         "--precision", "float32")  # fmt: skip
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text("utf-8").splitlines()]
    assert [row["answer"] for row in rows] == [line["prediction"]["answer"] for line in lines]
    for row in rows:
        assert row["context"][row["start"] : row["end"]] == row["answer"]
        assert len(row["top"]) == 3
        assert row["top"][0]["answer"] == row["answer"]
    Path("official.json").write_text(json.dumps({row["id"]: row["answer"] for row in rows}), encoding="utf-8")
    for file in ("answers.jsonl", "official.json"):
        out, _ = clue("score", "cmrc2018", "--gold", str(data / "dev.json"), "--pred", file, "--json")
        (official, *_) = json.loads(out)["metrics"]
        own = figures["cmrc2018:official"]
        assert own is not None
        assert official["figures"] == pytest.approx(own.figures)


def test_answers_do_not_depend_on_the_batch(clue: Clue, tiny_encoder: Path, tmp_path: Path) -> None:
    data = small(tmp_path / "data", train=("cmrc2018", "train.json", 3), dev=("cmrc2018", "dev.json", 3))
    model = tmp_path / "run"
    clue("train", "cmrc2018", "--data", str(data), "--encoder", str(tiny_encoder), "--output", str(model), *QUICK)
    answers: list[list[Any]] = []
    for tokens in (1, 100_000):
        predictor = Predictor.load(model, device="cpu", precision="float32", tokens=tokens)
        examples = list(predictor.task.rows(Source.open(data), "dev.json"))
        found = predictor.predict([row.data for row in examples], probabilities=True, top_k=5)
        answers.append(found)
    for alone, together in zip(*answers, strict=True):
        assert (alone["answer"], alone["start"], alone["end"]) == (
            together["answer"],
            together["start"],
            together["end"],
        )
        assert alone["score"] == pytest.approx(together["score"], abs=2e-4)
        assert alone["probability"] == pytest.approx(together["probability"], abs=1e-4)
    (two,) = predictor.predict([("谁？", "王明在上海。")], top_k=2)
    assert two["top"][0]["answer"] == two["answer"]
    assert predictor.answering(top_k=2) == Answering(top_k=2)


def test_one_set_trains_for_another(clue: Clue, tiny_encoder: Path, tmp_path: Path) -> None:
    """CMRC2018's train.json beside DuReader's dev.json: both have one form."""
    data = small(tmp_path / "data", train=("cmrc2018", "train.json", 4), dev=("dureader_robust", "dev.json", 9))
    common = ["--data", str(data), "--encoder", str(tiny_encoder), "--output", str(tmp_path / "run")]
    told, _ = clue("train", "dureader_robust", *common, *QUICK)
    record = Record.load(tmp_path / "run")
    assert record.result("dureader_robust:em_f1", "dev") is not None
    assert {file.name: (file.rows, file.official) for file in record.data.files} == {
        "train.json": (16, False), "dev.json": (9, False),
    }  # fmt: skip
    assert "answers without a text" in told


def test_the_users_own_rows_are_lines(clue: Clue, tiny_encoder: Path, tmp_path: Path) -> None:
    row = {"question": "谁？", "answers": [{"text": "王明"}]}
    for name in ("train", "dev"):
        rows = [{**row, "id": f"{name}{n}", "context": f"{n}年王明在{name}。"} for n in range(4)]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    common = ["--data", str(tmp_path), "--encoder", str(tiny_encoder), "--output", str(tmp_path / "run")]
    clue("train", "cmrc2018", *common, *QUICK)
    out, _ = clue("data", "cmrc2018", "--data", str(tmp_path), "--encoder", str(tiny_encoder), "--max-length", "64",
                  "--overlap", "16", "--json")  # fmt: skip
    found = json.loads(out)["splits"]["dev"]["spans"]
    assert (found["gold"], found["reachable"]) == (4, 4)


def test_a_broken_document_is_one_line(tiny_encoder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    shutil.copytree(SAMPLES / "cmrc2018", data)
    document = json.loads((data / "train.json").read_text(encoding="utf-8"))
    document["data"][2]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] = 5_000
    (data / "train.json").write_text(json.dumps(document), encoding="utf-8")
    status = run(["train", "cmrc2018", "--data", str(data), "--encoder", str(tiny_encoder), *QUICK])
    told = capfd.readouterr()
    assert status == 2
    assert "data[2].paragraphs[0].qas[1].answers[0].answer_start: answer_start 5000 lies outside" in told.err
    assert len(told.err.strip().splitlines()) == 1
