from __future__ import annotations

import copy
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli import record as module
from clue_cli.contract import FORMAT_VERSION, Recipe
from clue_cli.environment import (
    environment,
    peak_memory,
    program,
    reduced_command,
    trim_memory,
    without_paths,
)
from clue_cli.errors import RunError, UserError
from clue_cli.record import DataInfo, EncoderInfo, Record, Result, from_document, settings, to_document

sys.path.insert(0, str(Path(__file__).parent))
from record_cases import SHA, make_record, make_result


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = make_record(chosen={"epochs": 5, "pooling": "mean"}, group="g", limit=100)
    record.results.append(make_result(split="test1.1", data=DataInfo(sample=True)))
    record.save(tmp_path)
    assert Record.load(tmp_path) == record
    assert Record.load(tmp_path / "record.json") == record
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_start_fills_in_the_surroundings() -> None:
    old = make_record()
    record = Record.start(
        task=old.task,
        head="crf",
        encoder=old.encoder,
        metrics=["accuracy"],
        recipe=old.recipe,
        seed=3,
        command=["/usr/bin/clue", "train", "tnews", "--data", "/home/someone/tnews.zip"],
        device="cuda",
    )
    assert record.status == "running"
    assert record.command == ["clue", "train", "tnews", "--data", "tnews.zip"]
    assert record.environment.libraries["torch"]
    assert record.environment.cores >= 1
    record.end("failed", OSError("cannot open /home/someone/x/y.bin"))
    assert record.error == "cannot open y.bin"
    from_document(to_document(record), "x")


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    record = make_record()
    record.timing.phases["train"] = np.float32(1.5)  # type: ignore[assignment]
    record.results[0].per_label[0]["support"] = np.int64(4)
    record.save(tmp_path)
    assert Record.load(tmp_path).timing.phases["train"] == 1.5


def test_results_replace_those_of_the_same_metric_and_split() -> None:
    record = make_record()
    record.add_result(make_result(figure=0.9))
    record.add_result(make_result(figure=0.8, split="test"))
    assert [(r.split, r.figures["accuracy"]) for r in record.results] == [("dev", 0.9), ("test", 0.8)]
    assert record.result("accuracy", "test") is record.results[1]
    assert record.result("f1", "test") is None


def test_choices_are_what_the_user_changed() -> None:
    record = make_record(chosen={"epochs": 5, "batch_size": 32, "pooling": "mean"})
    assert record.choices() == {"epochs": 5, "pooling": "mean"}
    record.recipe["warmup"].origin = "recipe clue-bert4keras"
    assert record.choices() == {"recipe": "clue-bert4keras", "epochs": 5, "pooling": "mean"}


def test_settings_keep_the_value_that_an_option_replaced() -> None:
    base = Recipe()
    origins = dict.fromkeys(Recipe.__dataclass_fields__, "default") | {"epochs": "option"}
    found = settings(base.updated({"epochs": 9}), origins, base)
    assert (found["epochs"].value, found["epochs"].default, found["epochs"].changed) == (9, 3, True)
    assert not any(s.changed for name, s in found.items() if name != "epochs")


def at(document: Any, path: str, value: Any) -> Any:
    """A copy of `document` with `value` at a dotted path; ... removes it."""
    document = copy.deepcopy(document)
    place = document
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


DAMAGE = [
    ("task", "text", "task: expected an object"),
    ("task.name", ..., "task.name: expected a string, found nothing"),
    ("task.version", "1", "task.version: expected a whole number"),
    ("task.version", True, "task.version: expected a whole number"),
    ("task.fields", "sentence", "task.fields: expected a list"),
    ("task.fields.0", 3, r"task.fields\[0\]: expected a string"),
    ("task.labels_sha256", "xyz", "task.labels_sha256: expected 64 hexadecimal"),
    ("task.surprise", 1, "task.surprise: expected one of the fields name, "),
    ("surprise", 1, "surprise: expected one of the fields"),
    ("status", "done", "status: expected one of running, finished"),
    ("started", "yesterday", "started: expected a time"),
    ("seed", 1.5, "seed: expected a whole number"),
    ("seed", None, "seed: expected a whole number"),
    ("processes", 0, "processes: expected a number from 1"),
    ("encoder.sha256", SHA[:-1], "encoder.sha256: expected 64"),
    ("encoder.name", "/models/bert", "encoder.name: expected no path"),
    ("encoder.scratch", 1, "encoder.scratch: expected true or false"),
    ("command.2", "/home/someone/data", r"command\[2\]: expected base names"),
    ("command.2", "C:\\data", r"command\[2\]: expected base names"),
    ("data.files.0.sha256", None, r"data.files\[0\].sha256: expected a string"),
    ("data.files.0.name", "/data/train.json", r"data.files\[0\].name: expected a base name"),
    ("data.files.0.rows", -1, r"data.files\[0\].rows: expected a number from 0"),
    ("data.limit", 0, "data.limit: expected a number from 1"),
    ("data.left_out.train", 3, "data.left_out.train: expected an object"),
    ("epochs.0.figures.accuracy.accuracy", 40.0, r"epochs\[0\].figures.accuracy.accuracy: expected a figure from 0"),
    ("chosen_epoch", 7, "chosen_epoch: expected one of the epochs, found 7"),
    ("results.0.figures.accuracy", 54.2, r"results\[0\].figures.accuracy: expected a figure from 0 to 1"),
    ("results.0.figures.accuracy", "0.5", r"results\[0\].figures.accuracy: expected a finite number"),
    ("results.0.primary", "f1", r"results\[0\].primary: expected the name of a figure"),
    ("results.0.errors.f1", 0.1, r"results\[0\].errors.f1: expected the name of a figure"),
    ("results.0.errors.accuracy", -0.1, r"results\[0\].errors.accuracy: expected a number from 0"),
    ("recipe.epochs.value", ..., "recipe.epochs.value"),
    ("recipe.epochs", 3, "recipe.epochs: expected an object"),
    ("environment.cores", 0, "environment.cores: expected a number from 1"),
    ("format", "1", "format: expected a number from 1"),
    ("format", 0, "format: expected a number from 1"),
]


@pytest.mark.parametrize(("path", "value", "words"), DAMAGE)
def test_damage_is_named_field_by_field(tmp_path: Path, path: str, value: Any, words: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(json.dumps(at(to_document(make_record()), path, value)), encoding="utf-8")
    with pytest.raises(UserError, match=words) as caught:
        Record.load(tmp_path)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_the_same_result_twice_is_damage() -> None:
    document = to_document(make_record())
    document["results"] *= 2
    with pytest.raises(UserError, match=r"results\[1\]: expected each metric and split once"):
        from_document(document, "x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"{", ":1: not JSON"),
        (b"[]", "expected an object"),
        (b"{\n\n1}", ":3: not JSON"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b'{"format": NaN}', "holds NaN"),
        (b'{"a": 1, "a": 2}', "'a' occurs"),
        (b"[" * 100_000, "not JSON"),
        (b"null", "expected an object"),
        (b'{"format": 9' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        Record.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_truncated_anywhere(tmp_path: Path) -> None:
    make_record().save(tmp_path)
    whole = (tmp_path / "record.json").read_bytes()
    for length in range(0, len(whole) - 2, 97):
        (tmp_path / "record.json").write_bytes(whole[:length])
        with pytest.raises(UserError):
            Record.load(tmp_path)


@given(st.data())
def test_any_value_anywhere_reads_or_is_a_user_error(data: st.DataObject) -> None:
    document = to_document(make_record())
    place: Any = document
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats()
                | st.text(max_size=5)
                | st.just([])
                | st.just({})
                | st.just([[]])
                | st.just({"a": {}})
            )
            break
        place = place[key]
    try:
        from_document(document, "file")
    except UserError as error:
        assert str(error).startswith("file")


def test_missing_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Record.load(tmp_path / "nowhere")


def test_wrong_records_are_not_written(tmp_path: Path) -> None:
    record = make_record()
    record.save(tmp_path)
    before = (tmp_path / "record.json").read_bytes()
    for wrong in (float("nan"), 54.3):
        record.results[0].figures["accuracy"] = wrong
        with pytest.raises(RunError, match="record: results"):
            record.save(tmp_path)
    assert (tmp_path / "record.json").read_bytes() == before


def test_newer_formats_are_refused_and_older_ones_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = to_document(make_record())
    with pytest.raises(UserError, match=f"format {FORMAT_VERSION + 1}, newer than"):
        from_document({**document, "format": FORMAT_VERSION + 1}, "x")
    monkeypatch.setattr(module, "FORMAT_VERSION", FORMAT_VERSION + 1)

    def upgrade(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "head": old["head"].upper()}

    monkeypatch.setattr(module, "UPGRADES", {FORMAT_VERSION: upgrade})
    older = {key: value for key, value in document.items() if key not in ("precision", "group")}
    read = from_document(older, "x")
    assert (read.head, read.precision, read.format) == ("LINEAR", "float32", FORMAT_VERSION + 1)


def test_no_paths_of_the_machine_stand_in_a_record(tmp_path: Path) -> None:
    old = make_record()
    record = Record.start(
        task=old.task,
        head="x",
        encoder=EncoderInfo(str(tmp_path / "bert"), SHA, 1, 1, "small"),
        metrics=[],
        recipe={},
        seed=1,
        command=[str(tmp_path / "bin" / "clue"), "train", f"--data={tmp_path}", "--output", str(tmp_path / "run")],
    )
    assert record.encoder.name == "bert"
    text = json.dumps(to_document(record))
    for piece in (str(tmp_path), str(Path.home()) + "/", str(Path.cwd())):
        assert piece not in text


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("/usr/bin/clue train tnews", "clue train tnews"),
        ("clue train --data ../data/tnews/", "clue train --data tnews"),
        ("clue train --data=~/d/x.zip --encoder hfl/rbt3", "clue train --data=x.zip --encoder hfl/rbt3"),
        ("clue train --encoder=scratch:/models/mini", "clue train --encoder=scratch:mini"),
        ("clue train --encoder scratch:hfl/rbt3 --epochs 3", "clue train --encoder scratch:hfl/rbt3 --epochs 3"),
        ("clue train D:\\data\\mine", "clue train mine"),
    ],
)
def test_command_lines_lose_their_paths(given_: str, expected: str) -> None:
    assert reduced_command(given_.split(" ")) == expected.split(" ")


def test_texts_lose_their_paths() -> None:
    assert without_paths("cannot read '/a/b c/d': ~/x/y, C:\\u\\v and runs/a") == "cannot read 'b c/d': y, v and runs/a"
    assert without_paths("1/2 of https://example.org/a/b") == "1/2 of https://example.org/a/b"


def test_surroundings() -> None:
    found = environment()
    assert re.fullmatch(r"3\.\d+\.\d+.*", found.python)
    assert found.memory is None or found.memory > 1 << 20
    amount = peak_memory()
    assert amount is None or amount > 1 << 20
    assert program().version


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library cannot be told to give memory back")
def test_freed_memory_goes_back_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    pieces = [bytes([1]) * 100_000 for _ in range(2_000)]  # each small enough for the heap
    del pieces[::2]  # no hole reaches its end
    before = resident()
    trim_memory()
    assert resident() < before - 50_000_000
    assert len(pieces) == 1_000


def test_the_program_is_told_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert program().commit is None
    assert program().dirty is None


def test_results_of_scores() -> None:
    from clue_cli.scoring import Score

    score = Score("m", "f1", {"f1": 0.5}, {"f1": 0.1}, 10, 9, missing=1, per_label=[{"label": "a"}], notes=["n"])
    result = Result.of(score, "dev", threshold=0.5, threshold_origin="tuned on dev")
    assert (result.items, result.clusters, result.missing, result.notes, result.threshold) == (10, 9, 1, ["n"], 0.5)
