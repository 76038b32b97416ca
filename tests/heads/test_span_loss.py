"""The span losses against the sum over all spans written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import span_loss
from heads.span_loss import dense_span_loss, factorised_span_loss, valid_pairs

Factors = tuple[Tensor, Tensor, Tensor]


def slow_loss(scores: Tensor, valid: Tensor, spans: Tensor) -> float:
    """The definition, span by span, in Python numbers."""
    gold = set(map(tuple, spans.tolist()))
    total = 0.0
    for row in range(scores.shape[0]):
        for kind in range(scores.shape[1]):
            negative, positive = [0.0], [0.0]
            for i, j in valid[row].nonzero().tolist():
                score = scores[row, kind, i, j].item()
                if (row, kind, i, j) in gold:
                    positive.append(-score)
                else:
                    negative.append(score)
            for terms in (negative, positive):
                total += max(terms) + math.log(sum(math.exp(term - max(terms)) for term in terms))
    return total


def written_out(A: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return A[:, None] + b.transpose(1, 2)[..., None] + c.transpose(1, 2)[:, :, None]


def draw(
    seed: int, rows: int, length: int, types: int, gold: int, scale: float = 2.0
) -> tuple[Factors, Tensor, Tensor]:
    """Factors with gradients (float64), a text mask that begins after [CLS], gold spans with repetitions."""
    random = torch.Generator().manual_seed(seed)
    A, b, c = (
        torch.randn(*shape, generator=random, dtype=torch.float64) * scale
        for shape in ((rows, length, length), (rows, length, types), (rows, length, types))
    )
    lengths = torch.randint(0, length, (rows,), generator=random)
    places = torch.arange(length)
    mask = (places >= 1) & (places < 1 + lengths[:, None])
    spans = torch.stack([torch.randint(0, n, (gold,), generator=random) for n in (rows, types, length, length)], dim=1)
    spans[:, 2:] = spans[:, 2:].sort(1).values
    spans = torch.cat((spans, spans[: gold // 2]))
    leaves = (A.requires_grad_(), b.requires_grad_(), c.requires_grad_())
    return leaves, mask, spans


def gradients(loss: Tensor, leaves: Factors) -> list[Tensor]:
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True)
    ]


def check(leaves: Factors, valid: Tensor, spans: Tensor, tolerance: float = 1e-10) -> None:
    scores = written_out(*leaves)
    dense, factorised = dense_span_loss(scores, valid, spans), factorised_span_loss(*leaves, valid, spans)
    expected = slow_loss(scores, valid, spans)
    assert dense.item() == pytest.approx(expected, rel=1e-12, abs=tolerance)
    assert factorised.item() == pytest.approx(expected, rel=1e-12, abs=tolerance)
    for mine, theirs in zip(gradients(factorised, leaves), gradients(dense, leaves), strict=True):
        assert bool(mine.isfinite().all())
        torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), rows=st.integers(1, 3), length=st.integers(1, 7), types=st.integers(1, 4),
    gold=st.integers(0, 14), scale=st.sampled_from([0.1, 2.0, 30.0, 1000.0]), ordered=st.booleans(),
)  # fmt: skip
def test_both_forms_are_the_sum_over_all_spans(
    seed: int, rows: int, length: int, types: int, gold: int, scale: float, ordered: bool
) -> None:
    """Nested, overlapping and repeated gold, gold on [CLS] or padding, rows without text; links as well as spans."""
    leaves, mask, spans = draw(seed, rows, length, types, gold, scale)
    check(leaves, valid_pairs(mask, ordered=ordered), spans)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.5, 1.0]))
def test_many_gold_spans_in_small_blocks(seed: int, share: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_loss, "block_elements", lambda device: 24)
        leaves, mask, _ = draw(seed, 2, 7, 3, 0)
        valid = valid_pairs(mask)
        everything = valid[:, None].expand(-1, 3, -1, -1).nonzero()
        chosen = torch.rand(len(everything), generator=torch.Generator().manual_seed(seed)) <= share
        check(leaves, valid, everything[chosen])


def test_all_spans_gold_has_finite_gradients() -> None:
    leaves, _, _ = draw(0, 2, 5, 2, 0)
    valid = valid_pairs(torch.ones(2, 5, dtype=torch.bool))
    check(leaves, valid, valid[:, None].expand(-1, 2, -1, -1).nonzero())


def test_one_token_and_no_token() -> None:
    leaves, _, _ = draw(0, 2, 3, 2, 0)
    mask = torch.tensor([[False, True, False], [False, False, False]])
    check(leaves, valid_pairs(mask), torch.tensor([[0, 1, 1, 1]]))
    check(leaves, valid_pairs(mask), torch.empty((0, 4), dtype=torch.int64))


def test_the_span_at_the_origin_counts() -> None:
    """Flat index 0 is a span like any other."""
    leaves, _, _ = draw(3, 1, 4, 2, 0)
    valid = valid_pairs(torch.ones(1, 4, dtype=torch.bool))
    check(leaves, valid, torch.tensor([[0, 0, 0, 0]]))
    check(leaves, valid, torch.tensor([[0, 1, 2, 3], [0, 1, 0, 0], [0, 1, 0, 0]]))


def test_sums_that_underflow_are_taken_explicitly() -> None:
    """The largest A and the largest c lie at different ends, 4000 apart: their common sum is 0 in any precision."""
    A = torch.zeros(1, 3, 3, dtype=torch.float64)
    c = torch.zeros(1, 3, 2, dtype=torch.float64)
    A[0, :, 0], c[0, 2] = 2000.0, 2000.0
    A[0, :, 1], c[0, 1] = -50.0, -70.0
    leaves = (A.requires_grad_(), torch.zeros(1, 3, 2, dtype=torch.float64, requires_grad=True), c.requires_grad_())
    for ordered in (True, False):
        valid = valid_pairs(torch.ones(1, 3, dtype=torch.bool), ordered=ordered)
        check(leaves, valid, torch.tensor([[0, 0, 1, 2]]))
        check(leaves, valid, torch.empty((0, 4), dtype=torch.int64))


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_float32_is_finite_and_right(scale: float) -> None:
    leaves, mask, spans = draw(5, 3, 20, 4, 10, scale)
    valid = valid_pairs(mask)
    single = tuple(leaf.detach().float().requires_grad_() for leaf in leaves)
    exact = tuple(leaf.detach().double().requires_grad_() for leaf in single)
    for forms in (lambda A, b, c: factorised_span_loss(A, b, c, valid, spans),
                  lambda A, b, c: dense_span_loss(written_out(A, b, c), valid, spans)):  # fmt: skip
        form: Callable[..., Tensor] = forms
        loss, reference = form(*single), form(*exact)
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
        if scale <= 100:  # beyond, the rounding of the scores decides between neighbours
            for mine, theirs in zip(gradients(loss, single), gradients(reference, exact), strict=True):
                torch.testing.assert_close(mine.double(), theirs, rtol=1e-3, atol=1e-3)
        assert all(bool(gradient.isfinite().all()) for gradient in gradients(form(*single), single))


def test_converged_scores_keep_their_digits() -> None:
    """Gold at +40, all else at -40: the loss is about e^-40, which subtracting the gold from the whole would lose."""
    scores = torch.full((1, 1, 6, 6), -40.0, dtype=torch.float32)
    scores[0, 0, 2, 4] = 40.0
    valid = valid_pairs(torch.ones(1, 6, dtype=torch.bool))
    spans = torch.tensor([[0, 0, 2, 4]])
    A, b, c = scores[:, 0].clone().requires_grad_(), torch.zeros(1, 6, 1), torch.zeros(1, 6, 1)
    loss = factorised_span_loss(A, b, c, valid, spans)
    loss.backward()
    assert loss.item() == pytest.approx(dense_span_loss(scores, valid, spans).item(), abs=1e-30)
    assert A.grad is not None
    assert A.grad[0, 0, 1].item() == pytest.approx(math.exp(-40), rel=1e-4)
    assert A.grad[0, 2, 4].item() == pytest.approx(-math.exp(-40), rel=1e-4)


def test_blocks_of_types_add_up() -> None:
    leaves, mask, spans = draw(8, 2, 6, 5, 12)
    valid, scores = valid_pairs(mask), written_out(*leaves)
    whole = dense_span_loss(scores, valid, spans)
    parts = dense_span_loss(scores[:, :2], valid, spans) + dense_span_loss(scores[:, 2:], valid, spans, 2)
    torch.testing.assert_close(whole, parts, rtol=1e-13, atol=0)


def test_padding_scores_do_not_matter() -> None:
    leaves, mask, spans = draw(9, 2, 6, 3, 8)
    valid = valid_pairs(mask)
    A, b, c = (leaf.detach().clone() for leaf in leaves)
    before = factorised_span_loss(A, b, c, valid, spans)
    A[~(mask[:, :, None] & mask[:, None])] = 1e30
    b[~mask], c[~mask] = 1e30, 1e30
    torch.testing.assert_close(factorised_span_loss(A, b, c, valid, spans), before, rtol=1e-13, atol=0)
