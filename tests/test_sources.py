"""Data come from directories, zips, single files and label files; what is wrong is said with file and line."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clue_cli import sources
from clue_cli.errors import RowError, UserError
from clue_cli.lines import open_text
from clue_cli.sources import Source, locate, read_labels

ROW = '{"sentence": "你好"}'


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pack(path: Path, members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def rows(path: Path, encoding: str = "utf-8") -> list[tuple[dict[str, object], int | None]]:
    source = Source.open(path, encoding=encoding)
    name = source.names()[0]
    return [(row.data, row.where.line) for row in source.rows(name)]


# ---------------------------------------------------------------- lines


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    text = "a\u2028b\x0b\x0c\x1c\x85c\rd\r\n\n  \nsecond"
    assert list(open_text(write(tmp_path / "x.txt", text))) == [(1, "a\u2028b\x0b\x0c\x1c\x85c\rd"), (4, "second")]
    assert [number for number, _ in open_text(tmp_path / "x.txt", blank=True)] == [1, 2, 3, 4]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r\0\ufeff", exclude_categories=["Cs"]), min_size=1), max_size=8
    )
)
def test_lines_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.txt"
    for encoding in ("utf-8", "utf-16", "gb18030"):
        path.write_bytes("\n".join(lines).encode(encoding))
        expected = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        assert list(open_text(path, encoding)) == expected


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", codecs.BOM_UTF8), ("utf-8-sig", b""), ("utf-16-le", codecs.BOM_UTF16_LE), ("gb18030", b"")],
)
def test_the_byte_order_mark_goes_and_carriage_returns_go(tmp_path: Path, encoding: str, mark: bytes) -> None:
    path = write(tmp_path / "x.jsonl", mark + f"{ROW}\r\n{ROW}\r\n".encode(encoding))
    assert rows(path, encoding) == [({"sentence": "你好"}, 1), ({"sentence": "你好"}, 2)]


@pytest.mark.parametrize(
    ("ending", "pack_bytes"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compressed_files_are_read_and_broken_ones_named(tmp_path: Path, ending: str, pack_bytes) -> None:  # type: ignore[no-untyped-def]
    packed = pack_bytes(b"one\ntwo\n" * 5000)
    assert sum(1 for _ in open_text(write(tmp_path / f"x.txt{ending}", packed))) == 10_000
    with pytest.raises(UserError, match="broken or cut off"):
        list(open_text(write(tmp_path / f"cut.txt{ending}", packed[: len(packed) // 2])))
    with pytest.raises(UserError, match="broken or cut off"):
        list(open_text(write(tmp_path / f"not.txt{ending}", b"just text\n" * 100)))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("一\n二".encode())))
    assert list(open_text("-")) == [(1, "一"), (2, "二")]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b'{"a": 1}\n{"a": "\xff"}\n', 2, "byte 0xff"),
        (b'{"a": 1}\n{"a": "x\x00y"}\n', 2, "NUL byte"),
        ('{"a": "你好"}\n'.encode("gb18030"), 1, "--encoding gb18030"),
        ('{"a": "你好"}\n'.encode("utf-16"), 1, "--encoding utf-16"),
        (b'{"a": 1}\n\n{"a": }\n', 3, "column 7"),
        (b'{"a": 1}\n{"a": 1\n', 2, "no valid JSON"),
        (b'{"a": "1\n', 1, "no valid JSON: Unterminated string starting at column 7"),
        (b'{"a": 1} {"b": 2}\n', 1, "column 10"),
        (b"[1, 2]\n", 1, "found a list"),
        (b"null\n", 1, "found null"),
        (b"3\n", 1, "found a number"),
        (b"[\n{}\n]\n", 1, "several lines"),
        (b'{"a": "\\ud83d"}\n', 1, "surrogate"),
        (b"[" * 100_000 + b"\n", 1, "no valid JSON"),
        (b'{"a": ' + b"9" * 6000 + b"}\n", 1, "no valid JSON"),
        (b'{"a": NaN}\n', 1, "no valid JSON"),
    ],
)
def test_broken_json_lines_are_named_by_file_and_line(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    path = write(tmp_path / "train.json", content)
    with pytest.raises(RowError) as caught:
        rows(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") and says in message and "\n" not in message


def test_a_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    assert rows(write(tmp_path / "x.jsonl", '{"a": "\\ud83d\\ude00"}')) == [({"a": "😀"}, 1)]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clue_cli.lines.MAX_LINE", 1 << 20)
    path = write(tmp_path / "x.jsonl", b"{}\n" + b"x" * (1 << 20) + b"yy")
    with pytest.raises(RowError, match=r"x\.jsonl:2: a line of more than 1 MiB"):
        rows(path)


def test_an_unknown_encoding_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown encoding 'latin-99'"):
        Source.open(write(tmp_path / "x.jsonl", ROW), encoding="latin-99")
    with pytest.raises(UserError, match="unknown encoding 'base64'"):
        Source.open(tmp_path / "x.jsonl", encoding="base64")


# ---------------------------------------------------------------- tables


def test_csv_with_quotes_commas_and_line_ends(tmp_path: Path) -> None:
    text = '\ufefflabel,text\r\n1,"他说：""好"", 行"\r\n\r\n2,"两\n行"\r\n3,plain\r\n'
    expected = [
        ({"label": "1", "text": '他说："好", 行'}, 2),
        ({"label": "2", "text": "两\n行"}, 4),
        ({"label": "3", "text": "plain"}, 6),
    ]
    assert rows(write(tmp_path / "x.csv", text)) == expected


def test_tsv_takes_quotes_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", 'label\ttext\n1\t"他说\n2\t好", 行\n')
    assert rows(path) == [({"label": "1", "text": '"他说'}, 2), ({"label": "2", "text": '好", 行'}, 3)]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.csv", "a,b\n1,2\n1,2,3\n", ":3: 3 values, but the header names 2 columns (a, b)"),
        ("x.tsv", "a\tb\n1\n", ":2: 1 values"),
        ("x.csv", "a,a\n1,2\n", ":1: the header must name every column once"),
        ("x.csv", "a,\n1,2\n", ":1: the header must name every column once"),
        ("x.csv", 'a,b\n1,"open\n2,x\n', ":2: no valid csv"),
        ("x.csv", 'a,b\n1,"x"y\n', ":2: no valid csv"),
    ],
)
def test_rows_that_do_not_fit_the_header(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(RowError) as caught:
        rows(write(tmp_path / name, text))
    assert says in str(caught.value)


# ---------------------------------------------------------------- places


def test_directory_zip_and_file_give_the_same_rows_and_hashes(tmp_path: Path) -> None:
    content = f"{ROW}\n{ROW}"
    write(tmp_path / "dir" / "train.json", content)
    pack(tmp_path / "data.zip", {"tnews_public/train.json": content, "__MACOSX/._train.json": "x"})
    (tmp_path / "holder").mkdir()
    pack(tmp_path / "holder" / "data.zip", {"train.json": content})
    for location in ("dir", "data.zip", "holder", "dir/train.json"):
        source = Source.open(tmp_path / location)
        name = source.find(("train.50k.json", "train.json"))
        assert [row.data for row in source.rows(name)] == [{"sentence": "你好"}] * 2
        assert source.sha256(name) == hashlib.sha256(content.encode()).hexdigest()
        assert source.label == {"holder": "data.zip", "dir/train.json": "train.json"}.get(location, location)


def test_the_first_candidate_that_is_there_counts(tmp_path: Path) -> None:
    for name in ("train.json", "train.10k.json"):
        write(tmp_path / name, ROW)
    source = Source.open(tmp_path)
    assert source.find(("train.50k.json", "train.10k.json", "train.json")) == "train.10k.json"
    with pytest.raises(UserError, match=r"no dev\.json here; found: train\.10k\.json, train\.json"):
        source.find(("dev.json",))


def test_what_is_not_there_or_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Source.open(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no train\.json here; found: nothing"):
        Source.open(tmp_path).find(("train.json",))
    with pytest.raises(UserError, match="unpack it, or make it a zip"):
        Source.open(write(tmp_path / "x.tar.gz", b""))
    with pytest.raises(UserError, match="is a directory"):
        list(open_text(tmp_path))
    for name in ("a.zip", "b.zip"):
        pack(tmp_path / name, {})
    (tmp_path / "x.tar.gz").unlink()
    with pytest.raises(UserError, match=r"several archives \(a\.zip, b\.zip\)"):
        Source.open(tmp_path)


def test_one_file_stands_for_one_split_only(tmp_path: Path) -> None:
    source = Source.open(write(tmp_path / "mine.jsonl", ROW))
    assert source.find(("dev.json",)) == source.find(("dev.json",)) == "mine.jsonl"
    with pytest.raises(UserError, match=r"cannot be both dev\.json and train\.json"):
        source.find(("train.json",))


@pytest.mark.parametrize(
    "name", ["../train.json", "/etc/train.json", "a/../../train.json", "C:/train.json", "..\\train.json"]
)
def test_a_zip_that_leads_out_of_itself_is_refused(tmp_path: Path, name: str) -> None:
    pack(tmp_path / "x.zip", {"ok.json": ROW})
    data = (tmp_path / "x.zip").read_bytes()
    padded = "o" * len(name)  # ZipFile would tidy the name up while writing
    pack(tmp_path / "x.zip", {padded: ROW})
    data = (tmp_path / "x.zip").read_bytes().replace(padded.encode(), name.encode())
    with pytest.raises(UserError, match="leads out of the archive"):
        Source.open(write(tmp_path / "x.zip", data))


def test_a_size_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = pack(tmp_path / "x.zip", {"train.json": b"\n" * (sources.RATIO_FROM + 1)})
    with pytest.raises(UserError, match=r"refused: its member 'train\.json' has .* bytes that unpack to 16,777,217"):
        Source.open(bomb)


def test_a_member_cannot_be_larger_than_it_says(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"train.json": f"{ROW}\n" * 1000})
    size = len(f"{ROW}\n".encode()) * 1000
    data = path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    source = Source.open(write(path, data))
    with pytest.raises(UserError):
        list(source.rows("train.json"))


def test_broken_encrypted_and_false_zips(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="broken or cut off"):
        Source.open(write(tmp_path / "x.zip", b"no zip"))
    whole = pack(tmp_path / "y.zip", {"train.json": f"{ROW}\n" * 50}, zipfile.ZIP_STORED).read_bytes()
    with pytest.raises(UserError, match="broken or cut off"):
        Source.open(write(tmp_path / "y.zip", whole[: len(whole) - 30]))
    damaged = whole.replace(b"sentence", b"sentense", 1)
    with pytest.raises(UserError, match="broken or cut off"):
        list(Source.open(write(tmp_path / "y.zip", damaged)).rows("train.json"))
    # Bit 0 of the flags says "encrypted": in the member's own header and in the directory at the end.
    secret = bytearray(whole)
    secret[6] |= 1
    secret[whole.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UserError, match="encrypted"):
        list(Source.open(write(tmp_path / "y.zip", bytes(secret))).rows("train.json"))


def test_two_members_of_one_name_are_found_by_path_only(tmp_path: Path) -> None:
    pack(
        tmp_path / "x.zip",
        {"a/train.json": '{"a": 1}', "b/train.json": '{"b": 1}', "dev.json": "{}", "c/dev.json": "{}"},
    )
    source = Source.open(tmp_path / "x.zip")
    assert source.has("dev.json") and not source.has("train.json")
    assert [row.data for row in source.rows("b/train.json")] == [{"b": 1}]


def test_which_data_a_task_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "given" / "train.json", ROW)
    write(tmp_path / "root" / "tnews" / "train.json", ROW)
    assert sources.data_at_hand("tnews") is None
    assert locate("tnews", str(tmp_path / "given"))[1] is False
    monkeypatch.setenv("CLUE_DATA", str(tmp_path / "root"))
    source, sample = locate("tnews", None)
    assert (source.location, sample) == (str(tmp_path / "root" / "tnews"), False)
    assert locate("tnews", str(tmp_path / "given"))[0].location == str(tmp_path / "given")
    with pytest.raises(UserError, match=r"no data for task unheard-of .*CLUE_DATA/unheard-of"):
        locate("unheard-of", None)
    with pytest.raises(UserError, match="task cluener is not in clue/clue on the hub"):
        locate("cluener", "hub", hub="")


# ---------------------------------------------------------------- label files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "\ufeff好\n\n 差 \n1"),
        ("labels.json", '["好", "差", 1]'),
        ("labels.json", '[\n "好",\n "差",\n "1"\n]'),
        ("labels.json", '{"label": "好", "label_desc": "x"}\n{"label": "差"}\n{"label": "1"}'),
        ("labels.json", '{"label": "好"}\n{"label": "差"}\n{"label": 1}'),
    ],
)
def test_labels_come_in_the_order_of_their_file(tmp_path: Path, name: str, text: str) -> None:
    assert read_labels(write(tmp_path / name, text)) == ("好", "差", "1")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("labels.txt", "a\nb\na\n", ":3: label 'a' occurs twice"),
        ("labels.txt", "\n", "no labels in it"),
        ("labels.json", "[]", "no labels in it"),
        ("labels.json", '["a", null]', "found null"),
        ("labels.json", '["a", NaN]', "found NaN"),
        ("labels.json", '["a",', "no valid JSON list"),
        ("labels.json", '{"lable": "a"}', ":1: a label must be a text"),
    ],
)
def test_label_files_that_are_wrong(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        read_labels(write(tmp_path / name, text))
    assert says in str(caught.value)
