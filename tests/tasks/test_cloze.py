"""Cloze from lines and answers to features and back, in ChID's form and FewCLUE's."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally
from clue_cli.errors import RowError, RunError, UserError, Where
from clue_cli.pairing import score_files
from clue_cli.registry import find_task, restore_task
from clue_cli.scoring import score
from clue_cli.sources import Row, Source, locate
from tasks.chid import TASK as CHID
from tasks.families.cloze import CROWDED, UNUSED, Cloze, Scores, assigned, parts
from tasks.fewclue_chid import TASK as FEW
from tasks.metrics.choice import ClozeAccuracy
from tests.encoders.conftest import text_encoder

JOINT, ALONE = Answering(), Answering(joint=False)
IDIOMS = ["一帆风顺", "半途而废", "画蛇添足"]
LINE: dict[str, Any] = {
    "groupId": 4,
    "candidates": IDIOMS,
    "content": ["祝你#idiom000007#。", "别#idiom000008#，也别#idiom000009#。"],
}
ANSWERS = {"#idiom000007#": 0, "#idiom000008#": 1, "#idiom000009#": 2}
GOLD_LINE = {**LINE, "answers": ANSWERS}
FEW_LINE = {"id": 5, "candidates": IDIOMS, "content": "祝你#idiom#...", "answer": 0}


def row(data: dict[str, Any], line: int = 3) -> Row:
    return Row(data, Where("own.json", line))


def example(data: dict[str, Any] = GOLD_LINE, task: Cloze = CHID, number: int = 0) -> Example:
    return task.example(row(data), number, labelled="answers" in data or "answer" in data)


def candidates_of(scores: Any) -> list[np.ndarray]:
    return [np.array([score], dtype=np.float32) for score in np.asarray(scores).reshape(-1)]


def predicted(scores: Any, options: Answering = JOINT, one: Example | None = None) -> Prediction:
    return CHID.predictions(one or example(), [], candidates_of(scores), options)


# -------------------------------------------------------------------- reading


def test_a_line_of_either_form_is_read() -> None:
    one = example()
    assert one.texts == (*LINE["content"], *IDIOMS)
    assert (one.gold, one.id, one.row) == ((0, 1, 2), None, GOLD_LINE)
    blanks, candidates = parts(one)
    assert [blank.tag for blank in blanks] == list(ANSWERS)
    assert candidates == tuple(IDIOMS)
    assert CHID.example(row(GOLD_LINE), 0, labelled=False).gold is None
    few = example(FEW_LINE, FEW)
    assert (few.texts, few.gold, few.id) == (("祝你#idiom#...", *IDIOMS), (0,), 5)
    # Own rows: one text or several, a passage without a blank, an index for a blank alone, a csv cell.
    own = {"content": ["没有空。", "祝你#idiom1#。"], "candidates": json.dumps(IDIOMS), "answer": "2"}
    assert (example(own).texts, example(own).gold) == (("祝你#idiom1#。", *IDIOMS), (2,))
    assert CHID.is_labelled(row({"answer": 0})) and CHID.is_labelled(row({"answers": {}}))
    assert not CHID.is_labelled(row({"answer": "", "answers": None}))


def without(name: str, data: dict[str, Any] = GOLD_LINE) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def answered(**change: Any) -> dict[str, Any]:
    return {**LINE, "answers": {**ANSWERS, **{f"#idiom00000{tag[1]}#": index for tag, index in change.items()}}}


WRONG = [
    (CHID, without("content"), "no field 'content'; fields found: groupId, candidates"),
    (CHID, {**GOLD_LINE, "content": 7}, "content: a text or a list of texts was expected, found the number 7"),
    (CHID, {**GOLD_LINE, "content": ["#idiom1#", 7]}, "content: a text or a list of texts was expected"),
    (CHID, {**GOLD_LINE, "content": ""}, "content: there is no blank in it; one is written #idiom000378# or #idiom#"),
    (CHID, {**GOLD_LINE, "content": ["没有空。"]}, "content: there is no blank in it"),
    (CHID, {**GOLD_LINE, "content": ["#idiom1#", "#idiom1#"]}, "content: the blank #idiom1# occurs twice in one line"),
    (CHID, without("candidates"), "no field 'candidates'"),
    (CHID, {**GOLD_LINE, "candidates": "一帆风顺"}, "candidates: a list of choices was expected, found the text"),
    (CHID, {**GOLD_LINE, "candidates": ["一帆风顺"]}, "candidates: two choices or more were expected, found 1"),
    (CHID, {**GOLD_LINE, "candidates": ["一", ""]}, r"candidates\[1\]: the choice is empty"),
    (CHID, {**GOLD_LINE, "candidates": ["一", "二", "一"]}, "candidates: the candidate '一' is listed twice"),
    (CHID, {**GOLD_LINE, "candidates": ["一", "#idiom1#"]}, "candidates: the candidate '#idiom1#' holds a blank"),
    (CHID, LINE, "no answers: neither 'answers' nor 'answer' is there .no train_answer.json or dev_answer.json lies"),
    (CHID, {**GOLD_LINE, "answer": 0}, "both 'answers' and 'answer' are given"),
    (CHID, {**LINE, "answer": 0}, "answer: an object of tag and index was expected, found the number 0"),
    (CHID, {**LINE, "answers": [0, 1, 2]}, "answers: an object of tag and index was expected, found the list"),
    (CHID, {**LINE, "answers": {"#idiom000007#": 0}}, "answers: the blank #idiom000008# has no answer"),
    (CHID, {**LINE, "answers": {**ANSWERS, "#idiom1#": 0}}, "answers: there is no blank #idiom1# in the passages"),
    (CHID, answered(_8=3), "answers.#idiom000008#: there is no choice 3; the 3 choices count from 0"),
    (CHID, answered(_8=-1), "answers.#idiom000008#: there is no choice -1"),
    (CHID, answered(_9=None), "answers.#idiom000009#: the index of a choice was expected, found null"),
    (CHID, answered(_9=True), "answers.#idiom000009#: the index of a choice was expected"),
    (FEW, without("answer", FEW_LINE), "no answers: neither 'answers' nor 'answer' is there"),
    (FEW, {**FEW_LINE, "answer": 3}, "answer: there is no choice 3"),
    (FEW, {**FEW_LINE, "answer": "一帆风顺"}, "answer: the index of a choice was expected, found the text"),
    (FEW, {**FEW_LINE, "content": "#idiom1#和#idiom2#"}, "content: one blank a line was expected, found 2"),
    (FEW, {**FEW_LINE, "id": 1.5}, "id: the id must be"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "data", "words"), WRONG)
def test_a_wrong_line_is_refused_with_file_line_and_field(task: Cloze, data: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError, match=words) as caught:
        task.example(row(data), 0, labelled=True)
    assert str(caught.value).startswith("own.json:3")
    assert "\n" not in str(caught.value)


def write(directory: Path, name: str, *lines: Any, whole: bool = False) -> None:
    text = json.dumps(lines[0]) if whole else "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (directory / name).write_text(text, encoding="utf-8")


OTHER = {"candidates": IDIOMS, "content": ["再#idiom000010#一次。"]}


def test_answers_come_from_the_file_beside(tmp_path: Path) -> None:
    write(tmp_path, "dev.json", LINE, OTHER)
    write(tmp_path, "dev_answer.json", {**ANSWERS, "#idiom000010#": 1, "#idiom000099#": 2}, whole=True)
    source, tally = Source.open(tmp_path), Tally()
    assert CHID.files_of(source, "dev") == ("dev.json", "dev_answer.json")
    examples = list(CHID.read(source, "dev", tally))
    assert [e.gold for e in examples] == [(0, 1, 2), (1,)]
    assert examples[0].row == GOLD_LINE
    assert [str(e.where) for e in examples] == [f"{tmp_path}/dev.json:1", f"{tmp_path}/dev.json:2"]
    assert tally.counts == {UNUSED: 1}
    assert CHID.adapt(source) is CHID


@pytest.mark.parametrize(
    ("lines", "answers", "words"),
    [
        ([LINE, LINE], ANSWERS, r"dev\.json:2: content: the blank #idiom000007# stands in line 1 too"),
        ([LINE], {"#idiom000007#": 0}, r"dev\.json:1: answers: the blank #idiom000008# has no answer"),
        ([LINE], {**ANSWERS, "#idiom000008#": 9}, r"dev\.json:1: answers\.#idiom000008#: there is no choice 9"),
        ([LINE], {**ANSWERS, "#idiom000008#": "1"}, r"dev_answer\.json: #idiom000008#: the index of a candidate was"),
        ([LINE], [1, 2], r"dev_answer\.json: one object of tag and index was expected"),
        ([GOLD_LINE], ANSWERS, r"dev\.json:1: answers: the line has answers of its own beside the file"),
        ([{"content": 3, "candidates": IDIOMS}], ANSWERS, r"dev\.json:1: content: a text or a list of texts"),
    ],
)
def test_lines_and_answers_that_do_not_fit_are_refused(
    tmp_path: Path, lines: list[Any], answers: Any, words: str
) -> None:
    write(tmp_path, "dev.json", *lines)
    write(tmp_path, "dev_answer.json", answers, whole=True)
    with pytest.raises(RowError, match=words):
        list(CHID.read(Source.open(tmp_path), "dev", Tally()))


def test_without_a_file_of_answers_lines_hold_their_own(tmp_path: Path) -> None:
    write(tmp_path, "dev.json", GOLD_LINE, GOLD_LINE)
    source = Source.open(tmp_path)
    assert CHID.files_of(source, "dev") == ("dev.json",)
    assert [e.gold for e in CHID.read(source, "dev", Tally())] == [(0, 1, 2)] * 2
    write(tmp_path, "train.json", LINE)
    with pytest.raises(RowError, match=r"train\.json:1: no answers: .*train_answer\.json or dev_answer\.json"):
        list(CHID.read(source, "train", Tally()))


def test_blanks_and_ids_of_a_test_differ(tmp_path: Path) -> None:
    write(tmp_path, "test1.1.json", LINE, OTHER, LINE)
    with pytest.raises(RowError, match=r"test1\.1\.json:3: content: the blank #idiom000007# stands in line 1 too"):
        list(CHID.read(Source.open(tmp_path), "test", Tally()))
    write(tmp_path, "test_public.json", FEW_LINE, {**FEW_LINE, "id": 6})
    write(tmp_path, "test.json", without("answer", FEW_LINE), without("answer", FEW_LINE))
    source = Source.open(tmp_path)
    assert [e.gold for e in FEW.read(source, "test", Tally())] == [(0,), (0,)]  # its answers are public
    with pytest.raises(RowError, match=r"test\.json:2: id: id 5 was already used in line 1"):
        list(FEW.read(source, "test_hidden", Tally()))


def test_own_lines_need_no_code(tmp_path: Path) -> None:
    for name in ("train.jsonl", "dev.jsonl", "test.jsonl"):
        write(tmp_path, name, GOLD_LINE, {**OTHER, "answer": 2})
    source = Source.open(tmp_path)
    task: Any = CHID.adapt(source)
    assert task.own
    assert task.submissions == {}
    for split in ("train", "dev", "test"):
        assert [e.gold for e in task.read(source, split, Tally())] == [(0, 1, 2), (2,)]
    restored: Any = restore_task(json.loads(json.dumps(task.to_config())))
    assert restored.own
    assert restored.files == task.files


# -------------------------------------------------------------------- features


def test_every_candidate_of_every_blank_is_a_feature() -> None:
    encoder, tally = text_encoder("mini-zh"), Tally()
    examples = [example(), example({**OTHER, "answer": 2}, number=1)]
    features = list(CHID.features(examples, encoder, Limits(64), tally))
    assert [f.item for f in features] == [0] * 9 + [1] * 3
    assert [f.unit for f in features] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert [f.targets["labels"] for f in features] == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1]
    texts = ["".join(encoder.tokenizer.convert_ids_to_tokens(f.inputs["input_ids"])) for f in features]
    assert texts[4] == "[CLS]半途而废[SEP]别[unused1]，也别[MASK][MASK][MASK][MASK]。[SEP]"
    assert not tally.counts
    unlabelled = CHID.example(row(LINE), 0, labelled=False)
    assert all(f.targets == {} for f in CHID.features([unlabelled], encoder, Limits(64), tally))
    crowded = {"candidates": IDIOMS[:2], "content": LINE["content"]}
    list(CHID.features([example(crowded)], encoder, Limits(64), tally))
    assert tally.counts == {CROWDED: 1}


def oracle(features: list[Feature]) -> list[np.ndarray]:
    return candidates_of([feature.targets["labels"] for feature in features])


def test_gold_becomes_targets_becomes_gold() -> None:
    one = example()
    features = list(CHID.features([one], text_encoder("mini-zh"), Limits(24), Tally()))
    for options in (JOINT, ALONE):
        assert CHID.predictions(one, features, oracle(features), options).answer == one.gold


# -------------------------------------------------------------------- answers


def slow_assignment(scores: np.ndarray) -> float:
    """The greatest sum over all ways to fill the blanks, no candidate used more often than an even share."""
    rows, columns = scores.shape
    often = -(-rows // columns)
    ways = itertools.product(range(columns), repeat=rows)
    fair = (way for way in ways if max(Counter(way).values()) <= often)
    return max(float(sum(scores[i, j] for i, j in enumerate(way))) for way in fair)


@given(st.integers(1, 5), st.integers(1, 4), st.data())
def test_joint_answers_have_the_greatest_sum(rows: int, columns: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-9, 9), min_size=rows * columns, max_size=rows * columns))
    scores = np.array(values, dtype=np.float64).reshape(rows, columns)
    found = assigned(scores)
    assert max(Counter(found).values()) <= -(-rows // columns)
    assert sum(scores[i, j] for i, j in enumerate(found)) == slow_assignment(scores)


def test_blanks_of_a_line_exclude_each_other_unless_asked_one_by_one() -> None:
    scores = [[3.0, 2.9, 0.0], [4.0, 1.0, 0.0], [5.0, 0.0, 4.9]]
    together, apart = predicted(scores), predicted(scores, ALONE)
    assert together.answer == (1, 0, 2)  # 2.9 + 4 + 4.9, more than 3 + 1 + 4.9 or 2.9 + 0 + 5
    assert apart.answer == together.scores.independent == apart.scores.independent == (0, 0, 0)
    np.testing.assert_allclose(together.scores.probabilities.sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(RunError, match="not finite"):
        predicted([[float("nan")] * 3] * 3)


def test_answers_are_written_and_read_again() -> None:
    found = predicted([[3.0, 2.9, 0.0], [4.0, 1.0, 0.0], [5.0, 0.0, 4.9]])
    fields = CHID.answer_fields(example(), found, Answering(top_k=2), probabilities=True)
    assert fields["answers"] == {"#idiom000007#": 1, "#idiom000008#": 0, "#idiom000009#": 2}
    assert fields["idioms"]["#idiom000009#"] == "画蛇添足"
    assert fields["answers_independent"] == dict.fromkeys(ANSWERS, 0)
    assert fields["probabilities"]["#idiom000008#"] == pytest.approx(0.936, abs=1e-3)
    assert [index for index, _ in fields["top"]["#idiom000007#"]] == [0, 1]
    again = CHID.read_prediction(row(json.loads(json.dumps(fields))), example())
    assert (again.answer, again.scores) == (found.answer, Scores(found.scores.independent))
    assert CHID.gold_fields(example())["answers"] == ANSWERS
    assert list(CHID.labels_of((2, 0))) == ["2", "0"]
    for data, words in (
        ({"id": 1}, "no field 'answers' or 'answer' or 'label' with the predicted choice"),
        ({"answers": {"#idiom000007#": 0}}, "answers: the blank #idiom000008# has no answer"),
        ({"answers": {**ANSWERS, "#idiom000008#": 3}}, "there is no choice 3"),
        ({"answer": 1}, "answer: an object of tag and index was expected"),
    ):
        with pytest.raises(RowError, match=words):
            CHID.read_prediction(row(data), example())


def test_fewclue_has_one_answer_a_line(tmp_path: Path) -> None:
    one = example(FEW_LINE, FEW)
    found = FEW.predictions(one, [], candidates_of([0.0, 2.0, 1.0]), JOINT)
    fields = FEW.answer_fields(one, found, Answering(top_k=3), probabilities=True)
    assert (fields["answer"], fields["idiom"]) == (1, "半途而废")
    assert fields["probability"] == pytest.approx(0.665, abs=1e-3)
    assert [index for index, _ in fields["top"]] == [1, 2, 0]
    assert set(fields) == {"answer", "idiom", "probability", "top"}
    for data in (fields, {"id": 5, "answer": "1"}, {"label": 1}):
        assert FEW.read_prediction(row(data), one) == Prediction((1,), Scores((1,)))
    assert FEW.submission_ids(one) == (5,)
    FEW.write_submission([(one, found)], "test_hidden", tmp_path / "chidf_predict.json")
    assert json.loads((tmp_path / "chidf_predict.json").read_text()) == {"id": 5, "answer": 1}
    with pytest.raises(UserError, match="JSON lines"):
        list(FEW.unpack_predictions({}, "x.json"))


# -------------------------------------------------------------------- submissions and scoring


def test_a_submission_is_one_object_of_tag_and_index(tmp_path: Path) -> None:
    lines = [CHID.example(row(data), n, labelled=False) for n, data in enumerate((LINE, OTHER))]
    path = tmp_path / "chid10_predict.json"
    CHID.write_submission(zip(lines, [Prediction((2, 0, 1)), Prediction((1,))], strict=True), "test1.0", path)
    document = json.loads(path.read_text())
    assert document == {"#idiom000007#": 2, "#idiom000008#": 0, "#idiom000009#": 1, "#idiom000010#": 1}
    rows = {r.data["id"]: r for r in CHID.unpack_predictions(document, "p.json")}
    assert str(rows["#idiom000010#"].where) == "p.json: #idiom000010#"
    for line, answer in zip(lines, ((2, 0, 1), (1,)), strict=True):
        assert CHID.read_predictions([rows[str(tag)] for tag in CHID.submission_ids(line)], line).answer == answer
    with pytest.raises(RowError, match=r"p\.json: one object of tag and index was expected, found the list"):
        list(CHID.unpack_predictions([1], "p.json"))


def test_any_program_s_file_is_scored(tmp_path: Path) -> None:
    write(tmp_path, "dev.json", LINE, OTHER)
    write(tmp_path, "dev_answer.json", {**ANSWERS, "#idiom000010#": 1}, whole=True)
    write(tmp_path, "chid10_predict.json", {**ANSWERS, "#idiom000010#": 0}, whole=True)
    found = score_files(CHID, tmp_path, tmp_path / "chid10_predict.json").scores["chid:accuracy"]
    assert found.figures["accuracy"] == 0.75
    assert found.notes == ["accuracy_independent leaves out 3 blanks: their predictions hold joint answers only"]
    ours = [
        {**LINE, **CHID.answer_fields(example(), predicted(np.eye(3)), JOINT, probabilities=True)},
        {**OTHER, "answers": {"#idiom000010#": 1}, "answers_independent": {"#idiom000010#": 1}},
    ]
    write(tmp_path, "ours.jsonl", *ours)
    found = score_files(CHID, tmp_path, tmp_path / "ours.jsonl").scores["chid:accuracy"]
    assert found.figures == {"accuracy": 1.0, "accuracy_independent": 1.0}
    assert found.notes == []


@st.composite
def pairs(draw: st.DrawFn) -> list[tuple[Example, Prediction | None]]:
    made: list[tuple[Example, Prediction | None]] = []
    for number in range(draw(st.integers(1, 12))):
        size = draw(st.integers(1, 4))
        indices = st.tuples(*[st.integers(0, 2)] * size)
        gold, answer, alone = draw(indices), draw(indices), draw(indices)
        one = Example(number, None, ("#idiom#", "a", "b"), gold, {}, Where("own.json", number))
        scores = Scores(alone) if draw(st.booleans()) else None
        made.append((one, Prediction(answer, scores) if draw(st.integers(0, 4)) else None))
    return made


@given(pairs())
def test_accuracy_is_the_share_of_right_blanks(made: list[tuple[Example, Prediction | None]]) -> None:
    right = [p is not None and p.answer[i] == gold for e, p in made for i, gold in enumerate(e.gold)]
    alone = [
        p is not None and p.scores.independent[i] == gold
        for e, p in made
        if p is None or p.scores is not None
        for i, gold in enumerate(e.gold)
    ]
    found = score(ClozeAccuracy(()), made)
    assert found.figures == {
        "accuracy": pytest.approx(sum(right) / len(right), abs=1e-12),
        "accuracy_independent": pytest.approx(sum(alone) / max(1, len(alone)), abs=1e-12),
    }
    assert found.clusters == found.items == len(made)
    assert bool(found.notes) == (len(alone) < len(right))


# -------------------------------------------------------------------- the real files


def test_fewclues_files_are_read_whole(shared: Path) -> None:
    source = Source.open(shared / "data" / "chid")
    for split in FEW.files:
        examples = list(FEW.read(source, split, Tally()))
        assert len(examples) == FEW.counts[split]
        assert source.sha256(FEW.file_of(source, split)) == FEW.official[FEW.file_of(source, split)]
        assert all(len(parts(e)[0]) == 1 and len(parts(e)[1]) == 7 for e in examples)
        if split == "test":
            assert Counter(e.gold for e in examples) == {(index,): 286 for index in range(7)}
        assert all((e.gold is None) == (split == "test_hidden") for e in examples)


def test_an_own_task_of_blanks_is_declared_without_labels(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('family = "cloze"\n')
    write(tmp_path, "train.jsonl", {"content": "祝你#idiom1#。", "candidates": IDIOMS, "answers": {"#idiom1#": 2}})
    task: Any = find_task(str(tmp_path))
    [found] = task.read(Source.open(tmp_path), "train", Tally())
    assert (found.texts, found.gold) == (("祝你#idiom1#。", *IDIOMS), (2,))


@pytest.mark.parametrize("task", [CHID, FEW])
def test_the_shipped_samples_have_the_official_form(task: Cloze) -> None:
    source, sample = locate(task.name, None)
    assert sample
    for split in task.files:
        tally = Tally()
        examples = list(task.read(source, split, tally))
        assert not tally.counts
        assert len(examples) >= 20
        assert {len(parts(e)[1]) for e in examples} == {10 if task.numbered else 7}
        assert all(
            (e.gold is None) == (split.startswith("test") and split not in task.labelled_tests) for e in examples
        )
        tags = [tag for e in examples for tag in task.submission_ids(e)]
        assert len(set(tags)) == len(tags)
    if task.numbered:
        assert task.files_of(source, "dev") == ("dev.json", "dev_answer.json")
