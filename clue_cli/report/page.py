"""The page: charts drawn, templates filled in."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clue_cli.pages import render
from clue_cli.report import charts, facts
from clue_cli.report.answers import Form
from clue_cli.report.charts import Chart
from clue_cli.report.confusion import MOST_PAIRS
from clue_cli.report.content import Run, compare, disagreed, read_runs
from clue_cli.report.intervals import Interval

SECTIONS = {
    "figures": "Figures",
    "differences": "Differences",
    "curve": "Learning curve",
    "labels": "By label",
    "confusion": "Confusion",
    "calibration": "Calibration",
    "errors": "Errors",
    "slices": "Slices",
    "disagreements": "Disagreements",
    "choices": "What differs",
    "record": "Record",
}

ANSWERS = {
    Form.CLASS: "An answer is the label with its probability.",
    Form.CHOICE: "An answer is the choice with its probability.",
    Form.BLANKS: "An answer is what fills one blank, with its probability.",
    Form.PIECE: "An answer is the piece of the text with its probability; it is right if the metric gives it the full "
    "figure.",
    Form.LIST: "An answer is one predicted element with its probability; it is right if the gold holds exactly the "
    "same element.",
}


def report(paths: Sequence[Path], *, split: str = "dev", metric: str | None = None, resamples: int = 10_000) -> str:
    """The page about one run, or about several runs of one task beside each other.

    UserError where a run has no answers on the split, or several did not answer the same items.
    """
    runs = read_runs(paths, split, metric)
    if len(runs) == 1:
        return _render("report.html", runs, **_one(runs[0]))
    return _render("report_runs.html", runs, **_several(runs, resamples))


def _render(template: str, runs: Sequence[Run], **content: Any) -> str:
    sections = [(name, title) for name, title in SECTIONS.items() if content.get(name)]
    return render(
        template,
        run=runs[0],
        runs=runs,
        sections=sections,
        program=f"clue {version('clue-baselines')}",
        facts=facts,
        **content,
    )


def _one(run: Run) -> dict[str, Any]:
    """What the page of one run shows, by section; an empty one is left out."""
    curves = [(run.name, run.curve)]
    labels = [(run.label_name(row.label), row.gold, [row.f1]) for row in run.labels]
    return {
        "figures": facts.results(run.record, run.split),
        "curve": _charts(charts.losses(curves), charts.figures_by_epoch(curves, run.metric.primary, run.split)),
        "labels": run.labels,
        "label_chart": charts.by_label([run.name], labels),
        "confusion": run.confusion,
        "most_pairs": MOST_PAIRS,
        "calibration": True,
        "calibration_chart": _reliability([run]),
        "answers": ANSWERS[run.form],
        "errors": True,
        "slices": run.slices,
        "record": True,
    }


def _several(runs: Sequence[Run], resamples: int) -> dict[str, Any]:
    """What the page of several runs shows, by section."""
    comparison = compare(runs, resamples)
    named = [(run.known, run.curve) for run in runs]
    labels = _side_by_side(runs)
    return {
        "comparison": comparison,
        "differences": True,
        "curve": _charts(charts.losses(named), charts.figures_by_epoch(named, runs[0].metric.primary, runs[0].split)),
        "labels": labels,
        "label_chart": charts.by_label([run.known for run in runs], labels),
        "calibration": any(run.calibration is not None for run in runs),
        "calibration_chart": _reliability(runs),
        "answers": ANSWERS[runs[0].form],
        "disagreements": disagreed(comparison, runs),
        "choices": list(facts.differing([run.record for run in runs])),
        "record": True,
    }


def _charts(*drawn: Chart | None) -> list[Chart]:
    return [chart for chart in drawn if chart is not None]


def _reliability(runs: Sequence[Run]) -> Chart | None:
    several = len(runs) > 1
    return charts.reliability(
        [(run.known if several else run.name, run.calibration) for run in runs if run.calibration is not None]
    )


def _side_by_side(runs: Sequence[Run]) -> list[tuple[str, float, list[Interval | None]]]:
    """(label, gold, F1 by run) for every label that one of the runs has."""
    tables = [{row.label: row for row in run.labels} for run in runs]
    known = [label for label in runs[0].scored.task.labels if any(label in table for table in tables)]
    return [
        (
            runs[0].label_name(label),
            max(table[label].gold for table in tables if label in table),
            [table[label].f1 if label in table else None for table in tables],
        )
        for label in known
    ]
