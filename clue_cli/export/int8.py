"""A graph with the weights of its matrix products in 8 bits; what they multiply is rounded as it comes."""

from __future__ import annotations

import shutil
from pathlib import Path

from clue_cli.errors import RunError
from clue_cli.export.packages import first_line, package, quiet


def quantise(path: Path) -> None:
    """Turn every weight of a `MatMul` of the graph at `path` to int8, with a scale for each of its columns.

    Weights are rounded to 7 bits (`reduce_range`): sums of full 8-bit products overflow on processors without VNNI,
    and the figure would depend on the machine. Embeddings stay as they are. RunError where it fails.
    """
    quantization, onnx = package("onnxruntime.quantization"), package("onnx")
    # The file of large weights is known to the graph by its name: both are moved away together.
    away = path.with_name("float32")
    away.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        file.rename(away / file.name)
    source = away / path.name
    try:
        # The shapes noted for weights are not turned with the weights, and then stop the quantiser.
        graph = onnx.load(str(source), load_external_data=False)
        del graph.graph.value_info[:]
        onnx.save(graph, str(source))
        with quiet():
            quantization.quantize_dynamic(
                source,
                path,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=True,
                weight_type=quantization.QuantType.QInt8,
                use_external_data_format=len(list(away.iterdir())) > 1,
            )
    except Exception as error:  # as for the exporter: whatever the step that failed raises
        raise RunError(f"onnxruntime cannot quantise the graph: {first_line(error)}") from error
    shutil.rmtree(away)
