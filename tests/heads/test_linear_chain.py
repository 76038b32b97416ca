"""The chain's numbers against all paths written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads.linear_chain import log_partition, marginals, next_tag, pack, path_score, viterbi

Chain = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def chain(rows: int, steps: int, tags: int, seed: int, scale: float = 2.0, dtype: torch.dtype = torch.float64) -> Chain:
    """(emissions, lengths, transitions, start, end); lengths between 0 and `steps`."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=random, dtype=torch.float64) * scale).to(dtype)

    lengths = torch.randint(0, steps + 1, (rows,), generator=random)
    return draw(rows, steps, tags), lengths, draw(tags, tags), draw(tags), draw(tags)


def all_paths(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> dict[tuple[int, ...], float]:
    """Path -> score of one row (n, C), by the definition."""
    length, tags = emissions.shape
    e, t, s, f = emissions.tolist(), transitions.tolist(), start.tolist(), end.tolist()
    scores = {}
    for path in itertools.product(range(tags), repeat=length):
        score = 0.0
        if path:
            score = s[path[0]] + f[path[-1]] + sum(e[n][tag] for n, tag in enumerate(path))
            score += sum(t[a][b] for a, b in itertools.pairwise(path))
        scores[path] = score
    return scores


def log_sum(values: list[float]) -> float:
    peak = max(values)
    return peak if math.isinf(peak) else peak + math.log(sum(math.exp(value - peak) for value in values))


cases = given(
    rows=st.integers(1, 3), steps=st.integers(1, 4), tags=st.integers(1, 3), seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.5, 3.0, 60.0]),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@cases
def test_partition_marginals_and_scores_are_those_of_all_paths(
    rows: int, steps: int, tags: int, seed: int, scale: float
) -> None:
    emissions, lengths, transitions, start, end = chain(rows, steps, tags, seed, scale)
    found = log_partition(emissions, lengths, transitions, start, end)
    shares = marginals(emissions, lengths, transitions, start, end)
    best = viterbi(emissions, lengths, transitions, start, end)
    best_scores = path_score(emissions, lengths, transitions, start, end, best)
    for row, length in enumerate(lengths.tolist()):
        paths = all_paths(emissions[row, :length], transitions, start, end)
        log_z = log_sum(list(paths.values()))
        assert found[row].item() == pytest.approx(log_z, rel=1e-12, abs=1e-10)
        assert shares.log_z[row].item() == pytest.approx(log_z, rel=1e-12, abs=1e-10)
        expected = torch.zeros(steps, tags, dtype=torch.float64)
        for path, score in paths.items():
            for place, tag in enumerate(path):
                expected[place, tag] += math.exp(score - log_z)
        torch.testing.assert_close(shares.tags[row], expected, rtol=0, atol=1e-10)
        assert tuple(best[row, :length].tolist()) in paths
        assert best_scores[row].item() == pytest.approx(max(paths.values()), rel=1e-12, abs=1e-10)
        assert not best[row, length:].any()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1.0, 60.0, 500.0]))
def test_gradients_are_those_of_all_paths(seed: int, scale: float) -> None:
    """Scale 1 runs on probabilities, 500 in log space."""
    emissions, lengths, transitions, start, end = chain(3, 4, 3, seed, scale)
    leaves = [x.requires_grad_() for x in (emissions, transitions, start, end)]
    upstream = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (log_partition(emissions, lengths, transitions, start, end) * upstream).sum().backward()
    found = [x.grad for x in leaves]
    total = 0 * sum(x.sum() for x in leaves)  # rows may all be empty: then no path leads to a leaf
    for row, length in enumerate(lengths.tolist()):
        paths = torch.tensor(list(itertools.product(range(3), repeat=length)), dtype=torch.int64)
        scores = torch.zeros(len(paths), dtype=torch.float64)
        if length:
            scores = scores + start[paths[:, 0]] + end[paths[:, -1]]
            scores = scores + sum(emissions[row, place, paths[:, place]] for place in range(length))
            scores = scores + transitions[paths[:, :-1], paths[:, 1:]].sum(1)
        total = total + torch.logsumexp(scores, 0) * upstream[row]
    expected = torch.autograd.grad(total, leaves, allow_unused=True)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if theirs is None else theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_gradcheck(scale: float) -> None:
    emissions, lengths, *others = chain(3, 4, 3, 7, scale)
    leaves = [x.requires_grad_() for x in (emissions, *others)]
    assert torch.autograd.gradcheck(lambda e, t, s, f: log_partition(e, lengths, t, s, f), leaves)


@pytest.mark.parametrize("scale", [1.0, 15.0, 60.0, 1e4])
def test_float32_keeps_its_digits_whatever_the_spread(scale: float) -> None:
    """The four scales take float32, then float64, then log space; a single precision scan would lose paths."""
    inputs = chain(4, 40, 5, 3, scale, torch.float32)
    results = []
    for dtype in (torch.float32, torch.float64):
        emissions, lengths, *others = (x.to(dtype) if x.is_floating_point() else x for x in inputs)
        leaves = [x.clone().requires_grad_() for x in (emissions, *others)]
        value = log_partition(leaves[0], lengths, *leaves[1:])
        value.sum().backward()
        results.append((value.detach(), [x.grad for x in leaves]))
    (single, single_gradients), (double, double_gradients) = results
    torch.testing.assert_close(single.double(), double, rtol=2e-6, atol=1e-4)
    # At 1e4 neighbouring path scores differ by less than the input's last digit, so the choice itself is rounded.
    for mine, exact in zip(single_gradients, double_gradients, strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=1e-3, atol=1e-3)


def test_a_path_that_underflows_in_probability_space_is_not_lost() -> None:
    """Tag 0 is ahead by 200 after the first step, and behind by 300 after the second."""
    emissions = torch.zeros(1, 2, 2)
    emissions[0, 0, 0] = 200.0
    transitions = torch.tensor([[-500.0, -500.0], [0.0, 0.0]])
    zero = torch.zeros(2)
    value = log_partition(emissions, torch.tensor([2]), transitions, zero, zero)
    assert value.item() == pytest.approx(math.log(2), abs=1e-5)


def test_messages_stay_finite_however_far_the_tags_of_one_token_drift_apart() -> None:
    emissions = torch.tensor([[[75.0, -75.0]] * 3])
    lengths, tags = torch.tensor([3]), torch.zeros(1, 3, dtype=torch.int64)
    single, double = (
        marginals(emissions.to(kind), lengths, *(torch.zeros(*shape, dtype=kind) for shape in ((2, 2), (2,), (2,))))
        for kind in (torch.float32, torch.float64)
    )
    assert bool(single.onward.isfinite().all())
    found = next_tag(single.onward, torch.zeros(2, 2), tags)[:, :2].double()
    expected = next_tag(double.onward, torch.zeros(2, 2, dtype=torch.float64), tags)[:, :2]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_forbidden_transitions() -> None:
    emissions, lengths, transitions, start, end = chain(4, 5, 4, 11)
    lengths = torch.tensor([5, 3, 1, 0])
    transitions[:, 2], transitions[2, 2], start[2] = -math.inf, 0.5, -math.inf  # tag 2 cannot be reached
    transitions[0, 0] = -math.inf
    leaves = [x.requires_grad_() for x in (emissions, transitions, start, end)]
    value = log_partition(emissions, lengths, transitions, start, end)
    value.sum().backward()
    for row, length in enumerate(lengths.tolist()):
        paths = all_paths(emissions[row, :length].detach(), transitions.detach(), start.detach(), end.detach())
        assert value[row].item() == pytest.approx(log_sum(list(paths.values())), abs=1e-10)
    assert all(bool(x.grad.isfinite().all()) for x in leaves)
    assert not emissions.grad[:, :, 2].any()
    best = viterbi(emissions, lengths, transitions, start, end)
    assert not (best == 2).any()
    shares = marginals(emissions, lengths, transitions, start, end)
    onward = next_tag(shares.onward, transitions, best)
    assert bool(onward[0, :4].exp().sum(-1).sub(1).abs().lt(1e-10).all())


def test_a_row_without_any_path_gives_minus_infinity_and_no_gradient() -> None:
    emissions = torch.zeros(1, 2, 2, requires_grad=True)
    forbidden = torch.full((2, 2), -math.inf)
    value = log_partition(emissions, torch.tensor([2]), forbidden, torch.zeros(2), torch.zeros(2))
    value.sum().backward()
    assert value.item() == -math.inf
    assert not emissions.grad.any()


def test_viterbi_with_ties_returns_a_best_path() -> None:
    emissions = torch.zeros(2, 4, 3)
    transitions = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    lengths, zero = torch.tensor([4, 2]), torch.zeros(3)
    best = viterbi(emissions, lengths, transitions, zero, zero)
    assert path_score(emissions, lengths, transitions, zero, zero, best).tolist() == [3.0, 1.0]


def test_padding_does_not_matter() -> None:
    emissions, _, transitions, start, end = chain(2, 6, 4, 5)
    lengths = torch.tensor([4, 6])
    emissions[0, 4:] = math.nan
    value = log_partition(emissions, lengths, transitions, start, end)
    alone = log_partition(emissions[:1, :4], lengths[:1], transitions, start, end)
    torch.testing.assert_close(value[:1], alone, rtol=1e-14, atol=0)
    assert viterbi(emissions, lengths, transitions, start, end)[0, :4].tolist() == (
        viterbi(emissions[:1, :4], lengths[:1], transitions, start, end)[0].tolist()
    )


def test_pack_puts_the_tokens_first_in_order() -> None:
    mask = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    order, lengths = pack(mask)
    assert lengths.tolist() == [2, 0, 4]
    assert order[0, :2].tolist() == [1, 2]
    assert order[2].tolist() == [0, 1, 2, 3]


def test_values_are_those_of_pytorch_crf() -> None:
    torchcrf = pytest.importorskip("torchcrf")
    emissions, _, transitions, start, end = chain(4, 12, 5, 9)
    lengths = torch.tensor([12, 3, 7, 1])
    mask = torch.arange(12) < lengths[:, None]
    tags = torch.randint(0, 5, (4, 12), generator=torch.Generator().manual_seed(0))
    crf = torchcrf.CRF(5, batch_first=True).double()
    crf.transitions.data, crf.start_transitions.data, crf.end_transitions.data = transitions, start, end
    ours = path_score(emissions, lengths, transitions, start, end, tags) - log_partition(
        emissions, lengths, transitions, start, end
    )
    torch.testing.assert_close(ours, crf(emissions, tags, mask, reduction="none"), rtol=1e-12, atol=1e-10)
    best = viterbi(emissions, lengths, transitions, start, end)
    assert [row[:n] for row, n in zip(best.tolist(), lengths.tolist(), strict=True)] == crf.decode(emissions, mask)
