"""Scoring a model on labelled examples: every metric of the task, with its errors, and the answers line by line.

The answers are those of `clue predict` (the same `Predictor` makes them), so that the figure of a training, of
`clue eval` and of a scored prediction file are one figure.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clue_cli import console
from clue_cli.contract import Answering, Example, Prediction, Tally
from clue_cli.drawing import drawn
from clue_cli.errors import UserError
from clue_cli.files import atomic_write
from clue_cli.model_settings import export_origin, read_settings
from clue_cli.prediction import OnRows, Predictor, model_directory, nobody
from clue_cli.scoring import Score, item_statistics, make_metric, score
from clue_cli.thresholds import Curve, tune_threshold

if TYPE_CHECKING:
    from clue_cli.model import BaseModel
    from clue_cli.record import DataInfo, Record, Result
    from clue_cli.task import Task


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

        more = {"threshold": self.threshold, "threshold_origin": self.threshold_origin}
        return [Result.of(value, split, **more) for value in self.scores.values()]


def evaluate(
    model: BaseModel, examples: Sequence[Example], options: Answering | None = None, on_rows: OnRows = nobody
) -> DevResult:
    """Answer `examples` and score the answers with every metric of the model's task.

    `on_rows`: see `Predictor.examples`. Under several processes each gets the whole result. UserError where no example
    is labelled.
    """
    from clue_cli.pipeline import Processes

    tally = Tally()
    predictor = Predictor(model, tally=tally, processes=Processes.current())
    options = options or predictor.answering()
    pairs = list(predictor.examples(examples, options, on_rows=on_rows))
    scores = {name: score(make_metric(model.task, name), pairs) for name in model.task.metrics}
    merged = Tally()
    for part in predictor.processes.gather(tally):
        merged.merge(part)
    threshold = None
    if model.head.thresholded:
        threshold = model.head.default_threshold if options.threshold is None else options.threshold
    return DevResult(model.task, pairs, scores, merged, threshold)


def write_predictions(path: Path, task: Task, result: DevResult) -> None:
    """One JSON line an example: number, id, texts, gold, answer with scores, and its statistics under every metric.

    `clusters` has, by metric, the number of the first example of the same cluster, where that is another one.
    """
    first_of: dict[str, dict[Hashable, int]] = {name: {} for name in task.metrics}
    metrics = {name: make_metric(task, name) for name in task.metrics}
    options = Answering(threshold=result.threshold)
    with atomic_write(path) as file:
        for example, prediction in result.pairs:
            line: dict[str, Any] = {"number": example.number, "id": example.id, "texts": list(example.texts)}
            if example.gold is not None:
                line["gold"] = task.gold_fields(example)
            line["prediction"] = task.answer_fields(example, prediction, options, probabilities=True)
            line["statistics"] = {}
            for name, metric in metrics.items() if example.gold is not None else ():
                cluster, line["statistics"][name] = item_statistics(metric, example, prediction)
                first = first_of[name].setdefault(cluster, example.number)
                if first != example.number:
                    line.setdefault("clusters", {})[name] = first
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


LENGTHS = (0, 16, 32, 64, 128, 256, 512)
"""Slices of `clue eval`: texts of at least so many characters."""


@dataclass(frozen=True)
class Slice:
    """The primary figure on the items whose texts have `low` to `high` characters."""

    low: int
    high: int
    items: int
    figure: float


@dataclass
class Evaluation:
    """What `clue eval` found: the result, on which data, by the metric that ranks, and what other thresholds give."""

    result: DevResult
    data: DataInfo
    metric: str
    split: str
    curve: Curve | None = None
    saved: bool = False

    def by_length(self) -> list[Slice]:
        """The ranking metric by length of the text in characters; slices without a labelled example are left out."""
        labelled = [pair for pair in self.result.pairs if pair[0].gold is not None]
        found = []
        for low, end in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
            pairs = [
                pair
                for pair in labelled
                if (size := sum(map(len, pair[0].texts))) >= low and (end is None or size < end)
            ]
            if pairs:
                high = max(sum(map(len, example.texts)) for example, _ in pairs)
                value = score(make_metric(self.result.task, self.metric), pairs)
                found.append(Slice(low, high, value.items, value.figure))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "split": self.split,
            "saved": self.saved,
            "sample": self.data.sample,
            "threshold": self.result.threshold,
            "threshold_origin": self.result.threshold_origin,
            "threshold_curve": None if self.curve is None else self.curve.as_dict(),
            "left_out": self.result.tally.as_dict(),
            "metrics": [value.as_dict() for value in self.result.scores.values()],
            "by_length": [asdict(piece) for piece in self.by_length()],
        }


def evaluate_run(
    run: Path,
    *,
    split: str = "dev",
    data: str | None = None,
    encoding: str = "utf-8",
    limit: int | None = None,
    threshold: float | None = None,
    tune: bool = False,
    device: str | None = None,
    precision: str | None = None,
    save: bool | None = None,
) -> Evaluation:
    """Score the model of `run` on a split, and with `save` write the figures into its record (an export has none).

    `save` None: unless a part of the split or another threshold is looked at. A tuned threshold is kept with them.

    Without `data`, `$CLUE_DATA` or the shipped sample serve; UserError where the run was trained on other data than the
    sample and none are given, or where an export's threshold is to be tuned.
    """
    from clue_cli.data_files import data_files
    from clue_cli.model import Model
    from clue_cli.record import DataInfo
    from clue_cli.sources import locate

    known = _known_of(run)
    if tune and known.record is None:
        hint = "tune it in the run, and export that again"
        raise UserError("an export keeps the threshold it was made with", where="--tune-threshold", hint=hint)
    model = Predictor.load(run, device=device, precision=precision).model
    task = model.task
    source, sample = locate(task.name, data, hub=task.hub, encoding=encoding)
    if sample and not known.sample:
        raise UserError("this run was not trained on the shipped sample: say where its data are", where="--data")
    tally = Tally()
    examples = list(task.read(source, split, tally))
    limit = None if limit is not None and limit >= len(examples) else limit
    examples = drawn(examples, limit, known.seed)
    if save is None:
        save = limit is None and threshold is None
    curve, origin = None, "default"
    if tune:
        with console.progress(len(examples), "thresholds", unit="rows") as bar:
            curve = tune_threshold(model, examples, known.metric, bar.advance)
        threshold, origin = curve.threshold, f"tuned on {split}"
        model.settings = replace(model.settings, threshold=threshold)
    elif threshold is not None:
        origin = "option"
    elif model.threshold is not None:
        origin = _origin_of(model.threshold, known.record)
    with console.progress(len(examples), split, unit="rows") as bar:
        result = evaluate(model, examples, Predictor(model).answering(threshold=threshold), bar.advance)
    result.threshold_origin = origin
    tally.merge(result.tally)
    result.tally = tally
    info = DataInfo(
        files=data_files(task, source, split, examples),
        sample=sample,
        rows={split: len(examples)},
        left_out={split: tally.as_dict()},
        eval_limit=limit,
        encoding=encoding,
    )
    if save and known.record is not None:
        _save(run, known.record, result, info, split)
        if tune and isinstance(model, Model):
            model.write_settings(run / "model")
    return Evaluation(result, info, known.metric, split, curve, saved=save and known.record is not None)


def _origin_of(threshold: float, record: Record | None) -> str:
    """Where the threshold that a run keeps comes from, as the result of its tuning says."""
    results = record.results if record is not None else []
    tuned = (r.threshold_origin for r in results if r.threshold == threshold and r.threshold_origin.startswith("tuned"))
    return next(tuned, "the run's own")


@dataclass(frozen=True)
class _Known:
    """What is known of a run before its model is loaded; `record` None for an export."""

    metric: str
    seed: int
    sample: bool
    record: Record | None


def _known_of(run: Path) -> _Known:
    from clue_cli.record import Record

    directory = model_directory(run)
    exported = export_origin(read_settings(directory), directory)
    if exported is not None:
        return _Known(exported.metric, exported.seed, exported.sample, None)
    record = Record.load(run)
    return _Known(record.metrics[0], record.seed, record.data.sample, record)


def _save(run: Path, record: Record, result: DevResult, info: DataInfo, split: str) -> None:
    """Write the figures into the record of a run, and the answers beside it where the data are the run's own."""
    hashes = {file.sha256 for file in info.files}
    own = hashes == {known.sha256 for known in record.data.files if known.split == split}
    for value in result.results(split):
        value.data = None if own and info.eval_limit == record.data.eval_limit else info
        record.add_result(value)
    record.save(run)
    if own or split not in {file.split for file in record.data.files}:
        write_predictions(run / f"predictions.{split}.jsonl", result.task, result)
