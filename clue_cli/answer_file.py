"""The file that answers go to: `OUT.part` while it grows, `OUT` once it is whole.

    OUT.part            complete records, in input order; what a broken-off prediction leaves behind
    OUT.part.json       what it was made of: run, form, options, names of the inputs
    OUT.rejects.jsonl   rows set aside (`--on-error skip`), written under the same rule

`--resume` cuts OUT.part after its last complete record, makes sure that run and options are the same and that the
records answer the rows of the input, and goes on from there. An OUT that ends in .gz, .bz2 or .xz is packed when it is
whole: OUT.part stays as plain as any, so that it can be continued.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import itertools
import json
import lzma
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from clue_cli import console
from clue_cli.answers import AnswerForm
from clue_cli.contract import Example
from clue_cli.errors import UserError
from clue_cli.files import atomic_write, check_output, sync_directory, writing
from clue_cli.formats import Rejects

FLUSH_EVERY = 256
"""Records between two flushes: what a killed process can lose of a file."""

PART, ABOUT, REJECTED = ".part", ".part.json", ".rejects.jsonl"
"""What the names of the files beside an output end in."""

REJECTED_OPTION = "rejected rows go to"
"""What messages say before the name of the file of rejected rows."""

MODEL_FILES = ("clue.json", "head.safetensors", "model.onnx*", "encoder/**/*")
"""What a model's directory consists of, a run's or an export's, as patterns."""

HASHED_BYTES = 2**20
"""How much of the head and of the tail of a big file goes into the fingerprint of a run."""

_PACKERS: Mapping[str, Callable[[IO[bytes]], Any]] = {
    # Without name and time the same answers are the same bytes.
    ".gz": functools.partial(gzip.GzipFile, "", "wb", 6, mtime=0),
    ".bz2": functools.partial(bz2.BZ2File, mode="wb"),
    ".xz": functools.partial(lzma.LZMAFile, mode="wb"),
}


def run_fingerprint(model_directory: Path) -> str:
    """SHA-256 over the names, sizes and first and last mebibyte of a model's files: which run answered.

    Answers and reports may lie beside them: what else the directory holds does not count.
    """
    digest = hashlib.sha256()
    own = [path for name in MODEL_FILES for path in model_directory.glob(name)]
    for path in sorted(path for path in own if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(model_directory).as_posix()}\n{size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(HASHED_BYTES))
            if size > HASHED_BYTES:
                file.seek(max(size - HASHED_BYTES, HASHED_BYTES))
                digest.update(file.read(HASHED_BYTES))
    return digest.hexdigest()


class AnswerStream:
    """Answers to standard output: nothing to continue, nothing to overwrite."""

    finished = False
    answered = 0
    rejects: Rejects | None = None
    place = "standard output"

    def __init__(self, form: AnswerForm) -> None:
        self.form, self.count = form, 0
        self._colored = form.name == "table" and console.out.is_terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with writing("standard output"):
                sys.stdout.flush()

    def agreeing(self, examples: Iterable[Example]) -> Iterator[Example]:
        """All examples: none is answered yet."""
        return iter(examples)

    def write(self, text: str) -> None:
        """Write one record."""
        self.count += 1
        with writing("standard output"):
            if self._colored:
                _print_marked(text)
            else:
                sys.stdout.buffer.write(text.encode())
            sys.stdout.flush()  # somebody may be waiting at the other end of a pipe


def _print_marked(text: str) -> None:
    from rich.text import Text

    line = Text(text.rstrip("\n"))
    line.highlight_regex(r"\[[^\[\]]*\]", "bold cyan")
    console.out.print(line, soft_wrap=True)


def is_direct(path: Path) -> bool:
    """Whether `path` is a device or a pipe: nothing can be renamed to it, and nothing goes beside it."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _followed(path: Path) -> Path:
    """Where a link leads; else the path as it was given, which messages say."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def written_for(output: Path) -> list[Path]:
    """The files that answers to `output` write or replace, `output` itself first."""
    beside = _followed(output)
    return [output, *(beside.with_name(beside.name + ending) for ending in (PART, ABOUT, REJECTED, REJECTED + PART))]


class AnswerFile:
    """One output file; a context manager that finishes it when the block ends well and else leaves `OUT.part`.

    path:     the file; a link is followed, a device or pipe is written directly.
    made_of:  what the answers depend on, as JSON values: a broken-off file is only continued under the same.
    skipping: whether rows are set aside in `OUT.rejects.jsonl`; if not, an older one goes when the answers are whole.
    finished: with `resume`, whether there is nothing left to do.
    answered: records that are there already.

    UserError where something stands at `path` and neither `force` nor `resume` says what to do about it, where it
    cannot be written, or where a broken-off file is another prediction's.
    """

    def __init__(
        self,
        path: Path,
        form: AnswerForm,
        made_of: Mapping[str, Any],
        *,
        force: bool = False,
        resume: bool = False,
        skipping: bool = False,
    ) -> None:
        self.form, self.made_of, self.place = form, dict(made_of), str(path)
        self._direct = is_direct(path)
        # A pipe behind a link (/dev/stdout, /dev/fd/63) has no path of its own.
        self.path = path if self._direct else _followed(path)
        self._packer = _PACKERS.get(path.suffix.lower())
        self.part, self.about, self.rejected, self.rejected_part = written_for(path)[1:]
        self.answered = self.count = 0
        self.rejects: Rejects | None = None
        self._rejects_file: IO[str] | None = None
        self.finished = resume and self.path.is_file() and not self.part.exists()
        if not self.finished:
            self._open(force, resume)
            if skipping:
                self._open_rejects()

    def _open(self, force: bool, resume: bool) -> None:
        if resume and not force and self.part.exists() and self.path.exists():
            hint = "--resume --force replaces it by what is continued"
            raise UserError("exists already", where=f"--output {self.place}", hint=hint)
        check_output(self.path, force=force)
        if self._direct:
            if self._packer is not None:
                hint = f"-o >(gzip > FILE{self.path.suffix})" if self.path.suffix == ".gz" else "give it another name"
                raise UserError("is a pipe or a device, which takes plain answers", where=self.place, hint=hint)
            with writing(self.place):
                self._file: IO[bytes] = self.path.open("wb")
            return
        check_output(self.rejected, force=force or resume, option=REJECTED_OPTION)
        with writing(self.place):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.part.exists() and not force and not resume:
            hint = "--resume continues it, --force starts anew"
            raise UserError("is there from a prediction that was broken off", where=str(self.part), hint=hint)
        if self.part.exists() and resume:
            self._continue()
            return
        with writing(self.place):
            self._file = self.part.open("wb")
        try:
            with atomic_write(self.about) as file:
                json.dump(self.made_of, file, ensure_ascii=False, indent=1)
        except BaseException:
            self._discard()
            raise

    def _continue(self) -> None:
        self._compare()
        position = 0
        with writing(self.place), self.part.open("rb") as file:
            records = self.form.records(file)
            headers = list(itertools.islice(records, self.form.header_records))
            for _, end in records:
                self.answered, position = self.answered + 1, end
        if self.answered and headers:
            self.form.resume(headers[0][0])
        with writing(self.place):
            self._file = self.part.open("r+b")
            self._file.truncate(position)
            self._file.seek(position)

    def _compare(self) -> None:
        """UserError where the broken-off file was made of something else, or nobody knows of what."""
        hint = "--force starts anew"
        try:
            before = json.loads(self.about.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            found = f"does not say what {self.part.name} was made of: {error}"
            raise UserError(found, where=str(self.about), hint=hint) from error
        now = json.loads(json.dumps(self.made_of))
        if not isinstance(before, dict):
            raise UserError("is not one that clue wrote", where=str(self.about), hint=hint)
        for name in (*now, *before):
            if before.get(name) != now.get(name):
                then, today = (json.dumps(values.get(name), ensure_ascii=False) for values in (before, now))
                change = "" if name == "run" else f": {then} then, {today} now"
                raise UserError(f"was made with another {name}{change}", where=str(self.part), hint=hint)

    def _open_rejects(self) -> None:
        try:
            with writing(self.rejected):
                # Reading begins at the input's start even when continuing, and meets every bad row again.
                self._rejects_file = self.rejected_part.open("w", encoding="utf-8", newline="\n")
        except BaseException:
            self._file.close()
            if not self.answered:
                self._discard()
            raise
        self.rejects = Rejects(self._write_reject)

    def _write_reject(self, line: str) -> None:
        assert self._rejects_file is not None
        with writing(self.rejected):
            self._rejects_file.write(line)

    def agreeing(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples, after a check that the records that are there answer the first of them; UserError if not."""
        number = 0
        examples = iter(examples)
        if self.answered:
            with self.part.open("rb") as file:
                records = itertools.islice(self.form.records(file), self.form.header_records, None)
                written = itertools.islice(records, self.answered)
                # The records first: when they end, zip has not drawn an example that nobody would see.
                for number, ((record, _), example) in enumerate(zip(written, examples, strict=False), start=1):
                    if not self.form.agrees(record, example):
                        raise UserError(
                            f"its answer number {number} is not to the row at {example.where}: the input has changed",
                            where=str(self.part),
                            hint="--force starts anew",
                        )
                    yield example
            if number < self.answered:
                found = f"holds {self.answered:,} answers, but the input has only {number:,} rows"
                raise UserError(found, where=str(self.part), hint="--force starts anew")
        yield from examples

    def write(self, text: str) -> None:
        """Write one record; RunError where the disk fails."""
        with writing(self.place):
            self._file.write(text.encode())
            self.count += 1
            if self.count % FLUSH_EVERY == 0:
                self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.finished:
            return
        if kind is None:
            try:
                self._finish()
            except BaseException:
                self._tell_kept()
                raise
            return
        for file in (self._file, self._rejects_file):
            if file is not None:
                with suppress(OSError):  # a full disk: what stopped the work is already on its way to the user
                    file.close()
        if self._direct:
            return
        if self.answered + self.count:
            self._tell_kept()
        else:
            self._discard()

    def _tell_kept(self) -> None:
        if self.part.exists():
            again = "--resume --force" if self.path.exists() else "--resume"
            console.message(f"{self.part}: what was answered so far is kept; {again} continues it")

    def _discard(self) -> None:
        """Take away what holds no answer yet."""
        self._file.close()
        for path in (self.part, self.about, self.rejected_part):
            path.unlink(missing_ok=True)

    def _finish(self) -> None:
        with writing(self.place):
            self._file.flush()
            if self._direct:
                self._file.close()
                return
            os.fsync(self._file.fileno())
            self._file.close()
        self._finish_rejects()
        with writing(self.place):
            if self._packer is None:
                self.part.replace(self.path)
            else:
                with (
                    self.part.open("rb") as plain,
                    atomic_write(self.path, binary=True) as file,
                    self._packer(file) as packed,
                ):
                    shutil.copyfileobj(plain, packed, 2**20)
                self.part.unlink()
            sync_directory(self.path.parent)
            self.about.unlink(missing_ok=True)

    def _finish_rejects(self) -> None:
        with writing(self.rejected):
            if self._rejects_file is not None:
                self._rejects_file.flush()
                os.fsync(self._rejects_file.fileno())
                self._rejects_file.close()
            if self.rejects is not None and self.rejects.count:
                self.rejected_part.replace(self.rejected)
            else:  # an older one would speak of rows that were answered now
                self.rejected_part.unlink(missing_ok=True)
                self.rejected.unlink(missing_ok=True)
