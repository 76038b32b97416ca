"""Files that are whole or absent: written beside, flushed, renamed. And what a failing disk says, in one line."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, overload

from clue_cli.errors import ClueError, RunError, UserError

_counter = itertools.count()

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too big",
}
_REFUSED = {
    errno.EACCES: "no permission to write",
    errno.EPERM: "no permission to write",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the directory does not exist",
    errno.EEXIST: "a part of the path is a file, not a directory",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EISDIR: "is a directory; a file was expected",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "the links lead in a circle",
}


def disk_is_full(error: OSError) -> bool:
    """Whether `error` says that there is no room left."""
    return error.errno in _FULL


def write_error(path: str | Path, error: OSError) -> ClueError:
    """What to tell the user about `error` met while writing `path`.

    `UserError` where the path cannot be written at all, `RunError` where writing began and failed.
    """
    if error.errno in _REFUSED:
        return UserError(f"cannot be written: {_REFUSED[error.errno]}", where=str(path), hint="give another --output")
    reason = _FULL.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    hint = "free some space and try again" if error.errno in _FULL else None
    return RunError(f"writing failed: {reason}", where=str(path), hint=hint)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn an OSError of the block into the `ClueError` that `write_error` finds for `path`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def filling(output: str | Path) -> Iterator[None]:
    """A full disk met anywhere in the block as one of `output`: what lies beside it has names that nobody gave."""
    try:
        yield
    except (OSError, RunError) as error:
        cause = error.__cause__ if isinstance(error, RunError) else error
        if not isinstance(cause, OSError) or not disk_is_full(cause):
            raise
        raise write_error(output, cause) from error


@overload
def atomic_write(path: str | Path, *, binary: Literal[False] = False) -> AbstractContextManager[IO[str]]: ...
@overload
def atomic_write(path: str | Path, *, binary: Literal[True]) -> AbstractContextManager[IO[bytes]]: ...
def atomic_write(path: str | Path, *, binary: bool = False) -> AbstractContextManager[IO[Any]]:
    r"""Open a file that appears at `path`, whole, when the block ends, and not at all if it fails.

        with atomic_write(path) as file:
            file.write(text)

    Text is UTF-8 with "\n" between lines; `binary` takes bytes. An older file at `path` is replaced (whether that is
    wanted is the caller's question: `check_output`); a link is followed; a device or pipe (/dev/stdout) is written
    directly. Missing parent directories are made. UserError where `path` cannot be written, RunError where the disk
    fails; the temporary file is removed on any error.
    """
    return _atomic(Path(path), binary)


@contextmanager
def _atomic(path: Path, binary: bool) -> Iterator[IO[Any]]:
    with writing(path):
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # Renaming over /dev/null would replace the device; a pipe behind a link (/dev/stdout) has no path of its own.
    if path.exists() and not path.is_file():
        with writing(path):
            file = _open(path, binary, "w")
        with _block(path, file):
            yield file
        return
    beside = target.parent / f".{target.name[:60]}.{os.getpid()}-{next(_counter)}.part"
    try:
        with writing(path):
            file = _open(beside, binary, "x")
        with _block(path, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
        with writing(path):
            if target.exists():
                with suppress(OSError):  # an owner's choice of who may read it stays
                    beside.chmod(target.stat().st_mode & 0o777)
            beside.replace(target)
            sync_directory(target.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


@contextmanager
def _block(path: Path, file: IO[Any]) -> Iterator[None]:
    """Close `file` after the block; its own OSErrors become errors of `path`, those of other files stay."""
    try:
        with file:
            yield
    except OSError as error:
        # Writing to an open file names no file; opening another one inside the block does.
        if error.filename is not None or isinstance(error, BrokenPipeError):
            raise
        raise write_error(path, error) from error


def _open(path: Path, binary: bool, mode: str) -> IO[Any]:
    if binary:
        return path.open(mode + "b")
    return path.open(mode, encoding="utf-8", newline="\n")


def sync_directory(directory: Path) -> None:
    """Make renames inside `directory` last through a power cut, where the system can."""
    with suppress(OSError):  # Windows opens no directories; some network disks sync none
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_output(path: str | Path, *, force: bool = False, option: str = "--output") -> None:
    """Find out before the work starts that a file can be written at `path`; nothing is left behind.

    UserError if something stands there and `force` is not given, if it is a directory, or if its directory (or the
    nearest one that exists) takes no new files.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError("is a directory; a file was expected", where=f"{option} {path}")
    if path.exists():
        if not path.is_file():
            return
        if not force:
            raise UserError("exists already", where=f"{option} {path}", hint="--force replaces it")
        if not os.access(path, os.W_OK):
            raise UserError("cannot be written: no permission", where=f"{option} {path}")
    _check_parent(Path(os.path.realpath(path)).parent, f"{option} {path}")


def check_output_directory(path: str | Path, *, force: bool = False) -> None:
    """The same for a directory that is going to be made, or filled where it is empty (or `force` is given)."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError("is a file; a directory was expected", where=f"--output {path}")
    if path.is_dir():
        if any(path.iterdir()) and not force:
            raise UserError("exists already and is not empty", where=f"--output {path}", hint="--force writes into it")
        _check_parent(path, f"--output {path}")
    else:
        _check_parent(Path(os.path.realpath(path)).parent, f"--output {path}")


def _check_parent(parent: Path, where: str) -> None:
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise UserError(f"cannot be written: {parent.name} is a file, not a directory", where=where)
    probe = parent / f".clue-{os.getpid()}-{next(_counter)}.part"
    try:
        # Asking the permissions is not enough: read-only mounts and full quotas show only when a file is made.
        probe.touch(exist_ok=False)
    except OSError as error:
        reason = _REFUSED.get(error.errno or 0) or _FULL.get(error.errno or 0) or error.strerror
        raise UserError(f"cannot be written: {reason}", where=where) from error
    finally:
        with suppress(OSError):
            probe.unlink()
