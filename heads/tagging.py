"""Spans as BIO tags, and tags as spans; the softmax tagger.

Scheme: BIO with 2T+1 tags for T types. Tag 0 is O, `2k+1` is B-k, `2k+2` is I-k; every entity begins with B, also
after another one. A row of tags can hold no two overlapping spans: `flat_subset` says which gold spans are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heads.base import DecodeOptions, Head, HeadOutput, Spans, float32
from heads.divergence import symmetric_divergence
from heads.layers import apply_dense, dense
from heads.linear_chain import pack, viterbi

OUTSIDE = 0


def tag_count(types: int) -> int:
    """Number of BIO tags for `types` types."""
    return 2 * types + 1


def begin_tag(kind: int) -> int:
    """B of type `kind`."""
    return 2 * kind + 1


def inside_tag(kind: int) -> int:
    """I of type `kind`."""
    return 2 * kind + 2


def is_transition_allowed(previous: int | None, following: int | None) -> bool:
    """Whether `following` may stand after `previous`; None is the border of the text on that side.

    All is allowed but an I that continues no entity of its own type.
    """
    if following is None or following == OUTSIDE or following % 2 == 1:
        return True
    return previous in (following, following - 1)


def forbidden_scores(types: int) -> tuple[Tensor, Tensor]:
    """The constraints as scores, 0 allowed and -inf not: transitions (C, C) and start (C,), float32."""
    tags = range(tag_count(types))
    allowed = torch.tensor([[is_transition_allowed(before, after) for after in tags] for before in tags])
    start = torch.tensor([is_transition_allowed(None, after) for after in tags])
    forbidden = torch.tensor(float("-inf"))
    return torch.where(allowed, 0.0, forbidden), torch.where(start, 0.0, forbidden)


def flat_subset(spans: np.ndarray) -> np.ndarray:
    """Which of `spans` (N, 4) of (row, type, start, end inclusive) tags can hold together: a mask (N,) bool.

    Greedy in a row: the longest first, then the earliest, then the lowest type; what overlaps a kept one goes.
    """
    kept = np.ones(len(spans), dtype=bool)
    rows, kinds, starts, ends = spans.T if len(spans) else np.empty((4, 0), dtype=np.int64)
    order = np.lexsort((ends, starts, rows))
    same_row = rows[order][1:] == rows[order][:-1]
    crowded = set(rows[order][1:][same_row & (starts[order][1:] <= ends[order][:-1])].tolist())
    if not crowded:  # neighbours in order of their starts do not touch: nothing overlaps
        return kept
    taken: dict[int, set[int]] = {row: set() for row in crowded}
    for index in np.lexsort((kinds, starts, starts - ends, rows)).tolist():
        row = int(rows[index])
        if row not in crowded:
            continue
        tokens = range(int(starts[index]), int(ends[index]) + 1)
        kept[index] = taken[row].isdisjoint(tokens)
        if kept[index]:
            taken[row].update(tokens)
    return kept


def spans_to_tags(spans: np.ndarray, rows: int, length: int) -> np.ndarray:
    """Tags (rows, length) int64 of the spans (N, 4) that `flat_subset` keeps."""
    tags = np.zeros((rows, length), dtype=np.int64)
    spans = spans[flat_subset(spans)]
    if len(spans):
        row, kind, start, end = spans.T
        sizes = end - start + 1
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        tags[np.repeat(row, sizes), np.repeat(start, sizes) + within] = np.repeat(inside_tag(kind), sizes)
        tags[row, start] = begin_tag(kind)
    return tags


def tags_to_spans(tags: np.ndarray) -> np.ndarray:
    """Spans (N, 4) of (row, type, start, end inclusive) in tags (rows, length), by row and start.

    An I that continues nothing (no valid path has one) begins an entity, as in the CoNLL-2000 scorer.
    """
    kinds = (tags - 1) // 2
    continues = np.zeros(tags.shape, dtype=bool)
    inside = (tags[:, 1:] > 0) & (tags[:, 1:] % 2 == 0)
    continues[:, 1:] = inside & (tags[:, :-1] > 0) & (kinds[:, 1:] == kinds[:, :-1])
    entity = tags > 0
    goes_on = np.zeros(tags.shape, dtype=bool)
    goes_on[:, :-1] = continues[:, 1:]
    row, start = np.nonzero(entity & ~continues)
    _, end = np.nonzero(entity & ~goes_on)
    return np.stack((row, kinds[row, start], start, end), axis=1)


class Tagger(Head):
    """What the taggers share: dropout and a linear layer to tag scores, gold tags, paths to span candidates."""

    flat = True
    types: int

    def __init__(self, hidden_size: int, types: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.types = types
        self.config: dict[str, Any] = {"types": types, "dropout": dropout}
        self.dropout = nn.Dropout(dropout)
        self.linear = dense(hidden_size, tag_count(types), std=0.02)

    def emissions(self, hidden: Mapping[str, Tensor]) -> Tensor:
        """Tag scores (B, L, C), float32 (float64 for float64)."""
        return float32(apply_dense(self.linear, self.dropout(hidden["last"])))

    def gold_tags(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Tags (B, L) of `spans`. They are painted on the host: on an accelerator N x 4 integers are fetched first."""
        mask = batch["text_mask"]
        tags = spans_to_tags(batch["spans"].cpu().numpy(), *mask.shape)
        return torch.from_numpy(tags).to(mask.device)


def packed(emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(emissions with each row's text tokens first, order (B, L), lengths (B,)) for `heads.linear_chain`."""
    order, lengths = pack(mask)
    return emissions.gather(1, order[..., None].expand_as(emissions)), order, lengths


def path_spans(
    tags: Tensor, order: Tensor, lengths: Tensor, first: Tensor, following: Tensor, max_candidates: int
) -> list[Spans]:
    """The spans of packed paths `tags` (B, T) as candidates, with the probability of each.

    `first` (B, T): log-probability of the path's tag at t. `following` (B, T, C): log-probability of the tag at t+1
    given the path's tag at t. The probability of a span is that of its tokens having just these tags and of the next
    token not continuing it: exact for a chain, one sum over the span. The score is its logarithm.
    `order` (B, T) gives the token position of each packed one.
    """
    rows, steps = tags.shape
    if not steps:
        return [_candidates(np.empty((0, 4), dtype=np.int64), np.empty(0), max_candidates) for _ in range(rows)]
    onward = torch.zeros_like(first)
    onward[:, 1:] = following[:, :-1].gather(2, tags[:, 1:, None]).squeeze(2)
    # The I tag of the path's own type; for O, which no span ends with, any other.
    continuation = torch.where(tags % 2 == 1, tags + 1, tags.clamp(min=1))[..., None]
    stop = torch.logsumexp(following.scatter(2, continuation, float("-inf")), dim=2)
    last = torch.arange(steps, device=tags.device) >= lengths[:, None] - 1
    stop = torch.where(last, 0, stop)
    host_tags, host_order = tags.cpu().numpy(), order.cpu().numpy()
    host_first, host_onward, host_stop = (x.cpu().numpy().astype(np.float64) for x in (first, onward, stop))
    reached = host_onward.cumsum(1)
    spans = tags_to_spans(host_tags)
    row, _, start, end = spans.T
    score = host_first[row, start] + reached[row, end] - reached[row, start] + host_stop[row, end]
    spans[:, 2], spans[:, 3] = host_order[row, start], host_order[row, end]
    borders = np.searchsorted(spans[:, 0], np.arange(rows + 1))
    return [
        _candidates(spans[low:high], score[low:high], max_candidates)
        for low, high in itertools.pairwise(borders.tolist())
    ]


def _candidates(spans: np.ndarray, score: np.ndarray, max_candidates: int) -> Spans:
    best = np.argsort(-score, kind="stable")[:max_candidates]
    score = np.minimum(score[best], 0.0)
    return Spans(
        spans[best, 1],
        spans[best, 2],
        spans[best, 3],
        score.astype(np.float32),
        np.exp(score).astype(np.float32),
        dropped=len(spans) - len(best),
    )


class SoftmaxTagging(Tagger):
    """One BIO tag a token, each by its own softmax (the BERT + softmax baseline of CLUENER2020).

    Loss: cross-entropy summed over text tokens; weight: their number. Decoded: the most probable tag sequence among
    the valid ones (Viterbi over hard constraints), not the argmax of each token repaired afterwards: the repair either
    loses an entity whose B was missed by a hair or invents one. The probability of a span is under the independent
    softmaxes (see `path_spans`). Different from the reference: [CLS] and [SEP] are neither trained nor decoded.
    """

    forbidden: Tensor
    forbidden_start: Tensor

    def __init__(self, hidden_size: int, types: int, dropout: float = 0.1) -> None:
        super().__init__(hidden_size, types, dropout)
        forbidden, start = forbidden_scores(types)
        self.register_buffer("forbidden", forbidden, persistent=False)
        self.register_buffer("forbidden_start", start, persistent=False)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: logits (B, L, C). Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` (N, 4)."""
        logits = self.emissions(hidden)
        if not want_loss:
            return HeadOutput(None, None, logits)
        mask = batch["text_mask"]
        losses = F.cross_entropy(logits.flatten(0, 1), self.gold_tags(batch).flatten(), reduction="none")
        return HeadOutput(torch.where(mask.flatten(), losses, 0).sum(), mask.sum().to(logits.dtype), logits)

    @torch.no_grad()
    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Spans]:
        """The entities of each row's most probable valid path. The threshold has no meaning here."""
        logits, order, lengths = packed(torch.log_softmax(output.scores, dim=-1), batch["text_mask"])
        dtype = logits.dtype
        tags = viterbi(
            logits, lengths, self.forbidden.to(dtype), self.forbidden_start.to(dtype), logits.new_zeros(logits.shape[2])
        )
        own = logits.gather(2, tags[..., None]).squeeze(2)
        following = torch.cat((logits[:, 1:], logits[:, -1:]), dim=1)
        return path_spans(tags, order, lengths, own, following, options.max_candidates)

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of each text token's softmax (R-Drop), summed over tokens."""
        return torch.where(batch["text_mask"], symmetric_divergence(first.scores, second.scores), 0).sum()
