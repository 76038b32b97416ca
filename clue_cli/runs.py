"""From a request to a run: data read, features made, model built, trained, recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clue_cli import console
from clue_cli.continuation import continued, signature
from clue_cli.contract import Example, Recipe, Tally
from clue_cli.drawing import drawn
from clue_cli.errors import ClueError, UserError
from clue_cli.interruption import Interrupted
from clue_cli.recipe_check import check_recipe, with_optimizer
from clue_cli.run_directory import RunDirectory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from clue_cli.features import FeatureTable
    from clue_cli.model import Model
    from clue_cli.process_group import ProcessGroup
    from clue_cli.record import Record
    from clue_cli.sources import Source
    from clue_cli.task import Task
    from clue_cli.training import Training


@dataclass(frozen=True)
class TrainRequest:
    """What one `clue train` was asked for. `options` are recipe values that the user gave; None means not given."""

    task: Task
    source: Source
    sample: bool
    head: str
    metric: str
    options: dict[str, Any]
    recipe: str | None = None
    encoder: str | None = None
    seed: int = 1
    group: str | None = None
    limit: int | None = None
    eval_limit: int | None = None
    device: str | None = None
    precision: str | None = None
    output: Path | None = None
    resume: bool = False
    force: bool = False
    keep_checkpoint: bool = False
    save_minutes: float = 10.0
    allow_random: bool = False


def encoder_facts(request: TrainRequest) -> tuple[str, str]:
    """The encoder's short name and size class, without loading its weights."""
    from clue_cli.encoders.shape import describe

    return describe(request.encoder)


class ResolvedRecipe(NamedTuple):
    """The recipe to use, where each of its values comes from, and what it would be without the user's options."""

    values: Recipe
    origins: dict[str, str]
    base: Recipe


def resolved_recipe(request: TrainRequest, size: str) -> ResolvedRecipe:
    """The recipe of a request for an encoder size. UserError for bad values."""
    named = request.task.recipe_for(request.head, size, request.recipe)
    optimizer = request.options.get("optimizer", named[0].optimizer)
    base, origins = with_optimizer(optimizer, *named, request.task.recipe_for(request.head, size))
    recipe = base.updated(request.options)
    check_recipe(recipe)
    return ResolvedRecipe(recipe, {**origins, **dict.fromkeys(request.options, "option")}, base)


def run_path(request: TrainRequest, encoder: str) -> Path:
    """Where the run goes: `--output`, else runs/<task>/<encoder>-<head>-s<seed>-<time>. UserError: it must be given."""
    if request.output is None and request.resume:
        raise UserError("--resume needs the run to continue", where="--output", hint="--output RUN --resume")
    if request.output is not None:
        return request.output
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    safe = "".join(c if c.isalnum() or c in "-._" else "-" for c in Path(encoder).name)
    return Path("runs") / request.task.name / f"{safe}-{request.head}-s{request.seed}-{stamp}"


def prepare(request: TrainRequest) -> Training:
    """Everything up to the first step. UserError for whatever is wrong with the request or its data."""
    from clue_cli.precision import choose_device, make_repeatable, use_in_thread
    from clue_cli.process_group import ProcessGroup

    began = time.monotonic()
    name, size = encoder_facts(request)
    recipe = resolved_recipe(request, size)
    device = choose_device(request.device)
    make_repeatable(device)
    processes = ProcessGroup(device)
    if not processes.main:
        console.silence()
    if device.type == "cuda" and processes.count > 1:
        device = processes.state.device
    use_in_thread(device)
    path = Path(processes.gather(str(run_path(request, name)))[0])
    directory = RunDirectory(path, resume=request.resume, force=request.force)
    try:
        _together(processes, directory.check)
        return _prepared(request, recipe, directory, device, processes, began)
    except BaseException:
        directory.give_up()
        raise


def _prepared(
    request: TrainRequest,
    recipe: ResolvedRecipe,
    directory: RunDirectory,
    device: torch.device,
    processes: ProcessGroup,
    began: float,
) -> Training:
    from clue_cli.training import Training

    tallies = {"train": Tally(), "dev": Tally()}
    train, dev = _examples(request, tallies)
    read = time.monotonic()
    model = _model(request, recipe.values, train)
    table = _features(request, model, train, processes)
    for reason, amount in table.tally.items():
        tallies["train"].add(reason, amount=amount)
    masters: dict[nn.Parameter, Tensor] = {}
    model.to_device(device, request.precision, masters)
    record = _record(request, model, recipe, tallies, train, dev, processes)
    record.timing.phases.update(read=round(read - began, 3), features=round(time.monotonic() - read, 3))
    marks = signature(record)
    if request.resume:
        record = continued(directory.path, record)
    training = Training(
        model=model,
        recipe=recipe.values,
        table=table,
        dev=dev,
        metric=request.metric,
        seed=request.seed,
        directory=directory.path,
        release=directory.release,
        record=record,
        processes=processes,
        signature=marks,
        masters=masters,
        save_seconds=60 * request.save_minutes,
    )
    # Nothing can be wrong with the request any more: only now an older run gives way to the new one.
    _together(processes, directory.take)
    training.begin(resume=request.resume)
    return training


def _examples(request: TrainRequest, tallies: dict[str, Tally]) -> tuple[list[Example], list[Example]]:
    """The examples of train and dev, drawn where there is a limit. UserError where one of them has none."""
    found = []
    for split, limit, option in (("train", request.limit, "--limit"), ("dev", request.eval_limit, "--eval-limit")):
        examples = list(request.task.read(request.source, split, tallies[split]))
        found.append(drawn(examples, limit, request.seed, option=option))
    train, dev = found
    if not train or not dev:
        raise UserError(f"no usable rows in {'train' if not train else 'dev'}", where=request.source.location)
    return train, dev


def _model(request: TrainRequest, recipe: Recipe, train: Sequence[Example]) -> Model:
    """A new model, its head drawn by seed. UserError where its encoder has fewer positions than the recipe's length."""
    import torch

    from clue_cli.model import Model

    torch.manual_seed(request.seed)
    model = Model.build(
        request.task,
        request.head,
        recipe,
        encoder=request.encoder,
        class_weights=balanced_weights(request.task, train) if recipe.class_weights == "balanced" else None,
        allow_random=request.allow_random,
    )
    for note in model.encoder.notes:
        console.warn(note)
    model.encoder.check_length(recipe.max_length)
    return model


def train(request: TrainRequest) -> tuple[Path, Record]:
    """Train one run to its end. The record says how it ended, whatever happens."""
    training = prepare(request)
    try:
        _to_the_end(training, request)
    finally:
        training.release()
    return training.directory, training.record


def _to_the_end(training: Training, request: TrainRequest) -> None:
    from clue_cli.environment import peak_gpu_memory, peak_memory

    record = training.record
    try:
        _announce(training, request)
        training.run()
    except KeyboardInterrupt as error:  # before the loop listens to it, or a second Ctrl-C
        stopped = Interrupted(getattr(error, "exit_status", 130) - 128, training.directory)
        _keep_end(training, "interrupted", stopped)
        raise stopped from error
    except BaseException as error:
        _keep_end(training, "interrupted" if isinstance(error, Interrupted) else "failed", error)
        raise
    record.timing.peak_memory = peak_memory()
    record.timing.peak_gpu_memory = peak_gpu_memory(training.model.device)
    record.end("finished")
    if training.processes.main:
        record.save(training.directory)
        if not request.keep_checkpoint:
            training.drop_checkpoint()
    training.processes.wait()


def _keep_end(training: Training, status: str, error: BaseException) -> None:
    """Write into the record how a training ended that did not finish."""
    training.record.end(status, error if isinstance(error, ClueError) else type(error).__name__)
    if training.processes.main and training.directory.is_dir():
        _try_to_save(training.record, training.directory)


def _announce(training: Training, request: TrainRequest) -> None:
    """What is about to be trained, on which data, where: in one line, before the first step."""
    record = training.record
    rows = record.data.rows
    sample = " (the shipped sample)" if request.sample else ""
    console.message(
        f"{record.task.name}: {rows['train']:,} train and {rows['dev']:,} dev rows{sample}; {record.encoder.name}, "
        f"{record.head}, {record.precision} on {record.device}; run: {training.directory}"
    )


def _try_to_save(record: Record, directory: Path) -> None:
    try:
        record.save(directory)
    except ClueError as error:  # the first error matters more than this one, which only repeats it (a full disk)
        console.warn(f"the record could not be brought up to date: {error}")


def _together(processes: ProcessGroup, act: Callable[[], None]) -> None:
    """`act` in the main process; what it says went wrong is raised in every one."""
    problem: ClueError | None = None
    if processes.main:
        try:
            act()
        except ClueError as error:
            problem = error
    problem = processes.gather(problem)[0]
    if problem is not None:
        raise problem


def balanced_weights(task: Task, examples: Sequence[Example]) -> list[float]:
    """n / (C n_c) for every label, from gold. UserError where a label never occurs or the task has none."""
    if not all(isinstance(example.gold, str) for example in examples):
        raise UserError("class weights are for classification", where="--class-weights")
    from sklearn.utils.class_weight import compute_class_weight

    gold = np.array([example.gold for example in examples])
    if missing := sorted(set(task.labels) - set(gold)):
        raise UserError(f"train holds no row labelled {missing[0]!r}, so it has no weight", where="--class-weights")
    weights: list[float] = compute_class_weight("balanced", classes=np.array(task.labels), y=gold).tolist()
    return weights


def _features(
    request: TrainRequest, model: Model, examples: Sequence[Example], processes: ProcessGroup
) -> FeatureTable:
    from clue_cli.features import FeatureTable, cached, digest_of

    task = request.task
    parts = {
        "format": 3,
        "examples": digest_of(examples),
        "task": task.to_config(),
        "labels": list(task.labels),
        "tokenizer": model.text_encoder.fingerprint,
        "segments": model.segments,
        "flat": model.head.flat,
        "max_length": model.limits.max_length,
        "overlap": model.limits.overlap,
    }

    def make() -> FeatureTable:
        tally = Tally()
        made = task.features(
            examples,
            model.text_encoder,
            model.limits,
            tally,
            segments=model.segments,
            flat=model.head.flat,
        )
        return FeatureTable.build(made, tally)

    if processes.main:
        table = cached(parts, make)
    processes.wait()
    return table if processes.main else cached(parts, make)


def _record(
    request: TrainRequest,
    model: Model,
    recipe: ResolvedRecipe,
    tallies: dict[str, Tally],
    train: Sequence[Example],
    dev: Sequence[Example],
    processes: ProcessGroup,
) -> Record:
    from clue_cli.contract import labels_sha256
    from clue_cli.data_files import data_files
    from clue_cli.record import DataInfo, EncoderInfo, Record, TaskInfo, settings

    task, encoder = request.task, model.encoder
    files = [
        file
        for split, examples in (("train", train), ("dev", dev))
        for file in data_files(task, request.source, split, examples)
    ]
    # What the encoder decides for itself stands in the record too, so that the row can be repeated.
    used = replace(recipe.values, pooling=model.settings.pooling)
    return Record.start(
        task=TaskInfo(
            name=task.name,
            version=task.version,
            family=task.family,
            fields=list(task.fields),
            labels=len(task.labels),
            labels_sha256=labels_sha256(task.labels),
            changed=_changed(task),
        ),
        head=request.head,
        encoder=EncoderInfo(
            name=encoder.name,
            sha256=encoder.sha256,
            parameters=sum(p.numel() for p in encoder.parameters()),
            parameters_without_embeddings=encoder.parameters_without_embeddings,
            size=encoder.size,
            scratch=encoder.name.startswith("scratch"),
        ),
        metrics=[request.metric, *(m for m in task.metrics if m != request.metric)],
        recipe=settings(used, recipe.origins, recipe.base),
        seed=request.seed,
        group=request.group,
        device=str(model.device).removesuffix(":0"),
        precision=model.precision,
        processes=processes.count,
        data=DataInfo(
            files=files,
            sample=request.sample,
            rows={"train": len(train), "dev": len(dev)},
            left_out={split: tally.as_dict() for split, tally in tallies.items()},
            limit=request.limit,
            eval_limit=request.eval_limit,
            encoding=request.source.encoding,
        ),
    )


def _changed(task: Task) -> bool:
    """Whether the fields or labels are the user's, not the task's own."""
    from clue_cli.registry import tasks

    known = tasks().get(task.name)
    return known is None or tuple(known.fields) != tuple(task.fields) or known.labels != task.labels
