"""The runs behind the README's leaderboard: `clue train` on the real data, records copied to results/.

    python tests/benchmarks/real_runs.py --data-root DIR [--runs runs] [--results results] [--max-minutes 120]
    python tests/benchmarks/real_runs.py --data-root DIR --tasks tnews,cluener --heads crf --seeds 1 --dry-run
    python tests/benchmarks/real_runs.py --data-root DIR --tasks all --jobs 12

DIR holds a directory a task (files or the official zip). The eight tasks of classification and entities, or those that
--tasks names (`all`: the others too), each with all of its heads, pretrained and scratch, seeds 1 to 3. The order gives
a whole small picture first: one seed of everything pretrained, the cheapest first; the same from scratch; then further
seeds of what took less than ten minutes. What stands in results/ already is skipped, an interrupted run is continued.
No run is begun that would, by its first seed, end after --max-minutes.

With --jobs N that many runs share the machine: meant for a GPU, which one run of a small encoder does not fill. Then
the dearest of a seed come first, nothing waits for its first seed, and what --max-minutes finds running is interrupted.

Seeds are trained apart, so the copies in results/ get a group of their own (what `clue train --seeds` gives at once):
runs with the same data, encoder, head and recipe form one row of the table. Nothing else is changed in a record.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from common import show_machine

from clue_cli.record import Record
from clue_cli.registry import find_task
from clue_cli.task import Task

TASKS = ("cluewsc2020", "cluener", "afqmc", "cmnli", "iflytek", "tnews", "csl", "ocnli")
"""From the cheapest to the dearest, roughly."""

OTHERS = ("fewclue_chid", "dureader_robust", "cmrc2018", "c3", "duie", "duee_fin", "duee")
"""Reading, choice, cloze, relations, events: likewise."""

OPTIONS = {
    "cmnli": ["--epochs", "5"],  # of its train there is a fortieth at hand
    "cmrc2018": ["--batch-size", "16", "--epochs", "3"],
    "dureader_robust": ["--batch-size", "16", "--epochs", "1", "--limit", "6000"],  # CMRC2018's train: more is worse
    "c3": ["--epochs", "1", "--limit", "6000"],
    "duie:casrel": ["--epochs", "3"],
    "duee:gplinker": ["--epochs", "4"],
    "duee:crf": ["--epochs", "2"],
    "duee_fin": ["--epochs", "2"],
}
"""Other values than the recipe's, by task or task and head: mostly fewer epochs, for two cores."""


@dataclass(frozen=True)
class Plan:
    """One run to make."""

    task: str
    head: str
    scratch: bool
    seed: int

    @property
    def name(self) -> str:
        return f"{self.task}-{'scratch' if self.scratch else 'mini-zh'}-{self.head}-s{self.seed}"

    def first(self) -> Plan:
        return replace(self, seed=1)


def heads_of(task: Task, wanted: list[str]) -> list[str]:
    """All heads of a task, or of these the wanted ones."""
    heads = list(task.heads)
    return [head for head in heads if not wanted or head in wanted]


def plans(options: argparse.Namespace) -> list[Plan]:
    """Everything to do, in order."""
    encoders = [name == "scratch" for name in options.encoders]
    return [
        Plan(task, head, scratch, seed)
        for seeds in ([s for s in options.seeds if s == 1], [s for s in options.seeds if s != 1])
        for seed in seeds
        for scratch in encoders
        for task in options.tasks
        for head in heads_of(find_task(task), options.heads)
    ]


def result_file(results: Path, plan: Plan) -> Path:
    return results / f"{plan.name}.record.json"


def seconds_of(record: Record) -> float:
    return sum(record.timing.phases.values())


def first_seconds(results: Path, plan: Plan) -> float | None:
    """What the first seed took; None while it has not been run."""
    path = result_file(results, plan.first())
    return seconds_of(Record.load(path)) if path.is_file() else None


def command_of(plan: Plan, options: argparse.Namespace) -> list[str]:
    run: Path = options.runs / plan.task / plan.name
    command = [sys.executable, "-m", "clue_cli", "train", plan.task, "--data", str(options.data_root / plan.task)]
    command += ["--head", plan.head, "--seed", str(plan.seed), "--output", str(run)]
    command += ["--encoder", "scratch" if plan.scratch else "mini-zh"]
    command += OPTIONS.get(f"{plan.task}:{plan.head}", OPTIONS.get(plan.task, []))
    command += options.more.split()
    if (run / "record.json").is_file():
        command.append("--force" if Record.load(run).status == "finished" else "--resume")
    return command


def keep(run: Path, target: Path) -> Record:
    """Copy a finished run's record, with the group of its like."""
    record = Record.load(run)
    recipe = {name: setting.value for name, setting in record.recipe.items()}
    same = [record.task.name, record.head, record.encoder.name, recipe, [file.sha256 for file in record.data.files]]
    digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    record = replace(record, group=digest[:12])
    target.parent.mkdir(parents=True, exist_ok=True)
    record.save(target)
    return record


def one(plan: Plan, options: argparse.Namespace, left: float | None = None) -> bool:
    """Make one run, in at most `left` seconds, and keep its record; whether it succeeded."""
    run: Path = options.runs / plan.task / plan.name
    finished = (run / "record.json").is_file() and Record.load(run).status == "finished"
    if not finished:
        process = subprocess.Popen([*command_of(plan, options), "--quiet"], stdout=subprocess.DEVNULL)
        try:
            status = process.wait(left)
        except subprocess.TimeoutExpired:
            process.terminate()
            status = process.wait()
        if status in (130, 143) and left is None:
            raise SystemExit(f"interrupted; {plan.name} is continued by the next call")
        if status:
            print(f"  {plan.name}: clue train ended with status {status}", flush=True)
            return False
    record = keep(run, result_file(options.results, plan))
    figures = ", ".join(f"{result.metric} {100 * result.figures[result.primary]:.2f}" for result in record.results)
    epochs = f"epoch {record.chosen_epoch} of {len(record.epochs)}"
    print(f"  {plan.name}: {figures} ({epochs}), {seconds_of(record):.0f} s", flush=True)
    return True


def why_not(plan: Plan, options: argparse.Namespace, left: float) -> str | None:
    """Why a run is not made now, None if it is."""
    took = first_seconds(options.results, plan)
    if plan.seed != 1 and took is None:
        return "its first seed is missing"
    if plan.seed != 1 and took is not None and took > 60 * options.seed_minutes:
        return f"one seed takes {took / 60:.0f} minutes"
    if took is not None and took > left:
        return f"{left / 60:.0f} minutes left"
    return f"{left / 60:.0f} minutes left" if left <= 0 else None


def parsed() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True, help="holds a directory a task")
    parser.add_argument("--tasks", type=names, default=list(TASKS), metavar="A,B,...", help="or all")
    parser.add_argument("--heads", type=names, default=[], metavar="A,B,...", help="default: all")
    parser.add_argument("--encoders", type=names, default=["mini-zh", "scratch"], metavar="A,B")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--max-minutes", type=float, default=float("inf"))
    parser.add_argument("--seed-minutes", type=float, default=10.0, help="further seeds only of runs shorter than this")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--more", default="", metavar="OPTIONS", help="more for clue train, to try this script")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    if options.tasks == ["all"]:
        options.tasks = [*TASKS, *OTHERS]
    if unknown := [name for name in options.encoders if name not in ("mini-zh", "scratch")]:
        parser.error(f"--encoders: {', '.join(unknown)} is neither mini-zh nor scratch")
    return options


def side_by_side(todo: list[Plan], options: argparse.Namespace) -> list[bool]:
    """Make the runs, `--jobs` at a time, each free one taking the next; whether each succeeded."""
    end = time.monotonic() + 60 * options.max_minutes
    dearest = [*TASKS, *OTHERS]
    todo = sorted(todo, key=lambda plan: (plan.seed, plan.scratch, -dearest.index(plan.task)))

    def make(plan: Plan) -> bool:
        left = end - time.monotonic()
        return left > 0 and one(plan, options, None if left == float("inf") else left)

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(make, todo))


def in_turn(todo: list[Plan], options: argparse.Namespace) -> list[bool]:
    """Make the runs that the time allows, one after the other; whether each succeeded."""
    begun = time.monotonic()
    done = []
    for plan in todo:
        reason = why_not(plan, options, 60 * options.max_minutes - (time.monotonic() - begun))
        if reason is not None:
            print(f"  {plan.name}: left out, {reason}")
        else:
            done.append(one(plan, options))
    return done


def main() -> None:
    options = parsed()
    show_machine()
    begun = time.monotonic()
    todo = []
    for plan in plans(options):
        if result_file(options.results, plan).is_file():
            print(f"  {plan.name}: done already")
        elif options.dry_run:
            print("  " + " ".join(["clue", *command_of(plan, options)[3:]]))
        else:
            todo.append(plan)
    done = side_by_side(todo, options) if options.jobs > 1 else in_turn(todo, options)
    minutes = (time.monotonic() - begun) / 60
    print(f"{sum(done)} runs made, {done.count(False)} failed or not in time, {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
