"""The factorised span loss against the dense one and the published sparse one: time and memory.

    python tests/benchmarks/span_loss.py [--threads 2] [--repeats 3]

Loss and gradient with respect to A, b, c, float32, 8 gold spans a row. Each measurement is a process of its own; memory
is the growth of its peak (resident) over what it held before the first call.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from heads.span_loss import dense_span_loss, factorised_span_loss, valid_pairs

SHAPES = ((16, 256, 130), (32, 64, 10), (16, 256, 13))


def dense(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    return dense_span_loss(written_out(A, b, c), valid, spans)


def written_out(A: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return A[:, None] + b.transpose(1, 2)[..., None] + c.transpose(1, 2)[:, :, None]


def sparse(A: Tensor, b: Tensor, c: Tensor, valid: Tensor, spans: Tensor) -> Tensor:
    """The published form: all scores minus the gold ones, index 0 as padding (bert4keras, in our words)."""
    rows, length, types = b.shape
    scores = torch.where(valid[:, None], written_out(A, b, c), torch.finfo(A.dtype).min).flatten(2)
    listed: list[list[list[int]]] = [[[] for _ in range(types)] for _ in range(rows)]
    for row, kind, start, end in spans.tolist():
        listed[row][kind].append(start * length + end)
    most = max(len(places) for kinds in listed for places in kinds)
    index = torch.tensor([[places + [0] * (most - len(places)) for places in kinds] for kinds in listed])
    gold = scores.gather(2, index)
    zero = torch.zeros_like(scores[..., :1])
    positive = torch.logsumexp(torch.cat((torch.where(index == 0, -torch.inf, -gold), zero), 2), 2)
    everything = torch.logsumexp(torch.cat((zero, scores[..., 1:], zero - torch.inf), 2), 2)
    share = torch.logsumexp(torch.where(index == 0, torch.finfo(A.dtype).min, gold), 2) - everything
    return (positive + everything + torch.log((1 - share.exp()).clamp(min=1e-7))).sum()


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "dense": dense, "published sparse": sparse, "factorised": factorised_span_loss
}  # fmt: skip


def measure(form: str, rows: int, length: int, types: int, repeats: int) -> dict[str, float]:
    torch.manual_seed(0)
    shapes = ((rows, length, length), (rows, length, types), (rows, length, types))
    leaves = [torch.randn(*shape, requires_grad=True) for shape in shapes]
    valid = valid_pairs(torch.ones(rows, length, dtype=torch.bool))
    spans = torch.stack([torch.randint(0, n, (rows * 8,)) for n in (rows, types, length, length)], dim=1)
    spans[:, 0] = torch.arange(rows).repeat_interleave(8)
    spans[:, 2:] = spans[:, 2:].sort(1).values
    # A small call first, so that what the libraries load once is not counted.
    small = [x[:1, :8, :8].detach().requires_grad_() for x in leaves]
    torch.autograd.grad(FORMS[form](*small, valid[:1, :8, :8], torch.tensor([[0, 0, 1, 2]])), small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        loss = FORMS[form](*leaves, valid, spans)
        torch.autograd.grad(loss, leaves)
        seconds.append(time.perf_counter() - begun)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": min(seconds), "megabytes": peak, "loss": loss.item() / (rows * types)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=4, metavar=("FORM", "B", "L", "H"), help="measure one form, print JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(measure(options.one[0], *map(int, options.one[1:]), options.repeats)))
        return
    for shape in SHAPES:
        results = {}
        for form in FORMS:
            command = [sys.executable, __file__, "--threads", str(options.threads), "--repeats", str(options.repeats)]
            command += ["--one", form, *map(str, shape)]
            results[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(" x ".join(map(str, shape)))
        for form, figures in results.items():
            times = figures["seconds"] / results["factorised"]["seconds"]
            print(
                f"  {form:17} {figures['seconds'] * 1e3:8.1f} ms  {figures['megabytes']:7.0f} MB  "
                f"loss {figures['loss']:.6f}  {times:6.1f} times the factorised form's time"
            )


if __name__ == "__main__":
    main()
