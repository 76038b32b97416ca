"""Figures, their standard errors, merging of several processes' parts, and the threshold that serves a set best."""

from __future__ import annotations

import json
import math
import pickle
import random
import tracemalloc
from collections.abc import Hashable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clue_cli import scoring
from clue_cli.contract import Counts, Example, Prediction, Span, Tally
from clue_cli.errors import UserError, Where
from clue_cli.evaluation import DevResult, Evaluation, Slice
from clue_cli.record import DataInfo
from clue_cli.registry import find_task
from tasks.cluener import TASK as CLUENER
from tasks.metrics.classification import Accuracy
from tasks.metrics.entities import CluenerOfficial, SpanMicroF1

LABELS = ("a", "b", "c")


def row(number: int, gold: object, text: str = "x") -> Example:
    return Example(number, None, (text,), gold, {}, Where("dev.json", number + 1))


def pairs_of(rows: list[tuple[str | None, str | None]]) -> list[tuple[Example, Prediction | None]]:
    return [(row(i, gold), None if answer is None else Prediction(answer)) for i, (gold, answer) in enumerate(rows)]


# -------------------------------------------------------------------- figures and errors


def test_a_score_says_everything_about_its_figure() -> None:
    score = scoring.score(Accuracy(LABELS), pairs_of([("a", "a"), ("b", "a"), ("c", None), (None, "a")]))
    assert (score.metric, score.primary, score.figure) == ("accuracy", "accuracy", 1 / 3)
    assert (score.items, score.clusters, score.missing, score.unlabelled) == (3, 3, 1, 1)
    assert [entry["label"] for entry in score.per_label] == list(LABELS)
    assert score.notes == []
    assert json.loads(json.dumps(score.as_dict(), allow_nan=False))["figures"]["accuracy"] == 1 / 3


def test_lengths_without_a_labelled_row_are_no_slice() -> None:
    rows = [("0", 3), ("1", 14), (None, 15), (None, 600), ("1", 40), (None, 60)]
    pairs = [(row(i, gold, "x" * size), Prediction("1")) for i, (gold, size) in enumerate(rows)]
    result = DevResult(find_task("afqmc"), pairs, {}, Tally())
    found = Evaluation(result, DataInfo([], False, {}, {}), "accuracy", "test")
    assert found.by_length() == [Slice(0, 14, 2, 0.5), Slice(32, 40, 1, 1.0)]


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_error_of_accuracy_is_the_textbook_one(rows: list[tuple[str | None, str | None]]) -> None:
    score = scoring.score(Accuracy(LABELS), pairs_of(rows))
    p, n = score.figures["accuracy"], len(rows)
    assert score.errors["accuracy"] == pytest.approx(math.sqrt(p * (1 - p) / (n - 1)), abs=1e-12)


def test_the_error_of_any_figure_is_the_jackknife_done_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row left out in turn, the whole score computed anew from the others."""
    draw = random.Random(3)
    types = ("x", "y")
    text = "abcabcabc"

    def some() -> tuple[Span, ...]:
        starts = [draw.randrange(6) for _ in range(draw.randrange(4))]
        return tuple(Span(s, s + draw.randint(1, 3), draw.choice(types)) for s in starts)

    pairs = [(row(i, some(), text), Prediction(some())) for i in range(30)]
    monkeypatch.setattr(scoring, "CHUNK_CELLS", 40)
    for metric in (CluenerOfficial(types), SpanMicroF1(types)):
        score = scoring.score(metric, pairs)
        without = [scoring.score(metric, pairs[:i] + pairs[i + 1 :]).figures for i in range(len(pairs))]
        for name in score.figures:
            values = [figures[name] for figures in without]
            mean = sum(values) / len(values)
            expected = math.sqrt((len(values) - 1) / len(values) * sum((value - mean) ** 2 for value in values))
            assert score.errors[name] == pytest.approx(expected)


def test_one_row_has_a_figure_and_no_error() -> None:
    score = scoring.score(Accuracy(LABELS), pairs_of([("a", "a")]))
    assert score.figure == 1.0
    assert score.errors == {}


class ByText:
    """Accuracy whose rows of one text belong together."""

    id, primary, columns = "by text", "share", ("right", "all")

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        yield example.texts[0], {0: float(prediction is not None and prediction.answer == example.gold), 1: 1.0}

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        return {"share": totals[..., 0] / np.maximum(totals[..., 1], 1)}


def test_rows_of_one_cluster_are_left_out_together() -> None:
    pairs = [(row(i, "a", text=str(i // 2)), Prediction("a" if i < 4 else "b")) for i in range(8)]
    score = scoring.score(ByText(), pairs)
    assert (score.items, score.clusters, score.figure) == (8, 4, 0.5)
    shares = [(4 - right) / 6 for right in (2, 2, 0, 0)]
    assert score.errors["share"] == pytest.approx(math.sqrt(3 / 4 * sum((s - 0.5) ** 2 for s in shares)))
    assert (score.per_label, score.notes) == ([], [])


@pytest.mark.parametrize(("rows", "words"), [([], "no rows"), ([(None, "a")], "none of the 1 rows is labelled")])
def test_without_gold_there_is_no_figure(rows: list[tuple[str | None, str | None]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        scoring.score(Accuracy(LABELS), pairs_of(rows))


def test_parts_of_several_processes_give_the_score_of_the_whole() -> None:
    draw = random.Random(4)
    metric = Accuracy(LABELS)
    pairs = pairs_of([(draw.choice((*LABELS, None)), draw.choice((*LABELS, None))) for _ in range(101)])
    whole = scoring.score(metric, pairs)
    collected = [pickle.loads(pickle.dumps(scoring.collect(metric, pairs[k::3]))) for k in range(3)]
    merged = collected[0]
    for other in collected[1:]:
        merged.merge(other)
    assert scoring.finish(metric, merged).as_dict() == {
        **whole.as_dict(), "errors": pytest.approx(whole.errors),
    }  # fmt: skip


def test_statistics_stay_sparse() -> None:
    """20,000 rows of 357 columns: the dense matrix has 57 MB; what is kept and what is laid out stays far below."""
    labels = tuple(map(str, range(119)))
    draw = random.Random(5)
    pairs = pairs_of([(draw.choice(labels), draw.choice(labels)) for _ in range(20_000)])
    metric = Accuracy(labels)
    tracemalloc.start()
    collected = scoring.collect(metric, pairs)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 12e6
    assert all(chunk.nbytes <= 8 * scoring.CHUNK_CELLS for chunk in collected.statistics.chunks())
    dense = np.concatenate(list(collected.statistics.chunks()))
    assert dense.shape == (20_000, 357)
    assert np.array_equal(dense.sum(axis=0), collected.statistics.totals())


def test_statistics_refuse_what_is_not_theirs() -> None:
    statistics = scoring.Statistics(2)
    with pytest.raises(ValueError, match="column 2"):
        statistics.add("row", {2: 1.0})
    with pytest.raises(ValueError, match="3 columns"):
        statistics.update(scoring.Statistics(3))


def test_item_statistics_name_their_columns() -> None:
    metric = Accuracy(LABELS)
    assert scoring.item_statistics(metric, row(0, "a"), Prediction("b")) == (
        0,
        {"predicted:b": 1.0, "gold:a": 1.0},
    )


def test_metrics_are_made_by_id_with_the_labels_of_the_task() -> None:
    metric = scoring.make_metric(CLUENER)
    assert metric.id == "cluener:official"
    assert "right:government" in metric.columns
    assert scoring.make_metric(CLUENER, "span:micro_f1").id == "span:micro_f1"
    with pytest.raises(UserError, match=r"did you mean cluener:official.*"):
        scoring.make_metric(CLUENER, "cluener:oficial")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=12), st.booleans())
def test_statistics_by_cluster_are_those_of_a_score(rows: list[tuple[int, int]], last: bool) -> None:
    metric = Accuracy(LABELS)
    metric.last_counts = last  # type: ignore[attr-defined]
    expected: dict[int, list[float]] = {}
    for cluster, amount in rows:
        before = [0.0, 0.0] if last or cluster not in expected else expected[cluster]
        expected[cluster] = [before[0] + amount, before[1] + 1]
    matrix = np.array([[amount, 1] for _, amount in rows], dtype=float).reshape(-1, 2)
    clusters = np.array([cluster for cluster, _ in rows], dtype=np.int64)
    assert scoring.by_cluster(metric, matrix, clusters).tolist() == list(expected.values())
