from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import math
import re
import statistics
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from clue_cli import console
from clue_cli.commands.leaderboard import leaderboard_command
from clue_cli.errors import UserError
from clue_cli.leaderboard import Cell, Column, Leaderboard, Row, _add_averages, build
from clue_cli.leaderboard_filters import Filters
from clue_cli.leaderboard_formats import View, as_csv, as_document, as_html, as_markdown, as_text
from clue_cli.leaderboard_marks import SAMPLE, UNOFFICIAL
from clue_cli.record import DataFile, DataInfo
from clue_cli.records import find_records, read_records
from clue_cli.references import averages, references

sys.path.insert(0, str(Path(__file__).parent))
from record_cases import make_record, make_result

OLD = ["tnews", "iflytek", "afqmc", "cmnli", "cluewsc2020", "csl"]
NEW = ["tnews", "iflytek", "afqmc", "ocnli", "cluewsc2020", "csl"]
ALL = [*dict.fromkeys(OLD + NEW)]


def table(records: list[Any], **filters: Any) -> Leaderboard:
    published = filters.pop("published", "none")
    return build(records, Filters(**filters), published=published)


def cells(board: Leaderboard) -> list[dict[str, float]]:
    return [{f"{c.task} {c.metric}": round(v.score, 6) for c, v in row.cells.items()} for row in board.rows]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.1)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_seeds_become_mean_and_spread(values: list[tuple[float, float]]) -> None:
    records = [
        make_record(group="g", seed=seed, results=[make_result(figure=figure, errors={"accuracy": error})])
        for seed, (figure, error) in enumerate(values)
    ]
    (row,) = table(records[::-1]).rows
    cell = row.cells[Column("tnews", "accuracy")]
    percents = [100 * figure for figure, _ in values]
    assert cell.score == pytest.approx(statistics.mean(percents))
    assert cell.error == pytest.approx(100 * statistics.mean(error for _, error in values))
    assert cell.seeds == tuple(range(len(values)))
    if len(values) == 1:
        assert cell.spread is None
        assert row.runs() == "single run"
    else:
        assert cell.spread == pytest.approx(statistics.stdev(percents))
        assert row.runs() == f"{len(values)} seeds"


def test_runs_without_a_group_stay_single_newest_first() -> None:
    board = table(
        [
            make_record(figures={"accuracy": 0.4}, started="2026-11-20T10:00:00+00:00"),
            make_record(figures={"accuracy": 0.3}, started="2026-11-22T10:00:00+00:00"),
            make_record("csl", figures={"accuracy": 0.7}),
        ]
    )
    assert sorted(map(str, cells(board))) == sorted(
        map(
            str,
            [
                {"tnews accuracy": 30.0, "csl accuracy": 70.0},
                {"tnews accuracy": 40.0},
            ],
        )
    )


def test_what_makes_a_row_of_its_own() -> None:
    records = [
        make_record(),
        make_record(encoder="other"),
        make_record(head="crf"),
        make_record(chosen={"epochs": 9}),
        make_record(sample=True),
        make_record(official=False),
        make_record(limit=100),
    ]
    rows = table(records).rows
    assert len(rows) == 7
    assert {row.details for row in rows} == {(), ("epochs=9",)}
    assert {row.marks for row in rows} == {(), (SAMPLE,), (UNOFFICIAL,), ("trained on 100 rows only (--limit)",)}
    assert [bool(row.marks) for row in rows] == [False] * 4 + [True] * 3


def test_weights_of_one_name_are_told_apart_but_not_random_ones() -> None:
    board = table([make_record(), make_record()])
    assert {row.encoder for row in board.rows} == {"mini-zh"}
    records = [make_record(), make_record("csl")]
    records[1].encoder.sha256 = "0" * 64
    assert sorted(row.encoder for row in table(records).rows) == sorted(
        ["mini-zh@" + records[0].encoder.sha256[:8], "mini-zh@00000000"]
    )
    for record in records:
        record.encoder.scratch = True
    (row,) = table(records).rows
    assert row.encoder == "mini-zh (scratch)"


def test_marks_of_single_figures() -> None:
    newer = make_record()
    newer.task.version = 2
    tuned = make_record("csl", results=[make_result(threshold=0.5, threshold_origin="tuned on dev", missing=2)])
    part = make_record("afqmc", data=DataInfo(eval_limit=50))
    other = make_record("cmnli", results=[make_result(data=DataInfo(sample=True))])
    board = table([newer, make_record(started="2026-01-01T00:00:00+00:00"), tuned, part, other])
    found = {c.task: v.marks for row in board.rows for c, v in row.cells.items() if v.marks}
    assert found == {
        "tnews": ("version 1 of the task (newest 2)",),
        "csl": ("threshold tuned on dev itself", "2 rows without a prediction, counted as wrong"),
        "afqmc": ("scored on 50 rows only (--eval-limit)",),
        "cmnli": (SAMPLE,),
    }
    assert list(board.footnotes().values()) == ["a", "b", "c", "d", "e"]


def test_bold_is_the_best_of_two_or_more_comparable_rows() -> None:
    def best(*records: Any) -> list[float]:
        board = table(list(records))
        column = Column("tnews", "accuracy")
        return [row.cells[column].score for row in board.rows if board.is_best(row, column)]

    low, high = make_record(figures={"accuracy": 0.25}), make_record(figures={"accuracy": 0.5}, head="b")
    cheat = make_record(figures={"accuracy": 0.75}, sample=True)
    cheat2 = make_record(figures={"accuracy": 0.5}, sample=True, head="b")
    assert best(low) == []
    assert best(low, high, cheat) == [50.0]
    assert best(low, cheat, cheat2) == []
    assert best(cheat, cheat2) == [75.0]
    assert best(high, make_record(figures={"accuracy": 0.5}, head="c"), low) == [50.0, 50.0]


def test_averages_need_the_whole_set_and_never_mix_sets() -> None:
    old = [make_record(t, figures={"accuracy": 0.5}, encoder="old") for t in OLD]
    new = [make_record(t, figures={"accuracy": 0.25}, encoder="new") for t in NEW]
    part = [make_record(t, encoder="part") for t in OLD[:-1]]
    both = [make_record(t, figures={"accuracy": 0.75 if t == "cmnli" else 0.15}, encoder="both") for t in ALL]
    board = table(old + new + part + both)
    found = {row.encoder: row.averages for row in board.rows}
    assert found["old"] == {"CLUE 1.0 (6 of 9)": pytest.approx(50)}
    assert found["new"] == {"CLUE 1.1 (6 of 9)": pytest.approx(25)}
    assert found["part"] == {}
    assert found["both"] == {"CLUE 1.0 (6 of 9)": pytest.approx(25), "CLUE 1.1 (6 of 9)": pytest.approx(15)}
    assert set(averages()) == {"CLUE 1.0 (6 of 9)", "CLUE 1.1 (6 of 9)"}
    assert table(part).averages == []


@pytest.mark.parametrize(
    ("tnews", "wsc", "others", "found"),
    [
        ("test1.1", "test1.1", "test", ["CLUE 1.1 (6 of 9)"]),
        ("test1.0", "test1.0", "test", ["CLUE 1.0 (6 of 9)"]),
        ("test1.0", "test1.1", "test", []),
        ("test1.0", "test1.0", "test1.0", ["CLUE 1.0 (6 of 9)"]),
        ("dev", "dev", "dev", ["CLUE 1.0 (6 of 9)", "CLUE 1.1 (6 of 9)"]),
        ("dev", "dev", "test", []),
    ],
)
def test_averages_are_of_one_set_of_test_files(tnews: str, wsc: str, others: str, found: list[str]) -> None:
    row = Row("encoder", "head", ())
    for task in ALL:
        split = {"tnews": tnews, "cluewsc2020": wsc}.get(task, others)
        row.cells[Column(task, "accuracy")] = Cell(50.0, split)
    _add_averages(row)
    assert list(row.averages) == found


def test_a_precision_that_is_not_the_usual_one_is_told() -> None:
    records = [make_record(seed=seed, precision="bf16") for seed in (1, 2)] + [make_record(precision="float32")]
    details = [row.details for row in table(records).rows]
    assert sorted(details) == [(), (), ("precision=float32",)]
    assert [row.details for row in table(records[:2]).rows] == [(), ()]


def test_figures_on_other_data_or_labels_are_not_ranked_beside_the_usual_ones() -> None:
    def own(encoder: str, dev: str, labels: str = "1") -> Any:
        files = [DataFile("dev.jsonl", "dev", hashlib.sha256(dev.encode()).hexdigest(), False, 10)]
        record = make_record(encoder=encoder, data=DataInfo(files), official=False)
        record.task.labels_sha256 = hashlib.sha256(labels.encode()).hexdigest()
        return record

    board = table([own("a", "x"), own("b", "x"), own("c", "y"), own("d", "y"), own("e", "x", "2"), own("f", "x")])
    column = Column("tnews", "accuracy")
    marks = {row.encoder: row.cells[column].marks for row in board.rows}
    assert marks["a"] == marks["b"] == marks["f"] == ()
    assert marks["c"] == marks["d"] != ()
    assert "other dev files" in marks["c"][0]
    assert "other labels" in marks["e"][0]
    # c and d are the best of their own like, whatever the others have.
    assert {row.encoder for row in board.rows if board.is_best(row, column)} == set("abfcd")
    assert not any(board.is_near_best(row, column) for row in board.rows)


def test_metrics_have_columns_of_their_own() -> None:
    board = table([make_record("cluener", figures={"cluener:official": 0.6, "span:micro_f1": 0.7})])
    assert cells(board) == [{"cluener cluener:official": 60.0, "cluener span:micro_f1": 70.0}]
    assert cells(
        table(
            [make_record("cluener", figures={"cluener:official": 0.6, "span:micro_f1": 0.7})],
            metrics=("span:micro_f1",),
        )
    ) == [{"cluener span:micro_f1": 70.0}]


def test_splits_never_meet() -> None:
    records = [make_record(), make_record("csl", split="test"), make_record("afqmc", split="test1.0")]
    assert cells(table(records)) == [{"tnews accuracy": 50.0}]
    board = table(records, split="test")
    (row,) = board.rows
    assert row.cells[Column("afqmc", "accuracy")].marks == ("split test1.0",)
    assert board.left_out == {"runs without a figure on test": 1}


def test_filters() -> None:
    records = [make_record(), make_record("csl", head="crf"), make_record("afqmc", encoder="Other-Base")]
    assert cells(table(records, tasks=("csl",))) == [{"csl accuracy": 50.0}]
    assert cells(table(records, heads=("crf",))) == [{"csl accuracy": 50.0}]
    assert cells(table(records, encoders=("other",))) == [{"afqmc accuracy": 50.0}]
    for wrong, words in (
        ({"tasks": ("tnes",)}, "did you mean tnews"),
        ({"heads": ("cfr",)}, "did you mean crf"),
        ({"metrics": ("acuracy",)}, "did you mean accuracy"),
        ({"split": "devs"}, "did you mean dev"),
    ):
        with pytest.raises(UserError, match=words):
            table(records, **wrong)


def test_unfinished_runs_are_marked() -> None:
    (row,) = table([make_record(status="interrupted")]).rows
    assert row.marks == ("run interrupted",)


def test_records_are_found_read_once_and_bad_ones_named(tmp_path: Path) -> None:
    make_record().save(tmp_path / "runs" / "tnews" / "a")
    make_record("csl").save(tmp_path / "runs" / "csl" / "b")
    make_record().save(tmp_path / "results" / "copy")
    make_record("afqmc").save(tmp_path / "results" / "afqmc.record.json")
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "record.json").write_text("{")
    (tmp_path / "runs" / ".hidden").mkdir()
    (tmp_path / "runs" / ".hidden" / "record.json").write_text("{")
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    paths = find_records(tmp_path / place for place in ("runs", "results", "runs/tnews", "runs/csl/b"))
    records, skipped = read_records(paths)
    assert sorted(r.task.name for r in records) == ["afqmc", "csl", "tnews"]
    assert len(skipped) == 1
    assert "bad" in skipped[0][0]
    with pytest.raises(UserError, match="no such directory"):
        find_records([tmp_path / "nowhere"])


# ---------------------------------------------------------------- formats


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    values = iter(range(1, 1000))
    records = [make_record(t, figures={"accuracy": next(values) / 997}, seed=s, group=t) for t in ALL for s in (1, 2)]
    records += [make_record(t, figures={"accuracy": next(values) / 997}, encoder="zweite 编码器") for t in OLD]
    records += [
        make_record("cluener", figures={"cluener:official": next(values) / 997, "span:micro_f1": 0.5}, head=head)
        for head in ("softmax", "efficient-globalpointer")
    ]
    records.append(make_record("tnews", sample=True, encoder="<b>|evil|</b> & \x1b[31m'\"*_"))
    return table(records, published="main")


def figures(text: str) -> list[str]:
    return sorted(re.findall(r"\d+\.\d\d(?=±|\D|$)", re.sub(r"sd \d+\.\d\d", "", text)))


def test_the_formats_agree(board: Leaderboard) -> None:
    document = json.loads(as_text(board, "json"))
    rows = document["rows"] + document["references"]
    expected = sorted(
        [f"{cell['score']:.2f}" for row in rows for cell in row["cells"]]
        + [f"{value:.2f}" for row in rows for value in row["averages"].values() if value is not None]
    )
    lines = list(csv.DictReader(io.StringIO(as_csv(board))))
    assert sorted(f"{float(line['score']):.2f}" for line in lines) == expected
    errors = sorted(f"{c['error']:.1f}" for row in rows for c in row["cells"] if c["error"] is not None)
    assert sorted(f"{float(line['error']):.1f}" for line in lines if line["error"]) == errors
    bold = sum(cell["best"] for row in rows for cell in row["cells"])
    assert 0 < bold <= sum(line["best"] == "yes" for line in lines)
    markdown = [
        cell
        for line in as_markdown(board).splitlines()
        if line.startswith("| ")
        for cell in re.split(r"(?<!\\)\|", line)[3:]
    ]
    assert sorted(m for cell in markdown for m in re.findall(r"^\W*(\d+\.\d\d)", cell)) == expected
    assert as_markdown(board).count("**") // 2 - 1 == sum(line["best"] == "yes" for line in lines)
    page = Cells()
    page.feed(as_html(board))
    assert sorted(m for cell in page.cells for m in re.findall(r"^\d+\.\d\d", cell)) == expected
    for width in (80, 200):
        terminal = [re.sub(r"sd \d+\.\d\d", "", line) for line in as_text(board, "table", width).splitlines()]
        found = [m for line in terminal for m in re.findall(r"(?<=\s)\d+\.\d\d(?=±|\s|$)", line)]
        assert sorted(found) == expected


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.open = False
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        if tag == "td":
            self.open = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag != "td"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.cells[-1] += data


def test_the_terminal_table_fits(board: Leaderboard) -> None:
    for width in (60, 80, 120):
        lines = as_text(board, "table", width).splitlines()
        assert max(map(cell_len, lines)) <= width
    text = as_text(board, "table", 80)
    assert "\x1b" not in text
    for task in (*ALL, "cluener", "official", "micro_f1", "CLUE 1.0", "CLUE 1.1"):
        assert task in text


def test_the_page_says_each_source_once_and_its_signs_before_the_tables(board: Leaderboard) -> None:
    page = as_html(board)
    assert page.index("± item-level standard error") < page.index("<table>")
    sources = {html.escape(row.source, quote=True) for row in board.references if row.source}
    assert [page.count(f">{source}</dd>") for source in sources] == [1] * len(sources)
    assert [page.count(source) for source in sources] == [1] * len(sources)
    linked = re.findall(r'href="#([^"]+)">\[', page)
    shown = [row for _, _, rows, _ in View(board).tables("") for row in rows if row.published]
    assert len(linked) == len(shown)
    assert all(f'id="{name}"' in page for name in linked)


def test_data_never_become_markup(board: Leaderboard) -> None:
    page = as_html(board)
    assert "<b>|evil" not in page
    assert "&lt;b&gt;|evil|&lt;/b&gt; &amp;" in page
    assert "<script" not in page
    assert "http" not in re.sub(r"https://[\w./-]+", "", page) or "src=" not in page
    line = next(line for line in as_markdown(board).splitlines() if "evil" in line)
    assert line.count("|") - line.count("\\|") == as_markdown(board).splitlines()[0].count("|")
    assert "\\<b\\>" in line


def test_json_is_finite_and_footnotes_are_explained(board: Leaderboard) -> None:
    document = as_document(board)
    json.dumps(document, allow_nan=False)
    used = {m for row in document["rows"] + document["references"] for m in row["marks"]}
    used |= {m for row in document["rows"] + document["references"] for cell in row["cells"] for m in cell["marks"]}
    assert used == set(document["footnotes"])
    assert SAMPLE in document["footnotes"].values()


def test_tasks_of_a_kind_stand_together(tmp_path: Path) -> None:
    from dataclasses import replace

    families = {"tnews": "classification", "duie": "relations", "duee": "events", "odd": "third kind"}
    records = []
    for task, family in families.items():
        record = make_record(task, figures={"accuracy": 0.25 + len(task) / 100}, sample=task == "duee")
        records.append(replace(record, task=replace(record.task, family=family)))
    board = build(records, Filters(), published="main")
    assert [(part.title, [key[0] for key in part.keys]) for part in board.parts] == [
        ("Classification", ["tnews"]),
        ("Relations and events", ["duie", "duee"]),
        ("Third kind", ["odd"]),
    ]
    text = as_markdown(board)
    heads = re.findall(r"^### (.*)$", text, re.M)
    assert heads == ["Classification", "Relations and events", "Third kind"]
    tables = re.split(r"^### .*$", text, flags=re.M)[1:]
    assert [re.findall(r"\*\*Published", table) for table in tables] == [["**Published"], [], []]
    assert all(name in table for name, table in zip(("tnews", "duie", "odd"), tables, strict=True))
    assert "odd" not in tables[1]
    assert re.findall(r"^(\w.+)$", as_text(board, "table", 100), re.M)[0] == "Classification"
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", as_html(board)) == heads
    assert "###" not in as_markdown(build(records[:1], Filters(), published="main"))


def test_letters_of_footnotes_follow_the_table() -> None:
    from dataclasses import replace

    marked = make_record("tnews", sample=True)
    other = make_record("duie", official=False)
    other = replace(other, task=replace(other.task, family="relations"))
    board = build([other, marked], Filters(), published="none")
    assert list(board.footnotes().items()) == [(SAMPLE, "a"), (UNOFFICIAL, "b")]


# ---------------------------------------------------------------- published figures


def test_published_figures_are_of_known_tasks_and_metrics() -> None:
    from clue_cli.registry import tasks

    known = tasks()
    rows = references()
    assert len(rows) > 500
    for row in rows:
        assert row.metric in known[row.task].metrics
        assert row.split in ("dev", "test", "test1.0", "test1.1", "unknown")
        assert 0 < row.score < 100
        assert math.isfinite(row.score)
        assert row.source
        assert row.disputed == any(note.startswith("disputed: ") for note in row.notes)
    keys = [(r.system, r.encoder, r.size, r.source, r.task, r.split, r.metric) for r in rows]
    assert len(set(keys)) == len(keys)
    assert {task for average in averages().values() for task, _ in average.members} <= set(known)


def test_every_official_task_has_published_figures_beside_it() -> None:
    from clue_cli.registry import tasks

    ranked = {name for name, task in tasks().items() if not task.own}
    assert ranked - {row.task for row in references()} == {"fewclue_chid"}, "nobody publishes this re-split"


def test_exact_spans_and_official_em_never_share_a_column() -> None:
    official = {r.score for r in references() if r.metric == "cmrc2018:official"}
    span = {r.score for r in references() if r.metric == "cmrc2018:span"}
    assert {64.77, 71.60, 75.40, 64.4} <= official
    assert span == {56.17, 56.54, 56.26, 57.91, 58.09}


def test_micro_and_macro_never_share_a_column() -> None:
    official = {r.score for r in references() if r.metric == "cluener:official"}
    micro = {r.score for r in references() if r.metric == "span:micro_f1"}
    assert {80.42, 78.82} <= official
    assert {79.51, 80.03} <= micro
    assert not {r.split for r in references() if r.metric == "cluener:official"} - {"test"}


def test_published_figures_agree_with_their_collection(shared: Path) -> None:
    splits = {
        "test 1.0": "test1.0",
        "test 1.1": "test1.1",
        "not stated": "unknown",
        "test1": "test",
        "test (Qianyan leaderboard)": "test",
    }
    names = {"duie2.0": "duie", "duee1.0": "duee"}

    def percent(text: str) -> float:
        score = float(text)
        return round(score * 100 if score < 1 else score, 2)

    with (shared / "reference" / "published-scores.csv").open(encoding="utf-8", newline="") as file:
        source = {
            (
                r["system"],
                r["encoder"],
                r["size"],
                names.get(r["task"], r["task"]),
                splits.get(r["split"], r["split"]),
                percent(r["score"]),
            )
            for r in csv.DictReader(file)
            if re.fullmatch(r"\d+(\.\d+)?", r["score"])
        }
    for row in references():
        assert (row.system, row.encoder, row.size, row.task, row.split, round(row.score, 2)) in source


def test_published_rows_stand_apart_and_can_be_widened() -> None:
    records = [make_record(t) for t in ALL]
    none, main, everything = (table(records, published=choice) for choice in ("none", "main", "all"))
    assert none.references == []
    assert 0 < len(main.references) < len(everything.references)
    assert all(row.published for row in main.references)
    assert not any(row.published for row in main.rows)
    assert {c for row in everything.references for c in row.cells} <= set(everything.columns)
    crf = table([make_record("cluener", figures={"span:micro_f1": 0.5}, head="crf")], published="all", heads=("crf",))
    assert [row.head for row in crf.references] == ["CRF"]


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(leaderboard_command)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_command(run: Any, tmp_path: Path) -> None:
    make_record().save(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "record.json").write_text("no")
    result = run("--task", "tnews", "--references", "none")
    assert result.exit_code == 0
    assert "50.00±1.2" in result.stdout
    assert "b/record.json" in result.stderr
    assert "1 records that cannot be read" in result.stdout
    document = json.loads(run("--json").stdout)
    assert document["rows"][0]["cells"][0]["score"] == 50.0
    assert len(document["skipped"]) == 1
    assert next(csv.DictReader(io.StringIO(run("--format", "csv").stdout)))["task"] == "tnews"
    console.configure()


def test_command_without_runs_shows_published_figures(run: Any) -> None:
    result = run()
    assert result.exit_code == 0
    assert "no runs yet" in result.stderr
    assert "Published figures" in result.stdout


def test_command_writes_files_whole_and_never_over_others(run: Any, tmp_path: Path) -> None:
    make_record().save(tmp_path / "runs" / "a")
    for form in ("table", "markdown", "csv", "json", "html"):
        path = tmp_path / f"out.{form}"
        assert run("--format", form, "-o", path).exit_code == 0
        assert "50.0" in path.read_text(encoding="utf-8")
        assert isinstance(run("--format", form, "-o", path).exception, UserError)
        assert run("--format", form, "-o", path, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "mardown"], "did you mean markdown"),
        (["--references", "nine"], "unknown references"),
        (["--task", "tnes"], "did you mean tnews"),
        (["nowhere"], "no such directory"),
        (["--encoder", "zzz"], "no run and no published figure fits"),
    ],
)
def test_wrong_requests(run: Any, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)


def test_a_split_without_a_figure_is_known_and_the_hint_says_what_would_show_one(run: Any, tmp_path: Path) -> None:
    make_record().save(tmp_path / "older")
    for split, hint in (("test1.1", "widen --task"), ("test1.0", "--references all, or widen --task")):
        error = run(tmp_path, "--split", split).exception
        assert "no run and no published figure fits" in str(error)
        assert error.hint.startswith(hint)
    assert run(tmp_path, "--split", "test1.0", "--references", "all").exit_code == 0
    make_record(split="test1.1").save(tmp_path / "newer")
    assert "50.00" in run(tmp_path, "--split", "test1.1").output
    assert "unknown split" in str(run(tmp_path, "--split", "test1.2").exception)


def test_figures_that_cannot_be_told_from_the_best_are_marked() -> None:
    def one(encoder: str, figure: float, error: float, **more: Any) -> Any:
        return make_record(encoder=encoder, results=[make_result(figure=figure, errors={"accuracy": error})], **more)

    rows = [one("a", 0.60, 0.01), one("b", 0.58, 0.01), one("c", 0.50, 0.01), one("d", 0.59, 0.01, limit=5)]
    board = table([*rows, make_record(encoder="e", results=[make_result(figure=0.595, errors={})])])
    column = Column("tnews", "accuracy")
    # b: 2 points at an error of 1.41; c: 10 points; d is not comparable; e has no error; a is the best itself.
    assert {row.encoder: board.is_near_best(row, column) for row in board.rows} == {
        "a": False, "b": True, "c": False, "d": False, "e": False
    }  # fmt: skip
    assert "58.00±1.0≈" in as_text(board, "table", 80)
    assert "≈" in as_html(board)


def test_each_group_of_comparable_figures_has_its_own_best() -> None:
    def one(encoder: str, figure: float, limit: int) -> Any:
        result = make_result(figure=figure, errors={"accuracy": 0.01})
        return make_record(encoder=encoder, limit=limit, results=[result])

    board = table([one("a", 0.60, 5), one("b", 0.59, 5), one("c", 0.70, 9), one("d", 0.69, 9), one("e", 0.5, 9)])
    column = Column("tnews", "accuracy")
    assert {row.encoder for row in board.rows if board.is_best(row, column)} == {"a", "c"}
    assert {row.encoder for row in board.rows if board.is_near_best(row, column)} == {"b", "d"}


def test_the_spread_over_seeds_widens_what_cannot_be_told_apart() -> None:
    def seeds(encoder: str, figures: list[float]) -> list[Any]:
        return [
            make_record(
                encoder=encoder, group=encoder, seed=i, results=[make_result(figure=f, errors={"accuracy": 0.001})]
            )
            for i, f in enumerate(figures)
        ]

    column = Column("tnews", "accuracy")
    narrow = table([*seeds("a", [0.60, 0.601]), *seeds("b", [0.57, 0.571])])
    wide = table([*seeds("a", [0.56, 0.64]), *seeds("b", [0.53, 0.61])])
    assert [any(board.is_near_best(row, column) for row in board.rows) for board in (narrow, wide)] == [False, True]
