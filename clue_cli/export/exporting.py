"""From a run to its export: what is asked is checked first, then a graph is made, tried on every row, and published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli import console
from clue_cli.contract import Tally
from clue_cli.data_files import data_files
from clue_cli.errors import RunError, UserError, did_you_mean
from clue_cli.export import OPSET
from clue_cli.export.check import OURS, THEIRS, TOLERANCE, Comparison, compare
from clue_cli.export.graph import GRAPH, write_graph
from clue_cli.export.int8 import quantise
from clue_cli.export.onnx_model import OnnxModel
from clue_cli.export.packages import MAKING, package, versions
from clue_cli.export.place import check_place, publish, staging
from clue_cli.files import atomic_write
from clue_cli.model import HEAD_WEIGHTS, Model
from clue_cli.model_settings import ONNX, SAFETENSORS, SETTINGS, read_settings, weights_format
from clue_cli.pipeline import several_processes
from clue_cli.prediction import model_directory
from clue_cli.record import Record
from clue_cli.registry import restore_task
from clue_cli.scoring import make_metric, score
from clue_cli.sources import locate

if TYPE_CHECKING:
    from clue_cli.contract import Example
    from clue_cli.record import DataFile
    from clue_cli.task import Task

FORMATS = (ONNX,)

FLOAT32, INT8 = "float32", "int8"


@dataclass(frozen=True)
class ExportRequest:
    """What was asked for; the fields are the options of `clue export`. `split` None: the run's own dev file."""

    run: Path
    output: Path
    form: str = ONNX
    data: str | None = None
    encoding: str = "utf-8"
    split: str | None = None
    int8: bool = False
    opset: int = OPSET
    force: bool = False


@dataclass(frozen=True)
class Rows:
    """The rows that an export is checked on, and where they come from."""

    split: str
    examples: Sequence[Example]
    files: list[DataFile]
    sample: bool
    left_out: Tally

    @property
    def labelled(self) -> bool:
        """Whether any of them has gold."""
        return any(example.gold is not None for example in self.examples)


@dataclass(frozen=True)
class Figure:
    """The primary figure of the run's metric in [0, 1], by what computed it: `pytorch`, `onnxruntime`, `int8`."""

    metric: str
    primary: str
    values: dict[str, float]


@dataclass
class Exported:
    """What became of a request.

    check: of the graph in float32; int8: of the same with weights in 8 bits, None where that was not asked for.
    figure: None where the rows are not labelled. sizes: bytes of the weights by form (safetensors, float32, int8).
    """

    run: str
    output: Path
    task: str
    head: str
    opset: int
    rows: Rows
    check: Comparison
    int8: Comparison | None = None
    figure: Figure | None = None
    sizes: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "run": self.run,
            "output": str(self.output),
            "task": self.task,
            "head": self.head,
            "format": ONNX,
            "left_out": self.rows.left_out.as_dict(),
            **self.origin(),
            "check": self.check.as_dict(),
            "int8": None if self.int8 is None else self.int8.as_dict(),
        }

    def origin(self) -> dict[str, Any]:
        """How the export was made and checked, in so far as it is no matter of this machine."""
        checks = [self.check.as_dict(), None if self.int8 is None else self.int8.as_dict()]
        for one in checks:
            if one is not None:
                del one["rows_per_second"], one["threads"]
        return {
            "opset": self.opset,
            "precision": FLOAT32 if self.int8 is None else INT8,
            "split": self.rows.split,
            "sample": self.rows.sample,
            "files": [vars(file) for file in self.rows.files],
            "figure": None if self.figure is None else vars(self.figure),
            "sizes": self.sizes,
            "check": checks[0],
            "int8": checks[1],
        }


def export(request: ExportRequest) -> Exported:
    """Write the export of a run, checked on every row. UserError before any work where the request is wrong.

    RunError where the graph cannot be made, or does not give PyTorch's answers; then nothing is left behind.
    """
    record = _check_request(request)
    directory = model_directory(request.run)
    task = restore_task(read_settings(directory)["task"], str(directory))
    rows = _rows(request, record, task)
    run = request.run.resolve().name
    with staging(request.output) as stage:
        model = Model.load(directory).to_device("cpu", "float32")
        model.encoder.save_without_weights(stage / "encoder")
        shutil.copyfile(directory / HEAD_WEIGHTS, stage / HEAD_WEIGHTS)
        console.message(f"{task.name}: making the graph of {run}")
        write_graph(model, stage / GRAPH, request.opset)
        # As `clue predict` is going to load it: what is checked is what is shipped.
        origin = {"run": run, "metric": record.metrics[0], "seed": record.seed, "sample": rows.sample}
        _write_settings(stage, model, {**origin, "precision": FLOAT32})
        console.message(f"comparing onnxruntime with PyTorch on {len(rows.examples):,} rows of {rows.split}")
        check = compare(model, OnnxModel.load(stage), rows.examples)
        refuse_wrong(check)
        done = Exported(run, request.output, task.name, model.settings.head, request.opset, rows, check)
        done.sizes = {SAFETENSORS: _size(directory, ".safetensors"), FLOAT32: _size(stage, ".onnx", ".data")}
        if request.int8:
            console.message("the same in int8")
            quantise(stage / GRAPH)
            _write_settings(stage, model, {**origin, "precision": INT8})
            done.int8 = compare(model, OnnxModel.load(stage), rows.examples)
            done.sizes[INT8] = _size(stage, ".onnx", ".data")
        done.figure = _figure(task, record.metrics[0], done) if rows.labelled else None
        _write_settings(stage, model, {**origin, **done.origin(), "versions": versions()})
        publish(stage, request.output)
    return done


def refuse_wrong(check: Comparison) -> None:
    """RunError that names the first row where an export is not the run."""
    if check.probe > TOLERANCE:
        found = f"scores differ by {check.probe:.1e} on made-up tokens of other lengths than the data have"
        raise RunError(f"onnxruntime does not compute what PyTorch does: {found}")
    if not check.wrong:
        return
    first = check.wrong[0]
    what = (
        f"a raw score differs by {first.gap:.1e} (relative to 1 + |score|; {TOLERANCE:g} is rounding)"
        if first.gap > TOLERANCE
        else "the answer differs, and not because scores tie"
    )
    count = f"{len(check.wrong):,} of {len(check.rows):,} rows differ, this is the first"
    raise RunError(f"onnxruntime does not give PyTorch's answer: {what}; {count}", where=first.example.where)


# -------------------------------------------------------------------- before the work


def _check_request(request: ExportRequest) -> Record:
    """The run's record; UserError for what is wrong with the request. Nothing heavy is loaded."""
    if request.form not in FORMATS:
        raise UserError(did_you_mean(request.form, FORMATS, "format"), where="--format")
    if several_processes():
        raise UserError("an export is made by one process", hint="without accelerate launch")
    directory = model_directory(request.run)
    if weights_format(read_settings(directory), directory) != SAFETENSORS:
        raise UserError("this is an export already", where=str(request.run), hint="name the run it was made from")
    record = Record.load(request.run)
    check_place(request.output, force=request.force)
    for name in MAKING:
        package(name)
    return record


def _rows(request: ExportRequest, record: Record, task: Task) -> Rows:
    """The rows to check on: without --data and --split those that the run was scored on, by their hash."""
    split = request.split or "dev"
    source, sample = locate(task.name, request.data, hub=task.hub, encoding=request.encoding)
    if sample and not record.data.sample:
        raise UserError("this run was not trained on the shipped sample: say where its data are", where="--data")
    left_out = Tally()
    examples = list(task.read(source, split, left_out))
    if not examples:
        raise UserError(f"no usable rows in {split}", where=source.location)
    files = data_files(task, source, split, examples)
    known = {file.sha256 for file in record.data.files if file.split == split}
    if request.data is None and request.split is None and {file.sha256 for file in files} != known:
        found = f"{', '.join(file.name for file in files)} here is not the run's own"
        raise UserError(found, where=source.location, hint="--data says where it is, or which other data will do")
    rows = Rows(split, examples, files, sample, left_out)
    if request.int8 and not rows.labelled:
        raise UserError(f"{split} is not labelled: int8 needs a figure", where="--int8", hint="--split dev")
    return rows


# -------------------------------------------------------------------- its parts


def _write_settings(stage: Path, model: Model, origin: dict[str, Any]) -> None:
    document = {
        **model.document(),
        "format_of_weights": ONNX,
        "hidden_size": model.encoder.hidden_size,
        "export": origin,
    }
    with atomic_write(stage / SETTINGS) as file:
        json.dump(document, file, ensure_ascii=False, indent=1, allow_nan=False)


def _figure(task: Task, metric: str, done: Exported) -> Figure:
    values: dict[str, float] = {}
    rows = done.check.rows
    answers = {OURS: [row.ours for row in rows], THEIRS: [row.theirs for row in rows]}
    if done.int8 is not None:
        answers[INT8] = [row.theirs for row in done.int8.rows]
    for name, predictions in answers.items():
        pairs = [(row.example, prediction) for row, prediction in zip(rows, predictions, strict=True)]
        found = score(make_metric(task, metric), pairs)
        values[name] = found.figure
    return Figure(metric, found.primary, values)


def _size(directory: Path, *endings: str) -> int:
    """Bytes of the files with these endings."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.suffix in endings)
