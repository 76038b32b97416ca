"""An exported directory as a model: onnxruntime computes the raw scores, the run's own head decodes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from clue_cli.contract import Limits
from clue_cli.errors import RunError, UserError
from clue_cli.export.graph import GRAPH, LENGTH
from clue_cli.export.packages import first_line, package
from clue_cli.model import BaseModel, load_head
from clue_cli.model_settings import SETTINGS, ModelSettings, export_origin, read_settings, settings_of
from heads.base import HeadOutput, filled, named

if TYPE_CHECKING:
    from clue_cli.encoders.text import HFTextEncoder
    from clue_cli.task import Task
    from heads.base import Head


class OnnxModel(BaseModel):
    """A graph in onnxruntime, on the processor; `precision` is "float32" or "int8", as the export was made.

    One session serves all threads: each `predict` computes in the thread that calls it, as `pipeline.Workers` wants.
    `length_axes` says by output which axes are tokens.
    """

    def __init__(
        self,
        task: Task,
        settings: ModelSettings,
        text_encoder: HFTextEncoder,
        head: Head,
        hidden_size: int,
        graph: Path,
        precision: str = "float32",
    ) -> None:
        self.task, self.settings, self.text_encoder, self.head = task, settings, text_encoder, head.eval()
        self.limits = Limits(settings.max_length, settings.overlap)
        self.device = torch.device("cpu")
        self.precision = precision
        self.hidden_size = hidden_size
        self.graph, self.session = graph, open_session(graph)
        self._inputs = [one.name for one in self.session.get_inputs()]
        self._form = _form(head, hidden_size)
        outputs = self.session.get_outputs()
        self.length_axes = {one.name: [i for i, size in enumerate(one.shape) if size == LENGTH] for one in outputs}
        if [one.name for one in outputs] != list(named(self._form)):
            raise UserError(f"the graph's outputs are not the scores of the head {settings.head}", where=GRAPH)

    @classmethod
    def load(cls, directory: Path, device: str | None = None, precision: str | None = None) -> OnnxModel:
        """The model that `clue export` wrote. UserError for what is missing, broken, or asked of it in vain."""
        from clue_cli.encoders.text import HFTextEncoder
        from clue_cli.registry import restore_task

        document = read_settings(directory)
        task = restore_task(document["task"], str(directory))
        settings, config = settings_of(document, directory)
        origin = export_origin(document, directory)
        if origin is None or not isinstance(document.get("hidden_size"), int):
            raise UserError("not an export of clue's", where=str(directory / SETTINGS))
        _check_wanted(device, precision, origin.precision)
        with torch.random.fork_rng(devices=[]):  # its random start is not part of anybody's sequence
            head = load_head(task, settings.head, document["hidden_size"], config, directory)
        text_encoder = HFTextEncoder.load(directory / "encoder")
        return cls(task, settings, text_encoder, head, document["hidden_size"], directory / GRAPH, origin.precision)

    def __getstate__(self) -> dict[str, Any]:
        """All but the session, which does not leave its process: a copy opens the graph anew."""
        return {name: value for name, value in self.__dict__.items() if name != "session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.session = open_session(self.graph)

    def output(self, batch: Mapping[str, Tensor]) -> HeadOutput:
        """The head's scores for a batch; they share the memory that onnxruntime filled."""
        feeds = {name: batch[name].long().numpy() for name in self._inputs}
        try:
            arrays = self.session.run(None, feeds)
        except Exception as error:  # its classes live in a compiled module and share no base but this one
            raise RunError(f"onnxruntime stopped: {first_line(error)}", where=GRAPH) from error
        return HeadOutput(None, None, filled(self._form, map(torch.from_numpy, arrays)))


def open_session(path: Path) -> Any:
    """A session of onnxruntime for a graph; UserError where the file is missing or no graph."""
    onnxruntime = package("onnxruntime")
    if not path.is_file():
        raise UserError("model.onnx is missing", where=str(path), hint="export the run again")
    options = onnxruntime.SessionOptions()
    # Batches are computed side by side, each in one thread; a session's own threads would stand in their way.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Plans of memory are kept for every shape that was met, and texts have many.
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as in `output`
        raise UserError(f"onnxruntime cannot read it: {first_line(error)}", where=str(path)) from error


def _check_wanted(device: str | None, precision: str | None, made: str) -> None:
    if device not in (None, "auto", "cpu"):
        hint = "--device cpu, or predict with the run itself"
        raise UserError(f"an export runs on the processor, not on {device}", where="--device", hint=hint)
    if precision not in (None, "auto", made):
        found = f"this export computes in {made}, not in {precision}"
        raise UserError(found, where="--precision", hint="leave it out, or predict with the run itself")


def _form(head: Head, hidden_size: int) -> Any:
    """Scores of the head's form: those of nothing in particular."""
    hidden = {
        name: torch.zeros((1, hidden_size) if name == "pooled" else (1, 2, hidden_size)) for name in sorted(head.needs)
    }
    with torch.no_grad():
        return head(hidden, {}, want_loss=False).scores
