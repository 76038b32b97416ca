"""The tokenizer of an encoder's directory, as `transformers` makes it, checked.

`transformers` 5 ignores a misnamed vocabulary argument and builds a tokenizer of five tokens in silence, and picks a
sentence-piece class for an ALBERT that comes with BERT's vocabulary: hence the checks here and in `loading`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clue_cli.encoders.files import TOKENIZER_FILES, bert_normalizer, has_bert_tokenizer, read_config, reason
from clue_cli.errors import UserError


def wants_segments(directory: Path) -> bool:
    """Whether the encoder of this directory tells several token types apart."""
    return int(read_config(directory).get("type_vocab_size") or 0) > 1


_BY_ARCHITECTURE = ("albert", "deberta", "deberta-v2", "roformer")
"""Where `transformers` goes by the architecture: ALBERT's and DeBERTa's classes want another vocabulary than BERT's,
RoFormer's a library that cuts words."""


def load_tokenizer(directory: Path, *, trust_remote_code: bool = False) -> Any:
    """The `transformers` tokenizer of `directory`; UserError where there is none or it cannot be made."""
    present = {name for name in TOKENIZER_FILES if (directory / name).is_file()}
    if not present:
        raise UserError(
            f"no tokenizer here: expected {TOKENIZER_FILES[0]} or {TOKENIZER_FILES[1]}", where=str(directory)
        )
    import transformers

    bert: Any = getattr(transformers, "BertTokenizerFast", None) or transformers.BertTokenizer
    try:
        if present == {"vocab.txt"}:
            tokenizer = bert.from_pretrained(str(directory))
            _check_lines(tokenizer, directory)
        elif read_config(directory).get("model_type") in _BY_ARCHITECTURE and has_bert_tokenizer(directory):
            tokenizer = bert.from_pretrained(str(directory), **bert_normalizer(directory))
        else:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(directory), use_fast=True, trust_remote_code=trust_remote_code
            )
    except UserError:
        raise
    except Exception as error:  # tokenizers and transformers raise bare Exceptions for broken files
        raise UserError(f"its tokenizer does not load: {reason(error)}", where=str(directory)) from error
    return tokenizer


def _check_lines(tokenizer: Any, directory: Path) -> None:
    """UserError if the tokenizer does not know the entries of `vocab.txt` by their line numbers."""
    try:
        entries = (directory / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text (byte {error.start})", where=str(directory / "vocab.txt")) from error
    known = tokenizer.get_vocab()
    if "[UNK]" not in entries or len(known) < len(set(entries)) or known.get("[UNK]") != entries.index("[UNK]"):
        raise UserError(
            f"the tokenizer has {len(known)} entries, its file {len(entries)}: the vocabulary was not read as BERT's",
            where=str(directory / "vocab.txt"),
            hint="expected one entry a line, [UNK], [CLS] and [SEP] among them",
        )
