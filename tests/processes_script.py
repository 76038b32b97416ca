"""What `test_processes` runs in one process and in two: a step's gradient of every head, a training, a prediction.

accelerate launch --multi_gpu --num_processes 2 tests/processes_script.py ENCODER OUTPUT RUN
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from clue_cli import prediction
from clue_cli.evaluation import evaluate
from clue_cli.main import run
from clue_cli.runs import prepare
from tests.engine_cases import request

STILL = {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0, "clip": 0.0}


HEADS = {
    "tnews": ["classification"],
    "cluener": ["softmax", "crf", "globalpointer", "efficient-globalpointer"],
    "c3": ["choice"],
    "cmrc2018": ["globalpointer", "span"],
    "duie": ["gplinker", "casrel"],
    "duee": ["gplinker", "crf"],
}
"""Every head, and a task that has it."""


def step(task: str, head: str, encoder: Path, output: Path) -> None:
    """Write the gradient of the first step to `TASK-HEAD.safetensors`."""
    job = prepare(request(task, encoder, output / f"{task}-{head}", head, options=STILL))
    gradients: dict[str, torch.Tensor] = {}

    def keep() -> None:
        for name, master in job.stepper.master_weights().items():
            assert master.grad is not None
            gradients[name] = master.grad.clone()

    job.stepper.optimizer.step = keep  # type: ignore[method-assign, assignment]
    job.model.train()
    job._step(np.arange(15))  # an uneven share for two
    if job.processes.main:
        save_file(gradients, str(output / f"{task}-{head}.safetensors"))


def left_out(encoder: Path, output: Path) -> None:
    """Write what an evaluation over several look-aheads counts to `left_out.json`."""
    short = {**STILL, "max_length": 8}
    job = prepare(request("tnews", encoder, output / "left_out", options=short))
    whole, prediction.LOOKAHEAD = prediction.LOOKAHEAD, 5
    counts = evaluate(job.model, job.dev).tally.as_dict()
    prediction.LOOKAHEAD = whole
    if job.processes.main:
        (output / "left_out.json").write_text(json.dumps(counts, ensure_ascii=False), encoding="utf-8")


def main(encoder: Path, output: Path, trained: Path) -> None:
    """All of it; `trained` is the run that predicts."""
    torch.set_num_threads(1)
    output.mkdir(exist_ok=True)
    train = [
        "train", "cluener", "--head", "crf", "--encoder", str(encoder), "--limit", "40", "--eval-limit", "24",
        "--epochs", "2", "--batch-size", "15", "--learning-rate", "0.003", "--max-length", "48", "--overlap", "4",
        "--dropout", "0", "--attention-dropout", "0", "--head-dropout", "0", "--precision", "float32",
        "--device", "cpu", "--output", str(output / "run"),
    ]  # fmt: skip
    predict = [
        "predict", str(trained), "--split", "test", "--device", "cpu", "--precision", "float32",
        "--output", str(output / "answers.jsonl"),
    ]  # fmt: skip
    # A prediction under several processes comes first once, so that it too meets them unprepared.
    for arguments in (predict, train) if trained.exists() else (train, predict):
        status = run(arguments)
        if status:
            sys.exit(status)
    for task, heads in HEADS.items():
        for head in heads:
            step(task, head, encoder, output)
    left_out(encoder, output)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
