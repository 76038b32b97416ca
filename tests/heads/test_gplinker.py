"""GPLinker: targets, loss and triples against the sentence-by-sentence statement of the published decoding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heads import gplinker
from heads.base import DecodeOptions, HeadOutput, Triples
from heads.factorised import Factors
from heads.gplinker import OBJECT, START_SCORE, SUBJECT, GPLinker, RelationScores, linked
from heads.span_loss import dense_span_loss, valid_pairs

SIZE, PREDICATES = 16, 3
Triple = tuple[int, int, int, int, int]
GOLD: list[set[Triple]] = [
    {(0, 1, 2, 4, 4), (0, 1, 2, 7, 8), (2, 7, 8, 1, 2), (1, 1, 2, 1, 1)},
    {(1, 3, 3, 1, 2)},
    set(),
]


def build(seed: int = 0) -> GPLinker:
    torch.manual_seed(seed)
    return GPLinker(SIZE, PREDICATES, head_size=8)


def batch_of(gold: list[set[Triple]], length: int = 11) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random encoder output and the batch of three texts of 9, 4 and 0 tokens, each after a [CLS]."""
    places, sizes = torch.arange(length), torch.tensor([9, 4, 0])
    hidden = torch.randn(3, length, SIZE, generator=torch.Generator().manual_seed(1))
    listed = [(row, *triple) for row, triples in enumerate(gold) for triple in sorted(triples)]
    batch = {
        "attention_mask": places < 2 + sizes[:, None],
        "text_mask": (places >= 1) & (places < 1 + sizes[:, None]),
        "triples": torch.tensor(listed, dtype=torch.int64).reshape(-1, 6),
    }
    return {"last": hidden}, batch


def random_scores(seed: int, rows: int, length: int, predicates: int, steps: int | None) -> RelationScores:
    """Scores of nothing in particular; with `steps` few different values, so that many are equal."""
    random = torch.Generator().manual_seed(seed)

    def factors(types: int) -> Factors:
        shapes = ((rows, length, length), (rows, length, types), (rows, length, types))
        drawn = [torch.randn(*shape, generator=random) - 0.3 for shape in shapes]
        return Factors(*(x if steps is None else (x * steps).round() / steps for x in drawn))

    return RelationScores(factors(2), factors(predicates), factors(predicates))


def written_out(factors: Factors) -> np.ndarray:
    """(B, H, L, L), in the order of additions that the factorised form states."""
    A, b, c = factors
    return ((A[:, None] + c.transpose(1, 2)[:, :, None]) + b.transpose(1, 2)[..., None]).numpy()


def slowly(scores: RelationScores, text_mask: Tensor, threshold: float) -> list[dict[Triple, float]]:
    """One sentence at a time: nested loops over `numpy.where`, as the published decoding has it."""
    entities, heads, tails = (written_out(factors) for factors in scores)
    answers: list[dict[Triple, float]] = []
    for row, mask in enumerate(text_mask.tolist()):
        subjects, objects = [], []
        for kind, start, end in zip(*np.where(entities[row] > threshold), strict=True):
            if start <= end and mask[start] and mask[end]:
                (subjects if kind == SUBJECT else objects).append((int(start), int(end)))
        found: dict[Triple, float] = {}
        for s0, s1 in subjects:
            for o0, o1 in objects:
                by_head = set(np.where(heads[row, :, s0, o0] > threshold)[0].tolist())
                by_tail = set(np.where(tails[row, :, s1, o1] > threshold)[0].tolist())
                for p in by_head & by_tail:
                    terms = (
                        entities[row, SUBJECT, s0, s1], entities[row, OBJECT, o0, o1],
                        heads[row, p, s0, o0], tails[row, p, s1, o1],
                    )  # fmt: skip
                    found[p, s0, s1, o0, o1] = float(min(terms))
        answers.append(found)
    return answers


def listed(triples: Triples) -> list[Triple]:
    columns = (
        triples.predicate, triples.subject_start, triples.subject_end, triples.object_start, triples.object_end
    )  # fmt: skip
    return list(zip(*(column.tolist() for column in columns), strict=True))


def decoded(scores: RelationScores, text_mask: Tensor, options: DecodeOptions, predicates: int) -> list[Triples]:
    head = GPLinker(SIZE, predicates, head_size=8)
    return head.decode(HeadOutput(None, None, scores), {"text_mask": text_mask}, options)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), rows=st.integers(1, 3), length=st.integers(2, 9), predicates=st.integers(1, 4),
    threshold=st.sampled_from([None, -100.0, -0.5, 0.7, 100.0]), limit=st.sampled_from([0, 1, 7, 10**6]),
    steps=st.sampled_from([None, 2]),
)  # fmt: skip
def test_exactly_the_triples_of_the_nested_loops(
    seed: int, rows: int, length: int, predicates: int, threshold: float | None, limit: int, steps: int | None
) -> None:
    scores = random_scores(seed, rows, length, predicates, steps)
    sizes = torch.randint(0, length, (rows, 1), generator=torch.Generator().manual_seed(seed))
    text_mask = (torch.arange(length) >= 1) & (torch.arange(length) < 1 + sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gplinker, "block_elements", lambda device: 5 * predicates)
        patch.setattr(gplinker, "MAX_ENTITIES", 10**6)
        patch.setattr(gplinker, "MAX_TRIPLES", 10**6)
        answers = decoded(scores, text_mask, DecodeOptions(threshold, limit), predicates)
    expected = slowly(scores, text_mask, threshold or 0.0)
    for mine, theirs in zip(answers, expected, strict=True):
        assert set(listed(mine)) <= set(theirs)
        assert len(set(listed(mine))) == len(mine.score) == min(limit, len(theirs))
        assert mine.score.tolist() == [np.float32(theirs[triple]) for triple in listed(mine)]
        assert mine.score.tolist() == sorted(theirs.values(), reverse=True)[: len(mine.score)]
        assert mine.probability.tolist() == pytest.approx([1 / (1 + math.exp(-2 * s)) for s in mine.score], abs=1e-6)
        assert mine.dropped == len(theirs) - len(mine.score)


def test_the_order_of_equal_scores_does_not_depend_on_the_order_of_work() -> None:
    scores = random_scores(3, 2, 8, 3, steps=1)
    text_mask = torch.ones(2, 8, dtype=torch.bool)
    answers = decoded(scores, text_mask, DecodeOptions(), 3)
    for triples in answers:
        keyed = [(-score, *triple) for score, triple in zip(triples.score.tolist(), listed(triples), strict=True)]
        assert keyed == sorted(keyed)


def test_an_untrained_model_stays_bounded_and_counts_what_it_leaves_out() -> None:
    scores = random_scores(0, 2, 40, 8, None)
    text_mask = torch.ones(2, 40, dtype=torch.bool)
    first, second = decoded(scores, text_mask, DecodeOptions(threshold=-0.3, max_candidates=100), 8)
    over = sum(
        int((written_out(scores.entities)[0, kind][np.triu_indices(40)] > -0.3).sum()) for kind in (SUBJECT, OBJECT)
    )
    assert over > gplinker.MAX_ENTITIES
    assert len(first.score) == len(second.score) == 100
    assert first.dropped > over - gplinker.MAX_ENTITIES
    assert (np.diff(first.score) <= 0).all()


def test_entities_beyond_the_bound_are_counted_where_no_triple_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gplinker, "MAX_ENTITIES", 3)
    nothing = Factors(*(torch.full((1, 2, *rest), -9.0) for rest in ((2,), (1,), (1,))))
    entities = Factors(torch.ones(1, 2, 2), torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    scores = RelationScores(entities, nothing, nothing)
    (triples,) = decoded(scores, torch.ones(1, 2, dtype=torch.bool), DecodeOptions(), 1)
    assert (len(triples.score), triples.dropped) == (0, 3)  # of three spans, each a subject and an object


def test_targets_of_the_three_scorers() -> None:
    spans, heads, tails = linked(torch.tensor([[0, 2, 1, 3, 5, 6], [1, 0, 4, 4, 2, 2]]))
    assert spans.tolist() == [[0, SUBJECT, 1, 3], [1, SUBJECT, 4, 4], [0, OBJECT, 5, 6], [1, OBJECT, 2, 2]]
    assert heads.tolist() == [[0, 2, 1, 5], [1, 0, 4, 2]]
    assert tails.tolist() == [[0, 2, 3, 6], [1, 0, 4, 2]]


def test_the_loss_is_the_sum_of_the_three_dense_losses_by_row() -> None:
    head = build().double()
    hidden, batch = batch_of(GOLD)
    output = head({"last": hidden["last"].double()}, batch, want_loss=True)
    assert output.loss_sum is not None
    assert output.weight is not None
    entities, heads, tails = output.scores
    expected = torch.zeros((), dtype=torch.float64)
    any_order = valid_pairs(batch["text_mask"], ordered=False)
    valid = (valid_pairs(batch["text_mask"]), any_order, any_order)
    for (A, b, c), pairs, targets in zip((entities, heads, tails), valid, linked(batch["triples"]), strict=True):
        dense = A[:, None] + b.transpose(1, 2)[..., None] + c.transpose(1, 2)[:, :, None]
        expected = expected + dense_span_loss(dense, pairs, targets)
    assert output.loss_sum.item() == pytest.approx(expected.item(), abs=1e-10)
    assert output.weight.item() == 3.0


def test_a_few_steps_fit_a_small_batch_and_gold_decodes() -> None:
    head = build()
    hidden, batch = batch_of(GOLD)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(40):
        optimizer.zero_grad()
        output = head(hidden, batch, want_loss=True)
        loss = output.loss_sum / output.weight
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    output = head.eval()(hidden, batch, want_loss=False)
    assert output.loss_sum is None
    assert [set(listed(row)) for row in head.decode(output, batch, DecodeOptions())] == GOLD


def test_a_row_alone_is_the_row_in_a_padded_batch() -> None:
    head = build().eval()
    hidden, batch = batch_of(GOLD)
    hidden["last"][:, 6:][~batch["attention_mask"][:, 6:]] = 1e3  # what an encoder leaves on padding is anything
    whole = head(hidden, batch, want_loss=True)
    together = head.decode(whole, batch, DecodeOptions(threshold=START_SCORE - 0.5))
    losses = []
    for row, length in enumerate((11, 6, 2)):
        own = {name: batch[name][row : row + 1, :length] for name in ("attention_mask", "text_mask")}
        own["triples"] = batch["triples"][batch["triples"][:, 0] == row].clone()
        own["triples"][:, 0] = 0
        output = head({"last": hidden["last"][row : row + 1, :length]}, own, want_loss=True)
        losses.append(output.loss_sum)
        (alone,) = head.decode(output, own, DecodeOptions(threshold=START_SCORE - 0.5))
        assert set(listed(alone)) == set(listed(together[row]))
        assert len(alone.score) > 0 or row == 2
        np.testing.assert_allclose(alone.score, together[row].score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole.loss_sum, torch.stack(losses).sum(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ["bf16 encoder", "autocast", "huge", "no gold"])
def test_values_and_gradients_stay_finite(way: str) -> None:
    head = build()
    hidden, batch = batch_of([set(), set(), set()] if way == "no gold" else GOLD)
    last = hidden["last"] * (1e4 if way == "huge" else 1)
    last = last.bfloat16() if way == "bf16 encoder" else last
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        output = head({"last": last}, batch, want_loss=True)
    assert output.loss_sum.dtype == torch.float32
    output.loss_sum.backward()
    assert bool(output.loss_sum.isfinite())
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())
    head.decode(output, batch, DecodeOptions())


def test_config_and_state_rebuild_the_head() -> None:
    head = build(3)
    config: dict[str, Any] = head.config
    again = GPLinker(SIZE, **config)
    again.load_state_dict(head.state_dict())
    hidden, batch = batch_of(GOLD)
    first, second = (h.eval()(hidden, batch, want_loss=True).loss_sum for h in (head, again))
    assert torch.equal(first, second)


def test_an_untrained_model_finds_next_to_nothing() -> None:
    head = build().eval()
    hidden, batch = batch_of(GOLD)
    for factors in head(hidden, batch, want_loss=False).scores:
        assert written_out(Factors(*(factor.detach() for factor in factors))).mean() == pytest.approx(
            START_SCORE, abs=1
        )
    assert "start_score" not in head.config
