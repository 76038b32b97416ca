"""Reading comprehension: a question, a passage, and the piece of the passage that answers it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn, Self

import numpy as np

from clue_cli.contract import UNANSWERABLE, Answering, Example, Feature, Limits, Prediction, Tally, TextEncoder
from clue_cli.errors import RowError, UserError, Where, did_you_mean
from clue_cli.sources import Row, Source
from tasks.families import squad, windows
from tasks.families.alignment import Window
from tasks.families.base import TaskBase
from tasks.families.declaration import OWN_FILES
from tasks.families.encoding import Reach, encoded_windows
from tasks.families.squad import Answer
from tasks.families.values import kind, rounded

WINDOWS_OF_UNIT = 32
"""Windows that stay in one batch. A passage of more (some 12,000 characters) is computed in parts, so that memory is
bounded; in training each part then counts as an example of a step."""

BLANK = "questions that are empty"
LONG_QUESTION = "questions cut to half of the window"
NOT_LEARNED = "questions without an answer to learn"
OUT_OF_REACH = "questions without an answer within reach"


class Scored(NamedTuple):
    """A piece of the passage with its best raw score and its probability (see `Reading.scored_answers`)."""

    answer: Answer
    score: float
    probability: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading(TaskBase):
    """Extractive reading comprehension; gold is a tuple of `Answer`, a prediction's answer one `Answer`.

    Reads the official nesting of SQuAD and flat rows (`tasks.families.squad`). A passage longer than the limit becomes
    overlapping windows, the question repeated in each; a question may take half of a window. A window that holds the
    first answer whose place is known learns it; one that holds no part of it learns "no answer"; one that holds a part
    only learns nothing. Questions that their passage does not answer (SQuAD 2.0's: no answers, or `is_impossible`) are
    left out of train and dev and counted, since every answer is a piece of the passage. `blank_questions` names splits
    whose rows with an empty question are left out and counted; elsewhere they are refused.
    """

    family: str = "reading"
    spans: bool = True
    document: bool = True
    ranked: bool = True
    texts: tuple[str, ...] = ("question", "context")
    label: str = "answers"
    labels: tuple[str, ...] = ("answer",)
    files: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=lambda: {s: tuple(dict.fromkeys((f"{s}.json", *names))) for s, names in OWN_FILES.items()}
    )
    blank_questions: tuple[str, ...] = ()

    least_labels: ClassVar[int] = 1
    family_heads: ClassVar[Mapping[str, str]] = {
        "globalpointer": "heads.reading:ReadingGlobalPointer",
        "span": "heads.reading:StartEnd",
    }
    family_metrics: ClassVar[Mapping[str, str]] = {
        "cmrc2018:official": "tasks.metrics.reading:CmrcOfficial",
        "cmrc2018:span": "tasks.metrics.reading:CmrcSpan",
        "dureader_robust:em_f1": "tasks.metrics.reading:DureaderEmF1",
    }
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 512, "overlap": 128, "batch_size": 32, "epochs": 3}
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 5e-4, "epochs": 2},
        "base": {"learning_rate": 3e-5},
        "large": {"learning_rate": 2e-5},
    }

    # ---------------------------------------------------------------- reading

    def unpack(self, document: Any, place: str) -> Iterator[Row]:
        """The questions of a document, flat: `id`, `question`, `context` and, where it has them, `answers`."""
        question, context = self.fields
        return squad.unpack(document, place, question=question, context=context, answers=self.label, id=self.id)

    def read(self, source: Source, split: str, tally: Tally) -> Iterator[Example]:
        """The examples of a split, as `TaskBase.read`; see `blank_questions`."""
        if self.split(split) not in self.blank_questions:
            yield from super().read(source, split, tally)
            return
        lenient = dataclasses.replace(self, optional_texts=self.texts[:1], blank_questions=())
        number = 0
        for example in lenient.read(source, split, tally):
            if not example.texts[0].strip():
                tally.add(BLANK, example.where)
                continue
            yield dataclasses.replace(example, number=number)
            number += 1

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One row as an example; RowError names the field that is wrong."""
        question, context = (self.text(row, name, optional=name in self.optional_texts) for name in self.fields)
        gold = None
        if labelled:
            gold = squad.read_answers(self.value(row, self.label), context, row.at(self.label))
        return Example(number, self.identity(row), (question, context), gold, row.data, row.where)

    def _unusable(self, row: Row) -> str | None:
        """As `TaskBase`; questions without an answer are none that a head could answer."""
        none = squad.unanswerable(row.data.get(self.label), row.data.get(squad.IMPOSSIBLE))
        return UNANSWERABLE if none else super()._unusable(row)

    def is_labelled(self, row: Row) -> bool:
        """Whether a row of a user's own file carries gold."""
        return row.data.get(self.label) not in (None, "", [])

    def expected(self) -> str:
        """What a row of this task looks like, for messages."""
        fields = ", ".join(self.fields)
        return (
            f"task {self.name} expects {self.id}, {fields} and {self.label} [{{text, answer_start}}] in each row,"
            " or one document {data: [{paragraphs: [{context, qas: [{id, question, answers}]}]}]}"
        )

    def _check_declaration(self) -> None:
        TaskBase._check_declaration(self)
        if len(self.fields) != 2:
            raise ValueError(
                f"task {self.name!r}: reading takes a question and a passage, not {len(self.fields)} texts"
            )

    # ---------------------------------------------------------------- features

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature a window, in order; `targets["spans"]` is (1, 3) int32 of (0, first, last token, inclusive).

        (0, 0, 0) is "no answer in this window". (0, 3), nothing to learn, where the window holds a part of the answer
        only, and in every window of a question none of whose answers has a known place. What could not be learned as
        it stands is counted in `tally`, and stays in the gold.
        """
        unit = -1
        for item, (example, parts) in enumerate(encoded_windows(examples, text_encoder, limits, segments)):
            if parts[0].cut:
                tally.add(LONG_QUESTION, example.where)
            targets: list[dict[str, np.ndarray]] = [{} for _ in parts]
            if example.gold is not None:
                targets = [{"spans": span} for span in _targets(example, parts, tally)]
            for position, (part, learned) in enumerate(zip(parts, targets, strict=True)):
                unit += position % WINDOWS_OF_UNIT == 0
                yield Feature(item, unit, part.inputs, part.char_spans, part.sequence, learned)

    def recall_bound(self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits) -> Reach:
        """How many gold answers can be predicted exactly with this tokenizer and these windows (`clue data`).

        Every gold answer counts, once a question. Among the reasons stand the questions none of whose answers can be
        reached: they, not the answers, bound exact match.
        """
        reach = Reach()
        for example, parts in encoded_windows(examples, text_encoder, limits):
            reached = 0
            for answer in example.gold or ():
                reason = windows.place(parts, answer.start, answer.end).reason if answer.located else answer.note
                reach.gold += 1
                reached += reason is None
                if reason is not None:
                    reach.unreachable.add(reason, example.where)
            reach.reachable += reached
            if example.gold and not reached:
                reach.unreachable.add(OUT_OF_REACH, example.where)
        return reach

    # ---------------------------------------------------------------- answers

    def scored_answers(self, example: Example, features: Sequence[Feature], candidates: Sequence[Any]) -> list[Scored]:
        """Every piece of the passage that the head proposed in any window, best first (then the earlier, the shorter).

        Its score is the best raw score that a window gives it; windows are compared by raw scores, and with "no
        answer" nowhere. Its probability is its share, summed over the windows that propose it, of the exponentials of
        all pairs of passage tokens of all windows. `candidates` are `heads.base.Spans`, one a feature.
        """
        scores: dict[tuple[int, int], list[float]] = {}
        totals = []
        for feature, found in zip(features, candidates, strict=True):
            if not len(found.score):
                continue
            # The best candidate's share of its window gives the window's sum of exponentials back.
            totals.append(float(found.score[0]) - float(np.log(np.maximum(found.probability[0], 1e-30))))
            start, end, there = windows.characters(feature, found.start, found.end)
            for s, e, score in zip(
                start[there].tolist(), end[there].tolist(), found.score[there].tolist(), strict=True
            ):
                scores.setdefault((s, e), []).append(score)
        if not scores:
            return []
        total = np.logaddexp.reduce(totals)
        passage = example.texts[1]
        answers = [
            Scored(Answer(passage[s:e], s, e), max(own), min(1.0, float(np.exp(np.logaddexp.reduce(own) - total))))
            for (s, e), own in scores.items()
        ]
        return sorted(answers, key=lambda found: (-found.score, found.answer.start, found.answer.end))

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The best piece of the passage, `scores` the best `options.top_k` as `Scored` (see `scored_answers`).

        An empty answer without a place for a passage that has no tokens.
        """
        best = self.scored_answers(example, features, candidates)[: max(1, options.top_k)]
        return Prediction(best[0].answer if best else Answer(""), tuple(best))

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`answer`, `start` and `end` (null without a place), with `probabilities` also `score` and `probability`.

        With `options.top_k` above 1 also `top`: that many {"answer", "start", "end", "probability"}, best first.
        """
        fields = _written(prediction.answer)
        if not prediction.scores:
            return fields
        if probabilities:
            best = prediction.scores[0]
            fields |= {"score": round(best.score, 4), "probability": rounded(best.probability)}
        if options.top_k > 1:
            fields["top"] = [
                {**_written(found.answer), "probability": rounded(found.probability)}
                for found in prediction.scores[: options.top_k]
            ]
        return fields

    def gold_fields(self, example: Example) -> dict[str, Any]:
        """The gold answers, the first as a prediction stands beside it, and all of them in `answers`."""
        return {**_written(example.gold[0]), "answers": [_written(answer) for answer in example.gold]}

    def labels_of(self, gold: Any) -> Iterable[str]:
        """One label an answer; there is but one."""
        return self.labels[:1] * len(gold)

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """A prediction from a row's `answer` and, where it has them, `start` and `end`; RowError if they disagree."""
        text = self.value(row, "answer")
        if not isinstance(text, str):
            raise RowError(f"a text was expected, found {kind(text)}", row.at("answer"))
        start, end = (_offset(row, name) for name in ("start", "end"))
        if start is None and end is None:
            return Prediction(Answer(text))
        passage = example.texts[1]
        if start is None or end is None or not 0 <= start < end <= len(passage):
            found = f"[{start}, {end}) is no piece of a passage of {len(passage)} characters"
            raise RowError(found, row.at("start"), hint="leave both out where the place is not known")
        if passage[start:end] != text:
            stands = f"[{start}, {end}) is {passage[start:end][:40]!r} in the passage, not {text[:40]!r}"
            raise RowError(stands, row.at("start"))
        return Prediction(Answer(text, start, end))

    # ---------------------------------------------------------------- official prediction files

    def submission_document(self, predictions: Iterable[tuple[Example, Prediction]]) -> dict[str, str]:
        """The official prediction file: one object of question id and answer text."""
        return {str(example.id): prediction.answer.text for example, prediction in predictions}

    def unpack_predictions(self, document: Any, place: str) -> Iterator[Row]:
        """The rows `id`, `answer` of such an object; RowError for anything else."""
        if not isinstance(document, dict):
            raise RowError(f"one object {{id: answer}} was expected, found {kind(document)}", Where(place))
        for identity, answer in document.items():
            if not isinstance(answer, str):
                raise RowError(f"a text was expected, found {kind(answer)}", Where(place, None, identity))
            yield Row({self.id: identity, "answer": answer}, Where(place, None, identity))

    # ---------------------------------------------------------------- variants

    def head_config(self, head: str) -> dict[str, Any]:
        """Nothing beside the hidden size: there is one kind of answer."""
        if head not in self.heads:
            raise UserError(did_you_mean(head, self.heads, f"head of task {self.name}"))
        return {}

    def with_fields(self, names: Sequence[str]) -> Self:
        """The same task; UserError unless `names` are its question and its passage."""
        if tuple(names) != self.texts:
            raise UserError(f"task {self.name} reads {' and '.join(self.texts)}, nothing else", where="--fields")
        return self

    def with_labels(self, labels: Sequence[str]) -> NoReturn:
        """UserError: there are no labels."""
        hint = f"put {', '.join(OWN_FILES['train'][:1])} and the like into a directory and give --data DIR"
        raise UserError(
            f"task {self.name} has no labels: answers are pieces of the passage", where="--labels", hint=hint
        )


def _targets(example: Example, parts: Sequence[Window], tally: Tally) -> list[np.ndarray]:
    """What each window learns; counts what is unusual about the answers."""
    for answer in example.gold:
        if answer.note:
            tally.add(answer.note, example.where)
    nothing = np.zeros((0, 3), dtype=np.int32)
    answer = next((answer for answer in example.gold if answer.located), None)
    placed = None if answer is None else windows.place(parts, answer.start, answer.end)
    if placed is not None and placed.reason is not None:
        tally.add(placed.reason, example.where)
    if placed is None or not any(placed.holds):
        tally.add(NOT_LEARNED, example.where)
        return [nothing] * len(parts)
    targets = []
    for tokens, holds in zip(placed.tokens, placed.holds, strict=True):
        first, last = tokens or (0, 0)
        targets.append(nothing if holds and tokens is None else np.array([[0, first, last]], dtype=np.int32))
    return targets


def _written(answer: Answer) -> dict[str, Any]:
    """An answer as JSON values."""
    start, end = (answer.start, answer.end) if answer.located else (None, None)
    return {"answer": answer.text, "start": start, "end": end}


def _offset(row: Row, name: str) -> int | None:
    """A place in the passage; a csv cell holds it as digits, or nothing."""
    value = row.data.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RowError(f"a whole number was expected, found {kind(value)}", row.at(name))
    return value
