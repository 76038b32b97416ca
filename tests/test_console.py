from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from clue_cli import console
from clue_cli.contract import Tally
from clue_cli.errors import RunError, UserError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    console.configure()
    yield
    console.configure()


def test_results_and_messages_have_streams_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    console.result("figure")
    console.message("going on")
    console.warn("look")
    captured = capsys.readouterr()
    assert captured.out == "figure\n"
    assert captured.err == "going on\nwarning: look\n"


def test_quiet_keeps_results_warnings_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(quiet=True)
    console.result("figure")
    console.message("going on")
    console.warn("look")
    with console.progress(2, "rows") as bar:
        bar.advance()
    assert bar.done == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("figure\n", "warning: look\n")


def test_silent_processes_only_fail(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(silent=True)
    console.result("a")
    console.message("b")
    console.warn("c")
    console.emit_json({})
    console.table(["a"], [[1]])
    assert console.fail(RunError("lost")) == 1
    assert capsys.readouterr() == ("", "error: lost\n")


def test_json_mode_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json=True)
    console.result("not here")
    console.table(["a"], [[1]])
    console.write("nor this")
    console.emit_json({"text": "中文 😀", "array": np.arange(2), "number": np.float32(0.5)})
    with pytest.raises(RuntimeError):
        console.emit_json({})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": "中文 😀", "array": [0, 1], "number": 0.5}
    assert "中文" in out


@pytest.mark.parametrize("bad", [math.nan, math.inf, np.float64("nan"), [np.array([math.inf])]])
def test_json_has_no_nan(bad: Any) -> None:
    with pytest.raises(ValueError):
        console.emit_json({"x": bad})


def test_json_for_streams_that_lack_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.emit_json({"t": "é😀"})
    assert json.loads(raw.getvalue()) == {"t": "é😀"}


def test_text_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.configure()
    console.result("中")
    sys.stdout.flush()
    assert raw.getvalue() == b"\\u4e2d\n"


def test_markup_and_control_characters_of_data_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.result("[bold]x[/bold] :smile: \x1b[31mred\x07 \u2028 end")
    assert capsys.readouterr().out == "[bold]x[/bold] :smile: \\x1b[31mred\\x07 \\u2028 end\n"
    console.table(["[red]a"], [["[/]\x1b[2J"]])
    assert "[red]a" in capsys.readouterr().out


def test_long_lines_stay_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.result("x y " * 100)
    assert capsys.readouterr().out.count("\n") == 1


def test_tables_fit_80_columns_and_align_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["中文标签", 12, 0.5], ["ascii", 3456, 12.25], ["很长" * 60, None, 1.0]]
    console.table(["label", "count", console.Column("share", right=True, best=True)], rows)
    lines = capsys.readouterr().out.splitlines()
    assert {cell_len(line) for line in lines} == {80}
    assert lines[2].rstrip().endswith("0.50")
    assert "3,456" in lines[3]


def test_tables_respect_the_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console.configure()
    console.table(["a", "b"], [["词" * 50, 1.0]])
    assert max(cell_len(line) for line in capsys.readouterr().out.splitlines()) <= 40


def test_the_best_number_is_bold() -> None:
    grid = console.build_table([console.Column("x", right=True, best=True)], [[1.0], [3.0], [2.0], [None]])
    bold = ["bold" in str(cell.spans) for cell in grid.columns[0].cells]  # type: ignore[union-attr]
    assert bold == [False, True, False, False]


@pytest.mark.parametrize(
    ("variable", "color", "expected"), [(None, None, True), ("1", None, False), (None, False, False)]
)
def test_colours(monkeypatch: pytest.MonkeyPatch, variable: str | None, color: bool | None, expected: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    if variable:
        monkeypatch.setenv("NO_COLOR", variable)
    console.configure(color=color)
    console.warn("look")
    assert ("\x1b[33m" in stream.getvalue()) is expected


def test_nothing_is_dropped_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    console.tally(tally)
    for line in range(7):
        tally.add("texts cut", f"d:{line}")
    tally.add("tokens cut from them", amount=1200)
    console.tally(tally)
    assert capsys.readouterr().err.splitlines() == [
        "warning: left out or changed: 7 texts cut (d:0, d:1, d:2, d:3, d:4, ...)",
        "warning: left out or changed: 1,200 tokens cut from them",
    ]


def test_errors_are_one_line_with_their_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.fail(UserError("wrong\nfield", where="a.json:3", hint="do this")) == 2
    assert capsys.readouterr().err == "error: a.json:3: wrong field (do this)\n"
    assert console.fail(ValueError("bug")) == 1
    assert capsys.readouterr().err.startswith("error: ValueError: bug (a mistake of the program")
    console.configure(debug=True)
    try:
        raise UserError("x")
    except UserError as error:
        console.fail(error)
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: x\n")


def test_progress_without_a_terminal_is_a_line_every_so_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with console.progress(100, "train", unit="steps", done=10) as bar:
        for _ in range(80):
            clock[0] += 1.0
            bar.advance(note="loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "train: 40 of 100 steps, 1.0 a second, 1:00 min left, loss 0.5",
        "train: 70 of 100 steps, 1.0 a second, 30 s left, loss 0.5",
    ]
    assert capsys.readouterr().out == ""


def test_progress_on_a_terminal_is_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    console.configure()
    with console.progress(10, "train") as bar:
        bar._shown -= 1.0
        bar.advance(4, note="loss")
    assert "4/10" in stream.getvalue()


def test_durations() -> None:
    shown = {0: "0 s", 59.6: "1:00 min", 61: "1:01 min", 3600: "1:00:00 h", 90061: "25:01:01 h"}
    assert {seconds: console.duration(seconds) for seconds in shown} == shown
