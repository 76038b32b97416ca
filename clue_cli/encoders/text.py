"""Text to tokens with offsets into the original characters, over any fast tokenizer.

    encoder = HFTextEncoder.load("path/to/encoder")
    [[window]] = encoder.encode([("浙商银行的叶老桂",)], Limits(128), windows=False, offsets=True, segments="pair")
    window.inputs["input_ids"]; window.char_spans[1]        # -> array([0, 1])

What it does differently from calling the tokenizer: special tokens written in a text stay ordinary characters; texts
are cut one token at a time from the longest; windows share a given number of tokens; for span tasks Chinese characters
are kept apart also by tokenizers that join them. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from clue_cli.contract import EncodedWindow, Limits, Mark, Text
from clue_cli.encoders import splitting
from clue_cli.encoders.alignment import align
from clue_cli.errors import UserError

SEGMENTS = ("pair", "zero")
"""Token types of a pair: 0/1, or all 0 as CLUE-bert4keras has them. One text is always 0."""

BLANK_TOKEN = "[unused1]"
"""What marks the blank of a cloze in BERT's vocabularies, as in CLUE's baselines: it stands for nothing else."""

ENCODING_VERSION = 1
"""Raised when the same tokenizer would give other tokens; part of the fingerprint."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CHUNK_TEXTS, _CHUNK_CHARACTERS = 1000, 500_000
"""Texts handed to the tokenizer at once: enough for its threads, few enough that its answers stay small."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens around the texts: before the first, after each one. `size` counts them all."""

    parts: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Number of special tokens."""
        return sum(map(len, self.parts))


class HFTextEncoder:
    """`contract.TextEncoder` over a fast tokenizer of `transformers`.

    tokenizer:      the `transformers` tokenizer, kept for saving.
    takes_segments: whether features carry `token_type_ids`.
    split_cjk:      "auto" keeps Chinese characters (and punctuation) apart in the span form of a text where the
                    tokenizer joins them; False leaves the tokenizer as it is.

    UserError if the tokenizer has no fast form, or reads Chinese text as words.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        takes_segments: bool,
        split_cjk: Literal["auto", False] = "auto",
        where: str = "tokenizer",
    ) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(
                f"{type(tokenizer).__name__} has no fast form, so it gives no offsets into the text",
                where=where,
                hint="add a tokenizer.json, or use an encoder whose tokenizer has one",
            )
        self.tokenizer = tokenizer
        self.takes_segments = takes_segments
        self.split_cjk = split_cjk
        backend: Tokenizer = tokenizer.backend_tokenizer
        backend.no_truncation()  # settings of a call, which transformers sets anew at each of its own
        backend.no_padding()
        self._plain = splitting.plain(backend)
        splitting.refuse_word_pieces(self._plain, where)
        self._single = _frame(backend, pair=False, where=where)
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.vocab_size: int = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @classmethod
    def load(
        cls, location: str | Path, *, takes_segments: bool | None = None, split_cjk: Literal["auto", False] = "auto"
    ) -> HFTextEncoder:
        """The text encoder of a directory; `takes_segments` None reads it from the directory's `config.json`.

        UserError where there is no tokenizer or one that cannot be used.
        """
        from clue_cli.encoders.tokenizer import load_tokenizer, wants_segments

        directory = Path(location)
        if takes_segments is None:
            takes_segments = wants_segments(directory)
        return cls(load_tokenizer(directory), takes_segments=takes_segments, split_cjk=split_cjk, where=str(directory))

    def save(self, directory: str | Path) -> None:
        """Write the tokenizer's files into `directory`; `load` (and `AutoTokenizer`) read them without a network."""
        self.tokenizer.save_pretrained(str(directory))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides which tokens a text becomes."""
        described = json.loads(self.tokenizer.backend_tokenizer.to_str())
        options = [ENCODING_VERSION, self.takes_segments, self.split_cjk, self.pad_id]
        text = json.dumps([options, described], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def joins_chinese(self) -> bool:
        """Whether the tokenizer, left alone, puts several Chinese characters into one token."""
        return splitting.joins_chinese(self._plain)

    @property
    def splits_chinese(self) -> bool:
        """Whether the span form of a text (`offsets=True`) differs from the plain one, to keep characters apart."""
        return self.split_cjk == "auto" and self.joins_chinese

    @property
    def starts_with_special(self) -> bool:
        """Whether a special token ([CLS]) stands first."""
        return bool(self._single.parts[0])

    def encode(
        self, texts: Sequence[tuple[Text, ...]], limits: Limits, *, windows: bool, offsets: bool, segments: str
    ) -> list[list[EncodedWindow]]:
        """For each entry (one text, a pair, or more) its windows, in order.

        More than two texts are separated like a pair, all but the first with the token type of its second one. A text
        that occurs several times (the passage of a question's choices) is read by the tokenizer once.

        Without `windows` exactly one: tokens that do not fit are taken away one at a time from the right of the longest
        text, and counted in `cut`; of equal ones from the first of a pair, of more texts from the last (as
        CLUE-bert4keras has it for both). With `windows` the last text is covered by windows that share
        `limits.overlap` tokens; the first of a pair stands in each of them, held to half of the room (what it loses is
        the `cut` of the first window).

        `char_spans` (with `offsets`) may repeat: several tokens of one character (bytes, decomposed characters) have
        its span. An empty span (s, s) marks a token without a character of its own (a leading-space piece). White
        space and dropped characters lie in no span. `segments` is "pair" or "zero".

        A mark is `[unused1]` (`Mark.BLANK`) or the mask token (`Mark.HIDDEN`), in a vocabulary that lacks it the other
        one, with neither an underscore.

        UserError if `limits` leave no room, or the tokenizer cannot separate a pair; ValueError for windows or offsets
        where they have no meaning: over more than two texts, in a text with marks.
        """
        if segments not in SEGMENTS:
            raise UserError(f"segments are {' or '.join(SEGMENTS)}, not {segments!r}")
        frames = {count: self._frame_for(count) for count in {len(entry) for entry in texts}}
        if windows and max(frames, default=0) > 2:
            raise ValueError(f"windows go over one text or a pair, not over {max(frames)} texts")
        for frame in frames.values():
            _check_room(limits, frame, windows)
        pieces = [piece for entry in texts for text in entry for piece in _pieces(text) if isinstance(piece, str)]
        distinct = list(dict.fromkeys(pieces))
        tokens = dict(zip(distinct, self._tokens(distinct, offsets), strict=True))
        done: list[list[EncodedWindow]] = []
        for entry in texts:
            parts = [tokens[text] if isinstance(text, str) else self._joined(text, tokens, offsets) for text in entry]
            frame = frames[len(entry)]
            cuts = _windows(parts, frame, limits) if windows else [_truncated(parts, frame, limits)]
            done.append([self._assemble(parts, frame, ranges, cut, segments) for ranges, cut in cuts])
        return done

    @cached_property
    def _pair(self) -> Frame:
        return _frame(self.tokenizer.backend_tokenizer, pair=True, where="tokenizer")

    def _frame_for(self, count: int) -> Frame:
        if count == 0:
            raise UserError("an entry has one text or more, this one has none")
        if count == 1:
            return self._single
        before, between, after = self._pair.parts
        if not between:
            raise UserError("the tokenizer puts nothing between the texts of a pair", hint="use another encoder")
        return Frame((before, *[between] * (count - 1), after))

    @cached_property
    def _marks(self) -> dict[Mark, list[int]]:
        """The tokens of each mark."""
        blank = self.tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).get(BLANK_TOKEN)
        mask = self.tokenizer.mask_token_id
        plain = self._plain.encode("_", add_special_tokens=False).ids
        ids = {Mark.BLANK: mask if blank is None else blank, Mark.HIDDEN: blank if mask is None else mask}
        return {mark: plain if found is None else [found] for mark, found in ids.items()}

    def _joined(self, text: Sequence[str | Mark], tokens: Mapping[str, _Tokens], offsets: bool) -> _Tokens:
        if offsets:
            raise ValueError("a text with marks has no offsets")
        ids: list[int] = []
        for piece in text:
            ids += tokens[piece][0] if isinstance(piece, str) else self._marks[piece]
        return ids, None

    @cached_property
    def _apart(self) -> Tokenizer:
        return splitting.apart(self._plain) if self.splits_chinese else self._plain

    @cached_property
    def _blank_ids(self) -> np.ndarray:
        """Ids of the pieces that are nothing but leading-space marks."""
        marks = {"▁", splitting.BYTE_LETTERS[0x20]}
        return np.array([i for piece, i in self._plain.get_vocab().items() if piece and set(piece) <= marks], np.int64)

    def _tokens(self, texts: list[str], offsets: bool) -> Iterator[_Tokens]:
        """The tokens of each text, in order, none of them special."""
        backend = self._apart if offsets else self._plain
        run = backend.encode_batch if offsets else getattr(backend, "encode_batch_fast", backend.encode_batch)
        for chunk in _chunks(texts):
            # A lone surrogate (half an emoji, from a JSON escape) is no Unicode text; the stand-in has the same length.
            clean = [text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text) for text in chunk]
            for text, encoding in zip(clean, run(clean, add_special_tokens=False), strict=True):
                yield (encoding.ids, self._spans(text, encoding) if offsets else None)

    def _spans(self, text: str, encoding: Encoding) -> np.ndarray:
        is_blank = np.isin(np.array(encoding.ids, np.int64), self._blank_ids)
        return align(text, encoding.offsets, is_blank)

    def _assemble(
        self, parts: list[_Tokens], frame: Frame, ranges: list[tuple[int, int]], cut: int, segments: str
    ) -> EncodedWindow:
        """One window: the given token range of each text, with the special tokens around."""
        ids, types = list(frame.parts[0]), [0] * len(frame.parts[0])
        places = []
        for number, ((tokens, _), (start, end)) in enumerate(zip(parts, ranges, strict=True)):
            places.append(len(ids))
            ids += tokens[start:end]
            ids += frame.parts[number + 1]
            if self.takes_segments:
                types += [min(number, 1) if segments == "pair" else 0] * (len(ids) - len(types))
        inputs = {"input_ids": ids, "token_type_ids": types} if self.takes_segments else {"input_ids": ids}
        if parts and parts[0][1] is None:
            return EncodedWindow(inputs, None, None, cut)
        spans = np.full((len(ids), 2), -1, np.int32)
        sequence = np.full(len(ids), -1, np.int8)
        for number, (place, (start, end)) in enumerate(zip(places, ranges, strict=True)):
            whole = parts[number][1]
            assert whole is not None
            spans[place : place + end - start] = whole[start:end]
            sequence[place : place + end - start] = number
        return EncodedWindow(inputs, spans, sequence, cut)


_Tokens = tuple[list[int], np.ndarray | None]
"""Ids of one text's tokens and, for span tasks, their spans (L, 2)."""


def _pieces(text: Text) -> tuple[str | Mark, ...]:
    return (text,) if isinstance(text, str) else text


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        chunk.append(text)
        characters += len(text)
        if len(chunk) >= _CHUNK_TEXTS or characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _frame(backend: Tokenizer, *, pair: bool, where: str) -> Frame:
    """The special tokens that the tokenizer's own template puts around one text or two, read from an example."""
    for probe in ("中", "a", "1", "。"):
        if not backend.encode(probe, add_special_tokens=False).ids:
            continue
        encoding = backend.encode(probe, probe) if pair else backend.encode(probe)
        parts: list[list[int]] = [[]]
        for token, sequence in zip(encoding.ids, encoding.sequence_ids, strict=True):
            if sequence is None:
                parts[-1].append(token)
            elif sequence == len(parts) - 1:
                parts.append([])
            elif sequence != len(parts) - 2:
                raise UserError("the tokenizer puts the second text of a pair before the first", where=where)
        if len(parts) == 2 + pair:
            return Frame(tuple(tuple(part) for part in parts))
    raise UserError(
        "the tokenizer gives no tokens for plain text", where=where, hint="its vocabulary is missing or empty"
    )


def _check_room(limits: Limits, frame: Frame, windows: bool) -> None:
    texts = len(frame.parts) - 1
    if limits.max_length < frame.size + texts:
        raise UserError(
            f"{limits.max_length} tokens leave no room for the text beside {frame.size} special tokens",
            where="--max-length",
            hint=f"at least {frame.size + texts}",
        )
    if windows and limits.overlap < 0:
        raise UserError(f"windows cannot share {limits.overlap} tokens", where="--overlap", hint="0 or more")
    room = limits.max_length - frame.size
    if windows and limits.overlap >= (room if texts == 1 else room - room // 2):
        raise UserError(
            f"windows of {limits.max_length} tokens cannot share {limits.overlap} of them: the text has room for {room}"
            + (", half of it promised to the other text" if texts == 2 else ""),
            where="--overlap",
            hint="make --overlap smaller or --max-length greater",
        )


def _truncated(parts: list[_Tokens], frame: Frame, limits: Limits) -> tuple[list[tuple[int, int]], int]:
    """The token range of each text that is kept, and the number of tokens taken away."""
    lengths = [len(ids) for ids, _ in parts]
    kept = _kept(lengths, limits.max_length - frame.size)
    return [(0, n) for n in kept], sum(lengths) - sum(kept)


def _kept(lengths: list[int], room: int) -> list[int]:
    """How much of each length is left once their sum is `room`; see `HFTextEncoder.encode`."""
    if sum(lengths) <= room:
        return lengths
    # Whatever is longer than the level comes down to it; some of those keep one more, so that the room is filled.
    below = 0
    for position, length in enumerate(sorted(lengths)):
        level = (room - below) // (len(lengths) - position)
        if length > level:
            break
        below += length
    kept = [min(length, level) for length in lengths]
    longer = [number for number, length in enumerate(lengths) if length > level]
    spare = room - sum(kept)
    for number in longer[len(longer) - spare :] if len(lengths) == 2 else longer[:spare]:
        kept[number] += 1
    return kept


def _windows(parts: list[_Tokens], frame: Frame, limits: Limits) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """The token ranges of each window over the last text, and what the first text of a pair lost, once."""
    room = limits.max_length - frame.size
    fixed: list[tuple[int, int]] = []
    lost = 0
    if len(parts) == 2:
        length = len(parts[0][0])
        kept = min(length, room // 2)
        fixed, lost, room = [(0, kept)], length - kept, room - kept
    total, start = len(parts[-1][0]), 0
    while True:
        end = min(start + room, total)
        yield [*fixed, (start, end)], lost
        if end == total:
            return
        start, lost = end - limits.overlap, 0
