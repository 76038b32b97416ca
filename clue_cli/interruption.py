"""Ctrl-C and SIGTERM while a training runs: the step ends, the checkpoint is written, then the run stops."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from clue_cli.errors import ClueError


class Interrupted(ClueError):
    """Ctrl-C or SIGTERM: the run stopped after a step and left a checkpoint."""

    def __init__(self, number: int, run: Path) -> None:
        super().__init__(f"interrupted; the run is resumable: clue train ... --output {run} --resume")
        self.exit_status = 128 + number


class StopRequest:
    """The signal that asked for the end, 0 while none did."""

    number = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, the first Ctrl-C or SIGTERM is noted here; a second Ctrl-C raises KeyboardInterrupt at once."""
        before = {}
        with contextlib.suppress(ValueError):  # not the main thread (a notebook's worker): no handlers there
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.number:
            os.write(2, b"\nstopping after this step; once more stops at once\n")
        self.number = number
