"""The event linker: gold is learned and decoded, links equal those found pair by pair, and nothing grows for ever."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import event_linker
from heads.base import DecodeOptions, HeadOutput, LinkedSpans
from heads.event_linker import EventGPLinker, EventScores, link_targets
from heads.factorised import Factors

SIZE, TYPES = 16, 4
Spans = set[tuple[int, int, int]]
Links = set[tuple[int, int, int, int]]
GOLD: list[tuple[Spans, Links]] = [
    # Two events that share a span; two roles on one span (linked with itself); a nested span; one span alone.
    (
        {(0, 1, 2), (1, 4, 4), (2, 6, 8), (3, 6, 8), (1, 7, 8), (2, 9, 9)},
        {(1, 2, 4, 4), (1, 2, 6, 8), (4, 4, 6, 8), (6, 8, 6, 8), (6, 8, 7, 8)},
    ),
    ({(2, 1, 3), (0, 2, 3)}, set()),
    (set(), set()),
]  # fmt: skip


def build(seed: int = 0, **config: Any) -> EventGPLinker:
    torch.manual_seed(seed)
    return EventGPLinker(SIZE, TYPES, head_size=8, **config)


def batch_of(gold: list[tuple[Spans, Links]], length: int = 11) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random encoder output and the batch of three texts of 9, 4 and 0 tokens, each after a [CLS]."""
    places, sizes = torch.arange(length), torch.tensor([9, 4, 0])
    hidden = torch.randn(3, length, SIZE, generator=torch.Generator().manual_seed(1))
    spans = [(row, *span) for row, (some, _) in enumerate(gold) for span in sorted(some)]
    links = [(row, *link) for row, (_, some) in enumerate(gold) for link in sorted(some)]
    batch = {
        "attention_mask": places < 2 + sizes[:, None],
        "text_mask": (places >= 1) & (places < 1 + sizes[:, None]),
        "spans": torch.tensor(spans, dtype=torch.int64).reshape(-1, 4),
        "links": torch.tensor(links, dtype=torch.int64).reshape(-1, 5),
    }
    return {"last": hidden}, batch


def answers(found: list[LinkedSpans]) -> list[tuple[Spans, Links]]:
    decoded = []
    for row in found:
        typed = list(zip(row.spans.type.tolist(), row.spans.start.tolist(), row.spans.end.tolist(), strict=True))
        pairs = zip(row.first.tolist(), row.second.tolist(), strict=True)
        decoded.append((set(typed), {tuple(sorted((typed[a][1:], typed[b][1:]))) for a, b in pairs}))
    return [(spans, {(*a, *b) for a, b in links}) for spans, links in decoded]  # type: ignore[misc]


def dense(factors: Factors) -> Tensor:
    """Scores (B, H, L, L), added up in the order of the decoder."""
    A, b, c = factors
    return ((A[:, None] + c.transpose(1, 2)[:, :, None]) + b.transpose(1, 2)[..., None]).float()


def by_loops(scores: EventScores, mask: Tensor, threshold: float) -> list[tuple[Spans, Links]]:
    """Every pair of every two spans looked at by itself."""
    typed, heads, tails = (dense(factors) for factors in scores)
    found = []
    for row in range(len(mask)):
        tokens = mask[row].nonzero().flatten().tolist()
        spans = {
            (kind, i, j)
            for kind in range(typed.shape[1])
            for i in tokens
            for j in tokens
            if i <= j and typed[row, kind, i, j] > threshold
        }
        links = set()
        for (_, h1, t1), (_, h2, t2) in itertools.product(spans, spans):
            head = heads[row, 0, min(h1, h2), max(h1, h2)]
            tail = tails[row, 0, min(t1, t2), max(t1, t2)]
            if head > threshold and tail > threshold and (h1, t1) <= (h2, t2):
                links.add((h1, t1, h2, t2))
        found.append((spans, links))
    return found


def forced(batch: dict[str, Tensor]) -> EventScores:
    """Scores that only gold can win: large at its places, and for each type at its borders."""
    rows, length = batch["text_mask"].shape
    shared, b, c = (
        torch.full((rows, length, length), -5.0),
        *(torch.full((rows, length, TYPES), -20.0) for _ in range(2)),
    )
    row, kind, start, end = batch["spans"].unbind(1)
    shared[row, start, end] = 5.0
    b[row, start, kind] = c[row, end, kind] = 0.0
    none = torch.zeros(rows, length, 1)
    linkers = []
    for targets in link_targets(batch["links"]):
        places = torch.full((rows, length, length), -5.0)
        places[targets[:, 0], targets[:, 2], targets[:, 3]] = 5.0
        linkers.append(Factors(places, none, none))
    return EventScores(Factors(shared, b, c), *linkers)


def test_forced_scores_decode_to_gold() -> None:
    _, batch = batch_of(GOLD)
    found = build().decode(HeadOutput(None, None, forced(batch)), batch, DecodeOptions())
    assert answers(found) == GOLD
    for row in found:
        assert row.dropped == row.spans.dropped == 0
        assert (row.first <= row.second).all()
        assert (row.score == 5.0).all()
        assert [array.dtype for array in (row.first, row.second, row.score)] == [np.int64, np.int64, np.float32]


def test_the_loss_is_that_of_every_pair_written_out() -> None:
    """The published form, term by term, in float64; [CLS], [SEP] and padding take no part."""
    head = build().double()
    hidden, batch = batch_of(GOLD)
    output = head({"last": hidden["last"].double()}, batch, want_loss=True)
    total = 0.0
    for factors, targets in zip(output.scores, (batch["spans"], *link_targets(batch["links"])), strict=True):
        A, b, c = (factor.detach() for factor in factors)
        gold = {tuple(target) for target in targets.tolist()}
        for row, kind in itertools.product(range(3), range(b.shape[2])):
            tokens = batch["text_mask"][row].nonzero().flatten().tolist()
            positive = negative = 1.0
            for i, j in itertools.combinations_with_replacement(tokens, 2):
                score = float(A[row, i, j] + b[row, i, kind] + c[row, j, kind])
                if (row, kind, i, j) in gold:
                    positive += math.exp(-score)
                else:
                    negative += math.exp(score)
            total += math.log(positive) + math.log(negative)
    assert output.loss_sum.item() == pytest.approx(total, abs=1e-9)
    assert output.weight.item() == 3


def test_links_are_written_smaller_position_first_whatever_their_order() -> None:
    one, other = torch.tensor([[2, 1, 9, 4, 5]]), torch.tensor([[2, 4, 5, 1, 9]])
    for found in (link_targets(one), link_targets(other)):
        assert [targets.tolist() for targets in found] == [[[2, 0, 1, 4]], [[2, 0, 5, 9]]]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([-0.5, 0.0, 0.7]), st.booleans())
def test_decoding_is_looking_at_every_pair(seed: int, threshold: float, blocks: bool) -> None:
    random = torch.Generator().manual_seed(seed)
    rows, length = 3, 6
    mask = torch.rand(rows, length, generator=random) < 0.8
    sizes = (TYPES, 1, 1)
    shift = float(torch.rand(1, generator=random)) * 3  # from nearly nothing to nearly everything over the threshold
    scores = EventScores(
        *(
            Factors(
                torch.randn(rows, length, length, generator=random) - shift,
                torch.randn(rows, length, size, generator=random),
                torch.randn(rows, length, size, generator=random),
            )
            for size in sizes
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        if blocks:
            patch.setattr(event_linker, "block_elements", lambda device: 8)
        found = build().decode(HeadOutput(None, None, scores), {"text_mask": mask}, DecodeOptions(threshold=threshold))
    assert answers(found) == by_loops(scores, mask, threshold)
    heads, tails = dense(scores.heads), dense(scores.tails)
    for row, linked in enumerate(found):
        assert (np.diff(linked.score) <= 0).all()
        for a, b, score in zip(linked.first.tolist(), linked.second.tolist(), linked.score.tolist(), strict=True):
            start, end = sorted(linked.spans.start[[a, b]].tolist()), sorted(linked.spans.end[[a, b]].tolist())
            assert score == pytest.approx(min(heads[row, 0, *start], tails[row, 0, *end]).item())
            place = (linked.spans.start == linked.spans.start[a]) & (linked.spans.end == linked.spans.end[a])
            assert int(np.flatnonzero(place)[0]) == a  # the best span of a place stands for it


def test_an_untrained_model_is_bounded_and_says_what_it_left_out() -> None:
    head = build()
    length = 100
    hidden = {"last": torch.randn(2, length, SIZE, generator=torch.Generator().manual_seed(0))}
    batch = {"text_mask": torch.ones(2, length, dtype=torch.bool)}
    found = head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions(threshold=-1e9))
    pairs = length * (length + 1) // 2
    for row in found:
        assert (len(row.spans.score), row.spans.dropped) == (512, TYPES * pairs - 512)
        places = len(set(zip(row.spans.start.tolist(), row.spans.end.tolist(), strict=True)))
        assert (len(row.score), row.dropped) == (4096, places * (places + 1) // 2 - 4096)
    few = head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions(threshold=-1e9, max_candidates=3))
    assert [len(row.spans.score) for row in few] == [3, 3]
