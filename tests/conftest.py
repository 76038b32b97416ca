"""Fixtures that several rooms use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is: a loaded one would fail hypothesis' own deadlines.
settings.register_profile("clue", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clue")

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: workers that each take all cores wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see neither the user's data, encoder nor caches."""
    for name in ("CLUE_DATA", "CLUE_ENCODER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLUE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real data beside the checkout; tests on it say that they were skipped where it is not at hand."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real data (../shared) is not at hand")
    return SHARED


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers of width 32 with the characters of the shipped samples and random weights."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    directory = tmp_path_factory.mktemp("encoders") / "tiny"
    directory.mkdir()
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tasks" / "samples").glob("*/*.json"))]
    characters = sorted({c for text in texts for c in text.lower() if not c.isspace()})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters if c.isascii())]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    BertTokenizerFast.from_pretrained(str(directory), model_max_length=128).save_pretrained(str(directory))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        model = BertModel(
            BertConfig(vocab_size=len(words), max_position_embeddings=128, **shape), add_pooling_layer=False
        )
        model.save_pretrained(str(directory))
    return directory


MODEL_SHAPE = {
    "vocab_size": 30, "hidden_size": 16, "embedding_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 1, "type_vocab_size": 2,
}  # fmt: skip


@pytest.fixture
def make_model() -> Callable[[str], Any]:
    """A tiny model of `transformers` by its model type, random weights; skips where the release has none."""
    return _tiny_model


def _tiny_model(kind: str) -> Any:
    import torch
    import transformers

    shape: dict[str, Any] = dict(MODEL_SHAPE)
    if kind == "distilbert":
        shape |= {"dim": 16, "n_heads": 2, "n_layers": 2, "hidden_dim": 32}
    if kind == "modernbert":
        shape |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    try:
        config = transformers.AutoConfig.for_model(kind, **shape)
    except (KeyError, ValueError):
        pytest.skip(f"this version of transformers has no {kind}")
    torch.manual_seed(0)
    return transformers.AutoModel.from_config(config)
