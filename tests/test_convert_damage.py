"""Exports with any one part replaced by something else: converted, or refused in one line; never a traceback."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clue_cli.convert import Reading, Request, convert
from clue_cli.errors import UserError

LABEL_STUDIO = [
    {
        "id": 1, "data": {"text": "李雷在北京，很好"}, "predictions": [],
        "annotations": [{
            "id": 1, "was_cancelled": False, "ground_truth": False, "updated_at": "2024-01-01", "completed_by": 1,
            "result": [
                {"id": "a", "type": "labels", "value": {"start": 0, "end": 2, "text": "李雷", "labels": ["人"]}},
                {"id": "b", "type": "labels", "value": {"start": 3, "end": 5, "labels": ["地"]}},
                {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["在"]},
                {"id": "c", "type": "choices", "from_name": "s", "value": {"choices": ["好"]}},
            ],
        }],
    },
    {"id": 2, "data": {"text": "无"}, "annotations": [{"result": []}]},
]  # fmt: skip
MINIMAL = [
    {"id": 1, "text": "李雷", "ner": [{"start": 0, "end": 2, "text": "李雷", "labels": ["人"]}], "annotation_id": 3},
    {"id": 2, "text": "很好", "mood": {"choices": ["好"]}, "annotation_id": 4, "updated_at": "2024-01-01"},
]
DOCCANO = [
    {"id": 1, "text": "李雷去北京", "label": [[0, 2, "人"], [3, 5, "地"]], "Comments": []},
    {
        "id": 2, "text": "😀李雷去北京",
        "entities": [
            {"id": 1, "label": "人", "start_offset": 1, "end_offset": 3},
            {"id": 2, "label": "地", "start_offset": 4, "end_offset": 6},
        ],
        "relations": [{"id": 1, "from_id": 1, "to_id": 2, "type": "去"}],
    },
]  # fmt: skip
BRAT = "T1\t人 0 2\t李雷\nT2\t地 3 4;5 6\t北京\nT3\t到 2 3\t在\nR1\t在 Arg1:T1 Arg2:T3\nE1\t到:T3 谁:T1\nA1\tX T1\n"
BIO = "李 B-人\n雷 I-人\n在 O\n\n北 B-地\n京 E-地\n"

OTHER = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 12), st.just(1.5), st.sampled_from(["", " ", "人", "a\nb", "1", "left"]),
    st.lists(st.integers(0, 3), max_size=3), st.just([[]]), st.just([{}]), st.just({}), st.just({"choices": 3}),
    st.just([{"labels": 3, "start": 0}]),
)  # fmt: skip
DROP = object()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every part of a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if other is DROP:
        del inner[path[-1]]
    else:
        inner[path[-1]] = other
    return value


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


def survives(file: Path, output: Path, **wanted: Any) -> None:
    shutil.rmtree(output, ignore_errors=True)
    try:
        convert(Request(file=file, output=output, split="train", **wanted))
    except UserError as error:
        assert "\n" not in str(error)
        assert not output.exists()


@pytest.mark.parametrize(
    ("format", "export"),
    [("label-studio", LABEL_STUDIO), ("label-studio", MINIMAL), ("doccano", DOCCANO)],
    ids=["JSON", "JSON-MIN", "doccano"],
)
@settings(max_examples=60)
@given(data=st.data())
def test_any_part_of_a_json_export(room: Path, format: str, export: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(places(export))))
    broken = replaced(export, path, data.draw(st.one_of(OTHER, st.just(DROP))))
    file = room / "export.json"
    file.write_text(json.dumps(broken, ensure_ascii=False), encoding="utf-8")
    task = data.draw(st.sampled_from(["auto", "entities", "relations", "classification", "events"]))
    skip, auto = data.draw(st.booleans()), data.draw(st.booleans())
    survives(file, room / "out", format="auto" if auto else format, task=task, reading=Reading(skip=skip))


@pytest.mark.parametrize(("name", "content"), [("a.ann", BRAT), ("a.bio", BIO)])
@settings(max_examples=60)
@given(data=st.data())
def test_any_line_of_a_file_of_lines(room: Path, name: str, content: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 6, len(content))))
    broken = content[:start] + data.draw(st.text("TRE1 \t\n:;-OBI人0", max_size=3)) + content[end:]
    (room / name).write_text(broken, encoding="utf-8", newline="\n")
    (room / "a.txt").write_text("李雷在北师京", encoding="utf-8")
    survives(room / name, room / "out", reading=Reading(skip=data.draw(st.booleans())))
