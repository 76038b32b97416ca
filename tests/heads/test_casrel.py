"""CasRel against slow, literal statements of its loss, of the reference's draw of a subject, and of its decoder."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import casrel
from heads.base import DecodeOptions, HeadOutput, Triples
from heads.casrel import CasRel, Scores, nearest_pairs, power_cross_entropy, subject_draws, usable

SIZE, KEYS = 8, 3
positions = st.integers(0, 6)
spans = st.tuples(positions, positions).map(lambda pair: (min(pair), max(pair)))
Triple = tuple[int, int, int, int, int]


def build(seed: int = 0, conditioned: bool = True) -> CasRel:
    """A head in float64 whose condition and scores are far from their start."""
    torch.manual_seed(seed)
    head = CasRel(SIZE, KEYS).double()
    if conditioned:
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return head


def inputs(sizes: list[int], triples: list[tuple[int, ...]], seed: int = 1) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Rows of `sizes` text tokens after a [CLS], with padding behind."""
    random = torch.Generator().manual_seed(seed)
    length = max(sizes) + 2
    hidden = {name: torch.randn(len(sizes), length, SIZE, generator=random).double() for name in ("last", "pre_norm")}
    places = torch.arange(length)
    mask = (places >= 1) & (places <= torch.tensor(sizes)[:, None])
    return hidden, {"text_mask": mask, "triples": torch.tensor(triples, dtype=torch.int64).reshape(-1, 6)}


# The loss of one score


def exactly(score: float, label: bool, power: int) -> tuple[float, float]:
    """Value and derivative of the cross-entropy of sigmoid(score)^power, as it is written, with 600 digits."""
    with localcontext() as context:
        context.prec = 600  # p^4 at a score of -300 has 522 zeros
        p = 1 / (1 + (-Decimal(score)).exp())
        slope = power * p**power * (1 - p)
        if label:
            return float(-((p**power).ln())), float(-slope / p**power)
        return float(-((1 - p**power).ln())), float(slope / (1 - p**power))


EXTREME = [0.0, 1e-8, -1e-8, 0.3, -0.3, 5.0, -5.0, 19.0, 21.0, -21.0, 40.0, -40.0, 60.0, -60.0, 88.0, -88.0, 110.0,
           -110.0, 300.0, -300.0]  # fmt: skip


@pytest.mark.parametrize("power", [1, 2, 4])
@pytest.mark.parametrize("label", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_loss_of_a_score_is_exact_from_end_to_end(
    power: int, label: bool, dtype: torch.dtype, tolerance: float
) -> None:
    scores = torch.tensor(EXTREME, dtype=dtype, requires_grad=True)
    losses = power_cross_entropy(scores, torch.full((len(EXTREME),), label), power)
    losses.sum().backward()
    assert scores.grad is not None
    tiny = float(torch.finfo(dtype).tiny)
    for score, value, slope in zip(scores.tolist(), losses.tolist(), scores.grad.tolist(), strict=True):
        expected, derivative = exactly(score, label, power)
        assert value == pytest.approx(expected, rel=tolerance, abs=2 * tiny), score
        assert slope == pytest.approx(derivative, rel=tolerance, abs=2 * tiny), score


@given(st.floats(-300, 300), st.booleans(), st.sampled_from([2, 4]))
def test_loss_of_any_score_is_right(score: float, label: bool, power: int) -> None:
    x = torch.tensor([score], dtype=torch.float64, requires_grad=True)
    loss = power_cross_entropy(x, torch.tensor([label]), power)
    loss.sum().backward()
    assert x.grad is not None
    expected, derivative = exactly(score, label, power)
    assert loss.item() == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert x.grad.item() == pytest.approx(derivative, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_of_huge_scores_is_a_line(dtype: torch.dtype) -> None:
    scores = torch.tensor([1e4, -1e4, 1e30, -1e30], dtype=dtype, requires_grad=True)
    losses = [power_cross_entropy(scores, torch.full((4,), label), 4) for label in (True, False)]
    torch.testing.assert_close(losses[0], torch.tensor([0, 4e4, 0, 4e30], dtype=dtype))
    torch.testing.assert_close(losses[1], torch.tensor([1e4 - math.log(4), 0, 1e30, 0], dtype=dtype))
    (losses[0] + losses[1]).sum().backward()
    torch.testing.assert_close(scores.grad, torch.tensor([1.0, -4.0, 1.0, -4.0], dtype=dtype))


def test_loss_of_bf16_scores_is_float32() -> None:
    scores = torch.tensor([-60.0, -1.0, 0.0, 1.0, 60.0], dtype=torch.bfloat16, requires_grad=True)
    labels = torch.tensor([True, False, True, False, False])
    losses = power_cross_entropy(scores, labels, 4)
    assert losses.dtype == torch.float32
    losses.sum().backward()
    assert scores.grad is not None
    for score, label, value, slope in zip(
        scores.tolist(), labels.tolist(), losses.tolist(), scores.grad.tolist(), strict=True
    ):
        expected, derivative = exactly(score, label, 4)
        assert value == pytest.approx(expected, rel=1e-5)
        assert slope == pytest.approx(derivative, rel=0.01)


# The draw of a subject


@given(st.lists(st.tuples(st.integers(0, 2), spans).map(lambda x: (x[0], *x[1])), max_size=8, unique=True))
def test_draws_are_those_of_the_reference(listed: list[tuple[int, int, int]]) -> None:
    """The reference, all its ways counted: a start of any subject, then an end of any that is not before it."""
    expected: dict[tuple[int, int, int], Fraction] = {}
    for row in {row for row, *_ in listed}:
        subjects = [(start, end) for of, start, end in listed if of == row]
        for start in (start for start, _ in subjects):
            ends = [end for _, end in subjects if end >= start]
            for end in ends:
                chance = Fraction(1, len(subjects)) * Fraction(1, len(ends))
                expected[row, start, end] = expected.get((row, start, end), Fraction(0)) + chance
    draws = subject_draws(np.array(sorted(listed), dtype=np.int64).reshape(-1, 3))
    found = list(zip(draws.row.tolist(), draws.start.tolist(), draws.end.tolist(), strict=True))
    assert found == sorted(expected)
    np.testing.assert_allclose(draws.share, [float(expected[key]) for key in found], rtol=1e-12)
    assert {(row, start, end) for row, start, end in listed} <= set(found)


# The whole loss


def slow_loss(head: CasRel, hidden: dict[str, Tensor], batch: dict[str, Any]) -> Tensor:
    """The mean loss over the text tokens, token by token and draw by draw."""
    mask, total = batch["text_mask"], torch.zeros((), dtype=torch.float64)
    for row in range(len(mask)):
        text = mask[row].nonzero().flatten().tolist()
        gold = {tuple(t[1:]) for t in batch["triples"].tolist() if t[0] == row and set(t[2:]) <= set(text)}
        subjects = sorted({(start, end) for _, start, end, _, _ in gold})
        total = total + slow_subject_loss(head, hidden["last"][row], text, subjects)
        for start, _ in subjects:
            ends = [end for _, end in subjects if end >= start]
            for end in ends:
                chance = 1 / len(subjects) / len(ends)
                objects = [(key, first, last) for key, *subject, first, last in gold if subject == [start, end]]
                total = total + chance * slow_object_loss(head, hidden["pre_norm"][row], text, start, end, objects)
    return total / mask.sum()


def slow_subject_loss(head: CasRel, last: Tensor, text: list[int], subjects: list[tuple[int, int]]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for token in text:
        p = torch.sigmoid(head.subject.weight @ last[token] + head.subject.bias) ** 2
        begins, ends = token in {start for start, _ in subjects}, token in {end for _, end in subjects}
        total = total - (torch.log(p[0] if begins else 1 - p[0]) + torch.log(p[1] if ends else 1 - p[1])) / 2
    return total


def slow_objects(head: CasRel, states: Tensor, token: int, start: int, end: int) -> Tensor:
    """Probabilities (K, 2) of one token under one subject."""
    condition = head.condition.weight @ torch.cat((states[start], states[end]))
    x = states[token]
    x = (x - x.mean()) / (x.var(correction=0) + 1e-12).sqrt()
    x = x * (head.gain + condition[:SIZE]) + head.shift + condition[SIZE:]
    return torch.sigmoid((head.object.weight @ x + head.object.bias).view(KEYS, 2)) ** 4


def slow_object_loss(
    head: CasRel, states: Tensor, text: list[int], start: int, end: int, objects: list[tuple[int, int, int]]
) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for token in text:
        p = slow_objects(head, states, token, start, end)
        for key in range(KEYS):
            begins, ends = ((key, token) in {(k, o[i]) for k, *o in objects} for i in (0, 1))
            total = total - torch.log(p[key, 0] if begins else 1 - p[key, 0]) / 2
            total = total - torch.log(p[key, 1] if ends else 1 - p[key, 1]) / 2
    return total


SIZES = [6, 4, 5, 0]
in_text = st.integers(0, 5)
triples = st.tuples(st.integers(0, 2), st.integers(0, KEYS - 1), in_text, in_text, in_text, in_text).map(
    lambda t: (t[0], t[1], min(t[2:4]), max(t[2:4]), min(t[4:]), max(t[4:]))
)


@settings(deadline=None, max_examples=25)
@given(st.lists(triples, max_size=7), st.integers(0, 10_000))
def test_loss_is_the_expected_loss_of_the_reference(listed: list[tuple[int, ...]], seed: int) -> None:
    """Triples given twice count once; one with a token outside the text (position 0, or behind it) not at all."""
    head = build(seed)
    hidden, batch = inputs(SIZES, listed, seed + 1)
    found = []
    for states in hidden.values():
        states.requires_grad_()
    output = head(hidden, batch, want_loss=True)
    assert output.loss_sum is not None and output.weight is not None
    assert output.weight.item() == sum(SIZES)
    for loss in (output.loss_sum / output.weight, slow_loss(head, hidden, batch)):
        loss.backward()
        leaves = [*head.parameters(), *hidden.values()]
        found.append((loss.detach(), [x.grad.clone() if x.grad is not None else torch.zeros_like(x) for x in leaves]))
        for leaf in leaves:
            leaf.grad = None
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-9)


def test_loss_in_blocks_of_subjects_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, batch = inputs([6, 6], [(0, 0, 1, 2, 3, 4), (0, 1, 3, 3, 1, 1), (0, 2, 5, 6, 1, 1), (1, 2, 2, 2, 4, 6)])
    results = []
    for _ in range(2):
        head = build()
        head.dropout.p = 0.3  # what is dropped must be the same when a block is made again
        head.train()
        torch.manual_seed(5)
        output = head(hidden, batch, want_loss=True)
        assert output.loss_sum is not None
        output.loss_sum.backward()
        results.append((output.loss_sum.detach(), [parameter.grad for parameter in head.parameters()]))
        monkeypatch.setattr(casrel, "block_elements", lambda device: 1)
    torch.testing.assert_close(*results)


def test_condition_starts_without_effect_and_learns() -> None:
    head = build(conditioned=False)
    hidden, batch = inputs([6], [(0, 0, 1, 2, 3, 4)])
    assert not head.condition.weight.any()
    one = torch.zeros(1, dtype=torch.int64)
    states = torch.nn.functional.layer_norm(hidden["pre_norm"], (SIZE,), eps=1e-12)
    for end in (1, 6):
        scores = head._objects(states, head._conditions(hidden["pre_norm"], one, one + 1, one + end))
        torch.testing.assert_close(scores.flatten(2), head.object(states))
    loss = head(hidden, batch, want_loss=True).loss_sum
    assert loss is not None
    loss.backward()
    assert head.condition.weight.grad is not None
    assert head.condition.weight.grad.abs().max() > 0


def test_first_probabilities_are_small() -> None:
    """A sigmoid of 0 gives 1/4 for subjects and 1/16 for objects, both under the threshold: nothing is found."""
    head = build(conditioned=False)
    hidden, batch = inputs([6, 3], [])
    torch.nn.init.zeros_(head.subject.weight)
    output = head(hidden, batch, want_loss=False)
    assert torch.all(output.scores.subject.sigmoid() ** 2 == 0.25)
    assert [len(found.score) for found in head.decode(output, batch, DecodeOptions())] == [0, 0]


# Decoding


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=n,
                                                             max_size=n), min_size=1, max_size=4)))  # fmt: skip
def test_nearest_pairs_are_found(flags: list[list[tuple[bool, bool]]]) -> None:
    expected = []
    for group, row in enumerate(flags):
        for start in range(len(row)):
            ends = [end for end in range(start, len(row)) if row[end][1]]
            if row[start][0] and ends:
                expected.append((group, start, ends[0]))
    marks = torch.tensor(flags)
    assert list(zip(*(x.tolist() for x in nearest_pairs(marks[..., 0], marks[..., 1])), strict=True)) == expected


def slow_decode(
    head: CasRel, hidden: dict[str, Tensor], batch: dict[str, Any], threshold: float
) -> list[dict[Triple, float]]:
    """Triple -> score of each row, with one loop inside the other."""
    answers = []
    for row, mask in enumerate(batch["text_mask"]):
        text, found = mask.nonzero().flatten().tolist(), {}
        subject = torch.sigmoid(head.subject(hidden["last"][row])) ** 2
        for start in text:
            ends = [end for end in text if end >= start and subject[end, 1] > threshold]
            if subject[start, 0] <= threshold or not ends:
                continue
            objects = {t: slow_objects(head, hidden["pre_norm"][row], t, start, ends[0]) for t in text}
            for key, first in itertools.product(range(KEYS), text):
                lasts = [last for last in text if last >= first and objects[last][key, 1] > threshold]
                if objects[first][key, 0] > threshold and lasts:
                    four = (subject[start, 0], subject[ends[0], 1], objects[first][key, 0], objects[lasts[0]][key, 1])
                    found[key, start, ends[0], first, lasts[0]] = float(min(four))
        answers.append(found)
    return answers


def as_dict(triples: Triples) -> dict[Triple, float]:
    names = ("predicate", "subject_start", "subject_end", "object_start", "object_end")
    keys = zip(*(getattr(triples, name).tolist() for name in names), strict=True)
    return dict(zip(keys, triples.score.tolist(), strict=True))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([None, 0.0, 0.05, 0.6]), st.booleans())
def test_decoding_is_the_slow_one(seed: int, threshold: float | None, blocks: bool) -> None:
    head = build(seed).eval()
    hidden, batch = inputs([5, 3, 0, 4], [], seed + 1)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if blocks:
            patch.setattr(casrel, "block_elements", lambda device: 1)
        decoded = head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions(threshold=threshold))
        expected = slow_decode(head, hidden, batch, 0.4 if threshold is None else threshold)
    assert [as_dict(triples).keys() for triples in decoded] == [row.keys() for row in expected]
    for triples, row in zip(decoded, expected, strict=True):
        assert as_dict(triples) == pytest.approx(row, rel=1e-5, abs=1e-7)
        assert np.all(np.diff(triples.score) <= 0)
        assert triples.dropped == 0
        np.testing.assert_array_equal(triples.score, triples.probability)


def forced(head: CasRel, length: int) -> tuple[HeadOutput, dict[str, Any]]:
    """Every token begins and ends a subject, and an object of every predicate."""
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(head.object.bias, 9.0)
    scores = Scores(torch.full((2, length, 2), 9.0), *torch.zeros(2, 2, length, SIZE))
    return HeadOutput(None, None, scores), {"text_mask": torch.ones(2, length, dtype=torch.bool)}


def test_bounds_hold_and_what_they_cost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    head = CasRel(SIZE, KEYS).eval()
    output, batch = forced(head, 7)
    every = 7 * KEYS * 7
    whole = head.decode(output, batch, DecodeOptions())
    assert [(len(found.score), found.dropped) for found in whole] == [(every, 0)] * 2
    cut = head.decode(output, batch, DecodeOptions(max_candidates=10))
    assert [(len(found.score), found.dropped) for found in cut] == [(10, every - 10)] * 2
    assert as_dict(cut[0]).items() <= as_dict(whole[0]).items()
    monkeypatch.setattr(casrel, "MOST_SUBJECTS", 2)
    few = head.decode(output, batch, DecodeOptions())
    assert [(len(found.score), found.dropped) for found in few] == [(2 * KEYS * 7, 5)] * 2


def test_a_lower_threshold_may_bring_an_end_nearer() -> None:
    """Why answers at several thresholds are decoded one by one, which `nested` says."""
    head = CasRel(SIZE, 1).eval()
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(head.object.bias, 9.0)
    subject = torch.full((1, 3, 2), -9.0)
    subject[0, 0, 0], subject[0, 1, 1], subject[0, 2, 1] = 9.0, 0.0, 9.0  # probabilities 1, 1/4, 1
    output = HeadOutput(None, None, Scores(subject, *torch.zeros(2, 1, 3, SIZE)))
    batch = {"text_mask": torch.ones(1, 3, dtype=torch.bool)}
    ends = [
        Counter(head.decode(output, batch, DecodeOptions(threshold=threshold))[0].subject_end.tolist())
        for threshold in (0.2, 0.4)
    ]
    assert ends == [{1: 3}, {2: 3}]
    assert head.nested is False


def test_only_triples_of_text_whose_spans_run_forwards_are_learned_each_once() -> None:
    good = [0, 1, 2, 3, 1, 1]
    listed = torch.tensor([good, [0, 1, 3, 2, 1, 1], [0, 1, 1, 1, 3, 2], [0, 1, 0, 1, 2, 2], good])
    assert usable(listed, torch.tensor([[False, True, True, True]])).tolist() == [good]


def test_thresholds_to_try_are_probabilities() -> None:
    assert all(0 < threshold < 1 for threshold in CasRel.thresholds)
