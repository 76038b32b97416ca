"""How far the work is: a bar on a terminal, lines elsewhere, nothing when quiet. `console.progress` chooses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clue_cli import console

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

LINE_EVERY = 30.0
"""Seconds between two lines of progress where standard error is no terminal."""

REDRAW_EVERY = 0.1
"""Seconds between two drawings of the bar on a terminal."""


class Progress:
    """Counts work done; see `progress`. `done` is the amount so far, `total` None where nobody knows."""

    def __init__(self, total: int | None, description: str, unit: str, done: int = 0) -> None:
        self.total, self.description, self.unit, self.done = total, description, unit, done
        self.note = ""
        self._first = done
        self._started = self._shown = time.monotonic()

    def advance(self, amount: int = 1, note: str | None = None) -> None:
        """`amount` more is done; `note` (the loss, say) stands at the end of the line."""
        self.done += amount
        if note is not None:
            self.note = note
        now = time.monotonic()
        if now - self._shown >= self._every():
            self._shown = now
            self._show(now)

    def rate(self) -> float:
        """Units a second since the start, 0 before any time has passed."""
        passed = time.monotonic() - self._started
        return (self.done - self._first) / passed if passed > 0 else 0.0

    def _every(self) -> float:
        return float("inf")

    def _show(self, now: float) -> None:
        """Show nothing: the form for `--quiet`."""

    def line(self) -> str:
        """The state in one line: amount, share, rate, time left, note."""
        rate = self.rate()
        parts = [f"{self.description}: {self.done:,}"]
        if self.total is not None:
            parts[0] += f" of {self.total:,}"
        parts[0] += f" {self.unit}" if self.unit else ""
        if rate > 0:
            parts.append(f"{rate:,.1f} a second")
            if self.total is not None:
                parts.append(f"{console.duration(max(self.total - self.done, 0) / rate)} left")
        return ", ".join(parts + ([self.note] if self.note else []))


class Lines(Progress):
    """Progress as a line every `LINE_EVERY` seconds."""

    def _every(self) -> float:
        return LINE_EVERY

    def _show(self, now: float) -> None:
        console.message(self.line())


class Bar(Progress):
    """Progress as a bar, drawn by the calls themselves: no thread beside the work."""

    def __init__(self, total: int | None, description: str, unit: str, done: int = 0) -> None:
        super().__init__(total, description, unit, done)
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBars

        self.bars: Bars = RichBars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
            console=console.err,
            auto_refresh=False,
            transient=True,
        )
        self._task = self.bars.add_task(console.clean(description), total=total, completed=done, note="")

    def _every(self) -> float:
        return REDRAW_EVERY

    def _show(self, now: float) -> None:
        self.bars.update(self._task, completed=self.done, total=self.total, note=console.clean(self.note), refresh=True)
