"""Records made up for tests: valid, small, changed at will."""

from __future__ import annotations

import hashlib
from typing import Any

from clue_cli.contract import Recipe, labels_sha256
from clue_cli.environment import Environment, Program
from clue_cli.record import (
    DataFile,
    DataInfo,
    EncoderInfo,
    Epoch,
    Record,
    Result,
    Setting,
    TaskInfo,
    settings,
)

SHA = hashlib.sha256(b"weights").hexdigest()


def make_result(metric: str = "accuracy", figure: float = 0.5, **more: Any) -> Result:
    """Figures of one metric on dev; `more` replaces fields."""
    primary = {"accuracy": "accuracy"}.get(metric, "f1")
    fields: dict[str, Any] = {
        "metric": metric,
        "split": "dev",
        "primary": primary,
        "figures": {primary: figure},
        "errors": {primary: 0.012},
        "items": 1000,
        "clusters": 1000,
        "per_label": [{"label": "100", "precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 4}],
    }
    return Result(**(fields | more))


def make_record(
    task: str = "tnews",
    *,
    figures: dict[str, float] | None = None,
    encoder: str = "mini-zh",
    head: str = "linear",
    seed: int = 1,
    group: str | None = None,
    chosen: dict[str, Any] | None = None,
    sample: bool = False,
    official: bool = True,
    limit: int | None = None,
    split: str = "dev",
    **more: Any,
) -> Record:
    """A finished run of `task` with one result a metric; `chosen` are recipe values given as options."""
    figures = {"accuracy": 0.5} if figures is None else figures
    recipe = settings(Recipe(), dict.fromkeys(Recipe.__dataclass_fields__, "default"))
    for name, value in (chosen or {}).items():
        recipe[name] = Setting(value, "option", recipe[name].value)
    fields: dict[str, Any] = {
        "task": TaskInfo(task, 1, "classification", ["sentence"], 2, labels_sha256(["0", "1"])),
        "head": head,
        "encoder": EncoderInfo(encoder, SHA, 6_600_000, 4_000_000, "small"),
        "metrics": list(figures),
        "recipe": recipe,
        "seed": seed,
        "group": group,
        "command": ["clue", "train", task],
        "program": Program("0.1.0"),
        "status": "finished",
        "started": "2026-11-21T10:00:00+00:00",
        "finished": "2026-11-21T10:05:00+00:00",
        "environment": Environment("3.11.7", "Linux x86_64", {"torch": "2.13.0"}, "some processor", 2, 8 << 30),
        "data": DataInfo(
            [DataFile("train.json", "train", SHA, official, 10)],
            sample,
            {"train": 10},
            {"train": {"rows labelled '-'": 2}},
            limit,
        ),
        "epochs": [Epoch(1, 10, 2.5, 0.7, {name: {"accuracy": 0.4} for name in figures})],
        "chosen_epoch": 1,
        "results": [make_result(name, figure, split=split) for name, figure in figures.items()],
    }
    return Record(**(fields | more))
