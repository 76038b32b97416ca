"""Is the difference of two figures real? Paired tests on the items that both systems answered.

Two systems are two matrices (n, K) of a metric's statistics, row i of both belonging to item i (what `Metric.units`
gives, summed by cluster). A figure is `metric.result(sum of rows)`, so that every rule here is one vectorised call of
it: resampling items (bootstrap), swapping the two systems' answers to an item (permutation), counting discordant items
(McNemar).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clue_cli.contract import Metric
from clue_cli.scoring import jackknife_error

CELLS = 1 << 22
"""Numbers laid out at a time."""
LEVEL = 0.05
POWER = 0.8
"""A difference counts as found at this level; `items_needed` and `seeds_needed` ask for this power."""


@dataclass(frozen=True)
class Paired:
    """One figure of two systems on the same items.

    difference: first minus second; low, high the bounds of its 95 % bootstrap interval; error its standard error.
    test:       "mcnemar" where every item is right or wrong, else "permutation"; p two-sided.
    items:      items compared (clusters, where items come in such); `differing` those whose own figure differs.
    needed:     items that would show a difference of this size with 80 % power; None where there is none.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    error: float
    test: str
    p: float
    items: int
    differing: int
    needed: int | None


def compare(metric: Metric, first: np.ndarray, second: np.ndarray, *, resamples: int = 10_000) -> Paired:
    """Everything that `Paired` says about statistics (n, K) of two systems, rows paired; n at least 2."""
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"two or more paired items are needed, not {first.shape} and {second.shape}")
    random = np.random.default_rng(0)
    one, other = (float(figure_of(metric, some.sum(0))) for some in (first, second))
    difference = one - other
    right = [figure_of(metric, some) for some in (first, second)]
    low, high = bootstrap(metric, first, second, resamples=resamples, random=random)
    error = difference_error(metric, first, second)
    if all(_is_share(values, figure) for values, figure in zip(right, (one, other), strict=True)):
        test, p = "mcnemar", mcnemar(right[0] > 0.5, right[1] > 0.5)
    else:
        test, p = "permutation", permutation(metric, first, second, resamples=resamples, random=random)
    differing = int((np.abs(right[0] - right[1]) > 1e-12).sum())
    needed = items_needed(len(first), difference, error)
    return Paired(one, other, difference, low, high, error, test, p, len(first), differing, needed)


def figure_of(metric: Metric, sums: np.ndarray) -> np.ndarray:
    """The primary figure (...) of summed statistics (..., K)."""
    return np.asarray(metric.result(sums)[metric.primary], dtype=np.float64)


def _is_share(values: np.ndarray, figure: float) -> bool:
    """Whether the figure is the share of items that are right."""
    return bool(np.isin(values, (0.0, 1.0)).all()) and math.isclose(values.mean(), figure, abs_tol=1e-12)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """McNemar's exact two-sided p for two (n,) bool arrays of right answers.

    Of the items that only one system has right, each is as likely the first's as the second's under the null
    hypothesis: a binomial test of the counts (McNemar 1947, in its exact form).
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def permutation(
    metric: Metric, first: np.ndarray, second: np.ndarray, *, resamples: int, random: np.random.Generator
) -> float:
    """Two-sided p of the paired permutation (approximate randomisation) test of the primary figure's difference.

    Under the null hypothesis the two answers to an item could be exchanged. p = (1 + those of `resamples` random
    exchanges whose difference is at least the observed one) / (1 + resamples) (Noreen 1989; Phipson and Smyth 2010).
    """
    middle, half = (first + second).sum(0) / 2, (first - second) / 2
    half = half[np.any(half != 0, axis=1)]
    observed = abs(float(figure_of(metric, middle + half.sum(0)) - figure_of(metric, middle - half.sum(0))))
    if not len(half):
        return 1.0
    beyond = 0
    for count in _pieces(resamples, max(len(half), len(middle))):
        signs = random.integers(0, 2, size=(count, len(half)), dtype=np.int8).astype(np.float64) * 2 - 1
        moved = signs @ half
        found = np.abs(figure_of(metric, middle + moved) - figure_of(metric, middle - moved))
        # Exchanges that give the observed difference count, whatever their last digit is.
        beyond += int((found >= observed - 1e-12).sum())
    return (1 + beyond) / (1 + resamples)


def bootstrap(
    metric: Metric, first: np.ndarray, second: np.ndarray, *, resamples: int, random: np.random.Generator
) -> tuple[float, float]:
    """The 95 % percentile interval of the primary figure's difference over resampled items (Efron 1979).

    Items with the same statistics in both systems are drawn together: a multinomial draw of how often each kind comes.
    """
    columns = first.shape[1]
    kinds, counts = np.unique(np.hstack([first, second]), axis=0, return_counts=True)
    shares = counts / counts.sum()
    differences = []
    for count in _pieces(resamples, max(kinds.shape)):
        sums = random.multinomial(len(first), shares, size=count).astype(np.float64) @ kinds
        differences.append(figure_of(metric, sums[:, :columns]) - figure_of(metric, sums[:, columns:]))
    low, high = np.percentile(np.concatenate(differences), [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
    return float(low), float(high)


def difference_error(metric: Metric, first: np.ndarray, second: np.ndarray) -> float:
    """The standard error of the difference by the jackknife over items (see `scoring.jackknife`)."""
    return jackknife_error(figure_of(metric, first.sum(0) - first) - figure_of(metric, second.sum(0) - second))


def items_needed(items: int, difference: float, error: float) -> int | None:
    """Items of the same kind that would show `difference` at level 0.05 with power 0.8; None where it is 0.

    n = items * ((z_0.975 + z_0.8) * error / difference)^2, since the error falls with the square root of the items.
    """
    if difference == 0.0:
        return None
    return max(2, math.ceil(items * (_z_sum() * error / difference) ** 2))


def welch(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided p of Welch's t-test (1947) of the means of two or more runs each; None where no run differs.

    Without a spread inside the groups there is nothing that their difference could be measured against.
    """
    from scipy.stats import ttest_ind_from_stats

    if not _spread(first) and not _spread(second):
        return None
    groups = [(math.fsum(some) / len(some), math.sqrt(_spread(some)), len(some)) for some in (first, second)]
    return float(ttest_ind_from_stats(*groups[0], *groups[1], equal_var=False).pvalue)


def seeds_needed(first: Sequence[float], second: Sequence[float]) -> int | None:
    """Runs of each system that would show the difference of their means in `welch` at level 0.05 with power 0.8.

    The smallest n that has this power (`_power`) if means and deviations are those of the two or more runs each; from
    a thousand on that of the normal law, (s1^2 + s2^2) * ((z_0.975 + z_0.8) / (m1 - m2))^2, which is as good there.
    None where the means are equal, or there is no spread.
    """
    difference = math.fsum(first) / len(first) - math.fsum(second) / len(second)
    variances = _spread(first), _spread(second)
    if abs(difference) < 1e-12 or not any(variances):
        return None
    # The t-test needs more runs than the normal law says, never fewer.
    needed = max(2, math.ceil(sum(variances) * (_z_sum() / difference) ** 2))
    while needed < 1000 and _power(needed, difference, *variances) < POWER:
        needed += 1
    return needed


def _spread(figures: Sequence[float]) -> float:
    """Sample variance; exactly 0 where all figures are equal."""
    return float(np.var(figures, ddof=1)) if len(set(figures)) > 1 else 0.0


def _power(runs: int, difference: float, one: float, other: float) -> float:
    """Power of Welch's t-test with `runs` of each, for a true difference and true variances `one` and `other`.

    That of a noncentral t with Satterthwaite's degrees of freedom: the normal law's chance to pass the bound, which
    the estimated deviation moves, averaged over the chi-square law of that estimate. (scipy's `nct` gives NaN for few
    runs that lie far apart.)
    """
    from scipy.stats import chi2, norm, t

    freedom = (runs - 1) * (one + other) ** 2 / (one**2 + other**2)
    shift = abs(difference) / math.sqrt((one + other) / runs)
    estimates = np.sqrt(chi2.ppf((np.arange(2000) + 0.5) / 2000, freedom) / freedom)
    bounds = t.ppf(1 - LEVEL / 2, freedom) * estimates
    return float(np.mean(norm.cdf(shift - bounds) + norm.cdf(-shift - bounds)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979), in the order given: the k-th smallest of m times (m - k + 1), made monotone."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def _z_sum() -> float:
    from scipy.stats import norm

    return float(norm.ppf(1 - LEVEL / 2) + norm.ppf(POWER))


def _pieces(total: int, width: int) -> Iterator[int]:
    size = max(1, CELLS // max(1, width))
    while total > 0:
        yield min(size, total)
        total -= size
