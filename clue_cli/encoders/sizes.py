"""How large an encoder is: what recipes go by."""

from __future__ import annotations

from torch import nn

SMALL, BASE = 30_000_000, 150_000_000
"""Parameters without embeddings up to which an encoder is called small, base; above it is large."""


def outside_embeddings(model: nn.Module) -> int:
    """Number of parameters outside embedding tables."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return sum(p.numel() for p in model.parameters() if id(p) not in tables)


def size_class(parameters: int) -> str:
    """`small`, `base` or `large`, by parameters outside embeddings."""
    return "small" if parameters <= SMALL else "base" if parameters <= BASE else "large"
