"""Third-party tasks: a package that names one in the entry-point group `clue.tasks`, and a file dropped into `tasks/`.

Each runs in a Python of its own, as a user's would; nothing is fetched: an installed package is a module and a
`.dist-info` directory on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

REVIEWS = """
from tasks.families.classification import TextClassification

TASK = TextClassification(name="reviews", title="Made-up reviews", labels=("good", "bad"), texts=("text",))
"""


def clue(*arguments: str, path: list[Path], directory: Path) -> subprocess.CompletedProcess[str]:
    """`clue ARGUMENTS` in `directory`, with `path` before everything else that Python finds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, "-m", "clue_cli", *arguments], cwd=directory, env=environment, capture_output=True, text=True
    )


def listed(path: list[Path], directory: Path) -> tuple[dict[str, Any], str]:
    """What `clue list --json` lists, by name, and what it says on standard error."""
    done = clue("list", "--json", path=path, directory=directory)
    assert done.returncode == 0, done.stderr
    return {task["name"]: task for task in json.loads(done.stdout)}, done.stderr


def installed(directory: Path, package: str, source: str, entry: str) -> Path:
    """A directory in which a package with one entry point is installed."""
    site = directory / f"site-{package}"
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{package}.py").write_text(source, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[clue.tasks]\n{entry}\n", encoding="utf-8")
    return site


def copied_tasks(directory: Path) -> Path:
    """A copy of the package `tasks` (without the sample records) that Python finds before ours."""
    site = directory / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "*.json")
    shutil.copytree(ROOT / "tasks", site / "tasks", ignore=ignored)
    return site


def test_an_installed_package_brings_a_task_and_a_broken_one_takes_none_away(tmp_path: Path) -> None:
    good = installed(tmp_path, "clue_reviews", REVIEWS, "reviews = clue_reviews:TASK")
    broken = installed(tmp_path, "clue_broken", "raise ImportError('needs another library')", "other = clue_broken")
    found, warnings = listed([good, broken], tmp_path)
    assert found["reviews"]["family"] == "classification"
    assert {"tnews", "cluener"} <= set(found)
    assert "other" not in found
    assert "clue_broken" in warnings
    assert "needs another library" in warnings


def test_a_file_dropped_into_tasks_is_a_task(tmp_path: Path) -> None:
    site = copied_tasks(tmp_path)
    (site / "tasks" / "reviews.py").write_text(REVIEWS, encoding="utf-8")
    assert listed([site], tmp_path)[0]["reviews"]["title"] == "Made-up reviews"
    shown = clue("show", "reviews", path=[site], directory=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "Made-up reviews" in shown.stdout


def test_a_foreign_package_called_tasks_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "site" / "tasks").mkdir(parents=True)
    (tmp_path / "site" / "tasks" / "__init__.py").write_text("", encoding="utf-8")
    done = clue("list", path=[tmp_path / "site"], directory=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "another package called `tasks`" in done.stderr
