"""What a leaderboard is narrowed to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clue_cli.errors import UserError, did_you_mean
from clue_cli.record import Record
from clue_cli.references import Reference


@dataclass(frozen=True)
class Filters:
    """What the table is narrowed to; empty means all. Encoders match by a part of their name, in any case."""

    tasks: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    split: str = "dev"

    def encoder_fits(self, name: str) -> bool:
        """Whether one of the wished encoders is a part of `name`."""
        return not self.encoders or any(wish.lower() in name.lower() for wish in self.encoders)

    def split_fits(self, split: str) -> bool:
        """`test` takes all versions of the test set: each is a split of its own, and its row says which."""
        return split == self.split or (self.split == "test" and split.startswith("test"))

    def reference_fits(self, reference: Reference) -> bool:
        """Whether a published figure belongs into the table."""

        def plain(name: str) -> str:
            return "".join(character for character in name.lower() if character.isalnum())

        return (
            (not self.tasks or reference.task in self.tasks)
            and (not self.metrics or reference.metric in self.metrics)
            and self.encoder_fits(reference.encoder)
            # Published systems name a head only where they are one (CRF, GlobalPointer).
            and (not self.heads or plain(reference.system) in {plain(head) for head in self.heads})
            and self.split_fits(reference.split)
        )


def check_filters(
    filters: Filters,
    records: Sequence[Record],
    published: Sequence[Reference],
    families: Mapping[str, str],
    splits: Iterable[str] = (),
) -> None:
    """Refuse (UserError) names that nothing has: an empty table would not say why it is empty.

    splits: those that exist beside the splits of records and published figures.
    """
    known = {
        "task": {r.task.name for r in records} | {p.task for p in published} | set(families),
        "metric": {m for r in records for m in r.metrics} | {p.metric for p in published},
        "split": {s.split for r in records for s in r.results}
        | {p.split for p in published if p.split != "unknown"}
        | {"dev", "test", *splits},
    }
    wishes = {"task": filters.tasks, "metric": filters.metrics, "split": (filters.split,)}
    for what, names in wishes.items():
        for name in names:
            if name not in known[what]:
                raise UserError(did_you_mean(name, known[what], what), where=f"--{what}")
    heads = {r.head for r in records}
    for head in filters.heads:
        if heads and head not in heads:
            raise UserError(did_you_mean(head, heads, "head"), where="--head")
