"""The leaderboard as a terminal table, Markdown, CSV, JSON and a page: one content, five forms.

Figures are percent. A cell reads `56.12±0.5` with the item-level standard error after the sign, and `sd 0.31`, the
standard deviation over seeds, where there were several; letters point to the footnotes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clue_cli import console
from clue_cli.leaderboard import Column, Leaderboard, Row
from clue_cli.references import averages

FORMATS = ("table", "markdown", "csv", "json", "html")

SYSTEM_WIDTH = 24
"""Columns of the terminal that the system's name keeps, however many tasks there are."""

LEGEND = (
    "percent; ± item-level standard error; sd: standard deviation over seeds; bold: best of the comparable rows; "
    "≈: not significantly below the best (5 %, by the errors of both; clue compare pairs the items)"
)

PUBLISHED = "Published figures (taken from their sources, not run here)"


@dataclass(frozen=True)
class Shown:
    """A cell as text: the figure, what stands beside it, the letters of its footnotes."""

    score: str = ""
    error: str = ""
    spread: str = ""
    letters: str = ""
    best: bool = False
    near: bool = False

    @property
    def beside(self) -> str:
        """What follows the figure on its line: its error, and the sign of one that is as good as the best."""
        return self.error + ("≈" if self.near else "")

    @property
    def main(self) -> str:
        """The figure with what stands beside it."""
        return self.score + self.beside

    @property
    def under(self) -> str:
        """Spread and letters, for a second line."""
        return ", ".join(part for part in (self.spread, self.letters) if part)


class View:
    """A leaderboard with what all forms need: keys of its columns, texts of its cells, its footnotes."""

    def __init__(self, board: Leaderboard) -> None:
        self.board = board
        self.notes = board.footnotes()

    def tables(self, published: str) -> Iterator[tuple[str, str, Sequence[Row], list[Column | str]]]:
        """All tables: the part's title (empty where there is one part), the table's own, its rows and columns.

        Rows without a figure in a part, and columns without one in a row, are left out; `published` is the title of
        the table of published figures.
        """
        for part in self.board.parts:
            for own, rows in (("", self.board.rows), (published, self.board.references)):
                keys = [key for key in part.keys if any(self.cell(row, key).score for row in rows)]
                if keys:
                    filled = [row for row in rows if any(self.cell(row, key).score for key in keys)]
                    yield part.title if len(self.board.parts) > 1 else "", own, filled, keys

    def letters(self, marks: Sequence[str]) -> str:
        """`a, b` for the marks."""
        return ", ".join(sorted((self.notes[mark] for mark in marks), key=lambda letter: (len(letter), letter)))

    def header(self, key: Column | str) -> tuple[str, ...]:
        """The parts of a column's name: the task, the metric's words, its figure; `average` and the set's name."""
        if isinstance(key, str):
            benchmark = averages()[key].benchmark
            return ("average", benchmark, key.removeprefix(benchmark).strip())
        words = key.metric.removeprefix(key.task + ":").split(":")
        figure = self.board.primaries.get(key, words[-1])
        return (key.task, *words, *([] if words[-1] in (figure, f"micro_{figure}") else [figure]))

    def cell(self, row: Row, key: Column | str) -> Shown:
        """One cell as text; empty where the row has no figure."""
        if isinstance(key, str):
            figure = row.averages.get(key)
            return Shown() if figure is None else Shown(f"{figure:.2f}", best=self.board.is_best(row, key))
        cell = row.cells.get(key)
        if cell is None:
            return Shown()
        return Shown(
            f"{cell.score:.2f}",
            "" if cell.error is None else f"±{cell.error:.1f}",
            "" if cell.spread is None else f"sd {cell.spread:.2f}",
            self.letters(cell.marks),
            self.board.is_best(row, key),
            self.board.is_near_best(row, key),
        )

    def system(self, row: Row) -> tuple[str, str]:
        """The row's name with its letters, and what else is to be said of it."""
        name = row.encoder + (f" [{self.letters(row.marks)}]" if row.marks else "")
        runs = () if row.published else (row.runs(),)
        return name, ", ".join((row.head, *row.details, *runs))

    def footnotes(self) -> list[tuple[str, str]]:
        """(letter, text) of all footnotes."""
        return [(letter, mark) for mark, letter in self.notes.items()]

    def remarks(self) -> list[str]:
        """Lines under the table: the legend, what averages mean, what was left out."""
        lines = [f"{self.board.split}: {LEGEND}"]
        for name in self.board.averages:
            members = ", ".join(task for task, _ in averages()[name].members)
            lines.append(f"average {name}: {members}; only where a row has all")
        lines += [f"not shown: {amount:,} {reason}" for reason, amount in sorted(self.board.left_out.items())]
        if self.board.skipped:
            lines.append(f"not shown: {len(self.board.skipped):,} records that cannot be read")
        return lines


def as_table(board: Leaderboard, width: int) -> list[Any]:
    """What rich prints, piece by piece: columns are cut into blocks that fit `width`."""
    from rich.text import Text

    view, pieces, shown = View(board), list[Any](), ""
    for part, title, rows, keys in view.tables(PUBLISHED):
        if part != shown:
            pieces += [Text(part, style="bold underline")]
            shown = part
        if title:
            pieces += [Text(title, style="bold")]
        for block in _blocks(view, rows, keys, width):
            pieces += [_block(view, rows, block), ""]
    pieces += [Text(console.clean(f"{letter}  {text}"), style="dim") for letter, text in view.footnotes()]
    return pieces + [Text(console.clean(line), style="dim") for line in view.remarks()]


def _widths(view: View, rows: Sequence[Row], key: Column | str) -> int:
    parts = list(view.header(key))
    for row in rows:
        shown = view.cell(row, key)
        parts += [shown.main, shown.under]
    return max(map(len, parts))


def _blocks(view: View, rows: Sequence[Row], keys: Sequence[Column | str], width: int) -> list[list[Column | str]]:
    """The columns in blocks that fit beside the system's name."""
    blocks: list[list[Column | str]] = []
    room = 0
    for key in keys:
        needed = _widths(view, rows, key) + 2
        if needed > room or not blocks:
            blocks.append([])
            room = width - SYSTEM_WIDTH - 1
        blocks[-1].append(key)
        room -= needed
    return blocks


def _block(view: View, rows: Sequence[Row], keys: Sequence[Column | str]) -> Any:
    """One block as a rich table."""
    columns = [console.Column("system"), *(console.Column("\n".join(view.header(k)), right=True) for k in keys)]
    lines = []
    for row in rows:
        cells = [view.cell(row, key) for key in keys]
        if any(shown.score for shown in cells):
            name, more = view.system(row)
            texts = [console.Cell(shown.main, bold=shown.best, under=shown.under) for shown in cells]
            lines.append([console.Cell(name, under=more), *texts])
    return console.build_table(columns, lines)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def as_markdown(board: Leaderboard) -> str:
    """A table for each part, one for the published figures beside it, footnotes below."""
    view, lines, shown = View(board), [], ""
    for part, title, rows, keys in view.tables(PUBLISHED):
        if part != shown:
            lines += [f"### {_escaped(part)}", ""]
            shown = part
        lines += [f"**{title}**", ""] if title else []
        heads = ["system", "head or source", *(" ".join(view.header(key)) for key in keys)]
        lines.append("| " + " | ".join(map(_escaped, heads)) + " |")
        lines.append("|---|---|" + "---:|" * len(keys))
        for row in rows:
            name, more = view.system(row)
            cells = [_markdown_cell(view.cell(row, key)) for key in keys]
            lines.append("| " + " | ".join([_escaped(name), _escaped(more), *cells]) + " |")
        lines.append("")
    lines += [f"- {letter}: {_escaped(text)}" for letter, text in view.footnotes()]
    lines += [f"- {_escaped(line)}" for line in view.remarks()]
    return "\n".join(lines) + "\n"


def _markdown_cell(shown: Shown) -> str:
    if not shown.score:
        return ""
    figure = f"**{shown.score}**" if shown.best else shown.score
    return " ".join(part for part in (figure + shown.beside, f"({shown.under})" if shown.under else "") if part)


CSV_FIELDS = (
    "system",
    "head",
    "details",
    "published",
    "task",
    "metric",
    "split",
    "score",
    "sd",
    "error",
    "runs",
    "items",
    "seeds",
    "best",
    "near_best",
    "marks",
    "source",
)


def as_csv(board: Leaderboard) -> str:
    """One line a figure; averages have the task `average` and the set's name as metric."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_FIELDS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in (*board.rows, *board.references):
        system = {
            "system": row.encoder,
            "head": row.head,
            "details": "; ".join(row.details),
            "published": "yes" if row.published else "no",
            "source": row.source or "",
        }
        for column in board.columns:
            if (cell := row.cells.get(column)) is None:
                continue
            writer.writerow(
                system
                | {
                    "task": column.task,
                    "metric": column.metric,
                    "split": cell.split,
                    "score": repr(cell.score),
                    "sd": "" if cell.spread is None else repr(cell.spread),
                    "error": "" if cell.error is None else repr(cell.error),
                    "runs": cell.runs,
                    "items": "" if cell.items is None else cell.items,
                    "seeds": " ".join(map(str, cell.seeds)),
                    "marks": "; ".join((*row.marks, *cell.marks)),
                    "best": "yes" if board.is_best(row, column) else "no",
                    "near_best": "yes" if board.is_near_best(row, column) else "no",
                }
            )
        for name, figure in row.averages.items():
            writer.writerow(
                system
                | {
                    "task": "average",
                    "metric": name,
                    "split": board.split,
                    "score": repr(figure),
                    "marks": "; ".join(row.marks),
                    "best": "yes" if board.is_best(row, name) else "no",
                }
            )
    return text.getvalue()


def as_document(board: Leaderboard) -> dict[str, Any]:
    """Everything, for programs; figures in percent, not rounded."""
    view = View(board)

    def cells(row: Row) -> list[dict[str, Any]]:
        return [
            {
                "task": column.task,
                "metric": column.metric,
                "split": cell.split,
                "score": cell.score,
                "sd": cell.spread,
                "error": cell.error,
                "runs": cell.runs,
                "items": cell.items,
                "seeds": list(cell.seeds),
                "scores": list(cell.scores),
                "best": board.is_best(row, column),
                "near_best": board.is_near_best(row, column),
                "marks": [view.notes[mark] for mark in cell.marks],
            }
            for column in board.columns
            if (cell := row.cells.get(column)) is not None
        ]

    def rows(group: Sequence[Row]) -> list[dict[str, Any]]:
        return [
            {
                "system": row.encoder,
                "head": row.head,
                "details": list(row.details),
                "published": row.published,
                "source": row.source,
                "marks": [view.notes[mark] for mark in row.marks],
                "cells": cells(row),
                "averages": {name: row.averages.get(name) for name in board.averages},
            }
            for row in group
        ]

    return {
        "unit": "percent",
        "split": board.split,
        "columns": [{"task": column.task, "metric": column.metric} for column in board.columns],
        "averages": [{"name": name, "tasks": [t for t, _ in averages()[name].members]} for name in board.averages],
        "rows": rows(board.rows),
        "references": rows(board.references),
        "footnotes": dict(view.footnotes()),
        "left_out": dict(board.left_out),
        "skipped": [{"file": file, "reason": reason} for file, reason in board.skipped],
    }


def as_html(board: Leaderboard) -> str:
    """A page that needs nothing beside itself; sources are numbered, since many rows share one."""
    from clue_cli.pages import render

    view, parts = View(board), dict[str, list[dict[str, Any]]]()
    numbers: dict[str | None, int] = {}
    for part, title, rows, keys in view.tables(PUBLISHED):
        for row in rows:
            if row.published:
                numbers.setdefault(row.source, len(numbers) + 1)
        body = [(*view.system(row), numbers.get(row.source), [view.cell(row, key) for key in keys]) for row in rows]
        heads = [view.header(key) for key in keys]
        parts.setdefault(part, []).append({"title": title or "Runs", "heads": heads, "rows": body})
    return render(
        "leaderboard.html",
        split=board.split,
        parts=parts,
        footnotes=view.footnotes(),
        sources=numbers,
        remarks=view.remarks(),
    )


def as_text(board: Leaderboard, form: str, width: int = 120) -> str:
    """The table in one of `FORMATS`, as the text of a file; `width` for the terminal's form."""
    if form == "table":
        from rich.console import Console

        text = io.StringIO()
        console_ = Console(file=text, width=width, markup=False, highlight=False, emoji=False, no_color=True)
        for piece in as_table(board, width):
            console_.print(piece)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
    if form == "json":
        return json.dumps(as_document(board), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    return {"markdown": as_markdown, "csv": as_csv, "html": as_html}[form](board)
