"""A run's directory: one training at a time, nothing of another one lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from clue_cli.errors import UserError
from clue_cli.run_directory import LOCK, RunDirectory


def new(path: Path, *, force: bool = False) -> RunDirectory:
    return RunDirectory(path, resume=False, force=force)


def test_of_two_that_start_at_once_one_takes_the_directory(tmp_path: Path) -> None:
    first, second = new(tmp_path / "a" / "run"), new(tmp_path / "a" / "run")
    first.check()
    second.check()
    first.take()
    (first.path / "record.json").write_text("{}")
    with pytest.raises(UserError, match="another training writes here"):
        second.take()
    second.give_up()
    assert (first.path / "record.json").exists()
    first.release()
    assert not (first.path / LOCK).exists()


def test_a_run_that_is_being_written_is_neither_replaced_nor_continued(tmp_path: Path) -> None:
    running = new(tmp_path / "run")
    running.check()
    running.take()
    (running.path / "record.json").write_text("{}")
    for other in (new(running.path, force=True), RunDirectory(running.path, resume=True, force=False)):
        with pytest.raises(UserError, match="another training writes here"):
            other.check()
        with pytest.raises(UserError, match="another training writes here"):
            other.check()
        other.give_up()
    assert (running.path / "record.json").exists()
    running.release()
    again = RunDirectory(running.path, resume=True, force=False)
    again.check()
    again.give_up()
    assert (running.path / "record.json").exists()
    forced = new(running.path, force=True)
    forced.check()
    assert (running.path / "record.json").exists()
    forced.take()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert [path.name for path in running.path.iterdir()] == [LOCK]
    forced.release()


def test_nothing_came_of_it_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for path in (tmp_path / "kept" / "b" / "run", tmp_path / "empty"):
        if path.name == "empty":
            path.mkdir()
        claimed = new(path)
        claimed.check()
        claimed.take()
        claimed.give_up()
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(UserError, match="is not a run of clue's"):
            new(tmp_path, force=force).check()
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(UserError, match="--force replaces it"):
        new(tmp_path).check()
