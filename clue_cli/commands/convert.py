"""clue convert: annotations from other tools become a task's form."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.convert import Converted

EPILOG = (
    "Examples:\n\nclue convert export.json -o mydata --task entities\n\n"
    "clue convert train.bio -o news --split train --joiner none"
)

WRITING = "Writing"
NAMES_SHOWN = 12
NAMES = {"relations": "predicates", "events": "event types"}
"""What names are called, where they are no labels."""

File = Annotated[str, typer.Argument(metavar="FILE", help="An export: a file, a zip, or a directory (brat).")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", rich_help_panel=o.OUTPUT, help="Directory for the files.")
]
Format = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=o.DATA, help="auto, label-studio, doccano, bio or brat. (default: auto)",
        show_default=False,
    ),
]  # fmt: skip
Kind = Annotated[
    str,
    typer.Option(
        "--task", metavar="KIND", rich_help_panel=o.DATA, show_default=False,
        help="auto, entities, classification, relations or events. (default: what is annotated)",
    ),
]  # fmt: skip
TextField = Annotated[
    str | None, typer.Option(metavar="NAME", rich_help_panel=o.DATA, help="Field of the text. (default: text)")
]
LabelField = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=o.DATA, help="Field or group of the labels of whole texts."),
]
Offsets = Annotated[
    str,
    typer.Option(
        metavar="UNIT", rich_help_panel=o.DATA, show_default=False,
        help="What offsets count: auto, characters or utf-16. (default: auto, from the words stored with them)",
    ),
]  # fmt: skip
Joiner = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=o.DATA, show_default=False,
        help="Between tokens of column files: auto, none or blank. (default: auto, blanks between words of letters)",
    ),
]  # fmt: skip
SkipEmpty = Annotated[
    bool, typer.Option("--skip-empty", rich_help_panel=o.DATA, help="Leave out texts in which nothing is annotated.")
]
OnError = Annotated[
    str, typer.Option(metavar="stop|skip", rich_help_panel=o.DATA, help="Stop at a bad row, or leave it out.")
]
Form = Annotated[
    str,
    typer.Option(
        "--to", metavar="own|official", rich_help_panel=WRITING,
        help="Form of the rows: ours, with all offsets, or that of CLUENER, DuIE, DuEE.",
    ),
]  # fmt: skip
Split = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=WRITING,
        help="Make all rows train, dev or test, beside what DIR holds. (default: deal to train and dev)",
    ),
]  # fmt: skip
DevShare = Annotated[
    float | None,
    typer.Option(metavar="S", rich_help_panel=WRITING, help="Share of the texts that go to dev. (default: 0.1)"),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, rich_help_panel=WRITING, help="Seed of the dealing.")]


def convert_command(
    file: File,
    output: Output,
    format: Format = "auto",
    task: Kind = "auto",
    text_field: TextField = None,
    label_field: LabelField = None,
    offsets: Offsets = "auto",
    joiner: Joiner = "auto",
    skip_empty: SkipEmpty = False,
    on_error: OnError = "stop",
    encoding: o.EncodingOption = "utf-8",
    to: Form = "own",
    split: Split = None,
    dev_share: DevShare = None,
    seed: Seed = 1,
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Turn annotations from Label Studio, doccano, BIO files or brat into data that train at once.

    Offsets are checked against the texts; whatever is left out or changed is counted.
    """
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.convert import Reading, Request, convert
    from clue_cli.errors import UserError, did_you_mean

    if on_error not in ("stop", "skip"):
        raise UserError(did_you_mean(on_error, ["stop", "skip"], "way to treat bad rows"), where="--on-error")
    reading = Reading(text_field, label_field, offsets, joiner, on_error == "skip")
    request = Request(
        file=file, output=output, format=format, task=task, form=to, split=split, dev_share=dev_share, seed=seed,
        encoding=encoding, reading=reading, skip_empty=skip_empty, force=force,
    )  # fmt: skip
    _show(convert(request))


def _show(done: Converted) -> None:
    console.tally(done.left_out)
    for warning in done.warnings:
        console.warn(warning)
    if console.is_json():
        console.emit_json(done.as_dict())
        return
    what = "labels" if done.task == "classification" else done.task
    rows = [[split, done.rows[split], done.annotations[split], done.empty[split]] for split in done.rows]
    columns = [console.Column("split"), *(console.Column(name, right=True) for name in ("rows", what, "rows without"))]
    console.table(columns, rows, title=f"{done.task} from {done.format}: {done.output}")
    more = f" and {len(done.names) - NAMES_SHOWN} more" if len(done.names) > NAMES_SHOWN else ""
    console.result(f"{len(done.names)} {NAMES.get(done.task, 'labels')}: {', '.join(done.names[:NAMES_SHOWN])}{more}")
    words = done.words.format(shlex.quote(_place(done)))
    console.result("next:")
    console.result(f"  clue data {words}")
    console.result(f"  clue train {words}")


def _place(done: Converted) -> str:
    """How other verbs are told the directory: a bare name of theirs would be taken for the task of that name."""
    from clue_cli.registry import tasks

    return f"./{done.output}" if str(done.output) in tasks() else str(done.output)
