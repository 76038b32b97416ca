"""The factorised span loss against the dense and the published forms: time and memory; and ten thousand types.

    python tests/benchmarks/span_loss.py [--threads 2] [--repeats 5] [--only losses|types]

Losses: value and gradient with respect to A, b, c, float32, 8 gold spans a row. `dense` is `heads.span_loss`' own form
with gold spans as a list, leaner than the published dense one with its label tensor; `published_losses.py` states both
published forms. Types: a whole step of an Efficient GlobalPointer head with 10,000 types, batch 8, length 256, on the
output of a base-size encoder: forward, backward, decoding, trained or not.

Each measurement is a process of its own: median and best of several calls; memory is the growth of its peak (resident)
over what it held before the first call. The forms that write scores out vary most: now and then the system leaves them
the memory of the call before, mostly it hands out and clears new pages.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from isolated import PeakMemory, in_process, seconds_of
from published_losses import published_dense, published_sparse, written_out
from torch import Tensor

from heads.base import DecodeOptions
from heads.efficient_globalpointer import EfficientGlobalPointer
from heads.span_loss import dense_span_loss, factorised_span_loss, valid_pairs

SHAPES = ((16, 256, 130), (32, 64, 10), (16, 256, 13))
STEP = (8, 256, 10_000)
OURS = "factorised"


def dense(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    return dense_span_loss(written_out(A, b, c), valid, spans)


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "dense": dense,
    "published dense": published_dense,
    "published sparse": published_sparse,
    OURS: factorised_span_loss,
}


def random_spans(rows: int, types: int, length: int, each: int) -> Tensor:
    """`each` gold spans a row, at most a tenth of the length long, none at (0, 0)."""
    row = torch.arange(rows).repeat_interleave(each)
    start = torch.randint(1, length, (rows * each,))
    end = (start + torch.randint(0, max(1, length // 10), start.shape)).clamp(max=length - 1)
    return torch.stack((row, torch.randint(0, types, start.shape), start, end), 1)


def measure_loss(form: str, rows: int, length: int, types: int, repeats: int) -> dict[str, Any]:
    """Seconds, megabytes and the mean loss of one form."""
    torch.manual_seed(0)
    shapes = ((rows, length, length), (rows, length, types), (rows, length, types))
    leaves = [torch.randn(*shape, requires_grad=True) for shape in shapes]
    valid = valid_pairs(torch.ones(rows, length, dtype=torch.bool))
    spans = random_spans(rows, types, length, 8)

    def step() -> Tensor:
        loss = FORMS[form](*leaves, valid, spans)
        torch.autograd.grad(loss, leaves)
        return loss.detach()

    # A small call first, so that what the libraries load once is not counted.
    small = [x[:1, :8, :8].detach().requires_grad_() for x in leaves]
    torch.autograd.grad(FORMS[form](*small, valid[:1, :8, :8], torch.tensor([[0, 0, 1, 2]])), small)
    memory = PeakMemory()
    loss = step()
    taken = seconds_of(step, repeats=repeats)
    return {
        "median": statistics.median(taken),
        "best": min(taken),
        "megabytes": memory.megabytes,
        "loss": loss.item() / (rows * types),
    }


def measure_step(rows: int, length: int, types: int) -> dict[str, Any]:
    """Seconds and megabytes of a head's whole step: training, and decoding of a trained and an untrained model."""
    torch.manual_seed(0)
    head = EfficientGlobalPointer(768, types=types)
    last = torch.randn(rows, length, 768, requires_grad=True)
    mask = torch.ones(rows, length, dtype=torch.bool)
    batch = {"text_mask": mask, "spans": random_spans(rows, types, length, 8)}
    small = {"text_mask": mask[:1, :8], "spans": batch["spans"][:0]}
    head({"last": last[:1, :8]}, small, want_loss=True).loss_sum.backward()
    head.zero_grad(set_to_none=True)
    last.grad = None
    memory = PeakMemory()
    begun = time.perf_counter()
    output = head({"last": last}, batch, want_loss=True)
    (output.loss_sum / output.weight).backward()
    result: dict[str, Any] = {"training s": time.perf_counter() - begun, "training MB": memory.megabytes}
    # Few scores over the threshold, as with a trained model: those over five standard deviations and a little.
    few = 5.2 * sum(factor.detach().var().item() for factor in output.scores) ** 0.5
    for name, threshold in (("trained", few), ("untrained", 0.0)):
        begun = time.perf_counter()
        found = head.decode(output, batch, DecodeOptions(threshold=threshold))
        result[f"decoding {name} s"] = time.perf_counter() - begun
        result[f"decoding {name} spans"] = sum(len(row.score) + row.dropped for row in found)
    result["MB in all"] = memory.megabytes
    return result


def losses(options: argparse.Namespace) -> None:
    more = ("--threads", options.threads, "--repeats", options.repeats)
    for shape in SHAPES:
        results = {form: in_process(__file__, form, *shape, *more, pinned=True) for form in FORMS}
        ours = results[OURS]
        print("batch {} x length {} x {} types".format(*shape))
        for form, figures in results.items():
            line = f"  {form:17} {figures['median'] * 1e3:8.1f} ms (best {figures['best'] * 1e3:8.1f})"
            line += f" {figures['megabytes']:8.0f} MB"
            line += f"   mean loss {figures['loss']:.6f}"
            if form != OURS:
                middle, best = (figures[which] / ours[which] for which in ("median", "best"))
                line += f"   factorised: {middle:6.1f} times as fast (best {best:.1f}),"
                line += f" 1/{figures['megabytes'] / ours['megabytes']:.0f} of the memory"
            print(line, flush=True)


def types(options: argparse.Namespace) -> None:
    figures = in_process(__file__, "head", *STEP, "--threads", options.threads, pinned=True)
    print("a head's step, batch {} x length {} x {:,} types".format(*STEP))
    print(f"  training  {figures['training s']:6.2f} s, peak +{figures['training MB']:.0f} MB")
    for name in ("trained", "untrained"):
        spans = figures[f"decoding {name} spans"]
        print(f"  decoding  {figures[f'decoding {name} s']:6.2f} s, {name}: {spans:,} spans over the threshold")
    print(f"  peak in all +{figures['MB in all']:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=("losses", "types"))
    parser.add_argument("--one", nargs=4, metavar=("FORM", "B", "L", "H"), help="measure one form, print JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        form, *shape = options.one
        rows, length, types_ = map(int, shape)
        one = form == "head"
        print(json.dumps(measure_step(rows, length, types_) if one
                         else measure_loss(form, rows, length, types_, options.repeats)))  # fmt: skip
        return
    print(f"torch {torch.__version__}, {options.threads} threads")
    if options.only != "types":
        losses(options)
    if options.only != "losses":
        types(options)


if __name__ == "__main__":
    main()
