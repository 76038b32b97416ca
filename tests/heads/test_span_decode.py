"""Spans over the threshold against all spans looked at one by one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import span_decode
from heads.base import Spans
from heads.span_decode import dense_spans, factorised_spans
from heads.span_loss import valid_pairs


def draw(seed: int, rows: int, length: int, types: int, steps: int | None = None) -> tuple[Tensor, ...]:
    """A, b, c and a text mask; with `steps` few different values, so that many scores are equal."""
    random = torch.Generator().manual_seed(seed)
    factors = []
    for shape in ((rows, length, length), (rows, length, types), (rows, length, types)):
        x = torch.randn(*shape, generator=random)
        factors.append(x if steps is None else (x * steps).round() / steps)
    lengths = torch.randint(0, length, (rows,), generator=random)
    places = torch.arange(length)
    return (*factors, (places >= 1) & (places < 1 + lengths[:, None]))


def written_out(A: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """In the order of additions that the factorised form states."""
    return (A[:, None] + c.transpose(1, 2)[:, :, None]) + b.transpose(1, 2)[..., None]


def found(spans: Spans) -> list[tuple[int, int, int]]:
    return list(zip(spans.type.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), rows=st.integers(1, 3), length=st.integers(2, 8), types=st.integers(1, 4),
    threshold=st.sampled_from([-100.0, 0.0, 1.5, 100.0]), limit=st.sampled_from([0, 1, 5, 1000]),
    ordered=st.booleans(), steps=st.sampled_from([None, 2]),
)  # fmt: skip
def test_exactly_the_best_spans_over_the_threshold(
    seed: int, rows: int, length: int, types: int, threshold: float, limit: int, ordered: bool, steps: int | None
) -> None:
    A, b, c, mask = draw(seed, rows, length, types, steps)
    valid, scores = valid_pairs(mask, ordered=ordered), written_out(A, b, c)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_decode, "block_elements", lambda device: 4 * length)
        factorised = factorised_spans(A, b, c, mask, threshold, limit, ordered=ordered).by_row()
    dense = dense_spans([(k, scores[:, k : k + 1]) for k in range(types)], valid, threshold, limit)
    for row in range(rows):
        over = {
            (kind, i, j): scores[row, kind, i, j].item()
            for kind in range(types) for i, j in valid[row].nonzero().tolist() if scores[row, kind, i, j] > threshold
        }  # fmt: skip
        best = sorted(over.values(), reverse=True)[:limit]
        for spans in (factorised[row], dense[row]):
            assert [over[span] for span in found(spans)] == pytest.approx(best)
            assert len(set(found(spans))) == len(best)
            assert spans.dropped == len(over) - len(best)
            assert spans.probability.tolist() == pytest.approx([1 / (1 + math.exp(-2 * s)) for s in best], abs=1e-6)


def test_an_untrained_model_on_long_rows_stays_bounded() -> None:
    """Half of 2 million spans are over the threshold; 100 a row come out, the rest is counted."""
    A, b, c, _ = draw(0, 2, 64, 500)
    mask = torch.ones(2, 64, dtype=torch.bool)
    valid = valid_pairs(mask)
    first, second = factorised_spans(A, b, c, mask, 0.0, 100).by_row()
    assert len(first.score) == len(second.score) == 100
    expected = written_out(A[:1], b[:1], c[:1])[0][valid[:1].expand(500, -1, -1)]
    assert first.score.tolist() == pytest.approx(expected.topk(100).values.tolist())
    assert first.dropped == int((expected > 0).sum()) - 100


def test_huge_scores_have_a_probability() -> None:
    A = torch.full((1, 2, 2), 1e4)
    zero = torch.zeros(1, 2, 1)
    (spans,) = factorised_spans(A, zero, zero, torch.ones(1, 2, dtype=torch.bool), -1e9, 10).by_row()
    assert spans.probability.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("ordered", [True, False])
def test_what_stands_outside_the_text_does_not_matter(ordered: bool) -> None:
    """Not even what is no number."""
    A, b, c, _ = draw(3, 2, 6, 3)
    mask = torch.tensor([[False, True, True, True, False, False], [False, True, True, True, True, False]])
    expected = factorised_spans(A, b, c, mask, 0.0, 100, ordered=ordered).by_row()
    for other in (1e30, -1e30, math.inf, math.nan):
        A[~(mask[:, :, None] & mask[:, None])] = other
        b[~mask] = c[~mask] = other
        again = factorised_spans(A, b, c, mask, 0.0, 100, ordered=ordered).by_row()
        for before, after in zip(expected, again, strict=True):
            assert found(after) == found(before)
            assert after.dropped == before.dropped
