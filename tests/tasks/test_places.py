"""Characters of a text and tokens of its windows, where a tokenizer does what is rare; strings and their places."""

from __future__ import annotations

import numpy as np
import pytest

from clue_cli.contract import EncodedWindow
from tasks.families import windows
from tasks.families.alignment import Deciding, align
from tasks.families.event_links import out_of_sight
from tasks.families.location import whole
from tasks.families.merging import Found, longest_apart, most_probable_apart


def window(*spans: tuple[int, int], text: int | list[int] = 0) -> EncodedWindow:
    """A window whose tokens have these characters; `text` is the one of the entry that all, or each, are of."""
    ids = {"input_ids": [0] * len(spans)}
    return EncodedWindow(ids, np.array(spans, np.int32), np.full(len(spans), text, np.int8), 0)


def test_a_span_takes_all_tokens_of_its_characters() -> None:
    """Byte fallback: two tokens on each of two characters."""
    (borders,) = align([window((0, 1), (0, 1), (1, 2), (1, 2))])
    assert [borders.tokens(*place) for place in ((0, 1), (1, 2), (0, 2))] == [(0, 1), (2, 3), (0, 3)]


def test_tokens_without_a_character_at_either_edge_are_passed_over() -> None:
    (borders,) = align([window((0, 0), (0, 1), (2, 2), (2, 3))])
    tokens = ((0, 1), (1, 2), (2, 3), (0, 3), (2, 2))
    assert [borders.characters(*some) for some in tokens] == [(0, 1), (0, 1), (2, 3), (0, 3), None]


def test_a_window_that_ends_inside_the_last_character_leaves_it_to_the_one_that_ends_the_text() -> None:
    """Three tokens on the last of three characters, of which the first window holds one."""
    first, last = window((0, 1), (1, 2), (2, 3)), window((1, 2), (2, 3), (2, 3), (2, 3))
    deciding = Deciding(align([first, last]))
    assert [deciding.window(*place) for place in ((0, 1), (1, 2), (2, 3))] == [0, 0, 1]


def test_a_token_without_a_character_is_no_edge_of_an_answer() -> None:
    """A leading-space piece has the empty span before the next character."""
    passage = window((0, 1), (2, 2), (2, 3), text=windows.PASSAGE)
    start, end, there = windows.characters(passage, np.array([0, 1, 1]), np.array([1, 2, 1]))
    assert there.tolist() == [True, True, False]
    assert (start[there].tolist(), end[there].tolist()) == ([0, 2], [1, 3])


def test_tokens_that_leave_the_passage_are_no_answer() -> None:
    framed = window((-1, -1), (0, 1), (1, 2), (-1, -1), text=[-1, windows.PASSAGE, windows.PASSAGE, -1])
    _, _, there = windows.characters(framed, np.array([0, 1, 2]), np.array([2, 2, 3]))
    assert there.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("start", "end", "reason", "tokens"),
    [(0, 2, windows.CUT, (0, 1)), (2, 4, windows.CUT, (1, 1)), (0, 4, None, (0, 1)), (0, 5, windows.DROPPED, (0, 1))],
)
def test_an_answer_that_begins_or_ends_inside_a_token_is_cut(
    start: int, end: int, reason: str | None, tokens: tuple[int, int]
) -> None:
    placed = windows.place([window((0, 1), (1, 4), text=windows.PASSAGE)], start, end)
    assert (placed.reason, placed.tokens) == (reason, [tokens])


def test_a_place_inside_a_longer_word_is_taken_where_there_is_no_other() -> None:
    assert whole("秦始皇", [(0, 1)], [(0, 3)]) == [(0, 1)]
    assert whole("秦始皇在秦", [(0, 1), (4, 5)], [(0, 3)]) == [(4, 5)]


def test_of_overlapping_spans_as_long_the_earliest_stands() -> None:
    assert longest_apart([(1, 3, 0), (0, 2, 1)]) == [(0, 2, 1)]


def test_of_overlapping_answers_as_probable_the_longer_stands_and_all_stand_in_the_order_of_the_text() -> None:
    found = {span: Found(1.0, 0.5) for span in ((4, 5, 0), (0, 2, 0), (0, 3, 0))}
    found |= {(3, 4, 0): Found(0.1, 0.4)}
    assert list(most_probable_apart(found)) == [(0, 3, 0), (3, 4, 0), (4, 5, 0)]


def test_a_place_within_another_is_seen_with_it_only_where_the_whole_is() -> None:
    apart = out_of_sight(align([window(*((i, i + 1) for i in part)) for part in (range(6), range(4, 10))]))
    assert apart is not None
    for first, second, expected in (((0, 5), (1, 3), False), ((2, 9), (4, 5), True), ((0, 1), (8, 9), True)):
        assert apart(first, second) == apart(second, first) == expected
