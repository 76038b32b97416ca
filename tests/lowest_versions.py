"""Prints the lowest version of every direct dependency that pyproject.toml allows, one `name==version` a line.

Read from the ranges themselves, so that the promise and its proof (`tests/lowest.sh`) cannot disagree.

    python tests/lowest_versions.py [--torch VERSION] [--extra test]
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
RANGE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<version>[0-9][0-9A-Za-z.]*)(?:,.*)?")


def lowest(requirements: Iterable[str], *, torch: str | None = None) -> list[str]:
    """`name==version` for each `name>=version`; ValueError for a requirement without a lower bound.

    `torch` stands in for the floor of torch, whose older builds bring several gigabytes along.
    """
    pins = []
    for requirement in requirements:
        match = RANGE.fullmatch(requirement.replace(" ", ""))
        if match is None:
            raise ValueError(f"pyproject.toml: {requirement!r} has no lower bound of the form name>=version")
        version = torch if torch and match["name"] == "torch" else match["version"]
        pins.append(f"{match['name']}=={version}")
    return pins


def requirements(extras: Sequence[str]) -> list[str]:
    """The direct dependencies of the package and of `extras`, as pyproject.toml has them; our own extras resolved."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            own = re.fullmatch(rf"{re.escape(project['name'])}\[(.+)\]", requirement)
            found += project["optional-dependencies"][own[1]] if own else [requirement]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--torch", help="take this version of torch instead of its floor")
    parser.add_argument("--extra", action="append", default=[], help="extras to include, e.g. test")
    options = parser.parse_args()
    print("\n".join(lowest(requirements(options.extra), torch=options.torch)))


if __name__ == "__main__":
    main()
