"""What the engine's tests share: requests on the shipped samples with a tiny encoder, and what a run left."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from clue_cli.registry import find_task
from clue_cli.runs import TrainRequest
from clue_cli.sources import locate

LONGEST = {"tnews": 32, "cluener": 48, "afqmc": 48, "cmrc2018": 40, "duie": 48, "c3": 64, "duee": 48}
"""Short lengths: what is tested does not depend on them."""


def request(task: str, encoder: Path, output: Path, head: str | None = None, **more: Any) -> TrainRequest:
    """A training of a few steps in float32 with all kinds of dropout; `options` are laid over the recipe."""
    chosen = find_task(task)
    source, sample = locate(chosen.name, None, hub=chosen.hub)
    options = {
        "epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "max_length": LONGEST[task], "overlap": 4, "dropout": 0.1,
        "attention_dropout": 0.1, "head_dropout": 0.1, **more.pop("options", {}),
    }  # fmt: skip
    values = {"limit": 40, "eval_limit": 24, "precision": "float32", "device": "cpu", "seed": 3, **more}
    return TrainRequest(
        task=chosen, source=source, sample=sample, head=head or chosen.default_head, metric=chosen.default_metric,
        options=options, encoder=str(encoder), output=output, **values,
    )  # fmt: skip


def fingerprints(run: Path) -> dict[str, str]:
    """File of the model and dev answers -> hash of its bytes."""
    paths = [*sorted((run / "model").rglob("*")), run / "predictions.dev.jsonl"]
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.is_file()}
