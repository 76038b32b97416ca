"""Annotations from other tools become a task's form: Label Studio, doccano, column files (BIO and kin), brat.

`convert` does what `clue convert` does. One module reads each tool's form into `documents.Document`s, `offsets` turns
the tools' offsets into characters and checks them against the texts, `targets` makes rows, `writing` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clue_cli.contract import Tally
from clue_cli.convert import targets, writing
from clue_cli.convert.bio import JOINERS
from clue_cli.convert.detection import open_export, read
from clue_cli.convert.documents import Document, Reading
from clue_cli.convert.names import names, shown
from clue_cli.convert.official import official
from clue_cli.convert.offsets import UNITS, settle
from clue_cli.convert.targets import FORMS, TARGETS, Row, Target
from clue_cli.errors import UserError, did_you_mean
from clue_cli.files import check_output_directory

EMPTY = "texts without annotations (--skip-empty)"
BLANK = "texts without a visible character"
DEV_SHARE = 0.1
SPLITS = ("train", "dev", "test")

__all__ = ["Converted", "Reading", "Request", "convert"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to convert and how; `clue convert --help` says what each part means.

    split:     the split that all rows become; None deals them to train and dev.
    dev_share: share of the texts that go to dev, in [0, 1); None means `DEV_SHARE`. Only without `split`.
    """

    file: str | Path
    output: str | Path
    format: str = "auto"
    task: str = "auto"
    form: str = "own"
    split: str | None = None
    dev_share: float | None = None
    seed: int = 1
    encoding: str = "utf-8"
    reading: Reading = field(default_factory=Reading)
    skip_empty: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion made: rows by split, annotations by split, names, the files written, and what was left out.

    warnings: what the user should look at before training.
    """

    format: str
    task: str
    output: Path
    rows: dict[str, int]
    annotations: dict[str, int]
    empty: dict[str, int]
    names: list[str]
    files: list[str]
    words: str
    left_out: Tally
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """As one JSON document."""
        return {
            "format": self.format, "task": self.task, "output": str(self.output), "rows": self.rows,
            "annotations": self.annotations, "rows_without_annotations": self.empty, "names": self.names,
            "files": self.files, "left_out": self.left_out.as_dict(), "warnings": self.warnings,
        }  # fmt: skip


def convert(request: Request) -> Converted:
    """Convert an export into a directory that `clue train` takes.

    UserError or RowError for a wrong request or export, before anything is written; RunError if the disk fails, with
    nothing half-written left behind.
    """
    _check(request)
    directory = Path(request.output)
    check_output_directory(directory, force=True)
    tally = Tally()
    export = open_export(request.file, request.format, request.encoding)
    documents = list(_kept(settle(read(export, request.reading, tally), request.reading, tally), request, tally))
    task = _task(documents, request, tally)
    target = TARGETS[task]
    rows = targets.rows(documents, task, tally)
    if not rows:
        raise UserError("no row is left to convert", where=str(request.file), hint="; ".join(tally.as_dict()) or None)
    found = names(rows, task, tally)
    share = DEV_SHARE if request.dev_share is None else request.dev_share
    dealt = {request.split: rows} if request.split else writing.deal(rows, share, request.seed)
    files = writing.planned(directory, target, found, request.split is not None, request.force)
    _check_names(files, target, directory)
    # Where the labels are those of another split already, they need not occur often in this one.
    doubt = targets.unlike_classes(rows) if task == "classification" and target.names in files else None
    files |= writing.task_file(directory, target)
    written = official if request.form == "official" else dict
    files |= {target.files[split]: [written(row) for row in part] for split, part in dealt.items()}
    replaced = {name: lines for name, lines in files.items() if not (request.split and name == target.names)}
    writing.keep_inputs(directory, files, export.inputs())
    writing.check(directory, replaced, request.force)
    writing.write(directory, files)
    counted = {split: [_annotations(row) for row in part] for split, part in dealt.items()}
    return Converted(
        format=export.format,
        task=task,
        output=directory,
        rows={split: len(part) for split, part in dealt.items()},
        annotations={split: sum(amounts) for split, amounts in counted.items()},
        empty={split: amounts.count(0) for split, amounts in counted.items()},
        names=[shown(name) for name in found],
        files=list(files),
        words=target.words,
        left_out=tally,
        warnings=[doubt] if doubt else [],
    )


def _check(request: Request) -> None:
    for value, known, what, option in (
        (request.form, FORMS, "form", "--to"),
        (request.split or "train", SPLITS, "split", "--split"),
        (request.reading.joiner, JOINERS, "joiner", "--joiner"),
        (request.reading.offsets, ("auto", *UNITS), "way to count", "--offsets"),
    ):
        if value not in known:
            raise UserError(did_you_mean(value, known, what), where=option)
    if request.dev_share is None:
        return
    if request.split is not None:
        raise UserError("all rows become one split", where="--dev-share", hint="leave out --split or --dev-share")
    if not 0 <= request.dev_share < 1:
        raise UserError(f"a share from 0 to under 1 was expected, found {request.dev_share}", where="--dev-share")


def _kept(documents: Iterable[Document], request: Request, tally: Tally) -> Iterator[Document]:
    """The documents that are to become rows."""
    for document in documents:
        if not document.text.strip():
            tally.add(BLANK, document.where)
        elif request.skip_empty and document.is_empty():
            tally.add(EMPTY, document.where)
        else:
            yield document


def _task(documents: list[Document], request: Request, tally: Tally) -> str:
    """The kind of task, with events made of relations where they are asked for and the tool knows none."""
    try:
        task = targets.choose(documents, request.task)
    except UserError as error:
        raise error if error.where else UserError(error.message, where=str(request.file), hint=error.hint) from None
    if task == "events" and not any(document.events for document in documents):
        targets.events_from_relations(documents, tally)
    return task


def _check_names(files: Mapping[str, Sequence[Any]], target: Target, directory: Path) -> None:
    """UserError for a file of labels that makes no classifier."""
    labels = files.get(target.names, ())
    if target.task == "classification" and len(labels) == 1:
        told = f"a classifier needs two labels, these texts have one: {labels[0]}"
        raise UserError(told, where=str(directory / target.names))


def _annotations(row: Row) -> int:
    return 1 if "label" in row else len(row.get("entities") or row.get("relations") or row.get("events") or ())
