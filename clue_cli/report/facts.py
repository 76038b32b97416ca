"""The record of a run as tables that people read: names and values, no figure left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clue_cli.record import DataInfo, Record, Result, Setting

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Choice:
    """One value of the recipe; `default` only where the user chose another one."""

    name: str
    value: str
    origin: str
    default: str | None


@dataclass(frozen=True)
class FileFacts:
    """One file that was read."""

    split: str
    name: str
    rows: int
    official: bool
    sha256: str


def identity(record: Record) -> Facts:
    """What was trained, by which command, when, how it ended."""
    encoder, task = record.encoder, record.task
    size = f"{encoder.parameters:,} parameters, {encoder.parameters_without_embeddings:,} without embeddings"
    program = record.program
    state = {None: "", True: ", changed since", False: ""}[program.dirty]
    facts = [
        ("Task", f"{task.name}, version {task.version} ({task.family})"),
        ("Fields", ", ".join(task.fields)),
        ("Labels", f"{task.labels:,} (SHA-256 {task.labels_sha256})"),
        ("Head", record.head),
        ("Encoder", encoder.name + (", random weights at the start" if encoder.scratch else "")),
        ("Size", f"{encoder.size}: {size}"),
        ("Weights", f"SHA-256 {encoder.sha256}"),
        ("Seed", str(record.seed) + ("" if record.group is None else f", of the group {record.group}")),
        ("Command", " ".join(record.command)),
        ("Program", f"clue {program.version}" + (f", commit {program.commit}{state}" if program.commit else "")),
        ("Status", record.status + (f": {record.error}" if record.error else "")),
        ("Started", moment(record.started)),
        ("Finished", moment(record.finished)),
    ]
    return [fact for fact in facts if fact[1]]


def machine(record: Record) -> Facts:
    """Where it ran: machine and versions."""
    where = record.environment
    facts = [
        ("System", where.system),
        ("Processor", f"{where.cpu}, {counted(where.cores, 'core', 'cores')}"),
        ("Memory", size_of(where.memory)),
        ("GPU", ", ".join(where.gpu)),
        ("Device", f"{record.device}, {record.precision}, {counted(record.processes, 'process', 'processes')}"),
        ("Python", where.python),
    ]
    return [fact for fact in (*facts, *sorted(where.libraries.items())) if fact[1]]


def timing(record: Record) -> Facts:
    """How long it took and how much memory."""
    took = record.timing
    facts = [(f"Time: {phase}", duration(seconds)) for phase, seconds in took.phases.items()]
    for name, speed in (("Examples a second", took.examples_per_second), ("Tokens a second", took.tokens_per_second)):
        facts.append((name, "" if speed is None else f"{speed:,.1f}"))
    facts.append(("Peak memory", size_of(took.peak_memory)))
    facts.append(("Peak memory of the GPU", size_of(took.peak_gpu_memory)))
    return [fact for fact in facts if fact[1]]


def recipe(settings: dict[str, Setting]) -> list[Choice]:
    """Every value with where it came from."""
    return [
        Choice(name, plain(one.value), one.origin, plain(one.default) if one.changed else None)
        for name, one in settings.items()
    ]


def files(data: DataInfo) -> list[FileFacts]:
    """The files that were read, with their hashes."""
    return [FileFacts(file.split, file.name, file.rows, file.official, file.sha256) for file in data.files]


def left_out(data: DataInfo) -> list[tuple[str, str, int]]:
    """(split, reason, count) of everything that was left out or changed."""
    return [(split, why, count) for split, reasons in data.left_out.items() for why, count in reasons.items() if count]


def limits(data: DataInfo) -> Facts:
    """How much of the data was used."""
    facts = [(f"Rows of {split}", f"{rows:,}") for split, rows in data.rows.items()]
    for name, limit in (("Limit of train", data.limit), ("Limit of scoring", data.eval_limit)):
        facts.append((name, "" if limit is None else f"{limit:,} rows, drawn by seed"))
    return [fact for fact in facts if fact[1]]


def results(record: Record, split: str) -> list[tuple[Result, list[tuple[str, float, float | None]]]]:
    """Every result on the split with its figures (name, figure, error), the primary one first."""
    found = []
    for result in record.results:
        if result.split == split:
            names = sorted(result.figures, key=lambda name: name != result.primary)
            found.append((result, [(name, result.figures[name], result.errors.get(name)) for name in names]))
    return found


def differing(records: Sequence[Record]) -> Iterator[tuple[str, list[str]]]:
    """Names of the recipe, and what else can be chosen, with their values by run, where the runs differ."""
    rows: dict[str, list[str]] = {
        "encoder": [record.encoder.name for record in records],
        "weights (SHA-256)": [record.encoder.sha256[:12] for record in records],
        "head": [record.head for record in records],
        "seed": [str(record.seed) for record in records],
        "fields": [", ".join(record.task.fields) for record in records],
        "rows of train": [f"{record.data.rows.get('train', 0):,}" for record in records],
        "precision": [record.precision for record in records],
        "program": [f"{record.program.version} {(record.program.commit or '')[:8]}".strip() for record in records],
    }
    for name in dict.fromkeys(name for record in records for name in record.recipe):
        rows[name] = [plain(record.recipe[name].value) if name in record.recipe else "" for record in records]
    return ((name, values) for name, values in rows.items() if len(set(values)) > 1)


def plain(value: Any) -> str:
    """A value of the recipe as it is typed on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(amount: int, one: str, several: str) -> str:
    """`1 core`, `2 cores`."""
    return f"{amount:,} {one if amount == 1 else several}"


def moment(time: str | None) -> str:
    """`2026-11-21 15:14:38 UTC` of a record's time."""
    return "" if not time else time[:19].replace("T", " ") + " UTC"


def duration(seconds: float) -> str:
    """Hours and minutes, minutes and seconds, or seconds."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size_of(amount: int | None) -> str:
    """Bytes in GiB or MiB; nothing for None."""
    if amount is None:
        return ""
    return f"{amount / (1 << 30):.1f} GiB" if amount >= 1 << 30 else f"{amount / (1 << 20):.0f} MiB"
