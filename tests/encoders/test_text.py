"""Text to tokens: windows, truncation, special tokens and offsets, for every kind of tokenizer."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clue_cli.contract import EncodedWindow, Limits, Mark
from clue_cli.encoders import HFTextEncoder
from clue_cli.encoders.splitting import special_contents, unknown_id
from clue_cli.errors import UserError

KINDS = ("mini-zh", "bert", "unigram", "bytes")
HURTFUL = [
    *"中国北京的年，。《》：", *"abXyZ019 .-_[]<>/#", "  ", "\t", "\n", "\u3000", "\u00a0", "\u2028", "\u200b",
    "\ufeff", "\u200d", "\u0301", "\ufe0f", "e\u0301", "が", "か\u3099", "한", "２０", "Ａ", "İ", "ı", "ß", "ﬁ",
    "㎏", "①", "…", "——", "👍", "👨\u200d👩\u200d👧", "𠮷", "龘", "\ue000", "[MASK]", "[SEP]", "<s>", "</s>",
    "<mask>", "▁", "##", "\ud83d",
]  # fmt: skip
texts = st.lists(st.sampled_from(HURTFUL), max_size=25).map("".join)
plain_texts = st.text(alphabet="中国北京大学年月日银行abcdef0123 ", max_size=40)
quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def one(encoder: HFTextEncoder, *entry: str, length: int = 1000, offsets: bool = True, **options: Any) -> EncodedWindow:
    arguments = {"windows": False, "segments": "pair"} | options
    [[window]] = encoder.encode([entry], Limits(length), offsets=offsets, **arguments)
    return window


def body(window: EncodedWindow, number: int = 0) -> np.ndarray:
    assert window.sequence is not None
    return np.flatnonzero(window.sequence == number)


def pieces(encoder: HFTextEncoder, window: EncodedWindow) -> list[str]:
    return list(encoder.tokenizer.convert_ids_to_tokens([window.inputs["input_ids"][i] for i in body(window)]))


def slices(text: str, window: EncodedWindow) -> list[str]:
    assert window.char_spans is not None
    return [text[a:b] for a, b in window.char_spans[body(window)]]


# Offsets


@quick
@given(text=texts)
@pytest.mark.parametrize("kind", KINDS)
def test_spans_lie_in_the_text_and_never_go_back(make_text_encoder: Callable[..., Any], kind: str, text: str) -> None:
    window = one(make_text_encoder(kind), text)
    assert window.char_spans is not None and window.sequence is not None
    assert window.char_spans.dtype == np.int32 and window.sequence.dtype == np.int8
    assert window.char_spans.shape == (len(window.inputs["input_ids"]), 2)
    special = window.sequence == -1
    assert (window.char_spans[special] == -1).all()
    spans = window.char_spans[~special]
    assert ((spans >= 0) & (spans <= len(text))).all()
    assert (spans[:, 0] <= spans[:, 1]).all()
    assert (np.diff(spans, axis=0) >= 0).all()
    for start, end in spans:
        assert text[start:end] == text[start:end].strip()


@quick
@given(text=plain_texts)
@pytest.mark.parametrize("kind", KINDS)
def test_token_is_the_text_it_stands_for(make_text_encoder: Callable[..., Any], kind: str, text: str) -> None:
    encoder = make_text_encoder(kind)
    window = one(encoder, text)
    for piece, original in zip(pieces(encoder, window), slices(text, window), strict=True):
        if kind != "bytes" and piece not in ("[UNK]", "<unk>"):
            assert piece.removeprefix("##").replace("▁", "") == original
    assert window.char_spans is not None
    covered = {i for start, end in window.char_spans[body(window)] for i in range(start, end)}
    assert covered == {i for i, c in enumerate(text) if not c.isspace()}


@quick
@given(text=texts)
@pytest.mark.parametrize("kind", KINDS)
def test_every_chinese_character_has_its_own_borders(
    make_text_encoder: Callable[..., Any], kind: str, text: str
) -> None:
    window = one(make_text_encoder(kind), text)
    assert window.char_spans is not None
    starts, ends = (set(window.char_spans[body(window), side].tolist()) for side in (0, 1))
    for i, character in enumerate(text):
        mark = text[i + 1 : i + 2]
        if "\u4e00" <= character <= "\u9fff" and not (mark and unicodedata.category(mark).startswith("M")):
            assert i in starts and i + 1 in ends


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("mini-zh", "e\u0301a", ["e\u0301", "a"]),  # the stripped accent stays with its letter
        ("mini-zh", "か\u3099中", ["か\u3099", "中"]),
        ("mini-zh", "が", ["が"]),
        ("mini-zh", "\u200b中\u200b国", ["中", "国"]),
        ("mini-zh", "２０年", ["２", "０", "年"]),
        ("mini-zh", "𠮷野家", ["𠮷", "野", "家"]),
        ("mini-zh", "\u3000中\u00a0国\u2028", ["中", "国"]),
        ("mini-zh", "👍中", ["👍", "中"]),
        ("mini-zh", "한", ["한"] * 3),  # one character, three tokens
        ("unigram", "中国人民银行", ["", *"中国人民银行"]),
        ("unigram", "  北京 大学 ", ["", "", *"北京", "", *"大学", ""]),
        ("unigram", "《中国》", ["", *"《中国》"]),
        ("unigram", "在㎏①年", ["", "在", "㎏", "㎏", "①", "年"]),
        ("bytes", "北京", [*"北京"]),
        ("bytes", "“中”：《国》", [*"“中”：《国》"]),
    ],
)
def test_spans_of_text_that_hurts(
    make_text_encoder: Callable[..., Any], kind: str, text: str, expected: list[str]
) -> None:
    encoder = make_text_encoder(kind)
    found = slices(text, one(encoder, text))
    if kind == "bytes":  # a character may fall into several tokens, a space piece may stand first
        found = [piece for i, piece in enumerate(found) if piece and (i == 0 or piece != found[i - 1])]
    assert found == expected


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_emoji_does_not_stop_the_work(make_text_encoder: Callable[..., Any], kind: str) -> None:
    window = one(make_text_encoder(kind), "中\ud83d国")
    found = slices("中\ud83d国", window)
    assert "中" in found and "国" in found


def test_joined_characters_are_kept_apart_for_spans_only(make_text_encoder: Callable[..., Any]) -> None:
    text = "中国人民银行在北京发布公告"
    for kind in ("unigram", "bytes"):
        encoder, left_alone = make_text_encoder(kind), make_text_encoder(kind, False)
        assert encoder.joins_chinese and encoder.splits_chinese
        assert left_alone.joins_chinese and not left_alone.splits_chinese
        joined = one(left_alone, text)
        assert max(len(piece) for piece in slices(text, joined)) > 1
        assert joined.inputs == one(encoder, text, offsets=False).inputs
        assert encoder.fingerprint != left_alone.fingerprint
    for kind in ("mini-zh", "bert"):
        encoder = make_text_encoder(kind)
        assert not encoder.joins_chinese
        assert one(encoder, text).inputs == one(encoder, text, offsets=False).inputs


def test_recall_bound_on_the_shipped_sample_rises_to_nearly_all(unigram_maker: Callable[..., Any]) -> None:
    import json

    folder = Path(__file__).resolve().parents[2] / "tasks" / "samples" / "cluener"
    if not (folder / "train.json").is_file():
        pytest.skip("the shipped sample of cluener is not there")
    rows = [json.loads(line) for line in (folder / "train.json").read_text(encoding="utf-8").split("\n") if line]
    tokenizer = unigram_maker([row["text"] for row in rows], 1000)

    def reachable(split_cjk: Any) -> float:
        encoder = HFTextEncoder(tokenizer, takes_segments=False, split_cjk=split_cjk)
        found = []
        for row in rows:
            spans = one(encoder, row["text"]).char_spans
            assert spans is not None
            starts, ends = set(spans[:, 0].tolist()), set(spans[:, 1].tolist())
            places = [p for names in row["label"].values() for ps in names.values() for p in ps]
            found += [start in starts and end + 1 in ends for start, end in places]
        return sum(found) / len(found)

    before, after = reachable(False), reachable("auto")
    assert before < after
    assert after > 0.98


# Special tokens


@quick
@given(text=texts)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offsets", [True, False])
def test_no_text_makes_a_special_token(
    make_text_encoder: Callable[..., Any], kind: str, offsets: bool, text: str
) -> None:
    encoder = make_text_encoder(kind)
    backend = encoder.tokenizer.backend_tokenizer
    reserved = special_contents(backend).keys() - {unknown_id(backend)}
    empty = one(encoder, "", offsets=False).inputs["input_ids"]
    ids = one(encoder, text, offsets=offsets).inputs["input_ids"]
    assert (ids[:1], ids[-1:]) == (empty[:1], empty[-1:])
    assert reserved.isdisjoint(ids[1:-1])


def test_marks_of_cluewsc_stay_two_tokens(make_text_encoder: Callable[..., Any]) -> None:
    encoder = make_text_encoder("mini-zh")
    assert pieces(encoder, one(encoder, "[中]"))[::2] == ["[", "]"]
    assert pieces(encoder, one(encoder, "[MASK]"))[0] == "["


# Frames, segments, truncation


def test_frames_and_token_types(make_text_encoder: Callable[..., Any]) -> None:
    bert = make_text_encoder("bert")
    pair = one(bert, "中国", "北")
    tokens = bert.tokenizer.convert_ids_to_tokens(pair.inputs["input_ids"])
    assert tokens == ["[CLS]", "中", "国", "[SEP]", "北", "[SEP]"]
    assert pair.inputs["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    assert pair.sequence is not None and pair.sequence.tolist() == [-1, 0, 0, -1, 1, -1]
    assert one(bert, "中国", "北", segments="zero").inputs["token_type_ids"] == [0] * 6
    assert one(bert, "中国").inputs["token_type_ids"] == [0] * 4
    assert list(one(make_text_encoder("mini-zh"), "中国", "北").inputs) == ["input_ids"]
    angled = make_text_encoder("unigram")
    ids = one(angled, "中", "国", offsets=False).inputs["input_ids"]
    assert ids.count(2) == 3 and ids[0] == 0


@quick
@given(text=plain_texts, other=plain_texts.filter(bool))
@pytest.mark.parametrize("kind", KINDS)
def test_plain_text_gives_what_the_tokenizer_gives(
    make_text_encoder: Callable[..., Any], kind: str, text: str, other: str
) -> None:
    encoder = make_text_encoder(kind)
    assert one(encoder, text, offsets=False).inputs["input_ids"] == encoder.tokenizer(text)["input_ids"]
    assert one(encoder, text, other, offsets=False).inputs["input_ids"] == encoder.tokenizer(text, other)["input_ids"]


def slow_truncation(parts: list[list[int]], room: int) -> tuple[list[list[int]], int]:
    """One token at a time from the longest, of equal ones from the first of two, from the last of more."""
    parts, cut = [list(part) for part in parts], 0
    order = parts if len(parts) <= 2 else parts[::-1]
    while sum(map(len, parts)) > room:
        max(order, key=len).pop()
        cut += 1
    return parts, cut


@quick
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4), room=st.integers(0, 80))
def test_truncation_equals_its_literal_statement(
    make_text_encoder: Callable[..., Any], sizes: list[int], room: int
) -> None:
    encoder = make_text_encoder("mini-zh")
    entry = [(text * 20)[:size] for text, size in zip(("中国北京", "大学年月日", "在的", "上海"), sizes, strict=False)]
    whole = [one(encoder, text).inputs["input_ids"][1:-1] for text in entry]
    length = 1 + 2 * len(entry) + room
    kept, cut = slow_truncation(whole, length - 1 - len(entry))
    cls, sep = encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id
    for offsets in (True, False):
        window = one(encoder, *entry, length=length, offsets=offsets)
        assert window.inputs["input_ids"] == [cls, *(token for part in kept for token in (*part, sep))]
        assert window.cut == cut


# Several texts, and marks


def test_more_than_two_texts_are_separated_like_a_pair(make_text_encoder: Callable[..., Any]) -> None:
    bert = make_text_encoder("bert")
    window = one(bert, "中国", "北", "年")
    tokens = bert.tokenizer.convert_ids_to_tokens(window.inputs["input_ids"])
    assert tokens == ["[CLS]", "中", "国", "[SEP]", "北", "[SEP]", "年", "[SEP]"]
    assert window.inputs["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert window.sequence is not None and window.sequence.tolist() == [-1, 0, 0, -1, 1, -1, 2, -1]
    angled = make_text_encoder("unigram")
    pair, three = (one(angled, *"中国北"[:n], offsets=False).inputs["input_ids"] for n in (2, 3))
    assert three == [*pair[:-1], 2, 2, *one(angled, "北", offsets=False).inputs["input_ids"][1:]]
    with pytest.raises(ValueError, match="not over 3 texts"):
        one(bert, "中", "国", "北", windows=True)


@pytest.mark.parametrize("kind", KINDS)
def test_marks_are_tokens_that_no_text_spells(make_text_encoder: Callable[..., Any], kind: str) -> None:
    encoder = make_text_encoder(kind)
    text = ("中国", Mark.HIDDEN, Mark.HIDDEN, "北", Mark.BLANK, "")
    ids = one(encoder, "年", text, offsets=False).inputs["input_ids"]
    vocabulary, mask = encoder.tokenizer.get_vocab(), encoder.tokenizer.mask_token_id
    blank = vocabulary.get("[unused1]", mask)
    assert (blank != mask) == (kind == "mini-zh")
    left, right = (one(encoder, piece, offsets=False).inputs["input_ids"][1:-1] for piece in ("中国", "北"))
    plain = one(encoder, "年", "国", offsets=False).inputs["input_ids"]
    before = plain[: -1 - len(pieces_of(encoder, "国"))]
    assert ids == [*before, *left, mask, mask, *right, blank, plain[-1]]
    spelt = one(encoder, "[unused1]" + encoder.tokenizer.mask_token, offsets=False).inputs["input_ids"]
    assert not {blank, mask} & set(spelt)
    with pytest.raises(ValueError, match="no offsets"):
        one(encoder, text, offsets=True)


def pieces_of(encoder: HFTextEncoder, text: str) -> list[int]:
    return list(one(encoder, text, offsets=False).inputs["input_ids"][1:-1])


def test_without_a_mask_token_a_mark_is_an_underscore(make_text_encoder: Callable[..., Any]) -> None:
    import copy

    tokenizer = copy.deepcopy(make_text_encoder("bytes").tokenizer)
    tokenizer.mask_token = None
    encoder = HFTextEncoder(tokenizer, takes_segments=False)
    marked = one(encoder, ("中", Mark.BLANK, Mark.HIDDEN), offsets=False).inputs["input_ids"]
    assert marked[1:-1] == pieces_of(encoder, "中") + 2 * pieces_of(encoder, "_")


def test_text_of_100_000_characters_is_cut_exactly(any_text_encoder: HFTextEncoder) -> None:
    text = "中国人民银行" * 16_667
    window = one(any_text_encoder, text, length=128, offsets=False)
    assert len(window.inputs["input_ids"]) == 128
    total = len(any_text_encoder.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)
    assert window.cut == total - 126


# Windows


@quick
@given(n=st.integers(0, 60), room=st.integers(1, 20), data=st.data(), question=st.integers(0, 12) | st.none())
def test_windows_cover_every_token_and_share_what_was_asked(
    make_text_encoder: Callable[..., Any], n: int, room: int, data: st.DataObject, question: int | None
) -> None:
    encoder = make_text_encoder("mini-zh")
    specials = 2 if question is None else 3
    room += 1 if question is not None else 0
    overlap = data.draw(st.integers(0, (room if question is None else room - room // 2) - 1))
    text = "".join(chr(0x4E00 + i) for i in range(n))
    entry = (text,) if question is None else ("问" * question, text)
    [windows] = encoder.encode([entry], Limits(room + specials, overlap), windows=True, offsets=True, segments="pair")
    last = len(entry) - 1
    covered: list[int] = []
    for number, window in enumerate(windows):
        assert window.char_spans is not None and window.sequence is not None
        assert len(window.inputs["input_ids"]) == len(window.sequence) <= room + specials
        starts = window.char_spans[body(window, last), 0].tolist()
        assert starts == list(range(starts[0], starts[0] + len(starts))) if starts else n == 0
        if number:
            assert starts[:overlap] == covered[len(covered) - overlap :]
            assert len(starts) > overlap
        covered += starts[overlap if number else 0 :]
        if question is not None:
            assert len(body(window, 0)) == min(question, room // 2)
    assert covered == list(range(n))
    assert [w.cut for w in windows][1:] == [0] * (len(windows) - 1)
    assert windows[0].cut == (0 if question is None else question - min(question, room // 2))
    whole = one(encoder, *entry[-1:])
    assert sorted({i for w in windows for i in w.inputs["input_ids"]}) >= sorted(set(whole.inputs["input_ids"]))


def test_many_at_once_equal_one_at_a_time(any_text_encoder: HFTextEncoder) -> None:
    entries = [("".join(HURTFUL[i : i + 7]),) * (1 + i % 2) for i in range(40)]
    options: dict[str, Any] = {"windows": True, "offsets": True, "segments": "pair"}
    together = any_text_encoder.encode(entries, Limits(12, 2), **options)
    assert len(together) == len(entries)
    for entry, windows in zip(entries, together, strict=True):
        [alone] = any_text_encoder.encode([entry], Limits(12, 2), **options)
        assert [w.inputs for w in windows] == [w.inputs for w in alone]
        for a, b in zip(windows, alone, strict=True):
            assert a.char_spans is not None and b.char_spans is not None
            assert (a.char_spans == b.char_spans).all()
    assert any_text_encoder.encode([], Limits(8), **options) == []


@pytest.mark.parametrize(
    ("entry", "limits", "windows", "message"),
    [
        (("中",), Limits(2), False, "--max-length: 2 tokens leave no room"),
        (("中",), Limits(-1), False, "--max-length"),
        (("中", "国"), Limits(4), False, r"at least 5"),
        (("中",), Limits(10, 8), True, "--overlap: windows of 10 tokens cannot share 8"),
        (("中", "国"), Limits(11, 4), True, "half of it promised"),
        (("中",), Limits(10, -1), True, "--overlap"),
        ((), Limits(10), False, "one text or more"),
        (("中",) * 3, Limits(6), False, "at least 7"),
    ],
)
def test_impossible_limits_are_named(
    make_text_encoder: Callable[..., Any], entry: tuple[str, ...], limits: Limits, windows: bool, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_text_encoder("mini-zh").encode([entry], limits, windows=windows, offsets=True, segments="pair")


def test_unknown_segments_are_refused(make_text_encoder: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match="pair or zero"):
        one(make_text_encoder("bert"), "中", segments="both")


# Keeping


def test_saved_and_loaded_it_is_the_same(any_text_encoder: HFTextEncoder, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    any_text_encoder.save(tmp_path)
    loaded = HFTextEncoder.load(tmp_path, takes_segments=any_text_encoder.takes_segments)
    assert loaded.fingerprint == any_text_encoder.fingerprint
    assert (loaded.pad_id, loaded.vocab_size) == (any_text_encoder.pad_id, any_text_encoder.vocab_size)
    text = "".join(HURTFUL)
    assert one(loaded, text).inputs == one(any_text_encoder, text).inputs
    assert AutoTokenizer.from_pretrained(str(tmp_path))("中国")["input_ids"] == one(loaded, "中国").inputs[
        "input_ids"
    ] or (loaded.splits_chinese)


def test_fingerprint_knows_lower_case_and_segments(make_text_encoder: Callable[..., Any]) -> None:
    from tokenizers import normalizers

    bert = make_text_encoder("bert")
    other = HFTextEncoder(bert.tokenizer, takes_segments=False)
    assert other.fingerprint != bert.fingerprint
    import copy

    cased = copy.deepcopy(bert.tokenizer)
    cased.backend_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    assert HFTextEncoder(cased, takes_segments=True).fingerprint != bert.fingerprint


def test_truncation_and_padding_kept_in_a_file_have_no_effect(make_text_encoder: Callable[..., Any]) -> None:
    import copy

    bert = make_text_encoder("bert")
    set_up = copy.deepcopy(bert.tokenizer)
    set_up.backend_tokenizer.enable_truncation(4)
    set_up.backend_tokenizer.enable_padding(length=16)
    encoder = HFTextEncoder(set_up, takes_segments=True)
    assert one(encoder, "中国人民银行").inputs == one(bert, "中国人民银行").inputs
    assert encoder.fingerprint == bert.fingerprint
