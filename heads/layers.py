"""Small pieces that all heads use: dense layers with a stated start, and numerics kept out of autocast."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def dense(inputs: int, outputs: int, *, std: float, bias: bool = True) -> nn.Linear:
    """A linear layer with truncated normal weights (cut at two standard deviations) and zero bias."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def apply_dense(layer: nn.Linear, x: Tensor) -> Tensor:
    """`layer(x)` whatever the precision of `x`: under autocast as it decides, else in the layer's own precision."""
    if torch.is_autocast_enabled(x.device.type):
        return layer(x)  # type: ignore[no-any-return]
    return layer(x.to(layer.weight.dtype))  # type: ignore[no-any-return]


def has_float64(device: torch.device) -> bool:
    """Whether the device computes in float64; Apple's MPS raises a TypeError."""
    return device.type != "mps"


def stable_order(x: Tensor, *, dim: int = 0, descending: bool = False) -> Tensor:
    """Indices that sort `x` along `dim`, equal values in their order, on the device of `x`.

    On Apple's MPS the processor sorts: releases of its own sort gave wrong indices, without a message, for int64
    (pytorch/pytorch#155560), for booleans (#184620) and for long lists (#183885).
    """
    at_hand = x.cpu() if x.device.type == "mps" else x
    return torch.argsort(at_hand, dim=dim, descending=descending, stable=True).to(x.device)


def count_at(counts: Tensor, index: Tensor, amounts: Tensor) -> None:
    """Add `amounts[k]` to `counts[index[k]]` in place, all int64; (M,), (N,), (N,).

    On Apple's MPS the processor adds: torch 2.8 refuses int64 there (pytorch/pytorch#160926).
    """
    if counts.device.type == "mps":
        added = torch.zeros(len(counts), dtype=torch.int64).index_add_(0, index.cpu(), amounts.cpu())
        counts += added.to(counts.device)
    else:
        counts.index_add_(0, index, amounts)


def full_precision(x: Tensor) -> torch.autocast:
    """A context in which autocast leaves matrix products on the device of `x` alone: for losses and scores."""
    return torch.autocast(device_type=x.device.type, enabled=False)


def add_at(target: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """Add `values[k]` to `target[index[k]]` in place, repeated places summed in the same order at every run.

    target (M, ...), index (N,) int64, values (N, ...). On a processor `index_add_` walks the list in order, while
    `index_put_` splits it among threads; on an accelerator `index_put_` sorts and `index_add_` races.
    """
    if target.device.type == "cpu":
        return target.index_add_(0, index, values)
    return target.index_put_((index,), values, accumulate=True)
