"""What every head must do; a new head is tested by naming it in `tests.heads.cases`."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import heads
from heads import globalpointer
from heads.base import DecodeOptions, Head, HeadOutput
from heads.casrel import CasRel
from heads.choice import Choice
from heads.classification import Classification
from heads.crf import CRFTagging
from heads.efficient_globalpointer import EfficientGlobalPointer
from heads.event_linker import EventGPLinker
from heads.factorised import FactorisedScorer, Factors
from heads.globalpointer import GlobalPointer, Projections
from heads.gplinker import GPLinker
from heads.reading import ReadingGlobalPointer, StartEnd
from heads.tagging import SoftmaxTagging
from tests.heads.cases import CASES, RAGGED, SIZE, TYPES, Batch, batch_of, build, loss_of, part_of, span_rows

SPAN_HEADS = [SoftmaxTagging, CRFTagging, GlobalPointer, EfficientGlobalPointer]
every_head = pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
every_span_head = pytest.mark.parametrize("kind", SPAN_HEADS, ids=lambda kind: kind.__name__)


def test_every_head_is_looked_at() -> None:
    """A class of `heads` that has a forward pass of its own is a head."""
    found = set()
    for module in pkgutil.iter_modules(heads.__path__, "heads."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Head) and value is not Head and "forward" in vars(value):
                found.add(value)
    assert found == set(CASES)


@every_head
def test_a_few_steps_fit_a_small_batch_and_gold_decodes(kind: type[Head]) -> None:
    head, case = build(kind), CASES[kind]
    hidden, batch = batch_of(kind)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(head(hidden, batch, want_loss=True))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    output = head.eval()(hidden, batch, want_loss=False)
    assert output.loss_sum is None
    assert output.weight is None
    found = head.decode(output, batch, DecodeOptions())
    assert len(found) == len(case.sizes)
    assert case.read(found, batch) == case.wanted
    for candidates in found:
        probability = getattr(getattr(candidates, "spans", candidates), "probability", np.ones(1))
        assert probability.min(initial=1.0) >= 0 and probability.max(initial=0.0) <= 1


def stirred(kind: type[Head]) -> tuple[Head, Batch, Batch]:
    """The head far from its start (parameters that begin at zero have something to say), its batch, and anything on
    padding, as an encoder leaves it there."""
    head = build(kind)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    hidden, batch = batch_of(kind)
    for name in ("last", "pre_norm"):
        hidden[name][~batch["attention_mask"]] = 1e3
    return head, hidden, batch


@every_head
@pytest.mark.parametrize("cut", [[[0], [1, 2]], [[0], [1], [2]], [[2, 0], [1]], [[1], [], [0, 2]]], ids=str)
def test_however_a_batch_is_cut_loss_and_gradients_are_the_same(kind: type[Head], cut: list[list[int]]) -> None:
    """Micro-batches and processes: sums of `loss_sum` over the sum of `weight`, units kept whole."""
    head, hidden, batch = stirred(kind)
    leaves = [*head.parameters(), *(states.requires_grad_() for states in hidden.values())]
    whole = head(hidden, batch, want_loss=True)
    loss_of(whole).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    expected = [take_gradient(leaf) for leaf in leaves]
    outputs = []
    for units in cut:
        rows = [row for unit in units for row, of in enumerate(batch["unit"].tolist()) if of == unit]
        if rows:  # a process without a share computes nothing
            outputs.append(head(*part_of(hidden, batch, rows), want_loss=True))
            outputs[-1].loss_sum.backward()
    weight = torch.stack([output.weight for output in outputs]).sum()
    loss = torch.stack([output.loss_sum.detach() for output in outputs]).sum() / weight
    torch.testing.assert_close(weight, whole.weight)
    torch.testing.assert_close(loss, loss_of(whole).detach(), rtol=1e-5, atol=1e-6)
    found = torch.cat([take_gradient(leaf).flatten() / weight for leaf in leaves])
    difference = found - torch.cat([gradient.flatten() for gradient in expected])
    assert float(difference.norm() / found.norm()) < 1e-5


@every_head
def test_a_unit_alone_is_answered_as_in_a_padded_batch(kind: type[Head]) -> None:
    head, hidden, batch = stirred(kind)
    head.eval()
    together = head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions())
    alone: list[Any] = []
    for unit in range(int(batch["unit"].max()) + 1):
        states, own = part_of(hidden, batch, (batch["unit"] == unit).nonzero().flatten().tolist())
        alone += head.decode(head(states, own, want_loss=False), own, DecodeOptions())
    assert sum(len(columns_of(found)[-1]) for found in together) > 0
    for mine, theirs in zip(map(columns_of, together), map(columns_of, alone), strict=True):
        for column, other in zip(mine, theirs, strict=True):
            if column.dtype.kind == "i":
                np.testing.assert_array_equal(column, other)
            else:
                np.testing.assert_allclose(column, other, rtol=1e-4, atol=1e-5)


def columns_of(found: Any) -> list[np.ndarray]:
    """The arrays of candidates; class scores are one."""
    if isinstance(found, np.ndarray):
        return [found]
    values = [getattr(found, field.name) for field in dataclasses.fields(found)]
    return [column for value in values if not isinstance(value, int) for column in columns_of(value)]


def take_gradient(leaf: Tensor) -> Tensor:
    gradient, leaf.grad = leaf.grad, None
    return torch.zeros_like(leaf) if gradient is None else gradient


@every_span_head
def test_forced_scores_decode_to_gold(kind: type[Head]) -> None:
    head = build(kind)
    _, batch = batch_of(kind)
    found = head.decode(HeadOutput(None, None, forced(head, batch)), batch, DecodeOptions())
    assert span_rows(found, batch) == CASES[kind].gold


def forced(head: Head, batch: dict[str, Tensor]) -> Any:
    """Scores in the head's own form that only gold can win."""
    rows, length = batch["text_mask"].shape
    if isinstance(head, SoftmaxTagging | CRFTagging):
        return torch.nn.functional.one_hot(head.gold_tags(batch), 2 * TYPES + 1).float() * 20
    scores = torch.full((rows, TYPES, length, length), -5.0)
    row, kind, start, end = batch["spans"].unbind(1)
    scores[row, kind, start, end] = 5.0
    if isinstance(head, GlobalPointer):  # the identity as keys makes the queries the scores
        return Projections(scores, torch.eye(length).expand(rows, TYPES, -1, -1))
    # Factors cannot force any set of spans: one type at a time would be needed; here types differ in b and c only.
    shared = scores.amax(1)
    b, c = torch.full((rows, length, TYPES), -20.0), torch.full((rows, length, TYPES), -20.0)
    b[row, start, kind], c[row, end, kind] = 0.0, 0.0
    return Factors(shared, b, c)


@every_head
@pytest.mark.parametrize("way", ["bf16 encoder", "bf16 all", "autocast"])
def test_bf16_is_finite_and_losses_are_float32(kind: type[Head], way: str) -> None:
    head = build(kind)
    hidden, batch = batch_of(kind)
    if way != "autocast":
        hidden = {name: x.bfloat16().requires_grad_() for name, x in hidden.items()}
    if way == "bf16 all":
        head = head.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        output = head(hidden, batch, want_loss=True)
    loss = loss_of(output)
    assert loss.dtype == torch.float32
    loss.backward()
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())
    exact = loss_of(build(kind)(batch_of(kind)[0], batch, want_loss=True))
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    head.decode(output, batch, DecodeOptions())


@every_head
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_huge_scores_stay_finite(kind: type[Head], scale: float) -> None:
    head = build(kind)
    hidden, batch = batch_of(kind)
    loss = loss_of(head({name: x * scale for name, x in hidden.items()}, batch, want_loss=True))
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in head.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("kind", [kind for kind in CASES if CASES[kind].target in RAGGED], ids=lambda k: k.__name__)
def test_a_batch_without_gold_has_finite_gradients(kind: type[Head]) -> None:
    head = build(kind)
    hidden, batch = batch_of(kind, gold=False)
    loss = head(hidden, batch, want_loss=True).loss_sum
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in head.parameters() if p.grad is not None)
    head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions())


@every_span_head
def test_the_weight_of_a_loss_is_the_number_of_what_the_published_mean_is_over(kind: type[Head]) -> None:
    hidden, batch = batch_of(kind)
    rows, tokens = len(batch["text_mask"]), int(batch["text_mask"].sum())
    expected = {SoftmaxTagging: tokens, CRFTagging: rows}.get(kind, rows * TYPES)
    assert build(kind)(hidden, batch, want_loss=True).weight.item() == expected


PARAMETERS: dict[type[Head], int] = {
    Classification: 7_690, Choice: 769, SoftmaxTagging: 16_149, CRFTagging: 16_632, GlobalPointer: 984_320,
    EfficientGlobalPointer: 101_012, ReadingGlobalPointer: 98_304, StartEnd: 1_538, GPLinker: 300_972,
    CasRel: 2_377_750, EventGPLinker: 298_392,
}  # fmt: skip
"""With ten classes, types or predicates on an encoder of base size. With another number saved models load no more."""


@every_head
def test_sizes_and_biases_are_those_of_saved_models(kind: type[Head]) -> None:
    ten = dict.fromkeys({"classes", "types", "predicates"} & CASES[kind].config.keys(), 10)
    head = kind(768, **ten)  # type: ignore[call-arg]
    assert sum(parameter.numel() for parameter in head.parameters()) == PARAMETERS[kind]


def test_only_taggers_answer_without_overlaps() -> None:
    assert {kind for kind in CASES if kind.flat} == {SoftmaxTagging, CRFTagging}


def test_links_do_not_turn_with_their_places() -> None:
    """Which tokens belong together does not depend on their distance."""
    for head in (build(GPLinker), build(EventGPLinker)):
        scorers = [module for module in head.children() if isinstance(module, FactorisedScorer)]
        assert [scorer.rotary for scorer in scorers] == [True, False, False]


@every_head
def test_config_and_state_rebuild_the_head(kind: type[Head]) -> None:
    head = build(kind, seed=3)
    again = kind(SIZE, **head.config)  # type: ignore[call-arg]
    again.load_state_dict(head.state_dict())
    hidden, batch = batch_of(kind)
    first, second = (h.eval()(hidden, batch, want_loss=True).loss_sum for h in (head, again))
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", [GlobalPointer, EfficientGlobalPointer])
def test_a_threshold_moves_the_answer(kind: type[Head]) -> None:
    head = build(kind).eval()
    hidden, batch = batch_of(kind)
    output = head(hidden, batch, want_loss=False)
    sizes = [
        sum(len(s.score) for s in head.decode(output, batch, DecodeOptions(threshold=threshold)))
        for threshold in (-1e9, None, 0.0, 1e9)
    ]
    assert head.thresholded
    assert sizes[0] == TYPES * (45 + 10)
    assert sizes[0] > sizes[1] == sizes[2] > sizes[3] == 0


def test_globalpointer_in_blocks_of_types_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for _ in range(2):
        head = build(GlobalPointer)
        hidden, batch = batch_of(GlobalPointer)
        output = head(hidden, batch, want_loss=True)
        loss_of(output).backward()
        gradients = [parameter.grad for parameter in head.parameters()]
        results.append((output.loss_sum, gradients, head.decode(output, batch, DecodeOptions())))
        monkeypatch.setattr(globalpointer, "block_elements", lambda device: 1)
    (loss, gradients, spans), (block_loss, block_gradients, block_spans) = results
    torch.testing.assert_close(loss, block_loss)
    torch.testing.assert_close(gradients, block_gradients)
    assert span_rows(spans, batch) == span_rows(block_spans, batch)


def test_globalpointer_scores_are_the_published_ones() -> None:
    head = build(GlobalPointer).double()
    hidden, batch = batch_of(GlobalPointer)
    output = head({"last": hidden["last"].double()}, batch, want_loss=False)
    scores = globalpointer.span_scores(*output.scores)
    x = head.linear(hidden["last"].double())
    for kind in range(TYPES):
        q, k = x[1, :, kind * 16 : kind * 16 + 8], x[1, :, kind * 16 + 8 : kind * 16 + 16]
        turned_q = torch.view_as_real(torch.view_as_complex(q[2].view(4, 2).contiguous()) * turn(2, 8)).flatten()
        turned_k = torch.view_as_real(torch.view_as_complex(k[4].view(4, 2).contiguous()) * turn(4, 8)).flatten()
        assert scores[1, kind, 2, 4].item() == pytest.approx((turned_q @ turned_k).item() / 8**0.5, abs=1e-10)


def test_efficient_globalpointer_scores_are_the_published_ones() -> None:
    head = build(EfficientGlobalPointer).double()
    hidden, batch = batch_of(EfficientGlobalPointer)
    shared, b, c = head({"last": hidden["last"].double()}, batch, want_loss=False).scores
    z = head.project(hidden["last"].double())
    e = head.types_of(z)
    q, k = z[0, 3, 0::2], z[0, 5, 1::2]
    turned_q = torch.view_as_real(torch.view_as_complex(q.view(4, 2).contiguous()) * turn(3, 8)).flatten()
    turned_k = torch.view_as_real(torch.view_as_complex(k.view(4, 2).contiguous()) * turn(5, 8)).flatten()
    for kind in range(TYPES):
        expected = (turned_q @ turned_k) / 8**0.5 + (e[0, 3, 2 * kind + 1] + e[0, 5, 2 * kind]) / 2
        found = shared[0, 3, 5] + b[0, 3, kind] + c[0, 5, kind]
        assert found.item() == pytest.approx(expected.item(), abs=1e-10)


def turn(position: int, size: int) -> Tensor:
    angles = position * 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    return torch.polar(torch.ones_like(angles), angles)


def test_class_weights_weigh_rows() -> None:
    hidden, batch = batch_of(Classification)
    torch.manual_seed(0)
    head = Classification(SIZE, 3, dropout=0.0, class_weights=[1.0, 2.0, 0.5])
    output = head(hidden, batch, want_loss=True)
    rows = torch.nn.functional.cross_entropy(output.scores, batch["labels"], reduction="none")
    weights = torch.tensor([1.0, 0.5, 2.0])
    torch.testing.assert_close(output.loss_sum, (rows * weights).sum())
    torch.testing.assert_close(output.weight, weights.sum())
    expected = torch.nn.functional.cross_entropy(output.scores, batch["labels"], weight=head.class_weights)
    torch.testing.assert_close(loss_of(output), expected)
    assert "class_weights" not in head.state_dict()


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, -1.0], [1.0, 2.0, float("nan")]])
def test_unusable_class_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="class_weights"):
        Classification(SIZE, 3, class_weights=weights)


def test_decoded_class_scores_are_logits() -> None:
    head = build(Classification).eval()
    hidden, batch = batch_of(Classification)
    output = head(hidden, batch, want_loss=False)
    decoded = head.decode(output, batch, DecodeOptions())
    assert all(row.dtype == np.float32 and row.shape == (3,) for row in decoded)
    np.testing.assert_array_equal(np.stack(decoded), output.scores.detach().numpy())


@pytest.mark.parametrize("kind", [Classification, SoftmaxTagging])
def test_divergence_is_the_mean_of_both_directions(kind: type[Head]) -> None:
    hidden, batch = batch_of(kind)
    outputs = [build(kind, seed)(hidden, batch, want_loss=True) for seed in (0, 1)]
    first, second = (output.scores.log_softmax(-1) for output in outputs)
    each = ((first.exp() * (first - second)).sum(-1) + (second.exp() * (second - first)).sum(-1)) / 2
    expected = each.sum() if kind is Classification else each[batch["text_mask"]].sum()
    found = build(kind).divergence(*outputs, batch)
    torch.testing.assert_close(found, expected)
    same = build(kind).divergence(outputs[0], outputs[0], batch)
    assert same.item() == 0.0


@pytest.mark.parametrize("kind", [GlobalPointer, EfficientGlobalPointer])
def test_an_odd_head_size_is_refused_with_rotary_only(kind: Callable[..., Head]) -> None:
    with pytest.raises(ValueError, match="even"):
        kind(SIZE, types=1, head_size=7)
    assert kind(SIZE, types=1, head_size=7, rotary=False).config["rotary"] is False


def test_importing_heads_imports_no_torch() -> None:
    code = "import sys, heads; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
