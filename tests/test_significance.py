"""Paired tests against scipy, statsmodels where it is installed, and slow statements of the same rules."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from clue_cli import significance as s
from clue_cli.contract import Counts, Example, Prediction


class Share:
    """Right items over all items: column 0 right, column 1 items."""

    id, primary, columns = "share", "share", ("right", "items")

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        raise NotImplementedError

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        return {"share": totals[..., 0] / np.maximum(totals[..., 1], 1e-9)}


class F1(Share):
    """Micro F1 from right, predicted, gold."""

    id, primary, columns = "f1", "f1", ("right", "predicted", "gold")

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        return {"f1": 2 * totals[..., 0] / np.maximum(totals[..., 1] + totals[..., 2], 1e-9)}


rights = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


@given(rights)
@settings(max_examples=200)
def test_mcnemar_is_the_binomial_test_of_the_discordant_items(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    b, c = sum(a and not d for a, d in pairs), sum(d and not a for a, d in pairs)
    tail = sum(stats.binom.pmf(k, b + c, 0.5) for k in range(min(b, c) + 1))
    assert s.mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail) if b + c else 1.0)


def test_mcnemar_agrees_with_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is not installed")
    first = np.array([True] * 9 + [False] * 3 + [True] * 20)
    second = np.array([False] * 9 + [True] * 3 + [True] * 20)
    assert s.mcnemar(first, second) == pytest.approx(tables.mcnemar([[20, 9], [3, 0]], exact=True).pvalue)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=200)
def test_holm_is_the_step_down_rule(p_values: list[float]) -> None:
    adjusted = s.holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        slow = max(min(1.0, (len(p_values) - r) * p_values[order[r]]) for r in range(rank + 1))
        assert adjusted[i] == pytest.approx(slow)


def test_holm_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    p_values = [0.01, 0.04, 0.03, 0.5, 0.005]
    assert s.holm(p_values) == pytest.approx(list(multitest.multipletests(p_values, method="holm")[1]))


counts = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))


@given(st.lists(st.tuples(counts, counts), min_size=2, max_size=7))
@settings(max_examples=40)
def test_permutation_approaches_the_exact_test_over_all_exchanges(items: list[tuple[tuple[int, ...], ...]]) -> None:
    metric = F1()
    first, second = (np.array(side, dtype=float) for side in zip(*items, strict=True))
    observed = abs(float(metric.result(first.sum(0))["f1"] - metric.result(second.sum(0))["f1"]))
    beyond = 0
    for swaps in itertools.product((False, True), repeat=len(items)):
        mask = np.array(swaps)[:, None]
        one, other = np.where(mask, second, first).sum(0), np.where(mask, first, second).sum(0)
        beyond += abs(float(metric.result(one)["f1"] - metric.result(other)["f1"])) >= observed - 1e-12
    exact = beyond / 2 ** len(items)
    found = s.permutation(metric, first, second, resamples=4000, random=np.random.default_rng(1))
    assert found == pytest.approx(exact, abs=0.05)


def test_permutation_agrees_with_scipy() -> None:
    random = np.random.default_rng(3)
    right = random.integers(0, 2, size=(60, 2)).astype(float)
    right[:20, 0] = 1
    first, second = (np.column_stack([right[:, k], np.ones(60)]) for k in (0, 1))
    theirs = stats.permutation_test(
        (right[:, 0], right[:, 1]), lambda a, b: a.mean() - b.mean(), permutation_type="samples", n_resamples=20000,
        random_state=np.random.default_rng(0),
    )  # fmt: skip
    ours = s.permutation(Share(), first, second, resamples=20000, random=np.random.default_rng(0))
    assert ours == pytest.approx(theirs.pvalue, abs=0.01)


def test_bootstrap_agrees_with_scipy() -> None:
    random = np.random.default_rng(4)
    right = (random.random((300, 2)) < (0.7, 0.6)).astype(float)
    first, second = (np.column_stack([right[:, k], np.ones(300)]) for k in (0, 1))
    theirs = stats.bootstrap(
        (right[:, 0], right[:, 1]), lambda a, b, axis=-1: a.mean(axis) - b.mean(axis), paired=True, method="percentile",
        n_resamples=20000, random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    low, high = s.bootstrap(Share(), first, second, resamples=20000, random=np.random.default_rng(0))
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_the_error_of_a_difference_of_shares_is_that_of_the_paired_differences() -> None:
    random = np.random.default_rng(5)
    right = random.integers(0, 2, size=(50, 2)).astype(float)
    first, second = (np.column_stack([right[:, k], np.ones(50)]) for k in (0, 1))
    expected = (right[:, 0] - right[:, 1]).std(ddof=1) / np.sqrt(50)
    assert s.difference_error(Share(), first, second) == pytest.approx(expected)


def test_twice_the_difference_needs_a_quarter_of_the_items() -> None:
    many, few = s.items_needed(1000, 0.01, 0.02), s.items_needed(1000, 0.02, 0.02)
    assert many is not None
    assert few is not None
    assert many == pytest.approx(4 * few, rel=0.01)
    # z_0.975 + z_0.8 = 2.8016: with an error of 0.02 over 1,000 items a difference of 0.02 is one error.
    assert few == pytest.approx(1000 * 2.8016**2, rel=0.001)
    assert s.items_needed(1000, 0.0, 0.02) is None


def test_the_items_asked_for_find_the_difference_four_times_in_five() -> None:
    random = np.random.default_rng(6)
    rates = (0.75, 0.65)
    pilot = (random.random((4000, 2)) < rates).astype(float)
    sides = [np.column_stack([pilot[:, k], np.ones(4000)]) for k in (0, 1)]
    needed = s.items_needed(4000, 0.10, s.difference_error(Share(), *sides))
    assert needed is not None
    found = 0
    for _ in range(300):
        again = random.random((needed, 2)) < rates
        found += s.mcnemar(again[:, 0], again[:, 1]) < 0.05
    assert 0.70 < found / 300 < 0.88


def test_seeds_needed_grow_with_the_spread() -> None:
    few, many = s.seeds_needed([0.70, 0.71], [0.60, 0.61]), s.seeds_needed([0.70, 0.74], [0.68, 0.72])
    assert few == 2
    assert many is not None
    assert many > 10


def pilot(difference: float, *deviations: float) -> list[list[float]]:
    """Two runs of each system with exactly this difference of the means and these deviations."""
    return [[m - d / 2**0.5, m + d / 2**0.5] for m, d in zip((difference, 0.0), deviations, strict=True)]


@pytest.mark.parametrize("difference", [0.05, 0.3, 1.0, 2.0, 3.0, 5.5])
def test_seeds_needed_agree_with_statsmodels(difference: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is not installed").TTestIndPower()
    expected = power.solve_power(difference, alpha=0.05, power=0.8)
    assert s.seeds_needed(*pilot(difference, 1.0, 1.0)) == pytest.approx(np.ceil(expected), rel=1e-3)


@pytest.mark.parametrize(("difference", "other", "expected"), [(3.0, 1.0, 4), (1.0, 0.2, 11), (6.4, 0.0, 3)])
def test_the_seeds_asked_for_find_the_difference_four_times_in_five(
    difference: float, other: float, expected: int
) -> None:
    needed = s.seeds_needed(*pilot(difference, 1.0, other))
    assert needed == expected
    random = np.random.default_rng(7)
    shares = []
    for runs in (expected - 1, expected):
        noise = random.normal(size=(2, runs, 4000)) * np.array([1.0, other])[:, None, None]
        error = np.sqrt(noise.var(axis=1, ddof=1).sum(0) / runs)
        freedom = (runs - 1) * noise.var(axis=1, ddof=1).sum(0) ** 2 / (noise.var(axis=1, ddof=1) ** 2).sum(0)
        value = (noise[0].mean(0) - noise[1].mean(0) + difference) / error
        shares.append(float((np.abs(value) > stats.t.ppf(0.975, freedom)).mean()))
    assert shares[0] < 0.81
    assert shares[1] > 0.78


def test_without_a_spread_there_is_no_test_of_seeds() -> None:
    for second in ([0.5, 0.5], [0.1, 0.1]):
        assert (s.welch([0.1, 0.1], second), s.seeds_needed([0.1, 0.1], second)) == (None, None)
    assert s.seeds_needed([0.5, 0.52], [0.52, 0.5]) is None
    ours, theirs = [0.1, 0.15, 0.12], [0.11, 0.2]
    assert s.welch(ours, theirs) == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)


def test_compare_chooses_the_test_by_what_an_item_is() -> None:
    right = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    other = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    found = s.compare(Share(), right, other, resamples=500)
    assert (found.test, found.items, found.differing) == ("mcnemar", 4, 3)
    assert found.difference == pytest.approx(0.25)
    assert found.low <= found.difference <= found.high
    spans = s.compare(F1(), np.array([[1.0, 2, 1], [0, 1, 2]]), np.array([[1.0, 1, 1], [1, 1, 2]]), resamples=500)
    assert spans.test == "permutation"
    same = s.compare(Share(), right, right, resamples=500)
    assert (same.difference, same.p, same.needed, same.differing) == (0.0, 1.0, None, 0)
    with pytest.raises(ValueError, match="two or more"):
        s.compare(Share(), right[:1], other[:1])
