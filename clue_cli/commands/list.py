"""clue list: the tasks, by family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.task import Task

EPILOG = "Examples:\n\nclue list\n\nclue list --json"


def list_command(
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """List the tasks by family, with default head, metric, and whether their data are at hand."""
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.registry import problems, tasks

    found = sorted(tasks().values(), key=lambda task: (task.family, task.name))
    if console.is_json():
        console.emit_json([_document(task) for task in found])
    rows: list[list[Any]] = []
    family = None
    for task in found:
        if task.family != family:
            rows.append([console.Cell(task.family, bold=True), "", "", ""])
        rows.append([f"  {task.name}", task.default_head, task.default_metric, data_words(task)])
        family = task.family
    console.table(["task", "head", "metric", "data"], rows)
    console.result()
    console.result("clue show TASK shows everything about one, and how to get its data.")
    for problem in problems():
        console.warn(problem)


def data_words(task: Task) -> str:
    """Where the data of a task would be read from: "at hand", "sample" or "none"."""
    return {"hand": "at hand", "sample": "sample", "none": "none"}[data_place(task)]


def data_place(task: Task) -> str:
    """hand: in $CLUE_DATA; sample: only what ships with the package; none: not even that."""
    from importlib import resources

    from clue_cli.sources import data_at_hand

    if data_at_hand(task.name) is not None:
        return "hand"
    return "sample" if (resources.files("tasks.samples") / task.name).is_dir() else "none"


def _document(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "family": task.family,
        "title": task.title,
        "version": task.version,
        "default_head": task.default_head,
        "heads": list(task.heads),
        "default_metric": task.default_metric,
        "metrics": list(task.metrics),
        "labels": len(task.labels),
        "data": data_place(task),
    }
