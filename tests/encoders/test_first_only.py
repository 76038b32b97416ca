"""The last layer for the first token alone: the same vector, the same gradients, less to compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clue_cli.encoders import load_encoder
from clue_cli.encoders.first_only import MODEL_TYPES, keep_first_only
from clue_cli.model import Model, ModelSettings
from clue_cli.precision import compute_in_bf16
from heads.classification import Classification
from heads.tagging import SoftmaxTagging

MakeModel = Callable[[str], Any]
TinyBert = Callable[..., Path]
IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 1, 1], [2, 3, 1, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])


@contextmanager
def rows_multiplied(model: nn.Module) -> Iterator[dict[str, int]]:
    """Rows that each linear layer of `model` is given, by its name."""
    rows: dict[str, int] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):

            def note(module: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
                rows[name] = given[0].shape[1]

            hooks.append(module.register_forward_pre_hook(note))
    yield rows
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_the_vector_and_its_gradients_stay_the_same(make_model: MakeModel, kind: str) -> None:
    whole, cut = make_model(kind).eval(), make_model(kind).eval()
    assert keep_first_only(cut)
    upward = torch.randn(3, 16)
    gradients = []
    for model, shape in ((whole, (3, 5, 16)), (cut, (3, 1, 16))):
        last = model(input_ids=IDS, attention_mask=MASK).last_hidden_state
        assert last.shape == shape
        (last[:, 0] * upward).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(
        whole(input_ids=IDS, attention_mask=MASK).last_hidden_state[:, 0],
        cut(input_ids=IDS, attention_mask=MASK).last_hidden_state[:, 0],
    )
    assert gradients[0].keys() == gradients[1].keys()
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


def test_only_what_the_first_token_needs_is_computed(make_model: MakeModel) -> None:
    model = make_model("bert").eval()
    keep_first_only(model)
    with rows_multiplied(model) as rows:
        model(input_ids=IDS, attention_mask=MASK)
    last = {name.removeprefix("encoder.layer.1."): count for name, count in rows.items() if ".1." in name}
    assert {name for name, count in last.items() if count == 1} == {
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    }
    assert all(count == 5 for name, count in rows.items() if "layer.0" in name)


@pytest.mark.parametrize("kind", ["albert", "modernbert", "roformer"])
def test_other_architectures_keep_all_tokens(make_model: MakeModel, kind: str) -> None:
    model = make_model(kind).eval()
    assert not keep_first_only(model)
    assert model(input_ids=IDS, attention_mask=MASK).last_hidden_state.shape == (3, 5, 16)


def model_of(head: Any, pooling: str, directory: Path, **options: Any) -> Model:
    task: Any = None
    encoder = load_encoder(str(directory), **options)
    return Model(task, encoder, head, ModelSettings("any", pooling, "pair", 64, 0))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_model_leaves_out_what_its_head_does_not_read(tiny_bert: TinyBert, precision: str, recompute: bool) -> None:
    directory = tiny_bert()
    model = model_of(Classification(16, 3), "first", directory, gradient_checkpointing=recompute)
    model.train().to_device("cpu", precision)
    plain = load_encoder(str(directory))
    if precision == "bf16":
        compute_in_bf16(plain)
    output = model({"input_ids": IDS, "attention_mask": MASK.bool(), "labels": torch.tensor([0, 1, 2])}, want_loss=True)
    output.loss_sum.backward()
    assert all(p.grad is not None for p in model.encoder.parameters() if p.requires_grad and p.dim() > 1)
    with torch.no_grad():
        found, expected = model.eval().encoder(IDS, MASK), plain(IDS, MASK)
    assert found.shape == (3, 1, 16)
    tolerance = 1e-5 if precision == "float32" else 0.05
    torch.testing.assert_close(found[:, 0], expected[:, 0], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("head", "pooling"), [(Classification(16, 3), "mean"), (SoftmaxTagging(16, 3), "first")])
def test_what_reads_more_gets_more(tiny_bert: TinyBert, head: Any, pooling: str) -> None:
    model = model_of(head, pooling, tiny_bert()).eval()
    assert model.encoder(IDS, MASK).shape == (3, 5, 16)
