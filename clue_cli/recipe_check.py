"""Values that no training can have, refused by the names of their options."""

from __future__ import annotations

from clue_cli.contract import Recipe
from clue_cli.errors import UserError, did_you_mean


def check_recipe(recipe: Recipe) -> None:
    """Refuse values that no training can have, named as typed on the command line."""
    from clue_cli.encoders.pooling import POOLINGS
    from clue_cli.optimizers import OPTIMIZERS

    def require(condition: bool, option: str, message: str) -> None:
        if not condition:
            raise UserError(message, where=option)

    def at_least(name: str, least: float) -> None:
        value = getattr(recipe, name)
        require(
            value >= least and value < float("inf"),
            "--" + name.replace("_", "-"),
            f"must be at least {least:g}, got {value:g}",
        )

    for name, least in (("max_length", 4), ("batch_size", 1), ("epochs", 1), ("overlap", 0)):
        at_least(name, least)
    for name in ("head_learning_rate", "weight_decay", "clip", "r_drop", "fgm", "patience"):
        at_least(name, 0)
    rate = recipe.learning_rate
    require(0 < rate < 1e3, "--learning-rate", f"must be above 0 and below 1,000, got {rate:g}")
    for name in ("warmup", "dropout", "attention_dropout", "head_dropout"):
        value = getattr(recipe, name)
        require(0 <= value < 1, "--" + name.replace("_", "-"), f"must be in [0, 1), got {value:g}")
    for name, known in (
        ("optimizer", OPTIMIZERS),
        ("pooling", ("auto", *POOLINGS)),
        ("segments", ("pair", "zero")),
        ("class_weights", ("none", "balanced")),
    ):
        value = getattr(recipe, name)
        require(value in known, "--" + name.replace("_", "-"), did_you_mean(str(value), known, name.replace("_", " ")))
