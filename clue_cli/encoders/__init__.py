"""Encoders: finding them by name, loading them without silent surprises, text to tokens, pooling.

    location.py       what `--encoder` names: the shipped encoder, a directory, a hub model, random weights
    files.py          a directory looked at before anything is loaded; what `transformers` would misread gets a sentence
    weights.py        every tensor accounted for, by name and shape
    configuration.py  `config.json` as `transformers` reads it, decoders refused; dropouts set
    loading.py        `load_encoder`, `Encoder`
    tokenizer.py      the tokenizer of a directory; text.py text to tokens; splitting.py, alignment.py its parts
    pooling.py        one vector a row; pre_norm.py the last layer before its norm; first_only.py its first token alone

Importing this package imports no torch; the names below are fetched when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from clue_cli.encoders.location import DEFAULT_ENCODER, Location, resolve

if TYPE_CHECKING:
    from clue_cli.encoders.loading import Encoder, load_encoder
    from clue_cli.encoders.pooling import POOLINGS, pool
    from clue_cli.encoders.text import HFTextEncoder

__all__ = [
    "DEFAULT_ENCODER",
    "POOLINGS",
    "Encoder",
    "HFTextEncoder",
    "Location",
    "load_encoder",
    "pool",
    "resolve",
]

_HOMES = {
    "Encoder": "loading",
    "load_encoder": "loading",
    "POOLINGS": "pooling",
    "pool": "pooling",
    "HFTextEncoder": "text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
