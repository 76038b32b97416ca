"""How the recipes are chosen: a grid of rates and epochs, scored on a part of train that is kept aside.

    python tests/benchmarks/recipes.py --task tnews --data tnews_public.zip [--rates 3e-4,5e-4,1e-3] [--epochs 2,3]
    python tests/benchmarks/recipes.py --task cluener --data cluener_public.zip --head crf --set dropout=0

Dev is never looked at. What is kept aside is decided by a hash of what must not stand on both sides: the abstract of
csl, the premise of ocnli and cmnli, the text of cluewsc2020, the whole row elsewhere. Every combination is a run of its
own (`--epochs` also sets how fast the rate falls), in a temporary directory unless --keep names one.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import cores, set_threads, show_machine, workplace

from clue_cli.sources import locate

if TYPE_CHECKING:
    from clue_cli.record import Record

GROUPS = {"csl": "abst", "ocnli": "sentence1", "cmnli": "sentence1", "cluewsc2020": "text"}
"""Task -> the field whose rows stay together."""


def is_kept_aside(task: str, line: str, share: float) -> bool:
    """Whether a row of train serves for scoring; the same on every machine and for every row of its group."""
    field = GROUPS.get(task)
    group = line if field is None else str(json.loads(line)[field])
    digest = hashlib.sha256(f"{task}\n{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def split_train(task: Any, data: str | None, share: float, directory: Path) -> tuple[int, int]:
    """Write train without the part kept aside, and that part as dev, under the official names; their rows.

    A row is a line, or an item of an official document (an article with all its questions). Schemas come along.
    """
    source, _ = locate(task.name, data, hub=task.hub)
    directory.mkdir(parents=True)
    counts = {"train": 0, "dev": 0}
    names = zip(task.files_of(source, "train"), task.files["dev"], strict=False)  # two to two, or the first of each
    for name, dev in names:
        document = source.document(name) if task.document and name.endswith(".json") else None
        items = document["data"] if isinstance(document, dict) else document
        texts = [line for _, line in source.lines(name)] if items is None else [json.dumps(item) for item in items]
        parts: dict[str, list[str]] = {"train": [], "dev": []}
        for text in texts:
            parts["dev" if is_kept_aside(task.name, text, share) else "train"].append(text)
        for split, target in (("train", name), ("dev", dev)):
            listed = f"[{', '.join(parts[split])}]"
            content = "".join(row + "\n" for row in parts[split])
            if document is not None:
                content = f'{{"data": {listed}}}' if isinstance(document, dict) else listed
            (directory / target).write_text(content, encoding="utf-8")
            counts[split] += len(parts[split])
    for name in source.names():
        if name.endswith("schema.json"):
            with source.open_bytes(name) as stream:
                (directory / Path(name).name).write_bytes(stream.read())
    return counts["train"], counts["dev"]


@dataclass
class Trial:
    """One combination and what came of it."""

    rate: float
    epochs: int
    seed: int
    figures: list[float]
    seconds: float


def run_trial(
    task: Any, data: Path, output: Path, rate: float, epochs: int, seed: int, options: argparse.Namespace
) -> Trial:
    from clue_cli.runs import TrainRequest, train
    from clue_cli.sources import Source

    head = options.head or task.default_head
    values = {"learning_rate": rate, "epochs": epochs, **options.set}
    request = TrainRequest(
        task=task,
        source=Source.open(data),
        sample=False,
        head=head,
        metric=task.default_metric,
        options=values,
        encoder=f"scratch:{options.encoder or 'mini-zh'}" if options.scratch else options.encoder,
        seed=seed,
        limit=options.limit,
        output=output,
        save_minutes=1e6,
        device=options.device,
        precision=options.precision,
    )
    begun = time.perf_counter()
    _, record = train(request)
    return Trial(rate, epochs, seed, by_epoch(record), time.perf_counter() - begun)


def by_epoch(record: Record) -> list[float]:
    """The ranking figure of every epoch, in per cent."""
    metric = record.metrics[0]
    result = next(result for result in record.results if result.metric == metric)
    return [100 * epoch.figures[metric][result.primary] for epoch in record.epochs]


def show_trial(trial: Trial) -> None:
    figures = " ".join(f"{figure:6.2f}" for figure in trial.figures)
    print(
        f"  rate {trial.rate:<8g} epochs {trial.epochs:<3d} seed {trial.seed}  best {max(trial.figures):6.2f}  "
        f"last {trial.figures[-1]:6.2f}  by epoch {figures}  {trial.seconds:.0f} s",
        flush=True,
    )


def show_best(trials: list[Trial]) -> None:
    """Combinations by the mean over seeds of their best epoch."""
    means: dict[tuple[float, int], list[float]] = {}
    for trial in trials:
        means.setdefault((trial.rate, trial.epochs), []).append(max(trial.figures))
    ranked = sorted(means.items(), key=lambda item: -sum(item[1]) / len(item[1]))
    print("best first, mean over seeds of the best epoch:")
    for (rate, epochs), figures in ranked:
        print(f"  rate {rate:<8g} epochs {epochs:<3d} {sum(figures) / len(figures):6.2f}")


def setting(text: str) -> tuple[str, Any]:
    """`dropout=0` as a name and value of the recipe."""
    from clue_cli.contract import Recipe

    name, _, value = text.partition("=")
    name = name.replace("-", "_")
    if name not in {field.name for field in fields(Recipe)}:
        raise argparse.ArgumentTypeError(f"no recipe has {name!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def parsed() -> argparse.Namespace:
    def numbers(text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", required=True)
    parser.add_argument("--data", help="directory or official zip; default: the shipped sample")
    parser.add_argument("--head")
    parser.add_argument("--encoder")
    parser.add_argument("--scratch", action="store_true", help="random weights of the same shape")
    parser.add_argument("--rates", type=numbers, default=[3e-4, 5e-4, 1e-3], metavar="A,B,...")
    parser.add_argument("--epochs", type=numbers, metavar="A,B,...", help="default: the recipe's")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", type=int, help="rows of train, drawn by seed")
    parser.add_argument("--share", type=float, default=0.1, help="of train kept aside")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE", help="of the recipe")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--device")
    parser.add_argument("--precision")
    parser.add_argument("--keep", type=Path, help="directory for the runs")
    options = parser.parse_args()
    options.set = dict(options.set)
    return options


def main() -> None:
    options = parsed()
    set_threads(options.threads)
    import torch

    from clue_cli import console
    from clue_cli.registry import find_task

    torch.set_num_threads(options.threads)
    console.configure(quiet=True)
    task = find_task(options.task)
    recipe, _ = task.recipe_for(options.head or task.default_head, "small")
    epochs = [int(count) for count in options.epochs or [recipe.epochs]]
    show_machine(f"{options.threads} threads")
    trials = []
    with workplace() as work:
        data = work / "data"
        train, aside = split_train(task, options.data, options.share, data)
        head = options.head or task.default_head
        rows = f"{train:,} rows of train, {aside:,} more kept aside for scoring"
        print(f"{task.name}, {head}: {rows}; set: {options.set or 'nothing'}")
        runs = options.keep or work / "runs"
        for seed, rate, count in itertools.product(range(1, options.seeds + 1), options.rates, epochs):
            output = runs / f"{task.name}-{head}-{rate:g}-{count}-s{seed}"
            trials.append(run_trial(task, data, output, rate, count, seed, options))
            show_trial(trials[-1])
    show_best(trials)


if __name__ == "__main__":
    main()
