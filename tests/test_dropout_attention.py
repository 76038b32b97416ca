"""The processor's own dropout and attention, against what they stand in for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from clue_cli.attention import SHORT, bf16_attention, blocks, turn, turned, use_bf16_attention, use_bf16_turns
from clue_cli.dropout import ByteDropout, byte_dropout, cheapen_dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.3, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_expectation(p: float) -> None:
    torch.manual_seed(0)
    count = 400_003  # no multiple of eight
    x = torch.ones(count)
    y = byte_dropout(x, p)
    share = round(256 * p) / 256
    zeros = float((y == 0).float().mean())
    assert zeros == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / count))
    assert torch.allclose(y[y != 0], torch.tensor(1 / (1 - share)))
    assert float(y.mean()) == pytest.approx(1, abs=5 * math.sqrt(share / (1 - share) / count))


def test_every_byte_of_a_draw_is_fair() -> None:
    torch.manual_seed(0)
    dropped = (byte_dropout(torch.ones(80_000, 8), 0.25) == 0).float()
    spread = math.sqrt(0.25 * 0.75 / 80_000)
    assert torch.allclose(dropped.mean(0), torch.full((8,), 0.25), atol=5 * spread)
    correlation = torch.corrcoef(dropped.T) - torch.eye(8)
    assert float(correlation.abs().max()) < 5 / math.sqrt(80_000)


def test_one_draw_decides_eight_elements() -> None:
    """And what is drawn afterwards follows from it: a training repeats its numbers."""
    torch.manual_seed(0)
    byte_dropout(torch.ones(16), 0.5)
    after = torch.rand(1)
    torch.manual_seed(0)
    torch.empty(2, dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    assert torch.equal(after, torch.rand(1))


def test_never_all_is_dropped() -> None:
    torch.manual_seed(0)
    assert byte_dropout(torch.ones(8192), 0.9999).unique().tolist() == [0.0, 256.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7), (0, 4)])
def test_the_gradient_is_the_mask(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    x = (torch.rand(shape) + 1).to(dtype).requires_grad_()
    y = byte_dropout(x, 0.4)
    assert y.dtype == dtype
    y.backward(torch.ones_like(y))
    assert x.grad is not None
    scale = torch.tensor(256 / (256 - round(256 * 0.4))).to(dtype)
    assert torch.equal(x.grad, torch.where(y != 0, scale, torch.zeros((), dtype=dtype)))
    torch.testing.assert_close(y, x.detach() * x.grad)


def test_dropout_repeats_by_seed_and_rests_outside_training() -> None:
    layer = ByteDropout(0.5)
    x = torch.rand(4, 9)
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(layer(x))
    assert torch.equal(*outputs)
    assert not outputs[0].all()
    assert layer.eval()(x) is x
    assert byte_dropout(x, 0.0) is x
    strided = torch.rand(6, 8).T
    assert byte_dropout(strided, 0.5).shape == (8, 6)


def test_cheapening_replaces_dropout_and_nothing_else() -> None:
    inner = nn.Sequential(nn.Dropout(0.3), nn.Dropout2d(0.2), nn.Dropout(1.0))
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1), inner).eval()
    names = list(model.state_dict())
    cheapen_dropout(model)
    assert [type(m).__name__ for m in model.modules() if not list(m.children())] == [
        "Linear",
        "ByteDropout",
        "ByteDropout",
        "Dropout2d",
        "Dropout",  # all is dropped, which bytes cannot say
    ]
    assert list(model.state_dict()) == names
    assert not any(m.training for m in model.modules())
    assert "26/256" in repr(model)


def reference(q: Any, k: Any, v: Any, mask: torch.Tensor | None, scale: float) -> torch.Tensor:
    out: torch.Tensor = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    return out.transpose(1, 2)


def band(length: int, window: int) -> torch.Tensor:
    """What a layer with a sliding window lets be seen, by its definition."""
    place = torch.arange(length)
    return (place[:, None] - place).abs() < window


@pytest.mark.parametrize("masked", ["none", "keys", "causal", "float", "window", "float window"])
@pytest.mark.parametrize("length", [1, 24, 130, SHORT + 1, 300])
def test_attention_is_attention(masked: str, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clue_cli.attention.BLOCK_SCORES", 20_000)  # several blocks of queries and of examples
    torch.manual_seed(0)
    shape = (3, 2, length, 16)
    q, k, v = (torch.randn(shape).bfloat16().requires_grad_() for _ in range(3))
    mask: torch.Tensor | None = None
    read = torch.arange(length) < torch.tensor([length, max(1, length // 2), 1])[:, None]
    window = 20 if "window" in masked else None
    if masked != "none":
        mask = read[:, None, None, :]
    if masked == "causal":
        assert mask is not None
        mask = mask & torch.ones(length, length, dtype=torch.bool).tril()
    if window is not None:
        assert mask is not None
        mask = mask & band(length, window)
    exact_mask = mask
    if "float" in masked:
        assert mask is not None
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.bfloat16).min).bfloat16()
    out, weights = bf16_attention(nn.Identity(), q, k, v, mask, sliding_window=window)
    assert weights is None
    exact = [tensor.detach().double().requires_grad_() for tensor in (q, k, v)]
    slow = reference(*exact, exact_mask, 16**-0.5)
    assert out.shape == (3, length, 2, 16)
    # A padding query whose window holds padding only has no defined answer; nothing reads it.
    upward = torch.randn(out.shape) * (read[:, :, None, None] if window else 1)
    rows = read if window else torch.ones_like(read)
    torch.testing.assert_close(out.double()[rows], slow[rows], rtol=0.03, atol=0.03)
    assert bool(out.isfinite().all())
    out.backward(upward.bfloat16())
    slow[rows].backward(upward.double()[rows])
    for mine, theirs in zip((q, k, v), exact, strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=0.05, atol=0.06)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 400), st.integers(1, 400)),
    st.one_of(st.none(), st.integers(0, 70)),
    st.integers(1, 60_000),
)
def test_blocks_cover_every_pair_in_reach_once(shape: tuple[int, int, int, int], reach: int | None, size: int) -> None:
    count, heads, queries, keys = shape
    # As few queries as a block may have, beside the keys in their reach.
    least = heads * min(queries, 64) * (keys if reach is None else min(keys, 64 + 2 * reach))
    times = torch.zeros(count, queries, keys, dtype=torch.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clue_cli.attention.BLOCK_SCORES", size)
        for examples, rows, columns in blocks(*shape, reach):
            times[examples, rows, columns] += 1
            assert heads * times[examples, rows, columns].numel() <= max(size, least)
    near = torch.ones(queries, keys, dtype=torch.bool)
    if reach is not None:
        near = (torch.arange(queries)[:, None] - torch.arange(keys)).abs() <= reach
    assert bool((times <= 1).all())
    assert bool((times == 1)[:, near].all())


def test_what_is_float32_or_drops_weights_of_long_texts_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    asked: list[int] = []

    def fused(module: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(query.shape[2])
        return query, None

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "sdpa", fused)
    for dtype, length, dropout in (
        (torch.float32, 8, 0.0),
        (torch.bfloat16, SHORT, 0.1),
        (torch.bfloat16, SHORT + 1, 0.1),
        (torch.bfloat16, SHORT + 1, 0.0),
    ):
        q = torch.zeros(1, 1, length, 4, dtype=dtype)
        bf16_attention(nn.Identity(), q, q, q, None, dropout)
    assert asked == [8, SHORT + 1]


def angles(length: int, size: int) -> torch.Tensor:
    """(1, L, D), the angle of pair (d, d + D/2) twice, by its definition."""
    pairs = 10_000.0 ** (-torch.arange(size // 2, dtype=torch.float64) * 2 / size)
    one = torch.arange(length, dtype=torch.float64)[None, :, None] * pairs
    return torch.cat((one, one), dim=-1)


def test_turning_multiplies_pairs_as_complex_numbers() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    angle = angles(5, 8)
    found = turn(x.transpose(1, 2).contiguous().transpose(1, 2), angle.cos()[:, None], angle.sin()[:, None])
    pairs = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones(5, 4, dtype=torch.float64), angle[0, :, :4])
    torch.testing.assert_close(found, torch.cat((pairs.real, pairs.imag), dim=-1))
    assert found.is_contiguous()


@pytest.mark.parametrize("rows", [1, 2])
def test_queries_and_keys_turn_as_in_transformers(rows: int) -> None:
    from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

    torch.manual_seed(0)
    angle = angles(7, 8).expand(rows, -1, -1) + torch.arange(rows)[:, None, None]
    cos, sin = angle.cos().bfloat16(), angle.sin().bfloat16()
    ours = [torch.randn(2, 3, 7, 8).bfloat16().requires_grad_() for _ in range(2)]
    exact = [x.detach().double().requires_grad_() for x in ours]
    upward = torch.randn(2, 3, 7, 8).bfloat16()
    found = turned(apply_rotary_pos_emb)(*ours, cos, sin)
    cos, sin = cos.double()[:, None], sin.double()[:, None]
    for mine, turned_mine, theirs in zip(ours, found, exact, strict=True):
        half = torch.cat((-theirs[..., 4:], theirs[..., :4]), dim=-1)
        expected = theirs * cos + half * sin
        torch.testing.assert_close(turned_mine.double(), expected, rtol=0.01, atol=0.02)
        turned_mine.backward(upward)
        expected.backward(upward.double())
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=0.01, atol=0.02)


def test_other_precisions_and_models_turn_as_before(make_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.modernbert import modeling_modernbert

    asked: list[torch.dtype] = []

    def original(q: Any, k: Any, cos: Any, sin: Any, unsqueeze_dim: int = 1) -> Any:
        asked.append(q.dtype)
        return q, k

    monkeypatch.setattr(modeling_modernbert, "apply_rotary_pos_emb", original)
    model = make_model("modernbert").eval()
    assert use_bf16_turns(model)
    exchanged = modeling_modernbert.apply_rotary_pos_emb
    assert use_bf16_turns(model)
    assert modeling_modernbert.apply_rotary_pos_emb is exchanged
    ids = torch.tensor([[2, 5, 6]])
    with torch.no_grad():
        model(input_ids=ids)
        assert asked == [torch.float32] * 2
        model.bfloat16()(input_ids=ids)
    assert asked == [torch.float32] * 2
    assert not use_bf16_turns(make_model("roformer"))


def test_a_model_with_windows_attends_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """mini-zh has windows of 64 tokens each side in every second layer."""
    from clue_cli.encoders.loading import load_encoder
    from clue_cli.precision import compute_in_bf16

    plain, blockwise = (load_encoder("mini-zh").eval() for _ in range(2))
    for encoder in (plain, blockwise):
        compute_in_bf16(encoder)
    assert use_bf16_attention(blockwise.model)
    torch.manual_seed(0)
    ids = torch.randint(5, 7000, (3, 260))
    mask = torch.arange(260) < torch.tensor([260, 199, 4])[:, None]
    asked: list[int | None] = []

    def watched(count: int, heads: int, queries: int, keys: int, reach: int | None) -> Any:
        asked.append(reach)
        return blocks(count, heads, queries, keys, reach)

    monkeypatch.setattr("clue_cli.attention.blocks", watched)
    with torch.no_grad():
        a, b = (encoder(ids, mask, torch.zeros_like(ids))[mask].float() for encoder in (plain, blockwise))
    assert asked == [None, 64, None, 64, None, 64]
    # bf16 rounds differently on the two ways; a window cut wrongly would change far more than this.
    assert float((a - b).norm() / a.norm()) < 0.03


def test_a_model_attends_alike_and_saves_its_own_attention(tiny_encoder: Any, tmp_path: Any) -> None:
    from clue_cli.encoders.loading import load_encoder
    from clue_cli.precision import compute_in_bf16

    plain, short = (load_encoder(str(tiny_encoder)).eval() for _ in range(2))
    for encoder in (plain, short):
        compute_in_bf16(encoder)
    assert use_bf16_attention(short.model)
    ids = torch.randint(5, 90, (3, 20))
    mask = torch.arange(20) < torch.tensor([20, 11, 4])[:, None]
    with torch.no_grad():
        a, b = (encoder(ids, mask, torch.zeros_like(ids)) for encoder in (plain, short))
    torch.testing.assert_close(a[mask].float(), b[mask].float(), rtol=0.05, atol=0.05)
    short.save(tmp_path / "saved")
    assert "clue_bf16" not in (tmp_path / "saved" / "config.json").read_text("utf-8")
