"""The threshold on a head's raw scores that serves a labelled split best, and what every other one gives.

A model is run once: candidates are decoded at the lowest threshold, and the task makes of them the answers at each one,
so that whatever an answer is (spans, triples, events made of linked spans) is judged as it would be predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clue_cli.contract import Answering, Example
from clue_cli.errors import UserError
from clue_cli.pipeline import Processes
from clue_cli.prediction import OnRows, Predictor, nobody
from clue_cli.scoring import Statistics, add_units, make_metric

if TYPE_CHECKING:
    from clue_cli.contract import Feature
    from clue_cli.model import BaseModel


@dataclass(frozen=True)
class Curve:
    """What a metric says at each threshold, ascending; `threshold` is the chosen one.

    figures: one mapping a threshold, figure -> value in [0, 1]; `primary` names the one that chose.
    """

    metric: str
    primary: str
    threshold: float
    thresholds: tuple[float, ...]
    figures: tuple[dict[str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON values: a list with one entry a threshold."""
        points = [{"threshold": t, **f} for t, f in zip(self.thresholds, self.figures, strict=True)]
        return {"metric": self.metric, "primary": self.primary, "threshold": self.threshold, "points": points}


class _Sweep(Predictor):
    """Answers at every threshold from one pass of the model; an answer is a list of predictions.

    Candidates are decoded at the lowest threshold, or at each where the head's answers are not nested.
    """

    def __init__(self, model: BaseModel, thresholds: Sequence[float]) -> None:
        super().__init__(model, processes=Processes.current())
        self.thresholds = tuple(thresholds)

    def _predicted(self, example: Example, features: list[Feature], candidates: list[Any], options: Answering) -> Any:
        nested = self.model.head.nested
        return [
            self.task.predictions(
                example,
                features,
                candidates if nested else [decoded[place] for decoded in candidates],
                replace(options, threshold=threshold, sweep=()),
            )
            for place, threshold in enumerate(self.thresholds)
        ]


def tune_threshold(
    model: BaseModel, examples: Sequence[Example], metric_id: str | None = None, on_rows: OnRows = nobody
) -> Curve:
    """Try the head's thresholds on labelled `examples`; the best primary figure of the metric wins.

    Of equally good thresholds the one nearest to the head's default wins. `on_rows`: see `Predictor.examples`.
    UserError where the head has none to tune, or nothing is labelled.
    """
    head = model.head
    if not head.thresholded:
        raise UserError(f"the head {model.settings.head} has no threshold to tune", where="--tune-threshold")
    metric = make_metric(model.task, metric_id)
    thresholds = tuple(sorted({*head.thresholds, head.default_threshold}))
    sums = [Statistics(len(metric.columns)) for _ in thresholds]
    options = Answering(threshold=thresholds[0], flat=head.flat, sweep=thresholds)
    labelled = 0
    for example, answers in _Sweep(model, thresholds).examples(examples, options, on_rows=on_rows):
        if example.gold is None:
            continue
        labelled += 1
        several: Any = answers
        for statistics, prediction in zip(sums, several, strict=True):
            add_units(statistics, metric, example, prediction)
    if not labelled:
        raise UserError("no row is labelled, so no threshold can be tuned", where="--tune-threshold")
    figures = tuple(
        {name: float(value) for name, value in metric.result(statistics.totals()).items()} for statistics in sums
    )
    best = max(
        range(len(thresholds)),
        key=lambda i: (figures[i][metric.primary], -abs(thresholds[i] - head.default_threshold)),
    )
    return Curve(metric.id, metric.primary, thresholds[best], thresholds, figures)
