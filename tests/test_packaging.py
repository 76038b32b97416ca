"""What the package promises about itself: its parts, its versions, its one test command."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
)


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_gives_the_command_that_the_whole_check_runs() -> None:
    *_, command = (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().splitlines()
    assert command.endswith("pytest -n 2")
    for name in ("README.md", "README.zh.md"):
        assert command in (ROOT / name).read_text(encoding="utf-8").splitlines(), name


@pytest.mark.parametrize("script", [".ci/run", "tests/lowest.sh"])
def test_scripts_are_bash_that_parses_and_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_every_dependency_has_a_floor_and_a_tested_version_above_it() -> None:
    for line in PROJECT["dependencies"]:
        requirement = Requirement(line)
        assert requirement.name in PINS, f"{line}: no tested version in constraints.txt"
        assert Version(PINS[requirement.name]) in requirement.specifier, line
        # Open upwards: a ceiling would keep users from releases that nobody has seen fail.
        assert {clause.operator for clause in requirement.specifier} == {">="}, line


def test_the_lowest_versions_are_those_of_the_ranges() -> None:
    script = load_script("lowest_versions")
    assert script.lowest(["numpy>=2.0", "torch>=2.6"]) == ["numpy==2.0", "torch==2.6"]
    assert script.lowest(["torch>=2.6", "a>=1"], torch="2.13.0") == ["torch==2.13.0", "a==1"]
    with pytest.raises(ValueError, match="rich"):
        script.lowest(["rich"])
    lowest = script.lowest(script.requirements(["test"]))
    extras = PROJECT["optional-dependencies"]
    # The extra `test` brings `export` along, which stands in it as one entry.
    assert len(lowest) == len(PROJECT["dependencies"]) + len(extras["test"]) - 1 + len(extras["export"])


def test_every_file_of_the_packages_is_shipped() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    for package in ("clue_cli", "tasks", "heads"):
        for path in (ROOT / package).rglob("*"):
            inside = path.relative_to(ROOT / package).as_posix()
            if path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            assert any(fnmatch.fnmatchcase(inside, pattern) for pattern in patterns[package]), path


def test_every_directory_with_modules_is_a_package() -> None:
    for package in ("clue_cli", "tasks", "heads"):
        for directory in {path.parent for path in (ROOT / package).rglob("*.py")}:
            assert (directory / "__init__.py").is_file(), directory
        assert (ROOT / package / "py.typed").is_file()


def test_the_licence_is_the_one_declared() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_the_changelog_speaks_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(PROJECT['version'])}\]", text, re.MULTILINE)
