"""What multiple choice and cloze share: one of several choices is right, and the choices stand in the row itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from clue_cli.errors import RowError, RunError, UserError, Where
from clue_cli.sources import Row
from clue_cli.task import Task
from tasks.families.base import TaskBase
from tasks.families.declaration import OWN_FILES
from tasks.families.values import kind

if TYPE_CHECKING:
    import numpy as np

    from clue_cli.contract import Example
    from clue_cli.sources import Source


@dataclass(frozen=True, kw_only=True, eq=False)
class Choosing(TaskBase):
    """A task without labels: a feature is a choice beside its text, a unit the choices of one question.

    Targets: `labels` 1 for the right choice of its unit, else 0. Candidates: one raw score a feature, (1,) float32.
    """

    labels: tuple[str, ...] = ()
    label: str = "answer"
    ranked: bool = True

    least_labels: ClassVar[int] = 0
    family_heads: ClassVar[Mapping[str, str]] = {"choice": "heads.choice:Choice"}
    # Small encoders want rates about twenty times those of base size.
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 5e-4},
        "base": {"learning_rate": 2e-5},
        "large": {"learning_rate": 2e-5},
    }

    def head_config(self, head: str) -> dict[str, Any]:
        """Nothing: the head has one unit, however many choices there are."""
        super().head_config(head)
        return {}

    def adapt(self, source: Source) -> Task:
        """A user's own task where `source` holds files under the names of own data and none of the official ones."""
        if self.own or any(self.has_split(source, split) for split in self.files):
            return self
        own = any(source.has(name) for names in OWN_FILES.values() for name in names)
        return self.with_labels(()) if own else self

    def with_labels(self, labels: Sequence[str]) -> Self:
        """The same task on a user's own data; UserError for labels, which it has none of."""
        if labels:
            raise UserError(f"task {self.name} has no labels: the choices stand in each row", where="--labels")
        return self.owned(files=dict(OWN_FILES), labelled_tests=())

    def with_fields(self, names: Sequence[str]) -> Self:
        """The task itself; UserError unless all its input fields are named."""
        if tuple(names) != self.fields:
            raise UserError(f"task {self.name} reads all of {', '.join(self.fields)}", where="--fields")
        return self

    def choices_in(self, value: Any, where: Where) -> list[str]:
        """The choices in a field (a list, or its JSON in a csv cell); RowError unless two or more texts, none empty."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise RowError(f"a list of choices was expected, found {kind(value)}", where) from None
        if not isinstance(value, list):
            raise RowError(f"a list of choices was expected, found {kind(value)}", where)
        for number, choice in enumerate(value):
            place = where.at(number)
            if not isinstance(choice, str):
                raise RowError(f"a text was expected, found {kind(choice)}", place)
            if not choice.strip():
                raise RowError("the choice is empty", place)
        if len(value) < 2:
            raise RowError(f"two choices or more were expected, found {len(value)}", where)
        return value


def index_in(value: Any, choices: Sequence[str], where: Where) -> int:
    """The index of a choice that a field holds, a whole number or its digits; RowError if none has it."""
    found = value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        found = int(value)
    if not isinstance(found, int) or isinstance(found, bool):
        raise RowError(f"the index of a choice was expected, found {kind(value)}", where)
    if not 0 <= found < len(choices):
        raise RowError(f"there is no choice {found}; the {len(choices)} choices count from 0", where)
    return found


def raw_scores(candidates: Sequence[Any], example: Example) -> np.ndarray:
    """The scores of an example's features in order, (F,) float64; RunError where the model made them infinite."""
    import numpy as np

    scores = np.concatenate([np.asarray(candidate, dtype=np.float64) for candidate in candidates])
    if not np.isfinite(scores).all():
        hint = "the run's weights are broken; --precision float32 tells whether it is the precision"
        raise RunError("the model's scores are not finite", where=example.where, hint=hint)
    return scores


def field_of(row: Row, names: Sequence[str]) -> str:
    """The first of `names` that a prediction row has; RowError if none."""
    for name in names:
        if row.data.get(name) not in (None, ""):
            return name
    wanted, found = " or ".join(map(repr, names)), ", ".join(list(row.data)[:12]) or "none"
    raise RowError(f"no field {wanted} with the predicted choice; fields found: {found}", row.where)
