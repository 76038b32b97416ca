"""What every head shares: its output, what its scores are made of, its span candidates and the calls the engine makes.

Heads know torch and nothing else of the project; each can be used alone:

    head = GlobalPointer(hidden_size=768, types=10)
    output = head({"last": hidden}, {"text_mask": mask, "spans": spans}, want_loss=True)
    (output.loss_sum / output.weight).backward()

Shapes use fixed letters: B rows, L tokens, H hidden size, C classes or types, N gold spans of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class HeadOutput(NamedTuple):
    """One forward pass of a head.

    The mean loss of a global batch is `sum(loss_sum) / sum(weight)` over its micro-batches and processes, whatever
    their sizes. Both are float32 scalars, None if no loss was wanted. `scores` is whatever `decode` wants.
    """

    loss_sum: Tensor | None
    weight: Tensor | None
    scores: Any


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How scores become answers. `threshold` is on the head's raw score; None means the head's own default."""

    threshold: float | None = None
    max_candidates: int = 2048


def probability_of(score: np.ndarray) -> np.ndarray:
    """sigmoid(2 s), float32: the share of gold where the multi-label loss (Su 2020, kexue.fm 7359) is at its best.

    By tanh, which does not overflow.
    """
    return ((1.0 + np.tanh(score.astype(np.float64))) / 2.0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Spans:
    """Span candidates of one feature, best first: arrays of one length K.

    `type` index of the type; `start`, `end` token positions in the feature, **both inclusive**; `score` the head's raw
    score (comparable within one head only); `probability` the head's estimate in [0, 1]. `dropped` counts candidates
    beyond `max_candidates`.
    """

    type: np.ndarray
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Triples:
    """Relation candidates of one feature, best first: arrays of one length K.

    `predicate` index of the predicate; the four others are token positions in the feature, **inclusive**; `score` the
    head's raw score, `probability` its estimate in [0, 1]. `dropped` counts candidates beyond `max_candidates`.
    """

    predicate: np.ndarray
    subject_start: np.ndarray
    subject_end: np.ndarray
    object_start: np.ndarray
    object_end: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class LinkedSpans:
    """Typed spans of one feature and the pairs of them that belong together.

    `first`, `second` (M,) are places in the arrays of `spans`, `first < second` but for a span linked with itself;
    `score` (M,) the raw score of the pair. `dropped` counts pairs beyond the bound of the head.
    """

    spans: Spans
    first: np.ndarray
    second: np.ndarray
    score: np.ndarray
    dropped: int = 0


class Head(nn.Module):
    """Base class: a loss in `forward`, an answer in `decode`.

    `needs` names what the encoder must hand over: "pooled" (B, H), "last" (B, L, H), "pre_norm" (B, L, H): the last
    layer's output before the encoder's final norm.
    `flat` says that the head cannot express overlapping spans.
    `by_row` says that a row's loss and answer need no other row of its unit, so that batches may take them apart.
    `thresholded` says that `DecodeOptions.threshold` has a meaning for it; `default_threshold` is used for None.
    `thresholds` are the ones worth trying when it is tuned, ascending.
    `nested` says that the answer at a threshold is what a lower one gives, without what scores no more than it.
    `config` is what rebuilds the head: `type(head)(hidden_size, **head.config)`.
    """

    needs: frozenset[str] = frozenset({"last"})
    flat: bool = False
    by_row: bool = False
    thresholded: bool = False
    default_threshold: float = 0.0
    thresholds: tuple[float, ...] = tuple(step / 4 for step in range(-16, 17))
    nested: bool = True
    config: dict[str, Any]

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores, and with `want_loss` the summed loss and its weight, from the encoder's output.

        `batch` holds `attention_mask` (B, L) bool, `text_mask` (B, L) bool (tokens of the text: no special token, no
        padding), `unit` (B,) int64 (rows of one unit are answered together), and the targets: `labels` (B,) int64;
        `spans` (N, 4) int64 of (row, type, start, end), token positions inclusive; what else a family's features hold.
        """
        raise NotImplementedError

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Any]:
        """One answer a row of the batch, on the host: class scores as an array (C,) float32, or `Spans`."""
        raise NotImplementedError

    def threshold(self, options: DecodeOptions) -> float:
        """The threshold on raw scores that `options` ask for, else the head's default."""
        return self.default_threshold if options.threshold is None else options.threshold

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Symmetric Kullback-Leibler divergence of two passes, summed in the unit of `HeadOutput.weight` (R-Drop).

        Raises NotImplementedError where the head defines none.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no divergence for R-Drop")


def float32(x: Tensor) -> Tensor:
    """`x` in float32, or unchanged where it is already float32 or float64 (tests run in float64)."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


SINGLE = "scores"
"""The output of a head whose scores are one tensor."""


def named(scores: Any) -> dict[str, Tensor]:
    """The tensors of `HeadOutput.scores` by their place (`entities.shared`), in order.

    TypeError where it holds anything but tensors and named tuples.
    """
    return dict(_parts(scores, ""))


def _parts(scores: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(scores, Tensor):
        yield place or SINGLE, scores
    elif isinstance(scores, tuple) and hasattr(scores, "_fields"):
        for field, value in zip(scores._fields, scores, strict=True):
            yield from _parts(value, f"{place}.{field}" if place else field)
    else:
        raise TypeError(f"its scores hold a {type(scores).__name__} where a tensor was expected")


def are_usable(scores: Any) -> bool:
    """Whether no score is NaN or +inf (-inf forbids, and may be); a pass over each tensor, one wait for the device."""
    sums = [tensor.sum(dtype=torch.float32) for tensor in named(scores).values() if tensor.is_floating_point()]
    return bool((torch.stack(sums) < float("inf")).all()) if sums else True  # NaN is below nothing


def filled(template: Any, tensors: Iterator[Tensor]) -> Any:
    """Scores of the form of `template` from tensors in the order of `named`."""
    if isinstance(template, Tensor):
        return next(tensors)
    return type(template)(*(filled(part, tensors) for part in template))
