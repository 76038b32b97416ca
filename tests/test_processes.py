"""Two processes under `accelerate launch` against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clue_cli.record import Record
from clue_cli.registry import find_task, load_object
from tests.heads.cases import CASES
from tests.processes_script import HEADS, main

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that is free now. 0 would leave the choice to torch, but torch 2.6 takes it at its word and waits."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_every_head_is_among_those_compared() -> None:
    compared = {load_object(find_task(task).heads[head]) for task, heads in HEADS.items() for head in heads}
    assert compared == set(CASES)


@pytest.mark.slow
def test_two_processes_are_as_one(tiny_encoder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    one, two = tmp_path / "one", tmp_path / "two"
    try:
        main(tiny_encoder, one, one / "run")
    finally:
        torch.set_num_threads(threads)
    told = capfd.readouterr()
    # On a machine without GPUs `--cpu` and the plain form start one process only, whatever --num_processes says.
    launch = [
        sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--multi_gpu",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
        "--num_cpu_threads_per_process", "1", "--main_process_port", str(free_port()),
    ]  # fmt: skip
    script = [str(ROOT / "tests" / "processes_script.py"), str(tiny_encoder), str(two), str(one / "run")]
    done = subprocess.run(
        [*launch, *script], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr

    for name in (f"{task}-{head}.safetensors" for task, heads in HEADS.items() for head in heads):
        mine, theirs = load_file(str(one / name)), load_file(str(two / name))
        assert mine.keys() == theirs.keys()
        size = torch.cat([gradient.flatten() for gradient in mine.values()]).norm()
        difference = torch.cat([(mine[key] - theirs[key]).flatten() for key in mine]).norm()
        assert float(size) > 1e-3, name
        # Choices of one question nearly cancel before training: what is left of the parts' own rounding is absolute.
        assert float(difference) < 1e-5 * max(float(size), 1e-2), name

    records = [Record.load(where / "run") for where in (one, two)]
    assert [record.processes for record in records] == [1, 2]
    for alone, together in zip(*(record.epochs for record in records), strict=True):
        assert alone.step == together.step
        assert alone.loss == pytest.approx(together.loss, rel=1e-5)
        assert alone.figures == together.figures
    assert records[0].results[0].figures == records[1].results[0].figures
    assert (one / "answers.jsonl").read_bytes() == (two / "answers.jsonl").read_bytes()
    counts = json.loads((one / "left_out.json").read_text("utf-8"))
    assert counts == json.loads((two / "left_out.json").read_text("utf-8"))
    assert min(counts.values()) > 0
    # Only the main process tells: every line once.
    assert done.stderr.count("epoch 1/2") == told.err.count("epoch 1/2") == 1
    assert done.stdout.count("clue leaderboard") == told.out.count("clue leaderboard") == 1


def test_several_processes_that_cannot_speak_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`accelerate` takes each of several processes on MPS for the only one, and each would write the run."""
    from types import SimpleNamespace

    from clue_cli import process_group
    from clue_cli.errors import UserError

    alone = SimpleNamespace(process_index=0, num_processes=1, is_main_process=True)
    monkeypatch.setattr(process_group, "join", lambda *, cpu: alone)
    assert process_group.ProcessGroup(torch.device("mps")).count == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="not on mps"):
        process_group.ProcessGroup(torch.device("mps"))
