"""Pooling against its literal statement."""

from __future__ import annotations

import pytest
import torch

from clue_cli.encoders import POOLINGS, pool
from clue_cli.errors import UserError

MASK = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]])


def slow_pool(last: torch.Tensor, mask: torch.Tensor, kind: str) -> torch.Tensor:
    rows = []
    for vectors, real in zip(last.double(), mask, strict=True):
        kept = [vector for vector, is_real in zip(vectors, real.tolist(), strict=True) if is_real]
        rows.append(kept[0] if kind == "first" else sum(kept) / len(kept))
    return torch.stack(rows).float()


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("boolean", [True, False])
def test_equals_its_statement_with_padding_on_either_side(kind: str, dtype: torch.dtype, boolean: bool) -> None:
    last = torch.randn(4, 4, 8).to(dtype)
    last[MASK == 0] = float("nan")
    pooled = pool(last, MASK.bool() if boolean else MASK, kind)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, slow_pool(last, MASK, kind))


@pytest.mark.parametrize("kind", POOLINGS)
def test_row_of_padding_gives_zeros_and_no_nan_gradient(kind: str) -> None:
    last = torch.randn(1, 3, 4, requires_grad=True)
    pooled = pool(last, torch.zeros(1, 3), kind)
    pooled.sum().backward()
    assert not pooled.any()
    assert last.grad is not None and not last.grad.any()


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"--pooling: unknown pooling 'men'; did you mean mean\?.*first"):
        pool(torch.zeros(1, 1, 1), torch.ones(1, 1), "men")
