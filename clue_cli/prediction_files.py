"""`clue predict`: files in, files out. What is asked is checked before the model is loaded; then rows stream through.

One output FILE takes the answers of all inputs in order; an output directory gets a file for each input. Without an
output, answers go to standard output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli import console
from clue_cli import lines as lines_module
from clue_cli.answer_file import (
    REJECTED_OPTION,
    AnswerFile,
    AnswerStream,
    is_direct,
    run_fingerprint,
    written_for,
)
from clue_cli.answers import AnswerForm, form_name, make_form
from clue_cli.contract import FORMAT_VERSION, Tally
from clue_cli.errors import RunError, UserError
from clue_cli.files import check_output
from clue_cli.formats import PACKED, Reading, Rejects, check_text_fields, input_format, read_examples, read_rows
from clue_cli.pipeline import Processes, several_processes
from clue_cli.prediction import Predictor, model_directory, nobody
from clue_cli.sources import locate

if TYPE_CHECKING:
    from clue_cli.contract import Answering, Example
    from clue_cli.lines import Bad, Row


@dataclass(frozen=True)
class Request:
    """What was asked for; the fields are the options of `clue predict`.

    form: of the answers; None takes it from the ending of `output`.
    """

    run: Path
    files: tuple[str, ...] = ()
    split: str | None = None
    data: str | None = None
    reading: Reading = field(default_factory=Reading)
    form: str | None = None
    output: str | None = None
    probabilities: bool = False
    top_k: int = 1
    independent: bool = False
    threshold: float | None = None
    precision: str | None = None
    device: str | None = None
    skip: bool = False
    resume: bool = False
    force: bool = False


@dataclass
class Answered:
    """What became of one output: rows answered in all, how many of them were there before, rows set aside."""

    output: str | None
    rows: int = 0
    before: int = 0
    rejected: int = 0
    finished_before: bool = False


@dataclass
class Summary:
    """The end of a prediction; `seconds` is wall time without loading the model, `left_out` counts by reason."""

    run: str
    task: str
    outputs: list[Answered]
    left_out: Tally
    seconds: float
    device: str
    precision: str

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        new = sum(one.rows - one.before for one in self.outputs)
        return {
            "run": self.run,
            "task": self.task,
            "rows": sum(one.rows for one in self.outputs),
            "rejected": sum(one.rejected for one in self.outputs),
            "outputs": [vars(one) for one in self.outputs],
            "left_out": self.left_out.as_dict(),
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(new / self.seconds, 1) if self.seconds > 0 else None,
            "device": self.device,
            "precision": self.precision,
        }


@dataclass(frozen=True)
class _Target:
    files: tuple[str, ...]
    output: Path | None


def predict_files(request: Request) -> Summary:
    """Answer everything `request` names; UserError before any work where the request is wrong.

    RowError stops at the first bad row (answers before it are kept in `OUT.part`) unless rows are skipped. Under
    several processes all of them call this, and the main one writes.
    """
    # torch keeps 1,024 compiled matrix products a thread, some 100 MB that fill up slowly over a long file. Fewer are
    # enough: a batch needs about five. Read by torch when it first multiplies.
    os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
    directory = model_directory(request.run)
    form = _form(request)
    _check(request)
    targets = _targets(request, form)
    processes = Processes.current()
    main = processes.rank == 0
    made_of = _made_of(request, directory, form) if main else {}
    for target in targets if main else ():
        if target.output is not None:
            _check_target(target, request)
    # The first output is opened before the model is loaded: most mistakes show here, at once.
    sink = _sink(targets[0], form, made_of, request, main)
    left_out = Tally()
    with sink:
        predictor = Predictor.load(request.run, device=request.device, precision=request.precision)
        check_text_fields(request.reading.text_fields, predictor.task)
        options = predictor.answering(threshold=request.threshold, top_k=request.top_k, joint=not request.independent)
        started = time.perf_counter()
        outputs = [_answer(predictor, request, targets[0], sink, options, left_out)]
    for target in targets[1:]:
        with _sink(target, _form(request), made_of, request, main) as sink:
            outputs.append(_answer(predictor, request, target, sink, options, left_out))
    seconds = time.perf_counter() - started
    for counted in processes.gather(predictor.tally):
        left_out.merge(counted)
    model = predictor.model
    run = request.run.resolve().name
    return Summary(run, predictor.task.name, outputs, left_out, seconds, str(model.device), model.precision)


def _check(request: Request) -> None:
    if request.split is not None and request.files:
        raise UserError("either files or --split, not both", where=f"--split {request.split}")
    if request.data is not None and request.split is None:
        raise UserError("says where the data are; which split of them?", where="--data", hint="--split test")
    if request.split is None and not request.files:
        raise UserError("nothing to predict", hint="name one or more files, - for standard input, or --split test")
    if request.skip and (request.output is None or is_direct(Path(request.output))):
        raise UserError("needs a file beside which rejected rows can go", where="--on-error skip", hint="--output FILE")
    if request.resume and request.output is None:
        raise UserError("standard output cannot be continued", where="--resume", hint="--output FILE")
    lines_module.check_encoding(request.reading.encoding)
    for file in request.files:
        if file == "-" and several_processes():
            raise UserError("standard input cannot be dealt to several processes", hint="give a file")
        if file != "-":
            with lines_module.reading(file):
                if Path(file).is_dir():
                    raise IsADirectoryError
                Path(file).stat()
        input_format(file, request.reading.form)
    if request.files.count("-") > 1:
        raise UserError("standard input can be read once only", where="-")


def _form(request: Request) -> AnswerForm:
    """The form of the answers, new for every output."""
    file = None if request.output is None or _is_directory(request.output) else request.output
    return make_form(form_name(file, request.form), probabilities=request.probabilities)


def _is_directory(output: str) -> bool:
    return Path(output).is_dir() or output.endswith(("/", os.sep))


def _targets(request: Request, form: AnswerForm) -> list[_Target]:
    """Which inputs go to which output."""
    if request.output is None or request.output == "-":
        return [_Target(request.files, None)]
    output = Path(request.output)
    if not _is_directory(request.output):
        return [_Target(request.files, output)]
    if request.split is not None:
        return [_Target((), output / (request.split + form.suffix))]
    taken: dict[Path, str] = {}
    for file in request.files:
        path = output / (_stem(file) + form.suffix)
        if path in taken:
            both = f"{taken[path]} and {file} would both be answered in {path}"
            raise UserError(both, where=f"--output {request.output}", hint="predict them one by one")
        taken[path] = file
    return [_Target((file,), path) for path, file in taken.items()]


def _stem(file: str) -> str:
    """`rows` for `data/rows.jsonl.gz`."""
    if file == "-":
        return "stdin"
    path = Path(file)
    return Path(path.stem).stem if path.suffix.lower() in PACKED else path.stem


def _check_target(target: _Target, request: Request) -> None:
    assert target.output is not None
    for path in written_for(target.output):
        if path.exists() and any(file != "-" and path.samefile(file) for file in target.files):
            raise UserError("this is an input; its answers must go elsewhere", where=f"--output {path}")
    if target.output.is_file() and request.resume:
        return
    check_output(target.output, force=request.force)
    if not is_direct(target.output):
        check_output(written_for(target.output)[3], force=request.force or request.resume, option=REJECTED_OPTION)


def _made_of(request: Request, directory: Path, form: AnswerForm) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "run": run_fingerprint(directory),
        "inputs": [Path(file).name for file in request.files],
        "split": request.split,
        "format": form.name,
        "input_format": request.reading.form,
        "encoding": request.reading.encoding,
        "text_fields": list(request.reading.text_fields),
        "probabilities": request.probabilities,
        "top_k": request.top_k,
        "independent": request.independent,
        "threshold": request.threshold,
        "precision": request.precision,
    }


class _NoSink(AnswerStream):
    """What the processes beside the main one write to."""

    def write(self, text: str) -> None:
        """Write nothing."""


def _sink(
    target: _Target, form: AnswerForm, made_of: dict[str, Any], request: Request, main: bool
) -> AnswerFile | AnswerStream:
    if not main:
        sink = _NoSink(form)
        sink.rejects = Rejects(lambda line: None) if request.skip else None
        return sink
    if target.output is None:
        return AnswerStream(form)
    return AnswerFile(target.output, form, made_of, force=request.force, resume=request.resume, skipping=request.skip)


def _answer(
    predictor: Predictor,
    request: Request,
    target: _Target,
    sink: AnswerFile | AnswerStream,
    options: Answering,
    left_out: Tally,
) -> Answered:
    """Stream the rows of one target through the model into its output; what reading leaves out goes to `left_out`."""
    output = None if target.output is None else str(target.output)
    # What the main process found on the disk goes for all.
    answered, finished = predictor.processes.gather((sink.answered, sink.finished))[0]
    if finished:
        console.message(
            f"{output}: nothing of it is unfinished, so it stays as it is, whether or not it answers this input "
            "(--force predicts it again)"
        )
        return Answered(output, finished_before=True)
    writing = predictor.processes.rank == 0
    examples = sink.agreeing(_examples(predictor, request, target, sink, left_out))
    to_terminal = output is None and console.out.is_terminal  # where the answers themselves are the progress
    rows = answered
    with (
        console.progress(None, "predicting", unit="rows", done=answered) as bar,
        closing(
            predictor.examples(examples, options, answered=answered, on_rows=nobody if to_terminal else bar.advance)
        ) as stream,
    ):
        for example, prediction in stream:
            if writing:
                fields = predictor.task.answer_fields(example, prediction, options, probabilities=request.probabilities)
                sink.write(_record(sink.form, example, prediction, fields))
            rows += 1
    return Answered(output, rows, answered, sink.rejects.count if sink.rejects is not None else 0)


def _record(form: AnswerForm, example: Example, prediction: Any, fields: dict[str, Any]) -> str:
    try:
        return form.record(example, prediction, fields)
    except ValueError as error:  # NaN or infinity: rows cannot hold them, so the model made them
        hint = "the run's weights are broken; --precision float32 tells whether it is the precision"
        raise RunError("the model's scores are not finite", where=example.where, hint=hint) from error


def _examples(
    predictor: Predictor, request: Request, target: _Target, sink: AnswerFile | AnswerStream, left_out: Tally
) -> Iterator[Example]:
    """The examples of a target's inputs, one input after the other."""
    task, reading = predictor.task, request.reading
    bad: Bad | None = sink.rejects.add if sink.rejects is not None else None
    inputs: Sequence[tuple[str, Iterator[Row]]]
    if request.split is not None:
        inputs = [_split(predictor, request, bad)]
    else:
        inputs = [
            ("<stdin>" if file == "-" else file, read_rows(file, task, reading, left_out, bad)) for file in target.files
        ]
    number = 0
    for place, rows in inputs:
        examples = read_examples(
            rows, task, text_fields=reading.text_fields, rejects=sink.rejects, check=sink.form.check,
            place=place, first=number,
        )  # fmt: skip
        for example in examples:
            yield example
            number += 1


def _split(predictor: Predictor, request: Request, bad: Bad | None) -> tuple[str, Iterator[Row]]:
    """The rows of a split of the task's data, labelled or not."""
    task = predictor.task
    task.split(str(request.split))
    source, sample = locate(task.name, request.data, hub=task.hub, encoding=request.reading.encoding)
    if sample:
        console.message(f"no --data: predicting the {request.split} split of the sample that ships with clue")
    files = task.files_of(source, str(request.split))
    return source.place(files[0]), chain.from_iterable(task.rows(source, file, bad) for file in files)
