"""GPLinker for events (Su 2022, kexue.fm 8926): typed spans and the pairs of places that belong to one event."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from heads.base import DecodeOptions, Head, HeadOutput, LinkedSpans, Spans
from heads.divergence import factorised_divergence
from heads.factorised import FactorisedScorer, Factors
from heads.layers import count_at, full_precision
from heads.span_decode import BestSpans, factorised_spans
from heads.span_loss import block_elements, factorised_span_loss, valid_pairs

MAX_SPANS, MAX_LINKS = 512, 4096
"""Spans of one row that are paired, and links of it that are kept; an untrained model finds half of all there are."""


class EventScores(NamedTuple):
    """`Factors` of the typed spans, of links between first tokens and of links between last tokens."""

    spans: Factors
    heads: Factors
    tails: Factors


class EventGPLinker(Head):
    """Arguments and triggers as typed spans; two places are linked if their first tokens and their last tokens are.

    Three Efficient GlobalPointers: typed spans (rotary), links of first tokens and links of last tokens (one type each,
    no rotary); in all of them the smaller position stands first. Each is trained with the multi-label loss, summed over
    types; loss = the three added, weight B. Takes `spans` (N, 4) int64 of (row, type, start, end) and `links` (M, 5) of
    (row, first place's start and end, second place's start and end), token positions inclusive.

    Decoded: every span over the threshold (0), and of the places where they stand every pair whose two terms are over
    it; its score is the smaller of the two. A pair speaks of places: where several spans stand on one place, the best
    of them stands for all. A place is linked with itself where its own first and last token are.

    Different from the reference: [CLS] and [SEP] are left out in training as in decoding (there only in decoding).
    """

    thresholded = True
    default_threshold = 0.0

    def __init__(
        self, hidden_size: int, types: int, head_size: int = 64, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.types = types
        self.config: dict[str, Any] = {"types": types, "head_size": head_size, "bias": bias, "dropout": dropout}
        shared: dict[str, Any] = {"head_size": head_size, "bias": bias, "dropout": dropout}
        self.spans = FactorisedScorer(hidden_size, types, rotary=True, **shared)
        self.heads = FactorisedScorer(hidden_size, 1, rotary=False, **shared)
        self.tails = FactorisedScorer(hidden_size, 1, rotary=False, **shared)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `EventScores`. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` and `links`."""
        scorers = (self.spans, self.heads, self.tails)
        scores = EventScores(*(scorer.factors(hidden["last"]) for scorer in scorers))
        if not want_loss:
            return HeadOutput(None, None, scores)
        valid = valid_pairs(batch["text_mask"])
        heads, tails = link_targets(batch["links"])
        loss = (
            factorised_span_loss(*scores.spans, valid, batch["spans"])
            + factorised_span_loss(*scores.heads, valid, heads)
            + factorised_span_loss(*scores.tails, valid, tails)
        )
        return HeadOutput(loss, loss.new_tensor(float(len(valid))), scores)

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of every sigmoid(2 s) of the three scorers (R-Drop), summed."""
        valid = valid_pairs(batch["text_mask"])
        parts = ((ours, theirs, valid) for ours, theirs in zip(first.scores, second.scores, strict=True))
        return torch.stack([factorised_divergence(*part) for part in parts]).sum()

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[LinkedSpans]:
        """Spans and links over the threshold, best first: of a row at most `max_candidates` (and `MAX_SPANS`) spans and
        `MAX_LINKS` links; what is beyond them is counted as `dropped`."""
        threshold = self.threshold(options)
        scores: EventScores = output.scores
        with torch.no_grad(), full_precision(scores.spans.shared):
            most = min(options.max_candidates, MAX_SPANS)
            spans = factorised_spans(*scores.spans, batch["text_mask"], threshold, most).by_row()
            best = BestSpans(len(spans), MAX_LINKS, threshold, scores.heads.shared)
            device = scores.heads.shared.device
            for pairs in _pairs(spans, max(1, block_elements(device) // 8)):
                _add_linked(best, torch.from_numpy(pairs).to(device), scores, threshold)
            return _answers(best, spans)


def link_targets(links: Tensor) -> tuple[Tensor, Tensor]:
    """Targets of the two linkers, each (M, 4) int64 of (row, 0, smaller, larger position), from links (M, 5)."""
    row, first_start, first_end, second_start, second_end = links.unbind(1)
    kind = torch.zeros_like(row)
    heads = (row, kind, torch.minimum(first_start, second_start), torch.maximum(first_start, second_start))
    tails = (row, kind, torch.minimum(first_end, second_end), torch.maximum(first_end, second_end))
    return torch.stack(heads, 1), torch.stack(tails, 1)


def _pairs(spans: Sequence[Spans], most: int) -> Iterator[np.ndarray]:
    """All pairs of places of a row, each place with itself too, in blocks of about `most` columns.

    (7, N) int64: row, places of the two in the row's `Spans`, first token of both, last token of both.
    """
    waiting: list[np.ndarray] = []
    size = 0
    for row, found in enumerate(spans):
        # Spans come best first, so that the first of a place is the best.
        _, places = np.unique(found.start.astype(np.int64) << 32 | found.end, return_index=True)
        places.sort()
        one, other = np.triu_indices(len(places))
        first, second = places[one], places[other]
        ends = (found.start[first], found.start[second], found.end[first], found.end[second])
        waiting.append(np.stack((np.full(len(first), row), first, second, *ends)).astype(np.int64))
        size += len(first)
        if size >= most or row == len(spans) - 1:
            if size:
                yield np.concatenate(waiting, axis=1)
            waiting, size = [], 0


def _add_linked(best: BestSpans, pairs: Tensor, scores: EventScores, threshold: float) -> None:
    """Add the pairs (7, N) whose two terms are over the threshold; the code of a pair is first * MAX_SPANS + second."""
    row, first, second, first_start, second_start, first_end, second_end = pairs.unbind(0)
    kind = torch.zeros_like(row)
    starts = torch.minimum(first_start, second_start), torch.maximum(first_start, second_start)
    ends = torch.minimum(first_end, second_end), torch.maximum(first_end, second_end)
    score = torch.minimum(scores.heads.at(row, kind, *starts), scores.tails.at(row, kind, *ends))
    count_at(best.seen, row, (score > threshold).long())
    kept = (score > best.bar[row]).nonzero().squeeze(1)
    if len(kept):
        best.add(row[kept], first[kept] * MAX_SPANS + second[kept], score[kept])


def _answers(best: BestSpans, spans: Sequence[Spans]) -> list[LinkedSpans]:
    """Spans and kept links of each row on the host, best first; equal scores by the places of their spans."""
    row, code, score = best.row.cpu().numpy(), best.code.cpu().numpy(), best.score.cpu().numpy()
    order = np.lexsort((code, -score, row))
    row, code, score = row[order], code[order], score[order].astype(np.float32)
    seen = best.seen.cpu().numpy()
    borders = np.searchsorted(row, np.arange(best.rows + 1))
    return [
        LinkedSpans(spans[number], code[low:high] // MAX_SPANS, code[low:high] % MAX_SPANS, score[low:high],
                    dropped=int(seen[number]) - (high - low))
        for number, (low, high) in enumerate(itertools.pairwise(borders.tolist()))
    ]  # fmt: skip
