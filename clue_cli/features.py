"""Features of a whole split as flat arrays, made once and kept on disk.

Tokenising a split is done once: the table is stored through `datasets` under a fingerprint of everything that matters
(data, task and its version, tokenizer, limits), so that a second start is instant and a changed option can never read
an old cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clue_cli.contract import Example, Feature, Tally

_COLUMN_TYPES = {"sequence": np.int8}


class FeatureTable(Sequence[Feature]):
    """Features as ragged arrays: a column is its values, (N,) or (N, w), and (F + 1,) offsets (not for numbers)."""

    def __init__(self, columns: Mapping[str, tuple[np.ndarray, np.ndarray | None]], tally: Mapping[str, int]) -> None:
        self.columns = dict(columns)
        self.tally = dict(tally)
        self.items = self.columns["item"][0]
        self.units = self.columns["unit"][0]
        offsets = self.columns["inputs.input_ids"][1]
        assert offsets is not None
        self.lengths = np.diff(offsets)
        self._inputs = [name for name in self.columns if name.startswith("inputs.")]
        self._targets = [name for name in self.columns if name.startswith("targets.")]

    @classmethod
    def build(cls, features: Iterable[Feature], tally: Tally | None = None) -> FeatureTable:
        """Collect `features`; `tally` must already be complete when the iterable ends."""
        lists: dict[str, list[Any]] = {"item": [], "unit": []}
        for feature in features:
            lists["item"].append(feature.item)
            lists["unit"].append(feature.unit)
            for name, values in feature.inputs.items():
                lists.setdefault(f"inputs.{name}", []).append(np.asarray(values, dtype=np.int32))
            if feature.char_spans is not None:
                lists.setdefault("char_spans", []).append(np.asarray(feature.char_spans, dtype=np.int32))
                lists.setdefault("sequence", []).append(np.asarray(feature.sequence, dtype=np.int8))
            for name, value in feature.targets.items():
                lists.setdefault(f"targets.{name}", []).append(value)
        lists.setdefault("inputs.input_ids", [])
        columns: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
        for name, column in lists.items():
            if column and np.ndim(column[0]) > 0:
                sizes = np.array([0, *(len(entry) for entry in column)], dtype=np.int64)
                flat = np.concatenate(column, dtype=_COLUMN_TYPES.get(name, np.int32), casting="same_kind")
                columns[name] = (flat, np.cumsum(sizes))
            elif name.startswith("inputs."):
                columns[name] = (np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
            else:
                columns[name] = (np.asarray(column, dtype=np.int64), None)
        return cls(columns, tally.as_dict() if tally else {})

    def __len__(self) -> int:
        return len(self.items)

    def _ragged(self, name: str, index: int) -> np.ndarray:
        values, offsets = self.columns[name]
        assert offsets is not None
        return values[offsets[index] : offsets[index + 1]]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        targets: dict[str, Any] = {}
        for name in self._targets:
            values, offsets = self.columns[name]
            short = name.removeprefix("targets.")
            if offsets is None:
                targets[short] = int(values[index])
            else:
                targets[short] = self._ragged(name, index)
        spans = "char_spans" in self.columns
        return Feature(
            item=int(self.items[index]),
            unit=int(self.units[index]),
            inputs={name.removeprefix("inputs."): self._ragged(name, index) for name in self._inputs},  # type: ignore[misc]
            char_spans=self._ragged("char_spans", index) if spans else None,
            sequence=self._ragged("sequence", index) if spans else None,
            targets=targets,
        )

    def __iter__(self) -> Iterator[Feature]:
        return (self[i] for i in range(len(self)))

    def save(self, directory: Path) -> None:
        """Write the table through `datasets` (Arrow files), beside and renamed: a broken-off write is never read."""
        import datasets

        beside = directory.with_name(f"{directory.name}.{os.getpid()}.part")
        data: dict[str, Any] = {}
        for name, (values, offsets) in self.columns.items():
            data[name] = [values.reshape(-1)]
            if offsets is not None:
                data[f"{name}|offsets"] = [offsets]
            if values.ndim > 1:
                data[f"{name}|width"] = [values.shape[1]]
        quiet = datasets.utils.logging.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        try:
            datasets.Dataset.from_dict(data).save_to_disk(str(beside))
            (beside / "tally.json").write_text(json.dumps(self.tally, ensure_ascii=False), encoding="utf-8")
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        finally:
            if quiet:
                datasets.enable_progress_bars()
        try:
            beside.rename(directory)
        except OSError:  # another process finished the same table first
            shutil.rmtree(beside, ignore_errors=True)

    @classmethod
    def load(cls, directory: Path) -> FeatureTable:
        """The table that `save` wrote."""
        import datasets

        stored = datasets.load_from_disk(str(directory)).with_format("numpy")
        row = stored[0]
        columns = {}
        for name in stored.column_names:
            if "|" in name:
                continue
            offsets, width = row.get(f"{name}|offsets"), row.get(f"{name}|width")
            values = np.asarray(row[name])
            if width is not None:
                values = values.reshape(-1, int(width))
            columns[name] = (values, None if offsets is None else np.asarray(offsets))
        table = cls(columns, json.loads((directory / "tally.json").read_text(encoding="utf-8")))
        table.check()
        return table

    def check(self) -> None:
        """ValueError where columns do not fit each other (a file that was cut or mixed up)."""
        for name, (values, offsets) in self.columns.items():
            rows, end = (len(values), len(values)) if offsets is None else (len(offsets) - 1, int(offsets[-1]))
            if rows != len(self) or end != len(values):
                found = f"{rows} rows and {len(values)} values"
                raise ValueError(f"column {name} has {found}, expected {len(self)} and {end}")


def cache_directory() -> Path:
    """`$CLUE_CACHE`, else `clue` in the user's cache directory."""
    if named := os.environ.get("CLUE_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "clue"


def digest_of(examples: Iterable[Example]) -> str:
    """A hash of what was read: texts and gold of every example, in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(repr((example.texts, example.gold)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def fingerprint(parts: Mapping[str, Any]) -> str:
    """A stable name for everything that decides what features look like."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def cached(parts: Mapping[str, Any], make: Any) -> FeatureTable:
    """The table stored under `parts`, or `make()`'s, stored for the next time; an unwritable cache only costs time."""
    directory = cache_directory() / "features" / fingerprint(parts)
    if (directory / "tally.json").is_file():
        try:
            return FeatureTable.load(directory)
        except Exception:  # damaged, in whatever way: made anew below
            shutil.rmtree(directory, ignore_errors=True)
    table: FeatureTable = make()
    if len(table):
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            table.save(directory)
        except OSError:
            shutil.rmtree(directory, ignore_errors=True)
    return table
