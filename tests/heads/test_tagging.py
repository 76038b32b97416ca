from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heads.base import DecodeOptions, HeadOutput
from heads.crf import CRFTagging
from heads.linear_chain import viterbi
from heads.tagging import (
    SoftmaxTagging,
    flat_subset,
    forbidden_scores,
    is_transition_allowed,
    spans_to_tags,
    tags_to_spans,
)

ROWS, LENGTH, TYPES = 3, 9, 3
one_span = st.tuples(
    st.integers(0, ROWS - 1), st.integers(0, TYPES - 1), st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1)
).map(lambda s: (s[0], s[1], min(s[2:]), max(s[2:])))
some_spans = st.lists(one_span, max_size=12).map(lambda spans: np.array(spans, dtype=np.int64).reshape(-1, 4))


def slow_subset(spans: np.ndarray) -> set[tuple[int, ...]]:
    kept: list[tuple[int, ...]] = []
    for row, kind, start, end in sorted(map(tuple, spans.tolist()), key=lambda s: (s[2] - s[3], s[2], s[1])):
        if not any(other[0] == row and start <= other[3] and other[2] <= end for other in kept):
            kept.append((row, kind, start, end))
    return set(kept)


@settings(max_examples=150, deadline=None)
@given(some_spans)
def test_overlapping_gold_is_thinned_longest_first_and_the_rest_survives_as_tags(spans: np.ndarray) -> None:
    kept = flat_subset(spans)
    expected = slow_subset(spans)
    assert sorted(map(tuple, spans[kept].tolist())) == sorted(expected)
    tags = spans_to_tags(spans, ROWS, LENGTH)
    assert set(map(tuple, tags_to_spans(tags).tolist())) == expected
    for row in tags.tolist():
        assert all(is_transition_allowed(a, b) for a, b in itertools.pairwise([None, *row, None]))


def test_many_flat_spans_are_all_kept() -> None:
    spans = np.array([(row, 0, start, start) for row in range(5) for start in range(8)])
    assert flat_subset(spans).all()
    assert flat_subset(np.empty((0, 4), dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (None, 0, True), (None, 1, True), (None, 2, False),  # a text does not begin inside an entity
        (0, 1, True), (0, 2, False), (1, 2, True), (2, 2, True), (1, 1, True), (2, 1, True),
        (1, 4, False), (2, 4, False), (3, 4, True), (2, 3, True), (2, None, True), (1, None, True), (0, None, True),
    ],
)  # fmt: skip
def test_constraints(before: int | None, after: int | None, allowed: bool) -> None:
    assert is_transition_allowed(before, after) is allowed


def test_orphans_begin_an_entity() -> None:
    assert tags_to_spans(np.array([[2, 2, 0, 4, 1, 4]])).tolist() == [
        [0, 0, 0, 1], [0, 1, 3, 3], [0, 0, 4, 4], [0, 1, 5, 5]
    ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_constrained_decoding_finds_the_best_valid_path(seed: int) -> None:
    emissions = torch.log_softmax(3 * torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(seed)), -1)
    forbidden, start = forbidden_scores(2)
    found = viterbi(emissions, torch.tensor([5]), forbidden, start, torch.zeros(5))[0].tolist()
    valid = [
        path for path in itertools.product(range(5), repeat=5)
        if all(is_transition_allowed(a, b) for a, b in itertools.pairwise([None, *path]))
    ]  # fmt: skip
    scores = {path: sum(emissions[0, n, tag].item() for n, tag in enumerate(path)) for path in valid}
    assert scores[tuple(found)] == pytest.approx(max(scores.values()), abs=1e-5)


def entity_probability(paths: dict[tuple[int, ...], float], kind: int, start: int, end: int) -> float:
    """Share of all paths whose tokens have the entity's tags and whose next token does not continue it."""
    tags = (2 * kind + 1, *[2 * kind + 2] * (end - start))
    total = sum(map(math.exp, paths.values()))
    held = sum(
        math.exp(score) for path, score in paths.items()
        if path[start : end + 1] == tags and (end + 1 == len(path) or path[end + 1] != 2 * kind + 2)
    )  # fmt: skip
    return held / total


@pytest.mark.parametrize("head_type", [CRFTagging, SoftmaxTagging])
def test_a_spans_probability_is_that_of_all_paths_that_hold_it(head_type: type[CRFTagging | SoftmaxTagging]) -> None:
    torch.manual_seed(0)
    head = head_type(8, 2, dropout=0.0).double()
    mask = torch.tensor([[0, 1, 1, 1, 1, 0]]).bool()
    checked = 0
    for seed in range(6):
        scores = 2 * torch.randn(1, 6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        if isinstance(head, CRFTagging):
            transitions, start, end = (x.detach() for x in head.chain(torch.float64))
        else:
            transitions, start, end = (torch.zeros(*s, dtype=torch.float64) for s in ((5, 5), (5,), (5,)))
        paths = {}
        for path in itertools.product(range(5), repeat=4):
            score = start[path[0]] + end[path[-1]] + sum(scores[0, n + 1, tag] for n, tag in enumerate(path))
            paths[path] = float(score + sum(transitions[a, b] for a, b in itertools.pairwise(path)))
        (spans,) = head.decode(HeadOutput(None, None, scores), {"text_mask": mask}, DecodeOptions())
        assert list(spans.score) == sorted(spans.score, reverse=True)
        for kind, first, last, probability in zip(spans.type, spans.start, spans.end, spans.probability, strict=True):
            expected = entity_probability(paths, kind, first - 1, last - 1)
            assert probability == pytest.approx(expected, rel=1e-5)
            checked += 1
    assert checked > 5


def test_a_path_that_only_the_constraints_allow_has_a_finite_score() -> None:
    scores = torch.tensor([[[-200.0, -100.0, 100.0]]])  # inside an entity, at the start of the text
    mask = torch.ones(1, 1, dtype=torch.bool)
    (spans,) = CRFTagging(4, 1).decode(HeadOutput(None, None, scores), {"text_mask": mask}, DecodeOptions())
    assert len(spans.score) == 1
    assert np.isfinite(spans.score).all()


def test_candidates_beyond_the_limit_are_counted() -> None:
    head = SoftmaxTagging(4, 1, dropout=0.0)
    scores = torch.zeros(1, 6, 3)
    scores[0, :, 1] = torch.tensor([1.0, 5.0, 2.0, 9.0, 3.0, 4.0])
    scores[0, :, 2] = -20.0  # hardly any chance of going on
    mask = torch.ones(1, 6, dtype=torch.bool)
    (spans,) = head.decode(HeadOutput(None, None, scores), {"text_mask": mask}, DecodeOptions(max_candidates=2))
    assert spans.start.tolist() == [3, 1]
    assert spans.dropped == 4


def test_training_moves_the_transitions() -> None:
    torch.manual_seed(0)
    head = CRFTagging(4, 1, dropout=0.0)
    batch = {"text_mask": torch.ones(1, 5, dtype=torch.bool), "spans": torch.tensor([[0, 0, 1, 2]])}
    output = head({"last": torch.randn(1, 5, 4)}, batch, want_loss=True)
    assert output.loss_sum is not None
    output.loss_sum.backward()
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
