"""What a recipe's values demand of each other: refused by the names of their options, or made to follow."""

from __future__ import annotations

from collections.abc import Mapping

from clue_cli.contract import Recipe
from clue_cli.errors import UserError, did_you_mean

_OF_ADAFACTOR = {
    "learning_rate": 5e-4, "head_learning_rate": 0.0, "weight_decay": 0.0, "warmup": 0.0, "clip": 0.0,
}  # fmt: skip
"""What goes with the AdaFactor of the reference baselines: its rate is relative to the size of each weight."""


def with_optimizer(
    optimizer: str, recipe: Recipe, origins: Mapping[str, str], plain: tuple[Recipe, Mapping[str, str]]
) -> tuple[Recipe, dict[str, str]]:
    """The recipe under another optimiser than its own, with the rates, decay, warm-up and clipping that go with that.

    A rate of one means nothing to the other: AdaFactor at the 2e-5 of AdamW learns nothing, AdamW at the 5e-4 of
    AdaFactor diverges on encoders of base size. plain: the recipe that no name was given for, with its origins.
    """
    if optimizer == recipe.optimizer:
        return recipe, dict(origins)
    if optimizer == plain[0].optimizer:
        values = {name: getattr(plain[0], name) for name in _OF_ADAFACTOR}
        return recipe.updated(values), {**origins, **{name: plain[1][name] for name in values}}
    if optimizer == "adafactor":
        return recipe.updated(_OF_ADAFACTOR), {**origins, **dict.fromkeys(_OF_ADAFACTOR, "optimizer adafactor")}
    return recipe, dict(origins)


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
    if recipe.optimizer == "adafactor":
        for name, lack in (("weight_decay", "weight decay"), ("warmup", "warm-up: its rate is constant")):
            option = "--" + name.replace("_", "-")
            require(not getattr(recipe, name), option, f"AdaFactor as the reference baselines use it has no {lack}")
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
