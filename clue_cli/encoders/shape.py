"""What an encoder is, before its weights are loaded: recipes depend on its size."""

from __future__ import annotations

from typing import NamedTuple

import torch

from clue_cli.encoders.configuration import configuration
from clue_cli.encoders.files import check_directory
from clue_cli.encoders.loading import bare
from clue_cli.encoders.location import resolve
from clue_cli.encoders.sizes import outside_embeddings, size_class


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
    config = configuration(directory, False)
    with torch.device("meta"):
        model = bare(AutoModel.from_config(config))  # type: ignore[no-untyped-call]
    return Shape(location.name, size_class(outside_embeddings(model)))
