"""clue export: a run as ONNX, checked against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o
from clue_cli.export import OPSET

if TYPE_CHECKING:
    from clue_cli.export.exporting import Exported

EPILOG = "Examples:\n\nclue export RUN -o DIR\n\nclue export RUN --int8 --data cluener_public.zip -o DIR --force"

EXPORT = "Export"

RUNTIMES = {
    "pytorch": "PyTorch, float32", "onnxruntime": "onnxruntime, float32", "int8": "onnxruntime, int8"
}  # fmt: skip

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
    check, int8 = done.check, done.int8
    rates = {"pytorch": check.rate("pytorch"), "onnxruntime": check.rate("onnxruntime")}
    if int8 is not None:
        rates["int8"] = int8.rate("onnxruntime")
    columns: list[console.Column | str] = [console.Column("computed by")]
    if done.figure is not None:
        columns.append(console.Column(done.figure.primary, right=True))
    columns += [console.Column(name, right=True, digits=1) for name in ("rows a second", "MB")]
    rows = [
        [RUNTIMES[name], *([] if done.figure is None else [100 * done.figure.values[name]]), rate, size / 1e6]
        for (name, rate), size in zip(rates.items(), done.sizes.values(), strict=True)
    ]
    console.table(columns, rows, title=f"{done.task}, {done.rows.split}: {len(check.rows):,} rows")
    console.result(f"answers that differ: {check.differing:,}{_ties(check.ties)}")
    console.result(f"largest difference of a raw score: {check.largest:.1e} (relative to 1 + |score|)")
    if int8 is not None:
        console.result(f"answers that differ with int8: {int8.differing:,}")
    console.result(f"rows a second: encoder and decoder in {_threads(check.threads)}, without tokenising")
    if done.rows.sample:
        console.result("The rows are the shipped sample: a check that everything works, no result.")
    console.tally(done.rows.left_out)
    console.result(f"checked and written: {done.output}")


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _ties(count: int) -> str:
    return f" ({count:,} of them ties: scores so near to each other that rounding decides)" if count else ""
