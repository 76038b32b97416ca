"""Encoders of `transformers`, loaded so that nothing is left to chance in silence.

    encoder = load_encoder("hfl/chinese-roberta-wwm-ext", dropout=0.1)
    last = encoder(input_ids, attention_mask)                       # (B, L, H)

Weights are float32 whatever the file has; a tensor that is missing, unexpected or misshapen is named and refused; no
code that comes with a checkpoint is run unless asked for.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from clue_cli.encoders import weights
from clue_cli.encoders.configuration import configuration, quiet, set_dropouts
from clue_cli.encoders.files import check_directory, reason, weight_files
from clue_cli.encoders.first_only import keep_first_only
from clue_cli.encoders.location import resolve
from clue_cli.encoders.pre_norm import find_final_norm, keeping, listen
from clue_cli.encoders.sizes import outside_embeddings, size_class
from clue_cli.encoders.text import HFTextEncoder
from clue_cli.encoders.tokenizer import load_tokenizer
from clue_cli.errors import RunError, UserError

_MEAN_POOLED = {"modernbert", "modernbert-decoder", "eurobert", "nomic_bert", "gte", "jina_embeddings_v3"}
"""Architectures whose first token was not trained for anything beyond the masked-language model."""

_ROTARY_TABLE = {"roformer"}
"""Architectures that compute their positions into a table of fixed size."""


_DTYPE = "dtype" if tuple(map(int, transformers.__version__.split(".")[:2])) >= (4, 56) else "torch_dtype"
"""What transformers calls the type of the weights."""


class Encoder(nn.Module):
    """An encoder of `transformers`: tokens to vectors.

    model:           the bare model, float32, without pooler.
    text_encoder:    its tokenizer as a `HFTextEncoder`.
    name:            as in records: shipped name, directory's base name, hub name, `scratch`.
    sha256:          of the weight file as it was loaded; of the tensors where they were drawn at random.
    dropouts:        the fields of the configuration that `dropout` and `attention_dropout` set.
    notes:           sentences a verb should show: what was left at random, an option without effect.
    default_pooling: "first" where the first token is a trained [CLS], else "mean".
    """

    def __init__(
        self,
        model: Any,
        text_encoder: HFTextEncoder,
        name: str,
        *,
        files: list[Path] | None = None,
        dropouts: dict[str, float] | None = None,
        notes: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.text_encoder = text_encoder
        self.name = name
        self.dropouts = dropouts or {}
        self.notes = notes or []
        # At once: training changes the tensors, and a run may write over the directory it was loaded from.
        self.sha256 = weights.hash_files(files) if files else weights.hash_tensors(model)
        self._takes_types = "token_type_ids" in inspect.signature(model.forward).parameters
        self._has_pre_norm = False
        self._first_only = False

    @property
    def config(self) -> Any:
        """The `transformers` configuration."""
        return self.model.config

    @property
    def slug(self) -> str:
        """The name as part of a path: the owner of a hub model left out."""
        return re.sub(r"[^\w.-]+", "-", re.sub(r"[\w.-]+/", "", self.name))

    @property
    def hidden_size(self) -> int:
        """H, the width of the last layer."""
        return int(self.config.hidden_size)

    @cached_property
    def parameters_without_embeddings(self) -> int:
        """Number of parameters outside embedding tables."""
        return outside_embeddings(self)

    @property
    def size(self) -> str:
        """`small`, `base` or `large`: which recipes fit."""
        return size_class(self.parameters_without_embeddings)

    @property
    def default_pooling(self) -> str:
        """The pooling that suits the encoder."""
        trained = self.config.model_type not in _MEAN_POOLED and self.text_encoder.starts_with_special
        return "first" if trained else "mean"

    @cached_property
    def max_positions(self) -> int | None:
        """Tokens of one input the encoder was made for, special ones included; None where its files do not say."""
        table = self._position_table()
        stated = int(getattr(self.config, "max_position_embeddings", None) or 0)
        if table is None:
            return stated or None
        # RoBERTa counts positions from the padding id on; Nystromformer's table has two rows more than it can take.
        rows = int(table.num_embeddings) - (0 if table.padding_idx is None else table.padding_idx + 1)
        return min(rows, stated or rows)

    @cached_property
    def positions_are_fixed(self) -> bool:
        """Whether inputs beyond `max_positions` are impossible (a table of positions), not only untrained (rotary)."""
        return self._position_table() is not None or self.config.model_type in _ROTARY_TABLE

    def check_length(self, max_length: int) -> None:
        """UserError where inputs of `max_length` tokens are impossible."""
        if self.positions_are_fixed and self.max_positions is not None and max_length > self.max_positions:
            found = f"{max_length} tokens are more than the {self.max_positions} positions of {self.name}"
            raise UserError(found, where="--max-length")

    def _position_table(self) -> nn.Embedding | None:
        table = getattr(getattr(self.model, "embeddings", None), "position_embeddings", None)
        return table if isinstance(table, nn.Embedding) else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """The last layer (B, L, H) for `input_ids` (B, L) and `attention_mask` (B, L), 1 or True for real tokens.

        (B, 1, H) after `prepare_first_only`. UserError for inputs longer than the encoder's table of positions.
        """
        if self.positions_are_fixed and self.max_positions is not None and input_ids.shape[1] > self.max_positions:
            raise UserError(
                f"{self.name} has {self.max_positions} positions, the input {input_ids.shape[1]} tokens",
                where="--max-length",
            )
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask.long()}
        if token_type_ids is not None and self._takes_types:
            inputs["token_type_ids"] = token_type_ids
        last: Tensor = self.model(**inputs).last_hidden_state
        return last

    def prepare_pre_norm(self) -> None:
        """Make `with_pre_norm` possible, before any call of it. UserError where the encoder ends in no norm."""
        if not self._has_pre_norm:
            listen(find_final_norm(self.model, self.name))
            self._has_pre_norm = True

    def prepare_first_only(self) -> None:
        """Say that only the first token of the last layer is read: what else need not be computed is left out.

        Batches are padded on the right then.
        """
        if not self._first_only:
            self._first_only = keep_first_only(self.model)

    def with_pre_norm(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The last layer as `forward` gives it, and what it was before the encoder's final norm; both (B, L, H)."""
        with keeping() as kept:
            last: Tensor = self(input_ids, attention_mask, token_type_ids)
        (before,) = kept
        return last, before

    def save(self, directory: str | Path) -> None:
        """Write configuration, safetensors and tokenizer, which `load_encoder` and `AutoModel` read offline."""
        self.save_without_weights(directory)
        with quiet():
            self.model.save_pretrained(str(directory), safe_serialization=True)

    def save_without_weights(self, directory: str | Path) -> None:
        """Write configuration and tokenizer: what turns texts into the tokens that this encoder takes."""
        self.config._name_or_path = self.slug  # older versions write it down, and it would be a path of this machine
        with quiet():
            self.config.save_pretrained(str(directory))
        self.text_encoder.save(directory)


def load_encoder(
    name: str | None = None,
    *,
    scratch: bool = False,
    dropout: float | None = None,
    attention_dropout: float | None = None,
    gradient_checkpointing: bool = False,
    allow_random: bool = False,
    trust_remote_code: bool = False,
) -> Encoder:
    """The encoder that `name` means (see `location.resolve`), in evaluation mode, on the processor.

    scratch:   random weights of the same shape, drawn from torch's current seed (`scratch:NAME` says the same).
    dropout, attention_dropout: set in the configuration, None leaves what it has.
    allow_random: missing tensors stay at their random start, with a note of how many.

    UserError for a name, directory or checkpoint that cannot be used rightly; RunError if a download fails.
    """
    location = resolve(name)
    scratch = scratch or location.scratch
    directory = location.fetch()
    check_directory(directory, weights=not scratch, trust_remote_code=trust_remote_code)
    config = configuration(directory, trust_remote_code)
    dropouts, notes = set_dropouts(config, dropout, attention_dropout)
    if scratch:
        model, files = _random(directory, config, trust_remote_code), None
    else:
        files = weight_files(directory)
        model = _pretrained(directory, files, config, allow_random, trust_remote_code, notes)
    model = bare(model.float())
    text_encoder = HFTextEncoder(
        load_tokenizer(directory, trust_remote_code=trust_remote_code),
        takes_segments=int(getattr(config, "type_vocab_size", 0) or 0) > 1,
        where=str(directory),
    )
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise UserError(
            f"its tokens go into a {type(table).__name__} (I-BERT's whole numbers?), not into a plain embedding",
            where=str(directory),
            hint="use another encoder",
        )
    check_vocabulary(text_encoder.vocab_size, table.num_embeddings, str(directory))
    if gradient_checkpointing:
        _checkpoint_gradients(model, str(directory))
    label = location.name if location.scratch or not scratch else f"scratch:{location.name}"
    return Encoder(model, text_encoder, label, files=files, dropouts=dropouts, notes=notes).eval()


def check_vocabulary(tokens: int, rows: int, where: str) -> None:
    """UserError if a tokenizer of `tokens` entries cannot belong to an embedding of `rows`.

    Embeddings are often rounded up, hence a margin of 1 % (at least 256); a tokenizer that lost its vocabulary has
    five entries.
    """
    if tokens > rows or rows - tokens > max(256, rows // 100) or 2 * tokens < rows:
        raise UserError(
            f"the tokenizer has {tokens} entries, the embedding {rows}: they do not belong together",
            where=where,
            hint="check that the vocabulary file is the model's own",
        )


def _call(function: Any, *arguments: Any, trust_remote_code: bool, **options: Any) -> Any:
    """`function` of AutoModel with PyTorch's fused attention, or without where the architecture lacks it."""
    try:
        return function(*arguments, attn_implementation="sdpa", trust_remote_code=trust_remote_code, **options)
    except ValueError as error:
        if "scaled_dot_product" not in str(error) and "attention implementation" not in str(error):
            raise
        return function(*arguments, attn_implementation="eager", trust_remote_code=trust_remote_code, **options)


def _random(directory: Path, config: Any, trust_remote_code: bool) -> Any:
    with _loading(directory):
        return _call(
            transformers.AutoModel.from_config, config, trust_remote_code=trust_remote_code, **{_DTYPE: torch.float32}
        )


def _pretrained(
    directory: Path, files: list[Path], config: Any, allow_random: bool, trust_remote_code: bool, notes: list[str]
) -> Any:
    shapes = weights.read_shapes(files)
    with _loading(directory):
        model, info = _call(
            transformers.AutoModel.from_pretrained,
            str(directory),
            config=config,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported and refused below, all of them at once
            use_safetensors=files[0].suffix == ".safetensors",
            trust_remote_code=trust_remote_code,
            **{_DTYPE: torch.float32},
        )
    found = weights.account(model, shapes, info, renamed=_has_conversions(config.model_type))
    weights.refuse(found, str(directory), allow_random=allow_random)
    if found.missing:
        notes.append(
            f"{len(found.missing)} tensors were not in the checkpoint and start at random: {found.missing[0]} ..."
        )
    return model


@contextmanager
def _loading(directory: Path) -> Iterator[None]:
    """What goes wrong inside transformers as one line."""
    try:
        with quiet():
            yield
    except torch.OutOfMemoryError as error:
        raise RunError("out of memory", where=str(directory)) from error
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise UserError(f"transformers cannot load it: {reason(error)}", where=str(directory)) from error


def _has_conversions(kind: str) -> bool:
    """Whether transformers renames or reshapes tensors of this architecture while loading (versions from 5 on)."""
    try:
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping
    except ImportError:
        return False
    declared: Any = get_checkpoint_conversion_mapping
    return declared(kind) is not None


def bare(model: Any) -> Any:
    """The model without what no gradient reaches, which would stop several processes and still be decayed.

    Its pooler goes (heads pool by themselves), a computed table of positions is fixed: loading makes it trainable.
    """
    if isinstance(getattr(model, "pooler", None), nn.Module):
        model.pooler = nn.Identity()  # not None: SqueezeBERT calls it without looking
    if model.config.model_type in _ROTARY_TABLE:
        model.encoder.embed_positions.requires_grad_(False)
    return model


def _checkpoint_gradients(model: Any, where: str) -> None:
    if not getattr(model, "supports_gradient_checkpointing", False):
        raise UserError(
            "this encoder cannot recompute activations", where=where, hint="leave --gradient-checkpointing out"
        )
    if hasattr(model, "activation_checkpointing_enable"):  # its name in newer versions
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
