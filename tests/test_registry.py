"""Tasks are found wherever they come from; a broken one is said, and takes no other with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clue_cli import registry
from clue_cli.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = """
from tasks.families.classification import TextClassification
TASK = TextClassification(name="reviews", title="Reviews", labels=("good", "bad"), texts=("review",))
"""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry._found.cache_clear()
    yield
    registry._found.cache_clear()


def install(directory: Path, entry: str, modules: dict[str, str]) -> None:
    """A package as pip would lay it down: modules, and metadata with one entry point."""
    info = directory / "my_clue_tasks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-clue-tasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[clue.tasks]\n{entry}\n")
    for name, source in modules.items():
        (directory / f"{name}.py").write_text(source)


def python(path: str, program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_shipped_tasks() -> None:
    names = ["afqmc", "cluener", "cluewsc2020", "cmnli", "csl", "iflytek", "ocnli", "tnews"]
    assert [name for name in registry.tasks() if name in names] == names
    assert registry.problems() == []
    assert all(task.name == name for name, task in registry.tasks().items())


def test_every_head_and_metric_of_every_task_can_be_loaded() -> None:
    for task in registry.tasks().values():
        for path in (*task.heads.values(), *task.metrics.values()):
            assert callable(registry.load_object(path)), path


def test_a_task_remembers_itself() -> None:
    for task in registry.tasks().values():
        config = json.loads(json.dumps(task.to_config()))
        assert registry.restore_task(config).to_config() == config
    pair = registry.find_task("tnews").with_fields(["sentence", "keywords"])
    assert registry.restore_task(pair.to_config()).fields == ("sentence", "keywords")
    own = registry.find_task("tnews").with_labels(["好", "差"])
    restored = registry.restore_task(json.loads(json.dumps(own.to_config())))
    assert (restored.labels, restored.own, dict(restored.official)) == (("好", "差"), True, {})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 99}, "version 99 of task tnews, this program has version 1"),
        ({"name": "gone"}, "task 'gone', which is not installed"),
        ({"fields": ["nothing"]}, "unknown field of task tnews 'nothing'"),
        ({"fields": "sentence"}, "damaged"),
        ({"fields": None}, "damaged"),
        ({"labels": ["a", "a"]}, "listed twice"),
        ({"labels_sha256": "0" * 64}, "made with other labels of task tnews, or in another order"),
        ({"labels": [1, 2]}, "damaged"),
    ],
)
def test_a_run_of_another_program_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as caught:
        registry.restore_task({**registry.find_task("tnews").to_config(), **change})
    assert says in str(caught.value)
    with pytest.raises(UserError, match="damaged"):
        registry.restore_task({})


def test_a_misspelt_task_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown task 'tnew'; did you mean tnews"):
        registry.find_task("tnew")
    with pytest.raises(UserError, match="does not exist"):
        registry.find_task("some/where")


def test_a_directory_without_declaration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"has no task\.toml"):
        registry.find_task(str(tmp_path))
    (tmp_path / "tnews").mkdir()
    monkeypatch.chdir(tmp_path)
    assert registry.find_task("tnews").title == "Toutiao news titles, 15 topics", "a name goes before a directory"
    assert registry.own_directory("tnews") is None


def test_a_package_brings_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "reviews = my_reviews", {"my_reviews": PLUGIN})
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.find_task("reviews").labels == ("good", "bad")
    assert registry.restore_task(registry.find_task("reviews").to_config()).title == "Reviews"
    monkeypatch.delitem(sys.modules, "my_reviews")


@pytest.mark.parametrize(
    ("entry", "source", "says"),
    [
        ("reviews = my_broken", "1 / 0", "ZeroDivisionError"),
        ("reviews = my_missing", "", "No module named 'my_missing'"),
        ("reviews = my_broken:TASK", "x = 1", "no attribute 'TASK'"),
        ("reviews = my_broken", "TASK = 3", "no TASK in it"),
        ("reviews = my_broken", PLUGIN.replace("reviews", "tnews"), "already a task called tnews"),
        ("reviews = my_broken", PLUGIN.replace('"good", "bad"', '"a", "a"'), "a label is listed twice"),
        ("reviews = my_broken", PLUGIN + "raise SystemError('x')", "SystemError"),
    ],
)
def test_a_broken_package_is_named_and_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, source: str, says: str
) -> None:
    install(tmp_path, entry, {"my_broken": source})
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.find_task("tnews").title.startswith("Toutiao")
    (problem,) = registry.problems()
    assert "my-clue-tasks" in problem and says in problem and "\n" not in problem
    with pytest.raises(UserError, match="my-clue-tasks"):
        registry.find_task("reviews")
    sys.modules.pop("my_broken", None)


def test_a_file_dropped_into_tasks_is_a_task(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("samples", "__pycache__"))
    for package in ("clue_cli", "heads"):
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "tasks" / "reviews.py").write_text(PLUGIN)
    (tmp_path / "tasks" / "broken.py").write_text("import nothing_of_this_name\n")
    program = "from clue_cli import registry as r; print(r.find_task('reviews').title, len(r.tasks()), r.problems())"
    title, count, problem = python(str(tmp_path), program).split(" ", 2)
    assert (title, int(count)) == ("Reviews", len(registry.tasks()) + 1)
    assert "tasks/broken.py" in problem and "nothing_of_this_name" in problem


@pytest.mark.parametrize("shadow", ["tasks.py", "tasks/__init__.py"])
def test_another_package_called_tasks_is_said_and_not_run(tmp_path: Path, shadow: str) -> None:
    (tmp_path / shadow).parent.mkdir(exist_ok=True)
    (tmp_path / shadow).write_text("print('RUN')\n")
    program = (
        "from clue_cli import registry, errors\n"
        "try:\n    registry.tasks()\nexcept errors.UserError as error:\n    print(error)"
    )
    said = python(f"{tmp_path}{os.pathsep}{ROOT}", program)
    assert (
        said.startswith("Python finds another package called `tasks`") and str(tmp_path) in said and "RUN" not in said
    )


def test_listing_tasks_imports_nothing_heavy() -> None:
    program = (
        "import sys; from clue_cli import registry; registry.tasks()\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'accelerate', 'tokenizers'} & set(sys.modules)))"
    )
    assert python(str(ROOT), program) == "[]"


def test_what_cannot_be_loaded_is_named() -> None:
    for path in ("nothing_here:X", "clue_cli.errors:Nothing", "clue_cli.errors"):
        with pytest.raises(UserError, match=f"cannot load {path}"):
            registry.load_object(path)


def test_a_task_file_that_is_not_in_the_installed_package_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "takeaway.py").write_text("TASK = None")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"tasks.takeaway\.py here is not in what is installed.*pip install -e"):
        registry.find_task("takeaway")
