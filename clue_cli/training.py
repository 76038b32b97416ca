"""The training loop: epochs of exact batches, the best epoch kept, interruptible at any moment.

One process or many run the same loop. Each process computes its share of every step's units; gradients and loss weights
are summed over processes in float32 once a step, so that uneven shares need no care. Everything random follows from
(seed, epoch, process) or stands in the checkpoint: a run that was killed and resumed ends with the same weights, bit
for bit on the same machine, as one that was not.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from clue_cli import console, run_log
from clue_cli.batching import share_of_process, steps_of_epoch
from clue_cli.checkpoint import load_checkpoint, random_state, restore_random_state, save_checkpoint
from clue_cli.dropout import cheapen_dropout
from clue_cli.environment import peak_memory, trim_memory
from clue_cli.errors import NotFiniteError, RunError, UserError
from clue_cli.evaluation import DevResult, evaluate, write_predictions
from clue_cli.gradients import Gradients
from clue_cli.interruption import Interrupted, StopRequest
from clue_cli.optimizers import Stepper
from clue_cli.precision import out_of_memory
from clue_cli.process_group import ProcessGroup

if TYPE_CHECKING:
    from clue_cli.contract import Example, Recipe
    from clue_cli.features import FeatureTable
    from clue_cli.model import Model
    from clue_cli.prediction import OnRows
    from clue_cli.progress import Progress as ProgressBar
    from clue_cli.record import Record

LAST, MODEL = "last", "model"
LOG_EVERY = 25
"""Optimiser steps between two lines of log.jsonl."""
TRIM_EVERY = 25
"""Optimiser steps on a processor after which freed memory goes back to the system."""


@dataclass
class Progress:
    """Where a training stands; what `state.json` of a checkpoint holds."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    """Steps done in the current epoch."""
    loss: float = 0.0
    weight: float = 0.0
    """Sums over the current epoch."""
    best: float = -math.inf
    best_epoch: int = 0
    waited: int = 0
    """Epochs since the best."""
    seconds: float = 0.0
    examples: int = 0
    tokens: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        values = dict(vars(self))
        values["best"] = None if self.best == -math.inf else self.best
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Progress:
        """Inverse of `as_dict`; other fields are passed over."""
        known = {name: values[name] for name in cls().__dict__ if name in values}
        if known.get("best") is None:
            known["best"] = -math.inf
        return cls(**known)


@dataclass
class Training:
    """One run: `model` on its device, `table` the features of train, `dev` the examples that choose the epoch.

    metric: id of the metric whose primary figure chooses the epoch. masters: see `Stepper`. save_seconds: time between
    two checkpoints inside an epoch (each epoch ends with one).
    """

    model: Model
    recipe: Recipe
    table: FeatureTable
    dev: Sequence[Example]
    metric: str
    seed: int
    directory: Path
    record: Record
    processes: ProcessGroup
    signature: dict[str, Any]
    release: Callable[[], None]
    """Lets go of the directory, which no other training writes to before."""
    masters: dict[nn.Parameter, Tensor] = field(default_factory=dict)
    save_seconds: float = 600.0
    progress: Progress = field(default_factory=Progress)
    _stop: StopRequest = field(default_factory=StopRequest)

    def __post_init__(self) -> None:
        """Set up masters, optimiser and the order of units."""
        if self.model.device.type == "cpu":
            cheapen_dropout(self.model)
        units = len(np.unique(self.table.units))
        self.steps_per_epoch = math.ceil(units / self.recipe.batch_size)
        self.total_steps = self.steps_per_epoch * self.recipe.epochs
        self.stepper = Stepper(self.model.encoder, self.model.head, self.recipe, self.total_steps, self.masters)
        self.gradients = Gradients(self.model, self.recipe, self.table, self.stepper)

    # ------------------------------------------------------------------ the loop

    def begin(self, *, resume: bool) -> None:
        """Write the first checkpoint, or go back to the last one; then `run`.

        A run that was killed before its first checkpoint begins anew. UserError for a checkpoint that cannot be used.
        """
        torch.manual_seed(self.seed * 1_000_003 + self.processes.rank)
        if resume and not self._is_bare():
            self._resume()
        else:
            self._save()

    def _is_bare(self) -> bool:
        """Whether the run has a record and nothing more: no step of it was ever kept."""
        return not any((self.directory / name).exists() for name in (f"{LAST}/state.json", run_log.FILE_NAME, MODEL))

    def run(self) -> None:
        """Train to the end, or to an interruption. Raises Interrupted or RunError with the run left resumable."""
        total, done = self.total_steps, self.progress.step
        with self._stop.listening(), console.progress(total, "train", unit="steps", done=done) as bar:
            while self.progress.epoch < self.recipe.epochs and not self._patience_ended():
                self._epoch(bar)
                self._end_epoch(bar)
        self.processes.wait()
        self.record.chosen_epoch = self.progress.best_epoch

    def drop_checkpoint(self) -> None:
        """Remove what only an unfinished run needs (main process, after the record says that the run is finished)."""
        shutil.rmtree(self.directory / LAST, ignore_errors=True)

    def _patience_ended(self) -> bool:
        return self.recipe.patience > 0 and self.progress.waited >= self.recipe.patience

    def _epoch(self, bar: ProgressBar) -> None:
        state = self.progress
        steps = steps_of_epoch(
            self.table.lengths, self.table.units, self.recipe.batch_size, seed=self.seed, epoch=state.epoch
        )
        saved = began = time.monotonic()
        for position in range(state.position, len(steps)):
            indices = steps[position]
            self.model.train()
            loss, weight = self._step(indices, steps[position + 1] if position + 1 < len(steps) else None)
            state.step += 1
            state.position += 1
            state.loss += loss
            state.weight += weight
            state.examples += len(np.unique(self.table.units[indices]))
            state.tokens += int(self.table.lengths[indices].sum())
            now = time.monotonic()
            state.seconds += now - began
            began = now
            bar.advance(1, f"loss {state.loss / max(state.weight, 1e-9):.4f}")
            if state.step % TRIM_EVERY == 0 and self.model.device.type == "cpu":
                trim_memory()
            told = state.step % LOG_EVERY == 0 or position + 1 == len(steps)
            if told and weight and self.processes.main:
                run_log.append(self.directory, self._log_line(loss / weight))
            due = self.processes.main and now - saved > self.save_seconds
            stop, due = self.processes.agree(bool(self._stop.number), due, device=self.model.device)
            if stop or due:
                self._save()
                saved = began = time.monotonic()
            if stop:
                raise Interrupted(self._stop.number or signal.SIGTERM, self.directory)

    def _end_epoch(self, bar: ProgressBar) -> None:
        state = self.progress
        if state.weight <= 0:
            raise RunError(f"nothing in epoch {state.epoch + 1} can be learnt from", where=str(self.directory))
        began = time.monotonic()
        try:
            result = evaluate(self.model, self.dev, on_rows=self._scoring(bar))
        except NotFiniteError as error:
            raise self._not_finite("score on dev after", state.step) from error
        scoring = time.monotonic() - began
        figure = result.primary(self.metric)
        state.epoch += 1
        state.position = 0
        if self.processes.main:
            self._record_epoch(result, scoring)
        if figure > state.best or not state.best_epoch:
            state.best, state.best_epoch, state.waited = figure, state.epoch, 0
            if self.processes.main:
                self._keep(result)
        else:
            state.waited += 1
        if self.processes.main:
            console.message(
                f"epoch {state.epoch}/{self.recipe.epochs}: loss {state.loss / max(state.weight, 1e-9):.4f}, "
                f"dev {self.metric} {100 * figure:.2f}" + (" (best so far)" if state.best_epoch == state.epoch else "")
            )
        state.loss = state.weight = 0.0
        self._save()
        (stop,) = self.processes.agree(bool(self._stop.number), device=self.model.device)
        if stop and state.epoch < self.recipe.epochs and not self._patience_ended():
            raise Interrupted(self._stop.number or signal.SIGTERM, self.directory)

    def _scoring(self, bar: ProgressBar) -> OnRows:
        """Shows in the training's own bar how far the scoring is: the lowest rich allowed has no bar within a bar."""
        done = 0

        def on_rows(rows: int) -> None:
            nonlocal done
            done += rows
            bar.advance(0, f"dev {done:,}/{len(self.dev):,}")

        on_rows(0)
        return on_rows

    def _record_epoch(self, result: DevResult, scoring: float) -> None:
        from clue_cli.record import Epoch

        state, record = self.progress, self.record
        record.epochs = [epoch for epoch in record.epochs if epoch.epoch < state.epoch]
        record.epochs.append(
            Epoch(
                epoch=state.epoch,
                step=state.step,
                seconds=round(state.seconds, 3),
                loss=state.loss / state.weight if state.weight else None,
                figures=result.figures(),
            )
        )
        phases = record.timing.phases
        phases["train"] = round(state.seconds, 3)
        phases["score"] = round(phases.get("score", 0.0) + scoring, 3)
        if state.seconds > 0:
            record.timing.examples_per_second = round(state.examples / state.seconds, 2)
            record.timing.tokens_per_second = round(state.tokens / state.seconds, 1)

    def _keep(self, result: DevResult) -> None:
        """Make this epoch's weights and dev answers the run's."""
        with self.full_precision():
            self.model.save(self.directory / MODEL)
        write_predictions(self.directory / "predictions.dev.jsonl", self.model.task, result)
        self.record.chosen_epoch = self.progress.epoch
        for score in result.results("dev"):
            self.record.add_result(score)
        self.record.data.left_out["dev"] = {**self.record.data.left_out.get("dev", {}), **result.tally.as_dict()}

    @contextlib.contextmanager
    def full_precision(self) -> Iterator[None]:
        """Inside, the model's parameters are the float32 masters (for saving)."""
        computing = [(p, p.data) for p in self.stepper.computing]
        for (parameter, _), master in zip(computing, self.stepper.masters, strict=True):
            if parameter is not master:
                parameter.data = master.data
        try:
            yield
        finally:
            for parameter, data in computing:
                parameter.data = data

    # ------------------------------------------------------------------ one step

    def _share(self, indices: np.ndarray) -> np.ndarray:
        return share_of_process(indices, self.table.units, self.processes.rank, self.processes.count)

    def _step(self, indices: np.ndarray, following: np.ndarray | None = None) -> tuple[float, float]:
        """One optimiser step, `following` the next one; (summed loss, summed weight) over all processes.

        A step of weight 0, which has nothing to learn from, moves nothing.
        """
        loss, weight = self.gradients.add(self._share(indices), None if following is None else self._share(following))
        if self.processes.count > 1:
            totals = torch.tensor([loss, weight], dtype=torch.float64)
            if self.model.device.type == "cuda":
                totals = totals.to(self.model.device)
            torch.distributed.all_reduce(totals)
            loss, weight = totals.tolist()
        if weight <= 0:  # questions without an answer in their passage, texts without a token
            self.stepper.discard()
            return 0.0, 0.0
        reduce = self.processes.sum if self.processes.count > 1 else None
        try:
            norm = self.stepper.step(self.progress.step, weight, reduce) if math.isfinite(loss) else math.nan
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            found = "the device's memory does not hold the optimiser's state beside the model"
            raise RunError(found, hint="a smaller encoder, or --device cpu") from error
        if not math.isfinite(norm):
            raise self._not_finite("gradient of" if math.isfinite(loss) else "loss of", self.progress.step + 1)
        return loss, weight

    def _not_finite(self, what: str, step: int) -> RunError:
        return NotFiniteError(
            f"the {what} step {step} is not finite; the last good checkpoint is {self.directory / LAST}",
            hint="a lower --learning-rate, or --precision float32",
        )

    # ------------------------------------------------------------------ keeping and coming back

    def _save(self) -> None:
        """Write the record and the checkpoint (main process); the others hand over the state of their noise."""
        noise = self.processes.gather(random_state(self.model.device))
        if self.processes.main:
            tensors = self.stepper.state()
            for rank, states in enumerate(noise):
                tensors.update({f"{name}/{rank}": state for name, state in states.items()})
            # The record first: what it holds beyond the checkpoint is done again, what it lacks would be lost.
            self.record.save(self.directory)
            state = {**self.progress.as_dict(), "budget": self.gradients.budget, "signature": self.signature}
            save_checkpoint(self.directory / LAST, tensors, state)
        self.processes.wait()

    def _resume(self) -> None:
        tensors, state = load_checkpoint(self.directory / LAST)
        # New in it are encoding and device: in older checkpoints they are those of the record, which was compared.
        new = {name: self.signature[name] for name in ("encoding", "device")}
        if {**new, **state.get("signature", {})} != self.signature:
            hint = "--force begins anew"
            raise UserError("the checkpoint is another training's", where=str(self.directory / LAST), hint=hint)
        try:
            self.stepper.load(tensors)
            self.progress = Progress.from_dict(state)
            self.gradients.budget = int(state["budget"])
            mine = f"/{self.processes.rank}"
            noise = {
                name.removesuffix(mine): value
                for name, value in tensors.items()
                if name.startswith("random/") and name.endswith(mine)
            }
            restore_random_state(noise, self.model.device)
        except (KeyError, ValueError) as error:
            where = str(self.directory / LAST)
            raise UserError(f"the checkpoint does not fit the model: {error}", where=where) from error
        old = self.directory / f"{MODEL}.old"
        if self.processes.main:
            if old.exists() and not (self.directory / MODEL).exists():
                old.rename(self.directory / MODEL)
            self.record.epochs = [epoch for epoch in self.record.epochs if epoch.epoch <= self.progress.epoch]
            run_log.cut(self.directory, self.progress.step)
            for part in self.directory.glob(".*.part"):  # a killed process was writing it
                part.unlink(missing_ok=True)
        console.message(f"continuing after step {self.progress.step} of {self.total_steps}")

    def _log_line(self, loss: float) -> dict[str, Any]:
        state = self.progress
        return {
            "step": state.step,
            "epoch": state.epoch + 1,
            "loss": round(loss, 6),
            "rate": self.stepper.rate(),
            "seconds": round(state.seconds, 2),
            "examples_per_second": round(state.examples / max(state.seconds, 1e-9), 1),
            "memory": peak_memory(),
        }
