"""Entities from rows to targets and back: what is read, what can be learned, what is answered and written."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from clue_cli.contract import Answering, EncodedWindow, Example, Feature, Limits, Prediction, Span, Tally
from clue_cli.encoders import text as text_module
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.errors import RowError, UserError, Where
from clue_cli.sources import Row, Source
from tasks.cluener import TASK as CLUENER
from tasks.families import entity_forms
from tasks.families.alignment import Deciding, align
from tasks.families.entities import CUT, DROPPED, NO_WINDOW, OVERLAPPING, Entities

MINI_ZH = Path(text_module.__file__).parent / "mini_zh"
TYPES = ("city", "person", "work")
TASK = Entities(name="own", title="a user's own", labels=TYPES, own=True)
WIDE = Limits(max_length=128, overlap=16)
PLAIN = Answering()


@pytest.fixture(scope="module")
def characters() -> HFTextEncoder:
    """The shipped tokenizer: Chinese characters and digits one by one, Latin word pieces, lower case."""
    return HFTextEncoder(AutoTokenizer.from_pretrained(MINI_ZH), takes_segments=False)


WORDS = ("北京大学", "王小明", "红楼梦", "上海", "发展银行", "发布", "nature", "2023", "的", "《", "》", "：", " ")
SENTENCES = [first + second + third for first in WORDS for second in WORDS for third in WORDS]


def pieces_tokenizer() -> PreTrainedTokenizerFast:
    """A small Unigram tokenizer with leading-space pieces and NFKC, which joins Chinese characters."""
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=["<s>", "</s>", "<unk>", "<pad>"], unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(SENTENCES, trainer)
    specials = [("<s>", 0), ("</s>", 1)]
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


@pytest.fixture(scope="module")
def joined() -> HFTextEncoder:
    """Sentence pieces as they come: several Chinese characters in one token."""
    return HFTextEncoder(pieces_tokenizer(), takes_segments=False, split_cjk=False)


@pytest.fixture(scope="module")
def split() -> HFTextEncoder:
    """The same with Chinese characters kept apart."""
    return HFTextEncoder(pieces_tokenizer(), takes_segments=False)


def row(data: dict[str, Any], line: int = 3) -> Row:
    return Row(data, Where("own.json", line))


def example(text: str, *spans: Span | tuple[int, int, str], number: int = 0) -> Example:
    gold = tuple(sorted(Span(*span) for span in spans))
    return Example(number, None, (text,), gold, {}, Where("own.json", number + 1))


def spans_of(*found: tuple[int, int, int, float]) -> SimpleNamespace:
    """What a head decodes: (type, first token, last token, raw score), probability from the score."""
    columns = np.array(found, dtype=np.float64).reshape(-1, 4).T
    return SimpleNamespace(
        type=columns[0].astype(int), start=columns[1].astype(int), end=columns[2].astype(int), score=columns[3],
        probability=1 / (1 + np.exp(-2 * columns[3])), dropped=0,
    )  # fmt: skip


def oracle(feature: Feature) -> SimpleNamespace:
    """A head that answers the targets."""
    return spans_of(*((*target, 1.0) for target in feature.targets["spans"].tolist()))


def by_example(
    task: Entities, examples: list[Example], encoder: Any, limits: Limits, **options: Any
) -> list[list[Feature]]:
    grouped: list[list[Feature]] = [[] for _ in examples]
    for feature in task.features(examples, encoder, limits, options.pop("tally", Tally()), **options):
        assert feature.unit == feature.item
        grouped[feature.item].append(feature)
    return grouped


def answered(task: Entities, one: Example, features: list[Feature], options: Answering = PLAIN) -> tuple[Span, ...]:
    candidates = [oracle(feature) for feature in features]
    answer: tuple[Span, ...] = task.predictions(one, features, candidates, options).answer
    return answer


# -------------------------------------------------------------------- reading


def test_the_official_form_is_read_half_open() -> None:
    data = {"text": "王明在上海，王明说", "label": {"person": {"王明": [[0, 1], [6, 7]]}, "city": {"上海": [[3, 4]]}}}
    got = TASK.example(row(data), 5, labelled=True)
    assert got.gold == (Span(0, 2, "person"), Span(3, 5, "city"), Span(6, 8, "person"))
    assert (got.number, got.texts, got.row, str(got.where)) == (5, (data["text"],), data, "own.json:3")
    assert TASK.example(row(data), 5, labelled=False).gold is None


def test_no_message_is_made_for_an_entity_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take longer than all the rest of reading."""
    monkeypatch.setattr(entity_forms, "kind", None)
    read = entity_forms.read_official({"name": {"李雷": [[0, 1]]}}, "李雷", ("name",), Where("f", 1), "label")
    assert read == [(0, 2, "name")]


def test_our_own_form_is_read_half_open_and_a_span_given_twice_counts_once() -> None:
    entities = [{"start": 3, "end": 5, "type": "city"}, {"start": 0, "end": 2, "type": "person", "text": "王明"}]
    got = TASK.example(row({"text": "王明在上海", "entities": [*entities, entities[0]]}), 0, labelled=True)
    assert got.gold == (Span(0, 2, "person"), Span(3, 5, "city"))
    as_cell = {"text": "王明在上海", "entities": json.dumps(entities), "label": ""}
    assert TASK.example(row(as_cell), 0, labelled=True).gold == got.gold
    assert TASK.example(row({"text": "无", "entities": []}), 0, labelled=True).gold == ()
    assert TASK.example(row({"text": "无", "label": {}}), 0, labelled=True).gold == ()


def test_names_of_fields_are_the_users_choice() -> None:
    task = Entities(name="x", title="x", labels=TYPES, texts=("content",), label="marks", entities="ents", id="key")
    data = {"content": "上海", "ents": [{"start": 0, "end": 2, "type": "city"}], "key": "k1"}
    got = task.example(row(data), 0, labelled=True)
    assert (got.id, got.texts, got.gold) == ("k1", ("上海",), (Span(0, 2, "city"),))


TEXT = "王明在上海😀说"
WRONG = [
    ({"label": {}}, "no field 'text'"),
    ({"text": "", "label": {}}, "text is empty"),
    ({"text": "  ", "label": {}}, "text is empty"),
    ({"text": 7, "label": {}}, r"text: a text was expected, found the number 7"),
    ({"text": TEXT}, "no field 'label'"),
    ({"text": TEXT, "label": {}, "entities": []}, "both 'label' and 'entities'"),
    ({"text": TEXT, "label": None}, "found null"),
    ({"text": TEXT, "label": "人名"}, "label: entities were expected"),
    ({"text": TEXT, "label": [[0, 1, "person"]]}, "label: {type: {entity"),
    ({"text": TEXT, "label": {"person": [[0, 1]]}}, r"label\.person: {entity: \[\[start"),
    ({"text": TEXT, "label": {"person": {"王明": [0, 1]}}}, r"label\.person\.王明: \[start, end\] of whole numbers"),
    ({"text": TEXT, "label": {"person": {"王明": []}}}, r"found an empty list"),
    ({"text": TEXT, "label": {"person": {"王明": [[0, True]]}}}, "whole numbers"),
    ({"text": TEXT, "label": {"person": {"王明": [[0, 1.0]]}}}, "whole numbers"),
    ({"text": TEXT, "label": {"peron": {"王明": [[0, 1]]}}}, r"label\.peron: unknown entity type .*mean person"),
    ({"text": TEXT, "label": {"person": {"王明": [[6, 8]]}}}, r"reaches beyond the text, which has 7 characters"),
    ({"text": TEXT, "label": {"person": {"王明": [[-2, -1]]}}}, "reaches beyond"),
    ({"text": TEXT, "label": {"person": {"王明": [[2, 1]]}}}, "holds no character"),
    ({"text": TEXT, "label": {"person": {"王明": [[0, 2]]}}}, r"is '王明在' .*, not '王明' \(ends are inclusive"),
    ({"text": TEXT, "label": {"person": {"说": [[5, 5]]}}}, r"one emoji is one, not two"),
    ({"text": TEXT, "entities": {}}, "entities: a list of entities was expected, found an empty object"),
    ({"text": TEXT, "entities": [[0, 2, "person"]]}, r"entities\[0\]: .* found the list"),
    ({"text": TEXT, "entities": [{"start": 0, "end": 2}]}, r"entities\[0\]: no 'type'"),
    ({"text": TEXT, "entities": [{"start": 0, "end": "2", "type": "city"}]}, r"entities\[0\]\.end: a whole number"),
    ({"text": TEXT, "entities": [{"start": 0, "end": 2, "type": "City"}]}, r"entities\[0\]\.type: .*did you mean city"),
    ({"text": TEXT, "entities": [{"start": 0, "end": 2, "type": 3}]}, r"the type must be a string"),
    ({"text": TEXT, "entities": [{"start": 2, "end": 2, "type": "city"}]}, "holds no character"),
    ({"text": TEXT, "entities": [{"start": 5, "end": 8, "type": "city"}]}, "reaches beyond"),
    ({"text": TEXT, "entities": [{"start": 0, "end": 1, "type": "city", "text": "王明"}]}, "ends are exclusive"),
    ({"text": TEXT, "entities": [{"start": 0, "end": 1, "type": "city", "text": "上海"}]}, "emoji is one"),
    ({"text": TEXT, "entities": [{"start": 0, "end": 1, "type": "city", "text": 1}]}, "a text was expected"),
    ({"text": TEXT, "label": {}, "id": 1.5}, "id: the id must be"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "words"), WRONG)
def test_a_wrong_row_is_refused_with_file_line_and_field(data: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError, match=words) as caught:
        TASK.example(row(data), 0, labelled=True)
    assert str(caught.value).startswith("own.json:3")
    assert "\n" not in str(caught.value)


def test_the_misspelling_of_the_readme_is_refused_with_the_right_name() -> None:
    with pytest.raises(RowError, match=r"unknown entity type 'goverment'; did you mean government"):
        CLUENER.example(row({"text": "外交部", "label": {"goverment": {"外交部": [[0, 2]]}}}), 0, labelled=True)


def test_whether_a_users_test_row_is_labelled() -> None:
    assert TASK.is_labelled(row({"text": "x", "entities": []}))
    assert TASK.is_labelled(row({"text": "x", "label": {}}))
    assert not TASK.is_labelled(row({"text": "x", "label": "", "entities": None}))


def test_entities_stand_in_one_text() -> None:
    with pytest.raises(ValueError, match="one text"):
        Entities(name="x", title="x", labels=TYPES, texts=("a", "b"))


# -------------------------------------------------------------------- targets and answers

HARD = [
    example("王小明在上海。", (0, 3, "person"), (4, 6, "city")),
    example("他👨‍👩‍👧去了𠮷野家😀上海", (7, 10, "work"), (11, 13, "city")),
    example("ＡＢＣ株式会社，２０２３年", (0, 7, "work"), (8, 12, "city")),
    example("café Noe\u0308l 和 e\u0301clair が", (0, 4, "work"), (5, 10, "person"), (13, 20, "work")),
    example(" 上海  王明", (1, 3, "city"), (5, 7, "person")),
    example("王明", (0, 2, "person")),
    example("《红楼梦》里的上海市上海", (0, 5, "work"), (1, 4, "work"), (7, 10, "city"), (7, 9, "city")),
    example("上海上海", (0, 2, "city"), (0, 2, "work"), (2, 4, "city"), (1, 3, "person")),
    example("看[MASK]和</s>上海", (12, 14, "city")),
    example("İstanbul 的王明", (10, 12, "person"), (0, 8, "city")),
    example("无"),
]


@pytest.mark.parametrize("name", ["characters", "split"])
@pytest.mark.parametrize("limits", [WIDE, Limits(12, 6), Limits(9, 0)])
def test_gold_becomes_targets_becomes_gold(name: str, limits: Limits, request: pytest.FixtureRequest) -> None:
    """Nested, overlapping, with two types, beside emoji, full-width, combining and vanishing characters."""
    encoder = request.getfixturevalue(name)
    for one in HARD:
        tally = Tally()
        [features] = by_example(TASK, [one], encoder, limits, tally=tally)
        missing = set(one.gold) - set(answered(TASK, one, features))
        assert set(answered(TASK, one, features)) <= set(one.gold)
        assert len(missing) == sum(tally.counts.values())
        if limits is WIDE:
            assert not missing, (one.texts, tally.counts)
        assert set(tally.counts) <= {NO_WINDOW}


@pytest.mark.parametrize(
    ("text", "span", "reason", "learned"),
    [
        ("看ＡＢＣ书", (1, 3, "work"), CUT, ()),  # a word of full-width letters is one (unknown) token
        ("王明 来", (0, 3, "person"), DROPPED, ((0, 2),)),
        ("王明\u200b来", (2, 3, "person"), DROPPED, ()),
    ],
)
def test_gold_out_of_reach_is_counted_and_stays_gold(
    text: str, span: tuple[int, int, str], reason: str, learned: tuple[tuple[int, int], ...], characters: HFTextEncoder
) -> None:
    one, tally = example(text, span), Tally()
    [features] = by_example(TASK, [one], characters, WIDE, tally=tally)
    assert tally.counts == {reason: 1}
    assert tally.places[reason] == ["own.json:1"]
    assert tuple((s.start, s.end) for s in answered(TASK, one, features)) == learned
    assert one.gold == (Span(*span),)
    bound = TASK.recall_bound([one], characters, WIDE)
    assert (bound.gold, bound.reachable, bound.share, bound.unreachable.counts) == (1, 0, 0.0, {reason: 1})


def test_an_entity_longer_than_every_window_is_counted(characters: HFTextEncoder) -> None:
    one, tally = example("上海" * 10, (0, 20, "work"), (4, 6, "city")), Tally()
    [features] = by_example(TASK, [one], characters, Limits(8, 3), tally=tally)
    assert tally.counts == {NO_WINDOW: 1}
    assert answered(TASK, one, features) == (Span(4, 6, "city"),)


def test_splitting_raises_the_recall_bound(joined: HFTextEncoder, split: HFTextEncoder) -> None:
    examples = [
        example("北京大学的王小明发布《红楼梦》", (0, 2, "city"), (5, 8, "person"), (5, 6, "person"), (11, 14, "work")),
        example("上海 发展银行去了", (0, 2, "city"), (3, 7, "work"), (5, 7, "work")),
    ]
    before, after = (TASK.recall_bound(examples, encoder, WIDE) for encoder in (joined, split))
    assert before.gold == after.gold == 7
    assert before.reachable < after.reachable == 7
    assert before.unreachable.counts == {CUT: before.gold - before.reachable}
    assert after.share == 1.0
    assert TASK.recall_bound([example("无")], split, WIDE).share == 1.0


def test_a_flat_head_learns_the_longest_of_overlapping_entities(characters: HFTextEncoder) -> None:
    one = example("上海上海大学", (0, 2, "city"), (2, 6, "work"), (2, 4, "city"), (1, 3, "person"), (4, 6, "work"))
    tally = Tally()
    [features] = by_example(TASK, [one], characters, WIDE, tally=tally, flat=True)
    assert answered(TASK, one, features) == (Span(0, 2, "city"), Span(2, 6, "work"))
    assert tally.counts == {OVERLAPPING: 3}
    twice = example("上海", (0, 2, "work"), (0, 2, "city"))
    [features] = by_example(TASK, [twice], characters, WIDE, flat=True)
    assert answered(TASK, twice, features) == (Span(0, 2, "city"),)


def test_without_gold_there_are_no_targets(characters: HFTextEncoder) -> None:
    one = TASK.example(row({"text": "上海"}), 0, labelled=False)
    [[feature]] = by_example(TASK, [one], characters, WIDE)
    assert feature.targets == {}
    assert TASK.collate([feature]) == {}


def test_a_batch_has_its_spans_in_one_array(characters: HFTextEncoder) -> None:
    features = [f for fs in by_example(TASK, [HARD[0], HARD[-1], HARD[5]], characters, WIDE) for f in fs]
    batch = TASK.collate(features)
    assert batch["spans"].dtype == np.int64
    assert batch["spans"].tolist() == [[0, 0, 5, 6], [0, 1, 1, 3], [2, 1, 1, 2]]
    empty = TASK.collate(features[1:2])["spans"]
    assert (empty.shape, empty.dtype) == ((0, 4), np.int64)


def literal_tokens(feature: Feature, text: str) -> set[tuple[int, int]]:
    """Every pair of characters that some pair of tokens spans exactly, found by trying them all."""
    assert feature.char_spans is not None
    assert feature.sequence is not None
    found = set()
    for i in np.flatnonzero(feature.sequence == 0):
        for j in np.flatnonzero(feature.sequence == 0):
            start, end = int(feature.char_spans[i, 0]), int(feature.char_spans[j, 1])
            if i <= j and start < end and feature.char_spans[i, 1] > start and end > feature.char_spans[j, 0]:
                found.add((start, end))
    return found


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_some_pair_of_tokens_spans_is_learned_and_answered(
    data: st.DataObject, characters: HFTextEncoder, split: HFTextEncoder
) -> None:
    encoder = data.draw(st.sampled_from([characters, split]))
    text = data.draw(st.text("上海王明《》 ab1２ée\u0301😀\u200b\u3000ﬁ㎏", min_size=1, max_size=12).filter(str.strip))
    cuts = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)))
    marks = data.draw(st.lists(st.tuples(cuts, st.sampled_from(TYPES)), max_size=5))
    gold = {Span(min(a, b - 1), max(a + 1, b), type_) for (a, b), type_ in marks}
    limits = data.draw(st.sampled_from([WIDE, Limits(6, 2), Limits(4, 1)]))
    one, tally = example(text, *gold), Tally()
    [features] = by_example(TASK, [one], encoder, limits, tally=tally)
    expressible = set().union(*(literal_tokens(feature, text) for feature in features))
    got = set(answered(TASK, one, features))
    assert {span for span in gold if (span.start, span.end) in expressible} == got & gold
    # What is learned beside the gold is gold without the characters at its edges that no token covers.
    for span in got - gold:
        assert any(g.type == span.type and g.start <= span.start and span.end <= g.end for g in gold)
    assert sum(tally.counts.values()) == len(gold - got)
    assert TASK.recall_bound([one], encoder, limits).reachable == len(got & gold)


# -------------------------------------------------------------------- windows


def windows_over(text: str, size: int, overlap: int) -> list[EncodedWindow]:
    """One token a character, no special tokens: windows made by hand."""
    made, start = [], 0
    while True:
        end = min(start + size, len(text))
        places = np.arange(start, end, dtype=np.int32)
        ids, sequence = {"input_ids": [0] * len(places)}, np.zeros(len(places), np.int8)
        made.append(EncodedWindow(ids, np.stack([places, places + 1], 1), sequence))
        if end == len(text):
            return made
        start = end - overlap


@given(st.integers(1, 30), st.integers(2, 9), st.integers(0, 8))
@settings(max_examples=200, deadline=None)
def test_the_window_with_most_context_decides(length: int, size: int, overlap: int) -> None:
    overlap = min(overlap, size - 1)
    windows = align(windows_over("x" * length, size, overlap))
    deciding = Deciding(windows)
    for start in range(length):
        for end in range(start + 1, length + 1):
            best, most = None, -1.0
            for position, window in enumerate(windows):
                if window.low <= start and end <= window.high:
                    left = float("inf") if position == 0 else start - window.low
                    right = float("inf") if position == len(windows) - 1 else window.high - end
                    if min(left, right) > most:
                        best, most = position, min(left, right)
            assert deciding.window(start, end) == best


def as_features(windows: list[EncodedWindow]) -> list[Feature]:
    return [Feature(0, 0, w.inputs, w.char_spans, w.sequence) for w in windows]


def test_a_piece_cut_off_by_a_windows_end_is_left_to_the_window_that_sees_the_whole() -> None:
    one = example("ab上海大学cd")
    features = as_features(windows_over(one.texts[0], 5, 4))  # [0, 5) [1, 6) [2, 7) [3, 8)
    found = [(2, 2, 4, 3.0), (2, 1, 4, 1.0), (2, 0, 3, 9.0), (0, 0, 2, 5.0)]
    candidates = [spans_of(one_window) for one_window in found]
    answer = TASK.predictions(one, features, candidates, PLAIN)
    assert answer.answer == (Span(2, 6, "work"),)  # [2, 5) ends with its window, [3, 6) begins with its own
    # Of the two windows that hold [2, 6), one has a character before it and none after, the other none and one: the
    # earlier of equal ones decides.
    assert answer.scores == pytest.approx((1 / (1 + np.exp(-2.0)),))


def test_windows_of_a_flat_head_leave_no_overlap() -> None:
    one = example("abcdefgh")
    features = as_features(windows_over(one.texts[0], 5, 2))  # [0, 5) [3, 8)
    candidates = [spans_of((0, 1, 3, 1.0)), spans_of((0, 0, 2, 2.0))]
    assert TASK.predictions(one, features, candidates, PLAIN).answer == (Span(1, 4, "city"), Span(3, 6, "city"))
    flat = TASK.predictions(one, features, candidates, Answering(flat=True))
    assert flat.answer == (Span(3, 6, "city"),)
    assert len(flat.scores) == 1


def test_tokens_of_the_same_characters_make_one_answer_with_the_best_score() -> None:
    window = EncodedWindow(
        {"input_ids": [0] * 6},
        np.array([[-1, -1], [0, 0], [0, 1], [0, 1], [1, 2], [-1, -1]], np.int32),
        np.array([-1, 0, 0, 0, 0, -1], np.int8),
    )
    one = example("海x")
    found = spans_of((0, 3, 3, 1.0), (0, 2, 3, 3.0), (0, 1, 2, 2.0), (0, 1, 1, 9.0), (0, 0, 4, 9.0), (0, 4, 5, 9.0))
    for threshold, expected in ((None, (Span(0, 1, "city"),)), (2.9, (Span(0, 1, "city"),)), (3.0, ())):
        assert TASK.predictions(one, as_features([window]), [found], Answering(threshold=threshold)).answer == expected


def test_the_threshold_is_on_the_raw_score_and_commutes_with_merging() -> None:
    one = example("abcdefgh")
    features = as_features(windows_over(one.texts[0], 5, 2))
    candidates = [spans_of((0, 0, 1, 0.5), (1, 1, 2, -0.5)), spans_of((0, 3, 4, 2.0))]
    for threshold, count in ((-1.0, 3), (-0.5, 2), (0.5, 1), (2.0, 0)):
        assert len(TASK.predictions(one, features, candidates, Answering(threshold=threshold)).answer) == count


def test_a_long_text_is_read_to_its_end(characters: HFTextEncoder) -> None:
    places = list(range(7, 99_990, 997))
    text = list("天" * 100_000)
    for place in places:
        text[place : place + 2] = "上海"
    one = example("".join(text), *((place, place + 2, "city") for place in places))
    [features] = by_example(TASK, [one], characters, Limits(512, 64))
    assert len(features) > 200
    assert answered(TASK, one, features) == one.gold


# -------------------------------------------------------------------- written answers

PREDICTED = Prediction(
    (Span(0, 2, "person"), Span(3, 5, "city"), Span(3, 5, "work"), Span(6, 8, "person")), (0.9, 0.8, 0.7, 0.6)
)
PREDICTED_IN = "王明在上海，王明说"


def test_answers_stand_beside_the_row_and_are_read_back() -> None:
    one = example(PREDICTED_IN)
    fields = TASK.answer_fields(one, PREDICTED, PLAIN, probabilities=True)
    assert fields["entities"][1] == {"start": 3, "end": 5, "type": "city", "text": "上海", "probability": 0.8}
    bare = TASK.answer_fields(one, PREDICTED, PLAIN, probabilities=False)
    assert "probability" not in bare["entities"][0]
    beside_gold = {"text": PREDICTED_IN, "label": {"city": {"王明": [[0, 1]]}}, **json.loads(json.dumps(fields))}
    assert TASK.read_prediction(row(beside_gold), one) == PREDICTED
    assert TASK.read_prediction(row(bare), one) == Prediction(PREDICTED.answer)


def test_the_official_form_is_written_and_read_back() -> None:
    one = example(PREDICTED_IN)
    fields = TASK.official_fields(one, PREDICTED)
    assert fields == {
        "label": {"city": {"上海": [[3, 4]]}, "person": {"王明": [[0, 1], [6, 7]]}, "work": {"上海": [[3, 4]]}}
    }
    assert list(fields["label"]) == list(TYPES)
    assert TASK.read_prediction(row(fields), one).answer == PREDICTED.answer
    twice = {"label": {"city": {"上海": [[3, 4], [3, 4]]}}}
    assert TASK.read_prediction(row(twice), one).answer == (Span(3, 5, "city"),)


@pytest.mark.parametrize(
    "data", [{"id": 3}, {"label": "上海"}, {"entities": [{"start": 0, "end": "2", "type": "city"}]}]
)
def test_a_wrong_prediction_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RowError, match=r"own\.json:3"):
        TASK.read_prediction(row(data), example(PREDICTED_IN))


def test_the_submission_is_the_official_file(tmp_path: Path) -> None:
    text = "外交部的王明"
    one = Example(0, 17, (text,), None, {"id": 17, "text": text}, Where("test.json", 1))
    path = tmp_path / "cluener_predict.json"
    answer = Prediction((Span(0, 3, "government"), Span(4, 6, "name")), (1.0, 1.0))
    CLUENER.write_submission([(one, answer)], "test", path)
    expected = {"id": 17, "label": {"government": {"外交部": [[0, 2]]}, "name": {"王明": [[4, 5]]}}}
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [expected]
    with pytest.raises(UserError, match="no prediction file for split dev"):
        CLUENER.write_submission([], "dev", path)


# -------------------------------------------------------------------- the declaration, and the real data


def test_cluener_is_declared_as_the_issue_says() -> None:
    assert CLUENER.labels == tuple(sorted(CLUENER.labels))
    assert len(CLUENER.labels) == 10
    assert set(CLUENER.heads) == {"softmax", "crf", "globalpointer", "efficient-globalpointer"}
    assert CLUENER.head_config("crf") == {"types": 10}
    assert (CLUENER.default_metric, set(CLUENER.metrics)) == ("cluener:official", {"cluener:official", "span:micro_f1"})
    assert CLUENER.spans
    assert CLUENER.recipe_for("crf", "base", "clue-bert4keras")[0].max_length == 256


def test_real_gold_goes_through_tokens_and_back(shared: Path, characters: HFTextEncoder) -> None:
    """All of train and dev: what the tokenizer can express comes back as it was, the rest is counted."""
    source = Source.open(shared / "data" / "cluener" / "cluener_public.zip")
    for split_name, rows, spans in (("train", 10_748, 23_971), ("dev", 1_343, 3_072)):
        reading, tally = Tally(), Tally()
        examples = list(CLUENER.read(source, split_name, reading))
        assert (len(examples), sum(len(one.gold) for one in examples)) == (rows, spans)
        assert reading.counts == {}
        lost = 0
        for one, features in zip(examples, by_example(CLUENER, examples, characters, WIDE, tally=tally), strict=True):
            got = answered(CLUENER, one, features)
            lost += len(set(one.gold) - set(got))
            assert set(got) <= set(one.gold)
        assert lost == sum(tally.counts.values())
        assert lost <= spans * 0.001
    test = list(CLUENER.read(source, "test", Tally()))
    assert (len(test), {one.gold for one in test}) == (1_345, {None})


def test_real_gold_goes_through_small_windows_and_back(shared: Path, characters: HFTextEncoder) -> None:
    source = Source.open(shared / "data" / "cluener" / "cluener_public.zip")
    examples = random.Random(6).sample(list(CLUENER.read(source, "dev", Tally())), 200)
    for flat in (False, True):
        tally = Tally()
        grouped = by_example(CLUENER, examples, characters, Limits(20, 10), tally=tally, flat=flat)
        assert max(len(features) for features in grouped) > 3
        lost = sum(len(set(one.gold) - set(answered(CLUENER, one, features, Answering(flat=flat))))
                   for one, features in zip(examples, grouped, strict=True))  # fmt: skip
        assert lost == sum(tally.counts.values()) <= 15
