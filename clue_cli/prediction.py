"""Prediction as a stream: examples in, answers out in the same order, in bounded memory.

    reader thread                        compute thread                      main thread
    examples -> look-aheads -> features ==> batches by length -> model ==> answers in input order

The three overlap, joined by queues of one look-ahead each (torch and the tokenizer release the interpreter's lock).
Inside a look-ahead features are sorted by length and cut into batches by a budget of tokens. On a processor every
batch is computed by one thread of its own, several at a time: small models gain more from that than from many threads
in one matrix product, and a figure does not depend on the number of threads (in bf16 it would).

How the stream is cut depends on the stream alone. A continued prediction, and one spread over several processes, so
meet the same batches and write the same bytes as one process that was never interrupted.

    predictor = clue_cli.load("runs/tnews/mini-zh-classification-s1-...")
    predictor.predict(["今天股市大涨"])            # [{"label": "104", ...}]
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clue_cli.contract import Answering, Tally
from clue_cli.errors import RunError, UserError, Where
from clue_cli.lines import Row
from clue_cli.pipeline import Processes, Workers, read_ahead

if TYPE_CHECKING:
    from clue_cli.contract import Example, Feature, Prediction
    from clue_cli.model import BaseModel
    from clue_cli.task import Task

LOOKAHEAD = 2048
"""Examples that are sorted by length together. More would hardly save padding and cost memory."""

LOOKAHEAD_CHARACTERS = 1_000_000
"""A look-ahead ends early once its texts hold this many characters: memory stays bounded for long texts too."""

NUMBERS_CPU, TOKENS_DEVICE = 1 << 19, 65_536
"""How large a batch is. On a processor, numbers of one hidden layer: it is one thread's and stays near its core (1 MB
in bf16; three times that, 2,048 tokens of a base-size encoder, took 15 % longer). On an accelerator, tokens."""


BEYOND = "candidates beyond the most that a head decodes (it finds nearly everything: is it trained?)"


OnRows = Callable[[int], object]
"""Is told how many rows more are done, such as `advance` of a progress."""


def nobody(rows: int) -> None:
    """The `OnRows` that does nothing."""


class _Stopped(Exception):
    """Ends the compute thread between two batches."""


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


def token_batches(features: Sequence[Feature], tokens: int, *, by_row: bool = False) -> list[list[int]]:
    """Positions of `features` in batches of like length, longest first, of at most `tokens` with padding.

    Features of one unit stay together, unless `by_row` (see `Head`); a unit over the budget is a batch by itself.
    """
    from clue_cli.batching import micro_batches

    lengths = np.array([feature.length for feature in features], dtype=np.int64)
    units = np.array([i if by_row else feature.unit for i, feature in enumerate(features)], dtype=np.int64)
    longest: dict[int, int] = {}
    for unit, length in zip(units.tolist(), lengths.tolist(), strict=True):
        longest[unit] = max(longest.get(unit, 0), length)
    order = sorted(range(len(features)), key=lambda i: (-longest[int(units[i])], int(units[i])))
    return micro_batches(order, lengths, units, tokens)


class Predictor:
    """Answers for examples, with one loaded model.

    model:   a run's or an export's; see `clue_cli.model.BaseModel`.
    tokens:  of one batch, padding included; None takes what suits the model and its device.
    tally:   where texts that were cut and windows that were left out are counted.
    """

    def __init__(
        self,
        model: BaseModel,
        *,
        tokens: int | None = None,
        tally: Tally | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.model = model
        self.task: Task = model.task
        self.tally = tally if tally is not None else Tally()
        self.processes = processes or Processes()
        self.tokens = tokens or (NUMBERS_CPU // model.hidden_size if model.device.type == "cpu" else TOKENS_DEVICE)
        self._memory_told = False

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        device: str | None = None,
        precision: str | None = None,
        tokens: int | None = None,
        tally: Tally | None = None,
    ) -> Predictor:
        """The model of a run or an export, on `device` (None: the best at hand) in `precision` (None: the fastest).

        UserError where the directory is missing or not a run's.
        """
        directory = model_directory(run)
        processes = Processes.current()
        from clue_cli.model import load_model

        return cls(load_model(directory, device, precision), tokens=tokens, tally=tally, processes=processes)

    def answering(self, *, threshold: float | None = None, top_k: int = 1, joint: bool = True) -> Answering:
        """The options of an answer, checked: the run's own threshold where none is given.

        UserError for a threshold that the run's head has no use for, and for `top_k` below 1.
        """
        if top_k < 1:
            raise UserError(f"must be at least 1, got {top_k}", where="--top-k")
        if top_k > 1 and not self.task.ranked:
            raise UserError(f"task {self.task.name} answers with all spans that count", where="--top-k")
        if threshold is not None and not math.isfinite(threshold):
            raise UserError(f"must be a finite number, got {threshold}", where="--threshold")
        if threshold is not None and not self.model.head.thresholded:
            raise UserError(f"the head {self.model.settings.head} has no threshold", where="--threshold")
        threshold = self.model.threshold if threshold is None else threshold
        return Answering(threshold=threshold, top_k=top_k, flat=self.model.head.flat, joint=joint)

    def examples(
        self,
        examples: Iterable[Example],
        options: Answering | None = None,
        *,
        answered: int = 0,
        on_rows: OnRows = nobody,
    ) -> Generator[tuple[Example, Prediction], None, None]:
        """(example, prediction) in the order of `examples`, from the one after the first `answered` on.

        `on_rows` is told, batch by batch and in the compute thread, how many examples more are computed: in all as many
        as are yielded. Those of other processes count once their whole look-ahead is here.

        Reads at most five look-aheads (with n processes 2 n + 3) before the answer that it yields. An exception of
        `examples` is raised after the answers before it. Under several processes each reads all of `examples`,
        computes its look-aheads and yields all answers; RunError where the device's memory holds not even one unit.
        """
        options = options or self.answering()
        stop = threading.Event()
        with closing(read_ahead(self._computed(examples, options, answered, stop, on_rows))) as computed:
            try:
                for lookahead, predictions in computed:
                    pairs = zip(lookahead.examples, predictions, strict=True)
                    yield from itertools.islice(pairs, lookahead.answered, None)
            finally:
                stop.set()

    def predict(
        self, items: Iterable[Any], *, top_k: int = 1, threshold: float | None = None, probabilities: bool = False
    ) -> list[dict[str, Any]]:
        """The answer for each item, as the fields that `clue predict` writes beside the row's own.

        An item is a text, a tuple of texts (a pair), or a mapping of the task's own fields. UserError names the first
        bad item by its index.
        """
        table = hasattr(items, "columns")  # pandas and its like, of which iterating gives the columns' names
        if isinstance(items, (str, Mapping)) or not isinstance(items, Iterable) or table:
            one = "predict([row])" if isinstance(items, Mapping) else "predict([text])"
            hint = 'predict(frame.to_dict("records"))' if table else one
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
                hint = "what is no text, such as a list of choices, goes into a mapping"
                raise UserError(f"{wanted}, got {type(item).__name__}", where=where, hint=hint)
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

    def _computed(
        self, examples: Iterable[Example], options: Answering, answered: int, stop: threading.Event, on_rows: OnRows
    ) -> Iterator[tuple[_Lookahead, list[Prediction]]]:
        """Runs in the compute thread: look-aheads with their answers, everybody's, in order."""
        from clue_cli.precision import use_in_thread

        use_in_thread(self.model.device)
        self.model.make_ready()
        rank, size = self.processes.rank, self.processes.size
        with (
            Workers(self.model.device.type) as workers,
            closing(read_ahead(self._lookaheads(examples, answered), stop)) as lookaheads,
        ):
            for turn in _turns(lookaheads, size):
                mine = self._answers(turn[rank], options, workers, stop, on_rows) if rank < len(turn) else []
                everybodys = self.processes.gather(mine)
                on_rows(sum(len(one.examples) - one.answered for place, one in enumerate(turn) if place != rank))
                yield from zip(turn, everybodys, strict=False)

    def _answers(
        self, lookahead: _Lookahead, options: Answering, workers: Workers, stop: threading.Event, on_rows: OnRows
    ) -> list[Prediction]:
        features = lookahead.features
        if features is None:
            raise RuntimeError("a look-ahead of another process was handed to this one")

        def compute(batch: list[int]) -> list[Any]:
            if stop.is_set():
                raise _Stopped
            return self._compute([features[p] for p in batch], options)

        batches = token_batches(features, self.tokens, by_row=self.model.head.by_row)
        candidates: list[Any] = [None] * len(features)
        missing = Counter(feature.item for feature in features)
        untold = len(lookahead.examples) - lookahead.answered
        for batch, found in zip(batches, workers.map(compute, batches), strict=True):
            complete = 0
            for position, candidate in zip(batch, found, strict=True):
                candidates[position] = candidate
                item = features[position].item
                missing[item] -= 1
                complete += not missing[item] and item >= lookahead.answered
            untold -= complete
            on_rows(complete)
        on_rows(untold)  # examples without a feature
        by_item: list[tuple[list[Feature], list[Any]]] = [([], []) for _ in lookahead.examples]
        for feature, candidate in zip(features, candidates, strict=True):
            by_item[feature.item][0].append(feature)
            by_item[feature.item][1].append(candidate)
        return [
            self._predicted(example, its_features, its_candidates, options)
            for example, (its_features, its_candidates) in zip(lookahead.examples, by_item, strict=True)
        ]

    def _predicted(
        self, example: Example, features: list[Feature], candidates: list[Any], options: Answering
    ) -> Prediction:
        """The answer for one example, what it had to leave out counted; a sweep over thresholds overrides this."""
        prediction = self.task.predictions(example, features, candidates, options)
        left_out = getattr(prediction.scores, "left_out", None)  # a task that counts by reason says more than the head
        if left_out is None:
            left_out = {BEYOND: sum(getattr(candidate, "dropped", 0) for candidate in candidates)}
        for reason, amount in left_out.items():
            self.tally.add(reason, example.where, amount)
        return prediction

    def _compute(self, features: list[Feature], options: Answering) -> list[Any]:
        """Candidates of one batch, halved as often as the device's memory demands."""
        from clue_cli.precision import out_of_memory

        try:
            return self.model.predict(features, options)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            reason = str(error)
        # Outside the handler: the exception's frames held the tensors that must go before the next try.
        halves = _halves(features, by_row=self.model.head.by_row)
        if halves is None:
            length = max(feature.length for feature in features)
            found = f"the device's memory does not hold a batch of {len(features)} x {length} tokens: {reason}"
            raise RunError(found, hint="--device cpu has more of it")
        if not self._memory_told:
            from clue_cli import console

            self._memory_told = True
            self.tokens = max(self.tokens // 2, 1)
            console.message("out of device memory: going on with smaller batches")
        return [candidate for half in halves for candidate in self._compute(half, options)]


def _halves(features: list[Feature], *, by_row: bool) -> tuple[list[Feature], list[Feature]] | None:
    """The batch in two, cut between units or, `by_row`, anywhere; None where it cannot be cut."""
    cuts = [i for i in range(1, len(features)) if by_row or features[i].unit != features[i - 1].unit]
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
