"""Rotary position embedding (RoFormer, Su et al. 2021), on neighbouring pairs of components."""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_angles(length: int, size: int, *, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Angles (length, size/2): position p, pair k -> p * 10000^(-2k/size), in `dtype` (float32 or float64).

    Raises ValueError if `size` is odd.
    """
    if size % 2:
        raise ValueError(f"rotary positions turn pairs of components, so the size must be even, not {size}")
    pairs = torch.arange(0, size, 2, device=device, dtype=dtype)
    return torch.arange(length, device=device, dtype=dtype)[:, None] * 10000.0 ** (-pairs / size)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """`x` (B, L, ..., d) with the pair (2k, 2k+1) at position p turned by `angles[p, k]`; angles (L, d/2).

    The scalar product of two turned vectors depends on their positions only through the distance.
    """
    shape = (1, angles.shape[0], *([1] * (x.dim() - 3)), angles.shape[1])
    cos, sin = angles.cos().view(shape), angles.sin().view(shape)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)
