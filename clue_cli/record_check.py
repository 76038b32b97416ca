"""What the values of a record must be beyond their types: digests, times, no paths, figures between 0 and 1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from clue_cli.validation import Check

if TYPE_CHECKING:
    from clue_cli.record import DataInfo, Record, Result

STATUSES = ("running", "finished", "interrupted", "failed")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)")
MACHINE_PATH = re.compile(r"^(?:[/~\\]|[A-Za-z]:[\\/])|(?:^|[/\\])\.\.(?:[/\\]|$)")


def check_meaning(record: Record, check: Check) -> None:
    """UserError, naming the field, for a record whose values cannot be meant: what types do not say."""
    check.that(record.status in STATUSES, "status", f"one of {', '.join(STATUSES)}", record.status)
    for name, time in (("started", record.started), ("finished", record.finished)):
        check.that(time is None or _TIME.fullmatch(time) is not None, name, "a time (ISO 8601, UTC)", time)
    for name, amount in (("task.labels", record.task.labels), ("encoder.parameters", record.encoder.parameters)):
        check.that(amount >= 0, name, "a number from 0", amount)
    check.that(record.processes >= 1, "processes", "a number from 1", record.processes)
    check.that(record.environment.cores >= 1, "environment.cores", "a number from 1", record.environment.cores)
    for name, digest in (("task.labels_sha256", record.task.labels_sha256), ("encoder.sha256", record.encoder.sha256)):
        check.that(_SHA256.fullmatch(digest) is not None, name, "64 hexadecimal digits (SHA-256)", digest)
    check.that(MACHINE_PATH.search(record.encoder.name) is None, "encoder.name", "no path", record.encoder.name)
    for i, argument in enumerate(record.command):
        check.that(MACHINE_PATH.search(argument) is None, f"command[{i}]", "base names, no paths", argument)
    for phase, seconds in record.timing.phases.items():
        check.that(seconds >= 0, f"timing.phases.{phase}", "seconds from 0", seconds)
    _check_data(record.data, "data", check)
    numbers = [epoch.epoch for epoch in record.epochs]
    check.that(numbers == sorted(set(numbers)), "epochs", "epochs in order, each once", numbers)
    for i, epoch in enumerate(record.epochs):
        for metric, figures in epoch.figures.items():
            _check_figures(figures, f"epochs[{i}].figures.{metric}", check)
    if record.chosen_epoch is not None:
        check.that(record.chosen_epoch in numbers, "chosen_epoch", "one of the epochs", record.chosen_epoch)
    seen = set()
    for i, result in enumerate(record.results):
        _check_result(result, f"results[{i}]", check)
        key = (result.metric, result.split)
        check.that(key not in seen, f"results[{i}]", "each metric and split once", list(key))
        seen.add(key)


def _check_data(data: DataInfo, path: str, check: Check) -> None:
    for i, file in enumerate(data.files):
        place = f"{path}.files[{i}]"
        check.that(_SHA256.fullmatch(file.sha256) is not None, f"{place}.sha256", "64 hexadecimal digits", file.sha256)
        check.that(MACHINE_PATH.search(file.name) is None, f"{place}.name", "a base name", file.name)
        check.that(file.rows >= 0, f"{place}.rows", "a number from 0", file.rows)
    for split, amount in data.rows.items():
        check.that(amount >= 0, f"{path}.rows.{split}", "a number from 0", amount)
    for name, limit in (("limit", data.limit), ("eval_limit", data.eval_limit)):
        check.that(limit is None or limit >= 1, f"{path}.{name}", "a number from 1", limit)


def _check_figures(figures: Mapping[str, float], path: str, check: Check) -> None:
    for name, figure in figures.items():
        check.that(0 <= figure <= 1, f"{path}.{name}", "a figure from 0 to 1", figure)


def _check_result(result: Result, path: str, check: Check) -> None:
    check.that(result.primary in result.figures, f"{path}.primary", "the name of a figure", result.primary)
    check.that(result.items >= 0, f"{path}.items", "a number from 0", result.items)
    check.that(bool(result.split), f"{path}.split", "the name of a split", result.split)
    _check_figures(result.figures, f"{path}.figures", check)
    for name, error in result.errors.items():
        check.that(name in result.figures, f"{path}.errors.{name}", "the name of a figure", name)
        check.that(error >= 0, f"{path}.errors.{name}", "a number from 0", error)
    if result.data is not None:
        _check_data(result.data, f"{path}.data", check)
