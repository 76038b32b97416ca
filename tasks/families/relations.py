"""Relations: subject, predicate and an object of one or more slots, found in one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally, TextEncoder
from clue_cli.errors import RowError, UserError, Where
from clue_cli.sources import Row, Source
from tasks.families import relation_forms as forms
from tasks.families.alignment import Borders, Deciding, align
from tasks.families.base import TaskBase
from tasks.families.encoding import Reach, encoded_windows
from tasks.families.location import Place
from tasks.families.relation_forms import Located, Relation, Schema
from tasks.families.relation_places import Locator, Placed
from tasks.families.relation_slots import Triple, combined
from tasks.families.schemas import schema_file
from tasks.families.values import frozen, json_cell, jsonable

AMBIGUOUS = "relations of several slots that cannot be told apart"


@dataclass(frozen=True, kw_only=True, eq=False)
class Relations(TaskBase):
    """Relation extraction: gold is a tuple of `Relation`, each once, in the order of the row.

    schema: (predicate, type of the subject, {slot: type of the object}) each; `labels` are its predicates. A file
            whose name has "schema" in it beside the data makes a variant of the task with that schema (`adapt`).
    What the head learns are the pairs (predicate, slot) of the schema, in its order: `triples`.

    The official rows have no offsets: `relation_places.Locator` says which places are learned. For 2,351 of the 21,378
    (subject, object) pairs of the held DuIE 2.0 these are not the two first occurrences, which the published baselines
    take. Of 45 such pairs, drawn and read, the nearest places were meant in 24, the first ones in 8 (in two of these a
    title stood inside another name, which `location.whole` sees to), and nobody could tell in 13. Rows may bring
    offsets in the own form (`relations`), which are believed. Strings that do not stand in the text are counted and
    stay gold.

    How slots become objects says `relation_slots`. Of a triple that several windows hold, the one with most context
    around both its spans decides (`alignment.Deciding`).
    """

    family: str = "relations"
    spans: bool = True
    labels: tuple[str, ...] = ()
    label: str = "spo_list"
    relations: str = "relations"
    schema: tuple[tuple[str, str, Mapping[str, str]], ...] = ()

    head_argument: ClassVar[str] = "predicates"
    least_labels: ClassVar[int] = 1
    family_heads: ClassVar[Mapping[str, str]] = {
        "gplinker": "heads.gplinker:GPLinker",
        "casrel": "heads.casrel:CasRel",
    }
    family_metrics: ClassVar[Mapping[str, str]] = {
        "duie:official": "tasks.metrics.relations:DuieOfficial",
        "duie:triple": "tasks.metrics.relations:TripleMicroF1",
    }
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 128, "overlap": 32, "batch_size": 32, "epochs": 10}
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 1e-3, "epochs": 8},
        "base": {"learning_rate": 3e-5},
        "large": {"learning_rate": 2e-5},
        # Four terms must all be right: steps count more than their size. On the sample, three epochs: official F1 27 to
        # 29 with batches of 8 and head rates of 5e-3 to 1e-2, 8 with batches of 16.
        "gplinker:small": {"learning_rate": 2e-3, "head_learning_rate": 5e-3, "batch_size": 8, "epochs": 4},
    }

    def __post_init__(self) -> None:
        """As `TaskBase`; the labels are the predicates of the schema."""
        object.__setattr__(self, "labels", tuple(predicate for predicate, _, _ in self.schema))
        TaskBase.__post_init__(self)

    def _check_declaration(self) -> None:
        TaskBase._check_declaration(self)
        forms.schema_of(self.schema)
        if len(self.fields) != 1:
            raise ValueError(f"task {self.name!r}: relations are found in one text, not in {len(self.fields)}")

    # ---------------------------------------------------------------- the schema

    @cached_property
    def by_predicate(self) -> Schema:
        """The schema by predicate, `@value` the first slot of each."""
        return forms.schema_of(self.schema)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(predicate, slot) in the order of the schema: what the head's predicate numbers mean."""
        return tuple((predicate, slot) for predicate, (_, slots) in self.by_predicate.items() for slot in slots)

    @cached_property
    def pair_index(self) -> dict[tuple[str, str], int]:
        """(predicate, slot) -> number."""
        return {pair: number for number, pair in enumerate(self.pairs)}

    def head_config(self, head: str) -> dict[str, Any]:
        """Arguments of the head's constructor: the number of (predicate, slot) pairs."""
        return {**TaskBase.head_config(self, head), self.head_argument: len(self.pairs)}

    def adapt(self, source: Source) -> Self:
        """The task with the schema that lies beside the data; itself where there is none, or the same.

        UserError where several files could be the schema.
        """
        found = schema_file(source, self.files, self.name, "predicate")
        if found is None:
            return self
        schema = forms.read_schema(*found)
        return self if forms.schema_of(schema) == self.by_predicate else self.with_schema(schema)

    def with_schema(self, schema: Sequence[Sequence[Any]]) -> Self:
        """The same task on a user's own schema, (predicate, subject type, {slot: type}) each: nothing official is left
        of it. UserError if it is none."""
        try:
            lines = tuple((str(predicate), str(subject), dict(slots)) for predicate, subject, slots in frozen(schema))
            return self.owned(schema=lines)
        except (TypeError, ValueError) as error:
            raise UserError(f"the schema of task {self.name} does not fit: {error}") from error

    def with_labels(self, labels: Sequence[str]) -> Self:
        """Refused (UserError): predicates come with the types of their slots, from a schema file."""
        expected = '{"predicate", "subject_type", "object_type": {"@value": type}}'
        hint = f"put a schema.json beside the data, {expected} a line"
        raise UserError(f"task {self.name} takes its predicates from a schema", where="--labels", hint=hint)

    def to_config(self) -> dict[str, Any]:
        """As `TaskBase.to_config`, with the schema where it is the user's (`with_schema` brings it back)."""
        config = TaskBase.to_config(self)
        return {**config, "schema": jsonable(self.schema)} if self.own else config

    # ---------------------------------------------------------------- reading

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One row as an example; RowError names the field that is wrong. A relation given twice counts once."""
        texts = tuple(self.text(row, name) for name in self.fields)
        gold = tuple(dict.fromkeys(self._gold(row, texts[0]))) if labelled else None
        return Example(number, self.identity(row), texts, gold, row.data, row.where)

    def _check_repeated(self, row: Row, first_place: dict[Any, Where]) -> None:
        """Rows known by their text may have it twice: the last one counts. Ids must differ as everywhere."""
        if self.id not in self.fields:
            TaskBase._check_repeated(self, row, first_place)

    @property
    def gold_names(self) -> tuple[str, ...]:
        """The official form's field, and that of our own."""
        return self.label, self.relations

    def expected(self) -> str:
        """What a row of this task looks like, for messages."""
        return (
            f"task {self.name} expects {', '.join(self.fields)} and {self.label} [{{predicate, subject, object: "
            f'{{"{forms.VALUE}": text}}}}], or {self.relations} with {{start, end}} in place of each text'
        )

    def _gold(self, row: Row, text: str) -> list[Relation]:
        if self.gold_field(row) == self.relations:
            return [relation for relation, _ in self._own_form(row, text)]
        value = json_cell(self.value(row, self.label), "a list of relations was", row.at(self.label))
        return forms.read_official(value, self.by_predicate, row.where, self.label)

    def _own_form(self, row: Row, text: str, wrong: list[RowError] | None = None) -> list[tuple[Relation, Located]]:
        value = json_cell(row.data[self.relations], "a list of relations was", row.at(self.relations))
        return forms.read_own(value, text, self.by_predicate, row.where, self.relations, wrong)

    # ---------------------------------------------------------------- features

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature a window, in order; `targets["triples"]` is (K, 5) int32 of (pair of predicate and slot, subject
        first, last, object first, last token, inclusive).

        Gold relations that cannot be learned whole are counted in `tally` by reason and stay in the gold.
        """
        for item, (example, windows) in enumerate(encoded_windows(examples, text_encoder, limits, segments)):
            targets: list[dict[str, np.ndarray]] = [{} for _ in windows]
            if example.gold is not None:
                borders = align(windows)
                located = self._located(example, borders)
                for found in located:
                    if found.reason is not None:
                        tally.add(found.reason, example.where)
                triples = [triple for found in located for triple in found.triples]
                targets = [{"triples": self._targets(triples, window)} for window in borders]
            for window, learned in zip(windows, targets, strict=True):
                yield Feature(item, item, window.inputs, window.char_spans, window.sequence, learned)

    def _targets(self, triples: Iterable[Triple], window: Borders) -> np.ndarray:
        rows = set()
        for triple in triples:
            subject, object_ = window.tokens(*triple.subject), window.tokens(*triple.object)
            if subject and object_:
                rows.add((self.pair_index[triple.predicate, triple.slot], *subject, *object_))
        return np.array(sorted(rows), dtype=np.int32).reshape(-1, 5)

    def _located(self, example: Example, windows: Sequence[Borders]) -> list[Placed]:
        """Where the gold relations of an example stand, each with the triples to learn of it."""
        text, row = example.texts[0], Row(dict(example.row), example.where)
        locator = Locator(text, example.gold, windows)
        if row.data.get(self.relations) not in (None, ""):
            return [locator.found(*pair) for pair in self._own_form(row, text)]
        return [locator.found(relation) for relation in example.gold]

    def recall_bound(self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits) -> Reach:
        """How many gold relations come back whole from their own targets: the bound of recall (`clue data`).

        The others by reason: slots that cannot be found or expressed, slots that cannot be put together again.
        """
        reach = Reach()
        for example, windows in encoded_windows(examples, text_encoder, limits):
            if not example.gold:
                continue
            located = self._located(example, align(windows))
            triples = [triple for found in located for triple in found.triples]
            back = {relation for relation, _ in combined(example.texts[0], triples, self.by_predicate)}
            reasons = {found.relation: found.reason for found in located}
            reach.gold += len(example.gold)
            for relation in example.gold:
                if relation in back:
                    reach.reachable += 1
                else:
                    reach.unreachable.add(reasons[relation] or AMBIGUOUS, example.where)
        return reach

    # ---------------------------------------------------------------- answers

    def found(self, features: Sequence[Feature], candidates: Sequence[Any], threshold: float | None) -> list[Triple]:
        """The triples that the head found in the windows of one example, each place once, of a score over `threshold`.

        `candidates` are `heads.base.Triples`, one a feature. Token spans that stand for the same characters are one.
        """
        borders = align(features)
        deciding = Deciding(borders)
        best: dict[tuple[str, str, Place, Place], Triple] = {}
        for position, (window, answer) in enumerate(zip(borders, candidates, strict=True)):
            columns = (
                answer.predicate, answer.subject_start, answer.subject_end, answer.object_start, answer.object_end,
                answer.score, answer.probability,
            )  # fmt: skip
            for pair, s0, s1, o0, o1, score, probability in zip(*(column.tolist() for column in columns), strict=True):
                subject, object_ = window.characters(s0, s1), window.characters(o0, o1)
                if subject is None or object_ is None or (threshold is not None and not score > threshold):
                    continue
                reach = min(subject[0], object_[0]), max(subject[1], object_[1])
                if len(borders) > 1 and deciding.window(*reach) != position:
                    continue
                predicate, slot = self.pairs[pair]
                triple = Triple(predicate, slot, subject, object_, score, probability)
                if triple[:4] not in best or score > best[triple[:4]].score:
                    best[triple[:4]] = triple
        return list(best.values())

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The relations of one example in the order of the text; `scores` says where each stands (`Located`)."""
        triples = self.found(features, candidates, options.threshold)
        answer = combined(example.texts[0], triples, self.by_predicate)
        return Prediction(
            answer=tuple(relation for relation, _ in answer), scores=tuple(located for _, located in answer)
        )

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`spo_list` in the official form and, where places are known, `relations` in our own, with offsets."""
        fields: dict[str, Any] = {self.label: forms.write_official(prediction.answer, self.by_predicate)}
        if prediction.scores is not None:
            written = forms.write_own(
                example.texts[0], prediction.answer, prediction.scores, self.by_predicate, probabilities=probabilities
            )
            fields[self.relations] = written
        return fields

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """A prediction in our own form (`relations`) or the official one (`spo_list`); RowError if it is neither.

        Where a row has both, `relations` is the prediction. The words of the official form need not stand in the text;
        predicates and slots that the schema lacks stay and are `wrong`.
        """
        wrong: list[RowError] = []
        if row.data.get(self.relations) not in (None, ""):
            found = dict(self._own_form(row, example.texts[0], wrong))
            return Prediction(answer=tuple(found), scores=tuple(found.values()), wrong=tuple(wrong))
        if self.label not in row.data:
            raise RowError(f"no prediction: neither {self.relations!r} nor {self.label!r} is there", row.where)
        value = json_cell(row.data[self.label], "a list of relations was", row.at(self.label))
        relations = forms.read_official(value, self.by_predicate, row.where, self.label, wrong)
        return Prediction(answer=tuple(dict.fromkeys(relations)), wrong=tuple(wrong))

    def official_fields(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """The answer in the official form: `spo_list`."""
        return {self.label: forms.write_official(prediction.answer, self.by_predicate)}

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """One line of the official prediction file: the text, unchanged, since the scorer finds rows by it."""
        key = {} if self.id in self.fields else {self.id: example.id}
        return {**key, self.fields[0]: example.texts[0], **self.official_fields(example, prediction)}
