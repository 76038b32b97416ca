"""Optimisers against their rules written out, and the step around them: masters, sums, clipping, state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from clue_cli.contract import Recipe
from clue_cli.errors import UserError
from clue_cli.optimizers import AdaFactor, Stepper, learning_rate_factor

PLAIN = Recipe(learning_rate=1e-2, clip=0.0, warmup=0.0, weight_decay=0.1)


def modules(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    encoder: nn.Module = nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7))
    return encoder.to(dtype), nn.Linear(7, 3)


def forward(encoder: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
    kind = next(encoder.parameters()).dtype
    out: Tensor = head(encoder(x.to(kind)).float()).square()
    return out


def batch(seed: int, rows: int = 6) -> Tensor:
    return torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed))


def adafactor_slowly(weight: np.ndarray, gradients: list[np.ndarray], rate: float) -> np.ndarray:
    """The rule of the docstring, element by element in float64."""
    w = weight.astype(np.float64).copy()
    v, m = np.zeros_like(w), np.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        b2 = 1 - t**-0.8
        v = b2 * v + (1 - b2) * (gradient**2 + 1e-30)
        u = gradient / np.sqrt(v + 1e-30)
        u = u / max(1.0, float(np.sqrt((u**2).mean())))
        m = 0.9 * m + 0.1 * u
        w = w - rate * max(float(np.sqrt((w**2).mean())), 1e-3) * m
    return w


@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([0.0, 1e-5, 1.0, 100.0]), steps=st.integers(1, 8))
def test_adafactor_follows_its_rule(seed: int, size: float, steps: int) -> None:
    random = np.random.default_rng(seed)
    for shape in ((4, 3), (5,)):
        start = size * random.normal(size=shape)
        gradients = [random.normal(size=shape) * 10.0 ** random.integers(-6, 3) for _ in range(steps)]
        weight = torch.tensor(start, dtype=torch.float64)
        optimizer = AdaFactor([weight], lr=1e-2)
        for gradient in gradients:
            weight.grad = torch.tensor(gradient)
            optimizer.step()
        np.testing.assert_allclose(weight.numpy(), adafactor_slowly(start, gradients, 1e-2), rtol=1e-9, atol=1e-13)


def test_adafactor_through_the_stepper_is_the_rule_too() -> None:
    encoder, head = modules()
    recipe = Recipe(optimizer="adafactor", learning_rate=1e-2, head_learning_rate=3e-2, weight_decay=0.0, clip=0.0)
    stepper = Stepper(encoder, head, recipe, 10)
    start = {name: w.detach().double().numpy().copy() for name, w in stepper.master_weights().items()}
    seen: dict[str, list[np.ndarray]] = {name: [] for name in start}
    for number in range(4):
        forward(encoder, head, batch(number)).sum().backward()
        for name, parameter in zip(stepper.names, stepper.computing, strict=True):
            assert parameter.grad is not None
            seen[name].append(parameter.grad.double().numpy() / 6)
        stepper.accumulate()
        stepper.step(number, 6.0)
    for name, weight in stepper.master_weights().items():
        slow = adafactor_slowly(start[name], seen[name], 1e-2 if name.startswith("encoder") else 3e-2)
        np.testing.assert_allclose(weight.detach().numpy(), slow, rtol=2e-5, atol=1e-6)


def test_unknown_optimizers_are_named() -> None:
    with pytest.raises(UserError, match="did you mean adamw"):
        Stepper(*modules(), Recipe(optimizer="adam"), 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masters_move_as_float32_weights_under_plain_adamw(dtype: torch.dtype) -> None:
    encoder, head = modules(dtype)
    stepper = Stepper(encoder, head, PLAIN, 20)
    plain = {name: nn.Parameter(w.detach().clone()) for name, w in stepper.master_weights().items()}
    decaying = [w for w in plain.values() if w.ndim > 1]
    free = [w for w in plain.values() if w.ndim < 2]
    reference = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": 0.1}, {"params": free, "weight_decay": 0.0}], lr=1e-2
    )
    for number in range(5):
        forward(encoder, head, batch(number)).sum().backward()
        for (name, weight), parameter in zip(plain.items(), stepper.computing, strict=True):
            assert parameter.grad is not None, name
            weight.grad = parameter.grad.float() / 6
        stepper.accumulate()
        stepper.step(number, 6.0)
        for group in reference.param_groups:
            group["lr"] = 1e-2 * learning_rate_factor(number, 20, 0.0, "adamw")
        reference.step()
    for name, weight in stepper.master_weights().items():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight.detach(), plain[name].detach(), rtol=1e-5, atol=1e-7)
    for parameter, master in zip(stepper.computing, stepper.masters, strict=True):
        assert torch.equal(parameter, master.to(parameter.dtype))


def test_vectors_do_not_decay_and_matrices_do() -> None:
    encoder, head = modules()
    stepper = Stepper(encoder, head, PLAIN, 10)
    before = {name: w.detach().clone() for name, w in stepper.master_weights().items()}
    (0.0 * forward(encoder, head, batch(0))).sum().backward()
    stepper.accumulate()
    assert stepper.step(0, 1.0) == 0.0
    for name, weight in stepper.master_weights().items():
        shrunk = before[name] * (1 - 1e-2 * 0.1) if weight.ndim > 1 else before[name]
        torch.testing.assert_close(weight.detach(), shrunk, rtol=1e-6, atol=0)


@given(cuts=st.lists(st.integers(1, 11), max_size=4, unique=True))
@settings(max_examples=15)
def test_uneven_micro_batches_sum_to_the_gradient_of_the_whole(cuts: list[int]) -> None:
    encoder, head = modules()
    stepper = Stepper(encoder, head, PLAIN, 10)
    x = batch(1, 12)
    grads = torch.autograd.grad(forward(encoder, head, x).sum(), stepper.computing)
    # A step before leaves its scaled gradients behind; they must not be seen again.
    stepper.sums = [torch.full_like(s, 5.0) for s in stepper.sums]
    for part in torch.tensor_split(x, sorted(cuts)):
        forward(encoder, head, part).sum().backward()
        stepper.accumulate()
    for total, gradient in zip(stepper.sums, grads, strict=True):
        torch.testing.assert_close(total, gradient, rtol=1e-5, atol=1e-5)


def test_a_parameter_without_gradient_does_not_keep_an_old_one() -> None:
    encoder, head = modules()
    stepper = Stepper(encoder, head, PLAIN, 10)
    forward(encoder, head, batch(0)).sum().backward()
    stepper.accumulate()
    stepper.step(0, 1.0)
    head(torch.ones(2, 7)).sum().backward()
    stepper.accumulate()
    sums = dict(zip(stepper.names, stepper.sums, strict=True))
    assert all(not total.any() for name, total in sums.items() if name.startswith("encoder"))
    assert sums["head.weight"].any()


def test_a_step_without_a_share_adds_nothing_of_the_step_before() -> None:
    """As a process whose share of the last step is empty: what it sends is zero."""
    encoder, head = modules()
    stepper = Stepper(encoder, head, PLAIN, 4)
    forward(encoder, head, batch(1)).sum().backward()
    stepper.accumulate()
    assert stepper.step(0, 6.0) > 0
    sent: list[float] = []
    stepper.step(1, 6.0, reduce=lambda sums: sent.extend(float(total.abs().sum()) for total in sums))
    assert sent == [0.0] * len(stepper.masters)


def test_a_long_gradient_is_cut_and_its_norm_told() -> None:
    encoder, head = modules()
    gradients: list[Tensor] = []
    recipe = PLAIN.updated({"clip": 0.25})
    stepper = Stepper(encoder, head, recipe, 10)
    forward(encoder, head, 10 * batch(0)).sum().backward()
    norm = float(torch.cat([p.grad.flatten() for p in stepper.computing if p.grad is not None]).norm())
    step = stepper.optimizer.step
    stepper.optimizer.step = lambda: (  # type: ignore[method-assign, assignment]
        gradients.extend(m.grad.clone() for m in stepper.masters if m.grad is not None),
        step(),
    )
    stepper.accumulate()
    assert stepper.step(0, 6.0) == pytest.approx(norm / 6, rel=1e-5)
    assert float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_moves_nothing(bad: float) -> None:
    encoder, head = modules()
    stepper = Stepper(encoder, head, PLAIN, 10)
    before = {name: tensor.clone() for name, tensor in stepper.state().items()}
    (bad * forward(encoder, head, batch(0))).sum().backward()
    stepper.accumulate()
    assert not np.isfinite(stepper.step(0, 1.0))
    assert all(torch.equal(before[name], tensor) for name, tensor in stepper.state().items())


def test_the_rate_rises_and_falls_linearly() -> None:
    factors = [learning_rate_factor(step, 10, 0.2, "adamw") for step in range(10)]
    assert factors == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert [learning_rate_factor(s, 4, 0.0, "adamw") for s in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert {learning_rate_factor(s, 4, 0.5, "adafactor") for s in range(4)} == {1.0}
    assert learning_rate_factor(0, 1, 0.9, "adamw") == 1.0


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_state_loaded_elsewhere_goes_on_bit_for_bit(optimizer: str, dtype: torch.dtype) -> None:
    recipe = PLAIN.updated({"optimizer": optimizer, "weight_decay": 0.0})

    def steps(stepper: Stepper, pair: tuple[nn.Module, nn.Module], numbers: range) -> None:
        for number in numbers:
            forward(*pair, batch(number)).sum().backward()
            stepper.accumulate()
            stepper.step(number, 6.0)

    pair, other = modules(dtype), modules(dtype)
    for module in other:
        for parameter in module.parameters():
            parameter.data.add_(1)
    first, second = Stepper(*pair, recipe, 8), Stepper(*other, recipe, 8)
    steps(first, pair, range(4))
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    steps(first, pair, range(4, 8))
    steps(second, other, range(4, 8))
    states: tuple[dict[str, Any], dict[str, Any]] = (first.state(), second.state())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert all(torch.equal(a, b) for a, b in zip(first.computing, second.computing, strict=True))


def test_the_state_of_another_model_is_refused() -> None:
    stepper = Stepper(*modules(), PLAIN, 8)
    state = stepper.state()
    with pytest.raises(KeyError):
        stepper.load({name: t for name, t in state.items() if name != "weight/head.bias"})
    with pytest.raises(ValueError, match=r"head.bias has shape \(4,\), expected \(3,\)"):
        stepper.load({**state, "weight/head.bias": torch.zeros(4)})
    with pytest.raises(ValueError, match="nowhere"):
        stepper.load({**state, "state/step/nowhere": torch.zeros(())})
