"""`clue submit`: runs in, the official prediction files out, each checked before it appears under its name.

A file is written into a directory beside the output, checked there by `clue_cli.submission_check`, which reads it and
the test file from the start, and moved to its place. A zip takes the files of several runs, one run a task.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from clue_cli import console
from clue_cli.contract import Tally
from clue_cli.errors import UserError, did_you_mean
from clue_cli.files import atomic_write, check_output, check_output_directory, filling, sync_directory, writing
from clue_cli.pipeline import Processes
from clue_cli.references import entries
from clue_cli.registry import restore_task, tasks
from clue_cli.sources import Source, locate
from clue_cli.submission_check import Checked, check_submission
from clue_cli.task import Task

if TYPE_CHECKING:
    from clue_cli.contract import Example, Prediction
    from clue_cli.prediction import Predictor

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the same files make the same zip. It is the earliest that a zip can hold."""


@dataclass(frozen=True)
class SubmitRequest:
    """What was asked for; the fields are the options of `clue submit`. `splits` empty: all that have a file."""

    runs: tuple[Path, ...]
    output: Path
    splits: tuple[str, ...] = ()
    data: str | None = None
    encoding: str = "utf-8"
    device: str | None = None
    precision: str | None = None
    force: bool = False

    @property
    def packed(self) -> bool:
        """Whether the files go into a zip."""
        return self.output.suffix.lower() == ".zip"


class Absent(NamedTuple):
    """An official file that cannot be made, since no file of its test split is at hand."""

    task: str
    split: str
    file: str
    looked_for: tuple[str, ...]


class Needed(NamedTuple):
    """A part of a leaderboard's average; `files` are the official names (any of them will do), if the task is known."""

    task: str
    split: str | None
    files: tuple[str, ...]


@dataclass
class Submitted:
    """What became of a request.

    files:   the official files in order, each with the name of its run. absent: those that could not be made.
    entries: name of a leaderboard that some file counts for -> what its average lacks.
    samples: tasks whose test file is the shipped sample's.
    """

    output: Path
    files: list[tuple[str, Checked]] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    entries: dict[str, list[Needed]] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    left_out: Tally = field(default_factory=Tally)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "output": str(self.output),
            "files": [{"run": run, **checked.as_dict()} for run, checked in self.files],
            "absent": [{**one._asdict(), "looked_for": list(one.looked_for)} for one in self.absent],
            "entries": {
                name: [{**one._asdict(), "files": list(one.files)} for one in lacking]
                for name, lacking in self.entries.items()
            },
            "samples": self.samples,
            "left_out": self.left_out.as_dict(),
        }


@dataclass(frozen=True)
class _Job:
    run: Path
    task: Task
    source: Source
    sample: bool
    splits: tuple[str, ...]
    absent: tuple[Absent, ...]


def submit(request: SubmitRequest) -> Submitted:
    """Predict the test splits of every run and write the official files; UserError before any work where it can't be.

    Under several processes all of them call this, and the main one writes.
    """
    _check_runs(request.runs)
    jobs = [_job(run, request) for run in request.runs]
    names = [job.task.submissions[split] for job in jobs for split in job.splits]
    processes = Processes.current()
    main = processes.rank == 0
    if main:
        _check_output(request, names)
    done = Submitted(request.output, absent=[one for job in jobs for one in job.absent])
    done.samples = [job.task.name for job in jobs if job.sample]
    with _staging(request) if main else _nowhere() as stage:
        for job in jobs:
            for checked in _files(job, request, stage, processes, done.left_out):
                done.files.append((job.run.resolve().name, checked))
                if not request.packed:
                    _publish(stage / checked.file, request.output)
        if main and request.packed:
            pack([stage / name for name in names], request.output)
    done.entries = lacking_of({(checked.task, checked.split) for _, checked in done.files})
    return done


# -------------------------------------------------------------------- what there is to do


def run_task(run: Path) -> Task:
    """The task of a run; UserError where the directory is none."""
    from clue_cli.model_settings import read_settings
    from clue_cli.prediction import model_directory

    return restore_task(read_settings(model_directory(run))["task"], str(run))


def _job(run: Path, request: SubmitRequest) -> _Job:
    task = run_task(run)
    if not task.submissions:
        own = " (the data are your own)" if task.own else ""
        hint = "clue predict RUN FILE answers any file"
        raise UserError(f"task {task.name} has no official prediction file{own}", where=str(run), hint=hint)
    splits = chosen_splits(task, request.splits, several=len(request.runs) > 1)
    source, sample = located(task, request.data, several=len(request.runs) > 1, encoding=request.encoding)
    if sample and _trained_on_other_data(run):
        raise UserError("this run was not trained on the shipped sample: say where its data are", where="--data")
    # A split that was asked for may lie in a file of any name.
    at_hand = [split for split in splits if request.splits or task.has_split(source, split)]
    for split in at_hand:
        task.files_of(source, split)
    absent = [
        Absent(task.name, split, task.submissions[split], tuple(task.files[split]))
        for split in splits
        if split not in at_hand
    ]
    if not at_hand:
        looked_for = ", ".join(name for one in absent for name in one.looked_for)
        raise UserError(f"no test file of task {task.name} here; looked for {looked_for}", where=source.location)
    return _Job(run, task, source, sample, tuple(at_hand), tuple(absent))


def chosen_splits(task: Task, names: Sequence[str], *, several: bool = False) -> list[str]:
    """The splits to submit: those of `names` that the task has a file for, all without names.

    With `several` tasks one that has a single test split takes that for any name (it stands in every version of the
    benchmark). UserError where none of the names fits.
    """
    if not names:
        return list(task.submissions)
    resolved = [task.split(name) for name in names if name == "test" or name in task.files]
    found = [split for split in task.submissions if split in resolved]
    if found:
        return found
    if several and len(task.submissions) == 1:
        return list(task.submissions)
    known = did_you_mean(names[0], task.submissions, f"split of task {task.name} with an official prediction file")
    raise UserError(known, where="--split")


def located(task: Task, data: str | None, *, several: bool, encoding: str) -> tuple[Source, bool]:
    """The data of one of the tasks, and whether they are the sample: `--data` may hold a directory for each task."""
    if data is not None and data.strip() and data != "hub":
        inner = Path(data).expanduser() / task.name
        if inner.exists():
            return Source.open(inner, encoding=encoding), False
        if several:
            hint = "for several tasks it holds a directory for each, with the task's name"
            raise UserError(f"no {task.name} in it", where=f"--data {data}", hint=hint)
    return locate(task.name, data, hub=task.hub, encoding=encoding)


def _trained_on_other_data(run: Path) -> bool:
    from clue_cli.model_settings import export_origin, read_settings
    from clue_cli.prediction import model_directory
    from clue_cli.record import Record

    directory = model_directory(run)
    exported = export_origin(read_settings(directory), directory)
    if exported is not None:
        return not exported.sample
    return (run / "record.json").is_file() and not Record.load(run).data.sample


def _check_runs(runs: Sequence[Path]) -> None:
    if not runs:
        raise UserError("no run to submit", hint="clue submit RUN -o DIR")
    first: dict[str, Path] = {}
    for run in runs:
        name = run_task(run).name
        if name in first:
            both = f"{first[name]} and {run} are both runs of task {name}"
            raise UserError(f"{both}; an entry takes one run a task")
        first[name] = run


def _check_output(request: SubmitRequest, names: Sequence[str]) -> None:
    """UserError where something stands in the way; other files of the directory stay."""
    if request.packed:
        check_output(request.output, force=request.force)
        return
    check_output_directory(request.output, force=True)
    for name in names:
        check_output(request.output / name, force=request.force)


# -------------------------------------------------------------------- files


def _files(job: _Job, request: SubmitRequest, stage: Path, processes: Processes, left_out: Tally) -> Iterator[Checked]:
    """Predict and write the splits of one run into `stage`; each file is given out once it is checked."""
    from clue_cli.prediction import Predictor

    predictor = Predictor.load(job.run, device=request.device, precision=request.precision, tally=Tally())
    for split in job.splits:
        examples = list(job.task.read(job.source, split, left_out))
        pairs = _answered(predictor, examples, f"{job.task.name} {split}")
        if processes.rank:
            deque(pairs, maxlen=0)
            continue
        path = stage / job.task.submissions[split]
        job.task.write_submission(pairs, split, path)
        yield check_submission(job.task, path, job.source, split)
    for counted in processes.gather(predictor.tally):
        left_out.merge(counted)


def _answered(predictor: Predictor, examples: Sequence[Example], what: str) -> Iterator[tuple[Example, Prediction]]:
    with (
        console.progress(len(examples), what, unit="rows") as bar,
        closing(predictor.examples(examples, on_rows=bar.advance)) as answers,
    ):
        yield from answers


@contextmanager
def _staging(request: SubmitRequest) -> Iterator[Path]:
    """A directory beside the output that goes away with all that is in it; so does a new output that stays empty."""
    home = request.output.parent if request.packed else request.output
    made = not home.exists()
    with writing(request.output):
        home.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".clue-", suffix=".part", dir=home))
    try:
        with filling(request.output):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made:
            with suppress(OSError):  # it holds files
                home.rmdir()


@contextmanager
def _nowhere() -> Iterator[Path]:
    """What the processes beside the main one write to: nothing."""
    yield Path()


def _publish(path: Path, directory: Path) -> None:
    with writing(directory / path.name):
        path.replace(directory / path.name)
        sync_directory(directory)


def pack(paths: Iterable[Path], output: Path) -> None:
    """Files as a zip, by name and without folders, whole or not at all; the same files make the same bytes."""
    with (
        atomic_write(output, binary=True) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for path in sorted(paths, key=lambda path: path.name):
            member = zipfile.ZipInfo(path.name, ZIP_TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system, member.external_attr = 3, 0o644 << 16  # as on Unix, wherever it is made
            archive.writestr(member, path.read_bytes())


# -------------------------------------------------------------------- a whole entry


def lacking_of(present: set[tuple[str, str]]) -> dict[str, list[Needed]]:
    """For each leaderboard that one of these (task, split) files counts for: what its average still needs."""
    lacking: dict[str, list[Needed]] = {}
    for name, members in entries().items():
        needed = [_needed(task, split) for task, split in members]
        missing = [
            one for one in needed if not any(task == one.task and one.split in (None, split) for task, split in present)
        ]
        if len(missing) < len(needed):
            lacking[name] = missing
    return lacking


def _needed(name: str, split: str | None) -> Needed:
    task = tasks().get(name)
    files = {} if task is None else dict(task.submissions)
    return Needed(name, split, tuple(file for key, file in files.items() if split in (None, key)))
