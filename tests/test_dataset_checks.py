"""`clue data`: what it measures, held against plain counting, and every check seen good, warning and failing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli import dataset_checks as checks
from clue_cli.contract import UNANSWERABLE, EncodedWindow, Limits
from clue_cli.dataset import Encoding, Quantiles, SpanReach, SplitDescription
from clue_cli.dataset_checks import Description, describe, percent, run_checks
from clue_cli.errors import RowError, UserError
from clue_cli.registry import find_task
from clue_cli.sources import Source
from tasks.families.classification import TextClassification
from tasks.families.entities import Entities

TOPICS = TextClassification(
    name="topics",
    title="",
    labels=("a", "b", "c"),
    texts=("text",),
    left_out=("-",),
    files={"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)},
    counts={"train": 100, "dev": 20},
)
PLACES = Entities(name="places", title="", labels=("place",), files=TOPICS.files)
UNKNOWN = 99


class Letters:
    """One token a character (or a pair of them, with `joined`), with a special token at either end; `？` is unknown."""

    fingerprint = "letters"

    def __init__(self, joined: int = 1) -> None:
        self.joined = joined

    def encode(
        self, texts: Sequence[tuple[str, ...]], limits: Limits, *, windows: bool, offsets: bool, segments: str
    ) -> list[list[EncodedWindow]]:
        return [self._windows(entry[0], limits, windows) for entry in texts]

    def _windows(self, text: str, limits: Limits, windows: bool) -> list[EncodedWindow]:
        pieces = [(i, min(i + self.joined, len(text))) for i in range(0, len(text), self.joined)]
        room = limits.max_length - 2
        starts = range(0, max(len(pieces) - limits.overlap, 1), max(room - limits.overlap, 1)) if windows else [0]
        found = []
        for start in starts:
            held = pieces[start : start + room]
            ids = [1, *(UNKNOWN if text[s] == "？" else 7 for s, _ in held), 2]
            spans = np.array([(-1, -1), *held, (-1, -1)], dtype=np.int32)
            sequence = np.array([-1, *[0] * len(held), -1], dtype=np.int8)
            cut = 0 if windows else len(pieces) - len(held)
            found.append(EncodedWindow({"input_ids": ids}, spans, sequence, cut))
        return found


def encoding(max_length: int = 12, overlap: int = 0, joined: bool = False) -> Encoding:
    other = Letters(2) if joined else None
    return Encoding("letters", Letters(), Limits(max_length, overlap), joined=other, unknown=UNKNOWN)


def write(directory: Path, **splits: list[dict[str, Any]]) -> Source:
    for name, rows in splits.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (directory / f"{name}.json").write_text(lines, encoding="utf-8")
    return Source.open(directory)


def rows(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in pairs]


def test_counts_labels_and_lengths(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        train=rows(
            ("一", "a"), ("一二三", "b"), ("一", "a"), ("一", "b"), ("四", "-"), ("一二三四五六七八九十百", "a")
        ),
        dev=rows(("一", "a"), ("五", "b")),
        test=[{"id": 0, "text": "一二三"}, {"id": 1, "text": "六\ufffd？"}],
    )
    found = describe(TOPICS, source, encoding=encoding(max_length=12))
    train, dev, test = (found.splits[name] for name in ("train", "dev", "test"))
    assert (train.rows, train.examples, train.labelled, train.left_out) == (6, 5, 5, {"rows labelled '-'": 1})
    assert train.labels == {"a": 3, "b": 2, "c": 0}
    assert (train.duplicates, train.conflicts) == (2, 1)
    assert train.characters == Quantiles(min=1, median=1, p95=3, max=11, total=17)
    assert train.tokens == Quantiles(min=3, median=3, p95=5, max=13, total=27)
    assert (train.over_length, train.windows, train.tokens_kept) == (1, 5, 26)
    assert dev.seen_in == {"train": 1}
    assert (test.labelled, test.seen_in, test.damaged, test.unknown_tokens) == (0, {"train": 1, "dev": 0}, 1, 1)
    assert (train.official_rows, test.official_rows, train.official) == (100, None, None)


@given(st.lists(st.tuples(st.text("甲乙", min_size=1, max_size=2), st.sampled_from("ab")), min_size=1, max_size=30))
def test_repeated_and_conflicting_inputs_as_plain_counting_has_them(pairs: list[tuple[str, str]]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        found = describe(TOPICS, write(Path(directory), train=rows(*pairs), dev=rows(("甲", "a"))))
    texts = Counter(text for text, _ in pairs)
    golds = {text: {label for other, label in pairs if other == text} for text in texts}
    train = found.splits["train"]
    assert train.duplicates == sum(texts.values()) - len(texts)
    assert train.conflicts == sum(len(labels) > 1 for labels in golds.values())
    assert found.splits["dev"].seen_in == {"train": int("甲" in texts)}


def test_windows_and_the_bound_of_recall(tmp_path: Path) -> None:
    gold = [{"start": 1, "end": 3, "type": "place"}, {"start": 4, "end": 8, "type": "place"}]
    source = write(tmp_path, train=[{"text": "零一二三四五六七八", "entities": gold}, {"text": "一二", "entities": []}])
    found = describe(PLACES, source, encoding=encoding(max_length=7, overlap=3, joined=True))
    train = found.splits["train"]
    assert (train.windows, train.over_length, train.tokens_kept) == (4, 1, 15)
    assert train.labels == {"place": 2}
    # Pieces of two characters hold [4, 8) and not [1, 3); single characters hold both.
    assert train.spans == SpanReach(gold=2, reachable=2, reasons={}, joined=1)
    short = describe(PLACES, source, encoding=encoding(max_length=5, overlap=1)).splits["train"].spans
    assert short == SpanReach(gold=2, reachable=1, reasons={"entities that no window holds": 1})


def test_without_an_encoder_nothing_is_said_about_tokens(tmp_path: Path) -> None:
    found = describe(TOPICS, write(tmp_path, train=rows(("一", "a")), dev=rows(("二", "b"))))
    assert found.splits["train"].tokens is None
    assert {check.name for check in found.checks}.isdisjoint({"length", "unknown tokens", "spans within reach"})


def test_own_data_are_held_against_no_official_file(tmp_path: Path) -> None:
    task = replace(TOPICS, own=True)
    found = describe(task, write(tmp_path, train=rows(("一", "a")), dev=rows(("二", "b"))))
    assert found.splits["train"].official_rows is None
    assert "official files" not in {check.name for check in found.checks}
    assert [check.number for check in found.checks] == list(range(1, len(found.checks) + 1))


def test_the_official_hash_decides(tmp_path: Path) -> None:
    source = write(tmp_path, train=rows(("一", "a")), dev=rows(("二", "b")))
    right = {"train.json": source.sha256("train.json"), "dev.json": source.sha256("dev.json")}
    assert verdict(describe(replace(TOPICS, official=right), source), "official files") == "good"
    wrong = right | {"dev.json": "0" * 64}
    found = describe(replace(TOPICS, official=wrong), source)
    assert [found.splits[name].official for name in ("train", "dev")] == [True, False]
    assert verdict(found, "official files") == "warn"


def test_a_wrong_row_stops_with_file_and_line(tmp_path: Path) -> None:
    source = write(tmp_path, train=rows(("一", "a"), ("二", "d")))
    with pytest.raises(RowError, match=r"train\.json:2"):
        describe(TOPICS, source)


def test_no_split_at_all_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.json.*other\.txt"):
        describe(TOPICS, Source.open(tmp_path))


def test_the_description_is_json(tmp_path: Path) -> None:
    found = describe(TOPICS, write(tmp_path, train=rows(("一", "a")), dev=rows(("二", "b"))), encoding=encoding())
    document = json.loads(json.dumps(found.as_dict()))
    assert document["splits"]["train"]["tokens"]["total"] == 3
    assert document["checks"][0]["number"] == 1
    assert document["failed"] is found.failed is True  # dev has a label that train never shows


# ---------------------------------------------------------------- every check, good, warning and failing


def healthy() -> Description:
    lengths, tokens = Quantiles(5, 20, 30, 40, 2000), Quantiles(7, 22, 32, 42, 2200)
    train = SplitDescription(
        "train.json", "0", True, 100, rows=100, examples=100, labelled=100, labels={"a": 60, "b": 40},
        characters=lengths, tokens=tokens, all_tokens=2200, windows=100, tokens_kept=2200, spans=SpanReach(100, 100),
    )  # fmt: skip
    dev = replace(train, file="dev.json", labels={"a": 50, "b": 50}, seen_in={"train": 0})
    return Description("t", 1, "data", False, False, False, ("text",), "e", 128, 32, {"train": train, "dev": dev})


def verdict(found: Description, name: str) -> str:
    return next(check.status for check in run_checks(found) if check.name == name)


def changed(split: str = "train", **values: Any) -> Description:
    found = healthy()
    found.splits[split] = replace(found.splits[split], **values)
    return found


def without(split: str) -> Description:
    found = healthy()
    del found.splits[split]
    return found


def windowed(**values: Any) -> Description:
    return replace(changed(**values), windows=True)


FAULTS: list[tuple[str, str, Description]] = [
    ("splits", "fail", without("train")),
    ("splits", "fail", without("dev")),
    ("splits", "fail", changed("dev", labelled=0)),
    ("splits", "good", changed("dev", labelled=50)),
    ("splits", "warn", changed("dev", labelled=49)),
    ("official files", "warn", replace(healthy(), sample=True)),
    ("official files", "warn", changed(official=False)),
    ("official files", "warn", changed(official=None, official_rows=99)),
    ("rows left out", "good", changed(rows=101, left_out={"rows labelled '-'": 1})),
    ("rows left out", "warn", changed(rows=110, left_out={"rows labelled '-'": 10})),
    ("rows left out", "fail", changed(rows=201, left_out={"rows labelled '-'": 101})),
    ("rows left out", "warn", changed(rows=201, left_out={UNANSWERABLE: 101})),
    ("labels", "fail", changed(labels={"a": 100, "b": 0})),
    ("labels", "warn", changed(labels={"a": 92, "b": 8})),
    ("labels", "warn", changed(labels={"a": 950, "b": 50})),
    ("labels", "warn", changed("dev", labels={"a": 100, "b": 0})),
    ("repeated inputs", "good", changed(duplicates=5)),
    ("repeated inputs", "warn", changed(duplicates=6)),
    ("repeated inputs", "fail", changed(duplicates=51)),
    ("conflicting gold", "good", changed(conflicts=1)),
    ("conflicting gold", "warn", changed(conflicts=2)),
    ("conflicting gold", "fail", changed(conflicts=21)),
    ("shared between splits", "good", changed("dev", seen_in={"train": 1})),
    ("shared between splits", "warn", changed("dev", seen_in={"train": 2})),
    ("shared between splits", "fail", changed("dev", seen_in={"train": 51})),
    ("damaged characters", "warn", changed(damaged=1)),
    ("damaged characters", "fail", changed(damaged=2)),
    ("length", "good", changed(over_length=5, tokens_kept=2190)),
    ("length", "warn", changed(over_length=6, tokens_kept=2190)),
    ("length", "fail", changed(over_length=100, tokens_kept=219)),
    ("length", "good", windowed(over_length=20, windows=140)),
    ("length", "warn", windowed(over_length=21, windows=140)),
    ("length", "fail", windowed(over_length=100, windows=2001)),
    ("unknown tokens", "good", changed(unknown_tokens=22)),
    ("unknown tokens", "warn", changed(unknown_tokens=23)),
    ("unknown tokens", "fail", changed(unknown_tokens=441)),
    ("spans within reach", "warn", changed(spans=SpanReach(10_000, 9_989, {"cut": 11}))),
    ("spans within reach", "fail", changed(spans=SpanReach(100, 89, {"cut": 11}, joined=70))),
]


@pytest.mark.parametrize(("name", "status", "found"), FAULTS)
def test_a_check_sees_its_fault(name: str, status: str, found: Description) -> None:
    assert verdict(found, name) == status


def test_every_check_is_good_on_healthy_data_and_has_been_seen_otherwise() -> None:
    seen = list(run_checks(healthy()))
    assert [check.status for check in seen] == ["good"] * len(checks.CHECKS)
    assert [check.number for check in seen] == list(range(1, len(checks.CHECKS) + 1))
    assert {name for name, status, _ in FAULTS if status != "good"} == set(checks.CHECKS)


def test_a_small_dev_split_is_told_by_what_one_row_of_it_weighs() -> None:
    for labelled, told in ((1, "dev has 1 labelled row: a row is about 100 points; "), (48, " about 2.08 points; ")):
        assert told in next(run_checks(changed("dev", labelled=labelled))).message


def test_the_worst_finding_grades_a_check_and_the_others_are_still_told() -> None:
    found = changed(labels={"a": 92, "b": 8, "c": 0})
    found.splits["dev"] = replace(found.splits["dev"], labels={"a": 90, "b": 9, "c": 1})
    [check] = [check for check in run_checks(found) if check.name == "labels"]
    assert check.status == "fail"
    assert "never in train, but in another split: c" in check.message
    assert "b (8)" in check.message


def test_the_bound_of_recall_is_told_before_and_after_splitting() -> None:
    found = changed(spans=SpanReach(10_000, 9_998, {"entities that no window holds": 2}, joined=8_620))
    message = next(check.message for check in run_checks(found) if check.name == "spans within reach")
    assert "9,998 of 10,000 gold answers within reach" in message
    assert "99.98 % (2 entities that no window holds)" in message
    assert "without splitting Chinese characters 86.20 %" in message


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0.0 %"),
        (1, 100_000, "under 0.1 %"),
        (11, 100, "11.0 %"),
        (99_999, 100_000, "over 99.9 %"),
        (5, 0, "0.0 %"),
    ],
)
def test_shares_are_never_rounded_to_nothing_or_everything(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("task", "split", "expected"),
    [
        ("tnews", "train", {"conflicts": 547, "rows": 53_360}),  # titles, the field used; not titles with keywords
        ("tnews", "dev", {"conflicts": 28, "seen_in": {"train": 1_099}}),
        ("csl", "train", {"duplicates": 164, "conflicts": 28}),
        ("csl", "dev", {"duplicates": 20, "conflicts": 2, "seen_in": {"train": 0}}),
        ("ocnli", "dev", {"left_out": {"rows labelled '-'": 50}, "duplicates": 0, "official": True}),
    ],
)
def test_the_real_files_hold_what_was_counted_in_them_by_other_means(
    shared: Path, task: str, split: str, expected: dict[str, Any]
) -> None:
    found = describe(find_task(task), Source.open(shared / "data" / task)).splits[split]
    assert {name: getattr(found, name) for name in expected} == expected
