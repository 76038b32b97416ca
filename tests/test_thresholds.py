"""Tuning the threshold: every point of the curve is what a prediction at that threshold scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clue_cli.contract import Answering, Example, Tally
from clue_cli.errors import UserError
from clue_cli.evaluation import evaluate
from clue_cli.model import Model
from clue_cli.registry import find_task
from clue_cli.sources import locate
from clue_cli.thresholds import _Sweep, tune_threshold

RECIPE = {"max_length": 48, "overlap": 4}


def model_and_dev(task_name: str, head: str, encoder: Path, rows: int) -> tuple[Model, list[Example]]:
    task = find_task(task_name)
    source, _ = locate(task_name, None)
    examples = list(task.read(source, "dev", Tally()))[:rows]
    torch.manual_seed(5)
    recipe = task.recipe_for(head, "small")[0].updated(RECIPE)
    return Model.build(task, head, recipe, encoder=str(encoder)).to_device("cpu", "float32"), examples


@pytest.mark.parametrize(
    ("head", "nested"), [("globalpointer", True), ("efficient-globalpointer", True), ("globalpointer", False)]
)
def test_every_point_of_the_curve_is_what_a_prediction_there_scores(
    head: str, nested: bool, tiny_encoder: Path
) -> None:
    model, examples = model_and_dev("cluener", head, tiny_encoder, 6)
    model.head.nested = nested  # a head that is not nested decodes at each threshold
    model.head.thresholds = (-0.5, -0.1, 0.1, 0.5)
    curve = tune_threshold(model, examples, "span:micro_f1")
    assert curve.thresholds == (-0.5, -0.1, 0.0, 0.1, 0.5)
    for threshold, figures in zip(curve.thresholds, curve.figures, strict=True):
        result = evaluate(model, examples, Answering(threshold=threshold))
        assert figures == pytest.approx(result.scores["span:micro_f1"].figures)
    assert len({figures["precision"] for figures in curve.figures}) > 1
    best = max(figures["f1"] for figures in curve.figures)
    assert curve.figures[curve.thresholds.index(curve.threshold)]["f1"] == best
    document = curve.as_dict()
    assert [point["threshold"] for point in document["points"]] == list(curve.thresholds)
    assert {"precision", "recall", "f1"} <= set(document["points"][0])


def test_a_head_whose_answers_are_not_nested_is_asked_at_each_threshold(tiny_encoder: Path) -> None:
    model, examples = model_and_dev("duie", "casrel", tiny_encoder, 3)
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    thresholds = (0.05, 0.2, 0.4)
    options = Answering(threshold=thresholds[0], sweep=thresholds)
    swept = [answers for _, answers in _Sweep(model, thresholds).examples(examples, options)]
    for place, threshold in enumerate(thresholds):
        alone = evaluate(model, examples, Answering(threshold=threshold)).pairs
        assert [prediction.answer for _, prediction in alone] == [answers[place].answer for answers in swept]
    assert len({len(answer.answer) for answers in swept for answer in answers}) > 2


def test_of_equally_good_thresholds_the_default_wins(tiny_encoder: Path) -> None:
    model, examples = model_and_dev("cluener", "efficient-globalpointer", tiny_encoder, 2)
    model.head.thresholds = (90.0, 91.0, 92.0)
    model.head.default_threshold = 91.0
    assert tune_threshold(model, examples).threshold == 91.0


def test_a_head_without_a_threshold_has_none_to_tune(tiny_encoder: Path) -> None:
    model, examples = model_and_dev("cluener", "softmax", tiny_encoder, 2)
    with pytest.raises(UserError, match="no threshold to tune"):
        tune_threshold(model, examples)


def test_of_rows_with_one_text_the_last_counts_at_every_threshold(tiny_encoder: Path) -> None:
    model, examples = model_and_dev("duie", "gplinker", tiny_encoder, 3)
    examples = [replace(example, texts=examples[0].texts) for example in examples[:2]] + examples[2:]
    model.head.thresholds = (-90.0, 90.0)
    curve = tune_threshold(model, examples)
    for threshold, figures in zip(curve.thresholds, curve.figures, strict=True):
        assert figures == evaluate(model, examples, Answering(threshold=threshold)).scores[curve.metric].figures


def test_rows_without_gold_do_not_count(tiny_encoder: Path) -> None:
    model, examples = model_and_dev("cluener", "efficient-globalpointer", tiny_encoder, 3)
    model.head.thresholds = (-90.0, 90.0)
    bare = replace(examples[1], gold=None)
    assert tune_threshold(model, [examples[0], bare]) == tune_threshold(model, examples[:1])
    with pytest.raises(UserError, match="no row is labelled"):
        tune_threshold(model, [bare])
