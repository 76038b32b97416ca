"""Every head with a small batch to learn: what `test_heads` looks at. A new head is tested by naming it in `CASES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from heads.base import Head, HeadOutput, LinkedSpans, Spans, Triples
from heads.casrel import CasRel
from heads.choice import Choice
from heads.classification import Classification
from heads.crf import CRFTagging
from heads.efficient_globalpointer import EfficientGlobalPointer
from heads.event_linker import EventGPLinker
from heads.globalpointer import GlobalPointer
from heads.gplinker import GPLinker
from heads.reading import ReadingGlobalPointer, StartEnd
from heads.tagging import SoftmaxTagging

SIZE, TYPES = 16, 3
Batch = dict[str, Tensor]
Rows = list[set[tuple[int, ...]]]
RAGGED = {"spans": 4, "triples": 6, "links": 5}
"""Targets that are lists over the whole batch, the row in front: their widths."""

FLAT: Rows = [{(0, 1, 1), (1, 2, 4), (1, 5, 6), (2, 8, 9)}, {(2, 1, 3)}, set()]
NESTED: Rows = [{(0, 1, 1), (0, 1, 4), (1, 2, 6), (2, 8, 9), (1, 8, 9)}, {(2, 1, 3), (2, 2, 3)}, set()]
TRIPLES: Rows = [{(0, 1, 2, 4, 4), (0, 1, 2, 7, 8), (2, 7, 8, 1, 2), (1, 1, 2, 1, 1)}, {(1, 3, 3, 1, 2)}, set()]
EVENTS: Rows = [{(0, 1, 1), (1, 2, 4), (1, 8, 9), (2, 8, 9)}, {(2, 1, 3)}, set()]
LINKS: Rows = [{(1, 1, 2, 4), (1, 1, 8, 9), (2, 4, 8, 9), (8, 9, 8, 9)}, set(), set()]
ANSWERS: Rows = [{(0, 3, 5)}, {(0, 2, 2)}, {(0, 0, 0)}]


def span_rows(found: Sequence[Spans], batch: Batch) -> Rows:
    """The candidates of each row as tuples."""
    return [set(zip(s.type.tolist(), s.start.tolist(), s.end.tolist(), strict=True)) for s in found]


def triple_rows(found: Sequence[Triples], batch: Batch) -> Rows:
    """The candidates of each row as tuples."""
    columns = ("predicate", "subject_start", "subject_end", "object_start", "object_end")
    return [set(zip(*(getattr(t, name).tolist() for name in columns), strict=True)) for t in found]


def span_and_link_rows(found: Sequence[LinkedSpans], batch: Batch) -> Rows:
    """Spans as three numbers and links as four, the earlier place first."""
    rows = span_rows([linked.spans for linked in found], batch)
    for row, linked in zip(rows, found, strict=True):
        places = list(zip(linked.spans.start.tolist(), linked.spans.end.tolist(), strict=True))
        for first, second in zip(linked.first.tolist(), linked.second.tolist(), strict=True):
            one, other = sorted((places[first], places[second]))
            row.add((*one, *other))
    return rows


def best_span(found: Sequence[Spans], batch: Batch) -> Rows:
    """The best candidate of each row, "no answer" where it has none."""
    return [{(0, int(s.start[0]), int(s.end[0])) if len(s.start) else (0, 0, 0)} for s in found]


def best_class(found: Sequence[Any], batch: Batch) -> Rows:
    """The class of the highest score."""
    return [{(int(scores.argmax()),)} for scores in found]


def best_of_unit(found: Sequence[Any], batch: Batch) -> Rows:
    """1 for the row of each unit with the highest score, 0 for the others."""
    unit = batch["unit"].tolist()
    best = {u: max(float(s[0]) for s, of in zip(found, unit, strict=True) if of == u) for u in unit}
    return [{(int(float(s[0]) == best[u]),)} for s, u in zip(found, unit, strict=True)]


@dataclass(frozen=True)
class Case:
    """config: the head's arguments. target: name of what it learns, `gold` its rows. read: what it decoded, as rows.

    sizes: text tokens of each row, after a [CLS]. unit: rows that stay together; None: each row for itself.
    more: further targets, by name; what is decoded for them stands among the rows too.
    """

    config: Mapping[str, Any]
    target: str
    gold: Rows
    read: Callable[[Any, Batch], Rows]
    sizes: tuple[int, ...] = (9, 4, 0)
    unit: tuple[int, ...] | None = None
    more: Mapping[str, Rows] = field(default_factory=dict)

    @property
    def wanted(self) -> Rows:
        """What is decoded from a head that has learnt the batch."""
        return [set().union(*rows) for rows in zip(self.gold, *self.more.values(), strict=True)]


CLASSES: Rows = [{(0,)}, {(2,)}, {(1,)}]
CHOICES: dict[str, Any] = {
    "gold": [{(0,)}, {(1,)}, {(1,)}, {(0,)}, {(0,)}, {(1,)}],
    "sizes": (5, 6, 9, 3, 4, 7),
    "unit": (0, 0, 1, 1, 1, 2),
}
CASES: dict[type[Head], Case] = {
    Classification: Case({"classes": TYPES, "dropout": 0.0}, "labels", CLASSES, best_class),
    Choice: Case({}, "labels", read=best_of_unit, **CHOICES),
    SoftmaxTagging: Case({"types": TYPES, "dropout": 0.0}, "spans", FLAT, span_rows),
    CRFTagging: Case({"types": TYPES, "dropout": 0.0}, "spans", FLAT, span_rows),
    GlobalPointer: Case({"types": TYPES, "head_size": 8}, "spans", NESTED, span_rows),
    EfficientGlobalPointer: Case({"types": TYPES, "head_size": 8}, "spans", NESTED, span_rows),
    ReadingGlobalPointer: Case({"head_size": 8}, "spans", ANSWERS, best_span),
    StartEnd: Case({}, "spans", ANSWERS, best_span),
    GPLinker: Case({"predicates": TYPES, "head_size": 8}, "triples", TRIPLES, triple_rows),
    CasRel: Case({"predicates": TYPES}, "triples", TRIPLES, triple_rows),
    EventGPLinker: Case({"types": TYPES, "head_size": 8}, "spans", EVENTS, span_and_link_rows, more={"links": LINKS}),
}


def build(kind: type[Head], seed: int = 0) -> Head:
    """The head with random weights."""
    torch.manual_seed(seed)
    return kind(SIZE, **CASES[kind].config)  # type: ignore[call-arg]


def batch_of(kind: type[Head], *, gold: bool = True) -> tuple[Batch, Batch]:
    """Random encoder output and the batch of the head's case; without `gold` its lists are empty."""
    case = CASES[kind]
    places, sizes = torch.arange(max(case.sizes) + 2), torch.tensor(case.sizes)
    random = torch.Generator().manual_seed(1)
    shape = (len(sizes), len(places), SIZE)
    hidden = {name: torch.randn(shape, generator=random) for name in ("last", "pre_norm")}
    hidden["pooled"] = hidden["last"][:, 0].contiguous()
    batch = {
        "attention_mask": places < 2 + sizes[:, None],
        "text_mask": (places >= 1) & (places < 1 + sizes[:, None]),
        "unit": torch.tensor(case.unit or range(len(sizes))),
    }
    for name, rows in {case.target: case.gold, **case.more}.items():
        listed = [(row, *entry) for row, entries in enumerate(rows) for entry in sorted(entries)]
        target = torch.tensor(listed, dtype=torch.int64)
        batch[name] = target[:, 1] if name not in RAGGED else target if gold else target[:0]
    return hidden, batch


def part_of(hidden: Batch, batch: Batch, rows: Sequence[int]) -> tuple[Batch, Batch]:
    """The rows as a batch of their own, as short as they allow, rows and units numbered anew."""
    chosen = torch.tensor(rows)
    length = int(batch["attention_mask"][chosen].sum(1).max())
    states = {name: x[chosen] if name == "pooled" else x[chosen, :length] for name, x in hidden.items()}
    own: Batch = {}
    for name, x in batch.items():
        if name in RAGGED:
            listed = [[rows.index(row), *entry] for row, *entry in x.tolist() if row in rows]
            own[name] = torch.tensor(listed, dtype=torch.int64).reshape(-1, RAGGED[name])
        else:
            own[name] = x[chosen, :length] if x.ndim > 1 else x[chosen]
    own["unit"] = own["unit"].unique(return_inverse=True)[1]
    return states, own


def loss_of(output: HeadOutput) -> Tensor:
    """The mean loss of the batch."""
    assert output.loss_sum is not None
    assert output.weight is not None
    return output.loss_sum / output.weight
