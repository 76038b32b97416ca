"""Column files: the tag schemes, malformed tags, separators, joiners; and there and back again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli.contract import Tally
from clue_cli.convert.bio import join, read
from clue_cli.convert.documents import Reading
from clue_cli.errors import RowError, UserError
from clue_cli.sources import Source
from tests.convert_cases import converted, left_out, spans, written

BEGUN = "tags that continue no entity (each begins one)"
UNENDED = "entities without the tag that ends them"


def columns(tokens: str, tags: str, separator: str = " ") -> str:
    return "".join(f"{token}{separator}{tag}\n" for token, tag in zip(tokens, tags.split(), strict=True))


@pytest.mark.parametrize(
    ("tags", "expected", "counted"),
    [
        ("B-a I-a O B-b I-b", [(0, 2, "a"), (3, 5, "b")], {}),
        ("B-a B-a I-a B-b O", [(0, 1, "a"), (1, 3, "a"), (3, 4, "b")], {}),
        ("B-a E-a O S-b O", [(0, 2, "a"), (3, 4, "b")], {}),
        ("B-a M-a E-a S-b S-b", [(0, 3, "a"), (3, 4, "b"), (4, 5, "b")], {}),
        ("B_a I_a L_a U_b O", [(0, 3, "a"), (3, 4, "b")], {}),
        ("B-a I-b I-b O I-a", [(0, 1, "a"), (1, 3, "b"), (4, 5, "a")], {BEGUN: 2}),
        ("O I-a I-a O B-b", [(1, 3, "a"), (4, 5, "b")], {BEGUN: 1}),
        ("B-a M-a O E-b E-b", [(0, 2, "a"), (3, 4, "b"), (4, 5, "b")], {BEGUN: 2, UNENDED: 1}),
        ("B-a E-a I-a S-a B-a", [(0, 2, "a"), (2, 3, "a"), (3, 4, "a"), (4, 5, "a")], {BEGUN: 1, UNENDED: 2}),
        # IOB1: I- begins, B- only parts neighbours of one type.
        ("I-a I-a B-a O I-b", [(0, 2, "a"), (2, 3, "a"), (4, 5, "b")], {}),
        ("B-a-b I-a-b O O O", [(0, 2, "a-b")], {}),
    ],
)
@pytest.mark.parametrize("separator", [" ", "\t", "   ", " n x "])
def test_schemes(
    tmp_path: Path, tags: str, expected: list[tuple[int, int, str]], counted: dict[str, int], separator: str
) -> None:
    [row], done = converted(written(tmp_path / "x.bio", columns("甲乙丙丁戊", tags, separator)))
    assert (row["text"], spans(row)) == ("甲乙丙丁戊", expected)
    assert (done.format, left_out(done)) == ("bio", counted)


def test_sentences_documents_comments_and_line_ends(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O\r\n\r\n# id 7\r\n李 B-人\r\n雷 I-人\r\n\r\n\r\n-DOCSTART-\r\n# O\r\n京 B-地"
    rows, done = converted(written(tmp_path / "x.conll", "\ufeff" + content))
    assert [(row["text"], spans(row)) for row in rows] == [("李雷", [(0, 2, "人")]), ("#京", [(1, 2, "地")])]
    assert left_out(done) == {"comment lines": 1}


def test_blanks_and_full_width_blanks_are_tokens(tmp_path: Path) -> None:
    for number, content in enumerate(("李 B-a\n O\n\u3000 O\n雷 B-a\n", "李\tB-a\n \tO\n\u3000\tO\n雷\tB-a\n")):
        [row], _ = converted(written(tmp_path / f"{number}.bio", content), output=tmp_path / str(number))
        assert (row["text"], spans(row)) == ("李 \u3000雷", [(0, 1, "a"), (3, 4, "a")])


@pytest.mark.parametrize(
    ("tokens", "joiner", "text"),
    [
        (["我", "用", "iPhone", "15", "拍"], "auto", "我用iPhone 15拍"),
        (["i", "P", "h", "o", "n", "e", "手机"], "auto", "iPhone手机"),
        (["OpenAI", "的", "GPT", "-", "4"], "auto", "OpenAI的GPT-4"),
        (["我", "用", "iPhone", "15"], "none", "我用iPhone15"),
        (["我", "用"], "blank", "我 用"),
        (["été", "ü", "１", "2a"], "auto", "été ü１ 2a"),
        ([], "auto", ""),
    ],
)
def test_joining(tokens: Sequence[str], joiner: str, text: str) -> None:
    joined, places = join(tokens, joiner)
    assert joined == text
    assert [joined[start:end] for start, end in places] == list(tokens)


def test_a_file_without_chinese_is_joined_by_blanks(tmp_path: Path) -> None:
    [row], _ = converted(written(tmp_path / "x.bio", "Li B-PER\nLei I-PER\nleft O\n. O\n"))
    assert (row["text"], spans(row)) == ("Li Lei left .", [(0, 6, "PER")])


def test_emoji_are_characters(tmp_path: Path) -> None:
    [row], done = converted(written(tmp_path / "x.bio", columns("😀𠮷在北京", "O O O B-a I-a")))
    assert spans(row) == [(3, 5, "a")]
    assert left_out(done) == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("李 B-人\n雷\n", "x.bio:2: a token and its tag were expected, found only '雷'"),
        ("李 B-人\n雷 X-人\n", "x.bio:2: a tag such as O, B-name or I-name was expected, found 'X-人'"),
        ("李 B-人\n雷 B-\n", "x.bio:2: a tag such as O"),
        ("\n \n", "no sentences in it"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        converted(written(tmp_path / "x.bio", content), format="bio")
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_sentence_with_a_wrong_line_can_be_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "x.bio", "李 B-人\n雷\n去 ?\n\n京 B-地\n")
    with pytest.raises(RowError):
        converted(path, format="bio")
    rows, done = converted(path, format="bio", skip=True)
    assert [row["text"] for row in rows] == ["京"]
    assert left_out(done) == {"rows with an error": 1}


def test_another_encoding(tmp_path: Path) -> None:
    [row], _ = converted(
        written(tmp_path / "x.bio", columns("李雷", "B-人 I-人").encode("gb18030")), encoding="gb18030"
    )
    assert spans(row) == [(0, 2, "人")]


# -------------------------------------------------------------------- there and back again

CHARACTERS = st.characters(exclude_categories=["Z", "C"], exclude_characters="#")


@st.composite
def flat(draw: Any) -> tuple[str, list[tuple[int, int, str]]]:
    """A text without blanks and spans of it that do not overlap."""
    text = draw(st.text(st.one_of(st.sampled_from("李雷去北京a1😀，。"), CHARACTERS), min_size=1, max_size=20))
    borders = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = list(itertools.pairwise(borders))
    kept = [pair for pair in pairs if draw(st.booleans())]
    return text, [(start, end, draw(st.sampled_from(["人", "地-名", "org"]))) for start, end in kept]


def tagged(size: int, found: Sequence[tuple[int, int, str]], scheme: str) -> list[str]:
    """Tags of a scheme for spans, one a character: B I for "BIO", else the letters of begin, inside, end, single."""
    tags = ["O"] * size
    for start, end, type_ in found:
        for position in range(start, end):
            letter = "B" if position == start else "I"
            if scheme != "BIO":
                begin, inside, last, single = scheme
                letter = begin if position == start else last if position == end - 1 else inside
                letter = single if end - start == 1 else letter
            tags[position] = f"{letter}-{type_}"
    return tags


@given(sentences=st.lists(flat(), min_size=1, max_size=4), scheme=st.sampled_from(["BIO", "BIES", "BMES", "BILU"]))
def test_entities_survive_the_way_through_columns(
    sentences: list[tuple[str, list[tuple[int, int, str]]]], scheme: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.bio"
    blocks = [
        "".join(f"{token}\t{tag}\n" for token, tag in zip(text, tagged(len(text), found, scheme), strict=True))
        for text, found in sentences
    ]
    path.write_text("\n".join(blocks), encoding="utf-8", newline="\n")
    tally = Tally()
    documents = list(read(Source.open(path), path.name, Reading(joiner="none"), tally))
    assert [document.text for document in documents] == [text for text, _ in sentences]
    back = [sorted((m.start, m.end, m.type) for m in document.marks.values()) for document in documents]
    assert back == [sorted(found) for _, found in sentences]
    assert not tally.as_dict()
