"""A conversion's files, all of them or none: into a new directory, or beside other splits in one that is there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from clue_cli.convert.names import merged, read_names, shown
from clue_cli.convert.targets import LABELS, TASK_FILE, Row, Target
from clue_cli.errors import UserError
from clue_cli.files import atomic_write, check_output, writing


def deal(rows: Sequence[Row], share: float, seed: int) -> dict[str, list[Row]]:
    """Rows of train and dev. A row's text and the seed decide alone.

    So equal texts stay together, and a later export of more texts leaves each where it was. About `share` of the texts
    go to dev; at least one to either, where there are two.
    """
    drawn = {row["text"]: _drawn(row["text"], seed) for row in rows}
    ordered = sorted(drawn, key=lambda text: (drawn[text], text))
    amount = sum(value < share for value in drawn.values())
    if share > 0 and len(ordered) > 1:
        amount = min(max(amount, 1), len(ordered) - 1)
    elif len(ordered) == 1:
        amount = 0
    dev = set(ordered[:amount])
    dealt = {
        "train": [row for row in rows if row["text"] not in dev],
        "dev": [row for row in rows if row["text"] in dev],
    }
    return {split: part for split, part in dealt.items() if part}


def _drawn(text: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}\n{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def planned(
    directory: Path, target: Target, names: Sequence[Any], added: bool, force: bool
) -> dict[str, Sequence[Any]]:
    """The file of names as it is to be written, none if what is there will do.

    `added`: the rows are one split beside others, whose names stay. UserError where that changes a file unasked.
    """
    path = directory / target.names
    if not added or not path.exists():
        return {target.names: names}
    before = read_names(path, target.task)
    both = merged(before, names)
    if both == before:
        return {}
    if not force:
        new = [shown(name) for name in both if name not in before]
        told = f"lacks {', '.join(new[:8])}, which these annotations have"
        raise UserError(told, where=str(path), hint="--force adds them; train again then")
    return {target.names: both}


def keep_inputs(directory: Path, files: Iterable[str], inputs: Iterable[Path]) -> None:
    """UserError if a file that is to be written is one of those that were read: it would be the end of the export."""
    read = {(found.st_dev, found.st_ino) for found in map(Path.stat, inputs)}
    for path in (directory / name for name in files):
        if path.exists() and ((found := path.stat()).st_dev, found.st_ino) in read:
            raise UserError("this is the export; its rows must go elsewhere", where=f"--output {path}")


def check(directory: Path, files: Mapping[str, Sequence[Any]], force: bool) -> None:
    """UserError if one of the files would replace another unasked, or cannot be written."""
    for name in files:
        check_output(directory / name, force=force)


def task_file(directory: Path, target: Target) -> dict[str, list[str]]:
    """The task.toml that makes the directory a task; none where one that fits is there already."""
    if not target.own or _fits(directory / TASK_FILE, target):
        return {}
    name = directory.resolve().name
    plain = re.sub(r"[^\w .+-]", "-", name).lstrip("_ .+-") or "own"
    lines = [f'family = "{target.task}"', f'labels = "{LABELS}"']
    if plain != name:
        lines.append(f"name = {json.dumps(plain, ensure_ascii=False)}")
    return {TASK_FILE: lines}


def _fits(path: Path, target: Target) -> bool:
    """Whether a task.toml declares just this task, whatever else its author wrote into it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    same = values.get("family") == target.task and values.get("labels") == LABELS
    renamed = {"text", "label", "files"} & values.keys()
    return same and not renamed


def write(directory: Path, files: Mapping[str, Sequence[Any]]) -> None:
    """Write the lines of each file: texts as they are, all else as JSON. A failure leaves none of them behind.

    All are written and flushed before the first one gets its name.
    """
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        with ExitStack() as stack:
            opened = {name: stack.enter_context(atomic_write(directory / name)) for name in files}
            for name, lines in files.items():
                with writing(directory / name):
                    for line in lines:
                        opened[name].write((line if isinstance(line, str) else _json(line)) + "\n")
                    opened[name].flush()
                    os.fsync(opened[name].fileno())
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


def _json(row: Any) -> str:
    return json.dumps(row, ensure_ascii=False)
