"""The layer before the final norm: the right one in every architecture, in every thread, with its gradients."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from clue_cli.encoders import Encoder, load_encoder
from clue_cli.encoders.pre_norm import find_final_norm, keeping
from clue_cli.errors import UserError
from clue_cli.model import Model, ModelSettings
from clue_cli.precision import compute_in_bf16
from heads.casrel import CasRel

TinyBert = Callable[..., Path]
MakeModel = Callable[[str], Any]
IDS, MASK = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]]), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def ready(encoder: Encoder) -> Encoder:
    encoder.prepare_pre_norm()
    return encoder


def test_bert_is_read_before_the_norm_of_its_last_layer(tiny_bert: TinyBert) -> None:
    """Two layers computed by hand from the parts of the model."""
    encoder = ready(load_encoder(str(tiny_bert())))
    bert = encoder.model
    with torch.no_grad():
        last, before = encoder.with_pre_norm(IDS[:1], MASK[:1])
        states = bert.embeddings(IDS[:1])
        for layer in bert.encoder.layer:
            attended = layer.attention(states)[0]
            plain = layer.output.dense(layer.intermediate(attended)) + attended
            states = layer.output.LayerNorm(plain)
        torch.testing.assert_close(before, plain)
        torch.testing.assert_close(last, states)
        assert torch.equal(last, encoder(IDS[:1], MASK[:1]))


def test_modernbert_is_read_before_its_final_norm() -> None:
    encoder = ready(load_encoder())
    with torch.no_grad():
        last, before = encoder.with_pre_norm(IDS, MASK)
        assert before.shape == last.shape
        assert torch.equal(encoder.model.final_norm(before), last)
        assert not torch.allclose(before, last, atol=0.1)


LAST_NORMS = {
    "bert": "encoder.layer.1.output.LayerNorm",
    "roberta": "encoder.layer.1.output.LayerNorm",
    "electra": "encoder.layer.1.output.LayerNorm",
    "ernie": "encoder.layer.1.output.LayerNorm",
    "roformer": "encoder.layer.1.output.LayerNorm",
    "deberta-v2": "encoder.layer.1.output.LayerNorm",
    "albert": "encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm",  # the same for every layer
    "distilbert": "transformer.layer.1.output_layer_norm",
    "modernbert": "final_norm",
}


@pytest.mark.parametrize("kind", LAST_NORMS)
def test_the_final_norm_is_found(make_model: MakeModel, kind: str) -> None:
    model = make_model(kind).train()
    norm = find_final_norm(model, kind)
    assert dict(model.named_modules())[LAST_NORMS[kind]] is norm
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_of_shared_layers_the_last_call_counts(
    tmp_path: Path, make_model: MakeModel, make_text_encoder: Callable[..., Any]
) -> None:
    make_model("albert").save_pretrained(tmp_path)
    encoder = Encoder(transformers.AutoModel.from_pretrained(tmp_path), make_text_encoder("bert"), "albert").eval()
    ready(encoder)
    with torch.no_grad():
        last, before = encoder.with_pre_norm(IDS, MASK)
        assert torch.equal(find_final_norm(encoder.model, "albert")(before), last)


class Normless(torch.nn.Module):
    """An encoder that ends in something else than a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.config = transformers.BertConfig(model_type="normless")
        self.embedding, self.norm = torch.nn.Embedding(9, 4), torch.nn.LayerNorm(4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        states = self.norm(self.embedding(input_ids)) * 2
        return transformers.modeling_outputs.BaseModelOutput(last_hidden_state=states)


def test_an_encoder_without_a_final_norm_is_refused() -> None:
    with pytest.raises(UserError, match=r"^strange: normless does not end in a norm"):
        find_final_norm(Normless(), "strange")


def gradients(encoder: Encoder) -> list[Tensor]:
    encoder.zero_grad()
    _, before = encoder.with_pre_norm(IDS, MASK)
    (before * torch.arange(before.numel()).view_as(before)).sum().backward()  # type: ignore[no-untyped-call]
    return [torch.zeros(()) if p.grad is None else p.grad.float() for p in encoder.parameters()]


@pytest.mark.parametrize("name", ["mini-zh", "tiny"])
def test_gradients_flow_with_and_without_recomputed_activations(tiny_bert: TinyBert, name: str) -> None:
    source = name if name == "mini-zh" else str(tiny_bert())
    found = []
    for recompute in (False, True):
        encoder = load_encoder(source, gradient_checkpointing=recompute, dropout=0.0, attention_dropout=0.0).train()
        found.append(gradients(ready(encoder)))
        assert sum(bool(gradient.any()) for gradient in found[-1]) > len(found[-1]) // 2
    torch.testing.assert_close(*found)


def test_bf16_is_read_before_the_norm_too(tiny_bert: TinyBert) -> None:
    encoder = ready(load_encoder(str(tiny_bert())))
    with torch.no_grad():
        _, exact = encoder.with_pre_norm(IDS, MASK)
        compute_in_bf16(encoder)
        _, before = encoder.with_pre_norm(IDS, MASK)
    assert before.dtype == torch.bfloat16
    torch.testing.assert_close(before.float(), exact, atol=0.05, rtol=0.05)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients(encoder))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_model_hands_it_to_a_head_that_needs_it(tiny_bert: TinyBert, precision: str) -> None:
    encoder = load_encoder(str(tiny_bert()))
    settings = ModelSettings("casrel", "first", "pair", 64, 0)
    task: Any = None
    model = Model(task, encoder, CasRel(16, 3), settings).eval().to_device("cpu", precision)
    batch = {"input_ids": IDS, "attention_mask": MASK.bool(), "text_mask": MASK.bool()}
    batch["triples"] = torch.tensor([[0, 1, 1, 2, 3, 3]])
    output = model(batch, want_loss=True)
    assert output.scores.plain.dtype == output.loss_sum.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(output.scores.plain, encoder.with_pre_norm(IDS, MASK)[1].float())
    output.loss_sum.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_threads_that_share_a_model_get_each_their_own(tiny_bert: TinyBert) -> None:
    encoder = ready(load_encoder(str(tiny_bert())))
    batches = [torch.randint(0, 20, (3, 4 + n % 5), generator=torch.Generator().manual_seed(n)) for n in range(60)]

    def before(ids: Tensor) -> Tensor:
        with torch.inference_mode():
            last, found = encoder.with_pre_norm(ids, torch.ones_like(ids))
            assert torch.equal(encoder(ids, torch.ones_like(ids)), last)
            return found

    alone = [before(ids) for ids in batches]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(before, batches))
    assert all(torch.equal(*pair) for pair in zip(alone, together, strict=True))


def test_nothing_is_kept_outside_of_a_call(tiny_bert: TinyBert) -> None:
    encoder = ready(load_encoder(str(tiny_bert())))
    with keeping() as kept:
        with keeping() as inner:
            encoder(IDS, MASK)
        assert (len(inner), len(kept)) == (1, 0)
    encoder(IDS, MASK)
    assert len(inner) == 1
    ready(encoder)  # a second time changes nothing
    with keeping() as kept:
        encoder(IDS, MASK)
    assert F.layer_norm(kept[0], (16,)).shape == inner[0].shape
