"""Dropout that a processor can afford.

torch draws one uniform number an element, one core at a time: on a processor that costs more than the layers around it.
Here one 64-bit draw decides eight elements, and the mask stays a byte. It is made and used by operations that torch has
vector code for (a comparison of bytes in place, a conversion, a product): with booleans and `torch.where` they took
two and a half times as long. The rate is rounded to a 256th (0.1 becomes 26/256 = 0.1016) and the scale follows it, so
that expectations are exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        # From the least number upwards: without bounds `random_` draws 63 bits, and every eighth byte would be biased.
        draws.random_(torch.iinfo(torch.int64).min, None)
        keep = draws.view(torch.uint8)[: x.numel()].view(x.shape).ge_(dropped)
        ctx.scale = 256 / (256 - dropped)
        ctx.save_for_backward(keep)
        # Scaled behind the product: a scale rounded to bf16 inside the mask would be off by the same share everywhere.
        return (x * keep.to(x.dtype)).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return (gradient * keep.to(gradient.dtype)).mul_(ctx.scale), None


def byte_dropout(x: Tensor, p: float) -> Tensor:
    """`x` with a share of `round(256 p) / 256` of its elements zero, at most 255 of 256, and the rest scaled up."""
    dropped = min(255, round(256 * p))
    dropout: Tensor = _ByteDropout.apply(x, dropped) if dropped else x  # type: ignore[no-untyped-call]
    return dropout


class ByteDropout(nn.Module):
    """Stands in for `nn.Dropout(p)` on a processor; the rate is `round(256 p) / 256`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """`x` with a share of its elements zero and the rest scaled up, in training; `x` itself else."""
        return byte_dropout(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """What `print(model)` shows of it."""
        return f"p={round(256 * self.p)}/256"


def cheapen_dropout(module: nn.Module) -> None:
    """Replace every `nn.Dropout` below `module` by `ByteDropout` (for training on a processor)."""
    for child_name, child in list(module.named_children()):
        if type(child) is nn.Dropout and child.p < 1:
            setattr(module, child_name, ByteDropout(child.p).train(child.training))
        else:
            cheapen_dropout(child)
