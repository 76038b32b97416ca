"""The optimiser step: float32 master weights, gradient sums, clipping, AdamW and the reference baselines' AdaFactor.

The encoder may compute in bf16; every parameter that does has a float32 master here, which the optimiser moves and
which checkpoints keep. Gradients of micro-batches and processes are summed in float32 and divided once by the summed
loss weight, so that uneven micro-batches and any number of processes give the gradient of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clue_cli.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from clue_cli.contract import Recipe

OPTIMIZERS = ("adamw", "adafactor")


def learning_rate_factor(step: int, total: int, warmup: float, optimizer: str) -> float:
    """Factor on the learning rate at `step` (from 0): linear from 0 over `warmup * total` steps, then linear to 0.

    AdaFactor as the reference baselines use it is constant: its rate is relative to the size of each weight.
    """
    if optimizer == "adafactor":
        return 1.0
    rising = max(1, round(total * warmup)) if warmup > 0 else 0
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (total - step) / max(1, total - rising))


class AdaFactor(torch.optim.Optimizer):
    """AdaFactor as bert4keras runs it for CLUE: no factoring, momentum 0.9, step size relative to the weight's own RMS.

    For a parameter w with gradient g at step t (from 1): `b2 = 1 - t^-0.8`, `v = b2 v + (1 - b2)(g^2 + 1e-30)`,
    `u = g / sqrt(v + 1e-30)`, `u = u / max(1, rms(u))`, `m = 0.9 m + 0.1 u`, `w = w - lr max(rms(w), 1e-3) m`.
    Not the rule of `transformers.Adafactor`, which factors matrices and applies the rate before the momentum.
    Source: bojone/bert4keras, its AdaFactor without factoring (Shazeer and Stern 2018, 1804.04235).
    """

    def __init__(self, params: Iterable[Any], lr: float = 5e-4, beta1: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "beta1": beta1})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("AdaFactor takes no closure")
        for group in self.param_groups:
            beta1 = group["beta1"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["step"] = torch.zeros(())
                    state["second"] = torch.zeros_like(weight)
                    state["momentum"] = torch.zeros_like(weight)
                state["step"] += 1
                beta2 = 1.0 - float(state["step"]) ** -0.8
                gradient = weight.grad
                state["second"].mul_(beta2).add_(gradient.square() + 1e-30, alpha=1 - beta2)
                update = gradient / (state["second"] + 1e-30).sqrt()
                update /= _rms(update).clamp(min=1.0)
                state["momentum"].mul_(beta1).add_(update, alpha=1 - beta1)
                weight -= group["lr"] * _rms(weight).clamp(min=1e-3) * state["momentum"]


def _rms(tensor: Tensor) -> Tensor:
    return tensor.square().mean().sqrt()


class Stepper:
    """Owns the masters and the optimiser of one training.

    `accumulate` after each micro-batch's backward; `step` once per global batch. masters: the float32 values of
    parameters that compute in bf16; those of others are their own or, rounded, what they have.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        recipe: Recipe,
        total_steps: int,
        masters: Mapping[nn.Parameter, Tensor] | None = None,
    ) -> None:
        known = masters or {}
        self.recipe, self.total_steps = recipe, total_steps
        self.names: list[str] = []
        self.computing: list[nn.Parameter] = []
        self.masters: list[Tensor] = []
        groups: list[dict[str, Any]] = []
        for prefix, module, rate in (
            ("encoder", encoder, recipe.learning_rate),
            ("head", head, recipe.head_learning_rate or recipe.learning_rate),
        ):
            decaying: list[Tensor] = []
            free: list[Tensor] = []
            for name, parameter in module.named_parameters():
                if not parameter.requires_grad:
                    continue
                master = (
                    parameter
                    if parameter.dtype in (torch.float32, torch.float64)
                    else known[parameter]
                    if parameter in known
                    else parameter.detach().float()
                )
                self.names.append(f"{prefix}.{name}")
                self.computing.append(parameter)
                self.masters.append(master)
                # Biases and norms (vectors) are not decayed: BERT's own rule, which every baseline follows.
                (free if parameter.ndim < 2 else decaying).append(master)
            groups.append({"params": decaying, "lr": rate, "base_lr": rate, "weight_decay": recipe.weight_decay})
            groups.append({"params": free, "lr": rate, "base_lr": rate, "weight_decay": 0.0})
        self.sums = [torch.zeros_like(master) for master in self.masters]
        self.fresh = True
        self.optimizer = self._make_optimizer([group for group in groups if group["params"]])

    def _make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        if self.recipe.optimizer == "adamw":
            fused = all(m.device.type in ("cpu", "cuda", "mps") and m.dtype == torch.float32 for m in self.masters)
            return torch.optim.AdamW(groups, fused=fused)
        if self.recipe.optimizer == "adafactor":
            for group in groups:
                del group["weight_decay"]
            return AdaFactor(groups)
        raise UserError(did_you_mean(self.recipe.optimizer, OPTIMIZERS, "optimizer"), where="--optimizer")

    @torch.no_grad()
    def accumulate(self) -> None:
        """Add the gradients of one micro-batch to the float32 sums and clear them."""
        pairs: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}
        for parameter, total in zip(self.computing, self.sums, strict=True):
            if parameter.grad is not None:
                pairs.setdefault(parameter.grad.dtype, []).append((total, parameter.grad))
            elif self.fresh:
                total.zero_()
            parameter.grad = None
        for alike in pairs.values():  # an accelerator copies tensors of one type by one kernel, mixed ones one by one
            targets, gradients = zip(*alike, strict=True)
            if self.fresh:
                torch._foreach_copy_(targets, gradients)
            else:
                torch._foreach_add_(targets, [gradient.to(total.dtype) for total, gradient in alike])
        self.fresh = False

    def discard(self) -> None:
        """Forget what was accumulated (the step is repeated with smaller micro-batches)."""
        self.fresh = True
        for parameter in self.computing:
            parameter.grad = None

    @torch.no_grad()
    def step(self, number: int, weight: float, reduce: Callable[[list[Tensor]], None] | None = None) -> float:
        """Move the weights by the gradient of step `number` (from 0); its norm before clipping.

        weight: the summed loss weight of the global batch. reduce: sums a list of tensors over the processes, in place.
        A step with a gradient that is not finite moves nothing (the caller stops the run).
        """
        if self.fresh:
            torch._foreach_zero_(self.sums)
        if reduce is not None:
            reduce(self.sums)
        norms = torch._foreach_norm(self.sums)
        norm = float(torch.linalg.vector_norm(torch.stack([n.float() for n in norms]))) / weight
        self.fresh = True
        if norm != norm or norm == float("inf"):
            return norm
        scale = 1.0 / weight
        if self.recipe.clip > 0 and norm > self.recipe.clip:
            scale *= self.recipe.clip / (norm + 1e-6)
        torch._foreach_mul_(self.sums, scale)
        factor = learning_rate_factor(number, self.total_steps, self.recipe.warmup, self.recipe.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        for master, gradient in zip(self.masters, self.sums, strict=True):
            master.grad = gradient
        self.optimizer.step()
        for master in self.masters:
            master.grad = None
        self._publish()
        return norm

    @torch.no_grad()
    def _publish(self) -> None:
        """Copy the masters to the parameters that compute in bf16."""
        pairs = [(p, m) for p, m in zip(self.computing, self.masters, strict=True) if p is not m]
        if pairs:
            torch._foreach_copy_([p for p, _ in pairs], [m for _, m in pairs])

    def rate(self) -> float:
        """The encoder's learning rate at the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def master_weights(self) -> dict[str, Tensor]:
        """Parameter name -> float32 master."""
        return dict(zip(self.names, self.masters, strict=True))

    def state(self) -> dict[str, Tensor]:
        """Everything that `load` needs, as named tensors: masters and the optimiser's moments."""
        tensors = {f"weight/{name}": master.detach() for name, master in self.master_weights().items()}
        for name, master in zip(self.names, self.masters, strict=True):
            for key, value in self.optimizer.state.get(master, {}).items():
                tensors[f"state/{key}/{name}"] = value if torch.is_tensor(value) else torch.tensor(float(value))
        return tensors

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `state`; KeyError or ValueError where the tensors are another model's."""
        for name, master in zip(self.names, self.masters, strict=True):
            stored = tensors[f"weight/{name}"]
            if stored.shape != master.shape:
                raise ValueError(f"{name} has shape {tuple(stored.shape)}, expected {tuple(master.shape)}")
            master.copy_(stored)
        for key, value in tensors.items():
            if key.startswith("state/"):
                _, kind, name = key.split("/", 2)
                master = self.masters[self.names.index(name)]
                place = master.device if value.ndim else torch.device("cpu")
                if kind == "step" and self.optimizer.defaults.get("fused"):
                    place = master.device
                self.optimizer.state[master][kind] = value.to(place)
        self._publish()
