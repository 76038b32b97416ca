"""Generated cases for the span losses: hard numbers, the published forms, autocast, equal bits, bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from heads.base import DecodeOptions
from heads.efficient_globalpointer import EfficientGlobalPointer
from heads.layers import add_at
from heads.span_loss import dense_span_loss, factorised_span_loss, valid_pairs
from tests.benchmarks.published_losses import published_dense, published_sparse, written_out

Factors = tuple[Tensor, Tensor, Tensor]
Form = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

MASKS = ("all text", "padding", "one token", "a row without text", "no text")
GOLD = ("none", "some", "one type everywhere", "everything")


def dense(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    return dense_span_loss(written_out(A, b, c), valid, spans)


def text_mask(kind: str, rows: int, length: int, random: torch.Generator) -> Tensor:
    """Text after [CLS] at place 0, which is never text."""
    mask = torch.zeros(rows, length, dtype=torch.bool)
    lengths = torch.randint(0, length, (rows,), generator=random).tolist()
    for row, drawn in enumerate(lengths):
        held = {"all text": length - 1, "padding": drawn, "one token": 1, "no text": 0}.get(kind, drawn if row else 0)
        mask[row, 1 : 1 + held] = True
    return mask


def gold_spans(kind: str, valid: Tensor, types: int, random: torch.Generator) -> Tensor:
    """(N, 4) valid spans of a kind of `GOLD`."""
    spans = valid[:, None].expand(-1, types, -1, -1).nonzero()
    if kind == "some":
        return spans[torch.rand(len(spans), generator=random) < 0.15]
    return {"none": spans[:0], "everything": spans, "one type everywhere": spans[spans[:, 1] == 0]}[kind]


def random_factors(rows: int, length: int, types: int, scale: float, random: torch.Generator) -> Factors:
    shapes = ((rows, length, length), (rows, length, types), (rows, length, types))
    A, b, c = (torch.randn(*shape, generator=random, dtype=torch.float64) * scale for shape in shapes)
    return A, b, c


def leaves_of(factors: Factors, dtype: torch.dtype) -> Factors:
    A, b, c = (factor.detach().to(dtype).requires_grad_() for factor in factors)
    return A, b, c


def value_and_gradients(form: Form, leaves: Factors, valid: Tensor, spans: Tensor) -> tuple[Tensor, list[Tensor]]:
    loss = form(*leaves, valid, spans)
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]
    assert bool(loss.isfinite())
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    return loss.detach(), gradients


def dominating(factors: Factors, spans: Tensor, height: float) -> Factors:
    """A raised at the gold spans: the sum over all spans is theirs alone."""
    A, b, c = factors
    raised = A.clone()
    raised[spans[:, 0], spans[:, 2], spans[:, 3]] += height
    return raised, b, c


def apart(factors: Factors, spread: float) -> Factors:
    """The largest A lies at the first, the largest c at the last column, `spread` apart: their product underflows."""
    A, b, c = factors
    slope = torch.linspace(0.0, spread, A.shape[2], dtype=A.dtype)
    return A - slope, b, c + slope[:, None] - spread


@st.composite
def cases(draw: st.DrawFn) -> tuple[Factors, Tensor, Tensor]:
    """(factors in float64 that float32 holds exactly, valid pairs, gold spans)."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    rows, length, types = draw(st.integers(1, 3)), draw(st.integers(2, 8)), draw(st.integers(1, 4))
    mask = text_mask(draw(st.sampled_from(MASKS)), rows, length, random)
    valid = valid_pairs(mask, ordered=draw(st.booleans()))
    spans = gold_spans(draw(st.sampled_from(GOLD)), valid, types, random)
    factors = random_factors(rows, length, types, draw(st.sampled_from([0.01, 1.0, 30.0, 1e3, 1e4])), random)
    if draw(st.booleans()):
        factors = dominating(factors, spans, draw(st.sampled_from([20.0, 60.0, 300.0, -300.0])))
    if draw(st.booleans()):
        factors = apart(factors, draw(st.sampled_from([50.0, 90.0, 200.0, 2000.0])))
    A, b, c = (factor.float().double() for factor in factors)
    return (A, b, c), valid, spans


@settings(max_examples=150)
@given(case=cases())
def test_factorised_equals_dense_in_float64(case: tuple[Factors, Tensor, Tensor]) -> None:
    """Within 1e-10, or 1e-12 of the value where that is more: scores up to 1e4 and over, spreads that underflow,
    gold that dominates or is everything, rows with one token and with none."""
    factors, valid, spans = case
    leaves = leaves_of(factors, torch.float64)
    loss, gradients = value_and_gradients(factorised_span_loss, leaves, valid, spans)
    expected, wanted = value_and_gradients(dense, leaves, valid, spans)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12, abs=1e-10)
    for mine, theirs in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@settings(max_examples=150)
@given(case=cases(), form=st.sampled_from([factorised_span_loss, dense]))
def test_float32_is_within_units_of_rounding_of_the_largest_score(
    case: tuple[Factors, Tensor, Tensor], form: Form
) -> None:
    """The value of a (row, type) is off by a few units in the last place of the largest score, a gradient by as much
    relatively: no form can do better once the scores themselves are rounded."""
    factors, valid, spans = case
    rows, _, types = factors[1].shape
    loss, gradients = value_and_gradients(form, leaves_of(factors, torch.float32), valid, spans)
    expected, wanted = value_and_gradients(dense, leaves_of(factors, torch.float64), valid, spans)
    assert loss.dtype == torch.float32
    unit = torch.finfo(torch.float32).eps * (1 + sum(factor.abs().max().item() for factor in factors))
    assert abs(loss.item() - expected.item()) <= rows * types * 4 * unit + 1e-6 * expected.item()
    for mine, theirs in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=types * math.expm1(min(8 * unit, 10)))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6), mask=st.sampled_from(MASKS), gold=st.sampled_from(GOLD), ordered=st.booleans(),
    scale=st.sampled_from([0.1, 1.0]),
)  # fmt: skip
def test_factorised_dense_and_published_forms_agree(
    seed: int, mask: str, gold: str, ordered: bool, scale: float
) -> None:
    """Where the published sparse form subtracts numbers of like size and where (0, 0), here [CLS], is not valid."""
    random = torch.Generator().manual_seed(seed)
    valid = valid_pairs(text_mask(mask, 2, 6, random), ordered=ordered)
    spans = gold_spans(gold, valid, 3, random)
    leaves = leaves_of(random_factors(2, 6, 3, scale, random), torch.float64)
    loss, gradients = value_and_gradients(factorised_span_loss, leaves, valid, spans)
    for form in (dense, published_dense, published_sparse):
        expected, wanted = value_and_gradients(form, leaves, valid, spans)
        assert loss.item() == pytest.approx(expected.item(), rel=0, abs=1e-10)
        for mine, theirs in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_published_sparse_form_leaves_out_the_origin(seed: int) -> None:
    """It is the dense loss with (0, 0) neither gold nor other; ours counts (0, 0) as what it is."""
    random = torch.Generator().manual_seed(seed)
    valid = valid_pairs(torch.ones(1, 5, dtype=torch.bool))
    spans = gold_spans("some", valid, 2, random)
    factors = random_factors(1, 5, 2, 1.0, random)
    without = valid.clone()
    without[:, 0, 0] = False
    others = spans[(spans[:, 2:] != 0).any(1)]
    assert published_sparse(*factors, valid, spans).item() == pytest.approx(
        factorised_span_loss(*factors, without, others).item(), rel=1e-12
    )
    at_origin = torch.tensor([[0, 0, 0, 0]])
    known = torch.cat((others, at_origin))
    assert factorised_span_loss(*factors, valid, known).item() == pytest.approx(dense(*factors, valid, known).item())
    blind = published_sparse(*factors, valid, others).item()
    assert published_sparse(*factors, valid, known).item() == pytest.approx(blind, rel=1e-12)


def test_the_published_sparse_form_stops_learning_where_gold_dominates() -> None:
    """Gold 25 over the rest: the clamp replaces the others' sum, and nothing pushes them down any more."""
    valid = valid_pairs(torch.ones(1, 6, dtype=torch.bool))
    spans = torch.tensor([[0, 0, 2, 4]])
    A = torch.zeros(1, 6, 6)
    A[0, 2, 4] = 25.0
    zero = torch.zeros(1, 6, 1)
    for form, pushed in ((factorised_span_loss, True), (dense, True), (published_sparse, False)):
        _, (gradient, *_) = value_and_gradients(form, leaves_of((A, zero, zero), torch.float32), valid, spans)
        assert (gradient[0, 1, 1].item() > 0.04) == pushed
    # Nineteen others at 0 and the 0 of the loss: each other takes a share of 1/21.
    _, (gradient, *_) = value_and_gradients(
        factorised_span_loss, leaves_of((A, zero, zero), torch.float32), valid, spans
    )
    assert gradient[0, 1, 1].item() == pytest.approx(1 / 21, rel=1e-5)


# ---------------------------------------------------------------- the head around it


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), mask=st.sampled_from(MASKS), loud=st.sampled_from([1.0, 30.0]))
def test_bf16_autocast_around_the_head(seed: int, mask: str, loud: float) -> None:
    """The layers may compute in bf16; scores and loss are float32, and equal the dense loss of the same factors."""
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    head = EfficientGlobalPointer(16, types=3, head_size=8)
    hidden = (loud * torch.randn(2, 9, 16, generator=random)).requires_grad_()
    text = text_mask(mask, 2, 9, random)
    valid = valid_pairs(text)
    spans = gold_spans("some", valid, 3, random)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = head({"last": hidden}, {"text_mask": text, "spans": spans}, want_loss=True)
    assert output.loss_sum.dtype == torch.float32
    assert all(factor.dtype == torch.float32 for factor in output.scores)
    exact = dense(*(factor.detach().double() for factor in output.scores), valid, spans).item()
    unit = torch.finfo(torch.float32).eps * (1 + sum(factor.abs().max().item() for factor in output.scores))
    assert abs(output.loss_sum.item() - exact) <= 6 * 4 * unit + 1e-6 * exact
    gradients = torch.autograd.grad(output.loss_sum, [hidden, *head.parameters()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_autocast_leaves_the_loss_alone_forward_and_backward() -> None:
    random = torch.Generator().manual_seed(1)
    valid = valid_pairs(torch.ones(2, 40, dtype=torch.bool))
    spans = gold_spans("some", valid, 5, random)
    leaves = leaves_of(random_factors(2, 40, 5, 3.0, random), torch.float32)
    loss, gradients = value_and_gradients(factorised_span_loss, leaves, valid, spans)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again, others = value_and_gradients(factorised_span_loss, leaves, valid, spans)
    assert torch.equal(again, loss)
    assert all(torch.equal(mine, other) for mine, other in zip(gradients, others, strict=True))


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(x, Tensor):
                self.numbers = max(self.numbers, x.numel())
        return result


def test_no_tensor_of_all_scores_is_made() -> None:
    """Forward, backward and decoding of a head with 500 types: nothing beyond its outputs and the shared scores."""
    torch.manual_seed(0)
    rows, length, types = 2, 64, 500
    head = EfficientGlobalPointer(8, types=types, head_size=4)
    hidden = torch.randn(rows, length, 8, requires_grad=True)
    mask = torch.ones(rows, length, dtype=torch.bool)
    spans = torch.tensor([[0, 3, 1, 4], [1, 499, 0, 0], [1, 2, 5, 9]])
    with LargestTensor() as largest:
        output = head({"last": hidden}, {"text_mask": mask, "spans": spans}, want_loss=True)
        output.loss_sum.backward()
        head.decode(output, {"text_mask": mask}, DecodeOptions(threshold=8.0))
    assert largest.numbers <= rows * length * max(length, 2 * types)
    assert rows * length * length * types > 30 * largest.numbers


# ---------------------------------------------------------------- the same bits


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_two_threads_give_the_same_bits_every_time() -> None:
    """Many gold spans that share starts and ends: their gradients meet in the same places."""
    random = torch.Generator().manual_seed(0)
    leaves = leaves_of(random_factors(1, 256, 80, 2.0, random), torch.float32)
    valid = valid_pairs(torch.ones(1, 256, dtype=torch.bool))
    spans = torch.stack([torch.randint(0, n, (6000,), generator=random) for n in (1, 80, 12, 256)], dim=1)
    with threads(2):
        loss, gradients = value_and_gradients(factorised_span_loss, leaves, valid, spans)
        for _ in range(8):
            again, others = value_and_gradients(factorised_span_loss, leaves, valid, spans)
            assert torch.equal(again, loss)
            assert all(torch.equal(mine, other) for mine, other in zip(gradients, others, strict=True))


def test_add_at_sums_repeated_places() -> None:
    target = torch.zeros(3, 2)
    result = add_at(target, torch.tensor([2, 0, 2]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert result is target
    assert target.tolist() == [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]
