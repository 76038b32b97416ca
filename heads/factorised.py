"""The layer of Efficient GlobalPointer by itself: scores of all pairs of tokens for all types, kept in three factors.

`FactorisedScorer` is what Efficient GlobalPointer and the three scorers of GPLinker have in common. Its `Factors` go
into `heads.span_loss.factorised_span_loss` and `heads.span_decode.factorised_spans`, which never write out the scores:

    scorer = FactorisedScorer(hidden_size=768, types=55, rotary=False)
    A, b, c = factors = scorer.factors(last)
    loss = factorised_span_loss(A, b, c, valid_pairs(text_mask, ordered=False), pairs)
    score = factors.at(row, type_, first, second)
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from heads.base import float32
from heads.layers import apply_dense, dense, full_precision
from heads.rotary import rotary_angles, rotate


class Factors(NamedTuple):
    """Scores `shared[i,j] + start[i,h] + end[j,h]`: shared (B, L, L), start and end (B, L, H)."""

    shared: Tensor
    start: Tensor
    end: Tensor

    def at(self, row: Tensor, type_: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """The scores (N,) of listed pairs, four (N,) int64: added in the order that `factorised_spans` adds them."""
        return (self.shared[row, start, end] + self.end[row, end, type_]) + self.start[row, start, type_]


class FactorisedScorer(nn.Module):
    """`s_h(i, j) = <R_i q_i, R_j k_j> / sqrt(d) + (e_i[2h+1] + e_j[2h]) / 2` for types h (Su 2022, kexue.fm 8877).

    z = one dense layer of 2d outputs on the dropped-out last layer; q its even, k its odd components, turned by the
    position (RoPE) unless `rotary` is False; e a dense layer of 2H outputs on the z that is not turned. Its bias starts
    at `start_score`, about which all scores then lie before training (0 in the reference).
    Raises ValueError if `head_size` is odd and `rotary` is on.
    """

    def __init__(
        self,
        hidden_size: int,
        types: int,
        head_size: int = 64,
        rotary: bool = True,
        bias: bool = True,
        dropout: float = 0.0,
        start_score: float = 0.0,
    ) -> None:
        super().__init__()
        if rotary and head_size % 2:
            raise ValueError(f"head_size must be even with rotary positions, not {head_size}")
        self.types, self.head_size, self.rotary = types, head_size, rotary
        self.dropout = nn.Dropout(dropout)
        self.project = dense(hidden_size, 2 * head_size, std=hidden_size**-0.5, bias=bias)
        self.types_of = dense(2 * head_size, 2 * types, std=(2 * head_size) ** -0.5, bias=bias)
        if bias:
            nn.init.constant_(self.types_of.bias, start_score)

    def factors(self, last: Tensor) -> Factors:
        """The three factors of the scores, float32 (float64 for float64), from the last layer (B, L, H)."""
        projected = apply_dense(self.project, self.dropout(last))
        ends = float32(apply_dense(self.types_of, projected)).view(*last.shape[:2], self.types, 2)
        end, start = (half / 2 for half in ends.unbind(-1))  # each contiguous from here on
        vectors = float32(projected).view(*last.shape[:2], self.head_size, 2)
        queries, keys = vectors[..., 0] * self.head_size**-0.5, vectors[..., 1]
        if self.rotary:
            angles = rotary_angles(last.shape[1], self.head_size, device=queries.device, dtype=queries.dtype)
            queries, keys = rotate(queries, angles), rotate(keys, angles)
        with full_precision(queries):
            shared = queries @ keys.transpose(-1, -2)
        return Factors(shared, start, end)
