"""What every family of tasks shares: files, labels, recipes, reading row by row, the form in which a run remembers it.

A task file is one declaration: `TASK = SomeFamily(name=..., title=..., ...)`. A family is a frozen dataclass below
`TaskBase`; it says how a row becomes an example, examples become features, and candidates become a prediction. Values
of a declaration are strings, numbers, tuples and mappings only, so that a user's own task can stand beside its run as
JSON (`to_config`).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from clue_cli.contract import Answering, Example, Feature, Prediction, Recipe, Tally, Task, labels_sha256
from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.files import atomic_write
from tasks.families import recipes
from tasks.families.values import frozen, jsonable, kind

if TYPE_CHECKING:
    import numpy as np

    from clue_cli.lines import Bad
    from clue_cli.sources import Row, Source

OFFICIAL_FILES: Mapping[str, tuple[str, ...]] = {"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)}

_ENDINGS = (".jsonl", ".json", ".csv", ".tsv")
OWN_FILES: Mapping[str, tuple[str, ...]] = {
    split: tuple(split + ending for ending in _ENDINGS) for split in ("train", "dev", "test")
}
"""Where a user's own splits lie, in order of preference."""
_NAME = re.compile(r"[^\W_][\w .+-]*")

MANY_LABELS = 20
"""From here on a message about an unknown label does not list all that are known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskBase(Task):
    """A task as a declaration; `Task` in `clue_cli.contract` says what each part means to the machinery.

    label_names: label -> what it means, for people (`{"109": "tech"}`).
    counts:      split -> rows of the official file, unusable ones included.
    texts:       fields that must be there and not be empty; `optional_texts` may be chosen with `fields` and be empty.
    fields:      the input fields used, in order; by default `texts`.
    left_out:    labels that mean "no usable gold": such rows of train and dev are left out and counted.
    recipe:      what the task changes in its family's recipe; `recipes` the same by head ("crf"), encoder size
                 ("small") or both ("crf:small"), the later the stronger.
    named_recipes: recipes to choose by name (`--recipe clue-bert4keras`), on top of all others.
    labelled_tests: test splits whose gold is public and counts.
    hub:         the task's configuration in the CLUE set on the Hugging Face hub; empty where it is not there.
    declared:    the task stands in a user's task.toml, not in a module that can be found again by name.
    own:         the data are the user's: labels in a test split count, figures stand beside no published ones.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    version: int = 1
    homepage: str = ""
    label_names: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(OFFICIAL_FILES))
    official: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    texts: tuple[str, ...] = ("text",)
    optional_texts: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    label: str = "label"
    id: str = "id"
    left_out: tuple[str, ...] = ()
    heads: Mapping[str, str] = field(default_factory=dict)
    default_head: str = ""
    metrics: Mapping[str, str] = field(default_factory=dict)
    default_metric: str = ""
    submissions: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    named_recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labelled_tests: tuple[str, ...] = ()
    hub: str = ""
    own: bool = False
    declared: bool = False
    family: str = ""
    spans: bool = False
    document: bool = False
    ranked: bool = False

    head_argument: ClassVar[str] = "classes"
    """Name of the head's argument that takes the number of labels."""
    least_labels: ClassVar[int] = 2
    """Fewest labels that make a task (a single type is enough for entities)."""
    family_heads: ClassVar[Mapping[str, str]] = {}
    family_metrics: ClassVar[Mapping[str, str]] = {}
    family_recipe: ClassVar[Mapping[str, Any]] = {}
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __post_init__(self) -> None:
        """Fill in what the family decides, and refuse a declaration that contradicts itself (ValueError)."""
        fill = {
            "heads": dict(self.heads or self.family_heads),
            "metrics": dict(self.metrics or self.family_metrics),
            "fields": tuple(self.fields or self.texts),
        }
        fill["default_head"] = self.default_head or next(iter(fill["heads"]), "")
        fill["default_metric"] = self.default_metric or next(iter(fill["metrics"]), "")
        for key, value in fill.items():
            object.__setattr__(self, key, value)
        self._check_declaration()

    def _check_declaration(self) -> None:
        def require(condition: bool, message: str) -> None:
            if not condition:
                raise ValueError(f"task {self.name!r}: {message}")

        # The name becomes a directory of runs.
        require(isinstance(self.name, str) and bool(_NAME.fullmatch(self.name)), "a name has letters, digits, - _ + .")
        for part in ("labels", "texts", "optional_texts", "fields", "left_out"):
            require(isinstance(getattr(self, part), tuple), f"{part} must be a list")
        require(all(isinstance(names, tuple) for names in self.files.values()), "files must be lists of names")
        require(all(isinstance(label, str) and label for label in self.labels), "labels must be strings, not empty")
        require(len(set(self.labels)) == len(self.labels), "a label is listed twice")
        require(self.default_head in self.heads, f"default head {self.default_head!r} is not among its heads")
        require(self.default_metric in self.metrics, f"default metric {self.default_metric!r} is not among its metrics")
        unknown = set(self.fields) - set(self.texts) - set(self.optional_texts)
        require(not unknown, f"unknown input fields {sorted(unknown)}")
        for key in self.recipes:
            recipes.check_key(key, self.heads)
        for values in (self.recipe, *self.recipes.values(), *self.named_recipes.values()):
            Recipe().updated(values)

    # ---------------------------------------------------------------- labels and splits

    @cached_property
    def label_index(self) -> dict[str, int]:
        """Label -> class index, in the order of `labels`."""
        return {label: index for index, label in enumerate(self.labels)}

    def label_of(self, value: Any, where: Where) -> str:
        """The label that a field's value names; RowError if none.

        Official labels are strings. A number or a JSON boolean is taken where its JSON spelling is a label ("1",
        "true"), since user files and the hub write them so; nothing is ever taken as a class index.
        """
        text: Any = value
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, int):
            text = str(value)
        if isinstance(text, str) and text in self.label_index:
            return self.labels[self.label_index[text]]
        if not isinstance(text, str):
            raise RowError(f"the label must be a string, found {kind(value)}", where)
        if len(self.labels) <= MANY_LABELS:
            raise RowError(did_you_mean(text, self.labels, "label"), where)
        many = f"{len(self.labels)} labels, {self.labels[0]!r} to {self.labels[-1]!r}"
        raise RowError(f"unknown label {text!r}; task {self.name} has {many}", where)

    def split(self, name: str) -> str:
        """The split that `name` means ("test" is test1.1 where there are two); UserError if there is none."""
        if name in self.files:
            return name
        if name == "test" and "test1.1" in self.files:
            return "test1.1"
        raise UserError(did_you_mean(name, self.files, f"split of task {self.name}"), where="--split")

    def has_split(self, source: Source, split: str) -> bool:
        """Whether `source` holds a file of this split."""
        return any(source.has(name) for name in self.files[self.split(split)])

    def file_of(self, source: Source, split: str) -> str:
        """The file of `source` that holds the split; UserError, naming what was looked for, if there is none."""
        return source.find(self.files[self.split(split)])

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

        Rows of train and dev must be labelled; those labelled with one of `left_out` are left out and counted. Rows of
        a test split have no gold, whatever the file says: loaders put placeholders there. A user's own test rows are
        taken as labelled where the field is there. RowError names file, line and field; UserError an empty file.
        """
        split = self.split(split)
        test = split.startswith("test")
        files = self.files_of(source, split)
        first_place: dict[Any, Where] = {}
        number, rows = 0, 0
        for row in itertools.chain.from_iterable(self.rows(source, file) for file in files):
            rows += 1
            if not test and (gold := row.data.get(self.label)) in self.left_out:
                tally.add(f"rows labelled {gold!r}", row.where)
                continue
            if test:
                self._check_repeated(row, first_place)
            labelled = not test or split in self.labelled_tests
            if test and self.own:
                labelled = self.is_labelled(row)
            yield self.example(row, number, labelled=labelled)
            number += 1
        if not rows:
            raise UserError(f"no rows; {self.expected()}", where=source.place(files[0]))

    def is_labelled(self, row: Row) -> bool:
        """Whether a row of a user's own file carries gold (an empty csv cell is none)."""
        return row.data.get(self.label) not in (None, "")

    def _check_repeated(self, row: Row, first_place: dict[Any, Where]) -> None:
        identity = row.data.get(self.id)
        if isinstance(identity, (str, int)):
            if identity in first_place:
                before = first_place[identity]
                used = f"in line {before.line}" if before.line is not None else f"at {before}"
                raise RowError(
                    f"id {identity!r} was already used {used}; ids of a test split must differ", row.at(self.id)
                )
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

    def head_config(self, head: str) -> dict[str, Any]:
        """Arguments of the head's constructor beside the hidden size: the number of labels."""
        if head not in self.heads:
            raise UserError(did_you_mean(head, self.heads, f"head of task {self.name}"))
        return {self.head_argument: len(self.labels)}

    def recipe_for(self, head: str, size: str, named: str | None = None) -> tuple[Recipe, dict[str, str]]:
        """The recipe for a head and an encoder size, and for each field where its value comes from.

        Later layers win: defaults, family, family by head, by size, by both, then the same four of the task, then the
        recipe called `named`. UserError for an unknown head, size or name.
        """
        if head not in self.heads:
            raise UserError(did_you_mean(head, self.heads, f"head of task {self.name}"))
        if size not in recipes.SIZES:
            raise UserError(did_you_mean(size, recipes.SIZES, "encoder size"), where="--size")
        layers = recipes.layers(f"family {self.family}", self.family_recipe, self.family_recipes, head, size)
        layers += recipes.layers(f"task {self.name}", self.recipe, self.recipes, head, size)
        if named is not None:
            if named not in self.named_recipes:
                known = did_you_mean(named, self.named_recipes, f"recipe of task {self.name}")
                raise UserError(known, where="--recipe")
            layers.append((f"recipe {named}", self.named_recipes[named]))
        return recipes.resolve(layers)

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

    # ---------------------------------------------------------------- variants, and what a run remembers

    def with_fields(self, names: Sequence[str]) -> Self:
        """The same task on other input fields (`--fields sentence,keywords`); UserError for an unknown one."""
        known = (*self.texts, *self.optional_texts)
        for name in names:
            if name not in known:
                raise UserError(did_you_mean(name, known, f"field of task {self.name}"), where="--fields")
        if not names or len(set(names)) != len(names):
            raise UserError(f"one or more different fields of {', '.join(known)} were expected", where="--fields")
        return dataclasses.replace(self, fields=tuple(names))

    def with_labels(self, labels: Sequence[str]) -> Self:
        """The same task on a user's own data with their labels (`--labels FILE`): nothing official is left of it."""
        if len(labels) < self.least_labels:
            raise UserError(f"a label file needs at least {self.least_labels} labels, found {len(labels)}")
        if len(set(labels)) != len(labels):
            repeated = next(label for label in labels if labels.count(label) > 1)
            raise UserError(f"label {repeated!r} is listed twice")
        return self.owned(labels=tuple(labels))

    def owned(self, **parts: Any) -> Self:
        """The same task on a user's own data: nothing official is left of it, and `parts` are the user's."""
        files = {"train": self.files["train"], "dev": self.files["dev"], "test": self.files[self.split("test")]}
        merged = {split: tuple(dict.fromkeys(names + OWN_FILES[split])) for split, names in files.items()}
        nothing: dict[str, Any] = {"label_names": {}, "official": {}, "counts": {}, "submissions": {}, "hub": ""}
        return dataclasses.replace(self, **{"files": merged, "own": True, **nothing, **parts})

    def with_schema(self, schema: Any) -> Self:
        """The same task on a user's own schema, as JSON values (`schema` of `to_config`); families that have one."""
        raise UserError(f"task {self.name} has no schema")

    def to_config(self) -> dict[str, Any]:
        """What rebuilds this task beside a run (`clue_cli.registry.restore_task`), as JSON values.

        A known task by name, version and input fields, and the labels where they are the user's; a task that exists
        nowhere but in a user's task.toml (`registry` puts it together) with its whole declaration.
        """
        config: dict[str, Any] = {"name": self.name, "version": self.version, "fields": list(self.fields)}
        config["labels_sha256"] = labels_sha256(self.labels)
        if self.own:
            config["labels"] = list(self.labels)
        if self.declared:
            config["family"] = self.family
            config["declaration"] = self.declaration()
        return config

    def declaration(self) -> dict[str, Any]:
        """All parts that differ from their defaults, as JSON values; heads and metrics are the family's."""
        values: dict[str, Any] = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
            if value != default and f.name not in _CODE:
                values[f.name] = jsonable(value)
        return values

    @classmethod
    def from_declaration(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `declaration`; UserError for what no task of this family has.

        Declarations come from files and runs, which are data: they cannot name code to load.
        """
        known = {f.name for f in dataclasses.fields(cls)} - _CODE
        for name in values:
            if name not in known:
                raise UserError(did_you_mean(name, known, f"part of a {cls.family} task"))
        try:
            return cls(**{name: frozen(value) for name, value in values.items()})
        except KeyError as error:
            known = set(Recipe.__dataclass_fields__)
            raise UserError(did_you_mean(str(error.args[0]), known, "part of a recipe")) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"the task's declaration does not fit: {error}") from error


_CODE = {"heads", "metrics", "family", "spans", "document", "ranked"}
"""Parts that the family decides, since they name code or go with it."""
