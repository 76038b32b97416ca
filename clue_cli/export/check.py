"""The answers and the raw scores of an export beside those of PyTorch, on every row of a split.

Both see the same batches. Raw scores are the outputs of the graph (at real tokens) and the scores of the candidates
that are decoded from them; their difference is relative to `1 + |score|`.

Answers must be the same. One that differs is a tie where every raw score of its row agrees within `TOLERANCE` and the
run's own decoder, given the export's raw scores, gives the export's answer: then nothing differs but scores that lie
so near to each other, or to the threshold, that their last digits decide. Every other difference is an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from clue_cli import console
from clue_cli.model import BaseModel
from clue_cli.prediction import Predictor
from heads.base import LinkedSpans, Spans, Triples, named

if TYPE_CHECKING:
    from clue_cli.contract import Answering, Example, Feature, Prediction
    from clue_cli.export.onnx_model import OnnxModel
    from clue_cli.model import Model

TOLERANCE = 1e-4
"""What two raw scores may differ by, relative to `1 + |score|`: some hundred times float32's rounding."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One row: PyTorch's answer and the export's, the largest difference of a raw score, whether both agree.

    tie: the answers differ, and nothing but nearly equal scores is the reason.
    """

    example: Example
    ours: Prediction
    theirs: Prediction
    gap: float
    tie: bool

    @property
    def differs(self) -> bool:
        """Whether the answers are not the same."""
        return bool(self.ours.answer != self.theirs.answer)

    @property
    def wrong(self) -> bool:
        """Whether this is more than rounding."""
        return self.gap > TOLERANCE or (self.differs and not self.tie)


@dataclass
class Comparison:
    """All rows of a split, in order; `seconds` of one thread by runtime, encoder and decoder, on `threads` threads.

    probe: the largest difference of a raw score on tokens that are no text, at lengths that the rows may not have.
    """

    rows: list[Compared]
    threads: int
    probe: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def largest(self) -> float:
        """The largest difference of a raw score."""
        return max((row.gap for row in self.rows), default=0.0)

    @property
    def differing(self) -> int:
        """Rows whose answers are not the same, ties included."""
        return sum(row.differs for row in self.rows)

    @property
    def ties(self) -> int:
        """Of those, the ones that only rounding decides."""
        return sum(row.differs and row.tie for row in self.rows)

    @property
    def wrong(self) -> list[Compared]:
        """The rows that must not be, in order."""
        return [row for row in self.rows if row.wrong]

    def rate(self, runtime: str) -> float:
        """Rows a second of a runtime, its threads together; 0 where nothing was measured."""
        spent = self.seconds.get(runtime, 0.0)
        return len(self.rows) * self.threads / spent if spent > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, without the rows."""
        return {
            "rows": len(self.rows),
            "largest_difference": self.largest if np.isfinite(self.largest) else None,
            "largest_difference_probe": self.probe if np.isfinite(self.probe) else None,
            "tolerance": TOLERANCE,
            "differing_answers": self.differing,
            "ties": self.ties,
            "rows_per_second": {runtime: round(self.rate(runtime), 1) for runtime in self.seconds},
            "threads": self.threads,
        }


OURS, THEIRS = "pytorch", "onnxruntime"


@dataclass(frozen=True, slots=True)
class _Both:
    """One feature: what each decodes, what our decoder makes of their scores, and the difference of the scores."""

    ours: Any
    theirs: Any
    ours_of_theirs: Any
    gap: float


class _Pair(BaseModel):
    """Two models as one whose candidates are `_Both`."""

    def __init__(self, ours: Model, theirs: OnnxModel) -> None:
        self.ours, self.theirs = ours, theirs
        self.task, self.head, self.settings, self.text_encoder = ours.task, ours.head, ours.settings, ours.text_encoder
        self.limits, self.device, self.precision = ours.limits, ours.device, ours.precision
        self.hidden_size = ours.hidden_size
        self.seconds = {OURS: 0.0, THEIRS: 0.0}
        self._lock = threading.Lock()

    def predict(self, features: Sequence[Feature], options: Answering) -> list[_Both]:
        """What both decode for each feature."""
        with torch.inference_mode():
            batch = self.batch(features)
            output, ours = self._timed(OURS, self.ours, batch, options)
            other, theirs = self._timed(THEIRS, self.theirs, batch, options)
            again = self.ours.decode(other, batch, options)
        gaps = _gaps(output.scores, other.scores, self.theirs.length_axes, batch["attention_mask"].numpy())
        return [
            _Both(one, two, three, max(gap, candidates_gap(one, two)))
            for one, two, three, gap in zip(ours, theirs, again, gaps.tolist(), strict=True)
        ]

    def _timed(self, name: str, model: BaseModel, batch: Mapping[str, Tensor], options: Answering) -> tuple[Any, Any]:
        started = time.perf_counter()
        output = model.output(batch)
        decoded = model.decode(output, batch, options)
        with self._lock:
            self.seconds[name] += time.perf_counter() - started
        return output, decoded


class _PairPredictor(Predictor):
    """Answers are `Compared`."""

    def _predicted(self, example: Example, features: list[Feature], candidates: list[Any], options: Answering) -> Any:
        ours, theirs, again = (
            self.task.predictions(example, features, [getattr(both, part) for both in candidates], options)
            for part in ("ours", "theirs", "ours_of_theirs")
        )
        gap = max((both.gap for both in candidates), default=0.0)
        tie = bool(ours.answer != theirs.answer and again.answer == theirs.answer and gap <= TOLERANCE)
        return Compared(example, ours, theirs, gap, tie)


def compare(ours: Model, theirs: OnnxModel, examples: Sequence[Example]) -> Comparison:
    """Answer `examples` with both models, as `clue predict` would, and put the answers beside each other."""
    pair = _Pair(ours, theirs)
    threads = torch.get_num_threads()
    with console.progress(len(examples), "comparing", unit="rows") as bar:
        stream: Iterable[tuple[Example, Any]] = _PairPredictor(pair).examples(examples, on_rows=bar.advance)
        rows = [compared for _, compared in stream]
    return Comparison(rows, threads, _probed(ours, theirs), pair.seconds)


def _probed(ours: Model, theirs: OnnxModel) -> float:
    """The largest difference of a raw score on drawn tokens: one short row, and rows as long as the model takes.

    The rows of a split may all have like lengths, and a graph must not depend on any.
    """
    drawn = np.random.default_rng(20_200_701)
    gaps = []
    for rows, length in ((1, 3), (3, ours.limits.max_length)):
        ids = torch.from_numpy(drawn.integers(0, ours.text_encoder.vocab_size, (rows, length)))
        mask = torch.ones(rows, length, dtype=torch.bool)
        mask[1:, length // 2 :] = False
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        with torch.inference_mode():
            scores = ours.output(batch).scores, theirs.output(batch).scores
        gaps.append(float(_gaps(*scores, theirs.length_axes, mask.numpy()).max()))
    return max(gaps)


def relative_gap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """`|ours - theirs| / (1 + |ours|)`, 0 for equal infinities, infinite where only one is finite or any is NaN."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(ours - theirs) / (1 + np.abs(ours))
    gap = np.where(ours == theirs, 0.0, gap)
    return np.where(np.isnan(gap), np.inf, gap)


def _gaps(ours: Any, theirs: Any, length_axes: Mapping[str, Sequence[int]], mask: np.ndarray) -> np.ndarray:
    """The largest relative difference of any output of the graph, for each row of a batch (B,).

    Positions that are padding (mask (B, L) False) do not count.
    """
    gaps = np.zeros(len(mask))
    for (name, mine), other in zip(named(ours).items(), named(theirs).values(), strict=True):
        if mine.shape != other.shape:
            return np.full(len(mask), np.inf)
        gap = relative_gap(mine.numpy(), other.numpy())
        for axis in length_axes[name]:
            shape = [len(mask)] + [mask.shape[1] if axis == i else 1 for i in range(1, gap.ndim)]
            gap = np.where(mask.reshape(shape), gap, 0.0)
        gaps = np.maximum(gaps, gap.reshape(len(mask), -1).max(axis=1, initial=0.0))
    return gaps


def candidates_gap(ours: Any, theirs: Any) -> float:
    """The largest relative difference of the scores of candidates that both found; 0 where there is none."""
    mine, other = candidate_scores(ours), candidate_scores(theirs)
    shared = [key for key in mine if key in other]
    if not shared:
        return 0.0
    columns = (np.array([scores[key] for key in shared], dtype=np.float64) for scores in (mine, other))
    return float(relative_gap(*columns).max())


def candidate_scores(candidates: Any) -> dict[Hashable, float]:
    """Score by candidate: by class, by the type and place of a span, by the parts of a triple, by the two of a link."""
    if isinstance(candidates, np.ndarray):
        return dict(enumerate(candidates.ravel().tolist()))
    if isinstance(candidates, Spans):
        return dict(zip(_spans(candidates), candidates.score.tolist(), strict=True))
    if isinstance(candidates, Triples):
        c = candidates
        columns = (c.predicate, c.subject_start, c.subject_end, c.object_start, c.object_end)
        return dict(zip(zip(*(column.tolist() for column in columns), strict=True), c.score.tolist(), strict=True))
    if isinstance(candidates, LinkedSpans):
        spans = _spans(candidates.spans)
        # Of several spans on one place either may stand for it: a link is known by its places.
        pairs = zip(candidates.first.tolist(), candidates.second.tolist(), strict=True)
        links = [(spans[first][1:], spans[second][1:]) for first, second in pairs]
        found: dict[Hashable, float] = dict(zip(spans, candidates.spans.score.tolist(), strict=True))
        found.update((frozenset(link), score) for link, score in zip(links, candidates.score.tolist(), strict=True))
        return found
    return {}


def _spans(spans: Spans) -> list[tuple[int, int, int]]:
    return list(zip(spans.type.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True))
