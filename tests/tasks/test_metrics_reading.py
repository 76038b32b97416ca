"""The reading metrics, each against its rule said slowly, on answers with everything that real ones have."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clue_cli.contract import Example, Metric, Prediction
from clue_cli.errors import Where
from tasks.families.squad import Answer
from tasks.metrics import segmentation
from tasks.metrics.reading import CmrcOfficial, CmrcSpan, DureaderEmF1

# -------------------------------------------------------------------- the rules, literally

PUNCTUATION = [
    "-", ":", "_", "*", "^", "/", "\\", "~", "`", "+", "=", "，", "。", "：", "？", "！", "“", "”", "；", "’",
    "《", "》", "……", "·", "、", "「", "」", "（", "）", "－", "～", "『", "』",
]  # fmt: skip
DUREADER_PUNCTUATION = [
    ":", "_", "`", "，", "。", "：", "？", "！", "(", ")", "“", "”", "；", "’", "《", "》", "……", "·", "、", ",",
    "「", "」", "（", "）", "－", "～", "『", "』", "|",
]  # fmt: skip


def common(first: Sequence[str], second: Sequence[str]) -> int:
    """The table of common suffixes."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    longest = 0
    for i in range(len(first)):
        for j in range(len(second)):
            if first[i] == second[j]:
                table[i + 1][j + 1] = table[i][j] + 1
                longest = max(longest, table[i + 1][j + 1])
    return longest


def slow_f1(cut: Callable[[str], list[str]], answers: Sequence[str], predicted: str) -> float:
    values = [0.0]
    for answer in answers:
        wanted, made = cut(answer), cut(predicted)
        length = common(wanted, made)
        if length == 0:
            continue
        precision, recall = 1.0 * length / len(made), 1.0 * length / len(wanted)
        values.append(2 * precision * recall / (precision + recall))
    return max(values)


def plain_words(run: str) -> list[str]:
    """What a word tokenizer does to letters, digits, blanks and the one mark among the cases that it cuts off."""
    words: list[str] = []
    for part in run.split():
        word = ""
        for character in part:
            if character == "‘":
                words += [*([word] if word else []), character]
                word = ""
            else:
                word += character
        words += [word] if word else []
    return words


def cmrc_cut(text: str) -> list[str]:
    segments, run = [], ""
    for character in text.lower().strip():
        if character in PUNCTUATION:
            continue
        if "\u4e00" <= character <= "\u9fa5":
            segments += [*plain_words(run), character]
            run = ""
        else:
            run += character
    return segments + plain_words(run)


def cmrc_plain(text: str) -> str:
    return "".join(c for c in list(text.lower().strip()) if c not in PUNCTUATION)


def is_ideograph(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2A6DF or 0x2A700 <= code <= 0x2B73F
        or 0x2B740 <= code <= 0x2B81F or 0x2B820 <= code <= 0x2CEAF or 0xF900 <= code <= 0xFAFF
        or 0x2F800 <= code <= 0x2FA1F
    )  # fmt: skip


def dureader_plain(text: str) -> str:
    return "".join(c for c in list(text.lower()) if c not in DUREADER_PUNCTUATION)


def dureader_cut(text: str) -> list[str]:
    segments, run = [], ""
    for character in dureader_plain(text):
        if is_ideograph(ord(character)) or character == "=":
            segments += [*([run] if run else []), character]
            run = ""
        else:
            run += character
    return segments + ([run] if run else [])


Rule = tuple[type, Callable[[str], str], Callable[[str], list[str]]]
RULES: dict[str, Rule] = {
    "cmrc": (CmrcOfficial, cmrc_plain, cmrc_cut),
    "dureader": (DureaderEmF1, dureader_plain, dureader_cut),
}

# -------------------------------------------------------------------- cases

PIECES = [
    "中国", "北京大学", "1949年", "１９９８", "Ａｐｐｌｅ", "apple inc", "New York", "iphone 6s", "😀", "👨\u200d👩",
    "……", "…", "－", "，", "。", "《红楼梦》", "“", "”", "‘", "（一）", "-", "GB/T 18", "a=b", "=", "㐀", "𠀀", "豈",
    "の", "한국", "é", " ", "\u3000", "·", "A+B", "|", "\u200b", "İ", "", "中国", "10", "2 3", "~", "：",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
Row = tuple[list[str], str | None]
rows_of = st.lists(st.tuples(st.lists(texts, min_size=1, max_size=3), st.none() | texts), max_size=4)


def draw_rows(random_: random.Random) -> list[Row]:
    def text() -> str:
        return "".join(random_.choice(PIECES) for _ in range(random_.randrange(6)))

    rows: list[Row] = []
    for _ in range(random_.randrange(1, 4)):
        gold = [text() for _ in range(random_.randrange(1, 4))]
        # Half of the predictions are near an answer: a piece of it, or more than it.
        near = random_.choice(gold)
        cut = random_.randrange(len(near) + 1)
        rows.append((gold, random_.choice([None, "", text(), near, near[cut:], text() + near, near.upper() + "。"])))
    return rows


def totals_of(metric: Metric, rows: list[Row]) -> np.ndarray:
    totals = np.zeros(len(metric.columns))
    for number, (gold, predicted) in enumerate(rows):
        answers = tuple(Answer(text) for text in gold)
        one = Example(number, f"q{number}", ("问", "文"), answers, {}, Where("f", number))
        prediction = None if predicted is None else Prediction(Answer(predicted))
        for cluster, counts in metric.units(one, prediction):
            assert cluster == number
            for column, amount in counts.items():
                totals[column] += amount
    return totals


def slow_figures(rule: str, rows: list[Row]) -> tuple[float, float, float]:
    _, plain, cut = RULES[rule]
    em = f1 = 0.0
    for gold, predicted in rows:
        if predicted is None:
            continue
        em += any(plain(answer) == plain(predicted) for answer in gold)
        f1 += slow_f1(cut, gold, predicted)
    count = len(rows) or 1
    return em / count, f1 / count, (em + f1) / 2 / count


@pytest.mark.parametrize("rule", RULES)
def test_figures_follow_the_rule(rule: str) -> None:
    metric = RULES[rule][0]()

    @given(rows_of)
    @settings(max_examples=100, deadline=None)
    @example([])
    @example([([""], ""), (["，"], "。"), (["……"], ""), (["中国"], None)])
    @example([(["中国中国中", "国中国"], "中国中"), (["ＡＢ"], "ab")])
    @example([(["U-2 飞机"], "u2飞机"), (["a b"], "A  B ")])
    def check(rows: list[Row]) -> None:
        result = metric.result(totals_of(metric, rows))
        assert (result["em"], result["f1"], result["average"]) == pytest.approx(slow_figures(rule, rows), abs=1e-12)

    check()
    for seed in range(1500):
        check.hypothesis.inner_test(draw_rows(random.Random(seed)))


@pytest.mark.parametrize("rule", RULES)
def test_many_totals_at_once_give_what_each_gives_alone(rule: str) -> None:
    metric = RULES[rule][0]()
    stacked = np.stack([totals_of(metric, draw_rows(random.Random(seed))) for seed in range(20)])
    for name, values in metric.result(stacked).items():
        assert values.tolist() == [float(metric.result(totals)[name]) for totals in stacked]


@given(first=st.lists(st.sampled_from("ab中国"), max_size=12), second=st.lists(st.sampled_from("ab中国"), max_size=12))
@settings(max_examples=100, deadline=None)
def test_the_longest_common_run_is_that_of_the_table(first: list[str], second: list[str]) -> None:
    assert segmentation.longest_common_run(first, second) == common(first, second)


def test_hand_made_cases() -> None:
    """What the two rules see differently, written out."""
    cmrc, dureader = CmrcOfficial(), DureaderEmF1()
    cases: list[tuple[list[str], str, tuple[float, float], tuple[float, float]]] = [
        (["《红楼梦》"], "红楼梦。", (1, 1), (1, 1)),
        (["……"], "", (0, 0), (0, 0)),  # the ellipsis is never deleted
        (["，"], "", (1, 0), (1, 0)),  # equal after deletion, but no segment in common
        (["中国 "], "中国", (1, 1), (0, 2 * 2 / 5)),  # only one rule strips
        (["a-b"], "ab", (1, 1), (0, 0)),
        (["(中)"], "中", (0, 2 * 1 / 4), (1, 1)),  # brackets are words of their own, or deleted
        (["１９"], "19", (0, 0), (0, 0)),  # full-width digits are other characters
        (["new york city"], "york", (0, 2 * 1 / 4), (0, 0)),  # words, or one segment
        (["甲乙丙丁"], "乙丙甲", (0, 2 * 2 / 7), (0, 2 * 2 / 7)),
        (["甲", "甲乙"], "甲乙丙", (0, 2 * 2 / 5), (0, 2 * 2 / 5)),
        (["a=b"], "b", (0, 0), (0, 2 * 1 / 4)),
    ]
    for gold, predicted, *expected in cases:
        for metric, (em, f1) in zip((cmrc, dureader), expected, strict=True):
            result = metric.result(totals_of(metric, [(gold, predicted)]))
            assert (result["em"], result["f1"]) == pytest.approx((em, f1)), (metric.id, gold, predicted)


WORDS = [
    ("u.s. navy", ["u.s.", "navy"]),
    ("the u.s.", ["the", "u.s", "."]),
    ("it's 3.5% of $1,000, isn't it?", ["it", "'s", "3.5", "%", "of", "$", "1,000", ",", "is", "n't", "it", "?"]),
    ('"hello" (he said)', ["``", "hello", "''", "(", "he", "said", ")"]),
    ("they cannot... can't gonna", ["they", "can", "not", "...", "ca", "n't", "gon", "na"]),
    ("rock 'n roll", ["rock", "'n", "roll"]),
    ("dogs' 'tis", ["dogs", "'", "'t", "is"]),
    ("no.1 mr. smith", ["no.1", "mr.", "smith"]),
    ("first one. second one.", ["first", "one", ".", "second", "one", "."]),
    ("j. k. rowling", ["j.", "k.", "rowling"]),
    ("is it? yes! ok", ["is", "it", "?", "yes", "!", "ok"]),
    ("a,b a, b", ["a", ",", "b", "a", ",", "b"]),
    ("at&t c# [1] {2}", ["at", "&", "t", "c", "#", "[", "1", "]", "{", "2", "}"]),
    ("<3> 5; 6", ["<", "3", ">", "5", ";", "6"]),
    ("‘quoted", ["‘", "quoted"]),
    (" … ", ["…"]),
    ("1982–2013 —— ok", ["1982–2013", "——", "ok"]),
    ("　", []),
]


@pytest.mark.parametrize(("run", "words"), WORDS)
def test_words_are_cut_as_the_official_script_cuts_them(run: str, words: list[str]) -> None:
    assert segmentation.english_words(run) == words


def test_words_are_those_of_nltk_where_it_is_installed() -> None:
    destructive = pytest.importorskip("nltk.tokenize.destructive", reason="nltk is not installed")
    theirs = destructive.NLTKWordTokenizer()
    listed = (
        "i'm don't cannot can't gonna gimme 'tis 'twas it's we'll they've d'ye more'n wanna lemme gotta u.s. 3.5 1,000 "
        "5% $3 a,b x... (q) [z] {y} <t> ok. no? \"hi\" '' ' 's .. é ｆ \" , ; ! ? ( ) < > @ # & « » ‘ „ | … 0 n't ..."
    )
    pieces = listed.split()
    for seed in range(5000):
        draw = random.Random(seed)
        run = "".join(draw.choice((draw.choice(pieces), " ")) for _ in range(draw.randrange(1, 10)))
        expected = [word for sentence in segmentation.sentences(run) for word in theirs.tokenize(sentence)]
        assert segmentation.english_words(run) == expected, run


# -------------------------------------------------------------------- exact spans

PASSAGE = "北京在中国，北京很大"


def span_totals(rows: list[tuple[list[Answer], Answer | None]]) -> np.ndarray:
    metric, totals = CmrcSpan(), np.zeros(3)
    for number, (gold, answer) in enumerate(rows):
        one = Example(number, number, ("问", PASSAGE), tuple(gold), {}, Where("f", number))
        for cluster, counts in metric.units(one, None if answer is None else Prediction(answer)):
            assert cluster == number
            for column, amount in counts.items():
                totals[column] += amount
    return totals


def test_exact_spans_ask_for_the_place_of_the_first_answer() -> None:
    first, second = Answer("北京", 6, 8), Answer("中国", 3, 5)
    cases = [
        (Answer("北京", 6, 8), 1), (Answer("北京", 0, 2), 0), (Answer("中国", 3, 5), 0), (None, 0), (Answer(""), 0),
        (Answer("北京"), 1), (Answer("，北京", 5, 8), 0),
    ]  # fmt: skip
    for answer, right in cases:
        assert span_totals([([first, second], answer)])[1] == right
    metric = CmrcSpan()
    totals = span_totals([([first, second], answer) for answer, _ in cases])
    assert metric.result(totals)["accuracy"] == pytest.approx(2 / 7)
    assert "2 predictions without a place" in metric.notes(totals)[0]
    assert metric.notes(span_totals([([first], first)])) == []
    assert span_totals([([Answer("南京", note="x")], Answer("北京", 0, 2))])[1] == 0


@pytest.mark.parametrize(
    ("kind", "id_", "primary"),
    [
        (CmrcOfficial, "cmrc2018:official", "em"),
        (DureaderEmF1, "dureader_robust:em_f1", "f1"),
        (CmrcSpan, "cmrc2018:span", "accuracy"),
    ],
)
def test_each_is_a_metric_of_its_own_name(kind: type, id_: str, primary: str) -> None:
    metric = kind(("answer",))
    assert isinstance(metric, Metric)
    assert (metric.id, metric.primary, len(metric.columns)) == (id_, primary, 3)
    assert primary in metric.result(np.zeros(3))
    assert metric.result(np.zeros((2, 3)))[primary].tolist() == [0.0, 0.0]
