"""clue eval: score a run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.evaluation import DevResult, Evaluation
    from clue_cli.record import DataInfo

EPILOG = "Examples:\n\nclue eval RUN\n\nclue eval RUN --split dev --data tnews_public.zip --json"


Split = Annotated[
    str, typer.Option(metavar="NAME", rich_help_panel=o.DATA, help="Split to score; it must be labelled.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="X", rich_help_panel=o.MODEL,
        help="Raw score above which an answer counts (span and relation heads). (default: the run's)",
    ),
]  # fmt: skip
TuneThreshold = Annotated[
    bool,
    typer.Option(
        "--tune-threshold", rich_help_panel=o.MODEL,
        help="Find the threshold with the best figure on this split, by the run's metric, and keep it in the run "
        "(of a part of the rows: with --save).",
    ),
]  # fmt: skip
Save = Annotated[
    bool | None,
    typer.Option(
        "--save/--no-save", rich_help_panel=o.OUTPUT,
        help="Write figures and answers into the run. (default: yes, unless --eval-limit or --threshold is given)",
    ),
]  # fmt: skip
PerLabel = Annotated[
    bool,
    typer.Option(
        "--per-label/--no-per-label", rich_help_panel=o.OUTPUT,
        help="Show precision, recall and F1 of every label.",
    ),
]  # fmt: skip


def eval_command(
    run: o.RunPath,
    split: Split = "dev",
    data: o.DataOption = None,
    encoding: o.EncodingOption = "utf-8",
    eval_limit: o.EvalLimitOption = None,
    threshold: Threshold = None,
    tune_threshold: TuneThreshold = False,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    save: Save = None,
    per_label: PerLabel = True,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Score a run again: every metric of its task, with errors, per label and per length of the text."""
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.errors import UserError
    from clue_cli.evaluation import evaluate_run

    if tune_threshold and threshold is not None:
        raise UserError("either a threshold or the search for one", where="--threshold, --tune-threshold")
    evaluation = evaluate_run(
        run,
        split=split,
        data=data,
        encoding=encoding,
        limit=eval_limit,
        threshold=threshold,
        tune=tune_threshold,
        device=device,
        precision=precision,
        save=save,
    )
    if console.is_json():
        console.emit_json(evaluation.as_dict())
        return
    _show(evaluation, split, per_label)
    if save is None and not evaluation.saved and (evaluation.data.eval_limit or threshold is not None):
        kept = "figures and threshold" if tune_threshold else "figures"
        console.result(f"A look at a part of the rows, or another threshold: the run keeps its {kept} (--save).")


def _show(evaluation: Evaluation, split: str, per_label: bool) -> None:
    result: DevResult = evaluation.result
    from clue_cli.commands.score import show_figures, show_labels

    show_figures(result.scores.values(), title=f"{result.task.name}, {split}")
    if per_label:
        show_labels(result.scores.values())
        _slices(evaluation)
    for score in result.scores.values():
        for note in score.notes:
            console.result(note)
    if result.threshold is not None:
        console.result(f"threshold on the raw score: {result.threshold:.4f} ({result.threshold_origin})")
    console.tally(result.tally)
    _marks(evaluation.data)


def _slices(evaluation: Evaluation) -> None:
    rows = [
        [f"{piece.low}-{piece.high}", f"{piece.items:,}", f"{100 * piece.figure:.2f}"]
        for piece in evaluation.by_length()
    ]
    numbers = [console.Column(name, right=True) for name in ("items", evaluation.metric)]
    columns = [console.Column("characters"), *numbers]
    console.result()
    console.table(columns, rows, title=f"{evaluation.metric} by length of the text")


def _marks(data: DataInfo) -> None:
    if data.sample:
        console.result(o.SAMPLE_NOTE)
    if data.eval_limit:
        console.result("These are figures on a part of the data (--eval-limit): not comparable with others.")
