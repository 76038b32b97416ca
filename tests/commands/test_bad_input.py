"""What a user may hand over by mistake, verb by verb.

One line says what and where, the status is 2 (or 1 where work had begun), standard output stays empty, and nothing
half-written is left behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clue_cli.main import run

GOOD = {"label": "104", "label_desc": "news_finance", "sentence": "股市今天大涨", "keywords": ""}
SMALL = ["--limit", "4", "--eval-limit", "4", "--epochs", "1", "--device", "cpu"]
Refused = Callable[..., str]


def line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


GOOD_LINES = b"".join(line({**GOOD, "sentence": f"股市今天大涨{n}点"}) for n in range(4))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the program; its one line of error, after checking all that holds for every refusal."""

    def check(*arguments: object, status: int = 2, says: str = "") -> str:
        capsys.readouterr()
        assert run([str(argument) for argument in arguments]) == status
        printed = capsys.readouterr()
        assert printed.out == ""
        errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, printed.err
        assert printed.err.splitlines()[-1] == errors[0]
        assert "Traceback" not in printed.err
        assert says in errors[0]
        return errors[0]

    return check


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of tnews: one step on four rows of the sample."""
    directory = tmp_path_factory.mktemp("tnews") / "run"
    assert run(["train", "tnews", *SMALL, "--output", str(directory), "--quiet"]) == 0
    return directory


def everything(directory: Path) -> set[str]:
    """All files below a directory, hidden ones too."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ""),
    "blank": (b"\n\n", ""),
    "broken JSON in the middle": (GOOD_LINES + b'{"sentence": \n' + GOOD_LINES, ":5: no valid JSON"),
    "a list": (b"[]\n", ":1: one JSON object a line was expected"),
    "NUL": (GOOD_LINES + b'{"sentence": "a\x00b"}\n', ":5: a NUL byte"),
    "invalid UTF-8": (GOOD_LINES + '{"sentence": "股'.encode() + b'\xff"}\n', ":5: byte 0xff"),
    "half a character": (GOOD_LINES + b'{"sentence": "\\ud800", "label": "104"}\n', ":5: half of a surrogate"),
    "missing field": (GOOD_LINES + line({"title": "股市", "label": "104"}), ":5: no field 'sentence'"),
    "wrong type": (GOOD_LINES + line({**GOOD, "sentence": ["股市"]}), ":5: sentence"),
    "empty text": (GOOD_LINES + line({**GOOD, "sentence": ""}), ":5: sentence"),
    "wrong task": (line({"text": "股市", "label": {}}), ":1: no field 'sentence'"),
}
LABELLED_ONLY: dict[str, tuple[bytes, str]] = {
    "unknown label": (GOOD_LINES + line({**GOOD, "label": "105"}), ":5: label"),
    "missing label": (GOOD_LINES + line({"sentence": "股市"}), ":5: no field 'label'"),
    "label of a wrong type": (GOOD_LINES + line({**GOOD, "label": {"a": 1}}), ":5: label"),
}


def commands(verb: str, directory: Path, trained: Path, content: bytes) -> tuple[list[str], Path]:
    """The command line with which `verb` meets `content`, and the file that holds it."""
    (directory / "train.json").write_bytes(content if verb == "train" else GOOD_LINES)
    (directory / "dev.json").write_bytes(GOOD_LINES if verb in ("train", "data", "predict") else content)
    if verb == "data":
        (directory / "train.json").write_bytes(content)
    bad = directory / ("train.json" if verb in ("train", "data") else "dev.json")
    place = ["--data", str(directory)]
    if verb == "train":
        return ["train", "tnews", *place, *SMALL, "--output", str(directory / "run")], bad
    if verb == "data":
        return ["data", "tnews", *place], bad
    if verb == "eval":
        copy = directory.parent / f"{directory.name}-run"
        shutil.copytree(trained, copy)
        return ["eval", str(copy), *place, "--device", "cpu"], bad
    if verb == "score":
        (directory / "answers.jsonl").write_bytes(GOOD_LINES)
        return ["score", "tnews", "--gold", str(bad), "--pred", str(directory / "answers.jsonl")], bad
    bad = directory / "rows.jsonl"
    bad.write_bytes(content)
    return ["predict", str(trained), str(bad), "--output", str(directory / "answers.jsonl"), "--device", "cpu"], bad


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        *((verb, what) for verb in ("data", "train", "eval", "score", "predict") for what in BAD_FILES),
        *((verb, what) for verb in ("data", "train", "eval", "score") for what in LABELLED_ONLY),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    verb: str, what: str, tmp_path: Path, trained: Path, refused: Refused
) -> None:
    content, says = {**BAD_FILES, **LABELLED_ONLY}[what]
    directory = tmp_path / "data"
    directory.mkdir()
    arguments, bad = commands(verb, directory, trained, content)
    before = everything(tmp_path)
    error = refused(*arguments, says=says)
    assert str(bad) in error
    left = everything(tmp_path) - before
    if verb == "predict" and ":5" in says:  # the answers before the bad row wait for --resume
        left -= {"data/answers.jsonl.part", "data/answers.jsonl.part.json"}
    assert not left


@pytest.mark.parametrize("verb", ["data", "train", "eval", "score", "predict"])
def test_what_real_files_do_is_no_mistake(
    verb: str, tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A byte order mark, CRLF, blank lines, extra fields, U+2028, a text of 100,000 characters, no last line end."""
    long = {**GOOD, "sentence": "涨\u2028" + "股市" * 50_000}
    rows = [{**GOOD, "extra": [1, {"a": None}]}, long, {**GOOD, "note": "“”"}]
    content = b"\xef\xbb\xbf" + b"\r\n".join(line(row).strip() for row in rows).replace(b"\r\n", b"\r\n\r\n", 1)
    directory = tmp_path / "data"
    directory.mkdir()
    arguments, _ = commands(verb, directory, trained, content)
    if verb == "score":
        (directory / "answers.jsonl").write_bytes(b"".join(line({"label": "104"}) for _ in rows))
    status = run(arguments)
    assert status == (1 if verb == "data" else 0), capsys.readouterr().err  # dev and train share rows here
    if verb == "predict":
        answers = (directory / "answers.jsonl").read_text(encoding="utf-8").split("\n")
        assert [json.loads(answer)["sentence"] for answer in answers[:-1]] == [row["sentence"] for row in rows]


@pytest.mark.parametrize("verb", ["data", "train", "eval", "score", "predict"])
def test_a_missing_file_a_directory_and_a_file_of_another_kind(
    verb: str, tmp_path: Path, trained: Path, refused: Refused
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    arguments, bad = commands(verb, directory, trained, GOOD_LINES)
    bad.unlink()
    if verb != "data":  # which says in its table that there is no train split
        missing = refused(*arguments)
        assert (str(bad) if verb in ("score", "predict") else f"no {bad.name}") in missing
        bad.mkdir()
        assert str(bad if verb in ("score", "predict") else directory) in refused(*arguments)
        bad.rmdir()
    bad.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    assert f"{bad}:1" in refused(*arguments)
    assert not (directory / "run").exists()


ENTITY_ROWS = {
    "beyond the text": {"text": "浙商银行", "label": {"company": {"浙商银行": [[0, 9]]}}},
    "before the text": {"text": "浙商银行", "label": {"company": {"浙商银行": [[-1, 3]]}}},
    "other characters": {"text": "浙商银行", "label": {"company": {"工商银行": [[0, 3]]}}},
    "end before start": {"text": "浙商银行", "label": {"company": {"浙商银行": [[3, 0]]}}},
    "no numbers": {"text": "浙商银行", "label": {"company": {"浙商银行": [["0", "3"]]}}},
    "unknown type": {"text": "浙商银行", "label": {"firm": {"浙商银行": [[0, 3]]}}},
}


@pytest.mark.parametrize("what", ENTITY_ROWS)
@pytest.mark.parametrize("verb", ["data", "train"])
def test_entities_that_do_not_fit_their_text(verb: str, what: str, tmp_path: Path, refused: Refused) -> None:
    good = line({"text": "浙商银行", "label": {"company": {"浙商银行": [[0, 3]]}}})
    for split in ("train", "dev"):
        (tmp_path / f"{split}.json").write_bytes(good + line(ENTITY_ROWS[what]) * (split == "train"))
    more = [*SMALL, "--output", tmp_path / "run"] if verb == "train" else []
    refused(verb, "cluener", "--data", tmp_path, *more, says=f"{tmp_path}/train.json:2: label")
    assert not (tmp_path / "run").exists()


def test_ids_that_stand_twice(tmp_path: Path, refused: Refused) -> None:
    rows = b"".join(line({**GOOD, "id": number}) for number in (1, 2, 1))
    (tmp_path / "dev.json").write_bytes(rows)
    (tmp_path / "answers.jsonl").write_bytes(rows)
    error = refused("score", "tnews", "--gold", tmp_path / "dev.json", "--pred", tmp_path / "answers.jsonl")
    assert re.search(r"dev\.json:3", error)


@pytest.mark.parametrize(("member", "says"), [("../dev.json", "leads out"), ("bomb/train.json", "unpack to")])
@pytest.mark.parametrize("verb", ["data", "train", "eval", "predict"])
def test_an_unsafe_zip_is_refused(
    verb: str, member: str, says: str, tmp_path: Path, trained: Path, refused: Refused
) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, b"0" * 2**24 + b"1" if "bomb" in member else GOOD_LINES)
    arguments: dict[str, list[object]] = {
        "data": ["data", "tnews"],
        "train": ["train", "tnews", "--output", tmp_path / "run"],
        "eval": ["eval", trained],
        "predict": ["predict", trained, "--split", "dev", "--output", tmp_path / "answers.jsonl"],
    }
    assert str(path) in refused(*arguments[verb], "--data", path, says=says)
    assert everything(tmp_path) == {"data.zip"}


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (["--seeds", "0"], "--seeds"), (["--seed", "-1"], "--seed"), (["--limit", "0"], "--limit"),
        (["--eval-limit", "-3"], "--eval-limit"), (["--max-length", "-5"], "--max-length"),
        (["--batch-size", "0"], "--batch-size"), (["--epochs", "-1"], "--epochs"), (["--epochs", "many"], "--epochs"),
        (["--learning-rate", "nan"], "--learning-rate"), (["--learning-rate", "-1e-4"], "--learning-rate"),
        (["--dropout", "1"], "--dropout"), (["--overlap", "-1"], "--overlap"), (["--warmup", "2"], "--warmup"),
        (["--optimizer", "adam"], "adamw"), (["--pooling", "meen"], "--pooling"), (["--segments", "two"], "--segments"),
        (["--class-weights", "balance"], "balanced"), (["--precision", "fp16"], "--precision"),
        (["--device", "gpu"], "--device"), (["--head", "crf"], "--head"), (["--metric", "acuracy"], "accuracy"),
        (["--recipe", "clue-bert"], "--recipe"), (["--encoder", "./nowhere"], "--encoder"),
        (["--fields", "sentense"], "--fields"), (["--labels", "nowhere.txt"], "nowhere.txt"),
        (["--encoding", "utf-99"], "--encoding"), (["--data", "nowhere"], "nowhere"), (["--resume"], "--output"),
        (["--epoch", "3"], "--epochs"),
    ],
)  # fmt: skip
def test_an_option_of_a_training_is_named(options: list[str], option: str, tmp_path: Path, refused: Refused) -> None:
    output = [] if options == ["--resume"] else ["--output", tmp_path / "run"]
    assert option in refused("train", "tnews", *options, *output)
    assert not (tmp_path / "run").exists()


def test_own_labels_and_own_data_go_together(tmp_path: Path, refused: Refused) -> None:
    labels, data = tmp_path / "labels.txt", tmp_path / "data"
    labels.write_text("good\n")
    data.mkdir()
    (data / "train.jsonl").write_text('{"sentence": "a", "label": "good"}\n')
    assert f"{labels}: a label file needs at least 2 labels" in refused("train", "tnews", "--labels", labels)
    labels.write_text("good\nbad\n")
    for verb in ("train", "data"):
        said = refused(verb, "tnews", "--labels", labels)
        assert "--labels: your own labels need your own data (--data DIR)" in said
    said = refused("train", "tnews", "--data", data)
    assert "no train.json here; found: train.jsonl (--labels FILE says that the data are your own)" in said
    (data / "train.json").mkdir()
    said = refused("train", "tnews", "--data", data)
    assert f"{data}/train.json: is a directory; a file was expected" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "tnes"], "did you mean tnews"),
        (["train", __file__], "is a file; a task was expected"),
        (["trian", "tnews"], "train"),
        (["train"], "TASK"),
        (["show", "tnews", "--size", "bas"], "--size"),
        (["show", "tnews", "--recipe", "x"], "--recipe"),
        (["data", "tnews", "--max-length", "-3"], "--max-length"),
        (["score", "tnews", "--gold", "x"], "--pred"),
        (["score", "tnews", "--gold", "nowhere", "--pred", "nowhere"], "nowhere"),
        (["leaderboard", "nowhere"], "nowhere"),
        (["leaderboard", __file__], "is neither a directory nor a record"),
        (["leaderboard", "--task", "tnes"], "--task: unknown task 'tnes'; did you mean tnews"),
        (["leaderboard", "--split", "dve"], "--split"),
        (["leaderboard", "--format", "tabel"], "--format"),
        (["list", "tnews"], "tnews"),
        (["list", "--jsn"], "--json"),
        (["eval", "nowhere"], "nowhere: no such run directory"),
        (["eval", "nowhere", "--threshold", "1", "--tune-threshold"], "--tune-threshold"),
        (["predict", "nowhere", "x.txt"], "nowhere: no such run directory"),
        (["train", "tnews", "--seeds", "0"], "--seeds: must be at least 1, got 0"),
        (["train", "tnews", "--seed", "-1"], "--seed: must be at least 0, got -1"),
        (["train", "tnews", "--limit", "0"], "--limit: must be at least 1, got 0"),
        (["predict", "nowhere", "--top-k", "0"], "--top-k: must be at least 1, got 0"),
        (["train", "tnews", "--encoder", ""], "--encoder: an empty name"),
        (["train", "tnews", "--data", ""], "--data: an empty name"),
    ],
)
def test_what_was_typed_wrong_is_named(arguments: list[str], says: str, refused: Refused) -> None:
    refused(*arguments, says=says)


@pytest.mark.parametrize("verb", ["list", "show", "data", "train", "eval", "predict", "score", "leaderboard"])
def test_an_error_with_json_leaves_standard_output_empty(verb: str, refused: Refused) -> None:
    arguments = {
        "list": ["--nope"], "show": ["nowhere"], "data": ["tnews", "--data", "nowhere"],
        "train": ["tnews", "--data", "nowhere"], "eval": ["nowhere"], "predict": ["nowhere", "x.txt", "-o", "y"],
        "score": ["tnews", "--gold", "nowhere", "--pred", "nowhere"], "leaderboard": ["nowhere"],
    }  # fmt: skip
    refused(verb, *arguments[verb], "--json")


# ---------------------------------------------------------------- runs and encoders


@pytest.mark.parametrize("verb", ["eval", "predict"])
@pytest.mark.parametrize("damage", ["cut head", "cut encoder", "foreign head", "text", "no head", "no description"])
def test_a_damaged_run_is_named(verb: str, damage: str, tmp_path: Path, trained: Path, refused: Refused) -> None:
    directory = tmp_path / "run"
    shutil.copytree(trained, directory)
    model = directory / "model"
    head, encoder = model / "head.safetensors", model / "encoder" / "model.safetensors"
    if damage.startswith("cut"):
        path = head if damage == "cut head" else encoder
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "foreign head":
        header = json.dumps({"other.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        head.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    elif damage == "text":
        head.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif damage == "no head":
        head.unlink()
    else:
        (model / "clue.json").write_text("{}")
    (tmp_path / "x.txt").write_text("股市", encoding="utf-8")
    before = everything(tmp_path)
    last = [] if verb == "eval" else [tmp_path / "x.txt", "-o", tmp_path / "answers.jsonl"]
    error = refused(verb, directory, *last, "--device", "cpu")
    assert str(directory) in error or "head" in error or "encoder" in error
    assert everything(tmp_path) == before


def test_a_run_of_another_task_is_not_continued(tmp_path: Path, trained: Path, refused: Refused) -> None:
    directory = tmp_path / "run"
    shutil.copytree(trained, directory)
    record = json.loads((directory / "record.json").read_text(encoding="utf-8"))
    record["status"] = "interrupted"
    (directory / "record.json").write_text(json.dumps(record), encoding="utf-8")
    before = everything(tmp_path)
    error = refused("train", "csl", *SMALL, "--output", directory, "--resume")
    assert "task" in error
    assert str(directory) in error
    assert everything(tmp_path) == before


@pytest.mark.parametrize("what", ["file", "full directory"])
def test_a_training_replaces_nothing_unasked_and_nothing_foreign(what: str, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "output"
    if what == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    before = everything(tmp_path)
    for force in ([], ["--force"]):
        refused("train", "tnews", *SMALL, "--output", path, *force, says=str(path))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("verb", ["train", "data"])
def test_an_encoder_with_missing_tensors_is_refused_unless_asked(verb: str, tmp_path: Path, refused: Refused) -> None:
    from safetensors.torch import load_file, save_file

    from clue_cli.encoders.location import DEFAULT_ENCODER, SHIPPED

    encoder = tmp_path / "encoder"
    shutil.copytree(SHIPPED[DEFAULT_ENCODER], encoder)
    tensors = load_file(encoder / "model.safetensors")
    gone = sorted(name for name in tensors if "mlp" in name)[0]
    del tensors[gone]
    save_file(tensors, encoder / "model.safetensors", metadata={"format": "pt"})
    output = ["--output", tmp_path / "run"] if verb == "train" else []
    error = refused(verb, "tnews", *(SMALL if verb == "train" else []), "--encoder", encoder, *output)
    assert gone.split("layers.")[-1] in error
    assert not (tmp_path / "run").exists()
    if verb == "train":
        assert "--allow-random-weights" in error
        asked = ["train", "tnews", *SMALL, "--encoder", str(encoder), "--allow-random-weights", "--quiet"]
        assert run([*asked, "--output", str(tmp_path / "run")]) == 0


# ---------------------------------------------------------------- places that cannot be written


@pytest.mark.parametrize("verb", ["train", "predict", "leaderboard"])
def test_an_output_below_a_file_is_found_before_the_work(
    verb: str, tmp_path: Path, trained: Path, refused: Refused
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "x.txt").write_text("股市", encoding="utf-8")
    output = tmp_path / "file" / "out.jsonl"
    before: dict[str, list[object]] = {
        "train": ["train", "tnews", *SMALL], "predict": ["predict", trained, tmp_path / "x.txt"],
        "leaderboard": ["leaderboard", trained],
    }  # fmt: skip
    assert str(output) in refused(*before[verb], "--output", output)
    assert everything(tmp_path) == {"file", "x.txt"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("verb", ["predict", "leaderboard"])
def test_a_full_disk_is_said_in_one_line(verb: str, tmp_path: Path, trained: Path, refused: Refused) -> None:
    (tmp_path / "x.txt").write_text("股市", encoding="utf-8")
    arguments: dict[str, list[object]] = {
        "predict": ["predict", trained, tmp_path / "x.txt", "--device", "cpu"],
        "leaderboard": ["leaderboard", trained, "--format", "csv"],
    }
    error = refused(*arguments[verb], "--output", "/dev/full", status=1)
    assert "disk is full" in error
    assert "/dev/full" in error
    assert os.path.exists("/dev/full")  # noqa: PTH110


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_a_disk_that_fills_up_leaves_no_half_file(verb: str, tmp_path: Path, trained: Path, refused: Refused) -> None:
    """A limit on the size of files stands for the disk: 20 kB, which no model and no answer file here keeps to."""
    resource = pytest.importorskip("resource")
    import signal

    rows = tmp_path / "x.jsonl"
    rows.write_bytes(line({**GOOD, "note": "x" * 1000}) * 100)
    arguments: dict[str, list[object]] = {
        "train": ["train", "tnews", *SMALL, "--output", tmp_path / "run"],
        "predict": ["predict", trained, rows, "--output", tmp_path / "answers.jsonl", "--device", "cpu"],
    }
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        error = refused(*arguments[verb], status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert str(tmp_path) in error
    assert not (tmp_path / "answers.jsonl").exists()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_top_k_is_refused_where_it_would_change_nothing(tmp_path: Path, refused: Refused) -> None:
    import torch

    from clue_cli.model import Model
    from clue_cli.registry import find_task

    task = find_task("cluener")
    torch.manual_seed(0)
    model = Model.build(task, "crf", task.recipe_for("crf", "small")[0])
    model.eval().save(tmp_path / "run" / "model")
    (tmp_path / "x.txt").write_text("浙商银行\n", encoding="utf-8")
    refused("predict", tmp_path / "run", tmp_path / "x.txt", "--top-k", "3", "--device", "cpu", says="--top-k")
