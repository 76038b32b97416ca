"""A task as the machinery knows it. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Recipe, Tally, TextEncoder

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from clue_cli.lines import Bad
    from clue_cli.sources import Row, Source


class Task(Protocol):
    """A benchmark task as a plugin; importing one imports no torch. `tasks/families/declaration.py` and
    `base.py` beside it hold the shared part."""

    name: str
    family: str
    title: str
    homepage: str
    version: int
    files: Mapping[str, tuple[str, ...]]
    official: Mapping[str, str]
    heads: Mapping[str, str]
    default_head: str
    metrics: Mapping[str, str]
    default_metric: str
    submissions: Mapping[str, str]
    labels: tuple[str, ...]
    fields: tuple[str, ...]
    spans: bool
    """Whether features carry char_spans (and long texts become windows)."""
    counts: Mapping[str, int]
    """Split -> rows of its official file, unusable ones included; empty where nobody knows."""
    own: bool
    """Whether the data are the user's: then there are no official files to compare with."""
    label_names: Mapping[str, str]
    """What labels mean, for people; may be empty."""
    hub: str
    """The task's configuration in the CLUE set on the Hugging Face hub; empty where it is not there."""
    document: bool
    """Whether official files are one JSON document each, not JSON lines."""
    ranked: bool
    """Whether an answer is the first of several in order, so that `--top-k` has a meaning."""

    def split(self, name: str) -> str:
        """The split that `name` means ("test" is test1.1 where there are two); UserError if there is none."""
        ...

    def has_split(self, source: Source, split: str) -> bool:
        """Whether `source` holds a file of this split."""
        ...

    def file_of(self, source: Source, split: str) -> str:
        """The name of that file; UserError, saying what was looked for, where there is none."""
        ...

    def files_of(self, source: Source, split: str) -> tuple[str, ...]:
        """The names of all files that the split is made of, in the order in which they are read."""
        ...

    def adapt(self, source: Source) -> Task:
        """The task as these data want it: another schema beside them makes another variant of the task."""
        ...

    def rows(self, source: Source, file: str, bad: Bad | None = None) -> Iterator[Row]:
        """The rows of a file, one JSON document or lines; RowError with the place, unless `bad` takes a wrong line."""
        ...

    def unpack(self, document: Any, place: str) -> Iterator[Row]:
        """The rows of an official document, flat; RowError names file and part. Only where `document` is True."""
        ...

    def read(self, source: Source, split: str, tally: Tally) -> Iterator[Example]:
        """The rows of a split; RowError names file, line and field; rows without usable gold are tallied."""
        ...

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One row (of the official form, or with the user's fields renamed to it) as an example; RowError if wrong."""
        ...

    def features(
        self,
        examples: Sequence[Example],
        text_encoder: TextEncoder,
        limits: Limits,
        tally: Tally,
        *,
        segments: str = "pair",
        flat: bool = False,
    ) -> Iterator[Feature]:
        """Features of `examples` in order; `flat` says that the head cannot express overlapping spans."""
        ...

    def collate(self, features: Sequence[Feature]) -> dict[str, np.ndarray]:
        """The targets of a batch as arrays: whole numbers (B,) int64, (K, w) arrays (N, 1 + w) int64, the row first."""
        ...

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The answer for one example from what the head decoded for each of its features."""
        ...

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """The fields that `clue predict` writes beside the row's own: `label`, `entities`, `probability`, `top` ..."""
        ...

    def gold_fields(self, example: Example) -> dict[str, Any]:
        """The gold of a labelled example as JSON values, beside which `answer_fields` stand in a run's predictions."""
        ...

    def labels_of(self, gold: Any) -> Iterable[str]:
        """The labels that a gold holds, each as often as it occurs."""
        ...

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """A prediction from a row of a prediction file (ours or the official form); RowError if wrong."""
        ...

    def head_config(self, head: str) -> dict[str, Any]:
        """Arguments of the head's constructor beside the hidden size (`classes=15`, `types=10`)."""
        ...

    def recipe_for(self, head: str, size: str, named: str | None = None) -> tuple[Recipe, dict[str, str]]:
        """The recipe for a head and an encoder size, and for each field where its value comes from.

        `named` lays a recipe chosen by name (`clue-bert4keras`) over it; UserError for one that the task has not.
        """
        ...

    def with_fields(self, names: Sequence[str]) -> Task:
        """The same task on other input fields; UserError for an unknown one."""
        ...

    def with_labels(self, labels: Sequence[str]) -> Task:
        """The same task on a user's own data with their labels: nothing official is left of it."""
        ...

    def submission_ids(self, example: Example) -> tuple[str | int, ...]:
        """By what the official prediction file knows an example: its id, or those of its parts; empty without one."""
        ...

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """One line of the official prediction file, where it is JSON lines."""
        ...

    def submission_document(self, predictions: Iterable[tuple[Example, Prediction]]) -> Any:
        """The official prediction file as one JSON value; None, whatever the predictions, where it is JSON lines."""
        ...

    def write_submission(self, predictions: Iterable[tuple[Example, Prediction]], split: str, path: Path) -> None:
        """The official prediction file."""
        ...

    def unpack_predictions(self, document: Any, place: str) -> Iterator[Row]:
        """The rows of a prediction file that is one JSON value: the inverse of `submission_document`, a row an id."""
        ...

    def read_predictions(self, rows: Sequence[Row], example: Example) -> Prediction:
        """As `read_prediction`, from the rows of the `submission_ids` that have one, in their order."""
        ...

    def to_config(self) -> dict[str, Any]:
        """What rebuilds this task beside a run: name, version, fields; the whole declaration for a user's own task."""
        ...
