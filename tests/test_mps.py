"""What is known of Apple's MPS and can be held to on any machine: what it lacks, and what it gets wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchgen
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import heads
from clue_cli import training
from clue_cli.contract import Answering
from clue_cli.runs import prepare
from heads import linear_chain, span_decode
from heads.base import DecodeOptions, Head
from heads.layers import count_at, stable_order
from tests.engine_cases import request
from tests.heads.cases import CASES, batch_of, build, loss_of

every_head = pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)


def kernels() -> dict[str, set[str]]:
    """Every operation of torch and the backends that its own table names for it."""
    path = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    functions = {entry["func"].split("(")[0]: entry for entry in yaml.safe_load(path.read_text(encoding="utf-8"))}
    found = {}
    for name, entry in functions.items():
        named = dict(entry.get("dispatch") or {})
        if "structured_delegate" in entry:
            named |= functions[entry["structured_delegate"]]["dispatch"]
        # One that names no backend is made of others, for all of them.
        found[name] = {key.strip() for keys in named for key in keys.split(",")} or {"CompositeImplicitAutograd"}
    return found


KERNELS = kernels()
CHOSEN_BY_DEVICE = {
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention_for_cpu_backward",
}
"""What `scaled_dot_product_attention` becomes on a processor; it is made of other operations on MPS."""


def has_kernel(name: str) -> bool:
    return any(key == "MPS" or key.startswith("Composite") for key in KERNELS[name])


class OnMPS(TorchDispatchMode):
    """Refuses operations that MPS has no kernel for; within heads float64 too, which MPS refuses.

    (What comes from NumPy as it is has not been sent to the device yet.)
    """

    def __init__(self, *, float64: bool) -> None:
        super().__init__()
        self.float64 = float64
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.namespace == "aten":
            name = func._schema.name.removeprefix("aten::")
            overload = func._schema.overload_name
            self.seen.add(name)
            if name not in CHOSEN_BY_DEVICE and not has_kernel(f"{name}.{overload}" if overload else name):
                raise NotImplementedError(f"{func} has no kernel for MPS")
        for x in result if isinstance(result, (tuple, list)) else (result,):
            double = isinstance(x, Tensor) and x.dtype == torch.float64
            if double and not self.float64 and func is not torch.ops.aten.lift_fresh.default:
                raise TypeError(f"{func} gives float64")
        return result


def test_what_is_missing_is_refused() -> None:
    assert has_kernel("add.Tensor")
    assert has_kernel("_fused_adamw_")
    with pytest.raises(NotImplementedError, match="has no kernel"), OnMPS(float64=True):
        torch.take(torch.zeros(3), torch.tensor([1]))
    with pytest.raises(TypeError, match="float64"), OnMPS(float64=False):
        torch.zeros(3).double()


@every_head
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_heads_need_nothing_that_mps_lacks(kind: type[Head], scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss, gradient, R-Drop's divergence, few and very many answers."""
    monkeypatch.setattr(linear_chain, "has_float64", lambda device: False)
    head, (hidden, batch) = build(kind), batch_of(kind)
    hidden = {name: x.mul(scale).requires_grad_() for name, x in hidden.items()}
    with OnMPS(float64=False) as mode:
        first, second = (head(hidden, batch, want_loss=True) for _ in range(2))
        loss = loss_of(first)
        if kind.divergence is not Head.divergence:
            loss = loss + head.divergence(first, second, batch)
        loss.backward()
        for blocks in (span_decode.MANY_BLOCKS, 0):
            monkeypatch.setattr(span_decode, "MANY_BLOCKS", blocks)
            for threshold in (None, -1e9):
                found = head.decode(first, batch, DecodeOptions(threshold=threshold if head.thresholded else None))
                assert len(found) == len(CASES[kind].sizes)
    assert any(name.endswith("_backward") or name in ("mm", "bmm") for name in mode.seen)


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("tnews", {"r_drop": 0.5}),
        ("cluener", {"fgm": 0.5, "gradient_checkpointing": True}),
        ("cmrc2018", {"optimizer": "adafactor", "weight_decay": 0.0}),
    ],
)
def test_a_training_needs_nothing_that_mps_lacks(
    task: str, options: dict[str, Any], tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps and a prediction."""
    monkeypatch.setattr(training, "cheapen_dropout", lambda model: None)  # a processor's only
    job = prepare(request(task, tiny_encoder, tmp_path / "run", options=options))
    with OnMPS(float64=True) as mode:
        job.model.train()
        for _ in range(2):
            job._step(np.arange(4))
        job.model.eval()
        job.model.predict([job.table[i] for i in range(4)], Answering())  # here: modes are a thread's own
    assert "embedding_dense_backward" in mode.seen


@given(
    values=st.lists(st.integers(-3, 3)), descending=st.booleans(), dtype=st.sampled_from(["int64", "int8", "float32"])
)
def test_stable_order_leaves_equal_values_in_their_order(values: list[int], descending: bool, dtype: str) -> None:
    wanted = sorted(range(len(values)), key=lambda place: -values[place] if descending else values[place])
    x = torch.tensor(values, dtype=getattr(torch, dtype))
    assert stable_order(x, descending=descending).tolist() == wanted
    assert stable_order(torch.stack((x, x)), dim=1, descending=descending).tolist() == [wanted, wanted]


@given(places=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**40))))
def test_counts_are_added_at_their_places(places: list[tuple[int, int]]) -> None:
    counts = torch.arange(5)
    index, amounts = (torch.tensor([pair[i] for pair in places], dtype=torch.int64) for i in (0, 1))
    count_at(counts, index, amounts)
    assert counts.tolist() == [k + sum(amount for place, amount in places if place == k) for k in range(5)]


@pytest.mark.parametrize("named", [r"torch\.(arg|m)?sort\(|(?<!np)\.argsort\(", r"\.index_add_\(|\.index_put_\("])
def test_what_mps_gets_wrong_is_called_in_one_place(named: str) -> None:
    """See there."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(heads.__path__[0]).glob("*.py")}
    assert {name for name, source in sources.items() if re.search(named, source)} == {"layers.py"}
