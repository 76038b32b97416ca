"""`clue convert` as typed: tables, one JSON document, statuses; and trainings on what it wrote."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from clue_cli.main import run

DATA = Path(__file__).resolve().parents[1] / "data"
BIO = "".join(
    f"{token} {tag}\n" for token, tag in zip("李雷去北京", ["B-人", "I-人", "O", "B-地", "I-地"], strict=True)
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import torch

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(line: str) -> int:
    return run(shlex.split(line))


def document(capsys: pytest.CaptureFixture[str], line: str) -> Any:
    capsys.readouterr()
    assert typed(line + " --json --quiet") == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_shown_and_the_commands_that_come_next(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They work as printed, also for a directory that is called like a task."""
    sentences = [BIO.replace("李", name) for name in "张王刘陈杨黄赵周吴徐孙马"]
    (place / "x.bio").write_text("\n".join([*sentences, "甲 I-人\n"]), encoding="utf-8")
    assert typed("convert x.bio -o tnews --dev-share 0.3") == 0
    printed = capsys.readouterr()
    shown = printed.out
    assert "entities from bio: tnews" in shown
    assert re.search(r"train +\d+ +\d+ +0", shown)
    assert "2 labels: 人, 地" in shown
    assert "1 tags that continue no entity (each begins one) (x.bio:73)" in printed.err
    following = [line.strip() for line in shown[shown.index("next:") :].splitlines()[1:]]
    assert following == ["clue data ./tnews", "clue train ./tnews"]
    assert typed(following[0].removeprefix("clue ")) == 0
    assert typed(following[1].removeprefix("clue ") + " --epochs 1 --device cpu --quiet") == 0


def test_one_json_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "x.bio").write_text(BIO + "\n" + BIO.replace("去", "到"), encoding="utf-8")
    found = document(capsys, "convert x.bio -o out")
    assert found["rows"] == {"train": 1, "dev": 1}
    assert found["annotations"] == {"train": 2, "dev": 2}
    assert found["files"] == ["labels.txt", "task.toml", "train.jsonl", "dev.jsonl"]
    assert found["left_out"] == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("convert x.bio", "output"),
        ("convert nowhere.json -o out", "nowhere.json: does not exist"),
        ("convert x.bio -o x.bio", "--output x.bio: is a file; a directory was expected"),
        ("convert x.bio -o x.bio/deep", "x.bio is a file, not a directory"),
        ("convert x.bio -o out --format docano", "did you mean doccano"),
        ("convert x.bio -o out --on-error go", "--on-error"),
        ("convert x.bio -o out --split dev --dev-share 0.1", "--dev-share"),
        ("convert bad.bio -o out", "bad.bio:2: a token and its tag were expected"),
        ("convert x.bio -o out --encoding utf-16", "x.bio"),
        ("convert x.bio -o out --json --taks entities", "--task"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(
    place: Path, line: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "x.bio").write_text(BIO, encoding="utf-8")
    (place / "bad.bio").write_text("李 B-人\n雷\n", encoding="utf-8")
    assert typed(line) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [error] = printed.err.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert sorted(path.name for path in place.iterdir()) == ["bad.bio", "x.bio"]


def test_a_bad_row_can_be_left_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "x.bio").write_text(BIO + "\n雷\n", encoding="utf-8")
    assert typed("convert x.bio -o out --on-error skip --split train") == 0
    assert "1 rows with an error (x.bio:7: a token and its tag" in capsys.readouterr().err


@pytest.mark.parametrize(("labels", "doubtful"), [(12, True), (9, False)])
def test_labels_that_occur_once_are_no_classes(
    labels: int, doubtful: bool, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"第{n}句", "label": [f"{n % labels}"]} for n in range(14)]
    (place / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert typed("convert x.jsonl -o out") == 0
    warned = "warning: 10 of 12 labels occur once: texts written for each text (seq2seq) make no classifier"
    assert (warned in capsys.readouterr().err) == doubtful
    assert bool(document(capsys, "convert x.jsonl -o again")["warnings"]) == doubtful
    (place / "one.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:10]), encoding="utf-8")
    assert document(capsys, "convert one.jsonl -o out --split test")["warnings"] == []


@pytest.mark.parametrize(("task", "name"), [("duie", "own_relations"), ("duee", "own_events")])
def test_a_schema_of_ones_own_trains(task: str, name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ten-row examples beside the documentation, trained, scored and answered as it says."""
    assert typed(f"data {task} --data {DATA / name}") in (0, 1)
    assert typed(f"train {task} --data {DATA / name} --epochs 1 --device cpu --output run") == 0, (
        capsys.readouterr().err
    )
    capsys.readouterr()
    (place / "notes.txt").write_text("沈知秋毕业于临溪大学。\n", encoding="utf-8")
    assert typed("predict run notes.txt --device cpu --quiet") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "沈知秋毕业于临溪大学。"


def test_converted_relations_and_events_train(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "周亦然到任青禾农机"
    entities = [
        {"id": key, "label": label, "start_offset": start, "end_offset": end}
        for key, label, start, end in ((1, "人", 0, 3), (2, "到任", 3, 5), (3, "机构", 5, 9))
    ]
    relations = [{"from_id": 2, "to_id": 1, "type": "人员"}, {"from_id": 2, "to_id": 3, "type": "机构"}]
    rows = [{"text": f"{text}{n}", "entities": entities, "relations": relations} for n in range(6)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (place / "all.jsonl").write_text(lines, encoding="utf-8")
    for kind in ("relations", "events"):
        assert typed(f"convert all.jsonl -o {kind} --task {kind} --dev-share 0.3") == 0
        shown = capsys.readouterr().out
        command = shown.splitlines()[-1].strip().removeprefix("clue ")
        assert typed(f"{command} --epochs 1 --device cpu --quiet --output run-{kind}") == 0, capsys.readouterr().err
        assert (place / f"run-{kind}" / "record.json").is_file()
