"""What an encoder is, before its weights are loaded: recipes depend on its size."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from clue_cli.encoders.files import check_directory
from clue_cli.encoders.loading import BASE, SMALL, _configuration
from clue_cli.encoders.location import resolve


class Shape(NamedTuple):
    """Name as in records, and size class by parameters outside embeddings."""

    name: str
    size: str


def describe(name: str | None) -> Shape:
    """Name and size of the encoder that `name` means; UserError where there is none."""
    from transformers import AutoModel

    location = resolve(name)
    directory = location.fetch()
    check_directory(directory, weights=not location.scratch, trust_remote_code=False)
    config = _configuration(directory, False)
    with torch.device("meta"):
        model: nn.Module = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    count = sum(p.numel() for p in model.parameters() if id(p) not in tables)
    return Shape(location.name, "small" if count <= SMALL else "base" if count <= BASE else "large")
