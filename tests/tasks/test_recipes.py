"""Recipes in layers, each value with its origin; declarations that contradict themselves are refused."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clue_cli.contract import Recipe
from clue_cli.errors import UserError
from clue_cli.recipe_check import with_optimizer
from clue_cli.registry import find_task, tasks
from tasks.families.classification import TextClassification

FACTORED = {"learning_rate": 5e-4, "head_learning_rate": 0.0, "weight_decay": 0.0, "warmup": 0.0, "clip": 0.0}


class Reviews(TextClassification):
    family_heads: ClassVar = dict.fromkeys(("one", "two"), "heads.classification:Classification")
    family_recipe: ClassVar = {"epochs": 1, "batch_size": 1, "max_length": 1, "warmup": 0.5, "clip": 9.0}
    family_recipes: ClassVar = {"two": {"clip": 8.0}, "small": {"warmup": 0.4, "clip": 7.0}, "two:small": {"clip": 6.0}}


def reviews(**parts: Any) -> Reviews:
    return Reviews(name="reviews", title="Reviews", labels=("good", "bad"), **parts)


def test_later_layers_win_and_are_named() -> None:
    task = reviews(
        recipe={"batch_size": 2, "max_length": 2},
        recipes={"two": {"max_length": 3}, "small": {"max_length": 4, "patience": 4}, "two:small": {"patience": 5}},
        named_recipes={"quick": {"epochs": 7}},
    )
    recipe, origins = task.recipe_for("two", "small", "quick")
    assert recipe == Recipe(epochs=7, batch_size=2, max_length=4, warmup=0.4, clip=6.0, patience=5)
    assert {name: origin for name, origin in origins.items() if origin != "default"} == {
        "epochs": "recipe quick",
        "batch_size": "task reviews",
        "max_length": "task reviews, small encoder",
        "warmup": "family classification, small encoder",
        "clip": "family classification, head two, small encoder",
        "patience": "task reviews, head two, small encoder",
    }
    assert task.recipe_for("two", "base")[0] == Recipe(epochs=1, batch_size=2, max_length=3, warmup=0.5, clip=8.0)
    assert task.recipe_for("one", "base")[0] == Recipe(epochs=1, batch_size=2, max_length=2, warmup=0.5, clip=9.0)
    assert set(origins) == {f.name for f in dataclasses.fields(Recipe)}


def test_unknown_heads_sizes_and_recipes_are_named() -> None:
    for arguments, says in (
        (("tow", "small"), "unknown head of task reviews 'tow'; did you mean two"),
        (("two", "smal"), "unknown encoder size 'smal'; did you mean small"),
        (("two", "small", "slow"), "unknown recipe of task reviews 'slow'"),
    ):
        with pytest.raises(UserError, match=says):
            reviews().recipe_for(*arguments)


def test_every_task_has_a_recipe_for_every_head_and_size() -> None:
    for task in tasks().values():
        for head in task.heads:
            for size in ("small", "base", "large"):
                recipe, _ = task.recipe_for(head, size)
                assert 1e-6 < recipe.learning_rate < 1e-2 and recipe.epochs > 0 and recipe.max_length >= 64


def test_the_figures_of_every_recipe_are_those_of_the_table() -> None:
    """recipes.csv: who changes a default changes everybody's results, and does it there too."""
    columns = ["task", "head", "size", "learning_rate", "head_learning_rate", "epochs", "batch_size"]
    with Path(__file__).with_name("recipes.csv").open(encoding="utf-8", newline="") as file:
        listed = {tuple(row[:3]): row[3:] for row in csv.reader(file)}
    found = {tuple(columns[:3]): columns[3:]}
    for name, task in tasks().items():
        for head, size in itertools.product(task.heads, ("small", "base", "large")):
            recipe = task.recipe_for(head, size)[0]
            found[name, head, size] = [str(getattr(recipe, column)) for column in columns[3:]]
    assert found == listed


def test_the_reference_recipe() -> None:
    golden = dict.fromkeys(("tnews", "iflytek", "afqmc", "cmnli", "ocnli", "csl"), (128, 32, 10))
    golden |= {"cluewsc2020": (128, 32, 30), "cluener": (256, 32, 10)}
    for name, lengths in golden.items():
        recipe, origins = find_task(name).recipe_for(find_task(name).default_head, "base", "clue-bert4keras")
        assert (recipe.max_length, recipe.batch_size, recipe.epochs) == lengths, name
        assert (recipe.optimizer, recipe.learning_rate, recipe.warmup) == ("adafactor", 5e-4, 0.0)
        assert (recipe.clip, recipe.weight_decay, recipe.pooling, recipe.segments) == (0.0, 0.0, "first", "zero")
        assert origins["max_length"] == "recipe clue-bert4keras"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"recipes": {"tow": {}}}, "names none of its heads"),
        ({"recipes": {"two:tiny": {}}}, "names no encoder size"),
        ({"fields": ("text", "other")}, r"unknown input fields \['other'\]"),
        ({"default_head": "three"}, "default head 'three'"),
        ({"default_metric": "f1"}, "default metric 'f1'"),
        ({"texts": ("a", "b", "c")}, "one text or a pair"),
    ],
)
def test_a_declaration_that_contradicts_itself(parts: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        reviews(**parts)
    with pytest.raises(KeyError, match="epoch"):
        reviews(recipe={"epoch": 3})


def test_input_fields_are_chosen_by_name() -> None:
    tnews = find_task("tnews")
    assert tnews.fields == ("sentence",) and tnews.with_fields(["keywords"]).fields == ("keywords",)
    for names, says in (
        (["sentense"], "unknown field of task tnews 'sentense'; did you mean sentence"),
        (["sentence", "sentence"], "different fields"),
        (["sentence", "keywords", "sentence"], "one field or two"),
        ([], "one or more"),
    ):
        with pytest.raises(UserError, match=says):
            tnews.with_fields(names)


def test_own_labels_leave_nothing_official() -> None:
    own = find_task("ocnli").with_labels(["是", "否"])
    assert own.own and own.labels == ("是", "否") and own.head_config("classification") == {"classes": 2}
    assert not own.official and not own.submissions and not own.counts and not own.hub
    assert own.files["train"][0] == "train.50k.json" and "train.csv" in own.files["train"]
    assert find_task("tnews").with_labels(["a", "b"]).files["test"] == (
        "test.json",
        "test.jsonl",
        "test.csv",
        "test.tsv",
    )
    for labels, says in ((["是"], "at least 2"), (["是", "是"], "listed twice")):
        with pytest.raises(UserError, match=says):
            find_task("ocnli").with_labels(labels)


def test_rate_decay_warm_up_and_clipping_follow_the_optimizer() -> None:
    task = reviews(
        recipe={"learning_rate": 3e-5, "head_learning_rate": 1e-3},
        named_recipes={"old": {"optimizer": "adafactor", **FACTORED, "epochs": 9}},
    )
    plain, named = task.recipe_for("one", "small"), task.recipe_for("one", "small", "old")

    recipe, origins = with_optimizer("adafactor", *plain, plain)
    assert recipe == plain[0].updated(FACTORED)
    assert {name for name, origin in origins.items() if origin == "optimizer adafactor"} == FACTORED.keys()

    recipe, origins = with_optimizer("adamw", *named, plain)
    assert recipe == named[0].updated({name: getattr(plain[0], name) for name in FACTORED})
    assert (recipe.learning_rate, recipe.head_learning_rate, recipe.epochs) == (3e-5, 1e-3, 9)
    assert (origins["learning_rate"], origins["epochs"]) == ("task reviews", "recipe old")

    assert with_optimizer("adamw", *plain, plain) == plain
    assert with_optimizer("adafactor", *named, plain) == named
