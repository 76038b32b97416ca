"""Helpers of the conversion's tests: exports written down, conversions done, rows read back by the tasks themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clue_cli.contract import Tally
from clue_cli.convert import Converted, Reading, Request, convert
from clue_cli.registry import find_task
from clue_cli.sources import Source


def written(path: Path, content: Any, *, lines: bool = False) -> Path:
    """A file: text as it is, a list as JSON lines (`lines`) or as one JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, (str, bytes)):
        parts = [json.dumps(row, ensure_ascii=False) for row in content] if lines else []
        content = "".join(part + "\n" for part in parts) if lines else json.dumps(content, ensure_ascii=False)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def converted(file: Path, **wanted: Any) -> tuple[list[dict[str, Any]], Converted]:
    """All rows of a conversion, in order, and its summary. Options of `Reading` and of `Request` by name."""
    reading = Reading(**{name: wanted.pop(name) for name in list(wanted) if name in Reading.__dataclass_fields__})
    output = wanted.pop("output", file.parent / "out")
    done = convert(Request(**{"split": "train", **wanted}, file=file, output=output, reading=reading))
    names = [name for name in done.files if name.endswith((".jsonl", "_train.json", "_dev.json"))]
    return [row for name in names for row in rows_of(output / name)], done


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def spans(row: dict[str, Any]) -> list[tuple[int, int, str]]:
    """The entities of a row, after a look whether their words are those of the text."""
    for entity in row["entities"]:
        assert row["text"][entity["start"] : entity["end"]] == entity["text"]
    return [(entity["start"], entity["end"], entity["type"]) for entity in row["entities"]]


def left_out(done: Converted) -> dict[str, int]:
    return done.left_out.as_dict()


def examples(directory: Path, task: str | None = None, split: str = "train") -> list[Any]:
    """What the task reads in a converted directory: the directory's own one, or the one called `task`."""
    source = Source.open(directory)
    found = find_task(task or str(directory)).adapt(source)
    return list(found.read(source, split, Tally()))
