"""Events: typed sets of arguments in one text, which several events may share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally, TextEncoder
from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.sources import Row, Source
from clue_cli.task import Task
from tasks.families import event_forms, event_links, event_targets
from tasks.families.alignment import Borders, align
from tasks.families.base import TaskBase
from tasks.families.encoding import Reach, encoded_windows
from tasks.families.event_forms import Event, EventReader
from tasks.families.event_links import Link, Part
from tasks.families.event_schema import Schema, read_schema
from tasks.families.merging import Found, merged_spans, most_probable_apart
from tasks.families.schemas import schema_file

SEARCH = "texts whose search for events stopped at its budget"
SPANS_DROPPED, LINKS_DROPPED = (
    "spans beyond the most that a window may have",
    "links beyond the most that a window may have",
)


@dataclass(frozen=True, slots=True)
class EventNotes:
    """What stands beside predicted events.

    probabilities: one an event, that of the least probable of its spans and links.
    left_out:      what was left out in finding them, by reason; empty but for models that link nearly everything.
    """

    probabilities: tuple[float, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Events(TaskBase):
    """Event extraction: `labels` are the event types, gold is a tuple of `Event` in the order of the file.

    Reads the official form (`event_list`) and our own (`events`), each checked against the text (`event_forms`). A
    head sees typed spans, one type for each (event type, role) and, unless it is flat, one for each trigger, and the
    pairs of places that belong together; the events are put together again as `event_links` says. A text over the limit
    becomes overlapping windows: a span is judged where it has most context, two places are linked if one window links
    them.

    schema, enumerated, untriggered: what events there can be, see `event_schema.Schema`.
    offsets:   whether official files say where words stand; else `event_forms.locate` does.
    optional_gold: whether a labelled row without the field is a text without events.
    flat_heads: heads that tag arguments only, one BIO type each; every span that they find is an event of its own, or
               (`flat_grouped`) all those of a type are one event.
    """

    labels: tuple[str, ...] = ()
    schema: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    enumerated: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    untriggered: tuple[str, ...] = ()
    offsets: bool = True
    optional_gold: bool = False
    flat_heads: tuple[str, ...] = ("crf",)
    flat_grouped: bool = False
    family: str = "events"
    spans: bool = True
    label: str = "event_list"
    events: str = "events"

    head_argument: ClassVar[str] = "types"
    least_labels: ClassVar[int] = 1
    family_heads: ClassVar[Mapping[str, str]] = {
        "gplinker": "heads.event_linker:EventGPLinker",
        "crf": "heads.crf:CRFTagging",
    }
    family_metrics: ClassVar[Mapping[str, str]] = {
        "duee:character": "tasks.metrics.events:DueeCharacter",
        "duee:event": "tasks.metrics.events:DueeEvent",
        "duee:argument": "tasks.metrics.events:DueeArgument",
    }
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 128, "overlap": 32, "batch_size": 32, "epochs": 20}
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 1e-3, "epochs": 10, "batch_size": 16},
        "base": {"learning_rate": 2e-5},
        "large": {"learning_rate": 1e-5},
        # The span scorers begin at nothing, and 282 types move too little at the encoder's rate: on the shipped sample
        # 57 points of character F1 after five epochs instead of 20.
        "gplinker:small": {"head_learning_rate": 5e-3},
        # As for entities: transitions start near zero and move too little at the encoder's rate.
        "crf:small": {"head_learning_rate": 1e-2},
        "crf:base": {"head_learning_rate": 1e-3},
        "crf:large": {"head_learning_rate": 1e-3},
    }

    def __post_init__(self) -> None:
        """Event types are the labels."""
        object.__setattr__(self, "labels", tuple(self.schema))
        object.__setattr__(self, "fields", tuple(self.fields or (*self.optional_texts, *self.texts)))
        TaskBase.__post_init__(self)

    @cached_property
    def known(self) -> Schema:
        """The schema in one piece."""
        return Schema(self.schema, self.enumerated, self.untriggered)

    # ---------------------------------------------------------------- reading

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One row as an example; RowError names the field that is wrong. Several fields are joined by a newline."""
        parts = [self.text(row, name, optional=name in self.optional_texts) for name in self.fields]
        text = "\n".join(parts)
        gold = self._gold(row, text) if labelled else None
        return Example(number, self.identity(row), (text,), gold, row.data, row.where)

    @property
    def gold_names(self) -> tuple[str, ...]:
        """The official form's field, and that of our own."""
        return self.label, self.events

    def expected(self) -> str:
        """What a row of this task looks like, for messages."""
        trigger, argument = (', "trigger_start_index"', ', "argument_start_index"') if self.offsets else ("", "")
        event = f'{{"event_type", "trigger"{trigger}, "arguments": [{{"role", "argument"{argument}}}]}}'
        return f"task {self.name} expects {', '.join(self.fields)} and {self.label} [{event}]"

    def _gold(self, row: Row, text: str) -> tuple[Event, ...]:
        given = self.gold_field(row)
        if given == self.events:
            reader = EventReader(self.known, text, row.where, self.events, self.offsets)
            return tuple(event for event, _ in reader.own(row.data[self.events]))
        if given is None and self.optional_gold and self.label not in row.data:
            return ()
        return EventReader(self.known, text, row.where, self.label, self.offsets).official(self.value(row, self.label))

    def labels_of(self, gold: Any) -> Iterable[str]:
        """The type of each event."""
        return [event.type for event in gold]

    # ---------------------------------------------------------------- features

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature a window, in order, with targets in tokens of the feature, inclusive, int32.

        `spans` (K, 3): index in `Schema.slots`, first, last token. `links` (M, 4): first and last token of one place,
        then of the other, in ascending order; only for a head that is not `flat`, which learns no triggers either.
        Gold that cannot be learned, or not be put together again, is counted in `tally` by reason and stays gold.
        """
        for item, (example, windows) in enumerate(encoded_windows(examples, text_encoder, limits, segments)):
            targets: event_targets.Targets = [{} for _ in windows]
            if example.gold is not None:
                targets = self._targets(example, align(windows), tally, flat)
            for window, of_window in zip(windows, targets, strict=True):
                yield Feature(item, item, window.inputs, window.char_spans, window.sequence, of_window)

    def _targets(self, example: Example, borders: list[Borders], tally: Tally, flat: bool) -> event_targets.Targets:
        if flat:
            return event_targets.flat_targets(example, self.known, borders, tally)
        return event_targets.linked_targets(example, self.known, borders, tally, places=self.offsets)

    def recall_bound(self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits) -> Reach:
        """How many arguments and triggers can be predicted at all with this tokenizer and these windows."""
        reach = Reach()
        for example, windows in encoded_windows(examples, text_encoder, limits):
            if not example.gold:
                continue
            tally = Tally()
            event_targets.within_reach(example, self.known, align(windows), tally, triggers=True)
            found = [event_links.parts_of(event, self.known) for event in example.gold]
            gold = len({part for parts, _ in found for part in parts}) + sum(lost for _, lost in found)
            reach.gold += gold
            reach.reachable += gold - sum(tally.counts.values())
            reach.unreachable.merge(tally)
        return reach

    # ---------------------------------------------------------------- answers

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The events of one example, types in the order of the schema; `scores` are `EventNotes`.

        `candidates` are `heads.base.LinkedSpans`, one a feature, or with `options.flat` `heads.base.Spans`. A link of
        two spans speaks of their places: all spans there are linked alike. With `options.threshold` only spans and
        links of a greater raw score stand.
        """
        borders = align(features)
        if options.flat:
            return self._flat_prediction(example.texts[0], most_probable_apart(merged_spans(borders, candidates)))
        spans = merged_spans(borders, [found.spans for found in candidates])
        links = _merged_links(borders, candidates)
        if options.threshold is not None:
            spans = {span: found for span, found in spans.items() if found.score > options.threshold}
            links = {pair: score for pair, score in links.items() if score > options.threshold}
        parts = {Part(start, end, self.known.slots[slot]): found for (start, end, slot), found in spans.items()}
        text = example.texts[0]
        answer = event_links.put_together(parts, links, self.known, text, borders, places=self.offsets)
        left_out = Counter({SEARCH: int(not answer.complete)})
        left_out[SPANS_DROPPED] = sum(found.spans.dropped for found in candidates)
        left_out[LINKS_DROPPED] = sum(found.dropped for found in candidates)
        probabilities = _probabilities(answer.groups, parts, links)
        return Prediction(tuple(answer.events), EventNotes(tuple(probabilities), +left_out))

    def _flat_prediction(self, text: str, found: Mapping[tuple[int, int, int], Found]) -> Prediction:
        """Events of spans without links: each an event of its own, or all those of a type one event."""
        parts = {
            Part(start, end, self.known.slots[slot]): said.probability for (start, end, slot), said in found.items()
        }
        groups: dict[Any, list[Part]] = {}
        for part in parts:
            groups.setdefault(part.slot.type if self.flat_grouped else part, []).append(part)
        # Two places of one argument are one argument of the answer, and so are two events of the same words.
        events = {
            event_links.event_of(own[0].slot.type, own, text): min(parts[part] for part in own)
            for own in groups.values()
        }
        return Prediction(tuple(events), EventNotes(tuple(events.values())))

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`events`: see `event_forms`, and `left_out` {reason: count} where something was.

        Offsets count the characters of the text; of several fields joined by a newline, where a task has several.
        """
        scores = prediction.scores or EventNotes()
        known = scores.probabilities if probabilities and len(scores.probabilities) == len(prediction.answer) else None
        fields: dict[str, Any] = {"events": event_forms.write_own(prediction.answer, known)}
        return fields | ({"left_out": dict(scores.left_out)} if scores.left_out else {})

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """A prediction in our own form (`events`) or the official one (`event_list`); RowError if it does not fit.

        Where a row has both, `events` is the prediction: our own files keep the gold of their input beside. Words that
        come without offsets are located as `event_forms.locate` says; what the schema lacks stays and is `wrong`.
        """
        name = self.events if self.events in row.data else self.label
        if name not in row.data:
            raise RowError(f"no prediction: neither {self.events!r} nor {self.label!r} is there", row.where)
        reader = EventReader(self.known, example.texts[0], row.where, name, self.offsets, gold=False)
        if name == self.label:
            return Prediction(reader.official(row.data[name]), wrong=tuple(reader.wrong))
        found = reader.own(row.data[name])
        known = tuple(value for _, value in found if value is not None)
        scores = EventNotes(known) if len(known) == len(found) else None
        return Prediction(tuple(event for event, _ in found), scores, tuple(reader.wrong))

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """One line of the official prediction file: `id` and `event_list`, without triggers and offsets."""
        return {"id": example.id, "event_list": event_forms.write_submission(prediction.answer)}

    # ---------------------------------------------------------------- variants

    def head_config(self, head: str) -> dict[str, Any]:
        """The number of span types: of arguments and triggers, for a flat head of arguments alone."""
        if head not in self.heads:
            raise UserError(did_you_mean(head, self.heads, f"head of task {self.name}"))
        slots = self.known.role_slots if head in self.flat_heads else self.known.slots
        return {self.head_argument: len(slots)}

    def adapt(self, source: Source) -> Task:
        """The task with the event schema beside the data (`*schema*.json`, JSON lines); itself if that says the same.

        UserError where there are several such files, RowError for a wrong one.
        """
        found = schema_file(source, self.files, self.name, "event_type")
        if found is None:
            return self
        place, file = found
        schema = read_schema(place.rows(file))
        if not schema.roles:
            raise UserError("no event types in it", where=place.place(file))
        return self if schema.same(self.known) else self._with(schema)

    def with_schema(self, rows: Iterable[Mapping[str, Any]]) -> Self:
        """The same task with the user's own schema (the rows of its file): nothing official is left of it."""
        return self._with(read_schema(Row(dict(row), Where("schema", line)) for line, row in enumerate(rows, 1)))

    def _with(self, schema: Schema) -> Self:
        return self.owned(schema=schema.roles, enumerated=schema.enumerated, untriggered=schema.untriggered)

    def with_labels(self, labels: Sequence[str]) -> Self:
        """Event types alone say nothing about roles: UserError that says what is needed."""
        hint = 'put event_schema.json beside the data, a line a type: {"event_type", "role_list": [{"role"}]}'
        raise UserError(f"task {self.name} takes a schema, not labels", where="--labels", hint=hint)

    def to_config(self) -> dict[str, Any]:
        """As for every task; a user's own schema stands in it as `schema`, the rows of its file, in place of labels."""
        config = TaskBase.to_config(self)
        if self.own and config.pop("labels", None) is not None:
            config["schema"] = self.known.rows()
        return config


def _merged_links(borders: Sequence[Borders], candidates: Sequence[Any]) -> dict[Link, float]:
    """The places that some window links, with the best raw score of each pair."""
    best: dict[Link, float] = {}
    for window, found in zip(borders, candidates, strict=True):
        spans = [
            window.characters(*tokens)
            for tokens in zip(found.spans.start.tolist(), found.spans.end.tolist(), strict=True)
        ]
        for first, second, score in zip(found.first.tolist(), found.second.tolist(), found.score.tolist(), strict=True):
            one, other = spans[first], spans[second]
            if one is not None and other is not None:
                pair = event_links.link(one, other)
                best[pair] = max(score, best.get(pair, -math.inf))
    return best


def _probabilities(
    groups: Sequence[Sequence[Part]], parts: Mapping[Part, Found], links: Mapping[Link, float]
) -> list[float]:
    """The probability of the least probable span or link of each event; of a link of score s it is sigmoid(2 s).

    Pairs that are linked through a third (`event_links.assemble`) have no score of their own.
    """
    places = {place: index for index, place in enumerate(sorted({part.place for group in groups for part in group}))}
    scores = np.full((len(places), len(places)), np.inf)
    for (first, second), score in links.items():
        if first in places and second in places:
            scores[places[first], places[second]] = scores[places[second], places[first]] = score
    found = []
    for group in groups:
        rows = [places[part.place] for part in group]
        pairs = scores[np.ix_(rows, rows)]
        np.fill_diagonal(pairs, np.inf)  # a part is no pair; two parts on one place are, and stand beside the diagonal
        found.append(min(min(parts[part].probability for part in group), (1 + math.tanh(pairs.min())) / 2))
    return found
