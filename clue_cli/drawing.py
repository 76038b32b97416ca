"""A part of a split, drawn by seed."""

from __future__ import annotations

import numpy as np

from clue_cli.contract import Example
from clue_cli.errors import UserError


def drawn(examples: list[Example], limit: int | None, seed: int, *, option: str = "--limit") -> list[Example]:
    """`limit` of the examples drawn by seed, in their order; all where there are no more, or no limit.

    UserError, naming the `option`, for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"must be at least 1, got {limit}", where=option)
    if limit is None or limit >= len(examples):
        return examples
    chosen = np.sort(np.random.default_rng([seed, 20_200_701]).choice(len(examples), limit, replace=False))
    return [examples[i] for i in chosen]
