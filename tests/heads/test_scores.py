"""Scores that any answer could be made of are refused, whatever the head."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heads.base import are_usable, named
from tests.heads.cases import CASES, batch_of, build

NUMBERS = st.sampled_from([0.0, -3.5, 1e30, float("-inf"), float("inf"), float("nan")])


class Pair(NamedTuple):
    scores: torch.Tensor
    places: torch.Tensor


@given(st.lists(NUMBERS, max_size=8))
def test_only_nan_and_infinity_above_are_refused(values: list[float]) -> None:
    bad = any(math.isnan(value) or value == math.inf for value in values)
    assert are_usable(Pair(torch.tensor(values), torch.tensor([1, 2]))) is not bad


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_every_head_with_broken_weights_is_noticed(kind: type) -> None:
    hidden, batch = batch_of(kind)
    head = build(kind).eval()
    with torch.no_grad():
        assert are_usable(head(hidden, batch, want_loss=False).scores)
        next(p for name, p in head.named_parameters() if name.endswith("weight")).fill_(float("nan"))
        scores = head(hidden, batch, want_loss=False).scores
    assert any(tensor.isnan().any() for tensor in named(scores).values())
    assert not are_usable(scores)
