"""clue export: a run as ONNX, checked against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clue_cli import console
from clue_cli.commands import options as o
from clue_cli.export import OPSET

if TYPE_CHECKING:
    from clue_cli.export.exporting import Exported

EPILOG = "Examples:\n\nclue export RUN -o DIR\n\nclue export RUN --int8 --data cluener_public.zip -o DIR --force"

EXPORT = "Export"

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", rich_help_panel=o.OUTPUT, help="Directory for the export.")
]
Format = Annotated[str, typer.Option(metavar="onnx", rich_help_panel=EXPORT, help="Form of the export.")]
Int8 = Annotated[
    bool,
    typer.Option(
        "--int8", rich_help_panel=EXPORT,
        help="Turn the weights of matrix products to 8 bits, and show what that costs in figures.",
    ),
]  # fmt: skip
Opset = Annotated[
    int,
    typer.Option(
        metavar="N", min=18, rich_help_panel=EXPORT,
        help="Version of ONNX's operators, for runtimes that want another.",
    ),
]  # fmt: skip
Split = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=o.DATA,
        help="Split on which answers and scores are compared. (default: dev, the run's own)",
    ),
]  # fmt: skip


def export_command(
    run: o.RunPath,
    output: Output,
    format: Format = "onnx",
    int8: Int8 = False,
    opset: Opset = OPSET,
    split: Split = None,
    data: o.DataOption = None,
    encoding: o.EncodingOption = "utf-8",
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Write a run as an ONNX graph with all it needs; clue predict and eval take the directory like a run.

    Before it appears, onnxruntime answers a whole split: with PyTorch's answers and raw scores, or there is no export.
    """
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.export.exporting import ExportRequest, export

    request = ExportRequest(
        run=run,
        output=output,
        form=format,
        data=data,
        encoding=encoding,
        split=split,
        int8=int8,
        opset=opset,
        force=force,
    )
    done = export(request)
    if console.is_json():
        console.emit_json(done.as_dict())
        return
    _show(done)


def _show(done: Exported) -> None:
    check, megabytes = done.check, {form: size / 1e6 for form, size in done.sizes.items()}
    values = {} if done.figure is None else done.figure.values
    rows: list[list[Any]] = [
        _row("PyTorch, float32", values.get("pytorch"), check.rate("pytorch"), megabytes["safetensors"]),
        _row("onnxruntime, float32", values.get("onnxruntime"), check.rate("onnxruntime"), megabytes["float32"]),
    ]
    if done.int8 is not None:
        rows.append(_row("onnxruntime, int8", values.get("int8"), done.int8.rate("onnxruntime"), megabytes["int8"]))
    figure = "figure" if done.figure is None else done.figure.primary
    numbers = [
        figure,
        console.Column("rows a second", right=True, digits=1),
        console.Column("MB", right=True, digits=1),
    ]
    columns = [console.Column("computed by"), *numbers]
    if done.figure is None:
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    console.table(columns, rows, title=f"{done.task}, {done.rows.split}: {len(check.rows):,} rows")
    console.result(f"answers that differ: {check.differing:,}{_ties(check.ties)}")
    console.result(f"largest difference of a raw score: {check.largest:.1e} (relative to 1 + |score|)")
    if done.int8 is not None:
        console.result(f"answers that differ with int8: {done.int8.differing:,}")
    console.result(f"rows a second are those of encoder and decoder in {_threads(check.threads)}, without tokenising")
    if done.rows.sample:
        console.result("The rows are the shipped sample: a check that everything works, no result.")
    console.tally(done.rows.left_out)
    console.result(f"checked and written: {done.output}")


def _row(name: str, figure: float | None, rate: float, size: float) -> list[Any]:
    return [name, None if figure is None else 100 * figure, rate, size]


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _ties(count: int) -> str:
    return f" ({count:,} of them ties: scores so near to each other that rounding decides)" if count else ""
