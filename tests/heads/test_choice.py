"""The choice head against a slow statement of its rules, with any number of choices a unit, in any order."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heads.base import DecodeOptions, HeadOutput
from heads.choice import ByUnit, Choice

SIZE = 12


class Case(NamedTuple):
    scores: Tensor
    unit: Tensor
    labels: Tensor

    @property
    def batch(self) -> dict[str, Tensor]:
        return {"unit": self.unit, "labels": self.labels}


@st.composite
def cases(draw: st.DrawFn, scale: float = 30.0) -> Case:
    """Units of one to ten rows, mixed up, one row of each right."""
    sizes = draw(st.lists(st.integers(1, 10), min_size=1, max_size=8))
    rows = draw(st.permutations([(unit, place) for unit, size in enumerate(sizes) for place in range(size)]))
    gold = [draw(st.integers(0, size - 1)) for size in sizes]
    scores = draw(st.lists(st.floats(-scale, scale), min_size=len(rows), max_size=len(rows)))
    unit = torch.tensor([unit for unit, _ in rows])
    labels = torch.tensor([int(place == gold[unit]) for unit, place in rows])
    return Case(torch.tensor(scores, dtype=torch.float64), unit, labels)


def head_for(scores: Tensor) -> tuple[Choice, dict[str, Tensor]]:
    """A head, and pooled vectors to which it gives these scores."""
    head = Choice(1).to(scores.dtype)
    with torch.no_grad():
        head.linear.weight.fill_(1)
    return head, {"pooled": scores.detach().clone()[:, None].requires_grad_()}


def slow_loss(case: Case) -> float:
    """Unit by unit, with the rules of arithmetic and nothing else."""
    total = 0.0
    for unit in set(case.unit.tolist()):
        scores = case.scores[case.unit == unit].tolist()
        (right,) = case.scores[(case.unit == unit) & (case.labels == 1)].tolist()
        highest = max(scores)
        total += highest - right + math.log(math.fsum(math.exp(score - highest) for score in scores))
    return total


def slow_divergence(first: Tensor, second: Tensor, unit: Tensor) -> float:
    total = 0.0
    for one in set(unit.tolist()):
        p, q = (np.exp(s[unit == one].numpy() - s[unit == one].numpy().max()) for s in (first, second))
        p, q = p / p.sum(), q / q.sum()
        total += float((p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()) / 2
    return total


@given(cases())
def test_the_loss_is_the_cross_entropy_of_each_unit(case: Case) -> None:
    head, hidden = head_for(case.scores)
    output = head(hidden, case.batch, want_loss=True)
    assert output.loss_sum.item() == pytest.approx(slow_loss(case), abs=1e-9)
    assert float(output.weight) == len(set(case.unit.tolist()))
    torch.testing.assert_close(output.scores, case.scores)
    output.loss_sum.backward()
    expected = torch.empty_like(case.scores)
    for unit in case.unit.unique():
        rows = case.unit == unit
        expected[rows] = torch.softmax(case.scores[rows], 0) - case.labels[rows]
    torch.testing.assert_close(hidden["pooled"].grad[:, 0], expected, rtol=0, atol=1e-10)


@given(cases(scale=1e4))
def test_large_scores_stay_finite_in_float32(case: Case) -> None:
    case = case._replace(scores=case.scores.float())
    head, hidden = head_for(case.scores)
    loss = head(hidden, case.batch, want_loss=True).loss_sum
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(slow_loss(case), rel=1e-5, abs=1e-5)
    assert bool(hidden["pooled"].grad.isfinite().all())


@given(first=cases(scale=6.0), seed=st.integers(0, 2**30))
def test_the_divergence_is_the_mean_of_both_directions(first: Case, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    second = first.scores + torch.randn(len(first.scores), generator=random, dtype=torch.float64)
    outputs = [HeadOutput(None, None, scores.clone().requires_grad_()) for scores in (first.scores, second)]
    found = Choice(1).divergence(*outputs, first.batch)
    assert float(found.detach()) == pytest.approx(slow_divergence(first.scores, second, first.unit), abs=1e-9)
    found.backward()
    assert all(bool(output.scores.grad.isfinite().all()) for output in outputs)
    assert float(Choice(1).divergence(outputs[0], outputs[0], first.batch).detach()) == 0.0


@given(cases())
def test_units_alone_are_the_units_of_a_batch(case: Case) -> None:
    head, hidden = head_for(case.scores)
    whole = head(hidden, case.batch, want_loss=True)
    losses, weights = [], []
    for unit in range(int(case.unit.max()) + 1):
        rows = case.unit == unit
        own = {"unit": torch.zeros(int(rows.sum()), dtype=torch.int64), "labels": case.labels[rows]}
        output = head({"pooled": hidden["pooled"][rows]}, own, want_loss=True)
        losses.append(output.loss_sum)
        weights.append(output.weight)
        if len(own["unit"]) == 1:
            assert output.loss_sum.item() == 0.0
    torch.testing.assert_close(whole.loss_sum, torch.stack(losses).sum())
    torch.testing.assert_close(whole.weight, torch.stack(weights).sum())


@given(cases())
def test_the_table_holds_every_row_once_in_its_order(case: Case) -> None:
    values = ByUnit.of(case.unit).table(case.scores, math.nan)
    real = ~values.isnan()
    for unit in range(len(values)):
        assert values[unit][real[unit]].tolist() == case.scores[case.unit == unit].tolist()
        assert real[unit].tolist() == sorted(real[unit].tolist(), reverse=True)


def test_no_rows_make_an_empty_table() -> None:
    assert ByUnit.of(torch.zeros(0, dtype=torch.int64)).table(torch.zeros(0), 0.0).shape == (0, 0)


def batch_of() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    random = torch.Generator().manual_seed(1)
    batch = {"unit": torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 2]), "labels": torch.tensor([0, 1, 1, 0, 0, 0, 0, 0, 1])}
    return {"pooled": torch.randn(9, SIZE, generator=random)}, batch


def build(seed: int = 0, dropout: float = 0.0) -> Choice:
    torch.manual_seed(seed)
    return Choice(SIZE, dropout=dropout)


def test_a_few_steps_fit_a_small_batch_and_gold_decodes() -> None:
    head = build()
    hidden, batch = batch_of()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        output = head(hidden, batch, want_loss=True)
        loss = output.loss_sum / output.weight
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    found = head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions())
    assert all(scores.shape == (1,) and scores.dtype == np.float32 for scores in found)
    scores = np.concatenate(found)
    for unit in range(3):
        rows = np.flatnonzero(batch["unit"].numpy() == unit)
        assert batch["labels"][int(rows[scores[rows].argmax()])] == 1


@pytest.mark.parametrize("way", ["bf16 encoder", "bf16 all", "autocast"])
def test_bf16_is_finite_and_the_loss_is_float32(way: str) -> None:
    head, (hidden, batch) = build(), batch_of()
    if way != "autocast":
        hidden = {"pooled": hidden["pooled"].bfloat16()}
    if way == "bf16 all":
        head = head.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        output = head(hidden, batch, want_loss=True)
    assert output.loss_sum.dtype == output.scores.dtype == torch.float32
    output.loss_sum.backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in head.parameters())
    exact = build()(batch_of()[0], batch, want_loss=True)
    assert output.loss_sum.item() == pytest.approx(exact.loss_sum.item(), rel=0.02)


def test_config_and_state_rebuild_the_head_and_a_second_pass_gives_the_same_bits() -> None:
    head = build(seed=3, dropout=0.25)
    again = Choice(SIZE, **head.config)
    again.load_state_dict(head.state_dict())
    hidden, batch = batch_of()
    results = []
    for one in (head, again, head):
        one.eval().zero_grad()
        output = one(hidden, batch, want_loss=True)
        output.loss_sum.backward()
        results.append((output.loss_sum.detach(), one.linear.weight.grad.clone()))
    for loss, gradient in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])
    assert head.config == {"dropout": 0.25}
