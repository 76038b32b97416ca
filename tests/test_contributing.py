"""CONTRIBUTING.md is true: its walk-through is done here step by step, in a copy of the package `tasks`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<content>.*?)```", re.DOTALL)
RUN = re.compile(r"<!-- run -->\n```\n(?P<commands>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a copy of `tasks` and the files of the walk-through."""
    place = tmp_path_factory.mktemp("walk-through")
    shutil.copytree(ROOT / "tasks", place / "tasks", ignore=shutil.ignore_patterns("__pycache__", "*.json"))
    for found in FILE.finditer(TEXT):
        path = place / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["content"], encoding="utf-8")
    return place


def python(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]), "PYTHONSAFEPATH": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=place, env=environment, capture_output=True, text=True)


def test_the_walk_through_adds_one_file_to_the_package(place: Path) -> None:
    shipped = {path.name for path in (ROOT / "tasks").rglob("*.py")} - {"takeaway.py"}  # a reader may have typed it
    assert {path.name for path in (place / "tasks").rglob("*.py")} - shipped == {"takeaway.py"}
    assert sorted(path.name for path in (place / "data").iterdir()) == ["dev.json", "train.json"]


def test_its_commands_work(place: Path) -> None:
    [run] = RUN.finditer(TEXT)
    for command in run["commands"].splitlines():
        program, *arguments = command.split()
        assert program == "clue"
        done = python(place, "-m", "clue_cli", *arguments)
        assert done.returncode == 0, done.stderr
        assert "takeaway" in done.stdout
    assert "fewer than 10 times in train" in " ".join(done.stdout.split())


def test_the_added_task_reads_its_rows(place: Path) -> None:
    program = (
        "from clue_cli.contract import Tally\n"
        "from clue_cli.registry import find_task\n"
        "from clue_cli.sources import Source\n"
        "task = find_task('takeaway')\n"
        "for split in ('train', 'dev'):\n"
        "    examples = list(task.read(Source.open('data'), split, Tally()))\n"
        "    assert len(examples) == task.counts[split]\n"
        "    print(*(example.gold for example in examples))\n"
    )
    assert python(place, "-c", program).stdout.splitlines() == ["good bad good bad", "good bad"]


def test_what_it_calls_exists() -> None:
    verbs = re.findall(r"`make (\w+)`|^make (\w+)", TEXT, re.MULTILINE)
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {first or second for first, second in verbs} <= targets
    for path in re.findall(r"`((?:tasks|tests|clue_cli|heads)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists() or path == "tasks/takeaway.py", path
