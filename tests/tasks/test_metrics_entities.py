"""CLUENER's official figure and span micro F1, each against its rule said slowly."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clue_cli.contract import Example, Metric, Prediction, Span
from clue_cli.errors import Where
from tasks.metrics.entities import CluenerOfficial, SpanMicroF1

TYPES = ("book", "name", "scene")
TEXT = "aabaab"  # the same strings occur at several places
spans = st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from(TYPES)).map(
    lambda s: Span(s[0], min(6, s[0] + s[1]), s[2])
)
Row = tuple[list[Span], list[Span] | None]
sets = st.lists(spans, max_size=4)
row_lists = st.lists(st.tuples(sets, st.one_of(st.none(), sets)), max_size=4)


def totals_of(metric: Metric, rows: list[Row]) -> np.ndarray:
    totals = np.zeros(len(metric.columns))
    for number, (gold, answer) in enumerate(rows):
        row = Example(number, None, (TEXT,), tuple(gold), {}, Where("f", number))
        for cluster, counts in metric.units(row, None if answer is None else Prediction(tuple(answer))):
            assert cluster == number
            for column, amount in counts.items():
                totals[column] += amount
    return totals


def figures(right: int, wrong: int, lost: int) -> tuple[float, float, float]:
    """Precision, recall, F1 from counts, 0 where nothing is right."""
    if right == 0:
        return 0.0, 0.0, 0.0
    precision, recall = right / (right + wrong), right / (right + lost)
    return precision, recall, 2 * precision * recall / (precision + recall)


def official(rows: list[Row]) -> tuple[float, float, float]:
    """Type by type: rows in order, sets of strings, sums, then the plain mean over types."""
    by_type = []
    for type_ in TYPES:
        right = wrong = lost = 0
        for gold, answer in rows:
            gold_strings = []
            for span in gold:
                if span.type == type_ and TEXT[span.start : span.end] not in gold_strings:
                    gold_strings.append(TEXT[span.start : span.end])
            answer_strings = []
            for span in answer or []:
                if span.type == type_ and TEXT[span.start : span.end] not in answer_strings:
                    answer_strings.append(TEXT[span.start : span.end])
            for string in answer_strings:
                if string in gold_strings:
                    right += 1
                else:
                    wrong += 1
            for string in gold_strings:
                if string not in answer_strings:
                    lost += 1
        by_type.append(figures(right, wrong, lost))
    return tuple(sum(column) / len(TYPES) for column in zip(*by_type, strict=True))  # type: ignore[return-value]


def micro(rows: list[Row]) -> tuple[float, float, float]:
    """Over all rows: exact (start, end, type), each once a row."""
    right = wrong = lost = 0
    for gold, answer in rows:
        wanted, made = [], []
        for span in gold:
            if span not in wanted:
                wanted.append(span)
        for span in answer or []:
            if span not in made:
                made.append(span)
        right += len([span for span in made if span in wanted])
        wrong += len([span for span in made if span not in wanted])
        lost += len([span for span in wanted if span not in made])
    return figures(right, wrong, lost)


@pytest.mark.parametrize(("kind", "rule"), [(CluenerOfficial, official), (SpanMicroF1, micro)])
def test_figures_follow_the_rule(kind: type, rule: object) -> None:
    metric = kind(TYPES)

    @given(row_lists)
    @settings(max_examples=200, deadline=None)
    @example([])
    @example([([], []), ([], None)])
    @example([([Span(0, 1, "book"), Span(1, 2, "book")], [Span(3, 4, "book")])])
    def check(rows: list[Row]) -> None:
        result = metric.result(totals_of(metric, rows))
        expected = rule(rows)  # type: ignore[operator]
        assert (result["precision"], result["recall"], result["f1"]) == pytest.approx(expected)

    check()
    draw = random.Random(2)
    for _ in range(3000):
        check.hypothesis.inner_test([(some_spans(draw), draw.choice((None, some_spans(draw)))) for _ in range(3)])


def some_spans(draw: random.Random) -> list[Span]:
    starts = [draw.randrange(6) for _ in range(draw.randrange(5))]
    return [Span(start, min(6, start + draw.randint(1, 3)), draw.choice(TYPES)) for start in starts]


@pytest.mark.parametrize("kind", [CluenerOfficial, SpanMicroF1])
@given(parts=st.lists(row_lists, min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_many_totals_at_once_give_what_each_gives_alone(kind: type, parts: list[list[Row]]) -> None:
    metric = kind(TYPES)
    stacked = np.stack([totals_of(metric, rows) for rows in parts])
    for name, values in metric.result(stacked).items():
        assert values.tolist() == [float(metric.result(totals)[name]) for totals in stacked]


def test_the_two_rules_are_two_numbers() -> None:
    """The right string at the wrong place: right for the official rule, wrong for the micro one."""
    rows: list[Row] = [([Span(0, 1, "book")], [Span(3, 4, "book")])]
    assert CluenerOfficial(TYPES).result(totals_of(CluenerOfficial(TYPES), rows))["f1"] == pytest.approx(1 / 3)
    assert SpanMicroF1(TYPES).result(totals_of(SpanMicroF1(TYPES), rows))["f1"] == 0.0


def test_a_hand_made_case() -> None:
    """Sums written out: book 1 right 1 wrong, name 1 right 1 lost, scene nothing at all."""
    rows: list[Row] = [
        ([Span(0, 2, "book"), Span(2, 3, "name")], [Span(0, 2, "book"), Span(1, 3, "book")]),
        ([Span(0, 1, "name")], [Span(0, 1, "name")]),
    ]
    book, name = 2 * 1 / (2 + 1), 2 * 1 / (1 + 2)
    metric = CluenerOfficial(TYPES)
    totals = totals_of(metric, rows)
    assert metric.result(totals)["f1"] == pytest.approx((book + name + 0) / 3)
    assert "scene" in metric.notes(totals)[0]
    assert "book" not in metric.notes(totals)[0]
    table = {row["label"]: row for row in metric.per_label(totals)}
    assert (table["book"]["precision"], table["book"]["recall"], table["book"]["support"]) == (0.5, 1.0, 1)
    assert (table["name"]["precision"], table["name"]["recall"], table["name"]["support"]) == (1.0, 0.5, 2)
    assert SpanMicroF1(TYPES).result(totals_of(SpanMicroF1(TYPES), rows))["f1"] == pytest.approx(2 * 2 / (3 + 3))


def test_nothing_never_right_needs_no_note() -> None:
    metric = CluenerOfficial(("book",))
    row: list[Row] = [([Span(0, 1, "book")], [Span(0, 1, "book")])]
    assert metric.notes(totals_of(metric, row)) == []


@pytest.mark.parametrize(("kind", "id_"), [(CluenerOfficial, "cluener:official"), (SpanMicroF1, "span:micro_f1")])
def test_each_is_a_metric_of_its_own_name(kind: type, id_: str) -> None:
    metric = kind(TYPES)
    assert isinstance(metric, Metric)
    assert (metric.id, metric.primary, len(metric.columns)) == (id_, "f1", 9)
    with pytest.raises(KeyError):
        totals_of(metric, [([], [Span(0, 1, "planet")])])
