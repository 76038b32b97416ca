"""Encoder and head as one module, and the directory that holds everything a prediction needs.

model/
  clue.json            task, head, limits, pooling, threshold: data, never code
  encoder/             config, safetensors and tokenizer, as `transformers` writes them: loads offline, and elsewhere
  head.safetensors
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clue_cli.attention import use_bf16_attention, use_bf16_turns
from clue_cli.batching import collate, to_device
from clue_cli.contract import FORMAT_VERSION, Limits
from clue_cli.errors import NotFiniteError, UserError
from clue_cli.model_settings import ONNX, SETTINGS, ModelSettings, read_settings, settings_of, weights_format
from clue_cli.precision import choose_device, choose_precision, compute_in_bf16
from heads.base import are_usable

HEAD_WEIGHTS = "head.safetensors"

MULTIPLE = 8
"""Of padded lengths on an accelerator. Its matrix units like it, and there are few shapes: cuBLAS looks for the best
kernel of each new one, and with lengths of all kinds matrix products took two fifths of the host's time for a step."""

if TYPE_CHECKING:
    from clue_cli.contract import Answering, Feature, Recipe
    from clue_cli.encoders.loading import Encoder
    from clue_cli.encoders.text import HFTextEncoder
    from clue_cli.task import Task
    from heads.base import Head, HeadOutput


class BaseModel:
    """What prediction needs of a model, whatever computes its scores: PyTorch (`Model`) or onnxruntime (an export)."""

    task: Task
    head: Head
    settings: ModelSettings
    text_encoder: HFTextEncoder
    limits: Limits
    device: torch.device
    precision: str
    hidden_size: int
    multiple: int = 1
    """Padded lengths are multiples of it, up to `most`."""
    most: int | None = None

    @property
    def segments(self) -> str:
        """ "pair" or "zero": how token types tell the texts of a pair apart."""
        return self.settings.segments

    @property
    def threshold(self) -> float | None:
        """The threshold tuned for this run, None for the head's own."""
        return self.settings.threshold

    def laid_out(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        """The features as padded tensors on the host."""
        return collate(self.task, features, self.text_encoder.pad_id, multiple=self.multiple, most=self.most)

    def batch(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        """The features as padded tensors on the model's device."""
        return to_device(self.laid_out(features), self.device)

    def make_ready(self) -> None:
        """Get ready to predict, before threads share the model: what changes it is no matter for one of several."""

    def output(self, batch: Mapping[str, Tensor]) -> HeadOutput:
        """The head's scores for a batch."""
        raise NotImplementedError

    def predict(self, features: Sequence[Feature], options: Answering) -> list[Any]:
        """What the head decodes for each feature, in order, on the host. NotFiniteError for scores that mean nothing.

        In a sweep a head whose answers at several thresholds are not nested gives a tuple, one entry a threshold.
        """
        with torch.inference_mode():
            batch = self.batch(features)
            output = self.output(batch)
            if not are_usable(output.scores):
                hint = "its weights are broken, or too large for bf16: --precision float32 tells"
                raise NotFiniteError("the model's scores are not finite numbers", hint=hint)
            return self.decode(output, batch, options)

    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: Answering) -> list[Any]:
        """What `predict` makes of the head's scores."""
        from heads.base import DecodeOptions

        if options.sweep and not self.head.nested:
            each = [self.head.decode(output, batch, DecodeOptions(threshold=t)) for t in options.sweep]
            return list(zip(*each, strict=True))
        return list(self.head.decode(output, batch, DecodeOptions(threshold=options.threshold)))


class Model(BaseModel, nn.Module):
    """A task's encoder and head.

    task, head, text_encoder, limits, segments and threshold are what prediction needs; see `predict`.
    """

    def __init__(self, task: Task, encoder: Encoder, head: Head, settings: ModelSettings) -> None:
        super().__init__()
        self.task, self.settings, self.text_encoder = task, settings, encoder.text_encoder
        self.encoder, self.head = encoder, head
        self.hidden_size = encoder.hidden_size
        self.limits = Limits(settings.max_length, settings.overlap)
        self.device = torch.device("cpu")
        self.precision = "float32"
        if "pre_norm" in head.needs:
            encoder.prepare_pre_norm()
        if head.needs == {"pooled"} and settings.pooling == "first":
            encoder.prepare_first_only()

    @classmethod
    def build(
        cls,
        task: Task,
        head: str,
        recipe: Recipe,
        *,
        encoder: str | None = None,
        class_weights: Sequence[float] | None = None,
        allow_random: bool = False,
    ) -> Model:
        """A new model: the encoder as loaded, the head with random weights (drawn from torch's global generator)."""
        from clue_cli.encoders.loading import load_encoder

        loaded = load_encoder(
            encoder,
            dropout=recipe.dropout,
            attention_dropout=recipe.attention_dropout,
            gradient_checkpointing=recipe.gradient_checkpointing,
            allow_random=allow_random,
        )
        pooling = loaded.default_pooling if recipe.pooling == "auto" else recipe.pooling
        config = dict(task.head_config(head))
        config["dropout"] = recipe.head_dropout
        if class_weights is not None:
            config["class_weights"] = list(class_weights)
        settings = ModelSettings(head, pooling, recipe.segments, recipe.max_length, recipe.overlap)
        return cls(task, loaded, _head_class(task, head)(loaded.hidden_size, **config), settings)

    def to_device(
        self,
        device: str | torch.device | None = None,
        precision: str | None = None,
        masters: dict[nn.Parameter, Tensor] | None = None,
    ) -> Model:
        """Move to `device` (None: the best at hand) and compute in `precision` (None: the fastest); once only.

        masters: gets the float32 values, by parameter, of what computes in bf16 from now on (for training).
        """
        self.device = device if isinstance(device, torch.device) else choose_device(device)
        self.precision = choose_precision(precision, self.device)
        if self.device == torch.device("cuda"):  # which one is meant is a matter of the thread: it is said here
            self.device = torch.device("cuda", torch.cuda.current_device())
        self.to(self.device)
        if self.device.type != "cpu":
            self.multiple = MULTIPLE
            self.most = self.encoder.max_positions if self.encoder.positions_are_fixed else None
        if self.precision == "bf16":
            compute_in_bf16(self.encoder, masters)
            if self.device.type == "cpu":
                use_bf16_attention(self.encoder.model)
                use_bf16_turns(self.encoder.model)
        return self

    def forward(self, batch: Mapping[str, Tensor], *, want_loss: bool = False) -> Any:
        """The head's output for a collated batch on the model's device (see `batching.collate`)."""
        from clue_cli.encoders.pooling import pool

        mask = batch["attention_mask"]
        inputs = batch["input_ids"], mask, batch.get("token_type_ids")
        hidden: dict[str, Tensor] = {}
        needs = self.head.needs
        if "pre_norm" in needs:
            last, before = self.encoder.with_pre_norm(*inputs)
            hidden["pre_norm"] = before.float() if before.dtype == torch.bfloat16 else before
        else:
            last = self.encoder(*inputs)
        if "pooled" in needs:
            hidden["pooled"] = pool(last, mask, self.settings.pooling)
        if "last" in needs:
            hidden["last"] = last.float() if last.dtype == torch.bfloat16 else last
        return self.head(hidden, batch, want_loss=want_loss)

    def make_ready(self) -> None:
        """Switch dropout off."""
        if self.training:
            self.eval()

    def output(self, batch: Mapping[str, Tensor]) -> HeadOutput:
        """The head's scores for a batch, without dropout."""
        self.make_ready()
        found: HeadOutput = self.forward(batch)
        return found

    def save(self, directory: Path) -> None:
        """Write the model to `directory`, whole or not at all: beside, flushed, then in the place of an older one."""
        from safetensors.torch import save_file

        beside, old = directory.with_name(directory.name + ".part"), directory.with_name(directory.name + ".old")
        shutil.rmtree(beside, ignore_errors=True)
        with saving(beside):
            beside.mkdir(parents=True)
            self.encoder.save(beside / "encoder")
            weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.head.state_dict().items()}
            save_file(weights, str(beside / HEAD_WEIGHTS))
            self.write_settings(beside)
            for path in beside.rglob("*"):
                if path.is_file():
                    with path.open("rb+") as file:  # some systems flush only what may be written
                        os.fsync(file.fileno())
            shutil.rmtree(old, ignore_errors=True)
            if directory.exists():
                directory.rename(old)
            beside.rename(directory)
            shutil.rmtree(old, ignore_errors=True)

    def write_settings(self, directory: Path) -> None:
        """Write `clue.json` alone (a tuned threshold changes nothing else)."""
        from clue_cli.files import atomic_write

        with atomic_write(directory / SETTINGS) as file:
            json.dump(self.document(), file, ensure_ascii=False, indent=1)

    def document(self) -> dict[str, Any]:
        """What `clue.json` holds: everything beside the weights."""
        return {
            "format": FORMAT_VERSION,
            "task": self.task.to_config(),
            "head": self.settings.head,
            "head_config": self.head.config,
            "pooling": self.settings.pooling,
            "segments": self.settings.segments,
            "max_length": self.settings.max_length,
            "overlap": self.settings.overlap,
            "threshold": self.settings.threshold,
            "encoder": {"name": self.encoder.name, "sha256": self.encoder.sha256},
        }

    @classmethod
    def load(cls, directory: Path) -> Model:
        """The model that `save` wrote, float32, on the processor. UserError names what is missing or wrong."""
        from clue_cli.encoders.loading import load_encoder
        from clue_cli.registry import restore_task

        document = read_settings(directory)
        task = restore_task(document["task"], str(directory))
        settings, config = settings_of(document, directory)
        encoder = load_encoder(str(directory / "encoder"))
        # The run's own copy of the weights has another hash than the encoder that the training began with.
        origin = document.get("encoder", {})
        encoder.name, encoder.sha256 = origin.get("name", encoder.name), origin.get("sha256", encoder.sha256)
        head = load_head(task, settings.head, encoder.hidden_size, config, directory)
        return cls(task, encoder, head, settings).eval()


def load_model(directory: Path, device: str | None = None, precision: str | None = None) -> BaseModel:
    """The model in `directory`, a run's or an export, ready on `device` (None: the best) in `precision` (the fastest).

    UserError names what is missing or wrong.
    """
    if weights_format(read_settings(directory), directory) == ONNX:
        from clue_cli.export.onnx_model import OnnxModel

        return OnnxModel.load(directory, device, precision)
    return Model.load(directory).to_device(device, precision)


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn what goes wrong while weights are written into one line, and leave nothing half-written at `path`."""
    from clue_cli.errors import RunError
    from clue_cli.files import write_error

    try:
        yield
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise write_error(path, error) from error
    except Exception as error:
        shutil.rmtree(path, ignore_errors=True)
        if type(error).__name__ != "SafetensorError":
            raise
        raise RunError(f"the weights can't be written: {error}", where=str(path)) from error


def _head_class(task: Task, head: str) -> Any:
    from clue_cli.errors import did_you_mean
    from clue_cli.registry import load_object

    if head not in task.heads:
        raise UserError(did_you_mean(head, task.heads, f"head of {task.name}"), where="--head")
    return load_object(task.heads[head])


def load_head(task: Task, name: str, hidden_size: int, config: dict[str, Any], directory: Path) -> Head:
    """The head called `name` with the weights in `directory`; UserError where they are missing or not this head's."""
    head: Head = _head_class(task, name)(hidden_size, **config)
    _load_head(head, directory / HEAD_WEIGHTS)
    return head


def _load_head(head: nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError("head.safetensors is missing", where=str(path), hint="the run is not complete: train it again")
    try:
        weights = load_file(str(path))
    except Exception as error:
        raise UserError(f"the head's weights can't be read: {error}", where=str(path)) from error
    expected = head.state_dict()
    wrong = sorted(
        [f"{name} is missing" for name in expected.keys() - weights.keys()]
        + [f"{name} is unknown" for name in weights.keys() - expected.keys()]
        + [
            f"{name} has shape {tuple(weights[name].shape)}, expected {tuple(expected[name].shape)}"
            for name in expected.keys() & weights.keys()
            if weights[name].shape != expected[name].shape
        ]
    )
    if wrong:
        raise UserError(f"the weights are not this head's: {'; '.join(wrong[:5])}", where=str(path))
    head.load_state_dict(weights)
