"""The last layer for the first token alone, where nothing else of it is read.

A head that takes the pooled vector of a [CLS] token reads one row of the last layer. The keys and values of that layer
need all tokens, its output projection and feed-forward network only the first: a twelve-layer encoder saves a sixteenth
of its products, in training as in prediction, and gives the same vector.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

MODEL_TYPES = frozenset({"bert", "camembert", "electra", "ernie", "roberta", "xlm-roberta"})
"""Architectures whose layers are those of BERT: attention.self, attention.output, intermediate, output."""


def keep_first_only(model: Any) -> bool:
    """Let the last layer of `model` (of `transformers`) give its first token only, (B, 1, H); whether it does.

    Other architectures than `MODEL_TYPES` give all tokens, as before.
    """
    if model.config.model_type not in MODEL_TYPES:
        return False
    attention = model.encoder.layer[-1].attention
    attention.self.register_forward_hook(_cut_output)
    attention.output.register_forward_pre_hook(_cut_inputs)
    return True


def _cut_output(module: nn.Module, given: tuple[Any, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
    return output[0][:, :1], *output[1:]


def _cut_inputs(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # What attended, and the residual that it is added to.
    return tuple(tensor[:, :1] for tensor in given)
