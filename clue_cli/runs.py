"""From a request to a run: data read, features made, model built, trained, recorded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clue_cli import console
from clue_cli.contract import Example, Limits, Recipe, Tally
from clue_cli.drawing import drawn
from clue_cli.errors import ClueError, UserError, did_you_mean
from clue_cli.files import check_output_directory

if TYPE_CHECKING:
    from clue_cli.contract import Task
    from clue_cli.record import Record
    from clue_cli.sources import Source
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
    scratch: bool = False
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

    return describe(request.encoder, scratch=request.scratch)


def resolved_recipe(request: TrainRequest, size: str) -> tuple[Recipe, dict[str, str], Recipe]:
    """The recipe to use, the origin of each value, and the recipe without the options. UserError for bad values."""
    base, origins = request.task.recipe_for(request.head, size, request.recipe)
    recipe = base.updated(request.options)
    origins = {**origins, **dict.fromkeys(request.options, "option")}
    check_recipe(recipe)
    return recipe, origins, base


def check_recipe(recipe: Recipe) -> None:
    """Refuse values that no training can have, named as typed on the command line."""
    from clue_cli.encoders.pooling import POOLINGS
    from clue_cli.optimizers import OPTIMIZERS

    def require(condition: bool, option: str, message: str) -> None:
        if not condition:
            raise UserError(message, where=option)

    def at_least(name: str, least: float) -> None:
        value = getattr(recipe, name)
        require(
            value >= least and value < float("inf"),
            "--" + name.replace("_", "-"),
            f"must be at least {least:g}, got {value:g}",
        )

    for name, least in (("max_length", 4), ("batch_size", 1), ("epochs", 1), ("overlap", 0)):
        at_least(name, least)
    for name in ("head_learning_rate", "weight_decay", "clip", "r_drop", "fgm", "patience"):
        at_least(name, 0)
    require(0 < recipe.learning_rate < 1e3, "--learning-rate", f"must be above 0, got {recipe.learning_rate:g}")
    for name in ("warmup", "dropout", "attention_dropout", "head_dropout"):
        value = getattr(recipe, name)
        require(0 <= value < 1, "--" + name.replace("_", "-"), f"must be in [0, 1), got {value:g}")
    for name, known in (
        ("optimizer", OPTIMIZERS),
        ("segments", ("pair", "zero")),
        ("class_weights", ("none", "balanced")),
    ):
        value = getattr(recipe, name)
        require(value in known, "--" + name.replace("_", "-"), did_you_mean(str(value), known, name.replace("_", " ")))
    if recipe.pooling is not None:
        require(recipe.pooling in POOLINGS, "--pooling", did_you_mean(recipe.pooling, POOLINGS, "pooling"))


def run_directory(request: TrainRequest, encoder: str) -> Path:
    """Where the run goes: `--output`, else runs/<task>/<encoder>-<head>-s<seed>-<time>."""
    if request.output is not None:
        return request.output
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    safe = "".join(c if c.isalnum() or c in "-._" else "-" for c in Path(encoder).name)
    return Path("runs") / request.task.name / f"{safe}-{request.head}-s{request.seed}-{stamp}"


def prepare(request: TrainRequest) -> Training:
    """Everything up to the first step. UserError for whatever is wrong with the request or its data."""
    from clue_cli.precision import choose_device, make_repeatable
    from clue_cli.process_group import ProcessGroup

    began = time.monotonic()
    name, size = encoder_facts(request)
    recipe, origins, base = resolved_recipe(request, size)
    device = choose_device(request.device)
    make_repeatable(device)
    processes = ProcessGroup(device)
    if not processes.main:
        console.silence()
    if device.type == "cuda" and processes.count > 1:
        device = processes.state.device
    directory = _claim(request, name, processes)
    with _nothing_left_behind(directory, request.resume, processes):
        return _prepared(request, recipe, origins, base, directory, device, processes, began)


def _prepared(
    request: TrainRequest,
    recipe: Recipe,
    origins: dict[str, str],
    base: Recipe,
    directory: Path,
    device: Any,
    processes: Any,
    began: float,
) -> Training:
    import torch

    from clue_cli.model import Model
    from clue_cli.training import Training

    task = request.task
    tallies = {"train": Tally(), "dev": Tally()}
    train = drawn(list(task.read(request.source, "train", tallies["train"])), request.limit, request.seed)
    dev = drawn(list(task.read(request.source, "dev", tallies["dev"])), request.eval_limit, request.seed)
    if not train or not dev:
        raise UserError(f"no usable rows in {'train' if not train else 'dev'}", where=request.source.location)
    read = time.monotonic()

    torch.manual_seed(request.seed)
    weights = balanced_weights(task, train) if recipe.class_weights == "balanced" else None
    model = Model.build(
        task,
        request.head,
        recipe,
        encoder=request.encoder,
        scratch=request.scratch,
        class_weights=weights,
        allow_random=request.allow_random,
    )
    for note in model.encoder.notes:
        console.warn(note)
    _check_length(recipe, model)
    table = _features(request, model, train, processes)
    for reason, amount in table.tally.items():
        tallies["train"].add(reason, amount=amount)
    model.to_device(device, request.precision)
    record = _record(request, model, recipe, origins, base, tallies, len(train), len(dev), processes)
    record.timing.phases.update(read=round(read - began, 3), features=round(time.monotonic() - read, 3))
    signature = _signature(record)
    if request.resume:
        record = _continued(directory, record)
    training = Training(
        model=model,
        recipe=recipe,
        table=table,
        dev=dev,
        metric=request.metric,
        seed=request.seed,
        directory=directory,
        record=record,
        processes=processes,
        signature=signature,
        save_seconds=60 * request.save_minutes,
    )
    if processes.main and not request.resume:
        # Nothing can be wrong with the request any more: only now an older run gives way to the new one.
        shutil.rmtree(directory, ignore_errors=True)
    processes.wait()
    training.begin(resume=request.resume)
    return training


def train(request: TrainRequest) -> tuple[Path, Record]:
    """Train one run to its end. The record says how it ended, whatever happens."""
    from clue_cli.environment import peak_gpu_memory, peak_memory
    from clue_cli.interruption import Interrupted

    training = prepare(request)
    record = training.record
    try:
        training.run()
    except BaseException as error:
        stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
        record.end(
            "interrupted" if stopped else "failed", error if isinstance(error, ClueError) else type(error).__name__
        )
        if training.processes.main and training.directory.is_dir():
            _try_to_save(record, training.directory)
        raise
    record.timing.peak_memory, record.timing.peak_gpu_memory = peak_memory(), peak_gpu_memory()
    record.end("finished")
    if training.processes.main:
        record.save(training.directory)
        if not request.keep_checkpoint:
            training.drop_checkpoint()
    training.processes.wait()
    return training.directory, record


def _try_to_save(record: Record, directory: Path) -> None:
    try:
        record.save(directory)
    except ClueError as error:  # the first error matters more than this one, which only repeats it (a full disk)
        console.warn(f"the record could not be brought up to date: {error}")


def _claim(request: TrainRequest, encoder: str, processes: Any) -> Path:
    """The run's directory, seen to be free (or to be continued) and writable before work starts."""
    directory = Path(processes.gather(str(run_directory(request, encoder)))[0])
    if request.resume:
        if request.output is None:
            raise UserError("--resume needs the run to continue", where="--output", hint="--output RUN --resume")
        if not (directory / "record.json").is_file():
            raise UserError("there is no run to continue", where=str(directory), hint="train without --resume")
        return directory
    problem: UserError | None = None
    if processes.main:
        problem = _not_free(directory, request.force)
    problem = processes.gather(problem)[0]
    if problem is not None:
        raise problem
    return directory


def _not_free(directory: Path, force: bool) -> UserError | None:
    """Why `directory` cannot be a new run's; None where it can. Nothing is made or removed yet."""
    where = str(directory)
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            if not directory.is_dir() or not (directory / "record.json").is_file():
                return UserError("exists already and is not a run of clue's", where=where, hint="give another --output")
            if not force:
                return UserError(
                    "there is a run already", where=where, hint="--resume continues it, --force replaces it"
                )
        check_output_directory(directory, force=force)
    except OSError as error:
        return UserError(f"cannot be written: {error.strerror or error}", where=where, hint="give another --output")
    except UserError as error:
        return error
    return None


@contextmanager
def _nothing_left_behind(directory: Path, resume: bool, processes: Any) -> Iterator[None]:
    """Where the block fails, take a new run's directory away again, with the parents that were made for it."""
    stood = {parent for parent in (directory, *directory.parents) if parent.exists()}
    try:
        yield
    except BaseException:
        if processes.main and not resume and directory not in stood:
            shutil.rmtree(directory, ignore_errors=True)
            for parent in directory.parents:
                if parent in stood:
                    break
                with suppress(OSError):
                    parent.rmdir()
        raise


def _check_length(recipe: Recipe, model: Any) -> None:
    longest = model.encoder.max_positions
    if model.encoder.positions_are_fixed and longest is not None and recipe.max_length > longest:
        raise UserError(
            f"{recipe.max_length} tokens are more than the {longest} positions of {model.encoder.name}",
            where="--max-length",
        )


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


def _features(request: TrainRequest, model: Any, examples: Sequence[Example], processes: Any) -> Any:
    from clue_cli.features import FeatureTable, cached

    task, source = request.task, request.source
    file = task.file_of(source, "train")
    parts = {
        "format": 1,
        "data": source.sha256(file),
        "task": task.to_config(),
        "split": "train",
        "tokenizer": model.text_encoder.fingerprint,
        "segments": model.segments,
        "flat": model.head.flat,
        "max_length": model.limits.max_length,
        "overlap": model.limits.overlap,
        "limit": request.limit,
        "seed": request.seed if request.limit else None,
    }

    def make() -> FeatureTable:
        tally = Tally()
        made = task.features(
            examples,
            model.text_encoder,
            Limits(model.limits.max_length, model.limits.overlap),
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
    model: Any,
    recipe: Recipe,
    origins: dict[str, str],
    base: Recipe,
    tallies: dict[str, Tally],
    train: int,
    dev: int,
    processes: Any,
) -> Record:
    from clue_cli.record import DataFile, DataInfo, EncoderInfo, Record, TaskInfo, labels_sha256, settings

    task, encoder = request.task, model.encoder
    files = []
    for split, rows in (("train", train), ("dev", dev)):
        file = task.file_of(request.source, split)
        sha = request.source.sha256(file)
        files.append(DataFile(name=file, split=split, sha256=sha, official=task.official.get(file) == sha, rows=rows))
    # What the encoder decides for itself stands in the record too, so that the row can be repeated.
    used = replace(recipe, pooling=model.settings.pooling)
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
        recipe=settings(used, origins, base),
        seed=request.seed,
        group=request.group,
        device=str(model.device),
        precision=model.precision,
        processes=processes.count,
        data=DataInfo(
            files=files,
            sample=request.sample,
            rows={"train": train, "dev": dev},
            left_out={split: tally.as_dict() for split, tally in tallies.items()},
            limit=request.limit,
            eval_limit=request.eval_limit,
        ),
    )


def _changed(task: Task) -> bool:
    """Whether the fields or labels are the user's, not the task's own."""
    from clue_cli.registry import tasks

    known = tasks().get(task.name)
    return known is None or tuple(known.fields) != tuple(task.fields) or known.labels != task.labels


def _signature(record: Record) -> dict[str, Any]:
    """What must agree for a run to be continued."""
    return {
        "task": [record.task.name, record.task.version, record.task.fields, record.task.labels_sha256],
        "head": record.head,
        "encoder": record.encoder.sha256,
        "scratch": record.encoder.scratch,
        "recipe": {name: setting.value for name, setting in record.recipe.items()},
        "seed": record.seed,
        "metric": record.metrics[0],
        "precision": record.precision,
        "processes": record.processes,
        "data": [[file.split, file.sha256, file.rows] for file in record.data.files],
    }


def _changed_data(before: list[list[Any]], now: list[list[Any]]) -> list[str]:
    old, new = ({file: (sha, rows) for file, sha, rows in files} for files in (before, now))
    if old.keys() != new.keys():
        return [f"the files were {', '.join(old)} and are {', '.join(new)} (--data)"]
    return [
        f"{file} is another file (--data)"
        if old[file][0] != new[file][0]
        else f"{file} gave {old[file][1]} rows and now {new[file][1]} (--limit, --eval-limit)"
        for file in old
        if old[file] != new[file]
    ]


def _continued(directory: Path, new: Record) -> Record:
    """The record of the run to continue; UserError naming what the new request changes."""
    from clue_cli.record import Record

    old = Record.load(directory)
    if old.status == "finished":
        raise UserError("this run is finished; there is nothing to continue", where=str(directory))
    before, now = _signature(old), _signature(new)
    changed = []
    for name in before:
        if before[name] == now[name]:
            continue
        if name == "recipe":
            changed += [
                f"--{k.replace('_', '-')} {before[name].get(k)} became {v}"
                for k, v in now[name].items()
                if before[name].get(k) != v
            ]
        elif name == "data":
            changed += _changed_data(before[name], now[name])
        else:
            changed.append(f"{name} changed from {before[name]} to {now[name]}")
    if changed:
        raise UserError(
            f"the run was started otherwise: {'; '.join(changed)}",
            where=str(directory),
            hint="give the options of its record",
        )
    old.status, old.finished, old.error = "running", None, None
    return old
