"""Every tensor accounted for: what the file has against what the model needs, by name and shape.

`transformers` reports what it left at random and what it ignored, but only in a log, and its versions differ in what
they count. Here its report is joined with a comparison of our own, and whatever is not on a short list of harmless
cases is refused by name.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from clue_cli.encoders.files import ROFORMER_V2, reason
from clue_cli.errors import UserError

Shape = tuple[int, ...]

UNEXPECTED_HARMLESS = (
    r"cls\..*",  # BERT, RoFormer, ERNIE: masked-language and next-sentence heads
    r"(lm_head|predictions|sop_classifier|mlm|vocab_(transform|layer_norm|projector))\..*",  # RoBERTa, ALBERT
    r"(generator|discriminator)_(predictions|lm_head)\..*|generator_lm_head\..*",  # ELECTRA
    r"(lm_predictions|mask_predictions)\..*",  # DeBERTa
    r"(head\.(dense|norm)|decoder)\.(weight|bias)",  # ModernBERT
    r"(classifier|pre_classifier|qa_outputs|score)\..*|dropout\..*",  # heads of a fine-tuned model
    r"(.*\.)?pooler\..*",
    r"(.*[./])?(adam_[mv]|global_step)",  # what TensorFlow's optimiser kept
    r"(.*\.)?(embeddings\.(position_ids|token_type_ids)|rotary_emb\.inv_freq|embed_positions\.weight)",  # computed
)
"""Names (the model's own prefix taken off) that a checkpoint may have and the bare encoder does not need."""

MISSING_HARMLESS = (
    r"(.*\.)?pooler\..*",  # not used: heads pool by themselves
    r"(.*\.)?(embeddings\.(position_ids|token_type_ids)|rotary_emb\.inv_freq|embed_positions\.weight)",  # computed
)
"""Names that the encoder may not find in its checkpoint."""

_OUTPUT_TABLE = r"(decoder|lm_head|vocab_projector)\.weight$"
"""Names of a masked-language head's last matrix, which is the embedding of the tokens."""

_FLOATING = {"F16", "BF16", "F32", "F64", "float16", "bfloat16", "float32", "float64"}
"""Types of weights, as safetensors and torch call them."""

_OLD_NAMES = ((".gamma", ".weight"), (".beta", ".bias"))
"""Endings in files converted from TensorFlow's BERT, and what they are called now."""


@dataclass(frozen=True, slots=True)
class Account:
    """What did not fit, harmless cases left out; names as in the model (missing) and the file (unexpected)."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[tuple[str, Shape, Shape], ...]
    """(name, shape in the file, shape in the model)."""
    meaning: tuple[str, str] | None = None
    """(What the missing ones mean together, what to do), None where nothing is known."""
    foreign: tuple[str, ...] = ()
    """All names of the file where none of them is the model's."""


def read_shapes(files: Sequence[Path]) -> dict[str, Shape]:
    """Name -> shape of every tensor in the weight files; UserError for one that is broken or holds whole numbers."""
    shapes: dict[str, Shape] = {}
    for path in files:
        where = str(path)
        try:
            found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
        except SafetensorError as error:
            raise UserError(f"broken or cut off: {error}", where=where, hint="copy or download it again") from error
        except pickle.UnpicklingError as error:  # torch names a switch for it, which would run the file's code
            raise UserError(
                "not readable as PyTorch weights: it holds more than tensors (a whole model, code), or is no such file",
                where=where,
                hint="save the state_dict() of the model alone, best as safetensors",
            ) from error
        except Exception as error:  # a foreign pickle fails in many ways
            raise UserError(f"not readable as PyTorch weights: {reason(error)}", where=where) from error
        for name, (shape, dtype) in found.items():
            if len(shape) > 1 and name.endswith("weight") and dtype not in _FLOATING:
                raise UserError(
                    f"{name} holds {dtype} numbers, which mean nothing without their scales: quantised weights",
                    where=where,
                    hint="use the release in float32, float16 or bfloat16",
                )
            shapes[name] = shape
    if not shapes:
        raise UserError("holds no tensors", where=str(files[0]))
    return shapes


def _read_safetensors(path: Path) -> dict[str, tuple[Shape, str]]:
    """Name -> (shape, type) of the tensors."""
    with safe_open(path, framework="pt") as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        return {name: (tuple(part.get_shape()), str(part.get_dtype())) for name, part in slices.items()}


def _read_pickle(path: Path) -> dict[str, tuple[Shape, str]]:
    """Name -> (shape, type) of the tensors."""
    loaded = torch.load(path, map_location="meta", weights_only=True)
    tensors = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    return {name: (tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in tensors.items()}


def account(model: nn.Module, shapes: Mapping[str, Shape], info: Mapping[str, Any], *, renamed: bool) -> Account:
    """What of the file's tensors and the model's does not fit, from the loading report `info` and our own comparison.

    `renamed` says that transformers declares renamings or conversions for this architecture, so that names need not
    agree and only its report counts.
    """
    prefix = str(getattr(model, "base_model_prefix", ""))
    missing = {
        _stripped(str(name), prefix) for name in info["missing_keys"]
    }  # older versions report it with the prefix
    unexpected = set(map(str, info["unexpected_keys"]))
    misshapen = {_stripped(str(name), prefix): (tuple(a), tuple(b)) for name, a, b in info["mismatched_keys"]}
    if not renamed:
        in_file = {_modern(_stripped(name, prefix)): name for name in shapes}
        groups = _tied(model)
        for names, shape in groups:
            found = [in_file[name] for name in names if name in in_file]
            if not found:
                missing.add(names[0])
            elif shapes[found[0]] != shape:
                misshapen.setdefault(names[0], (shapes[found[0]], shape))
        wanted = {name for names, _ in groups for name in names}
        unexpected |= {name for stripped, name in in_file.items() if stripped not in wanted}
    lacking = tuple(sorted(name for name in missing if not _matches(MISSING_HARMLESS, name)))
    none = all(not missing.isdisjoint(names) or _matches(MISSING_HARMLESS, names[0]) for names, _ in _tied(model))
    return Account(
        missing=lacking,
        unexpected=tuple(sorted(n for n in unexpected if not _matches(UNEXPECTED_HARMLESS, _stripped(n, prefix)))),
        misshapen=tuple((name, *both) for name, both in sorted(misshapen.items())),
        meaning=_meaning(model, lacking, shapes),
        foreign=tuple(sorted(shapes)) if none else (),
    )


def _meaning(model: Any, missing: Sequence[str], shapes: Mapping[str, Shape]) -> tuple[str, str] | None:
    """What it means that just these tensors are missing, and what to do; None where nothing is known."""
    if missing and all(re.search(r"position_embeddings\.weight$", name) for name in missing):
        return (
            f"{missing[0]} is missing: a model with relative positions (NEZHA) declared as another one; its positions "
            "would be random",
            "use the model under its own architecture, or another encoder",
        )
    norms_and_biases = [name for name in missing if re.search(r"LayerNorm\.weight$|\.bias$", name)]
    if model.config.model_type == "roformer" and len(norms_and_biases) == len(missing) > 1:
        return ROFORMER_V2
    table = model.get_input_embeddings().weight
    if len(missing) == 1 and model.state_dict(keep_vars=True).get(missing[0]) is table:
        for name, shape in shapes.items():
            if shape == tuple(table.shape) and re.search(_OUTPUT_TABLE, name):
                return (
                    f"{missing[0]} is missing, which is the same as {name}: whatever wrote the file kept one name of "
                    "each tensor only",
                    "AutoModelForMaskedLM.from_pretrained(DIR).save_pretrained(DIR) of transformers writes it whole",
                )
    return None


def refuse(found: Account, where: str, *, allow_random: bool) -> None:
    """UserError naming the tensors that do not fit; missing ones pass with `allow_random`."""
    if found.misshapen:
        shown = [f"{name} {_shape(have)} instead of {_shape(want)}" for name, have, want in found.misshapen]
        raise UserError(
            f"{len(shown)} tensors of another shape than config.json says: {_some(shown)}",
            where=where,
            hint="config.json and the weights belong to different models",
        )
    if found.foreign:
        raise UserError(
            f"no tensor has a name that config.json's architecture knows: {_some(found.foreign)}",
            where=where,
            hint=f"names such as {found.missing[0]} were expected; save the model with save_pretrained of transformers",
        )
    if found.missing and not allow_random:
        if found.meaning is not None:
            raise UserError(found.meaning[0], where=where, hint=found.meaning[1])
        raise UserError(
            f"{len(found.missing)} tensors are missing and would stay random: {_some(found.missing)}",
            where=where,
            hint="--allow-random-weights takes it as it is",
        )
    if found.unexpected:
        raise UserError(
            f"{len(found.unexpected)} tensors have no place in this architecture: {_some(found.unexpected)}",
            where=where,
            hint="config.json declares another model than the weights are of",
        )


def hash_files(files: Sequence[Path]) -> str:
    """SHA-256 of the weights: of the one file, or of the list of the files' own hashes."""
    digests = []
    for path in files:
        with path.open("rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def hash_tensors(model: nn.Module) -> str:
    """SHA-256 of a model's parameters and saved buffers, by name: for weights that lie in no file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _stripped(name: str, prefix: str) -> str:
    return name.removeprefix(f"{prefix}.") if prefix else name


def _modern(name: str) -> str:
    for old, new in _OLD_NAMES:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _tied(model: nn.Module) -> list[tuple[tuple[str, ...], Shape]]:
    """The model's tensors as (all names of one tensor, shape)."""
    groups: dict[Any, list[str]] = {}
    shapes: dict[Any, Shape] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
        shapes[id(tensor)] = tuple(tensor.shape)
    return [(tuple(names), shapes[key]) for key, names in groups.items()]


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
