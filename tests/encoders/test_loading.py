"""Encoders loaded: every tensor accounted for, everything that would be read wrongly refused with a sentence."""

from __future__ import annotations

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


KINDS = (
    "roberta",
    "electra",
    "ernie",
    "albert",
    "distilbert",
    "roformer",
    "mpnet",
    "deberta",
    "deberta-v2",
    "squeezebert",
    "nystromformer",
)


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
    if kind in ("roberta", "nystromformer"):
        assert encoder.max_positions == (38 if kind == "roberta" else 40)
        encoder(torch.full((1, encoder.max_positions), 5), torch.ones(1, encoder.max_positions))
    computes_in_bf16(again)


def test_input_table_of_another_kind(tmp_path: Path, make_text_encoder: Callable[..., Any]) -> None:
    tokenizer = make_text_encoder("bert").tokenizer
    config = transformers.IBertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    transformers.IBertForMaskedLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="its tokens go into a QuantEmbedding"):
        load_encoder(str(tmp_path))


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


def test_every_message_is_one_line_that_names_the_directory(tiny_bert: TinyBert, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_encoder(str(tiny_bert(change=lambda tensors: tensors.pop(MISSING))))
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/tiny: ") and "\n" not in said


def test_package_imports_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, clue_cli.encoders as e; e.resolve(); sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
