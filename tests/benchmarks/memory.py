"""Memory of `clue predict` by the size of its input.

    python tests/benchmarks/memory.py [--lines 20000 200000] [--run RUN] [--text FILE]

Titles (of the shipped tnews sample, or the lines of --text) are repeated, each with a number of its own, and predicted
from plain text to jsonl; the peak is what the system says of the finished process (resident, the whole process).
Without --run an untrained tnews classifier on the shipped encoder serves.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from common import cores, in_other_process, make_run, raw_lines, set_threads, show_machine, workplace


def make(run: str) -> None:
    from clue_cli.encoders.location import SHIPPED

    make_run("tnews", SHIPPED["mini-zh"], Path(run))


def titles(file: str | None) -> list[str]:
    if file is not None:
        return [line for line in Path(file).read_text(encoding="utf-8").split("\n") if line.strip()]
    from clue_cli.registry import find_task

    lines, _ = raw_lines(find_task("tnews"), None, "train")
    return [json.loads(line)["sentence"] for line in lines]


def write(path: Path, texts: Sequence[str], count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(f"{texts[number % len(texts)]} {number}\n")


def measure(command: list[str]) -> tuple[float, float]:
    """(peak in MB, seconds) of a process. This process has not loaded torch, whose size a child would start from."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return usage.ru_maxrss / unit, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--run")
    parser.add_argument("--text", help="a file of texts, one a line")
    parser.add_argument("--threads", type=int, default=cores())
    options = parser.parse_args()
    set_threads(options.threads)
    show_machine(f"{options.threads} threads")
    texts = titles(options.text)
    peaks = []
    with workplace() as work:
        if options.run is None:
            in_other_process(make, str(work / "run"))
        for count in options.lines:
            source, answers = work / "lines.txt", work / "answers.jsonl"
            write(source, texts, count)
            command = [sys.executable, "-m", "clue_cli", "predict", options.run or str(work / "run"), str(source)]
            peak, seconds = measure([*command, "--output", str(answers), "--force", "--quiet"])
            with answers.open(encoding="utf-8") as file:
                written = sum(1 for _ in file)
            peaks.append(peak)
            print(f"  {count:9,} lines: peak {peak:6.0f} MB, {written:,} answers, {seconds:.1f} s in all", flush=True)
    print(f"peak of the largest to the smallest: {peaks[-1] / peaks[0]:.3f} times")


if __name__ == "__main__":
    main()
