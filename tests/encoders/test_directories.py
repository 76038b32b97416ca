"""What names no encoder, or one that would be read wrongly, is refused with a sentence; tokenizers of all releases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from clue_cli.encoders import HFTextEncoder, load_encoder
from clue_cli.encoders.loading import check_vocabulary
from clue_cli.encoders.tokenizer import load_tokenizer
from clue_cli.environment import without_paths
from clue_cli.errors import UserError

TinyBert = Callable[..., Path]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 4\n"


def refused(directory: Path, message: str) -> None:
    """One printable line that names the directory as it was given; a record has it without a path of this machine."""
    with pytest.raises(UserError, match=message) as caught:
        load_encoder(str(directory))
    said = str(caught.value)
    assert said.isprintable() and said.startswith(str(directory)) and "weights_only" not in said
    assert str(directory.parent) not in without_paths(said)


# Checkpoints that transformers misreads


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"model_type": "roformer", "norm_type": "rms_norm", "use_bias": False},
            "RoFormerV2.*roformer_chinese_char_base",
        ),
        ({"model_type": "roformer", "use_bias": False}, "RoFormerV2"),
        ({"model_type": "gau_alpha"}, "GAU-alpha.*not supported yet"),
        ({"model_type": "nezha"}, "NEZHA"),
        ({"model_type": "bert", "max_relative_position": 64}, "NEZHA.*random"),
        ({"model_type": "bert", "architectures": ["NeZhaForMaskedLM"]}, "NEZHA"),
        ({"model_type": "roberta", "vocab_size": 21128}, 'set "model_type": "bert"'),
        ({"model_type": "roc_bert"}, "shape and the pronunciation"),
        ({"model_type": "fnet"}, "mixes padding"),
        ({"model_type": "xlnet"}, "summary token last"),
        ({"model_type": "bart", "is_encoder_decoder": True}, "encoder with a decoder"),
        ({"model_type": "bart"}, "encoder with a decoder"),  # what its configuration says unless told otherwise
        ({"model_type": "t5", "is_encoder_decoder": False, "classifier_dropout": 0.0}, "encoder with a decoder"),
        ({"model_type": "gpt2"}, "left to right"),
        ({"model_type": "bert", "is_decoder": True}, '"is_decoder": true.*left to right.*set is_decoder to false'),
        ({"model_type": "xlm", "causal": True}, '"causal": true.*left to right'),
        ({"model_type": "no_such_thing"}, "does not understand config.json.*no_such_thing"),
        ({"model_type": "bert", "hidden_size": "wide"}, "tiny"),
    ],
)
def test_misread_architectures_get_a_sentence(tiny_bert: TinyBert, config: dict[str, Any], message: str) -> None:
    directory = tiny_bert(**config)
    with pytest.raises(UserError, match=message) as caught:
        load_encoder(str(directory))
    assert "\n" not in str(caught.value)


def test_roberta_by_name_with_nothing_but_a_bert_vocabulary(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(model_type="roberta")
    only_vocabulary(directory)
    with pytest.raises(UserError, match="a BERT by another name"):
        load_encoder(str(directory))
    directory = tiny_bert("fast", model_type="roberta")
    (directory / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match="a BERT by another name"):
        load_encoder(str(directory))


def only_vocabulary(directory: Path, more: tuple[str, ...] = ()) -> None:
    """Leave of the tokenizer nothing but a vocabulary file."""
    known = transformers.AutoTokenizer.from_pretrained(str(directory)).get_vocab()
    entries = [*sorted(known, key=known.__getitem__), *more]
    for path in directory.glob("*token*"):
        path.unlink()
    (directory / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")


def test_bare_vocabulary_file_is_read_as_bert_does(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    expected = load_encoder(str(directory))
    only_vocabulary(directory)
    loaded = load_encoder(str(directory))
    assert loaded.text_encoder.vocab_size == expected.text_encoder.vocab_size
    assert loaded.text_encoder.fingerprint == expected.text_encoder.fingerprint


@pytest.mark.parametrize("stated", [None, {"do_lower_case": True}, {"tokenizer_class": "RoFormerTokenizer"}])
@pytest.mark.parametrize("kind", ["albert", "deberta-v2", "roformer"])
def test_berts_tokenizer_under_other_architectures(tiny_bert: TinyBert, kind: str, stated: dict[str, Any]) -> None:
    directory = tiny_bert(model_type=kind)
    expected = HFTextEncoder.load(directory)
    (directory / "tokenizer_config.json").unlink()
    if stated is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps(stated), encoding="utf-8")
    assert HFTextEncoder.load(directory).fingerprint == expected.fingerprint


def test_berts_tokenizer_keeps_what_its_file_says(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(model_type="albert")
    (directory / "tokenizer_config.json").unlink()
    path = directory / "tokenizer.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["normalizer"] |= {"lowercase": False, "strip_accents": False}
    path.write_text(json.dumps(described), encoding="utf-8")
    loaded = json.loads(load_tokenizer(directory).backend_tokenizer.to_str())
    assert loaded["normalizer"] == described["normalizer"]


def test_vocabulary_without_line_for_unknown(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    only_vocabulary(directory)
    text = (directory / "vocab.txt").read_text(encoding="utf-8")
    (directory / "vocab.txt").write_text(text.replace("[UNK]", "[WEISS NICHT]"), encoding="utf-8")
    with pytest.raises(UserError, match=r"tiny/vocab.txt: .*was not read as BERT's"):
        load_encoder(str(directory))


def test_word_level_roformer(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(model_type="roformer")
    only_vocabulary(directory, more=tuple(a + b for a in "中国人民" for b in "北京大学"))
    with pytest.raises(UserError, match=r"rjieba.*character version"):
        load_encoder(str(directory))
    words = {entry: number for number, entry in enumerate((directory / "vocab.txt").read_text("utf-8").split())}
    (directory / "vocab.txt").unlink()
    described = {"model": {"type": "WordPiece", "vocab": words}}
    (directory / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(UserError, match=r"rjieba.*character version"):
        load_encoder(str(directory))


def test_tokenizer_that_lost_its_vocabulary(tiny_bert: TinyBert, tmp_path: Path) -> None:
    from transformers import BertTokenizerFast

    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"中国"]), encoding="utf-8"
    )
    silent = BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt"))  # transformers 5 ignores the argument
    if len(silent) == 7:
        pytest.skip("this version of transformers reads vocab_file")
    with pytest.raises(UserError, match=r"the tokenizer has 5 entries, the embedding \d+"):
        load_encoder(str(tiny_bert(tokenizer=silent)))


def test_vocabulary_and_embedding_must_agree() -> None:
    for tokens, rows in ((21128, 21128), (7940, 8000), (128_000, 128_100), (50_280, 50_368), (70, 71)):
        check_vocabulary(tokens, rows, "x")
    for tokens, rows in ((5, 21128), (21129, 21128), (5, 70), (12_000, 21_128)):
        with pytest.raises(UserError, match=f"x: the tokenizer has {tokens} entries, the embedding {rows}"):
            check_vocabulary(tokens, rows, "x")


def test_tokenizer_that_reads_chinese_as_words(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    path = directory / "tokenizer.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["normalizer"]["handle_chinese_chars"] = False
    path.write_text(json.dumps(described), encoding="utf-8")
    for settings in directory.glob("tokenizer_config.json"):
        stated = json.loads(settings.read_text(encoding="utf-8")) | {"tokenize_chinese_chars": False}
        settings.write_text(json.dumps(stated), encoding="utf-8")
    with pytest.raises(UserError, match=r"tiny: the tokenizer reads Chinese text as words.*tokenize_chinese_chars"):
        load_encoder(str(directory))


def test_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(UserError, match="Slow has no fast form"):
        HFTextEncoder(Slow(), takes_segments=False)


# What is no directory of an encoder


def test_directories_that_are_none(tiny_bert: TinyBert, tmp_path: Path) -> None:
    def refused(message: str, name: str = "tiny") -> None:
        with pytest.raises(UserError, match=message):
            load_encoder(str(tmp_path / name))

    directory = tiny_bert()
    config = directory / "config.json"
    described = config.read_text(encoding="utf-8")
    config.write_text("{broken", encoding="utf-8")
    refused("tiny/config.json: not readable as JSON")
    config.write_text("[]", encoding="utf-8")
    refused("expected a JSON object")
    config.write_text(
        json.dumps({k: v for k, v in json.loads(described).items() if k != "model_type"}), encoding="utf-8"
    )
    refused("config.json has no model_type")
    config.rename(directory / "bert_config.json")
    refused("rename bert_config.json to config.json")
    (directory / "model.safetensors").unlink()
    (directory / "bert_model.ckpt.index").touch()
    refused("only TensorFlow")
    config.write_text(described, encoding="utf-8")
    refused("only TensorFlow")
    (directory / "bert_model.ckpt.index").unlink()
    refused("no weights here.*scratch:DIR")
    (tmp_path / "file.zip").touch()
    refused("this is a file", "file.zip")
    (tmp_path / "empty").mkdir()
    refused("no config.json", "empty")
    (tmp_path / "run" / "model").mkdir(parents=True)
    directory.rename(tmp_path / "run" / "model" / "encoder")
    refused(f"its encoder is {tmp_path}/run/model/encoder", "run")
    refused("there is no directory", "gone/further/down")


def test_no_tokenizer(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    for name in ("tokenizer.json", "vocab.txt"):
        (directory / name).unlink(missing_ok=True)
    with pytest.raises(UserError, match="tiny: no tokenizer here"):
        load_encoder(str(directory))


def test_names_of_the_hub_without_a_network(monkeypatch: pytest.MonkeyPatch, tiny_bert: TinyBert) -> None:
    import huggingface_hub

    with pytest.raises(UserError, match=r"did you mean mini-zh\?.*not in the local cache"):
        load_encoder("mini-hz")
    with pytest.raises(UserError, match="--encoder: 'some/model'"):
        load_encoder("some/model")
    directory = tiny_bert()
    asked: list[Any] = []

    def snapshot(name: str, **options: Any) -> str:
        asked.append((name, options["allow_patterns"]))
        return str(directory)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    encoder = load_encoder("some/model")
    assert (encoder.name, encoder.slug) == ("some/model", "model")
    assert load_encoder("scratch:some/model").slug == "scratch-model"
    assert {name for name, _ in asked} == {"some/model"}
    assert not any(".bin" in pattern for _, patterns in asked for pattern in patterns)


def test_network_that_fails_is_no_fault_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    from clue_cli.errors import RunError

    def broken(name: str, **options: Any) -> str:
        raise ConnectionError("name not resolved\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", broken)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(
        RunError, match=r"could not fetch 'some/model'.*no such directory.*name not resolved \(check the network"
    ):
        load_encoder("some/model")


# Files that are not what they are called


def test_broken_and_empty_files(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    whole = (directory / "model.safetensors").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no tensors at all"):
        (directory / "model.safetensors").write_bytes(content)
        with pytest.raises(UserError, match=r"tiny/model.safetensors: broken or cut off"):
            load_encoder(str(directory))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "tokenizer.json", "config.json"])
def test_pointers_of_git_lfs(tiny_bert: TinyBert, name: str) -> None:
    directory = tiny_bert()
    if name.endswith(".bin"):
        (directory / "model.safetensors").unlink()
    (directory / name).write_text(POINTER, encoding="utf-8")
    refused(directory, f"tiny: {name} is a Git LFS pointer.*git lfs pull")


def test_pickles_of_more_than_tensors(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    (directory / "model.safetensors").unlink()
    for content in (torch.nn.Linear(2, 2), {"weight": Path("x")}):  # a whole model, code that reading would run
        torch.save(content, directory / "pytorch_model.bin")
        refused(directory, r"tiny/pytorch_model.bin: not readable as PyTorch weights: .*more than tensors.*state_dict")
    (directory / "pytorch_model.bin").write_text("<html>not found</html>", encoding="utf-8")
    refused(directory, r"tiny/pytorch_model.bin: not readable as PyTorch weights")


def test_weights_in_parts_need_all_of_them_and_their_index(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    whole = load_encoder(str(directory)).state_dict()
    tensors = load_file(directory / "model.safetensors")
    names = sorted(tensors)
    places = {name: f"model-0000{1 + (name > names[20])}-of-00002.safetensors" for name in names}
    (directory / "model.safetensors").unlink()
    for part in sorted(set(places.values())):
        chosen = {name: tensors[name] for name in names if places[name] == part}
        refused(directory, "no weights here" if part.startswith("model-00001") else "in 2 parts.*00002-of-00002")
        save_file(chosen, directory / part, metadata={"format": "pt"})
    refused(directory, "tiny: the weights come in 2 parts and an index, and model.safetensors.index.json is not there")
    index = {"metadata": {}, "weight_map": places}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    loaded = load_encoder(str(directory)).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in whole.items())


def test_quantised_weights(tiny_bert: TinyBert) -> None:
    name = "bert.encoder.layer.0.output.dense.weight"
    directory = tiny_bert(change=lambda tensors: tensors.update({name: torch.ones(16, 32, dtype=torch.int8)}))
    refused(directory, rf"tiny/model.safetensors: {name} holds I8 numbers")
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    refused(directory, rf"tiny/pytorch_model.bin: {name} holds int8 numbers")


def test_byte_order_mark(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    path = directory / "config.json"
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    refused(directory, r"tiny/config.json: begins with a byte order mark.*save it without")
