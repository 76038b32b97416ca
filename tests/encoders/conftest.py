"""Tiny encoders and tokenizers of every kind, made here: no network, no real weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from clue_cli.encoders import HFTextEncoder

SENTENCES = [
    "中国人民银行在北京发布公告，浙商银行企业信贷部叶老桂博士对五道门槛进行了解读。",
    "北京大学和清华大学的学生在北京参加比赛，《魔兽世界》和《英雄联盟》很受欢迎。",
    "中国人民银行的公告：2020年北京的房价没有上涨。",
    "他说：《中国新闻》报道了北京大学的研究，iPhone 12 和 Windows 7 的价格下降了3.15%。",
    "“北京”是中国的首都；上海（shanghai）、广州和深圳是大城市！",
    "the quick brown fox in beijing and shanghai, 12345 67890.",
] * 3
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_VOCABULARY = [
    *["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    *"中国人民华共和银行北京大学年月日的是在有abcdefgxyz0123456789，。《》[]",
    *(f"##{c}" for c in "abcdefgxyz0123456789国人"),
    *("ab", "mask", "sep", "cls", "##sk"),
]


def _fast(tokenizer: Tokenizer, **names: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _angled(tokenizer: Tokenizer) -> Any:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return _fast(
        tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )  # fmt: skip


def make_unigram(sentences: list[str] = SENTENCES, size: int = 300) -> Any:
    """NFKC, lower case, leading-space pieces; joins Chinese characters."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    return _angled(tokenizer)


def make_bytes() -> Any:
    """Byte-level pairs, as RoBERTa has them: one character may be several tokens, one token several characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return _angled(tokenizer)


def make_bert() -> Any:
    """Word pieces over a handful of characters, with [UNK] for most others."""
    import tempfile

    from transformers import BertTokenizerFast

    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "vocab.txt").write_text("\n".join(dict.fromkeys(BERT_VOCABULARY)) + "\n", encoding="utf-8")
        return BertTokenizerFast.from_pretrained(directory)


MAKERS: dict[str, Callable[[], Any]] = {"unigram": make_unigram, "bytes": make_bytes, "bert": make_bert}


@cache
def made(kind: str) -> Any:
    return MAKERS[kind]()  # once: training a Unigram model twice gives two different ones


@cache
def text_encoder(kind: str, split_cjk: Any = "auto") -> HFTextEncoder:
    if kind == "mini-zh":
        from clue_cli.encoders import resolve

        return HFTextEncoder.load(resolve("mini-zh").fetch(), split_cjk=split_cjk)
    return HFTextEncoder(made(kind), takes_segments=kind == "bert", split_cjk=split_cjk)


@pytest.fixture(params=["mini-zh", "bert", "unigram", "bytes"])
def any_text_encoder(request: pytest.FixtureRequest) -> HFTextEncoder:
    return text_encoder(request.param)


@pytest.fixture(scope="session")
def make_text_encoder() -> Callable[..., HFTextEncoder]:
    return text_encoder


@pytest.fixture(scope="session")
def unigram_maker() -> Callable[..., Any]:
    return make_unigram


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Callable[..., Path]:
    """Writes a two-layer BERT with its masked-language head; `change` edits tensors, keywords the configuration."""

    def write(
        name: str = "tiny",
        *,
        change: Callable[[dict[str, torch.Tensor]], Any] | None = None,
        tokenizer: Any = None,
        **config: Any,
    ) -> Path:
        from transformers import BertConfig, BertForMaskedLM

        directory = tmp_path / name
        directory.mkdir()
        (tokenizer or make_bert()).save_pretrained(str(directory))
        vocabulary = len(dict.fromkeys(BERT_VOCABULARY))
        shape = {
            "vocab_size": vocabulary, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 32, "max_position_embeddings": 64,
        }  # fmt: skip
        torch.manual_seed(1)
        model = BertForMaskedLM(BertConfig(**shape))
        described = model.config.to_dict() | {"model_type": "bert", "architectures": ["BertForMaskedLM"]} | config
        (directory / "config.json").write_text(json.dumps(described, default=str), encoding="utf-8")
        tensors = {key: value.detach().clone().contiguous() for key, value in model.state_dict().items()}
        if change is not None:
            change(tensors)
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        return directory

    return write
