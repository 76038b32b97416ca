"""What a head's scores are made of: one tensor, or tensors in named tuples, as the outputs of a graph and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

SINGLE = "scores"
"""The output of a head whose scores are one tensor."""


def named(scores: Any) -> dict[str, Tensor]:
    """The tensors of `HeadOutput.scores` by their place (`entities.shared`), in order.

    TypeError where it holds anything but tensors and named tuples.
    """
    return dict(_parts(scores, ""))


def _parts(scores: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(scores, Tensor):
        yield place or SINGLE, scores
    elif isinstance(scores, tuple) and hasattr(scores, "_fields"):
        for field, value in zip(scores._fields, scores, strict=True):
            yield from _parts(value, f"{place}.{field}" if place else field)
    else:
        raise TypeError(f"its scores hold a {type(scores).__name__} where a tensor was expected")


def filled(template: Any, tensors: Iterator[Tensor]) -> Any:
    """Scores of the form of `template` from tensors in the order of `named`."""
    if isinstance(template, Tensor):
        return next(tensors)
    return type(template)(*(filled(part, tensors) for part in template))
