"""What every family of tasks shares: reading row by row, targets as arrays, the official prediction file.

A family is a frozen dataclass below `TaskBase`; it says how a row becomes an example, examples become features, and
candidates become a prediction. What a task file declares stands in `declaration`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli.contract import Answering, Example, Feature, Prediction, Tally
from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.files import atomic_write
from clue_cli.sources import spelled
from clue_cli.task import Task
from tasks.families.declaration import OWN_FILES, Declaration
from tasks.families.values import kind

if TYPE_CHECKING:
    import numpy as np

    from clue_cli.lines import Bad
    from clue_cli.sources import Row, Source

MANY_LABELS = 20
"""From here on a message about an unknown label does not list all that are known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskBase(Declaration, Task):
    """A declared task that reads rows and writes answers; families override what is their own."""

    # ---------------------------------------------------------------- labels and splits

    def label_of(self, value: Any, where: Where) -> str:
        """The label that a field's value names; RowError if none.

        Official labels are strings. A number or a JSON boolean is taken where its JSON spelling is a label ("1",
        "true"), since user files and the hub write them so; 1.0 is also the label "1" where there is no "1.0" (columns
        of floats, in csv as well). Nothing is ever taken as a class index.
        """
        if type(value) is str and value in self.label_index:
            return value
        for text in _spellings(value):
            if text in self.label_index:
                return self.labels[self.label_index[text]]
        text = spelled(value)
        if not isinstance(text, str):
            raise RowError(f"the label must be a string, found {kind(value)}", where)
        if len(self.labels) <= MANY_LABELS:
            raise RowError(did_you_mean(text, self.labels, "label"), where)
        many = f"{len(self.labels)} labels, {self.labels[0]!r} to {self.labels[-1]!r}"
        raise RowError(f"unknown label {text!r}; task {self.name} has {many}", where)

    def has_split(self, source: Source, split: str) -> bool:
        """Whether `source` holds a file of this split."""
        return any(source.has(name) for name in self.files[self.split(split)])

    def file_of(self, source: Source, split: str) -> str:
        """The file of `source` that holds the split; UserError, naming what was looked for, if there is none."""
        split = self.split(split)
        try:
            return source.find(self.files[split])
        except UserError as error:
            if self._looks_own(source, split) and not error.hint and error.where == source.location:
                hint = "--labels FILE says that the data are your own"
                raise UserError(error.message, where=error.where, hint=hint) from None
            if split != "dev" or not self.own or error.hint or not self.has_split(source, "train"):
                raise
            train = self.file_of(source, "train")
            names = self.files[split]
            dev = next((name for name in names if Path(name).suffix == Path(train).suffix), names[0])
            hint = f"hold back about a tenth of the rows of {train} as {dev}"
            raise UserError(error.message, where=error.where, hint=hint) from None

    def _looks_own(self, source: Source, split: str) -> bool:
        """Whether the split lies there under a name of own data, which an official task reads with `--labels` only."""
        names = OWN_FILES.get(split, OWN_FILES["test"])
        return self.takes_labels and not self.own and any(source.has(name) for name in names)

    # ---------------------------------------------------------------- reading

    def files_of(self, source: Source, split: str) -> tuple[str, ...]:
        """All files of `source` that the split is made of; UserError as `file_of`."""
        return (self.file_of(source, split),)

    def adapt(self, source: Source) -> Task:
        """The task as these data want it; families with a schema look for one beside the data."""
        return self

    def rows(self, source: Source, file: str, bad: Bad | None = None) -> Iterator[Row]:
        """The rows of a file: of the official document where it is one, else of its lines (`bad` takes wrong ones)."""
        if self.document and file.endswith(".json"):
            document = source.document(file)
            flat = isinstance(document, dict) and all(name in document for name in self.fields)  # a file of one row
            if document is not None and not flat:
                yield from self.unpack(document, source.place(file))
                return
        yield from source.rows(file, bad)

    def unpack(self, document: Any, place: str) -> Iterator[Row]:
        """The rows of an official document, flat."""
        raise UserError(f"task {self.name} reads JSON lines, not one document", where=place)

    def read(self, source: Source, split: str, tally: Tally) -> Iterator[Example]:
        """The examples of a split, in the order of the file.

        Rows of train and dev must be labelled; those labelled with one of `left_out` ("" stands for null and an empty
        cell as well) are left out and counted. Rows of a test split have no gold, whatever the file says: loaders put
        placeholders there. A user's own test rows are taken as labelled where the field is there and says a label.
        RowError names file, line and field; UserError an empty file.
        """
        split = self.split(split)
        test = split.startswith("test")
        files = self.files_of(source, split)
        first_place: dict[Any, Where] = {}
        number, rows = 0, 0
        for row in itertools.chain.from_iterable(self.rows(source, file) for file in files):
            rows += 1
            if not test and (reason := self._unusable(row)) is not None:
                tally.add(reason, row.where)
                continue
            if test:
                self._check_repeated(row, first_place)
            labelled = not test or split in self.labelled_tests
            if test and self.own:
                labelled = self.is_labelled(row) and self._unusable(row) is None
            yield self.example(row, number, labelled=labelled)
            number += 1
        if not rows:
            raise UserError(f"no rows; {self.expected()}", where=source.place(files[0]))

    @property
    def gold_names(self) -> tuple[str, ...]:
        """The fields that may hold a row's gold, one of them at a time: the official form, our own."""
        return (self.label,)

    def is_labelled(self, row: Row) -> bool:
        """Whether a row of a user's own file carries gold (an empty csv cell is none)."""
        return any(row.data.get(name) not in (None, "") for name in self.gold_names)

    def gold_field(self, row: Row) -> str | None:
        """The field that holds the row's gold, None without one; RowError where two do."""
        given = [name for name in self.gold_names if row.data.get(name) not in (None, "")]
        if len(given) > 1:
            raise RowError(f"both {given[0]!r} and {given[1]!r} are given", row.where, hint="keep the one that is gold")
        return given[0] if given else None

    def _unusable(self, row: Row) -> str | None:
        """Why the row's gold does not count: it is one of `left_out`. None where it counts, or the field is missing."""
        if not self.left_out:
            return None
        gold: Any = None
        for name in self.gold_names:
            if name in row.data:
                gold = row.data[name]
                if gold not in (None, ""):
                    break
                gold = ""
        for text in _spellings(gold):
            if text in self.left_out:
                return f"rows labelled {text!r}" if text else "rows without a label"
        return None

    def _check_repeated(self, row: Row, first_place: dict[Any, Where]) -> None:
        identity = row.data.get(self.id)
        if isinstance(identity, (str, int)):
            if identity in first_place:
                before = first_place[identity]
                used = f"in line {before.line}" if before.line is not None else f"at {before}"
                hint = '`id = "..."` in task.toml names another field' if self.declared else None
                differ = f"id {identity!r} was already used {used}; ids of a test split must differ"
                raise RowError(differ, row.at(self.id), hint=hint)
            first_place[identity] = row.where

    def identity(self, row: Row) -> str | int | None:
        """The row's own id; None where it has none. RowError if it is neither a string nor a whole number."""
        value = row.data.get(self.id)
        if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
            return value
        raise RowError(f"the id must be a string or a whole number, found {kind(value)}", row.at(self.id))

    def text(self, row: Row, name: str, *, optional: bool = False) -> str:
        """The text in field `name`; RowError if it is missing, no string, or empty (unless `optional`)."""
        value = self.value(row, name)
        place = row.at(name)
        if not isinstance(value, str):
            raise RowError(f"a text was expected, found {kind(value)}", place)
        if not optional and not value.strip():
            raise RowError("the text is empty", place)
        return value

    def value(self, row: Row, name: str) -> Any:
        """What field `name` holds; a RowError that names the fields found and expected if it is missing."""
        try:
            return row.data[name]
        except KeyError:
            found = ", ".join(list(row.data)[:12]) or "none"
            raise RowError(f"no field {name!r}; fields found: {found}; {self.expected()}", row.where) from None

    def expected(self) -> str:
        """What a row of this task looks like, for messages."""
        return f"task {self.name} expects {', '.join((*self.fields, self.label))}"

    # ---------------------------------------------------------------- what the machinery asks

    def collate(self, features: Sequence[Feature]) -> dict[str, np.ndarray]:
        """Targets of a batch: whole numbers become (B,) int64, (K, 3) arrays become (N, 4) with the row in front.

        Empty where any feature has no targets (rows without gold): such a batch has no loss.
        """
        import numpy as np

        if not features or not all(feature.targets for feature in features):
            return {}
        batch: dict[str, np.ndarray] = {}
        for name, first in features[0].targets.items():
            values = [feature.targets[name] for feature in features]
            if isinstance(first, np.ndarray):
                rows = np.repeat(np.arange(len(values)), [len(value) for value in values])
                batch[name] = np.column_stack([rows, np.concatenate(values)]).astype(np.int64)
            else:
                batch[name] = np.array(values, dtype=np.int64)
        return batch

    def gold_fields(self, example: Example) -> dict[str, Any]:
        """The gold of a labelled example, written as an answer would be."""
        return self.answer_fields(example, Prediction(example.gold), Answering(), probabilities=False)

    def labels_of(self, gold: Any) -> Iterable[str]:
        """The label itself, or the type of each span."""
        return (gold,) if isinstance(gold, str) else [span.type for span in gold]

    # ---------------------------------------------------------------- submissions

    def submission_ids(self, example: Example) -> tuple[str | int, ...]:
        """The example's own id; families whose official file answers parts of an example apart name those."""
        return () if example.id is None else (example.id,)

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """One line of the official prediction file."""
        raise UserError(f"task {self.name} has no official prediction file")

    def submission_document(self, predictions: Iterable[tuple[Example, Prediction]]) -> Any:
        """None: the official prediction file is JSON lines. Families override it where it is one JSON value."""
        return None

    def write_submission(self, predictions: Iterable[tuple[Example, Prediction]], split: str, path: Path) -> None:
        """The official prediction file of a split: one JSON line an example, or one JSON value; whole or not at all.

        UserError if the split has none; RowError for a row without an id (a row number would score as wrong).
        """
        split = self.split(split)
        if split not in self.submissions:
            known = ", ".join(self.submissions) or "none"
            raise UserError(f"task {self.name} has no prediction file for split {split}; it has: {known}")
        identified = self._identified(predictions)
        with atomic_write(path) as file:
            document = self.submission_document(identified)
            if document is not None:
                file.write(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
                return
            for example, prediction in identified:
                row = self.submission_row(example, prediction)
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def _identified(self, predictions: Iterable[tuple[Example, Prediction]]) -> Iterator[tuple[Example, Prediction]]:
        for example, prediction in predictions:
            if not self.submission_ids(example):
                raise RowError(
                    f"no field {self.id!r}; the official prediction file needs the id of each test row",
                    example.where,
                    hint="use the official test file",
                )
            yield example, prediction

    def unpack_predictions(self, document: Any, place: str) -> Iterator[Row]:
        """The rows of an official prediction file that is one JSON value."""
        raise UserError(f"the predictions of task {self.name} are JSON lines, not one JSON value", where=place)

    def read_predictions(self, rows: Sequence[Row], example: Example) -> Prediction:
        """The prediction of an example whose `submission_ids` have these rows; here always one."""
        return self.read_prediction(rows[0], example)


def _spellings(value: Any) -> tuple[str, ...]:
    """The labels that a value may stand for, the nearest first; none for what is no label.

    Numbers have two where they are whole: 1.0 is "1" as well, as text too (csv has columns of floats so).
    """
    if isinstance(value, str):
        whole = value.endswith(".0") and value[:-2].removeprefix("-").isdecimal()
        return (value, value[:-2]) if whole else (value,)
    text = spelled(value)
    if not isinstance(text, str):
        return ()
    return (text, str(int(value))) if isinstance(value, float) and value.is_integer() else (text,)
