"""What a report measures, against slow statements of the same and against statsmodels and scipy."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from clue_cli.report.answers import Answers, Form, read_answers
from clue_cli.report.calibration import calibration
from clue_cli.report.charts import figures_by_epoch
from clue_cli.report.confusion import confusion
from clue_cli.report.curves import MOST_POINTS, Curve, read_losses
from clue_cli.report.intervals import by_label, f1_errors, labels_of, wilson
from clue_cli.report.marks import Mark, Tag, locate, marked, pieces
from clue_cli.report.slices import all_right, figure_error, slices
from clue_cli.scoring import Statistics, jackknife, make_metric
from tests.report_cases import label_line, span_line

LABELS = frozenset({"a", "b", "c"})


def test_wilson_is_that_of_statsmodels_and_scipy() -> None:
    for part, whole in ((0, 1), (1, 1), (3, 7), (50, 100), (999, 1000), (0, 40)):
        interval = wilson(part, whole)
        assert interval is not None
        low, high = proportion_confint(part, whole, method="wilson")
        again = binomtest(part, whole).proportion_ci(method="wilson")
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
        assert (interval.low, interval.high) == pytest.approx((again.low, again.high), abs=1e-9)
    assert wilson(0, 0) is None


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=2, max_size=8))
def test_f1_by_label_leaves_out_one_item_after_the_other(rows: list[list[int]]) -> None:
    matrix = np.array([[min(r, p, g), p, g] for r, p, g in np.array(rows).reshape(-1, 3)], dtype=float)
    n = len(matrix)

    def f1(sums: np.ndarray) -> float:
        right, predicted, gold = sums
        return 2 * right / (predicted + gold) if predicted + gold else 0.0

    without = [f1(np.delete(matrix, i, axis=0).sum(0)) for i in range(n)]
    wanted = np.sqrt((n - 1) / n * sum((one - np.mean(without)) ** 2 for one in without))
    amounts = {"right": matrix[:, :1], "found": matrix[:, :1], "predicted": matrix[:, 1:2], "gold": matrix[:, 2:]}
    found, errors = f1_errors(amounts)
    assert found[0] == pytest.approx(f1(matrix.sum(0)))
    assert errors[0] == pytest.approx(wanted, abs=1e-12)


def test_figures_by_label_are_those_of_the_metric() -> None:
    from clue_cli.registry import find_task

    metric: Any = make_metric(find_task("duie"))
    columns = {name: i for i, name in enumerate(metric.columns)}
    label, other = labels_of(metric.columns)[:2]
    matrix = np.zeros((3, len(columns)))
    for row, kind, name, amount in ((0, "right", label, 1), (0, "predicted", label, 2), (0, "found", label, 3),
                                    (0, "gold", label, 4), (1, "gold", other, 5), (2, "gold", label, 1)):  # fmt: skip
        matrix[row, columns[f"{kind}:{name}"]] = amount
    first, second = by_label(metric.columns, matrix)
    own = {row["label"]: row for row in metric.per_label(matrix.sum(0))}
    for row in (first, second):
        assert row.recall is not None and row.f1 is not None
        assert row.recall.figure == pytest.approx(own[row.label]["recall"])
        assert row.f1.figure == pytest.approx(own[row.label]["f1"])
    assert first.precision is not None and first.precision.figure == pytest.approx(0.5)
    assert second.precision is None  # never predicted
    assert second.f1 is not None and not second.f1.known  # no item could move it


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_calibration_error_is_the_sum_over_bins(outcomes: list[tuple[float, bool]]) -> None:
    found = calibration(outcomes)
    assert found is not None
    error = 0.0
    for number in range(10):
        members = [(p, r) for p, r in outcomes if number <= p * 10 < number + 1 or (number == 9 and p == 1.0)]
        assert found.bins[number].count == len(members)
        if members:
            share, mean = np.mean([r for _, r in members]), np.mean([p for p, _ in members])
            error += len(members) / len(outcomes) * abs(share - mean)
    assert found.error == pytest.approx(error, abs=1e-9)
    assert calibration([]) is None


# ---------------------------------------------------------------- answers


def test_every_form_of_an_answer_is_read() -> None:
    label = read_answers({"label": "a", "label_desc": "甲"}, {"label": "b", "probability": 0.7}, LABELS)
    assert (label.form, label.gold[0].words, label.predicted[0].probability) == (Form.CLASS, "甲", 0.7)
    assert [right for _, right in label.outcomes()] == [False]
    choice = read_answers({"label": 2, "answer": "妈妈"}, {"label": 2, "answer": "妈妈", "probability": 0.4}, LABELS)
    assert (choice.form, choice.missed, choice.wrong) == (Form.CHOICE, [], [])
    blanks = read_answers(
        {"answers": {"#1#": 0, "#2#": 1}, "idioms": {"#1#": "甲", "#2#": "乙"}},
        {
            "answers": {"#1#": 0, "#2#": 0},
            "idioms": {"#1#": "甲", "#2#": "甲"},
            "probabilities": {"#1#": 0.5, "#2#": 0.3},
        },
        LABELS,
    )
    assert (blanks.form, [one.probability for one in blanks.wrong]) == (Form.BLANKS, [0.3])
    piece = read_answers(
        {"answer": "甲", "start": 1, "end": 2, "answers": [{"answer": "甲", "start": 1, "end": 2}, {"answer": "乙"}]},
        {"answer": "丙", "start": 3, "end": 4, "probability": 0.1},
        LABELS,
    )
    assert (piece.form, len(piece.gold), piece.predicted[0].words) == (Form.PIECE, 2, "丙")


def test_elements_of_a_list_take_places_and_probabilities_from_the_richer_list() -> None:
    gold = {"facts": [{"kind": "a", "subject": "甲", "subject_type": "人", "object": {"@value": "乙"}}]}
    said = {
        "facts": [{"kind": "a", "subject": "甲", "subject_type": "人", "object": {"@value": "乙"}},
                  {"kind": "b", "subject": "甲", "subject_type": "人", "object": {"@value": "丙"}}],
        "places": [
            {"kind": "a", "subject": {"text": "甲", "start": 0, "end": 1, "type": "人"},
             "object": {"@value": {"text": "乙", "start": 1, "end": 2}}, "probability": 0.9},
            {"kind": "b", "subject": {"text": "甲", "start": 0, "end": 1, "type": "人"},
             "object": {"@value": {"text": "丙", "start": 2, "end": 3}}, "probability": 0.4},
        ],
    }  # fmt: skip
    answers = read_answers(gold, said, LABELS)
    assert [(one.label, one.probability) for one in answers.predicted] == [("a", 0.9), ("b", 0.4)]
    assert [right for _, right in answers.outcomes()] == [True, False]
    assert answers.predicted[0].mentions[1].start == 1
    assert answers.gold[0].words == "subject: 甲; object / @value: 乙"
    (text,) = marked(["甲乙丙"], answers)
    shown = {(piece.text, piece.statuses, tuple(tag.label for tag in piece.tags)) for piece in text.pieces}
    assert ("乙", ("right",), ("a / object / @value",)) in shown
    assert ("丙", ("predicted",), ("b / object / @value",)) in shown
    found = confusion([answers], sorted(LABELS))
    assert found is not None and found.counts == {("a", "a"): 1, (None, "b"): 1}


def test_parts_of_a_group_are_compared_one_by_one() -> None:
    def event(trigger: int, role: str) -> dict[str, Any]:
        argument = {"role": role, "text": "乙", "start": 1, "end": 2}
        return {
            "event_type": "a",
            "trigger": {"text": "甲", "start": trigger, "end": trigger + 1},
            "arguments": [argument],
        }

    answers = read_answers(
        {"events": [event(0, "时间")]}, {"events": [{**event(0, "地点"), "probability": 0.5}]}, LABELS
    )
    assert len(answers.wrong) == len(answers.missed) == 1
    (text,) = marked(["甲乙"], answers)
    tags = {(tag.status, tag.label) for piece in text.pieces for tag in piece.tags}
    assert tags == {("right", "a / trigger"), ("gold", "a / 时间"), ("predicted", "a / 地点")}
    found = confusion([answers], ())
    assert found is not None
    assert found.counts == {("a / trigger", "a / trigger"): 1, ("a / 时间", "a / 地点"): 1}


def answers_of(line: dict[str, Any], labels: frozenset[str]) -> Answers:
    return read_answers(line["gold"], line["prediction"], labels)


def test_confusion_of_labels_and_of_spans() -> None:
    lines = [label_line(gold, said) for gold, said in ("ab", "aa", "ba", "bb", "bb", "cb")]
    found = confusion([answers_of(line, LABELS) for line in lines], ["c", "b", "a"])
    assert found is not None and not found.open
    assert found.labels == ("c", "b", "a")
    assert found.counts == Counter(zip("aabbbc", "baabbb", strict=True))
    assert [row[1][0][0] for row in found.rows()] == [0, 0, 0]
    assert found.confused()[0] == ("a", "b", 1)
    said = [(0, 1, "a"), (1, 2, "b"), (2, 3, "c"), (2, 3, "a"), (3, 5, "c")]
    gold = [(0, 1, "a"), (1, 2, "a"), (2, 3, "b"), (2, 3, "c")]
    line = span_line("一二三四五", gold, [(*span, 0.9) for span in said])
    spans = confusion([answers_of(line, LABELS)], ["a", "b", "c"])
    assert spans is not None and spans.open
    assert spans.counts == {("a", "a"): 1, ("a", "b"): 1, ("c", "c"): 1, ("b", "a"): 1, (None, "c"): 1}
    assert spans.alone() == [("c", 0, 1)]
    assert spans.gold(None) == 1 and spans.predicted("a") == 2
    assert confusion([], ["a"]) is None


# ---------------------------------------------------------------- marks


@given(st.text(max_size=900), st.lists(st.tuples(st.integers(0, 900), st.integers(1, 40)), max_size=6))
def test_pieces_are_the_text_and_what_is_left_out_is_counted(text: str, places: list[tuple[int, int]]) -> None:
    marks = [Mark(s, s + n, Tag("gold", str(i))) for i, (s, n) in enumerate(places) if s + n <= len(text)]
    found = list(pieces(text, marks))
    assert sum(len(piece.text) + piece.left_out for piece in found) == len(text)
    position = 0
    for piece in found:
        size = piece.left_out or len(piece.text)
        if not piece.left_out:
            assert text[position : position + size] == piece.text
        covering = {"gold" for mark in marks if mark.start <= position and position + size <= mark.end}
        assert piece.left_out or set(piece.statuses) == covering
        position += size
    assert sorted(tag.label for piece in found for tag in piece.tags) == sorted(mark.tag.label for mark in marks)


def test_a_place_that_the_text_does_not_have_is_not_marked() -> None:
    line = span_line("一二三四", [(0, 2, "a")], [])
    element = answers_of(line, LABELS).gold[0]
    assert locate(["一二三四"], element.mentions[0]) == (0, 0, 2)
    assert locate(["问", "一二三四"], element.mentions[0]) == (1, 0, 2)
    assert locate(["四三二一"], element.mentions[0]) is None


def test_a_long_text_is_shown_around_its_marks() -> None:
    text = "长" * 900 + "甲" + "短" * 900
    found = list(pieces(text, [Mark(900, 901, Tag("gold", "a"))]))
    assert [piece.left_out for piece in found] == [840, 0, 0, 0, 840]
    assert len(next(iter(pieces(text, []))).text) == 320


# ---------------------------------------------------------------- slices and curves


@pytest.mark.parametrize("figures", [(0.0,), (0.0, 0.004, 0.001), (0.98, 1.0)])
def test_the_axis_of_figures_stays_between_0_and_100_percent(figures: tuple[float, ...]) -> None:
    chart = figures_by_epoch([("run", Curve((), 1, tuple(enumerate(figures, start=1)), 0))], "f1", "dev")
    assert chart is not None
    ticks = [float(tick.replace("−", "-")) for tick in re.findall(r">([-−.\d]+)</text>", chart.svg)]
    assert len(ticks) > len(figures)
    assert all(0 <= tick <= 100 for tick in ticks)


def test_slices_are_scored_by_themselves() -> None:
    from clue_cli.registry import find_task

    metric = make_metric(find_task("afqmc"))
    columns = {name: i for i, name in enumerate(metric.columns)}
    lines = [label_line("01"[i % 2], "01"[i % 3 == 0], None, ["字" * (3 * i)]) for i in range(20)]
    matrix = np.zeros((20, len(columns)))
    for row, line in enumerate(lines):
        for name, amount in line["statistics"]["accuracy"].items():
            matrix[row, columns[name]] = amount
    right = [line["gold"]["label"] == line["prediction"]["label"] for line in lines]
    assert all_right(metric, matrix).tolist() == right
    items = [answers_of(line, frozenset("01")) for line in lines]
    lengths = [len(line["texts"][0]) for line in lines]
    by_length, by_gold = slices(metric, matrix, np.arange(20), items, lengths)
    assert [one.name for one in by_length.slices] == ["0 to 15", "16 to 31", "32 to 63"]
    assert sum(one.items for one in by_length.slices) == 20
    first = by_length.slices[0]
    assert first.figure == pytest.approx(np.mean(right[:6]))
    statistics = Statistics(len(columns))
    for row in range(6):
        statistics.add(row, {i: amount for i, amount in enumerate(matrix[row]) if amount})
    assert first.error == pytest.approx(jackknife(metric, statistics)["accuracy"])
    assert {one.name: one.items for one in by_gold.slices} == {"0": 10, "1": 10}
    assert figure_error(metric, matrix[:1]) is None


def test_a_log_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert read_losses(log) == []
    lines = ['{"step": 2, "loss": 1.5}', '{"step": 1, "loss": 2}', "broken", '{"step": 3}', '{"step": 2, "loss": 1}']
    lines += ["[1]", '{"step": 4, "loss": NaN}', '{"step": 5, "lo']
    log.write_text("\n".join(lines), encoding="utf-8")
    assert read_losses(log) == [(1, 2.0), (2, 1.0)]
    assert MOST_POINTS > 100
