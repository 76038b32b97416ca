"""Batches: every unit once, exact sizes, bounded tokens, shares that add up."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.batching import WINDOW, collate, micro_batches, share_of_process, steps_of_epoch
from clue_cli.contract import Feature
from clue_cli.registry import find_task


class Split(NamedTuple):
    lengths: np.ndarray
    units: np.ndarray


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Features of random lengths, one to four a unit."""
    sizes = draw(st.lists(st.integers(1, 4), max_size=60))
    units = np.repeat(np.arange(len(sizes)), sizes)
    lengths = np.array(draw(st.lists(st.integers(1, 50), min_size=len(units), max_size=len(units))), dtype=np.int64)
    return Split(lengths, units)


seeds = st.integers(0, 2**40)


@given(split=splits(), size=st.integers(1, 9), seed=seeds, epoch=st.integers(0, 9))
def test_an_epoch_holds_every_unit_once_in_exact_batches(split: Split, size: int, seed: int, epoch: int) -> None:
    steps = steps_of_epoch(split.lengths, split.units, size, seed=seed, epoch=epoch)
    assert sorted(int(i) for step in steps for i in step) == list(range(len(split.units)))
    counts = [len(set(split.units[step].tolist())) for step in steps]
    amount = len(set(split.units.tolist()))
    assert counts == [size] * (amount // size) + [amount % size] * (amount % size > 0)
    for step in steps:
        units = split.units[step].tolist()
        starts = [unit for i, unit in enumerate(units) if i == 0 or units[i - 1] != unit]
        assert len(starts) == len(set(starts))  # a unit's features stay together


@given(split=splits(), seed=seeds)
def test_the_order_follows_from_seed_and_epoch(split: Split, seed: int) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return [s.tolist() for s in steps_of_epoch(split.lengths, split.units, 2, seed=seed, epoch=epoch)]

    assert order(seed, 1) == order(seed, 1)


@pytest.mark.parametrize(("seed", "epoch"), [(1, 2), (2, 1)])
def test_another_seed_or_epoch_is_another_order(seed: int, epoch: int) -> None:
    lengths, units = np.full(60, 5), np.arange(60)
    usual, other = (
        np.concatenate(steps_of_epoch(lengths, units, 4, seed=s, epoch=e)).tolist() for s, e in ((1, 1), (seed, epoch))
    )
    assert usual != other


def test_batches_are_of_like_lengths_and_the_windows_differ() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 500, 3 * WINDOW)
    steps = steps_of_epoch(lengths, np.arange(len(lengths)), 8, seed=1, epoch=0)
    padded = sum(len(step) * int(lengths[step].max()) for step in steps)
    assert padded / int(lengths.sum()) < 1.01
    means = [float(lengths[step].mean()) for step in steps]
    # In the order of steps nothing is sorted any more: neighbours differ as strangers do.
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.3


@given(split=splits(), tokens=st.integers(0, 200), seed=seeds)
def test_micro_batches_keep_order_units_and_budget(split: Split, tokens: int, seed: int) -> None:
    for step in steps_of_epoch(split.lengths, split.units, 8, seed=seed, epoch=0):
        parts = micro_batches(step.tolist(), split.lengths, split.units, tokens)
        assert [i for part in parts for i in part] == step.tolist()
        owners = [set(split.units[part].tolist()) for part in parts]
        assert sum(map(len, owners)) == len(set().union(*owners))
        for part, units in zip(parts, owners, strict=True):
            assert len(part) * int(split.lengths[part].max()) <= tokens or len(units) == 1
        for first, second in pairwise(parts):  # greedy: none could have taken the next unit
            unit = [i for i in second if split.units[i] == split.units[second[0]]]
            assert (len(first) + len(unit)) * int(split.lengths[first + unit].max()) > tokens


@given(split=splits(), processes=st.integers(1, 5), seed=seeds)
def test_the_shares_of_the_processes_are_the_step(split: Split, processes: int, seed: int) -> None:
    for step in steps_of_epoch(split.lengths, split.units, 7, seed=seed, epoch=0):
        shares = [share_of_process(step, split.units, rank, processes) for rank in range(processes)]
        assert sorted(np.concatenate(shares).tolist()) == sorted(step.tolist())
        owners = [set(split.units[share].tolist()) for share in shares]
        assert sum(map(len, owners)) == len(set().union(*owners))
        assert max(map(len, owners)) - min(map(len, owners)) <= 1


@pytest.mark.parametrize(("multiple", "most", "length"), [(1, None, 5), (4, None, 8), (8, 6, 6), (8, 3, 5), (5, 5, 5)])
def test_lengths_are_rounded_up_as_far_as_the_encoder_reaches(multiple: int, most: int | None, length: int) -> None:
    task = find_task("tnews")
    inputs = [{"input_ids": list(range(1, size + 1))} for size in (5, 2)]
    features = [Feature(item=i, unit=i, inputs=one, targets={"labels": 0}) for i, one in enumerate(inputs)]
    batch = collate(task, features, 9, multiple=multiple, most=most)
    assert batch["input_ids"].tolist() == [[*range(1, 6), *[9] * (length - 5)], [1, 2, *[9] * (length - 2)]]
    assert batch["attention_mask"].sum(1).tolist() == [5, 2]


def test_token_types_are_padded_with_zero() -> None:
    inputs = [{"input_ids": [4] * size, "token_type_ids": [0] * size} for size in (3, 1)]
    features = [Feature(item=i, unit=i, inputs=one, targets={"labels": 0}) for i, one in enumerate(inputs)]
    assert collate(find_task("tnews"), features, 9)["token_type_ids"].tolist() == [[0] * 3] * 2


def test_of_a_pair_only_the_passage_is_text() -> None:
    """Else a question's tokens could be answers. A pair may have no text at all."""
    parts = ([-1, 0, -1, 1, 1, -1], [-1, -1, -1])
    features = [
        Feature(
            i, i, {"input_ids": [5] * len(part)}, np.zeros((len(part), 2), np.int32), np.array(part, np.int8),
            {"spans": np.zeros((0, 3), np.int32)},
        )
        for i, part in enumerate(parts)
    ]  # fmt: skip
    mask = collate(find_task("cmrc2018"), features, 0)["text_mask"]
    assert mask.int().tolist() == [[0, 0, 0, 1, 1, 0], [0] * 6]


def test_no_features_give_no_steps() -> None:
    empty = np.zeros(0, dtype=np.int64)
    assert steps_of_epoch(empty, empty, 4, seed=0, epoch=0) == []
    assert micro_batches([], empty, empty, 10) == []
    assert share_of_process(empty, empty, 0, 2).tolist() == []
