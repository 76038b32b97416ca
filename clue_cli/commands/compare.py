"""clue compare: is the difference between runs real?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.comparison import Comparison, Pair

EPILOG = (
    "Examples:\n\nclue compare runs/tnews/A runs/tnews/B\n\n"
    "clue compare runs/cluener/* --metric span:micro_f1 --examples 20"
)

Runs = Annotated[list[Path], typer.Argument(metavar="RUN", help="Directories of two or more runs of one task.")]
Split = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=o.DATA, help="Split whose answers are compared (clue eval makes them)."
    ),
]
Examples = Annotated[
    int, typer.Option(metavar="N", min=0, rich_help_panel=o.OUTPUT, help="Show N items on which each pair disagrees.")
]
Metric = Annotated[
    str | None,
    typer.Option(metavar="ID", rich_help_panel=o.DATA, help="Metric to compare by. (default: the first run's own)"),
]
Resamples = Annotated[
    int, typer.Option(metavar="N", min=100, rich_help_panel=o.DATA, help="Resamples of the bootstrap and permutations.")
]


def compare_command(
    runs: Runs,
    split: Split = "dev",
    metric: Metric = None,
    examples: Examples = 5,
    resamples: Resamples = 10_000,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Compare runs on the items that all of them answered: interval and p of the difference, where they disagree.

    Nothing is predicted again: the answers that training (or clue eval) left beside the runs are read.
    """
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.comparison import compare_runs

    found = compare_runs(runs, split=split, metric=metric, resamples=resamples)
    if console.is_json():
        console.emit_json(found.as_dict())
        return
    _show_pairs(found)
    _show_seeds(found)
    for pair in found.pairs if examples else []:
        _show_examples(pair, examples)


def _show_pairs(found: Comparison) -> None:
    from clue_cli.significance import LEVEL

    rows = [[one.letter, one.name, f"{100 * one.figure:.2f}"] for one in found.runs]
    together = "" if found.clusters == found.items else f" in {found.clusters:,} clusters"
    title = f"{found.task}, {found.split}: {found.metric} over {found.items:,} items{together}"
    console.table(
        [console.Column("", fold=False), console.Column("run"), console.Column("%", right=True)], rows, title=title
    )
    rows = []
    for pair in found.pairs:
        p = pair.paired
        interval = f"{100 * p.low:+.2f} to {100 * p.high:+.2f}"
        needed = "" if p.needed is None else f"{p.needed:,}"
        verdict = "differ" if pair.adjusted < LEVEL else "not told apart"
        numbers = [f"{100 * p.difference:+.2f}", interval, _p(p.p), _p(pair.adjusted), needed]
        rows.append([f"{pair.first} - {pair.second}", *numbers, verdict])
    unit = "clusters" if together else "items"
    right = [console.Column(name, right=True) for name in ("difference", "95 %", "p", "Holm", f"{unit} needed")]
    console.result()
    console.table([console.Column("pair", fold=False), *right, console.Column("verdict")], rows)
    tests = sorted({pair.paired.test for pair in found.pairs})
    meaning = {"mcnemar": "McNemar's exact test", "permutation": f"{found.resamples:,} paired permutations"}
    console.result(
        f"95 %: {found.resamples:,} paired bootstrap resamples of {unit}. "
        f"p: {' and '.join(meaning[t] for t in tests)}; "
        f"Holm: p corrected for the number of pairs. {unit} needed: so many would show such a difference four times in "
        "five."
    )


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _show_seeds(found: Comparison) -> None:
    for seeds in found.seeds:
        means = [sum(figures) / len(figures) for figures in (seeds.first_figures, seeds.second_figures)]
        test = "no spread, so no test" if seeds.p is None else f"Welch's t-test p {_p(seeds.p)}"
        needed = "" if seeds.needed is None else f"; {seeds.needed:,} seeds of each would show it four times in five"
        console.result(
            f"Over seeds: {seeds.first} {100 * means[0]:.2f}, {seeds.second} {100 * means[1]:.2f}, {test}{needed}."
        )


def _show_examples(pair: Pair, count: int) -> None:
    from clue_cli.wording import brief

    if not pair.disagreements:
        return
    rows = [
        [
            str(item.number) if item.id is None else brief(item.id, 16),
            brief(item.gold),
            brief(item.first),
            brief(item.second),
        ]
        for item in pair.disagreements[:count]
    ]
    columns = [console.Column(name) for name in ("item", "gold", pair.first, pair.second)]
    console.result()
    shown = min(count, len(pair.disagreements))
    console.table(columns, rows, title=f"{shown} of {len(pair.disagreements):,} items that one of them answers better")
