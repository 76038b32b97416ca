"""`clue data` as typed: its tables, its one JSON document, its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clue_cli.main import run


def write(directory: Path, **splits: list[dict[str, Any]]) -> str:
    for name, rows in splits.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (directory / f"{name}.json").write_text("".join(lines), encoding="utf-8")
    return str(directory)


def titles(*labels: str, text: str = "股市今天大涨") -> list[dict[str, Any]]:
    return [{"label": label, "sentence": f"{text}{number}点"} for number, label in enumerate(labels)]


def test_the_tables_say_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path, train=titles("104", "104", "108"), dev=titles("104", "108", text="高考"))
    assert run(["data", "tnews", "--data", data, "--max-length", "10"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"tnews: sentence from {tmp_path.name}; mini-zh, 10 tokens" in shown
    assert "train.json is not the official file (3 rows, official 53,360)" in shown
    assert "104 2 66.67 1 50.00" in shown
    assert "splits warn dev has 2 labelled rows: a row is about 50 points; train 3, dev 2 examples" in shown


def test_json_is_one_document_with_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path, train=titles("104", "108"), dev=titles("104"))
    status = run(["data", "tnews", "--data", data, "--json", "--quiet"])
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.err == ""
    assert document["splits"]["dev"]["seen_in"] == {"train": 1}
    assert document["failed"] is True
    assert status == 1  # the one dev title stands in train


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path, train=titles("104", "999"), dev=titles("104"))
    assert run(["data", "tnews", "--data", data]) == 2
    assert f"{tmp_path}/train.json:2: label" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--max-length", "-3"], "--max-length"),
        (["--encoder", "no/such/directory"], "--encoder"),
        (["--fields", "sentense"], "sentence"),
    ],
)
def test_a_wrong_option_is_named(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path, train=titles("104"), dev=titles("104"))
    assert run(["data", "tnews", "--data", data, *options]) == 2
    assert complaint in capsys.readouterr().err


def test_the_real_cluener_is_within_reach_of_the_shipped_encoder(
    capsys: pytest.CaptureFixture[str], shared: Path
) -> None:
    assert run(["data", "cluener", "--data", str(shared / "data" / "cluener"), "--quiet"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "dev: 3,072 of 3,072 gold answers within reach" in shown
    assert "joins no Chinese characters" in shown


def test_a_file_that_is_not_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "task.toml").write_text('family = "classification"\nlabels = ["a", "b"]\n')
    (tmp_path / "train.jsonl").write_text('{"text": "x", "label": "a"}\n{"text": "y", "label": "b"}\n')
    for name in ("train.csv", "dev.csv"):
        (tmp_path / name).write_text("text,label\nz,a\nw,b\n")
    run(["data", str(tmp_path)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "not read, since train.jsonl goes before: train.csv" in shown
    assert "since dev.csv" not in shown
