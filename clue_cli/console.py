"""The one place that prints.

Results go to standard output; messages, warnings, progress and errors to standard error. `configure` decides once, at
the start of a command, what is shown:

quiet   no messages and no progress; warnings, errors and results stay
color   False: none (`--no-color`); None: as the terminal and the variable NO_COLOR say
json    standard output holds exactly one JSON document (`emit_json`); `result` and `table` print nothing
debug   `fail` shows the traceback
silent  nothing at all but errors: the processes beside the main one

`out` and `err` are rich consoles for what the functions here do not cover; rich is imported when first needed.
Text is printed as it is: no markup, and control characters of the user's data are shown escaped.
"""

from __future__ import annotations

import json as jsonlib
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli.errors import ClueError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from clue_cli.contract import Tally
    from clue_cli.progress import Progress

    out: Console
    err: Console


@dataclass
class _Settings:
    quiet: bool = False
    color: bool | None = None
    json: bool = False
    debug: bool = False
    silent: bool = False
    emitted: bool = False


_settings = _Settings()
_consoles: dict[str, Console] = {}


def configure(
    *, quiet: bool = False, color: bool | None = None, json: bool = False, debug: bool = False, silent: bool = False
) -> None:
    """Decide what is shown from here on; called once by every command, before anything is printed."""
    global _settings
    _settings = _Settings(quiet=quiet, color=color, json=json, debug=debug, silent=silent)
    _consoles.clear()
    for stream in (sys.stdout, sys.stderr):
        # A character the terminal's encoding lacks is shown escaped: it must not end the work.
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def silence() -> None:
    """From here on show nothing but errors: this process stands beside the main one, which tells everything."""
    _settings.silent = True
    _consoles.clear()


def is_quiet() -> bool:
    """Whether messages and progress are off."""
    return _settings.quiet or _settings.silent


def is_json() -> bool:
    """Whether standard output holds one JSON document and nothing else."""
    return _settings.json


def __getattr__(name: str) -> Console:
    if name not in ("out", "err"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _consoles:
        from rich.console import Console as RichConsole

        _consoles[name] = RichConsole(
            stderr=name == "err",
            quiet=_settings.silent or (name == "out" and _settings.json),
            # None leaves the decision to rich, which knows NO_COLOR.
            no_color=True if _settings.color is False else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
    return _consoles[name]


def _console(name: str) -> Console:
    return __getattr__(name)


def width() -> int:
    """Columns of standard output; 80 where it is no terminal and COLUMNS says nothing."""
    return _console("out").width


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def clean(text: str) -> str:
    """`text` with control characters and line separators shown escaped, except tab and newline."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def _line(name: str, text: str, style: str | None = None, prefix: str = "") -> None:
    from rich.text import Text as RichText

    line = RichText()
    if prefix:
        line.append(prefix, style=style)
    line.append(clean(text))
    # soft_wrap: a path or a command is one line for whoever copies it, however narrow the window.
    _console(name).print(line, soft_wrap=True)


def result(text: str = "") -> None:
    """A line of the result, on standard output; nothing with `--json`."""
    _line("out", text)


def write(text: str) -> None:
    """Text that goes to standard output as it is (a CSV file, a page); nothing with `--json`."""
    if not (_settings.json or _settings.silent):
        sys.stdout.write(text)
        sys.stdout.flush()


def message(text: str) -> None:
    """A line about what is going on, on standard error; nothing with `--quiet`."""
    if not is_quiet():
        _line("err", text)


def warn(text: str) -> None:
    """A line the user should read, on standard error, with `--quiet` too."""
    _line("err", text, "yellow", "warning: ")


def tally(counts: Tally) -> None:
    """What was left out, one line a reason, with the first places; nothing if nothing was.

    In the order of the tally: a reason may refer to the one before it ("tokens cut from them").
    """
    for reason, amount in counts.counts.items():
        places = counts.places.get(reason, [])
        more = ", ..." if amount > len(places) else ""
        where = f" ({', '.join(places)}{more})" if places else ""
        warn(f"left out or changed: {amount:,} {reason}{where}")


def fail(error: BaseException) -> int:
    """Report `error` in one line on standard error (with the traceback under `--debug`); its exit status.

    Anything but a `ClueError` is a mistake of the program: the line
    says so, status 1.
    """
    if _settings.debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    known = isinstance(error, ClueError)
    text = str(error) if known else f"{type(error).__name__}: {error} (a mistake of the program; --debug shows where)"
    from rich.console import Console as RichConsole
    from rich.text import Text as RichText

    # A console of its own: errors are shown by silent processes too.
    no_color = True if _settings.color is False else None
    console = RichConsole(stderr=True, markup=False, highlight=False, no_color=no_color)
    line = RichText("error: ", style="bold red")
    line.append(clean(" ".join(text.split())))
    line.stylize("not bold default", 7)
    console.print(line, soft_wrap=True)
    return error.exit_status if isinstance(error, ClueError) else 1


def _plain(value: Any) -> Any:
    """What JSON has no form for: arrays and numbers of numpy, paths, sets, tuples' kin."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def emit_json(document: Any) -> None:
    """Print `document` as the one JSON document of standard output.

    ValueError for NaN and infinity (JSON has neither: write None); RuntimeError for a second document in `--json`.
    """
    if _settings.silent:
        return
    if _settings.json and _settings.emitted:
        raise RuntimeError("standard output holds one JSON document already")
    text = jsonlib.dumps(document, ensure_ascii=False, allow_nan=False, indent=2, default=_plain)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # an ASCII or GBK terminal, or a lone surrogate: \uXXXX is valid JSON everywhere
        text = jsonlib.dumps(document, ensure_ascii=True, allow_nan=False, indent=2, default=_plain)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    _settings.emitted = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell with a look of its own; `under` is a second, fainter line."""

    text: str
    bold: bool = False
    dim: bool = False
    under: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `right` right-aligned (numbers), floats with `digits` decimals; `best` sets its highest number in bold.

    `fold` lets long text go on in the next line; without it the column is never narrowed.
    """

    header: str
    right: bool = False
    best: bool = False
    digits: int = 2
    fold: bool = True


def _cell(value: Any, column: Column) -> Text:
    from rich.text import Text as RichText

    if isinstance(value, Cell):
        text = RichText()
        text.append(clean(value.text), style="bold" if value.bold else "dim" if value.dim else "")
        if value.under:
            text.append("\n" + clean(value.under), style="dim")
        return text
    if value is None:
        return RichText("")
    if isinstance(value, bool):
        return RichText("yes" if value else "no")
    if isinstance(value, float):
        return RichText(f"{value:.{column.digits}f}")
    if isinstance(value, int):
        return RichText(f"{value:,}")
    return RichText(clean(str(value)))


def build_table(columns: Sequence[Column | str], rows: Sequence[Sequence[Any]]) -> Table:
    """The rich table that `table` prints; a column given as a string counts as numbers if all its cells are numbers."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    grid = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    kinds: list[Column] = []
    for position, column in enumerate(columns):
        if isinstance(column, str):
            cells = [row[position] for row in rows if row[position] is not None]
            numbers = bool(cells) and all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in cells)
            column = Column(column, right=numbers)
        kinds.append(column)
        grid.add_column(
            RichText(clean(column.header)),
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=not column.fold or column.right,
        )
    best = [
        max((row[i] for row in rows if isinstance(row[i], (int, float))), default=None) if kind.best else None
        for i, kind in enumerate(kinds)
    ]
    for row in rows:
        texts = [_cell(value, kind) for value, kind in zip(row, kinds, strict=True)]
        for text, value, highest in zip(texts, row, best, strict=True):
            if highest is not None and not isinstance(value, Cell) and value == highest:
                text.stylize("bold")
        grid.add_row(*texts)
    return grid


def table(columns: Sequence[Column | str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows under columns on standard output, numbers to the right; nothing with `--json`.

    Cells: None (empty), bool, int, float, `Cell`, anything else by `str`.
    """
    if title:
        _line("out", "", "bold", clean(title))
    _console("out").print(build_table(columns, rows))


def duration(seconds: float) -> str:
    """A length of time for people: 8 s, 3:05 min, 2:10:00 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


@contextmanager
def progress(total: int | None, description: str, *, unit: str = "", done: int = 0) -> Iterator[Progress]:
    """Show how far the work is, with the time left: a bar on a terminal, else a line every 30 seconds.

        with console.progress(len(rows), "reading", unit="rows") as bar:
            for row in rows: ...; bar.advance()

    `done` is what an earlier run did already. With `--quiet` nothing is shown; the count still works.
    """
    from clue_cli.progress import Bar, Lines, Progress

    if is_quiet():
        yield Progress(total, description, unit, done)
    elif _console("err").is_terminal:
        bar = Bar(total, description, unit, done)
        with bar.bars:
            yield bar
    else:
        yield Lines(total, description, unit, done)
