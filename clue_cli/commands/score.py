"""clue score: predictions from anywhere against gold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.pairing import ScoredFile
    from clue_cli.scoring import Score

EPILOG = (
    "Examples:\n\nclue score cluener --gold dev.json --pred answers.jsonl\n\n"
    "clue score tnews --gold dev.json --pred answers.jsonl --metric accuracy --json"
)

Gold = Annotated[
    str, typer.Option(metavar="F", rich_help_panel=o.DATA, help="Labelled rows: a file, directory or zip.")
]
Pred = Annotated[
    str,
    typer.Option(
        metavar="F", rich_help_panel=o.DATA, help="Predictions, in our form or the official one; - is standard input."
    ),
]
Metric = Annotated[
    str | None, typer.Option(metavar="ID", rich_help_panel=o.DATA, help="One metric only. (default: all of the task)")
]
Alias = Annotated[
    Path | None,
    typer.Option(
        "--alias", metavar="FILE", rich_help_panel=o.DATA,
        help="Words and their aliases, tab-separated, for metrics that take them (duie:official).",
    ),
]  # fmt: skip
Missing = Annotated[
    str,
    typer.Option(
        metavar="refuse|wrong", rich_help_panel=o.DATA,
        help="Rows of gold without a prediction: refuse the file, or count them as wrong or empty.",
    ),
]  # fmt: skip
PerLabel = Annotated[
    bool, typer.Option("--per-label/--no-per-label", rich_help_panel=o.OUTPUT, help="Show the figures of every label.")
]


def score_command(
    task: o.TaskName,
    gold: Gold,
    pred: Pred,
    metric: Metric = None,
    fields: o.FieldsOption = None,
    labels: o.LabelsOption = None,
    alias: Alias = None,
    missing: Missing = "refuse",
    encoding: o.EncodingOption = "utf-8",
    per_label: PerLabel = True,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Score a file of predictions against a file of gold: figures with their standard errors, and label by label.

    Rows are paired by their ids (DuIE's by their text) where both files have them, else by their order.
    """
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.errors import UserError, did_you_mean
    from clue_cli.pairing import score_files

    if missing not in ("refuse", "wrong"):
        raise UserError(did_you_mean(missing, ["refuse", "wrong"], "way to treat them"), where="--missing")
    chosen = o.chosen_task(task, fields, labels, encoding)
    name = None if metric is None else o.chosen_metric(chosen, metric)
    result = score_files(chosen, gold, pred, name, encoding=encoding, aliases=alias, missing_wrong=missing == "wrong")
    if console.is_json():
        console.emit_json(result.as_dict())
        return
    show_figures(result.scores.values(), title=f"{result.task}: {result.pred} against {result.gold}")
    if per_label:
        show_labels(result.scores.values())
    _show_conditions(result)


def show_figures(scores: Iterable[Score], *, title: str) -> None:
    """A line a figure, in percent, with its standard error over items; `*` marks the figure that ranks."""
    rows: list[list[Any]] = []
    for score in scores:
        for name, figure in score.figures.items():
            error = score.errors.get(name)
            star = "*" if name == score.primary else ""
            shown = "" if error is None else f"{100 * error:.2f}"
            rows.append([score.metric, name + star, f"{100 * figure:.2f}", shown, score.items])
    columns = [
        console.Column("metric", fold=False), console.Column("figure"), console.Column("%", right=True),
        console.Column("± item", right=True), console.Column("items", right=True),
    ]  # fmt: skip
    console.table(columns, rows, title=title)


def show_labels(scores: Iterable[Score]) -> None:
    """For each metric that has one its table label by label, in percent."""
    for score in scores:
        if not score.per_label:
            continue
        rows = [
            [row["label"], *(f"{100 * row[name]:.2f}" for name in ("precision", "recall", "f1")), row["support"]]
            for row in score.per_label
        ]
        console.result()
        numbers = [console.Column(name, right=True) for name in ("precision", "recall", "f1", "support")]
        console.table([console.Column("label"), *numbers], rows, title=f"{score.metric} by label")


def _show_conditions(result: ScoredFile) -> None:
    from clue_cli.pairing import WRONG

    for score in result.scores.values():
        for note in score.notes:
            console.result(f"{score.metric}: {note}")
    if not result.official:
        console.result(f"{result.gold} is not an official file of {result.task}: compare with no published figure.")
    console.message(f"rows paired by {result.paired_by}")
    if result.wrong:
        console.warn(f"{result.wrong:,} {WRONG}; the first: {result.first_wrong}")
    console.tally(result.tally)
