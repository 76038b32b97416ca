"""What must agree for a run to be continued, and what to say where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clue_cli import console
from clue_cli.errors import UserError
from clue_cli.record import Record


def signature(record: Record) -> dict[str, Any]:
    """What must agree for a run to be continued."""
    return {
        "task": [record.task.name, record.task.version, record.task.fields, record.task.labels_sha256],
        "head": record.head,
        "encoder": record.encoder.sha256,
        "scratch": record.encoder.scratch,
        "recipe": {name: setting.value for name, setting in record.recipe.items()},
        "seed": record.seed,
        "metric": record.metrics[0],
        "device": record.device.partition(":")[0],
        "precision": record.precision,
        "processes": record.processes,
        "encoding": record.data.encoding,
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


class NothingToContinueError(UserError):
    """The run is finished, and was just what was asked for."""


def continued(directory: Path, new: Record) -> Record:
    """The record of the run to continue, on the machine of now; UserError naming what the new request changes."""
    old = Record.load(directory)
    before, now = signature(old), signature(new)
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
        elif name == "task" and before[name][0] != now[name][0]:
            changed = [f"task {before[name][0]} became {now[name][0]}"]
            break
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
    if old.status == "finished":
        raise NothingToContinueError("this run is finished; there is nothing to continue", where=str(directory))
    _tell_other_versions(old.environment.libraries, new.environment.libraries)
    old.status, old.finished, old.error = "running", None, None
    old.device, old.environment = new.device, new.environment
    return old


def _tell_other_versions(before: dict[str, str], now: dict[str, str]) -> None:
    others = [
        f"{name} {before[name]} became {now[name]}" for name in before if now.get(name, before[name]) != before[name]
    ]
    if others:
        console.warn(f"the run began under other versions, so its last digits are its own: {', '.join(others)}")
