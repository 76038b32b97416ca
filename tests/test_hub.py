"""The hub's rows take the official form: labels by name, placeholders gone, csl's id in its place."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from clue_cli.contract import Tally
from clue_cli.errors import ClueError, RowError, RunError, UserError
from clue_cli.hub import HubSource
from clue_cli.main import run
from clue_cli.registry import find_task


def splits(columns: dict[str, Any], classes: list[str] | None, features: dict[str, Any]) -> Any:
    """A local set of the hub's form: the same rows as train, validation and (unlabelled) test."""
    import datasets

    kinds = {name: datasets.Value("string") if kind == "string" else kind for name, kind in features.items()}
    if classes is not None:
        kinds["label"] = datasets.ClassLabel(names=classes)
    whole = datasets.Features({**kinds, "idx": datasets.Value("int32")})
    rows = len(next(iter(columns.values())))
    made = {}
    for split in ("train", "validation", "test"):
        label = {"label": [-1] * rows} if split == "test" and classes is not None else {}
        made[split] = datasets.Dataset.from_dict({**columns, "idx": list(range(rows)), **label}, features=whole)
    return datasets.DatasetDict(made)


def read(task_name: str, source: HubSource, split: str) -> list[Any]:
    return list(find_task(task_name).read(source, split, Tally()))


def test_nli_labels_are_translated_by_name_not_by_position() -> None:
    pairs = {"sentence1": ["甲", "乙", "丙"], "sentence2": ["一", "二", "三"], "label": [0, 1, 2]}
    made = splits(pairs, ["neutral", "entailment", "contradiction"], {"sentence1": "string", "sentence2": "string"})
    source = HubSource(config="cmnli", splits=made)
    for split in ("train", "dev"):
        assert [e.gold for e in read("cmnli", source, split)] == ["neutral", "entailment", "contradiction"]
    assert [e.gold for e in read("ocnli", source, "train")] == ["neutral", "entailment", "contradiction"]
    tests = read("cmnli", source, "test")
    assert [e.gold for e in tests] == [None] * 3
    assert [e.texts for e in tests] == [("甲", "一"), ("乙", "二"), ("丙", "三")]
    assert all("label" not in e.row for e in tests)
    assert [e.id for e in tests] == [None] * 3, "idx is the row's number, not the official id"


def test_an_unlabelled_row_in_train_is_no_class(tmp_path: Any) -> None:
    made = splits({"sentence": ["好", "坏"], "label": [0, -1]}, ["100", "101"], {"sentence": "string"})
    with pytest.raises(RowError, match=r"train\.json:2: no field 'label'"):
        read("tnews", HubSource(config="tnews", splits=made), "train")


def test_tnews_test_is_version_1_1() -> None:
    made = splits({"sentence": ["好"], "label": [1]}, ["100", "101"], {"sentence": "string"})
    source = HubSource(config="tnews", splits=made)
    assert [e.texts for e in read("tnews", source, "test")] == [("好",)]
    assert not find_task("tnews").has_split(source, "test1.0")


def test_cluewsc2020_and_csl_columns() -> None:
    import datasets

    target = {"span1_text": "小明", "span1_index": 0, "span2_text": "他", "span2_index": 3}
    kinds = {"text": "string", "target": {k: datasets.Value("int32" if "index" in k else "string") for k in target}}
    made = splits({"text": ["小明说他来"], "target": [target], "label": [0]}, ["true", "false"], kinds)
    (example,) = read("cluewsc2020", HubSource(config="cluewsc2020", splits=made), "dev")
    assert (example.texts, example.gold) == (("_小明_说[他]来",), "true")

    kinds = {
        "abst": "string",
        "keyword": datasets.Sequence(datasets.Value("string")),
        "corpus_id": datasets.Value("int32"),
    }
    columns = {"abst": ["摘要"], "keyword": [["词", "语"]], "corpus_id": [2415], "label": [1]}
    (example,) = read("csl", HubSource(config="csl", splits=splits(columns, ["0", "1"], kinds)), "test")
    assert (example.texts, example.id) == (("词；语", "摘要"), 2415)


def test_rows_have_a_hash_and_files_have_none() -> None:
    def made(text: str) -> HubSource:
        return HubSource(splits=splits({"sentence": [text], "label": [0]}, ["100"], {"sentence": "string"}))

    assert made("好").sha256("train.json") == made("好").sha256("train.json") != made("坏").sha256("train.json")
    with pytest.raises(UserError, match="has rows, not files"):
        made("好").open_bytes("train.json")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ConnectionError("no route\nto host"), RunError),
        (OSError("disk"), RunError),
        (ValueError("no config x"), UserError),
    ],
)
def test_what_goes_wrong_on_the_way_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    kind: type[ClueError],
) -> None:
    import datasets

    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        monkeypatch.setattr(logger, "propagate", True)  # to caplog

    def fail(*_: object) -> None:
        for logger in loggers:
            logger.getChild("http").warning("retrying in 1 s")
        raise raised

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(kind) as caught:
        HubSource.for_task("tnews", "tnews")
    assert str(caught.value).startswith("hub clue/clue tnews: ") and "\n" not in str(caught.value)
    assert not caplog.records
    assert [logger.level for logger in loggers] == levels
    capsys.readouterr()
    assert run(["data", "tnews", "--data", "hub"]) == kind.exit_status
    assert capsys.readouterr().err.splitlines()[0] == "fetching the data of tnews from the hub"
