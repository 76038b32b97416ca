"""Variants of a fast tokenizer: one that reads special tokens in a text as plain characters, one that keeps Chinese
characters apart.

Both are made from the tokenizer's own description, so every token keeps its id. Nothing here knows torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, pre_tokenizers

from clue_cli.errors import UserError

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""A Chinese character."""

PROBES = ("中华人民共和国", "龘靐齉爩", "北京大学《自然语言处理》，教授。")
"""Chinese text that a tokenizer is tried with: common words, rare characters, punctuation."""

# What is kept apart in the span form of a text: Chinese characters, since every one may be the border of an entity,
# and punctuation ("：《" as one piece hides where a title starts). BERT's own tokenizer cuts at the same places.
# With a Unigram tokenizer of 8,000 pieces trained on CLUENER the reachable gold spans rise from about 86 % (as it
# comes) over 97 % (Chinese characters only) to 99.9 % (punctuation too).
_APART = r"[\p{Han}\p{P}]"


def _byte_letters() -> list[str]:
    """Byte -> the letter that stands for it in byte-level tokenizers (GPT-2's table)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in visible]
    return [chr(b) if b in visible else chr(256 + hidden.index(b)) for b in range(256)]


BYTE_LETTERS = _byte_letters()


def _letters(first: int, last: int) -> str:
    return "[" + "".join("\\" + BYTE_LETTERS[b] if b < 0x7F else BYTE_LETTERS[b] for b in range(first, last + 1)) + "]"


def _apart_in_bytes() -> str:
    """`_APART` for text already turned into byte letters, where one character is a sequence of 1 to 4 letters.

    The first byte of a UTF-8 sequence tells its length, so no sequence is taken for part of another one.
    """
    tail = _letters(0x80, 0xBF)
    letter = BYTE_LETTERS.__getitem__
    return "|".join(
        (
            _letters(0x21, 0x2F) + "|" + _letters(0x3A, 0x40) + "|" + _letters(0x5B, 0x60) + "|" + _letters(0x7B, 0x7E),
            letter(0xE2) + letter(0x80) + tail,  # U+2000: dashes, quotes, ellipsis
            letter(0xE3) + letter(0x80) + tail,  # U+3000: Chinese punctuation
            letter(0xE3) + _letters(0x90, 0xBF) + tail,  # U+3400 to U+3FFF
            _letters(0xE4, 0xE9) + tail + tail,  # U+4000 to U+9FFF
            letter(0xEF) + _letters(0xA4, 0xAB) + tail,  # U+F900 to U+FAFF
            letter(0xEF) + _letters(0xBC, 0xBD) + tail,  # U+FF00: full-width forms
            letter(0xF0) + _letters(0xA0, 0xBF) + tail + tail,  # U+20000 to U+3FFFF
        )
    )


def _component(part: Any) -> dict[str, Any]:
    """A tokenizer's part (normaliser, pre-tokenizer) as the JSON it is saved as; empty for None."""
    if part is None:
        return {}
    state = part.__getstate__()
    described: dict[str, Any] = json.loads(state if isinstance(state, str | bytes) else json.dumps(state))
    return described


def _kinds(part: dict[str, Any]) -> set[str]:
    """The `type` of a part and of everything inside it."""
    found = {str(part["type"])} if "type" in part else set()
    for value in part.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                found |= _kinds(inner)
    return found


def is_byte_level(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer's pieces are sequences of UTF-8 bytes (GPT-2, RoBERTa), not of characters."""
    return "ByteLevel" in _kinds(_component(tokenizer.pre_tokenizer)) | _kinds(_component(tokenizer.normalizer))


def special_contents(tokenizer: Tokenizer) -> dict[int, str]:
    """Id -> content of the tokenizer's special tokens."""
    return {i: token.content for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id of the model's own unknown token, None where it has none."""
    name = getattr(tokenizer.model, "unk_token", None)
    if name is not None:
        found: int | None = tokenizer.token_to_id(name)
        return found
    index = getattr(tokenizer.model, "unk_id", None)  # Unigram
    if index is None and type(tokenizer.model).__name__ == "Unigram":
        index = json.loads(tokenizer.to_str())["model"].get("unk_id")
    return index


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer of the same ids that never makes a special token out of the characters of a text.

    "[MASK]" or "</s>" typed in a text are characters like others. Telling the tokenizer so is enough where pieces end
    at punctuation (BERT); a Unigram or byte-pair model still finds "</s>" in its own vocabulary, so there the entries
    of the special tokens get names that no text contains.
    UserError where the tokenizer cannot be copied (a pre-tokenizer written in Python).
    """
    try:
        described = tokenizer.to_str()
    except Exception as error:  # tokenizers raises a bare Exception
        raise UserError(
            "this tokenizer cuts text with code of its own (word segmentation), which a saved run could not carry",
            hint="use an encoder with a character or sentence-piece tokenizer",
        ) from error
    copy = Tokenizer.from_str(described)
    copy.encode_special_tokens = True
    unknown = unknown_id(copy)
    reserved = {i: text for i, text in special_contents(copy).items() if i != unknown}
    if not _leaks(copy, reserved):
        return copy
    tree = json.loads(described)
    _rename(tree, {text: f"\0{i}\0" for i, text in reserved.items()})
    tree["post_processor"] = None
    copy = Tokenizer.from_str(json.dumps(tree, ensure_ascii=False))
    copy.encode_special_tokens = True
    if _leaks(copy, reserved):
        raise UserError(
            "this tokenizer turns special tokens written in a text into real ones, and cannot be kept from it"
        )
    return copy


def _leaks(tokenizer: Tokenizer, reserved: dict[int, str]) -> bool:
    """Whether the name of a special token inside a text becomes that special token."""
    probes = [form for text in reserved.values() for form in (text, f"中{text}国", f" {text} ", text.upper())]
    return any(not reserved.keys().isdisjoint(e.ids) for e in tokenizer.encode_batch(probes, add_special_tokens=False))


def _rename(tree: dict[str, Any], names: dict[str, str]) -> None:
    """Give entries of a tokenizer's description, in vocabulary and added tokens, other names; ids stay."""
    vocabulary = tree["model"]["vocab"]
    if isinstance(vocabulary, dict):
        tree["model"]["vocab"] = {names.get(piece, piece): i for piece, i in vocabulary.items()}
    else:
        tree["model"]["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
    for token in tree["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])


def joins_chinese(tokenizer: Tokenizer) -> bool:
    """Whether any piece of the tokenizer covers several Chinese characters, or one and punctuation."""
    return any(
        end - start > 1 and _covers_chinese(text[start:end])
        for text in _joining_probes(tokenizer)
        for start, end in tokenizer.encode(text, add_special_tokens=False).offsets
    )


def _covers_chinese(text: str) -> bool:
    """Whether a token's text, spaces aside, is more than one character, a Chinese one among them."""
    text = text.strip()
    return len(text) > 1 and _HAN.search(text) is not None


def _joining_probes(tokenizer: Tokenizer) -> Iterable[str]:
    """Texts that show joining where there is any: fixed ones, and the longest Chinese pieces of the vocabulary."""
    byte_of = {letter: value for value, letter in enumerate(BYTE_LETTERS)}
    found = []
    for piece in tokenizer.get_vocab():
        text = piece.replace("▁", "").removeprefix("##")
        if text.isascii():
            continue
        if all(letter in byte_of for letter in text):
            text = bytes(byte_of[letter] for letter in text).decode("utf-8", errors="ignore")
        if _covers_chinese(text):
            found.append(text)
    return [*PROBES, *sorted(found, key=len)[-50:]]


def apart(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer of the same ids whose pieces never join a Chinese character or punctuation mark with a neighbour.

    The cut comes after the tokenizer's own normalisation and pre-tokenization, so offsets still refer to the original
    text, and only the first piece carries the leading-space mark.
    """
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = tokenizer.encode_special_tokens
    cut = pre_tokenizers.Split(Regex(_apart_in_bytes() if is_byte_level(tokenizer) else _APART), "isolated")
    copy.pre_tokenizer = cut if copy.pre_tokenizer is None else pre_tokenizers.Sequence([copy.pre_tokenizer, cut])
    return copy


def refuse_word_pieces(tokenizer: Tokenizer, where: str) -> None:
    """UserError if a word-piece tokenizer takes Chinese text for words and cuts 中国人 into 中, ##国, ##人.

    That happens without a warning when `tokenize_chinese_chars` is off; ids change and scores fall.
    """
    if type(tokenizer.model).__name__ != "WordPiece":
        return
    encoding = tokenizer.encode(PROBES[0], add_special_tokens=False)
    prefix = tokenizer.model.continuing_subword_prefix
    if any(token.startswith(prefix) for token in encoding.tokens[1:]) or joins_chinese(tokenizer):
        raise UserError(
            f"the tokenizer reads Chinese text as words: {PROBES[0]} becomes {' '.join(encoding.tokens)}, one token a "
            "character was expected",
            where=where,
            hint="set tokenize_chinese_chars in tokenizer_config.json (handle_chinese_chars in tokenizer.json) to true",
        )
