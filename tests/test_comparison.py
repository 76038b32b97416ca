"""clue compare, on runs whose answers are written down here."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clue_cli.comparison import Scored, compare_scored, read_run
from clue_cli.contract import FORMAT_VERSION, Example, Prediction, Tally
from clue_cli.evaluation import DevResult, write_predictions
from clue_cli.main import run
from clue_cli.registry import find_task
from clue_cli.scoring import by_cluster, make_metric, score
from clue_cli.significance import difference_error, figure_of
from clue_cli.sources import locate
from clue_cli.wording import brief
from tests.record_cases import make_record

LABELS = ("0", "1")


def make_run(
    path: Path, answers: str, gold: str = "0101010101", *, seed: int = 1, group: str | None = None, task: str = "afqmc"
) -> Path:
    """A run of afqmc that answered `answers` where `gold` was right."""
    (path / "model").mkdir(parents=True)
    make_record(task, seed=seed, group=group).save(path)
    document = {"format": FORMAT_VERSION, "task": {"name": task, "version": 1, "fields": ["sentence1", "sentence2"]}}
    (path / "model" / "clue.json").write_text(json.dumps(document), encoding="utf-8")
    with (path / "predictions.dev.jsonl").open("w", encoding="utf-8") as file:
        for number, (wanted, answer) in enumerate(zip(gold, answers, strict=True)):
            counts = {f"predicted:{answer}": 1.0, f"gold:{wanted}": 1.0}
            counts |= {f"right:{wanted}": 1.0} if wanted == answer else {}
            line = {
                "number": number, "id": None, "gold": {"label": wanted}, "prediction": {"label": answer},
                "statistics": {"accuracy": counts},
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")
    return path


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["compare", *arguments, "--json", "--resamples", "500"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_two_runs_are_compared_item_by_item(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    better = make_run(tmp_path / "a", "0101010101")
    worse = make_run(tmp_path / "b", "0101011010", seed=2)
    found = document(capsys, str(better), str(worse))
    (pair,) = found["pairs"]
    assert (found["task"], found["metric"], found["items"]) == ("afqmc", "accuracy", 10)
    assert pair["paired"]["difference"] == pytest.approx(0.4)
    assert pair["paired"]["test"] == "mcnemar"
    assert pair["paired"]["p"] == pytest.approx(2 * 0.5**4)
    assert [item["number"] for item in pair["disagreements"]] == [6, 7, 8, 9]
    assert pair["disagreements"][0] | {"first_figure": 1.0, "second_figure": 0.0} == pair["disagreements"][0]


@pytest.mark.parametrize(("name", "wrong"), [("c3", 0), ("duie", ())])
def test_items_of_one_cluster_are_drawn_together(name: str, wrong: Any, tmp_path: Path) -> None:
    """Questions of one passage, rows of one text: figure and error are those of the score."""
    task = find_task(name)
    examples = list(task.read(locate(name, None)[0], "dev", Tally()))[:8]
    pairs: list[tuple[Example, Prediction]] = []
    for i, one in enumerate(examples):
        texts = (examples[i // 2].texts[0] + "。" * (i // 2), *one.texts[1:])
        example = dataclasses.replace(one, texts=texts, gold=1 if name == "c3" else one.gold)
        pairs.append((example, Prediction(wrong if i in (0, 3, 4) else example.gold)))
    metric = make_metric(task)
    expected = score(metric, pairs)
    write_predictions(tmp_path / "lines", task, DevResult(task, pairs, {}, Tally()))
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text("utf-8").splitlines()]
    scored = Scored(tmp_path, make_record(name), task, [{"clusters": None, **line} for line in lines])
    found = by_cluster(metric, scored.matrix(metric), scored.clusters(metric))
    assert len(found) == expected.clusters == 4
    assert 0 < expected.figure < 1
    assert float(figure_of(metric, found.sum(0))) == pytest.approx(expected.figure)
    nothing = np.zeros_like(found)
    assert expected.errors[metric.primary] == pytest.approx(difference_error(metric, found, nothing))
    assert expected.statistics is not None
    assert sorted(found.tolist()) == sorted(np.concatenate(list(expected.statistics.chunks())).tolist())


def test_runs_of_older_versions_are_compared_by_the_clusters_of_the_others(tmp_path: Path) -> None:
    """Their answers do not say which items belong together."""
    metric = make_metric(find_task("afqmc"))
    scored = []
    for name, said in (("old", "0101010101"), ("new", "0101011010")):
        run_ = make_run(tmp_path / name, said, seed=len(scored) + 1)
        some = read_run(run_, "dev")
        if name == "new":
            for line in some.lines:
                line["clusters"] = {metric.id: line["number"] // 2 * 2}
        scored.append(some)
    for order in (scored, scored[::-1]):
        found = compare_scored(order, split="dev", resamples=50)
        assert (found.items, found.clusters) == (10, 5)
        assert {pair.paired.items for pair in found.pairs} == {5}


def test_a_run_without_texts_is_compared_with_one_that_has_them(tmp_path: Path) -> None:
    old, new = (read_run(make_run(tmp_path / name, "0101011010", seed=n), "dev") for n, name in enumerate("ab"))
    for line in new.lines:
        line["texts"] = ["甲", "乙"]
    for order in ((old, new), (new, old)):
        assert compare_scored(order, split="dev", resamples=50).items == 10


def test_runs_are_called_by_encoder_head_and_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make_run(tmp_path / name, "0101011010", seed=n)) for n, name in enumerate("ab")]
    first, second = (system["name"] for system in document(capsys, *runs)["runs"])
    assert (first[-3:], second[-3:]) == (" s0", " s1")
    assert first[:-3] == second[:-3] != ""


def test_several_runs_are_compared_in_pairs_with_corrected_p(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(make_run(tmp_path / name, said, seed=i)) for i, (name, said) in enumerate(
        {"a": "0101010101", "b": "0101011010", "c": "1010101010"}.items())]  # fmt: skip
    found = document(capsys, *runs)
    assert [pair["first"] + pair["second"] for pair in found["pairs"]] == ["AB", "AC", "BC"]
    assert all(pair["adjusted"] >= pair["paired"]["p"] for pair in found["pairs"])
    assert [system["letter"] for system in found["runs"]] == ["A", "B", "C"]


def test_groups_of_seeds_are_compared_by_their_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: Sequence[tuple[str, str]] = (
        ("g", "0101010101"),
        ("g", "0101010100"),
        ("h", "1111111111"),
        ("h", "0000000001"),
    )
    runs = [str(make_run(tmp_path / str(i), s, seed=i, group=group)) for i, (group, s) in enumerate(said)]
    (seeds,) = document(capsys, *runs)["seeds"]
    assert seeds["first"] == "A+B mini-zh linear (2 seeds)"
    assert seeds["second"] == "C+D mini-zh linear (2 seeds)"
    assert seeds["first_figures"] == pytest.approx([1.0, 0.9])
    assert seeds["second_figures"] == pytest.approx([0.5, 0.6])
    assert seeds["p"] < 0.05
    assert seeds["needed"] == 2


def test_the_table_fits_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    runs = [str(make_run(tmp_path / "a", "0101010101")), str(make_run(tmp_path / "b", "0101010110", seed=2))]
    assert run(["compare", *runs, "--resamples", "200", "--examples", "1"]) == 0
    shown = capsys.readouterr().out
    assert "A - B" in shown
    assert "not told apart" in shown
    assert "1 of 2 items" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("gold", "is not item"),
        ("texts", "item 1 is not item 1"),
        ("fewer", "9 items"),
        ("task", "one is of afqmc|a run of tnews"),
        ("none", "clue eval"),
        ("broken", ":3"),
        ("same", "named twice"),
        ("statistics", "holds no statistics of accuracy"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    change: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_run(tmp_path / "a", "0101010101")
    if change == "gold":
        second = make_run(tmp_path / "b", "0101010101", "0101010100")
    elif change == "texts":
        second = make_run(tmp_path / "b", "0101010101")
        for run_, text in ((first, "甲"), (second, "乙")):
            answers = run_ / "predictions.dev.jsonl"
            lines = [json.loads(line) for line in answers.read_text("utf-8").splitlines()]
            for line in lines:
                line["texts"] = [text if line["number"] == 1 else "同", "句"]
            answers.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    elif change == "fewer":
        second = make_run(tmp_path / "b", "010101010", "010101010")
    elif change == "task":
        second = make_run(tmp_path / "b", "0101010101", task="tnews")
        document = {"format": FORMAT_VERSION, "task": {"name": "tnews", "version": 1, "fields": ["sentence"]}}
        (second / "model" / "clue.json").write_text(json.dumps(document), encoding="utf-8")
    else:
        second = make_run(tmp_path / "b", "0101010101")
    file = second / "predictions.dev.jsonl"
    if change == "none":
        file.unlink()
    if change == "broken":
        file.write_text("\n".join([*file.read_text().splitlines()[:2], "{", "{}"]), encoding="utf-8")
    if change == "statistics":  # as another version of the metric counted
        file.write_text(file.read_text("utf-8").replace("predicted:1", "predicted:7"), encoding="utf-8")
    if change == "same":
        second = first
    assert run(["compare", str(first), str(second)]) == 2
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(("value", "said"), [
    ({"spo_list": [], "relations": []}, "nothing"),
    ({"spo_list": [{"predicate": "作者", "subject": "甲", "subject_type": "人", "object": {"@value": "乙"},
                    "object_type": {"@value": "书"}}]}, "作者 甲 乙"),
    ({"relations": [{"predicate": "作者", "subject": {"text": "甲", "start": 0, "end": 1, "type": "人"},
                     "object": {"@value": {"text": "乙", "start": 3, "end": 4, "type": "书"}}}]}, "作者 甲 乙"),
    ({"entities": [{"start": 0, "end": 1, "type": "人", "text": "甲"}]}, "甲/人"),
    ({"answer": "6米", "answer_start": 3, "score": 8.0151}, "6米"),
    ({"answers": [{"text": "6米", "answer_start": 1}, {"text": "6米", "answer_start": 9}]}, "6米"),
    ({"events": [{"event_type": "离世", "trigger": None, "arguments": []}]}, "离世"),
    ({"label": "104"}, "104"),
])  # fmt: skip
def test_answers_are_said_once_and_without_figures(value: Any, said: str) -> None:
    assert brief(value) == said


def test_one_run_alone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(make_run(tmp_path / "a", "0101010101"))]) == 2
    assert "two or more" in capsys.readouterr().err


def test_groups_without_a_spread_are_not_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = (("g", "0101010101"), ("g", "0101010101"), ("h", "1111111111"), ("h", "0000000000"))
    runs = [str(make_run(tmp_path / str(i), s, seed=i, group=group)) for i, (group, s) in enumerate(said)]
    (seeds,) = document(capsys, *runs)["seeds"]
    assert (seeds["p"], seeds["needed"]) == (None, None)
    assert run(["compare", *runs, "--resamples", "100", "--examples", "0"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "100.00" in shown
    assert "50.00, no spread, so no test." in shown
