"""The reading samples: of the official form, with answers where they should be and the oddities of the real files."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from clue_cli.contract import Tally
from clue_cli.registry import find_task
from clue_cli.sources import locate
from tasks.families import reading, squad
from tasks.samples import make
from tasks.samples.reading import kinds, spans

QUESTIONS = {
    "cmrc2018": {"train": 440, "trial": 31, "dev": 168, "test": 88},
    "dureader_robust": {"train": 380, "dev": 150, "test": 70},
}


def raw(task: str, split: str) -> str:
    return (make.HERE / task / f"{split}.json").read_bytes().decode("utf-8")


def asked(task: str, split: str) -> list[tuple[str, dict[str, Any]]]:
    """(context, question) of a sample file."""
    document = json.loads(raw(task, split))
    return [(p["context"], qa) for entry in document["data"] for p in entry["paragraphs"] for qa in p["qas"]]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_split_is_read_and_learnable(name: str) -> None:
    task, (source, sample) = find_task(name), locate(name, None)
    assert sample
    notes = {}
    for split, questions in QUESTIONS[name].items():
        tally = Tally()
        examples = list(task.read(source, split, tally))
        assert len(examples) == questions
        assert tally.as_dict() == ({reading.BLANK: 1} if split == "trial" else {})
        notes[split] = Counter(a.note for e in examples for a in e.gold or () if a.note)
        assert len({e.id for e in examples}) == questions
        assert len({e.texts for e in examples}) == questions
        share = sum(len(e.texts[1]) > 512 for e in examples) / questions
        assert 0.01 < share < 0.25 or split == "trial"
        assert len(raw(name, split).encode()) < 300_000
        assert not raw(name, split).endswith("\n")
    if name == "cmrc2018":
        assert notes == {"train": {squad.SHIFTED: 3}, "trial": {}, "dev": {squad.MISSING: 2}, "test": {}}
    else:
        assert notes["train"] == {}
        assert notes["dev"][squad.EMPTY] == 1
        assert notes["dev"][squad.SEVERAL] >= 5


def test_answers_are_of_the_official_kind() -> None:
    assert {len(qa["answers"]) for _, qa in asked("cmrc2018", "train")} == {1}
    assert {len(qa["answers"]) for _, qa in asked("cmrc2018", "dev")} == {3}
    placeholders = [{"text": f"FAKE_ANSWER_{n}", "answer_start": -1} for n in (1, 2, 3)]
    assert all(qa["answers"] == placeholders for _, qa in asked("cmrc2018", "test"))
    assert {len(qa["answers"]) for _, qa in asked("dureader_robust", "dev")} == {1, 2, 3}
    assert {a["answer_start"] for _, qa in asked("dureader_robust", "dev") for a in qa["answers"]} == {-1}
    assert all("answers" not in qa for _, qa in asked("dureader_robust", "test"))


@pytest.mark.parametrize("name", QUESTIONS)
def test_dev_and_test_are_about_what_train_has_not(name: str) -> None:
    contexts = {split: {context for context, _ in asked(name, split)} for split in ("train", "dev", "test")}
    assert not contexts["train"] & contexts["dev"]
    assert not (contexts["train"] | contexts["dev"]) & contexts["test"]
    for context in set().union(*contexts.values()):
        assert not set(context) & set("[]{}|/"), context
        assert context == context.strip()


def test_brackets_mark_answers() -> None:
    assert spans("在[北京]的[大学]里") == [(1, 3), (4, 6)]
    (kind,) = kinds("NAME: town\n{name}在[{city}]。 | {name}在哪？/哪里有{name}？")
    assert (kind.names, kind.sentences) == ("town", [("{name}在[{city}]。", [["{name}在哪？", "哪里有{name}？"]])])
