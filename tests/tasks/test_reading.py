"""Reading comprehension from documents to targets and back: what is read, learned, answered and written."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally
from clue_cli.encoders import text as text_module
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.errors import RowError, UserError, Where
from clue_cli.hub import HubSource
from clue_cli.registry import find_task, restore_task
from clue_cli.sources import Row, Source
from tasks.families import reading, squad, windows
from tasks.families.reading import Reading
from tasks.families.squad import Answer, locate

CMRC, DUREADER = find_task("cmrc2018"), find_task("dureader_robust")
TASK = Reading(name="own", title="a user's own", own=True)
MINI_ZH = Path(text_module.__file__).parent / "mini_zh"
PLAIN = Answering()


@pytest.fixture(scope="module")
def encoder() -> HFTextEncoder:
    """The shipped tokenizer: Chinese characters and digits one by one, Latin word pieces, lower case."""
    return HFTextEncoder(AutoTokenizer.from_pretrained(MINI_ZH), takes_segments=False)


def words_encoder(template: str, specials: list[tuple[str, int]]) -> HFTextEncoder:
    """Words and years in one token each, [DROP] characters gone, with the given frame of special tokens."""
    backend = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Replace("\u200b", "")
    backend.pre_tokenizer = pre_tokenizers.Split(pre_tokenizers_pattern(), "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single=template.split("$B")[0].strip(), pair=template, special_tokens=specials
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[UNK]"
    )
    return HFTextEncoder(fast, takes_segments=False)


def pre_tokenizers_pattern() -> Any:
    from tokenizers import Regex

    return Regex("[0-9]+|[A-Za-z]+|.")


@pytest.fixture(scope="module")
def years() -> HFTextEncoder:
    """Years in one token: their digits have no borders of their own."""
    return words_encoder("[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 0), ("[SEP]", 1)])


@pytest.fixture(scope="module")
def summary_last() -> HFTextEncoder:
    """As XLNet has it: the summary token last, nothing before the question."""
    return words_encoder("$A [SEP] $B:1 [SEP]:1 [CLS]:1", [("[CLS]", 0), ("[SEP]", 1)])


def row(data: dict[str, Any]) -> Row:
    return Row(data, Where("own.jsonl", 3))


def question(context: str, *answers: Any, text: str = "谁？", number: int = 0) -> Example:
    gold = tuple(a if isinstance(a, Answer) else locate(a, -1, context) for a in answers) if answers else None
    return Example(number, f"q{number}", (text, context), gold, {}, Where("own.jsonl", number + 1))


def spans_of(*found: tuple[int, int, float], probability: float = 0.5) -> SimpleNamespace:
    """What a head decodes: (first token, last token, raw score), best first."""
    first, last, score = np.array(found, dtype=np.float64).reshape(-1, 3).T
    return SimpleNamespace(
        type=np.zeros(len(first), int), start=first.astype(int), end=last.astype(int), score=score,
        probability=np.full(len(first), probability), dropped=0,
    )  # fmt: skip


def oracle(feature: Feature) -> SimpleNamespace:
    """A head that answers the target of a window, and something unlikely where it has none."""
    target = feature.targets["spans"]
    passage = np.flatnonzero(feature.sequence == windows.PASSAGE)
    if len(target) and target[0, 1]:
        return spans_of((int(target[0, 1]), int(target[0, 2]), 9.0))
    return spans_of(*([(int(passage[0]), int(passage[0]), -9.0)] if len(passage) else []))


def by_example(
    examples: list[Example], encoder: Any, limits: Limits, tally: Tally | None = None
) -> list[list[Feature]]:
    grouped: list[list[Feature]] = [[] for _ in examples]
    for feature in TASK.features(examples, encoder, limits, tally or Tally()):
        grouped[feature.item].append(feature)
    return grouped


# -------------------------------------------------------------------- documents

DOCUMENT: dict[str, Any] = {
    "version": "v1.0",
    "data": [
        {
            "title": "一",
            "paragraphs": [
                {
                    "id": "P0",
                    "context": "王明在上海，王明说。",
                    "qas": [
                        {"id": "Q0", "question": "谁？", "answers": [{"text": "王明", "answer_start": 6}]},
                        {"id": "Q1", "question": "哪里？", "answers": [{"text": "上海", "answer_start": -1}]},
                    ],
                }
            ],
        },
        {"paragraphs": [{"context": "李四。", "qas": [{"id": "Q2", "question": "谁？", "answers": []}]}]},
        {"paragraphs": []},
    ],
}


def write(tmp_path: Path, document: Any, name: str = "dev.json") -> Source:
    (tmp_path / name).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return Source.open(tmp_path)


def test_a_document_becomes_flat_rows() -> None:
    rows = list(CMRC.unpack(DOCUMENT, "dev.json"))
    assert [r.data["id"] for r in rows] == ["Q0", "Q1", "Q2"]
    assert rows[0].data == {
        "id": "Q0", "question": "谁？", "context": "王明在上海，王明说。",
        "answers": [{"text": "王明", "answer_start": 6}],
    }  # fmt: skip
    assert str(rows[1].where) == "dev.json: data[0].paragraphs[0].qas[1]"


def test_documents_and_flat_rows_are_read_alike(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    del document["data"][1]
    nested = list(CMRC.read(write(tmp_path, document), "dev", Tally()))
    rows = [r.data for r in CMRC.unpack(document, "f")]
    for name, text in (
        ("lines/dev.jsonl", "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)),
        ("json/dev.json", "".join(json.dumps(r) + "\n" for r in rows)),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
        flat = list(CMRC.read(Source.open(tmp_path / name.split("/")[0]), "dev", Tally()))
        assert [(e.id, e.texts, e.gold, e.number) for e in flat] == [(e.id, e.texts, e.gold, e.number) for e in nested]
    assert nested[0].gold == (Answer("王明", 6, 8),)
    assert nested[1].gold == (Answer("上海", 3, 5),)


def test_the_hub_has_rows_with_answers_in_two_lists() -> None:
    rows = [
        {"id": "Q0", "question": "谁？", "context": "王明在上海", "answers": {"text": ["王明"], "answer_start": [0]}},
        {"id": "Q1", "question": "哪？", "context": "王明在上海", "answers": {"text": ["上海"], "answer_start": [2]}},
    ]

    class Split(list[dict[str, Any]]):
        features: ClassVar[dict[str, Any]] = {}

    examples = list(CMRC.read(HubSource(config="cmrc2018", splits={"train": Split(rows)}), "train", Tally()))
    assert [e.gold for e in examples] == [(Answer("王明", 0, 2),), (Answer("上海", 3, 5, squad.SHIFTED),)]


def test_a_test_split_has_no_gold_whatever_stands_there(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["data"][0]["paragraphs"][0]["qas"][0]["answers"] = [{"text": "FAKE_ANSWER_1", "answer_start": -1}] * 3
    examples = list(CMRC.read(write(tmp_path, document, "test.json"), "test", Tally()))
    assert [e.gold for e in examples] == [None, None, None]


def put(document: Any, path: str, value: Any) -> Any:
    """The document with `value` at a path such as `data.0.paragraphs`; `DELETE` takes the key away."""
    document = copy.deepcopy(document)
    if not path:
        return value
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    here = document
    for part in parents:
        here = here[part]
    if value is DELETE:
        del here[last]
    else:
        here[last] = value
    return document


DELETE = object()
QA = "data.0.paragraphs.0.qas.1"
BROKEN: list[tuple[str, Any, str]] = [
    ("", [], "dev.json: an object was expected, found an empty list"),
    ("", {"rows": 1}, "dev.json: no 'data' here; fields found: rows"),
    ("data", {}, "dev.json: data: a list was expected, found an empty object"),
    ("data", "x", "dev.json: data: a list was expected, found the text"),
    ("data.0", None, "dev.json: data[0]: an object was expected, found null"),
    ("data.0.paragraphs", DELETE, "dev.json: data[0]: no 'paragraphs' here; fields found: title"),
    ("data.0.paragraphs", 3, "dev.json: data[0].paragraphs: a list was expected, found the number 3"),
    ("data.0.paragraphs.0", [], "dev.json: data[0].paragraphs[0]: an object was expected"),
    ("data.0.paragraphs.0.context", DELETE, "dev.json: data[0].paragraphs[0]: no 'context' here"),
    ("data.0.paragraphs.0.context", None, "dev.json: data[0].paragraphs[0].context: a text was expected, found null"),
    ("data.0.paragraphs.0.context", " \n", "dev.json: data[0].paragraphs[0].context: the passage is empty"),
    ("data.0.paragraphs.0.qas", DELETE, "dev.json: data[0].paragraphs[0]: no 'qas' here; fields found: id, context"),
    ("data.0.paragraphs.0.qas", None, "dev.json: data[0].paragraphs[0].qas: a list was expected, found null"),
    (QA, "q", "dev.json: data[0].paragraphs[0].qas[1]: an object was expected, found the text"),
    (f"{QA}.id", DELETE, "dev.json: data[0].paragraphs[0].qas[1]: no 'id' here; fields found: question, answers"),
    (f"{QA}.id", 1.5, "qas[1].id: the id must be a string or a whole number, found the number 1.5"),
    (f"{QA}.id", True, "qas[1].id: the id must be a string"),
    (f"{QA}.id", "Q0", "qas[1].id: id 'Q0' was already used at data[0].paragraphs[0].qas[0]"),
    (f"{QA}.question", DELETE, "dev.json: data[0].paragraphs[0].qas[1]: no 'question' here"),
    (f"{QA}.question", ["谁"], "dev.json: data[0].paragraphs[0].qas[1].question: a text was expected, found the list"),
    (f"{QA}.question", "", "dev.json: data[0].paragraphs[0].qas[1].question: the text is empty"),
    (f"{QA}.answers", DELETE, "dev.json: data[0].paragraphs[0].qas[1]: no field 'answers'"),
    (f"{QA}.answers", None, "qas[1].answers: a list of"),
    (f"{QA}.answers", "上海", "qas[1].answers: [{\"text\", \"answer_start\"}] was expected, found the text"),
    (f"{QA}.answers.0", "上海", "qas[1].answers[0]: {\"text\", \"answer_start\"} was expected, found the text"),
    (f"{QA}.answers.0.text", DELETE, "qas[1].answers[0]: no 'text' in the answer"),
    (f"{QA}.answers.0.text", 7, "qas[1].answers[0].text: a text was expected, found the number 7"),
    (f"{QA}.answers.0.answer_start", "3", "qas[1].answers[0].answer_start: a whole number was expected, found the te"),
    (f"{QA}.answers.0.answer_start", True, "answers[0].answer_start: a whole number was expected, found the truth"),
    (f"{QA}.answers.0.answer_start", 99, "answer_start 99 lies outside the passage of 10 characters (the answer stand"),
    (f"{QA}.answers.0.answer_start", -2, "qas[1].answers[0].answer_start: answer_start -2 lies outside the passage"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "says"), BROKEN)
def test_a_document_broken_anywhere_is_refused_with_the_place(tmp_path: Path, path: str, value: Any, says: str) -> None:
    source = write(tmp_path, put(DOCUMENT, path, value))
    with pytest.raises(RowError) as caught:
        list(CMRC.read(source, "dev", Tally()))
    assert says in str(caught.value)
    assert str(tmp_path / "dev.json") in str(caught.value)


FLAT = {"id": "a", "question": "谁？", "context": "王明在上海", "answers": [{"text": "王明", "answer_start": 0}]}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("question", " ", "own.jsonl:3: question: the text is empty"),
        ("context", "", "own.jsonl:3: context: the text is empty"),
        ("context", 5, "own.jsonl:3: context: a text was expected, found the number 5"),
        ("id", [1], "own.jsonl:3: id: the id must be a string or a whole number"),
        ("answers", [{"answer_start": 0}], "own.jsonl:3: answers[0]: no 'text' in the answer"),
        ("answers", {"text": ["王明"], "answer_start": []}, "own.jsonl:3: answers: a list of"),
        ("answers", "[", "own.jsonl:3: answers: "),
    ],
)
def test_a_flat_row_that_is_wrong_is_refused(field: str, value: Any, says: str) -> None:
    with pytest.raises(RowError) as caught:
        TASK.example(row({**FLAT, field: value}), 0, labelled=True)
    assert says in str(caught.value)
    missing = {name: found for name, found in FLAT.items() if name != field}
    if field != "id":
        with pytest.raises(RowError, match=f"no field '{field}'.*task own expects id, question, context and answers"):
            TASK.example(row(missing), 0, labelled=True)


def test_answers_may_be_two_lists_or_a_csv_cell_and_count_once() -> None:
    for answers in (
        {"text": ["王明", "上海", "王明"], "answer_start": [0, 3, 0]},
        json.dumps([{"text": "王明", "answer_start": 0}, {"text": "上海"}]),
        {"text": ["王明", "上海"]},
    ):
        got = TASK.example(row({**FLAT, "answers": answers}), 0, labelled=True)
        assert got.gold == (Answer("王明", 0, 2), Answer("上海", 3, 5))


def test_empty_questions_are_left_out_of_trial_only(tmp_path: Path) -> None:
    document = put(put(DOCUMENT, f"{QA}.question", ""), "data.1", {"paragraphs": []})
    tally = Tally()
    (one,) = CMRC.read(write(tmp_path, document, "trial.json"), "trial", tally)
    assert (one.id, one.number) == ("Q0", 0)
    assert tally.as_dict() == {reading.BLANK: 1}
    assert "qas[1]" in tally.places[reading.BLANK][0]


@pytest.mark.parametrize("path", ["answers", "is_impossible"])
def test_questions_of_squad_2_without_an_answer_are_left_out_and_counted(tmp_path: Path, path: str) -> None:
    document = put(DOCUMENT, f"{QA}.{path}", [] if path == "answers" else True)
    document = put(document, "data.1", {"paragraphs": []})
    tally = Tally()
    (one,) = CMRC.read(write(tmp_path, document), "dev", tally)
    assert (one.id, one.number) == ("Q0", 0)
    assert tally.as_dict() == {"questions without an answer in their passage": 1}
    assert "qas[1]" in tally.places[reading.UNANSWERABLE][0]


NO_ANSWERS = {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    ("answers", "impossible"),
    [
        ([], None),
        ("[ ]", "False"),
        (NO_ANSWERS, None),
        (json.dumps(NO_ANSWERS), ""),
        (FLAT["answers"], True),
        (json.dumps(FLAT["answers"]), "True"),
        ("", "true"),
    ],
)
def test_flat_questions_without_an_answer_are_left_out_and_counted(
    tmp_path: Path, answers: Any, impossible: Any
) -> None:
    rows = [FLAT, {**FLAT, "id": "b", "answers": answers, "is_impossible": impossible}]
    for split in ("train", "test"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    source, tally = Source.open(tmp_path), Tally()
    assert [example.id for example in TASK.read(source, "train", tally)] == ["a"]
    assert tally.as_dict() == {reading.UNANSWERABLE: 1}
    assert [example.gold is None for example in TASK.read(source, "test", tally)] == [False, True]


def test_there_are_no_labels_and_two_texts() -> None:
    with pytest.raises(UserError, match="has no labels"):
        CMRC.with_labels(["x"])
    with pytest.raises(UserError, match="reads question and context"):
        CMRC.with_fields(["context"])
    assert CMRC.with_fields(["question", "context"]) is CMRC
    with pytest.raises(ValueError, match="a question and a passage"):
        Reading(name="x", title="x", texts=("context",))
    with pytest.raises(UserError, match="did you mean span"):
        CMRC.head_config("spam")
    assert CMRC.head_config("span") == {}
    assert list(CMRC.labels_of((Answer("a"), Answer("b")))) == ["answer", "answer"]


# -------------------------------------------------------------------- where an answer stands


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("北京", 0, Answer("北京", 0, 2)),
        ("北京", 6, Answer("北京", 6, 8)),
        ("北京", 5, Answer("北京", 6, 8, squad.SHIFTED)),
        ("北京", 3, Answer("北京", 0, 2, squad.SHIFTED)),  # two equally near: the earlier
        ("北京", -1, Answer("北京", 0, 2, squad.SEVERAL)),
        ("中国", -1, Answer("中国", 3, 5)),
        ("南京", 3, Answer("南京", note=squad.MISSING)),
        ("南京", -1, Answer("南京", note=squad.MISSING)),
        ("", 3, Answer("", note=squad.EMPTY)),
        ("很大很大", 9, Answer("很大很大", note=squad.MISSING)),
    ],
)
def test_an_answer_is_found_near_its_start(text: str, start: int, expected: Answer) -> None:
    assert locate(text, start, "北京在中国，北京很大") == expected


@given(context=st.text("ab", min_size=1, max_size=12), text=st.text("ab", min_size=1, max_size=3), data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_nearest_place_is_the_nearest_of_all(context: str, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(-1, len(context) - 1))
    places = [i for i in range(len(context)) if context[i : i + len(text)] == text]
    found = locate(text, start, context)
    if not places:
        assert not found.located
        return
    assert found.start in places and context[found.start : found.end] == text
    if start < 0:
        assert found.start == places[0]
    else:
        assert abs(found.start - start) == min(abs(place - start) for place in places)


# -------------------------------------------------------------------- windows and targets

ALPHABET = "中国北京大学在的，。 　12aé😀\u200b한"


@given(
    context=st.text(ALPHABET, min_size=1, max_size=90).filter(lambda text: bool(text.strip())),
    asked=st.text(ALPHABET, min_size=1, max_size=40),
    shape=st.sampled_from([(16, 0), (16, 3), (24, 8), (128, 16)]),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_what_is_learned_is_answered(
    encoder: HFTextEncoder, context: str, asked: str, shape: tuple[int, int], data: st.DataObject
) -> None:
    """Gold decodes to gold, or to what the tally says; no window learns what it does not hold."""
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, min(len(context), start + 12)))
    one, tally = question(context, Answer(context[start:end], start, end), text=asked), Tally()
    (features,) = by_example([one], encoder, Limits(*shape), tally)
    whole = by_example([one], encoder, Limits(4096, 0))[0][0]
    held = [
        token for token, (s, e) in enumerate(whole.char_spans.tolist())
        if whole.sequence[token] == 1 and s < end and e > start and s < e
    ]  # fmt: skip
    reasons = set(tally.as_dict()) - {reading.LONG_QUESTION}
    answer = TASK.predictions(one, features, [oracle(f) for f in features], PLAIN).answer
    if not held:
        assert reasons == {reading.NOT_LEARNED} | ({windows.NO_TOKEN} & reasons)
        assert all(len(f.targets["spans"]) == 0 for f in features)
        return
    learned = int(whole.char_spans[held[0], 0]), int(whole.char_spans[held[-1], 1])
    for feature in features:
        assert feature.length <= shape[0]
        target = feature.targets["spans"]
        own = (feature.sequence == 1) & (feature.char_spans[:, 0] < end) & (feature.char_spans[:, 1] > start)
        own &= feature.char_spans[:, 0] < feature.char_spans[:, 1]
        if not own.any():
            assert target.tolist() == [[0, 0, 0]]
        elif len(target):
            assert (feature.char_spans[target[0, 1], 0], feature.char_spans[target[0, 2], 1]) == learned
            assert feature.sequence[target[0, 1]] == feature.sequence[target[0, 2]] == 1
    if windows.NO_WINDOW in reasons:
        assert len(held) > shape[1]  # whatever is not longer than the overlap has a window
        return
    assert (answer.start, answer.end) == learned
    assert answer.text == context[learned[0] : learned[1]]
    assert (learned == (start, end)) == (not reasons)


def test_a_border_inside_a_token_learns_the_token_and_is_counted(years: HFTextEncoder) -> None:
    tally = Tally()
    one = question("在1998年，", Answer("98年", 3, 6))
    ((feature,),) = by_example([one], years, Limits(32, 4), tally)
    assert tally.as_dict() == {windows.CUT: 1}
    answer = TASK.predictions(one, [feature], [oracle(feature)], PLAIN).answer
    assert answer == Answer("1998年", 1, 6)
    dropped = question("在\u200b京\u200b，", Answer("\u200b京\u200b", 1, 4))
    tally = Tally()
    ((feature,),) = by_example([dropped], years, Limits(32, 4), tally)
    assert tally.as_dict() == {windows.DROPPED: 1}
    assert TASK.predictions(dropped, [feature], [oracle(feature)], PLAIN).answer.text.strip("\u200b") == "京"


def test_recall_is_bounded_by_what_tokens_and_windows_hold(years: HFTextEncoder) -> None:
    long = "在" + "天" * 20
    examples = [
        question("在1998年", "1998", Answer("98年", 3, 6), Answer("南", note=squad.MISSING)),
        question(long, Answer(long[:18], 0, 18)),
        question("北京", Answer("", note=squad.EMPTY)),
        question("北京"),
    ]
    reach = TASK.recall_bound(examples, years, Limits(20, 4))
    assert (reach.gold, reach.reachable) == (5, 1)
    assert reach.unreachable.as_dict() == {
        windows.CUT: 1, squad.MISSING: 1, windows.NO_WINDOW: 1, squad.EMPTY: 1, reading.OUT_OF_REACH: 2,
    }  # fmt: skip


def test_the_first_answer_with_a_place_is_learned_and_the_rest_counted(encoder: HFTextEncoder) -> None:
    context = "北京在中国，北京很大"
    gold = [
        locate("南京", -1, context),
        locate("", -1, context),
        locate("中国", 2, context),
        locate("北京", 0, context),
    ]
    tally = Tally()
    one = question(context, *gold)
    ((feature,),) = by_example([one], encoder, Limits(32, 4), tally)
    assert TASK.predictions(one, [feature], [oracle(feature)], PLAIN).answer == Answer("中国", 3, 5)
    assert tally.as_dict() == {squad.MISSING: 1, squad.EMPTY: 1, squad.SHIFTED: 1}
    assert one.gold is not None and len(one.gold) == 4
    tally = Tally()
    ((feature,),) = by_example([question(context, *gold[:2])], encoder, Limits(32, 4), tally)
    assert feature.targets["spans"].shape == (0, 3)
    assert tally.as_dict() == {squad.MISSING: 1, squad.EMPTY: 1, reading.NOT_LEARNED: 1}


def test_a_window_with_a_part_of_the_answer_learns_nothing(encoder: HFTextEncoder) -> None:
    context = "一二三四五六七八九十甲乙丙丁戊己庚辛壬癸"
    (features,) = by_example([question(context, "八九十甲", text="谁")], encoder, Limits(14, 4))
    kinds = [f.targets["spans"].tolist() for f in features]
    assert kinds[0] == []
    assert kinds[1] == [[0, 4, 7]]
    assert all(kind == [[0, 0, 0]] for kind in kinds[2:])
    assert len(features) > 2


def test_a_question_longer_than_its_half_is_cut_and_counted(encoder: HFTextEncoder) -> None:
    tally = Tally()
    (features,) = by_example([question("王明在上海" * 9, "上海", text="谁" * 50)], encoder, Limits(23, 4), tally)
    assert all((f.sequence == 0).sum() == 10 for f in features)
    assert tally.as_dict() == {reading.LONG_QUESTION: 1, squad.SEVERAL: 1}


def test_rows_without_gold_have_no_targets(encoder: HFTextEncoder) -> None:
    ((feature,),) = by_example([question("北京")], encoder, Limits(16, 2))
    assert feature.targets == {}


def test_a_very_long_passage_is_computed_in_parts(encoder: HFTextEncoder) -> None:
    examples = [question("天" * 30), question("天" * 600), question("天" * 30)]
    features = list(TASK.features(examples, encoder, Limits(16, 2), Tally()))
    assert [f.item for f in features] == sorted(f.item for f in features)
    units = Counter((f.item, f.unit) for f in features)
    assert max(units.values()) == reading.WINDOWS_OF_UNIT
    assert len([key for key in units if key[0] == 1]) > 1
    assert [key[1] for key in units] == list(range(len(units)))


def test_no_answer_is_no_token_of_the_passage_whatever_stands_first(summary_last: HFTextEncoder) -> None:
    """Without a [CLS] in front the question's first token stands for "no answer": no padding, no passage."""
    one = question("一二三四五六七八九十" * 3, "十一二", text="谁")
    (features,) = by_example([one], summary_last, Limits(16, 4))
    assert len(features) > 1
    for feature in features:
        assert feature.sequence[0] == 0
        assert feature.targets["spans"].tolist() == [[0, 0, 0]] or feature.sequence[feature.targets["spans"][0, 1]] == 1
    assert TASK.predictions(one, features, [oracle(f) for f in features], PLAIN).answer == Answer("十一二", 9, 12)


# -------------------------------------------------------------------- answers


def test_the_best_raw_score_of_all_windows_answers(encoder: HFTextEncoder) -> None:
    one = question("一二三四五六七八九十甲乙丙丁戊己庚辛壬癸", text="谁")
    (features,) = by_example([one], encoder, Limits(14, 4))
    first, second = (int(np.flatnonzero(f.sequence == 1)[0]) for f in features[:2])
    nothing = spans_of()
    found = [spans_of((first, first, 2.0), (first + 6, first + 7, 1.0), probability=0.4), nothing, nothing][
        : len(features)
    ]
    found[1] = spans_of((second, second + 1, 3.0), (0, 0, 2.9), (1, second, 2.8), probability=0.8)
    found += [nothing] * (len(features) - len(found))
    got = TASK.predictions(one, features, found, Answering(top_k=5))
    assert got.answer == Answer("七八", 6, 8)
    # "七八" stands in both windows: e^3 + e^1 of (e^2 / 0.4 + e^3 / 0.8)
    total = np.exp(2.0) / 0.4 + np.exp(3.0) / 0.8
    assert [(s.answer.text, s.score) for s in got.scores] == [("七八", 3.0), ("一", 2.0)]
    assert got.scores[0].probability == pytest.approx((np.exp(3.0) + np.exp(1.0)) / total)
    assert got.scores[1].probability == pytest.approx(np.exp(2.0) / total)
    fields = TASK.answer_fields(one, got, Answering(top_k=2), probabilities=True)
    assert fields["answer"] == "七八" and (fields["start"], fields["end"], fields["score"]) == (6, 8, 3.0)
    assert [entry["answer"] for entry in fields["top"]] == ["七八", "一"]
    assert TASK.answer_fields(one, got, PLAIN, probabilities=False) == {"answer": "七八", "start": 6, "end": 8}


def test_of_equal_answers_the_earlier_is_first_then_the_shorter(encoder: HFTextEncoder) -> None:
    one = question("一二三四", text="谁")
    ((feature,),) = by_example([one], encoder, Limits(16, 2))
    at = int(np.flatnonzero(feature.sequence == windows.PASSAGE)[0])
    places = [(1, 1), (0, 3), (1, 2), (0, 1)]
    found = spans_of(*((at + first, at + last, 1.0) for first, last in places))
    answers = TASK.predictions(one, [feature], [found], Answering(top_k=4)).scores
    assert [(s.answer.start, s.answer.end) for s in answers] == [(0, 2), (0, 4), (1, 2), (1, 3)]


def test_a_passage_without_tokens_has_an_empty_answer(encoder: HFTextEncoder) -> None:
    one = question("\u200b\u200b", Answer("\u200b", 0, 1))
    ((feature,),) = by_example([one], encoder, Limits(16, 2))
    got = TASK.predictions(one, [feature], [spans_of((1, 1, 5.0))], PLAIN)  # the question's own token
    assert (got.answer, got.scores) == (Answer(""), ())
    fields = TASK.answer_fields(one, got, PLAIN, probabilities=True)
    assert fields == {"answer": "", "start": None, "end": None}
    assert TASK.read_prediction(row(fields), one) == Prediction(Answer(""))


def test_answers_are_cut_from_the_original_text(encoder: HFTextEncoder) -> None:
    context = "ＡＢＣ Café 在\u200b NBA，İ 是"
    one = question(context)
    ((feature,),) = by_example([one], encoder, Limits(64, 2))
    tokens = np.flatnonzero(feature.sequence == 1)
    got = TASK.predictions(one, [feature], [spans_of((int(tokens[0]), int(tokens[-1]), 1.0))], PLAIN).answer
    assert got == Answer(context, 0, len(context))


def test_predictions_are_read_back_and_checked() -> None:
    one = question("王明在上海", Answer("上海", 3, 5))
    gold = TASK.gold_fields(one)
    assert gold == {
        "answer": "上海", "start": 3, "end": 5, "answers": [{"answer": "上海", "start": 3, "end": 5}],
    }  # fmt: skip
    for data in (gold, {"answer": "上海", "start": "3", "end": "5"}):
        assert TASK.read_prediction(row(data), one).answer == Answer("上海", 3, 5)
    for data in ({"answer": "上海"}, {"answer": "上海", "start": "", "end": None}):
        assert TASK.read_prediction(row(data), one).answer == Answer("上海")
    for data, says in (
        ({}, "no field 'answer'"),
        ({"answer": 3}, "answer: a text was expected"),
        ({"answer": "上海", "start": 3}, "is no piece of a passage of 5"),
        ({"answer": "上海", "start": 3, "end": 9}, "is no piece of a passage of 5"),
        ({"answer": "上海", "start": 0, "end": 2}, "is '王明' in the passage, not '上海'"),
        ({"answer": "上海", "start": 1.5, "end": 2}, "start: a whole number was expected"),
    ):
        with pytest.raises(RowError, match=says):
            TASK.read_prediction(row(data), one)


@pytest.mark.parametrize(
    ("task", "file"), [(CMRC, "cmrc2018_predict.json"), (DUREADER, "dureader_robust_predict.json")]
)
def test_the_official_file_is_one_object(task: Any, file: str, tmp_path: Path) -> None:
    assert task.submissions["test"] == file
    pairs = [(question("王明在上海", number=n), Prediction(Answer("上海" * n))) for n in range(2)]
    task.write_submission(pairs, "test", tmp_path / file)
    document = json.loads((tmp_path / file).read_text(encoding="utf-8"))
    assert document == {"q0": "", "q1": "上海"}
    assert task.submission_document(()) == {}
    rows = list(task.unpack_predictions(document, file))
    assert [r.data for r in rows] == [{"id": "q0", "answer": ""}, {"id": "q1", "answer": "上海"}]
    assert task.read_prediction(rows[1], pairs[1][0]).answer == Answer("上海")
    with pytest.raises(RowError, match="one object"):
        list(task.unpack_predictions([document], file))
    with pytest.raises(RowError, match=f"{file}: q1: a text was expected, found null"):
        list(task.unpack_predictions({"q1": None}, file))
    nameless = Example(0, None, ("谁", "王"), None, {}, Where("f", 1))
    with pytest.raises(RowError, match="no field 'id'"):
        task.write_submission([(nameless, Prediction(Answer("")))], "test", tmp_path / "other")


# -------------------------------------------------------------------- real data


@pytest.mark.parametrize(
    ("name", "split", "questions", "answers", "notes"),
    [
        ("cmrc2018", "train", 10_142, 10_142, {squad.SHIFTED: 21}),
        ("cmrc2018", "trial", 1_000, 1_000, {squad.SHIFTED: 5}),
        ("cmrc2018", "dev", 3_219, 4_188, {squad.MISSING: 177, squad.SHIFTED: 4}),
        ("cmrc2018", "test", 2_000, 0, {}),
        ("dureader_robust", "dev", 1_417, 1_962, {squad.SEVERAL: 498, squad.EMPTY: 1}),
    ],
)
def test_official_files_are_read_whole(
    shared: Path, name: str, split: str, questions: int, answers: int, notes: dict[str, int]
) -> None:
    task = find_task(name)
    source = Source.open(shared / "data" / name)
    tally = Tally()
    examples = list(task.read(source, split, tally))
    assert len(examples) == questions
    assert questions + sum(tally.counts.values()) == task.counts[split]
    assert source.sha256(task.file_of(source, split)) == task.official[task.file_of(source, split)]
    gold = [answer for example in examples for answer in example.gold or ()]
    assert len(gold) == answers
    assert Counter(answer.note for answer in gold if answer.note) == notes
    for example in examples:
        for answer in example.gold or ():
            assert not answer.located or example.texts[1][answer.start : answer.end] == answer.text
    assert len({example.id for example in examples}) == questions


def test_real_answers_are_learned_and_answered(shared: Path, encoder: HFTextEncoder) -> None:
    source = Source.open(shared / "data" / "cmrc2018")
    examples = random.Random(0).sample(list(CMRC.read(source, "dev", Tally())), 60)
    for limits in (Limits(512, 128), Limits(160, 48)):
        tally = Tally()
        for one, features in zip(examples, by_example(examples, encoder, limits, tally), strict=True):
            answer = TASK.predictions(one, features, [oracle(f) for f in features], PLAIN).answer
            assert answer.text == one.gold[0].text.strip()
        assert set(tally.as_dict()) <= {squad.MISSING, squad.SHIFTED, windows.DROPPED}


# -------------------------------------------------------------------- a user's own passages


def test_an_own_task_of_passages_is_declared_without_labels(tmp_path: Path) -> None:
    toml = 'family = "reading"\ntext = ["ask", "passage"]\nlabel = "found"\n[recipe]\nepochs = 4\n'
    (tmp_path / "task.toml").write_text(toml)
    data = {"ask": "谁？", "passage": "李雷来了。", "found": [{"text": "李雷", "answer_start": 0}]}
    (tmp_path / "dev.jsonl").write_text(json.dumps(data), encoding="utf-8")
    nested = {
        "data": [
            {
                "paragraphs": [
                    {"context": "李雷来了。", "qas": [{"question": "谁？", "id": "a", "answers": data["found"]}]}
                ]
            }
        ]
    }
    (tmp_path / "train.json").write_text(json.dumps(nested), encoding="utf-8")
    task: Any = find_task(str(tmp_path))
    for split, identity in (("dev", None), ("train", "a")):
        [found] = task.read(Source.open(tmp_path), split, Tally())
        assert (found.texts, found.gold, found.id) == (("谁？", "李雷来了。"), (Answer("李雷", 0, 2),), identity)
    restored: Any = restore_task(json.loads(json.dumps(task.to_config())))
    assert (restored.fields, restored.labels, restored.own) == (("ask", "passage"), ("answer",), True)
    assert restored.recipe_for("globalpointer", "small")[0].epochs == 4
    assert restored.default_metric == "cmrc2018:official"
    for text, words in (
        ('labels = ["a", "b"]', "`labels` has no meaning"),
        ('text = "story"', "a question and a passage"),
    ):
        (tmp_path / "task.toml").write_text(f'family = "reading"\n{text}\n')
        with pytest.raises(UserError, match=words):
            find_task(str(tmp_path))
