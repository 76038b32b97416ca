"""The CLUE set on the Hugging Face hub, in the form of the official files.

The hub's loader differs from the official files in three ways that matter: labels are numbers in an order of its own
(NLI: neutral, entailment, contradiction), unlabelled rows carry -1, and the row's id is gone except for csl, where it
is called `corpus_id` (`idx` is only the row number). Labels are therefore translated by the names that the feature
lists, never by position, and placeholders are taken away.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

from clue_cli.errors import ClueError, RunError, UserError, Where
from clue_cli.lines import Bad, Row
from clue_cli.sources import Source

DATASET = "clue/clue"
SPLIT_FILES: Mapping[str, str] = {"train.json": "train", "dev.json": "validation", "test.json": "test"}
"""Official file name -> the hub's split."""
RENAMED: Mapping[str, str] = {"corpus_id": "id"}


class HubSource(Source):
    """One configuration of a data set on the hub, seen as the official files `train.json`, `dev.json`, `test.json`.

    dataset: the hub's name of the set; a mirror is named by the environment variable HF_ENDPOINT.
    config:  the configuration (the task).
    splits:  an already loaded `datasets.DatasetDict`, instead of loading over the network.
    """

    def __init__(
        self, dataset: str = DATASET, config: str | None = None, *, splits: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"hub {dataset}" + (f" {config}" if config else ""))
        self.label = self.location
        self._splits = splits if splits is not None else _load(dataset, config)

    @classmethod
    def for_task(cls, task: str, config: str) -> HubSource:
        """The CLUE set's configuration for a task; UserError if it has none."""
        if not config:
            hint = "give a directory or a zip"
            raise UserError(f"task {task} is not in {DATASET} on the hub", where="--data hub", hint=hint)
        return cls(config=config)

    def names(self) -> list[str]:
        """Official names of the splits that are there."""
        return sorted(name for name, split in SPLIT_FILES.items() if split in self._splits)

    def open_bytes(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """UserError: the hub has no files of bytes."""
        raise UserError("the hub has rows, not files", where=self.place(name))

    def document(self, name: str) -> Any:
        """None: what is one document in the official form is rows here."""
        return None

    def rows(self, name: str, bad: Bad | None = None) -> Iterator[Row]:
        """Rows in the official form: labels as strings by name, no label where there is none."""
        split = self._splits[SPLIT_FILES[self.find([name])]]
        classes = {column: feature.names for column, feature in split.features.items() if hasattr(feature, "names")}
        place = self.place(name)
        for number, values in enumerate(split, start=1):
            yield Row(_official(values, classes), Where(place, number))

    def sha256(self, name: str) -> str:
        """SHA-256 of the rows as JSON lines: the hub's own form has no official hash."""
        if name not in self._hashes:
            digest = hashlib.sha256()
            for row in self.rows(name):
                digest.update(json.dumps(row.data, ensure_ascii=False, sort_keys=True).encode() + b"\n")
            self._hashes[name] = digest.hexdigest()
        return self._hashes[name]


def _official(values: Mapping[str, Any], classes: Mapping[str, list[str]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for column, value in values.items():
        if column in classes:
            if value is None or value < 0:
                continue
            value = classes[column][value]
        data[RENAMED.get(column, column)] = value
    return data


def _load(dataset: str, config: str | None) -> Mapping[str, Any]:
    """Load over the network (or from the library's own cache); one line for whatever goes wrong there."""
    import datasets  # slow to import, and wanted here only

    where = f"hub {dataset}" + (f" {config}" if config else "")
    try:
        with _quiet():
            return dict(datasets.load_dataset(dataset, config))
    except ClueError:
        raise
    except (ValueError, datasets.exceptions.DatasetNotFoundError) as error:
        raise UserError(f"cannot be loaded: {_first_line(error)}", where=where) from error
    except Exception as error:  # whatever network, cache or disk raise: the user sees one line
        hint = "HF_ENDPOINT names a mirror; or download the official zip and give --data PATH"
        raise RunError(f"cannot be reached: {_first_line(error)}", where=where, hint=hint) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' lines about every retry: what they fail at in the end is said in one."""
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
