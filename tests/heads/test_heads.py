"""What every head must do; a new head is tested by naming it in `HEADS`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from heads import globalpointer
from heads.base import DecodeOptions, Head, HeadOutput, Spans
from heads.classification import Classification
from heads.crf import CRFTagging
from heads.efficient_globalpointer import EfficientGlobalPointer, Factors
from heads.globalpointer import GlobalPointer, Projections
from heads.tagging import SoftmaxTagging

SIZE, TYPES = 16, 3
HEADS: dict[type[Head], dict[str, Any]] = {
    Classification: {"classes": TYPES, "dropout": 0.0},
    SoftmaxTagging: {"types": TYPES, "dropout": 0.0},
    CRFTagging: {"types": TYPES, "dropout": 0.0},
    GlobalPointer: {"types": TYPES, "head_size": 8},
    EfficientGlobalPointer: {"types": TYPES, "head_size": 8},
}
SPAN_HEADS = [head for head in HEADS if head is not Classification]
every_head = pytest.mark.parametrize("kind", HEADS, ids=lambda kind: kind.__name__)
every_span_head = pytest.mark.parametrize("kind", SPAN_HEADS, ids=lambda kind: kind.__name__)

Gold = list[set[tuple[int, int, int]]]
FLAT: Gold = [{(0, 1, 1), (1, 2, 4), (1, 5, 6), (2, 8, 9)}, {(2, 1, 3)}, set()]
NESTED: Gold = [{(0, 1, 1), (0, 1, 4), (1, 2, 6), (2, 8, 9), (1, 8, 9)}, {(2, 1, 3), (2, 2, 3)}, set()]


def build(kind: type[Head], seed: int = 0) -> Head:
    torch.manual_seed(seed)
    return kind(SIZE, **HEADS[kind])  # type: ignore[call-arg]


def batch_of(gold: Gold, length: int = 11) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random encoder output and the batch of three texts of 9, 4 and 0 tokens, each after a [CLS]."""
    places, sizes = torch.arange(length), torch.tensor([9, 4, 0])
    random = torch.Generator().manual_seed(1)
    hidden = torch.randn(3, length, SIZE, generator=random)
    listed = [(row, *span) for row, spans in enumerate(gold) for span in sorted(spans)]
    batch = {
        "attention_mask": places < 2 + sizes[:, None],
        "text_mask": (places >= 1) & (places < 1 + sizes[:, None]),
        "labels": torch.tensor([0, 2, 1]),
        "spans": torch.tensor(listed, dtype=torch.int64),
    }
    return {"last": hidden, "pooled": hidden[:, 0].contiguous()}, batch


def answers(spans: list[Spans]) -> Gold:
    return [set(zip(s.type.tolist(), s.start.tolist(), s.end.tolist(), strict=True)) for s in spans]


def loss_of(output: HeadOutput) -> Tensor:
    assert output.loss_sum is not None
    assert output.weight is not None
    return output.loss_sum / output.weight


@every_head
def test_a_few_steps_fit_a_small_batch_and_gold_decodes(kind: type[Head]) -> None:
    head = build(kind)
    gold = FLAT if head.flat else NESTED
    hidden, batch = batch_of(gold)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(40):
        optimizer.zero_grad()
        loss = loss_of(head(hidden, batch, want_loss=True))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    output = head.eval()(hidden, batch, want_loss=False)
    assert output.loss_sum is None
    assert output.weight is None
    found = head.decode(output, batch, DecodeOptions())
    if kind is Classification:
        assert [int(scores.argmax()) for scores in found] == batch["labels"].tolist()
    else:
        assert answers(found) == gold
        assert all(s.probability.min(initial=1.0) > 0.5 and s.probability.max(initial=0.0) <= 1 for s in found)


@every_span_head
def test_forced_scores_decode_to_gold(kind: type[Head]) -> None:
    head = build(kind)
    gold = FLAT if head.flat else NESTED
    hidden, batch = batch_of(gold)
    del hidden
    assert answers(head.decode(HeadOutput(None, None, forced(head, batch)), batch, DecodeOptions())) == gold


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
def test_a_row_alone_is_the_row_in_a_padded_batch(kind: type[Head]) -> None:
    head = build(kind).eval()
    hidden, batch = batch_of(FLAT)
    hidden["last"][:, 6:][~batch["attention_mask"][:, 6:]] = 1e3  # what an encoder leaves on padding is anything
    whole = head(hidden, batch, want_loss=True)
    losses, weights, decoded = [], [], []
    for row, length in enumerate((11, 6, 2)):
        own = {name: x[row : row + 1, :length] for name, x in batch.items() if name.endswith("mask")}
        own["labels"] = batch["labels"][row : row + 1]
        own["spans"] = batch["spans"][batch["spans"][:, 0] == row].clone()
        own["spans"][:, 0] = 0
        alone = {"last": hidden["last"][row : row + 1, :length], "pooled": hidden["pooled"][row : row + 1]}
        output = head(alone, own, want_loss=True)
        losses.append(output.loss_sum)
        weights.append(output.weight)
        decoded += head.decode(output, own, DecodeOptions())
    torch.testing.assert_close(whole.loss_sum, torch.stack(losses).sum(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(whole.weight, torch.stack(weights).sum())
    together = head.decode(whole, batch, DecodeOptions())
    if kind is Classification:
        np.testing.assert_allclose(np.stack(together), np.stack(decoded), rtol=1e-5, atol=1e-6)
    else:
        assert answers(together) == answers(decoded)
        for mine, theirs in zip(together, decoded, strict=True):
            np.testing.assert_allclose(mine.score, theirs.score, rtol=1e-4, atol=1e-5)


@every_head
@pytest.mark.parametrize("way", ["bf16 encoder", "bf16 all", "autocast"])
def test_bf16_is_finite_and_losses_are_float32(kind: type[Head], way: str) -> None:
    head = build(kind)
    hidden, batch = batch_of(FLAT)
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
    exact = loss_of(build(kind)(batch_of(FLAT)[0], batch, want_loss=True))
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    head.decode(output, batch, DecodeOptions())


@every_head
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_huge_scores_stay_finite(kind: type[Head], scale: float) -> None:
    head = build(kind)
    hidden, batch = batch_of(FLAT)
    loss = loss_of(head({name: x * scale for name, x in hidden.items()}, batch, want_loss=True))
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in head.parameters() if parameter.grad is not None)


@every_head
def test_a_batch_without_gold_has_finite_gradients(kind: type[Head]) -> None:
    head = build(kind)
    hidden, batch = batch_of([set(), set(), set()])
    batch["spans"] = batch["spans"].reshape(0, 4)
    loss = loss_of(head(hidden, batch, want_loss=True))
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in head.parameters() if p.grad is not None)
    head.decode(head(hidden, batch, want_loss=False), batch, DecodeOptions())


@every_head
def test_config_and_state_rebuild_the_head(kind: type[Head]) -> None:
    head = build(kind, seed=3)
    again = kind(SIZE, **head.config)  # type: ignore[call-arg]
    again.load_state_dict(head.state_dict())
    hidden, batch = batch_of(FLAT)
    first, second = (h.eval()(hidden, batch, want_loss=True).loss_sum for h in (head, again))
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", [GlobalPointer, EfficientGlobalPointer])
def test_a_threshold_moves_the_answer(kind: type[Head]) -> None:
    head = build(kind).eval()
    hidden, batch = batch_of(FLAT)
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
        hidden, batch = batch_of(NESTED)
        output = head(hidden, batch, want_loss=True)
        loss_of(output).backward()
        gradients = [parameter.grad for parameter in head.parameters()]
        results.append((output.loss_sum, gradients, head.decode(output, batch, DecodeOptions())))
        monkeypatch.setattr(globalpointer, "block_elements", lambda device: 1)
    (loss, gradients, spans), (block_loss, block_gradients, block_spans) = results
    torch.testing.assert_close(loss, block_loss)
    torch.testing.assert_close(gradients, block_gradients)
    assert answers(spans) == answers(block_spans)


def test_globalpointer_scores_are_the_published_ones() -> None:
    head = build(GlobalPointer).double()
    hidden, batch = batch_of(FLAT)
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
    hidden, batch = batch_of(FLAT)
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
    hidden, batch = batch_of(FLAT)
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
    hidden, batch = batch_of(FLAT)
    output = head(hidden, batch, want_loss=False)
    decoded = head.decode(output, batch, DecodeOptions())
    assert all(row.dtype == np.float32 and row.shape == (3,) for row in decoded)
    np.testing.assert_array_equal(np.stack(decoded), output.scores.detach().numpy())


@pytest.mark.parametrize("kind", [Classification, SoftmaxTagging])
def test_divergence_is_the_mean_of_both_directions(kind: type[Head]) -> None:
    hidden, batch = batch_of(FLAT)
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
