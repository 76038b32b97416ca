"""The official files as they are: counts, hashes and oddities, where they are at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from clue_cli.contract import Tally
from clue_cli.registry import find_task
from clue_cli.sources import locate

# Rows that can be used, by split, of the files at hand (iflytek's train and all of cmnli are not the official ones).
USABLE = {
    "tnews": {"train": 53_360, "dev": 10_000, "test1.0": 10_000, "test1.1": 10_000},
    "iflytek": {"train": 5_951, "dev": 2_599, "test": 2_600},
    "afqmc": {"train": 34_334, "dev": 4_316, "test": 3_861},
    "cmnli": {"train": 10_054, "dev": 2_181},
    "ocnli": {"train": 50_437, "dev": 2_950, "test": 3_000},
    "cluewsc2020": {"train": 1_244, "dev": 304, "test1.0": 290, "test1.1": 2_574},
    "csl": {"train": 20_000, "dev": 3_000, "test": 3_000},
}
LABELS = {
    ("tnews", "dev"): {"109": 1089, "104": 956, "100": 215, "114": 45},
    ("afqmc", "dev"): {"0": 2978, "1": 1338},
    ("ocnli", "train"): {"neutral": 17_182, "entailment": 16_779, "contradiction": 16_476},
    ("ocnli", "dev"): {"neutral": 1_103, "entailment": 947, "contradiction": 900},
    ("cluewsc2020", "dev"): {"false": 193, "true": 111},
    ("csl", "train"): {"0": 10_000, "1": 10_000},
    ("iflytek", "dev"): {"70": 388, "17": 192, "52": 1},
}


@pytest.mark.parametrize("name", USABLE)
def test_official_files_are_read_whole(shared: Path, name: str) -> None:
    task = find_task(name)
    source, sample = locate(name, str(shared / "data" / name))
    assert not sample
    for split, usable in USABLE[name].items():
        tally = Tally()
        examples = list(task.read(source, split, tally))
        assert len(examples) == usable
        assert tally.as_dict() == (
            {"rows labelled '-'": {"train": 49, "dev": 50}[split]}
            if (name, split) in {("ocnli", "train"), ("ocnli", "dev")}
            else {}
        )
        file = task.file_of(source, split)
        if file in task.official and name != "cmnli":
            assert source.sha256(file) == task.official[file]
            assert usable + sum(tally.counts.values()) == task.counts[split]
        if split.startswith("test"):
            assert all(example.gold is None and example.id is not None for example in examples)
        else:
            counts = Counter(example.gold for example in examples)
            assert {label: counts[label] for label in LABELS.get((name, split), {})} == LABELS.get((name, split), {})


def test_the_line_separator_stays_inside_iflyteks_texts(shared: Path) -> None:
    source, _ = locate("iflytek", str(shared / "data" / "iflytek"))
    counts = {
        split: sum("\u2028" in example.texts[0] for example in find_task("iflytek").read(source, split, Tally()))
        for split in ("train", "dev", "test")
    }
    assert counts == {"train": 5, "dev": 5, "test": 2}


def test_every_pronoun_and_noun_is_marked_in_place(shared: Path) -> None:
    task = find_task("cluewsc2020")
    source, _ = locate("cluewsc2020", str(shared / "data" / "cluewsc2020"))
    pronoun_first = {}
    for split in task.files:
        pronoun_first[split] = 0
        for example in task.read(source, split, Tally()):
            target, text = example.row["target"], example.row["text"]
            noun, at = target["span1_text"], target["span1_index"]
            pronoun, pronoun_at = target["span2_text"], target["span2_index"]
            first = pronoun_at < at
            pronoun_first[split] += first
            # Each mark in front of a span moves it: two of the other span where that comes first, one of its own.
            (marked,) = example.texts
            assert len(marked) == len(text) + 4
            assert marked[at + 2 * first :].startswith(f"_{noun}_")
            assert marked[pronoun_at + 2 * (not first) :].startswith(f"[{pronoun}]")
    assert pronoun_first == {"train": 0, "dev": 0, "test1.0": 0, "test1.1": 464}


def test_tnews_has_no_keywords_in_version_1_1(shared: Path) -> None:
    task = find_task("tnews").with_fields(["sentence", "keywords"])
    source, _ = locate("tnews", str(shared / "data" / "tnews" / "tnews_public.zip"))
    empty = {
        split: sum(not e.texts[1] for e in task.read(source, split, Tally())) for split in ("dev", "test1.0", "test1.1")
    }
    assert empty == {"dev": 2_765, "test1.0": 2_757, "test1.1": 10_000}
