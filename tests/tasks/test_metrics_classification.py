"""Accuracy and macro F1 against the rule said slowly, and against scikit-learn."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from clue_cli.contract import Example, Metric, Prediction
from clue_cli.errors import Where
from tasks.metrics.classification import Accuracy

LABELS = ("b", "a", "c", "rare")
Rows = list[tuple[str, str | None]]
labels = st.sampled_from(LABELS)
rows_of_labels = st.lists(st.tuples(labels, st.one_of(st.none(), labels)), max_size=12)


def totals_of(metric: Metric, rows: Rows) -> np.ndarray:
    totals = np.zeros(len(metric.columns))
    for number, (gold, answer) in enumerate(rows):
        row = Example(number, None, ("x",), gold, {}, Where("f", number))
        for cluster, counts in metric.units(row, None if answer is None else Prediction(answer)):
            assert cluster == number
            for column, amount in counts.items():
                totals[column] += amount
    return totals


def slow_macro_f1(rows: Rows) -> float:
    """The mean of the labels' F1, each from its own precision and recall, over labels that occur anywhere."""
    figures = []
    for label in LABELS:
        true_positive = sum(1 for gold, answer in rows if gold == label and answer == label)
        false_positive = sum(1 for gold, answer in rows if gold != label and answer == label)
        false_negative = sum(1 for gold, answer in rows if gold == label and answer != label)
        if true_positive + false_positive + false_negative == 0:
            continue
        if true_positive == 0:
            figures.append(0.0)
            continue
        precision = true_positive / (true_positive + false_positive)
        recall = true_positive / (true_positive + false_negative)
        figures.append(2 * precision * recall / (precision + recall))
    return sum(figures) / len(figures) if figures else 0.0


@given(rows_of_labels)
@settings(max_examples=200, deadline=None)
@example([])
@example([("a", None)])
@example([("a", "c")])
def test_figures_follow_the_rule(rows: Rows) -> None:
    check(rows)


def test_figures_follow_the_rule_in_thousands_of_cases() -> None:
    draw = random.Random(1)
    for _ in range(3000):
        check([(draw.choice(LABELS), draw.choice((*LABELS, None))) for _ in range(draw.randrange(9))])


def check(rows: Rows) -> None:
    metric = Accuracy(LABELS)
    result = metric.result(totals_of(metric, rows))
    right = sum(gold == answer for gold, answer in rows)
    assert result["accuracy"] == pytest.approx(right / len(rows) if rows else 0.0)
    assert result["macro_f1"] == pytest.approx(slow_macro_f1(rows))


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_macro_f1_is_that_of_scikit_learn(rows: list[tuple[str, str]]) -> None:
    metric = Accuracy(LABELS)
    gold, answers = zip(*rows, strict=True)
    expected = f1_score(gold, answers, average="macro", zero_division=0)
    assert metric.result(totals_of(metric, rows))["macro_f1"] == pytest.approx(expected)


@given(st.lists(rows_of_labels, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_many_totals_at_once_give_what_each_gives_alone(parts: list[Rows]) -> None:
    metric = Accuracy(LABELS)
    stacked = np.stack([totals_of(metric, rows) for rows in parts])
    together = metric.result(stacked[:, None, :])
    for name, values in together.items():
        assert values.shape == (len(parts), 1)
        assert values[:, 0].tolist() == [float(metric.result(totals)[name]) for totals in stacked]


def test_the_table_by_label() -> None:
    metric = Accuracy(LABELS)
    table = metric.per_label(totals_of(metric, [("a", "a"), ("a", "b"), ("b", "b"), ("c", None)]))
    assert [row["label"] for row in table] == list(LABELS)
    names = ("label", "precision", "recall", "f1", "support", "predicted")
    assert [table[0][name] for name in names] == ["b", 0.5, 1.0, pytest.approx(2 / 3), 1, 2]
    assert [table[1][name] for name in names] == ["a", 1.0, 0.5, pytest.approx(2 / 3), 2, 1]
    assert table[2] == {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1, "predicted": 0}
    assert table[3]["support"] == 0


def test_a_label_outside_the_set_is_an_error_and_never_a_class() -> None:
    metric = Accuracy(LABELS)
    with pytest.raises(KeyError):
        totals_of(metric, [("a", "z")])
    with pytest.raises(ValueError, match="each once"):
        Accuracy(("a", "a"))


def test_it_is_a_metric() -> None:
    metric = Accuracy(LABELS)
    assert isinstance(metric, Metric)
    assert (metric.id, metric.primary, len(metric.columns)) == ("accuracy", "accuracy", 12)
    assert metric.primary in metric.result(np.zeros(12))
