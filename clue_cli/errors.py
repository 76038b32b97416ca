"""What can go wrong, as a person at the keyboard meets it.

ClueError                 anything `clue` itself reports in one line
├── UserError             the request or its input is wrong              exit status 2
│   └── RowError          ... in one row of a file: file, line, field
└── RunError              the work started and failed (disk, device)     exit status 1
    └── NotFiniteError    ... the model gives NaN or infinity

Every message says what is wrong, where, what was expected and what to do. `commands` prints it as one line;
the traceback appears with `--debug` only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the user's input. `line` counts from 1 (for formats without lines: the record)."""

    file: str
    line: int | None = None
    field: str | None = None

    def at(self, *path: str | int) -> Where:
        """The place of a part of what stands here: at("entities", 2, "end") is FILE:LINE: entities[2].end."""
        name = self.field or ""
        for part in path:
            name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
        return Where(self.file, self.line, name or None)

    def __str__(self) -> str:
        text = self.file
        if self.line is not None:
            text += f":{self.line}"
        if self.field is not None:
            text += f": {self.field}"
        return text


def _restored(kind: type[ClueError], args: tuple[object, ...], state: dict[str, object]) -> ClueError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ClueError(Exception):
    """Base of all errors that `clue` reports in one line.

    `message` says what is wrong and what was expected; `hint`, where given, what to do about it.
    """

    exit_status = 1

    def __init__(self, message: str, *, where: Where | str | None = None, hint: str | None = None) -> None:
        self.message, self.where, self.hint = message, where, hint
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross processes whatever their constructors take: an exception that cannot breaks a pool of them."""
        return _restored, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        hint = f" ({self.hint})" if self.hint else ""
        return " ".join(f"{place}{self.message}{hint}".split())


class UserError(ClueError):
    """The request or its input is wrong: nothing was started, nothing was written."""

    exit_status = 2


class RowError(UserError):
    """One row of the input is wrong; `--on-error skip` can set it aside."""

    def __init__(self, message: str, where: Where, *, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)


class RunError(ClueError):
    """The work started and failed; what was finished before is kept."""

    exit_status = 1


class NotFiniteError(RunError):
    """A model gave NaN or infinity, of which any answer could be made."""


def did_you_mean(name: str, known: Iterable[str], what: str) -> str:
    """A sentence that names the nearest of `known` and lists them: the message for a misspelt name."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    unknown, listed = f"unknown {what} {name!r}", ", ".join(names)
    return f"{unknown}; did you mean {' or '.join(near)}? Known: {listed}." if near else f"{unknown}; known: {listed}"
