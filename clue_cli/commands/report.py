"""clue report: one page about a run, or about several."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o
from clue_cli.commands.compare import Resamples

EPILOG = "Examples:\n\nclue report RUN\n\nclue report runs/cluener/A runs/cluener/B -o cluener.html"

FILE_NAME = "report.html"

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN", help="Directory of a run; of several runs of one task, all on one page.")
]
Split = Annotated[
    str,
    typer.Option(metavar="NAME", rich_help_panel=o.DATA, help="Split whose answers are shown (clue eval makes them)."),
]
Metric = Annotated[
    str | None,
    typer.Option(metavar="ID", rich_help_panel=o.DATA, help="Metric to show. (default: the one that ranks the run)"),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", rich_help_panel=o.OUTPUT,
        help=f"Page to write. (default: {FILE_NAME} in the run's directory; for several runs in the current one)",
    ),
]  # fmt: skip


def report_command(
    runs: Runs,
    split: Split = "dev",
    metric: Metric = None,
    resamples: Resamples = 10_000,
    output: Output = None,
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Write one HTML page about a run: record, learning curve, figures by label, confusions, calibration, errors.

    It opens in any browser and loads nothing. Nothing is predicted again.
    """
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.errors import UserError
    from clue_cli.files import atomic_write, check_output

    for run in runs:
        if not run.is_dir():
            raise UserError("no such run", where=str(run), hint="clue train makes runs below runs/")
    page = output or (runs[0] / FILE_NAME if len(runs) == 1 else Path(FILE_NAME))
    check_output(page, force=force)
    # It tells of its caches; no page depends on them.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from clue_cli.report.page import report

    text = report(runs, split=split, metric=metric, resamples=resamples)
    with atomic_write(page) as file:
        file.write(text)
    size = len(text.encode("utf-8"))
    if console.is_json():
        console.emit_json({"output": str(page), "bytes": size, "split": split, "runs": [str(run) for run in runs]})
    console.result(f"written: {page} ({size / 1000:,.0f} kB)")
