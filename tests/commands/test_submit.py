"""`clue submit` as typed: the official files of a run, whole entries, the checker, and every refusal."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clue_cli.main import run
from clue_cli.pipeline import Processes
from clue_cli.registry import find_task
from tests.record_cases import make_record

SAMPLES = Path(__file__).resolve().parents[2] / "tasks" / "samples"


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Callable[..., Path]:
    """A run directory of a task: a tiny encoder, a head with random weights, no record; made once."""
    import torch

    from clue_cli.model import Model

    made: dict[tuple[str, tuple[str, ...]], Path] = {}

    def make(name: str, labels: tuple[str, ...] = ()) -> Path:
        if (name, labels) not in made:
            task: Any = find_task(name).with_labels(labels) if labels else find_task(name)
            recipe = task.recipe_for(task.default_head, "small")[0].updated({"max_length": 64, "overlap": 8})
            torch.manual_seed(0)
            model = Model.build(task, task.default_head, recipe, encoder=str(tiny_encoder), allow_random=True)
            directory = tmp_path_factory.mktemp(name)
            model.eval().save(directory / "model")
            made[name, labels] = directory
        return made[name, labels]

    return make


@pytest.fixture
def titles(tmp_path: Path) -> Path:
    """A directory with both of tnews' test files, ids in no order."""
    directory = tmp_path / "titles"
    directory.mkdir()
    for name, first in (("test1.0.json", 90), ("test.json", 70)):
        rows = [{"id": first - 3 * n, "sentence": f"股市今天大涨{n}点"} for n in range(6)]
        (directory / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def submit(*arguments: object) -> int:
    return run(["submit", *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], words: str, *arguments: object) -> None:
    """Exit status 2, one line that holds `words`, and nothing on standard output."""
    capsys.readouterr()
    assert submit(*arguments) == 2
    caught = capsys.readouterr()
    assert words in caught.err
    assert caught.err.count("\n") == 1
    assert caught.out == ""


# -------------------------------------------------------------------- one run


def test_every_test_split_gets_its_file_with_the_rows_own_ids_and_the_answers_of_predict(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tnews, out = make_run("tnews"), tmp_path / "out"
    assert submit(tnews, "--data", titles, "-o", out) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tnews10_predict.json 6 tnews test1.0.json no" in shown
    assert f"checked and written: {out}" in shown
    assert names(out) == ["tnews10_predict.json", "tnews11_predict.json"]
    assert [row["id"] for row in read(out / "tnews11_predict.json")] == [70, 67, 64, 61, 58, 55]
    assert run(["predict", str(tnews), str(titles / "test.json"), "-o", str(tmp_path / "p.jsonl")]) == 0
    ours = [{"id": row["id"], "label": row["label"]} for row in read(tmp_path / "p.jsonl")]
    assert read(out / "tnews11_predict.json") == ours


def test_progress_counts_rows_as_they_are_computed(
    make_run: Callable[..., Path],
    titles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clue_cli.progress.LINE_EVERY", 0.0)
    assert submit(make_run("tnews"), "--data", titles, "-o", tmp_path / "out") == 0
    lines = [line.split(",")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("tnews test")]
    assert list(dict.fromkeys(lines)) == [f"tnews {split}: 6 of 6 rows" for split in ("test1.0", "test1.1")]


def test_a_split_without_test_file_is_said_and_without_any_nothing_is_made(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tnews, out = make_run("tnews"), tmp_path / "out"
    (titles / "test1.0.json").unlink()
    assert submit(tnews, "--data", titles, "-o", out) == 0
    printed = capsys.readouterr()
    assert "no tnews10_predict.json, since test1.0.json (test1.0) is not at hand" in printed.out
    assert "test.json is not the official test file" in printed.err
    assert names(out) == ["tnews11_predict.json"]
    (titles / "test.json").rename(titles / "titles.json")
    refused(capsys, "no test file of task tnews here; looked for test1.0.json, test.json", tnews, "--data", titles,
            "-o", tmp_path / "other")  # fmt: skip
    assert not (tmp_path / "other").exists()
    # What is asked for by name may lie in a file of any name.
    assert submit(tnews, "--data", titles / "titles.json", "--split", "test1.1", "-o", out, "--force") == 0
    refused(capsys, "no test1.0.json here", tnews, "--data", titles, "--split", "test1.0", "-o", out, "--force")


def test_files_in_the_way_are_kept_without_force_and_others_stay(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tnews, out = make_run("tnews"), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "tnews11_predict.json").write_text("older")
    refused(capsys, "exists already (--force replaces it)", tnews, "--data", titles, "-o", out)
    assert (out / "tnews11_predict.json").read_text() == "older"
    assert submit(tnews, "--data", titles, "--split", "test", "-o", out, "--force") == 0
    assert len(read(out / "tnews11_predict.json")) == 6
    assert names(out) == ["notes.txt", "tnews11_predict.json"]
    refused(capsys, "a file, not a directory", tnews, "--data", titles, "-o", out / "notes.txt" / "deeper")


def test_what_the_checker_refuses_never_appears(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from tasks.families.classification import TextClassification

    monkeypatch.setattr(TextClassification, "submission_row", lambda *_: {"id": 70, "label": "100"})
    refused(capsys, "id 70 answered more than once", make_run("tnews"), "--data", titles, "--split", "test", "-o",
            tmp_path / "out")  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_test_row_without_id_leaves_nothing_behind(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (titles / "test.json").open("a", encoding="utf-8") as file:
        file.write('{"sentence": "没有编号"}\n')
    split = ("--split", "test1.1")
    refused(capsys, "test.json:7: no field 'id'", make_run("tnews"), "--data", titles, *split, "-o", tmp_path / "o")
    assert names(tmp_path) == ["titles"]


def test_runs_that_have_nothing_to_submit(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out = make_run("tnews", ("good", "bad")), tmp_path / "out"
    refused(capsys, "no official prediction file (the data are your own)", own, "--data", titles, "-o", out)
    refused(capsys, "no run to submit", "-o", out)
    refused(capsys, "needs a place for the files", make_run("tnews"))
    refused(capsys, "no such run directory", tmp_path / "nothing", "-o", out)
    refused(capsys, "split of task tnews", make_run("tnews"), "--split", "dev", "-o", out)


def test_the_sample_serves_only_runs_that_were_trained_on_it(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tnews, out = make_run("tnews"), tmp_path / "out"
    assert submit(tnews, "-o", out) == 0
    assert "answers the test file of the shipped sample, no leaderboard takes it" in capsys.readouterr().err
    try:
        make_record(sample=False).save(tnews)
        refused(capsys, "not trained on the shipped sample: say where its data are", tnews, "-o", out, "--force")
    finally:
        (tnews / "record.json").unlink()


def test_processes_beside_the_main_one_write_nothing(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Processes()
    beside.rank = 1
    monkeypatch.setattr("clue_cli.submission.Processes", SimpleNamespace(current=lambda: beside))
    from clue_cli.submission import SubmitRequest, submit

    assert submit(SubmitRequest((make_run("tnews"),), tmp_path / "out", data=str(titles))).files == []
    assert names(tmp_path) == ["titles"]


# -------------------------------------------------------------------- a whole entry


def test_a_zip_packs_all_runs_and_says_what_the_averages_lack(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_run("tnews"), make_run("ocnli")
    assert submit(*runs, "-o", tmp_path / "entry.zip") == 0
    shown = capsys.readouterr().out
    [line] = [line for line in shown.splitlines() if line.startswith("CLUE 1.0: missing")]
    assert "cmnli (cmnli_predict.json)" in line
    assert "cluewsc10_predict.json" in line
    assert "ocnli" not in line
    assert "tnews" not in line
    [line] = [line for line in shown.splitlines() if line.startswith("CLUE 1.1: missing")]
    assert "ocnli" not in line
    assert "cmnli" not in line
    files = ["ocnli_50k_predict.json", "tnews10_predict.json", "tnews11_predict.json"]
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        assert archive.namelist() == files
        assert len(archive.read("tnews11_predict.json").splitlines()) == 75
    assert submit(*reversed(runs), "-o", tmp_path / "again.zip", "--json") == 0
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "entry.zip").read_bytes()
    document = json.loads(capsys.readouterr().out)
    assert sorted(one["file"] for one in document["files"]) == files
    assert [one["rows"] for one in document["files"] if one["task"] == "tnews"] == [75, 75]
    assert document["samples"] == ["ocnli", "tnews"]
    assert {"task": "csl", "split": None, "files": ["csl_predict.json"]} in document["entries"]["CLUE 1.1"]
    assert names(tmp_path) == ["again.zip", "entry.zip"]
    refused(capsys, "exists already", *runs, "-o", tmp_path / "entry.zip")


def test_one_run_a_task(
    make_run: Callable[..., Path], titles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tnews = make_run("tnews")
    refused(capsys, "are both runs of task tnews", tnews, tnews, "-o", tmp_path / "entry.zip")
    refused(capsys, "no tnews in it (for several tasks it holds a directory for each", tnews, make_run("ocnli"),
            "--data", titles, "-o", tmp_path / "entry.zip")  # fmt: skip
    assert not (tmp_path / "entry.zip").exists()


def test_one_data_directory_holds_one_for_each_task(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_run("tnews"), make_run("ocnli")
    # A task with one test file takes it for any version.
    assert submit(*runs, "--data", SAMPLES, "--split", "test1.1", "-o", tmp_path / "out", "--quiet") == 0
    assert names(tmp_path / "out") == ["ocnli_50k_predict.json", "tnews11_predict.json"]
    assert submit(runs[0], "--data", SAMPLES, "--split", "test1.0", "-o", tmp_path / "out") == 0
    refused(capsys, "did you mean", runs[1], "--data", SAMPLES, "--split", "tset", "-o", tmp_path / "x")


# -------------------------------------------------------------------- the checker


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """What another program may have written for the sample's test file."""
    path = tmp_path / "tnews11_predict.json"
    rows = [{"id": str(row["id"]), "label": "104"} for row in read(SAMPLES / "tnews" / "test.json")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_files_of_any_program_are_checked(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ((), ("tnews", "--data", SAMPLES / "tnews"), ("--data", SAMPLES), ("--split", "test1.1")):
        assert submit("--check", foreign, *more) == 0
        assert "tnews11_predict.json 75 tnews test.json no" in " ".join(capsys.readouterr().out.split())
    assert submit("--check", foreign, "--json", "--quiet") == 0
    [found] = json.loads(capsys.readouterr().out)["files"]
    assert {"file": "tnews11_predict.json", "rows": 75, "answers": 75, "sample": True}.items() <= found.items()


def test_all_files_that_a_shell_spells_out_are_checked(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = foreign.with_name("csl_predict.json")
    rows = [{"id": row["id"], "label": "1"} for row in read(SAMPLES / "csl" / "test.json")]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert submit("--check", foreign, other, "--json", "--quiet") == 0
    assert [found["file"] for found in json.loads(capsys.readouterr().out)["files"]] == [foreign.name, other.name]
    refused(capsys, "the official name is csl_predict.json (test)", "--check", foreign, other, "csl")


def test_what_the_checker_says(
    make_run: Callable[..., Path], foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = foreign.read_text(encoding="utf-8")
    refused(capsys, "a check writes nothing", "--check", foreign, "-o", tmp_path / "out")
    refused(capsys, "one task and one split", "tnews", "csl", "--check", foreign)
    refused(capsys, "the official name is csl_predict.json (test)", "csl", "--check", foreign)
    refused(capsys, "the official name is tnews10_predict.json (test1.0)", "--check", foreign, "--split", "test1.0")
    foreign.write_text(whole + '{"id": 3, "label": "104"', encoding="utf-8")
    refused(capsys, f"{foreign}:76: no valid JSON", "--check", foreign)
    foreign.write_text(whole.replace('"104"', '"4"'), encoding="utf-8")
    refused(capsys, "line 1: label: unknown label '4'", make_run("tnews"), "--check", foreign)
    foreign.write_text("".join(whole.splitlines(keepends=True)[5:]), encoding="utf-8")
    refused(capsys, "and 2 more; 70 answers, 75 expected", "tnews", "--check", foreign)
    other = foreign.rename(tmp_path / "predict.json")
    refused(capsys, "unknown official prediction file 'predict.json'", "--check", other)
    refused(capsys, "does not exist", "--check", foreign)
