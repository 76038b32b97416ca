"""Prediction as a stream: examples in, answers out in the same order, in bounded memory.

    reader thread                                  main thread
    examples -> look-aheads of 2,048 -> features ==queue of one==> batches by length -> model -> answers in order

The reader thread reads and tokenises the next look-ahead while the model computes (torch and the tokenizer release
the interpreter's lock). Inside a look-ahead features are sorted by length and cut into batches by a budget of tokens.
How the stream is cut depends on the stream alone, so that a continued prediction and one spread over several
processes meet the same batches, and write the same figures, as one process that was never interrupted.

    predictor = clue_cli.load("runs/tnews/mini-zh-classification-s1-...")
    predictor.predict(["今天股市大涨"])            # [{"label": "104", ...}]
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clue_cli.contract import Answering, Tally
from clue_cli.errors import RunError, UserError, Where
from clue_cli.sources import Row

if TYPE_CHECKING:
    from clue_cli.contract import Example, Feature, Prediction, Task
    from clue_cli.model import Model

T = TypeVar("T")

LOOKAHEAD = 2048
"""Examples that are sorted by length together. More would hardly save padding and cost memory."""

LOOKAHEAD_CHARACTERS = 1_000_000
"""A look-ahead ends early once its texts hold this many characters: memory stays bounded for long texts too."""

DEVICE_FACTOR = 8
"""How many times `batching.PREDICTION_TOKENS` a batch holds on an accelerator."""

CLOSE_SECONDS = 2.0
"""How long a stopped prediction waits for its reader thread, which may sit in a read that never returns."""


class Processes:
    """The processes that share the work under `accelerate launch`; one, alone, by default."""

    rank, size = 0, 1

    def gather(self, mine: T) -> list[T]:
        """Every process's `mine`, by rank, in every process."""
        return [mine]

    @staticmethod
    def current() -> Processes:
        """The processes this one was launched with; accelerate is imported only where there are several."""
        return _Launched() if several_processes() else Processes()


class _Launched(Processes):
    def __init__(self) -> None:
        from accelerate import PartialState

        state = PartialState()
        self.rank, self.size = state.process_index, state.num_processes

    def gather(self, mine: T) -> list[T]:
        from accelerate.utils import gather_object

        gathered: list[T] = gather_object([mine])
        return gathered


def several_processes() -> bool:
    """Whether `accelerate launch` (or torchrun) started more than one process; nothing heavy is imported to know."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


def read_ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """The items, drawn by a background thread that stays at most `depth` + 1 items ahead.

    An exception of `items` is raised here after the items before it. Closing this generator (or an exception in the
    caller, Ctrl-C included) ends the thread and closes `items` in it.
    """
    box: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
    stopped = threading.Event()

    def work() -> None:
        failure: BaseException | None = None
        try:
            iterator = iter(items)
            try:
                for item in iterator:
                    box.put((item, None, False))
                    if stopped.is_set():
                        return
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
        except BaseException as error:  # it belongs to the main thread: handed over, whatever it is
            failure = error
        box.put((None, failure, True))

    thread = threading.Thread(target=work, name="clue-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, failure, last = box.get()
            if failure is not None:
                raise failure
            if last:
                return
            yield item  # type: ignore[misc]  # None only where the triple says failure or last
            del item  # or a look-ahead would live one turn longer than needed
    finally:
        stopped.set()
        while not box.empty():  # a put that waits for room goes through, sees `stopped` and ends
            box.get_nowait()
        thread.join(CLOSE_SECONDS)


@dataclass(slots=True)
class _Lookahead:
    """Examples computed together; the first `answered` of them were answered before; features None: not ours."""

    examples: list[Example]
    answered: int
    features: list[Feature] | None


def _take(examples: Iterator[Example]) -> tuple[list[Example], bool, Exception | None]:
    """The next look-ahead, whether more may follow, and the exception that cut it short."""
    taken: list[Example] = []
    characters = 0
    try:
        for example in examples:
            taken.append(example)
            characters += sum(map(len, example.texts))
            if len(taken) >= LOOKAHEAD or characters >= LOOKAHEAD_CHARACTERS:
                return taken, True, None
    except Exception as error:  # raised again once the answers before it are out
        return taken, False, error
    return taken, False, None


def token_batches(features: Sequence[Feature], tokens: int) -> list[list[int]]:
    """Positions of `features` in batches of like length, longest first, of at most `tokens` with padding.

    Features of one unit stay together; a unit over the budget is a batch by itself.
    """
    from clue_cli.batching import micro_batches

    lengths = np.array([feature.length for feature in features], dtype=np.int64)
    units = np.array([feature.unit for feature in features], dtype=np.int64)
    longest: dict[int, int] = {}
    for feature in features:
        longest[feature.unit] = max(longest.get(feature.unit, 0), feature.length)
    order = sorted(range(len(features)), key=lambda i: (-longest[features[i].unit], features[i].unit))
    return micro_batches(order, lengths, units, tokens)


class Predictor:
    """Answers for examples, with one loaded model.

    model:   see `clue_cli.model.Model`.
    tokens:  of one batch, padding included; None takes the default of the model's device.
    tally:   where texts that were cut and windows that were left out are counted.
    """

    def __init__(
        self, model: Model, *, tokens: int | None = None, tally: Tally | None = None, processes: Processes | None = None
    ) -> None:
        self.model = model
        self.task: Task = model.task
        self.tally = tally if tally is not None else Tally()
        self.processes = processes or Processes()
        self.tokens = tokens or _default_tokens(model)
        self._memory_told = False

    @classmethod
    def load(
        cls, run: str | Path, *, device: str | None = None, precision: str | None = None, tokens: int | None = None,
        tally: Tally | None = None,
    ) -> Predictor:
        """The model of a run directory, ready on `device` (None: the best at hand) in `precision` (None: the fastest).

        UserError where the directory is missing or not a run's.
        """
        directory = model_directory(run)
        processes = Processes.current()
        from clue_cli.model import Model

        model = Model.load(directory)
        model.to_device(device, precision)
        return cls(model, tokens=tokens, tally=tally, processes=processes)

    def answering(self, *, threshold: float | None = None, top_k: int = 1) -> Answering:
        """The options of an answer, checked: the run's own threshold where none is given.

        UserError for a threshold that the run's head has no use for, and for `top_k` below 1.
        """
        if top_k < 1:
            raise UserError(f"must be at least 1, got {top_k}", where="--top-k")
        if threshold is not None and not self.model.head.thresholded:
            raise UserError(f"the head {type(self.model.head).__name__} has no threshold", where="--threshold")
        threshold = self.model.threshold if threshold is None else threshold
        return Answering(threshold=threshold, top_k=top_k, flat=self.model.head.flat)

    def examples(
        self, examples: Iterable[Example], options: Answering | None = None, *, answered: int = 0
    ) -> Generator[tuple[Example, Prediction], None, None]:
        """(example, prediction) in the order of `examples`, from the one after the first `answered` on.

        Reads at most three look-aheads (with n processes n + 2) before the answer that it yields. An exception of
        `examples` is raised after the answers before it. Under several processes each reads all of `examples`,
        computes its look-aheads and yields all answers; RunError where the device's memory holds not even one unit.
        """
        options = options or self.answering()
        ahead = read_ahead(self._lookaheads(examples, answered))
        with closing(ahead):
            for turn in _turns(ahead, self.processes.size):
                rank = self.processes.rank
                mine = self._answers(turn[rank], options) if rank < len(turn) else []
                for lookahead, predictions in zip(turn, self.processes.gather(mine), strict=False):
                    pairs = zip(lookahead.examples, predictions, strict=True)
                    for position, pair in enumerate(pairs):
                        if position >= lookahead.answered:
                            yield pair

    def predict(
        self, items: Iterable[Any], *, top_k: int = 1, threshold: float | None = None, probabilities: bool = False
    ) -> list[dict[str, Any]]:
        """The answer for each item, as the fields that `clue predict` writes beside the row's own.

        An item is a text, a tuple of texts (a pair), or a mapping of the task's own fields. UserError names the first
        bad item by its index.
        """
        if isinstance(items, (str, Mapping)):
            hint = "predict([text])" if isinstance(items, str) else "predict([row])"
            raise UserError("predict takes a list of items", hint=hint)
        options = self.answering(threshold=threshold, top_k=top_k)
        stream = self.examples((self._example(item, index) for index, item in enumerate(items)), options)
        return [
            self.task.answer_fields(example, prediction, options, probabilities=probabilities)
            for example, prediction in stream
        ]

    def _example(self, item: Any, index: int) -> Example:
        where = Where(f"item {index}")
        fields = self.task.fields
        if isinstance(item, Mapping):
            data = dict(item)
        else:
            texts = (item,) if isinstance(item, str) else item
            if not isinstance(texts, (tuple, list)) or not all(isinstance(text, str) for text in texts):
                wanted = "a text, a tuple of texts or a mapping of fields was expected"
                raise UserError(f"{wanted}, got {type(item).__name__}", where=where)
            if len(texts) != len(fields):
                needed = f"{len(fields)} text{'s' if len(fields) > 1 else ''} ({', '.join(fields)})"
                raise UserError(f"{self.task.name} takes {needed}, got {len(texts)}", where=where)
            data = dict(zip(fields, texts, strict=True))
        return self.task.example(Row(data, where), index, labelled=False)

    def _lookaheads(self, examples: Iterable[Example], answered: int) -> Iterator[_Lookahead]:
        """Runs in the reader thread. Look-aheads answered before are drawn and dropped."""
        iterator = iter(examples)
        turn, more = 0, True
        failure: Exception | None = None
        try:
            while more:
                taken, more, failure = _take(iterator)
                if len(taken) > answered:
                    ours = turn % self.processes.size == self.processes.rank
                    yield _Lookahead(taken, answered, self._features(taken) if ours else None)
                    turn += 1
                answered = max(answered - len(taken), 0)
                if failure is not None:
                    raise failure
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _features(self, examples: Sequence[Example]) -> list[Feature]:
        model = self.model
        return list(
            self.task.features(
                examples, model.text_encoder, model.limits, self.tally, segments=model.segments, flat=model.head.flat
            )
        )

    def _answers(self, lookahead: _Lookahead, options: Answering) -> list[Prediction]:
        features = lookahead.features
        if features is None:
            raise RuntimeError("a look-ahead of another process was handed to this one")
        candidates: list[Any] = [None] * len(features)
        for batch in token_batches(features, self.tokens):
            for position, candidate in zip(batch, self._compute([features[p] for p in batch], options), strict=True):
                candidates[position] = candidate
        by_item: list[tuple[list[Feature], list[Any]]] = [([], []) for _ in lookahead.examples]
        for feature, candidate in zip(features, candidates, strict=True):
            by_item[feature.item][0].append(feature)
            by_item[feature.item][1].append(candidate)
        return [
            self.task.predictions(example, its_features, its_candidates, options)
            for example, (its_features, its_candidates) in zip(lookahead.examples, by_item, strict=True)
        ]

    def _compute(self, features: list[Feature], options: Answering) -> list[Any]:
        """Candidates of one batch, halved as often as the device's memory demands."""
        import torch

        try:
            return self.model.predict(features, options)
        except torch.OutOfMemoryError as error:
            reason = str(error)
        # Outside the handler: the exception's frames held the tensors that must go before the next try.
        halves = _halves(features)
        if halves is None:
            length = max(feature.length for feature in features)
            found = f"the device's memory does not hold a batch of {len(features)} x {length} tokens: {reason}"
            raise RunError(found, hint="--device cpu has more of it")
        if not self._memory_told:
            from clue_cli import console

            console.message("out of device memory: going on with smaller batches")
            self._memory_told = True
        self.tokens = max(self.tokens // 2, 1)
        return [candidate for half in halves for candidate in self._compute(half, options)]


def _default_tokens(model: Model) -> int:
    from clue_cli.batching import PREDICTION_TOKENS

    return PREDICTION_TOKENS * (1 if model.device.type == "cpu" else DEVICE_FACTOR)


def _halves(features: list[Feature]) -> tuple[list[Feature], list[Feature]] | None:
    """The batch in two, cut between units; None where it is one unit."""
    cuts = [i for i in range(1, len(features)) if features[i].unit != features[i - 1].unit]
    if not cuts:
        return None
    cut = min(cuts, key=lambda i: abs(2 * i - len(features)))
    return features[:cut], features[cut:]


def _turns(lookaheads: Iterator[_Lookahead], size: int) -> Iterator[list[_Lookahead]]:
    """Look-aheads by `size`; those before an exception come out, in a shorter turn, before it is raised."""
    turn: list[_Lookahead] = []
    failure: Exception | None = None
    try:
        for lookahead in lookaheads:
            turn.append(lookahead)
            if len(turn) == size:
                yield turn
                turn = []
    except Exception as error:
        failure = error
    if turn:
        yield turn
    if failure is not None:
        raise failure


def model_directory(run: str | Path) -> Path:
    """The directory of a run's model, from the run's directory; UserError where it is missing or holds none."""
    run = Path(run)
    if not run.exists():
        raise UserError("no such run directory", where=str(run), hint="clue train prints the path of its run")
    if not run.is_dir():
        raise UserError("a run directory was expected, this is a file", where=str(run))
    for directory in (run / "model", run):
        if (directory / "clue.json").is_file():
            return directory
    unfinished = (run / "last").is_dir()
    hint = "it is not finished: clue train TASK --output RUN --resume" if unfinished else "clue train makes one"
    raise UserError("not a run directory: model/clue.json is missing", where=str(run), hint=hint)
