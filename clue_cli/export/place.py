"""Where an export goes: a directory that appears whole or not at all, and replaces nothing but an older export."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clue_cli.errors import UserError
from clue_cli.files import check_output_directory, filling, sync_directory, writing
from clue_cli.model_settings import ONNX, SETTINGS, read_settings, weights_format


def is_export(directory: Path) -> bool:
    """Whether `directory` is one that `clue export` wrote."""
    if not (directory / SETTINGS).is_file():
        return False
    try:
        return weights_format(read_settings(directory), directory) == ONNX
    except UserError:  # broken, or newer than this program: not one that may be replaced unseen
        return False


def check_place(output: Path, *, force: bool) -> None:
    """UserError where an export cannot go to `output`: something else is there, or nothing can be written."""
    where = f"--output {output}"
    with writing(output):
        taken = output.exists() and (not output.is_dir() or any(output.iterdir()))
        if taken and output.is_dir():
            if not is_export(output):
                raise UserError("exists already and is not an export", where=where, hint="give another --output")
            if not force:
                raise UserError("there is an export already", where=where, hint="--force replaces it")
    check_output_directory(output, force=True)
    check_output_directory(_beside(output, "part"), force=True)


def _beside(output: Path, ending: str) -> Path:
    """A name in the same directory, so that renaming moves nothing."""
    target = Path(os.path.realpath(output))
    return target.with_name(f".{target.name[:60]}.{os.getpid()}.{ending}")


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """A directory beside `output` that goes away with all that is in it, and with parents that were made for it.

    `publish` moves it to its place; what stays of it is removed, whatever happens.
    """
    stage = _beside(output, "part")
    made = [parent for parent in stage.parents if not parent.exists()]
    with writing(output):
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
    try:
        with filling(output):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # it holds the export
                parent.rmdir()


def publish(stage: Path, output: Path) -> None:
    """Flush what `stage` holds and let it take the place of `output`."""
    target, old = Path(os.path.realpath(output)), _beside(output, "old")
    with writing(output):
        for path in sorted(stage.rglob("*")):
            if path.is_file():
                with path.open("rb+") as file:  # some systems flush only what may be written
                    os.fsync(file.fileno())
        if target.exists():
            target.rename(old)
        try:
            stage.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        sync_directory(target.parent)
        shutil.rmtree(old, ignore_errors=True)
