"""Features as flat arrays: what goes in comes out, also from disk, and the cache answers for no other option."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clue_cli.contract import Feature, Tally
from clue_cli.errors import UserError
from clue_cli.features import FeatureTable, cache_directory, cached, fingerprint
from clue_cli.runs import prepare
from clue_cli.sources import Source
from tests.engine_cases import request


@st.composite
def features(draw: st.DrawFn) -> list[Feature]:
    """A split of one family: labels, or spans (also none at all) with offsets."""
    spans, segments = draw(st.booleans()), draw(st.booleans())
    made = []
    for item in range(draw(st.integers(1, 6))):
        length = draw(st.integers(1, 7))
        inputs = {"input_ids": draw(st.lists(st.integers(0, 30_000), min_size=length, max_size=length))}
        if segments:
            inputs["token_type_ids"] = [0] * length
        if not spans:
            made.append(Feature(item, item // 2, inputs, targets={"labels": draw(st.integers(0, 14))}))
            continue
        rows = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, length), st.integers(0, length)), max_size=3))
        made.append(
            Feature(
                item,
                item,
                inputs,
                char_spans=np.array([[i - 1, i] for i in range(length)], dtype=np.int32),
                sequence=np.array([-1] + [0] * (length - 1), dtype=np.int8),
                targets={"spans": np.array(rows, dtype=np.int32).reshape(-1, 3)},
            )
        )
    return made


def plain(feature: Feature) -> dict[str, Any]:
    """Comparable values."""

    def values(value: Any) -> Any:
        return None if value is None else np.asarray(value).tolist()

    return {
        "item": feature.item,
        "unit": feature.unit,
        "length": feature.length,
        "inputs": {name: values(column) for name, column in feature.inputs.items()},
        "char_spans": values(feature.char_spans),
        "sequence": values(feature.sequence),
        "targets": {name: values(target) for name, target in feature.targets.items()},
    }


@settings(max_examples=25)
@given(made=features(), amount=st.integers(0, 3))
def test_a_table_gives_back_what_it_was_made_of_also_from_disk(
    made: list[Feature], amount: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tally = Tally()
    tally.add("spans lost", amount=amount)
    table = FeatureTable.build(made, tally)
    directory = tmp_path_factory.mktemp("table") / "t"
    table.save(directory)
    for one in (table, FeatureTable.load(directory)):
        assert len(one) == len(made)
        assert [plain(feature) for feature in one] == [plain(feature) for feature in made]
        assert [plain(feature) for feature in one[1:3]] == [plain(feature) for feature in made[1:3]]
        assert one.lengths.tolist() == [feature.length for feature in made]
        assert one.tally == ({"spans lost": amount} if amount else {})
        for feature in one:
            if "spans" in feature.targets:
                assert feature.targets["spans"].shape[1:] == (3,)
                assert feature.char_spans is not None
                assert feature.char_spans.shape == (feature.length, 2)
    assert sorted(path.name for path in directory.parent.iterdir()) == ["t"]


def simple(amount: int = 3) -> FeatureTable:
    rows = [Feature(i, i, {"input_ids": list(range(i + 1))}, targets={"labels": i}) for i in range(amount)]
    return FeatureTable.build(rows, Tally())


def test_the_cache_is_made_once_and_damage_is_made_good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLUE_CACHE", str(tmp_path))
    made = []

    def make() -> FeatureTable:
        made.append(1)
        return simple()

    def again() -> int:
        table = cached({"a": 1}, make)
        assert [plain(feature) for feature in table] == [plain(feature) for feature in simple()]
        return len(made)

    assert (again(), again()) == (1, 1)
    directory = cache_directory() / "features" / fingerprint({"a": 1})
    arrow = next(directory.glob("*.arrow"))
    for times, damage in enumerate((
        lambda: arrow.write_bytes(arrow.read_bytes()[:40]),
        lambda: arrow.unlink(),
        lambda: (directory / "dataset_info.json").write_text("{"),
        lambda: (directory / "state.json").write_text("[]"),
        lambda: (directory / "tally.json").write_text("nothing"),
        lambda: (shutil.rmtree(directory), FeatureTable.build([], Tally())),
    ), start=2):  # fmt: skip
        damage()
        assert again() == times
        assert again() == times


def test_columns_that_do_not_fit_are_damage(tmp_path: Path) -> None:
    table = simple()
    values, offsets = table.columns["inputs.input_ids"]
    table.columns["inputs.input_ids"] = (values[:-1], offsets)
    table.save(tmp_path / "t")
    with pytest.raises(ValueError, match="expected"):
        FeatureTable.load(tmp_path / "t")


def test_an_unwritable_or_full_cache_only_costs_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("CLUE_CACHE", str(tmp_path / "file" / "cache"))
    assert len(cached({"a": 1}, simple)) == 3
    monkeypatch.setenv("CLUE_CACHE", str(tmp_path / "cache"))

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", full)
    monkeypatch.setattr("clue_cli.features.fingerprint", lambda parts: "x")
    assert len(cached({"a": 1}, simple)) == 3
    monkeypatch.undo()
    assert list((tmp_path / "cache" / "features").iterdir()) == []


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The parts under which features are asked for."""
    parts: list[dict[str, Any]] = []

    def remember(asked: dict[str, Any], make: Any) -> FeatureTable:
        parts.append(asked)
        raise UserError("far enough")

    monkeypatch.setattr("clue_cli.features.cached", remember)
    yield parts


def test_every_option_that_changes_features_changes_their_name(
    seen: list[dict[str, Any]], tiny_encoder: Path, tmp_path: Path
) -> None:
    def name(task: str = "cluener", head: str | None = None, encoder: Path = tiny_encoder, **more: Any) -> str:
        data, encoding = more.pop("data", None), more.pop("encoding", "utf-8")
        asked = request(task, encoder, tmp_path / "run", head, **more)
        if data is not None:
            asked = replace(asked, source=Source.open(data, encoding=encoding))
        with pytest.raises(UserError, match="far enough"):
            prepare(asked)
        return fingerprint(seen[-1])

    names = [
        name(), name("tnews"), name(limit=39), name(seed=4), name(options={"max_length": 40}),
        name(options={"overlap": 5}), name(options={"segments": "zero"}), name(encoder=Path("mini-zh")),
        name(limit=None),
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    flat, nested = (
        {name(head=head) for head in heads}
        for heads in (("softmax", "crf"), ("globalpointer", "efficient-globalpointer"))
    )
    assert (len(flat), len(nested), len(flat | nested)) == (1, 1, 2)
    source = seen[-1]["examples"]
    (tmp_path / "data").mkdir()
    for split in ("train", "dev"):
        row = '{"text": "海南", "label": {"name": {"海南": [[0, 1]]}}}\n'
        (tmp_path / "data" / f"{split}.json").write_text(row, encoding="gb18030")
    read = {name(data=tmp_path / "data", encoding=encoding) for encoding in ("gb18030", "big5")}
    assert len(read) == 2
    assert source not in {asked["examples"] for asked in seen[-2:]}
    same = [name(options={"learning_rate": 1.0}), name(options={"epochs": 7}), name(precision="bf16")]
    assert set(same) == {names[0]}
    assert name(limit=None, seed=9) == names[-1]
