"""Questions a second and peak memory of reading comprehension, beside `transformers` with the same encoder and windows.

    python tests/benchmarks/reading_speed.py [--encoder NAME] [--data PATH] [--limit N] [--rounds N] [--main]

`transformers` 5 has no question-answering pipeline any more, so its side is the loop of its example script: windows by
`truncation="only_second"` with overflowing tokens, batches of 8 padded to the full length, and for every window the 20
best starts with the 20 best ends in a Python loop, answers of 30 tokens at most. A second one pads to the longest row
of a batch only. Both have a start/end head, as `clue, span head` has; clue's default head is the GlobalPointer. No
figure depends on the weights, so all heads are untrained.

Every side is a process of its own and works alone, in turn; the peak is the process's, with everything it has loaded.
Data: CMRC2018's dev set (`--data` or `$CLUE_DATA`), else the shipped sample, repeated.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import (
    Side,
    answer,
    cores,
    encoder_directory,
    in_other_process,
    make_run,
    quiet_transformers,
    repeated,
    set_threads,
    show_machine,
    show_ratios,
    workplace,
)

TASK = "cmrc2018"
OURS, SCRIPT = "clue", "example script"
MAIN = (OURS, SCRIPT)
LENGTH, OVERLAP = 512, 128
BATCH, BEST, LONGEST = 8, 20, 30
"""What the example script has by default."""

Question = tuple[str, str]


def peak() -> float:
    """Peak resident memory of this process in MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def our_side(connection: Connection, run: str, precision: str) -> None:
    import torch

    from clue_cli.prediction import Predictor

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    predictor = Predictor.load(run, device="cpu", precision=precision)
    limits = predictor.model.limits
    assert (limits.max_length, limits.overlap) == (LENGTH, OVERLAP)

    def respond(questions: list[Question]) -> tuple[float, float]:
        begun = time.perf_counter()
        answers = predictor.predict(questions)
        assert len(answers) == len(questions)
        return time.perf_counter() - begun, peak()

    answer(connection, respond, predictor.model.precision)


def script_side(connection: Connection, model: str, full: bool) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    quiet_transformers()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    network: Any = AutoModelForQuestionAnswering.from_pretrained(model).eval()

    def respond(questions: list[Question]) -> tuple[float, float]:
        begun = time.perf_counter()
        answers = script(questions, tokenizer, network, full)
        assert len(answers) == len(questions)
        return time.perf_counter() - begun, peak()

    answer(connection, respond)


def script(questions: Sequence[Question], tokenizer: Any, network: Any, full: bool) -> list[str]:
    """The example script's three steps: features, logits, answers."""
    import torch

    encoded = tokenizer(
        [question for question, _ in questions],
        [context for _, context in questions],
        truncation="only_second",
        max_length=LENGTH,
        stride=OVERLAP,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding="max_length" if full else False,
    )
    owners = encoded.pop("overflow_to_sample_mapping")
    offsets = encoded.pop("offset_mapping")
    usable = [
        [pair if text == 1 else None for pair, text in zip(pairs, encoded.sequence_ids(number), strict=True)]
        for number, pairs in enumerate(offsets)
    ]
    logits: list[tuple[Any, Any]] = []
    with torch.no_grad():
        for first in range(0, len(owners), BATCH):
            rows = {name: values[first : first + BATCH] for name, values in encoded.items()}
            output = network(**tokenizer.pad(rows, return_tensors="pt"))
            logits += zip(output.start_logits.numpy(), output.end_logits.numpy(), strict=True)
    windows: list[list[int]] = [[] for _ in questions]
    for number, owner in enumerate(owners):
        windows[owner].append(number)
    return [
        best_answer(context, [(*logits[number], usable[number]) for number in own])
        for (_, context), own in zip(questions, windows, strict=True)
    ]


def best_answer(context: str, windows: Sequence[tuple[Any, Any, Sequence[tuple[int, int] | None]]]) -> str:
    """The best pair of one of the best starts and one of the best ends of any window."""
    import numpy as np

    found: list[tuple[float, int, int]] = []
    for starts, ends, offsets in windows:
        for start in np.argsort(starts)[-1 : -BEST - 1 : -1].tolist():
            for end in np.argsort(ends)[-1 : -BEST - 1 : -1].tolist():
                if start >= len(offsets) or end >= len(offsets) or offsets[start] is None or offsets[end] is None:
                    continue
                if end < start or end - start + 1 > LONGEST:
                    continue
                found.append((float(starts[start] + ends[end]), offsets[start][0], offsets[end][1]))
    _, begin, stop = max(found, default=(0.0, 0, 0))
    return context[begin:stop]


def prepare(encoder: str, work: str) -> None:
    """Two untrained runs of clue's and the same encoder with `transformers`' head, in a process of their own."""
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    place = Path(work)
    directory = encoder_directory(encoder, place)
    make_run(TASK, directory, place / "run")
    make_run(TASK, directory, place / "span", head="span")
    quiet_transformers()
    torch.manual_seed(0)
    network: Any = AutoModelForQuestionAnswering.from_pretrained(str(directory))
    network.save_pretrained(str(place / "answering"))
    AutoTokenizer.from_pretrained(str(directory)).save_pretrained(str(place / "answering"))


def questions_of(data: str | None, limit: int | None) -> tuple[list[Question], bool]:
    """Question and passage of the dev set, and whether it is the shipped sample's."""
    from clue_cli.contract import Tally
    from clue_cli.registry import find_task
    from clue_cli.sources import locate

    task = find_task(TASK)
    source, sample = locate(TASK, data, hub=task.hub)
    read = [(example.texts[0], example.texts[1]) for example in task.read(source, "dev", Tally())]
    if sample:
        read = repeated(read, limit or 1000)
    return read[:limit], sample


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", default="mini-zh", help="mini-zh, base (random weights), or a directory")
    parser.add_argument("--data", help="CMRC2018: directory or official zip; default: $CLUE_DATA, or the sample")
    parser.add_argument("--limit", type=int, help="questions of a round; default: all")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--main", action="store_true", help="clue and the example script only, without their variants")
    options = parser.parse_args()
    set_threads(options.threads)
    questions, sample = questions_of(options.data, options.limit)
    with workplace() as work:
        in_other_process(prepare, options.encoder, str(work))
        declared = [
            (OURS, our_side, str(work / "run"), "auto"),
            ("clue, float32", our_side, str(work / "run"), "float32"),
            ("clue, span head, float32", our_side, str(work / "span"), "float32"),
            (SCRIPT, script_side, str(work / "answering"), True),
            ("example script, short padding", script_side, str(work / "answering"), False),
        ]
        sides = [Side(name, *side) for name, *side in (s for s in declared if not options.main or s[0] in MAIN)]
        show_machine(f"{options.threads} threads", f"clue computes in {sides[0].facts}")
        what = "the shipped sample, repeated" if sample else "CMRC2018 dev"
        print(f"{options.encoder}, {what}: {len(questions)} questions, windows of {LENGTH} tokens that share {OVERLAP}")
        speeds: dict[str, list[float]] = {side.name: [] for side in sides}
        peaks: dict[str, float] = {}
        for side in sides:
            side.ask(questions[:16])  # to warm up
        for turn in range(options.rounds):
            for side in sides if turn % 2 == 0 else sides[::-1]:
                seconds, peaks[side.name] = side.ask(questions)
                speeds[side.name].append(len(questions) / seconds)
        show_ratios(speeds, unit="questions/s", ours=OURS)
        for name, amount in peaks.items():
            print(f"  {name:34} {amount:10.0f} MB peak")
        for side in sides:
            side.end()


if __name__ == "__main__":
    main()
