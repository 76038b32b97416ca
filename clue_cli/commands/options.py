"""Options that several verbs share: one name, one meaning, one help text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console

if TYPE_CHECKING:
    from clue_cli.sources import Source
    from clue_cli.task import Task

TRAINING, MODEL, DATA, OUTPUT = "Training", "Model", "Data", "Output"

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="Name of a task (see clue list), or a directory with a task.toml.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a run, as clue train prints it.")]

DataOption = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="PATH", rich_help_panel=DATA,
        help="Directory, zip or file with the data, or hub. (default: $CLUE_DATA/TASK, else the shipped sample)",
    ),
]  # fmt: skip
EncodingOption = Annotated[
    str,
    typer.Option(
        "--encoding", metavar="NAME", rich_help_panel=DATA,
        help="Encoding of the data files (utf-8, gb18030, utf-16 ...).",
    ),
]  # fmt: skip
FieldsOption = Annotated[
    str | None,
    typer.Option(
        "--fields", metavar="A,B", rich_help_panel=DATA,
        help="Input fields to use, e.g. sentence,keywords for tnews.",
    ),
]  # fmt: skip
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        "--labels", metavar="FILE", rich_help_panel=DATA, help="Your own labels, one a line (for your own data)."
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, rich_help_panel=DATA, help="Train on N examples, drawn by seed."),
]
EvalLimitOption = Annotated[
    int | None,
    typer.Option("--eval-limit", metavar="N", min=1, rich_help_panel=DATA, help="Score on N examples, drawn by seed."),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder", metavar="NAME|DIR", rich_help_panel=MODEL,
        help="Directory or hub name; scratch or scratch:NAME for random weights. "
        "(default: $CLUE_ENCODER, else the shipped mini-zh)",
    ),
]  # fmt: skip
HeadOption = Annotated[
    str | None,
    typer.Option("--head", metavar="NAME", rich_help_panel=MODEL, help="Head of the task (clue show TASK lists them)."),
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric", metavar="ID", rich_help_panel=MODEL,
        help="Metric that chooses the best epoch (clue show TASK lists them).",
    ),
]  # fmt: skip
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", rich_help_panel=MODEL, help="cpu, cuda, cuda:1, mps. (default: the best at hand)"
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision", metavar="NAME", rich_help_panel=MODEL,
        help="bf16 or float32. (default: bf16 where the hardware is fast at it)",
    ),
]  # fmt: skip
JsonOption = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="One JSON document on standard output.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", rich_help_panel=OUTPUT, help="No messages and no progress.")]
NoColorOption = Annotated[
    bool, typer.Option("--no-color", rich_help_panel=OUTPUT, help="No colours (NO_COLOR does the same).")
]
DebugOption = Annotated[bool, typer.Option("--debug", rich_help_panel=OUTPUT, help="Show the traceback of an error.")]
ForceOption = Annotated[bool, typer.Option("--force", rich_help_panel=OUTPUT, help="Replace what is there already.")]


def chosen_task(name: str, fields: str | None, labels: Path | None, encoding: str) -> Task:
    """The task by name or directory, with the user's input fields and labels. UserError for what does not exist."""
    from clue_cli.errors import UserError
    from clue_cli.registry import find_task
    from clue_cli.sources import read_labels

    task = find_task(name)
    if labels is not None:
        found = read_labels(labels, encoding)
        try:
            task = task.with_labels(found)
        except UserError as error:
            raise error if error.where else UserError(error.message, where=str(labels), hint=error.hint) from None
    if fields is not None:
        task = task.with_fields([field.strip() for field in fields.split(",") if field.strip()])
    return task


def chosen_head(task: Task, head: str | None) -> str:
    """The head by name, or the task's default. UserError with the nearest names."""
    from clue_cli.errors import UserError, did_you_mean

    if head is not None and head not in task.heads:
        raise UserError(did_you_mean(head, task.heads, f"head of {task.name}"), where="--head")
    return head or task.default_head


def chosen_metric(task: Task, metric: str | None) -> str:
    """The metric by id, or the task's default. UserError with the nearest ids."""
    from clue_cli.errors import UserError, did_you_mean

    if metric is not None and metric not in task.metrics:
        raise UserError(did_you_mean(metric, task.metrics, f"metric of {task.name}"), where="--metric")
    return metric or task.default_metric


def data_options(name: str, data: str | None, encoding: str) -> str:
    """The options with which another verb finds the same data, as typed in a shell; empty for those it finds itself."""
    import shlex

    from clue_cli.registry import own_directory

    place = data or own_directory(name)
    options = f" --data {shlex.quote(str(place))}" if place is not None else ""
    return options + (f" --encoding {shlex.quote(encoding)}" if encoding != "utf-8" else "")


def located(task: Task, name: str, data: str | None, encoding: str) -> tuple[Source, bool]:
    """The data of a task called `name` on the command line, and whether they are the shipped sample.

    UserError if there are none, or the sample alone for the user's own labels.
    """
    from clue_cli.errors import UserError
    from clue_cli.registry import own_directory
    from clue_cli.sources import locate

    beside = own_directory(name) if data is None else None
    if data == "hub" and is_main_process():
        console.message(f"fetching the data of {task.name} from the hub")
    source, sample = locate(task.name, beside or data, hub=task.hub, encoding=encoding)
    if sample and task.own:
        raise UserError("your own labels need your own data", where="--labels", hint="--data DIR")
    return source, sample


SAMPLE_NOTE = "These are figures on the shipped sample: a check that everything works, no result."


def is_main_process() -> bool:
    """Whether this is the one process, or the main one of several (`accelerate launch`); nothing is imported for it."""
    return int(os.environ.get("RANK") or 0) == 0


def recipe_value(value: object) -> str:
    """A value of a recipe as one would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
