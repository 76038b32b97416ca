"""The choices of a question, the candidates of a blank: whole however a batch is cut, and nothing depends on it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.batching import micro_batches, share_of_process, steps_of_epoch
from clue_cli.contract import Feature, Tally
from clue_cli.features import FeatureTable
from clue_cli.model import Model
from clue_cli.prediction import Predictor, token_batches
from clue_cli.registry import find_task
from clue_cli.sources import locate

TASKS = ("c3", "chid", "fewclue_chid")
SIZES = st.lists(st.integers(1, 10), min_size=1, max_size=40)


@given(
    sizes=SIZES, data=st.data(), batch=st.integers(1, 7), processes=st.integers(1, 4), tokens=st.integers(1, 400),
    seed=st.integers(0, 2**30),
)  # fmt: skip
def test_a_unit_is_in_one_batch_of_one_process(
    sizes: list[int], data: st.DataObject, batch: int, processes: int, tokens: int, seed: int
) -> None:
    """Steps of training, the last one too; what each process has of them; its micro-batches; batches of prediction."""
    units = np.repeat(np.arange(len(sizes)), sizes)
    lengths = np.array(data.draw(st.lists(st.integers(1, 60), min_size=len(units), max_size=len(units))))
    homes: dict[int, list[Any]] = defaultdict(list)
    for number, step in enumerate(steps_of_epoch(lengths, units, batch, seed=seed, epoch=0)):
        for process in range(processes):
            share = share_of_process(step, units, process, processes)
            for part, indices in enumerate(micro_batches(share.tolist(), lengths, units, tokens)):
                for unit, amount in zip(*np.unique(units[indices], return_counts=True), strict=True):
                    homes[int(unit)].append((number, process, part, int(amount)))
    assert sorted(homes) == list(range(len(sizes)))
    assert all(len(places) == 1 and places[0][-1] == sizes[unit] for unit, places in homes.items())

    features = [Feature(0, int(unit), {"input_ids": [0] * int(n)}) for unit, n in zip(units, lengths, strict=True)]
    seen = [np.unique(units[indices], return_counts=True) for indices in token_batches(features, tokens)]
    found = [(int(unit), int(n)) for some in seen for unit, n in zip(*some, strict=True)]
    assert sorted(found) == list(enumerate(sizes))


def model_of(name: str, encoder: Path, amount: int) -> tuple[Model, list[Any]]:
    task = find_task(name)
    recipe, _ = task.recipe_for("choice", "small")
    recipe = recipe.updated({"max_length": 48, "dropout": 0.0, "head_dropout": 0.0})
    torch.manual_seed(0)
    model = Model.build(task, "choice", recipe, encoder=str(encoder)).to_device("cpu", "float32")
    source, _ = locate(name, None)
    examples = list(task.read(source, "dev", Tally()))[:amount]
    return model, examples


@pytest.mark.parametrize("name", TASKS)
def test_answers_do_not_depend_on_the_cut(name: str, tiny_encoder: Path) -> None:
    model, examples = model_of(name, tiny_encoder, 6)
    found = [list(Predictor(model, tokens=tokens).examples(examples)) for tokens in (1, 300, 10**6)]
    for some in found[1:]:
        for (_, first), (_, second) in zip(found[0], some, strict=True):
            ours, theirs = (np.atleast_2d(getattr(p.scores, "probabilities", p.scores)) for p in (first, second))
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
            # Random weights give ties up to rounding: answers may differ where they are equally good.
            best = [np.log(ours[np.arange(len(ours)), p.answer]).sum() for p in (first, second)]
            assert best[0] == pytest.approx(best[1], abs=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_gradients_do_not_depend_on_the_cut_or_the_processes(name: str, tiny_encoder: Path) -> None:
    model, examples = model_of(name, tiny_encoder, 3)
    table = FeatureTable.build(model.task.features(examples, model.text_encoder, model.limits, Tally()))
    step = np.concatenate(steps_of_epoch(table.lengths, table.units, 1000, seed=1, epoch=0))
    results = []
    for processes, tokens in ((1, 10**6), (1, 1), (2, 300)):
        model.zero_grad()
        loss = weight = 0.0
        for process in range(processes):
            share = share_of_process(step, table.units, process, processes)
            for part in micro_batches(share.tolist(), table.lengths, table.units, tokens):
                output = model(model.batch([table[i] for i in part]), want_loss=True)
                output.loss_sum.backward()
                loss, weight = loss + output.loss_sum.item(), weight + output.weight.item()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((loss, weight, gradients))
    assert results[0][1] == len(np.unique(table.units))
    for loss, weight, gradients in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-5)
        assert weight == results[0][1]
        # Choices of one question nearly cancel before training: what is left of rounding is absolute.
        assert float((gradients - results[0][2]).norm()) < 1e-4 * max(float(results[0][2].norm()), 1e-1)
