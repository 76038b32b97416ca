"""`clue train` as typed: what it refuses, in one line and with nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from clue_cli.commands.options import recipe_value
from clue_cli.main import run
from clue_cli.record import Record

SAMPLES = Path(__file__).parents[2] / "tasks" / "samples"
QUICK = [
    "--limit", "24", "--eval-limit", "12", "--epochs", "1", "--max-length", "24", "--precision", "float32",
    "--device", "cpu",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def clue(tiny_encoder: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `clue train` with the tiny encoder; exit status, standard output, standard error."""

    def call(*arguments: str, task: str = "tnews") -> tuple[int, str, str]:
        status = run(["train", task, "--encoder", str(tiny_encoder), *QUICK, *arguments])
        told = capfd.readouterr()
        return status, told.out, told.err

    return call


def data_with(tmp_path: Path, line: int, row: str) -> Path:
    """The tnews sample with one row of train replaced."""
    directory = tmp_path / "data"
    shutil.copytree(SAMPLES / "tnews", directory)
    path = directory / "train.json"
    lines = path.read_text("utf-8").splitlines()
    lines[line - 1] = row
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


@pytest.mark.parametrize("recipe", [None, "clue-bert4keras"])
def test_every_value_that_a_recipe_shows_is_an_option(
    recipe: str | None, clue: Callable[..., tuple[int, str, str]]
) -> None:
    named = [] if recipe is None else ["--recipe", recipe]
    _, shown, _ = clue(*named, "--show-recipe", "--json")
    values = json.loads(shown)["recipe"]
    options = [
        word
        for name, entry in values.items()
        if not isinstance(entry["value"], bool)  # a switch
        for word in (f"--{name.replace('_', '-')}", recipe_value(entry["value"]))
    ]
    status, again, error = clue(*options, "--show-recipe", "--json")
    assert status == 0, error
    assert {name: entry["value"] for name, entry in json.loads(again)["recipe"].items()} == {
        name: entry["value"] for name, entry in values.items()
    }


WRONG: list[tuple[list[str], str]] = [
    (["--seeds", "0"], "--seeds"),
    (["--limit", "0"], "--limit"),
    (["--eval-limit", "0"], "--eval-limit"),
    (["--max-length", "-5"], "--max-length: must be at least 4, got -5"),
    (["--overlap", "-1"], "--overlap: must be at least 0, got -1"),
    (["--max-length", "4000"], "--max-length: 4000 tokens are more than the 128 positions"),
    (["--batch-size", "0"], "--batch-size: must be at least 1, got 0"),
    (["--epochs", "0"], "--epochs: must be at least 1"),
    (["--learning-rate", "-1"], "--learning-rate: must be above 0"),
    (["--learning-rate", "nan"], "--learning-rate: must be above 0"),
    (["--dropout", "1.5"], "--dropout: must be in [0, 1)"),
    (["--optimizer", "adamv"], "did you mean adamw"),
    (["--optimizer", "adafactor", "--weight-decay", "0.1"], "--weight-decay: AdaFactor"),
    (["--optimizer", "adafactor", "--warmup", "0.1"], "--warmup: AdaFactor"),
    (["--pooling", "max"], "--pooling"),
    (["--device", "gpu"], "--device"),
    (["--precision", "fp16"], "--precision"),
    (["--head", "crf"], "--head"),
    (["--data", "nowhere"], "nowhere"),
    (["--resume"], "--resume needs the run to continue"),
    (["--resume", "--seeds", "2"], "--output DIR"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_a_wrong_request_is_told_in_one_line_and_leaves_nothing(
    clue: Callable[..., tuple[int, str, str]], arguments: list[str], message: str
) -> None:
    status, out, err = clue(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    if "Usage" not in err:
        assert err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"label": "104", "sentence": ', "JSON"),
        ('{"label": "999", "sentence": "今天"}', "999"),
        ('{"label": "104"}', "sentence"),
        ('{"label": "104", "sentence": 5}', "sentence"),
        ('["104"]', "object"),
        ('{"text": "索菲亚", "label": {"name": {"索菲亚": [[0, 2]]}}}', "sentence"),
    ],
)  # fmt: skip
def test_a_broken_row_is_named_by_file_and_line_and_leaves_nothing(
    clue: Callable[..., tuple[int, str, str]], tmp_path: Path, row: str, message: str
) -> None:
    data = data_with(tmp_path, 7, row)
    status, out, err = clue("--data", str(data), "--output", "new/deep/run")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "train.json:7" in err
    assert message in err
    assert list(Path.cwd().iterdir()) == []


def test_an_output_that_stands_is_replaced_only_by_force_and_only_by_a_run_that_can_begin(
    clue: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    output = Path("run")
    status, out, _ = clue("--output", "run")
    assert status == 0
    assert "clue eval run" in out
    first = Record.load(output)
    status, _, err = clue("--output", "run")
    assert status == 2
    assert "--force" in err
    status, _, err = clue("--output", "run", "--force", "--data", str(data_with(tmp_path, 3, "{")))
    assert status == 2
    assert Record.load(output).started == first.started
    (output / "mine.txt").write_text("of the older run")
    assert clue("--output", "run", "--force", "--seed", "9")[0] == 0
    assert Record.load(output).seed == 9
    assert not (output / "mine.txt").exists()
    foreign = Path("thesis")
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("precious")
    for force in ([], ["--force"]):
        status, _, err = clue("--output", "thesis", *force)
        assert (status, err.count("\n")) == (2, 1)
        assert "not a run" in err
    Path("file").write_text("x")
    for path in ("file", "file/run"):
        status, _, err = clue("--output", path, "--force")
        assert (status, err.count("\n")) == (2, 1)
    assert (foreign / "chapter.txt").read_text() == "precious"
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["file", "run", "thesis"]


def test_several_seeds_are_one_group(clue: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = clue("--seeds", "2", "--seed", "5", "--output", "runs", "--json")
    assert status == 0
    document: list[dict[str, Any]] = json.loads(out)
    records = [Record.load(Path(entry["run"])) for entry in document]
    assert [record.seed for record in records] == [5, 6]
    assert [Path(entry["run"]).name for entry in document] == ["s5", "s6"]
    assert records[0].group == records[1].group is not None
    first, second = (entry["results"][0] for entry in document)
    figures = [result["figures"][result["primary"]] for result in (first, second)]
    for entry in document:
        assert (entry["group"], entry["metric"]) == (records[0].group, first["metric"])
        assert entry["mean"] == pytest.approx(sum(figures) / 2)
        assert entry["standard_deviation"] == pytest.approx(abs(figures[0] - figures[1]) / 2**0.5)
    status, _, err = clue("--seeds", "2", "--seed", "5", "--output", "runs")
    assert status == 2
    assert "there is a run already" in err


def test_an_interrupted_group_is_continued_to_its_end(clue: Callable[..., tuple[int, str, str]]) -> None:
    """What is finished stays, what is not is continued, what is missing is trained, all under one group."""
    asked = ("--seeds", "3", "--output", "runs", "--json")
    assert clue(*asked)[0] == 0
    weights = [Path(f"runs/s{seed}/model/head.safetensors").read_bytes() for seed in (1, 2, 3)]
    group, first = Record.load("runs/s1").group, Path("runs/s1/record.json").read_bytes()
    shutil.rmtree("runs/s2")
    shutil.rmtree("runs/s3/model")
    record = Record.load("runs/s3")
    record.status, record.results, record.epochs, record.chosen_epoch = "interrupted", [], [], None
    record.save("runs/s3")
    Path("runs/s3/log.jsonl").unlink(missing_ok=True)
    status, _, err = clue(*asked, "--resume")
    assert status == 0, err
    assert [Path(f"runs/s{seed}/model/head.safetensors").read_bytes() for seed in (1, 2, 3)] == weights
    assert Path("runs/s1/record.json").read_bytes() == first
    assert {Record.load(f"runs/s{seed}").group for seed in (1, 2, 3)} == {group}
    for more, said in (
        (["--resume", "--head-dropout", "0.5"], "--head-dropout"),
        (["--resume", "--output", "nowhere"], "there is no run to continue"),
        (["--output", "runs/s1"], "is one run"),
        (["--resume", "--output", "runs/s1"], "is one run"),
    ):
        status, _, err = clue(*asked, *more)
        assert (status, said in err) == (2, True), err
    assert not Path("nowhere").exists()


def test_the_default_place_of_a_run_says_what_it_is(clue: Callable[..., tuple[int, str, str]]) -> None:
    assert clue("--quiet")[0] == 0
    (run_directory,) = Path("runs/tnews").iterdir()
    assert run_directory.name.startswith("tiny-classification-s1-")


def test_a_full_disk_at_the_first_checkpoint_leaves_nothing(
    clue: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    status, _, err = clue("--output", "run")
    assert status == 1
    assert "No space left" in err
    assert list(Path.cwd().iterdir()) == []


def test_a_look_at_a_part_keeps_what_the_run_has(
    clue: Callable[..., tuple[int, str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    """`clue eval` of fewer rows replaces figures and answers of the run only where that is asked for."""
    assert clue("--output", "run", "--quiet")[0] == 0
    before = (Path("run/record.json").read_bytes(), Path("run/predictions.dev.jsonl").read_bytes())
    asked = ["eval", "run", "--eval-limit", "5", "--device", "cpu"]
    assert run(asked) == 0
    assert "the run keeps its figures" in " ".join(capfd.readouterr().out.split())
    assert (Path("run/record.json").read_bytes(), Path("run/predictions.dev.jsonl").read_bytes()) == before
    assert run(["eval", "run", "--eval-limit", "5000", "--device", "cpu"]) == 0  # no part of it: all
    assert "keeps its figures" not in capfd.readouterr().out
    assert run([*asked, "--save"]) == 0
    result = Record.load("run").result("accuracy", "dev")
    assert result is not None
    assert result.items == 5


def test_a_tuned_threshold_stays_marked(
    clue: Callable[..., tuple[int, str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    """However often the run is evaluated again."""
    assert clue("--output", "run", "--quiet", "--overlap", "4", task="cluener")[0] == 0
    for more in (["--tune-threshold"], []):
        assert run(["eval", "run", "--device", "cpu", *more]) == 0
        assert "(tuned on dev)" in capfd.readouterr().out
        assert {result.threshold_origin for result in Record.load("run").results} == {"tuned on dev"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_standard_output_on_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clue_cli", "list"], stdout=full, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(SAMPLES.parents[1])},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the disk is full" in done.stderr
