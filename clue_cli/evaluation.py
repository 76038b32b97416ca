"""Scoring a model on labelled examples: every metric of the task, with its errors, and the answers line by line.

The answers are those of `clue predict` (the same `Predictor` makes them), so that the figure of a training, of
`clue eval` and of a scored prediction file are one figure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clue_cli.contract import Answering, Example, Prediction, Tally
from clue_cli.files import atomic_write
from clue_cli.scoring import Score, Threshold, best_threshold, item_statistics, make_metric, score

if TYPE_CHECKING:
    from clue_cli.contract import Task
    from clue_cli.model import Model
    from clue_cli.record import Result


@dataclass
class DevResult:
    """Answers of a model to a split, and what every metric of the task says about them."""

    task: Task
    pairs: list[tuple[Example, Prediction]]
    scores: dict[str, Score]
    tally: Tally
    threshold: float | None = None
    threshold_origin: str = "default"

    def primary(self, metric: str) -> float:
        """The primary figure of `metric`, in [0, 1]."""
        return self.scores[metric].figure

    def figures(self) -> dict[str, dict[str, float]]:
        """Metric id -> its figures."""
        return {name: dict(value.figures) for name, value in self.scores.items()}

    def results(self, split: str) -> list[Result]:
        """The scores as a record holds them."""
        from clue_cli.record import Result

        return [
            Result(
                metric=name, split=split, primary=value.primary, figures=dict(value.figures), errors=dict(value.errors),
                items=value.items, per_label=list(value.per_label), threshold=self.threshold,
                threshold_origin=self.threshold_origin,
            )
            for name, value in self.scores.items()
        ]


def evaluate(model: Model, examples: Sequence[Example], options: Answering | None = None) -> DevResult:
    """Answer `examples` and score the answers with every metric of the model's task.

    Under several processes each gets the whole result. UserError where no example is labelled.
    """
    from clue_cli.prediction import Predictor, Processes

    tally = Tally()
    predictor = Predictor(model, tally=tally, processes=Processes.current())
    options = options or predictor.answering()
    pairs = list(predictor.examples(examples, options))
    scores = {name: score(make_metric(model.task, name), pairs) for name in model.task.metrics}
    threshold = None
    if model.head.thresholded:
        threshold = model.head.default_threshold if options.threshold is None else options.threshold
    return DevResult(model.task, pairs, scores, tally, threshold)


def tune_threshold(model: Model, examples: Sequence[Example], *, floor: float = -4.0) -> Threshold:
    """The threshold on raw span scores with the best micro F1 on `examples`, every cut between scores tried.

    Candidates are decoded down to the raw score `floor`. The raw score is got back from the probability that stands
    with each span, sigma(2 s).
    """
    from clue_cli.errors import UserError

    if not model.head.thresholded:
        raise UserError(
            f"the head {model.settings.head} has no threshold to tune", where="--tune-threshold",
            hint="globalpointer and efficient-globalpointer have",
        )
    result = evaluate(model, examples, Answering(threshold=floor))
    tiny = np.finfo(np.float64).tiny
    scored = []
    for example, prediction in result.pairs:
        p = np.asarray(prediction.scores if prediction.scores is not None else [], dtype=np.float64)
        raw = np.maximum(0.5 * (np.log(np.maximum(p, tiny)) - np.log(np.maximum(1 - p, 1e-16))), floor + 1e-9)
        scored.append((example.gold, list(zip(prediction.answer, raw.tolist(), strict=True))))
    return best_threshold(scored, default=model.head.default_threshold, floor=floor)


def write_predictions(path: Path, task: Task, result: DevResult) -> None:
    """One JSON line an example: its number, id, gold, answer with scores, and its statistics under every metric."""
    metrics = {name: make_metric(task, name) for name in task.metrics}
    options = Answering(threshold=result.threshold)
    with atomic_write(path) as file:
        for example, prediction in result.pairs:
            line: dict[str, Any] = {"number": example.number, "id": example.id}
            if example.gold is not None:
                gold = task.answer_fields(example, Prediction(example.gold), Answering(), probabilities=False)
                line["gold"] = gold
            line["prediction"] = task.answer_fields(example, prediction, options, probabilities=True)
            line["statistics"] = {
                name: item_statistics(metric, example, prediction) for name, metric in metrics.items()
            }
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
