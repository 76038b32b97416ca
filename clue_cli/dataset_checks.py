"""Checks of a task's data before a training wastes hours on them: numbered, each good, warn or fail.

A warning names what limits the figures; a failure is what makes them meaningless. Every limit is a constant with its
reason. Rows that cannot be read at all are no matter of a check: reading stops at the first with file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from clue_cli.contract import UNANSWERABLE
from clue_cli.dataset import Encoding, Repeats, SplitDescription, measure_split
from clue_cli.errors import UserError

if TYPE_CHECKING:
    from clue_cli.sources import Source
    from clue_cli.task import Task

Status = Literal["good", "warn", "fail"]

NEEDED = {"train": "nothing to train on", "dev": "no figure to choose an epoch by"}
"""Splits that a training needs, and what it is without them."""

FEW_DEV = 50
"""Labelled dev rows below which one row is more than two points: the figure, and the epoch it chooses, are chance."""

LEFT_OUT_WARN, LEFT_OUT_FAIL = 0.05, 0.5
"""Share of rows without usable gold. OCNLI, the benchmark with most of them, leaves out 1.7 % of dev; where half are
left out the label field is probably another one. Questions that say that they have no answer only warn (a third of
SQuAD 2.0's train, half of its dev)."""

RARE_LABEL = 10
"""Training examples below which a label is hardly learned, and its F1 is mostly chance."""

MAJORITY_WARN = 0.9
"""Share of one label in train above which accuracy says little: always guessing it is nearly as good."""

REPEATED_WARN, REPEATED_FAIL = 0.05, 0.5
"""Share of rows whose input was there before. TNEWS, made from headlines, has 6.8 % in train; half is a file that was
joined with itself."""

CONFLICT_WARN, CONFLICT_FAIL = 0.01, 0.2
"""Share of inputs that occur with several golds: a ceiling for every model. TNEWS has 1.1 % in train; a fifth means
that the input fields do not hold what decides the label."""

SHARED_WARN, SHARED_FAIL = 0.01, 0.5
"""Share of dev or test rows whose input stands in train. The figure then rewards remembering: TNEWS has 11 %; from half
on it measures little else."""

CUT_WARN, KEPT_FAIL = 0.05, 0.1
"""Share of examples longer than the limit, for tasks without windows; and the share of all tokens inside the limit
below which the model sees so little that the limit, or the field, must be wrong."""

LONG_WARN, WINDOWS_FAIL = 0.2, 20.0
"""Share of examples that need several windows, and windows an example on the average: training takes that many times
longer."""

UNKNOWN_WARN, UNKNOWN_FAIL = 0.01, 0.2
"""Share of unknown tokens. Encoders for Chinese stay under 1 % on Chinese text; a fifth is an encoder for another
language, or a vocabulary that was not read."""

DAMAGED_FAIL = 0.01
"""Share of rows with U+FFFD, which a decoder writes for bytes it cannot read. One row is worth a look; one in a hundred
is a file read in the wrong encoding before it came here."""

REACH_WARN, REACH_FAIL = 0.999, 0.9
"""Share of gold spans that the tokens can express: an upper bound of recall. Below nine in ten the tokenizer does not
fit the annotation."""


@dataclass(frozen=True)
class Check:
    """One numbered finding: `name` says what was looked at, `message` what was found and what to do."""

    number: int
    name: str
    status: Status
    message: str


@dataclass
class Description:
    """The data of a task as measured and judged; `as_dict` is what `clue data --json` prints."""

    task: str
    version: int
    source: str
    sample: bool
    own: bool
    windows: bool
    fields: tuple[str, ...]
    encoder: str | None
    max_length: int | None
    overlap: int | None
    splits: dict[str, SplitDescription]
    checks: list[Check] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.status == "fail" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"failed": self.failed}


def describe(
    task: Task,
    source: Source,
    *,
    sample: bool = False,
    encoding: Encoding | None = None,
    on_split: Callable[[str], None] = lambda split: None,
) -> Description:
    """Measure every split of `task` that `source` holds, and judge them.

    Without `encoding` everything that needs tokens is left out. `on_split` is told the name of each split before it is
    read. UserError if there is no split at all; RowError at the first row that cannot be read.
    """
    present = [split for split in task.files if task.has_split(source, split)]
    if not present:
        task.file_of(source, next(iter(task.files)))  # says what was looked for and what was found
        raise UserError(f"no split of task {task.name} here", where=source.label)
    earlier: dict[str, Repeats] = {}
    splits: dict[str, SplitDescription] = {}
    for split in present:
        on_split(split)
        splits[split] = measure_split(task, source, split, earlier, encoding)
    limits = encoding.limits if encoding else None
    found = Description(
        task=task.name,
        version=task.version,
        source=source.label,
        sample=sample,
        own=task.own,
        windows=task.spans,
        fields=tuple(task.fields),
        encoder=encoding.encoder if encoding else None,
        max_length=limits.max_length if limits else None,
        overlap=limits.overlap if limits and task.spans else None,
        splits=splits,
    )
    found.checks = list(run_checks(found))
    return found


def run_checks(found: Description) -> Iterator[Check]:
    """Judge a description; checks that do not apply to it are left out, the others numbered from 1."""
    number = 1
    for name, (check, otherwise) in CHECKS.items():
        grades = sorted(check(found), key=lambda pair: _ORDER.index(pair[0]))
        if not grades and otherwise is not None:
            grades = [("good", otherwise)]
        if grades:
            yield Check(number, name, grades[0][0], "; ".join(message for _, message in grades))
            number += 1


Grades = Iterator[tuple[Status, str]]
_ORDER: tuple[Status, ...] = ("fail", "warn", "good")


def grade(value: float, warn: float, fail: float) -> Status:
    """`value` against two limits that it must stay below, or above where `fail` is the lower one."""
    if fail < warn:
        return "fail" if value < fail else "warn" if value < warn else "good"
    return "fail" if value > fail else "warn" if value > warn else "good"


def percent(part: float, whole: float) -> str:
    """A share for people: 11.0 %; never 0.0 % for what is there, nor 100.0 % where something is missing."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        return "under 0.1 %"
    return "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"


def counted(amount: int, noun: str) -> str:
    """`1 row`, `1,099 rows`."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def check_splits(found: Description) -> Grades:
    """Train and dev are there and labelled, dev by enough rows, and no file lies beside them unread."""
    for split, without in NEEDED.items():
        if split not in found.splits:
            yield "fail", f"no {split} split: {without}"
        elif not found.splits[split].labelled:
            yield "fail", f"{split} holds no labelled row"
    dev = found.splits["dev"].labelled if "dev" in found.splits else 0
    if 0 < dev < FEW_DEV:
        yield "warn", f"dev has {counted(dev, 'labelled row')}: a row is about {100 / dev:.3g} points"
    for measured in found.splits.values():
        if measured.ignored:
            yield "warn", f"not read, since {measured.file} goes before: {', '.join(measured.ignored)}"
    yield "good", ", ".join(f"{name} {split.examples:,}" for name, split in found.splits.items()) + " examples"


def check_official(found: Description) -> Grades:
    """The files are the official ones, by hash or else by their number of rows."""
    if found.own:
        return
    if found.sample:
        yield "warn", "this is the sample that ships with the package: its figures compare with nothing else"
        return
    for split in found.splits.values():
        if split.official is False:
            yield "warn", f"{split.file} is not the official file ({_rows(split)})"
        elif split.official is None and split.official_rows not in (None, split.rows):
            yield "warn", f"{split.file} has {_rows(split)}"
        else:
            yield "good", f"{split.file} official" if split.official else f"{split.file}: no hash known, {_rows(split)}"


def _rows(split: SplitDescription) -> str:
    if split.official_rows is None:
        return f"{split.rows:,} rows"
    return f"{split.rows:,} rows, official {split.official_rows:,}"


def check_left_out(found: Description) -> Grades:
    """Rows without usable gold are few."""
    for name, split in found.splits.items():
        amount = sum(split.left_out.values())
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in split.left_out.items())
        status = grade(_share(amount, split.rows), LEFT_OUT_WARN, LEFT_OUT_FAIL)
        others = amount - split.left_out.get(UNANSWERABLE, 0)
        if status == "fail" and _share(others, split.rows) <= LEFT_OUT_FAIL:
            status = "warn"
        if amount:
            yield status, f"{name}: {reasons} ({percent(amount, split.rows)})"


def check_labels(found: Description) -> Grades:
    """Every label can be learned, and no single one decides the figure."""
    train = found.splits.get("train")
    if train is None or not train.labelled or len(train.labels) < 2:  # nothing to tell apart
        return
    used = {label: count for label, count in train.labels.items() if count}
    if len(used) < 2 and len(train.labels) > 1:
        yield "fail", f"all of train has the label {next(iter(used), '(none)')}: nothing to learn"
    absent = [label for label, count in train.labels.items() if not count]
    tested = [label for label in absent if any(s.labels.get(label) for s in found.splits.values())]
    if tested:
        yield "fail", f"never in train, but in another split: {_names(tested)}"
    if rest := [label for label in absent if label not in tested]:
        yield "warn", f"in no split: {_names(rest)}"
    if rare := [f"{label} ({count})" for label, count in used.items() if count < RARE_LABEL]:
        yield "warn", f"fewer than {RARE_LABEL} times in train: {_names(rare)}"
    total = sum(used.values())
    top = max(used, key=lambda label: used[label], default="")
    if len(used) > 1 and used[top] > MAJORITY_WARN * total:
        yield "warn", f"{percent(used[top], total)} of train is {top}: look at macro F1, not at accuracy"
    dev = found.splits.get("dev")
    if dev and dev.labelled and (untested := [label for label in used if not dev.labels.get(label)]):
        yield "warn", f"never in dev, so its F1 there is 0 or unknown: {_names(untested)}"
    yield "good", f"{len(used)} label{'s' * (len(used) != 1)}, most often {top} ({percent(used.get(top, 0), total)})"


def _names(labels: list[str]) -> str:
    more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    return ", ".join(labels[:8]) + more


def check_repeated(found: Description) -> Grades:
    """Few inputs stand twice in one split."""
    for name, split in found.splits.items():
        status = grade(_share(split.duplicates, split.examples), REPEATED_WARN, REPEATED_FAIL)
        if split.duplicates:
            share = percent(split.duplicates, split.examples)
            yield status, f"{name}: {counted(split.duplicates, 'row')} repeating an input ({share})"


def check_conflicts(found: Description) -> Grades:
    """Equal inputs have equal gold."""
    for name, split in found.splits.items():
        inputs = split.examples - split.duplicates
        if split.conflicts:
            status = grade(_share(split.conflicts, inputs), CONFLICT_WARN, CONFLICT_FAIL)
            yield (
                status,
                f"{name}: {counted(split.conflicts, 'input')} with several golds ({percent(split.conflicts, inputs)})",
            )


def check_shared(found: Description) -> Grades:
    """Few rows of dev and test stand in an earlier split."""
    for name, split in found.splits.items():
        for other, amount in split.seen_in.items():
            # Rows that two test splits share spoil no figure.
            if amount and not (other.startswith("test") and name.startswith("test")):
                status = grade(_share(amount, split.examples), SHARED_WARN, SHARED_FAIL)
                yield status, f"{counted(amount, 'row')} of {name} also in {other} ({percent(amount, split.examples)})"


def check_damaged(found: Description) -> Grades:
    """No text was damaged by a wrong encoding."""
    for name, split in found.splits.items():
        if split.damaged:
            status = grade(_share(split.damaged, split.examples), 0.0, DAMAGED_FAIL)
            yield status, f"{name}: {counted(split.damaged, 'row')} with U+FFFD, a character lost by a wrong encoding"


def check_lengths(found: Description) -> Grades:
    """Most examples fit into the maximal length, or into few windows."""
    for name, split in found.splits.items():
        if split.tokens is None:
            continue
        share = _share(split.over_length, split.examples)
        over = f"{name}: {counted(split.over_length, 'example')} ({percent(split.over_length, split.examples)})"
        over += f" over {found.max_length} tokens"
        if found.windows:
            status: Status = "fail" if split.windows > WINDOWS_FAIL * split.examples else grade(share, LONG_WARN, 1.0)
            if split.over_length:
                yield status, f"{over}, given in overlapping windows, {split.windows:,} in all"
        else:
            kept = _share(split.tokens_kept, split.all_tokens)
            status = "fail" if kept < KEPT_FAIL else grade(share, CUT_WARN, 1.0)
            if split.over_length:
                yield status, f"{over}, cut: {percent(split.tokens_kept, split.all_tokens)} of all tokens are seen"
    if found.encoder is not None and not any(split.over_length for split in found.splits.values()):
        yield "good", f"every example fits into {found.max_length} tokens"


def check_unknown(found: Description) -> Grades:
    """The encoder's vocabulary fits the texts."""
    for name, split in found.splits.items():
        if split.tokens is not None:
            share = _share(split.unknown_tokens, split.all_tokens)
            status = grade(share, UNKNOWN_WARN, UNKNOWN_FAIL)
            yield status, f"{name} {percent(split.unknown_tokens, split.all_tokens)}"


def check_reach(found: Description) -> Grades:
    """The tokens and windows can express what the gold answers are made of."""
    measured = [split.spans for split in found.splits.values() if split.spans is not None and split.spans.gold]
    for name, split in found.splits.items():
        reach = split.spans
        if reach is None or not reach.gold:
            continue
        text = f"{name}: {reach.reachable:,} of {reach.gold:,} gold answers within reach"
        if reach.reachable < reach.gold:
            reasons = ", ".join(f"{amount:,} {reason}" for reason, amount in reach.reasons.items())
            text += f", {_bound(reach.reachable, reach.gold)} ({reasons})"
        if reach.joined is not None:
            text += f"; without splitting Chinese characters {_bound(reach.joined, reach.gold)}"
        yield grade(_share(reach.reachable, reach.gold), REACH_WARN, REACH_FAIL), text
    if measured and all(reach.joined is None for reach in measured):
        yield "good", "the tokenizer joins no Chinese characters, so none have to be split"


def _bound(part: int, whole: int) -> str:
    # Rounded down: a bound must not promise more than there is.
    return f"{10_000 * part // whole / 100:.2f} %"


CHECKS: Mapping[str, tuple[Callable[[Description], Grades], str | None]] = {
    "splits": (check_splits, None),
    "official files": (check_official, None),
    "rows left out": (check_left_out, "no row left out"),
    "labels": (check_labels, None),
    "repeated inputs": (check_repeated, "no input twice in one split"),
    "conflicting gold": (check_conflicts, "equal inputs have equal gold"),
    "shared between splits": (check_shared, "no input in two splits"),
    "damaged characters": (check_damaged, "no character lost by a wrong encoding"),
    "length": (check_lengths, None),
    "unknown tokens": (check_unknown, None),
    "spans within reach": (check_reach, None),
}
"""Check by name, in order, and what is good where it finds nothing to say (None: it does not apply then)."""
