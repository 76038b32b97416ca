"""`clue score`: a file of predictions from anywhere against a file of gold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from clue_cli.errors import ClueError, RowError, UserError
from clue_cli.main import run
from clue_cli.pairing import score_files
from tasks.cluener import TASK as CLUENER
from tasks.families.classification import TextClassification

PAIRS = TextClassification(name="pairs", title="", labels=("no", "yes"), texts=("a", "b"), left_out=("-",))
GOLD = [
    {"text": "王明在上海", "label": {"name": {"王明": [[0, 1]]}, "address": {"上海": [[3, 4]]}}},
    {"text": "《围城》好看", "label": {"book": {"《围城》": [[0, 3]]}}},
]
OFFICIAL = [{"label": GOLD[0]["label"]}, {"label": {"movie": {"《围城》": [[0, 3]]}}}]


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return lines(tmp_path / "dev.json", GOLD)


def labelled(*labels: str, ids: Sequence[Any] = ()) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"a": f"a{i}", "b": "b", "label": label} for i, label in enumerate(labels)]
    for row, key in zip(rows, ids, strict=False):
        row["id"] = key
    return rows


def test_every_metric_of_the_task_the_ranking_one_first(gold: Path, tmp_path: Path) -> None:
    result = score_files(CLUENER, gold, lines(tmp_path / "p.json", OFFICIAL))
    assert list(result.scores) == ["cluener:official", "span:micro_f1"]
    assert result.scores["cluener:official"].figure == pytest.approx(2 / 10)
    assert result.scores["span:micro_f1"].figure == pytest.approx(2 / 3)
    assert (result.paired_by, result.official, result.gold, result.pred) == ("order", False, "dev.json", "p.json")
    only = score_files(CLUENER, gold, tmp_path / "p.json", "span:micro_f1")
    assert list(only.scores) == ["span:micro_f1"]


def test_our_own_answers_and_a_runs_dev_predictions_are_read(gold: Path, tmp_path: Path) -> None:
    ours = [
        {**GOLD[0], "entities": [{"start": 0, "end": 2, "type": "name", "text": "王明", "probability": 0.5}]},
        {**GOLD[1], "entities": []},
    ]
    figure = score_files(CLUENER, gold, lines(tmp_path / "ours.jsonl", ours), "span:micro_f1").scores["span:micro_f1"]
    assert (figure.figures["precision"], figure.figures["recall"]) == (1.0, pytest.approx(1 / 3))
    dev = [
        {"number": i, "id": None, "gold": {"entities": []}, "prediction": {"entities": row["entities"]}}
        for i, row in enumerate(ours)
    ]
    same = score_files(CLUENER, gold, lines(tmp_path / "predictions.dev.jsonl", dev), "span:micro_f1")
    assert same.scores["span:micro_f1"].figures == figure.figures


def test_ids_pair_rows_in_any_order(tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", "yes", ids=(7, 8, 9)))
    answers = [{"id": "9", "label": "yes"}, {"id": 7, "label": "yes"}, {"id": 8, "label": "yes"}]
    result = score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", answers))
    assert result.paired_by == "id"
    assert result.scores["accuracy"].figure == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([{"id": 7, "label": "yes"}], r"p\.jsonl: no prediction for id 8"),
        ([{"id": i, "label": "yes"} for i in (7, 8, 5)], r"p\.jsonl:3: id 5: no such id"),
        ([{"id": i, "label": "yes"} for i in (7, 8, 7)], r"p\.jsonl:3: id: id 7 was already used in line 1"),
        ([{"id": 7, "label": "yes"}, {"label": "yes"}], r"p\.jsonl:2: this row has no 'id'"),
        ([{"id": 7, "label": "maybe"}, {"id": 8, "label": "no"}], r"p\.jsonl:1: label: unknown label 'maybe'"),
        ([{"id": 7, "label": "no", "a": "a1"}, {"id": 8, "label": "no"}], r"p\.jsonl:1: a: the text is not that of"),
    ],
)
def test_ids_that_do_not_fit_are_refused(answers: list[dict[str, Any]], words: str, tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", ids=(7, 8)))
    with pytest.raises(ClueError, match=words):
        score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", answers))


def test_ids_repeated_in_the_gold_are_refused(tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", ids=(7, 7)))
    with pytest.raises(RowError, match=r"gold\.jsonl:2: id: id 7 was already used in line 1"):
        score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", [{"label": "yes"}] * 2))


def test_without_ids_the_counts_must_be_equal(gold: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p\.json: 1 predictions for the 2 rows of .*dev\.json"):
        score_files(CLUENER, gold, lines(tmp_path / "p.json", OFFICIAL[:1]))


@pytest.mark.parametrize("ids", [(), (1, 2, 3)])
def test_rows_without_usable_gold_are_left_out_on_both_sides(ids: tuple[int, ...], tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "-", "no", ids=ids))
    answers = labelled("yes", "yes", "no", ids=ids)
    for some in (answers, [answers[0], answers[2]]):
        result = score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", some))
        assert (result.scores["accuracy"].figure, result.scores["accuracy"].items) == (1.0, 2)
        assert result.tally.counts == {"rows labelled '-'": 1}


def test_texts_that_disagree_are_refused(gold: Path, tmp_path: Path) -> None:
    swapped = [{**OFFICIAL[1], "text": GOLD[1]["text"]}, {**OFFICIAL[0], "text": GOLD[0]["text"]}]
    with pytest.raises(RowError, match=r"p\.json:1: text: the text is not that of the gold row .*dev\.json:1"):
        score_files(CLUENER, gold, lines(tmp_path / "p.json", swapped))


def test_csv_files_serve_on_both_sides(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("a,b,label\nx,y,yes\nx,z,no\n", encoding="utf-8")
    (tmp_path / "p.csv").write_text("label\nyes\nyes\n", encoding="utf-8")
    assert score_files(PAIRS, tmp_path / "gold.csv", tmp_path / "p.csv").scores["accuracy"].figure == 0.5


# -------------------------------------------------------------------- the verb


def test_the_verb_prints_figures_with_errors_and_labels(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = lines(tmp_path / "p.json", OFFICIAL)
    assert run(["score", "cluener", "--gold", str(gold), "--pred", str(pred)]) == 0
    out = capsys.readouterr().out
    assert "cluener:official" in out
    assert "66.67" in out
    assert "± item" in out
    assert "never predicted right" in out
    assert "organization" in out
    assert "not an official file" in out
    assert run(["score", "cluener", "--gold", str(gold), "--pred", str(pred), "--no-per-label"]) == 0
    assert "by label" not in capsys.readouterr().out


def test_the_verb_prints_one_json_document(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pred = lines(tmp_path / "p.json", OFFICIAL)
    command = ["score", "cluener", "--gold", str(gold), "--pred", str(pred)]
    assert run([*command, "--metric", "span:micro_f1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [metric] = document["metrics"]
    assert (metric["metric"], metric["primary"], metric["items"]) == ("span:micro_f1", "f1", 2)
    assert set(metric["errors"]) == {"f1", "precision", "recall"}
    assert metric["figures"]["f1"] == pytest.approx(2 / 3)
    assert {"label": "movie", "support": 0}.items() <= metric["per_label"][5].items()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"--pred": "nothing.json"}, "nothing.json: does not exist"),
        ({"--gold": "nothing.json"}, "nothing.json: does not exist"),
        ({"--metric": "span:mikro_f1"}, "span:micro_f1"),
        ({"--encoding": "utf-99"}, "utf-99"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    changed: dict[str, str], words: str, gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--gold": str(gold), "--pred": str(lines(tmp_path / "p.json", OFFICIAL)), **changed}
    assert run(["score", "cluener", *(part for pair in options.items() for part in pair)]) == 2
    caught = capsys.readouterr()
    assert words in caught.err
    assert caught.err.count("\n") == 1
    assert caught.out == ""
