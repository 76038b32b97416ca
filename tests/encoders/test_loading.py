"""Encoders loaded: every tensor accounted for, everything that would be read wrongly refused with a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from clue_cli.attention import use_bf16_attention
from clue_cli.contract import Limits
from clue_cli.encoders import Encoder, HFTextEncoder, load_encoder, pool, resolve
from clue_cli.encoders.configuration import set_dropouts
from clue_cli.encoders.loading import check_vocabulary
from clue_cli.errors import UserError
from clue_cli.precision import compute_in_bf16

TinyBert = Callable[..., Path]


def run(encoder: Encoder, *texts: str) -> torch.Tensor:
    """The last layer for some texts in one padded batch, gradients off."""
    windows = encoder.text_encoder.encode(
        [(text,) for text in texts], Limits(60), windows=False, offsets=False, segments="pair"
    )
    rows = [window[0].inputs["input_ids"] for window in windows]
    length = max(map(len, rows))
    ids = torch.tensor([row + [encoder.text_encoder.pad_id] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    with torch.no_grad():
        return encoder(ids, mask)


def same(first: Encoder, second: Encoder) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# The shipped encoder


def test_shipped_encoder_is_the_default_and_whole() -> None:
    encoder = load_encoder()
    assert encoder.name == encoder.slug == "mini-zh"
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert (encoder.hidden_size, encoder.size, encoder.default_pooling) == (256, "small", "mean")
    assert encoder.parameters_without_embeddings == sum(p.numel() for p in encoder.parameters()) - 7940 * 256
    assert not encoder.positions_are_fixed and not encoder.training and encoder.notes == []
    stored = load_file(resolve("mini-zh").fetch() / "model.safetensors")
    loaded = encoder.model.state_dict()
    assert {name for name in loaded if f"model.{name}" not in stored} == set()
    for name, tensor in loaded.items():
        assert torch.equal(tensor, stored[f"model.{name}"].float()), name


def test_padding_changes_nothing() -> None:
    encoder = load_encoder()
    texts = ["中国人民银行在北京", "房价"]
    together = run(encoder, *texts)
    for text, row in zip(texts, together, strict=True):
        alone = run(encoder, text)[0]
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=1e-4)


def test_environment_names_the_default(tiny_bert: TinyBert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUE_ENCODER", str(tiny_bert()))
    assert load_encoder().name == "tiny"
    assert load_encoder("mini-zh").name == "mini-zh"
    assert (resolve("scratch").name, resolve("scratch").directory) == ("scratch", resolve("mini-zh").directory)


def test_float16_and_bfloat16_files_are_trained_in_float32(tiny_bert: TinyBert) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        directory = tiny_bert(str(dtype), change=lambda t, d=dtype: t.update({k: v.to(d) for k, v in t.items()}))
        assert {p.dtype for p in load_encoder(str(directory)).parameters()} == {torch.float32}


# Saving


@pytest.mark.parametrize("name", ["mini-zh", "tiny"])
def test_saved_and_loaded_bit_for_bit(tiny_bert: TinyBert, tmp_path: Path, name: str) -> None:
    encoder = load_encoder(name if name == "mini-zh" else str(tiny_bert()))
    encoder.save(tmp_path / "kept")
    loaded = load_encoder(str(tmp_path / "kept"))
    assert same(encoder, loaded)
    assert loaded.text_encoder.fingerprint == encoder.text_encoder.fingerprint
    assert HFTextEncoder.load(tmp_path / "kept").fingerprint == encoder.text_encoder.fingerprint
    assert torch.equal(run(encoder, "中国人民"), run(loaded, "中国人民"))
    plain = transformers.AutoModel.from_pretrained(str(tmp_path / "kept"))
    assert torch.equal(plain.get_input_embeddings().weight, encoder.model.get_input_embeddings().weight)
    for path in (tmp_path / "kept").glob("*.json"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


def test_pickled_weights_load_too_and_other_pickles_do_not(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    expected = load_encoder(str(directory))
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    loaded = load_encoder(str(directory))
    assert same(loaded, expected)
    assert loaded.sha256 != expected.sha256
    torch.save({"weight": Path("x")}, directory / "pytorch_model.bin")  # a pickle that would run code of its own
    with pytest.raises(UserError, match=r"tiny/pytorch_model.bin: not readable as PyTorch weights"):
        load_encoder(str(directory))


# Every tensor accounted for

MISSING = "bert.encoder.layer.1.attention.self.query.weight"


def test_harmless_differences_pass(tiny_bert: TinyBert) -> None:
    def without_head(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("cls.")]:
            del tensors[name]

    def with_more(tensors: dict[str, torch.Tensor]) -> None:
        tensors["cls.seq_relationship.weight"] = torch.zeros(2, 16)
        tensors["bert.pooler.dense.weight"] = torch.zeros(16, 16)
        tensors["bert.embeddings.position_ids"] = torch.arange(64)[None]
        tensors["classifier.weight"] = torch.zeros(15, 16)
        tensors["bert.embeddings.word_embeddings.adam_m"] = torch.zeros(4, 16)
        tensors["global_step"] = torch.zeros(1)

    def bare(tensors: dict[str, torch.Tensor]) -> None:
        without_head(tensors)
        for name in list(tensors):
            tensors[name.removeprefix("bert.")] = tensors.pop(name)

    def old_names(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if "LayerNorm" in name]:
            tensors[name.replace(".weight", ".gamma").replace(".bias", ".beta")] = tensors.pop(name) + 0.5

    expected = load_encoder(str(tiny_bert()))
    for change in (without_head, with_more, bare):
        assert same(load_encoder(str(tiny_bert(change.__name__, change=change))), expected)
    renamed = load_encoder(str(tiny_bert("old_names", change=old_names)))
    assert torch.equal(renamed.model.embeddings.LayerNorm.weight, expected.model.embeddings.LayerNorm.weight + 0.5)


def test_missing_tensor_is_named_and_random_only_if_asked(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(change=lambda tensors: tensors.pop(MISSING))
    with pytest.raises(
        UserError, match=r"tiny: 1 tensors are missing .*layer\.1\.attention\.self\.query\.weight.*allow"
    ):
        load_encoder(str(directory))
    encoder = load_encoder(str(directory), allow_random=True)
    assert "1 tensors were not in the checkpoint" in encoder.notes[0]


def test_renamed_tensor_is_missing_and_unexpected(tiny_bert: TinyBert) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.encoder.layer.1.attention.self.frage.weight"] = tensors.pop(MISSING)

    directory = tiny_bert(change=change)
    with pytest.raises(UserError, match=r"query\.weight"):
        load_encoder(str(directory))
    with pytest.raises(UserError, match=r"1 tensors have no place .*frage\.weight"):
        load_encoder(str(directory), allow_random=True)


def test_misshapen_tensor_is_named_with_both_shapes(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(change=lambda tensors: tensors.update({MISSING: torch.zeros(16, 8)}))
    for allowed in (False, True):
        with pytest.raises(UserError, match=r"query\.weight 16x8 instead of 16x16"):
            load_encoder(str(directory), allow_random=allowed)


def test_extra_layer_is_refused(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(num_hidden_layers=1)
    with pytest.raises(UserError, match=r"16 tensors have no place .*layer\.1\..* and 11 more"):
        load_encoder(str(directory))


def test_report_of_transformers_is_not_trusted_alone(tiny_bert: TinyBert, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = transformers.AutoModel.from_pretrained

    def silent(*arguments: Any, **options: Any) -> Any:
        model, _ = honest(*arguments, **options)
        return model, {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": []}

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", silent)
    with pytest.raises(UserError, match=r"1 tensors are missing .*query"):
        load_encoder(str(tiny_bert(change=lambda tensors: tensors.pop(MISSING))))
    with pytest.raises(UserError, match=r"16x8 instead of 16x16"):
        load_encoder(str(tiny_bert("b", change=lambda tensors: tensors.update({MISSING: torch.zeros(16, 8)}))))


def test_broken_and_empty_files(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    whole = (directory / "model.safetensors").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no tensors at all"):
        (directory / "model.safetensors").write_bytes(content)
        with pytest.raises(UserError, match=r"tiny/model.safetensors: broken or cut off"):
            load_encoder(str(directory))


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


def test_relative_positions_declared_as_bert(tiny_bert: TinyBert) -> None:
    directory = tiny_bert(change=lambda tensors: tensors.pop("bert.embeddings.position_embeddings.weight"))
    with pytest.raises(UserError, match=r"position_embeddings\.weight is missing.*NEZHA"):
        load_encoder(str(directory))


def test_names_of_another_program_are_shown(tiny_bert: TinyBert) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[f"module.{name}"] = tensors.pop(name)

    for allowed in (False, True):
        with pytest.raises(UserError, match=r"no tensor has a name .*: module\.bert\.\S+, .*save_pretrained") as caught:
            load_encoder(str(tiny_bert(f"allowed{allowed}", change=change)), allow_random=allowed)
        assert "random" not in str(caught.value)


def test_missing_tensors_that_mean_something_together(tmp_path: Path, make_text_encoder: Callable[..., Any]) -> None:
    tokenizer = make_text_encoder("bert").tokenizer
    config = transformers.RoFormerConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    model = transformers.RoFormerForMaskedLM(config)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    whole = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    table = "roformer.embeddings.word_embeddings.weight"
    for leave_out, message in (
        (r"LayerNorm\.weight$|bias$", "these are RoFormerV2's files"),
        (table, r"embeddings\.word_embeddings\.weight is missing.*same as cls\.predictions\.decoder\.weight.*AutoMod"),
    ):
        kept = {name: tensor for name, tensor in whole.items() if not re.search(leave_out, name)}
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(UserError, match=message):
            load_encoder(str(tmp_path))
    transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).save_pretrained(tmp_path)  # as the message says
    assert torch.equal(load_encoder(str(tmp_path)).model.get_input_embeddings().weight, whole[table])


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
    assert torch.equal(run(loaded, "中国ab的[MASK]"), run(expected, "中国ab的[MASK]"))


@pytest.mark.parametrize("stated", [None, {"do_lower_case": True}, {"tokenizer_class": "RoFormerTokenizer"}])
@pytest.mark.parametrize("kind", ["albert", "deberta-v2", "roformer"])
def test_berts_tokenizer_under_other_architectures(tiny_bert: TinyBert, kind: str, stated: dict[str, Any]) -> None:
    directory = tiny_bert(model_type=kind)
    expected = HFTextEncoder.load(directory)
    (directory / "tokenizer_config.json").unlink()
    if stated is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps(stated), encoding="utf-8")
    assert HFTextEncoder.load(directory).fingerprint == expected.fingerprint


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


# Directories


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
    refused("its encoder is run/model/encoder", "run")
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
    with pytest.raises(RunError, match=r"could not fetch 'some/model'.*name not resolved \(check the network"):
        load_encoder("some/model")


# Options


def test_scratch_has_the_shape_and_the_callers_seed(tiny_bert: TinyBert) -> None:
    directory = tiny_bert()
    (directory / "model.safetensors").unlink()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(load_encoder(f"scratch:{directory}"))
    assert same(drawn[0], drawn[1]) and not same(drawn[0], drawn[2])
    assert drawn[0].sha256 == drawn[1].sha256 != drawn[2].sha256
    assert drawn[0].name == "scratch:tiny" and drawn[0].text_encoder.takes_segments
    whole = str(tiny_bert("whole"))
    trained, random = load_encoder(whole), load_encoder(whole, scratch=True)
    assert random.name == "scratch:whole" and not same(random, trained)
    assert {n: p.shape for n, p in random.named_parameters()} == {n: p.shape for n, p in trained.named_parameters()}
    assert random.text_encoder.fingerprint == trained.text_encoder.fingerprint


def test_hash_is_the_files_own(tiny_bert: TinyBert) -> None:
    import hashlib

    directory = tiny_bert()
    expected = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    assert load_encoder(str(directory)).sha256 == expected


def test_dropouts_reach_the_modules_and_are_named(tiny_bert: TinyBert) -> None:
    shipped = load_encoder(dropout=0.125, attention_dropout=0.25)
    assert shipped.dropouts == {"embedding_dropout": 0.125, "mlp_dropout": 0.125, "attention_dropout": 0.25}
    assert {m.p for m in shipped.modules() if isinstance(m, torch.nn.Dropout)} >= {0.125}
    assert torch.equal(run(shipped, "中国"), run(load_encoder(), "中国"))  # evaluation mode
    shipped.train()
    assert not torch.equal(run(shipped, "中国"), run(shipped, "中国"))
    bert = load_encoder(str(tiny_bert()), dropout=0.0)
    assert bert.dropouts == {"hidden_dropout_prob": 0.0}
    bert.train()
    assert not torch.equal(run(bert, "中国人民" * 5), run(bert, "中国人民" * 5))  # attention kept its own 0.1
    config = transformers.DistilBertConfig()
    assert set(set_dropouts(config, 0.3, 0.2)[0]) == {"dropout", "attention_dropout"}
    config = transformers.PretrainedConfig()
    assert set_dropouts(config, 0.1, 0.0) == (
        {}, ["this encoder's configuration has no dropout: 0.1 has no effect inside it"]
    )  # fmt: skip


def test_gradients_are_the_same_with_recomputed_activations(tiny_bert: TinyBert) -> None:
    directory = str(tiny_bert())
    gradients = []
    for recompute in (False, True):
        encoder = load_encoder(directory, gradient_checkpointing=recompute, dropout=0.0, attention_dropout=0.0).train()
        encoder(torch.tensor([[2, 5, 6, 3]]), torch.ones(1, 4)).square().sum().backward()
        assert all(p.grad is not None for p in encoder.parameters())  # no pooler left without gradients
        gradients.append([p.grad for p in encoder.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_bert_takes_segments_positions_and_the_first_token(tiny_bert: TinyBert) -> None:
    encoder = load_encoder(str(tiny_bert()))
    assert encoder.default_pooling == "first" and encoder.text_encoder.takes_segments
    assert encoder.max_positions == 64 and encoder.positions_are_fixed
    ids, mask = torch.full((1, 8), 5), torch.ones(1, 8)
    with torch.no_grad():
        zero = encoder(ids, mask, torch.zeros_like(ids))
        assert torch.equal(zero, encoder(ids, mask))
        assert not torch.equal(zero, encoder(ids, mask, torch.ones_like(ids)))
    assert pool(zero, mask, "first").shape == (1, 16)
    with pytest.raises(UserError, match="tiny has 64 positions, the input 65 tokens"):
        encoder(torch.full((1, 65), 5), torch.ones(1, 65))


KINDS = ("roberta", "electra", "ernie", "albert", "distilbert", "roformer", "mpnet", "deberta", "deberta-v2")


@pytest.mark.parametrize("kind", KINDS)
def test_architectures_beyond_bert_go_round(kind: str, tmp_path: Path, make_text_encoder: Callable[..., Any]) -> None:
    tokenizer = make_text_encoder("unigram" if kind == "roberta" else "bert").tokenizer
    shape = {"hidden_size": 16, "embedding_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    shape |= (
        {"dim": 16, "n_heads": 2, "n_layers": 2, "hidden_dim": 32} if kind == "distilbert" else {"num_hidden_layers": 2}
    )
    if "deberta" in kind:
        shape |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    if kind == "deberta-v2":
        shape |= {"norm_rel_ebd": "layer_norm"}
    try:
        config = transformers.AutoConfig.for_model(
            kind, vocab_size=len(tokenizer), max_position_embeddings=40, pad_token_id=1, type_vocab_size=2, **shape
        )
    except (KeyError, ValueError):
        pytest.skip(f"this version of transformers has no {kind}")
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), dropout=0.1, attention_dropout=0.1)
    assert len(encoder.dropouts) >= 2 and encoder.hidden_size == 16
    encoder.save(tmp_path / "kept")
    again = load_encoder(str(tmp_path / "kept"))
    assert same(encoder, again)
    assert torch.equal(run(encoder, "中国"), run(again, "中国"))
    if kind == "roberta":
        assert encoder.max_positions == 38
    computes_in_bf16(again)


def computes_in_bf16(encoder: Encoder) -> None:
    """Forward and backward in bf16 beside float32, and what is saved of it."""
    ids, mask = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 10, 3, 1, 1]]), torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    with torch.no_grad():
        exact = encoder(ids, mask)
    before = {name: parameter.detach().clone() for name, parameter in encoder.named_parameters()}
    masters: dict[torch.nn.Parameter, torch.Tensor] = {}
    compute_in_bf16(encoder, masters)
    use_bf16_attention(encoder.model)
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad or parameter.dtype == torch.float32, name  # saved as it is: no master
        assert torch.equal(masters.get(parameter, parameter), before[name])
    last = encoder(ids, mask)
    assert last.dtype == torch.bfloat16
    assert float((last.detach().float() - exact)[mask.bool()].square().mean().sqrt()) < 0.02
    last.float().square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())


def test_every_message_is_one_line_without_paths(tiny_bert: TinyBert, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_encoder(str(tiny_bert(change=lambda tensors: tensors.pop(MISSING))))
    assert not re.search(r"\n|" + re.escape(str(tmp_path)), str(caught.value))


def test_package_imports_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, clue_cli.encoders as e; e.resolve(); sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
