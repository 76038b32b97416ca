"""A user's own data with a task.toml beside them are a task like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clue_cli.contract import Span, Tally
from clue_cli.errors import RowError, UserError
from clue_cli.registry import find_task, own_directory, restore_task
from clue_cli.sources import Source

MINIMAL = 'family = "classification"\nlabels = ["好", "差"]\n'


def directory(path: Path, toml: str, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "task.toml").write_text(toml, encoding="utf-8")
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return path


def read(path: Path, split: str = "train") -> list[Any]:
    return list(find_task(str(path)).read(Source.open(path), split, Tally()))


def test_two_lines_are_enough(tmp_path: Path) -> None:
    path = directory(tmp_path / "reviews", MINIMAL, train__jsonl='{"text": "很好", "label": "好"}')
    (example,) = read(path)
    assert (example.texts, example.gold) == (("很好",), "好")
    task = find_task(str(path))
    assert (task.name, task.own, task.default_head, task.default_metric) == (
        "reviews",
        True,
        "classification",
        "accuracy",
    )
    assert find_task(str(path / "task.toml")).labels == task.labels
    assert own_directory(str(path)) == own_directory(str(path / "task.toml")) == path


def test_everything_can_be_named(tmp_path: Path) -> None:
    toml = """
        family = "classification"
        labels = "labels.txt"
        name = "stars"
        title = "Stars of hotels"
        text = ["tags", "review"]
        optional = ["remark"]
        label = "stars"
        id = "number"
        left_out = ["?"]
        metric = "accuracy"
        [files]
        dev = "2025.csv"
        train = "2024.jsonl"
        [join]
        tags = "，"
        [label_names]
        1 = "bad"
        [recipe]
        epochs = 5
    """
    rows = [
        {"tags": ["床", "早餐"], "review": "好", "stars": 5, "number": "a"},
        {"tags": ["x"], "review": "y", "stars": "?"},
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    path = directory(tmp_path, toml, labels__txt="1\n5\n")
    (path / "2024.jsonl").write_text(lines)
    task, tally = find_task(str(path)), Tally()
    (example,) = task.read(Source.open(path), "train", tally)
    assert (example.id, example.texts, example.gold) == ("a", ("床，早餐", "好"), "5")
    assert tally.as_dict() == {"rows labelled '?'": 1}
    assert (task.name, task.title, task.labels, task.label_names) == (
        "stars",
        "Stars of hotels",
        ("1", "5"),
        {"1": "bad"},
    )
    recipe, origins = task.recipe_for("classification", "small")
    assert recipe.epochs == 5 and origins["epochs"] == "task stars"
    assert task.with_fields(["review", "remark"]).fields == ("review", "remark")


def test_a_run_carries_the_whole_declaration(tmp_path: Path) -> None:
    toml = MINIMAL + 'text = ["a", "b"]\noptional = ["c"]\n[join]\na = "|"\n[recipe]\nlearning_rate = 1e-4\n'
    task = find_task(str(directory(tmp_path / "pairs", toml))).with_fields(["b", "c"])
    config = json.loads(json.dumps(task.to_config()))
    (tmp_path / "pairs" / "task.toml").unlink()
    restored = restore_task(config)
    assert restored.to_config() == config
    assert (restored.fields, restored.labels, restored.own) == (("b", "c"), ("好", "差"), True)
    assert restored.recipe_for("classification", "base") == task.recipe_for("classification", "base")


@pytest.mark.parametrize("part", ["heads", "metrics"])
def test_a_run_is_data_and_names_no_code(tmp_path: Path, part: str) -> None:
    config = find_task(str(directory(tmp_path, MINIMAL))).to_config()
    config["declaration"][part] = {"classification": "os:system"}
    with pytest.raises(UserError, match=f"unknown part of a classification task '{part}'"):
        restore_task(config)


@pytest.mark.parametrize(
    "declaration",
    [
        None,
        [],
        {"name": "x"},
        {"name": "x", "title": "y", "labels": 3},
        {"name": "x", "title": "y", "labels": [1, 2]},
        {"name": "x", "title": "y", "labels": "ab"},
        {"name": "../x", "title": "y", "labels": ["a", "b"]},
        {"name": "x", "title": "y", "labels": ["a", "b"], "texts": "ab"},
        {"name": "x", "title": "y", "labels": ["a", "b"], "files": {"train": "train.json"}},
        {"name": "x", "title": "y", "labels": ["a", "b"], "recipes": "no"},
    ],
)
def test_a_damaged_declaration_is_refused(declaration: Any) -> None:
    config = {"name": "x", "version": 1, "fields": ["text"], "family": "classification", "declaration": declaration}
    with pytest.raises(UserError):
        restore_task(config)


def test_an_unknown_family_is_refused() -> None:
    config = {"name": "x", "version": 1, "fields": ["text"], "family": "os", "declaration": {}}
    with pytest.raises(UserError, match="unknown family 'os'"):
        restore_task(config)


def test_csv_and_a_labelled_test_split(tmp_path: Path) -> None:
    path = directory(tmp_path, MINIMAL, train__csv='label,text\n好,"很，好"\n', test__tsv="text\tlabel\n一\t差\n二\t\n")
    assert [(e.texts, e.gold) for e in read(path)] == [(("很，好",), "好")]
    assert [(e.texts, e.gold) for e in read(path, "test")] == [(("一",), "差"), (("二",), None)]
    with pytest.raises(
        UserError, match=r"no dev\.jsonl or dev\.json or dev\.csv or dev\.tsv here; found: .*train\.csv"
    ):
        read(path, "dev")
    (path / "train.csv").write_text("label,text\n好,a\n,b\n")
    with pytest.raises(RowError, match=r"train\.csv:3: label: unknown label ''"):
        read(path)


@pytest.mark.parametrize(
    ("labels", "given", "found"),
    [
        ('["1.0", "0.0"]', 1.0, "1.0"),
        ('["1", "0"]', 1.0, "1"),
        ('["1", "1.0"]', 1.0, "1.0"),
        ('["1", "0"]', "1.0", "1"),
        ('["1", "1.0"]', "1.0", "1.0"),
        ("[5, 1]", 5, "5"),
        ("[5, 1]", "5", "5"),
        ("[0.5, 1.5]", 0.5, "0.5"),
        ("[true, false]", False, "false"),
    ],
)
def test_numbers_are_labels_by_their_spelling(tmp_path: Path, labels: str, given: Any, found: str) -> None:
    row = json.dumps({"text": "很好", "label": given})
    path = directory(tmp_path, f'family = "classification"\nlabels = {labels}\n', train__jsonl=row)
    assert [example.gold for example in read(path)] == [found]


@pytest.mark.parametrize("given", [1.5, -1.0, 10])
def test_a_number_that_no_label_spells_is_refused(tmp_path: Path, given: Any) -> None:
    row = json.dumps({"text": "很好", "label": given})
    path = directory(tmp_path, 'family = "classification"\nlabels = [0, 1]\n', train__jsonl=row)
    with pytest.raises(RowError, match=f"unknown label '{given}'"):
        read(path)


@pytest.mark.parametrize(
    ("left_out", "given", "reason"),
    [
        ('["-1"]', -1, "rows labelled '-1'"),
        ("[-1]", -1.0, "rows labelled '-1'"),
        ("[-1]", "-1.0", "rows labelled '-1'"),
        ("-1", "-1", "rows labelled '-1'"),
        ('[""]', "", "rows without a label"),
        ('["?", ""]', None, "rows without a label"),
    ],
)
def test_rows_that_nobody_labelled_are_left_out_and_counted(
    tmp_path: Path, left_out: str, given: Any, reason: str
) -> None:
    rows = [{"text": "很好", "label": "好"}, {"text": "一般", "label": given}]
    lines = "\n".join(json.dumps(row) for row in rows)
    path = directory(tmp_path, MINIMAL + f"left_out = {left_out}\n", train__jsonl=lines, test__jsonl=lines)
    task, tally = find_task(str(path)), Tally()
    assert [example.gold for example in task.read(Source.open(path), "train", tally)] == ["好"]
    assert tally.as_dict() == {reason: 1}
    assert [example.gold for example in read(path, "test")] == ["好", None]


@pytest.mark.parametrize(
    ("toml", "train", "dev"),
    [
        ("", "train.csv", "dev.csv"),
        ("", "train.jsonl", "dev.jsonl"),
        ('files.train = "a.csv"\nfiles.dev = "b.tsv"\n', "a.csv", "b.tsv"),
    ],
)
def test_without_a_dev_file_it_is_said_how_to_come_by_one(tmp_path: Path, toml: str, train: str, dev: str) -> None:
    path = directory(tmp_path, MINIMAL + toml)
    (path / train).touch()
    with pytest.raises(UserError) as caught:
        read(path, "dev")
    assert caught.value.hint == f"hold back about a tenth of the rows of {train} as {dev}"
    (path / train).unlink()
    for split in ("train", "dev"):
        with pytest.raises(UserError) as caught:
            read(path, split)
        assert caught.value.hint is None


def test_repeated_ids_of_a_test_file_are_told_how_to_name_another_field(tmp_path: Path) -> None:
    path = directory(tmp_path, MINIMAL, test__csv="id,text\n1,a\n1,b\n")
    with pytest.raises(
        RowError, match=r'csv:3: id: .* must differ \(`id = "\.\.\."` in task\.toml names another field'
    ):
        read(path, "test")


def test_a_missing_gold_field_is_no_row_without_a_label(tmp_path: Path) -> None:
    path = directory(tmp_path, MINIMAL + 'left_out = [""]\n', train__jsonl='{"text": "很好", "lable": "好"}')
    with pytest.raises(RowError, match="no field 'label'"):
        read(path)


def test_rows_without_entities_are_left_out_where_either_form_says_so(tmp_path: Path) -> None:
    rows = '{"text": "李雷", "entities": null}\n{"text": "李雷", "entities": [], "label": ""}'
    path = directory(tmp_path, 'family = "entities"\nlabels = ["人"]\nleft_out = [""]\n', train__jsonl=rows)
    assert [example.gold for example in read(path)] == [()]


def test_entities(tmp_path: Path) -> None:
    toml = 'family = "entities"\nlabels = ["人"]\ntext = "t"\nlabel = "ents"\n'
    row = {"t": "小明来了", "ents": [{"start": 0, "end": 2, "type": "人"}]}
    path = directory(tmp_path, toml, train__jsonl=json.dumps(row))
    (example,) = read(path)
    assert example.gold == (Span(0, 2, "人"),)
    config = json.loads(json.dumps(find_task(str(path)).to_config()))
    assert restore_task(config).to_config() == config


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("family = ", "no valid TOML"),
        ('labels = ["a", "b"]', "no `family` in it"),
        ('family = "classification"', "no `labels` in it"),
        (
            MINIMAL.replace("classification", "clasification"),
            "unknown family 'clasification'; did you mean classification",
        ),
        (MINIMAL + 'lable = "x"', "unknown key 'lable'; did you mean label"),
        (MINIMAL + "text = 3", "`text` must be a string or a list of strings, found the number 3"),
        (MINIMAL + 'text = ["a", "b", "c"]', "one text or a pair"),
        (MINIMAL + 'text = ""', "`text` must be"),
        (MINIMAL + "left_out = [nan]", "`left_out` must be a label or a list of labels"),
        (MINIMAL.replace('"差"', '""'), "`labels` must be a file's name or a list of strings or numbers"),
        (MINIMAL + 'files = "train.csv"', "`files` must be a table"),
        (MINIMAL + '[files]\ntrian = "x"', "unknown split 'trian'; did you mean train"),
        (MINIMAL + "[files]\ntrain = 3", "`files.train` must be a string"),
        (MINIMAL + 'metric = "f1"', "unknown metric 'f1'"),
        (MINIMAL + '[recipe]\nepochs = "3"', "`epochs` in [recipe]: a whole number was expected, found the text"),
        (MINIMAL + "[recipe]\nbatch_size = 1.5", "a whole number was expected, found the number 1.5"),
        (MINIMAL + "[recipe]\nepochs = true", "a whole number was expected, found the truth value true"),
        (MINIMAL + '[recipe]\nlearning_rate = "1e-3"', "`learning_rate` in [recipe]: a number was expected"),
        (MINIMAL + "[recipe]\npooling = 1", "`pooling` in [recipe]: a string was expected"),
        (MINIMAL + '[recipe]\ngradient_checkpointing = "no"', "true or false was expected"),
        (MINIMAL + 'text = ["a", "a"]', "`text` names a field twice"),
        (MINIMAL + '[label_names]\nnowhere = "x"', "unknown label 'nowhere'"),
        (MINIMAL + "[recipe]\nepoch = 3", "unknown part of a recipe 'epoch'; did you mean epochs"),
        (MINIMAL.replace('"好", "差"', '"好"'), "at least 2 labels"),
        (MINIMAL.replace('"好", "差"', '"好", "好"'), "a label is listed twice"),
        (MINIMAL.replace('["好", "差"]', '"gone.txt"'), "gone.txt: does not exist"),
        ('family = "entities"\nlabels = ["a"]\n[join]\nx = ","', "[join] has no meaning"),
    ],
)
def test_declarations_that_are_wrong(tmp_path: Path, toml: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        find_task(str(directory(tmp_path, toml)))
    message = str(caught.value)
    assert says in message and str(tmp_path) in message and "\n" not in message
