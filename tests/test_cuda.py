"""What only an accelerator can show: every head on it, the same bits again, its memory coming to an end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clue_cli import console
from clue_cli.evaluation import evaluate_run
from clue_cli.model import Model
from clue_cli.prediction import Predictor
from clue_cli.record import Record
from clue_cli.runs import prepare, train
from clue_cli.training import Training
from heads.base import DecodeOptions, Head
from tests.engine_cases import LONGEST, fingerprints, request
from tests.heads.cases import CASES, batch_of, build, loss_of
from tests.processes_script import HEADS, STILL

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is at hand")
EVERY = [(task, head) for task, heads in HEADS.items() for head in heads]
every_head = pytest.mark.parametrize(("task", "head"), EVERY, ids=[f"{task}-{head}" for task, head in EVERY])
GPU: dict[str, Any] = {"device": "cuda", "precision": None}
"""As a user gets it: the device's fast precision."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    console.configure(quiet=True)
    yield
    console.configure()
    torch.use_deterministic_algorithms(False)
    gc.collect()
    torch.cuda.empty_cache()


class Peak:
    """The most bytes that torch held in the block of `peak_memory`."""

    peak = 0


@contextmanager
def peak_memory() -> Iterator[Peak]:
    found = Peak()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield found
    found.peak = torch.cuda.max_memory_allocated()


@contextmanager
def limited_memory(amount: float) -> Iterator[None]:
    """No more than so many bytes of the device inside."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(amount / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


# ---------------------------------------------------------------------- heads


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_head_gives_the_loss_gradient_and_answer_of_the_processor(kind: type[Head]) -> None:
    found = []
    for device in ("cpu", "cuda"):
        head = build(kind).to(device)
        torch.manual_seed(1)
        for parameter in head.parameters():
            parameter.data = 0.5 * torch.randn(parameter.shape).to(device)
        hidden, batch = ({name: x.to(device) for name, x in part.items()} for part in batch_of(kind))
        for states in hidden.values():
            states.requires_grad_()
        loss = loss_of(head(hidden, batch, want_loss=True))
        loss.backward()
        leaves = [*head.parameters(), *hidden.values()]
        gradient = torch.cat([leaf.grad.flatten().cpu() for leaf in leaves if leaf.grad is not None])
        with torch.inference_mode():
            answers = head.eval().decode(head(hidden, batch, want_loss=False), batch, DecodeOptions())
        found.append((loss.detach().cpu(), gradient, CASES[kind].read(answers, batch)))
    (loss, gradient, answers), (other, its_gradient, its_answers) = found
    torch.testing.assert_close(other, loss, rtol=1e-4, atol=1e-5)
    assert float((its_gradient - gradient).norm() / gradient.norm()) < 1e-4
    assert its_answers == answers


# ---------------------------------------------------------------------- trainings


@every_head
def test_the_same_seed_gives_the_same_bits(tiny_encoder: Path, tmp_path: Path, task: str, head: str) -> None:
    for name in ("a", "b"):
        train(request(task, tiny_encoder, tmp_path / name, head, **GPU))
    assert fingerprints(tmp_path / "a") == fingerprints(tmp_path / "b")
    record = Record.load(tmp_path / "a")
    assert (record.device, record.precision) == ("cuda", "bf16")
    assert record.timing.peak_gpu_memory
    assert record.environment.gpu


@pytest.mark.parametrize("task", ["tnews", "cluener", "cmrc2018"])
def test_the_shipped_encoder_gives_the_same_bits_whether_interrupted_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    options = {"options": {"max_length": max(96, LONGEST[task])}, "limit": 96, **GPU}
    whole, broken = (request(task, Path("mini-zh"), tmp_path / name, **options) for name in ("whole", "broken"))
    train(whole)
    original, count = Training._step, iter(range(1, 1000))

    def crash(self: Training, *steps: Any) -> Any:
        if next(count) == 4:
            raise KeyboardInterrupt
        return original(self, *steps)

    monkeypatch.setattr(Training, "_step", crash)
    with pytest.raises(KeyboardInterrupt):
        train(replace(broken, save_minutes=0.0))
    monkeypatch.undo()
    train(replace(broken, resume=True))
    assert fingerprints(tmp_path / "whole") == fingerprints(tmp_path / "broken")


@every_head
def test_float32_gradients_are_those_of_the_processor(tiny_encoder: Path, tmp_path: Path, task: str, head: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        options = {"options": STILL, "device": device, "precision": "float32"}
        job = prepare(request(task, tiny_encoder, tmp_path / device, head, **options))
        job.model.train()
        job.gradients.add(np.arange(16))
        found.append(torch.cat([total.flatten().cpu() for total in job.stepper.sums]))
    size = max(float(found[0].norm()), 1e-2)  # choices of one question nearly cancel before training
    assert float((found[0] - found[1]).norm()) < 1e-3 * size


def test_a_full_memory_halves_the_micro_batch_and_the_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**STILL, "batch_size": 512, "epochs": 1, "max_length": 512, "clip": 0.0}
    asked = {"options": options, "limit": None, "eval_limit": 8, "device": "cuda", "precision": "float32"}
    job = prepare(request("cmrc2018", Path("mini-zh"), tmp_path / "run", **asked))
    share = np.arange(len(job.table))[:128]
    job.model.train()
    with peak_memory() as whole:
        job.gradients.add(share)
    expected = torch.cat([total.flatten() for total in job.stepper.sums])
    job.stepper.discard()
    console.configure()
    with limited_memory(whole.peak / 3):
        for _ in range(2):
            job.gradients.add(share)
            found = torch.cat([total.flatten() for total in job.stepper.sums])
            job.stepper.discard()
            assert float((found - expected).norm() / expected.norm()) < 1e-4
    assert capsys.readouterr().err.count("out of device memory") == 1


# ---------------------------------------------------------------------- answers


@every_head
def test_answers_are_those_of_the_processor(tiny_encoder: Path, tmp_path: Path, task: str, head: str) -> None:
    options = {"learning_rate": 3e-3, "epochs": 1}
    run, record = train(request(task, tiny_encoder, tmp_path / "run", head, limit=200, options=options, **GPU))
    again = evaluate_run(run, limit=24, device="cuda", save=False)
    metric = record.metrics[0]
    dev = record.result(metric, "dev")
    assert dev is not None
    assert dict(again.result.scores[metric].figures) == dev.figures
    examples = [example for example, _ in again.result.pairs]
    answers = []
    for device in ("cpu", "cuda"):
        predictor = Predictor(Model.load(run / "model").to_device(device, "float32"))
        answers.append([prediction.answer for _, prediction in predictor.examples(examples)])
    same = sum(mine == theirs for mine, theirs in zip(*answers, strict=True))
    # A score beside a threshold may fall on either side of it.
    assert same >= len(examples) - 1


def test_a_full_memory_halves_the_batches_of_a_prediction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"options": {"max_length": 512}, "limit": 8, "device": "cuda", "precision": "float32"}
    job = prepare(request("cmrc2018", Path("mini-zh"), tmp_path / "run", **options))
    examples = list(job.dev) * 20
    with peak_memory() as whole:
        expected = [prediction.answer for _, prediction in Predictor(job.model).examples(examples)]
    console.configure()
    with limited_memory(whole.peak / 2):
        found = [prediction.answer for _, prediction in Predictor(job.model).examples(examples)]
    assert capsys.readouterr().err.count("out of device memory") == 1
    # The head is not trained: two spans of nearly the same score may change places.
    assert sum(mine == theirs for mine, theirs in zip(found, expected, strict=True)) >= 0.95 * len(expected)
