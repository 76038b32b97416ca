"""The record: everything about how a figure came to be, one JSON file beside each run.

`Record.start` begins one, training fills it, `save` writes it whole or not at all, `Record.load` reads it. What is
written and what is read is checked against the dataclasses below, field by field; a message names the field by its
path (`data.files[0].sha256`), what was expected and what was found. A newer format is refused; an older one is brought
up to date by `UPGRADES`; fields missing from it take their defaults.

The JSON, in short (`?` may be null; every number is finite; no machine's paths, `command` holds base names):

    format            int, `contract.FORMAT_VERSION`
    status            "running" | "finished" | "interrupted" | "failed";  error: str?
    started, finished times, ISO 8601 in UTC (finished: str?)
    command           [str]
    program           {version, commit?, dirty?}
    task              {name, version, family, fields: [str], labels: int, labels_sha256, changed: bool}
                      changed: fields or labels are the user's, not the task's own
    head, encoder     str; {name, sha256, parameters, parameters_without_embeddings, size, scratch}
    metrics           [str]                    ids, the one that selects first
    recipe            {name: {value, origin, default?}}
    seed, group       int; str?                runs of one --seeds share the group; its mean and standard deviation are
                                               computed where they are shown: a record never depends on another run
    data              {files: [{name, split, sha256, official, rows}], sample, rows: {split: int},
                       left_out: {split: {reason: int}}, limit?, eval_limit?}
    environment       {python, system, libraries: {name: version}, cpu, cores, memory? bytes, gpu: [str]}
    device, precision, processes   str, str, int
    timing            {phases: {phase: seconds}, examples_per_second?, tokens_per_second?, peak_memory? bytes,
                       peak_gpu_memory? bytes}
    epochs            [{epoch, step, loss?, seconds, figures: {metric id: {name: figure}}}]
    chosen_epoch      int?
    results           [{metric, split, primary, figures, errors, items, clusters?, missing, per_label: [{...}],
                       notes: [str], threshold?, threshold_origin, data?}]
                      figures in [0, 1]; errors: item-level standard error by figure; items: rows scored; missing: rows
                      without a prediction, counted as wrong; threshold_origin: "default", "option" or "tuned on SPLIT";
                      data: only where it was measured on other data than the run's own
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli.contract import FORMAT_VERSION, Recipe
from clue_cli.environment import (
    Environment,
    Program,
    base_name,
    environment,
    program,
    reduced_command,
    without_paths,
)
from clue_cli.errors import RunError, UserError
from clue_cli.files import atomic_write
from clue_cli.record_check import MACHINE_PATH, check_meaning
from clue_cli.validation import Check, read_json

if TYPE_CHECKING:
    from clue_cli.scoring import Score

FILE_NAME = "record.json"

OPTION = "option"
"""Origin of a recipe value that the user gave on the command line."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By older format: what makes it the next one. A format that only gained fields with defaults needs none."""


@dataclass
class TaskInfo:
    """Which task, in which version, with which input fields and labels."""

    name: str
    version: int
    family: str
    fields: list[str]
    labels: int
    labels_sha256: str
    changed: bool = False


@dataclass
class EncoderInfo:
    """Which encoder. `size`: small, base, large; `scratch`: random weights at the start."""

    name: str
    sha256: str
    parameters: int
    parameters_without_embeddings: int
    size: str
    scratch: bool = False


@dataclass
class Setting:
    """One value of the recipe; `default` is what would have been without `origin` being the user's option."""

    value: Any
    origin: str
    default: Any = None

    @property
    def changed(self) -> bool:
        """Whether the user chose something else than the recipe."""
        return self.origin == OPTION and self.value != self.default


@dataclass
class DataFile:
    """One file that was read: base name, the split it served, whether its bytes are the official ones, its rows."""

    name: str
    split: str
    sha256: str
    official: bool
    rows: int


@dataclass
class DataInfo:
    """What was read. `limit`: N training examples drawn by seed (None: all); `eval_limit` likewise for scoring.

    `encoding` is that of the files.
    """

    files: list[DataFile] = field(default_factory=list)
    sample: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    limit: int | None = None
    eval_limit: int | None = None
    encoding: str = "utf-8"


@dataclass
class Timing:
    """Seconds by phase (read, train, score ...), speeds of training, peak memory in bytes."""

    phases: dict[str, float] = field(default_factory=dict)
    examples_per_second: float | None = None
    tokens_per_second: float | None = None
    peak_memory: int | None = None
    peak_gpu_memory: int | None = None


@dataclass
class Epoch:
    """The dev figures after one epoch; `step` counts optimiser steps, `loss` is the mean over the epoch."""

    epoch: int
    step: int
    seconds: float
    loss: float | None = None
    figures: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Result:
    """Figures of one metric on one split, in [0, 1], with their item-level standard errors.

    `items` rows scored in `clusters` independent groups, `missing` of them without a prediction; `threshold_origin` is
    "default", "option" or "tuned on SPLIT"; `data` only where it is not the run's own.
    """

    metric: str
    split: str
    primary: str
    figures: dict[str, float]
    errors: dict[str, float]
    items: int
    per_label: list[dict[str, Any]] = field(default_factory=list)
    threshold: float | None = None
    threshold_origin: str = "default"
    clusters: int | None = None
    missing: int = 0
    notes: list[str] = field(default_factory=list)
    data: DataInfo | None = None

    @classmethod
    def of(cls, score: Score, split: str, **more: Any) -> Result:
        """The figures of `clue_cli.scoring`, as a record has them; `more` are further fields (threshold ...)."""
        return cls(
            metric=score.metric,
            split=split,
            primary=score.primary,
            figures=dict(score.figures),
            errors=dict(score.errors),
            items=score.items,
            clusters=score.clusters,
            missing=score.missing,
            per_label=[dict(row) for row in score.per_label],
            notes=list(score.notes),
            **more,
        )


@dataclass
class Record:
    """One run; the fields are told in the module's docstring."""

    task: TaskInfo
    head: str
    encoder: EncoderInfo
    metrics: list[str]
    recipe: dict[str, Setting]
    seed: int
    command: list[str]
    program: Program
    environment: Environment
    format: int = FORMAT_VERSION
    status: str = "running"
    error: str | None = None
    started: str = ""
    finished: str | None = None
    group: str | None = None
    device: str = "cpu"
    precision: str = "float32"
    processes: int = 1
    data: DataInfo = field(default_factory=DataInfo)
    timing: Timing = field(default_factory=Timing)
    epochs: list[Epoch] = field(default_factory=list)
    chosen_epoch: int | None = None
    results: list[Result] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        *,
        task: TaskInfo,
        head: str,
        encoder: EncoderInfo,
        metrics: Sequence[str],
        recipe: dict[str, Setting],
        seed: int,
        group: str | None = None,
        command: Sequence[str] | None = None,
        **more: Any,
    ) -> Record:
        """A record of a run that begins now, with versions and machine filled in; `more` are further fields."""
        if MACHINE_PATH.search(encoder.name):
            encoder = replace(encoder, name=base_name(encoder.name))
        return cls(
            task=task,
            head=head,
            encoder=encoder,
            metrics=list(metrics),
            recipe=recipe,
            seed=seed,
            group=group,
            command=reduced_command(sys.argv if command is None else command),
            program=program(),
            environment=environment(),
            started=now(),
            **more,
        )

    def end(self, status: str, error: BaseException | str | None = None) -> None:
        """Set how the run ended, and when."""
        self.status, self.finished = status, now()
        self.error = None if error is None else without_paths(str(error))

    def result(self, metric: str, split: str) -> Result | None:
        """The figures of `metric` on `split`, None if they were not measured."""
        return next((r for r in self.results if r.metric == metric and r.split == split), None)

    def add_result(self, result: Result) -> None:
        """Add figures, in place of those of the same metric and split."""
        self.results = [r for r in self.results if (r.metric, r.split) != (result.metric, result.split)] + [result]

    def choices(self) -> dict[str, Any]:
        """What the user chose beside the recipe that the program would have taken: `{"recipe": NAME, "epochs": 5}`."""
        origins = {setting.origin for setting in self.recipe.values()}
        named = sorted(origin.removeprefix("recipe ") for origin in origins if origin.startswith("recipe "))
        chosen: dict[str, Any] = {"recipe": ", ".join(named)} if named else {}
        return chosen | {name: setting.value for name, setting in self.recipe.items() if setting.changed}

    def save(self, path: str | Path) -> None:
        """Write to `path` (a run's directory or a file) at once; RunError if the record would not be valid."""
        document = to_document(self)
        try:
            from_document(document, "record")
        except UserError as error:
            raise RunError(f"the record of this run would be wrong: {error}") from error
        with atomic_write(record_path(path)) as file:
            json.dump(document, file, ensure_ascii=False, allow_nan=False, indent=1)
            file.write("\n")

    @classmethod
    def load(cls, path: str | Path) -> Record:
        """Read a run's directory or a file; UserError names file and field, and what was expected."""
        path = record_path(path)
        return from_document(read_json(path), str(path))


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def record_path(path: str | Path) -> Path:
    """The record's file for a run's directory or for the file itself."""
    path = Path(path)
    return path if path.suffix == ".json" and not path.is_dir() else path / FILE_NAME


def settings(recipe: Recipe, origins: Mapping[str, str], base: Recipe | None = None) -> dict[str, Setting]:
    """The recipe as a record has it. `base` is the recipe without the user's options, for origin `OPTION`."""
    found = {}
    for name in (f.name for f in fields(Recipe)):
        origin = origins[name]
        default = getattr(base, name) if base is not None and origin == OPTION else None
        found[name] = Setting(getattr(recipe, name), origin, default)
    return found


def to_document(record: Record) -> dict[str, Any]:
    """The record as JSON has it."""
    document: dict[str, Any] = _plain(asdict(record))
    first = ("format", "status", "error", "started", "finished", "command")
    return {name: document[name] for name in first} | document


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy's and torch's numbers
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def from_document(document: Any, file: str) -> Record:
    """The inverse of `to_document`, checked; `file` stands in messages."""
    check = Check(file)
    if not isinstance(document, dict):
        raise check.wrong("", "an object with the fields of a record", document)
    version = document.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise check.wrong("format", "a number from 1", version)
    if version > FORMAT_VERSION:
        raise UserError(
            f"the record has format {version}, newer than this program reads ({FORMAT_VERSION})",
            where=file,
            hint="update the program",
        )
    for older in range(version, FORMAT_VERSION):
        document = UPGRADES.get(older, dict)(document)
    record: Record = check.read(Record, {**document, "format": FORMAT_VERSION}, "")
    check_meaning(record, check)
    return record
