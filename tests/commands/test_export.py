"""`clue export`: an ONNX graph that answers as PyTorch does, for every head; tried by the verb before it appears."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import clue_cli
from clue_cli import console
from clue_cli.contract import Tally
from clue_cli.data_files import data_files
from clue_cli.encoders.loading import Encoder
from clue_cli.errors import UserError
from clue_cli.export import exporting, graph
from clue_cli.export import packages as packages_module
from clue_cli.export.check import TOLERANCE, _gaps, candidate_scores, compare, relative_gap
from clue_cli.export.graph import GRAPH, write_graph
from clue_cli.export.onnx_model import OnnxModel
from clue_cli.export.packages import MAKING
from clue_cli.main import run
from clue_cli.model import Model
from clue_cli.record import DataInfo, Record
from clue_cli.registry import find_task, tasks
from clue_cli.sources import Source, locate
from heads.base import LinkedSpans, Spans
from tests.record_cases import make_record

for needed in MAKING:
    pytest.importorskip(needed, reason=f"{needed} is not installed: pip install 'clue-baselines[export]'")

SAMPLES = Path(__file__).parents[2] / "tasks" / "samples"
HEADS = {where: (name, head) for name, task in sorted(tasks().items()) for head, where in task.heads.items()}
"""Every head once, with a task that has it."""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(threads)


class _Flat(nn.Module):
    """An encoder that gives every token its embedding: heads are tried behind it, where a graph takes little time."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return SimpleNamespace(last_hidden_state=self.norm(self.embeddings(input_ids)))


@pytest.fixture(scope="module")
def modernbert(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ModernBERT of one global and one local layer, which sees four tokens to each side; a BERT's tokenizer."""
    from transformers import ModernBertConfig, ModernBertModel

    directory = tmp_path_factory.mktemp("modern") / "modern"
    own = json.loads((tiny_encoder / "config.json").read_text(encoding="utf-8"))
    config = ModernBertConfig(
        vocab_size=own["vocab_size"], num_hidden_layers=2, hidden_size=32, num_attention_heads=2,
        intermediate_size=480,  # enough matrices for eight bits to show in the size of the file
        local_attention=8, global_attn_every_n_layers=2, max_position_embeddings=128,
        pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ModernBertModel(config).save_pretrained(str(directory))
    for path in tiny_encoder.glob("*token*"):
        shutil.copy(path, directory)
    return directory


class Made(NamedTuple):
    """A run and the data it is said to come from."""

    run: Path
    data: Path


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Made]:
    """A run of a task whose head has random weights, and data of a few rows of its sample; made, not trained."""

    def make(name: str, head: str, encoder: Path, *, rows: int = 10, **options: Any) -> Made:
        directory = tmp_path_factory.mktemp(name)
        task, data = find_task(name), directory / "data"
        data.mkdir()
        for path in (SAMPLES / name).glob("*.json"):
            lines = path.read_text(encoding="utf-8").splitlines()[:rows]
            (data / path.name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        model = _model(name, head, encoder, **options)
        model.save(directory / "run" / "model")
        files = data_files(task, Source.open(data), "dev", [])
        record = make_record(name, head=head, figures={task.default_metric: 0.5}, data=DataInfo(files))
        record.save(directory / "run")
        return Made(directory / "run", data)

    return make


def _model(name: str, head: str, encoder: Path, **options: Any) -> Model:
    """A model in evaluation mode; `max_length` and `overlap` as given, else short."""
    task = find_task(name)
    recipe = task.recipe_for(head, "small")[0].updated({"max_length": 64, "overlap": 8, **options})
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Model.build(task, head, recipe, encoder=str(encoder)).to_device("cpu", "float32").eval()


def _flat_model(name: str, head: str, tiny: Path) -> Model:
    """The same head behind `_Flat`, pooled by the mean."""
    like = _model(name, head, tiny, pooling="mean")
    with torch.random.fork_rng():
        torch.manual_seed(6)
        encoder = Encoder(_Flat(like.encoder.config), like.text_encoder, "flat")
    return Model(like.task, encoder, like.head, like.settings).eval()


@pytest.fixture(scope="module")
def ner(make_run: Callable[..., Made], tiny_encoder: Path) -> Made:
    """Entities by CRF on a BERT, in windows of 24 tokens."""
    return make_run("cluener", "crf", tiny_encoder, max_length=24)


@pytest.fixture(scope="module")
def exported(ner: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of `ner`, made by the verb."""
    place = tmp_path_factory.mktemp("exports") / "new" / "ner"
    assert run(["export", str(ner.run), "--data", str(ner.data), "-o", str(place), "--quiet"]) == 0
    return place


@pytest.fixture
def clue(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit status, standard output, standard error of a command line."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        told = capfd.readouterr()
        return status, told.out, told.err

    return call


@pytest.fixture
def graph_of_ner(exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new export of `ner` takes the graph of the first one instead of making it again."""
    monkeypatch.setattr(exporting, "write_graph", lambda model, path, opset: shutil.copy(exported / GRAPH, path))
    return exported / GRAPH


# -------------------------------------------------------------------- the same answers


@pytest.mark.parametrize("where", sorted(HEADS), ids=lambda where: str(where).removeprefix("heads."))
def test_every_head_gives_the_same_scores_and_answers(
    where: str, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, head = HEADS[where]
    if head == "softmax":
        monkeypatch.setattr(graph, "LARGE", 0)
    ours = _flat_model(name, head, tiny_encoder)
    write_graph(ours, tmp_path / GRAPH)
    theirs = OnnxModel(ours.task, ours.settings, ours.text_encoder, ours.head, 32, tmp_path / GRAPH)
    session = theirs.session
    assert all(one.shape == ["batch", "length"] for one in session.get_inputs())
    # Nothing of the size of all spans of all types leaves the graph.
    assert all(axes in ([], [1], [2], [1, 2]) for axes in theirs.length_axes.values())
    assert all(len(one.shape) < 4 or theirs.length_axes[one.name] == [2] for one in session.get_outputs())
    source, _ = locate(name, None)
    examples = list(ours.task.read(source, "dev", Tally()))[:4]
    found = compare(ours, theirs, examples)
    assert [row.example for row in found.rows] == examples
    assert found.wrong == []
    assert found.largest <= TOLERANCE
    assert found.probe <= TOLERANCE
    assert found.differing == found.ties == 0


def test_an_exported_directory_predicts_like_its_run(
    ner: Made, exported: Path, tmp_path: Path, clue: Callable[..., tuple[int, str, str]]
) -> None:
    files = sorted(str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file())
    assert {"clue.json", "head.safetensors", GRAPH, "encoder/config.json", "encoder/tokenizer.json"} <= set(files)
    assert not [name for name in files if "model.safetensors" in name]
    assert sorted(path.name for path in exported.parent.iterdir()) == ["ner"]
    # One short text, long ones, one longer than any window; then all of them in one batch.
    texts = ["好", "浙商银行企业信贷部叶老桂博士" * 2, "彭小军在北京大学读书，后来去了腾讯公司。" * 12]
    moved = tmp_path / "elsewhere"
    shutil.copytree(exported, moved)
    for number, rows in enumerate(([texts[0]], texts[1:2] * 7, texts * 3)):
        (tmp_path / f"{number}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
        answers = []
        for place, more in ((ner.run, ["--precision", "float32"]), (moved, [])):
            status, out, err = clue("predict", place, f"{number}.txt", "--device", "cpu", "--quiet", *more)
            assert status == 0, err
            answers.append(out)
        assert answers[0] == answers[1]
        assert [json.loads(line)["text"] for line in answers[1].splitlines()] == rows
    assert clue_cli.load(moved).predict(texts) == clue_cli.load(ner.run, precision="float32").predict(texts)


def test_the_comparison_shows_how_far_it_is(
    ner: Made, exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clue_cli.progress.LINE_EVERY", 0.0)
    console.configure()
    ours = Model.load(ner.run / "model")
    compare(ours, OnnxModel.load(exported), list(ours.task.read(Source.open(ner.data), "dev", Tally())))
    assert "comparing: 10 of 10 rows" in capsys.readouterr().err


def test_nothing_of_this_machine_is_in_an_export(exported: Path) -> None:
    machine = [b"site-packages", b".py", str(exported.parent).encode()]
    for path in exported.rglob("*"):
        assert path.is_dir() or not any(part in path.read_bytes() for part in machine)
    document = json.loads((exported / "clue.json").read_text(encoding="utf-8"))
    assert document["format_of_weights"] == "onnx"
    assert document["export"]["check"]["rows"] == 10
    assert document["export"]["check"]["differing_answers"] == 0
    assert set(document["export"]["versions"]) == {"torch", *MAKING}


def test_modernbert_in_eight_bits(
    make_run: Callable[..., Made], modernbert: Path, clue: Callable[..., tuple[int, str, str]]
) -> None:
    made = make_run("tnews", "classification", modernbert)
    status, out, err = clue("export", made.run, "--data", made.data, "--int8", "-o", "small", "--json", "--quiet")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["check"]["largest_difference"] <= TOLERANCE
    assert told["check"]["largest_difference_probe"] <= TOLERANCE
    assert set(told["figure"]["values"]) == {"pytorch", "onnxruntime", "int8"}
    assert told["figure"]["values"]["pytorch"] == told["figure"]["values"]["onnxruntime"]
    assert told["sizes"]["int8"] < told["sizes"]["float32"]
    assert told["int8"]["largest_difference"] > TOLERANCE
    assert all(rate > 0 for rate in told["check"]["rows_per_second"].values())
    kept = json.loads(Path("small/clue.json").read_text(encoding="utf-8"))["export"]
    assert (kept["figure"], kept["precision"], kept["sizes"]) == (told["figure"], "int8", told["sizes"])
    assert sorted(path.name for path in Path("small").iterdir()) == [
        "clue.json", "encoder", "head.safetensors", GRAPH
    ]  # fmt: skip
    # Another program sees the same figure.
    status, out, err = clue("eval", "small", "--data", made.data, "--json", "--quiet")
    assert status == 0, err
    assert json.loads(out)["metrics"][0]["figures"]["accuracy"] == told["figure"]["values"]["int8"]
    status, _, err = clue("predict", "small", made.data / "dev.json", "--precision", "float32")
    assert status == 2
    assert "computes in int8, not in float32" in err


def test_the_summary_for_people(ner: Made, graph_of_ner: Path, clue: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = clue("export", ner.run, "--data", ner.data, "-o", "shown")
    assert status == 0, err
    assert "cluener, dev: 10 rows" in out
    assert "answers that differ: 0\n" in out
    assert "largest difference of a raw score: " in out
    assert "checked and written: shown" in out
    assert "10 rows of dev" in err


def test_eval_and_submit_take_an_export(ner: Made, exported: Path, clue: Callable[..., tuple[int, str, str]]) -> None:
    figures = []
    for place, more in ((exported, []), (ner.run, ["--precision", "float32", "--no-save"])):
        status, out, err = clue("eval", place, "--data", ner.data, "--device", "cpu", "--json", "--quiet", *more)
        assert status == 0, err
        figures.append(json.loads(out)["metrics"])
    assert figures[0] == figures[1]
    before = (exported / "clue.json").read_bytes()
    status, _, err = clue("eval", exported, "--data", ner.data, "--tune-threshold")
    assert status == 2
    assert "keeps the threshold" in err
    assert (exported / "clue.json").read_bytes() == before
    status, _, err = clue("submit", exported, "--data", ner.data, "-o", "official")
    assert status == 0, err
    assert len(list(Path("official").iterdir())) == 1
    status, _, err = clue("submit", exported, "-o", "sample")
    assert status == 2
    assert "--data" in err


def test_large_weights_stand_beside_the_graph(
    ner: Made, exported: Path, monkeypatch: pytest.MonkeyPatch, clue: Callable[..., tuple[int, str, str]]
) -> None:
    """The verb with a graph in two files, in float32 and in int8."""
    import onnx

    Path("big").mkdir()
    onnx.save(onnx.load(str(exported / GRAPH)), f"big/{GRAPH}", save_as_external_data=True, location=f"{GRAPH}.data")

    def write(model: Model, path: Path, opset: int) -> None:
        shutil.copytree("big", path.parent, dirs_exist_ok=True)

    monkeypatch.setattr(exporting, "write_graph", write)
    for precision, more in (("float32", []), ("int8", ["--int8"])):
        arguments = ["export", ner.run, "--data", ner.data, "-o", precision, "--json", "--quiet", *more]
        status, out, err = clue(*arguments)
        assert status == 0, err
        names = sorted(path.name for path in Path(precision).iterdir())
        assert names == ["clue.json", "encoder", "head.safetensors", GRAPH, f"{GRAPH}.data"]
        size = sum(path.stat().st_size for path in Path(precision).glob(f"{GRAPH}*"))
        assert json.loads(out)["sizes"][precision] == size
    shutil.rmtree("big")
    assert len(clue_cli.load("int8").predict(["彭小军在北京"])) == 1


# -------------------------------------------------------------------- what is not the same


def _shifted(path: Path, target: Path) -> None:
    """The graph with another embedding for every token."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(path))
    weight = max(model.graph.initializer, key=lambda one: int(np.prod(one.dims)))
    changed = numpy_helper.to_array(weight).copy()
    changed[:, 0] += 0.5
    weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
    onnx.save(model, str(target))


def test_a_graph_that_is_not_the_model_is_refused(
    ner: Made, exported: Path, monkeypatch: pytest.MonkeyPatch, clue: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(exporting, "write_graph", lambda model, path, opset: _shifted(exported / GRAPH, path))
    monkeypatch.setattr(exporting, "refuse_wrong", _without_probe(exporting.refuse_wrong))
    status, _, err = clue("export", ner.run, "--data", ner.data, "-o", "deep/out")
    assert status == 1
    assert f"{ner.data / 'dev.json'}:1: onnxruntime does not give PyTorch's answer: a raw score differs by" in err
    assert "10 of 10 rows differ" in err
    assert list(tmp_path.iterdir()) == []


def _without_probe(refuse: Callable[[Any], None]) -> Callable[[Any], None]:
    def judged(found: Any) -> None:
        assert found.probe > TOLERANCE
        found.probe = 0.0
        refuse(found)

    return judged


def test_a_difference_at_other_lengths_is_refused(
    ner: Made, exported: Path, monkeypatch: pytest.MonkeyPatch, clue: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(exporting, "write_graph", lambda model, path, opset: _shifted(exported / GRAPH, path))
    status, _, err = clue("export", ner.run, "--data", ner.data, "-o", "out")
    assert status == 1
    assert "other lengths" in err
    assert list(tmp_path.iterdir()) == []


def test_a_decoder_that_is_not_the_runs_is_no_tie(ner: Made, exported: Path) -> None:
    ours, theirs = Model.load(ner.run / "model"), OnnxModel.load(exported)
    with torch.no_grad():
        theirs.head.end_transitions.neg_()
        theirs.head.transitions.neg_().mul_(20)
    examples = list(ours.task.read(Source.open(ner.data), "dev", Tally()))
    found = compare(ours, theirs, examples)
    assert found.differing
    assert found.wrong
    assert found.ties == 0


def test_a_copy_in_another_process_answers_alike(ner: Made, exported: Path) -> None:
    predictor = clue_cli.load(exported)
    again = pickle.loads(pickle.dumps(predictor))
    texts = ["浙商银行的叶老桂说", "北京"]
    assert again.predict(texts) == predictor.predict(texts)


def test_answers_that_only_rounding_decides_are_ties(tiny_encoder: Path, exported: Path) -> None:
    """All classes score the same in PyTorch; the other's scores differ in the sixth digit, or in the third."""
    ours = _model("tnews", "classification", tiny_encoder)
    with torch.no_grad():
        ours.head.linear.weight.zero_()
    source, _ = locate("tnews", None)
    examples = list(ours.task.read(source, "dev", Tally()))[:4]
    for noise, wrong, ties in ((1e-6, 0, 4), (2e-3, 4, 0)):
        found = compare(ours, _Noisy(ours, noise), examples)  # type: ignore[arg-type]
        assert (found.differing, found.ties, len(found.wrong)) == (4, ties, wrong)
        assert found.largest == pytest.approx(noise)


class _Noisy:
    """Stands in for an export: PyTorch's own scores, the last class a little higher."""

    def __init__(self, model: Model, noise: float) -> None:
        self.model, self.noise = model, noise
        self.length_axes: dict[str, list[int]] = {"scores": []}

    def output(self, batch: Any) -> Any:
        output = self.model.output(batch)
        scores = output.scores.clone()
        scores[:, -1] += self.noise
        return output._replace(scores=scores)

    def decode(self, *arguments: Any) -> Any:
        return self.model.decode(*arguments)


def test_differences_are_relative_and_padding_has_none() -> None:
    inf, nan = float("inf"), float("nan")
    ours, theirs = np.array([0.0, 9.0, inf, -inf, 1.0, nan]), np.array([1e-3, 9.01, inf, 0.0, nan, 2.0])
    assert relative_gap(ours, theirs).tolist() == pytest.approx([1e-3, 1e-3, 0, inf, inf, inf])
    mask = np.array([[True, True], [True, False]])
    one, other = torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)
    other[0, 0, 1], other[1, 0, 1], other[1, 1, 0] = 0.5, 7.0, 8.0
    assert _gaps(one, other, {"scores": [1, 2]}, mask).tolist() == [0.5, 0.0]
    assert _gaps(one, other, {"scores": [1]}, mask).tolist() == [0.5, 7.0]
    assert _gaps(one, other, {"scores": []}, mask).tolist() == [0.5, 8.0]
    assert _gaps(one, other[:, :1], {"scores": [1]}, mask).tolist() == [inf, inf]


def test_candidates_are_known_by_what_they_are_not_by_their_order() -> None:
    def linked(order: list[int], scores: list[float], link: tuple[int, int]) -> LinkedSpans:
        column = np.array(order)
        spans = Spans(column, column + 1, column + 2, np.array(scores), np.array(scores))
        return LinkedSpans(spans, np.array([link[0]]), np.array([link[1]]), np.array([0.5]))

    first, second = linked([3, 1], [2.0, 1.0], (0, 1)), linked([1, 3], [1.0, 2.0], (0, 1))
    assert candidate_scores(first) == candidate_scores(second)
    assert len(candidate_scores(first)) == 3
    assert candidate_scores(np.array([0.5, 0.25])) == {0: 0.5, 1: 0.25}


# -------------------------------------------------------------------- what is refused


def test_what_is_wrong_is_said_in_one_line_and_leaves_nothing(
    ner: Made, exported: Path, clue: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("x")
    shutil.copytree(ner.run / "model", tmp_path / "bare" / "model")
    before = sorted(tmp_path.rglob("*"))
    base = [ner.run, "--data", ner.data]
    wrong: list[tuple[list[Any], int, str]] = [
        ([*base, "-o", "out", "--format", "onxn"], 2, "did you mean onnx"),
        ([*base, "-o", "out", "--opset", "17"], 2, "--opset"),
        ([*base, "-o", "out", "--split", "devv"], 2, "devv"),
        (["nowhere", "-o", "out"], 2, "no such run directory"),
        ([ner.data, "-o", "out"], 2, "not a run directory"),
        (["bare", "-o", "out"], 2, "record.json"),
        ([exported, "-o", "out"], 2, "this is an export already"),
        ([*base, "-o", "file"], 2, "is a file"),
        ([*base, "-o", "file/out"], 2, "cannot be written"),
        ([*base, "-o", "mine", "--force"], 2, "is not an export"),
        ([*base, "-o", ner.run, "--force"], 2, "is not an export"),
        ([*base, "-o", exported], 2, "--force replaces it"),
        ([ner.run, "-o", "out"], 2, "not trained on the shipped sample"),
        ([*base, "-o", "out", "--int8", "--split", "test"], 2, "not labelled"),
        ([ner.run], 2, "--output"),
    ]
    for arguments, expected, text in wrong:
        status, out, err = clue("export", *arguments)
        assert (status, out, text in err) == (expected, "", True), (arguments, err)
        assert err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before


def test_other_dev_rows_must_be_asked_for(
    ner: Made, graph_of_ner: Path, monkeypatch: pytest.MonkeyPatch, clue: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "all" / "cluener").mkdir(parents=True)
    for path in ner.data.iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()[:4]
        (tmp_path / "all" / "cluener" / path.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("CLUE_DATA", str(tmp_path / "all"))
    status, _, err = clue("export", ner.run, "-o", "out")
    assert status == 2
    assert "dev.json here is not the run's own" in err
    status, out, err = clue("export", ner.run, "-o", "out", "--split", "dev", "--json", "--quiet")
    assert status == 0, err
    assert json.loads(out)["check"]["rows"] == 4


def test_force_replaces_an_export_and_a_failure_keeps_it(
    ner: Made, exported: Path, graph_of_ner: Path, monkeypatch: pytest.MonkeyPatch,
    clue: Callable[..., tuple[int, str, str]], tmp_path: Path,
) -> None:  # fmt: skip
    shutil.copytree(exported, "old")
    settings = Path("old/clue.json")
    settings.write_text(settings.read_text("utf-8").replace('"seed": 1', '"seed": 7'), "utf-8")
    monkeypatch.setattr(exporting, "publish", lambda stage, output: (_ for _ in ()).throw(OSError(28, "full")))
    assert clue("export", ner.run, "--data", ner.data, "-o", "old", "--force")[0] == 1
    assert '"seed": 7' in settings.read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "write_graph", lambda model, path, opset: shutil.copy(graph_of_ner, path))
    assert clue("export", ner.run, "--data", ner.data, "-o", "old", "--force")[0] == 0
    assert '"seed": 1' in settings.read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_missing_packages_are_named_with_the_command_that_brings_them(
    ner: Made, exported: Path, monkeypatch: pytest.MonkeyPatch, clue: Callable[..., tuple[int, str, str]]
) -> None:
    def without(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(packages_module, "importlib", SimpleNamespace(import_module=without))
    status, _, err = clue("export", ner.run, "--data", ner.data, "-o", "out")
    assert (status, err) == (2, "error: onnx is not installed (pip install 'clue-baselines[export]')\n")
    status, _, err = clue("predict", exported, ner.data / "dev.json")
    assert (status, err) == (2, "error: onnxruntime is not installed (pip install 'clue-baselines[export]')\n")


def test_an_export_refuses_what_only_a_run_can_do(
    ner: Made, exported: Path, clue: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    rows = ner.data / "dev.json"
    shutil.copytree(exported, tmp_path / "cut")
    (tmp_path / "cut" / GRAPH).write_bytes((exported / GRAPH).read_bytes()[:5000])
    shutil.copytree(exported, tmp_path / "none")
    (tmp_path / "none" / GRAPH).unlink()
    shutil.copytree(exported, tmp_path / "unknown")
    settings = (exported / "clue.json").read_text("utf-8")
    (tmp_path / "unknown" / "clue.json").write_text(settings.replace('"onnx"', '"gguf"', 1), "utf-8")
    shutil.copytree(exported, tmp_path / "mute")
    (tmp_path / "mute" / "clue.json").write_text(settings.replace('"export"', '"exported"'), "utf-8")
    wrong: list[tuple[list[Any], str]] = [
        (["predict", exported, rows, "--device", "cuda"], "runs on the processor"),
        (["predict", exported, rows, "--precision", "bf16"], "computes in float32, not in bf16"),
        (["train", "cluener", "--output", exported, "--resume"], "no run to continue"),
        (["train", "cluener", "--output", exported, "--force"], "not a run of clue's"),
        (["predict", "cut", rows], "onnxruntime cannot read it"),
        (["predict", "none", rows], "model.onnx is missing"),
        (["predict", "unknown", rows], "'gguf'"),
        (["predict", "mute", rows], "not an export of clue's"),
    ]
    for arguments, text in wrong:
        status, out, err = clue(*arguments)
        assert (status, out, text in err) == (2, "", True), (arguments, err)
        assert err.count("\n") == 1


def test_a_head_whose_scores_are_no_tensors_is_refused_by_name(tiny_encoder: Path, tmp_path: Path) -> None:
    model = _model("tnews", "classification", tiny_encoder)
    model.head.forward = lambda *arguments, **more: SimpleNamespace(scores=["0.5"])  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"the head classification cannot be exported: .* a list"):
        write_graph(model, tmp_path / GRAPH)


def test_a_graph_that_cannot_be_made_is_one_line(
    ner: Made, monkeypatch: pytest.MonkeyPatch, clue: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    def fail(*arguments: Any, **more: Any) -> None:
        raise NotImplementedError("aten::strange\nis not known")

    monkeypatch.setattr(torch.export, "export", fail)
    status, _, err = clue("export", ner.run, "--data", ner.data, "-o", "out", "--quiet")
    assert status == 1
    assert err == f"error: torch {torch.__version__} makes no graph of this model: aten::strange\n"
    assert list(tmp_path.iterdir()) == []


def test_the_extra_names_the_packages() -> None:
    import tomllib

    project = tomllib.loads((SAMPLES.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {line.split(">=")[0] for line in project["optional-dependencies"][packages_module.EXTRA]}
    assert named == set(MAKING)


def test_the_record_stays_as_it_is(ner: Made, exported: Path) -> None:
    """Making an export leaves the run alone."""
    assert sorted(path.name for path in ner.run.iterdir()) == ["model", "record.json"]
    assert Record.load(ner.run).head == "crf"
