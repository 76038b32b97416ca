"""What the README says about a user's own data is done here as it stands, on the README's own rows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from clue_cli.contract import Tally
from clue_cli.main import run
from clue_cli.registry import find_task
from clue_cli.sources import Source
from tasks.families import own

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN = README[README.index("## Your own data") : README.index("## Answers")]
BLOCKS = re.findall(r"```(?:\w*)\n(.*?)```", OWN, re.DOTALL)
SMALL = ["--epochs", "1", "--device", "cpu"]


def block(start: str) -> str:
    [found] = [text for text in BLOCKS if text.lstrip().startswith(start)]
    return found


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import torch

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mydata").mkdir()
    return tmp_path


def test_a_classifier_from_rows_and_a_label_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = block('{"sentence"')
    labels = {json.loads(row)["label"] for row in rows.splitlines()}
    for split in ("train", "dev"):
        (place / "mydata" / f"{split}.jsonl").write_text(rows, encoding="utf-8")
    (place / "labels.txt").write_text("".join(label + "\n" for label in sorted(labels)), encoding="utf-8")
    _, *arguments = shlex.split(block("clue train tnews --data mydata"))
    assert run([*arguments, *SMALL]) == 0, capsys.readouterr().err
    assert list((place / "runs" / "tnews").iterdir())


def test_an_entity_model_from_a_task_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mydata" / "task.toml").write_text(block("family ="), encoding="utf-8")
    [row] = re.findall(r'`(\{"content".*?\})`', OWN, re.DOTALL)
    for split, verb in (("train", "去"), ("dev", "到")):
        text = json.dumps(json.loads(row), ensure_ascii=False).replace("去", verb)
        (place / "mydata" / f"{split}.jsonl").write_text(text + "\n", encoding="utf-8")
    (place / "notes.txt").write_text("李雷在北京\n", encoding="utf-8")
    data, train, predict = (shlex.split(line)[1:] for line in block("clue data mydata").splitlines())
    assert run(data) == 0, capsys.readouterr()
    assert run([*train, *SMALL]) == 0, capsys.readouterr().err
    [made] = (place / "runs" / "mydata").iterdir()
    capsys.readouterr()
    assert run([str(made) if word == "runs/mydata/..." else word for word in predict]) == 0
    shown = re.sub(r"\[| (?:person|place)\]", "", capsys.readouterr().out)
    assert "李雷在北京" in shown


def test_every_command_of_the_first_table_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb and option in it exists; what the commands do is tested verb by verb."""
    table = re.findall(r"^\| .*? \| (`clue .*?) \|$", README, re.MULTILINE)
    assert len(table) >= 7
    for command in (one for cell in table for one in re.findall(r"`(clue [^`]*)`", cell)):
        verb, *words = shlex.split(command)[1:]
        assert run([verb, "--help"]) == 0
        shown = capsys.readouterr().out
        for word in words:
            if word.startswith("-"):
                assert re.search(rf"(?<![\w-]){word}(?![\w-])", shown), command


TWIN = (ROOT / "README.zh.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("text", "title", "following"), [
    (README, "## Leaderboard\n", "## Your own data\n"), (TWIN, "## 成绩表\n", "## 自己的数据\n"),
])  # fmt: skip
def test_the_tables_are_what_the_program_prints(
    text: str, title: str, following: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["leaderboard", str(ROOT / "results"), "--format", "markdown"]) == 0
    printed = capsys.readouterr().out.splitlines()
    part = text[text.index(title) : text.index(following)].splitlines()
    assert [line for line in part if line.startswith(("|", "- "))] == [
        line for line in printed if line.startswith(("|", "- "))
    ]


def test_the_chinese_twin_has_the_same_commands() -> None:
    blocks, others = (re.findall(r"```(?:\w*)\n(.*?)```", text, re.DOTALL) for text in (README, TWIN))
    commands, twins = (
        [re.sub(r"\s+#.*", "", line) for block in found for line in block.splitlines()] for found in (blocks, others)
    )
    assert commands == twins


GUIDES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("own-data.md", "own-data.zh.md")}


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guide_to_own_data_shows_data_that_train(
    guide: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.findall(r"```toml\n(.*?)```\n\n```json\n(.*?)```", GUIDES[guide], re.DOTALL)
    families = [toml.split('"')[1] for toml, _ in shown]
    assert families == ["classification", "entities", "choice", "cloze", "reading"]
    for family, (toml, rows) in zip(families, shown, strict=True):
        data = place / family
        data.mkdir()
        (data / "task.toml").write_text(toml, encoding="utf-8")
        for split in ("train", "dev", "test"):
            (data / f"{split}.jsonl").write_text(rows, encoding="utf-8")
        limits = ["--max-length", "64", "--overlap", "8"]
        assert run(["train", str(data), *SMALL, *limits, "--output", f"run-{family}"]) == 0, capsys.readouterr().err
        assert "left out or changed" not in capsys.readouterr().out
        assert list(find_task(str(data)).read(Source.open(data), "test", Tally()))


def test_the_guide_names_every_key() -> None:
    for text in GUIDES.values():
        table = text[text.index("| `family`") :]
        named = {
            key
            for line in table.splitlines()
            if line.startswith("| ")
            for key in re.findall(r"`\[?(\w+)\]?`", line.split("|")[1])
        }
        assert named == set(own._KEYS)
