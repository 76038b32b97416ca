"""The training loop: repeatable, resumable after any end, exact, and honest about what stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import clue_cli.training as training_module
from clue_cli import console
from clue_cli.contract import Answering
from clue_cli.errors import RunError, UserError
from clue_cli.evaluation import evaluate_run
from clue_cli.gradients import Gradients
from clue_cli.interruption import Interrupted
from clue_cli.main import Terminated
from clue_cli.model import Model
from clue_cli.record import Record
from clue_cli.registry import find_task
from clue_cli.runs import TrainRequest, prepare, train
from clue_cli.sources import Source
from clue_cli.training import Training
from tests.engine_cases import fingerprints, request

STILL = {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
"""No noise, so that gradients can be compared."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    console.configure(quiet=True)
    yield
    torch.set_num_threads(threads)
    console.configure()


def gradients(training: Training) -> dict[str, torch.Tensor]:
    """The summed gradients of the first step of an epoch, of which no weight moves."""
    indices = np.arange(len(training.table))[:16]
    training.stepper.discard()
    training.model.train()
    torch.manual_seed(0)
    _, weight = training.gradients.add(indices)
    return {
        name: total.clone() / weight for name, total in zip(training.stepper.names, training.stepper.sums, strict=True)
    }


def close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float = 1e-5) -> bool:
    scale = max(float(value.abs().max()) for value in a.values())
    return all(float((a[name] - b[name]).abs().max()) <= tolerance * scale for name in a)


# ---------------------------------------------------------------------- a whole run


def test_a_run_learns_and_records_what_clue_eval_finds_again(tiny_encoder: Path, tmp_path: Path) -> None:
    path, record = train(request("tnews", tiny_encoder, tmp_path / "run", limit=None, options={"learning_rate": 5e-3}))
    assert sorted(p.name for p in path.iterdir()) == ["log.jsonl", "model", "predictions.dev.jsonl", "record.json"]
    stored = Record.load(path)
    assert (stored.status, stored.chosen_epoch, len(stored.epochs)) == ("finished", record.chosen_epoch, 2)
    assert stored.epochs[1].loss < stored.epochs[0].loss
    dev = stored.result("accuracy", "dev")
    assert dev is not None
    assert dev.figures == stored.epochs[record.chosen_epoch - 1].figures["accuracy"]
    assert dev.figures["accuracy"] == max(epoch.figures["accuracy"]["accuracy"] for epoch in stored.epochs)
    lines = [json.loads(line) for line in (path / "predictions.dev.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 24
    found = evaluate_run(path, limit=24, precision="float32", device="cpu", save=False)
    assert dict(found.result.scores["accuracy"].figures) == dev.figures
    again = [found.result.task.answer_fields(e, p, Answering(), probabilities=True) for e, p in found.result.pairs]
    assert json.loads(json.dumps(again)) == [line["prediction"] for line in lines]


def test_scoring_shows_how_far_it_is_in_the_trainings_own_bar_and_in_eval(
    tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clue_cli.progress.LINE_EVERY", 0.0)
    monkeypatch.setattr("clue_cli.prediction.NUMBERS_CPU", 4096)  # several batches
    console.configure()
    train(request("cluener", tiny_encoder, tmp_path / "run", "globalpointer"))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    scored = [line.rpartition(", dev ")[2] for line in lines if ", dev " in line]
    assert scored[0] == "0/24"
    assert "24/24" in scored
    assert len(set(scored)) > 3
    assert all("of 6 steps" in line for line in lines)
    evaluate_run(tmp_path / "run", limit=24, precision="float32", device="cpu", tune=True, save=False)
    err = capsys.readouterr().err
    assert "thresholds: 24 of 24 rows" in err
    assert "dev: 24 of 24 rows" in err


def test_the_best_epoch_is_kept_and_waiting_ends_the_run(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([0.3, 0.5, 0.4, 0.5, 0.9])
    monkeypatch.setattr("clue_cli.evaluation.DevResult.primary", lambda self, metric: next(figures))
    _, record = train(request("tnews", tiny_encoder, tmp_path / "run", options={"epochs": 5, "patience": 2}))
    assert (record.chosen_epoch, len(record.epochs)) == (2, 4)
    monkeypatch.undo()
    dev = record.result("accuracy", "dev")
    assert dev is not None
    found = evaluate_run(tmp_path / "run", limit=24, precision="float32", device="cpu", save=False)
    assert dict(found.result.scores["accuracy"].figures) == dev.figures == record.epochs[1].figures["accuracy"]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tiny_encoder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(request("tnews", tiny_encoder, tmp_path / name))
    assert fingerprints(tmp_path / "a") == fingerprints(tmp_path / "b")
    train(request("tnews", tiny_encoder, tmp_path / "c", seed=4))
    assert fingerprints(tmp_path / "a") != fingerprints(tmp_path / "c")


def test_masters_begin_as_the_weights_that_were_loaded(tiny_encoder: Path, tmp_path: Path) -> None:
    """Not as what bf16 leaves of them."""
    exact, rounded = (
        prepare(request("tnews", tiny_encoder, tmp_path / precision, precision=precision)).stepper
        for precision in ("float32", "bf16")
    )
    assert any(parameter.dtype == torch.bfloat16 for parameter in rounded.computing)
    for name, weight in exact.master_weights().items():
        assert torch.equal(rounded.master_weights()[name], weight), name


HEADS = [
    ("tnews", None), ("afqmc", None), ("cluener", "softmax"), ("cluener", "crf"), ("cluener", "globalpointer"),
    ("cluener", "efficient-globalpointer"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "head"), HEADS)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_every_head_trains_moves_all_its_weights_and_answers_the_same_when_loaded(
    tiny_encoder: Path, tmp_path: Path, task: str, head: str | None, precision: str
) -> None:
    asked = request(task, tiny_encoder, tmp_path / "run", head, limit=32, eval_limit=8, precision=precision)
    job = prepare(asked)
    before = {name: weight.detach().clone() for name, weight in job.stepper.master_weights().items()}
    job.run()
    for name, weight in job.stepper.master_weights().items():
        assert torch.isfinite(weight).all(), name
        # Keys' biases shift all scores of a row alike: their gradient is zero but for rounding.
        assert not torch.equal(weight, before[name]) or name.endswith("key.bias"), name
    with job.full_precision():
        job.model.save(tmp_path / "last")
    loaded = Model.load(tmp_path / "last").to_device("cpu", precision)
    features = list(job.table)[:8]
    # A head whose scores differ in the last bit could decode to something else.
    mine, theirs = (m.predict(features, Answering()) for m in (job.model, loaded))
    assert repr(mine) == repr(theirs)
    assert len(mine) == 8
    assert json.loads((tmp_path / "last/encoder/config.json").read_text("utf-8")).get("_attn_implementation") is None
    assert "clue_bf16" not in (tmp_path / "last/encoder/config.json").read_text("utf-8")


# ---------------------------------------------------------------------- interrupted and continued


class Crash(BaseException):
    """As good as `kill -9`: nothing of ours catches it but to record it."""


def crash_at(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, call: int) -> None:
    """Let the `call`-th call of `target.name` raise instead."""
    original, count = getattr(target, name), iter(range(1, 10_000))

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(count) == call:
            raise Crash
        return original(*args, **kwargs)

    monkeypatch.setattr(target, name, wrapped)


CRASHES: list[tuple[str, Any, str, int]] = [
    ("in a step", Training, "_step", 2),
    ("in the second epoch", Training, "_step", 5),
    ("while scoring", training_module, "evaluate", 1),
    ("before the model is kept", Training, "_keep", 1),
    ("while the answers are written", training_module, "write_predictions", 1),
    ("before the first checkpoint of an epoch", training_module, "save_checkpoint", 2),
    ("before a checkpoint inside an epoch", training_module, "save_checkpoint", 3),
    ("while the record is written", Record, "save", 3),
    ("while state.json is replaced", os, "fsync", 30),
]


@pytest.fixture(scope="module")
def whole(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs that nothing interrupted, made once."""
    made: dict[tuple[str, str | None], Path] = {}

    def make(task: str, head: str | None = None) -> Path:
        if (task, head) not in made:
            made[task, head] = tmp_path_factory.mktemp("whole") / "run"
            train(request(task, tiny_encoder, made[task, head], head))
        return made[task, head]

    return make


@pytest.mark.parametrize(("when", "target", "name", "call"), CRASHES, ids=[crash[0] for crash in CRASHES])
def test_a_run_that_crashed_ends_as_if_it_had_not(
    tiny_encoder: Path,
    tmp_path: Path,
    whole: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    target: Any,
    name: str,
    call: int,
) -> None:
    # A checkpoint after every step, so that each kind of moment is met.
    asked = request("tnews", tiny_encoder, tmp_path / "run", save_minutes=0.0)
    crash_at(monkeypatch, target, name, call)
    with pytest.raises(Crash):
        train(asked)
    monkeypatch.undo()
    assert Record.load(tmp_path / "run").status != "finished"
    _, record = train(replace(asked, resume=True))
    assert fingerprints(tmp_path / "run") == fingerprints(whole("tnews"))
    expected = Record.load(whole("tnews"))
    assert [(e.epoch, e.step, e.loss, e.figures) for e in record.epochs] == [
        (e.epoch, e.step, e.loss, e.figures) for e in expected.epochs
    ]
    assert (record.chosen_epoch, record.status) == (expected.chosen_epoch, "finished")
    assert [(r.metric, r.figures, r.errors) for r in record.results] == [
        (r.metric, r.figures, r.errors) for r in expected.results
    ]
    assert not (tmp_path / "run" / "last").exists()


@pytest.mark.parametrize(("task", "head"), [("tnews", None), ("cluener", "crf")])
@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_signal_stops_after_the_step_and_the_run_continues(
    tiny_encoder: Path,
    tmp_path: Path,
    whole: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    head: str | None,
    step: int,
) -> None:
    asked = request(task, tiny_encoder, tmp_path / "run", head)
    original, count = Training._step, iter(range(1, 1000))

    def wrapped(self: Training, *steps: Any) -> Any:
        if next(count) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *steps)

    monkeypatch.setattr(Training, "_step", wrapped)
    with pytest.raises(Interrupted) as stopped:
        train(asked)
    monkeypatch.undo()
    assert stopped.value.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    record = Record.load(tmp_path / "run")
    assert record.status == "interrupted"
    train(replace(asked, resume=True))
    assert fingerprints(tmp_path / "run") == fingerprints(whole(task, head))


def test_a_second_ctrl_c_stops_at_once(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def step(self: Training, *steps: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        done.append(1)

    monkeypatch.setattr(Training, "_step", step)
    with pytest.raises(Interrupted, match="the run is resumable"):
        train(request("tnews", tiny_encoder, tmp_path / "run"))
    assert (done, Record.load(tmp_path / "run").status) == ([], "interrupted")


@pytest.mark.parametrize(("kind", "status"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_signal_before_the_first_step_leaves_a_run_that_says_so(
    kind: type[KeyboardInterrupt], status: int, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first checkpoint, before the loop listens to signals."""

    def announce(*_: object) -> None:
        raise kind

    monkeypatch.setattr("clue_cli.runs._announce", announce)
    with pytest.raises(Interrupted, match="the run is resumable") as stopped:
        train(request("tnews", tiny_encoder, tmp_path / "run"))
    assert (stopped.value.exit_status, Record.load(tmp_path / "run").status) == (status, "interrupted")


KILLED = """
import os, signal, sys
from pathlib import Path
from clue_cli import checkpoint
from clue_cli.runs import train
from tests.engine_cases import request
import torch
torch.set_num_threads(1)
original, count = os.fsync, iter(range(1, 1000))
def fsync(handle):
    if next(count) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    original(handle)
os.fsync = fsync
train(request("tnews", Path(sys.argv[1]), Path(sys.argv[2]), save_minutes=0.0))
"""


def test_a_killed_process_continues_to_the_same_bits(
    tiny_encoder: Path, tmp_path: Path, whole: Callable[..., Path]
) -> None:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tiny_encoder), str(tmp_path / "run")],
        env=here,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert Record.load(tmp_path / "run").status == "running"
    train(replace(request("tnews", tiny_encoder, tmp_path / "run"), resume=True))
    assert fingerprints(tmp_path / "run") == fingerprints(whole("tnews"))


def test_scores_on_dev_that_are_not_finite_leave_the_model_of_before(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("tnews", tiny_encoder, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, Training, "_step", 4)
        train(asked)
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "model").rglob("*") if path.is_file()}
    assert before
    original = Model.forward

    def broken(self: Model, batch: Any, *, want_loss: bool = False) -> Any:
        output = original(self, batch, want_loss=want_loss)
        return output if want_loss else output._replace(scores=output.scores * float("inf"))

    monkeypatch.setattr(Model, "forward", broken)
    with pytest.raises(RunError, match=r"score on dev after step \d+ is not finite; the last good checkpoint is"):
        train(replace(asked, resume=True))
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    tiny_encoder: Path, tmp_path: Path, whole: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("tnews", tiny_encoder, tmp_path / "run")
    prepare(asked).release()  # as the system does for a process that ends
    for path in (tmp_path / "run" / "last").iterdir():
        path.unlink()
    train(replace(asked, resume=True))
    assert fingerprints(tmp_path / "run") == fingerprints(whole("tnews"))


@pytest.mark.parametrize("name", ["encoding", "device"])
def test_a_checkpoint_of_before_a_mark_was_kept_is_continued(
    name: str, tiny_encoder: Path, tmp_path: Path, whole: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("tnews", tiny_encoder, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, Training, "_step", 4)
        train(asked)
    path = tmp_path / "run" / "last" / "state.json"
    state = json.loads(path.read_text("utf-8"))
    del state["signature"][name]
    path.write_text(json.dumps(state), encoding="utf-8")
    train(replace(asked, resume=True))
    assert fingerprints(tmp_path / "run") == fingerprints(whole("tnews"))


def test_a_run_continued_elsewhere_says_so(
    tiny_encoder: Path, tmp_path: Path, whole: Callable[..., Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    asked = request("tnews", tiny_encoder, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, Training, "_step", 4)
        train(asked)
    path = tmp_path / "run" / "record.json"
    begun = json.loads(path.read_text("utf-8"))
    now = begun["environment"]["libraries"]["torch"]
    path.write_text(json.dumps({**begun, "device": "cuda:1"}), encoding="utf-8")
    with pytest.raises(UserError, match="device changed from cuda to cpu"):
        train(replace(asked, resume=True))
    begun["environment"]["libraries"]["torch"] = "2.6.0"
    path.write_text(json.dumps(begun), encoding="utf-8")
    part = tmp_path / "run" / ".record.json.1-1.part"
    part.write_text("{")
    train(replace(asked, resume=True))
    assert f"torch 2.6.0 became {now}" in " ".join(capsys.readouterr().err.split())
    assert Record.load(tmp_path / "run").environment.libraries["torch"] == now
    assert not part.exists()
    assert fingerprints(tmp_path / "run") == fingerprints(whole("tnews"))


def test_resume_refuses_what_would_be_another_run(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("tnews", tiny_encoder, tmp_path / "run", group="abc")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, Training, "_step", 4)
        train(asked)
    before = (tmp_path / "run" / "record.json").read_bytes()
    again = replace(asked, resume=True)
    changes: list[tuple[Any, str]] = [
        (replace(again, options={**again.options, "batch_size": 8, "learning_rate": 2e-3}), "--batch-size 16 became 8"),
        (replace(again, options={**again.options, "learning_rate": 2e-3}), "--learning-rate 0.001 became 0.002"),
        (replace(again, seed=5), "seed changed from 3 to 5"),
        (replace(again, limit=30), "train gave 40 rows and now 30 (--limit"),
        (replace(again, precision="bf16"), "precision changed"),
        (replace(request("cluener", tiny_encoder, tmp_path / "run"), resume=True), "task tnews became cluener"),
    ]
    for changed, message in changes:
        with pytest.raises(UserError) as error:
            train(changed)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    assert (tmp_path / "run" / "record.json").read_bytes() == before
    for path in (tmp_path / "run" / "last").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        train(again)
    assert (tmp_path / "run" / "record.json").read_bytes() == before


def test_a_continued_run_keeps_its_group_and_a_finished_one_is_not_continued(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("tnews", tiny_encoder, tmp_path / "run", group="abc", limit=16, options={"epochs": 1})
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, Training, "_step", 1)
        train(asked)
    _, record = train(replace(asked, resume=True, group=None))
    assert record.group == Record.load(tmp_path / "run").group == "abc"
    with pytest.raises(UserError, match="finished"):
        train(replace(asked, resume=True))
    with pytest.raises(UserError, match="there is no run"):
        train(replace(asked, resume=True, output=tmp_path / "nothing"))
    with pytest.raises(UserError, match="--resume needs"):
        train(replace(asked, resume=True, output=None))


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_last_good_checkpoint(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = Gradients._backward, iter(range(1, 1000))

    def wrapped(self: Gradients, batch: Any) -> Any:
        loss, weight = original(self, batch)
        return (loss * float("nan") if next(count) == 5 else loss), weight

    asked = request("tnews", tiny_encoder, tmp_path / "run")
    monkeypatch.setattr(Gradients, "_backward", wrapped)
    with pytest.raises(RunError, match="loss of step 5 is not finite") as error:
        train(asked)
    assert str(tmp_path / "run" / "last") in str(error.value)
    monkeypatch.undo()
    record = Record.load(tmp_path / "run")
    assert record.status == "failed"
    assert "step 5" in str(record.error)
    assert json.loads((tmp_path / "run/last/state.json").read_text("utf-8"))["step"] == 3
    train(replace(asked, resume=True))


# ---------------------------------------------------------------------- one step


def test_smaller_micro_batches_and_a_full_memory_give_the_same_gradients(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = prepare(request("cluener", tiny_encoder, tmp_path / "run", "globalpointer", options=STILL))
    expected = gradients(job)
    job.gradients.budget = 100
    assert close(expected, gradients(job))
    job.gradients.budget = 10_000
    sizes = []

    def forward(self: Model, batch: Any, *, want_loss: bool = False) -> Any:
        sizes.append(len(batch["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("not enough")
        return original(self, batch, want_loss=want_loss)

    original = Model.forward
    monkeypatch.setattr(Model, "forward", forward)
    console.configure()
    assert close(expected, gradients(job))
    assert close(expected, gradients(job))
    assert sizes[0] == 16
    assert capsys.readouterr().err.count("out of device memory") == 1
    monkeypatch.setattr(Model, "forward", lambda *a, **k: (_ for _ in ()).throw(torch.OutOfMemoryError("none")))
    with pytest.raises(RunError, match="one example does not fit"):
        gradients(job)


def test_a_step_repeated_for_want_of_memory_draws_the_same_noise(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(request("cluener", tiny_encoder, tmp_path / "run", "globalpointer"))
    original, failures = Gradients._backward, [torch.OutOfMemoryError("not enough")]

    def backward(self: Gradients, batch: Any) -> Any:
        result = original(self, batch)  # noise was drawn before memory came to its end
        if failures:
            raise failures.pop()
        return result

    monkeypatch.setattr(Gradients, "_backward", backward)
    repeated = gradients(job)
    assert not failures
    assert len(job.gradients.parts(np.arange(16))) > 1
    assert close(repeated, gradients(job))


def test_memory_that_ends_in_the_optimiser_says_so(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(request("tnews", tiny_encoder, tmp_path / "run", options=STILL))

    def step(*_: object) -> float:
        raise torch.OutOfMemoryError("not enough")

    monkeypatch.setattr(job.stepper, "step", step)
    with pytest.raises(RunError, match="optimiser's state"):
        job.run()


def test_what_was_laid_out_ahead_is_used_for_its_own_rows_only(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(request("cluener", tiny_encoder, tmp_path / "run", options=STILL))
    expected = gradients(job)
    share, other = np.arange(16), np.arange(16, 32)
    laid_out: list[int] = []
    original = Model.laid_out

    def count(self: Model, features: Any) -> Any:
        laid_out.append(len(features))
        return original(self, features)

    monkeypatch.setattr(Model, "laid_out", count)
    for ahead, times in ((share, 1), (other, 2)):
        laid_out.clear()
        job.gradients._prepare(job.gradients.parts(ahead)[0])
        assert close(expected, gradients(job), 0)
        assert laid_out == [16] * times


def test_an_operation_without_a_repeatable_form_is_told_and_used(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on CUDA: strict until an operation refuses; the step is done again with the same noise."""
    job = prepare(request("tnews", tiny_encoder, tmp_path / "run"))
    expected = gradients(job)
    original = Model.forward

    def forward(self: Model, batch: Any, *, want_loss: bool = False) -> Any:
        output = original(self, batch, want_loss=want_loss)
        if not torch.is_deterministic_algorithms_warn_only_enabled():
            raise RuntimeError("odd_kernel does not have a deterministic implementation, but you set ...")
        return output

    monkeypatch.setattr(Model, "forward", forward)
    with pytest.raises(RuntimeError, match="odd_kernel"):  # nobody asked for the same bits: not ours to mend
        gradients(job)
    console.configure()
    torch.use_deterministic_algorithms(True)
    try:
        assert close(expected, gradients(job), 0)
        assert close(expected, gradients(job), 0)
    finally:
        torch.use_deterministic_algorithms(False)
    assert capsys.readouterr().err.count("odd_kernel has no repeatable form") == 1


def test_a_full_memory_ends_also_where_units_are_of_several_features(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(request("tnews", tiny_encoder, tmp_path / "run"))
    job.table.units = job.table.units // 2
    monkeypatch.setattr(Model, "forward", lambda *a, **k: (_ for _ in ()).throw(torch.OutOfMemoryError("none")))
    with pytest.raises(RunError, match="one example does not fit"):
        job.gradients.add(np.arange(8))


def test_a_step_without_anything_to_learn_moves_nothing(tiny_encoder: Path, tmp_path: Path) -> None:
    """Questions without an answer in their passage weigh nothing; they may fill a step, but not an epoch."""
    (tmp_path / "task.toml").write_text('family = "reading"\n', encoding="utf-8")
    rows = [
        {"id": i, "question": "谁？", "context": f"李雷在第{i}中学。", "answers": [{"text": said, "answer_start": 0}]}
        for i, said in enumerate(["李雷", "王明", "王明"])
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (tmp_path / "dev.jsonl").write_text(lines[0], encoding="utf-8")
    for first, steps in ((0, 3), (1, 0)):
        (tmp_path / "train.jsonl").write_text("".join(lines[first:]), encoding="utf-8")
        asked = TrainRequest(
            find_task(str(tmp_path)), Source.open(tmp_path), False, "span", find_task(str(tmp_path)).default_metric,
            {"batch_size": 1, "epochs": 1, "max_length": 40, "overlap": 4}, encoder=str(tiny_encoder),
            device="cpu", precision="float32", output=tmp_path / f"run{first}",
        )  # fmt: skip
        if steps:
            assert train(asked)[1].epochs[0].step == steps
        else:
            with pytest.raises(RunError, match="nothing in epoch 1 can be learnt"):
                train(asked)
    job = prepare(replace(asked, output=tmp_path / "other"))
    before = [master.clone() for master in job.stepper.masters]
    assert job._step(np.arange(1)) == (0.0, 0.0)
    assert all(torch.equal(one, other) for one, other in zip(before, job.stepper.masters, strict=True))


@pytest.mark.parametrize("budget", [40, 200])
def test_windows_are_cut_by_their_own_length(
    tiny_encoder: Path, tmp_path: Path, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading: the windows of a question may stand in different micro-batches; sum of gradients and loss stay."""
    whole, cut = (prepare(request("cmrc2018", tiny_encoder, tmp_path / name, options=STILL)) for name in "ab")
    cut.gradients.budget = budget
    share = np.flatnonzero(whole.table.units < 6)
    expected = whole.gradients.add(share)
    assert len(share) > 12 and len(whole.gradients.parts(share)) == 1
    parts = cut.gradients.parts(share)
    assert sorted(i for part in parts for i in part) == share.tolist()
    assert all(len(part) * int(cut.table.lengths[part].max()) <= budget or len(part) == 1 for part in parts)
    longest = [int(cut.table.lengths[part].max()) for part in parts]
    assert len(parts) > 3 and longest == sorted(longest, reverse=True)
    assert cut.gradients.add(share) == pytest.approx(expected, rel=1e-5)
    found = ({n: s.clone() for n, s in zip(j.stepper.names, j.stepper.sums, strict=True)} for j in (whole, cut))
    assert close(*found)
    monkeypatch.setattr(Model, "forward", lambda *a, **k: (_ for _ in ()).throw(torch.OutOfMemoryError("none")))
    with pytest.raises(RunError, match="one example does not fit"):
        cut.gradients.add(share)


def test_gradient_checkpointing_changes_no_gradient(tiny_encoder: Path, tmp_path: Path) -> None:
    plain, saving = (
        gradients(
            prepare(request("tnews", tiny_encoder, tmp_path / str(on), options={**STILL, "gradient_checkpointing": on}))
        )
        for on in (False, True)
    )
    assert close(plain, saving, 1e-6)


def test_fgm_adds_the_gradient_at_moved_embeddings_and_puts_them_back(tiny_encoder: Path, tmp_path: Path) -> None:
    plain = prepare(request("tnews", tiny_encoder, tmp_path / "plain", options=STILL))
    moved = prepare(request("tnews", tiny_encoder, tmp_path / "fgm", options={**STILL, "fgm": 0.5}))
    table = moved.model.encoder.model.get_input_embeddings().weight
    before = table.detach().clone()
    found = gradients(moved)
    assert torch.equal(table, before)
    first = gradients(plain)
    # The slow statement: the plain gradient, and the one at embeddings moved along it.
    own = plain.model.encoder.model.get_input_embeddings().weight
    pairs = zip(plain.stepper.names, plain.stepper.computing, strict=True)
    direction = next(first[name] for name, parameter in pairs if parameter is own)
    own.data.add_(0.5 * direction / direction.norm())
    second = gradients(plain)
    assert close({name: first[name] + second[name] for name in first}, found)
    assert not close(first, second, 1e-3)


def test_r_drop_is_the_mean_loss_and_the_weighted_divergence_of_two_passes(tiny_encoder: Path, tmp_path: Path) -> None:
    noise = {"r_drop": 4.0}
    job = prepare(request("tnews", tiny_encoder, tmp_path / "run", options=noise))
    found = gradients(job)
    job.model.zero_grad()
    torch.manual_seed(0)
    batch = job.model.batch([job.table[i] for i in range(16)])
    first, second = (job.model(batch, want_loss=True) for _ in range(2))
    p, q = (torch.log_softmax(output.scores, -1) for output in (first, second))
    kl = torch.nn.functional.kl_div
    divergence = (kl(p, q, reduction="sum", log_target=True) + kl(q, p, reduction="sum", log_target=True)) / 2
    ((first.loss_sum + second.loss_sum) / 2 + 4.0 * divergence).backward()
    slow = {
        name: parameter.grad / float(first.weight)
        for name, parameter in zip(job.stepper.names, job.stepper.computing, strict=True)
    }
    assert close(slow, found)


def test_r_drop_is_refused_where_a_head_has_none(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no R-Drop"):
        train(request("duie", tiny_encoder, tmp_path / "a" / "run", "casrel", options={"r_drop": 1.0}))
    assert list(tmp_path.iterdir()) == []


def test_class_weights_weigh_labels_by_their_rarity(tiny_encoder: Path, tmp_path: Path) -> None:
    job = prepare(request("afqmc", tiny_encoder, tmp_path / "run", options={**STILL, "class_weights": "balanced"}))
    labels = np.array([feature.targets["labels"] for feature in job.table])
    counts = np.bincount(labels, minlength=2)
    batch = job.model.batch(list(job.table))
    output = job.model(batch, want_loss=True)
    slow = torch.nn.functional.cross_entropy(
        output.scores, batch["labels"], weight=torch.tensor(40 / (2 * counts), dtype=torch.float32)
    )
    assert (output.loss_sum / output.weight).item() == pytest.approx(slow.item(), rel=1e-5)
