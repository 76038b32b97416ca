"""What an encoder's final norm is given: the last layer's output before it is normalised.

Heads that normalise by a condition of their own (a conditional layer norm) want it. BERT and its kin end in the norm of
their last layer, ModernBERT in a norm behind all layers. Which module that is is found by looking, not by its name: it
is the norm that gives the encoder's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from clue_cli.errors import UserError

_KEPT: ContextVar[list[Tensor] | None] = ContextVar("pre_norm", default=None)
"""Where a call in progress wants the input of its final norm. Each thread has its own: several share one model."""


def find_final_norm(model: Any, name: str) -> nn.Module:
    """The norm of `model` (an encoder of `transformers`) whose output is the last layer; three tokens are run through.

    UserError if there is none: the encoder ends in something else, or changes the output once more behind its norm.
    """
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        inputs = [*given, *named.values()]
        if len(inputs) == 1 and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            calls.append((module, inputs[0], output))

    norms = [m for m in model.modules() if "norm" in type(m).__name__.lower() and not list(m.children())]
    hooks = [norm.register_forward_hook(note, with_kwargs=True) for norm in norms]
    training = model.training
    tokens = torch.arange(3, device=next(model.parameters()).device)[None]
    try:
        with torch.no_grad():
            last = model.eval()(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    for module, given, output in reversed(calls):
        if given.shape == last.shape and torch.equal(output, last):
            return module
    raise UserError(
        f"{model.config.model_type} does not end in a norm, and this head needs what stands before it",
        where=name,
        hint="take another encoder (BERT and its kin, ModernBERT) or another --head",
    )


def listen(norm: nn.Module) -> None:
    """Let `norm` hand over its input to a `keeping` that surrounds the call; without one it does nothing more."""
    norm.register_forward_pre_hook(_keep, with_kwargs=True)


def _keep(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    kept = _KEPT.get()
    if kept is not None:
        # Layers that share their weights (ALBERT) call one norm several times: the last call counts.
        kept[:] = given or named.values()


@contextmanager
def keeping() -> Iterator[list[Tensor]]:
    """Within it, a list that holds the input of the norm's latest call in this thread.

    Activations that are computed again in a backward pass come after it, and change nothing.
    """
    kept: list[Tensor] = []
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)
