"""Schemas, rows and a head that answers its targets, for the tests of events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from clue_cli.contract import Answering, Example, Feature, Limits, Tally
from clue_cli.encoders import text as text_module
from clue_cli.errors import Where
from clue_cli.sources import Row
from tasks.families.event_forms import Argument, Event, Mention
from tasks.families.event_targets import event_key
from tasks.families.events import Events

MINI_ZH = Path(text_module.__file__).parent / "mini_zh"
SCHEMA = {"收购": ("买方", "卖方", "标的", "时间"), "上市": ("公司", "环节"), "停产": ("公司",)}
STAGES = ("筹备上市", "正式上市")
TASK = Events(
    name="own",
    title="a user's own",
    schema=SCHEMA,
    enumerated={"上市": {"环节": STAGES}},
    untriggered=("停产",),
    own=True,
)
UNPLACED = Events(
    name="docs", title="documents", schema=SCHEMA, enumerated={"上市": {"环节": STAGES}}, untriggered=("停产",),
    optional_texts=("title",), offsets=False, optional_gold=True, flat_grouped=True,
    metrics={"duee_fin:greedy": "tasks.metrics.events:DueeFinGreedy"},
)  # fmt: skip
WIDE = Limits(128, 32)


def row(data: dict[str, Any], line: int = 3) -> Row:
    return Row(data, Where("own.json", line))


def event(
    text: str, type_: str, trigger: str | tuple[str, int], *pairs: tuple[str, str] | tuple[str, str, int]
) -> Event:
    """An event of words that stand where they first stand, or where they are said to."""
    words, start = (trigger, text.find(trigger)) if isinstance(trigger, str) else trigger
    arguments = [
        Argument(role, some, place[0] if place else -1 if role == "环节" else text.index(some))
        for role, some, *place in pairs
    ]
    return Event(type_, Mention(words, start) if words else Mention(), tuple(arguments))


def example(text: str, *gold: Event, number: int = 0) -> Example:
    return Example(number, f"id{number}", (text,), gold, {"text": text}, Where("own.json", number + 1))


def by_example(
    task: Events,
    examples: Sequence[Example],
    encoder: Any,
    limits: Limits,
    tally: Tally | None = None,
    *,
    flat: bool = False,
) -> list[list[Feature]]:
    grouped: dict[int, list[Feature]] = defaultdict(list)
    for feature in task.features(examples, encoder, limits, tally if tally is not None else Tally(), flat=flat):
        assert feature.unit == feature.item
        grouped[feature.item].append(feature)
    return [grouped[item] for item in range(len(examples))]


def spans_of(spans: np.ndarray, score: float = 1.0) -> SimpleNamespace:
    scores = np.full(len(spans), score, dtype=np.float32)
    probability = (1 + np.tanh(scores)) / 2
    return SimpleNamespace(
        type=spans[:, 0], start=spans[:, 1], end=spans[:, 2], score=scores, probability=probability, dropped=0
    )


def oracle(feature: Feature, score: float = 1.0) -> SimpleNamespace:
    """What a head decodes that has learned a feature's targets by heart: `heads.base.LinkedSpans`."""
    spans = feature.targets["spans"]
    place: dict[tuple[int, int], int] = {}
    for index, (_, first, last) in enumerate(spans.tolist()):
        place.setdefault((first, last), index)
    pairs = [(place[a, b], place[c, d]) for a, b, c, d in feature.targets["links"].tolist()]
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    return SimpleNamespace(
        spans=spans_of(spans, score), first=first, second=second, score=np.full(len(pairs), score), dropped=0
    )


def answered(task: Events, one: Example, features: Sequence[Feature], options: Answering | None = None) -> list[Event]:
    flat = options is not None and options.flat
    candidates = [spans_of(f.targets["spans"]) if flat else oracle(f) for f in features]
    return list(task.predictions(one, features, candidates, options or Answering()).answer)


def keys(events: Sequence[Event]) -> set[Any]:
    return {event_key(event) for event in events}
