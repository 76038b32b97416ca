"""clue: baselines on the Chinese benchmarks CLUE and LIC2020.

import clue_cli
clue_cli.load("runs/tnews/...").predict(["今天股市大涨"])
"""

from __future__ import annotations

import os

# That of `typing`, not imported: what this file imports, a Ctrl-C would end with a traceback (see `__main__`).
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from clue_cli.prediction import Predictor

__all__ = ["load"]

# What Apple's GPUs have no code for is computed on the processor, with a warning; read when torch is imported.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def load(run: str | Path, *, device: str | None = None, precision: str | None = None) -> Predictor:
    """A run's model, or an export's, ready to answer: `load(RUN).predict([...])` gives what `clue predict RUN` does.

    device: "cpu", "cuda", "mps"; None takes the best at hand. precision: "bf16" or "float32"; None takes bf16 where
    the hardware is fast at it; an export has its own. UserError where `run` is not a run's directory.
    """
    from clue_cli.prediction import Predictor

    return Predictor.load(run, device=device, precision=precision)
