"""The gradient of one step's share: micro-batches that fit the device, their gradients summed.

The loss is not read back from the device before the whole share is under way, and what the next step needs is laid out
on the host meanwhile: an accelerator waits for neither. (A head may wait for small things, as taggers do for the gold.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from clue_cli import console
from clue_cli.batching import TRAINING_TOKENS_CPU, TRAINING_TOKENS_DEVICE, micro_batches, to_device
from clue_cli.checkpoint import random_state, restore_random_state
from clue_cli.errors import RunError, UserError
from clue_cli.precision import go_on_unrepeatable, out_of_memory, release_memory

if TYPE_CHECKING:
    from clue_cli.contract import Recipe
    from clue_cli.features import FeatureTable
    from clue_cli.model import Model
    from clue_cli.optimizers import Stepper


@dataclass
class _Ahead:
    """The first micro-batch of a share, collated before its turn."""

    rows: list[int]
    batch: dict[str, Tensor]


class Gradients:
    """Adds the gradients of shares of steps to the sums of `stepper`.

    budget: padded tokens of one micro-batch; halved, and kept so, where the device's memory ends.
    """

    def __init__(self, model: Model, recipe: Recipe, table: FeatureTable, stepper: Stepper) -> None:
        self.model, self.recipe, self.table, self.stepper = model, recipe, table, stepper
        self.budget = TRAINING_TOKENS_CPU if model.device.type == "cpu" else TRAINING_TOKENS_DEVICE
        self._ahead: _Ahead | None = None
        self._told = False
        if recipe.r_drop > 0 and type(model.head).divergence is _base_divergence():
            raise UserError(f"the head {model.settings.head} has no R-Drop", where="--r-drop", hint="leave it out")

    def add(self, share: np.ndarray, following: np.ndarray | None = None) -> tuple[float, float]:
        """Accumulate the gradients of the features `share`; the sums of their loss and of its weight.

        following: the share of the next step, if there is one. RunError where not even one unit fits the device.
        """
        if not len(share):
            return 0.0, 0.0
        device = self.model.device
        noise = random_state(device)
        while True:
            parts = self.parts(share)
            try:
                sums = [self._part(part) for part in parts]
                if device.type != "cpu" and following is not None and len(following):
                    self._prepare(self.parts(following)[0])
                loss, weight = torch.stack(sums).cpu().double().sum(0).tolist()
                return loss, weight
            except RuntimeError as error:
                reason = str(error) if out_of_memory(error) else ""
                if not reason and not go_on_unrepeatable(error):
                    raise
            # Outside the handler: its frames held the tensors that must go before the next try.
            self.stepper.discard()
            restore_random_state(noise, device)
            if reason:
                self._use_less_memory(share, parts, reason)

    def _use_less_memory(self, share: np.ndarray, parts: list[list[int]], reason: str) -> None:
        """Halve the budget under what did not fit as `parts`; RunError where those were single units."""
        if len(parts) == (len(share) if self.model.head.by_row else len(np.unique(self.table.units[share]))):
            raise RunError(f"one example does not fit into the device's memory: {reason}", hint="a lower --max-length")
        padded = max(len(part) * int(self.table.lengths[part].max()) for part in parts)
        self.budget = min(self.budget, padded) // 2
        release_memory(self.model.device)
        if not self._told:
            console.message("out of device memory: going on with smaller micro-batches (the same examples a step)")
            self._told = True

    def parts(self, share: np.ndarray) -> list[list[int]]:
        """The micro-batches of a share: features by number."""
        lengths, units = self.table.lengths, self.table.units
        if self.model.head.by_row:
            share, units = share[np.argsort(-lengths[share], kind="stable")], np.arange(len(units))
        return micro_batches(share.tolist(), lengths, units, self.budget)

    def _prepare(self, rows: list[int]) -> None:
        self._ahead = _Ahead(rows, self.model.laid_out([self.table[i] for i in rows]))

    def _part(self, rows: list[int]) -> Tensor:
        """Add the gradient of one micro-batch; its loss and weight (2,), on the device."""
        if self._ahead is None or self._ahead.rows != rows:
            self._prepare(rows)
        assert self._ahead is not None
        batch = to_device(self._ahead.batch, self.model.device)
        self._ahead = None
        loss, weight = self._backward(batch)
        self.stepper.accumulate()
        return torch.stack((loss.float(), weight.float()))

    def _backward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        model, recipe = self.model, self.recipe
        output = model(batch, want_loss=True)
        loss: Tensor = output.loss_sum
        if recipe.r_drop > 0:
            again = model(batch, want_loss=True)
            loss = (loss + again.loss_sum) / 2 + recipe.r_drop * model.head.divergence(output, again, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.fgm > 0:
            self._adversarial(batch)
        return loss.detach(), output.weight

    def _adversarial(self, batch: dict[str, Tensor]) -> None:
        """Add the gradients at embeddings moved by `recipe.fgm` along their gradient (Miyato et al., 1605.07725).

        The gradient is that of the micro-batch at hand, so the result depends on how a batch is cut.
        """
        table = self.model.encoder.model.get_input_embeddings().weight
        if table.grad is None:
            return
        length = torch.linalg.vector_norm(table.grad)
        if not bool(length > 0) or not bool(torch.isfinite(length)):
            return
        before = table.data
        table.data = before + self.recipe.fgm * table.grad / length
        try:
            self.model(batch, want_loss=True).loss_sum.backward()
        finally:
            table.data = before


def _base_divergence() -> Any:
    from heads.base import Head

    return Head.divergence
