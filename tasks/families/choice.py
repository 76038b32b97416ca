"""Multiple choice: which of a question's choices is right, given a passage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally, TextEncoder
from clue_cli.errors import RowError, UserError, Where
from clue_cli.sources import Row
from tasks.families.choosing import Choosing, field_of, index_in, raw_scores
from tasks.families.values import kind, rounded, softmax, texts_cell

if TYPE_CHECKING:
    from clue_cli.sources import Source

ENCODE_BATCH = 256
"""Questions given to the tokenizer at once."""

CUT_QUESTIONS = "questions whose text was cut to max_length"
CUT_TOKENS = "tokens cut from them, of the choice that lost most"
REPEATED = "choices that repeat an earlier one of their question, scored once"


@dataclass(frozen=True, kw_only=True, eq=False)
class MultipleChoice(Choosing):
    """Questions on a passage with two choices or more, any number of them; only real choices are scored.

    Reads the form of C3, one JSON array of `[[utterance, ...], [{question, choice, answer}, ...], id]` (test items have
    no id, their questions have `id` and no `answer`), and flat rows `{id, passage, question, choices, answer}`, whose
    passage is a text or a list of texts, and whose answer is the right choice's text or its index.

    An example is a question: `texts` passage, question, then the choices as the row has them; gold is the index of the
    right one, of equal ones the first. A choice that repeats an earlier one has no feature of its own: the same text
    cannot be right and wrong. Inputs: `[CLS] passage [SEP] question [SEP] choice [SEP]`, with whatever special tokens
    the tokenizer has; what does not fit is taken from the longest part, nearly always the passage.

    texts:    the fields of passage, question and choices, in this order.
    between:  what joins the texts of a passage (CLUE-bert4keras: two bars).
    together: split -> files that are one split only together.
    """

    family: str = "choice"
    document: bool = True
    texts: tuple[str, ...] = ("passage", "question", "choices")
    between: str = "||"
    together: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    family_metrics: ClassVar[Mapping[str, str]] = {"accuracy": "tasks.metrics.choice:ChoiceAccuracy"}
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 512, "batch_size": 16, "epochs": 5}

    def _check_declaration(self) -> None:
        super()._check_declaration()
        if len(self.fields) != 3:
            raise ValueError(f"task {self.name!r}: the fields of passage, question and choices, not {self.fields}")

    # ---------------------------------------------------------------- reading

    def files_of(self, source: Source, split: str) -> tuple[str, ...]:
        """The files that are the split together; UserError where only some of them are there."""
        parts = self.together.get(self.split(split), ())
        missing = [name for name in parts if not source.has(name)]
        if parts and not missing:
            return parts
        if 0 < len(missing) < len(parts) and len(source.names()) > 1:
            found = ", ".join(name for name in parts if name not in missing)
            raise UserError(f"{', '.join(missing)} is missing; with {found} it is the split", where=source.location)
        return super().files_of(source, split)

    def unpack(self, document: Any, place: str) -> Iterator[Row]:
        """The questions of a document in C3's form, a row each; an array of flat rows is taken too.

        RowError names the part (`[12][1][0].choice`) and what was expected there.
        """
        if not isinstance(document, list):
            raise RowError(f"a list of [passage, questions] was expected, found {kind(document)}", Where(place))
        for number, item in enumerate(document):
            where = Where(place).at(number)
            if isinstance(item, dict):
                yield Row(item, where)
                continue
            if not isinstance(item, list) or len(item) not in (2, 3):
                wanted = "[passage, questions] or [passage, questions, id] was expected"
                raise RowError(f"{wanted}, found {kind(item)}", where)
            self.passage_in(item[0], where.at(0))
            if not isinstance(item[1], list):
                raise RowError(f"a list of questions was expected, found {kind(item[1])}", where.at(1))
            for position, question in enumerate(item[1]):
                yield self._flat(item, question, where.at(1, position))

    def _flat(self, item: Sequence[Any], question: Any, where: Where) -> Row:
        if not isinstance(question, dict):
            raise RowError(f"{{question, choice, answer}} was expected, found {kind(question)}", where)
        for name in ("question", "choice"):
            if name not in question:
                found = ", ".join(list(question)[:12]) or "none"
                raise RowError(f"no {name!r}; fields found: {found}", where)
        self.choices_in(question["choice"], where.at("choice"))
        passage, asked, choices = self.fields
        data = {self.id: question[self.id]} if self.id in question else {}
        data |= {passage: item[0], asked: question["question"], choices: question["choice"]}
        data |= {name: value for name, value in question.items() if name not in (*data, "question", "choice")}
        return Row(data | ({"document": item[2]} if len(item) > 2 else {}), where)

    def passage_in(self, value: Any, where: Where) -> str:
        """The passage in a field, its texts joined; RowError where it is no text, no list of texts, or empty."""
        value = texts_cell(value)
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RowError(f"a text or a list of texts was expected, found {kind(value)}", where)
        if not "".join(texts).strip():
            raise RowError("the passage is empty", where)
        return self.between.join(texts)

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One question as an example; RowError names the field that is wrong."""
        passage, question, choices = self.fields
        text = self.passage_in(self.value(row, passage), row.at(passage))
        asked = self.text(row, question)
        listed = self.choices_in(self.value(row, choices), row.at(choices))
        gold = self._gold(row, listed) if labelled else None
        return Example(number, self.identity(row), (text, asked, *listed), gold, row.data, row.where)

    def _gold(self, row: Row, choices: Sequence[str]) -> int:
        value, where = self.value(row, self.label), row.at(self.label)
        if isinstance(value, str) and value in choices:
            return choices.index(value)
        if isinstance(value, str) and value:
            listed = ", ".join(map(repr, choices[:10]))
            raise RowError(f"the answer {value!r} is not among the choices: {listed}", where)
        return choices.index(choices[index_in(value, choices, where)])

    def labels_of(self, gold: Any) -> Iterable[str]:
        """The index of the right choice, as the official prediction file has it."""
        return (str(gold),)

    # ---------------------------------------------------------------- features

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature a different choice, those of a question one unit; cut questions and tokens are counted."""
        for start in range(0, len(examples), ENCODE_BATCH):
            batch = examples[start : start + ENCODE_BATCH]
            entries = [(*example.texts[:2], choice) for example in batch for choice in different(example)]
            encoded = iter(text_encoder.encode(entries, limits, windows=False, offsets=False, segments=segments))
            for item, example in enumerate(batch, start):
                choices = different(example)
                tally.add(REPEATED, example.where, len(example.texts) - 2 - len(choices))
                right = None if example.gold is None else example.texts[2 + example.gold]
                lost = 0
                for choice in choices:
                    (window,) = next(encoded)
                    lost = max(lost, window.cut)
                    targets = {} if right is None else {"labels": int(choice == right)}
                    yield Feature(item, item, window.inputs, targets=targets)
                if lost:
                    tally.add(CUT_QUESTIONS, example.where)
                    tally.add(CUT_TOKENS, amount=lost)

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The index of the choice with the highest score, of equal ones the first.

        `scores` are the probabilities of all choices (C,) float32: softmax over the different ones, 0 for a choice that
        repeats an earlier one.
        """
        import numpy as np

        choices = different(example)
        scores = raw_scores(candidates, example)
        if len(scores) != len(choices):
            raise ValueError(f"{len(scores)} scores for {len(choices)} choices")
        places = list(choices.values())
        probabilities = np.zeros(len(example.texts) - 2, dtype=np.float32)
        probabilities[places] = softmax(scores)
        return Prediction(places[int(scores.argmax())], probabilities)

    # ---------------------------------------------------------------- answers

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`label`, the index of the choice; `answer`, its text; with `probabilities` its `probability`.

        With `options.top_k` above 1 also `top`: that many [index, probability] pairs, best first.
        """
        answer: dict[str, Any] = {"label": prediction.answer, "answer": example.texts[2 + prediction.answer]}
        if prediction.scores is None:
            return answer
        if probabilities:
            answer["probability"] = rounded(prediction.scores[prediction.answer])
        if options.top_k > 1:
            best = sorted(range(len(prediction.scores)), key=lambda index: -prediction.scores[index])
            answer["top"] = [[index, rounded(prediction.scores[index])] for index in best[: options.top_k]]
        return answer

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """The predicted choice of a row: its index in `label` (ours or official), else its text in `answer`."""
        choices = example.texts[2:]
        name = field_of(row, ("label", "answer"))
        value = row.data[name]
        if name == "answer" and value in choices:
            return Prediction(choices.index(value))
        return Prediction(choices.index(choices[index_in(value, choices, row.at(name))]))

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """The official line: the question's own id and the index of the choice."""
        return {"id": example.id, "label": prediction.answer}


def different(example: Example) -> dict[str, int]:
    """The different choices of a question in their order, and where each of them stands first."""
    found: dict[str, int] = {}
    for index, choice in enumerate(example.texts[2:]):
        found.setdefault(choice, index)
    return found
