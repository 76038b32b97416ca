"""The words of the project as types. Importing this module imports no torch.

An `Example` is one row as read; a `Feature` is an example (or one window of it) made ready for the encoder; a
`Prediction` is the answer for one example in the task's own words; a `Metric` compares predictions with gold through
sums of per-item statistics. A `Task` ties them together; `tasks/families` fills this contract for whole kinds of tasks.

Offsets are characters of the original text, half open `[start, end)`, everywhere but between features and
predictions, where token positions live.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from clue_cli.errors import RowError, Where

if TYPE_CHECKING:
    import numpy as np


FORMAT_VERSION = 1
"""Version of the record and of everything else a run directory holds."""


class Span(NamedTuple):
    """A typed piece of the original text: characters `[start, end)`."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row as read.

    number: position among the rows read from the split, from 0.
    id:     the row's own id as the file has it (string or number), None where it has none.
    texts:  what the encoder sees, in order: one text or a pair.
    gold:   the task's own words (a label, a tuple of `Span`); None where the row is not labelled.
    row:    the whole row as the file has it; answers are written beside its fields.
    """

    number: int
    id: str | int | None
    texts: tuple[str, ...]
    gold: Any
    row: Mapping[str, Any]
    where: Where


@dataclass(slots=True)
class Feature:
    """An example, or one window of it, ready for the encoder.

    item:       the example's position in the list handed to `features`; features of one item meet again in
                `predictions`.
    unit:       features of one unit (the choices of a question) stay in one batch and in one process.
    inputs:     what the encoder's forward takes: `input_ids`, and `token_type_ids` where it wants them; lists of int.
    char_spans: (L, 2) int32, token -> [start, end) in the characters of its text; (-1, -1) for special tokens. None
                where the head marks no spans (classification).
    sequence:   (L,) int8, which text a token belongs to; -1 for special tokens. None as above.
    targets:    by name: one int (`labels`), or a (K, w) int32 array of token positions, inclusive: `spans` (type,
                start, end); `triples` (predicate, subject start, end, object start, end); `links` (first span's
                start, end, second span's start, end). Empty where the example has no gold.
    """

    item: int
    unit: int
    inputs: dict[str, list[int]]
    char_spans: np.ndarray | None = None
    sequence: np.ndarray | None = None
    targets: dict[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens, special ones included."""
        return len(self.inputs["input_ids"])


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one example.

    answer: what the metric compares, in the words of `Example.gold` (a label, a tuple of `Span`).
    scores: the family's own: for classification the probabilities in label order (C,), for spans one a span.
    wrong:  what is wrong with parts of an answer read from a file (an event type that the schema lacks, an entity off
            its place): they stand in `answer`, where no metric that looks at it finds them right; a file to be
            submitted must have none.
    """

    answer: Any
    scores: Any = None
    wrong: tuple[RowError, ...] = ()


UNANSWERABLE = "questions without an answer in their passage"
"""Why rows are left out that say themselves that they have no answer: nothing is wrong with such data."""


class Tally:
    """Counts of what was left out or changed, by reason, with the first places: nothing is dropped in silence."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.places: dict[str, list[str]] = {}

    def add(self, reason: str, where: Where | str | None = None, amount: int = 1) -> None:
        """Count `amount` more for `reason` ("rows labelled '-'"), remembering up to five places."""
        if amount:
            self.counts[reason] += amount
            places = self.places.setdefault(reason, [])
            if where is not None and len(places) < 5:
                places.append(str(where))

    def merge(self, other: Tally) -> None:
        """Add another tally's counts and places."""
        for reason, amount in other.counts.items():
            self.counts[reason] += amount
            self.places[reason] = (self.places.get(reason, []) + other.places.get(reason, []))[:5]

    def as_dict(self) -> dict[str, int]:
        """Reason -> count."""
        return dict(self.counts)


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_length` tokens of one feature, special tokens included; `overlap` tokens that neighbouring windows share."""

    max_length: int
    overlap: int = 0


@dataclass(frozen=True, slots=True)
class Answering:
    """Options of an answer: `threshold` on the head's raw score (None: its default), `top_k` labels to report.

    `flat`: the head cannot express overlapping spans, so none may come of merging its windows.
    `joint`: answers that exclude each other (the blanks of a line) are chosen together, not one by one.
    `sweep`: all thresholds to be tried, ascending from `threshold` on; empty where there is but one.
    """

    threshold: float | None = None
    top_k: int = 1
    flat: bool = False
    joint: bool = True
    sweep: tuple[float, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """Defaults of a training, by task, head and encoder size; every value is an option of `clue train`.

    Lengths are tokens, special tokens included; `batch_size` is examples per optimiser step, exact; `epochs` counts
    passes over train; `warmup` is a share of all steps; `patience` is epochs without a better dev figure before
    stopping (0: never); `r_drop` weighs the divergence, `fgm` is the length of the perturbation (0: off).
    `dropout` and `attention_dropout` are the encoder's, `head_dropout` stands before the head's own layers.
    `pooling` "auto" takes the encoder's own default; `segments` is "pair" (0/1 where the encoder has token types) or
    "zero" (CLUE-bert4keras).
    """

    max_length: int = 128
    overlap: int = 32
    batch_size: int = 32
    epochs: int = 3
    learning_rate: float = 3e-5
    head_learning_rate: float = 0.0
    """Learning rate of the head; 0 means the encoder's."""
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    dropout: float = 0.1
    attention_dropout: float = 0.0
    head_dropout: float = 0.1
    pooling: str = "auto"
    segments: str = "pair"
    patience: int = 0
    r_drop: float = 0.0
    fgm: float = 0.0
    class_weights: str = "none"
    """none, or balanced: n / (C * n_c) from the labels of train."""
    gradient_checkpointing: bool = False

    def updated(self, values: Mapping[str, Any]) -> Recipe:
        """A copy with `values`; KeyError for a name that no recipe has."""
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(values) - known):
            raise KeyError(", ".join(unknown))
        return replace(self, **values)


Counts = Mapping[int, float]
"""Sufficient statistics of one unit: column of `Metric.columns` -> amount, zero where absent."""


@runtime_checkable
class Metric(Protocol):
    """A figure as a function of summed statistics, so that errors and tests need nothing more from it.

    id:      stands wherever the figure stands (`accuracy`, `cluener:official`).
    primary: the key of `result` that ranks and selects.
    columns: names of the K statistics, in order.
    """

    id: str
    primary: str
    columns: tuple[str, ...]

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """(cluster, statistics) of one example; a missing prediction (None) counts as wrong or empty.

        Units of one cluster are not independent; the standard error is taken over clusters.
        """
        ...

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """Figures in [0, 1] from summed statistics, vectorised: shape (..., K) -> each (...)."""
        ...


class Mark(Enum):
    """What may stand in a text in the place of words: a token of the tokenizer's own, which no text can spell.

    BLANK: the place that is asked about. HIDDEN: other words that are not shown.
    """

    BLANK = "blank"
    HIDDEN = "hidden"


Text = str | tuple[str | Mark, ...]
"""A text for the encoder: plain, or in pieces with marks between them."""


class TextEncoder(Protocol):
    """Text to tokens with offsets into the original characters (see `clue_cli.encoders.text`)."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything that decides which tokens a text becomes."""
        ...

    def encode(
        self, texts: Sequence[tuple[Text, ...]], limits: Limits, *, windows: bool, offsets: bool, segments: str
    ) -> list[list[EncodedWindow]]:
        """For each entry (one text or several) its windows, in order (exactly one without `windows`)."""
        ...


@dataclass(slots=True)
class EncodedWindow:
    """Tokens of one window. `char_spans` and `sequence` as in `Feature`, None without `offsets`.

    cut: tokens of the text that did not fit (without windows), 0 else.
    """

    inputs: dict[str, list[int]]
    char_spans: np.ndarray | None
    sequence: np.ndarray | None
    cut: int = 0


def labels_sha256(labels: Iterable[str]) -> str:
    """What tells two label sets (or orders) apart."""
    return hashlib.sha256(json.dumps(list(labels), ensure_ascii=False).encode("utf-8")).hexdigest()
