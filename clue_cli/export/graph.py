"""The model of a run as an ONNX graph: token ids in, the head's raw scores out, for any batch and any length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clue_cli.errors import RunError, UserError
from clue_cli.export import OPSET
from clue_cli.export.packages import first_line, package, quiet
from heads.base import named

if TYPE_CHECKING:
    from clue_cli.model import Model

GRAPH = "model.onnx"

BATCH, LENGTH = "batch", "length"
"""The names of the free dimensions in the graph."""

LARGE = 1_500_000_000
"""Bytes of weights from which they stand in a file beside the graph: one ONNX file holds 2 GB at most."""


class _Scorer(nn.Module):
    """Token ids, attention mask and, where the encoder takes them, token types: the head's scores, one by one."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        return tuple(self.scores(input_ids, attention_mask, token_type_ids).values())

    def scores(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The same by name."""
        batch = {"input_ids": input_ids, "attention_mask": attention_mask.bool()}
        if token_type_ids is not None:
            batch["token_type_ids"] = token_type_ids
        return named(self.model(batch).scores)


def write_graph(model: Model, path: Path, opset: int = OPSET) -> None:
    """Write the graph of `model` (on the processor, float32) to `path`.

    Inputs are int64 (batch, length): `input_ids`, `attention_mask`, and `token_type_ids` where features carry them.
    Outputs are the tensors of the head's scores by name. Weights over `LARGE` go to a second file beside.
    UserError for a head whose scores are no tensors, RunError where PyTorch finds no graph.
    """
    package("onnxscript")
    inputs, scorer = _inputs(model), _Scorer(model).eval()
    try:
        with torch.no_grad():
            outputs = list(scorer.scores(**inputs))
    except TypeError as error:
        raise UserError(f"the head {model.settings.head} cannot be exported: {error}") from error
    free = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(
                scorer, tuple(inputs.values()), dynamic_shapes=dict.fromkeys(inputs, free), strict=False
            )
            made = torch.onnx.export(
                program, (), dynamo=True, verbose=False, opset_version=opset,
                input_names=list(inputs), output_names=outputs,
            )  # fmt: skip
    except Exception as error:  # a failing exporter raises whatever the step that failed raises
        raise RunError(f"torch {torch.__version__} makes no graph of this model: {first_line(error)}") from error
    assert made is not None
    written = made.model.opset_imports.get("")
    if written != opset:
        raise UserError(f"torch {torch.__version__} writes version {written}, not {opset}", where="--opset")
    _tidy(made.model)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    made.save(str(path), external_data=weights > LARGE)


def _inputs(model: Model) -> dict[str, Tensor]:
    """A batch to follow through the model: two rows (a batch of one would be taken for a constant), one padded."""
    ids = torch.arange(18).view(2, 9) % model.text_encoder.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if model.text_encoder.takes_segments:
        inputs["token_type_ids"] = torch.zeros_like(ids)
    return inputs


def _tidy(graph: Any) -> None:
    """Name the free dimensions, and take out what the exporter noted about its own way: it holds this machine's paths.

    graph: an `onnx_ir.Model`.
    """
    ir = package("onnx_ir")
    symbols: dict[str, str] = {}
    for value in graph.graph.inputs:
        symbols.update({str(size): name for size, name in zip(value.shape, (BATCH, LENGTH), strict=True)})
    for value in (*graph.graph.inputs, *graph.graph.outputs):
        value.shape = ir.Shape([size if isinstance(size, int) else symbols.get(str(size)) for size in value.shape])
    values = [*graph.graph.inputs, *graph.graph.initializers.values()]
    for node in graph.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        values += node.outputs
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None
    for part in (graph, graph.graph):
        part.metadata_props.clear()
        part.doc_string = None
