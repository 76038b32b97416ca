"""The command line as a whole: help, examples, versions, statuses, one JSON document, interruptions."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len

from clue_cli.main import app, run

VERBS = [
    "list", "show", "data", "convert", "train", "eval", "predict", "submit", "export", "score", "leaderboard",
    "compare", "report",
]  # fmt: skip
GROUP: Any = typer.main.get_command(app)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def help_of(verb: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([verb, "--help"]) == 0
    return capsys.readouterr().out


def examples(shown: str) -> list[str]:
    """The commands at the end of a help text."""
    return [line.strip() for line in shown[shown.rindex("Examples:") :].splitlines()[1:] if line.strip()]


def test_the_verbs_stand_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(GROUP.commands) == VERBS
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"│ {verb} ") for verb in VERBS]
    assert places == sorted(places)
    assert run([]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns_and_shows_every_option_whole(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(verb, capsys)
    assert max(map(cell_len, shown.splitlines())) <= 80
    assert "…" not in shown
    for parameter in GROUP.commands[verb].params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("-"):
                assert re.search(rf"(?<![\w-]){name}(?![\w-])", shown), name
        assert getattr(parameter, "help", None)
        # Square brackets would be taken for markup and vanish.
        assert "[" not in parameter.help
    assert re.search(rf"Usage: clue {verb} \[OPTIONS\][ \w.\[\]]*\n", shown)


@pytest.mark.parametrize("verb", VERBS)
def test_help_ends_with_two_examples_that_parse(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    commands = examples(help_of(verb, capsys))
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command.split(" | ")[-1])
        assert words[:2] == ["clue", verb]
        GROUP.commands[verb].make_context(verb, words[2:])


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"clue {version('clue-baselines')}\n"


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """Standard output as JSON: one document, and nothing beside it."""
    capsys.readouterr()
    status = run([str(argument) for argument in (*arguments, "--json", "--quiet")])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert printed.err == ""
    return json.loads(printed.out)


def test_every_verb_prints_one_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    sample = ROOT / "tasks" / "samples" / "tnews"
    assert [task["name"] for task in document(capsys, "list")] != []
    assert document(capsys, "show", "tnews")["name"] == "tnews"
    assert document(capsys, "data", "tnews")["task"] == "tnews"
    assert document(capsys, "train", "tnews", "--show-recipe")["recipe"]["epochs"]["value"] > 0
    small = ["--limit", 8, "--eval-limit", 8, "--epochs", 1, "--device", "cpu"]
    [trained] = document(capsys, "train", "tnews", *small)
    assert trained["status"] == "finished"
    assert document(capsys, "eval", trained["run"], "--device", "cpu")["sample"] is True
    predicted = document(capsys, "predict", trained["run"], "--split", "dev", "-o", "dev.jsonl", "--device", "cpu")
    assert predicted["rows"] == 150
    scored = document(capsys, "score", "tnews", "--gold", sample / "dev.json", "--pred", "dev.jsonl")
    assert [one["metric"] for one in scored["metrics"]] == ["accuracy"]
    assert document(capsys, "leaderboard")["rows"]


def test_the_commands_that_come_next_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for data that no other verb would find by itself, in a directory with a space in its name."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "my data"
    own.mkdir()
    (own / "task.toml").write_text('family = "classification"\nlabels = ["good", "bad"]\n')
    for split in ("train", "dev"):
        rows = [{"text": f"{split}很好", "label": "good"}, {"text": f"{split}很差", "label": "bad"}]
        (own / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "FILE").mkdir()
    assert run(["train", "my data", "--epochs", "1", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    following = [line.strip() for line in shown[shown.index("next:") :].splitlines()[1:]]
    assert [shlex.split(command)[1] for command in following] == ["eval", "predict", "leaderboard"]
    (tmp_path / "texts.txt").write_text("很好\n", encoding="utf-8")
    for command in following:
        words = ["texts.txt" if word == "FILE" else word for word in shlex.split(command)[1:]]
        assert run(words) == 0, capsys.readouterr().err


def clue(*arguments: str, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # A shell starts what it runs in the background with Ctrl-C ignored, and its children inherit that.
    own = (lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) if os.name != "nt" else None
    command = [sys.executable, "-m", "clue_cli", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE, preexec_fn=own, **more)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_is_one_line_and_a_status(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """Interrupted while it reads standard input, which never ends; what was asked for is not there by half."""
    gold = ROOT / "tasks" / "samples" / "tnews" / "dev.json"
    started = clue("score", "tnews", "--gold", str(gold), "--pred", "/dev/stdin", stdin=subprocess.PIPE)
    assert started.stdin is not None
    # Larger than a pipe: when it is written, the program has begun to read.
    started.stdin.write('{"label": "104", "note": "' + "x" * 2_000_000 + '"}\n')
    started.stdin.flush()
    started.send_signal(number)
    _, told = started.communicate()
    assert started.returncode == status
    assert told == "interrupted\n"


EARLY = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            {interruption}

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("interruption", ["raise KeyboardInterrupt", "exec('raise KeyboardInterrupt')"])
def test_an_interruption_while_the_program_is_imported_is_no_traceback(interruption: str, tmp_path: Path) -> None:
    """Inside exec() too, after which Python would die of the signal."""
    (tmp_path / "sitecustomize.py").write_text(EARLY.format(interruption=interruption), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "clue_cli", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_the_installed_command_is_the_guarded_one() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"clue": "clue_cli.__main__:main"}


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
@pytest.mark.parametrize("arguments", [["show", "iflytek", "--json"], ["train", "--help"]])
def test_a_reader_that_leaves_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    started = clue(*arguments, stdout=writing)
    os.close(writing)
    _, told = started.communicate()
    assert (started.returncode, told) == (0, "")


def test_a_mistake_of_the_program_is_one_line_unless_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr("clue_cli.registry.tasks", broken)
    assert run(["list"]) == 1
    told = capsys.readouterr().err
    assert told == "error: ZeroDivisionError: no (a mistake of the program; --debug shows where)\n"
    assert run(["list", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_colours_only_on_a_terminal_that_wants_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run(["list"]) == 0
    assert "\x1b[" in capsys.readouterr().out
    for off in (["--no-color"], None):
        if off is None:
            monkeypatch.setenv("NO_COLOR", "1")
        assert run(["list", *(off or [])]) == 0
        assert not re.search(r"\x1b\[[\d;]*3[0-7]m", capsys.readouterr().out)


def test_only_the_first_process_of_a_machine_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert run(["show", "nothing"]) == 2
        said[rank] = capsys.readouterr().err
    assert "nothing" in said["0"]
    assert said["1"] == ""
