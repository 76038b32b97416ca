"""Multiple choice from documents and rows to features and back: what is read, asked, answered and scored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally
from clue_cli.encoders import text as text_module
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.errors import RowError, RunError, UserError, Where
from clue_cli.registry import find_task, restore_task
from clue_cli.scoring import score
from clue_cli.sources import Row, Source, locate
from tasks.c3 import TASK as C3
from tasks.families.choice import CUT_QUESTIONS, CUT_TOKENS, REPEATED, different
from tasks.metrics.choice import ChoiceAccuracy

MINI_ZH = Path(text_module.__file__).parent / "mini_zh"
OWN = C3.with_labels(())
WIDE = Limits(max_length=128)
PLAIN = Answering()


@pytest.fixture(scope="module")
def encoder() -> HFTextEncoder:
    return HFTextEncoder(AutoTokenizer.from_pretrained(MINI_ZH), takes_segments=True)


def row(data: dict[str, Any], line: int = 3) -> Row:
    return Row(data, Where("own.json", line))


def question(*choices: str, gold: int | None = 0, passage: str = "他九点到。", number: int = 0) -> Example:
    texts = (passage, "他几点到？", *choices)
    return Example(number, number, texts, gold, {}, Where("own.json", number + 1))


def features_of(
    examples: list[Example], encoder: HFTextEncoder, limits: Limits = WIDE, tally: Tally | None = None
) -> list[list[Feature]]:
    grouped: list[list[Feature]] = [[] for _ in examples]
    for feature in C3.features(examples, encoder, limits, tally or Tally()):
        assert feature.unit == feature.item
        grouped[feature.item].append(feature)
    return grouped


def scores_of(*scores: float) -> list[np.ndarray]:
    return [np.array([score], dtype=np.float32) for score in scores]


# -------------------------------------------------------------------- documents


DOCUMENT = [
    [
        ["男：几点？", "女：九点。"],
        [
            {"question": "几点开始？", "choice": ["八点", "九点"], "answer": "九点"},
            {"question": "谁问？", "choice": ["男的", "女的", "孩子"], "answer": "男的", "id": 7},
        ],
        "1-1",
    ],
    [["只有一段。"], [{"question": "几段？", "choice": ["一段", "两段"], "id": 3}]],
]


def test_a_document_becomes_a_row_a_question() -> None:
    rows = list(C3.unpack(DOCUMENT, "d.json"))
    shared = {"passage": ["男：几点？", "女：九点。"], "document": "1-1"}
    assert [r.data for r in rows] == [
        {**shared, "question": "几点开始？", "choices": ["八点", "九点"], "answer": "九点"},
        {**shared, "id": 7, "question": "谁问？", "choices": ["男的", "女的", "孩子"], "answer": "男的"},
        {"id": 3, "passage": ["只有一段。"], "question": "几段？", "choices": ["一段", "两段"]},
    ]
    assert [str(r.where) for r in rows] == ["d.json: [0][1][0]", "d.json: [0][1][1]", "d.json: [1][1][0]"]
    first, second = (C3.example(r, n, labelled=True) for n, r in enumerate(rows[:2]))
    assert first.texts == ("男：几点？||女：九点。", "几点开始？", "八点", "九点")
    assert (first.gold, first.id, second.gold, second.id) == (1, None, 0, 7)
    flat = {"passage": "一段。", "question": "几段？", "choices": ["一", "二"], "answer": 0}
    assert [r.data for r in C3.unpack([flat], "d.json")] == [flat]


def broken(change: Any) -> Any:
    document = json.loads(json.dumps(DOCUMENT))
    change(document)
    return document


def put(*path: Any) -> Any:
    """A change that puts the last of `path` where the others lead."""

    def change(document: Any) -> None:
        *way, last, value = path
        for step in way:
            document = document[step]
        document[last] = value

    return change


WRONG_DOCUMENTS = [
    (lambda _: {"data": []}, r"d\.json: a list of \[passage, questions\] was expected, found the object"),
    (put(1, "text"), r"d\.json: \[1\]: \[passage, questions\] or .* found the text"),
    (put(1, [["a"]]), r"\[1\]: \[passage, questions\] or"),
    (put(1, [["a"], [], "x", 4]), r"\[1\]: \[passage, questions\] or"),
    (put(0, 0, 7), r"\[0\]\[0\]: a text or a list of texts was expected, found the number 7"),
    (put(0, 0, ["a", None]), r"\[0\]\[0\]: a text or a list of texts"),
    (put(0, 0, []), r"\[0\]\[0\]: the passage is empty"),
    (put(0, 0, ["", " "]), r"\[0\]\[0\]: the passage is empty"),
    (put(0, 1, {"question": "q"}), r"\[0\]\[1\]: a list of questions was expected, found the object"),
    (put(0, 1, 1, "谁"), r"\[0\]\[1\]\[1\]: \{question, choice, answer\} was expected"),
    (put(0, 1, 1, {"question": "谁"}), r"\[0\]\[1\]\[1\]: no 'choice'; fields found: question"),
    (put(0, 1, 1, {"choice": ["a", "b"]}), r"\[0\]\[1\]\[1\]: no 'question'; fields found: choice"),
    (put(0, 1, 1, "choice", None), r"\[0\]\[1\]\[1\]\.choice: a list of choices was expected, found null"),
    (put(0, 1, 1, "choice", []), r"\[0\]\[1\]\[1\]\.choice: two choices or more were expected, found 0"),
    (put(0, 1, 1, "choice", ["男的"]), r"\[0\]\[1\]\[1\]\.choice: two choices or more were expected, found 1"),
    (put(0, 1, 1, "choice", ["男的", 5]), r"\[0\]\[1\]\[1\]\.choice\[1\]: a text was expected, found the number 5"),
    (put(0, 1, 1, "choice", ["男的", " "]), r"\[0\]\[1\]\[1\]\.choice\[1\]: the choice is empty"),
    (put(0, 1, 1, "question", ""), r"\[0\]\[1\]\[1\]\.question: the text is empty"),
    (put(0, 1, 1, "question", ["谁"]), r"\[0\]\[1\]\[1\]\.question: a text was expected, found the list"),
    (put(0, 1, 1, "answer", "老师"), r"\[0\]\[1\]\[1\]\.answer: the answer '老师' is not among the choices: '男的'"),
    (put(0, 1, 1, "answer", None), r"\[0\]\[1\]\[1\]\.answer: the index of a choice was expected, found null"),
    (put(0, 1, 1, "answer", 3), r"\[0\]\[1\]\[1\]\.answer: there is no choice 3; the 3 choices count from 0"),
    (put(0, 1, 1, "answer", True), r"\.answer: the index of a choice was expected, found the truth value true"),
    (put(0, 1, 1, "id", [1]), r"\[0\]\[1\]\[1\]\.id: the id must be a string or a whole number"),
    (lambda d: d[0][1][1].pop("answer"), r"\[0\]\[1\]\[1\]: no field 'answer'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG_DOCUMENTS)
def test_a_broken_document_is_refused_with_the_part(change: Any, words: str) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document = change(document) if change(json.loads(json.dumps(DOCUMENT))) == {"data": []} else broken(change)
    with pytest.raises(RowError, match=words) as caught:
        for number, one in enumerate(C3.unpack(document, "d.json")):
            C3.example(one, number, labelled=True)
    assert str(caught.value).startswith("d.json: ")
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------- flat rows


def test_flat_rows_are_read_in_every_form() -> None:
    data = {"id": "q1", "passage": "他九点到。", "question": "几点？", "choices": ["八点", "九点"], "answer": "九点"}
    expected = ("他九点到。", "几点？", "八点", "九点")
    got = C3.example(row(data), 5, labelled=True)
    assert (got.number, got.id, got.texts, got.gold, got.row) == (5, "q1", expected, 1, data)
    assert C3.example(row(data), 5, labelled=False).gold is None
    assert C3.example(row({**data, "answer": 1}), 0, labelled=True).gold == 1
    cell = {**data, "choices": json.dumps(data["choices"])}
    assert C3.example(row(cell), 0, labelled=True).texts == expected
    digits = {**data, "choices": ["2", "1", "0"], "answer": "2"}
    assert C3.example(row(digits), 0, labelled=True).gold == 0  # a text goes before an index
    twice = {**data, "choices": ["八点", "九点", "九点"], "answer": 2}
    assert C3.example(row(twice), 0, labelled=True).gold == 1  # of equal ones the first


FLAT = {"passage": "他九点到。", "question": "几点？", "choices": ["八点", "九点"], "answer": "九点"}
WRONG_ROWS = [
    ({"passage": None}, "no field 'passage'; fields found: question, choices, answer; task c3 expects passage"),
    ({"passage": " "}, "own.json:3: passage: the passage is empty"),
    ({"passage": {}}, "passage: a text or a list of texts was expected, found an empty object"),
    ({"question": None}, "no field 'question'"),
    ({"choices": None}, "no field 'choices'"),
    ({"choices": "八点"}, "choices: a list of choices was expected, found the text"),
    ({"choices": '["八点"]'}, "choices: two choices or more were expected, found 1"),
    ({"choices": '{"a": 1}'}, "choices: a list of choices was expected, found the object"),
    ({"choices": ["八点", ""]}, r"choices\[1\]: the choice is empty"),
    ({"answer": ""}, "answer: the index of a choice was expected"),
    ({"answer": "1"}, "answer: the answer '1' is not among the choices"),
    ({"answer": -1}, "answer: there is no choice -1"),
    ({"answer": 1.0}, "answer: the index of a choice was expected, found the number 1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG_ROWS)
def test_a_wrong_row_is_refused_with_file_line_and_field(change: dict[str, Any], words: str) -> None:
    data = {name: value for name, value in (FLAT | change).items() if value is not None}
    with pytest.raises(RowError, match=words) as caught:
        C3.example(row(data), 0, labelled=True)
    assert str(caught.value).startswith("own.json:3")


# -------------------------------------------------------------------- files


def write_split(directory: Path, **files: Any) -> Source:
    for name, content in files.items():
        (directory / f"{name.replace('_', '-')}.json").write_text(json.dumps(content), encoding="utf-8")
    return Source.open(directory)


def test_a_split_is_both_of_its_files(tmp_path: Path) -> None:
    source = write_split(tmp_path, d_dev=[DOCUMENT[0]], m_dev=[DOCUMENT[0], DOCUMENT[0]], d_train=[DOCUMENT[0]])
    assert C3.files_of(source, "dev") == ("d-dev.json", "m-dev.json")
    examples = list(C3.read(source, "dev", Tally()))
    assert [e.number for e in examples] == list(range(6))
    assert str(examples[2].where) == f"{tmp_path}/m-dev.json: [0][1][0]"
    assert C3.adapt(source) is C3
    with pytest.raises(UserError, match=r"m-train\.json is missing; with d-train\.json it is the split"):
        list(C3.read(source, "train", Tally()))
    alone = Source.open(tmp_path / "d-dev.json")
    assert len(list(C3.read(alone, "dev", Tally()))) == 2
    (tmp_path / "m-dev.json").write_text("[]", encoding="utf-8")
    assert len(list(C3.read(source, "dev", Tally()))) == 2
    (tmp_path / "d-dev.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="no rows; task c3 expects"):
        list(C3.read(source, "dev", Tally()))


def test_numbers_of_a_test_differ(tmp_path: Path) -> None:
    source = write_split(tmp_path, **{"test1.1": [DOCUMENT[1], DOCUMENT[1]]})
    with pytest.raises(
        RowError, match=r"test1\.1\.json: \[1\]\[1\]\[0\]\.id: id 3 was already used at .*\[0\]\[1\]\[0\]"
    ):
        list(C3.read(source, "test", Tally()))


def test_own_rows_need_no_code(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(FLAT, ensure_ascii=False) for _ in range(2))
    for name in ("train.jsonl", "dev.json", "test.jsonl"):
        (tmp_path / name).write_text(lines, encoding="utf-8")
    source = Source.open(tmp_path)
    task: Any = C3.adapt(source)
    assert (task.own, task.official, task.submissions) == (True, {}, {})
    for split in ("train", "dev", "test"):
        assert [e.gold for e in task.read(source, split, Tally())] == [1, 1]
    restored: Any = restore_task(json.loads(json.dumps(task.to_config())))
    assert restored.own and restored.files == task.files
    assert C3.adapt(Source.open(tmp_path / "train.jsonl")).own
    assert OWN.adapt(source) is OWN
    with pytest.raises(UserError, match="c3 has no labels"):
        C3.with_labels(("a",))
    with pytest.raises(UserError, match="reads all of passage, question, choices"):
        C3.with_fields(("question",))
    assert C3.with_fields(C3.fields) is C3


# -------------------------------------------------------------------- features and answers


def test_every_different_choice_is_a_feature_in_three_parts(encoder: HFTextEncoder) -> None:
    tally = Tally()
    examples = [question("八点", "九点", gold=1), question("五", "六", "五", "七", gold=3, number=1)]
    first, second = features_of(examples, encoder, tally=tally)
    tokens = encoder.tokenizer.convert_ids_to_tokens(first[1].inputs["input_ids"])
    assert "".join(tokens) == "[CLS]他九点到。[SEP]他几点到？[SEP]九点[SEP]"
    assert first[1].inputs["token_type_ids"] == [0] * 7 + [1] * 9
    assert [f.targets["labels"] for f in first] == [0, 1]
    assert [f.targets["labels"] for f in second] == [0, 0, 1]
    assert tally.counts == {REPEATED: 1}
    assert tally.places[REPEATED] == ["own.json:2"]
    unlabelled = question("八点", "九点", gold=None)
    assert all(f.targets == {} for f in features_of([unlabelled], encoder)[0])
    assert C3.head_config("choice") == {}
    batch = C3.collate([*first, *second])
    assert batch["labels"].tolist() == [0, 1, 0, 0, 1]


def test_the_longest_part_is_cut_and_counted(encoder: HFTextEncoder) -> None:
    tally = Tally()
    [features] = features_of([question("八点", "九点整", passage="点" * 50)], encoder, Limits(32), tally)
    for feature, choice in zip(features, ("八点", "九点整"), strict=True):
        text = "".join(encoder.tokenizer.convert_ids_to_tokens(feature.inputs["input_ids"]))
        assert feature.length == 32
        assert text == f"[CLS]{'点' * (23 - len(choice))}[SEP]他几点到？[SEP]{choice}[SEP]"
    assert tally.counts == {CUT_QUESTIONS: 1, CUT_TOKENS: 30}


def test_the_best_choice_is_answered_and_a_repeated_one_is_its_first() -> None:
    one = question("八", "九", "八", "十", gold=1)
    found = C3.predictions(one, [], scores_of(1.0, 0.5, 3.0), PLAIN)
    assert found.answer == 3
    expected = np.exp([1.0, 0.5, 3.0]) / np.exp([1.0, 0.5, 3.0]).sum()
    np.testing.assert_allclose(found.scores, [expected[0], expected[1], 0, expected[2]], rtol=1e-6)
    assert found.scores.dtype == np.float32
    assert C3.predictions(one, [], scores_of(2.0, 2.0, 2.0), PLAIN).answer == 0
    assert C3.predictions(question("一", "一", gold=0), [], scores_of(0.0), PLAIN).answer == 0
    with pytest.raises(RunError, match="not finite"):
        C3.predictions(one, [], scores_of(1.0, float("nan"), 0.0), PLAIN)
    with pytest.raises(ValueError, match="2 scores for 3 choices"):
        C3.predictions(one, [], scores_of(1.0, 2.0), PLAIN)


def test_answers_are_written_and_read_again() -> None:
    one = question("八", "九", "十", gold=1, number=7)
    found = C3.predictions(one, [], scores_of(1.0, 0.5, 3.0), PLAIN)
    fields = C3.answer_fields(one, found, Answering(top_k=2), probabilities=True)
    assert fields["label"] == 2
    assert fields["answer"] == "十"
    assert fields["probability"] == pytest.approx(0.82, abs=0.01)
    assert [index for index, _ in fields["top"]] == [2, 0]
    assert C3.answer_fields(one, found, PLAIN, probabilities=False) == {"label": 2, "answer": "十"}
    assert C3.gold_fields(one) == {"label": 1, "answer": "九"}
    assert C3.submission_row(one, found) == {"id": 7, "label": 2}
    for data in (
        fields,
        {"id": 7, "label": "2"},
        {"label": 2},
        {"answer": "十"},
        {"answer": 2},
        json.loads(json.dumps(fields)),
    ):
        assert C3.read_prediction(row(data), one).answer == 2
    twice = question("八", "九", "九")
    assert C3.read_prediction(row({"label": 2}), twice).answer == 1
    for data, words in (
        ({"id": 7}, "no field 'label' or 'answer' with the predicted choice; fields found: id"),
        ({"label": 3}, "label: there is no choice 3; the 3 choices count from 0"),
        ({"label": "十"}, "label: the index of a choice was expected"),
        ({"answer": "五"}, "answer: the index of a choice was expected, found the text"),
        ({"label": False}, "label: the index of a choice"),
    ):  # fmt: skip
        with pytest.raises(RowError, match=words):
            C3.read_prediction(row(data), one)


def test_a_submission_holds_the_questions_own_numbers(tmp_path: Path) -> None:
    examples = [question("八", "九", number=n) for n in (5, 2)]
    C3.write_submission(((e, Prediction(1)) for e in examples), "test1.0", tmp_path / "c310_predict.json")
    lines = (tmp_path / "c310_predict.json").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"id": 5, "label": 1}, {"id": 2, "label": 1}]


# -------------------------------------------------------------------- the metric


@st.composite
def answered(draw: st.DrawFn) -> list[tuple[Example, Prediction | None]]:
    pairs: list[tuple[Example, Prediction | None]] = []
    for number in range(draw(st.integers(1, 30))):
        gold = draw(st.integers(0, 9) | st.none())
        guess = draw(st.integers(0, 9) | st.none())
        one = question("一", "二", gold=gold, passage=f"文{draw(st.integers(0, 5))}", number=number)
        pairs.append((one, None if guess is None else Prediction(guess)))
    return pairs


@given(answered())
def test_accuracy_is_the_share_of_right_questions(pairs: list[tuple[Example, Prediction | None]]) -> None:
    labelled = [(e, p) for e, p in pairs if e.gold is not None]
    if not labelled:
        with pytest.raises(UserError, match="nothing to score"):
            score(ChoiceAccuracy(), pairs)
        return
    right = [p is not None and p.answer == e.gold for e, p in labelled]
    found = score(ChoiceAccuracy(()), pairs)
    assert found.figures == {"accuracy": pytest.approx(sum(right) / len(right), abs=1e-12)}
    assert (found.items, found.missing) == (len(right), sum(p is None for _, p in labelled))
    assert found.clusters == len({e.texts[0] for e, _ in labelled})  # questions on one passage are not independent
    assert found.figure == found.figures["accuracy"]


# -------------------------------------------------------------------- the official files


def official(shared: Path) -> Source:
    return Source.open(shared / "data" / "c3")


CHOICES = {
    "dev": {2: 170, 3: 465, 4: 3181},
    "test1.0": {2: 171, 3: 521, 4: 3200},
    "test1.1": {3: 22, 4: 1597, 5: 1, 7: 1, 8: 2, 9: 1, 10: 1},
}


def test_the_official_files_are_read_whole(shared: Path) -> None:
    source = official(shared)
    for split, counts in CHOICES.items():
        tally = Tally()
        examples = list(C3.read(source, split, tally))
        assert len(examples) == C3.counts[split]
        assert Counter(len(e.texts) - 2 for e in examples) == counts
        assert not tally.counts
        assert all(source.sha256(file) == C3.official[file] for file in C3.files_of(source, split))
        if split.startswith("test"):
            assert {e.id for e in examples} == set(range(len(examples)))
            assert all(e.gold is None for e in examples)
        else:
            assert all(e.row["answer"] == e.texts[2 + e.gold] for e in examples)
    assert [e.id for e in C3.read(source, "test1.0", Tally())] != list(range(3_892))


def test_a_gold_head_answers_every_official_dev_question(shared: Path, encoder: HFTextEncoder) -> None:
    examples = list(C3.read(official(shared), "dev", Tally()))[:400]
    tally = Tally()

    def gold(features: Iterator[Feature]) -> Iterator[tuple[int, np.ndarray]]:
        for feature in features:
            assert feature.length <= 512
            yield feature.item, np.array([feature.targets["labels"]], dtype=np.float32)

    found: dict[int, list[np.ndarray]] = {}
    for item, candidate in gold(C3.features(examples, encoder, Limits(512), tally)):
        found.setdefault(item, []).append(candidate)
    for item, example in enumerate(examples):
        assert len(found[item]) == len(different(example))
        assert C3.predictions(example, [], found[item], PLAIN).answer == example.gold


def test_an_own_task_of_questions_is_declared_without_labels(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('family = "choice"\ntext = ["story", "q", "options"]\n[recipe]\nepochs = 2\n')
    data = {"story": ["一", "二"], "q": "几？", "options": ["一", "二"], "answer": "二"}
    (tmp_path / "dev.jsonl").write_text(json.dumps(data), encoding="utf-8")
    task: Any = find_task(str(tmp_path))
    [found] = task.read(Source.open(tmp_path), "dev", Tally())
    assert (found.texts, found.gold) == (("一||二", "几？", "一", "二"), 1)
    restored: Any = restore_task(json.loads(json.dumps(task.to_config())))
    assert (restored.fields, restored.labels, restored.own) == (("story", "q", "options"), (), True)
    assert restored.recipe_for("choice", "small")[0].epochs == 2
    for text, words in (('labels = ["a", "b"]', "`labels` has no meaning"), ('text = "story"', "passage, question")):
        (tmp_path / "task.toml").write_text(f'family = "choice"\n{text}\n')
        with pytest.raises(UserError, match=words):
            find_task(str(tmp_path))


# -------------------------------------------------------------------- the shipped sample


def test_the_shipped_sample_has_the_official_form() -> None:
    source, sample = locate("c3", None)
    assert sample
    amounts = {split: [len(e.texts) - 2 for e in C3.read(source, split, Tally())] for split in C3.files}
    assert {split: len(found) > 30 for split, found in amounts.items()} == dict.fromkeys(C3.files, True)
    assert set(amounts["dev"]) == {2, 3, 4}
    assert max(amounts["test1.1"]) == 8
    ids = [e.id for e in C3.read(source, "test1.0", Tally())]
    assert sorted(ids) != ids  # numbers are not in the order of the file
    passages = {split: {e.texts[0] for e in C3.read(source, split, Tally())} for split in C3.files}
    assert not passages["train"] & passages["dev"]
    answers = [e.row["answer"] in e.texts[0] for e in C3.read(source, "dev", Tally())]
    assert sum(answers) / len(answers) > 0.9
