"""A user's own task, declared in a `task.toml` beside the data. `clue train DIRECTORY` needs nothing else.

    family = "classification"            # or "entities", "choice", "cloze", "reading": the only line that must be
    labels = ["good", "bad"]             # there, for the first two with labels, or a file of them: "labels.txt" (one a
                                         # line, or a JSON list)

    name = "reviews"                     # default: the directory's name
    title = "Hotel reviews"
    text = "review"                      # the input field, default "text"; a pair: text = ["question", "answer"]
    optional = ["remark"]                # further fields that --fields may choose, which may be empty
    label = "stars"                      # the gold field; default "label", for others "entities", "answer", "answers"
    id = "number"                        # the row's own id, default "id"; rows need none
    left_out = ["-"]                     # rows labelled so are left out and counted; "" for those without a label
    metric = "accuracy"                  # default: the family's first

    [files]                              # default: train, dev, test with .jsonl, .json, .csv or .tsv
    train = "2024.csv"
    dev = "2025.csv"

    [join]                               # fields that hold a list of strings, and what joins them (classification)
    tags = "；"

    [label_names]                        # what labels mean, for people
    good = "satisfied"

    [recipe]                             # other defaults of the training
    epochs = 5

Files are UTF-8. csv (commas, values in double quotes where needed) and tsv (tabs, no quoting) have a header; all
others hold one JSON object a line. A class label may be a string, a number or a truth value whose JSON spelling stands
in `labels` (there, too, numbers need no quotes). Entities are
`{"text": "...", "entities": [{"start": 0, "end": 2, "type": "x"}]}`, ends exclusive, counted in characters;
CLUENER's own form (ends inclusive) is read from the field `label`. A question of "choice" is
`{"passage": "...", "question": "...", "choices": ["...", "..."], "answer": "..."}` (`text` names the first three, in
this order), a line of "cloze" `{"content": "...#idiom1#...", "candidates": ["...", "..."],
"answers": {"#idiom1#": 0}}`, a question of "reading" `{"question": "...", "context": "...",
"answers": [{"text": "...", "answer_start": 7}]}`, or the whole file one document of SQuAD's form.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clue_cli.contract import Recipe
from clue_cli.errors import UserError, did_you_mean
from clue_cli.lines import reading
from clue_cli.sources import read_labels, spelled
from tasks.families.base import TaskBase
from tasks.families.declaration import OWN_FILES
from tasks.families.values import kind

FAMILIES: Mapping[str, tuple[str, str]] = {
    "classification": ("tasks.families.classification", "TextClassification"),
    "entities": ("tasks.families.entities", "Entities"),
    "choice": ("tasks.families.choice", "MultipleChoice"),
    "cloze": ("tasks.families.cloze", "Cloze"),
    "reading": ("tasks.families.reading", "Reading"),
}
"""Families that a user's task may belong to: name -> module and class."""

_TEXT, _TEXTS, _TABLE = "a string", "a string or a list of strings", "a table"
_LABELS, _GOLD = "a file's name or a list of strings or numbers", "a label or a list of labels (strings or numbers)"
_KEYS: Mapping[str, str] = {
    "family": _TEXT, "labels": _LABELS, "name": _TEXT, "title": _TEXT, "text": _TEXTS, "optional": _TEXTS,
    "label": _TEXT, "id": _TEXT, "left_out": _GOLD, "metric": _TEXT, "files": _TABLE, "join": _TABLE,
    "label_names": _TABLE, "recipe": _TABLE,
}  # fmt: skip


def read_task_file(path: Path) -> TaskBase:
    """The task that a task.toml declares. UserError, naming file and key, for whatever does not fit."""
    with reading(str(path)):
        content = path.read_bytes()
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"no valid TOML: {error}", where=str(path)) from None
    for key, value in values.items():
        _check(key, value, path)
    if "family" not in values:
        raise UserError("no `family` in it", where=str(path), hint='such as family = "classification"')
    try:
        return _declare(values, path)
    except UserError as error:
        raise error if error.where else UserError(error.message, where=str(path), hint=error.hint) from None


def restore(family: str, declaration: Mapping[str, Any]) -> TaskBase:
    """A task from what a run remembers of it (`TaskBase.to_config`). UserError if that does not fit."""
    if not isinstance(declaration, Mapping):
        raise UserError(f"the declaration of a task was expected, found {kind(declaration)}")
    return _family(family).from_declaration(declaration)


def _declare(values: Mapping[str, Any], path: Path) -> TaskBase:
    family = _family(values["family"])
    declaration: dict[str, Any] = {
        "name": values.get("name") or path.resolve().parent.name,
        "labels": _labels(values, family, path),
        "files": {**OWN_FILES, **{split: _listed(file) for split, file in values.get("files", {}).items()}},
        "own": True,
        "declared": True,
    }
    declaration["title"] = values.get("title") or f"{declaration['name']} (own data)"
    for key, part in (("optional", "optional_texts"), ("left_out", "left_out")):
        declaration[part] = _listed(values.get(key, []))
    if "text" in values:
        declaration["texts"] = _listed(values["text"])
    renamed = {"label": "label", "id": "id", "metric": "default_metric", "join": "lists"}
    declaration |= {part: values[key] for key, part in renamed.items() if key in values}
    declaration |= {key: values[key] for key in ("label_names", "recipe") if key in values}
    if len(set(texts := declaration.get("texts", ()))) != len(texts):
        raise UserError("`text` names a field twice")
    for label in values.get("label_names", {}):
        if label not in declaration["labels"]:
            raise UserError(did_you_mean(label, declaration["labels"], "label") + " ([label_names])")
    for name, value in values.get("recipe", {}).items():
        _check_setting(name, value)
    if values["family"] == "entities" and values.get("label", "label") != "label":
        declaration["entities"] = declaration.pop("label")  # CLUENER's form stays in `label`
    if "join" in values and "lists" not in family.__dataclass_fields__:
        raise UserError(f"[join] has no meaning for family {family.family!r}")
    if "metric" in values and values["metric"] not in family.family_metrics:
        raise UserError(did_you_mean(values["metric"], family.family_metrics, "metric"))
    return family.from_declaration(declaration)


def _labels(values: Mapping[str, Any], family: type[TaskBase], path: Path) -> Sequence[str]:
    """The labels of the file, or of the file that it names; the family's own where its answers stand in the rows."""
    own: tuple[str, ...] = getattr(family, "labels", ())
    if own or not family.least_labels:
        if "labels" in values:
            raise UserError(f"`labels` has no meaning for family {family.family!r}: its rows hold their answers")
        return own
    if "labels" not in values:
        raise UserError("no `labels` in it", hint='such as labels = ["good", "bad"], or labels = "labels.txt"')
    labels = values["labels"]
    found: Sequence[str] = read_labels(path.parent / labels) if isinstance(labels, str) else _listed(labels)
    if len(found) < family.least_labels:
        raise UserError(f"at least {family.least_labels} labels are needed, found {len(found)}")
    return found


def _family(name: str) -> type[TaskBase]:
    if name not in FAMILIES:
        raise UserError(did_you_mean(str(name), FAMILIES, "family"))
    module, cls = FAMILIES[name]
    family: type[TaskBase] = getattr(importlib.import_module(module), cls)
    return family


def _check_setting(name: str, value: Any) -> None:
    """Refuse a value of another type than the recipe's; `clue train` looks at what it says."""
    default = getattr(Recipe(), name, value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits, wanted = {
        bool: (isinstance(value, bool), "true or false"),
        int: (whole, "a whole number"),
        float: (whole or isinstance(value, float), "a number"),
        str: (isinstance(value, str), "a string"),
    }.get(type(default), (True, ""))
    if not fits:
        raise UserError(f"`{name}` in [recipe]: {wanted} was expected, found {kind(value)}")


def _check(key: str, value: Any, path: Path) -> None:
    if key not in _KEYS:
        raise UserError(did_you_mean(key, _KEYS, "key"), where=str(path))
    wanted = _KEYS[key]
    text = isinstance(value, str) and bool(value)
    texts = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    fits = {
        _TEXT: text,
        _TEXTS: text or texts,
        _LABELS: text or (isinstance(value, list) and all(_is_label(item) and item != "" for item in value)),
        _GOLD: all(map(_is_label, value)) if isinstance(value, list) else _is_label(value),
        _TABLE: isinstance(value, dict),
    }[wanted]
    if not fits:
        raise UserError(f"`{key}` must be {wanted}, found {kind(value)}", where=str(path))
    if key in ("files", "join", "label_names"):
        for name, item in value.items():
            if not isinstance(item, str):
                raise UserError(f"`{key}.{name}` must be a string, found {kind(item)}", where=str(path))
            if key == "files" and name not in OWN_FILES:
                raise UserError(did_you_mean(name, OWN_FILES, "split"), where=f"{path}: files")


def _is_label(value: Any) -> bool:
    return isinstance(spelled(value), str)


def _listed(value: Any) -> list[str]:
    """The texts of a list, or of a value that stands for a list of one; numbers as `spelled`."""
    return [spelled(item) for item in (value if isinstance(value, list) else [value])]
