"""Batches: length-aware, exact in examples per step, bounded by tokens inside a step.

A step's batch is drawn like this: units (an example, one window of it, or the whole of a question) are shuffled by
seed and epoch, sorted by length inside a window of about `WINDOW` units, cut into batches, and the order of the batches
is shuffled again. Rows of one batch so have like lengths, and every epoch is a different, reproducible order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

    from clue_cli.contract import Feature
    from clue_cli.task import Task

WINDOW = 1600
"""Units that are sorted together, rounded to whole batches: enough for little padding, few enough to stay random."""

TRAINING_TOKENS_CPU, TRAINING_TOKENS_DEVICE = 4096, 65_536
"""Padded tokens of one training micro-batch. A processor gains nothing from larger ones and needs memory for them; an
accelerator is filled."""

UNPINNED_BYTES = 65_536
"""Size up to which CUDA copies from ordinary memory without waiting; pinning costs more there than it gains."""


def steps_of_epoch(
    lengths: np.ndarray, units: np.ndarray, batch_size: int, *, seed: int, epoch: int
) -> list[np.ndarray]:
    """Feature indices of every optimiser step of an epoch.

    lengths: (F,) tokens of each feature. units: (F,) unit of each feature, features of one unit adjacent.
    Every step holds `batch_size` whole units, the last one of the epoch what is left.
    """
    starts = np.flatnonzero(np.r_[True, units[1:] != units[:-1]]) if len(units) else np.zeros(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(units)]
    if not len(starts):
        return []
    longest = np.maximum.reduceat(lengths, starts)
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(starts))
    # What is left over is drawn before sorting, so that the short step is a random one and not the longest texts.
    whole = len(order) // batch_size * batch_size
    batches: list[np.ndarray] = []
    window = max(WINDOW // batch_size, 1) * batch_size
    for begin in range(0, whole, window):
        part = order[begin : min(begin + window, whole)]
        part = part[np.argsort(longest[part], kind="stable")]
        batches.extend(part[i : i + batch_size] for i in range(0, len(part), batch_size))
    ordered = [batches[i] for i in random.permutation(len(batches))]
    if whole < len(order):
        ordered.append(order[whole:])
    return [np.concatenate([np.arange(starts[u], ends[u]) for u in batch]) for batch in ordered]


def micro_batches(indices: Sequence[int], lengths: np.ndarray, units: np.ndarray, tokens: int) -> list[list[int]]:
    """Cut `indices` into runs of at most `tokens` padded tokens; units stay whole, a lone long one stands alone."""
    result: list[list[int]] = []
    current: list[int] = []
    longest = 0
    begin = 0
    while begin < len(indices):
        end = begin + 1
        while end < len(indices) and units[indices[end]] == units[indices[begin]]:
            end += 1
        group = [int(i) for i in indices[begin:end]]
        group_longest = int(max(lengths[i] for i in group))
        if current and max(longest, group_longest) * (len(current) + len(group)) > tokens:
            result.append(current)
            current, longest = [], 0
        current += group
        longest = max(longest, group_longest)
        begin = end
    if current:
        result.append(current)
    return result


def share_of_process(indices: np.ndarray, units: np.ndarray, process: int, processes: int) -> np.ndarray:
    """The features of a step that `process` computes: every `processes`-th unit, so that lengths stay balanced."""
    if processes == 1 or not len(indices):
        return indices
    step_units = units[indices]
    ordinal = np.cumsum(np.r_[False, step_units[1:] != step_units[:-1]])
    share: np.ndarray = indices[ordinal % processes == process]
    return share


def collate(
    task: Task, features: Sequence[Feature], pad_id: int, *, multiple: int = 1, most: int | None = None
) -> dict[str, Tensor]:
    """Padded inputs, masks and targets of a batch, on the host.

    L is the longest feature's length, rounded up to a multiple of `multiple`, but to no more than `most`.

    `input_ids` (B, L), `attention_mask` (B, L) bool, `token_type_ids` (B, L) where the encoder takes them,
    `text_mask` (B, L) bool where features carry offsets, `unit` (B,), and what `task.collate` adds.
    """
    rows, needed = len(features), max(feature.length for feature in features)
    rounded = -(-needed // multiple) * multiple
    longest = rounded if most is None else max(needed, min(rounded, most))
    arrays: dict[str, np.ndarray] = {"attention_mask": np.zeros((rows, longest), dtype=bool)}
    for name in features[0].inputs:
        arrays[name] = np.full((rows, longest), pad_id if name == "input_ids" else 0, dtype=np.int64)
    spans = features[0].char_spans is not None
    if spans:
        arrays["text_mask"] = np.zeros((rows, longest), dtype=bool)
    for row, feature in enumerate(features):
        length = feature.length
        arrays["attention_mask"][row, :length] = True
        for name, values in feature.inputs.items():
            arrays[name][row, :length] = values
        if spans:
            sequence = feature.sequence
            assert sequence is not None
            # Of a pair (question, passage) the last text is the one that spans are marked in.
            arrays["text_mask"][row, :length] = sequence == sequence.max(initial=0)
    arrays["unit"] = np.unique([feature.unit for feature in features], return_inverse=True)[1].astype(np.int64)
    arrays.update(task.collate(features))
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def to_device(batch: Mapping[str, Tensor], device: Any) -> dict[str, Tensor]:
    """The batch on `device`; CUDA copies it while the host goes on."""
    if torch.device(device).type != "cuda":
        return {name: tensor.to(device) for name, tensor in batch.items()}
    pinned = {name: x.pin_memory() if x.nbytes > UNPINNED_BYTES else x for name, x in batch.items()}
    return {name: tensor.to(device, non_blocking=True) for name, tensor in pinned.items()}
