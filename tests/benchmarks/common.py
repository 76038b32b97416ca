"""What the benchmarks share: the machine in a line, sides that take turns, small data and run directories."""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from clue_cli.environment import environment
from clue_cli.sources import locate

BASE_VOCABULARY = 21_128
"""Entries of the vocabulary of the released Chinese base-size encoders."""


def show_machine(*more: str) -> None:
    """Processor, threads and versions in one line, and what else is worth knowing in the next."""
    seen = environment()
    versions = " ".join(f"{name} {version}" for name, version in sorted(seen.libraries.items()))
    print(f"{seen.cpu}, {seen.cores} cores; Python {seen.python}, {versions}")
    if more:
        print("; ".join(more))


def set_threads(threads: int) -> None:
    """For this process's children: as many threads of torch and of the tokenizer's library."""
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


def cores() -> int:
    return environment().cores


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary directory; the cache of features lies in it too, so that no run finds another's."""
    with tempfile.TemporaryDirectory(prefix="clue-benchmark-") as name:
        os.environ["CLUE_CACHE"] = str(Path(name) / "cache")
        yield Path(name)


# ---------------------------------------------------------------- data


def raw_lines(task: Any, data: str | None, split: str) -> tuple[list[str], bool]:
    """The lines of a split's official file, and whether they are the shipped sample's."""
    source, sample = locate(task.name, data, hub=task.hub)
    return [line for _, line in source.lines(task.file_of(source, split))], sample


def write_data(directory: Path, train: Sequence[str], dev: Sequence[str]) -> Path:
    """A data directory of two files."""
    directory.mkdir(parents=True)
    for name, lines in (("train.json", train), ("dev.json", dev)):
        (directory / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return directory


def repeated(lines: Sequence[str], count: int) -> list[str]:
    """`count` lines, from the start again where there are fewer."""
    return list(islice(cycle(lines), count))


def texts_of(task: Any, directory: Path, split: str) -> list[tuple[tuple[str, ...], str]]:
    """(texts, label) of every row of a split of a data directory, read by the task."""
    from clue_cli.contract import Tally
    from clue_cli.sources import Source

    return [(e.texts, e.gold) for e in task.read(Source.open(directory), split, Tally())]


# ---------------------------------------------------------------- encoders and runs


def quiet_transformers() -> None:
    """No progress bars and loading reports among the figures."""
    from transformers.utils import logging as module

    logging: Any = module  # its functions carry no types
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def make_base_encoder(directory: Path, vocabulary: int = BASE_VOCABULARY) -> Path:
    """A randomly initialised BERT of base size (12 layers of 768) with the shipped encoder's words."""
    import torch
    import transformers
    from transformers import BertConfig, BertModel

    from clue_cli.encoders.location import SHIPPED

    quiet_transformers()
    words = json.loads((SHIPPED["mini-zh"] / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    entries = sorted(words, key=words.__getitem__)
    entries += [f"[unused-{number}]" for number in range(vocabulary - len(entries))]
    directory.mkdir(parents=True)
    (directory / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    bert: Any = getattr(transformers, "BertTokenizerFast", None) or transformers.BertTokenizer
    bert.from_pretrained(str(directory), model_max_length=512).save_pretrained(str(directory))
    (directory / "vocab.txt").unlink(missing_ok=True)
    torch.manual_seed(0)
    model: Any = BertModel(BertConfig(vocab_size=len(entries)), add_pooling_layer=False)
    model.save_pretrained(str(directory))
    return directory


def encoder_directory(name: str, work: Path, vocabulary: int = BASE_VOCABULARY) -> Path:
    """`base`: a base-size encoder made on the spot; else what `clue --encoder` takes."""
    if name == "base":
        return make_base_encoder(work / "base", vocabulary)
    from clue_cli.encoders.location import resolve

    return resolve(name).fetch()


def make_run(task_name: str, encoder: Path, run: Path, head: str | None = None) -> Path:
    """A run directory with an untrained head (None: the task's own): as fast as a trained one, made in a second."""
    import torch

    from clue_cli.model import Model
    from clue_cli.registry import find_task

    task = find_task(task_name)
    head = head or task.default_head
    recipe, _ = task.recipe_for(head, "small")
    torch.manual_seed(0)
    run.mkdir(parents=True)
    Model.build(task, head, recipe, encoder=str(encoder)).save(run / "model")
    return run


def make_sequence_classifier(encoder: Path, labels: int, directory: Path) -> Path:
    """The same encoder as `transformers` classifies with it, saved with its tokenizer."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    quiet_transformers()
    torch.manual_seed(0)
    model: Any = AutoModelForSequenceClassification.from_pretrained(str(encoder), num_labels=labels)
    if hasattr(model.config, "classifier_pooling"):
        model.config.classifier_pooling = "mean"  # what clue does with this encoder
    model.save_pretrained(str(directory))
    AutoTokenizer.from_pretrained(str(encoder)).save_pretrained(str(directory))
    return directory


def in_other_process(function: Callable[..., Any], *arguments: Any) -> None:
    """Call `function` in a fresh process, so that this one stays free of what it imports."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} failed")


# ---------------------------------------------------------------- sides that take turns


class Side:
    """One of the things compared, in a process of its own that works only when told to.

    `work(connection, *arguments)` sends "ready", then answers every message; None ends it.
    """

    def __init__(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._here, there = context.Pipe()
        self._process = context.Process(target=work, args=(there, *arguments), daemon=True)
        self._process.start()
        there.close()
        self.facts: Any = self._receive()

    def ask(self, message: Any) -> Any:
        self._here.send(message)
        return self._receive()

    def end(self) -> None:
        self._here.send(None)
        self._process.join(30)
        if self._process.is_alive():
            self._process.terminate()

    def _receive(self) -> Any:
        try:
            return self._here.recv()
        except EOFError as error:
            raise SystemExit(f"the side {self.name} ended early") from error


def answer(connection: Connection, respond: Callable[[Any], Any], facts: Any = "ready") -> None:
    """Serve a `Side` until it is told to end."""
    connection.send(facts)
    while (message := connection.recv()) is not None:
        connection.send(respond(message))


def show_ratios(speeds: dict[str, list[float]], *, unit: str, ours: str) -> None:
    """Speed of every side (all rounds together come as one number by the caller), and how many times faster ours is."""
    for name, values in speeds.items():
        middle = statistics.median(values)
        line = f"  {name:34} {middle:10.1f} {unit} (median of {len(values)}; {min(values):.1f} to {max(values):.1f})"
        if name != ours:
            ratios = [mine / theirs for mine, theirs in zip(speeds[ours], values, strict=True)]
            line += f"   clue is {statistics.median(ratios):.2f} times as fast"
        print(line)
