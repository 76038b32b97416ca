"""What share of a prediction is decoding: processor time of head and task against that of the encoder and all else.

    python tests/benchmarks/decode_share.py [--tasks cluener duie duee] [--encoders mini-zh base] [--rows 1000]
    python tests/benchmarks/decode_share.py --run RUN [--data FILE_OR_DIR]

Rows of the tasks' dev sets (with --data-root the official ones, else the shipped samples, repeated where there are
fewer) go through `clue_cli.prediction` as `clue predict` sends them. Without --run the head is untrained, and its
threshold is set so that as many spans are found as gold has. Counted as decoding: `head.decode` and the task's
`predictions`, by the clock of their own thread; all: the processor time of the whole process from texts to answers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from common import cores, encoder_directory, make_run, set_threads, show_machine, workplace
from isolated import in_process

PARTS = ("encoder and scores", "head.decode", "task.predictions")


class Clock:
    """Processor time of calls, by thread: calls of several threads add up and do not count one another."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def wrapped(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[part] += time.thread_time() - begun

        return timed


def gold_spans(example: Any) -> int:
    """Spans that an example's gold names, whatever the family."""
    spans: set[Any] = set()
    for entry in example.gold or ():
        parts = getattr(entry, "arguments", None)
        spans.update([repr(entry)] if parts is None else [repr(part) for part in parts])
    return len(spans)


def typical_threshold(predictor: Any, examples: list[Any]) -> float:
    """The threshold at which an untrained head finds as many spans as gold has, from a few examples."""
    import torch

    from heads.factorised import Factors
    from heads.span_loss import valid_pairs

    model = predictor.model
    features = predictor._features(examples[:16])
    batch = model.batch(features)
    with torch.inference_mode():
        scores = model.forward(batch).scores
    factors = scores if isinstance(scores, Factors) else scores[0]
    A, b, c = factors
    cube = A[:, None] + b.transpose(1, 2)[..., None] + c.transpose(1, 2)[:, :, None]
    valid = valid_pairs(batch["text_mask"])[:, None].expand_as(cube)
    wanted = max(1, sum(gold_spans(example) for example in examples[:16]))
    return float(cube[valid].topk(wanted).values[-1])


def measure(task_name: str, encoder: str, rows: int, root: str | None, run: str | None) -> dict[str, Any]:
    from clue_cli.contract import Tally
    from clue_cli.prediction import Predictor
    from clue_cli.sources import locate

    with workplace() as work:
        if run is None:
            run = str(make_run(task_name, encoder_directory(encoder, work), work / "run"))
        predictor = Predictor.load(run, device="cpu")
        task = predictor.task
        data = root if root is None or task_name == "-" else str(Path(root) / task_name)
        source, sample = locate(task.name, data, hub=task.hub)
        examples = list(islice(cycle(task.read(source, "dev", Tally())), rows))
        threshold = None if task_name == "-" else typical_threshold(predictor, examples)
        options = predictor.answering(threshold=threshold)
        list(predictor.examples(iter(examples[:32]), options))
        clock = Clock()
        predictor.model.forward = clock.wrapped(PARTS[0], predictor.model.forward)
        predictor.model.head.decode = clock.wrapped(PARTS[1], predictor.model.head.decode)
        object.__setattr__(task, "predictions", clock.wrapped(PARTS[2], task.predictions))
        begun, wall = time.process_time(), time.perf_counter()
        answers = [prediction.answer for _, prediction in predictor.examples(iter(examples), options)]
        total, wall = time.process_time() - begun, time.perf_counter() - wall
        return {
            "task": task.name, "head": predictor.model.settings.head, "precision": predictor.model.precision,
            "sample": sample, "rows": len(answers), "found": sum(map(len, answers)), "wall": wall, "total": total,
            **clock.seconds,
        }  # fmt: skip


def show(encoder: str, found: dict[str, Any]) -> None:
    total = found["total"]
    share = (found[PARTS[1]] + found[PARTS[2]]) / total
    what = "the shipped sample" if found["sample"] else "dev"
    print(
        f"{found['task']}, {found['head']}, {encoder}, {found['precision']}: {found['rows']} rows of {what}, "
        f"{found['found']} answers, {found['wall']:.1f} s, {total / found['rows'] * 1e3:.2f} ms of processor a row"
    )
    print("  " + ", ".join(f"{part} {100 * found[part] / total:.1f} %" for part in PARTS), end="")
    print(f": decoding takes {100 * share:.1f} %", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=["cluener", "duie", "duee"])
    parser.add_argument("--encoders", nargs="+", default=["mini-zh", "base"], help="mini-zh, base (random), directory")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--data-root", help="holds a directory a task; default: the shipped samples")
    parser.add_argument("--run", help="a trained run instead of untrained heads")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--one", nargs=3, metavar=("TASK", "ENCODER", "ROOT"), help="one measurement, as JSON")
    options = parser.parse_args()
    set_threads(options.threads)
    if options.one:
        task, encoder, root = options.one
        print(json.dumps(measure(task, encoder, options.rows, root or None, options.run)))
        return
    show_machine(f"{options.threads} threads")
    more = ("--rows", options.rows, "--threads", options.threads)
    if options.run:
        found = in_process(__file__, "-", "", options.data_root or "", *more, "--run", options.run)
        show(options.run, found)
        return
    for encoder in options.encoders:
        for task in options.tasks:
            show(encoder, in_process(__file__, task, encoder, options.data_root or "", *more))


if __name__ == "__main__":
    main()
