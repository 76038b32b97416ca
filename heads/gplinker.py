"""GPLinker (Su 2022, kexue.fm 8888): relations as pairs of spans, scored by three Efficient GlobalPointers at once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from heads.base import DecodeOptions, Head, HeadOutput, Triples, probability_of
from heads.divergence import factorised_divergence
from heads.factorised import FactorisedScorer, Factors
from heads.layers import count_at, full_precision, stable_order
from heads.span_decode import BestSpans, FoundSpans, factorised_spans
from heads.span_loss import block_elements, factorised_span_loss, valid_pairs

SUBJECT, OBJECT = 0, 1
"""Types of the entity scorer."""

START_SCORE = -6.0
"""About which all scores lie at first. Of L * L pairs a few are gold: from 0 the first epochs only push the others down
(500 sample rows, 96 steps of 16: from -4 a loss of 26 instead of 40)."""

MAX_ENTITIES, MAX_TRIPLES = 256, 512
"""Subjects and objects of one row that are paired, and triples of one row that come out: far more than a text holds,
few enough for an untrained model, which finds half of all there are."""


class RelationScores(NamedTuple):
    """`Factors` of subjects and objects, of links between their first tokens and between their last, by predicate."""

    entities: Factors
    heads: Factors
    tails: Factors


class _Paired(NamedTuple):
    """Every subject of a row beside every object of it, for all rows: six (N,) int64, and `score` (N,), the smaller
    of the two entity scores."""

    row: Tensor
    subject_start: Tensor
    subject_end: Tensor
    object_start: Tensor
    object_end: Tensor
    score: Tensor

    def at(self, chosen: Tensor) -> _Paired:
        return _Paired(*(column[chosen] for column in self))


class GPLinker(Head):
    """`S(s, p, o) = S(sh, st) + S(oh, ot) + S(sh, oh | p) + S(st, ot | p)`, a triple where each term is positive.

    Three Efficient GlobalPointers: subjects and objects (two types, rotary, first token <= last), and for every
    predicate links from the subject's first token to the object's first, and from last to last (no rotary, any order).
    Each is trained with the multi-label loss, summed over types; loss = the three added, weight B. Takes `triples`
    (N, 6) int64 of (row, predicate, subject start, end, object start, end), token positions inclusive.

    Decoded: every triple whose four terms are over the threshold (0); its score is the smallest of the four, its
    probability sigmoid(2 score). Nothing of size P * L^2 is made, in training or in decoding. As published, a link
    says nothing about the other ends of its spans: nested entities that share a border with linked ones on both sides
    are linked too.

    Different from the reference: [CLS] and [SEP] are left out in training as in decoding (there only in decoding); with
    biases all scores start about `START_SCORE`.
    """

    thresholded = True
    default_threshold = 0.0

    def __init__(
        self, hidden_size: int, predicates: int, head_size: int = 64, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.predicates = predicates
        self.config: dict[str, Any] = {
            "predicates": predicates, "head_size": head_size, "bias": bias, "dropout": dropout
        }  # fmt: skip
        shared: dict[str, Any] = {
            "head_size": head_size, "bias": bias, "dropout": dropout, "start_score": START_SCORE
        }  # fmt: skip
        self.entities = FactorisedScorer(hidden_size, 2, rotary=True, **shared)
        self.heads = FactorisedScorer(hidden_size, predicates, rotary=False, **shared)
        self.tails = FactorisedScorer(hidden_size, predicates, rotary=False, **shared)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `RelationScores`. Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `triples`."""
        scorers = (self.entities, self.heads, self.tails)
        scores = RelationScores(*(scorer.factors(hidden["last"]) for scorer in scorers))
        if not want_loss:
            return HeadOutput(None, None, scores)
        spans, heads, tails = linked(batch["triples"])
        any_order = valid_pairs(batch["text_mask"], ordered=False)
        loss = (
            factorised_span_loss(*scores.entities, valid_pairs(batch["text_mask"]), spans)
            + factorised_span_loss(*scores.heads, any_order, heads)
            + factorised_span_loss(*scores.tails, any_order, tails)
        )
        return HeadOutput(loss, loss.new_tensor(float(len(batch["text_mask"]))), scores)

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of every sigmoid(2 s) of the three scorers (R-Drop), summed."""
        valid = valid_pairs(batch["text_mask"])
        any_order = valid_pairs(batch["text_mask"], ordered=False)
        masks = (valid, any_order, any_order)
        parts = zip(first.scores, second.scores, masks, strict=True)
        return torch.stack([factorised_divergence(*part) for part in parts]).sum()

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Triples]:
        """Every triple over the threshold, best first, at most `max_candidates` and `MAX_TRIPLES` of a row.

        A row pairs its best `MAX_ENTITIES` subjects and objects. `dropped` counts what is beyond each of these bounds.
        """
        threshold = self.threshold(options)
        scores: RelationScores = output.scores
        with torch.no_grad(), full_precision(scores.entities.shared):
            spans = factorised_spans(*scores.entities, batch["text_mask"], threshold, MAX_ENTITIES)
            pairs = _paired(spans, scores.entities.shared.device)
            block = max(1, block_elements(pairs.row.device) // self.predicates)
            if len(pairs.row) > block:
                pairs = _promising(pairs, scores, threshold)
            limit = min(options.max_candidates, MAX_TRIPLES)
            best = BestSpans(len(spans.dropped), limit, threshold, scores.heads.shared)
            for low in range(0, len(pairs.row), block):
                part = _Paired(*(column[low : low + block] for column in pairs))
                _add_linked(best, part, low, scores, threshold)
            return _triples(best, pairs, self.predicates, spans.dropped)


def linked(triples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Targets of the three scorers, each (.., 4) int64, from triples (N, 6): entity spans, head links, tail links."""
    row, predicate, subject_start, subject_end, object_start, object_end = triples.unbind(1)
    subjects = torch.stack((row, torch.full_like(row, SUBJECT), subject_start, subject_end), 1)
    objects = torch.stack((row, torch.full_like(row, OBJECT), object_start, object_end), 1)
    heads = torch.stack((row, predicate, subject_start, object_start), 1)
    tails = torch.stack((row, predicate, subject_end, object_end), 1)
    return torch.cat((subjects, objects)), heads, tails


def _paired(found: FoundSpans, device: torch.device) -> _Paired:
    """All pairs of a subject and an object of the same row."""
    subjects, objects = np.flatnonzero(found.type == SUBJECT), np.flatnonzero(found.type == OBJECT)
    first_object = np.searchsorted(found.row[objects], np.arange(len(found.dropped) + 1))
    partners = np.diff(first_object)[found.row[subjects]]
    first = np.repeat(subjects, partners)
    # The number of a pair among those of its subject is that of the object in the row.
    number = np.arange(len(first)) - np.repeat(partners.cumsum() - partners, partners)
    second = objects[first_object[found.row[first]] + number]
    places = np.stack((found.row[first], found.start[first], found.end[first], found.start[second], found.end[second]))
    score = np.minimum(found.score[first], found.score[second])
    columns = (*torch.from_numpy(places).to(device), torch.from_numpy(score).to(device))
    return _Paired(*columns)


def _promising(pairs: _Paired, scores: RelationScores, threshold: float) -> _Paired:
    """The pairs that some predicate may link, most promising first, so that the bar of a full row rises early.

    By a bound that no score exceeds, since rounding is monotone.
    """
    bound = pairs.score
    for (A, b, c), first, second in (
        (scores.heads, pairs.subject_start, pairs.object_start),
        (scores.tails, pairs.subject_end, pairs.object_end),
    ):
        top_b, top_c = b.amax(2), c.amax(2)
        links = (A[pairs.row, first, second] + top_c[pairs.row, second]) + top_b[pairs.row, first]
        bound = torch.minimum(bound, links)
    order = stable_order(bound, descending=True)
    return pairs.at(order[bound[order] > threshold])


def _add_linked(best: BestSpans, pairs: _Paired, first_pair: int, scores: RelationScores, threshold: float) -> None:
    """Add the triples of a block of pairs whose links are over the threshold; their code is pair * P + predicate."""
    (A, b, c), (A2, b2, c2) = scores.heads, scores.tails
    row = pairs.row
    heads = A[row, pairs.subject_start, pairs.object_start][:, None] + c[row, pairs.object_start]
    heads += b[row, pairs.subject_start]
    tails = A2[row, pairs.subject_end, pairs.object_end][:, None] + c2[row, pairs.object_end]
    tails += b2[row, pairs.subject_end]
    score = torch.minimum(torch.minimum(heads, tails), pairs.score[:, None])
    count_at(best.seen, row, (score > threshold).sum(1))
    pair, predicate = (score > best.bar[row][:, None]).nonzero().unbind(1)
    if len(pair):
        best.add(row[pair], (first_pair + pair) * score.shape[1] + predicate, score[pair, predicate])


def _triples(best: BestSpans, pairs: _Paired, predicates: int, left_out: np.ndarray) -> list[Triples]:
    """The kept triples of each row on the host, best first; equal scores by predicate, then by position."""
    ends = torch.stack(pairs[1:5])[:, best.code // predicates].cpu().numpy()
    row, predicate = best.row.cpu().numpy(), (best.code % predicates).cpu().numpy()
    score = best.score.cpu().numpy()
    order = np.lexsort((*ends[::-1], predicate, -score, row))
    row, predicate, score, ends = row[order], predicate[order], score[order].astype(np.float32), ends[:, order]
    probability = probability_of(score)
    seen = left_out + best.seen.cpu().numpy()
    answers = []
    for number, (low, high) in enumerate(itertools.pairwise(np.searchsorted(row, np.arange(best.rows + 1)).tolist())):
        own = slice(low, high)
        s0, s1, o0, o1 = ends[:, own]
        dropped = int(seen[number]) - (high - low)
        answers.append(Triples(predicate[own], s0, s1, o0, o1, score[own], probability[own], dropped))
    return answers
