from __future__ import annotations

import math

import pytest
import torch

from heads.rotary import rotary_angles, rotate


def test_neighbouring_pairs_turn_by_the_published_angles() -> None:
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = rotate(x, rotary_angles(5, 8, device=x.device, dtype=x.dtype))
    for p in range(5):
        for k in range(4):
            a = p * 10000 ** (-2 * k / 8)
            even, odd = x[1, p, 2 * k].item(), x[1, p, 2 * k + 1].item()
            assert y[1, p, 2 * k].item() == pytest.approx(even * math.cos(a) - odd * math.sin(a), abs=1e-12)
            assert y[1, p, 2 * k + 1].item() == pytest.approx(odd * math.cos(a) + even * math.sin(a), abs=1e-12)


def test_products_depend_on_the_distance_only() -> None:
    random = torch.Generator().manual_seed(1)
    q, k = (torch.randn(16, generator=random, dtype=torch.float64) for _ in range(2))
    angles = rotary_angles(40, 16, device=q.device, dtype=q.dtype)
    turned_q, turned_k = (rotate(x.expand(1, 40, 16), angles)[0] for x in (q, k))
    scores = turned_q @ turned_k.T
    for distance in (-7, 0, 1, 13):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-10)
    assert scores[0, 0] != pytest.approx(scores[0, 5].item(), abs=1e-3)


def test_more_dimensions_and_an_odd_size() -> None:
    x = torch.randn(2, 5, 3, 2, 8)
    angles = rotary_angles(5, 8, device=x.device)
    torch.testing.assert_close(rotate(x, angles)[:, :, 1, 1], rotate(x[:, :, 1, 1], angles))
    with pytest.raises(ValueError, match="even"):
        rotary_angles(5, 7, device=x.device)
