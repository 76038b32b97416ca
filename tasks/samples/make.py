"""Writes the sample records beside this file: `python -m tasks.samples.make`; `--check` compares instead of writing.

The records are made from the templates and word lists in `templates_*.py`, by a fixed seed a task, with nothing but the
standard library: the same bytes on every machine. They have the official form and the official file names, and some of
what real files do: string labels, U+2028 inside a line, last lines without a newline, test ids that are no row numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.samples import (
    templates_afqmc,
    templates_c3,
    templates_chid,
    templates_cluener,
    templates_cluewsc2020,
    templates_cmnli,
    templates_cmrc2018,
    templates_csl,
    templates_duee,
    templates_duee_fin,
    templates_duie,
    templates_dureader_robust,
    templates_fewclue_chid,
    templates_iflytek,
    templates_ocnli,
    tnews,
)
from tasks.samples.grammar import Dice, Files, Record

HERE = Path(__file__).parent

GENERATORS: dict[str, Callable[[Dice], Files]] = {
    "afqmc": templates_afqmc.generate,
    "c3": templates_c3.generate,
    "chid": templates_chid.generate,
    "cluener": templates_cluener.generate,
    "cluewsc2020": templates_cluewsc2020.generate,
    "cmnli": templates_cmnli.generate,
    "cmrc2018": templates_cmrc2018.generate,
    "csl": templates_csl.generate,
    "duee": templates_duee.generate,
    "duee_fin": templates_duee_fin.generate,
    "duie": templates_duie.generate,
    "dureader_robust": templates_dureader_robust.generate,
    "fewclue_chid": templates_fewclue_chid.generate,
    "iflytek": templates_iflytek.generate,
    "ocnli": templates_ocnli.generate,
    "tnews": tnews.generate,
}
"""Folder under `tasks/samples/` -> what makes its files."""

UNTERMINATED = {
    ("tnews", "test.json"),
    ("cluewsc2020", "test.json"),
    *(("csl", file) for file in ("train.json", "dev.json", "test.json")),
    *(("ocnli", file) for file in ("train.50k.json", "dev.json", "test.json")),
}
"""Files whose last line has no newline, as the official ones."""

COMPACT = {"ocnli"}
"""Tasks whose official files have no blank after commas and colons."""


def line(row: Record, task: str) -> str:
    """One row as its JSON line, in the official spacing."""
    separators = (",", ":") if task in COMPACT else (", ", ": ")
    return json.dumps(row, ensure_ascii=False, separators=separators)


def make() -> dict[Path, bytes]:
    """Every sample file: path under this folder -> bytes."""
    made = {}
    for task, generate in GENERATORS.items():
        for file, rows in generate(Dice(f"clue samples {task}")).items():
            text = rows if isinstance(rows, str) else "\n".join(line(row, task) for row in rows)
            end = "" if isinstance(rows, str) or (task, file) in UNTERMINATED else "\n"
            made[Path(task) / file] = (text + end).encode("utf-8")
    return made


def differences(made: dict[Path, bytes], root: Path = HERE) -> list[str]:
    """What differs between `made` and the files under `root`, one sentence a file: missing, different, not ours."""
    found = []
    for path, content in made.items():
        if not (root / path).is_file():
            found.append(f"{path} is missing")
        elif (root / path).read_bytes() != content:
            found.append(f"{path} differs")
    there = {path.relative_to(root) for task in GENERATORS for path in (root / task).glob("*")}
    return found + [f"{path} is not made by this script" for path in sorted(there - set(made))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the samples, or compares them with `--check`: 0 when they are the same, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m tasks.samples.make", description="Write the sample records.")
    parser.add_argument("--check", action="store_true", help="compare with the files that are there; write nothing")
    check = parser.parse_args(arguments).check
    made = make()
    if check:
        found = differences(made)
        for sentence in found:
            print(f"tasks/samples: {sentence}; run python -m tasks.samples.make", file=sys.stderr)
        return 1 if found else 0
    for path, content in made.items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_bytes(content)
    print(f"{len(made)} files, {sum(map(len, made.values()))} bytes under {HERE.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
