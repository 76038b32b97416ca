"""The learning curve: loss by step from `log.jsonl`, figures by epoch from the record."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from clue_cli import run_log
from clue_cli.record import Record

MOST_POINTS = 240
"""Points of a line; neighbours are averaged where there are more."""


@dataclass(frozen=True)
class Curve:
    """What is drawn of one run.

    loss:    (step, loss), each the mean of `together` lines of the log.
    figures: (step, primary figure) by epoch; `chosen` is the position of the one whose weights the run kept.
    """

    loss: tuple[tuple[float, float], ...]
    together: int
    figures: tuple[tuple[int, float], ...]
    chosen: int | None


def read_curve(path: Path, record: Record, metric: str, primary: str) -> Curve:
    """The curve of a run; empty where it kept no log or scored no epoch by `metric`."""
    points = read_losses(path / run_log.FILE_NAME)
    together = max(1, math.ceil(len(points) / MOST_POINTS))
    groups = [points[start : start + together] for start in range(0, len(points), together)]
    loss = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    scored = [epoch for epoch in record.epochs if primary in epoch.figures.get(metric, {})]
    chosen = next((i for i, epoch in enumerate(scored) if epoch.epoch == record.chosen_epoch), None)
    figures = tuple((epoch.step, epoch.figures[metric][primary]) for epoch in scored)
    return Curve(tuple(loss), together, figures, chosen)


def read_losses(path: Path) -> list[tuple[int, float]]:
    """(step, loss) of every line of a log; lines that a crash left half-written are passed over, no log is no line."""
    if not path.is_file():
        return []
    points = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said = json.loads(line)
            step, loss = int(said["step"]), float(said["loss"])
            if math.isfinite(loss):
                points[step] = loss  # a step that was done again counts as it was done last
    return sorted(points.items())
