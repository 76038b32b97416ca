"""Decoding from given scores: clue's decoders, a batch at a time, against nested loops over numpy.where, row by row.

    python tests/benchmarks/span_decode.py [--data-root DIR] [--tokens 16384] [--limit N]

The rows, lengths and gold are those of the dev sets of duie and duee (DIR holds a directory a task; else the shipped
samples). Scores are random and shaped like a trained model's: gold far over the threshold, all else far below. clue's
side is given the factors of a batch, as its scorers leave them. The other side is given what the published decoders
are given, one sentence at a time: the written-out scores (types, n, n) of the sentence as a NumPy array. To write them
out is timed by itself. The answers of both sides must be the same.

At the end the same decoders on an untrained model's scores, half of which are over the threshold: time and peak memory.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from isolated import PeakMemory, in_process
from torch import Tensor

from heads.base import DecodeOptions, HeadOutput
from heads.efficient_globalpointer import EfficientGlobalPointer
from heads.event_linker import EventGPLinker, EventScores, link_targets
from heads.factorised import Factors
from heads.gplinker import GPLinker, RelationScores, linked

Cube = np.ndarray

# ---------------------------------------------------------------- one sentence at a time


def without_ends(scores: Cube) -> Cube:
    """The first and the last token, [CLS] and [SEP], begin and end nothing."""
    scores[:, [0, -1]] -= np.inf
    scores[:, :, [0, -1]] -= np.inf
    return scores


def naive_spans(spans: Cube) -> set[tuple[int, ...]]:
    found = set()
    for kind, start, end in zip(*np.where(without_ends(spans) > 0), strict=True):
        found.add((kind, start, end))
    return found


def naive_relations(entities: Cube, heads: Cube, tails: Cube) -> set[tuple[int, ...]]:
    subjects, objects = set(), set()
    for kind, start, end in zip(*np.where(without_ends(entities) > 0), strict=True):
        (objects if kind else subjects).add((start, end))
    found = set()
    for subject_start, subject_end in subjects:
        for object_start, object_end in objects:
            by_heads = np.where(heads[:, subject_start, object_start] > 0)[0]
            by_tails = np.where(tails[:, subject_end, object_end] > 0)[0]
            for predicate in set(by_heads) & set(by_tails):
                found.add((predicate, subject_start, subject_end, object_start, object_end))
    return found


def naive_events(spans: Cube, heads: Cube, tails: Cube) -> set[tuple[int, ...]]:
    """Spans as (type, start, end), linked places as (start, end, start, end) with the smaller place first."""
    arguments = naive_spans(spans)
    found = set(arguments)
    for _, start, end in arguments:
        for _, other_start, other_end in arguments:
            starts, ends = sorted((start, other_start)), sorted((end, other_end))
            if heads[0, starts[0], starts[1]] > 0 and tails[0, ends[0], ends[1]] > 0:
                found.add((*min((start, end), (other_start, other_end)), *max((start, end), (other_start, other_end))))
    return found


# ---------------------------------------------------------------- clue's answers in the same words


def span_set(found: Any) -> set[tuple[int, ...]]:
    return set(zip(found.type.tolist(), found.start.tolist(), found.end.tolist(), strict=True))


def triple_set(found: Any) -> set[tuple[int, ...]]:
    ends = (found.subject_start, found.subject_end, found.object_start, found.object_end)
    return set(zip(found.predicate.tolist(), *(column.tolist() for column in ends), strict=True))


def event_set(found: Any) -> set[tuple[int, ...]]:
    places = list(zip(found.spans.start.tolist(), found.spans.end.tolist(), strict=True))
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    ordered = (sorted((places[first], places[second])) for first, second in pairs)
    return span_set(found.spans) | {(*first, *second) for first, second in ordered}


# ---------------------------------------------------------------- scores


@dataclass(frozen=True)
class Case:
    """A decoder: its task, its head, and which factors with which gold it is given.

    scorers: for a batch's targets the gold (N, 4) of every scorer, its number of types, and whether start <= end.
    """

    task: str
    head: Callable[[Any], Any]
    scores: Callable[..., Any]
    scorers: Callable[[Mapping[str, Tensor], int], list[tuple[Tensor, int, bool]]]
    ours: Callable[[Any], set[tuple[int, ...]]]
    naive: Callable[..., set[tuple[int, ...]]]


def span_scorers(batch: Mapping[str, Tensor], types: int) -> list[tuple[Tensor, int, bool]]:
    return [(batch["spans"], types, True)]


def relation_scorers(batch: Mapping[str, Tensor], types: int) -> list[tuple[Tensor, int, bool]]:
    spans, heads, tails = linked(batch["triples"])
    return [(spans, 2, True), (heads, types, False), (tails, types, False)]


def event_scorers(batch: Mapping[str, Tensor], types: int) -> list[tuple[Tensor, int, bool]]:
    heads, tails = link_targets(batch["links"])
    return [(batch["spans"], types, True), (heads, 1, True), (tails, 1, True)]


CASES = {
    "duee, typed spans": Case(
        "duee", lambda task: EfficientGlobalPointer(8, **task.head_config("gplinker")), lambda spans: spans,
        span_scorers, span_set, naive_spans,
    ),
    "duie, relations": Case(
        "duie", lambda task: GPLinker(8, **task.head_config("gplinker")), lambda *all_: RelationScores(*all_),
        relation_scorers, triple_set, naive_relations,
    ),
    "duee, events": Case(
        "duee", lambda task: EventGPLinker(8, **task.head_config("gplinker")), lambda *all_: EventScores(*all_),
        event_scorers, event_set, naive_events,
    ),
}  # fmt: skip


def drawn(gold: Tensor, rows: int, length: int, types: int, trained: bool) -> Factors:
    """Factors of which, if trained, gold adds up to about 4 and what shares two of three with gold to about -4."""
    A, b, c = torch.randn(rows, length, length), torch.randn(rows, length, types), torch.randn(rows, length, types)
    if trained:
        row, kind, start, end = gold.unbind(1)
        A = A.mul_(0.5).sub_(20.0)
        A[row, start, end] += 8.0
        b = b.mul_(0.5)
        b[row, start, kind] += 8.0
        c = c.mul_(0.5)
        c[row, end, kind] += 8.0
    return Factors(A, b, c)


def written_out(factors: Factors, row: int, length: int, ordered: bool) -> Cube:
    """Scores (types, n, n) of one sentence, -inf where start > end if ordered."""
    A, b, c = (factor[row, :length].numpy() for factor in factors)
    scores: Cube = (A[None, :, :length] + c.T[:, None]) + b.T[:, :, None]
    if ordered:
        scores[:, np.tri(length, k=-1, dtype=bool)] = -np.inf
    return scores


# ---------------------------------------------------------------- measuring


def batches_of(name: str, root: str | None, limit: int | None, tokens: int) -> tuple[Any, list[Any], bool]:
    """The task, the collated batches of its dev set as prediction forms them, and whether it is the shipped sample."""
    from clue_cli.batching import collate
    from clue_cli.contract import Limits, Tally
    from clue_cli.encoders.loading import load_encoder
    from clue_cli.prediction import token_batches
    from clue_cli.registry import find_task
    from clue_cli.sources import locate

    task: Any = find_task(name)
    source, sample = locate(name, None if root is None else str(Path(root) / name), hub=task.hub)
    encoder = load_encoder("mini-zh").text_encoder
    examples = list(task.read(source, "dev", Tally()))[:limit]
    recipe, _ = task.recipe_for("gplinker", "small")
    features = list(task.features(examples, encoder, Limits(recipe.max_length, recipe.overlap), Tally()))
    groups = token_batches(features, tokens)
    return task, [collate(task, [features[i] for i in group], encoder.pad_id) for group in groups], sample


@dataclass
class Times:
    """Seconds over all rows."""

    rows: int = 0
    found: int = 0
    ours: float = 0.0
    naive: float = 0.0
    writing: float = 0.0


def timed(call: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """What the call returns, and the seconds of the shortest of some."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - begun)
    return result, best


def cases_of(case: Case, task: Any, batch: Mapping[str, Tensor], trained: bool) -> tuple[HeadOutput, list[Any]]:
    """What the head's `decode` takes; and (factors, whether start <= end) of every scorer."""
    rows, length = batch["text_mask"].shape
    types = next(iter(task.head_config("gplinker").values()))
    scorers = case.scorers(batch, types)
    factors = [(drawn(gold, rows, length, count, trained), ordered) for gold, count, ordered in scorers]
    return HeadOutput(None, None, case.scores(*(each for each, _ in factors))), factors


def compare(case: Case, batches: list[Any], task: Any, repeats: int) -> Times:
    """Both sides on all rows. SystemExit where their answers differ."""
    head, options, times = case.head(task), DecodeOptions(), Times()
    torch.manual_seed(0)
    for number, batch in enumerate(batches):
        output, factors = cases_of(case, task, batch, trained=True)

        def ours(output: HeadOutput = output, batch: Any = batch) -> list[set[tuple[int, ...]]]:
            return [case.ours(found) for found in head.decode(output, batch, options)]

        answers, seconds = timed(ours, repeats + (number == 0))
        times.ours += seconds
        for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
            if naive_row(case, factors, row, length, times, repeats) != answers[row]:
                raise SystemExit(f"{case.task}: row {row} of batch {number} is decoded differently")
    return times


def naive_row(
    case: Case, factors: list[Any], row: int, length: int, times: Times, repeats: int
) -> set[tuple[int, ...]]:
    """The other side's answer for one row; adds its times."""
    cubes, writing = timed(lambda: [written_out(each, row, length, ordered) for each, ordered in factors], repeats)
    expected, seconds = timed(lambda: case.naive(*cubes), repeats)
    times.rows, times.found = times.rows + 1, times.found + len(expected)
    times.writing, times.naive = times.writing + writing, times.naive + seconds
    answer: set[tuple[int, ...]] = expected
    return answer


def untrained(case: Case, root: str | None, tokens: int) -> dict[str, Any]:
    """Seconds and megabytes of one batch of the longest rows whose scores lie around the threshold."""
    task, batches, _ = batches_of(case.task, root, None, tokens)
    head, batch = case.head(task), batches[0]
    torch.manual_seed(0)
    small = {name: x[:1] if name.endswith("mask") else x[:0] for name, x in batch.items()}
    head.decode(cases_of(case, task, small, trained=True)[0], small, DecodeOptions())
    output, _ = cases_of(case, task, batch, trained=False)
    memory = PeakMemory()
    found, seconds = timed(lambda: head.decode(output, batch, DecodeOptions()), 1)
    spans = [getattr(row, "spans", row) for row in found]
    return {
        "rows": len(found), "length": batch["text_mask"].shape[1], "seconds": seconds, "megabytes": memory.megabytes,
        "kept": sum(len(row.score) for row in found), "spans dropped": sum(row.dropped for row in spans),
    }  # fmt: skip


def show(name: str, times: Times, sample: bool) -> None:
    rows, source = times.rows, "the shipped sample" if sample else "dev"
    print(f"{name}: {rows} rows of {source}, {times.found} found, same answers")
    print(f"  clue                             {times.ours / rows * 1e6:8.1f} us a row")
    for what, seconds in (
        ("numpy.where, scores written out", times.naive),
        ("the same, writing them out too", times.naive + times.writing),
    ):
        faster = seconds / times.ours
        print(f"  {what:32} {seconds / rows * 1e6:8.1f} us a row: clue is {faster:.1f} times as fast", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", help="holds a directory a task; default: the shipped samples")
    parser.add_argument("--tokens", type=int, default=16384, help="of one batch on clue's side, padding included")
    parser.add_argument("--limit", type=int, help="rows of each dev set")
    parser.add_argument("--repeats", type=int, default=3, help="calls of which the shortest counts, on both sides")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=3, metavar=("CASE", "ROOT", "TOKENS"), help="an untrained model, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        name, root, tokens = options.one
        print(json.dumps(untrained(CASES[name], root or None, int(tokens))))
        return
    print(f"torch {torch.__version__}, numpy {np.__version__}, {options.threads} threads")
    for name, case in CASES.items():
        task, batches, sample = batches_of(case.task, options.data_root, options.limit, options.tokens)
        show(name, compare(case, batches, task, options.repeats), sample)
    for name in CASES:
        seen = in_process(__file__, name, options.data_root or "", options.tokens, "--threads", options.threads)
        print(f"{name}, untrained: {seen['rows']} rows of {seen['length']} tokens in {seen['seconds']:.2f} s,"
              f" peak +{seen['megabytes']:.0f} MB; {seen['kept']:,} kept,"
              f" {seen['spans dropped']:,} spans dropped", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
