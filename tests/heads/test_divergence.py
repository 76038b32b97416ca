"""R-Drop's divergences against the definition: both Kullback-Leibler sums, written out over all outcomes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import divergence
from heads.base import Head
from heads.casrel import CasRel
from heads.divergence import chain_divergence, factorised_divergence, span_divergence, symmetric_divergence
from heads.event_linker import EventGPLinker
from heads.factorised import Factors
from heads.globalpointer import GlobalPointer, span_scores
from heads.gplinker import GPLinker
from heads.reading import ReadingGlobalPointer, StartEnd
from heads.span_loss import valid_pairs
from tests.heads.cases import CASES, batch_of, build

seeds = st.integers(0, 2**30)


def both_directions(p: list[float], q: list[float]) -> float:
    """(KL(p, q) + KL(q, p)) / 2, by its definition; outcomes that neither side has are left out."""
    pairs = [(a, b) for a, b in zip(p, q, strict=True) if a > 0 or b > 0]
    return sum(a * math.log(a / b) + b * math.log(b / a) for a, b in pairs) / 2


def softmax(scores: list[float]) -> list[float]:
    most = max(scores)
    weights = [math.exp(score - most) for score in scores]
    return [weight / sum(weights) for weight in weights]


def bernoulli(first: float, second: float) -> float:
    p, q = (1 / (1 + math.exp(-2 * score)) for score in (first, second))
    return both_directions([p, 1 - p], [q, 1 - q])


@given(seed=seeds, classes=st.integers(1, 6), scale=st.floats(0.1, 20))
def test_classes(seed: int, classes: int, scale: float) -> None:
    torch.manual_seed(seed)
    first, second = (scale * torch.randn(3, classes, dtype=torch.float64) for _ in range(2))
    out = torch.rand(3, classes) < 0.3
    out[:, 0] = False
    first[out] = second[out] = float("-inf")
    first.requires_grad_()
    found = symmetric_divergence(first, second)
    for row in range(3):
        expected = both_directions(softmax(first[row].tolist()), softmax(second[row].tolist()))
        assert found[row].item() == pytest.approx(expected, rel=1e-8, abs=1e-12)
    found.sum().backward()
    assert first.grad is not None
    assert bool(first.grad.isfinite().all())


def test_a_class_that_only_one_pass_leaves_out_is_infinitely_far() -> None:
    out, both = torch.tensor([0.0, -math.inf, -math.inf]), torch.tensor([0.0, 0.0, -math.inf])
    assert [float(symmetric_divergence(out, other)) for other in (out, both)] == [0.0, math.inf]


def path_probabilities(emissions: Tensor, length: int, transitions: Tensor, start: Tensor, end: Tensor) -> list[float]:
    """The probability of each path of one row, by adding up its scores."""
    scores = []
    for path in itertools.product(range(emissions.shape[1]), repeat=length):
        score = sum(float(emissions[t, tag]) for t, tag in enumerate(path))
        score += sum(float(transitions[a, b]) for a, b in itertools.pairwise(path))
        scores.append(score + (float(start[path[0]] + end[path[-1]]) if path else 0.0))
    return softmax(scores)


@settings(max_examples=40)
@given(seed=seeds, tags=st.integers(1, 3), lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_chains_over_all_paths(seed: int, tags: int, lengths: list[int]) -> None:
    torch.manual_seed(seed)
    steps = max(max(lengths), 1)
    first, second = (2 * torch.randn(len(lengths), steps, tags, dtype=torch.float64) for _ in range(2))
    transitions, start, end = (torch.randn(shape, dtype=torch.float64) for shape in ((tags, tags), (tags,), (tags,)))
    expected = sum(
        both_directions(*(path_probabilities(side[row], length, transitions, start, end) for side in (first, second)))
        for row, length in enumerate(lengths)
    )
    found = chain_divergence(first, second, torch.tensor(lengths), transitions, start, end)
    assert found.item() == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_gradients_of_chains() -> None:
    """Also in the transitions, and through the marginals, which are derivatives themselves."""
    torch.manual_seed(0)
    lengths = torch.tensor([3, 1, 0])
    inputs = [torch.randn(shape, dtype=torch.float64) for shape in ((3, 3, 2), (3, 3, 2), (2, 2), (2,), (2,))]
    for x in inputs:
        x.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, t, s, e: chain_divergence(a, b, lengths, t, s, e), inputs)


@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_spans_in_factors_of_any_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "block_elements", lambda device: block)
    torch.manual_seed(0)
    shapes = ((2, 3, 3), (2, 3, 5), (2, 3, 5))
    parts = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes * 2]
    valid = valid_pairs(torch.tensor([[True, True, False], [True, True, True]]))
    found = factorised_divergence(Factors(*parts[:3]), Factors(*parts[3:]), valid)
    expected = 0.0
    for row, i, j in valid.nonzero().tolist():
        for kind in range(5):
            sides = [
                side[0][row, i, j] + side[1][row, i, kind] + side[2][row, j, kind] for side in (parts[:3], parts[3:])
            ]
            expected += bernoulli(*(score.item() for score in sides))
    assert found.item() == pytest.approx(expected, rel=1e-9)

    def function(*parts: Tensor) -> Tensor:
        return factorised_divergence(Factors(*parts[:3]), Factors(*parts[3:]), valid)

    assert torch.autograd.gradcheck(function, parts)


def two_passes(kind: type[Head]) -> tuple[Head, list[Any], dict[str, Tensor]]:
    """Two outputs of unlike weights for one batch."""
    hidden, batch = batch_of(kind)
    head = build(kind)
    return head, [build(kind, seed)(hidden, batch, want_loss=True) for seed in (0, 1)], batch


KINDS = [kind for kind in CASES if kind is not CasRel]


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_has_one_that_is_zero_for_equals_and_symmetric(kind: type[Head]) -> None:
    head, (first, second), batch = two_passes(kind)
    there = head.divergence(first, second, batch)
    assert there.item() > 1e-4
    torch.testing.assert_close(head.divergence(second, first, batch), there)
    assert head.divergence(first, first, batch).item() == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_its_gradient_moves_both_passes(kind: type[Head]) -> None:
    hidden, batch = batch_of(kind)
    inputs = [{name: (x * factor).detach().requires_grad_() for name, x in hidden.items()} for factor in (1.0, 1.5)]
    head = build(kind)
    first, second = (head({**one}, batch, want_loss=True) for one in inputs)
    head.divergence(first, second, batch).backward()
    for one in inputs:
        found = [x.grad for x in one.values() if x.grad is not None]
        assert found and all(bool(gradient.isfinite().all()) and bool(gradient.any()) for gradient in found)


def written_out(factors: Factors) -> Tensor:
    return factors.shared[:, None] + factors.start.mT[..., None] + factors.end.mT[:, :, None]


def test_globalpointer_over_its_spans() -> None:
    head, (first, second), batch = two_passes(GlobalPointer)
    valid = valid_pairs(batch["text_mask"])
    sides = [span_scores(*output.scores).detach() for output in (first, second)]
    expected = sum(
        bernoulli(*(side[row, kind, i, j].item() for side in sides))
        for row, i, j in valid.nonzero().tolist()
        for kind in range(3)
    )
    assert head.divergence(first, second, batch).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [GPLinker, EventGPLinker])
def test_linkers_add_their_three_scorers(kind: type[Head]) -> None:
    head, (first, second), batch = two_passes(kind)
    forward, any_order = (valid_pairs(batch["text_mask"], ordered=ordered) for ordered in (True, False))
    masks = (forward, any_order, any_order) if kind is GPLinker else (forward,) * 3
    expected = sum(
        span_divergence(written_out(a), written_out(b), mask).item()
        for a, b, mask in zip(first.scores, second.scores, masks, strict=True)
    )
    assert head.divergence(first, second, batch).item() == pytest.approx(expected, rel=1e-5)


def starts_and_ends(head: Head, scores: Tensor, row: int, allowed: list[int]) -> list[list[float]]:
    return [[scores[row, i, side].item() for i in allowed] for side in (0, 1)]


def all_pairs(head: Any, scores: Any, row: int, allowed: list[int]) -> list[list[float]]:
    pairs = head.pair_scores(scores, row, row + 1)[0]
    return [[pairs[i, j].item() for i in allowed for j in allowed if i <= j]]


@pytest.mark.parametrize(("kind", "outcomes"), [(StartEnd, starts_and_ends), (ReadingGlobalPointer, all_pairs)])
def test_reading_over_all_answers(kind: type[Head], outcomes: Callable[..., list[list[float]]]) -> None:
    head, (first, second), batch = two_passes(kind)
    expected = 0.0
    for row in batch["spans"][:, 0].tolist():
        allowed = sorted({0, *batch["text_mask"][row].nonzero().flatten().tolist()})
        with torch.no_grad():
            sides = [outcomes(head, output.scores, row, allowed) for output in (first, second)]
        each = [both_directions(softmax(p), softmax(q)) for p, q in zip(*sides, strict=True)]
        expected += sum(each) / len(each)
    assert head.divergence(first, second, batch).item() == pytest.approx(expected, rel=1e-4)
