"""Who may know whom: read from the imports of every module, so that a wrong one fails here and not in a review.

    commands -> machinery -> ground floor        tasks -> ground floor, families, metrics        heads -> torch, numpy

The checks are functions of sources given as text; the last tests feed them made-up sources that break each rule.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("clue_cli", "tasks", "heads")
GROUND = {f"clue_cli.{name}" for name in ("errors", "contract", "task", "files", "lines", "sources", "hub")}
HEAVY = {
    "accelerate", "datasets", "matplotlib", "pandas", "pyarrow", "safetensors", "scipy", "sklearn", "tokenizers",
    "torch", "transformers",
}  # fmt: skip
"""Libraries that take longer to import than `clue list` may take altogether."""
QUICK_MACHINERY = {"clue_cli", "clue_cli.registry", "clue_cli.console"}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""Import names that differ from the name of their distribution."""


@dataclass(frozen=True)
class Import:
    """`at_start`: runs when the module is imported (outside functions and `if TYPE_CHECKING`)."""

    module: str
    line: int
    at_start: bool


def read_tree(root: Path = ROOT) -> dict[str, str]:
    """Module name -> source, for the three packages."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


@functools.cache
def parsed(source: str) -> ast.Module:
    """The syntax tree of a source; every module is looked at by many starts."""
    return ast.parse(source)


def imports(name: str, source: str, known: Mapping[str, str]) -> Iterator[Import]:
    """Every import of a module, relative ones resolved; `from package import module` names the module."""
    is_package = name in {module.rpartition(".")[0] for module in known}
    yield from _imports(parsed(source).body, name, is_package, known, at_start=True)


def _imports(
    nodes: list[ast.stmt], name: str, package: bool, known: Mapping[str, str], *, at_start: bool
) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_start)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".")
                above = here[: len(here) - node.level + package]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if inner in known else base, node.lineno, at_start)
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                yield from _imports(node.body, name, package, known, at_start=False)
                yield from _imports(node.orelse, name, package, known, at_start=at_start)
                continue
            yield from _imports(_inside(node), name, package, known, at_start=at_start and not later)


def _inside(node: ast.stmt) -> list[ast.stmt]:
    """The statements directly inside a compound statement, of all its branches."""
    found: list[ast.stmt] = []
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for item in getattr(node, field, []):
            found += item.body if isinstance(item, ast.ExceptHandler | ast.match_case) else [item]
    return found


def room(module: str) -> str:
    """The room of one of our modules: ground, machinery, roof, tasks, heads; "" for other people's."""
    top = module.partition(".")[0]
    if top in ("tasks", "heads"):
        return top
    if top != "clue_cli":
        return ""
    if module in GROUND:
        return "ground"
    roof = module in ("clue_cli.main", "clue_cli.__main__") or module.startswith("clue_cli.commands")
    return "roof" if roof else "machinery"


def may_know(importer: str, imported: str) -> bool:
    """Whether the rooms allow the import; `heads.base` and the bare package `tasks` name no head and no task."""
    source, target = room(importer), room(imported)
    allowed = {
        "ground": {"ground"},
        "machinery": {"ground", "machinery"},
        "roof": {"ground", "machinery", "roof"},
        "tasks": {"ground", "tasks"},
        "heads": {"heads"},
    }[source]
    return target in allowed or (source == "machinery" and imported in ("heads", "heads.base", "tasks"))


def layering(tree: Mapping[str, str]) -> list[str]:
    """Imports that the rooms forbid, and other people's libraries inside `heads` beside torch and numpy."""
    wrong = []
    for name, source in tree.items():
        for found in imports(name, source, tree):
            top = found.module.partition(".")[0]
            if room(found.module):
                fits = may_know(name, found.module)
            elif room(name) == "heads":
                fits = top in {"torch", "numpy"} | sys.stdlib_module_names
            else:
                fits = room(name) != "tasks" or top != "torch"
            if not fits:
                wrong.append(f"{name}:{found.line} imports {found.module}")
    return wrong


def start_imports(tree: Mapping[str, str], start: str) -> Iterator[tuple[str, Import]]:
    """Everything that importing `start` imports, followed through our own modules."""
    waiting, seen = [start], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in tree:
            continue
        seen.add(name)
        # Importing a.b.c runs a and a.b first.
        waiting += [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
        for found in imports(name, tree[name], tree):
            if found.at_start:
                yield name, found
                waiting.append(found.module)


def slow_starts(tree: Mapping[str, str]) -> list[str]:
    """Heavy libraries that come along when a module is imported that must start at once."""
    quick = [m for m in tree if room(m) in ("ground", "roof", "tasks") or m in QUICK_MACHINERY]
    return sorted(
        {
            f"{start} loads {found.module} through {name}:{found.line}"
            for start in quick
            for name, found in start_imports(tree, start)
            if found.module.partition(".")[0] in HEAVY
        }
    )


def named_plugins(tree: Mapping[str, str]) -> list[str]:
    """Strings in the machinery (docstrings aside) that are the name of a task or the path of a head."""
    tasks = {m.partition(".")[2] for m in tree if m.startswith("tasks.") and m.count(".") == 1}
    tasks -= {"families", "metrics", "samples"}
    wrong = []
    for name, source in tree.items():
        if room(name) not in ("ground", "machinery"):
            continue
        module = parsed(source)
        docs = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)}
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                if node.value in tasks:
                    wrong.append(f"{name}:{node.lineno} names the task {node.value!r}")
                elif re.match(r"heads\.(?!base\b)\w+", node.value):
                    wrong.append(f"{name}:{node.lineno} names the head {node.value!r}")
    return wrong


def undeclared(tree: Mapping[str, str], pyproject: str) -> list[str]:
    """Libraries imported and not among the direct dependencies of pyproject.toml."""
    lines = tomllib.loads(pyproject)["project"]["dependencies"]
    declared = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in lines}
    wrong = set()
    for name, source in tree.items():
        for found in imports(name, source, tree):
            top = found.module.partition(".")[0]
            own = top in PACKAGES or top in sys.stdlib_module_names or top == "__future__"
            if not own and DISTRIBUTIONS.get(top, top).lower().replace("_", "-") not in declared:
                wrong.add(f"{name}:{found.line} imports {top}")
    return sorted(wrong)


@pytest.fixture(scope="module")
def tree() -> dict[str, str]:
    return read_tree()


def test_the_rooms_keep_to_their_layers(tree: dict[str, str]) -> None:
    assert layering(tree) == []


def test_quick_modules_load_nothing_heavy(tree: dict[str, str]) -> None:
    assert slow_starts(tree) == []


def test_the_machinery_names_no_task_and_no_head(tree: dict[str, str]) -> None:
    assert named_plugins(tree) == []


def test_every_library_is_declared(tree: dict[str, str]) -> None:
    assert undeclared(tree, (ROOT / "pyproject.toml").read_text(encoding="utf-8")) == []


def test_declared_libraries_are_used(tree: dict[str, str]) -> None:
    used = {f.module.partition(".")[0] for name, source in tree.items() for f in imports(name, source, tree)}
    used = {DISTRIBUTIONS.get(top, top).replace("_", "-") for top in used}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in declared} <= used


def test_clue_list_starts_without_the_heavy_libraries() -> None:
    program = (
        "import sys\n"
        "from clue_cli.main import main\n"
        "sys.argv = ['clue', 'list']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', *sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


BROKEN = [
    (layering, {"clue_cli.errors": "import clue_cli.training", "clue_cli.training": ""}, "errors:1"),
    (layering, {"clue_cli.training": "from clue_cli.commands import train", "clue_cli.commands.train": ""}, ".train"),
    (layering, {"clue_cli.model": "def f():\n    from tasks.a import TASK", "tasks.a": ""}, "model:2 imports tasks.a"),
    (layering, {"clue_cli.model": "from heads.crf import CRF", "heads.crf": ""}, "imports heads.crf"),
    (layering, {"clue_cli.commands.list": "import tasks.tnews", "tasks.tnews": ""}, "imports tasks.tnews"),
    (layering, {"tasks.tnews": "from clue_cli.commands.train import train"}, "imports clue_cli.commands.train"),
    (layering, {"tasks.cluener": "if x:\n    import heads.crf", "heads.crf": ""}, "cluener:2 imports heads.crf"),
    (layering, {"tasks.families.spans": "try:\n    import torch\nexcept ImportError:\n    pass"}, "imports torch"),
    (layering, {"heads.crf": "from clue_cli.contract import Span"}, "imports clue_cli.contract"),
    (layering, {"heads.crf": "import transformers"}, "imports transformers"),
    (layering, {"tasks.a": "from . import b", "tasks.b": "", "tasks": "from .a import T"}, None),
    (
        slow_starts,
        {"clue_cli.main": "import clue_cli.model", "clue_cli.model": "import torch"},
        "main loads torch through",
    ),
    (slow_starts, {"clue_cli": "import transformers", "clue_cli.registry": ""}, "registry loads transformers"),
    (slow_starts, {"clue_cli.commands.train": "class A:\n    from datasets import x"}, "loads datasets"),
    (slow_starts, {"clue_cli.contract": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"}, None),
    (slow_starts, {"clue_cli.commands.train": "def f():\n    import torch"}, None),
    (named_plugins, {"clue_cli.training": "if name == 'tnews': pass", "tasks.tnews": ""}, "names the task 'tnews'"),
    (named_plugins, {"clue_cli.model": "load('heads.crf:CRF')"}, "names the head"),
    (named_plugins, {"clue_cli.model": "'''tnews'''\nx = 'heads.base:Head'", "tasks.tnews": ""}, None),
]


@pytest.mark.parametrize(("check", "sources", "expected"), BROKEN)
def test_the_checks_see_what_they_are_for(check, sources, expected) -> None:  # type: ignore[no-untyped-def]
    found = check(sources)
    assert (found == []) if expected is None else any(expected in line for line in found), found


def test_undeclared_libraries_are_seen() -> None:
    project = '[project]\ndependencies = ["scikit-learn>=1.5", "numpy>=2"]'
    source = "import sklearn.metrics, numpy as np, re, yaml"
    assert undeclared({"clue_cli.a": source}, project) == ["clue_cli.a:1 imports yaml"]
