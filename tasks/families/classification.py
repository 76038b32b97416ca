"""One label for one text or a pair of texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally, TextEncoder
from clue_cli.errors import RowError, UserError
from clue_cli.sources import Row
from tasks.families.base import TaskBase
from tasks.families.values import kind, rounded, softmax, texts_cell

ENCODE_BATCH = 1024
"""Examples given to the tokenizer at once: enough for its threads, little memory."""

CUT_TEXTS = "texts cut to max_length"
CUT_TOKENS = "tokens cut from them"


@dataclass(frozen=True, kw_only=True, eq=False)
class TextClassification(TaskBase):
    """Classification of a text, or of a pair where `fields` names two.

    lists: fields that hold a list of strings, and what joins them into one text (`{"keyword": "；"}`).
    """

    lists: Mapping[str, str] = field(default_factory=dict)
    family: str = "classification"
    ranked: bool = True

    takes_labels: ClassVar[bool] = True
    family_heads: ClassVar[Mapping[str, str]] = {"classification": "heads.classification:Classification"}
    family_metrics: ClassVar[Mapping[str, str]] = {"accuracy": "tasks.metrics.classification:Accuracy"}
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 128, "batch_size": 32, "epochs": 3}
    # Small encoders want rates about twenty times those of base size.
    family_recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 5e-4},
        "base": {"learning_rate": 3e-5},
        "large": {"learning_rate": 2e-5},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.fields) > 2:
            raise ValueError(f"task {self.name!r}: one text or a pair, not {len(self.fields)} fields")

    def with_fields(self, names: Sequence[str]) -> Self:
        """The same task on other input fields; UserError for an unknown one or more than two."""
        if len(names) > 2:
            raise UserError(f"--fields takes one field or two for task {self.name}, found {len(names)}")
        return super().with_fields(names)

    # ---------------------------------------------------------------- rows to examples

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One row as an example; RowError for a missing field, a wrong type, an empty text or an unknown label."""
        texts = self.input_texts(row)  # first: in another task's file the missing fields say more than the label
        gold = self.label_of(self.value(row, self.label), row.at(self.label)) if labelled else None
        return Example(number, self.identity(row), texts, gold, row.data, row.where)

    def input_texts(self, row: Row) -> tuple[str, ...]:
        """What the encoder sees of a row: one text or a pair."""
        return tuple(
            self._joined(row, name)
            if name in self.lists
            else self.text(row, name, optional=name in self.optional_texts)
            for name in self.fields
        )

    def _joined(self, row: Row, name: str) -> str:
        value = texts_cell(self.value(row, name))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise RowError(f"a list of texts was expected, found {kind(value)}", row.at(name))
        text = self.lists[name].join(value)
        if not "".join(value).strip() and name not in self.optional_texts:
            raise RowError("the list holds no text", row.at(name))
        return text

    # ---------------------------------------------------------------- examples to features and back

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature an example; texts longer than `limits.max_length` are cut, and counted with the tokens lost."""
        for start in range(0, len(examples), ENCODE_BATCH):
            batch = examples[start : start + ENCODE_BATCH]
            texts = [example.texts for example in batch]
            encoded = text_encoder.encode(texts, limits, windows=False, offsets=False, segments=segments)
            for item, (example, (window,)) in enumerate(zip(batch, encoded, strict=True), start=start):
                if window.cut:
                    tally.add(CUT_TEXTS, example.where)
                    tally.add(CUT_TOKENS, amount=window.cut)
                targets = {} if example.gold is None else {"labels": self.label_index[example.gold]}
                yield Feature(item, item, window.inputs, targets=targets)

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The label of the highest logit, with the probabilities of all (C,) float32 in label order.

        `candidates[0]` are the raw logits (C,) of the example's one feature; among equal ones the first label wins.
        """
        import numpy as np

        logits = np.asarray(candidates[0], dtype=np.float64)
        return Prediction(self.labels[int(logits.argmax())], softmax(logits))

    # ---------------------------------------------------------------- answers

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`label`, `label_desc` where labels have names, with `probabilities` its `probability`.

        With `options.top_k` above 1 also `top`: that many [label, probability] pairs, best first.
        """
        answer: dict[str, Any] = {"label": prediction.answer}
        if prediction.answer in self.label_names:
            answer["label_desc"] = self.label_names[prediction.answer]
        if prediction.scores is None:
            return answer
        import numpy as np

        scores = np.asarray(prediction.scores)
        if probabilities:
            answer["probability"] = rounded(scores[self.label_index[prediction.answer]])
        if options.top_k > 1:
            best = np.argsort(-scores, kind="stable")[: options.top_k]
            answer["top"] = [[self.labels[index], rounded(scores[index])] for index in best]
        return answer

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """The prediction in a row's field `label` (ours or the official form); RowError if it is no label."""
        if "label" not in row.data:
            found = ", ".join(list(row.data)[:12]) or "none"
            raise RowError(f"no field 'label' with the predicted label; fields found: {found}", row.where)
        return Prediction(self.label_of(row.data["label"], row.at("label")))

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """The official line: the row's own id and the label's name."""
        return {"id": example.id, "label": prediction.answer}
