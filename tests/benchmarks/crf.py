"""CRF against pytorch-crf: time of loss with gradient and of Viterbi, and how far the values are apart.

    python tests/benchmarks/crf.py [--rows 32] [--length 256] [--tags 40] [--threads 2] [--repeats 15]

Needs `pip install -e .[bench]`. Both sides run in turn on the same numbers in one process; lengths lie between half
and the whole, as in batches of like length. Values are compared with a float64 run of pytorch-crf.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchcrf import CRF

from heads.linear_chain import log_partition, path_score, viterbi


def timed(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side, run in turn; the first round warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(repeats + 1):
        for name, side in sides.items():
            begun = time.perf_counter()
            side()
            if round_number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def show(what: str, seconds: dict[str, list[float]]) -> None:
    ours, theirs = seconds["clue"], seconds["pytorch-crf"]
    best, middle = (f(theirs) / f(ours) for f in (min, statistics.median))
    print(
        f"{what}: clue {min(ours) * 1e3:.1f} ms (median {statistics.median(ours) * 1e3:.1f}), "
        f"pytorch-crf {min(theirs) * 1e3:.1f} ms (median {statistics.median(theirs) * 1e3:.1f}): "
        f"{best:.2f} times as fast by the best, {middle:.2f} by the median"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 32), ("length", 256), ("tags", 40), ("threads", 2), ("repeats", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows, length, tags = options.rows, options.length, options.tags
    emissions = (3 * torch.randn(rows, length, tags)).requires_grad_()
    lengths = torch.randint(length // 2, length + 1, (rows,))
    lengths[0] = length
    mask = torch.arange(length) < lengths[:, None]
    gold = torch.randint(0, tags, (rows, length))
    crf = CRF(tags, batch_first=True)
    torch.nn.init.uniform_(crf.transitions, -2, 2)
    chain = (crf.transitions, crf.start_transitions, crf.end_transitions)
    leaves = [emissions, *chain]

    def with_gradient(loss: Tensor) -> list[Tensor]:
        return [loss.detach(), *torch.autograd.grad(loss, leaves)]

    def ours() -> list[Tensor]:
        scores = path_score(emissions, lengths, *chain, gold)
        return with_gradient((log_partition(emissions, lengths, *chain) - scores).sum())

    def theirs() -> list[Tensor]:
        return with_gradient(-crf(emissions, gold, mask, reduction="sum"))

    print(f"{rows} x {length} x {tags}, float32, {options.threads} threads, torch {torch.__version__}")
    show("loss and gradient", timed({"clue": ours, "pytorch-crf": theirs}, options.repeats))
    fixed = emissions.detach()
    show(
        "Viterbi",
        timed(
            {"clue": lambda: viterbi(fixed, lengths, *chain).tolist(), "pytorch-crf": lambda: crf.decode(fixed, mask)},
            options.repeats,
        ),
    )

    mine, published = ours(), theirs()
    paths = [row[:n] for row, n in zip(viterbi(fixed, lengths, *chain).tolist(), lengths.tolist(), strict=True)]
    equal = sum(a == b for a, b in zip(paths, crf.decode(fixed, mask), strict=True))
    crf.double()
    emissions = fixed.double().requires_grad_()
    chain = (crf.transitions, crf.start_transitions, crf.end_transitions)
    leaves = [emissions, *chain]
    exact = theirs()
    for name, values in (("clue", mine), ("pytorch-crf", published)):
        loss = abs(values[0].item() / exact[0].item() - 1)
        gradient = max((a.double() - b).abs().max().item() for a, b in zip(values[1:], exact[1:], strict=True))
        print(f"{name} in float32 against float64: loss {loss:.1e} relative, gradients {gradient:.1e} at most")
    double = max((a - b).abs().max().item() for a, b in zip(ours()[1:], exact[1:], strict=True))
    print(f"both in float64: gradients {double:.1e} apart at most; equal best paths: {equal} of {rows}")


if __name__ == "__main__":
    main()
