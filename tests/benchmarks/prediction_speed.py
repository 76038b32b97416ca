"""Prediction: rows a second of `clue` against `transformers.pipeline("text-classification")`, side by side.

    python tests/benchmarks/prediction_speed.py [--encoder mini-zh|base|DIR] [--data afqmc_public.zip] [--rows 2048]
    python tests/benchmarks/prediction_speed.py --agreement RUN... --data-root DIR

Sentence pairs of AFQMC's dev (the shipped sample, repeated, without --data), 128 tokens at most, from texts to labels:
tokenising counts on both sides. The sides answer the same rows in turn, each in a process of its own: `clue` in bf16
where the processor multiplies it, in float32, the pipeline with its default batch size and with 32, and (for
information) the same with its weights in bf16.

`--agreement`: how many rows of the dev sets are answered differently in bf16 and in float32 by trained runs; the data
of each run's task are looked for in `--data-root DIR/TASK`.
"""

from __future__ import annotations

import argparse
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import (
    Side,
    answer,
    cores,
    encoder_directory,
    make_run,
    make_sequence_classifier,
    quiet_transformers,
    raw_lines,
    repeated,
    set_threads,
    show_machine,
    show_ratios,
    texts_of,
    workplace,
    write_data,
)

TASK = "afqmc"
OURS = "clue"


def our_side(connection: Connection, run: str, precision: str) -> None:
    import torch

    from clue_cli.prediction import Predictor

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    predictor = Predictor.load(run, device="cpu", precision=precision)

    def respond(rows: list[tuple[str, ...]]) -> float:
        begun = time.perf_counter()
        answers = predictor.predict(rows)
        assert len(answers) == len(rows)
        return time.perf_counter() - begun

    answer(connection, respond, predictor.model.precision)


def pipeline_side(connection: Connection, model: str, batch_size: int | None, bf16: bool) -> None:
    import torch
    from transformers import pipeline

    quiet_transformers()
    more: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
    classify: Any = pipeline(
        "text-classification", model=model, device="cpu", dtype=torch.bfloat16 if bf16 else torch.float32, **more
    )

    def respond(rows: list[tuple[str, ...]]) -> float:
        items = [dict(zip(("text", "text_pair"), texts, strict=False)) for texts in rows]
        begun = time.perf_counter()
        answers = classify(items, truncation=True, max_length=128)
        assert len(answers) == len(rows)
        return time.perf_counter() - begun

    answer(connection, respond)


def speed(options: argparse.Namespace) -> None:
    from clue_cli.registry import find_task

    task = find_task(TASK)
    with workplace() as work:
        lines, sample = raw_lines(task, options.data, "dev")
        data = write_data(work / "data", [], repeated(lines, options.rows * options.rounds))
        rows = [texts for texts, _ in texts_of(task, data, "dev")]
        encoder = encoder_directory(options.encoder, work)
        run = str(make_run(TASK, encoder, work / "run"))
        theirs = str(make_sequence_classifier(encoder, len(task.labels), work / "classifier"))
        sides = [
            Side(OURS, our_side, run, "auto"),
            Side("clue, float32", our_side, run, "float32"),
            Side("pipeline, its default batch", pipeline_side, theirs, None, False),
            Side("pipeline, batch 32", pipeline_side, theirs, 32, False),
        ]
        if options.bf16:
            sides += [
                Side("pipeline, its default batch, bf16", pipeline_side, theirs, None, True),
                Side("pipeline, batch 32, bf16", pipeline_side, theirs, 32, True),
            ]
        show_machine(f"{options.threads} threads", f"clue computes in {sides[0].facts}")
        what = "the shipped sample" if sample else "AFQMC dev"
        print(f"{options.encoder}, {what}, {options.rounds} rounds of {options.rows} rows", flush=True)
        show_ratios(rounds(sides, rows, options.rows, options.rounds), unit="rows/s", ours=OURS)
        for side in sides:
            side.end()


def rounds(sides: list[Side], rows: list[tuple[str, ...]], size: int, count: int) -> dict[str, list[float]]:
    """Rows a second of each side, round by round; a few rows first, to warm up."""
    speeds: dict[str, list[float]] = {side.name: [] for side in sides}
    for side in sides:
        side.ask(rows[:64])
    for turn in range(count):
        part = rows[turn * size : (turn + 1) * size]
        for side in sides if turn % 2 == 0 else sides[::-1]:
            speeds[side.name].append(len(part) / side.ask(part))
    return speeds


def agreement(runs: list[str], root: str | None, limit: int | None) -> None:
    """Rows answered differently in bf16 and float32, by run and in all."""
    show_machine()
    different = total = 0
    for run in runs:
        apart, rows = differing(run, root, limit)
        different, total = different + apart, total + rows
        print(f"  {run}: {apart} of {rows} rows answered differently ({100 * apart / rows:.2f} %)", flush=True)
    print(f"bf16 against float32: {different} of {total} rows answered differently ({100 * different / total:.3f} %)")


def differing(run: str, root: str | None, limit: int | None) -> tuple[int, int]:
    from clue_cli.contract import Tally
    from clue_cli.prediction import Predictor
    from clue_cli.sources import locate

    answers: list[list[Any]] = []
    for precision in ("bf16", "float32"):
        predictor = Predictor.load(run, device="cpu", precision=precision)
        task = predictor.task
        data = None if root is None else str(Path(root) / task.name)
        source, _ = locate(task.name, data, hub=getattr(task, "hub", None))
        examples = list(task.read(source, "dev", Tally()))[:limit]
        answers.append([prediction.answer for _, prediction in predictor.examples(examples)])
    return sum(a != b for a, b in zip(*answers, strict=True)), len(answers[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", default="mini-zh", help="mini-zh, base (random weights), or a directory")
    parser.add_argument("--data", help="AFQMC: directory or official zip; default: the shipped sample, repeated")
    parser.add_argument("--rows", type=int, default=2048, help="rows a round (base: 512 is enough)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--no-bf16", dest="bf16", action="store_false", help="leave out the pipelines in bf16")
    parser.add_argument("--agreement", nargs="+", metavar="RUN")
    parser.add_argument("--data-root", help="with --agreement: holds a directory a task")
    parser.add_argument("--limit", type=int, help="with --agreement: rows of each dev set")
    options = parser.parse_args()
    set_threads(options.threads)
    if options.agreement:
        agreement(options.agreement, options.data_root, options.limit)
    else:
        speed(options)


if __name__ == "__main__":
    main()
