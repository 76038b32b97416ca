"""Start-up: `clue list`, `clue --help`, and one line predicted against a script that loads the same model.

    python tests/benchmarks/startup.py [--repeats 7] [--run RUN]

Wall time of whole processes, in turn, the first round not counted. The script imports torch and transformers, loads the
same encoder with a classifier on top and answers the same line; without --run an untrained classifier of AFQMC on the
shipped encoder serves both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import cores, in_other_process, make_run, make_sequence_classifier, set_threads, show_machine, workplace

SCRIPT = """
import sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
with torch.inference_mode():
    logits = model(**tokenizer(sys.argv[2], sys.argv[3], return_tensors="pt")).logits
print(model.config.id2label[int(logits.argmax())])
"""
LINE = ("怎样修改还款日期", "还款日能改到几号")


def make(work: str, given: str | None) -> None:
    """The run and the same encoder for the script."""
    from clue_cli.encoders.location import SHIPPED
    from clue_cli.prediction import model_directory

    encoder = SHIPPED["mini-zh"]
    if given is None:
        make_run("afqmc", encoder, Path(work) / "run")
    else:
        encoder = model_directory(given) / "encoder"
    make_sequence_classifier(encoder, 2, Path(work) / "classifier")


def clue() -> list[str]:
    """How `clue` is called: the installed command, else the module."""
    command = Path(sys.executable).with_name("clue")
    return [str(command)] if command.exists() else [sys.executable, "-m", "clue_cli"]


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode or not result.stdout.strip():
        raise SystemExit(f"{' '.join(command)} failed: {result.stderr[-500:]}")
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--run", help="a run on sentence pairs with the encoder to use")
    options = parser.parse_args()
    set_threads(options.threads)
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    show_machine(f"{options.threads} threads", f"{' '.join(clue())}")
    with workplace() as work:
        in_other_process(make, str(work), options.run)
        line = work / "line.txt"
        line.write_text("\t".join(LINE) + "\n", encoding="utf-8")
        run = options.run or str(work / "run")
        commands = {
            "clue list": [*clue(), "list"],
            "clue --help": [*clue(), "--help"],
            "clue predict, one line": [*clue(), "predict", run, str(line)],
            "script, one line": [sys.executable, "-c", SCRIPT, str(work / "classifier"), *LINE],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(options.repeats + 1):
            for name, command in commands.items():
                taken = seconds(command)
                if turn:
                    times[name].append(taken)
    for name, values in times.items():
        print(f"  {name:24} {statistics.median(values):6.2f} s (median of {len(values)}; best {min(values):.2f})")
    ours, theirs = times["clue predict, one line"], times["script, one line"]
    best, middle = (f(ours) / f(theirs) for f in (min, statistics.median))
    print(f"one line: clue takes {middle:.2f} times the script's time by the median, {best:.2f} by the best")


if __name__ == "__main__":
    main()
