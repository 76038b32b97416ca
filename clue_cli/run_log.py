"""`log.jsonl` of a run: step, loss, rate, examples a second and memory, a line every so often."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from clue_cli.files import atomic_write, writing

FILE_NAME = "log.jsonl"


def append(directory: Path, line: dict[str, Any]) -> None:
    """Add a line. RunError if the disk fails."""
    path = directory / FILE_NAME
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def cut(directory: Path, step: int) -> None:
    """Drop the lines of steps after `step`, which are about to be done again, and what a crash left half-written."""
    path = directory / FILE_NAME
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    with atomic_write(path) as file:
        file.write("".join(kept))
