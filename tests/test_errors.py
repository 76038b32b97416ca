"""Errors as a person and another process meet them."""

from __future__ import annotations

import pickle
import signal
from pathlib import Path

import pytest

from clue_cli.errors import ClueError, RowError, RunError, UserError, Where
from clue_cli.interruption import Interrupted

ERRORS = [
    UserError("no such task", where="--task", hint="clue list"),
    RowError("the text is empty", Where("train.json", 3, "sentence"), hint="leave the row out"),
    RunError("the disk is full"),
    Interrupted(signal.SIGTERM, Path("runs/a")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_cross_processes_whole(error: ClueError) -> None:
    """An exception that cannot be unpickled hangs a pool of processes, or takes it down."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args


def test_a_place_names_its_parts() -> None:
    assert str(Where("a.json", 2).at("entities", 2, "end")) == "a.json:2: entities[2].end"
    assert str(Where("a.json", 2, "label").at("name")) == "a.json:2: label.name"
    assert str(Where("a.json").at(0)) == "a.json: [0]"
