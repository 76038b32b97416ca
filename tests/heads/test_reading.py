"""The reading heads against all pairs looked at one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import reading
from heads.base import DecodeOptions, HeadOutput, Spans
from heads.reading import CANDIDATES, PairHead, ReadingGlobalPointer, ReadingScores, StartEnd

SIZE = 16
HEADS: dict[type[PairHead], dict[str, Any]] = {ReadingGlobalPointer: {"head_size": 8}, StartEnd: {}}
every_head = pytest.mark.parametrize("kind", HEADS, ids=lambda kind: kind.__name__)

# Windows as the encoder gets them: [CLS], question, [SEP], passage, [SEP], padding.
QUESTIONS, PASSAGES = [3, 1, 2, 0], [6, 2, 0, 9]
GOLD = [(0, 5, 7), (1, 0, 0), (2, 0, 0), (3, 2, 2)]


def build(kind: type[PairHead], seed: int = 0) -> PairHead:
    torch.manual_seed(seed)
    return kind(SIZE, **HEADS[kind])


def batch_of(
    questions: list[int], passages: list[int], gold: list[tuple[int, int, int]], seed: int = 1
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random encoder output, and masks for windows of these sizes; `gold` is (row, start, end)."""
    sizes = [3 + q + p for q, p in zip(questions, passages, strict=True)]
    length = max(sizes)
    text = torch.zeros(len(sizes), length, dtype=torch.bool)
    for row, (question, passage) in enumerate(zip(questions, passages, strict=True)):
        text[row, 2 + question : 2 + question + passage] = True
    batch = {
        "attention_mask": torch.arange(length) < torch.tensor(sizes)[:, None],
        "text_mask": text,
        "spans": torch.tensor([(row, 0, s, e) for row, s, e in gold], dtype=torch.int64).reshape(-1, 4),
    }
    return {"last": torch.randn(len(sizes), length, SIZE, generator=torch.Generator().manual_seed(seed))}, batch


def real_batch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return batch_of(QUESTIONS, PASSAGES, GOLD)


def loss_of(output: HeadOutput) -> Tensor:
    assert output.loss_sum is not None
    assert output.weight is not None
    return output.loss_sum / output.weight


# -------------------------------------------------------------------- the slow statement


def score(output: HeadOutput, row: int, start: int, end: int) -> float:
    """The score of one pair, from the head's own scores."""
    if isinstance(output.scores, ReadingScores):
        return (output.scores.queries[row, start] @ output.scores.keys[row, end]).item()
    return (output.scores[row, start, 0] + output.scores[row, end, 1]).item()


def positions(batch: dict[str, Tensor], row: int, *, nothing: bool) -> list[int]:
    text = [i for i in batch["text_mask"][row].nonzero().flatten().tolist() if i]
    return [0, *text] if nothing else text


def pairs(places: list[int]) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in places for j in places if i <= j)


def log_sum(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def slow_loss(output: HeadOutput, batch: dict[str, Tensor]) -> tuple[float, int]:
    total, amount = 0.0, 0
    for row, _, start, end in batch["spans"].tolist():
        places = positions(batch, row, nothing=True)
        if start not in places or end not in places or start > end:
            continue
        amount += 1
        if isinstance(output.scores, ReadingScores):
            every = [score(output, row, i, j) for i, j in pairs(places)]
            total += log_sum(every) - score(output, row, start, end)
        else:
            for side, place in ((0, start), (1, end)):
                every = [output.scores[row, i, side].item() for i in places]
                total += (log_sum(every) - output.scores[row, place, side].item()) / 2
    return total, amount


def slow_answers(output: HeadOutput, batch: dict[str, Tensor], row: int) -> list[tuple[float, float, int, int]]:
    """(-score, share, start, end) of every pair that may be an answer, best first."""
    every = {pair: score(output, row, *pair) for pair in pairs(positions(batch, row, nothing=False))}
    total = log_sum(list(every.values())) if every else 0.0
    return sorted((-s, math.exp(s - total), *pair) for pair, s in every.items())


sizes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), min_size=1, max_size=4)


@every_head
@given(sizes=sizes, seed=st.integers(0, 999), scale=st.sampled_from([0.0, 1.0, 30.0]), data=st.data())
@settings(max_examples=40, deadline=None)
def test_loss_and_answers_are_those_of_all_pairs(
    kind: type[PairHead], sizes: list[tuple[int, int]], seed: int, scale: float, data: st.DataObject
) -> None:
    questions, passages = [q for q, _ in sizes], [p for _, p in sizes]
    length = max(q + p for q, p in sizes) + 3
    place = st.integers(0, length - 1)  # anywhere: some targets stand on questions, separators and padding
    gold = data.draw(st.lists(st.tuples(st.integers(0, len(sizes) - 1), place, place), max_size=4))
    hidden, batch = batch_of(questions, passages, gold, seed)
    head = build(kind, seed).double()
    output = head({"last": hidden["last"].double() * scale}, batch, want_loss=True)
    expected, amount = slow_loss(output, batch)
    assert output.loss_sum is not None
    assert output.loss_sum.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert output.weight is not None
    assert output.weight.item() == amount
    output.loss_sum.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in head.parameters())
    for row, found in enumerate(head.decode(output, batch, DecodeOptions())):
        wanted = slow_answers(output, batch, row)[:CANDIDATES]
        assert found.score.tolist() == pytest.approx([-s for s, *_ in wanted], rel=1e-5, abs=1e-6)
        assert found.probability.tolist() == pytest.approx([share for _, share, *_ in wanted], rel=1e-4, abs=1e-6)
        every = {(i, j): -s for s, _, i, j in slow_answers(output, batch, row)}
        answers = list(zip(found.start.tolist(), found.end.tolist(), strict=True))
        assert len(set(answers)) == len(answers)
        assert [every[pair] for pair in answers] == pytest.approx(found.score.tolist(), rel=1e-5, abs=1e-6)
        assert found.type.tolist() == [0] * len(answers)
        assert found.dropped == 0


@every_head
def test_blocks_of_rows_change_nothing(kind: type[PairHead], monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for _ in range(2):
        head = build(kind)
        hidden, batch = real_batch()
        output = head(hidden, batch, want_loss=True)
        loss_of(output).backward()
        results.append((output.loss_sum, [p.grad for p in head.parameters()], head.decode(output, batch, ANY)))
        monkeypatch.setattr(reading, "block_elements", lambda device: 2 * 14 * 14)
    (loss, gradients, spans), (block_loss, block_gradients, block_spans) = results
    torch.testing.assert_close(loss, block_loss)
    torch.testing.assert_close(gradients, block_gradients)
    assert_same(spans, block_spans)


ANY = DecodeOptions()


def assert_same(first: list[Spans], second: list[Spans]) -> None:
    for mine, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine.start, theirs.start)
        np.testing.assert_array_equal(mine.end, theirs.end)
        np.testing.assert_allclose(mine.score, theirs.score, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mine.probability, theirs.probability, rtol=1e-4, atol=1e-5)


@every_head
def test_a_few_steps_fit_a_small_batch(kind: type[PairHead]) -> None:
    head = build(kind)
    hidden, batch = real_batch()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(head(hidden, batch, want_loss=True))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    found = head.eval().decode(head(hidden, batch, want_loss=False), batch, ANY)
    assert (found[0].start[0], found[0].end[0]) == (5, 7)
    assert (found[3].start[0], found[3].end[0]) == (2, 2)
    assert found[0].probability[0] > 0.9
    assert len(found[2].score) == 0  # a window without a passage has no answer


@every_head
def test_a_window_alone_is_the_window_in_a_padded_batch(kind: type[PairHead]) -> None:
    head = build(kind).eval()
    hidden, batch = real_batch()
    hidden["last"][~batch["attention_mask"]] = 1e3  # what an encoder leaves on padding is anything
    whole = head(hidden, batch, want_loss=True)
    losses, decoded = [], []
    for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
        own = {name: x[row : row + 1, :length] for name, x in batch.items() if name.endswith("mask")}
        own["spans"] = batch["spans"][batch["spans"][:, 0] == row].clone()
        own["spans"][:, 0] = 0
        output = head({"last": hidden["last"][row : row + 1, :length]}, own, want_loss=True)
        losses.append(output.loss_sum)
        decoded += head.decode(output, own, ANY)
    torch.testing.assert_close(whole.loss_sum, torch.stack(losses).sum(), rtol=1e-5, atol=1e-5)
    assert_same(head.decode(whole, batch, ANY), decoded)


@every_head
def test_rows_without_a_target_do_not_count(kind: type[PairHead]) -> None:
    hidden, batch = real_batch()
    batch["spans"] = batch["spans"][:1]
    one = build(kind)(hidden, batch, want_loss=True)
    assert one.weight is not None
    assert one.weight.item() == 1
    batch["spans"] = batch["spans"][:0]
    head = build(kind)
    none = head(hidden, batch, want_loss=True)
    assert none.loss_sum is not None
    none.loss_sum.backward()
    assert none.loss_sum.item() == none.weight.item() == 0
    assert all(p.grad is not None and not bool(p.grad.any()) for p in head.parameters())


@every_head
@pytest.mark.parametrize("way", ["bf16 encoder", "bf16 all", "autocast"])
def test_bf16_is_finite_and_losses_are_float32(kind: type[PairHead], way: str) -> None:
    head = build(kind)
    hidden, batch = real_batch()
    if way != "autocast":
        hidden = {name: x.bfloat16().requires_grad_() for name, x in hidden.items()}
    if way == "bf16 all":
        head = head.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        output = head(hidden, batch, want_loss=True)
        head.decode(output, batch, ANY)
    loss = loss_of(output)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in head.parameters())
    exact = loss_of(build(kind)(*real_batch(), want_loss=True))
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)


@every_head
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_huge_scores_stay_finite(kind: type[PairHead], scale: float) -> None:
    head = build(kind)
    hidden, batch = real_batch()
    output = head({"last": hidden["last"] * scale}, batch, want_loss=True)
    loss_of(output).backward()
    assert bool(loss_of(output).isfinite())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in head.parameters())
    assert all(np.isfinite(s.probability).all() and np.isfinite(s.score).all() for s in head.decode(output, batch, ANY))


@every_head
def test_config_and_state_rebuild_the_head(kind: type[PairHead]) -> None:
    head = build(kind, seed=3)
    again = kind(SIZE, **head.config)
    again.load_state_dict(head.state_dict())
    first, second = (h.eval()(*real_batch(), want_loss=True).loss_sum for h in (head, again))
    assert torch.equal(first, second)


def test_equal_scores_are_answered_by_place() -> None:
    _, batch = batch_of([1], [4], [])
    head = build(StartEnd)
    (spans,) = head.decode(HeadOutput(None, None, torch.zeros(1, 8, 2)), batch, ANY)
    assert list(zip(spans.start.tolist(), spans.end.tolist(), strict=True)) == list(pairs([3, 4, 5, 6]))
    assert spans.probability.tolist() == pytest.approx([0.1] * 10)
    (spans,) = head.decode(HeadOutput(None, None, torch.zeros(1, 8, 2)), batch, DecodeOptions(max_candidates=2))
    assert len(spans.score) == 2


def test_the_scores_of_the_globalpointer_are_the_published_ones() -> None:
    head = build(ReadingGlobalPointer).double()
    assert isinstance(head, ReadingGlobalPointer)
    assert head.linear.bias is None
    assert ReadingGlobalPointer(SIZE).config["head_size"] == 64
    hidden, batch = real_batch()
    output = head({"last": hidden["last"].double()}, batch, want_loss=False)
    x = head.linear(hidden["last"].double())
    q, k = (torch.view_as_complex(part.view(4, 2).contiguous()) for part in (x[1, 3, :8], x[1, 5, 8:]))
    angles = 10000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    turned = [torch.view_as_real(v * torch.polar(torch.ones_like(angles), angles * p)) for v, p in ((q, 3), (k, 5))]
    expected = (turned[0] * turned[1]).sum().item() / 8**0.5
    assert head.pair_scores(output.scores, 1, 2)[0, 3, 5].item() == pytest.approx(expected, abs=1e-12)


def test_an_odd_head_size_is_refused_with_rotary_only() -> None:
    with pytest.raises(ValueError, match="even"):
        ReadingGlobalPointer(SIZE, head_size=7)
    assert ReadingGlobalPointer(SIZE, head_size=7, rotary=False).config["rotary"] is False
