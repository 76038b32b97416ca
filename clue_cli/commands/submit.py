"""clue submit: the official prediction files, checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.submission import Submitted
    from clue_cli.submission_check import Checked
    from clue_cli.task import Task

EPILOG = (
    "Examples:\n\nclue submit RUN RUN --data DIR -o clue.zip\n\nclue submit --check tnews11_predict.json --data DIR"
)

Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        show_default=False,
        help="Directories of runs, one a task; with --check the name of a task, where the file's name is not enough.",
    ),
]
Check = Annotated[
    list[Path] | None,
    typer.Option(
        "--check", metavar="FILE", rich_help_panel="Check",
        help="Check this official file, made by any program, against the test file; nothing is predicted. More files "
        "may follow.",
    ),
]  # fmt: skip
Data = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="PATH", rich_help_panel=o.DATA,
        help="Directory or zip with the test files; for several tasks a directory that holds one for each. "
        "(default: $CLUE_DATA/TASK, else the shipped sample)",
    ),
]  # fmt: skip
Split = Annotated[
    list[str] | None,
    typer.Option(
        "--split", metavar="NAME", rich_help_panel=o.DATA,
        help="Only this test split, e.g. test1.1. Repeatable. (default: all whose file is at hand)",
    ),
]  # fmt: skip
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="PATH", rich_help_panel=o.OUTPUT,
        help="Directory for the files, or a .zip that packs them all.",
    ),
]  # fmt: skip


def submit_command(
    runs: Runs = None,
    check: Check = None,
    split: Split = None,
    data: Data = None,
    encoding: o.EncodingOption = "utf-8",
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    output: Output = None,
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Predict the test files and write what the leaderboards take, under the official names; every file is checked.

    A zip packs a whole entry, and says what its average still lacks.
    """
    main = o.is_main_process()
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug, silent=not main)
    from clue_cli.errors import UserError

    if check:
        if output is not None:
            raise UserError("a check writes nothing", where=f"--output {output}", hint="leave out --output or --check")
        # A shell that spells out `--check DIR/*` hands over all files but the first as arguments.
        files = [*check, *(Path(name) for name in runs or [] if Path(name).is_file() and not name.endswith(".toml"))]
        names = [name for name in runs or [] if Path(name) not in files]
        _show_checked([_checked(path, names, split or [], data, encoding) for path in files])
        return
    if not runs:
        raise UserError("no run to submit", hint="clue submit RUN -o DIR, or clue submit --check FILE")
    if output is None:
        raise UserError("needs a place for the files", where="--output", hint="-o DIR, or -o entry.zip")
    from clue_cli.submission import SubmitRequest, submit

    request = SubmitRequest(
        runs=tuple(map(Path, runs)),
        output=output,
        splits=tuple(split or ()),
        data=data,
        encoding=encoding,
        device=device,
        precision=precision,
        force=force,
    )
    _show(submit(request), packed=request.packed, several=len(runs) > 1)


def _checked(path: Path, names: list[str], splits: list[str], data: str | None, encoding: str) -> tuple[bool, Checked]:
    """Whether the test file is the shipped sample's, and what the checker found. UserError where the file is wrong."""
    from clue_cli.errors import UserError
    from clue_cli.submission import located
    from clue_cli.submission_check import check_submission, split_of, task_of

    if len(names) > 1 or len(splits) > 1:
        raise UserError("one task and one split can be named to check by", where="--check")
    task = _task(names[0]) if names else task_of(path)
    split = split_of(task, path, splits[0] if splits else None)
    source, sample = located(task, data, several=False, encoding=encoding)
    return sample, check_submission(task.adapt(source), path, source, split)


def _task(name: str) -> Task:
    """A task by its name, or that of a run."""
    from clue_cli.registry import find_task

    if (Path(name) / "model").is_dir() or (Path(name) / "clue.json").is_file():
        from clue_cli.submission import run_task

        return run_task(Path(name))
    return find_task(name)


def _show_checked(found: list[tuple[bool, Checked]]) -> None:
    if console.is_json():
        console.emit_json({"files": [{**checked.as_dict(), "sample": sample} for sample, checked in found]})
    _table([_cells(checked) for _, checked in found])
    _warnings([checked for _, checked in found], [checked.task for sample, checked in found if sample])


def _show(done: Submitted, *, packed: bool, several: bool) -> None:
    if console.is_json():
        console.emit_json(done.as_dict())
    _table([[*_cells(checked), run] for run, checked in done.files], "run")
    for one in done.absent:
        names = " or ".join(one.looked_for)
        console.result(f"{one.task}: no {one.file}, since {names} ({one.split}) is not at hand")
    for name, lacking in done.entries.items() if packed or several else ():
        parts = [f"{one.task} ({' or '.join(one.files) or 'not a task of this program'})" for one in lacking]
        console.result(f"{name}: {'missing ' + ', '.join(parts) if parts else 'complete'}")
    console.result(f"checked and written: {done.output}")
    _warnings([checked for _, checked in done.files], done.samples)
    console.tally(done.left_out)


def _cells(checked: Checked) -> list[Any]:
    official = {True: "yes", False: "no", None: "not known"}[checked.official]
    return [checked.file, checked.answers, checked.task, " ".join(checked.test), official]


def _table(rows: list[list[Any]], *more: str) -> None:
    columns: list[console.Column | str] = [console.Column("file", fold=False), console.Column("answers", right=True)]
    console.table([*columns, "task", "test file", "official", *more], rows)


def _warnings(checked: list[Checked], samples: list[str]) -> None:
    for one in checked:
        for note in one.notes:
            console.warn(f"{one.file}: {note}")
        if one.task in samples:
            console.warn(f"{one.file}: answers the test file of the shipped sample, no leaderboard takes it")
        elif one.official is False:
            console.warn(f"{one.file}: {' '.join(one.test)} is not the official test file, no leaderboard takes it")
