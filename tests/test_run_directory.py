"""A run's directory: one training at a time, nothing of another one lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from clue_cli import console, run_directory
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


def test_where_nothing_came_of_it_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "kept" / "b" / "run", tmp_path / "empty"):
        claimed = new(path)
        claimed.check()
        claimed.take()
        (path / "last").mkdir()
        (path / "record.json").write_text("{}")
        claimed.give_up()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "kept"]


def test_a_directory_of_the_users_stays_the_one_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link leads on, permissions stay, a mount point or the current directory can be filled."""
    place = tmp_path / "place"
    place.mkdir(mode=0o750)
    (tmp_path / "link").symlink_to(place)
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    inode = place.stat().st_ino
    monkeypatch.chdir(place)
    for path in (tmp_path / "link", Path(), place, tmp_path / "dangling"):
        claimed = new(path, force=True)
        claimed.check()
        claimed.take()
        assert (path / LOCK).exists()
        (path / "record.json").write_text("{}")
        claimed.release()
    assert (place.stat().st_ino, place.stat().st_mode & 0o777) == (inode, 0o750)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "made" / "record.json").exists()


def test_a_run_that_came_and_went_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    late = new(tmp_path / "run")
    late.check()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text("{}")
    with pytest.raises(UserError, match="another training writes here"):
        late.take()
    late.give_up()
    assert (tmp_path / "run" / "record.json").exists()


def test_a_lock_that_was_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    claimed = new(tmp_path)
    claimed.check()
    claimed.take()
    claimed.release()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_it_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(handle: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    console.configure()
    monkeypatch.setattr(run_directory, "_lock", none)
    claimed = new(tmp_path / "run")
    claimed.check()
    claimed.take()
    assert "no lock (No locks available)" in " ".join(capsys.readouterr().err.split())
    claimed.release()


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(UserError, match="is not a run of clue's"):
            new(tmp_path, force=force).check()
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(UserError, match="--force replaces it"):
        new(tmp_path).check()
