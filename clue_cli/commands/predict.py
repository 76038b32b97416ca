"""clue predict: answers for files or standard input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.prediction_files import Summary

EPILOG = (
    "Examples:\n\nclue predict RUN titles.txt -o answers.jsonl\n\necho 今天股市大涨 | clue predict RUN - --format table"
)

INPUT, ANSWERS = "Input", "Answers"

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help="jsonl, csv, tsv or txt, packed (.gz .bz2 .xz) or not; - is standard input.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(rich_help_panel=INPUT, help="Predict a split of the task's data instead of files, e.g. test."),
]
TextField = Annotated[
    str | None,
    typer.Option(metavar="A,B", rich_help_panel=INPUT, help="Your columns that hold the task's texts, in its order."),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        metavar="jsonl|csv|tsv|text",
        rich_help_panel=INPUT,
        help="Form of the input, where the file's ending (for standard input: its first line) does not say it.",
    ),
]
OnError = Annotated[
    str,
    typer.Option(
        metavar="stop|skip",
        rich_help_panel=INPUT,
        help="Stop at a bad row, or set it aside in OUTPUT.rejects.jsonl and go on.",
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", rich_help_panel=ANSWERS, help="Write the probability of every answer.")
]
TopK = Annotated[
    int,
    typer.Option(
        metavar="K", min=1, rich_help_panel=ANSWERS, help="Write the K most probable labels with their probabilities."
    ),
]
Independent = Annotated[
    bool,
    typer.Option(
        "--independent", rich_help_panel=o.MODEL,
        help="Answer the blanks of a line one by one, not together so that each candidate is used once (cloze).",
    ),
]  # fmt: skip
Threshold = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=ANSWERS,
        help="Raw score above which an answer counts (span and relation heads), instead of the run's.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        rich_help_panel=o.OUTPUT,
        help="File for the answers to all inputs in order (.gz, .bz2 or .xz: packed), or a directory for a file each; "
        "else standard output.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="jsonl|csv|table",
        rich_help_panel=o.OUTPUT,
        help="Form of the answers; the table marks entities in the text. (default: by OUTPUT's ending: .csv, or .txt "
        "for a table; else jsonl)",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", rich_help_panel=o.OUTPUT, help="Continue OUTPUT.part of a prediction that was broken off."
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        rich_help_panel=o.OUTPUT,
        help="One JSON document with counts on standard output; the answers go to --output.",
    ),
]


def predict_command(
    run: o.RunPath,
    files: Files = None,
    split: Split = None,
    data: o.DataOption = None,
    text_field: TextField = None,
    encoding: o.EncodingOption = "utf-8",
    input_format: InputFormat = None,
    on_error: OnError = "stop",
    probabilities: Probabilities = False,
    top_k: TopK = 1,
    independent: Independent = False,
    threshold: Threshold = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    output: Output = None,
    format: Format = None,
    resume: Resume = False,
    force: o.ForceOption = False,
    json: Json = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Answer every row of files or of standard input, in order, beside the row's own fields.

    A field of yours that has the name of an answer (a gold label) is kept as label_input.
    """
    main = o.is_main_process()
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug, silent=not main)
    from clue_cli.errors import UserError, did_you_mean
    from clue_cli.formats import Reading
    from clue_cli.prediction_files import Request, predict_files

    if on_error not in ("stop", "skip"):
        raise UserError(did_you_mean(on_error, ["stop", "skip"], "way to treat bad rows"), where="--on-error")
    if json and output in (None, "-"):
        raise UserError("needs standard output for itself", where="--json", hint="answers go to --output FILE")
    if not files and split is None and not sys.stdin.isatty():
        files = ["-"]
    fields = tuple(name.strip() for name in (text_field or "").split(",") if name.strip())
    request = Request(
        run=run,
        files=tuple(files or ()),
        split=split,
        data=data,
        reading=Reading(encoding, input_format, fields),
        form=format,
        output=None if output == "-" else output,
        probabilities=probabilities,
        top_k=top_k,
        independent=independent,
        threshold=threshold,
        precision=precision,
        device=device,
        skip=on_error == "skip",
        resume=resume,
        force=force,
    )
    _show(predict_files(request))


def _show(summary: Summary) -> None:
    console.tally(summary.left_out)
    for one in summary.outputs:
        if one.rejected:
            console.warn(f"{one.rejected:,} bad rows set aside in {one.output}.rejects.jsonl")
        if one.output is not None and not one.finished_before:
            before = f" ({one.before:,} of them before)" if one.before else ""
            console.message(f"{one.output}: {one.rows:,} rows answered{before}")
    if console.is_json():
        console.emit_json(summary.as_json())
