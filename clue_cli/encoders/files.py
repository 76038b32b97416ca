"""An encoder's directory looked at before anything is loaded.

What `transformers` misreads without an error (RoFormerV2, NEZHA, a BERT named RoBERTa, ...) or stops at with an
unhelpful one (GAU-alpha, TensorFlow files) gets a sentence that says what to do. Nothing here imports torch.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from clue_cli.errors import UserError

CHARACTER_ROFORMER = "junnyu/roformer_chinese_char_base"
BERT_LIKE = "hfl/chinese-roberta-wwm-ext"
ROFORMER_V2 = (
    "these are RoFormerV2's files (norms without weights, no biases); transformers would build RoFormer and leave its "
    "norms and biases at random",
    f"RoFormerV2 is not supported yet: use {CHARACTER_ROFORMER} or {BERT_LIKE}",
)
"""(What is wrong, what to do)."""
_BERT_VOCABULARY = 21128
"""Entries of the vocabulary of every BERT-like Chinese model that descends from Google's."""


TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)


def reason(error: Exception) -> str:
    """The first line of a library's error without control codes (colours), its name where it says nothing."""
    said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]", "", str(error)).strip()
    return (said or type(error).__name__).splitlines()[0]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file as a dict, empty where there is none; UserError if it is not a JSON object."""
    if not path.is_file():
        return {}
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("\ufeff"):
            raise UserError(
                "begins with a byte order mark, which transformers does not read", where=where, hint="save it without"
            )
        content = json.loads(text)
    except (ValueError, OSError) as error:
        raise UserError(f"not readable as JSON: {error}", where=where) from error
    if not isinstance(content, dict):
        raise UserError("expected a JSON object", where=where)
    return content


def read_config(directory: Path) -> dict[str, Any]:
    """`config.json` as a dict, empty where there is none; UserError if it is not a JSON object."""
    return read_json(directory / "config.json")


def has_bert_tokenizer(directory: Path) -> bool:
    """Whether `tokenizer.json` is BERT's and `tokenizer_config.json` names no class that reads it."""
    stated = str(read_json(directory / "tokenizer_config.json").get("tokenizer_class") or "RoFormerTokenizer")
    return stated.startswith("RoFormerTokenizer") and {"[UNK]", "[CLS]", "[SEP]"} <= _word_pieces(directory).keys()


def bert_normalizer(directory: Path) -> dict[str, Any]:
    """What `tokenizer.json` says of lower case, accents and Chinese characters, as BERT's tokenizer takes it."""
    stated = read_json(directory / "tokenizer.json").get("normalizer")
    if not isinstance(stated, dict):
        return {}
    names = {"lowercase": "do_lower_case", "handle_chinese_chars": "tokenize_chinese_chars"}
    return {names.get(name, name): stated[name] for name in (*names, "strip_accents") if name in stated}


def _word_pieces(directory: Path) -> dict[str, Any]:
    """The vocabulary of `tokenizer.json`, entry -> id, if it cuts words into pieces as BERT does; else empty."""
    model = read_json(directory / "tokenizer.json").get("model")
    if not isinstance(model, dict) or model.get("type") != "WordPiece" or not isinstance(model.get("vocab"), dict):
        return {}
    return dict(model["vocab"])


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights, in the order in which transformers looks; empty where there are none."""
    part = r"-\d+-of-\d+"
    safe, pickled = r"model{}\.safetensors", r"pytorch_model{}\.bin"
    for pattern in (safe.format(""), safe.format(part), pickled.format(""), pickled.format(part)):
        if found := sorted(path for path in directory.iterdir() if re.fullmatch(pattern, path.name)):
            return found
    return []


def check_directory(directory: Path, *, weights: bool = True, trust_remote_code: bool = False) -> dict[str, Any]:
    """The configuration of a directory that `load_encoder` may go on with.

    UserError naming what is missing, or what the files are and what to do with them. `weights` False (random weights
    are wanted) does without weight files.
    """
    name = str(directory)
    if not directory.is_dir():
        raise UserError("an encoder is a directory, this is a file", where=name, hint="unpack it first")
    files = weight_files(directory) if weights else []
    _refuse_pointers([directory / "config.json", *(directory / file for file in TOKENIZER_FILES), *files])
    config = read_config(directory)
    if not config:
        raise _no_config(directory)
    if "model_type" not in config and not trust_remote_code:
        raise UserError(
            "config.json has no model_type, so its architecture is not known",
            where=name,
            hint='for a BERT-like model add "model_type": "bert"',
        )
    if not trust_remote_code:
        _check_kind(directory, config)
    if weights and not files:
        raise _no_weights(directory)
    _check_parts(files)
    return config


def _refuse_pointers(paths: list[Path]) -> None:
    """UserError for a file that a clone without Git LFS left in the place of the real one."""
    for path in paths:
        if path.is_file():
            with path.open("rb") as opened:
                first = opened.read(40)
            if first.startswith(b"version https://git-lfs"):
                raise UserError(
                    f"{path.name} is a Git LFS pointer, not the file itself",
                    where=str(path.parent),
                    hint="run `git lfs pull` in the clone",
                )


def _check_parts(files: list[Path]) -> None:
    """UserError if weights that are cut into parts are not all there, or their index is not."""
    cut = re.fullmatch(r"(model|pytorch_model)-\d+-of-(\d+)(\.\w+)", files[0].name) if files else None
    if cut is None:
        return
    stem, total, suffix = cut.groups()
    wanted = [f"{stem}-{number + 1:0{len(total)}}-of-{total}{suffix}" for number in range(int(total))]
    wanted.append(f"{stem}{suffix}.index.json")
    missing = [name for name in wanted if not (files[0].parent / name).is_file()]
    if missing:
        raise UserError(
            f"the weights come in {int(total)} parts and an index, and {missing[0]} is not there",
            where=str(files[0].parent),
            hint="copy or download all of them",
        )


def _no_config(directory: Path) -> UserError:
    name = str(directory)
    if (directory / "bert_config.json").is_file() and weight_files(directory):
        return UserError(
            "bert_config.json is there, config.json is not: the form of older releases",
            where=name,
            hint='rename bert_config.json to config.json and see that it says "model_type": "bert"',
        )
    if _tensorflow(directory):
        return _tensorflow_error(name)
    if (directory / "model" / "encoder" / "config.json").is_file():
        return UserError("this is a run, not an encoder", where=name, hint=f"its encoder is {name}/model/encoder")
    return UserError("no config.json: not an encoder's directory", where=name)


def _tensorflow(directory: Path) -> bool:
    names = [path.name for path in directory.iterdir()]
    return any(re.search(r"\.ckpt.*\.(index|meta)$|\.ckpt\.data-|\.h5$|\.msgpack$", name) for name in names)


def _tensorflow_error(name: str) -> UserError:
    return UserError(
        "only TensorFlow or Flax weights here, which transformers no longer reads",
        where=name,
        hint="use the PyTorch or safetensors release of the same model",
    )


def _no_weights(directory: Path) -> UserError:
    if _tensorflow(directory):
        return _tensorflow_error(str(directory))
    return UserError(
        "no weights here: expected model.safetensors or pytorch_model.bin",
        where=str(directory),
        hint="download them, or ask for random ones with scratch:DIR",
    )


def _check_kind(directory: Path, config: dict[str, Any]) -> None:
    """UserError for an architecture that is known to be loaded wrongly, or not at all."""
    kind = str(config["model_type"]).lower()
    refused = _sentence(kind, directory, config)
    if refused is not None:
        raise UserError(refused[0], where=str(directory), hint=refused[1])


def _sentence(kind: str, directory: Path, config: dict[str, Any]) -> tuple[str, str] | None:
    """(What is wrong, what to do), None where nothing is known to be."""
    architectures = " ".join(map(str, config.get("architectures") or ())).lower()
    if kind == "roformer_v2" or (kind == "roformer" and _is_roformer_v2(config)):
        return ROFORMER_V2
    if kind == "roformer" and _has_words(directory):
        return (
            "a word-level RoFormer: its tokenizer cuts words with rjieba, which a saved run cannot carry, and entities "
            "inside a word cannot be marked",
            f"use the character version, {CHARACTER_ROFORMER}",
        )
    if kind.replace("-", "_") in ("gau_alpha", "gau") or re.search(r"\bgau(?!ss)", architectures):
        return "GAU-alpha is an architecture that transformers does not have", f"not supported yet: use {BERT_LIKE}"
    if (
        kind == "nezha"
        or "nezha" in architectures
        or config.get("use_relative_position")
        or "max_relative_position" in config
    ):
        return (
            "a NEZHA (relative positions), which transformers no longer has; read as a BERT its positions would be "
            "random",
            f"not supported: use {BERT_LIKE}",
        )
    if kind == "roberta" and _is_bert_vocabulary(directory, config):
        return (
            "declared as roberta, but with BERT's vocabulary: a BERT by another name (RoBERTa-wwm-ext); read as "
            "RoBERTa its positions would be shifted by two",
            'set "model_type": "bert" in config.json',
        )
    if kind == "roc_bert":
        return (
            "RoCBERT wants the shape and the pronunciation of each character beside its number; clue gives the number "
            "alone, and it would answer otherwise than it was trained to",
            f"use {BERT_LIKE}",
        )
    if kind == "fnet":
        return "FNet mixes padding into the text, so its answers depend on what a batch holds", f"use {BERT_LIKE}"
    if kind == "xlnet":
        return "XLNet puts its summary token last and pads on the left, which clue does not follow", f"use {BERT_LIKE}"
    return None


def _is_roformer_v2(config: dict[str, Any]) -> bool:
    return config.get("norm_type", "layer_norm") != "layer_norm" or config.get("use_bias") is False


def _is_bert_vocabulary(directory: Path, config: dict[str, Any]) -> bool:
    others = ("vocab.json", "merges.txt", "sentencepiece.bpe.model", "tokenizer.json")
    only_bert = (directory / "vocab.txt").is_file() and not any((directory / name).is_file() for name in others)
    return only_bert or has_bert_tokenizer(directory) or config.get("vocab_size") == _BERT_VOCABULARY


def _has_words(directory: Path) -> bool:
    """Whether the vocabulary holds Chinese words (more than a twentieth of its entries)."""
    path = directory / "vocab.txt"
    if path.is_file():
        entries = path.read_text(encoding="utf-8", errors="replace").split("\n")
    else:
        entries = list(_word_pieces(directory))
    words = sum(1 for entry in entries if re.fullmatch("[\u4e00-\u9fff]{2,}", entry))
    return words * 20 > len(entries)
