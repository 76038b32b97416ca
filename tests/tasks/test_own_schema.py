"""A user's own relation schema: a schema file and rows beside it train, predict and score with no code."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from clue_cli.errors import UserError
from clue_cli.main import run
from clue_cli.sources import Source
from tasks.families.schemas import schema_file

SCHEMA = """
{"predicate": "供职", "subject_type": "人", "object_type": {"@value": "公司", "post": "职务"}}
{"predicate": "位于", "subject_type": "公司", "object_type": "地点"}
"""
ROWS = """
{"text": "林海在星野集团任经理", "spo_list": [{"predicate": "供职", "subject": "林海", "object": {"@value": "星野集团", "post": "经理"}}]}
{"text": "星野集团位于海州", "spo_list": [{"predicate": "位于", "subject": "星野集团", "object": "海州"}]}
{"text": "周敏是禾木公司的会计", "spo_list": [{"predicate": "供职", "subject": "周敏", "object": {"@value": "禾木公司", "post": "会计"}}]}
{"text": "禾木公司设在临江，韩磊在那里上班", "spo_list": [{"predicate": "位于", "subject": "禾木公司", "object": "临江"}, {"predicate": "供职", "subject": "韩磊", "object": "禾木公司"}]}
{"text": "在海州的启明银行，唐芳做了十年柜员", "spo_list": [{"predicate": "位于", "subject": "启明银行", "object": "海州"}, {"predicate": "供职", "subject": "唐芳", "object": {"@value": "启明银行", "post": "柜员"}}]}
{"text": "宋涛离开启明银行，去了拓远物流", "spo_list": [{"predicate": "供职", "subject": "宋涛", "object": "拓远物流"}]}
{"text": "拓远物流的总部在松岭", "spo_list": [{"predicate": "位于", "subject": "拓远物流", "object": "松岭"}]}
{"text": "今天下雨，大家都没出门", "spo_list": []}
{"text": "沈宁和陆峰都在蓝鲤网络", "spo_list": [{"predicate": "供职", "subject": "沈宁", "object": "蓝鲤网络"}, {"predicate": "供职", "subject": "陆峰", "object": "蓝鲤网络"}]}
{"text": "工程师许钧任职于云溪的蓝鲤网络", "relations": [{"predicate": "供职", "subject": {"start": 3, "end": 5}, "object": {"@value": {"start": 11, "end": 15}, "post": {"start": 0, "end": 3}}}, {"predicate": "位于", "subject": {"start": 11, "end": 15}, "object": {"start": 8, "end": 10}}]}
"""  # noqa: E501


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "firms"
    directory.mkdir()
    for name, text in (("schema.json", SCHEMA), ("train.jsonl", ROWS), ("dev.jsonl", ROWS)):
        (directory / name).write_text(text.lstrip(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return directory


def test_ten_rows_with_their_own_schema_train_predict_and_score(
    data: Path, tiny_encoder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        quick = ["--epochs", "2", "--precision", "float32", "--device", "cpu", "--output", "out", "--encoder"]
        assert run(["train", "duie", "--data", str(data), *quick, str(tiny_encoder)]) == 0, capfd.readouterr().err
        record = json.loads((data.parent / "out" / "record.json").read_text(encoding="utf-8"))
        assert "供职" in json.dumps(record, ensure_ascii=False)
        answers = ["--output", "answers.jsonl", "--threshold", "-100"]
        assert run(["predict", "out", str(data / "dev.jsonl"), *answers]) == 0, capfd.readouterr().err
        rows = [json.loads(line) for line in Path("answers.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(rows) == 10
        found = {spo["predicate"] for row in rows for spo in row["spo_list"]}
        assert found == {"供职", "位于"}
        capfd.readouterr()
        assert run(["score", "duie", "--gold", str(data), "--pred", "answers.jsonl", "--json"]) == 0
        metrics = json.loads(capfd.readouterr().out)["metrics"]
        assert [metric["metric"] for metric in metrics] == ["duie:official", "duie:triple"]
        assert {line["label"]: line["support"] for line in metrics[0]["per_label"]} == {"供职": 8, "位于": 5}
    finally:
        torch.set_num_threads(threads)


def test_of_several_schemas_the_one_of_the_task_is_taken(tmp_path: Path) -> None:
    for name in ("duee_event_schema.json", "duie_schema.json", "train.jsonl"):
        (tmp_path / name).touch()
    source = Source.open(tmp_path)
    assert schema_file(source, {}, "duie", "predicate") == (source, "duie_schema.json")
    assert schema_file(source, {}, "duee", "event_type") == (source, "duee_event_schema.json")
    assert schema_file(source, {"train": ("duie_schema.json",)}, "c3", "x") == (source, "duee_event_schema.json")
    with pytest.raises(UserError, match="several schema files: duee_event_schema"):
        schema_file(source, {}, "c3", "x")


LIC_SCHEMAS = ("duee_event_schema.json", "duee_fin_event_schema.json", "duie_schema.json")


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    ("beside", "task", "taken"),
    [
        (LIC_SCHEMAS, "duie", "duie_schema.json"),
        (LIC_SCHEMAS, "duee", "duee_event_schema.json"),
        (LIC_SCHEMAS, "duee_fin", "duee_fin_event_schema.json"),
        (("mine_schema.json", "db_schema.json"), "duee", "mine_schema.json"),
        (("event_schema.json.gz", "openapi_schema.json"), "duee", "event_schema.json.gz"),
    ],
)
def test_files_of_other_data_are_not_taken_for_the_schema(
    tmp_path: Path, single: bool, beside: tuple[str, ...], task: str, taken: str
) -> None:
    (tmp_path / "dev.jsonl").touch()
    for name in beside:
        other = {
            "db_schema.json": b"{\n",
            "openapi_schema.json": b'{"info": {}}',
            "duie_schema.json": b'{"predicate": ""}',
        }
        line = other.get(name, b'{"event_type": "t"}')
        (tmp_path / name).write_bytes(gzip.compress(line) if name.endswith(".gz") else line)
    field = "predicate" if task == "duie" else "event_type"
    found = schema_file(Source.open(tmp_path / "dev.jsonl" if single else tmp_path), {}, task, field)
    assert found is not None and found[1] == taken


def test_beside_a_single_file_others_schemas_are_none_and_two_possible_ones_refused(tmp_path: Path) -> None:
    for name in ("dev.jsonl", "graphql.schema.json"):
        (tmp_path / name).touch()
    (tmp_path / "duee_fin_event_schema.json").write_text('{"event_type": "t"}', encoding="utf-8")
    source = Source.open(tmp_path / "dev.jsonl")
    assert schema_file(source, {}, "duee", "event_type") is None
    for name in ("a_schema.json", "b_schema.json"):
        (tmp_path / name).write_text('{"event_type": "t"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"several schema files: a_schema\.json, b_schema\.json"):
        schema_file(source, {}, "duee", "event_type")


@pytest.mark.parametrize("name", ["dev.jsonl", "gold_schema.jsonl", "dev.jsonl.gz"])
def test_the_schema_of_a_single_file_lies_in_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "schema.json").write_text(SCHEMA.lstrip(), encoding="utf-8")
    content = ROWS.lstrip().encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    monkeypatch.chdir(tmp_path)
    assert run(["score", "duie", "--gold", name, "--pred", name, "--json"]) == 0, capfd.readouterr().err
    metrics = json.loads(capfd.readouterr().out)["metrics"]
    assert {line["label"] for line in metrics[0]["per_label"]} == {"供职", "位于"}


def test_a_single_file_is_described_by_the_schema_in_its_directory(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # 1: a training needs a dev split.
    assert run(["data", "duie", "--data", str(data / "train.jsonl"), "--json"]) == 1, capfd.readouterr().err
    assert set(json.loads(capfd.readouterr().out)["splits"]["train"]["labels"]) == {"供职", "位于"}
