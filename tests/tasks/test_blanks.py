"""Blanks and their context: the cut against its literal statement, and inputs that fit for every tokenizer."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.contract import Limits, Mark, Tally
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.errors import Where
from tasks.families.blanks import (
    CUT_BLANKS,
    CUT_CHARACTERS,
    NO_ROOM,
    Asked,
    Blank,
    blanks_of,
    cut,
    encoded_blanks,
    tags_of,
)
from tests.encoders.conftest import text_encoder

PIECE = st.text(alphabet="甲乙丙丁", max_size=9)
BLANKS = st.builds(
    lambda left, right: Blank("#idiom1#", tuple(left), tuple(right)),
    st.lists(PIECE, min_size=1, max_size=4),
    st.lists(PIECE, min_size=1, max_size=4),
)
PLACE = Where("own.json", 1)


def slow_cut(blank: Blank, budget: int) -> Blank:
    """One character after the other, as systems.md 2.8 tells it."""
    left, right = list(blank.left), list(blank.right)

    def room() -> int:
        return budget - 4 * (len(left) - 1 + len(right) - 1)

    while sum(map(len, left)) + sum(map(len, right)) > room():
        on_left, on_right = sum(map(len, left)), sum(map(len, right))
        side = left if on_left > on_right else right
        if side is right and on_right == 0 and len(right) == 1:
            side = left
        outer = 0 if side is left else -1
        if len(side[outer]) > 1:
            side[outer] = side[outer][1:] if side is left else side[outer][:-1]
        elif len(side) > 1:
            del side[outer]
        elif side[outer]:
            side[outer] = ""
        else:
            break
    return Blank(blank.tag, tuple(left), tuple(right))


@given(BLANKS, st.integers(-2, 60))
def test_the_cut_equals_its_literal_statement(blank: Blank, budget: int) -> None:
    found = cut(blank, budget)
    assert found == slow_cut(blank, budget)
    assert found.size <= max(budget, 0) or found == Blank(blank.tag, ("",), ("",))
    assert "".join(blank.left).endswith("".join(found.left))
    assert "".join(blank.right).startswith("".join(found.right))
    if blank.size <= budget:
        assert found == blank


def test_the_cut_by_example() -> None:
    [first, second] = blanks_of("一二三四#idiom000001#五六#idiom000002#七")
    assert (first.tag, first.left, first.right) == ("#idiom000001#", ("一二三四",), ("五六", "七"))
    assert (second.tag, second.left, second.right) == ("#idiom000002#", ("一二三四", "五六"), ("七",))
    assert first.size == 4 + 2 + 1 + 4
    assert first.text() == ("一二三四", Mark.BLANK, "五六", *[Mark.HIDDEN] * 4, "七")
    assert cut(first, 10) == Blank("#idiom000001#", ("二三四",), ("五六", "七"))
    # Both sides are equally long then: the right one goes first, and with its one character the blank beside it.
    assert cut(first, 9) == Blank("#idiom000001#", ("二三四",), ("五六",))
    assert cut(first, 5) == cut(first, 9)
    assert cut(first, 0) == Blank("#idiom000001#", ("",), ("",))
    assert blanks_of("没有#idiom#空").pop().tag == "#idiom#"
    assert blanks_of("没有idiom000001") == []
    assert tags_of(["#idiom2##idiom1#", "", "x#idiom#"]) == ["#idiom2#", "#idiom1#", "#idiom#"]


def tokens_of(encoder: HFTextEncoder, asked: list[Asked], length: int, tally: Tally | None = None) -> list[list[str]]:
    windows = chain.from_iterable(encoded_blanks(asked, encoder, Limits(length), "pair", tally or Tally()))
    return [encoder.tokenizer.convert_ids_to_tokens(window.inputs["input_ids"]) for window in windows]


def asked(passage: str, *candidates: str) -> list[Asked]:
    return [Asked(0, blank, None, candidates, PLACE) for blank in blanks_of(passage)]


def test_the_input_is_that_of_the_baseline() -> None:
    encoder = text_encoder("mini-zh")
    passage = "祝你#idiom000001#，别#idiom000002#。"
    first, _, _, last = tokens_of(encoder, asked(passage, "一帆风顺", "半途而废"), 64)
    hidden = "[MASK]" * 4
    assert "".join(first) == f"[CLS]一帆风顺[SEP]祝你[unused1]，别{hidden}。[SEP]"
    assert "".join(last) == f"[CLS]半途而废[SEP]祝你{hidden}，别[unused1]。[SEP]"


def test_the_context_is_cut_to_the_length_and_counted() -> None:
    encoder, tally = text_encoder("mini-zh"), Tally()
    passage = "甲" * 40 + "#idiom000001#" + "乙" * 10 + "#idiom000002#" + "丙" * 30
    [tokens, _] = tokens_of(encoder, asked(passage, "一帆风顺")[:1] * 2, 64, tally)
    assert len(tokens) == 64
    # 56 are left for context: 26 on the left, 10, four masks and 16 on the right.
    assert "".join(tokens[6:-1]) == "甲" * 26 + "[unused1]" + "乙" * 10 + "[MASK]" * 4 + "丙" * 16
    assert tally.counts == {CUT_BLANKS: 2, CUT_CHARACTERS: 2 * 28}
    assert tally.places[CUT_BLANKS] == ["own.json:1"] * 2


HARD = ["甲", "한", "😀", "word ", "２", " ", "e\u0301", "㎏"]
KINDS = ("mini-zh", "bert", "unigram", "bytes")


@pytest.mark.parametrize("kind", KINDS)
@given(
    left=st.lists(st.sampled_from(HARD), max_size=40),
    right=st.lists(st.sampled_from(HARD), max_size=40),
    other=st.booleans(),
    length=st.integers(24, 64),
)
def test_blank_and_candidate_are_whole_with_every_tokenizer(
    kind: str, left: list[str], right: list[str], other: bool, length: int
) -> None:
    encoder, tally = text_encoder(kind), Tally()
    passage = "".join(left) + "#idiom000001#" + ("中#idiom000002#" if other else "") + "".join(right)
    one = asked(passage, "一帆", "半途而废")[:1]
    blank = "[unused1]" if kind == "mini-zh" else encoder.tokenizer.mask_token
    for tokens, candidate in zip(tokens_of(encoder, one, length, tally), ("一帆", "半途而废"), strict=True):
        assert len(tokens) <= length
        assert blank in tokens
        [[alone]] = encoder.encode([(candidate,)], Limits(64), windows=False, offsets=False, segments="pair")
        its = encoder.tokenizer.convert_ids_to_tokens(alone.inputs["input_ids"])
        assert tokens[: len(its) - 1] == its[:-1]
    assert NO_ROOM not in tally.counts


def test_candidates_without_room_for_context_are_counted() -> None:
    tally = Tally()
    [tokens, _] = tokens_of(text_encoder("mini-zh"), asked("甲#idiom1#乙", "一帆风顺一帆风顺", "半途"), 8, tally)
    assert tokens == ["[CLS]", *"一帆风顺", "[SEP]", "[unused1]", "[SEP]"]
    assert tally.counts == {NO_ROOM: 1, CUT_BLANKS: 1, CUT_CHARACTERS: 2}
