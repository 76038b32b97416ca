"""What the families whose texts become windows share: the way through the tokenizer, and the bound of recall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clue_cli.contract import Example, Limits, Tally, TextEncoder

BATCH = 512
"""Examples handed to the tokenizer at a time: enough for its threads, little memory."""


def encoded_windows(
    examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, segments: str = "pair"
) -> Iterator[tuple[Example, list[Any]]]:
    """Each example with the `EncodedWindow`s of its texts, in order, with offsets."""
    for start in range(0, len(examples), BATCH):
        part = examples[start : start + BATCH]
        texts = [example.texts for example in part]
        encoded = text_encoder.encode(texts, limits, windows=True, offsets=True, segments=segments)
        yield from zip(part, encoded, strict=True)


@dataclass(slots=True)
class Reach:
    """How many gold spans a tokenizer and its windows can express: the bound of recall.

    gold, reachable: spans; unreachable: the others by reason, with the first places.
    """

    gold: int = 0
    reachable: int = 0
    unreachable: Tally = field(default_factory=Tally)

    @property
    def share(self) -> float:
        """The share of gold spans that can be predicted at all; 1 without gold."""
        return self.reachable / self.gold if self.gold else 1.0
