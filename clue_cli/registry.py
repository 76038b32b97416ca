"""Tasks found: every module of `tasks/`, other packages' through the entry-point group `clue.tasks`, and users' own.

A module of `tasks/` (or what an entry point names) holds one task as `TASK`. What cannot be loaded is no reason to
stop: it stands in `problems()`, and `find_task` says it when its name is asked for.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, cast

from clue_cli.contract import labels_sha256
from clue_cli.errors import ClueError, UserError, did_you_mean
from clue_cli.task import Task

ENTRY_GROUP = "clue.tasks"
PACKAGE = "tasks"
OWN_FILE = "task.toml"
"""Beside a user's own data: declares their task (see `tasks/families/own.py`)."""

_PARTS = ("name", "family", "title", "version", "files", "labels", "heads", "metrics", "read", "features")
"""What an object must have to be taken for a task."""


class _Found(NamedTuple):
    tasks: dict[str, Task]
    problems: dict[str, str]
    """Module or entry point -> why it is not among the tasks, in one line."""


def tasks() -> dict[str, Task]:
    """All tasks by name, in the order of names. UserError if another package called `tasks` hides ours."""
    return dict(_found().tasks)


def problems() -> list[str]:
    """One line for each module or package that should hold a task and does not; for `clue list` to show."""
    return list(_found().problems.values())


def find_task(name: str) -> Task:
    """The task called `name`, or a user's own one: a directory with a task.toml in it, or that file.

    A name goes before a directory of the same name (which `./name` reaches). UserError with the nearest names.
    """
    found = _found()
    if name in found.tasks:
        return found.tasks[name]
    if name in found.problems:
        raise UserError(found.problems[name])
    directory = own_directory(name)
    if directory is not None:
        return cast("Task", load_object(f"{PACKAGE}.families.own:read_task_file")(directory / OWN_FILE))
    if Path(name).is_dir():
        raise UserError(f"this directory has no {OWN_FILE} that says what its data are", where=name)
    if Path(name).is_file():
        hint = f"its directory, with a {OWN_FILE} in it, is a task; with --labels FILE --data {name} it serves a task"
        raise UserError("is a file; a task was expected", where=name, hint=hint)
    if "/" in name or name.endswith(".toml"):
        raise UserError("does not exist", where=name)
    here = Path("tasks") / f"{name}.py"
    installed = Path(__file__).parents[1]
    copied = f"{here} here is not in what is installed, {installed}: pip install -e ." if here.is_file() else None
    raise UserError(did_you_mean(name, found.tasks, "task"), hint=copied)


def own_directory(name: str) -> Path | None:
    """The directory of a user's own task (where its data lie unless `--data` says otherwise); None for a known name."""
    path = Path(name).expanduser()
    if name in _found().tasks:
        return None
    if path.suffix == ".toml" and path.is_file():
        if path.name != OWN_FILE:
            raise UserError(f"a user's own task is declared in a file called {OWN_FILE}", where=name)
        return path.parent
    return path if (path / OWN_FILE).is_file() else None


def restore_task(config: Mapping[str, Any], where: str | None = None) -> Task:
    """The task that a run, `where`, remembers: the inverse of `Task.to_config`.

    UserError where this program does not know it, has another version of it, or the configuration is damaged.
    """
    try:
        name, version = str(config["name"]), config["version"]
        fields, labels = _strings(config["fields"]), config.get("labels")
        if "declaration" in config:
            return cast("Task", load_object(f"{PACKAGE}.families.own:restore")(config["family"], config["declaration"]))
        labels = None if labels is None else _strings(labels)
    except (KeyError, TypeError) as error:
        raise UserError(f"the run's description of its task is damaged: {error!r}") from error
    known = tasks()
    if name not in known:
        hint = "install the package that brings it"
        raise UserError(f"the run was made with task {name!r}, which is not installed here", where=where, hint=hint)
    task: Any = known[name]
    if version != task.version:
        raise UserError(
            f"the run was made with version {version} of task {name}, this program has version {task.version}",
            where=where,
            hint="train again, or use the program that made it",
        )
    if config.get("schema") is not None:
        task = task.with_schema(config["schema"])
    elif labels is not None:
        task = task.with_labels(labels)
    if config.get("labels_sha256") not in (None, labels_sha256(task.labels)):
        raise UserError(
            f"the run was made with other labels of task {name}, or in another order, than this program has",
            where=where,
            hint="train again, or use the program that made it",
        )
    return cast("Task", task if fields == task.fields else task.with_fields(fields))


def load_object(path: str) -> Any:
    """The object that `package.module:Name` names. UserError, naming the path, if it cannot be loaded."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ClueError:
        raise
    except Exception as error:  # whatever a module raises while it is imported
        raise UserError(f"cannot load {path}: {_reason(error)}") from error


# -------------------------------------------------------------------- discovery


@functools.cache
def _found() -> _Found:
    found = _Found({}, {})
    for name, origin, load in (*_shipped(), *_installed()):
        try:
            task = _checked(load())
        except Exception as error:  # one broken task must not take the others with it
            found.problems[name] = f"{origin} holds no task that can be loaded: {_reason(error)}"
            continue
        if task.name in found.tasks:
            already = f"{origin} is left out: there is already a task called {task.name}"
            found.problems[name] = already
        else:
            found.tasks[task.name] = task
    return _Found(dict(sorted(found.tasks.items())), found.problems)


def _shipped() -> Iterator[tuple[str, str, Any]]:
    """Name, origin and loader of every module of our package `tasks`."""
    location = _our_package()
    for module in pkgutil.iter_modules([str(location)]):
        if not module.ispkg and not module.name.startswith("_"):
            path = f"{PACKAGE}.{module.name}"
            yield module.name, f"{PACKAGE}/{module.name}.py", functools.partial(importlib.import_module, path)


def _our_package() -> Path:
    """Where our `tasks` lies. UserError if Python finds another one first: its name is a common one."""
    spec = importlib.util.find_spec(PACKAGE)  # looks without importing what it finds
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if (place / "families" / "base.py").is_file():
            return place
    found = (spec.origin if spec and spec.origin else ", ".join(map(str, places))) or "nothing"
    raise UserError(
        f"Python finds another package called `{PACKAGE}` before the one of clue: {found}",
        hint="run clue from another directory, or rename that package",
    )


def _installed() -> Iterator[tuple[str, str, Any]]:
    """Name, origin and loader of every entry point of other packages."""
    for entry in metadata.entry_points(group=ENTRY_GROUP):
        package = entry.dist.name if entry.dist else "an unknown package"
        yield entry.name, f"task {entry.name!r} of package {package} ({entry.value})", entry.load


def _checked(loaded: Any) -> Task:
    task = getattr(loaded, "TASK", loaded)
    if missing := [part for part in _PARTS if not hasattr(task, part)]:
        raise TypeError("no TASK in it" if len(missing) == len(_PARTS) else f"its TASK has no {', '.join(missing)}")
    return cast("Task", task)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _strings(values: Sequence[Any]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"a list of strings was expected, found {values!r}")
    return tuple(values)
