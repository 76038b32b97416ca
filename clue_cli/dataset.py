"""What a task's data look like, split by split: counts, labels, repeated texts, lengths, gold answers within reach.

Everything is measured in one pass over the rows, a batch at a time; of a row only two hashes and its lengths stay in
memory. `clue_cli.dataset_checks` judges what is measured here.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from clue_cli.contract import Example, Limits, Tally

if TYPE_CHECKING:
    from clue_cli.contract import TextEncoder
    from clue_cli.sources import Source
    from clue_cli.task import Task

BATCH = 1000
"""Examples tokenised together: fast tokenizers want many, and memory stays bounded."""

UNLIMITED = 2**30
"""A length in tokens that no text reaches: features made with it are whole."""

REPLACEMENT = "\ufffd"
"""What a decoder writes for bytes that it could not read: the text was damaged before it came here."""


@dataclass(frozen=True)
class Encoding:
    """How texts become tokens, for the measurements that need it.

    encoder:   the encoder's name.
    text:      the encoder's way from text to tokens; `joined` the same without splitting Chinese characters, where that
               makes a difference.
    unknown:   the id of the unknown token; None where the tokenizer has none.
    """

    encoder: str
    text: TextEncoder
    limits: Limits
    joined: TextEncoder | None = None
    unknown: int | None = None

    @classmethod
    def load(
        cls, task: Task, encoder: str | None, *, head: str | None = None,
        max_length: int | None = None, overlap: int | None = None,
    ) -> Encoding:  # fmt: skip
        """The encoder by name and the limits of a training with it: the recipe's where none are given.

        UserError for an encoder that cannot be used, and for a length that it was not made for.
        """
        from clue_cli.encoders import HFTextEncoder, load_encoder

        loaded = load_encoder(encoder)
        recipe, _ = task.recipe_for(head or task.default_head, loaded.size)
        limits = Limits(
            recipe.max_length if max_length is None else max_length, recipe.overlap if overlap is None else overlap
        )
        loaded.check_length(limits.max_length)
        text = loaded.text_encoder
        joined = None
        if task.spans and text.splits_chinese:
            joined = HFTextEncoder(text.tokenizer, takes_segments=text.takes_segments, split_cjk=False)
        return cls(loaded.name, text, limits, joined, text.tokenizer.unk_token_id)


@dataclass
class Quantiles:
    """Lengths of the examples of a split: characters of all texts together, or tokens with the special ones."""

    min: int
    median: int
    p95: int
    max: int
    total: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Quantiles | None:
        """Quantiles (the lower one where two are equally near); None without lengths."""
        if not len(lengths):
            return None
        values = np.asarray(lengths, dtype=np.int64)
        low, middle, high, top = np.quantile(values, [0, 0.5, 0.95, 1], method="lower").tolist()
        return cls(int(low), int(middle), int(high), int(top), int(values.sum()))


@dataclass
class SpanReach:
    """Gold spans that the encoder's tokens can express, whatever the model learns: their share bounds recall.

    reasons: why the others cannot be reached, counted.
    joined:  those within reach if Chinese characters that the tokenizer joins are not split before; None where it
             joins none.
    """

    gold: int = 0
    reachable: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    joined: int | None = None


class SpanTask(Protocol):
    """What a task with gold spans offers beside `Task`: how many of them can be predicted at all."""

    def recall_bound(self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits) -> Any:
        """An object with `gold` and `reachable` (counts of spans) and `unreachable` (a `Tally` by reason)."""


@dataclass
class SplitDescription:
    """One split as measured; counts are rows or examples.

    ignored:      other files of the user's that could be this split, after `file` in the order of preference.
    official:     whether the file is the official one; None where its hash is not known (or the data are the user's).
    rows:         rows in the file; `examples` those read; `left_out` the others, by reason.
    labels:       label or span type -> how often it occurs as gold, in the order of the task.
    duplicates:   examples whose input was there before in this split; `conflicts` inputs that occur with several golds.
    seen_in:      earlier split -> examples of this one whose input occurs there too.
    tokens:       of an example with special tokens, of several choices the longest; `all_tokens` those of all.
    over_length:  examples longer than the limit: cut, or given in several windows.
    windows:      features that all examples make at the limit.
    tokens_kept:  tokens inside the limit; equal to `all_tokens` for tasks with windows.
    damaged:      examples with U+FFFD in a text.
    """

    file: str
    sha256: str
    official: bool | None
    official_rows: int | None
    ignored: list[str] = field(default_factory=list)
    rows: int = 0
    examples: int = 0
    labelled: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    conflicts: int = 0
    seen_in: dict[str, int] = field(default_factory=dict)
    damaged: int = 0
    characters: Quantiles | None = None
    tokens: Quantiles | None = None
    all_tokens: int = 0
    over_length: int = 0
    windows: int = 0
    tokens_kept: int = 0
    unknown_tokens: int = 0
    spans: SpanReach | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def _digest(text: str) -> int:
    # 64 bits: among a million texts two different ones meet once in 40 million data sets.
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def input_key(example: Example) -> int:
    """A hash of what the encoder sees of an example: equal inputs have equal keys."""
    return _digest("\x1f".join(example.texts))


def gold_key(gold: Any) -> int:
    """A hash of the gold; spans in any order are the same gold."""
    return _digest(repr(gold if isinstance(gold, str) else sorted(gold) if isinstance(gold, tuple | list) else gold))


def batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Lists of up to `BATCH` examples."""
    iterator = iter(examples)
    while batch := list(islice(iterator, BATCH)):
        yield batch


class Repeats:
    """Inputs of one split, to find repeated and contradicting ones."""

    def __init__(self) -> None:
        self.golds: dict[int, int | None] = {}
        self.duplicates = 0
        self._conflicting: set[int] = set()

    def add(self, example: Example) -> int:
        """Count an example; its input's key."""
        key = input_key(example)
        gold = None if example.gold is None else gold_key(example.gold)
        if key in self.golds:
            self.duplicates += 1
            if self.golds[key] != gold:
                self._conflicting.add(key)
        else:
            self.golds[key] = gold
        return key

    @property
    def conflicts(self) -> int:
        """Inputs that occur with more than one gold."""
        return len(self._conflicting)


def measure_split(
    task: Task, source: Source, split: str, earlier: dict[str, Repeats], encoding: Encoding | None
) -> SplitDescription:
    """Measure one split, and put its inputs into `earlier` under the split's name.

    Raises what reading raises: RowError with file and line at the first row that is wrong.
    """
    files = task.files_of(source, split)
    hashes = [source.sha256(file) for file in files]
    expected = [None if task.own else task.official.get(file) for file in files]
    tally = Tally()
    found = SplitDescription(
        file=", ".join(files),
        sha256=", ".join(hashes),
        official=None if None in expected else expected == hashes,
        official_rows=None if task.own else task.counts.get(split),
        ignored=[name for name in task.files[split] if task.own and name not in files and source.has(name)],
        labels=dict.fromkeys(task.labels, 0),
    )
    repeats, labels = Repeats(), Counter[str]()
    characters, tokens = array("q"), array("q")
    seen = Counter[str]()
    for batch in batches(task.read(source, split, tally)):
        for example in batch:
            key = repeats.add(example)
            seen.update(name for name, others in earlier.items() if key in others.golds)
            characters.append(sum(map(len, example.texts)))
            found.damaged += any(REPLACEMENT in text for text in example.texts)
            if example.gold is not None:
                found.labelled += 1
                labels.update(task.labels_of(example.gold))
        found.examples += len(batch)
        if encoding is not None:
            _measure_tokens(task, batch, encoding, found, tokens)
    found.left_out = tally.as_dict()
    found.rows = found.examples + sum(found.left_out.values())
    found.labels.update(labels)
    found.duplicates, found.conflicts = repeats.duplicates, repeats.conflicts
    found.seen_in = {name: seen[name] for name in earlier}
    found.characters, found.tokens = Quantiles.of(characters), Quantiles.of(tokens)
    earlier[split] = repeats
    return found


def _measure_tokens(
    task: Task, batch: Sequence[Example], encoding: Encoding, found: SplitDescription, tokens: array[int]
) -> None:
    """Lengths of whole examples, then the windows of those over the limit, and the spans within reach."""
    limit = encoding.limits.max_length
    whole = list(task.features(batch, encoding.text, Limits(UNLIMITED), Tally()))
    longest = Counter[int]()
    for feature in whole:
        found.all_tokens += feature.length
        longest[feature.item] = max(longest[feature.item], feature.length)
        found.windows += 1
        if encoding.unknown is not None:
            found.unknown_tokens += feature.inputs["input_ids"].count(encoding.unknown)
    tokens.extend(longest[item] for item in range(len(batch)))
    long = [item for item in range(len(batch)) if longest[item] > limit]
    whole_of_long = sum(longest[feature.item] > limit for feature in whole)
    found.over_length += len(long)
    found.tokens_kept += sum(feature.length if task.spans else min(feature.length, limit) for feature in whole)
    if long:
        cut = sum(1 for _ in task.features([batch[item] for item in long], encoding.text, encoding.limits, Tally()))
        found.windows += cut - whole_of_long
    if task.spans:
        found.spans = found.spans or SpanReach()
        _measure_spans(cast("SpanTask", task), batch, encoding, found.spans)


def _measure_spans(task: SpanTask, batch: Sequence[Example], encoding: Encoding, found: SpanReach) -> None:
    reach = task.recall_bound(batch, encoding.text, encoding.limits)
    found.gold += reach.gold
    found.reachable += reach.reachable
    for reason, amount in reach.unreachable.counts.items():
        found.reasons[reason] = found.reasons.get(reason, 0) + amount
    if encoding.joined is not None:
        joined = task.recall_bound(batch, encoding.joined, encoding.limits)
        found.joined = (found.joined or 0) + joined.reachable
