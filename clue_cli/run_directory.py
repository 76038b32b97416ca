"""A run's directory: seen to be free, taken by one training alone, and taken away again where nothing came of it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from clue_cli.errors import UserError
from clue_cli.files import check_output_directory, writing

LOCK = ".lock"
"""Held while a training writes; the system gives it up with the process, however that ends."""


class RunDirectory:
    """The directory of one training, which holds it alone from `take` to `release`.

    resume: the directory has a run that goes on. force: a run that is there gives way.
    """

    def __init__(self, path: Path, *, resume: bool, force: bool) -> None:
        from filelock import FileLock

        self.path, self.resume, self.force = path, resume, force
        self._lock = FileLock(str(path / LOCK))
        self._made: list[Path] = []
        """What did not stand before, outermost last."""

    def check(self) -> None:
        """UserError where the directory cannot be the run's. Nothing is made or removed; a run to continue is held."""
        where = str(self.path)
        if self.resume:
            if not (self.path / "record.json").is_file():
                raise UserError("there is no run to continue", where=where, hint="train without --resume")
            self._hold()
            return
        try:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                if not (self.path / "record.json").is_file():
                    hint = "give another --output"
                    raise UserError("exists already and is not a run of clue's", where=where, hint=hint)
                if not self.force:
                    hint = "--resume continues it, --force replaces it"
                    raise UserError("there is a run already", where=where, hint=hint)
                self._see_that_nobody_holds_it()
            check_output_directory(self.path, force=self.force)
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}"
            raise UserError(reason, where=where, hint="give another --output") from error

    def take(self) -> None:
        """Make the directory anew and hold it: of several that try at once one succeeds, the others get a UserError."""
        if self.resume:
            return
        if self.force and (self.path / "record.json").is_file():
            self._see_that_nobody_holds_it()
            aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.old")
            with writing(self.path):
                self.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        missing = [parent for parent in self.path.parents if not parent.exists()]
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # not there, or not empty
                self.path.rmdir()
            try:
                self.path.mkdir()
            except FileExistsError as error:
                raise self._taken() from error
        self._made = [self.path, *missing]
        self._hold()

    def release(self) -> None:
        """Let go of the directory."""
        if self._lock.is_locked:
            self._lock.release()
            (self.path / LOCK).unlink(missing_ok=True)

    def give_up(self) -> None:
        """Let go of the directory, and remove what `take` made."""
        self.release()
        for number, path in enumerate(self._made):
            if number == 0:
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):  # something else was put there meanwhile
                    path.rmdir()

    def _hold(self) -> None:
        from filelock import Timeout

        with writing(self.path):
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise self._taken() from error

    def _see_that_nobody_holds_it(self) -> None:
        self._hold()
        self.release()

    def _taken(self) -> UserError:
        return UserError("another training writes here", where=str(self.path), hint="give another --output")
