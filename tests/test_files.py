from __future__ import annotations

import errno
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clue_cli.errors import RunError, UserError
from clue_cli.export.place import staging
from clue_cli.files import atomic_write, check_output, check_output_directory, write_error, writing
from clue_cli.submission import SubmitRequest
from clue_cli.submission import _staging as submission_staging


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.txt"
    with atomic_write(path) as file:
        file.write("一行\nzwei\n")
        assert not path.exists()
    assert path.read_bytes() == "一行\nzwei\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_bytes(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "b", binary=True) as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write("new")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_a_run_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(RunError, match="out: writing failed: the disk is full"), atomic_write(path) as file:
        file.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_really_full_device() -> None:
    with pytest.raises(RunError, match="the disk is full"), atomic_write("/dev/full") as file:
        file.write("x")


def test_errors_of_other_files_keep_their_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"), atomic_write(tmp_path / "out") as file:
        file.write((tmp_path / "missing").read_text())
    assert list(tmp_path.iterdir()) == []


def test_devices_are_written_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with atomic_write(fifo) as file:
            file.write("through\n")
        assert os.read(reader, 100) == b"through\n"
    finally:
        os.close(reader)
    assert fifo.is_fifo()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_a_pipe_behind_a_link_is_written() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as read:
        with os.fdopen(writing, "wb") as write_end, atomic_write(f"/dev/fd/{write_end.fileno()}") as file:
            file.write("a\n")
        assert read.read() == "a\n"


def test_links_are_followed_and_modes_kept(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(real)
    with atomic_write(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file" / "below", tmp_path, tmp_path / ("n" * 300)):
        with pytest.raises(UserError), atomic_write(bad):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOENT, errno.ENOTDIR])
def test_refusals_are_the_users(number: int) -> None:
    assert isinstance(write_error("x", OSError(number, "text")), UserError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_failures_are_the_runs(number: int) -> None:
    error = write_error("x", OSError(number, "text"))
    assert isinstance(error, RunError)
    assert "\n" not in str(error)


def test_writing_passes_broken_pipes_on() -> None:
    with pytest.raises(BrokenPipeError), writing("x"):
        raise BrokenPipeError(errno.EPIPE, "gone")


def test_outputs_are_checked_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").write_text("x")
    check_output(tmp_path / "a" / "b" / "new")
    check_output(tmp_path / "there", force=True)
    check_output("/dev/null")
    assert [p.name for p in tmp_path.iterdir()] == ["there"]
    for bad, words in (
        (tmp_path / "there", "exists already"),
        (tmp_path, "is a directory"),
        (tmp_path / "there" / "x", "is a file"),
    ):
        with pytest.raises(UserError, match=words):
            check_output(bad)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(UserError, match=r"--output .*: cannot be written: the file system is read-only"):
        check_output(tmp_path / "new")


def test_output_directories(tmp_path: Path) -> None:
    check_output_directory(tmp_path)
    check_output_directory(tmp_path / "new" / "one")
    (tmp_path / "file").write_text("")
    check_output_directory(tmp_path, force=True)
    for bad in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError):
            check_output_directory(bad)


@pytest.mark.parametrize("packed", [False, True])
def test_a_full_disk_beside_an_output_is_told_of_the_output(tmp_path: Path, packed: bool) -> None:
    """Exports and submissions grow in a directory with a name that nobody gave."""
    output = tmp_path / ("entry.zip" if packed else "sub")
    full = OSError(errno.ENOSPC, "No space left on device")
    for make in (partial(staging, output), partial(submission_staging, SubmitRequest((), output))):
        said = f"^{re.escape(str(output))}: writing failed: the disk is full"
        with pytest.raises(RunError, match=said), make() as stage, writing(stage / "file"):
            raise full
        with pytest.raises(RunError, match=said), make():
            raise full
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError), staging(output):
        raise FileNotFoundError(errno.ENOENT, "not the disk")
