"""What a task says of itself: files, labels, heads, recipes; checked, varied, and remembered beside a run as JSON.

A task file is one declaration: `TASK = SomeFamily(name=..., title=..., ...)`. Its values are strings, numbers, tuples
and mappings only, so that a user's own task can stand beside its run as JSON (`to_config`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

from clue_cli.contract import Recipe, labels_sha256
from clue_cli.errors import UserError, did_you_mean
from tasks.families import recipes
from tasks.families.values import frozen, jsonable

OFFICIAL_FILES: Mapping[str, tuple[str, ...]] = {"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)}

_ENDINGS = (".jsonl", ".json", ".csv", ".tsv")
OWN_FILES: Mapping[str, tuple[str, ...]] = {
    split: tuple(split + ending for ending in _ENDINGS) for split in ("train", "dev", "test")
}
"""Where a user's own splits lie, in order of preference."""
_NAME = re.compile(r"[^\W_][\w .+-]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class Declaration:
    """What a task says of itself; `Task` in `clue_cli.task` says what each part means to the machinery.

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
    takes_labels: ClassVar[bool] = False
    """Whether a list of labels (`--labels`) is all that a user's own data need beside them."""
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

    @cached_property
    def label_index(self) -> dict[str, int]:
        """Label -> class index, in the order of `labels`."""
        return {label: index for index, label in enumerate(self.labels)}

    def split(self, name: str) -> str:
        """The split that `name` means ("test" is test1.1 where there are two); UserError if there is none."""
        if name in self.files:
            return name
        if name == "test" and "test1.1" in self.files:
            return "test1.1"
        raise UserError(did_you_mean(name, self.files, f"split of task {self.name}"), where="--split")

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
