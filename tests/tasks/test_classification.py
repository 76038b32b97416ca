"""Classification tasks: rows to examples to features, logits to answers, and what is wrong with a row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clue_cli.contract import Answering, EncodedWindow, Example, Limits, Prediction, Tally
from clue_cli.errors import RowError, UserError, Where
from clue_cli.lines import Row
from clue_cli.registry import find_task
from clue_cli.sources import Source

TNEWS, CSL, WSC = "tnews", "csl", "cluewsc2020"


class Characters:
    """One token a character: 1 for the start, 2 after each text; cut from the right of the last text."""

    fingerprint = "characters"

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool, bool, str]] = []

    def encode(
        self, texts: Sequence[tuple[str, ...]], limits: Limits, *, windows: bool, offsets: bool, segments: str
    ) -> list[list[EncodedWindow]]:
        self.asked.append((len(texts), windows, offsets, segments))
        encoded = []
        for entry in texts:
            ids = [1]
            for text in entry:
                ids += [*map(ord, text), 2]
            cut = max(0, len(ids) - limits.max_length)
            encoded.append([EncodedWindow({"input_ids": ids[: len(ids) - cut]}, None, None, cut)])
        return encoded


def read_rows(
    directory: Path, task: Any, rows: Sequence[Any], split: str = "train", tally: Tally | None = None
) -> list[Example]:
    """The examples that a task (or its name) reads from `rows`: objects, or lines of text as they are."""
    task = find_task(task) if isinstance(task, str) else task
    name = task.files[task.split(split)][0]
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (directory / name).write_text("\n".join(lines), encoding="utf-8")
    return list(task.read(Source.open(directory), split, tally or Tally()))


def wsc_row(noun: str, start: int, pronoun: str, at: int, text: str, **more: Any) -> dict[str, Any]:
    target = {"span1_text": noun, "span1_index": start, "span2_text": pronoun, "span2_index": at}
    return {"target": target, "text": text, "idx": 0, "label": "true", **more}


# ---------------------------------------------------------------- label sets


def test_label_sets_and_their_order_are_fixed() -> None:
    golden = {
        "tnews": [str(n) for n in range(100, 117) if n not in (105, 111)],
        "iflytek": [str(n) for n in range(119)],
        "afqmc": ["0", "1"],
        "csl": ["0", "1"],
        "cmnli": ["entailment", "neutral", "contradiction"],
        "ocnli": ["entailment", "neutral", "contradiction"],
        "cluewsc2020": ["false", "true"],
    }
    for name, labels in golden.items():
        task = find_task(name)
        assert list(task.labels) == labels
        assert task.head_config("classification") == {"classes": len(labels)}
    assert find_task("iflytek").label_names["0"] == "打车" and find_task("iflytek").label_names["118"] == "其他"


# ---------------------------------------------------------------- rows to examples


def test_texts_gold_id_and_row(tmp_path: Path) -> None:
    row = {"label": "108", "label_desc": "news_edu", "sentence": "高考\u2028今天", "keywords": "", "more": [1]}
    (example,) = read_rows(tmp_path, TNEWS, [row])
    assert (example.number, example.id, example.texts, example.gold) == (0, None, ("高考\u2028今天",), "108")
    assert example.row == row and example.where == Where(str(tmp_path / "train.json"), 1)
    (example,) = read_rows(tmp_path, find_task(TNEWS).with_fields(["sentence", "keywords"]), [row])
    assert example.texts == ("高考\u2028今天", "")
    (example,) = read_rows(tmp_path, CSL, [{"id": 3, "abst": "摘要", "keyword": ["甲", "乙"], "label": "1"}])
    assert (example.id, example.texts, example.gold) == (3, ("甲；乙", "摘要"), "1")


def test_rows_without_usable_gold_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"sentence1": "甲", "sentence2": "乙", "label": label} for label in ("neutral", "-", "entailment", "-")]
    for split in ("train", "dev"):
        tally = Tally()
        examples = read_rows(tmp_path, "ocnli", rows, split, tally)
        assert [(e.number, e.gold) for e in examples] == [(0, "neutral"), (1, "entailment")]
        assert tally.as_dict() == {"rows labelled '-'": 2}
        assert tally.places["rows labelled '-'"][0].endswith(":2")
    with pytest.raises(RowError, match="unknown label '-'"):
        read_rows(tmp_path, "afqmc", rows[1:])


def test_test_rows_have_no_gold_whatever_they_say(tmp_path: Path) -> None:
    rows = [
        {"id": 5, "sentence": "好", "label": "100"},
        {"id": 3, "sentence": "坏"},
        {"id": "a", "sentence": "行", "label": "-"},
    ]
    examples = read_rows(tmp_path, TNEWS, rows, "test")
    assert [(e.id, e.gold) for e in examples] == [(5, None), (3, None), ("a", None)]


def test_a_users_own_test_rows_are_labelled_where_they_say_so(tmp_path: Path) -> None:
    own = find_task(TNEWS).with_labels(["好", "坏"])
    rows = [{"sentence": "一", "label": "坏"}, {"sentence": "二"}, {"sentence": "三", "label": ""}]
    own_rows = read_rows(tmp_path, own, rows, "test")
    assert [e.gold for e in own_rows] == ["坏", None, None]


def test_numbers_and_truth_values_are_labels_by_their_spelling(tmp_path: Path) -> None:
    rows = [{"sentence1": "甲", "sentence2": "乙", "label": label} for label in (1, "0")]
    assert [e.gold for e in read_rows(tmp_path, "afqmc", rows)] == ["1", "0"]
    row = wsc_row("小明", 0, "他", 3, "小明说他来") | {"label": False}
    assert read_rows(tmp_path, WSC, [row])[0].gold == "false"
    with pytest.raises(RowError, match="unknown label '0'"):
        read_rows(tmp_path, TNEWS, [{"sentence": "好", "label": 0}])  # never a class index


GOOD = {"label": "108", "sentence": "好"}


@pytest.mark.parametrize(
    ("task", "bad", "field", "says"),
    [
        (TNEWS, {"label": "108"}, None, "no field 'sentence'; fields found: label; task tnews expects sentence, label"),
        (TNEWS, {"sentence": "好"}, None, "no field 'label'"),
        (TNEWS, {**GOOD, "sentence": ""}, "sentence", "the text is empty"),
        (TNEWS, {**GOOD, "sentence": " \u3000\n"}, "sentence", "the text is empty"),
        (TNEWS, {**GOOD, "sentence": None}, "sentence", "a text was expected, found null"),
        (TNEWS, {**GOOD, "sentence": ["好"]}, "sentence", 'found the list ["好"]'),
        (TNEWS, {**GOOD, "sentence": 7}, "sentence", "found the number 7"),
        (TNEWS, {**GOOD, "label": "105"}, "label", "unknown label '105'"),
        (TNEWS, {**GOOD, "label": None}, "label", "the label must be a string, found null"),
        (TNEWS, {**GOOD, "label": 108.5}, "label", "unknown label '108.5'"),
        (TNEWS, {**GOOD, "label": ["108"]}, "label", "the label must be a string"),
        (TNEWS, {**GOOD, "id": [1]}, "id", "the id must be a string or a whole number"),
        (TNEWS, {**GOOD, "id": 1.5}, "id", "the id must be a string or a whole number"),
        ("iflytek", {**GOOD, "label": "119"}, "label", "119 labels, '0' to '118'"),
        ("afqmc", GOOD, None, "fields found: label, sentence; task afqmc expects sentence1, sentence2, label"),
        (CSL, {"abst": "a", "keyword": "b", "label": "1"}, "keyword", "a list of texts was expected"),
        (CSL, {"abst": "a", "keyword": ["b", 1], "label": "1"}, "keyword", "a list of texts was expected"),
        (CSL, {"abst": "a", "keyword": [], "label": "1"}, "keyword", "the list holds no text"),
        (WSC, {"text": "a", "label": "true"}, None, "no field 'target'"),
        (WSC, {"text": "a", "target": [], "label": "true"}, "target", "an object with two spans"),
        (
            WSC,
            wsc_row("小明", 1, "他", 3, "小明说他来"),
            "target.span1",
            "'小明' does not stand at character 1; there is '明说'",
        ),
        (WSC, wsc_row("小明", 0, "他", -2, "小明说他来"), "target.span2", "does not stand at character -2"),
        (WSC, wsc_row("小明", 0, "来了", 4, "小明说他来"), "target.span2", "does not stand at character 4"),
        (WSC, wsc_row("", 0, "他", 3, "小明说他来"), "target.span1", "were expected"),
        (WSC, wsc_row("小明", "0", "他", 3, "小明说他来"), "target.span1", "were expected"),  # type: ignore[arg-type]
        (WSC, wsc_row("小明", True, "他", 3, "小明说他来"), "target.span1", "were expected"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_file_line_and_field(
    tmp_path: Path, task: str, bad: dict[str, Any], field: str | None, says: str
) -> None:
    with pytest.raises(RowError) as caught:
        read_rows(tmp_path, task, [bad])
    message = str(caught.value)
    place = f"{tmp_path / 'train.json'}:1: " + (f"{field}: " if field else "")
    assert message.startswith(place) and says in message and "\n" not in message


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.json: no rows; task tnews expects sentence, label"):
        read_rows(tmp_path, TNEWS, [])
    with pytest.raises(UserError, match=r"no test1\.0\.json here; found: train\.json"):
        list(find_task(TNEWS).read(Source.open(tmp_path), "test1.0", Tally()))


def test_a_repeated_id_in_a_test_split_names_both_lines(tmp_path: Path) -> None:
    rows = [{"id": 1, "sentence": "好"}, {"id": "1", "sentence": "坏"}, {"sentence": "一"}, {"id": 1, "sentence": "二"}]
    with pytest.raises(RowError, match=r":4: id: id 1 was already used in line 1"):
        read_rows(tmp_path, TNEWS, rows, "test")
    assert len(read_rows(tmp_path, TNEWS, [{**row, "label": "100"} for row in rows])) == 4, "train ids may repeat"


def test_splits_by_name() -> None:
    assert find_task(TNEWS).split("test") == "test1.1"
    assert find_task("csl").split("test") == "test"
    with pytest.raises(UserError, match="unknown split of task csl 'tset'; did you mean test"):
        find_task("csl").split("tset")


# ---------------------------------------------------------------- marked spans


@given(st.data())
def test_marks_stand_around_the_spans_wherever_they_are(data: st.DataObject) -> None:
    pieces = [data.draw(st.text("甲乙丙😀他", min_size=n, max_size=4)) for n in (0, 1, 0, 1, 0)]
    before, first, between, second, after = pieces
    text, noun_first = before + first + between + second + after, data.draw(st.booleans())
    starts = (len(before), len(before + first + between))
    spans = [(first, starts[0]), (second, starts[1])]
    (noun, noun_at), (pronoun, pronoun_at) = spans if noun_first else spans[::-1]
    row = Row(wsc_row(noun, noun_at, pronoun, pronoun_at, text), Where("x", 1))
    marked = find_task(WSC).example(row, 0, labelled=True).texts
    one, two = (f"_{first}_", f"[{second}]") if noun_first else (f"[{first}]", f"_{second}_")
    assert marked == (before + one + between + two + after,)


def test_a_pronoun_inside_the_noun() -> None:
    row = Row(wsc_row("他的书", 2, "他", 2, "这是他的书"), Where("x", 1))
    assert find_task(WSC).example(row, 0, labelled=False).texts == ("这是_[他]的书_",)


# ---------------------------------------------------------------- features


def examples(count: int, gold: str | None = "108") -> list[Example]:
    return [Example(n, n, ("字" * (n % 7 + 1),), gold, {}, Where("f", n + 1)) for n in range(count)]


def test_one_feature_an_example_in_batches() -> None:
    encoder, task, tally = Characters(), find_task(TNEWS), Tally()
    many = examples(2500)
    features = list(task.features(many, encoder, Limits(6), tally, segments="zero"))
    assert [(f.item, f.unit) for f in features] == [(n, n) for n in range(2500)]
    assert all(f.targets == {"labels": task.labels.index("108")} for f in features)
    assert all(f.length == min(len(e.texts[0]) + 2, 6) for f, e in zip(features, many, strict=True))
    assert encoder.asked == [(1024, False, False, "zero"), (1024, False, False, "zero"), (452, False, False, "zero")]
    lengths = [len(e.texts[0]) + 2 for e in many]
    cut = [length - 6 for length in lengths if length > 6]
    assert tally.as_dict() == {"texts cut to max_length": len(cut), "tokens cut from them": sum(cut)}
    assert tally.places["texts cut to max_length"][0] == "f:5"


def test_targets_of_a_batch() -> None:
    task = find_task(TNEWS)
    features = [
        f for gold in ("100", "116") for f in task.features(examples(1, gold), Characters(), Limits(9), Tally())
    ]
    batch = task.collate(features)
    assert batch["labels"].dtype == np.int64 and batch["labels"].tolist() == [0, 14]
    assert task.collate([*features, *task.features(examples(1, None), Characters(), Limits(9), Tally())]) == {}


# ---------------------------------------------------------------- answers


@given(hnp.arrays(np.float32, 15, elements=st.floats(-80, 80, width=32)))
def test_logits_become_probabilities(logits: np.ndarray) -> None:
    task = find_task(TNEWS)
    prediction = task.predictions(examples(1)[0], [], [logits], Answering())
    powers = [np.exp(np.longdouble(x)) for x in logits]
    assert np.allclose(prediction.scores, [float(p / sum(powers)) for p in powers], atol=1e-6)
    assert prediction.answer == task.labels[max(range(15), key=lambda n: (logits[n], -n))]


def test_huge_logits_stay_finite() -> None:
    prediction = find_task("afqmc").predictions(examples(1)[0], [], [np.array([1e30, -1e30])], Answering())
    assert prediction.answer == "0" and prediction.scores.tolist() == [1.0, 0.0]


def test_the_fields_of_an_answer() -> None:
    task, example = find_task(TNEWS), examples(1)[0]
    logits = np.zeros(15)
    logits[3], logits[1] = 2.0, 1.0
    prediction = task.predictions(example, [], [logits], Answering())
    plain = task.answer_fields(example, prediction, Answering(), probabilities=False)
    assert plain == {"label": "103", "label_desc": "sports"}
    full = task.answer_fields(example, prediction, Answering(top_k=3), probabilities=True)
    total = np.e**2 + np.e + 13
    assert full["probability"] == pytest.approx(np.e**2 / total, abs=1e-6)
    assert [label for label, _ in full["top"]] == ["103", "101", "100"]
    assert json.loads(json.dumps(full)) == full
    assert "label_desc" not in find_task("afqmc").answer_fields(
        example, Prediction("1"), Answering(top_k=2), probabilities=True
    )


def test_predictions_are_read_back() -> None:
    task, example = find_task(TNEWS), examples(1)[0]
    answer = task.answer_fields(example, Prediction("108"), Answering(), probabilities=False)
    assert task.read_prediction(Row(answer, Where("p", 1)), example) == Prediction("108")
    assert task.read_prediction(Row({"id": 1, "label": 108}, Where("p", 1)), example).answer == "108"
    with pytest.raises(RowError, match="p:4: label: unknown label '99'"):
        task.read_prediction(Row({"label": "99"}, Where("p", 4)), example)
    with pytest.raises(RowError, match=r"p:4: no field 'label'.*found: id"):
        task.read_prediction(Row({"id": 1}, Where("p", 4)), example)


def test_the_official_prediction_file(tmp_path: Path) -> None:
    task, path = find_task(WSC), tmp_path / "cluewsc11_predict.json"
    rows = [Example(0, 7, ("a",), None, {}, Where("t", 1)), Example(1, "b", ("a",), None, {}, Where("t", 2))]
    task.write_submission(zip(rows, [Prediction("true"), Prediction("false")], strict=True), "test", path)
    assert path.read_text() == '{"id": 7, "label": "true"}\n{"id": "b", "label": "false"}\n'
    with pytest.raises(UserError, match=r"no prediction file for split dev; it has: test1\.0, test1\.1"):
        task.write_submission([], "dev", path)
    nameless = Example(0, None, ("a",), None, {}, Where("t", 9))
    with pytest.raises(RowError, match="t:9: no field 'id'"):
        task.write_submission(
            [(rows[0], Prediction("true")), (nameless, Prediction("true"))], "test", tmp_path / "other"
        )
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name], "nothing half-written stays"


def test_submission_names() -> None:
    names = {
        name: dict(find_task(name).submissions) for name in ("tnews", "iflytek", "afqmc", "cmnli", "ocnli", WSC, "csl")
    }
    assert names == {
        "tnews": {"test1.0": "tnews10_predict.json", "test1.1": "tnews11_predict.json"},
        "iflytek": {"test": "iflytek_predict.json"},
        "afqmc": {"test": "afqmc_predict.json"},
        "cmnli": {"test": "cmnli_predict.json"},
        "ocnli": {"test": "ocnli_50k_predict.json"},
        WSC: {"test1.0": "cluewsc10_predict.json", "test1.1": "cluewsc11_predict.json"},
        "csl": {"test": "csl_predict.json"},
    }
