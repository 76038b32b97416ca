"""A run's directory: seen to be free, held by one training alone, and left as it was where nothing came of it."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from clue_cli import console
from clue_cli.errors import UserError
from clue_cli.files import check_output_directory, writing

LOCK = ".lock"
"""Held while a training writes; the system gives it up with the process, however that ends."""


class RunDirectory:
    """The directory of one training, which holds it alone from `take` (a run that goes on: from `check`) to `release`.

    resume: the directory has a run that goes on. force: a run that is there gives way.
    """

    def __init__(self, path: Path, *, resume: bool, force: bool) -> None:
        self.path, self.resume, self.force = path, resume, force
        self._handle: int | None = None
        self._taken = False
        self._made: list[Path] = []
        """What did not stand before, outermost last."""

    def check(self) -> None:
        """UserError where the directory cannot be the run's. Nothing is made or removed; a run to continue is held."""
        where, is_run = str(self.path), (self.path / "record.json").is_file()
        if self.resume:
            if not is_run:
                raise UserError("there is no run to continue", where=where, hint="train without --resume")
            self._hold()
            return
        try:
            if self.path.exists() and (not self.path.is_dir() or self._contents()):
                if not is_run:
                    hint = "give another --output"
                    raise UserError("exists already and is not a run of clue's", where=where, hint=hint)
                if not self.force:
                    hint = "--resume continues it, --force replaces it"
                    raise UserError("there is a run already", where=where, hint=hint)
                self._hold()
                self.release()
            check_output_directory(self.path, force=True)
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}"
            raise UserError(reason, where=where, hint="give another --output") from error

    def take(self) -> None:
        """Hold the directory, made or emptied: of several that try at once one succeeds, the others get a UserError."""
        if self.resume:
            return
        self._made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        with writing(self.path):
            Path(os.path.realpath(self.path)).mkdir(parents=True, exist_ok=True)
        self._hold()
        if self._contents() and not (self.force and (self.path / "record.json").is_file()):
            raise self._other()  # it came and went since `check`
        self._taken = True
        with writing(self.path):
            self._empty()

    def release(self) -> None:
        """Let go of the directory."""
        if self._handle is not None:
            with suppress(OSError):  # a disk that failed: what stopped the work is already on its way to the user
                (self.path / LOCK).unlink()
            os.close(self._handle)
            self._handle = None

    def give_up(self) -> None:
        """Let go of the directory, without what came into it since `take`; one that did not stand before goes."""
        with suppress(OSError):
            if self._taken:
                self._empty()
        self.release()
        for path in self._made:
            with suppress(OSError):  # something else was put there meanwhile
                path.rmdir()

    def _contents(self) -> list[Path]:
        return [path for path in self.path.iterdir() if path.name != LOCK]

    def _empty(self) -> None:
        for path in self._contents():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _hold(self) -> None:
        with writing(self.path):
            handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
            # Who let go of it in between has removed the file, and the next one will make another.
            alone = os.path.samestat(os.fstat(handle), (self.path / LOCK).stat())
        except (BlockingIOError, PermissionError, FileNotFoundError):
            alone = False
        except OSError as error:
            console.warn(f"{self.path}: no lock ({error.strerror}): see that no other training writes here")
            alone = True
        if not alone:
            os.close(handle)
            raise self._other()
        self._handle = handle

    def _other(self) -> UserError:
        return UserError("another training writes here", where=str(self.path), hint="give another --output")


def _lock(handle: int) -> None:
    """Lock an open file against other processes; BlockingIOError or PermissionError if one of them has it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
