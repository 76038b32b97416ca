"""The plots of a report. Each comes with its numbers as a table, and says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import MaxNLocator
from rich.cells import cell_len, set_cell_size

from clue_cli.pages import percent
from clue_cli.report.calibration import Calibration
from clue_cli.report.curves import Curve
from clue_cli.report.intervals import Interval
from clue_cli.report.svg import COLOURS, FONT, SERIES, drawing, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 400
LINE = 16
"""Height of a line of text with the space around it."""
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LEFT = 46
"""Room for the numbers beside an axis."""
FEW_POINTS = 30
"""A line of so many points shows each of them."""
MOST_LABELS = 30
"""Labels of one chart; those with the most gold are kept."""


@dataclass(frozen=True)
class Chart:
    """A plot (markup) and its numbers as text; `note` says what the picture does not."""

    title: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Look:
    """How the lines of one run are drawn: runs differ in colour, dashes and marks."""

    colour: str
    dashes: Any
    marker: str


def looks(amount: int) -> list[Look]:
    """A look for each of `amount` runs: colours, dashes and marks come round at different times."""
    ways = zip(cycle(SERIES), cycle(DASHES), cycle(MARKERS), strict=False)
    return [Look(COLOURS[name], dashes, marker) for _, (name, dashes, marker) in zip(range(amount), ways, strict=False)]


def _axes(figure: Figure, below: float, left: float = LEFT, top: float = 10) -> Axes:
    """Axes with room for their numbers, `below` units above the bottom."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, below / height, (width - left - 12) / width, (height - below - top) / height)
    return figure.add_axes(box)


def _names(figure: Figure, axes: Axes, amount: int) -> None:
    """The names of several runs, one below the other under the plot."""
    if amount > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="lower left", borderaxespad=0.2, handlelength=3.4)


def _steps(axes: Axes) -> None:
    """The axis of optimiser steps, which are whole."""
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))


def _under(amount: int) -> float:
    """Room below a plot with a label under its axis, and the names of `amount` runs."""
    return 38 + (LINE * amount + 6 if amount > 1 else 0)


def short(text: str, cells: int) -> str:
    """`text` in at most so many columns of a terminal, which is as wide as it is drawn: Chinese takes two."""
    text = " ".join(text.split())
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def losses(curves: Sequence[tuple[str, Curve]]) -> Chart | None:
    """Loss by step; None where no run kept a log."""
    with_loss = [(name, curve) for name, curve in curves if curve.loss]
    if not with_loss:
        return None
    below = _under(len(with_loss))
    with drawing(WIDTH, 190 + below) as figure:
        axes = _axes(figure, below)
        for (name, curve), look in zip(with_loss, looks(len(with_loss)), strict=True):
            steps, values = zip(*curve.loss, strict=True)
            marker = look.marker if len(steps) <= FEW_POINTS else ""
            axes.plot(
                steps, values, color=look.colour, linestyle=look.dashes, marker=marker, linewidth=1.6, markersize=4,
                label=short(name, 56),
            )  # fmt: skip
        _steps(axes)
        _names(figure, axes, len(with_loss))
        ends = "; ".join(f"{name}: from {curve.loss[0][1]:.3g} to {curve.loss[-1][1]:.3g}" for name, curve in with_loss)
        svg = inline(figure, "loss", "Training loss by step", f"{ends}.")
    rows = [(name, f"{step:,.0f}", f"{loss:.4f}") for name, curve in with_loss for step, loss in _thinned(curve.loss)]
    together = max(curve.together for _, curve in with_loss)
    note = f"Every point is the mean of {together} lines of the log." if together > 1 else ""
    columns, table = _one_run(("run", "step", "loss"), rows, len(with_loss))
    return Chart("Training loss by step", svg, columns, table, note)


def _thinned(points: Sequence[tuple[float, float]], most: int = 60) -> Sequence[tuple[float, float]]:
    """At most about `most` points, the first and the last among them, for a table."""
    every = max(1, len(points) // most)
    return [*points[:-1:every], points[-1]]


def _one_run(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], runs: int) -> tuple[Any, Any]:
    """Columns and rows, without that of the run's name where there is but one run."""
    return (columns, tuple(rows)) if runs > 1 else (columns[1:], tuple(row[1:] for row in rows))


def figures_by_epoch(curves: Sequence[tuple[str, Curve]], primary: str, split: str) -> Chart | None:
    """The primary figure after every epoch; None where no epoch was scored."""
    scored = [(name, curve) for name, curve in curves if curve.figures]
    if not scored:
        return None
    below = _under(len(scored))
    title = f"{primary} on {split} after every epoch, in percent"
    with drawing(WIDTH, 190 + below) as figure:
        axes = _axes(figure, below)
        for (name, curve), look in zip(scored, looks(len(scored)), strict=True):
            steps, values = [s for s, _ in curve.figures], [100 * value for _, value in curve.figures]
            axes.plot(
                steps, values, color=look.colour, linestyle=look.dashes, marker=look.marker, linewidth=1.6,
                markersize=5, label=short(name, 56), clip_on=False,
            )  # fmt: skip
            if curve.chosen is not None:
                x, y = steps[curve.chosen], values[curve.chosen]
                axes.plot([x], [y], marker="o", markersize=12, markerfacecolor="none", color=look.colour, clip_on=False)
        _steps(axes)
        axes.margins(x=0.08, y=0.15)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0), min(max(high, 1), 100))  # no figure lies outside 0 to 100
        _names(figure, axes, len(scored))
        best = "; ".join(f"{name}: best {percent(max(value for _, value in c.figures))} %" for name, c in scored)
        svg = inline(figure, "epochs", title, f"{best}.")
    rows = [
        (name, f"{step:,}", percent(value), "yes" if i == curve.chosen else "")
        for name, curve in scored
        for i, (step, value) in enumerate(curve.figures)
    ]
    columns, table = _one_run(("run", "step", f"{primary} %", "kept"), rows, len(scored))
    return Chart(title, svg, columns, table, "A ring marks the epoch whose weights were kept.")


def by_label(names: Sequence[str], rows: Sequence[tuple[str, float, Sequence[Interval | None]]]) -> Chart | None:
    """F1 with its interval of every label (label, gold, F1 by run), for the labels with the most gold."""
    kept = set(sorted(range(len(rows)), key=lambda i: -rows[i][1])[:MOST_LABELS])
    shown = [row for i, row in enumerate(rows) if i in kept and any(row[2])]
    if not shown:
        return None
    runs = len(names)
    labels = [short(label, 24) for label, _, _ in shown]
    left = 14 + 0.53 * FONT * max(map(cell_len, labels))
    below, step = _under(runs), max(18, 9 * runs + 6)
    title = "F1 by label" if runs == 1 else "F1 by label and run"
    with drawing(WIDTH, below + 12 + step * len(shown)) as figure:
        axes = _axes(figure, below, left=left, top=12)
        for number, (name, look) in enumerate(zip(names, looks(runs), strict=True)):
            shift = (number - (runs - 1) / 2) * 0.62 / runs
            some = [(i + shift, row[2][number]) for i, row in enumerate(shown)]
            drawn = [(y, interval) for y, interval in some if interval is not None]
            axes.errorbar(
                [100 * interval.figure for _, interval in drawn], [y for y, _ in drawn],
                xerr=[[100 * max(0.0, i.figure - i.low) for _, i in drawn],
                      [100 * max(0.0, i.high - i.figure) for _, i in drawn]],
                fmt=look.marker, markersize=5, color=look.colour, elinewidth=1.6, capsize=2.5, label=short(name, 56),
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), labels)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(-2, 102)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("F1 in percent, with its 95 % interval")
        _names(figure, axes, runs)
        worst = min((i.figure, label) for label, _, intervals in shown for i in intervals if i is not None)
        best = max((i.figure, label) for label, _, intervals in shown for i in intervals if i is not None)
        text = f"From {percent(worst[0])} ({worst[1]}) to {percent(best[0])} ({best[1]})."
        svg = inline(figure, "labels", title, text)
    hidden = len(rows) - len(shown)
    note = f"The {len(shown)} labels with the most gold; {hidden} more are in the table only." if hidden > 0 else ""
    return Chart(title, svg, (), (), note)


def reliability(runs: Sequence[tuple[str, Calibration]]) -> Chart | None:
    """Share of right answers against confidence, with the number of answers below; None for no run."""
    if not runs:
        return None
    below = _under(len(runs))
    title = "Confidence against being right"
    with drawing(WIDTH, 330 + below) as figure:
        counts = _axes(figure, below, left=LEFT + 8, top=274)
        axes = _axes(figure, below + 76, left=LEFT + 8)
        axes.plot([0, 100], [0, 100], color=COLOURS["faint"], linestyle=(0, (2, 2)), linewidth=1)
        for number, ((name, found), look) in enumerate(zip(runs, looks(len(runs)), strict=True)):
            _draw_bins(axes, counts, found, look, short(name, 56), (number, len(runs)))
        for some in (axes, counts):
            some.set_xlim(-2, 102)
        axes.set_ylim(-2, 102)
        axes.set_ylabel("right, %")
        axes.tick_params(labelbottom=False)
        counts.set_ylabel("answers")
        counts.set_xlabel("confidence, %")
        figure.align_ylabels([axes, counts])
        _names(figure, axes, len(runs))
        text = "; ".join(f"{name}: expected calibration error {percent(found.error)} %" for name, found in runs)
        svg = inline(figure, "calibration", title, f"{text}. The diagonal is perfect calibration.")
    rows = [
        (
            name, f"{one.low:.1f} to {one.high:.1f}", f"{one.count:,}", percent(one.confidence),
            percent(one.right.figure), f"{percent(one.right.low, 1)} to {percent(one.right.high, 1)}",
        )
        for name, found in runs
        for one in found.bins
        if one.right is not None
    ]  # fmt: skip
    columns = ("run", "probability", "answers", "mean confidence %", "right %", "95 %")
    columns, table = _one_run(columns, rows, len(runs))
    return Chart(title, svg, columns, table)


def _draw_bins(axes: Axes, counts: Axes, found: Calibration, look: Look, name: str, place: tuple[int, int]) -> None:
    filled = [one for one in found.bins if one.right is not None]
    x = [100 * one.confidence for one in filled if one.confidence is not None]
    right = [one.right for one in filled if one.right is not None]
    y = [100 * one.figure for one in right]
    bounds = [[100 * (one.figure - one.low) for one in right], [100 * (one.high - one.figure) for one in right]]
    axes.errorbar(
        x, y, yerr=[[max(0.0, b) for b in side] for side in bounds], color=look.colour, linestyle=look.dashes,
        linewidth=1.6, elinewidth=1, marker=look.marker, markersize=5, capsize=2.5, label=name,
    )  # fmt: skip
    number, runs = place
    width = 8 / runs
    starts = [100 * one.low + 1 + number * width for one in found.bins]
    counts.bar(starts, [one.count for one in found.bins], width=width, align="edge", color=look.colour)
