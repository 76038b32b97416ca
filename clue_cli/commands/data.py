"""clue data: what is in the data of a task, and what is wrong with it, before a training finds out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.dataset_checks import Description

EPILOG = "Examples:\n\nclue data tnews\n\nclue data cluener --data cluener_public.zip --max-length 64"

LABELS_SHOWN = 20
"""Rows of the label table; the rest is counted, and listed by --json."""

SPLIT = console.Column("split", fold=False)

FAILED = 1
"""Exit status when a check failed: the data were read, and what was found makes a training's figures meaningless."""


MaxLength = Annotated[
    int | None,
    typer.Option(metavar="N", min=4, rich_help_panel=o.DATA, help="Tokens of one input. (default: the recipe's)"),
]
Overlap = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, rich_help_panel=o.DATA, help="Tokens that windows share. (default: the recipe's)"),
]


def data_command(
    task: o.TaskName,
    data: o.DataOption = None,
    encoding: o.EncodingOption = "utf-8",
    fields: o.FieldsOption = None,
    labels: o.LabelsOption = None,
    encoder: o.EncoderOption = None,
    head: o.HeadOption = None,
    max_length: MaxLength = None,
    overlap: Overlap = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Check a task's data and describe them: rows, labels, repeated texts, lengths, gold answers within reach.

    Exit status 1 if a check fails, 2 at a row that cannot be read (file and line are named), else 0.
    """
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    chosen = o.chosen_task(task, fields, labels, encoding)
    source, sample = o.located(chosen, task, data, encoding)
    chosen = chosen.adapt(source)
    from clue_cli.dataset import Encoding
    from clue_cli.dataset_checks import describe

    tokens = Encoding.load(chosen, encoder, head=o.chosen_head(chosen, head), max_length=max_length, overlap=overlap)
    found = describe(
        chosen, source, sample=sample, encoding=tokens, on_split=lambda split: console.message(f"reading {split}")
    )
    if json:
        console.emit_json(found.as_dict())
    else:
        show(found)
    if found.failed:
        raise typer.Exit(FAILED)


def show(found: Description) -> None:
    """Print the tables for people: rows, lengths, labels, checks."""
    limits = f"{found.max_length} tokens" + (f", {found.overlap} shared" if found.windows else "")
    origin = "the sample that ships with the package" if found.sample else found.source
    console.result(f"{found.task}: {', '.join(found.fields)} from {origin}; {found.encoder}, {limits}")
    console.result()
    console.table(
        [SPLIT, "rows", "official", "left out", "labelled", "repeated", "conflicts"],
        [
            [name, s.rows, s.official_rows, sum(s.left_out.values()), s.labelled, s.duplicates, s.conflicts]
            for name, s in found.splits.items()
        ],
    )
    console.result()
    _show_lengths(found)
    _show_labels(found)
    rows = [[check.number, check.name, _status(check.status), check.message] for check in found.checks]
    console.table(["", "check", "", "found"], rows)


def _status(status: str) -> console.Cell:
    return console.Cell(status, bold=status != "good")


def _show_lengths(found: Description) -> None:
    over = f"over {found.max_length}"
    rows = []
    for name, split in found.splits.items():
        for unit, lengths in (("characters", split.characters), ("tokens", split.tokens)):
            if lengths is not None:
                last = [split.over_length, split.windows] if unit == "tokens" else [None, None]
                rows.append([name, unit, lengths.min, lengths.median, lengths.p95, lengths.max, *last])
    console.table([SPLIT, "length in", "least", "median", "95 %", "most", over, "features"], rows)
    console.result()


def _show_labels(found: Description) -> None:
    labelled = {name: split for name, split in found.splits.items() if split.labelled}
    if not labelled:
        return
    first = next(iter(labelled.values()))
    names = sorted(first.labels, key=lambda label: -first.labels[label])
    shown = names[:LABELS_SHOWN]
    columns: list[str] = ["label"]
    for name in labelled:
        columns += [name, f"{name} %"]
    totals = {name: sum(split.labels.values()) or 1 for name, split in labelled.items()}
    rows: list[list[Any]] = []
    for label in shown:
        row: list[Any] = [label]
        for name, split in labelled.items():
            count = split.labels.get(label, 0)
            row += [count, 100 * count / totals[name]]
        rows.append(row)
    console.table(columns, rows)
    if len(names) > len(shown):
        console.result(f"and {len(names) - len(shown)} more labels (--json lists all)")
    console.result()
