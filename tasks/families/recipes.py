"""Recipes in layers: which value a training takes, and where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from clue_cli.contract import Recipe

SIZES = ("small", "base", "large")
"""Encoder sizes that recipes tell apart (up to 30, up to 150, over 150 million parameters without embeddings)."""

CLUE_BERT4KERAS: dict[str, Any] = {
    "optimizer": "adafactor", "learning_rate": 5e-4, "head_learning_rate": 0.0, "weight_decay": 0.0,
    "warmup": 0.0, "clip": 0.0, "pooling": "first", "segments": "zero", "attention_dropout": 0.1, "head_dropout": 0.0,
    "batch_size": 32, "epochs": 10, "max_length": 128,
}  # fmt: skip
"""What the CLUE recipes of bojone/CLUE-bert4keras share; a task adds what differs: `CLUE_BERT4KERAS | {...}`."""


def check_key(key: str, heads: Iterable[str] | None) -> None:
    """Refuse (ValueError) the key of a special recipe that is not HEAD, SIZE or HEAD:SIZE; None allows any head."""
    head, size = key.split(":", 1) if ":" in key else ("", key) if key in SIZES else (key, "")
    if size and size not in SIZES:
        raise ValueError(f"recipe {key!r} names no encoder size ({', '.join(SIZES)})")
    if head and heads is not None and head not in heads:
        raise ValueError(f"recipe {key!r} names none of its heads ({', '.join(heads)})")


def layers(
    owner: str, plain: Mapping[str, Any], special: Mapping[str, Mapping[str, Any]], head: str, size: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """The values of one owner for a head and an encoder size with their origin, weakest first."""
    return [
        (owner, plain),
        (f"{owner}, head {head}", special.get(head, {})),
        (f"{owner}, {size} encoder", special.get(size, {})),
        (f"{owner}, head {head}, {size} encoder", special.get(f"{head}:{size}", {})),
    ]


def resolve(all_layers: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Recipe, dict[str, str]]:
    """The recipe after all layers, the later the stronger, and for each field where its value comes from."""
    recipe = Recipe()
    origins = {f.name: "default" for f in dataclasses.fields(Recipe)}
    for origin, values in all_layers:
        recipe = recipe.updated(values)
        origins.update(dict.fromkeys(values, origin))
    return recipe, origins
