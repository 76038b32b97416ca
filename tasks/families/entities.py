"""Entities: typed spans of one text, nested and overlapping ones included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Span, Tally, TextEncoder
from clue_cli.errors import RowError
from clue_cli.sources import Row
from tasks.families import entity_forms as forms
from tasks.families.alignment import Borders, align
from tasks.families.base import TaskBase
from tasks.families.encoding import Reach, encoded_windows
from tasks.families.merging import longest_apart, merged_spans, most_probable_apart
from tasks.families.values import json_cell

CUT = "entities whose borders fall inside a token"
DROPPED = "entities that begin or end with characters the tokenizer drops"
NO_WINDOW = "entities that no window holds"
OVERLAPPING = "overlapping entities a flat head cannot learn"


@dataclass(frozen=True, kw_only=True, eq=False)
class Entities(TaskBase):
    """Entity recognition: `labels` are the entity types, gold is a tuple of `Span` in the order of the text.

    Reads the official form (`label`: {type: {entity: [[start, end], ...]}}, ends inclusive) and our own (`entities`:
    [{"start", "end", "type"}, ...], ends exclusive), each checked against the text. A text longer than the limit
    becomes overlapping windows; every gold span wholly inside a window is a target in it. Of a span that several
    windows hold, the one with most context around it decides (`alignment.Deciding`).
    """

    family: str = "entities"
    spans: bool = True
    entities: str = "entities"

    head_argument: ClassVar[str] = "types"
    takes_labels: ClassVar[bool] = True
    least_labels: ClassVar[int] = 1
    family_heads: ClassVar[Mapping[str, str]] = {
        "efficient-globalpointer": "heads.efficient_globalpointer:EfficientGlobalPointer",
        "globalpointer": "heads.globalpointer:GlobalPointer",
        "crf": "heads.crf:CRFTagging",
        "softmax": "heads.tagging:SoftmaxTagging",
    }
    family_metrics: ClassVar[Mapping[str, str]] = {
        "span:micro_f1": "tasks.metrics.entities:SpanMicroF1",
        "cluener:official": "tasks.metrics.entities:CluenerOfficial",
    }
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 256, "overlap": 64, "batch_size": 32, "epochs": 5}
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 1e-3},
        "base": {"learning_rate": 3e-5},
        "large": {"learning_rate": 2e-5},
        # Transitions start near zero and move too little at the encoder's rate: 2.8 points of span F1 with mini-zh.
        "crf:small": {"head_learning_rate": 1e-2},
        "crf:base": {"head_learning_rate": 1e-3},
        "crf:large": {"head_learning_rate": 1e-3},
    }

    # ---------------------------------------------------------------- reading

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One row as an example; RowError names the field that is wrong. A span given twice counts once."""
        texts = tuple(self.text(row, name) for name in self.fields)
        gold = tuple(sorted(set(self._gold(row, texts[0])))) if labelled else None
        return Example(number, self.identity(row), texts, gold, row.data, row.where)

    @property
    def gold_names(self) -> tuple[str, ...]:
        """The official form's field, and that of our own."""
        return self.label, self.entities

    def expected(self) -> str:
        """What a row of this task looks like, for messages."""
        return (
            f"task {self.name} expects {', '.join(self.fields)} and {self.label} {{type: {{entity: [[start, end]]}}}}"
            f" with ends inclusive, or {self.entities} [{{start, end, type}}] with ends exclusive"
        )

    def _check_declaration(self) -> None:
        TaskBase._check_declaration(self)
        if len(self.fields) != 1:
            raise ValueError(f"task {self.name!r}: entities are marked in one text, not in {len(self.fields)}")

    def _gold(self, row: Row, text: str) -> list[Span]:
        if self.gold_field(row) == self.entities:
            value = json_cell(row.data[self.entities], "entities were", row.at(self.entities))
            return forms.read_own(value, text, self.labels, row.where, self.entities)
        value = json_cell(self.value(row, self.label), "entities were", row.at(self.label))
        return forms.read_official(value, text, self.labels, row.where, self.label)

    # ---------------------------------------------------------------- features

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature a window, in order; `targets["spans"]` is (K, 3) int32 of (type, first, last token, inclusive).

        Gold spans that cannot be learned are counted in `tally` by reason and stay in the gold set. For a `flat` head
        the longest of overlapping spans is learned (then the earliest, then the first type); the others are counted.
        """
        for item, (example, windows) in enumerate(encoded_windows(examples, text_encoder, limits, segments)):
            targets: list[dict[str, np.ndarray]] = [{} for _ in windows]
            if example.gold is not None:
                targets = [{"spans": spans} for spans in self._targets(example, align(windows), tally, flat)]
            for window, learned in zip(windows, targets, strict=True):
                yield Feature(item, item, window.inputs, window.char_spans, window.sequence, learned)

    def _targets(self, example: Example, borders: list[Borders], tally: Tally, flat: bool) -> list[np.ndarray]:
        learnable = {}
        for span in example.gold:
            reason, inner = reachable(span, borders)
            if reason is not None:
                tally.add(reason, example.where)
            if inner is not None:
                learnable[span] = inner
        learned: set[Span] = set()
        targets: list[np.ndarray] = []
        for window in borders:
            held = {span: tokens for span, (start, end) in learnable.items() if (tokens := window.tokens(start, end))}
            by_type = {(span.start, span.end, self.label_index[span.type]): span for span in held}
            kept = [by_type[typed] for typed in longest_apart(by_type)] if flat else list(held)
            learned.update(kept)
            rows = {(self.label_index[span.type], *held[span]) for span in kept}
            targets.append(np.array(sorted(rows), dtype=np.int32).reshape(-1, 3))
        tally.add(OVERLAPPING, example.where, len(learnable) - len(learned))
        return targets

    def recall_bound(self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits) -> Reach:
        """How many gold spans can be predicted at all with this tokenizer and these windows (`clue data`)."""
        reach = Reach()
        for example, windows in encoded_windows(examples, text_encoder, limits):
            if not example.gold:
                continue
            borders = align(windows)
            for span in example.gold:
                reason, _ = reachable(span, borders)
                reach.gold += 1
                reach.reachable += reason is None
                if reason is not None:
                    reach.unreachable.add(reason, example.where)
        return reach

    # ---------------------------------------------------------------- answers

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The spans of one example in the order (start, end, type), `scores` their probabilities.

        Windows are merged by `merged_spans`. With `options.threshold` only spans of a greater raw score stand; with
        `options.flat` spans of neighbouring windows that overlap are resolved in favour of the more probable.
        """
        found = merged_spans(align(features), candidates)
        if options.threshold is not None:
            found = {span: said for span, said in found.items() if said.score > options.threshold}
        if options.flat:
            found = most_probable_apart(found)
        named = {Span(start, end, self.labels[kind]): said for (start, end, kind), said in found.items()}
        answer = tuple(sorted(named))
        return Prediction(answer=answer, scores=tuple(named[span].probability for span in answer))

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`entities`: [{"start", "end", "type", "text"(, "probability")}], ends exclusive, in the order of the text."""
        scores = prediction.scores if probabilities else None
        return {"entities": forms.write_own(example.texts[0], prediction.answer, scores)}

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """A prediction in our own form (`entities`) or the official one (`label`); RowError if it fits not the text.

        The official scorer looks at words alone, so that places may be off: such entities are `Unplaced`.
        Where a row has both, `entities` is the prediction: our own files keep the gold `label` of their input beside.
        """
        text = example.texts[0]
        wrong: list[RowError] = []
        if "entities" in row.data:
            value = json_cell(row.data["entities"], "entities were", row.at("entities"))
            spans = forms.read_own_predicted(value, text, self.labels, row.where, "entities", wrong)
            found = dict(sorted(spans, key=lambda pair: (pair[0], pair[1] or 0.0)))
            known = [value for value in found.values() if value is not None]
            scores = tuple(known) if len(known) == len(found) else None
            return Prediction(answer=tuple(found), scores=scores, wrong=tuple(wrong))
        if self.label not in row.data:
            raise RowError(f"no prediction: neither 'entities' nor {self.label!r} is there", row.where)
        value = json_cell(row.data[self.label], "entities were", row.at(self.label))
        read = forms.read_predicted(value, text, self.labels, row.where, self.label, wrong)
        return Prediction(answer=tuple(sorted(set(read))), wrong=tuple(wrong))

    def official_fields(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """The answer in the official form: `label` {type: {entity: [[start, end], ...]}}, ends inclusive."""
        return {"label": forms.write_official(example.texts[0], prediction.answer, self.labels)}

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """One line of the official prediction file: `id` and `label`, as in the sample beside the official data."""
        return {"id": example.id, **self.official_fields(example, prediction)}


def reachable(span: Span, borders: Sequence[Borders]) -> tuple[str | None, tuple[int, int] | None]:
    """Why a gold span cannot be predicted (None: it can), and the characters to learn in its place (None: nothing).

    A span with characters at its edges that the tokenizer drops (white space, control characters) is learned without
    them, and counts as unreachable all the same.
    """
    if any(window.tokens(span.start, span.end) for window in borders):
        return None, (span.start, span.end)
    if any(span.start in window.inside or span.end in window.inside for window in borders):
        return CUT, None
    starts = sorted({s for window in borders for s in window.first_at if span.start <= s < span.end})
    ends = sorted({e for window in borders for e in window.last_at if span.start < e <= span.end})
    if not starts or not ends or starts[0] >= ends[-1]:
        return DROPPED, None
    inner = (starts[0], ends[-1])
    held = any(window.tokens(*inner) for window in borders)
    if inner == (span.start, span.end):
        return NO_WINDOW, None
    return DROPPED, inner if held else None
