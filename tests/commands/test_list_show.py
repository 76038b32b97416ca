from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from clue_cli.commands.list import list_command
from clue_cli.commands.show import describe, show_command
from clue_cli.errors import UserError
from clue_cli.registry import find_task, tasks

Run = Callable[..., Any]
"""(What typer's runner gives comes from click, or from typer's own copy of it.)"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("COLUMNS", raising=False)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("list")(list_command)
    app.command("show")(show_command)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_list_names_every_task_in_80_columns(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    assert max(map(cell_len, result.stdout.splitlines())) <= 80
    for name, task in tasks().items():
        (line,) = [line for line in result.stdout.splitlines() if f" {name} " in line]
        assert task.default_head in line
        assert task.default_metric in line


def test_list_says_whose_data_are_at_hand(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tnews").mkdir()
    monkeypatch.setenv("CLUE_DATA", str(tmp_path))
    found = {task["name"]: task for task in json.loads(run("list", "--json").stdout)}
    assert set(found) == set(tasks())
    assert found["tnews"]["data"] == "hand"
    assert found["csl"]["data"] != "hand"
    assert found["cluener"]["metrics"] == list(find_task("cluener").metrics)


@pytest.mark.parametrize("name", ["tnews", "iflytek", "cluener", "ocnli"])
def test_show_tells_all(run: Run, name: str) -> None:
    task = find_task(name)
    result = run("show", name)
    assert result.exit_code == 0, result.exception
    for word in (*task.heads, *task.metrics, *task.submissions.values(), *(n for f in task.files.values() for n in f)):
        assert word in result.stdout
    document = json.loads(run("show", name, "--json").stdout)
    assert [entry["label"] for entry in document["labels"]] == list(task.labels)
    recipe, origins = task.recipe_for(task.default_head, "small")
    assert document["recipe"]["values"]["epochs"] == {"value": recipe.epochs, "origin": origins["epochs"]}


def test_show_takes_heads_sizes_and_recipes() -> None:
    task = find_task("cluener")
    assert describe(task, "crf", "base")["recipe"]["head"] == "crf"
    named = describe(task, "crf", "base", "clue-bert4keras")["recipe"]["values"]
    assert named["optimizer"] == {"value": "adafactor", "origin": "recipe clue-bert4keras"}
    with pytest.raises(UserError, match="did you mean base"):
        describe(task, "crf", "bas")


@pytest.mark.parametrize(("arguments", "words"), [
    (["tnes"], "did you mean tnews"), (["cluener", "--head", "cfr"], "did you mean crf"),
    (["tnews", "--fields", "sentense"], "did you mean sentence"),
])  # fmt: skip
def test_misspelt_names_get_the_nearest(run: Run, arguments: list[str], words: str) -> None:
    result = run("show", *arguments)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)
