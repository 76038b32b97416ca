"""Time and memory of the span losses over the number of types and over the length: docs/span-loss.csv and two plots.

    python tests/benchmarks/span_loss_plot.py [--quick] [--limit-gb 8] [--threads 2]
    python tests/benchmarks/span_loss_plot.py --plot-only

Needs matplotlib. Value and gradient with respect to A, b, c, float32, 8 gold spans a row, batch 8: 10 to 10,000 types
at length 256, and lengths 64 to 1,024 with 100 types. Each point is a process of its own (`span_loss.py`). A form that
writes the scores out ends where it would need more than --limit-gb, by what it needed at the point before; the plots
show where. --quick measures the three smallest points of each line and only prints them.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from isolated import in_process

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "span-loss.csv"
COLUMNS = ("sweep", "form", "batch", "length", "types", "seconds", "megabytes")
FORMS = ("dense", "published sparse", "factorised")
BATCH = 8
SWEEPS = {
    "types": [(256, types) for types in (10, 30, 100, 300, 1_000, 3_000, 10_000)],
    "length": [(length, 100) for length in (64, 128, 256, 512, 1024)],
}
COLORS = {"dense": "#8a5a00", "published sparse": "#b3261e", "factorised": "#0b57d0"}
MARKS = {"dense": "s", "published sparse": "^", "factorised": "o"}


def points(sweep: str, form: str, quick: bool, limit: float, threads: int) -> list[dict[str, Any]]:
    """The rows of one line of a plot; the last has no figures if the form stops there, but the memory it would need."""
    rows: list[dict[str, Any]] = []
    for length, types in SWEEPS[sweep][: 3 if quick else None]:
        row: dict[str, Any] = {"sweep": sweep, "form": form, "batch": BATCH, "length": length, "types": types}
        if rows and form != "factorised":
            before = rows[-1]
            growth = types * length**2 / (before["types"] * before["length"] ** 2)
            if before["megabytes"] * growth > limit * 1000:
                return [*rows, row | {"seconds": "", "megabytes": round(before["megabytes"] * growth)}]
        found = in_process(str(Path(__file__).with_name("span_loss.py")), form, BATCH, length, types,
                           "--threads", threads, "--repeats", 2 if quick else 3, pinned=True)  # fmt: skip
        row |= {"seconds": round(found["best"], 6), "megabytes": round(found["megabytes"], 1)}
        print(f"{sweep}: {form}, {BATCH} x {length} x {types}: {row['seconds']:.4f} s, {row['megabytes']:.0f} MB",
              flush=True)  # fmt: skip
        rows.append(row)
    return rows


def draw(rows: list[dict[str, str]], measure: str, path: Path) -> None:
    """Two panels, over the types and over the length; both axes logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "clue", "font.size": 10, "font.family": "sans-serif"}
    )
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained", facecolor="white")
    titles = {"types": "8 rows of 256 tokens", "length": "8 rows, 100 types"}
    for panel, sweep in zip(panels, SWEEPS, strict=True):
        for form in FORMS:
            mine = [row for row in rows if row["sweep"] == sweep and row["form"] == form]
            measured = [row for row in mine if row["seconds"]]
            x, y = ([float(row[name]) for row in measured] for name in (sweep, measure))
            panel.plot(x, y, color=COLORS[form], marker=MARKS[form], markersize=5, label=form)
            for row in mine[len(measured) :]:
                needed = f"would need\n{float(row['megabytes']) / 1000:.0f} GB"
                panel.plot(x[-1:], y[-1:], "x", color=COLORS[form], markersize=11, markeredgewidth=2)
                if form == "published sparse":
                    panel.annotate(f"stop here: {float(row[sweep]):,.0f}\n{needed}", (x[-1], y[-1]), (8, -20),
                                   textcoords="offset points", fontsize=8)  # fmt: skip
        panel.set(xscale="log", yscale="log", title=titles[sweep], xlabel={"types": "types", "length": "tokens"}[sweep])
        ticks = [types if sweep == "types" else length for length, types in SWEEPS[sweep]]
        panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
        panel.minorticks_off()
        panel.grid(color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel(
        {"seconds": "seconds, loss and gradient", "megabytes": "MB over what was held before"}[measure]
    )
    panels[0].legend(frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small points only; nothing is written")
    parser.add_argument("--plot-only", action="store_true", help="draw what the table holds")
    parser.add_argument("--limit-gb", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if not options.plot_only:
        rows = [
            row
            for sweep in SWEEPS
            for form in FORMS
            for row in points(sweep, form, options.quick, options.limit_gb, options.threads)
        ]
        if options.quick:
            return
        TABLE.parent.mkdir(exist_ok=True)
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with TABLE.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for measure, name in (("seconds", "time"), ("megabytes", "memory")):
        draw(table, measure, TABLE.with_name(f"span-loss-{name}.svg"))


if __name__ == "__main__":
    main()
