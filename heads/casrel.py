"""CasRel (Wei et al. 2020, arXiv 1909.03227) as the LIC2020 baseline has it (Su 2020, kexue.fm 7161): subjects first,
then the objects of each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heads.base import DecodeOptions, Head, HeadOutput, Triples, float32
from heads.layers import apply_dense, dense
from heads.span_decode import BestSpans
from heads.span_loss import block_elements, recomputed

SUBJECT_POWER, OBJECT_POWER = 2, 4
"""A probability is the sigmoid to this power: what is rare begins improbable (1/4 and 1/16 at a score of 0)."""

MOST_SUBJECTS = 128
"""Subjects of a row, the best, whose objects are looked for: a model that marks every token costs no more than that."""


class Scores(NamedTuple):
    """subject (B, L, 2): raw scores of being a subject's first, last token. normed (B, L, H), plain (B, L, H): the
    layer before its norm, normalised without scale and shift, and as it is. Objects are computed from them in `decode`,
    once the subjects are known."""

    subject: Tensor
    normed: Tensor
    plain: Tensor


class Draws(NamedTuple):
    """Spans that the reference may draw as the subject of a row, in ascending order (P,), with their probability."""

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    share: np.ndarray


class CasRel(Head):
    """Subjects as pairs of a first and a last token; for each subject, objects in the same way under every predicate.

    subjects: `sigmoid(x)^2`, x two linear outputs of the last layer: the token begins, ends a subject.
    objects:  `sigmoid(y)^4`, y two linear outputs a predicate of a layer norm over the layer *before* its own norm,
              whose scale and shift are `g + U v`, `b + V v`: v = [h_first; h_last] of the subject from that same layer,
              U and V begin at zero (Su, kexue.fm 7124).
    Loss: binary cross-entropy of these probabilities, mean over first and last, for objects summed over predicates,
    both summed over text tokens; weight: their number (so the mean is the reference's, over all tokens of a batch).

    Every step the reference draws one subject a row: the first token of a gold subject at random, then the last token
    of one at random among those not before it, which may make a span that is none and has no objects. Here the loss is
    the expectation over this draw, exactly: every span it can give counts with its probability. The gradient is that of
    the reference on average, without its noise, and depends neither on a random state nor on how a batch is cut or
    spread. Rows cost a pass through the object layer for each possible span (one subject: 1, three: up to 6).

    Decoded at threshold t (0.4): a subject begins where the first probability is over t and ends at the nearest token,
    not before it, whose last one is; objects likewise. The score of a triple is the smallest of its four probabilities.
    A lower threshold can bring an end nearer, so a triple of a higher one need not be among those of a lower one:
    `nested` is False.

    Different from the reference: [CLS] and [SEP] are neither trained nor decoded; rows without triples are trained on
    (as having no subject); the draw, as above.
    """

    needs = frozenset({"last", "pre_norm"})
    thresholded = True
    default_threshold = 0.4
    thresholds = tuple(step / 20 for step in range(2, 19))
    nested = False

    def __init__(self, hidden_size: int, predicates: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.predicates = predicates
        self.config: dict[str, Any] = {"predicates": predicates, "dropout": dropout}
        self.dropout = nn.Dropout(dropout)
        self.subject = dense(hidden_size, 2, std=0.02)
        self.gain = nn.Parameter(torch.ones(hidden_size))
        self.shift = nn.Parameter(torch.zeros(hidden_size))
        self.condition = dense(2 * hidden_size, 2 * hidden_size, std=0.02, bias=False)
        nn.init.zeros_(self.condition.weight)
        self.object = dense(hidden_size, 2 * predicates, std=0.02)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: `Scores`. Takes "last" and "pre_norm" (B, L, H), `text_mask` (B, L) and, for the loss, `triples`
        (N, 6) int64 of (row, predicate, subject first, subject last, object first, object last token)."""
        subject = float32(apply_dense(self.subject, self.dropout(hidden["last"])))
        plain = float32(hidden["pre_norm"])
        normed = self.dropout(F.layer_norm(plain, plain.shape[-1:], eps=1e-12))
        scores = Scores(subject, normed, plain)
        if not want_loss:
            return HeadOutput(None, None, scores)
        mask, triples = batch["text_mask"], usable(batch["triples"], batch["text_mask"])
        loss = self._subject_loss(subject, mask, triples) + self._object_loss(scores, mask, triples)
        return HeadOutput(loss, mask.sum().to(loss.dtype), scores)

    def _subject_loss(self, scores: Tensor, mask: Tensor, triples: np.ndarray) -> Tensor:
        labels = torch.zeros(scores.shape, dtype=torch.bool)
        labels[triples[:, 0], triples[:, 2], 0] = True
        labels[triples[:, 0], triples[:, 3], 1] = True
        losses = power_cross_entropy(scores, labels.to(scores.device), SUBJECT_POWER)
        return torch.where(mask[..., None], losses, 0).sum() / 2

    def _object_loss(self, scores: Scores, mask: Tensor, triples: np.ndarray) -> Tensor:
        draws = subject_draws(np.unique(triples[:, [0, 2, 3]], axis=0))
        length = mask.shape[1]
        codes = (draws.row * length + draws.start) * length + draws.end
        place = np.searchsorted(codes, (triples[:, 0] * length + triples[:, 2]) * length + triples[:, 3])
        device = mask.device
        row, start, end = (torch.from_numpy(x).to(device) for x in draws[:3])
        share = torch.from_numpy(draws.share).to(scores.normed.dtype).to(device)
        conditions = self._conditions(scores.plain, row, start, end)

        def one(low: int, high: int, normed: Tensor, conditions: Tensor) -> Tensor:
            labels = torch.zeros((high - low, length, self.predicates, 2), dtype=torch.bool)
            inside = (place >= low) & (place < high)
            _, predicate, _, _, first, last = triples[inside].T
            labels[place[inside] - low, first, predicate, 0] = True
            labels[place[inside] - low, last, predicate, 1] = True
            objects = self._objects(normed.index_select(0, row[low:high]), conditions[low:high])
            losses = power_cross_entropy(objects, labels.to(device), OBJECT_POWER).sum((2, 3)) / 2
            return (torch.where(mask[row[low:high]], losses, 0).sum(1) * share[low:high]).sum()

        size = self._block_size(mask)
        if len(codes) <= size:
            return one(0, len(codes), scores.normed, conditions)
        borders = itertools.pairwise([*range(0, len(codes), size), len(codes)])
        losses = [recomputed(one, low, high, scores.normed, conditions) for low, high in borders]
        return torch.stack(losses).sum()

    def _conditions(self, plain: Tensor, row: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """What the subjects (S,) add to scale and shift: (S, 2H)."""
        # index_select, not an index: its backward pass sums repeated places in one order.
        places = row * plain.shape[1]
        vectors = torch.cat([plain.flatten(0, 1).index_select(0, places + at) for at in (start, end)], dim=-1)
        return float32(apply_dense(self.condition, vectors))

    def _objects(self, normed: Tensor, conditions: Tensor) -> Tensor:
        """Raw scores (S, L, K, 2) of the objects of subjects with their rows `normed` (S, L, H)."""
        gain, shift = conditions.chunk(2, dim=-1)
        states = normed * (self.gain + gain)[:, None]
        # The shift is the same for all tokens: through the layer once a subject.
        weight, constant = self.object.weight, float32(apply_dense(self.object, self.shift + shift))
        scores = float32(F.linear(states.to(weight.dtype), weight)) + constant[:, None]
        return scores.view(*scores.shape[:2], self.predicates, 2)

    def _block_size(self, mask: Tensor) -> int:
        """Subjects whose objects are computed at once."""
        each = mask.shape[1] * (self.condition.in_features + 8 * self.predicates)
        return max(1, block_elements(mask.device) // max(1, each))

    @torch.no_grad()
    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Triples]:
        """The triples of each row, the best `max_candidates`, best first. `dropped` counts the others, and each subject
        beyond `MOST_SUBJECTS` as one."""
        threshold = self.threshold(options)
        scores, mask = output.scores, batch["text_mask"]
        rows, length = mask.shape
        found = (scores.subject.sigmoid() ** SUBJECT_POWER).permute(2, 0, 1)
        subjects = BestSpans(rows, MOST_SUBJECTS, threshold, scores.subject)
        row, start, end = nearest_pairs(*((found > threshold) & mask))
        subjects.seen += torch.bincount(row, minlength=rows)
        subjects.add(row, start * length + end, torch.minimum(found[0, row, start], found[1, row, end]))
        best = BestSpans(rows, options.max_candidates, threshold, scores.subject)
        size = self._block_size(mask)
        for low in range(0, len(subjects.row), size):
            row, code, own = (x[low : low + size] for x in (subjects.row, subjects.code, subjects.score))
            conditions = self._conditions(scores.plain, row, code // length, code % length)
            found = self._objects(scores.normed[row], conditions).permute(3, 0, 2, 1).sigmoid() ** OBJECT_POWER
            line, start, end = nearest_pairs(*((found > threshold) & mask[row, None]).flatten(1, 2))
            subject, predicate = line // self.predicates, line % self.predicates
            objects = torch.minimum(found[0, subject, predicate, start], found[1, subject, predicate, end])
            score, row = torch.minimum(objects, own[subject]), row[subject]
            best.seen += torch.bincount(row, minlength=rows)
            codes = ((predicate * length * length + code[subject]) * length + start) * length + end
            better = score > best.bar[row]
            best.add(row[better], codes[better], score[better])
        lost = subjects.seen - torch.bincount(subjects.row, minlength=rows)
        return as_triples(best, lost, length)


def usable(triples: Tensor, mask: Tensor) -> np.ndarray:
    """The triples (N, 6) whose four positions are text tokens, each once, in ascending order, on the host.

    An accelerator is asked for N x 6 integers and the mask: how many spans a step learns from must be known there.
    """
    listed, text = triples.cpu().numpy(), mask.cpu().numpy()
    inside = text[listed[:, :1], listed[:, 2:]].all(1)
    ordered = (listed[:, 2] <= listed[:, 3]) & (listed[:, 4] <= listed[:, 5])
    return np.unique(listed[inside & ordered], axis=0)


def subject_draws(subjects: np.ndarray) -> Draws:
    """What the reference's draw gives for gold subjects (S, 3) of (row, first, last token), distinct and sorted by row.

    A row's first token is that of one of its n subjects, each with probability 1/n; its last token that of one of the m
    subjects whose last token is not before it, each with 1/m. Spans that come about in several ways are summed up.
    """
    spans, shares = [np.empty((0, 3), dtype=np.int64)], [np.empty(0)]
    for group in np.split(subjects, np.flatnonzero(np.diff(subjects[:, 0])) + 1) if len(subjects) else []:
        row, starts, ends = group.T
        possible = ends >= starts[:, None]
        each = np.broadcast_to(1 / (len(group) * possible.sum(1, keepdims=True)), possible.shape)
        i, j = possible.nonzero()
        spans.append(np.stack((row[i], starts[i], ends[j]), axis=1))
        shares.append(each[i, j])
    distinct, place = np.unique(np.concatenate(spans), axis=0, return_inverse=True)
    share = np.bincount(place.reshape(-1), np.concatenate(shares), minlength=len(distinct))
    row, start, end = distinct.T
    return Draws(row, start, end, share)


class _PowerCrossEntropy(torch.autograd.Function):
    """The backward pass keeps one tensor, the derivative; written with autograd's own steps it would keep ten."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor, power: int) -> Tensor:
        high = scores > 0
        small = torch.exp(-scores.abs())
        p = torch.where(high, 1, small) / (1 + small)
        rest, powered = torch.zeros_like(p), p  # p + ... + p^(k-1), p^k
        for _ in range(power - 1):
            rest, powered = rest + powered, powered * p
        line = small.log1p()
        negative = torch.where(high, scores + line, 0) - torch.where(high, rest, -powered).log1p()
        ctx.save_for_backward(torch.where(labels, -power * torch.where(high, small, 1) / (1 + small),
                                          power * powered / (1 + rest)))  # fmt: skip
        return torch.where(labels, power * (line - scores.clamp(max=0)), negative)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None


def power_cross_entropy(scores: Tensor, labels: Tensor, power: int) -> Tensor:
    """`-log(p^k)` where `labels` (bool) hold, `-log(1 - p^k)` elsewhere, for p = sigmoid(scores) and k = `power`.

    For scores over zero `1 - p^k = (1 - p)(1 + p + ... + p^(k-1))`, whose factors lose no digit; under zero p^k is at
    most 2^-k and `log1p` takes it as it is. The derivatives are `-k (1 - p)` and `k p^k / (1 + p + ... + p^(k-1))`. All
    are exact to rounding and finite for every finite score.
    """
    losses: Tensor = _PowerCrossEntropy.apply(float32(scores), labels, power)  # type: ignore[no-untyped-call]
    return losses


def nearest_pairs(starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each start its nearest end at or after it: (group, start, end), each (N,), by group and start.

    starts, ends: (G, L) bool. Starts without an end are left out; two starts may share one.
    """
    length = starts.shape[1]
    group, start = starts.nonzero().unbind(1)
    of, end = ends.nonzero().unbind(1)
    place = torch.searchsorted(of * length + end, group * length + start)
    of, end = (F.pad(x, (0, 1), value=-1) for x in (of, end))  # behind the last end there is none
    found = of[place] == group
    return group[found], start[found], end[place[found]]


def as_triples(best: BestSpans, lost: Tensor, length: int) -> list[Triples]:
    """The candidates of each row, best first (equal scores by predicate, subject, object), on the host."""
    row, code, score = (x.cpu().numpy() for x in (best.row, best.code, best.score))
    order = np.lexsort((code, -score, row))
    row, code, score = row[order], code[order], score[order].astype(np.float32)
    subject, target = code // length**2, code % length**2
    predicate, subject = subject // length**2, subject % length**2
    seen = (best.seen + lost).tolist()
    borders = np.searchsorted(row, np.arange(best.rows + 1)).tolist()
    return [
        Triples(
            predicate=predicate[low:high],
            subject_start=subject[low:high] // length,
            subject_end=subject[low:high] % length,
            object_start=target[low:high] // length,
            object_end=target[low:high] % length,
            score=score[low:high],
            probability=score[low:high],
            dropped=seen[number] - (high - low),
        )
        for number, (low, high) in enumerate(itertools.pairwise(borders))
    ]
