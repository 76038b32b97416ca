"""clue leaderboard: the table of runs, and published figures beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.leaderboard import Leaderboard

NARROW = "Narrow the table"

EPILOG = "Examples:\n\nclue leaderboard\n\nclue leaderboard results --task tnews --format markdown --output table.md"


def leaderboard_command(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Directories with runs below them, or records; without any: runs."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", rich_help_panel=NARROW, help="Only this task (several times).")
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", rich_help_panel=NARROW, help="Only encoders with this in the name (several times)."),
    ] = None,
    head: Annotated[
        list[str] | None, typer.Option("--head", rich_help_panel=NARROW, help="Only this head (several times).")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", rich_help_panel=NARROW, help="Only this metric (several times).")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", rich_help_panel=NARROW, help="dev, test (any version), test1.0, test1.1.")
    ] = "dev",
    references: Annotated[
        str, typer.Option("--references", rich_help_panel=NARROW, help="Published figures: none, main or all.")
    ] = "main",
    format: Annotated[
        str, typer.Option("--format", rich_help_panel=o.OUTPUT, help="table, markdown, csv, json or html.")
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", rich_help_panel=o.OUTPUT, help="Write to a file instead."),
    ] = None,
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Show the figures of all runs in one table: tasks across, by kind; systems down, published figures below."""
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.errors import UserError, did_you_mean
    from clue_cli.files import check_output
    from clue_cli.leaderboard import PUBLISHED_CHOICES, build
    from clue_cli.leaderboard_filters import Filters
    from clue_cli.leaderboard_formats import FORMATS
    from clue_cli.records import find_records, read_records
    from clue_cli.registry import tasks

    form = "json" if json else format
    for option, value, known in (("--format", form, FORMATS), ("--references", references, PUBLISHED_CHOICES)):
        if value not in known:
            raise UserError(did_you_mean(value, known, option.removeprefix("--")), where=option)
    if output is not None:
        check_output(output, force=force)
    if not directories and not Path("runs").is_dir():
        console.message("no runs yet: there is no directory runs here (clue train makes it)")
    records, skipped = read_records(find_records(directories or ([Path("runs")] if Path("runs").is_dir() else [])))
    if directories and not records and not skipped:
        console.message(f"no run in {', '.join(map(str, directories))}: only published figures are shown")
    for _, reason in skipped:
        console.warn(f"left out: {reason}")
    wishes = (tuple(task or ()), tuple(encoder or ()), tuple(head or ()), tuple(metric or ()))
    filters = Filters(*wishes, split=split)
    families = {name: known.family for name, known in tasks().items()}
    splits = {name for known in tasks().values() for name in known.files}

    def table(published: str) -> Leaderboard:
        return build(records, filters, published=published, families=families, splits=splits, skipped=skipped)

    board = table(references)
    if not board.rows and not board.references:
        hint = "widen --task, --encoder, --head, --metric or --split"
        if references == "main" and table("all").references:
            hint = f"--references all, or {hint}"
        raise UserError("no run and no published figure fits", hint=hint)
    _show(board, form, output)


def _show(board: Leaderboard, form: str, output: Path | None) -> None:
    """Print the table, or write it whole to `output`."""
    from clue_cli.files import atomic_write
    from clue_cli.leaderboard_formats import as_document, as_table, as_text

    if output is not None:
        with atomic_write(output) as file:
            file.write(as_text(board, form))
        if console.is_json():
            console.emit_json({"output": str(output), "rows": len(board.rows), "references": len(board.references)})
        console.message(f"written: {output}")
    elif form == "json":
        console.emit_json(as_document(board))
    elif form == "table":
        for piece in as_table(board, console.width()):
            console.out.print(piece)
    else:
        console.write(as_text(board, form))
